//! The transactions of one worker: its producer on a thread of its own, so that the next batch is decided while the
//! last one is committed.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::complaints::complain;
use super::is_hopeless;
use super::outcome::{Failure, failure_of};
use super::producer::{Hopeless, TxProducer};
use crate::bus::{BusError, CommitState, LogClock, OutRecord};
use crate::clock::Stopwatch;
use crate::domain::Time;

/// An identity is asked for so long before it is told that it did not come yet.
const INIT_WAIT: Duration = Duration::from_secs(5);
/// A client that has not got one after so many tries is replaced.
const INIT_TRIES_MAX: u32 = 4;
/// Pause between two tries for an identity.
const INIT_PAUSE: Duration = Duration::from_millis(100);
/// A caller waits so long for an abort or an identity, then it hears that the log is away.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// A thread that has not answered for so long does not come back. Above what the producer tries by itself, and below
/// `max.poll.interval.ms`, which runs meanwhile.
const STUCK_AFTER_SECONDS: f64 = 25.0;
/// A new worker waits longer: a cluster's first transaction makes it create its own topics.
const OPEN_WAIT: Duration = Duration::from_secs(20);

/// The worker's side.
pub struct Transactions {
    config: ClientConfig,
    name: String,
    line: Line,
    committing: Option<Receiver<CommitState>>,
    aborting: Option<Receiver<CommitState>>,
    recovering: Option<Receiver<()>>,
    /// Since the thread was asked for what it has not answered yet.
    asked: Option<Stopwatch>,
    last: CommitState,
}

