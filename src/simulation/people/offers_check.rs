//! Whether each change of an offer reached the offers stage, in order of its partition and exactly once.

use std::collections::{BTreeMap, VecDeque};

use super::goods::{Change, Goods};
use crate::bus::partition_of_key;
use crate::config::OfferSpec;
use crate::domain::{OfferMessage, OffersRecord};

#[derive(Default)]
pub(super) struct OffersCheck {
    /// By offer and partition: what was published and is yet to be seen.
    due: Vec<BTreeMap<u32, VecDeque<Due>>>,
    /// Whether anybody looks at `offers.inbox` at all.
    looks: bool,
}

struct Due {
    /// The record's; not known of those that seeded the topic.
    version: Option<u64>,
    /// `None`: withdrawn.
    spec: Option<OfferSpec>,
}

impl OffersCheck {
    /// `partitions` of the topic: offers are seeded by their ids.
    pub fn new(goods: &Goods, partitions: u32) -> OffersCheck {
        let seed = |spec: &OfferSpec| {
            let due = Due { version: None, spec: Some(spec.clone()) };
            (partition_of_key(spec.id.as_bytes(), partitions), VecDeque::from([due]))
        };
        let due = goods.all.iter().map(|good| good.seeded.then(|| seed(&good.spec)).into_iter().collect());
        OffersCheck { due: due.collect(), looks: false }
    }

    pub fn appended(&mut self, change: &Change, partition: u32, version: u64) {
        let due = self.due[change.good].entry(partition).or_default();
        due.push_back(Due { version: Some(version), spec: change.spec.clone() });
    }

    /// What is wrong with a record of `offers.inbox`, if it is a change.
    pub fn see(&mut self, record: &OffersRecord, goods: &Goods) -> Option<String> {
        self.looks = true;
        let OffersRecord::To(id, message) = record else { return None };
        let is_due = |due: &Due| match (message, &due.spec) {
            (OfferMessage::Published(offer), Some(spec)) => {
                let version = due.version.unwrap_or(offer.terms.version);
                spec.clone().into_offer(version).is_ok_and(|meant| meant == **offer)
            }
            (OfferMessage::Withdrawn { version }, None) => due.version == Some(*version),
            _ => false,
        };
        if !matches!(message, OfferMessage::Published(_) | OfferMessage::Withdrawn { .. }) {
            return None;
        }
        let good = goods.all.iter().position(|good| good.spec.id == *id);
        let due = good.map(|good| &mut self.due[good]);
        let next = due.and_then(|due| due.values_mut().find(|due| due.front().is_some_and(is_due)));
        if next.and_then(VecDeque::pop_front).is_some() {
            return None;
        }
        Some(format!("a change of offer {id} comes out of turn"))
    }

    pub fn missing<'a>(&'a self, goods: &'a Goods) -> impl Iterator<Item = String> + 'a {
        let unseen = |due: &BTreeMap<u32, VecDeque<Due>>| due.values().map(VecDeque::len).sum::<usize>();
        let counts = self.due.iter().zip(&goods.all).map(move |(due, good)| (unseen(due), good));
        let missing = counts.filter(|(unseen, _)| self.looks && *unseen > 0);
        missing.map(|(unseen, good)| format!("{unseen} changes of offer {} never came", good.spec.id))
    }
}
