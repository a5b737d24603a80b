//! The two ends of the log for whoever stands outside of the program: what a simulated network writes into input
//! topics, and what it reads back from output topics.

use anyhow::Context;

use crate::bus::{Appender, Budget, Bus, OutRecord, Reader, TopicPartition, ends_of};

/// Writes records into input topics.
pub struct Writer {
    appender: Box<dyn Appender>,
}

/// Reads topics from where they ended when it was made.
pub struct Outputs {
    reader: Box<dyn Reader>,
    positions: Vec<(TopicPartition, u64)>,
}

impl Writer {
    /// A writer of this name; on a log where it writes in transactions a second one of the same name fences the first.
    pub fn new(bus: &dyn Bus, name: &str) -> anyhow::Result<Writer> {
        Ok(Writer { appender: bus.appender(name).context("the log takes no writer")? })
    }

    /// Writes all records; they can be read when this answers.
    pub fn write(&mut self, records: &[OutRecord]) -> anyhow::Result<()> {
        self.appender.append(records).context("records were not written")
    }
}

impl Outputs {
    pub fn new(bus: &dyn Bus, topics: &[&str]) -> anyhow::Result<Outputs> {
        let mut reader = bus.reader()?;
        let mut positions = Vec::new();
        for topic in topics {
            positions.extend(ends_of(bus, &mut *reader, topic)?);
        }
        Ok(Outputs { reader, positions })
    }

    /// Visits (topic, value) of every record that is new, and tells how many there were.
    pub fn read(&mut self, visit: &mut dyn FnMut(&str, &[u8])) -> anyhow::Result<u64> {
        let mut count = 0;
        loop {
            let visited = self.reader.read_all(&mut self.positions, Budget::BULK, &mut |at, record| {
                visit(&at.topic, record.value.unwrap_or_default());
            })?;
            count += visited;
            if visited == 0 {
                return Ok(count);
            }
        }
    }
}
