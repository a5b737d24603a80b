//! Running totals of an offer: do conversations become sales?

use std::collections::BTreeMap;

use crate::domain::{Funnel, FunnelDelta, Money, Time};

/// Totals and the distribution of prompt-to-confirm times. Additions commute, so that totals do not depend on how the
/// accounts' batches were cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub sum: FunnelDelta,
    /// Confirm times by bucket: see [`bucket_of`].
    pub confirm_ms: BTreeMap<u32, u64>,
    /// The least and the most of them: no percentile is beyond, and of a single one both are it.
    pub quickest_ms: u32,
    pub slowest_ms: u32,
}

impl Totals {
    pub fn add(&mut self, delta: &FunnelDelta) {
        let sum = &mut self.sum;
        sum.at = sum.at.max(delta.at);
        sum.mentions += delta.mentions;
        sum.buys += delta.buys;
        sum.prompts += delta.prompts;
        sum.confirms += delta.confirms;
        sum.authorized += delta.authorized;
        sum.fulfilled += delta.fulfilled;
        sum.expired += delta.expired;
        sum.cancelled += delta.cancelled;
        sum.declined += delta.declined;
        sum.sold_out += delta.sold_out;
        sum.revenue_minor = sum.revenue_minor.saturating_add(delta.revenue_minor);
        for ms in &delta.confirm_ms {
            self.quickest_ms = if self.confirm_ms.is_empty() { *ms } else { self.quickest_ms.min(*ms) };
            self.slowest_ms = self.slowest_ms.max(*ms);
            *self.confirm_ms.entry(bucket_of(*ms)).or_default() += 1;
        }
    }

    pub fn funnel(&self, offer: &str, currency: crate::domain::Currency) -> Funnel {
        let sum = &self.sum;
        Funnel {
            offer: offer.to_owned(),
            at: sum.at.max(Time(0)),
            mentions: sum.mentions,
            buys: sum.buys,
            prompts: sum.prompts,
            confirms: sum.confirms,
            authorized: sum.authorized,
            fulfilled: sum.fulfilled,
            expired: sum.expired,
            cancelled: sum.cancelled,
            declined: sum.declined,
            sold_out: sum.sold_out,
            revenue: Money { minor: sum.revenue_minor, currency },
            confirm_ms_p50: self.percentile(50),
            confirm_ms_p99: self.percentile(99),
        }
    }

    /// The lower bound of the bucket that holds the percentile (nearest rank), at most 1/64 below the true value.
    fn percentile(&self, percent: u64) -> Option<u64> {
        let count: u64 = self.confirm_ms.values().sum();
        let rank = (count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.confirm_ms.iter().find_map(|(bucket, n)| {
            seen += n;
            (seen >= rank).then(|| floor_of(*bucket).clamp(self.quickest_ms.into(), self.slowest_ms.into()))
        })
    }
}

/// Log-linear buckets, 64 per power of two: exact below 64 ms.
fn bucket_of(ms: u32) -> u32 {
    if ms < 64 {
        return ms;
    }
    let octave = ms.ilog2() - 6;
    64 * octave + (ms >> octave)
}

fn floor_of(bucket: u32) -> u64 {
    if bucket < 128 {
        return u64::from(bucket);
    }
    let octave = bucket / 64 - 1;
    u64::from(bucket - 64 * octave) << octave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_near() {
        let mut last = 0;
        for ms in (0..2_000_000u32).step_by(37) {
            let bucket = bucket_of(ms);
            assert!(bucket >= last);
            last = bucket;
            let floor = floor_of(bucket);
            assert!(
                floor <= u64::from(ms) && u64::from(ms) - floor <= u64::from(ms) / 64,
                "{ms} in {bucket} from {floor}"
            );
        }
    }

    #[test]
    fn totals_do_not_depend_on_how_batches_were_cut() {
        let delta =
            |ms: &[u32]| FunnelDelta { confirms: ms.len() as u64, confirm_ms: ms.to_vec(), ..Default::default() };
        let (mut one, mut two) = (Totals::default(), Totals::default());
        one.add(&delta(&[240_123, 1_000, 60_000]));
        two.add(&delta(&[60_000]));
        two.add(&delta(&[1_000, 240_123]));
        assert_eq!(one, two);
        let funnel = one.funnel("o", crate::domain::Currency::USD);
        assert_eq!(funnel.confirm_ms_p50, Some(59_904));
        two = Totals::default();
        two.add(&delta(&[240_123]));
        let funnel = two.funnel("o", crate::domain::Currency::USD);
        assert_eq!((funnel.confirm_ms_p50, funnel.confirm_ms_p99), (Some(240_123), Some(240_123)));
        assert_eq!(Totals::default().funnel("o", crate::domain::Currency::USD).confirm_ms_p50, None);
    }
}
