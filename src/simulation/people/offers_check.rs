//! Whether each change of an offer reached the offers stage, in order and exactly once.

use std::collections::VecDeque;

use super::goods::{Change, Goods};
use crate::config::OfferSpec;
use crate::domain::{OfferMessage, OffersRecord};

#[derive(Default)]
pub(super) struct OffersCheck {
    /// By offer: what was published and is yet to be seen.
    due: Vec<VecDeque<Due>>,
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
    pub fn new(goods: &Goods) -> OffersCheck {
        let seed = |spec: &OfferSpec| Due { version: None, spec: Some(spec.clone()) };
        let due = goods.all.iter().map(|good| good.seeded.then(|| seed(&good.spec)).into_iter().collect());
        OffersCheck { due: due.collect(), looks: false }
    }

    pub fn appended(&mut self, change: &Change, version: u64) {
        self.due[change.good].push_back(Due { version: Some(version), spec: change.spec.clone() });
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
        let next = good.and_then(|good| self.due[good].pop_front());
        if next.as_ref().is_some_and(is_due) { None } else { Some(format!("a change of offer {id} comes out of turn")) }
    }

    pub fn missing<'a>(&'a self, goods: &'a Goods) -> impl Iterator<Item = String> + 'a {
        let unseen = self.due.iter().zip(&goods.all).filter(|(due, _)| self.looks && !due.is_empty());
        unseen.map(|(due, good)| format!("{} changes of offer {} never came", due.len(), good.spec.id))
    }
}
