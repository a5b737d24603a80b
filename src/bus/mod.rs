//! The seam between the engine and a log: consume, process, produce in transactions.
//!
//! Three implementations stand side by side: [`embedded`] (a durable log in one file, the default), [`kafka`] and
//! [`sim`].
//! The engine knows only these traits and relies on these promises:
//!
//! 1. **Order.** A partition is an append-only sequence of records at strictly increasing offsets. Offsets may have
//!    gaps (transaction markers, compaction): compare positions, never counts.
//! 2. **Whole.** What one transaction sends and the offsets that it commits become visible to committed readers
//!    together or not at all (I8). Nothing is visible before [`BusWorker::poll_commit`] could answer `Committed`.
//! 3. **Fenced.** A worker whose partitions went to another, or whose identity was taken over, can no longer commit: it
//!    is told `Fenced` and nothing that it sent becomes visible (I7).
//! 4. **Uncertain is a word.** When the outcome of a commit or abort can't be known, the answer is `Uncertain`. The
//!    caller must then [`BusWorker::recover`] and rebuild its shards from changelog and committed offsets; whichever
//!    outcome it was, it is final once `recover` returns.
//! 5. **Restore bound.** [`Reader::end`] counts every record, those of open transactions too, while [`Reader::read`]
//!    gives committed ones only. A restore that reads until its position reaches the end misses nothing that was
//!    committed.
//! 6. **Assignment.** Partitions arrive by [`Polled::Assigned`], paused; they are fetched from the offset that
//!    [`BusWorker::resume_at`] names. On [`Polled::Revoking`] the group waits for [`BusWorker::release`], so that a
//!    last commit still succeeds, unless `lost`: then only abort.
//! 7. **Preference.** A poll gives records of ordinary topics only if every assigned, unpaused partition of a
//!    *preferred* topic was read to an end that was looked up no later than the ends of the ordinary ones.
//! 8. **Partitioner.** A record without partition goes to `murmur2(key) mod partitions`, as Kafka's default partitioner
//!    does, on every implementation: an account lives in the same partition wherever the program runs.
//! 9. **Time.** A record's timestamp is its append time by the log's clock. It decides nothing but what DESIGN says.

mod appender;
pub mod embedded;
pub mod headers;
pub mod kafka;
pub mod sim;

use std::sync::Arc;
use std::time::Duration;

use self::appender::Transacted;
use self::headers::Headers;
use crate::domain::Time;

/// A topic (logical name, without `topics.prefix`) and partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: u32,
}

/// A record as the bus lends it during a poll; copy what must outlive the call.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    pub offset: u64,
    pub timestamp: Time,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// A record to send. Built by the wire, never changed by the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord {
    pub topic: Arc<str>,
    /// `None`: by the key's hash; without key, partition 0.
    pub partition: Option<u32>,
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(&'static str, String)>,
}

/// A position of a group in a partition: the next offset to read, and a note that the committer left with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub offset: u64,
    pub note: String,
}

/// What one worker consumes and as whom it produces.
#[derive(Clone, Debug)]
pub struct WorkerSpec {
    /// Consumer group; positions are kept per group.
    pub group: String,
    /// Stable name of this worker within the group; a restart under the same name fences its predecessor.
    pub name: String,
    pub topics: Vec<Subscription>,
    /// (this worker's number, how many workers share the group in this process).
    pub slot: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub topic: Arc<str>,
    /// See promise 7.
    pub preferred: bool,
}

/// How much one poll may give.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub records_max: usize,
    pub bytes_max: usize,
}

/// What a poll brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// This many records were visited.
    Records(usize),
    /// Nothing came within the wait.
    Idle,
    /// These partitions are this worker's from now on, paused, at the group's committed positions.
    Assigned(Vec<(TopicPartition, Position)>),
    /// Finish or abort, park, then call [`BusWorker::release`]. `lost`: others may own them already, abort only.
    Revoking { partitions: Vec<TopicPartition>, lost: bool },
}

