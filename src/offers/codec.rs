//! The format of `offers.changelog`: one key per offer, per claim of a purchase, per place in a line, and the
//! watermark.

use super::book::{Book, Claim, Entry, Waiter};
use super::funnel::Totals;
use crate::domain::PurchaseId;
use crate::domain::watermark::Watermark;
use crate::planted::{self, Bug};
use crate::wire::codec::{Decode, choice, from_bytes, record, to_bytes};
use crate::wire::internal;

/// The changelog's topic.
pub const CHANGELOG: &str = "offers.changelog";

pub const WATERMARK_KEY: &str = "watermark";

/// Grows with every change of the layout below.
const VERSION: u8 = 4;

pub fn entry_key(offer: &str) -> String {
    format!("offer|{offer}")
}

pub fn claim_key(purchase: &PurchaseId) -> String {
    format!("claim|{purchase}")
}

pub fn place_key((offer, place): &(String, u64)) -> String {
    format!("place|{place}|{offer}")
}

pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    to_bytes(VERSION, entry)
}

pub fn encode_claim(claim: &Claim) -> Vec<u8> {
    to_bytes(VERSION, claim)
}

pub fn encode_waiter(waiter: &Waiter) -> Vec<u8> {
    to_bytes(VERSION, waiter)
}

/// Puts one record of the changelog into the book. Errors say why it can't be read.
pub fn restore(
    book: &mut Book,
    (mark, partitions): (&mut Watermark, u32),
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), String> {
    let key = std::str::from_utf8(key).map_err(|e| e.to_string())?;
    if key == WATERMARK_KEY {
        *mark = internal::decode_watermark(value.unwrap_or_default(), partitions)?;
        return Ok(());
    }
    let (kind, name) = key.split_once('|').ok_or("is of no known kind")?;
    match kind {
        "claim" if planted::is(Bug::ClaimsNotRestored) => Ok(()),
        "offer" => put(value, |entry| set(&mut book.entries, name.to_owned(), entry)),
        "claim" => {
            let purchase = parse_uuid(name).ok_or("is no purchase")?;
            put(value, |claim| set(&mut book.claims, purchase, claim))
        }
        "place" => {
            let (place, offer) = name.split_once('|').ok_or("is no place")?;
            let place: u64 = place.parse().map_err(|_| "is no place")?;
            put(value, |waiter| set(&mut book.line, (offer.to_owned(), place), waiter))
        }
        _ => Err("is of no known kind".to_owned()),
    }
}

fn put<T: Decode>(value: Option<&[u8]>, set: impl FnOnce(Option<T>)) -> Result<(), String> {
    set(value.map(|bytes| from_bytes(VERSION, bytes)).transpose().map_err(|e| e.to_string())?);
    Ok(())
}

fn set<K, V>(table: &mut crate::engine::journal::Journaled<K, V>, key: K, value: Option<V>)
where
    K: Clone + Eq + std::hash::Hash,
    V: Clone,
{
    match value {
        Some(value) => table.insert(&key, value),
        None => drop(table.remove(&key)),
    }
}

fn parse_uuid(text: &str) -> Option<PurchaseId> {
    uuid::Uuid::parse_str(text).ok().map(|id| crate::domain::Uuid(id.into_bytes()))
}

record!(Entry {
    offer,
    held,
    sold,
    open_sales,
    waiting,
    head,
    tail,
    announced,
    withdrawn,
    last_posted_at,
    totals,
    parked
});
record!(Totals { sum, confirm_ms, quickest_ms, slowest_ms });
choice!(Claim { 0 => Held { offer, since }, 1 => Waiting { offer, place } });
record!(Waiter { purchase, account });
