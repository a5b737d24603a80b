//! `offers.funnel`: each record's totals are the sums of what was said up to some moment, and never go back.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::found::{Found, Whose};
use super::tally::Tally;
use super::violation::Invariant;
use crate::domain::FunnelDelta;

#[derive(Default)]
pub(super) struct Funnels {
    offers: BTreeMap<String, Funnel>,
}

#[derive(Default)]
struct Funnel {
    /// The sums that the last record stands for.
    sums: Sums,
    /// What was said since, oldest first; `true`: behind the cut, so that no record need stand for it yet.
    since: VecDeque<(Sums, bool)>,
    /// All that was said.
    told: FunnelDelta,
    open: bool,
}

/// The totals in the order of [`NAMES`], then the revenue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums([i64; NAMES.len() + 1]);

const NAMES: [&str; 10] = [
    "mentions",
    "buys",
    "prompts",
    "confirms",
    "authorized",
    "fulfilled",
    "expired",
    "cancelled",
    "declined",
    "sold_out",
];

impl Funnels {
    /// What a batch of accounts or a screen told an offer.
    pub fn add(&mut self, offer: &str, delta: &FunnelDelta, open: bool) {
        let funnel = match self.offers.get_mut(offer) {
            Some(funnel) => funnel,
            None => self.offers.entry(offer.to_owned()).or_default(),
        };
        funnel.since.push_back((Sums::of(delta), open));
        funnel.open |= open;
        let told = &mut funnel.told;
        told.buys += delta.buys;
        told.prompts += delta.prompts;
        told.authorized += delta.authorized;
        told.fulfilled += delta.fulfilled;
        told.expired += delta.expired;
        told.cancelled += delta.cancelled;
        told.declined += delta.declined;
        told.sold_out += delta.sold_out;
        told.revenue_minor += delta.revenue_minor;
    }

    /// A record of the topic. Older ones may be compacted away, so it may stand for many additions at once.
    pub fn see(&mut self, value: &Value, found: &mut Found) {
        let offer = value["offer"].as_str().unwrap_or_default();
        let totals = Sums::told(value);
        let funnel = self.offers.entry(offer.to_owned()).or_default();
        let mut sums = funnel.sums;
        let mut covered = 0;
        while sums != totals && covered < funnel.since.len() {
            sums.add(&funnel.since[covered].0);
            covered += 1;
        }
        let holds = sums == totals;
        found.check(Invariant::I9, holds, Whose::default(), || {
            format!("offer {offer}: the funnel tells totals that were never the sum of what was said")
        });
        if holds {
            funnel.sums = sums;
            funnel.since.drain(..covered);
        }
        let confirmed = totals.0[3] > 0;
        let has_times = value["confirm_ms_p50"].is_u64() && value["confirm_ms_p99"].is_u64();
        found.check(Invariant::I9, confirmed == has_times, Whose::default(), || {
            format!("offer {offer}: confirm times are told if and only if there are confirms")
        });
    }

    pub fn at_rest(&mut self, found: &mut Found, tally: &mut Tally) {
        for (offer, funnel) in std::mem::take(&mut self.offers) {
            let lacks = funnel.since.iter().any(|(sums, open)| !open && *sums != Sums::default());
            found.check(Invariant::I9, !lacks, Whose::default(), || {
                format!("offer {offer}: the last funnel lacks what was said, {} additions", funnel.since.len())
            });
            tally.open += u64::from(funnel.open);
            tally.offer(&offer).told = funnel.told;
        }
    }
}

impl Sums {
    fn of(delta: &FunnelDelta) -> Sums {
        let FunnelDelta { at: _, mentions, buys, prompts, confirms, authorized, fulfilled, expired, cancelled, .. } =
            delta;
        let counts = [mentions, buys, prompts, confirms, authorized, fulfilled, expired, cancelled];
        let mut sums = Sums::default();
        for (place, count) in sums.0.iter_mut().zip(counts.into_iter().chain([&delta.declined, &delta.sold_out])) {
            *place = i64::try_from(*count).unwrap_or(i64::MAX);
        }
        sums.0[NAMES.len()] = delta.revenue_minor;
        sums
    }

    fn told(value: &Value) -> Sums {
        let mut sums = Sums::default();
        for (place, name) in sums.0.iter_mut().zip(NAMES) {
            *place = value[name].as_i64().unwrap_or(-1);
        }
        sums.0[NAMES.len()] = value["revenue"]["minor"].as_i64().unwrap_or_default();
        sums
    }

    fn add(&mut self, other: &Sums) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
    }
}