/// How a commit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitState {
    Pending,
    Committed,
    /// Nothing of it is or will be visible; take back and replay.
    Aborted,
    /// Promise 4.
    Uncertain,
    /// Promise 3: another owns this identity or these partitions.
    Fenced,
}

/// What is known of the clock by which the log stamps records (promise 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogClock {
    /// The clock of this process.
    Ours,
    /// One of its own: the append time of the last record that this worker sent, as far as that was told.
    Told(Option<Time>),
}

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// May pass: the caller retries after a pause.
    #[error("the log is not available now: {0}")]
    Unavailable(String),
    /// The caller can't go on with this worker.
    #[error("the log failed: {0}")]
    Fatal(String),
    /// Somebody else holds what this program needs (the folder, the identity).
    #[error("{0}")]
    Taken(String),
    /// It was told to be as it can't be.
    #[error("{0}")]
    Misconfigured(String),
}

/// A log that many workers share.
pub trait Bus: Send + Sync + 'static {
    fn worker(&self, spec: WorkerSpec) -> Result<Box<dyn BusWorker>, BusError>;

    fn reader(&self) -> Result<Box<dyn Reader>, BusError>;

    /// Number of partitions of a topic.
    fn partitions(&self, topic: &str) -> Result<u32, BusError>;

    /// All partitions of a topic, in order.
    fn all_of(&self, topic: &str) -> Result<Vec<TopicPartition>, BusError> {
        let topic: Arc<str> = Arc::from(topic);
        let at = |partition| TopicPartition { topic: topic.clone(), partition };
        Ok((0..self.partitions(&topic)?).map(at).collect())
    }

    /// The committed position of a group, `None` where it never committed.
    fn position(&self, group: &str, at: &TopicPartition) -> Result<Option<Position>, BusError>;

    /// [`Bus::position`] in several partitions, in their order; looked up together where that is cheaper.
    fn positions(&self, group: &str, all: &[TopicPartition]) -> Result<Vec<Option<Position>>, BusError> {
        all.iter().map(|at| self.position(group, at)).collect()
    }

    /// An end for whoever stands outside of the program and feeds it: a gateway, a load. In transactions of a worker of
    /// this name, unless the log has a cheaper way.
    fn appender(&self, name: &str) -> Result<Box<dyn Appender>, BusError> {
        Ok(Box::new(Transacted::new(self, name)?))
    }
}

/// Appends records, and commits no positions.
pub trait Appender: Send {
    /// Appends all records, in order within each partition; they can be read when this answers. After an error some of
    /// them may be there, and a record may be there twice: redelivery changes nothing.
    fn append(&mut self, records: &[OutRecord]) -> Result<(), BusError>;
}

/// One consumer and one transactional producer, used by one thread.
pub trait BusWorker: Send {
    /// Gives records to `visit` in offset order per partition, or an event. Waits at most `wait` for the first.
    fn poll(
        &mut self,
        budget: Budget,
        wait: Duration,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError>;

    /// Fetches these partitions from these offsets on. Also seeks: after an abort the caller names its old positions.
    fn resume_at(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), BusError>;

    /// Stops fetching; records already handed out stay valid, and what was fetched before may still be given by a later
    /// poll. [`BusWorker::resume_at`] starts again, from there on only.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError>;

    /// Whether the next offset to fetch was the partition's end when last looked at.
    fn at_end(&self, at: &TopicPartition) -> bool;

    /// What the last record that was sent tells of the log's clock.
    fn log_clock(&self) -> LogClock;

    /// The answer to [`Polled::Revoking`].
    fn release(&mut self) -> Result<(), BusError>;

    /// Adds a record to the open transaction, opening one if there is none.
    fn send(&mut self, record: &OutRecord) -> Result<(), BusError>;

    /// Starts to commit the open transaction together with these positions of the worker's group. With no transaction
    /// open it opens one: positions alone are a transaction too.
    fn start_commit(&mut self, positions: &[(TopicPartition, Position)]) -> Result<(), BusError>;

    /// Waits at most `wait` for the outcome of the started commit.
    fn poll_commit(&mut self, wait: Duration) -> CommitState;

    /// Ends the open transaction, if any, so that nothing of it becomes visible.
    fn abort(&mut self) -> Result<CommitState, BusError>;

    /// After `Uncertain` or `Fenced`: a new identity of the same name; everything older is settled when this returns.
    fn recover(&mut self) -> Result<(), BusError>;
}

/// Reads committed records of any partition, outside every group.
pub trait Reader: Send {
    /// First offset that is still kept.
    fn beginning(&mut self, at: &TopicPartition) -> Result<u64, BusError>;

