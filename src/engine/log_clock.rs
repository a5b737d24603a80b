//! Whether this process's clock agrees with the log's (DESIGN section 6): a clock that is wrong must expire nobody.
//!
//! The log's clock shows in the append times of what this worker writes. Each lies between the moments, by our clock,
//! at which the record was sent and its commit was answered; if it is further away than `time.skew_max`, one of the
//! clocks is wrong. What was seen holds until our clock may be wrong by more than that: a standstill of the worker
//! looks like a jump of its clock, and adds to what it was wrong by.

use crate::bus::LogClock;
use crate::domain::{Span, Time};

/// Two steps are seldom further apart than this while a worker works.
const STEP_MAX_MS: i64 = 2_000;

/// What is known of the two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// Nothing was written since the start, or since our clock moved strangely.
    Unknown,
    Agree,
    Differ,
}

/// Watches both clocks for one worker.
#[derive(Debug)]
pub struct ClockWatch {
    /// `None`: nothing of this stage depends on a clock.
    skew_max: Option<Span>,
    state: Clocks,
    /// By how much our clock is behind the log's, and ahead of it, at most: what was told, and standstills since.
    behind: Span,
    ahead: Span,
    /// Our clock at the last step.
    stepped: Option<Time>,
    /// Our clock when the transaction in flight was sent, unless it moved strangely since.
    sent: Option<Time>,
    /// Our clock when the last transaction was answered that told anything.
    answered: Time,
}

impl ClockWatch {
    pub fn new(skew_max: Option<Span>, log: LogClock) -> ClockWatch {
        let watches = skew_max.is_some() && log != LogClock::Ours;
        let state = if watches { Clocks::Unknown } else { Clocks::Agree };
        ClockWatch {
            skew_max: skew_max.filter(|_| watches),
            state,
            behind: Span::ZERO,
            ahead: Span::ZERO,
            stepped: None,
            sent: None,
            answered: Time(0),
        }
    }

    pub fn state(&self) -> Clocks {
        self.state
    }

    /// A step at `now` by our clock.
    pub fn step(&mut self, now: Time) {
        let Some(skew_max) = self.skew_max else { return };
        let passed = self.stepped.map_or(0, |then| now.since(then));
        let is_far = |span: i64| span.saturating_abs() > skew_max.0;
        self.sent = self.sent.filter(|_| !is_far(passed));
        if !(0..=STEP_MAX_MS).contains(&passed) {
            self.behind.0 = self.behind.0.saturating_add(passed.min(0).saturating_neg());
            self.ahead.0 = self.ahead.0.saturating_add(passed.max(0));
        }
        // Whoever writes nothing any more, having no source any more, would never learn that all is well.
        if self.state == Clocks::Differ && is_far(now.since(self.answered)) {
            self.state = Clocks::Unknown;
        }
        self.doubt(skew_max);
        self.stepped = Some(now);
    }

    /// Records are sent at `now` by our clock.
    pub fn sent(&mut self, now: Time) {
        self.sent = Some(now);
    }

    /// Their commit was answered at `now` by our clock.
    pub fn committed(&mut self, log: LogClock, now: Time) {
        let (Some(skew_max), Some(sent), LogClock::Told(Some(appended))) = (self.skew_max, self.sent, log) else {
            return;
        };
        self.answered = now;
        (self.behind, self.ahead) = (Span(appended.since(sent).max(0)), Span(now.since(appended).max(0)));
        let near = sent.before(skew_max)..=now.after(skew_max);
        self.state = if near.contains(&appended) { Clocks::Agree } else { Clocks::Differ };
        self.doubt(skew_max);
    }

