//! Whether each change of an offer reached the offers stage, in order and exactly once.

use std::collections::VecDeque;

use super::goods::{Change, Goods};
use crate::config::OfferSpec;
use crate::domain::{OfferMessage, OffersRecord};

#[derive(Default)]
pub(super) struct OffersCheck {
    /// By offer: what was published and is yet to be seen.
    due: Vec<VecDeque<Due>>,
    /// By offer: the version that was seen last.
    versions: Vec<Option<u64>>,
    /// Whether anybody looks at `offers.inbox` at all.
    looks: bool,
}

/// What was said of it; `None`: withdrawn.
type Due = Option<OfferSpec>;

impl OffersCheck {
    pub fn new(goods: &Goods) -> OffersCheck {
        let due = goods.all.iter().map(|good| good.seeded.then(|| Some(good.spec.clone())).into_iter().collect());
        OffersCheck { due: due.collect(), versions: vec![None; goods.all.len()], looks: false }
    }

    pub fn appended(&mut self, change: &Change) {
        self.due[change.good].push_back(change.spec.clone());
    }

    /// What is wrong with a record of `offers.inbox`, if it is a change.
    pub fn see(&mut self, record: &OffersRecord, goods: &Goods) -> Option<String> {
        self.looks = true;
        let OffersRecord::To(id, message) = record else { return None };
        let version = match message {
            OfferMessage::Published(offer) => offer.terms.version,
            OfferMessage::Withdrawn { version } => *version,
            _ => return None,
        };
        let is_due = |due: &Due| match (message, due) {
            (OfferMessage::Published(offer), Some(spec)) => {
                spec.clone().into_offer(version).is_ok_and(|meant| meant == **offer)
            }
            (OfferMessage::Withdrawn { .. }, None) => true,
            _ => false,
        };
        let good = goods.all.iter().position(|good| good.spec.id == *id);
        let next = good.and_then(|good| self.due[good].pop_front());
        let before = good.and_then(|good| self.versions[good].replace(version));
        let in_turn = next.as_ref().is_some_and(is_due) && before.is_none_or(|before| before < version);
        if in_turn { None } else { Some(format!("a change of offer {id} comes out of turn")) }
    }

    pub fn missing<'a>(&'a self, goods: &'a Goods) -> impl Iterator<Item = String> + 'a {
        let unseen = self.due.iter().zip(&goods.all).filter(|(due, _)| self.looks && !due.is_empty());
        unseen.map(|(due, good)| format!("{} changes of offer {} never came", due.len(), good.spec.id))
    }
}
