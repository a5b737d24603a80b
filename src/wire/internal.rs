//! The records of `accounts.inbox` and `offers.inbox`: what the stages say to each other.

use crate::domain::watermark::Watermark;
use crate::domain::{AccountId, InboxRecord, OffersRecord};

use super::codec::{CodecError, from_bytes, to_bytes};

/// Versions of the two topics, the first byte of each value. A record of another version is refused, never guessed at.
pub const INBOX_VERSION: u8 = 2;
pub const OFFERS_VERSION: u8 = 1;
pub const WATERMARK_VERSION: u8 = 2;

/// The value of a record of `accounts.inbox`.
pub fn encode_inbox(record: &InboxRecord) -> Vec<u8> {
    to_bytes(INBOX_VERSION, record)
}

/// Reads a record of `accounts.inbox`.
///
/// The account stands in the value; a key that names another one is refused, since the record then lies in a partition
/// whose shard doesn't host its account.
pub fn decode_inbox(key: Option<&[u8]>, value: &[u8]) -> Result<InboxRecord, CodecError> {
    let record = from_bytes(INBOX_VERSION, value)?;
    if let (Some(key), InboxRecord::To(account, _)) = (key, &record)
        && std::str::from_utf8(key).ok().and_then(AccountId::parse) != Some(*account)
    {
        return Err(CodecError::Invalid("key: it names another account"));
    }
    Ok(record)
}

/// The value of a record of `offers.inbox`.
pub fn encode_offers(record: &OffersRecord) -> Vec<u8> {
    to_bytes(OFFERS_VERSION, record)
}

/// Reads a record of `offers.inbox`.
pub fn decode_offers(value: &[u8]) -> Result<OffersRecord, CodecError> {
    from_bytes(OFFERS_VERSION, value)
}

/// The changelog's record of a shard's watermark, and of how many partitions the shard's topic had: by them its keys
/// were shared out.
pub fn encode_watermark(watermark: &Watermark, partitions: u32) -> Vec<u8> {
    to_bytes(WATERMARK_VERSION, &(partitions, watermark.clone()))
}

/// The watermark, if the topic still has as many partitions. The error says what to do.
pub fn decode_watermark(bytes: &[u8], partitions: u32) -> Result<Watermark, String> {
    let (then, watermark): (u32, Watermark) = from_bytes(WATERMARK_VERSION, bytes).map_err(|why| why.to_string())?;
    if then == partitions {
        return Ok(watermark);
    }
    Err(format!(
        "was written when the inbox had {then} partitions, and it has {partitions} now: what is remembered of accounts \
         and offers would be looked for in others. Use another topics.prefix, with {partitions} or more partitions, \
         from the inputs on"
    ))
}

/// The Kafka key of everything that belongs to an account: `network:user_id`.
pub fn account_key(account: AccountId) -> Vec<u8> {
    account.to_string().into_bytes()
}

#[cfg(test)]
#[path = "internal_tests.rs"]
mod tests;
