//! The one thread that writes: it commits every transaction that waits in one transaction of the store.
//!
//! Commits are ordered by their arrival here, over all workers. With [`Fsync::Commit`] each is synced before it is
//! answered. With [`Fsync::Interval`] they are answered unsynced; a synced state holds every commit before it, so that
//! what a crash leaves is a prefix.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;

use redb::{Durability, ReadableTable};

use super::Fsync;
use super::frame::Batch;
use super::store::{BATCHES, ENDS, Identity, POSITIONS, Shared, TOPICS, Topic, lock};
use super::upkeep::Upkeep;
use crate::bus::{CommitState, Position, TopicPartition};

/// Transactions that may wait to be committed; each worker has one at most.
pub const QUEUE_TRANSACTIONS_MAX: usize = 1024;
/// A group of transactions is closed at so many bytes.
const GROUP_BYTES_MAX: usize = 32 << 20;
/// What an interval may leave unsynced.
const UNSYNCED_BYTES_MAX: u64 = 64 << 20;
/// How long the committer waits for work before it looks for something to tidy up.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// What the committer is asked.
pub enum Request {
    Commit(Transaction),
    /// Answered when everything before it is settled.
    Barrier(SyncSender<()>),
    /// Makes everything before it durable.
    Flush(SyncSender<()>),
    /// Time to sync, nobody waits.
    Tick,
    /// Compacts and expires all that can be.
    Tidy(SyncSender<()>),
    /// Finish what waits, sync, end.
    Stop,
}

/// What a worker did, whole.
pub struct Transaction {
    pub identity: Arc<Identity>,
    pub epoch: u64,
    pub chunks: Vec<Chunk>,
    pub group: Arc<str>,
    pub positions: Vec<(TopicPartition, Position)>,
    pub answer: SyncSender<CommitState>,
}

/// Records of one transaction for one partition, in order.
pub struct Chunk {
    pub topic: Topic,
    pub number: u32,
    pub batch: Batch,
}

pub struct Committer {
    shared: Arc<Shared>,
    /// Topics that are written down, by their first partition's number.
    recorded: BTreeSet<u32>,
    upkeep: Upkeep,
    unsynced: bool,
    unsynced_bytes: u64,
}

impl Committer {
    pub fn new(shared: Arc<Shared>) -> Committer {
        let catalog = shared.catalog.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let recorded = catalog.topics.values().map(|topic| topic.first).collect();
        drop(catalog);
        Committer { upkeep: Upkeep::new(shared.clone()), shared, recorded, unsynced: false, unsynced_bytes: 0 }
    }

    /// Serves requests until it is told to stop or nobody is left to ask.
    pub fn run(mut self, requests: &Receiver<Request>) {
        let mut stopping = false;
        loop {
            let wait = if stopping || self.upkeep.is_busy() { Duration::ZERO } else { IDLE_WAIT };
            match requests.recv_timeout(wait) {
                Ok(Request::Commit(first)) => {
                    let next = self.commit_waiting(first, requests);
                    stopping |= next.is_some_and(|request| self.serve(request));
                }
                Ok(request) => stopping |= self.serve(request),
                Err(RecvTimeoutError::Timeout) if !stopping => {
                    self.upkeep(true);
                }
                Err(_) => break,
            }
        }
        self.sync();
        self.shared.die("the log is closed".to_string());
    }

    /// Answers what is not a commit; true if it was the last.
    fn serve(&mut self, request: Request) -> bool {
        match request {
            Request::Commit(transaction) => self.commit(vec![transaction]),
            Request::Barrier(answer) => {
                let _ = answer.send(());
            }
            Request::Tick => self.sync(),
            Request::Flush(answer) => {
                self.sync();
                let _ = answer.send(());
            }
            Request::Tidy(answer) => {
                self.upkeep.force();
                while self.upkeep(true) || self.upkeep.is_busy() {}
                let _ = answer.send(());
            }
            Request::Stop => return true,
        }
        false
    }

