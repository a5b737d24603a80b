//! One consumer and one producer: polls snapshots of the store, buffers its transaction and hands it over whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::committer::{Chunk, Request, Transaction};
use super::frame::{Batch, framed_len};
use super::store::{Identity, Left, Share, Shared, Snapshot, State, Topic, lock};
use crate::bus::{
    Budget, BusError, BusWorker, CommitState, LogClock, OutRecord, Polled, Position, RecordRef, TopicPartition,
    WorkerSpec, partition_of_key,
};

/// A record may take so many bytes.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// A transaction may take so many bytes; it is held in memory until it is committed.
const TRANSACTION_BYTES_MAX: usize = 1 << 30;

/// A worker of the embedded log.
pub struct EmbeddedWorker {
    shared: Arc<Shared>,
    requests: SyncSender<Request>,
    identity: Arc<Identity>,
    epoch: u64,
    group: Arc<str>,
    assigned: Vec<Assigned>,
    told: bool,
    /// Where the next poll starts its round, so that every partition comes first in turn.
    turn: usize,
    topics: HashMap<Arc<str>, Topic>,
    open: Option<Open>,
    pending: Option<Receiver<CommitState>>,
    last: CommitState,
    scratch: Vec<(String, Vec<u8>)>,
}

struct Assigned {
    at: TopicPartition,
    number: u32,
    preferred: bool,
    paused: bool,
    next: u64,
    end_seen: u64,
}

/// The transaction that is being filled.
#[derive(Default)]
struct Open {
    chunks: Vec<Chunk>,
    /// Partition number → its last chunk.
    last_chunk: HashMap<u32, usize>,
    bytes: usize,
}

impl EmbeddedWorker {
    /// Takes the name over and waits until whatever its predecessor had handed over is settled.
    pub fn open(shared: Arc<Shared>, requests: SyncSender<Request>, spec: &WorkerSpec) -> Result<Self, BusError> {
        let (slot, slots) = spec.slot;
        let mut assigned = Vec::new();
        for subscription in &spec.topics {
            let topic = shared.topic(&subscription.topic);
            lock(&shared.subscribed).insert((spec.group.clone(), topic.name.clone()));
            for partition in (0..topic.count).filter(|p| p % slots.max(1) == slot) {
                assigned.push(Assigned {
                    at: TopicPartition { topic: topic.name.clone(), partition },
                    number: topic.number(partition)?,
                    preferred: subscription.preferred,
                    paused: true,
                    next: 0,
                    end_seen: u64::MAX,
                });
            }
        }
        let name = (spec.group.clone(), spec.name.clone());
        let identity = lock(&shared.identities).entry(name).or_default().clone();
        let mut worker = EmbeddedWorker {
            epoch: 0,
            group: Arc::from(spec.group.as_str()),
            told: spec.topics.is_empty(),
            turn: 0,
            topics: HashMap::new(),
            open: None,
            pending: None,
            last: CommitState::Aborted,
            scratch: Vec::new(),
            shared,
            requests,
            identity,
            assigned,
        };
        worker.recover()?;
        Ok(worker)
    }

    fn tell_assigned(&mut self) -> Result<Polled, BusError> {
        let snapshot = self.shared.snapshot()?;
        let mut told = Vec::with_capacity(self.assigned.len());
        for one in &mut self.assigned {
            let position = snapshot.position(&self.group, &one.at)?.unwrap_or_default();
            one.next = position.offset;
            one.end_seen = snapshot.end(one.number)?;
            told.push((one.at.clone(), position));
        }
        self.told = true;
        Ok(Polled::Assigned(told))
    }

    /// Waits until something that is fetched has grown; false if nothing did.
    fn wait_for_news(&self, wait: Duration) -> Result<bool, BusError> {
        let quiet = |state: &mut State| {
            state.dead.is_none() && !self.assigned.iter().any(|one| !one.paused && state.end(one.number) > one.next)
        };
        let state = lock(&self.shared.state);
        let (state, waited) =
            self.shared.news.wait_timeout_while(state, wait, quiet).unwrap_or_else(std::sync::PoisonError::into_inner);
        state.check()?;
        Ok(!waited.timed_out())
    }

