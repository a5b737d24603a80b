//! Totals over all shares: what was read, and what each offer came to by the events, by the payments, by the requests
//! for stock and by the funnel. At the end they must agree.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::found::{Found, Whose};
use super::share::Share;
use super::violation::Invariant;
use crate::domain::FunnelDelta;

/// What was read, and what it comes to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Records read, by topic.
    pub records: BTreeMap<String, u64>,
    /// By the numbers of `numbers`, which stand for the names in what is kept a million times.
    offers: Vec<OfferTally>,
    numbers: FxHashMap<String, u32>,
    /// Orders that were looked at as some purchase's; the others are nobody's.
    pub orders_claimed: u64,
    pub purchases: u64,
    pub payments: u64,
    /// Facts and requests behind the cut, or whose partners would lie there: not judged.
    pub open: u64,
    /// Records of inboxes and inputs that their stage had not consumed.
    pub unconsumed: u64,
}

/// What an offer came to.
#[derive(Clone, Debug, Default)]
pub struct OfferTally {
    pub offer: String,
    pub currency: String,
    pub payments: u64,
    pub voided: u64,
    /// Paid less given back, in minor units.
    pub revenue_minor: i64,
    /// Transitions by the events.
    pub events: Transitions,
    /// The same as the accounts told the funnel.
    pub told: FunnelDelta,
    /// Purchases that wait for a confirm, by their events: each holds a unit, if there are only so many.
    pub holding: u64,
    /// Whether it was ever sold without a quantity.
    pub was_unlimited: bool,
    /// By the requests for stock; `None` for offers without any.
    pub stock: Option<StockTally>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transitions {
    pub buys: u64,
    pub prompts: u64,
    pub authorized: u64,
    pub fulfilled: u64,
    pub expired: u64,
    pub cancelled: u64,
    pub declined: u64,
    pub sold_out: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockTally {
    pub held: u64,
    pub sold: u64,
    /// The most that was ever held and sold.
    pub peak: u64,
    /// The last quantity published.
    pub quantity: Option<u64>,
}

impl Tally {
    pub fn count(&mut self, topic: &str, share: Share) {
        if !share.counts(topic) {
            return;
        }
        match self.records.get_mut(topic) {
            Some(count) => *count += 1,
            None => drop(self.records.insert(topic.to_owned(), 1)),
        }
    }

    /// Every offer, by name.
    pub fn offers(&self) -> impl Iterator<Item = &OfferTally> {
        let mut all: Vec<&OfferTally> = self.offers.iter().collect();
        all.sort_by(|a, b| a.offer.cmp(&b.offer));
        all.into_iter()
    }

    pub(super) fn offer(&mut self, offer: &str) -> &mut OfferTally {
        let number = self.number_of(offer);
        &mut self.offers[number as usize]
    }

    pub(super) fn number_of(&mut self, offer: &str) -> u32 {
        if let Some(number) = self.numbers.get(offer) {
            return *number;
        }
        let number = self.offers.len() as u32;
        self.offers.push(OfferTally { offer: offer.to_owned(), ..OfferTally::default() });
        self.numbers.insert(offer.to_owned(), number);
        number
    }

    /// The offer of a number that [`Tally::number_of`] gave.
    pub(super) fn numbered(&mut self, number: u32) -> Option<&mut OfferTally> {
        self.offers.get_mut(number as usize)
    }

    /// All names in the order of their numbers.
    pub(super) fn offer_names(&self) -> impl Iterator<Item = &str> {
        self.offers.iter().map(|tally| tally.offer.as_str())
    }

    /// Holds the totals against each other. What is open may stand on one side only, so then nothing is held.
    /// Where it took several passes an order is known by its event, which a running system may have told after the ends
    /// were looked up.
    pub fn judge(&self, at_once: bool, found: &mut Found) {
        let orders = self.records.get("fulfilment.orders").copied().unwrap_or_default();
        let unclaimed = orders.saturating_sub(self.orders_claimed);
        let is_open = self.open > 0 && !at_once;
        found.check(Invariant::I1, unclaimed == 0 || is_open, Whose::default(), || {
            format!("{unclaimed} records of fulfilment.orders belong to no purchase")
        });
        if self.open > 0 {
            return;
        }
        for tally in self.offers() {
            let offer = &tally.offer;
            let mut same = |invariant, what: &str, one: i64, other: i64| {
                found.check(invariant, one == other, Whose::default(), || {
                    format!("offer {offer}: {what}: {one} and {other}")
                });
            };
            // What was sold without a quantity asked nobody for a unit.
            if let (Some(stock), false) = (tally.stock, tally.was_unlimited) {
                let sold = tally.payments as i64 - tally.voided as i64;
                same(Invariant::I4, "units sold, payments less voided", stock.sold as i64, sold);
                same(Invariant::I4, "units held, purchases that hold one", stock.held as i64, tally.holding as i64);
            }
            let told = Transitions::of(&tally.told);
            for ((name, said), (_, counted)) in told.named().into_iter().zip(tally.events.named()) {
                same(Invariant::I9, &format!("{name} told to the funnel, by the events"), said as i64, counted as i64);
            }
            same(
                Invariant::I9,
                "revenue told to the funnel, by the payments",
                tally.told.revenue_minor,
                tally.revenue_minor,
            );
        }
    }
}

impl Transitions {
    fn of(told: &FunnelDelta) -> Transitions {
        Transitions {
            buys: told.buys,
            prompts: told.prompts,
            authorized: told.authorized,
            fulfilled: told.fulfilled,
            expired: told.expired,
            cancelled: told.cancelled,
            declined: told.declined,
            sold_out: told.sold_out,
        }
    }

    /// Counts a transition into this state.
    pub(super) fn count(&mut self, to: &str) {
        match to {
            "ordered" => self.buys += 1,
            "prompted" => self.prompts += 1,
            "authorized" => self.authorized += 1,
            "fulfilled" => self.fulfilled += 1,
            "expired" => self.expired += 1,
            "cancelled" => self.cancelled += 1,
            "declined" => self.declined += 1,
            "sold_out" => self.sold_out += 1,
            _ => {}
        }
    }

    fn named(self) -> [(&'static str, u64); 8] {
        [
            ("buys", self.buys),
            ("prompts", self.prompts),
            ("authorized", self.authorized),
            ("fulfilled", self.fulfilled),
            ("expired", self.expired),
            ("cancelled", self.cancelled),
            ("declined", self.declined),
            ("sold_out", self.sold_out),
        ]
    }
}
