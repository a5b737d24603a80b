//! Side inputs: links, what became of replies, offers. Read, validated, routed; nothing is remembered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::setup::ScreenSetup;
use super::shard::to_account;
use crate::bus::{BusError, OutRecord, TopicPartition};
use crate::domain::{AccountMessage, OfferMessage, OffersRecord};
use crate::engine::shard::{Batch, Decided, InRecord, Item};
use crate::planted::{self, Bug};
use crate::telemetry;
use crate::wire::inputs::{self, BadInput, OfferRecord};
use crate::wire::internal;

pub const LINKS: &str = "accounts.links";
pub const POSTED: &str = "replies.posted";
pub const OFFERS: &str = "offers";

/// The side inputs, in the order in which they are subscribed.
pub const SIDE_INPUTS: [&str; 3] = [OFFERS, LINKS, POSTED];

pub struct SideShard {
    setup: Arc<ScreenSetup>,
    at: TopicPartition,
    /// Dead letters per open batch, for the metrics of the committed ones.
    layers: VecDeque<Vec<&'static str>>,
}

/// Why a record can't be routed.
enum Trouble {
    Bad(BadInput),
    /// The log is away, and what is known of the offers does not reach so far.
    Away,
}

impl From<BadInput> for Trouble {
    fn from(bad: BadInput) -> Trouble {
        Trouble::Bad(bad)
    }
}

impl From<BusError> for Trouble {
    fn from(_: BusError) -> Trouble {
        Trouble::Away
    }
}

impl SideShard {
    pub fn new(setup: Arc<ScreenSetup>, at: TopicPartition) -> SideShard {
        SideShard { setup, at, layers: VecDeque::new() }
    }

    pub fn decide(&mut self, batch: &Batch) -> Decided {
        let mut decided = Decided::default();
        let mut dead = Vec::new();
        for (index, item) in batch.items.iter().enumerate() {
            let Item::Record(record) = item else { continue };
            match self.route(record) {
                Ok(routed) => decided.records.extend(routed),
                Err(Trouble::Away) => {
                    decided.taken = Some(index);
                    break;
                }
                Err(Trouble::Bad(bad)) => {
                    dead.push(bad.reason);
                    if !planted::is(Bug::DeadLetterLost) {
                        decided.records.push(self.dead_letter(record, &bad));
                    }
                }
            }
        }
        self.layers.push_back(dead);
        decided
    }

    pub fn committed(&mut self) {
        for reason in self.layers.pop_front().unwrap_or_default() {
            telemetry::dead_letters(&self.at.topic, reason, 1);
        }
    }

    pub fn take_back(&mut self) {
        self.layers.pop_back();
    }

    fn route(&self, record: &InRecord) -> Result<Option<OutRecord>, Trouble> {
        let (value, max) = (record.value.as_deref(), self.setup.record_bytes_max);
        let bytes = value.unwrap_or_default();
        match &*self.at.topic {
            OFFERS => self.route_offer(record),
            _ if bytes.iter().all(u8::is_ascii_whitespace) => Ok(None),
            LINKS => {
                let link = inputs::parse_link(bytes, max)?;
                Ok(link.map(|(account, message)| to_account(account, AccountMessage::Link(message))))
            }
            _ => {
                let fate = inputs::parse_posted(bytes, max)?;
                Ok(fate.map(|(account, fate)| to_account(account, AccountMessage::Posted(fate))))
            }
        }
    }

    fn route_offer(&self, record: &InRecord) -> Result<Option<OutRecord>, Trouble> {
        let envelope =
            inputs::parse_offer_envelope(record.value.as_deref(), record.key.as_deref(), self.setup.record_bytes_max)?;
        let place = (self.at.partition, record.offset);
        let (id, message) = match envelope {
            None => return Ok(None),
            Some(OfferRecord::Withdrawn { id }) => {
                let version = self.setup.follower.version(&self.setup.catalogue, place, record.timestamp)?;
                (id, OfferMessage::Withdrawn { version })
            }
            Some(OfferRecord::Spec { id, spec }) => {
                let offer = self.setup.follower.read(&self.setup.catalogue, place, record.timestamp, spec)?;
                let offer = offer.map_err(|detail| BadInput::new("wrong_type", detail))?;
                (id, OfferMessage::Published(Arc::new(offer)))
            }
        };
        Ok(Some(OutRecord {
            topic: Arc::from("offers.inbox"),
            partition: None,
            key: Some(id.clone().into_bytes()),
            value: Some(internal::encode_offers(&OffersRecord::To(id, message))),
            headers: Vec::new(),
        }))
    }

    fn dead_letter(&self, record: &InRecord, bad: &BadInput) -> OutRecord {
        record.dead_letter(&self.at, bad.reason, &bad.detail, self.setup.dead_letter_body)
    }
}
