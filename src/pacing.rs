//! The pace at which files are fed. The stages of a replay run as fast as they can, so an order may reach the offers
//! stage before a unit is released that event time freed long before it. On input read in order of time every verdict
//! is a function of the events alone (I5), so where stock is short a post waits until all that was read before it has
//! been decided; where it is not, nothing waits.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{OfferKind, Span};
use crate::offers::OfferView;
use crate::screen::setup::ScreenSetup;
use crate::screen::{Verdict, screen};

/// Knows, before a record is appended, whether it must wait.
pub struct Pacing {
    screen: Arc<ScreenSetup>,
    cancel_window: Span,
    /// Units that orders may take before stock can be short, by offer; `None` before the first look.
    units: Option<HashMap<String, u64>>,
    /// Some offer has no free unit, and may get one.
    short: bool,
    /// The record before may have changed stock that is short: whatever comes, time's passing too, comes after it.
    unsettled: bool,
}

/// The stock of every offer, as the shards have it.
pub type Stock = Vec<OfferView>;

/// What a record may do to the stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It can't matter to any account.
    Nothing,
    SideInput,
    /// It may free units, and orders one of each of these limited offers.
    Post(Vec<String>),
}

impl Pacing {
    pub fn new(screen: Arc<ScreenSetup>, cancel_window: Span) -> Pacing {
        Pacing { screen, cancel_window, units: None, short: false, unsettled: false }
    }

    /// What a record is to the stock.
    pub fn weigh(&self, topic: &str, value: &[u8]) -> Weight {
        let Some(network) = self.screen.network_of(topic) else { return Weight::SideInput };
        let catalogue = self.screen.catalogue.get();
        match screen(value, network, &catalogue, self.screen.record_bytes_max) {
            Verdict::Post(screened) => screened.intent.map_or(Weight::Nothing, |intent| {
                let limited = intent.orders.iter().filter(|terms| terms.limited && terms.kind == OfferKind::Purchase);
                Weight::Post(limited.map(|terms| terms.offer.clone()).collect())
            }),
            Verdict::Deletion(_) => Weight::Post(Vec::new()),
            _ => Weight::Nothing,
        }
    }

    /// Whether everything that was appended must be decided, and [`Pacing::look`] told of the stock, before this
    /// record.
    pub fn must_settle(&self, weight: &Weight) -> bool {
        if self.unsettled {
            return true;
        }
        let Weight::Post(orders) = weight else { return false };
        let Some(units) = &self.units else { return true };
        self.short || orders.iter().any(|offer| units.get(offer).is_none_or(|units| *units == 0))
    }

    /// The stock as it is when nothing is under way.
    pub fn look(&mut self, offers: &[OfferView]) {
        let free = |view: &OfferView| match view.offer.quantity {
            Some(quantity) => quantity.saturating_sub(view.held + view.sold),
            None => u64::MAX,
        };
        let may_come_back = |view: &OfferView| view.held > 0 || (view.sold > 0 && self.cancel_window > Span::ZERO);
        self.short = offers.iter().any(|view| free(view) == 0 && (may_come_back(view) || view.waiting > 0));
        // An offer that is sold out for good can't be short: every order of it gets the same answer.
        let units = |view: &OfferView| if free(view) == 0 && !may_come_back(view) { u64::MAX } else { free(view) };
        self.unsettled = false;
        self.units = Some(offers.iter().map(|view| (view.offer.terms.offer.clone(), units(view))).collect());
    }

    /// The record is appended: what it orders is taken. Side inputs may change the stock, so it is looked at again.
    pub fn count(&mut self, weight: Weight) {
        let orders = match weight {
            Weight::Nothing => return,
            Weight::SideInput => return self.units = None,
            Weight::Post(orders) => orders,
        };
        self.unsettled = self.short;
        let Some(units) = &mut self.units else { return };
        for offer in orders {
            if let Some(left) = units.get_mut(&offer) {
                *left = left.saturating_sub(u64::from(*left != u64::MAX));
                self.unsettled |= *left == 0;
            }
        }
    }
}
