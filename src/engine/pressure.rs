//! Back-pressure from the accounts shards to the screen (I12): while a shard of this process is over its byte bound,
//! sources of posts wait for those that are behind them in event time.
//!
//! What a shard keeps, it keeps until event time has passed a deadline, and event time is that of the source that is
//! furthest behind. So reading ahead only adds to what is kept, and not reading the one that is behind keeps it for
//! ever: that one never waits. A source with nothing unread holds nobody up, or its silence would stop the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::bus::TopicPartition;
use crate::domain::Time;
use crate::planted::{self, Bug};

/// Shared by the stages of a process.
#[derive(Clone, Debug, Default)]
pub struct Pressure {
    /// How many are in `Board::full`, to be read without the lock.
    full: Arc<AtomicUsize>,
    board: Arc<Mutex<Board>>,
}

/// What a shard tells with each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Of one that keeps records: whether it is over its bound.
    Keeper { full: bool },
    /// Of a source of posts: how far its event time has come, and whether everything there was read.
    Source { mark: Option<Time>, at_end: bool },
}

/// How a source of posts stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    pub at: TopicPartition,
    /// How far its event time has been told.
    pub mark: Option<Time>,
    /// Everything there was read.
    pub at_end: bool,
    /// It waits for another one.
    pub held: bool,
}

#[derive(Debug, Default)]
struct Board {
    full: BTreeSet<TopicPartition>,
    sources: BTreeMap<TopicPartition, (Option<Time>, bool)>,
}

impl Pressure {
    /// Takes in what the shard of this partition tells.
    pub fn tell(&self, at: &TopicPartition, standing: Standing) {
        let mut board = self.board();
        match standing {
            Standing::Keeper { full: true } => drop(board.full.insert(at.clone())),
            Standing::Keeper { full: false } => drop(board.full.remove(at)),
            Standing::Source { mark, at_end } => drop(board.sources.insert(at.clone(), (mark, at_end))),
        }
        self.full.store(board.full.len(), Ordering::Release);
    }

    /// The partition went away: it presses nobody and nobody waits for it.
    pub fn forget(&self, at: &TopicPartition) {
        let mut board = self.board();
        board.full.remove(at);
        board.sources.remove(at);
        self.full.store(board.full.len(), Ordering::Release);
    }

    /// Whether this source waits now.
    pub fn holds(&self, at: &TopicPartition) -> bool {
        if self.full.load(Ordering::Acquire) == 0 {
            return false;
        }
        if planted::is(Bug::PressureHoldsAll) {
            return true;
        }
        self.board().holds(at)
    }

    /// Shards that are over their bound.
    pub fn full_shards(&self) -> usize {
        self.full.load(Ordering::Acquire)
    }

    /// The sources of this process, for whoever looks on.
    pub fn sources(&self) -> Vec<SourceView> {
        let board = self.board();
        let view = |(at, (mark, at_end)): (&TopicPartition, &(Option<Time>, bool))| {
            let held = !board.full.is_empty() && board.holds(at);
            SourceView { at: at.clone(), mark: *mark, at_end: *at_end, held }
        };
        board.sources.iter().map(view).collect()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Board {
    /// Whether another source is behind this one and has posts unread.
    fn holds(&self, at: &TopicPartition) -> bool {
        let Some((own, _)) = self.sources.get(at) else { return false };
        self.sources.values().any(|(mark, at_end)| mark < own && !at_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posts(partition: u32) -> TopicPartition {
        TopicPartition::new("tweets", partition)
    }

    fn source(mark: i64, at_end: bool) -> Standing {
        Standing::Source { mark: Some(Time(mark)), at_end }
    }

    /// Three sources at 10, 20 and 30 with posts unread, and a shard that is full.
    fn pressed() -> Pressure {
        let pressure = Pressure::default();
        for (partition, mark) in [10, 20, 30].into_iter().enumerate() {
            pressure.tell(&posts(partition as u32), source(mark, false));
        }
        pressure.tell(&TopicPartition::new("accounts.inbox", 0), Standing::Keeper { full: true });
        pressure
    }

    fn held(pressure: &Pressure) -> [bool; 3] {
        [0, 1, 2].map(|partition| pressure.holds(&posts(partition)))
    }

    #[test]
    fn those_ahead_wait_for_the_one_behind() {
        let pressure = pressed();
        assert_eq!(held(&pressure), [false, true, true]);
        pressure.tell(&posts(0), source(25, false));
        assert_eq!(held(&pressure), [true, false, true]);
    }

    #[test]
    fn nobody_waits_for_one_with_nothing_unread_or_one_that_went_away() {
        let pressure = pressed();
        pressure.tell(&posts(0), source(10, true));
        assert_eq!(held(&pressure), [false, false, true]);
        pressure.forget(&posts(1));
        assert_eq!(held(&pressure), [false, false, false]);
    }

    #[test]
    fn it_lasts_while_any_shard_is_full() {
        let pressure = pressed();
        let (one, two) = (TopicPartition::new("accounts.inbox", 0), TopicPartition::new("accounts.inbox", 1));
        pressure.tell(&two, Standing::Keeper { full: true });
        pressure.tell(&one, Standing::Keeper { full: false });
        assert_eq!(held(&pressure), [false, true, true]);
        pressure.forget(&two);
        assert_eq!(held(&pressure), [false, false, false]);
    }
}
