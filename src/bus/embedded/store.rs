//! The tables of the store, what is shared about them in memory, and how records are fetched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};

use super::frame::{Frame, FrameError};
use super::{EmbeddedOptions, Fsync};
use crate::bus::headers::Headers;
use crate::bus::{BusError, Position, RecordRef, TopicPartition};
use crate::domain::Time;

/// (partition number, offset of the first record) → a framed batch.
pub const BATCHES: TableDefinition<'static, (u32, u64), &'static [u8]> = TableDefinition::new("batches");
/// Topic → (how many partitions, the number of its partition 0); the others follow it.
pub const TOPICS: TableDefinition<'static, &'static str, (u32, u32)> = TableDefinition::new("topics");
/// Partition number → (one past the last offset, bytes ever appended).
pub const ENDS: TableDefinition<'static, u32, (u64, u64)> = TableDefinition::new("ends");
/// (group, topic, partition) → (offset, note).
pub const POSITIONS: TableDefinition<'static, (&'static str, &'static str, u32), (u64, &'static str)> =
    TableDefinition::new("positions");
/// Partition number → (end of the compacted part, its bytes, bytes ever appended when it was compacted).
pub const CLEANED: TableDefinition<'static, u32, (u64, u64, u64)> = TableDefinition::new("cleaned");
const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");

const FORMAT: u64 = 1;
/// Topics number their partitions from 0 up to here.
const PARTITIONS_MAX: u32 = 1 << 16;

/// What the committer, the workers and the readers have in common.
pub struct Shared {
    pub db: Database,
    pub options: EmbeddedOptions,
    pub catalog: RwLock<Catalog>,
    pub state: Mutex<State>,
    /// Told when `state` changed.
    pub news: Condvar,
    /// (group, name) → the worker that lives under it.
    pub identities: Mutex<HashMap<(String, String), Arc<Identity>>>,
    /// (group, topic) of every worker of this process: what they haven't read is kept.
    pub subscribed: Mutex<BTreeSet<(String, Arc<str>)>>,
    /// The folder's lock, given back after the database above is closed.
    _held: Option<File>,
}

/// Which topics there are.
#[derive(Default)]
pub struct Catalog {
    pub topics: BTreeMap<Arc<str>, Topic>,
    next_number: u32,
}

#[derive(Clone, Debug)]
pub struct Topic {
    pub name: Arc<str>,
    pub count: u32,
    pub first: u32,
}

/// What waiting pollers look at. Only a reason to wake up: what is visible is what the store's snapshot shows.
#[derive(Default)]
pub struct State {
    /// By partition number.
    pub ends: Vec<u64>,
    /// Why the log can't go on.
    pub dead: Option<String>,
}

/// A worker's name; whoever took it last owns it.
#[derive(Default)]
pub struct Identity(AtomicU64);

impl Identity {
    /// Takes the name over and returns the new owner's epoch.
    pub fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn is(&self, epoch: u64) -> bool {
        self.0.load(Ordering::SeqCst) == epoch
    }
}

impl Topic {
    /// The partition's number; an error if the topic has no such partition.
    pub fn number(&self, partition: u32) -> Result<u32, BusError> {
        if partition < self.count {
            return Ok(self.first + partition);
        }
        Err(BusError::Fatal(format!(
            "topic {} has {} partitions, there is no partition {partition}",
            self.name, self.count
        )))
    }
}

impl State {
    pub fn end(&self, number: u32) -> u64 {
        self.ends.get(number as usize).copied().unwrap_or(0)
    }

    pub fn set_end(&mut self, number: u32, end: u64) {
        let at = number as usize;
        if self.ends.len() <= at {
            self.ends.resize(at + 1, 0);
        }
        self.ends[at] = end;
    }

    pub fn check(&self) -> Result<(), BusError> {
        match &self.dead {
            Some(why) => Err(BusError::Fatal(why.clone())),
            None => Ok(()),
        }
    }
}

impl Shared {
    /// Makes the tables that are missing and reads what is there; refuses other partition counts than it was made with.
    pub fn load(db: Database, options: EmbeddedOptions, held: Option<File>) -> Result<Shared, BusError> {
        let (catalog, state) = load(&db, &options)?;
        Ok(Shared {
            db,
            options,
            catalog: RwLock::new(catalog),
            state: Mutex::new(state),
            news: Condvar::new(),
            identities: Mutex::default(),
            subscribed: Mutex::default(),
            _held: held,
        })
    }

