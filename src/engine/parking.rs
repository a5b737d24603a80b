//! Shards whose partition went away, kept in case it comes back: a rebalance must not cost a restore of what did not
//! move.

use std::collections::VecDeque;

use super::settings::PARKED_SHARDS_MAX;
use crate::bus::{Position, TopicPartition};
use crate::planted::{self, Bug};

/// The parked shards of one worker, oldest first, at most [`PARKED_SHARDS_MAX`] (I12).
#[derive(Debug)]
pub(super) struct Parked<S> {
    shards: VecDeque<(TopicPartition, Position, S)>,
}

impl<S> Default for Parked<S> {
    fn default() -> Parked<S> {
        Parked { shards: VecDeque::new() }
    }
}

impl<S> Parked<S> {
    /// Keeps a shard that is exactly at this committed position.
    pub fn put(&mut self, at: TopicPartition, position: Position, shard: S) {
        if self.shards.len() >= PARKED_SHARDS_MAX {
            self.shards.pop_front();
        }
        self.shards.push_back((at, position, shard));
    }

    /// The shard, if the group still stands where it was parked. Every transaction commits the position of each
    /// partition that it concerns, so an equal one (offset and note: a tick moves only the note) proves that nobody
    /// else advanced.
    pub fn take(&mut self, at: &TopicPartition, position: &Position) -> Option<S> {
        let index = self.shards.iter().position(|(parked, _, _)| parked == at)?;
        let (_, parked_at, shard) = self.shards.remove(index)?;
        (parked_at == *position || planted::is(Bug::ParkedShardTrusted)).then_some(shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_comes_back_only_if_nobody_advanced_and_parking_is_bounded() {
        let at = |partition| TopicPartition::new("in", partition);
        let position = |offset| Position { offset, note: String::new() };
        let mut parked = Parked::default();
        for partition in 0..=PARKED_SHARDS_MAX as u32 {
            parked.put(at(partition), position(7), partition);
        }
        assert_eq!(parked.take(&at(0), &position(7)), None, "the oldest made room");
        assert_eq!(parked.take(&at(1), &position(7)), Some(1));
        assert_eq!(parked.take(&at(1), &position(7)), None, "taken once");
        assert_eq!(parked.take(&at(2), &position(8)), None, "somebody advanced");
        let ticked = Position { offset: 7, note: "tick".to_owned() };
        assert_eq!(parked.take(&at(3), &ticked), None, "somebody ticked");
    }
}
