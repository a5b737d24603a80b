//! From domain events to records: one event, one record of one topic.
//!
//! Every record has the CloudEvents 1.0 headers of Kafka's binary mode. `ce_time` is the event time of the cause, never
//! a clock's. `ce_id` identifies the record, for consumers that deduplicate, and is the same after a replay:
//!
//! | topic | `ce_id` |
//! |---|---|
//! | `replies`, `messages.direct`, `notifications.email` | the id that stands in the value |
//! | others | the UUIDv5 of `topic`, a bar, and the parts below, joined by bars |
//! | `payments.authorized`, `payments.voided`, `fulfilment.orders` | purchase: each happens once |
//! | `purchases.events` | purchase, from, to, post, reason, time in ms; nothing where a part is null |
//! | `offers.funnel` | offer, then all its totals in the order of the value |
//! | `dead-letters` | topic, partition, offset of what could not be understood |

use std::sync::{Arc, LazyLock};

use serde::Serialize;

use crate::bus::OutRecord;
use crate::domain::{AccountId, Event, OfferEvent, Time, Uuid};

use super::internal::account_key;
use super::texts::Texts;
use super::{funnel, orders, payments, purchases, replies, time};

/// The output topics that have a writer here, by their names without prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Replies,
    PaymentsAuthorized,
    PaymentsVoided,
    FulfilmentOrders,
    NotificationsEmail,
    MessagesDirect,
    PurchasesEvents,
    OffersFunnel,
    DeadLetters,
}

/// The record of an event of the accounts stage.
///
/// `None`: the event makes no output record (`Stock` goes to `offers.inbox`, `Counted` to metrics), or it is a public
/// reply to an account whose handle nobody told, which can't be addressed and is only counted.
pub fn record_of(event: &Event, texts: &Texts) -> Option<OutRecord> {
    match event {
        Event::Transition(transition) => Some(purchases::record(transition)),
        Event::Reply(reply) => replies::public(reply, texts),
        Event::Direct(reply) => Some(replies::direct(reply, texts)),
        Event::Payment(payment) => Some(payments::authorized(payment)),
        Event::Order(order) => Some(orders::record(order)),
        Event::Voided(voided) => Some(payments::voided(voided)),
        Event::Email(email) => Some(replies::email(email, texts)),
        Event::Stock(..) | Event::Counted(_) => None,
    }
}

/// The record of an event of the offers stage; `None` for an answer, which goes to `accounts.inbox`.
pub fn record_of_offer_event(event: &OfferEvent, texts: &Texts) -> Option<OutRecord> {
    match event {
        OfferEvent::Answer(..) => None,
        OfferEvent::Announcement { id, terms, at } => Some(replies::announcement(*id, terms, *at, texts)),
        OfferEvent::Funnel(funnel) => Some(funnel::record(funnel)),
    }
}

impl Topic {
    pub const ALL: [Topic; 9] = [
        Topic::Replies,
        Topic::PaymentsAuthorized,
        Topic::PaymentsVoided,
        Topic::FulfilmentOrders,
        Topic::NotificationsEmail,
        Topic::MessagesDirect,
        Topic::PurchasesEvents,
        Topic::OffersFunnel,
        Topic::DeadLetters,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Topic::Replies => "replies",
            Topic::PaymentsAuthorized => "payments.authorized",
            Topic::PaymentsVoided => "payments.voided",
            Topic::FulfilmentOrders => "fulfilment.orders",
            Topic::NotificationsEmail => "notifications.email",
            Topic::MessagesDirect => "messages.direct",
            Topic::PurchasesEvents => "purchases.events",
            Topic::OffersFunnel => "offers.funnel",
            Topic::DeadLetters => "dead-letters",
        }
    }

    /// The name as records carry it, made once.
    pub fn shared_name(self) -> Arc<str> {
        static NAMES: LazyLock<[Arc<str>; 9]> = LazyLock::new(|| Topic::ALL.map(|topic| Arc::from(topic.name())));
        Arc::clone(&NAMES[self as usize])
    }
}

/// The stages as `ce_source` names them.
pub(super) const SCREEN: &str = "pay-by-tweet/screen";
pub(super) const ACCOUNTS: &str = "pay-by-tweet/accounts";
pub(super) const OFFERS: &str = "pay-by-tweet/offers";

/// What every record has besides its value.
pub(super) struct Envelope {
    pub topic: Topic,
    pub source: &'static str,
    pub key: Option<Vec<u8>>,
    pub id: Uuid,
    pub time: Time,
}

impl Envelope {
    pub fn of_account(topic: Topic, account: AccountId, id: Uuid, time: Time) -> Envelope {
        Envelope { topic, source: ACCOUNTS, key: Some(account_key(account)), id, time }
    }

    pub fn around(self, value: &impl Serialize) -> OutRecord {
        let value = serde_json::to_vec(value).expect("wire values have text keys and write into memory");
        OutRecord {
            topic: self.topic.shared_name(),
            partition: None,
            key: self.key,
            value: Some(value),
            headers: vec![
                ("ce_specversion", "1.0".to_owned()),
                ("ce_id", self.id.to_string()),
                ("ce_type", self.topic.name().to_owned()),
                ("ce_source", self.source.to_owned()),
                ("ce_time", time::format(self.time)),
                ("content-type", "application/json".to_owned()),
            ],
        }
    }
}

#[cfg(test)]
#[path = "outputs_tests.rs"]
mod tests;