    /// The topic, if anything was ever asked of it that needs a place.
    pub fn find(&self, topic: &str) -> Option<Topic> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).topics.get(topic).cloned()
    }

    /// The topic, given its place if it has none. It is written down with the first record that is sent to it.
    pub fn topic(&self, topic: &str) -> Topic {
        if let Some(found) = self.find(topic) {
            return found;
        }
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = catalog.topics.get(topic) {
            return found.clone();
        }
        let made = Topic { name: Arc::from(topic), count: self.options.count(topic), first: catalog.next_number };
        catalog.next_number += made.count;
        catalog.topics.insert(made.name.clone(), made.clone());
        made
    }

    /// The partition's number, `None` if nothing was ever sent to its topic.
    pub fn number(&self, at: &TopicPartition) -> Result<Option<u32>, BusError> {
        self.find(&at.topic).map(|topic| topic.number(at.partition)).transpose()
    }

    pub fn snapshot(&self) -> Result<Snapshot, BusError> {
        lock(&self.state).check()?;
        Snapshot::of(&self.db).map_err(fatal)
    }

    /// Ends everything: nothing is written after an error of the store, whose state nobody knows.
    pub fn die(&self, why: String) {
        lock(&self.state).dead.get_or_insert(why);
        self.news.notify_all();
    }
}

/// One committed state of the log.
pub struct Snapshot {
    transaction: ReadTransaction,
    batches: ReadOnlyTable<(u32, u64), &'static [u8]>,
    ends: ReadOnlyTable<u32, (u64, u64)>,
}

/// How much a poll may still give, in all.
pub struct Left {
    pub records: usize,
    pub bytes: usize,
    /// Nothing was given yet: the first record may be larger than `bytes`.
    pub fresh: bool,
}

/// How much one partition may give of it; the last record may go over `bytes`.
pub struct Share {
    pub records: usize,
    pub bytes: usize,
}

impl Snapshot {
    pub fn of(db: &Database) -> Result<Snapshot, redb::Error> {
        let transaction = db.begin_read()?;
        let batches = transaction.open_table(BATCHES)?;
        let ends = transaction.open_table(ENDS)?;
        Ok(Snapshot { transaction, batches, ends })
    }

    pub fn end(&self, number: u32) -> Result<u64, BusError> {
        Ok(self.ends.get(number).map_err(fatal)?.map_or(0, |row| row.value().0))
    }

    /// The first offset that is kept, or the end.
    pub fn beginning(&self, number: u32) -> Result<u64, BusError> {
        let mut range = self.batches.range((number, 0)..=(number, u64::MAX)).map_err(fatal)?;
        match range.next() {
            Some(row) => Ok(row.map_err(fatal)?.0.value().1),
            None => self.end(number),
        }
    }

    pub fn position(&self, group: &str, at: &TopicPartition) -> Result<Option<Position>, BusError> {
        let positions = self.transaction.open_table(POSITIONS).map_err(fatal)?;
        let row = positions.get((group, &*at.topic, at.partition)).map_err(fatal)?;
        Ok(row.map(|row| {
            let (offset, note) = row.value();
            Position { offset, note: note.to_string() }
        }))
    }

    /// The lowest offset that some group hasn't read, per (topic, partition). Groups that subscribe without ever having
    /// committed a position haven't read anything. `bookmarks`: see [`super::EmbeddedOptions`].
    pub fn unread(
        &self,
        subscribed: &BTreeSet<(String, Arc<str>)>,
        topic: &Topic,
        bookmarks: &str,
    ) -> Result<HashMap<u32, u64>, redb::Error> {
        let positions = self.transaction.open_table(POSITIONS)?;
        let mut unread = HashMap::new();
        for row in positions.iter()? {
            let (key, value) = row?;
            let (group, of, partition) = key.value();
            let is_place = !bookmarks.is_empty() && group.starts_with(bookmarks);
            if of == &*topic.name && !is_place {
                let lowest = unread.entry(partition).or_insert(u64::MAX);
                *lowest = value.value().0.min(*lowest);
            }
        }
        for (group, _) in subscribed.iter().filter(|(_, of)| *of == topic.name) {
            for partition in 0..topic.count {
                if positions.get((group.as_str(), &*topic.name, partition))?.is_none() {
                    unread.insert(partition, 0);
                }
            }
        }
        Ok(unread)
    }

