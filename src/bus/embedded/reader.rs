//! Reads partitions outside every group. All that is in the store is committed.

use std::sync::Arc;

use super::store::{Left, Share, Shared};
use crate::bus::{Budget, BusError, Reader, RecordRef, TopicPartition};

/// A reader of the embedded log.
pub struct EmbeddedReader {
    shared: Arc<Shared>,
    scratch: Vec<(String, Vec<u8>)>,
}

impl EmbeddedReader {
    pub fn new(shared: Arc<Shared>) -> EmbeddedReader {
        EmbeddedReader { shared, scratch: Vec::new() }
    }
}

impl Reader for EmbeddedReader {
    fn beginning(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        let snapshot = self.shared.snapshot()?;
        self.shared.number(at)?.map_or(Ok(0), |number| snapshot.beginning(number))
    }

    fn end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        let snapshot = self.shared.snapshot()?;
        self.shared.number(at)?.map_or(Ok(0), |number| snapshot.end(number))
    }

    fn read(
        &mut self,
        at: &TopicPartition,
        from: u64,
        budget: Budget,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let snapshot = self.shared.snapshot()?;
        let Some(number) = self.shared.number(at)? else {
            return Ok(from);
        };
        let mut left = Left { records: budget.records_max, bytes: budget.bytes_max, fresh: true };
        let share = Share { records: usize::MAX, bytes: usize::MAX };
        let span = (from, snapshot.end(number)?);
        snapshot.fetch(number, span, (share, &mut left), &mut self.scratch, visit)
    }
}
