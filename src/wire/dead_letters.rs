//! `dead-letters`: what could not be understood, in the transaction that consumes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::bus::OutRecord;
use crate::domain::Time;

use super::outputs::{ACCOUNTS, Envelope, OFFERS, SCREEN, Topic};
use super::uuids::uuid_of;

/// Bodies of larger records are left out, so that a dead letter always fits where dead letters go.
const BODY_BYTES_MAX: usize = 512 << 10;

/// Topics whose records may hold a card token: their bodies are never repeated (I11).
const TOPICS_WITH_CARDS: [&str; 2] = ["accounts.links", "accounts.inbox"];

/// An input record that could not be understood, and why.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// Without prefix.
    pub topic: &'a str,
    pub partition: u32,
    pub offset: u64,
    /// The record's append time.
    pub timestamp: Time,
    /// The raw value, empty for a tombstone.
    pub value: &'a [u8],
    pub reason: &'a str,
    /// Where and what; no content.
    pub detail: &'a str,
}

/// A value of `dead-letters`.
#[derive(Serialize, JsonSchema)]
pub struct DeadLetterValue<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub offset: u64,
    /// Bytes of the value.
    pub size: usize,
    /// Of the raw value, lower-case hex.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: &'a str,
    pub reason: &'a str,
    pub detail: &'a str,
    /// The raw value in base64, if configured; never that of a record that may hold a card token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The record for `letter`; with its body in base64 if `body`, unless its topic may hold card tokens.
pub fn dead_letter(letter: &DeadLetter<'_>, body: bool) -> OutRecord {
    let DeadLetter { topic, partition, offset, timestamp, value, reason, detail } = *letter;
    let envelope = Envelope {
        topic: Topic::DeadLetters,
        source: match topic {
            "accounts.inbox" => ACCOUNTS,
            "offers.inbox" => OFFERS,
            _ => SCREEN,
        },
        key: None,
        id: uuid_of(&format!("dead-letters|{topic}|{partition}|{offset}")),
        time: timestamp,
    };
    let body = body && value.len() <= BODY_BYTES_MAX && !TOPICS_WITH_CARDS.contains(&topic);
    envelope.around(&DeadLetterValue {
        topic,
        partition,
        offset,
        size: value.len(),
        sha256: &hex(&Sha256::digest(value)),
        reason,
        detail,
        body: body.then(|| STANDARD.encode(value)),
    })
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
