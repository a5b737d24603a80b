//! The part of all accounts and offers that one pass looks at, so that memory stays bounded.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::domain::AccountId;

/// What a pass looks at: of accounts, offers or both one of `of` equal parts, by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub part: Part,
    pub index: u32,
    /// At least 1; with both parts exactly 1.
    pub of: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Both,
    Accounts,
    Offers,
}

impl Share {
    pub const WHOLE: Share = Share { part: Part::Both, index: 0, of: 1 };

    pub fn has_account(self, account: AccountId) -> bool {
        self.part != Part::Offers && self.has(&account)
    }

    pub fn has_offer(self, offer: &str) -> bool {
        self.part != Part::Accounts && self.has(offer)
    }

    /// Whether this is the pass that looks at what belongs to no account and no offer.
    pub fn has_the_rest(self) -> bool {
        self.part != Part::Offers && self.index == 0
    }

    /// Whether records of a topic are counted in this pass: in one of all.
    pub fn counts(self, topic: &str) -> bool {
        let counting = if topic == "offers.funnel" { Part::Offers } else { Part::Accounts };
        self.index == 0 && (self.part == Part::Both || self.part == counting)
    }

    fn has(self, thing: &(impl Hash + ?Sized)) -> bool {
        if self.of <= 1 {
            return true;
        }
        let mut hasher = FxHasher::default();
        thing.hash(&mut hasher);
        // The high bits are the well mixed ones.
        (hasher.finish() >> 32) % u64::from(self.of) == u64::from(self.index)
    }
}
