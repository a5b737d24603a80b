//! Moments to the microsecond, and ids that carry them: a post tells by its id alone when it was meant to be sent.

use std::time::Duration;

use crate::clock::{Clock, Stopwatch};
use crate::domain::Time;
use crate::domain::time::SNOWFLAKE_EPOCH_MS;

/// Microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

/// Tells moments: the clock's when it was made, and from then on what a monotonic clock adds.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    began: Moment,
    stopwatch: Stopwatch,
}

/// Deals out ids as snowflake lays them out. Where snowflake names the machine (10 bits) these hold the microsecond
/// within the millisecond, so that a latency counts from the moment for which the post was scheduled, however late it
/// was sent, and nobody has to remember that moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    sequence: u64,
}

const SEQUENCE_BITS: u32 = 12;
const MACHINE_MASK: u64 = 0x3ff;

impl Moment {
    pub fn after(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    pub fn before(self, span: Duration) -> Moment {
        Moment(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Microseconds from `earlier` to `self`; negative if `earlier` is later.
    pub fn since(self, earlier: Moment) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    pub fn time(self) -> Time {
        Time(self.0.div_euclid(1000))
    }

    /// The moment that an id of [`Ids`] carries.
    pub fn of_id(id: u64) -> Moment {
        let us = (id >> SEQUENCE_BITS) & MACHINE_MASK;
        Moment(((id >> 22) as i64 + SNOWFLAKE_EPOCH_MS) * 1000 + us as i64)
    }
}

impl Watch {
    pub fn start(clock: &dyn Clock) -> Watch {
        Watch { began: Moment(clock.now().0 * 1000), stopwatch: Stopwatch::start() }
    }

    pub fn now(&self) -> Moment {
        Moment(self.began.0 + (self.stopwatch.seconds() * 1e6) as i64)
    }
}

impl Ids {
    pub fn next(&mut self, at: Moment) -> u64 {
        self.sequence = (self.sequence + 1) % (1 << SEQUENCE_BITS);
        let ms = at.time().0.saturating_sub(SNOWFLAKE_EPOCH_MS).max(0) as u64;
        (ms << 22) | (at.0.rem_euclid(1000) as u64) << SEQUENCE_BITS | self.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_its_microsecond() {
        let mut ids = Ids::default();
        let mut seen = std::collections::HashSet::new();
        for step in 0..20_000 {
            let moment = Moment(1_700_000_000_000_123 + step / 7);
            let id = ids.next(moment);
            assert_eq!(Moment::of_id(id), moment);
            assert_eq!(Time::of_snowflake(id), Some(moment.time()));
            assert!(seen.insert(id));
        }
    }
}
