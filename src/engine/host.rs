//! Where shards live: behind direct calls, or behind actors.

use std::collections::BTreeMap;

use super::shard::{Batch, Decided, Item, Shard};
use crate::bus::TopicPartition;

/// Holds the shards of one worker. Calls name partitions that were `put` and not taken since.
pub trait Host<S: Shard> {
    fn put(&mut self, at: &TopicPartition, shard: S) -> Result<(), HostError>;

    /// Each shard decides its batch; shards may do so at the same time. Answers come in the order of the batches, each
    /// with the items that were left.
    fn decide(&mut self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<(Decided, Vec<Item>)>, HostError>;

    /// The oldest open layer of each of these shards is committed.
    fn committed(&mut self, shards: &[TopicPartition]) -> Result<(), HostError>;

    /// Takes the newest open layer of each of these shards back.
    fn take_back(&mut self, shards: &[TopicPartition]) -> Result<(), HostError>;

    /// Takes the shard out; `None` if it is not here.
    fn take(&mut self, at: &TopicPartition) -> Result<Option<S>, HostError>;

    /// `None` if the shard is not here.
    fn query(&mut self, at: &TopicPartition, query: S::Query) -> Result<Option<S::Answer>, HostError>;
}

/// A shard does not answer any more: its state can't be trusted, the program must end.
#[derive(Debug, thiserror::Error)]
#[error("the shard of {topic}-{partition} is gone: {why}")]
pub struct HostError {
    pub topic: String,
    pub partition: u32,
    pub why: String,
}

/// Direct calls on the worker's own thread; the simulator and tests run on it.
#[derive(Debug)]
pub struct Inline<S> {
    shards: BTreeMap<TopicPartition, S>,
}

impl HostError {
    pub fn new(at: &TopicPartition, why: impl ToString) -> HostError {
        HostError { topic: at.topic.to_string(), partition: at.partition, why: why.to_string() }
    }
}

impl<S> Default for Inline<S> {
    fn default() -> Inline<S> {
        Inline { shards: BTreeMap::new() }
    }
}

impl<S> Inline<S> {
    /// The shards by partition, for checks that look at state.
    pub fn shards(&self) -> &BTreeMap<TopicPartition, S> {
        &self.shards
    }

    fn at(&mut self, at: &TopicPartition) -> Result<&mut S, HostError> {
        self.shards.get_mut(at).ok_or_else(|| HostError::new(at, "never put here"))
    }
}

impl<S: Shard> Host<S> for Inline<S> {
    fn put(&mut self, at: &TopicPartition, shard: S) -> Result<(), HostError> {
        self.shards.insert(at.clone(), shard);
        Ok(())
    }

    fn decide(&mut self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<(Decided, Vec<Item>)>, HostError> {
        let answers = batches.into_iter().map(|(at, batch)| {
            let decided = self.at(&at)?.decide(&batch);
            let left = batch.left_by(&decided);
            Ok((decided, left))
        });
        answers.collect()
    }

    fn committed(&mut self, shards: &[TopicPartition]) -> Result<(), HostError> {
        shards.iter().try_for_each(|at| self.at(at).map(Shard::committed))
    }

    fn take_back(&mut self, shards: &[TopicPartition]) -> Result<(), HostError> {
        shards.iter().try_for_each(|at| self.at(at).map(Shard::take_back))
    }

    fn take(&mut self, at: &TopicPartition) -> Result<Option<S>, HostError> {
        Ok(self.shards.remove(at))
    }

    fn query(&mut self, at: &TopicPartition, query: S::Query) -> Result<Option<S::Answer>, HostError> {
        Ok(self.shards.get(at).map(|shard| shard.query(query)))
    }
}
