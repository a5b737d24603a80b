//! A transactional producer: one life of a `transactional.id`. All calls block; [`super::transactions`] makes them on a
//! thread of its own. Without identity it can only [`TxProducer::enqueue`], outside of every transaction.
//!
//! A transaction is drained before it is committed: all delivery reports served *and* librdkafka's own count at zero.
//! Otherwise rust-rdkafka's commit waits in steps of 100 ms.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::util::Timeout;
use rdkafka::{Timestamp, TopicPartitionList};

use super::clients::tell;
use super::complaints::complain;
use super::is_hopeless;
use super::native::{Doorbell, Queue};
use super::outcome::{Failure, failure_of};
use crate::bus::{CommitState, OutRecord};
use crate::clock::{Deadline, Stopwatch};
use crate::planted::{self, Bug};

/// A record waits so long for room in the producer's queue.
const ROOM_WAIT: Duration = Duration::from_secs(30);
/// Longest sleep while delivery reports are awaited; the bell ends it earlier.
const DRAIN_NAP: Duration = Duration::from_millis(10);
/// A commit that takes longer may have been sent twice.
const SUSPECT_AFTER_SECONDS: f64 = 1.0;
/// The end of a transaction is tried for so long; then nobody knows it, and a new identity settles it.
const OUTCOME_WAIT: Duration = Duration::from_secs(10);
/// A call that may be tried again is, after so long.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Why nothing that a worker writes would fare better however often it were tried: no right, or a record that its topic
/// does not take. The first to learn it tells; it outlives the client.
pub type Hopeless = Arc<OnceLock<String>>;

pub struct TxProducer {
    events: Queue,
    bell: Arc<Doorbell>,
    producer: BaseProducer<Reports>,
    open: bool,
}

/// What the client reports between calls.
#[derive(Default)]
pub struct Reports {
    /// The first record of the open transaction that could not be delivered.
    undelivered: Mutex<Option<KafkaError>>,
    hopeless: Hopeless,
    /// A request timed out or a connection broke: librdkafka may have sent a commit or abort twice.
    suspect: AtomicBool,
    /// Append time of the last delivered record, by a broker that stamps them; else -1.
    appended_at: AtomicI64,
}

impl TxProducer {
    /// A client; it has no identity yet.
    pub fn new(config: &ClientConfig, hopeless: Hopeless) -> Result<TxProducer, KafkaError> {
        let reports = Reports { appended_at: AtomicI64::new(-1), hopeless, ..Reports::default() };
        let producer = BaseProducer::from_config_and_context(config, reports)?;
        let bell = Arc::new(Doorbell::default());
        let events = Queue::of_events(producer.client().native_ptr()).expect("every client has a queue of events");
        Ok(TxProducer { events: events.with_bell(&bell), bell, producer, open: false })
    }

    /// Takes the identity over: whatever a predecessor left open is aborted when this answers.
    pub fn init(&self, longest: Duration) -> Result<(), KafkaError> {
        let outcome = self.producer.init_transactions(longest);
        self.serve();
        outcome
    }

    /// Adds a record to the open transaction, opening one if there is none.
    pub fn send(&mut self, topic: &str, record: &OutRecord, partition: Option<u32>) -> Result<(), KafkaError> {
        self.begin()?;
        self.enqueue(topic, record, partition)
    }

