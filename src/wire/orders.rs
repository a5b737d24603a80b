//! `fulfilment.orders`: what a merchant ships. No card, no amount on the card, no handle.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::OutRecord;
use crate::domain::Order;

use super::outputs::{ACCOUNTS, Envelope, Topic};
use super::uuids::uuid_of;
use super::values::UuidText;

/// Units of one purchase: a confirm buys one.
const QUANTITY: u32 = 1;

/// A value of `fulfilment.orders`; the record's key is the purchase.
#[derive(Serialize, JsonSchema)]
pub struct FulfilmentOrder<'a> {
    pub purchase: UuidText,
    pub merchant: &'a str,
    pub item: &'a str,
    pub quantity: u32,
    /// A reference to the billing address.
    pub ship_to: &'a str,
}

pub(super) fn record(order: &Order) -> OutRecord {
    let Order { purchase, account: _, merchant, item, ship_to, at } = order;
    let envelope = Envelope {
        topic: Topic::FulfilmentOrders,
        source: ACCOUNTS,
        key: Some(purchase.to_string().into_bytes()),
        id: uuid_of(&format!("fulfilment.orders|{purchase}")),
        time: *at,
    };
    envelope.around(&FulfilmentOrder { purchase: UuidText(*purchase), merchant, item, quantity: QUANTITY, ship_to })
}
