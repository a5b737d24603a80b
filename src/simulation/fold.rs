//! A second shard of each partition that is never restored, never taken back, and fed only what was committed (I6).
//!
//! A transaction commits a position for every partition that it concerns. Batches that made no output changed nothing,
//! so all input between two committed positions is one batch as far as anybody can tell: the fold decides it as one,
//! and must come to the very records that the transaction holds, those of the changelog among them.

use std::collections::VecDeque;

use crate::bus::OutRecord;
use crate::domain::Time;
use crate::engine::shard::{Batch, Clocks, InRecord, Item, Shard};

/// The committed input of one partition, and the shard that it comes to.
pub struct Fold<S> {
    pub shard: S,
    /// Visible and not yet consumed by any committed transaction.
    waiting: VecDeque<InRecord>,
    position: u64,
}

impl<S: Shard> Fold<S> {
    pub fn new(shard: S) -> Fold<S> {
        Fold { shard, waiting: VecDeque::new(), position: 0 }
    }

    /// A record became visible. False if its offset was consumed before that: nobody can have read it.
    pub fn push(&mut self, record: InRecord) -> bool {
        let in_order = record.offset >= self.position;
        self.waiting.push_back(record);
        in_order
    }

    /// A committed transaction moved the position: what it must have written for this partition. `begun`: it took part
    /// of the record there.
    pub fn advance(&mut self, to: u64, begun: bool, now: Time) -> Vec<OutRecord> {
        self.position = to;
        let count = self.waiting.iter().take_while(|record| record.offset < to).count();
        let items: Vec<Item> =
            self.waiting.iter().take(count + usize::from(begun)).cloned().map(Item::Record).collect();
        if items.is_empty() {
            return Vec::new();
        }
        let records = items.len() as u64;
        let decided = self.shard.decide(&Batch { items, records, now, at_end: false, clocks: Clocks::Agree });
        self.shard.committed();
        self.waiting.drain(..count);
        decided.records
    }

    /// Records that no committed transaction has consumed.
    pub fn unread(&self) -> usize {
        self.waiting.len()
    }
}
