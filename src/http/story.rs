//! `/v1/accounts/{network:id}/events`: what became of an account's purchases and why, from the newest records of
//! `purchases.events`. The topic has no index, so an account's partition is read from its end's neighbourhood on: what
//! is older than that is not shown, and the answer says so.

use std::collections::VecDeque;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json, value::RawValue};

use super::Shown;
use super::access::Authorized;
use super::accounts::id_of;
use super::answer::{ApiError, json as answer};
use crate::bus::{Budget, Bus, BusError, TopicPartition, partition_of_key};
use crate::wire::internal::account_key;

const TOPIC: &str = "purchases.events";

/// Records of the partition that one question reads, at most.
const RECORDS_MAX: u64 = 200_000;

/// Events of the account that are shown, the newest.
const EVENTS_MAX: usize = 200;

pub async fn events(_: Authorized, served: Shown, path: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let id = id_of(&path)?;
    // Reading is work: whoever reads as taps do counts as one.
    let permit = served.taps.take().ok_or_else(|| ApiError::unavailable("too many questions at once"))?;
    let bus = served.state.bus.clone();
    let found = web::block(move || {
        let _permit = permit;
        look_up(&*bus, &account_key(id))
    });
    let found = found.await.map_err(|error| ApiError::unavailable(error.to_string()))?;
    Ok(answer(&found.map_err(|error| ApiError::unavailable(error.to_string()))?))
}

fn look_up(bus: &dyn Bus, key: &[u8]) -> Result<Value, BusError> {
    let at = TopicPartition::new(TOPIC, partition_of_key(key, bus.partitions(TOPIC)?));
    let mut reader = bus.reader()?;
    let (begin, end) = (reader.beginning(&at)?, reader.end(&at)?);
    let from = begin.max(end.saturating_sub(RECORDS_MAX));
    let mut events: VecDeque<Box<RawValue>> = VecDeque::new();
    let (mut next, mut dropped) = (from, false);
    while next < end {
        let before = next;
        next = reader.read(&at, next, Budget::BULK, &mut |record| {
            if record.key != Some(key) {
                return;
            }
            if events.len() >= EVENTS_MAX {
                events.pop_front();
                dropped = true;
            }
            let text = record.value.and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned);
            events.extend(text.and_then(|text| RawValue::from_string(text).ok()));
        })?;
        if next == before {
            // An open transaction holds the rest back.
            break;
        }
    }
    let complete = from == 0 && !dropped;
    Ok(json!({"events": events, "complete": complete}))
}