    /// One past the last record, committed or not (promise 5).
    fn end(&mut self, at: &TopicPartition) -> Result<u64, BusError>;

    /// One past the last record below every open transaction: readers come no further for now.
    fn stable_end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        self.end(at)
    }

    /// [`Reader::end`] of several partitions, in their order; looked up together where that is cheaper.
    fn ends(&mut self, all: &[TopicPartition]) -> Result<Vec<u64>, BusError> {
        all.iter().map(|at| self.end(at)).collect()
    }

    /// Visits committed records from `from` on and returns the next position, which is past every gap it met. It
    /// returns `from` when nothing is there yet, but not because the log is away or slow. Records may be visited before
    /// it fails.
    fn read(
        &mut self,
        at: &TopicPartition,
        from: u64,
        budget: Budget,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError>;

    /// Visits committed records of several partitions and moves their positions, for whoever follows them all and comes
    /// back soon: what is not there yet is not awaited. Gives how many were visited, up to a budget for each partition.
    fn read_all(
        &mut self,
        positions: &mut [(TopicPartition, u64)],
        budget: Budget,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let mut visited = 0;
        for (at, position) in positions {
            *position = self.read(at, *position, budget, &mut |record| {
                visited += 1;
                visit(at, record);
            })?;
        }
        Ok(visited)
    }

    /// For whoever keeps the reader and comes back later: until the next read nothing is fetched for it.
    fn rest(&mut self) {}
}

impl TopicPartition {
    pub fn new(topic: &str, partition: u32) -> TopicPartition {
        TopicPartition { topic: Arc::from(topic), partition }
    }
}

impl Budget {
    /// A poll's worth for a restore or a tap.
    pub const BULK: Budget = Budget { records_max: 10_000, bytes_max: 8 << 20 };

    /// For whoever only wants to hear of the group.
    pub const NOTHING: Budget = Budget { records_max: 0, bytes_max: 0 };

    /// Takes a record of this many bytes off what is left; the last one may be larger than that.
    pub fn spend(&mut self, bytes: usize) {
        self.records_max = self.records_max.saturating_sub(1);
        self.bytes_max = self.bytes_max.saturating_sub(bytes);
    }

    pub fn is_used_up(&self) -> bool {
        self.records_max == 0 || self.bytes_max == 0
    }
}

impl RecordRef<'_> {
    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)
    }
}

/// The ends of all partitions of a topic.
pub fn ends_of(bus: &dyn Bus, reader: &mut dyn Reader, topic: &str) -> Result<Vec<(TopicPartition, u64)>, BusError> {
    let all = bus.all_of(topic)?;
    let ends = reader.ends(&all)?;
    Ok(all.into_iter().zip(ends).collect())
}

/// Kafka's default partitioner: `toPositive(murmur2(key)) % partitions`, seed 0x9747b28c
/// (`org.apache.kafka.common.utils.Utils.murmur2`).
pub fn partition_of_key(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ (word ^ (word >> 24)).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    for (i, byte) in rest.iter().enumerate() {
        h ^= u32::from(*byte) << (8 * i);
    }
    if !rest.is_empty() {
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_kafkas() {
        for (key, hash) in [
            ("21", -973932308i32),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }
}