/// The way to a thread.
struct Line {
    requests: Sender<Request>,
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` until it has an identity, and again when that may not be used any more.
    producer: Mutex<Option<TxProducer>>,
    /// Told when the producer has come.
    came: Condvar,
    /// The worker is gone, or has another thread.
    over: AtomicBool,
    hopeless: Hopeless,
    /// The worker has another thread.
    abandoned: AtomicBool,
    /// When the broker appended the last record that was delivered, in milliseconds since 1970; -1 until it was told.
    appended_at: AtomicI64,
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

impl Line {
    /// Starts a thread; it has no identity yet.
    fn start(config: &ClientConfig, name: &str) -> Result<Line, BusError> {
        let (requests, received) = channel();
        let shared = Arc::new(Shared {
            producer: Mutex::new(None),
            came: Condvar::new(),
            over: AtomicBool::new(false),
            hopeless: Hopeless::default(),
            abandoned: AtomicBool::new(false),
            appended_at: AtomicI64::new(-1),
        });
        let committer = Committer { config: config.clone(), name: name.to_owned(), shared: shared.clone() };
        std::thread::Builder::new()
            .name(format!("tx-{name}"))
            .spawn(move || committer.run(&received))
            .map_err(|why| BusError::Fatal(format!("no thread for transactions: {why}")))?;
        Ok(Line { requests, shared })
    }
}

impl Transactions {
    /// Starts the thread and takes the identity over; waits until it is had, or for a while.
    pub fn open(config: ClientConfig, name: &str) -> Result<Transactions, BusError> {
        let mut transactions = Transactions {
            line: Line::start(&config, name)?,
            config,
            name: name.to_owned(),
            committing: None,
            aborting: None,
            recovering: None,
            asked: None,
            last: CommitState::Aborted,
        };
        transactions.recover_within(OPEN_WAIT)?;
        Ok(transactions)
    }

    /// Adds a record to the open transaction, opening one if there is none; `partition` as of [`TxProducer::enqueue`].
    pub fn send(&mut self, topic: &str, record: &OutRecord, partition: Option<u32>) -> Result<(), BusError> {
        if self.committing.is_some() {
            return Err(BusError::Fatal("the commit before has not been answered yet".to_owned()));
        }
        self.line.shared.ensure_hope()?;
        let mut producer = self.line.shared.await_producer(ANSWER_WAIT);
        let producer = producer.as_mut().ok_or_else(no_identity)?;
        producer.send(topic, record, partition).map_err(|why| match why {
            // It would be no smaller the next time.
            KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge) => BusError::Fatal(format!(
                "a record of {} bytes for {topic} is larger than message.max.bytes (and the topic's max.message.bytes)",
                record.value.as_ref().map_or(0, Vec::len)
            )),
            // Whatever it is, the worker aborts; the answer to that tells what became of the identity.
            why => {
                complain(&why, "producer", topic);
                BusError::Unavailable(why.to_string())
            }
        })
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
        let Some(committing) = self.committing.take() else { return self.last };
        let state = self.outcome(&committing, wait);
        if state == CommitState::Pending {
            self.committing = Some(committing);
        } else {
            self.last = state;
        }
        state
    }

    /// A commit that was started can't be called back: then its outcome is the answer.
    pub fn abort(&mut self) -> Result<CommitState, BusError> {
        if self.committing.is_some() {
            return Ok(self.poll_commit(ANSWER_WAIT));
        }
        let aborting = match self.aborting.take() {
            Some(aborting) => aborting,
            None => {
                let (answer, aborting) = sync_channel(1);
                self.ask(Request::Abort(answer))?;
                aborting
            }
        };
        let state = self.outcome(&aborting, ANSWER_WAIT);
        if state == CommitState::Pending {
            self.aborting = Some(aborting);
        }
        Ok(state)
    }

    /// What the thread answers within the wait; `Uncertain` if it is stuck or gone.
    fn outcome(&mut self, answer: &Receiver<CommitState>, wait: Duration) -> CommitState {
        match answer.recv_timeout(wait) {
            Ok(state) => {
                self.asked = None;
                state
            }
            Err(RecvTimeoutError::Timeout) if !self.is_stuck() => CommitState::Pending,
            Err(_) => CommitState::Uncertain,
        }
    }

    /// A new life of the same identity. What was begun before is settled when this answers.
    pub fn recover(&mut self) -> Result<(), BusError> {
        self.recover_within(ANSWER_WAIT)
    }

    fn recover_within(&mut self, wait: Duration) -> Result<(), BusError> {
        self.line.shared.ensure_hope()?;
        if self.recovering.is_none() {
            if self.is_stuck() {
                self.abandon()?;
            }
            let (answer, recovering) = sync_channel(1);
            self.ask(Request::Recover(answer))?;
            self.recovering = Some(recovering);
        }
        let Some(recovering) = &self.recovering else { return Err(no_identity()) };
        match recovering.recv_timeout(wait) {
            Ok(()) => {
                (self.recovering, self.committing, self.aborting, self.asked) = (None, None, None, None);
                self.last = CommitState::Aborted;
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err(no_identity()),
            Err(RecvTimeoutError::Disconnected) => {
                self.line.shared.ensure_hope()?;
                Err(BusError::Fatal("the thread for transactions died".to_owned()))
            }
        }
    }

    /// Whether the thread does not come back from a call. librdkafka has been seen to send offsets for ever once their
    /// coordinator had moved, whatever the timeout was.
    fn is_stuck(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.seconds() > STUCK_AFTER_SECONDS)
    }

    /// Leaves a thread to itself that does not come back, its client with it, and begins anew with another. Whatever
    /// the old one still does, it does under an identity that is fenced by then.
    fn abandon(&mut self) -> Result<(), BusError> {
        self.asked = None;
        tracing::warn!(name = %self.name, "a call to the cluster does not come back; its client is given up");
        self.line.shared.abandoned.store(true, Ordering::Release);
        self.line.shared.over.store(true, Ordering::Release);
        self.line = Line::start(&self.config, &self.name)?;
        Ok(())
    }

    pub fn log_clock(&self) -> LogClock {
        let at = self.line.shared.appended_at.load(Ordering::Acquire);
        LogClock::Told(Some(Time(at)).filter(|at| at.0 >= 0))
    }

    fn ask(&mut self, request: Request) -> Result<(), BusError> {
        self.line.shared.ensure_hope()?;
        self.asked = Some(Stopwatch::start());
        let died = |_| BusError::Fatal("the thread for transactions died".to_owned());
        self.line.requests.send(request).map_err(died)
    }
}

impl Drop for Transactions {
    fn drop(&mut self) {
        self.line.shared.over.store(true, Ordering::Release);
    }
}

impl Committer {
    fn run(self, requests: &Receiver<Request>) {
        for request in requests {
            match request {
                Request::Commit { positions, group, answer } => {
                    self.settle(|producer| producer.commit(&positions, group.as_ref()), &answer);
                }
                Request::Abort(answer) => self.settle(TxProducer::abort, &answer),
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
        // Nothing that is still open may hold readers back until it times out. Another thread has settled what this one
        // had open if it was given up.
        if let Some(mut producer) = self.shared.lock().take()
            && !self.shared.abandoned.load(Ordering::Acquire)
        {
            producer.abort();
        }
    }

    /// Ends a transaction and tells the outcome. An identity that may have a second end of it under way is given up
    /// first, and another is had before the next request.
    fn settle(&self, end: impl FnOnce(&mut TxProducer) -> CommitState, answer: &SyncSender<CommitState>) {
        let mut held = self.shared.lock();
        let Some(producer) = held.as_mut() else {
            let _ = answer.send(CommitState::Uncertain);
            return;
        };
        let state = end(producer);
        if let Some(at) = producer.appended_at() {
            self.shared.appended_at.store(at, Ordering::Release);
        }
        let known = matches!(state, CommitState::Committed | CommitState::Aborted);
        let renew = known && producer.is_suspect();
        if renew {
            tracing::info!(name = %self.name, "renewing the producer: its last request may have been sent twice");
            drop(held.take());
        }
        drop(held);
        let _ = answer.send(state);
        if renew {
            self.renew();
        }
    }

    /// A new client with a new epoch. Tries until it has one; false if the worker is gone, or none will be had.
    fn renew(&self) -> bool {
        let (mut client, mut tries) = (None, 0);
        while !self.shared.over.load(Ordering::Acquire) && self.shared.ensure_hope().is_ok() {
            match self.try_renew(&mut client) {
                Ok(()) => {
                    *self.shared.lock() = client;
                    self.shared.came.notify_all();
                    return true;
                }
                Err(why) => {
                    if is_hopeless(&why) {
                        let told = || format!("no transactional identity for {}: {why}", self.name);
                        self.shared.hopeless.get_or_init(told);
                    }
                    tracing::warn!(name = %self.name, error = %why, "no identity for transactions yet");
                    tries += 1;
                    if failure_of(&why) != Failure::Retry || tries % INIT_TRIES_MAX == 0 {
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
            None => client.insert(TxProducer::new(&self.config, self.shared.hopeless.clone())?),
        };
        client.init(INIT_WAIT)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<TxProducer>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ensure_hope(&self) -> Result<(), BusError> {
        self.hopeless.get().map_or(Ok(()), |why| Err(BusError::Fatal(why.clone())))
    }

    /// The producer, or none if it is still on its way then.
    fn await_producer(&self, wait: Duration) -> MutexGuard<'_, Option<TxProducer>> {
        let waited = self.came.wait_timeout_while(self.lock(), wait, |producer| producer.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn no_identity() -> BusError {
    BusError::Unavailable("the cluster has not given this worker its transactional identity yet".to_owned())
}
