//! The only file that reads clocks. Everywhere else time is a parameter.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::{Span, Time};

/// Tells the moment.
pub trait Clock: Send + Sync {
    fn now(&self) -> Time;
}

/// The machine's wall clock, in whole milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A clock that stands still until it is told otherwise; clones share one hand. The demo and the simulator run on it.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    now_ms: Arc<AtomicI64>,
}

/// The end of a real span of waiting, measured on the monotonic clock. Bounds shutdown, never a verdict.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
}

/// Measures a real span for a metric; decides nothing.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    began: Instant,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { began: Instant::now() }
    }

    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        // A clock set before 1970 reads as 1970: wrong, but the skew check of the screen is there to say so.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl VirtualClock {
    pub fn at(now: Time) -> VirtualClock {
        VirtualClock { now_ms: Arc::new(AtomicI64::new(now.0)) }
    }

    pub fn set(&self, now: Time) {
        self.now_ms.store(now.0, Ordering::SeqCst);
    }

    pub fn advance(&self, by: Span) {
        self.now_ms.fetch_add(by.0, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        Time(self.now_ms.load(Ordering::SeqCst))
    }
}

impl Deadline {
    pub fn after(span: Duration) -> Deadline {
        Deadline { at: Instant::now() + span }
    }

    /// What is left of it; zero once it has passed.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_virtual_clock_share_one_hand() {
        let clock = VirtualClock::at(Time(5));
        let other = clock.clone();
        clock.advance(Span(10));
        assert_eq!(other.now(), Time(15));
        other.set(Time(1));
        assert_eq!(clock.now(), Time(1));
    }

    #[test]
    fn the_wall_clock_is_after_this_was_written() {
        assert!(SystemClock.now() > Time(1_700_000_000_000));
    }
}
