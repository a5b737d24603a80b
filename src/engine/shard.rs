//! What a stage is to the engine: a pure shard per partition that decides batches and can take them back.

use crate::bus::{OutRecord, TopicPartition};
use crate::domain::Time;
pub use crate::engine::log_clock::Clocks;
use crate::engine::pressure::Standing;
use crate::wire::dead_letters::{DeadLetter, dead_letter};

/// A copied input record, as a shard reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InRecord {
    pub offset: u64,
    pub timestamp: Time,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// One element of a batch, in offset order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Record(InRecord),
    /// A post that can't matter was read; only its time counts. Made by the screen's prefilter.
    Moment(Time),
}

/// What a shard is handed at once: some records of its partition, and the moment as the worker's clock tells it. The
/// clock decides nothing but what DESIGN section 6 names.
#[derive(Clone, Debug)]
pub struct Batch {
    pub items: Vec<Item>,
    /// Records that were read, those passed over by the prefilter too.
    pub records: u64,
    pub now: Time,
    /// Everything in the partition has been read, as far as the bus knows.
    pub at_end: bool,
    pub clocks: Clocks,
}

/// What a shard decided: records to send, in order, and a note to commit with the position. What it left comes again,
/// before anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    pub records: Vec<OutRecord>,
    /// Replaces the position's note; `None` keeps it.
    pub note: Option<String>,
    /// How many items it took, if not all. The first that it left is a record; something of it may have been done.
    pub taken: Option<usize>,
    /// What it means for back-pressure, where the shard has a part in it.
    pub standing: Option<Standing>,
}

/// The state of one partition of one stage. Pure: the same calls give the same records. A batch that was decided is
/// either committed or taken back; at most two are open at a time, committed oldest first, taken back newest first.
pub trait Shard: Send + 'static {
    type Query: Send + 'static;
    type Answer: Send + 'static;

    /// Decides a batch and opens a layer of the undo journal.
    fn decide(&mut self, batch: &Batch) -> Decided;

    /// The oldest open layer is committed: forget how to take it back.
    fn committed(&mut self);

    /// Takes the newest open layer back, at a cost of what it touched.
    fn take_back(&mut self);

    /// A record of the changelog, oldest first; `None` deletes the key. Only before the first batch.
    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RestoreError>;

    fn query(&self, query: Self::Query) -> Self::Answer;

    /// Tells metrics how it stands: when it serves its partition again after it was parked.
    fn tell(&self) {}

    /// Tells metrics that it serves its partition no longer.
    fn tell_left(&self) {}
}

/// A changelog that can't be read means state that can't be trusted: the shard must not start.
#[derive(Debug, thiserror::Error)]
#[error("changelog record of key {key:?}: {why}")]
pub struct RestoreError {
    pub key: String,
    pub why: String,
}

impl Batch {
    /// The items that a shard left.
    pub fn left_by(mut self, decided: &Decided) -> Vec<Item> {
        decided.taken.map(|taken| self.items.split_off(taken)).unwrap_or_default()
    }
}

impl InRecord {
    /// The dead letter of a record that could not be understood (DESIGN section 3); with the body if configured.
    pub fn dead_letter(&self, at: &TopicPartition, reason: &str, detail: &str, body: bool) -> OutRecord {
        let letter = DeadLetter {
            topic: &at.topic,
            partition: at.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            value: self.value.as_deref().unwrap_or_default(),
            reason,
            detail,
        };
        dead_letter(&letter, body)
    }
}