    /// Agreement holds while neither clock can be further ahead than is allowed; an answer that took longer than that
    /// leaves it open.
    fn doubt(&mut self, skew_max: Span) {
        if self.state == Clocks::Agree && self.behind.max(self.ahead) > skew_max {
            self.state = Clocks::Unknown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seconds: i64) -> LogClock {
        LogClock::Told(Some(at(seconds)))
    }

    fn at(seconds: i64) -> Time {
        Time(seconds * 1_000)
    }

    fn watch() -> ClockWatch {
        ClockWatch::new(Some(Span::of_secs(60)), LogClock::Told(None))
    }

    #[test]
    fn clocks_agree_while_what_is_written_is_stamped_near_the_time_of_writing() {
        let mut watch = watch();
        assert_eq!(watch.state(), Clocks::Unknown);
        watch.sent(at(1_000));
        watch.committed(LogClock::Told(None), at(1_001));
        assert_eq!(watch.state(), Clocks::Unknown, "nothing was told");
        for (stamp, state) in [
            (1_001, Clocks::Agree),
            (939, Clocks::Differ),
            (940, Clocks::Unknown),
            (942, Clocks::Agree),
            (1_060, Clocks::Agree),
            (1_062, Clocks::Unknown),
            (1_063, Clocks::Differ),
        ] {
            watch.committed(told(stamp), at(1_002));
            assert_eq!(watch.state(), state, "{stamp}");
        }
    }

    #[test]
    fn a_commit_that_took_longer_than_the_clock_may_be_wrong_by_tells_nothing() {
        let mut watch = watch();
        watch.sent(at(1_000));
        watch.committed(told(1_400), at(2_000));
        assert_eq!(watch.state(), Clocks::Unknown, "our clock may be 600 s ahead");
        watch.sent(at(2_000));
        watch.committed(told(2_030), at(2_060));
        assert_eq!(watch.state(), Clocks::Agree);
    }

    #[test]
    fn a_jump_makes_it_doubtful_and_the_next_record_certain() {
        for jump in [86_400, -86_400, 61, -61] {
            let mut watch = watch();
            watch.step(at(100_000));
            watch.sent(at(100_000));
            watch.committed(told(100_000), at(100_000));
            watch.step(at(100_060));
            assert_eq!(watch.state(), Clocks::Agree);
            watch.step(at(100_060 + jump));
            assert_eq!(watch.state(), Clocks::Unknown);
            watch.sent(at(100_060 + jump));
            watch.committed(told(100_060), at(100_060 + jump));
            assert_eq!(watch.state(), Clocks::Differ);
        }
    }

    #[test]
    fn a_jump_while_a_commit_is_under_way_spoils_what_it_tells() {
        let mut watch = watch();
        watch.step(at(100_000));
        watch.sent(at(100_000));
        watch.step(at(186_400));
        watch.committed(told(100_001), at(186_400));
        assert_eq!(watch.state(), Clocks::Unknown);
    }

    #[test]
    fn what_it_was_wrong_by_already_and_standstills_add_up() {
        for (ahead, standstills) in [(30, vec![31]), (0, vec![31, 30]), (-30, vec![-31])] {
            let mut watch = watch();
            watch.step(at(100_000 + ahead));
            watch.sent(at(100_000 + ahead));
            watch.committed(told(100_000), at(100_000 + ahead));
            let mut now = 100_000 + ahead;
            for (index, standstill) in standstills.iter().enumerate() {
                now += standstill;
                watch.step(at(now));
                let last = index + 1 == standstills.len();
                let expected = if last { Clocks::Unknown } else { Clocks::Agree };
                assert_eq!(watch.state(), expected, "{ahead} s ahead, after {standstills:?}");
            }
            watch.sent(at(now));
            watch.committed(told(now), at(now));
            watch.step(at(now + 1));
            assert_eq!(watch.state(), Clocks::Agree);
        }
    }

    #[test]
    fn a_log_that_runs_by_our_clock_always_agrees() {
        let mut watch = ClockWatch::new(Some(Span::of_secs(60)), LogClock::Ours);
        watch.step(at(0));
        watch.step(at(100_000));
        assert_eq!(watch.state(), Clocks::Agree);
    }
}
