//! A process's connection, and readers outside every group.

use std::sync::Arc;

use rand::Rng;

use super::broker::{Life, Shared, lock};
use super::faults::Cheat;
use super::member::SimWorker;
use crate::bus::{Budget, Bus, BusError, BusWorker, Position, Reader, RecordRef, TopicPartition, WorkerSpec};

/// The most records that a short read gives.
const SHORT_READ_MAX: usize = 16;

/// The bus as one life of a process sees it.
pub(super) struct Connection {
    broker: Shared,
    life: Life,
}

struct SimReader {
    broker: Shared,
    life: Life,
}

impl Connection {
    pub fn new(broker: Shared, life: Life) -> Connection {
        Connection { broker, life }
    }
}

impl Bus for Connection {
    fn worker(&self, spec: WorkerSpec) -> Result<Box<dyn BusWorker>, BusError> {
        Ok(Box::new(SimWorker::open(Arc::clone(&self.broker), self.life, spec)?))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, BusError> {
        Ok(Box::new(SimReader { broker: Arc::clone(&self.broker), life: self.life }))
    }

    fn partitions(&self, topic: &str) -> Result<u32, BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        Ok(broker.topic(topic)?.len() as u32)
    }

    fn position(&self, group: &str, at: &TopicPartition) -> Result<Option<Position>, BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        let group = broker.group(group);
        let (position, is_stable) = broker.groups[group].position(at);
        let lags = broker.strikes(|faults| faults.lagging_position);
        if (lags || !is_stable) && !broker.cheats(Cheat::UnstablePositions) {
            return Err(BusError::Unavailable(format!("the position of {}/{} is not stable", at.topic, at.partition)));
        }
        Ok(position)
    }
}

impl Reader for SimReader {
    fn beginning(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        broker.number(at).map(|_| 0)
    }

    fn end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        let log = &broker.logs[broker.number(at)?];
        Ok(if broker.cheats(Cheat::RestoreBoundedByLso) { log.stable() } else { log.end() })
    }

    fn stable_end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        Ok(broker.logs[broker.number(at)?].stable())
    }

    fn read(
        &mut self,
        at: &TopicPartition,
        from: u64,
        budget: Budget,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let mut guard = lock(&self.broker);
        let broker = &mut *guard;
        broker.call(self.life)?;
        let number = broker.number(at)?;
        if broker.leaderless.contains(&number) {
            return Err(BusError::Unavailable(format!("nobody leads {}/{}", at.topic, at.partition)));
        }
        let mut left = budget;
        if broker.strikes(|faults| faults.short_polls) {
            left.records_max = broker.rng.random_range(1..=budget.records_max.clamp(1, SHORT_READ_MAX));
        }
        let isolation = broker.isolation();
        let next =
            broker.logs[number].read(from, isolation, &broker.fates, &mut left, &mut |entry| visit(entry.lend()));
        // A reader may lose its connection after it was given something.
        broker.fail_by_draw()?;
        Ok(next)
    }
}
