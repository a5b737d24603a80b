//! The transactions of one worker: its producer on a thread of its own, so that the next batch is decided while the
//! last one is committed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;

use super::outcome::{Failure, failure_of};
use super::producer::TxProducer;
use crate::bus::{BusError, CommitState, LogClock, OutRecord};
use crate::domain::Time;

/// An identity is asked for so long before it is told that it did not come yet.
const INIT_WAIT: Duration = Duration::from_secs(5);
/// Pause between two tries for an identity.
const INIT_PAUSE: Duration = Duration::from_millis(100);
/// A caller waits so long for an abort or an identity, then it hears that the log is away.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// A new worker waits longer: a cluster's first transaction makes it create its own topics.
const OPEN_WAIT: Duration = Duration::from_secs(20);

/// The worker's side.
pub struct Transactions {
    requests: Sender<Request>,
    shared: Arc<Shared>,
    committing: Option<Receiver<CommitState>>,
    aborting: Option<Receiver<CommitState>>,
    recovering: Option<Receiver<()>>,
    last: CommitState,
}

struct Shared {
    /// `None` until it has an identity, and again when that may not be used any more.
    producer: Mutex<Option<TxProducer>>,
    /// The worker is gone.
    over: AtomicBool,
}

enum Request {
    Commit { positions: TopicPartitionList, group: Option<ConsumerGroupMetadata>, answer: SyncSender<CommitState> },
    Abort(SyncSender<CommitState>),
    Recover(SyncSender<()>),
}

/// The thread's side.
struct Committer {
    config: ClientConfig,
    name: String,
    shared: Arc<Shared>,
}

impl Transactions {
    /// Starts the thread and takes the identity over; waits until it is had, or for a while.
    pub fn open(config: ClientConfig, name: &str) -> Result<Transactions, BusError> {
        let (requests, received) = channel();
        let shared = Arc::new(Shared { producer: Mutex::new(None), over: AtomicBool::new(false) });
        let committer = Committer { config, name: name.to_owned(), shared: shared.clone() };
        std::thread::Builder::new()
            .name(format!("tx-{name}"))
            .spawn(move || committer.run(&received))
            .map_err(|why| BusError::Fatal(format!("no thread for transactions: {why}")))?;
        let mut transactions = Transactions {
            requests,
            shared,
            committing: None,
            aborting: None,
            recovering: None,
            last: CommitState::Aborted,
        };
        transactions.recover_within(OPEN_WAIT)?;
        Ok(transactions)
    }

    /// Adds a record to the open transaction, opening one if there is none.
    pub fn send(&mut self, topic: &str, record: &OutRecord) -> Result<(), BusError> {
        if self.committing.is_some() {
            return Err(BusError::Fatal("the commit before has not been answered yet".to_owned()));
        }
        let mut producer = self.shared.lock();
        let producer = producer.as_mut().ok_or_else(no_identity)?;
        // Whatever it is, the worker aborts; the answer to that tells what became of the identity.
        producer.send(topic, record).map_err(|why| BusError::Unavailable(why.to_string()))
    }

    pub fn start_commit(
        &mut self,
        positions: TopicPartitionList,
        group: Option<ConsumerGroupMetadata>,
    ) -> Result<(), BusError> {
        let (answer, committing) = sync_channel(1);
        self.ask(Request::Commit { positions, group, answer })?;
        self.committing = Some(committing);
        Ok(())
    }

    pub fn poll_commit(&mut self, wait: Duration) -> CommitState {
        let Some(committing) = &self.committing else { return self.last };
        self.last = match committing.recv_timeout(wait) {
            Ok(state) => state,
            Err(RecvTimeoutError::Timeout) => return CommitState::Pending,
            Err(RecvTimeoutError::Disconnected) => CommitState::Uncertain,
        };
        self.committing = None;
        self.last
    }

    /// A commit that was started can't be called back: then its outcome is the answer.
    pub fn abort(&mut self) -> Result<CommitState, BusError> {
        if self.committing.is_some() {
            return Ok(self.poll_commit(ANSWER_WAIT));
        }
        if self.aborting.is_none() {
            let (answer, aborting) = sync_channel(1);
            self.ask(Request::Abort(answer))?;
            self.aborting = Some(aborting);
        }
        let Some(aborting) = &self.aborting else { return Ok(CommitState::Pending) };
        let state = match aborting.recv_timeout(ANSWER_WAIT) {
            Ok(state) => state,
            Err(RecvTimeoutError::Timeout) => return Ok(CommitState::Pending),
            Err(RecvTimeoutError::Disconnected) => CommitState::Uncertain,
        };
        self.aborting = None;
        Ok(state)
    }