    /// Commits `first` and whatever waits behind it, and returns the request that ended the group.
    fn commit_waiting(&mut self, first: Transaction, requests: &Receiver<Request>) -> Option<Request> {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        let next = loop {
            if bytes >= GROUP_BYTES_MAX || group.len() >= QUEUE_TRANSACTIONS_MAX {
                break None;
            }
            match requests.try_recv() {
                Ok(Request::Commit(transaction)) => {
                    bytes += transaction.bytes();
                    group.push(transaction);
                }
                Ok(other) => break Some(other),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break None,
            }
        };
        self.commit(group);
        if self.upkeep.appended(bytes as u64) {
            self.upkeep(false);
        }
        next
    }

    fn commit(&mut self, mut group: Vec<Transaction>) {
        group.retain(|transaction| {
            let live = transaction.identity.is(transaction.epoch);
            if !live {
                // The worker may have gone, then nobody wants to know.
                let _ = transaction.answer.send(CommitState::Fenced);
            }
            live
        });
        if group.is_empty() {
            return;
        }
        let outcome = if self.is_alive() { self.write(&mut group).map_err(Some) } else { Err(None) };
        if let Err(Some(error)) = &outcome {
            self.shared.die(format!("the store failed, what was being committed is uncertain: {error}"));
        }
        let state = if outcome.is_ok() { CommitState::Committed } else { CommitState::Uncertain };
        for transaction in group {
            let _ = transaction.answer.send(state);
        }
        if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.sync();
        }
    }

    fn write(&mut self, group: &mut [Transaction]) -> Result<(), redb::Error> {
        let now = (self.shared.options.now)().0;
        let durable = self.shared.options.fsync == Fsync::Commit;
        let mut transaction = self.shared.db.begin_write()?;
        transaction.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        let mut ends: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut bytes = 0;
        {
            let mut batches = transaction.open_table(BATCHES)?;
            let mut end_rows = transaction.open_table(ENDS)?;
            let mut positions = transaction.open_table(POSITIONS)?;
            for one in group {
                for chunk in &mut one.chunks {
                    if !self.recorded.contains(&chunk.topic.first) {
                        let place = (chunk.topic.count, chunk.topic.first);
                        transaction.open_table(TOPICS)?.insert(&*chunk.topic.name, place)?;
                        self.recorded.insert(chunk.topic.first);
                    }
                    let end = match ends.entry(chunk.number) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(end_rows.get(chunk.number)?.map_or((0, 0), |row| row.value())),
                    };
                    let span = chunk.batch.span();
                    let framed = chunk.batch.framed(now);
                    batches.insert((chunk.number, end.0), framed)?;
                    bytes += framed.len() as u64;
                    *end = (end.0 + span, end.1 + framed.len() as u64);
                }
                for (at, position) in &one.positions {
                    let row = (position.offset, position.note.as_str());
                    positions.insert((&*one.group, &*at.topic, at.partition), row)?;
                }
            }
            for (number, end) in &ends {
                end_rows.insert(*number, *end)?;
            }
        }
        transaction.commit()?;
        self.unsynced = !durable;
        self.unsynced_bytes = if durable { 0 } else { self.unsynced_bytes + bytes };
        let mut state = lock(&self.shared.state);
        for (number, end) in ends {
            state.set_end(number, end.0);
        }
        drop(state);
        self.shared.news.notify_all();
        Ok(())
    }

    /// Makes durable what isn't.
    fn sync(&mut self) {
        if !self.unsynced || !self.is_alive() {
            return;
        }
        if let Err(error) = sync(&self.shared.db) {
            self.shared.die(format!("the store could not be synced: {error}"));
        }
        self.unsynced = false;
        self.unsynced_bytes = 0;
    }

    /// A round of upkeep; true if it wrote.
    fn upkeep(&mut self, idle: bool) -> bool {
        if !self.is_alive() {
            self.upkeep.give_up();
            return false;
        }
        match self.upkeep.round(idle) {
            Ok(wrote) => {
                self.unsynced |= wrote;
                wrote
            }
            Err(error) => {
                self.upkeep.give_up();
                self.shared.die(format!("the store failed while it was compacted: {error}"));
                false
            }
        }
    }

    fn is_alive(&self) -> bool {
        lock(&self.shared.state).dead.is_none()
    }
}

impl Transaction {
    fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.batch.len()).sum()
    }
}

/// Syncs rarely enough to leave a note of what is allocated, too: opening after a crash then needn't read everything.
fn sync(db: &redb::Database) -> Result<(), redb::Error> {
    let mut transaction = db.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    Ok(transaction.commit()?)
}
