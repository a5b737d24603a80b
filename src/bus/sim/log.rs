//! One partition: records at increasing offsets, with gaps where markers stand and where compaction was.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::bus::headers::Headers;
use crate::bus::{Budget, RecordRef, TopicPartition};
use crate::domain::Time;

/// One partition's log.
pub(super) struct Log {
    pub at: TopicPartition,
    pub compacted: bool,
    entries: Vec<Entry>,
    end: u64,
    /// (first offset here, transaction) of each transaction that has no marker here yet, in order.
    open: Vec<(u64, u64)>,
}

/// What a record carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A record in its log.
pub(super) struct Entry {
    pub offset: u64,
    pub timestamp: Time,
    pub content: Content,
    pub transaction: Option<u64>,
}

/// What became of each transaction, by number.
#[derive(Default)]
pub(super) struct Fates(Vec<Fate>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Committed,
    Aborted,
}

/// Who reads: only what is committed and stable, or everything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    Committed,
    None,
}

impl Log {
    pub fn new(at: TopicPartition, compacted: bool) -> Log {
        Log { at, compacted, entries: Vec::new(), end: 0, open: Vec::new() }
    }

    /// One past the last record or marker.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The last stable offset: everything below it is decided.
    pub fn stable(&self) -> u64 {
        self.open.first().map_or(self.end, |(first, _)| *first)
    }

    /// Appends; answers the offset and whether it is the first record here of its transaction.
    pub fn append(&mut self, content: Content, timestamp: Time, transaction: Option<u64>) -> (u64, bool) {
        let offset = self.end;
        self.entries.push(Entry { offset, timestamp, content, transaction });
        self.end += 1;
        let first = transaction.is_some_and(|by| self.open.iter().all(|(_, open)| *open != by));
        if let Some(transaction) = transaction.filter(|_| first) {
            self.open.push((offset, transaction));
        }
        (offset, first)
    }

    /// Writes a transaction's marker.
    pub fn mark(&mut self, transaction: u64) {
        self.open.retain(|(_, open)| *open != transaction);
        self.end += 1;
    }

    /// Visits records from `from` on; answers the next position, which is past every gap if all were visited.
    pub fn read(
        &self,
        from: u64,
        isolation: Isolation,
        fates: &Fates,
        left: &mut Budget,
        visit: &mut dyn FnMut(&Entry),
    ) -> u64 {
        let bound = if isolation == Isolation::Committed { self.stable() } else { self.end };
        let mut next = from;
        let begin = self.entries.partition_point(|entry| entry.offset < from);
        for entry in self.entries[begin..].iter().take_while(|entry| entry.offset < bound) {
            if isolation == Isolation::None || fates.is_committed(entry.transaction) {
                if left.is_used_up() {
                    return next;
                }
                left.spend(entry.lend().bytes());
                visit(entry);
            }
            next = entry.offset + 1;
        }
        next.max(bound)
    }

    /// Keeps the last committed record of each key below `bound`, and no tombstone from before `tombstones`.
    pub fn compact(&mut self, bound: u64, tombstones: Time, fates: &Fates) {
        let bound = bound.min(self.stable());
        let mut last: FxHashMap<&[u8], u64> = FxHashMap::default();
        for entry in self.entries.iter().take_while(|entry| entry.offset < bound) {
            if let Some(key) = entry.content.key.as_ref().filter(|_| fates.is_committed(entry.transaction)) {
                last.insert(key, entry.offset);
            }
        }
        let last: FxHashSet<u64> = last.into_values().collect();
        self.entries.retain(|entry| {
            let lives = entry.content.value.is_some() || entry.timestamp >= tombstones;
            entry.offset >= bound || (lives && last.contains(&entry.offset))
        });
    }
}

impl Entry {
    pub fn lend(&self) -> RecordRef<'_> {
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.content.key.as_deref(),
            value: self.content.value.as_deref(),
            headers: Headers::decoded(&self.content.headers),
        }
    }
}

impl Fates {
    /// The number of a new transaction.
    pub fn begin(&mut self) -> u64 {
        self.0.push(Fate::Open);
        self.0.len() as u64 - 1
    }

    pub fn decide(&mut self, transaction: u64, committed: bool) {
        self.0[transaction as usize] = if committed { Fate::Committed } else { Fate::Aborted };
    }

    pub fn is_committed(&self, transaction: Option<u64>) -> bool {
        transaction.is_none_or(|number| self.0[number as usize] == Fate::Committed)
    }
}