    /// Gives records of one class, preferred or not, from one snapshot; true if all of them are read to their ends.
    fn drain(
        &mut self,
        snapshot: &Snapshot,
        preferred: bool,
        left: &mut Left,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<bool, BusError> {
        let count = self.assigned.len();
        loop {
            let turn = self.turn;
            let hungry: Vec<usize> = (0..count)
                .map(|i| (i + turn) % count)
                .filter(|i| self.assigned[*i].is_behind() && self.assigned[*i].preferred == preferred)
                .collect();
            if hungry.is_empty() || left.is_used_up() {
                return Ok(hungry.is_empty());
            }
            let records = left.records.div_ceil(hungry.len());
            let bytes = left.bytes.div_ceil(hungry.len()).max(1);
            let mut moved = false;
            for i in hungry {
                let share = Share { records, bytes };
                let one = &mut self.assigned[i];
                let span = (one.next, one.end_seen);
                let at = &one.at;
                let next = snapshot.fetch(one.number, span, (share, left), &mut self.scratch, &mut |r| visit(at, r))?;
                moved |= next > one.next;
                one.next = next;
            }
            if !moved {
                return Ok(false);
            }
        }
    }

    fn assigned_mut(&mut self, at: &TopicPartition) -> Result<&mut Assigned, BusError> {
        let found = self.assigned.iter_mut().find(|one| one.at == *at);
        found.ok_or_else(|| BusError::Fatal(format!("{}/{} is not assigned to this worker", at.topic, at.partition)))
    }

    fn ready_to_send(&self) -> Result<(), BusError> {
        if self.pending.is_some() {
            return Err(BusError::Fatal("the commit before has not been answered yet".to_string()));
        }
        lock(&self.shared.state).check()
    }

    fn number_of(&mut self, record: &OutRecord) -> Result<(Topic, u32), BusError> {
        let topic = match self.topics.get(&record.topic) {
            Some(topic) => topic.clone(),
            None => {
                let topic = self.shared.topic(&record.topic);
                self.topics.insert(topic.name.clone(), topic.clone());
                topic
            }
        };
        let by_key = || record.key.as_ref().map_or(0, |key| partition_of_key(key, topic.count));
        let number = topic.number(record.partition.unwrap_or_else(by_key))?;
        Ok((topic, number))
    }

    fn ask(&self, request: Request) -> Result<(), BusError> {
        self.requests.send(request).map_err(|_| BusError::Fatal("the log is closed".to_string()))
    }
}

impl BusWorker for EmbeddedWorker {
    fn poll(
        &mut self,
        budget: Budget,
        wait: Duration,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError> {
        if !self.told {
            return self.tell_assigned();
        }
        let news = self.wait_for_news(wait)?;
        if !news {
            let state = lock(&self.shared.state);
            for one in &mut self.assigned {
                one.end_seen = state.end(one.number);
            }
            return Ok(Polled::Idle);
        }
        let snapshot = self.shared.snapshot()?;
        for one in &mut self.assigned {
            one.end_seen = snapshot.end(one.number)?;
        }
        let mut left = Left { records: budget.records_max, bytes: budget.bytes_max, fresh: true };
        if self.drain(&snapshot, true, &mut left, visit)? {
            self.drain(&snapshot, false, &mut left, visit)?;
        }
        self.turn = self.turn.wrapping_add(1);
        match budget.records_max - left.records {
            0 => Ok(Polled::Idle),
            visited => Ok(Polled::Records(visited)),
        }
    }

    fn resume_at(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), BusError> {
        for (at, offset) in positions {
            let one = self.assigned_mut(at)?;
            (one.next, one.paused) = (*offset, false);
        }
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        for at in partitions {
            self.assigned_mut(at)?.paused = true;
        }
        Ok(())
    }

    fn at_end(&self, at: &TopicPartition) -> bool {
        self.assigned.iter().any(|one| one.at == *at && one.next >= one.end_seen)
    }

    fn log_clock(&self) -> LogClock {
        LogClock::Ours
    }

    fn release(&mut self) -> Result<(), BusError> {
        Ok(())
    }

    fn send(&mut self, record: &OutRecord) -> Result<(), BusError> {
        self.ready_to_send()?;
        let (topic, number) = self.number_of(record)?;
        let bytes = framed_len(record);
        let open = self.open.get_or_insert_default();
        if bytes > RECORD_BYTES_MAX || open.bytes + bytes > TRANSACTION_BYTES_MAX {
            return Err(BusError::Fatal(format!(
                "a record of {bytes} bytes for {} is more than {RECORD_BYTES_MAX}, or its transaction is more than \
                 {TRANSACTION_BYTES_MAX}",
                record.topic
            )));
        }
        open.bytes += bytes;
        let fits = |at: &&usize| open.chunks[**at].batch.has_room(bytes);
        let at = match open.last_chunk.get(&number).filter(fits) {
            Some(at) => *at,
            None => {
                open.chunks.push(Chunk { topic, number, batch: Batch::new() });
                open.last_chunk.insert(number, open.chunks.len() - 1);
                open.chunks.len() - 1
            }
        };
        open.chunks[at].batch.push(record);
        Ok(())
    }

    fn start_commit(&mut self, positions: &[(TopicPartition, Position)]) -> Result<(), BusError> {
        self.ready_to_send()?;
        let (answer, pending) = sync_channel(1);
        let transaction = Transaction {
            identity: self.identity.clone(),
            epoch: self.epoch,
            chunks: self.open.take().unwrap_or_default().chunks,
            group: self.group.clone(),
            positions: positions.to_vec(),
            answer,
        };
        self.ask(Request::Commit(transaction))?;
        self.pending = Some(pending);
        Ok(())
    }

    fn poll_commit(&mut self, wait: Duration) -> CommitState {
        let Some(pending) = &self.pending else { return self.last };
        self.last = match pending.recv_timeout(wait) {
            Ok(state) => state,
            Err(RecvTimeoutError::Timeout) => return CommitState::Pending,
            Err(RecvTimeoutError::Disconnected) => CommitState::Uncertain,
        };
        self.pending = None;
        self.last
    }

    /// A transaction that was handed over can't be called back: then its outcome is the answer.
    fn abort(&mut self) -> Result<CommitState, BusError> {
        self.open = None;
        if let Some(pending) = self.pending.take() {
            self.last = pending.recv().unwrap_or(CommitState::Uncertain);
            return Ok(self.last);
        }
        let owned = self.identity.is(self.epoch);
        Ok(if owned { CommitState::Aborted } else { CommitState::Fenced })
    }

    fn recover(&mut self) -> Result<(), BusError> {
        self.open = None;
        self.pending = None;
        self.last = CommitState::Aborted;
        self.epoch = self.identity.take();
        let (answer, settled) = sync_channel(1);
        self.ask(Request::Barrier(answer))?;
        settled.recv().map_err(|_| BusError::Fatal("the log is closed".to_string()))?;
        lock(&self.shared.state).check()
    }
}

impl Assigned {
    fn is_behind(&self) -> bool {
        !self.paused && self.next < self.end_seen
    }
}
