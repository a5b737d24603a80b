//! Event time as a shard knows it (DESIGN section 6).

use std::collections::BTreeMap;

use super::intent::{SourceId, Tick};
use super::time::Time;
use crate::planted::{self, Bug};

/// The highest time told per source, and what follows from it: the watermark is the minimum over all sources of the
/// newest topology, undefined until each has ticked, and never moves back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    pub topology: u64,
    /// Sources of the newest topology, those that have not ticked yet without a time.
    pub marks: BTreeMap<SourceId, Option<Time>>,
    /// Where the watermark stands.
    pub value: Option<Time>,
    /// The wall clock of the last tick, if its source is live.
    pub clock: Option<Time>,
}

impl Watermark {
    /// Takes a tick in; true if anything changed.
    pub fn tick(&mut self, tick: &Tick) -> bool {
        let before = (self.value, self.clock, self.topology);
        let mut moved = false;
        if tick.topology > self.topology || self.marks.is_empty() {
            self.topology = tick.topology;
            self.marks.retain(|source, _| tick.sources.contains(source));
            for source in &tick.sources {
                self.marks.entry(source.clone()).or_insert(None);
            }
        }
        for (index, time) in &tick.marks {
            let Some(source) = tick.sources.get(*index as usize) else { continue };
            let Some(mark) = self.marks.get_mut(source) else { continue };
            if mark.is_none_or(|old| old < *time || (planted::is(Bug::WatermarkGoesBack) && old > *time)) {
                *mark = Some(*time);
                moved = true;
            }
        }
        let counts = |mark: &Option<Time>| mark.is_some() || !planted::is(Bug::WatermarkOfSeenSources);
        let lowest = self.marks.values().copied().filter(counts).min().flatten();
        self.value = if planted::is(Bug::WatermarkGoesBack) { lowest } else { self.value.max(lowest) };
        self.clock = tick.clock;
        moved || before != (self.value, self.clock, self.topology)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(sources: &[&str], marks: &[(u32, i64)]) -> Tick {
        let sources: Vec<SourceId> = sources.iter().map(|t| SourceId { topic: t.to_string(), partition: 0 }).collect();
        let marks = marks.iter().map(|(i, t)| (*i, Time(*t))).collect();
        Tick { topology: sources.len() as u64, sources, marks, clock: None }
    }

    #[test]
    fn it_is_undefined_until_every_source_has_ticked_and_then_the_minimum() {
        let mut mark = Watermark::default();
        mark.tick(&tick(&["a", "b"], &[(0, 100)]));
        assert_eq!(mark.value, None);
        mark.tick(&tick(&["a", "b"], &[(1, 40)]));
        assert_eq!(mark.value, Some(Time(40)));
        mark.tick(&tick(&["a", "b"], &[(1, 30), (0, 200)]));
        assert_eq!(mark.value, Some(Time(40)), "a mark never moves back");
        mark.tick(&tick(&["a", "b"], &[(1, 150)]));
        assert_eq!(mark.value, Some(Time(150)));
    }

    #[test]
    fn a_source_that_was_taken_out_holds_nothing_up_any_more() {
        let mut mark = Watermark::default();
        mark.tick(&tick(&["a", "b"], &[(0, 100)]));
        mark.tick(&Tick { topology: 1 << 32 | 1, ..tick(&["a"], &[(0, 300)]) });
        assert_eq!(mark.value, Some(Time(300)));
        mark.tick(&tick(&["a", "b"], &[(0, 400), (1, 50)]));
        assert_eq!(mark.value, Some(Time(400)), "who still knows the old list tells of its own sources all the same");
    }

    #[test]
    fn a_replay_after_a_live_run_has_no_clock() {
        let mut mark = Watermark::default();
        mark.tick(&Tick { clock: Some(Time(900)), ..tick(&["a"], &[(0, 100)]) });
        mark.tick(&tick(&["a"], &[]));
        assert_eq!((mark.value, mark.clock), (Some(Time(100)), None));
    }

    #[test]
    fn a_new_source_holds_the_watermark_where_it_stands() {
        let mut mark = Watermark::default();
        mark.tick(&tick(&["a"], &[(0, 100)]));
        mark.tick(&tick(&["a", "b"], &[(0, 300)]));
        assert_eq!(mark.value, Some(Time(100)));
        mark.tick(&tick(&["a", "b"], &[(1, 50)]));
        assert_eq!(mark.value, Some(Time(100)));
        mark.tick(&tick(&["a", "b"], &[(1, 250)]));
        assert_eq!(mark.value, Some(Time(250)));
    }
}