    /// Visits records of a partition from `from` up to `end`, as many as `share` and `left` admit, and returns the next
    /// offset to fetch. `scratch` lends its allocations to the headers.
    pub fn fetch(
        &self,
        number: u32,
        (from, end): (u64, u64),
        (mut share, left): (Share, &mut Left),
        scratch: &mut Vec<(String, Vec<u8>)>,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError> {
        if from >= end {
            return Ok(from);
        }
        let start = self.batch_of(number, from).map_err(fatal)?;
        for row in self.batches.range((number, start)..(number, end)).map_err(fatal)? {
            let (key, value) = row.map_err(fatal)?;
            let mut frame = Frame::parse(key.value().1, value.value()).map_err(damaged)?;
            while let Some(raw) = frame.next_from(from).map_err(damaged)? {
                if raw.offset >= end {
                    return Ok(end);
                }
                let size = raw.size();
                if share.records == 0 || share.bytes == 0 || !left.admits(size) {
                    return Ok(raw.offset);
                }
                let headers = raw.headers(scratch).map_err(damaged)?;
                visit(RecordRef {
                    offset: raw.offset,
                    timestamp: Time(raw.time),
                    key: raw.key,
                    value: raw.value,
                    headers: Headers::decoded(&scratch[..headers]),
                });
                left.take(size);
                share.records -= 1;
                share.bytes = share.bytes.saturating_sub(size);
            }
        }
        Ok(end)
    }

    /// Batches from the one that holds `from` on, below `end`.
    pub fn batches_from(
        &self,
        number: u32,
        from: u64,
        end: u64,
    ) -> Result<redb::Range<'static, (u32, u64), &'static [u8]>, redb::Error> {
        let start = self.batch_of(number, from)?;
        Ok(self.batches.range((number, start)..(number, end))?)
    }

    /// The base of the batch that holds `offset`, if there may be one.
    fn batch_of(&self, number: u32, offset: u64) -> Result<u64, redb::Error> {
        match self.batches.range((number, 0)..=(number, offset))?.next_back() {
            Some(row) => Ok(row?.0.value().1),
            None => Ok(offset),
        }
    }
}

impl Left {
    pub fn is_used_up(&self) -> bool {
        self.records == 0 || (self.bytes == 0 && !self.fresh)
    }

    fn admits(&self, size: usize) -> bool {
        self.records > 0 && (self.fresh || size <= self.bytes)
    }

    fn take(&mut self, size: usize) {
        self.records -= 1;
        self.bytes = self.bytes.saturating_sub(size);
        self.fresh = false;
    }
}

/// A lock whose holders leave nothing half done, so that one who panicked is no reason to stop.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn fatal(error: impl Into<redb::Error>) -> BusError {
    BusError::Fatal(error.into().to_string())
}

pub fn damaged(error: FrameError) -> BusError {
    BusError::Fatal(error.to_string())
}

fn load(db: &Database, options: &EmbeddedOptions) -> Result<(Catalog, State), BusError> {
    options.check()?;
    let mut transaction = db.begin_write().map_err(fatal)?;
    transaction.set_quick_repair(options.fsync != Fsync::Commit);
    let (mut catalog, mut state) = (Catalog::default(), State::default());
    {
        transaction.open_table(BATCHES).map_err(fatal)?;
        transaction.open_table(POSITIONS).map_err(fatal)?;
        transaction.open_table(CLEANED).map_err(fatal)?;
        let mut meta = transaction.open_table(META).map_err(fatal)?;
        for (key, ours) in [("format", FORMAT), ("partitions", u64::from(options.partitions))] {
            let stored = meta.get(key).map_err(fatal)?.map(|row| row.value());
            match stored {
                None => drop(meta.insert(key, ours).map_err(fatal)?),
                Some(stored) if stored == ours => {}
                Some(stored) if key == "format" => {
                    return Err(BusError::Fatal(format!("the log is of format {stored}, this program writes {ours}")));
                }
                Some(stored) => {
                    return Err(BusError::Fatal(format!(
                        "the log was made with {stored} partitions a topic, configuration says {ours}: partitions \
                         can't change once records are in them"
                    )));
                }
            }
        }
        let topics = transaction.open_table(TOPICS).map_err(fatal)?;
        for row in topics.iter().map_err(fatal)? {
            let (name, place) = row.map_err(fatal)?;
            catalog.add(name.value(), place.value(), options)?;
        }
        let ends = transaction.open_table(ENDS).map_err(fatal)?;
        for row in ends.iter().map_err(fatal)? {
            let (number, end) = row.map_err(fatal)?;
            state.set_end(number.value(), end.value().0);
        }
    }
    transaction.commit().map_err(fatal)?;
    Ok((catalog, state))
}

impl Catalog {
    fn add(&mut self, name: &str, (count, first): (u32, u32), options: &EmbeddedOptions) -> Result<(), BusError> {
        let configured = options.count(name);
        if configured != count {
            return Err(BusError::Fatal(format!(
                "topic {name} has {count} partitions on disk, configuration says {configured}: partitions can't change \
                 once records are in them"
            )));
        }
        let name: Arc<str> = Arc::from(name);
        self.topics.insert(name.clone(), Topic { name, count, first });
        self.next_number = self.next_number.max(first.saturating_add(count));
        Ok(())
    }
}

impl EmbeddedOptions {
    /// Configured number of partitions of a topic.
    pub(super) fn count(&self, topic: &str) -> u32 {
        self.partitions_of.get(topic).copied().unwrap_or(self.partitions)
    }

    fn check(&self) -> Result<(), BusError> {
        let counts = self.partitions_of.iter().map(|(topic, count)| (topic.as_str(), *count));
        for (topic, count) in counts.chain([("the default", self.partitions)]) {
            if count == 0 || count > PARTITIONS_MAX {
                return Err(BusError::Fatal(format!(
                    "{topic}: {count} partitions are configured, possible are 1 to {PARTITIONS_MAX}"
                )));
            }
        }
        Ok(())
    }
}
