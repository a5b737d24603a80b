//! How far event time has come in one partition of the inbox, rebuilt from its ticks.

use std::collections::BTreeMap;

use crate::domain::{SourceId, Tick, Time};

/// The maximum per source, and their minimum over all sources of the newest topology.
#[derive(Debug, Default)]
pub(super) struct Progress {
    topology: Option<u64>,
    sources: Vec<SourceId>,
    marks: BTreeMap<SourceId, Time>,
    value: Option<Time>,
    /// The wall clock of the last tick, if its source is live.
    pub clock: Option<Time>,
}

impl Progress {
    /// Takes a tick; the watermark after it, undefined until each source has ticked.
    pub fn tick(&mut self, tick: &Tick) -> Option<Time> {
        if self.topology.is_none_or(|known| tick.topology > known) {
            self.topology = Some(tick.topology);
            self.sources = tick.sources.clone();
        }
        for (index, time) in &tick.marks {
            let Some(source) = tick.sources.get(*index as usize) else { continue };
            match self.marks.get_mut(source) {
                Some(mark) => *mark = (*mark).max(*time),
                None => drop(self.marks.insert(source.clone(), *time)),
            }
        }
        self.clock = tick.clock;
        let marks: Option<Vec<Time>> = self.sources.iter().map(|source| self.marks.get(source).copied()).collect();
        self.value = self.value.max(marks.and_then(|marks| marks.into_iter().min()));
        self.value
    }

    pub fn value(&self) -> Option<Time> {
        self.value
    }
}
