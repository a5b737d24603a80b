//! The book of an offers shard: stock and lines as journaled entries, small enough to write each change to the
//! changelog.

use std::sync::Arc;

use super::funnel::Totals;
use crate::domain::{AccountId, Offer, PurchaseId, StockRequest, Time};
use crate::engine::journal::Journaled;
use crate::planted::{self, Bug};

/// What is known of one offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// `None` until the catalogue's record came through the inbox.
    pub offer: Option<Arc<Offer>>,
    pub held: u64,
    pub sold: u64,
    /// Of the sold ones those that may still come back.
    pub open_sales: u64,
    pub waiting: u64,
    /// Places `head..tail` of the waitlist; places given up are gaps.
    pub head: u64,
    pub tail: u64,
    pub announced: bool,
    /// Version of the last withdrawal, which may be read before what it withdraws.
    pub withdrawn: Option<u64>,
    /// Time of the latest post that asked for a unit or bought one.
    pub last_posted_at: Option<Time>,
    pub totals: Totals,
    /// Requests that came before the catalogue's record.
    pub parked: Vec<StockRequest>,
}

/// What a purchase has of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Since the order, or since what freed the unit.
    Held {
        offer: String,
        since: Time,
    },
    Waiting {
        offer: String,
        place: u64,
    },
}

/// Who waits at a place of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    pub purchase: PurchaseId,
    pub account: AccountId,
}

#[derive(Default)]
pub struct Book {
    pub entries: Journaled<String, Entry>,
    pub claims: Journaled<PurchaseId, Claim>,
    pub line: Journaled<(String, u64), Waiter>,
}

impl Entry {
    /// Units that may be held now; `None` is unlimited.
    pub fn free(&self) -> Option<u64> {
        let quantity = self.offer.as_ref()?.quantity?;
        Some(quantity.saturating_sub(self.held + self.sold))
    }

    pub fn has_free(&self) -> bool {
        self.free().is_none_or(|free| free > 0)
    }

    /// Holds a unit. A smaller quantity of a later version stops new holds only, so this is where I4 is measured.
    pub fn hold_one(&mut self) {
        self.held += 1;
        let quantity = self.offer.as_ref().and_then(|offer| offer.quantity);
        assert!(
            quantity.is_none_or(|quantity| self.held + self.sold <= quantity),
            "I4: more held and sold than there is"
        );
    }
}

impl Book {
    pub fn entry(&mut self, offer: &str) -> &mut Entry {
        self.entries.edit(&offer.to_owned(), Entry::default)
    }

    /// Takes the first of the line out, stepping over places that were given up.
    pub fn pop_waiter(&mut self, offer: &str) -> Option<Waiter> {
        let entry = self.entry(offer);
        let (mut head, tail) = (entry.head, entry.tail);
        let mut first = None;
        if planted::is(Bug::LineFromItsEnd) {
            let last =
                (head..tail).map(|place| (offer.to_owned(), place)).rfind(|place| self.line.get(place).is_some());
            first = last.and_then(|place| self.line.remove(&place));
        }
        while head < tail && first.is_none() {
            first = self.line.remove(&(offer.to_owned(), head));
            head += 1;
        }
        let entry = self.entry(offer);
        entry.head = head;
        entry.waiting -= u64::from(first.is_some());
        first
    }

    pub fn open_layer(&mut self) {
        self.entries.open_layer();
        self.claims.open_layer();
        self.line.open_layer();
    }

    pub fn drop_oldest_layer(&mut self) {
        self.entries.drop_oldest_layer();
        self.claims.drop_oldest_layer();
        self.line.drop_oldest_layer();
    }

    pub fn take_back(&mut self) {
        self.entries.take_back(|_, _, _| {});
        if !planted::is(Bug::ClaimsNotTakenBack) {
            self.claims.take_back(|_, _, _| {});
        }
        self.line.take_back(|_, _, _| {});
    }
}
