//! How far ticks tell that event time has come: no further than what was read allows, and far enough once all of it was
//! (DESIGN section 6).

use super::super::desk::{Desk, Into, Known};
use super::{CLOCK_SLACK_MS, Check};
use crate::domain::{SourceId, Tick, Time};

impl Check {
    /// Event time of a partition of posts comes to this.
    pub(super) fn rise(&mut self, partition: u32, time: i64, desk: &Desk) {
        let source = &mut self.sources[partition as usize];
        source.due_mark = source.due_mark.max(desk.known.due_mark(source.high, time));
        source.high = source.high.max(Some(time));
    }

    pub(super) fn see_tick(&mut self, inbox: u32, tick: &Tick, desk: &Desk) {
        if let Some(told) = self.told_clocks.get_mut(inbox as usize) {
            *told = (*told).max(tick.clock.map(|clock| clock.0));
        }
        for (index, mark) in &tick.marks {
            let Some(SourceId { topic, partition }) = tick.sources.get(*index as usize) else {
                return self.complain(format!("a tick in accounts.inbox/{inbox} names source {index}, which is none"));
            };
            let is_source = **topic == **desk.known.topic(Into::Posts) && (*partition as usize) < self.sources.len();
            if !is_source || self.sources[*partition as usize].into != Into::Posts {
                return self.complain(format!("a tick in accounts.inbox/{inbox} tells of {topic}/{partition}"));
            }
            let place = *partition as usize;
            let before = self.marks.get_mut(inbox as usize).and_then(|marks| marks[place].replace(*mark));
            if before.is_some_and(|before| before > *mark) {
                self.complain(format!("{topic}/{partition} went back to {mark:?} in accounts.inbox/{inbox}"));
            }
            // A mark never goes back: a clock behind the one that told it, or a later and slower post, repeats it.
            if before == Some(*mark) {
                continue;
            }
            if let Some(next) = self.untimely(place, inbox, *mark, tick.clock, desk) {
                let clock = tick.clock;
                self.complain(format!(
                    "{topic}/{partition} told {mark:?} (clock {clock:?}) to accounts.inbox/{inbox}, and {next:?} was not read"
                ));
            }
        }
    }

    /// Whether a mark is higher than what was read allows: the next record that is yet to be seen was not read. Gives
    /// that record's offset.
    fn untimely(&self, source: usize, inbox: u32, mark: Time, clock: Option<Time>, desk: &Desk) -> Option<Option<u64>> {
        let known = &desk.known;
        let source = &self.sources[source];
        let queue = source.queues.get(inbox as usize)?;
        let is_read = |high: Option<i64>| high.is_some_and(|high| mark.0 <= high - known.lateness);
        if is_read(queue.front().map_or(source.high, |first| first.high)) {
            return None;
        }
        let next = queue.iter().find(|pending| !self.may_be_silent(pending, desk));
        if is_read(next.map_or(source.high, |next| next.high)) {
            return None;
        }
        // By what a clock goes wrong within some steps, nobody notices at once.
        let wrong_max = known.skew_max + CLOCK_SLACK_MS;
        let idle = clock.filter(|_| known.idle_after > 0 && known.idle_by_clock).is_some_and(|clock| {
            let fresh = next.is_none_or(|next| next.at_by_log + known.idle_after + wrong_max > clock.0);
            let believed = clock.0 <= self.log_clock.max(self.now).saturating_add(wrong_max);
            fresh && believed && mark.0 <= clock.0 - known.lateness
        });
        if idle { None } else { Some(next.map(|next| next.offset)) }
    }
}

impl Known {
    /// The least mark that must be told when event time has come from `high` to `time`; `None` if none must for that.
    ///
    /// On a source that is not live a tick stands between two posts that a multiple of `tick_every` separates, and
    /// tells of the first. A live one ticks when `tick_every` has passed since its last tick, wherever that stood: it
    /// may rest past such a multiple and have told of something less than that span ago.
    pub fn due_mark(&self, high: Option<i64>, time: i64) -> Option<Time> {
        let every = self.tick_every.max(1);
        let before = high.filter(|high| time.div_euclid(every) > high.div_euclid(every))?;
        let told = if self.idle_after > 0 { before.min(time - every + 1) } else { before };
        Some(Time(told - self.lateness))
    }
}
