//! The two ends of the log for whoever stands outside of the program: what a simulated network writes into input
//! topics, and what it reads back from output topics.

use std::time::Duration;

use anyhow::{Context, bail};

use crate::bus::{Budget, Bus, BusWorker, CommitState, OutRecord, Reader, TopicPartition, WorkerSpec};

/// Times that a batch of records is tried before its writer gives up.
const TRIES_MAX: u32 = 5;

/// How long one commit may take.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(30);

/// Writes records in transactions.
pub struct Writer {
    worker: Box<dyn BusWorker>,
}

/// Reads topics from where they ended when it was made.
pub struct Outputs {
    reader: Box<dyn Reader>,
    positions: Vec<(TopicPartition, u64)>,
}

impl Writer {
    /// A writer of this name; a second one of the same name fences the first.
    pub fn new(bus: &dyn Bus, name: &str) -> anyhow::Result<Writer> {
        let worker = bus.worker(WorkerSpec {
            group: format!("pay-by-tweet.{name}"),
            name: name.to_owned(),
            topics: Vec::new(),
            slot: (0, 1),
        });
        Ok(Writer { worker: worker.context("the log takes no writer")? })
    }

    /// Writes all records, visible together. A batch whose outcome is not known is written again: redelivery changes
    /// nothing.
    pub fn write(&mut self, records: &[OutRecord]) -> anyhow::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        for _ in 0..TRIES_MAX {
            for record in records {
                self.worker.send(record)?;
            }
            self.worker.start_commit(&[])?;
            match self.worker.poll_commit(COMMIT_WAIT_MAX) {
                CommitState::Committed => return Ok(()),
                CommitState::Aborted => {}
                CommitState::Uncertain => self.worker.recover()?,
                state @ (CommitState::Pending | CommitState::Fenced) => {
                    bail!("records were not committed: {state:?}");
                }
            }
        }
        bail!("records were not committed in {TRIES_MAX} tries")
    }
}

impl Outputs {
    pub fn new(bus: &dyn Bus, topics: &[&str]) -> anyhow::Result<Outputs> {
        let mut reader = bus.reader()?;
        let mut positions = Vec::new();
        for topic in topics {
            for partition in 0..bus.partitions(topic)? {
                let at = TopicPartition::new(topic, partition);
                let end = reader.end(&at)?;
                positions.push((at, end));
            }
        }
        Ok(Outputs { reader, positions })
    }

    /// Visits (topic, value) of every record that is new, and tells how many there were.
    pub fn read(&mut self, visit: &mut dyn FnMut(&str, &[u8])) -> anyhow::Result<u64> {
        let mut count = 0;
        for (at, position) in &mut self.positions {
            loop {
                let mut visited = 0;
                let next = self.reader.read(at, *position, Budget::BULK, &mut |record| {
                    visited += 1;
                    visit(&at.topic, record.value.unwrap_or_default());
                })?;
                *position = next;
                count += visited;
                if visited == 0 {
                    break;
                }
            }
        }
        Ok(count)
    }
}
