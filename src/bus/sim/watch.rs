//! What a run's checks see of the log: whatever became visible, and how each transaction ended.

use std::sync::Arc;

use super::SimBus;
use super::broker::lock;
use super::log::Isolation;
use crate::bus::{Budget, Position, TopicPartition};
use crate::domain::Time;

/// How far committed records were seen.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    version: Option<u64>,
    next: Vec<u64>,
}

/// A committed record. `transaction` is `None` for records of producers outside all transactions.
#[derive(Clone, Copy, Debug)]
pub struct SimRecord<'a> {
    pub at: &'a TopicPartition,
    pub offset: u64,
    pub timestamp: Time,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(String, Vec<u8>)],
    pub transaction: Option<u64>,
}

/// Where partitions ended at some moment.
pub type TookOver = Arc<Vec<(TopicPartition, u64)>>;

/// A transaction that was decided. Its markers are written then or later, partition by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As in [`SimRecord`].
    pub transaction: u64,
    /// `None`: somebody outside the program ([`SimBus::begin_foreign`]).
    pub producer: Option<Arc<str>>,
    pub epoch: u32,
    /// Of the positions; `None` if it carried none.
    pub group: Option<Arc<str>>,
    pub generation: Option<u32>,
    /// Where each partition ended when its producer took over what the group assigned to it.
    pub took_over_at: Option<TookOver>,
    pub committed: bool,
    pub positions: Vec<(TopicPartition, Position)>,
    pub records: Vec<(TopicPartition, u64)>,
}

impl SimBus {
    /// Visits what became visible to committed readers since the cursor: partition by partition, topics in the order of
    /// the options. Whatever compaction removed meanwhile is not seen. The visitor may not call the bus.
    pub fn committed_since(&self, cursor: &mut Cursor, visit: &mut dyn FnMut(&SimRecord<'_>)) {
        let broker = lock(&self.0);
        if cursor.version.replace(broker.version) == Some(broker.version) {
            return;
        }
        cursor.next.resize(broker.logs.len(), 0);
        for (log, next) in broker.logs.iter().zip(&mut cursor.next) {
            if *next >= log.stable() {
                continue;
            }
            let mut left = Budget { records_max: usize::MAX, bytes_max: usize::MAX };
            *next = log.read(*next, Isolation::Committed, &broker.fates, &mut left, &mut |entry| {
                visit(&SimRecord {
                    at: &log.at,
                    offset: entry.offset,
                    timestamp: entry.timestamp,
                    key: entry.content.key.as_deref(),
                    value: entry.content.value.as_deref(),
                    headers: &entry.content.headers,
                    transaction: entry.transaction,
                });
            });
        }
    }

    /// Visits the transactions that were decided since the cursor, in that order. The visitor may not call the bus.
    pub fn ended_since(&self, cursor: &mut usize, visit: &mut dyn FnMut(&Ended)) {
        let broker = lock(&self.0);
        broker.ended[(*cursor).min(broker.ended.len())..].iter().for_each(visit);
        *cursor = broker.ended.len();
    }

    /// Grows with everything that is written.
    pub fn version(&self) -> u64 {
        lock(&self.0).version
    }

    /// Transactions whose markers are not all written.
    pub fn open_transactions(&self) -> usize {
        lock(&self.0).open.len()
    }
}