    /// Sends a record into a partition, `None` if nobody knows which: in the open transaction, or outside of any by a
    /// producer that has no identity.
    pub fn enqueue(&mut self, topic: &str, record: &OutRecord, partition: Option<u32>) -> Result<(), KafkaError> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut out: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).headers(headers);
        out.key = record.key.as_deref();
        out.payload = record.value.as_deref();
        // A record without key goes to partition 0, on every bus; one with a key by its hash.
        out.partition = match (partition, &record.key) {
            (Some(partition), _) => Some(i32::try_from(partition).unwrap_or(i32::MAX)),
            (None, None) => Some(0),
            (None, Some(_)) => None,
        };
        let deadline = Deadline::after(ROOM_WAIT);
        loop {
            match self.producer.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) if !deadline.is_over() => {
                    self.serve();
                    self.bell.wait(DRAIN_NAP);
                    out = back;
                }
                Err((why, _)) => return Err(why),
            }
        }
    }

    /// Waits until all that was sent is delivered. An error: the first record that was given up, why.
    pub fn delivered(&self) -> Result<(), KafkaError> {
        self.drain();
        lock(&self.reports().undelivered).take().map_or(Ok(()), Err)
    }

    /// Commits the open transaction together with these positions; opens one if there is none.
    pub fn commit(&mut self, positions: &TopicPartitionList, group: Option<&ConsumerGroupMetadata>) -> CommitState {
        match self.try_commit(positions, group) {
            Ok(()) => CommitState::Committed,
            Err(why) => self.failed(&why),
        }
    }

    /// Ends the open transaction, if any, so that nothing of it becomes visible.
    pub fn abort(&mut self) -> CommitState {
        if !std::mem::take(&mut self.open) {
            return CommitState::Aborted;
        }
        // What is on its way must have arrived before an abort overtakes it (librdkafka 4849).
        self.drain();
        let deadline = Deadline::after(OUTCOME_WAIT);
        let outcome = self.again(&deadline, |producer, wait| producer.abort_transaction(wait));
        self.serve();
        let Err(why) = outcome else { return CommitState::Aborted };
        match failure_of(&why) {
            Failure::Fenced | Failure::AbortFenced => CommitState::Fenced,
            Failure::Retry | Failure::Abort | Failure::Uncertain => {
                tracing::warn!(error = %why, "a transaction could not be aborted");
                CommitState::Uncertain
            }
        }
    }

    /// Whether librdkafka may have sent the end of a transaction twice. A late second one could end a later transaction
    /// (librdkafka has no KIP-890; issue 5423), so this identity must not begin another.
    pub fn is_suspect(&self) -> bool {
        self.serve();
        self.reports().suspect.load(Ordering::Acquire) && !planted::is(Bug::ProducerKept)
    }

    /// When the broker appended the last record that was delivered, in milliseconds since 1970.
    pub fn appended_at(&self) -> Option<i64> {
        Some(self.reports().appended_at.load(Ordering::Acquire)).filter(|at| *at >= 0)
    }

    fn try_commit(
        &mut self,
        positions: &TopicPartitionList,
        group: Option<&ConsumerGroupMetadata>,
    ) -> Result<(), KafkaError> {
        self.begin()?;
        self.delivered()?;
        let (watch, deadline) = (Stopwatch::start(), Deadline::after(OUTCOME_WAIT));
        if let Some(group) = group.filter(|_| positions.count() > 0) {
            self.again(&deadline, |producer, wait| producer.send_offsets_to_transaction(positions, group, wait))?;
        }
        self.again(&deadline, |producer, wait| producer.commit_transaction(wait))?;
        self.open = false;
        if watch.seconds() > SUSPECT_AFTER_SECONDS {
            self.reports().suspect.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Opens a transaction if none is open.
    fn begin(&mut self) -> Result<(), KafkaError> {
        if !self.open {
            self.producer.begin_transaction()?;
            *lock(&self.reports().undelivered) = None;
            self.open = true;
        }
        Ok(())
    }

    /// Makes a call again, which takes the earlier one up where it is.
    fn again(
        &self,
        deadline: &Deadline,
        call: impl Fn(&BaseProducer<Reports>, Timeout) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        loop {
            match call(&self.producer, Timeout::After(deadline.left())) {
                Err(why) if failure_of(&why) == Failure::Retry && !deadline.is_over() => {
                    self.serve();
                    std::thread::sleep(RETRY_PAUSE);
                }
                other => return other,
            }
        }
    }

    fn failed(&mut self, why: &KafkaError) -> CommitState {
        if is_hopeless(why) {
            self.reports().hopeless.get_or_init(|| format!("a transaction is refused: {why}"));
        }
        // A record that was not delivered, and a flush that failed, leave a transaction that can be aborted.
        let failure = match why {
            KafkaError::MessageProduction(_) | KafkaError::Flush(_) => Failure::Abort,
            other => failure_of(other),
        };
        tracing::warn!(error = %why, ?failure, "a transaction was not committed");
        match failure {
            Failure::Abort => self.abort(),
            Failure::AbortFenced => match self.abort() {
                CommitState::Aborted => CommitState::Fenced,
                other => other,
            },
            Failure::Fenced => CommitState::Fenced,
            Failure::Retry | Failure::Uncertain => CommitState::Uncertain,
        }
    }

    /// Waits until librdkafka holds no record any more, delivered or given up.
    fn drain(&self) {
        loop {
            self.serve();
            if self.producer.in_flight_count() == 0 {
                return;
            }
            self.bell.wait(DRAIN_NAP);
        }
    }

    /// Serves the events that wait: a poll of rust-rdkafka serves one.
    fn serve(&self) {
        for _ in 0..=self.events.len() {
            self.producer.poll(Duration::ZERO);
        }
    }

    fn reports(&self) -> &Reports {
        self.producer.context()
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if matches!(facility, "FAIL" | "REQTMOUT") {
            self.suspect.store(true, Ordering::Release);
        }
        // librdkafka tells it nowhere else: what waits for the partition times out.
        if facility == "ADDPARTS" && message.contains("authorization failed") {
            self.hopeless.get_or_init(|| message.to_owned());
        }
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.suspect.store(true, Ordering::Release);
        complain(&error, "producer", reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, _: ()) {
        match delivered {
            Ok(message) => {
                if let Timestamp::LogAppendTime(at) = message.timestamp() {
                    self.appended_at.store(at, Ordering::Release);
                }
            }
            Err((why, message)) => {
                if is_hopeless(why) {
                    let (bytes, topic) = (message.payload_len() + message.key_len(), message.topic());
                    self.hopeless.get_or_init(|| format!("a record of {bytes} bytes for {topic} is refused: {why}"));
                }
                lock(&self.undelivered).get_or_insert_with(|| why.clone());
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
