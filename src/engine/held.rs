//! The partitions that a worker holds, and how far each is: read, decided, settled, committed.

use super::restore::Restore;
use super::settings::backoff;
use super::shard::{Batch, Clocks, InRecord, Item};
use super::stage::Admitted;
use crate::bus::{Position, RecordRef, TopicPartition};
use crate::domain::Time;
use crate::planted::{self, Bug};

/// The held partitions in order, so that the same input gives the same transactions.
pub(super) struct Table<S> {
    pub rows: Vec<Held<S>>,
    /// Where the last lookup ended: records come in runs of one partition.
    last: usize,
}

/// One held partition. `committed <= settled <= decided <= next`, all offsets of the input.
pub(super) struct Held<S> {
    pub at: TopicPartition,
    /// Waits at the gate and under pressure.
    pub is_posts: bool,
    pub state: State<S>,
    pub fetch: Fetch,
    /// What the group has committed, as far as this worker knows.
    pub committed: Position,
    /// What the shard's state is as of, open layers aside. Ahead of `committed` only by batches that made no output.
    pub settled: Position,
    /// The note after the newest layer.
    pub note: String,
    /// The next offset to read.
    pub next: u64,
    /// Read and not decided yet.
    pub items: Vec<Item>,
    pub records: u64,
    /// Bytes that `items` copied.
    pub bytes: usize,
    pub decided_at: Option<Time>,
    /// How often in a row it could not be restored, and when it was tried last.
    pub failed: Option<(u32, Time)>,
}

pub(super) enum State<S> {
    /// No shard: it was dropped, its position is to be looked up.
    Empty,
    Restoring(Box<Restore<S>>),
    /// The shard is with the host.
    Live,
}

/// What the bus does with the partition, as told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetch {
    Stopped,
    Running,
    /// Fetching, but from a position that was left behind.
    MustSeek,
}

impl<S> Table<S> {
    pub fn new() -> Table<S> {
        Table { rows: Vec::new(), last: 0 }
    }

    pub fn find(&mut self, at: &TopicPartition) -> Option<&mut Held<S>> {
        if self.rows.get(self.last).is_none_or(|row| row.at != *at) {
            self.last = self.rows.binary_search_by(|row| row.at.cmp(at)).ok()?;
        }
        self.rows.get_mut(self.last)
    }

    pub fn insert(&mut self, row: Held<S>) {
        match self.rows.binary_search_by(|other| other.at.cmp(&row.at)) {
            Ok(index) => self.rows[index] = row,
            Err(index) => self.rows.insert(index, row),
        }
    }

    pub fn remove(&mut self, at: &TopicPartition) -> Option<Held<S>> {
        let index = self.rows.binary_search_by(|row| row.at.cmp(at)).ok()?;
        Some(self.rows.remove(index))
    }

    /// Records that were read and not decided yet.
    pub fn gathered(&self) -> u64 {
        self.rows.iter().map(|row| row.records).sum()
    }

    /// Bytes copied from them.
    pub fn gathered_bytes(&self) -> usize {
        self.rows.iter().map(|row| row.bytes).sum()
    }
}

impl<S> Held<S> {
    pub fn new(at: TopicPartition, is_posts: bool, position: Position, state: State<S>) -> Held<S> {
        Held {
            at,
            is_posts,
            state,
            fetch: Fetch::Stopped,
            note: position.note.clone(),
            next: position.offset,
            committed: position.clone(),
            settled: position,
            items: Vec::new(),
            records: 0,
            bytes: 0,
            decided_at: None,
            failed: None,
        }
    }

    /// Whether a restore that failed a moment ago is not tried again yet.
    pub fn rests(&self, now: Time) -> bool {
        self.failed.is_some_and(|(times, at)| {
            let pause = i64::try_from(backoff(times + 1).as_millis()).unwrap_or(i64::MAX);
            (0..pause).contains(&now.since(at))
        })
    }

    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    /// Takes a record in. Panics if its offset was passed already (I9: each offset ends exactly once).
    pub fn take_in(&mut self, record: RecordRef<'_>, admitted: Admitted) {
        let (offset, next) = (record.offset, self.next);
        assert!(offset >= next, "I9: offset {offset} of {:?} came again, {next} was due", self.at);
        self.next = offset + 1;
        self.records += 1;
        match admitted {
            Admitted::Skip => {}
            Admitted::Moment(time) => self.items.push(Item::Moment(time)),
            Admitted::Copy => {
                self.bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                self.items.push(Item::Record(InRecord {
                    offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                }));
            }
        }
    }

    /// What was gathered, as a batch.
    pub fn batch(&mut self, now: Time, at_end: bool, clocks: Clocks) -> Batch {
        self.decided_at = Some(now);
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        Batch { items: std::mem::take(&mut self.items), records, now, at_end, clocks }
    }

    /// Takes what its shard left, right after it decided. Gives the offset that it has reached.
    pub fn leave(&mut self, left: Vec<Item>) -> u64 {
        self.items = if planted::is(Bug::LeftItemsDropped) { Vec::new() } else { left };
        let lengths = self.items.iter().map(|item| match item {
            Item::Record(record) => [&record.key, &record.value].into_iter().flatten().map(Vec::len).sum(),
            Item::Moment(_) => 0,
        });
        (self.records, self.bytes) = (self.items.len() as u64, lengths.sum());
        match self.items.first() {
            Some(Item::Record(record)) => record.offset,
            _ => self.next,
        }
    }

    /// Forgets everything after the settled position: it will be read again.
    pub fn rewind(&mut self) {
        self.discard();
        self.next = self.settled.offset;
        self.note.clone_from(&self.settled.note);
        if self.fetch == Fetch::Running {
            self.fetch = Fetch::MustSeek;
        }
    }

    /// Drops what was gathered.
    pub fn discard(&mut self) {
        self.items.clear();
        (self.records, self.bytes) = (0, 0);
    }

    /// Whether the shard is ahead of what the group has committed.
    pub fn has_progress(&self) -> bool {
        self.is_live() && self.settled != self.committed
    }
}
