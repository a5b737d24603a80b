//! Event time: milliseconds since the Unix epoch, UTC. Time is always a parameter here; nothing in the domain reads a
//! clock.

use crate::planted::{self, Bug};

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A length of time in milliseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

/// The moment from which a snowflake counts its milliseconds (2010-11-04T01:42:54.657Z), as published by Twitter.
pub const SNOWFLAKE_EPOCH_MS: i64 = 1_288_834_974_657;

/// The first id that was made by snowflake; lower ids were dealt out one after the other and carry no time.
pub const SNOWFLAKE_FIRST_ID: u64 = 29_700_859_247;

impl Time {
    /// The time that a post id carries, or `None` for an id from before snowflake (November 2010).
    pub fn of_snowflake(id: u64) -> Option<Time> {
        (id >= SNOWFLAKE_FIRST_ID).then(|| Time((id >> 22) as i64 + SNOWFLAKE_EPOCH_MS))
    }

    /// `self + span`, stopping at the end of representable time.
    pub fn after(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }

    /// `self - span`, stopping at the beginning of representable time.
    pub fn before(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }

    /// Whether a watermark has *passed* this moment: when it is later. A confirm of the deadline's own millisecond is
    /// still on time.
    pub fn is_passed_by(self, mark: Time) -> bool {
        if planted::is(Bug::DeadlineLate) {
            return self.after(Span(1)) < mark;
        }
        self < mark || (planted::is(Bug::DeadlineEarly) && self == mark)
    }

    /// The number of the UTC day that holds this moment (day 0 is 1970-01-01).
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(Span::DAY.0)
    }

    /// Milliseconds from `earlier` to `self`; negative if `earlier` is later.
    pub fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Span {
    pub const ZERO: Span = Span(0);
    pub const DAY: Span = Span(86_400_000);

    pub const fn of_secs(secs: i64) -> Span {
        Span(secs * 1000)
    }

    pub const fn of_mins(mins: i64) -> Span {
        Span(mins * 60_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snowflake_carries_its_millisecond() {
        assert_eq!(Time::of_snowflake(301345161999286273), Some(Time(1360681260000)));
        assert_eq!(Time::of_snowflake(1234), None);
        assert_eq!(Time::of_snowflake(u64::MAX).map(|t| t.0 > 0), Some(true));
    }

    #[test]
    fn days_are_utc_days_on_both_sides_of_the_epoch() {
        assert_eq!(Time(-1).utc_day(), -1);
        assert_eq!(Time(0).utc_day(), 0);
        assert_eq!(Time(86_399_999).utc_day(), 0);
        assert_eq!(Time(86_400_000).utc_day(), 1);
    }
}