    /// A new life of the same identity. What was begun before is settled when this answers.
    pub fn recover(&mut self) -> Result<(), BusError> {
        self.recover_within(ANSWER_WAIT)
    }

    fn recover_within(&mut self, wait: Duration) -> Result<(), BusError> {
        if self.recovering.is_none() {
            let (answer, recovering) = sync_channel(1);
            self.ask(Request::Recover(answer))?;
            self.recovering = Some(recovering);
        }
        let Some(recovering) = &self.recovering else { return Err(no_identity()) };
        match recovering.recv_timeout(wait) {
            Ok(()) => {
                (self.recovering, self.committing, self.aborting) = (None, None, None);
                self.last = CommitState::Aborted;
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err(no_identity()),
            Err(RecvTimeoutError::Disconnected) => Err(BusError::Fatal("the thread for transactions died".to_owned())),
        }
    }

    pub fn log_clock(&self) -> LogClock {
        // The thread holds the producer while it commits; whoever asks then learns nothing new.
        let producer = self.shared.producer.try_lock();
        let at = producer.ok().and_then(|producer| producer.as_ref().and_then(TxProducer::appended_at));
        LogClock::Told(at.map(Time))
    }

    fn ask(&self, request: Request) -> Result<(), BusError> {
        let died = |_| BusError::Fatal("the thread for transactions died".to_owned());
        self.requests.send(request).map_err(died)
    }
}

impl Drop for Transactions {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
    }
}

impl Committer {
    fn run(self, requests: &Receiver<Request>) {
        for request in requests {
            match request {
                Request::Commit { positions, group, answer } => {
                    let state = self.commit(&positions, group.as_ref());
                    let _ = answer.send(state);
                }
                Request::Abort(answer) => {
                    let _ = answer.send(self.abort());
                }
                Request::Recover(answer) => {
                    // Before anything else: a client that lives on could still send something under the old identity.
                    drop(self.shared.lock().take());
                    if !self.renew() {
                        return;
                    }
                    let _ = answer.send(());
                }
            }
        }
        // Nothing that is still open may hold readers back until it times out.
        if let Some(mut producer) = self.shared.lock().take() {
            producer.abort();
        }
    }

    fn commit(&self, positions: &TopicPartitionList, group: Option<&ConsumerGroupMetadata>) -> CommitState {
        let mut held = self.shared.lock();
        let Some(producer) = held.as_mut() else { return CommitState::Uncertain };
        let state = producer.commit(positions, group);
        self.settle(held, state)
    }

    fn abort(&self) -> CommitState {
        let mut held = self.shared.lock();
        let Some(producer) = held.as_mut() else { return CommitState::Uncertain };
        let state = producer.abort();
        self.settle(held, state)
    }

    /// Gives an identity up that may have a second end of a transaction under way, before the outcome is told.
    fn settle(&self, mut held: MutexGuard<'_, Option<TxProducer>>, state: CommitState) -> CommitState {
        let known = matches!(state, CommitState::Committed | CommitState::Aborted);
        if known && held.as_ref().is_some_and(TxProducer::is_suspect) {
            tracing::info!(name = %self.name, "renewing the producer: its last request may have been sent twice");
            drop(held.take());
            drop(held);
            self.renew();
        }
        state
    }

    /// A new client with a new epoch. Tries until it has one; false if the worker is gone.
    fn renew(&self) -> bool {
        let mut client = None;
        while !self.shared.over.load(Ordering::Acquire) {
            match self.try_renew(&mut client) {
                Ok(()) => {
                    *self.shared.lock() = client;
                    return true;
                }
                Err(why) => {
                    tracing::warn!(name = %self.name, error = %why, "no identity for transactions yet");
                    if failure_of(&why) != Failure::Retry {
                        client = None;
                    }
                    std::thread::sleep(INIT_PAUSE);
                }
            }
        }
        false
    }

    fn try_renew(&self, client: &mut Option<TxProducer>) -> Result<(), KafkaError> {
        let client = match client {
            Some(client) => client,
            None => client.insert(TxProducer::new(&self.config)?),
        };
        client.init(INIT_WAIT)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<TxProducer>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_identity() -> BusError {
    BusError::Unavailable("the cluster has not given this worker its transactional identity yet".to_owned())
}
