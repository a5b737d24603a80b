//! What makes a stage: its input, its shards, and how its worker treats posts.

use std::sync::Arc;

use super::pressure::Pressure;
use super::shard::Shard;
use crate::bus::{BusError, RecordRef, Subscription, TopicPartition};
use crate::domain::{Span, Time};

/// One of the three stages. Shared by all its workers; everything mutable lives in the shards.
pub trait Stage: Send + Sync + 'static {
    type Shard: Shard;

    /// `screen`, `accounts` or `offers`.
    fn name(&self) -> &'static str;

    fn subscriptions(&self) -> Vec<Subscription>;

    /// The topic whose partition p restores the shard of input partition p; `None` for a stage whose state fits the
    /// note.
    fn changelog(&self) -> Option<Arc<str>>;

    /// A fresh shard. `note` is what the last committer left with the position ("" if nobody did).
    fn shard(&self, at: &TopicPartition, note: &str) -> Self::Shard;

    /// Runs on the worker's thread before every poll, which waits for it: the screen follows the catalogue here.
    fn before_poll(&self) -> Result<(), BusError> {
        Ok(())
    }

    /// Runs on the worker's thread while the record is still borrowed: decides what is copied.
    fn admit(&self, at: &TopicPartition, record: RecordRef<'_>) -> Admitted;

    /// Which topics must have been forwarded before posts are taken.
    fn gate(&self) -> Gate;

    /// Where its shards' standings go, and what holds its posts back; side inputs flow on.
    fn pressure(&self) -> Option<&Pressure> {
        None
    }

    /// By how much our clock may differ from the log's before it is no longer believed; `None` where none matters.
    fn skew_max(&self) -> Option<Span> {
        None
    }

    /// Whether shards want an empty batch from time to time while nothing comes.
    fn wants_idle(&self) -> bool {
        false
    }
}

/// What becomes of a record that was read. Its offset is consumed in any case (I9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The shard reads it.
    Copy,
    /// Nothing in it matters.
    Skip,
    /// Only its time matters.
    Moment(Time),
}

/// Whether some subscriptions wait for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing waits.
    None,
    /// These are the side inputs. Every other subscription is posts: after each assignment they wait until the side
    /// inputs were forwarded up to the ends captured then.
    Some(Vec<Arc<str>>),
}

impl Gate {
    /// Whether partitions of this topic wait for the side inputs.
    pub fn holds(&self, topic: &str) -> bool {
        match self {
            Gate::None => false,
            Gate::Some(side_inputs) => !side_inputs.iter().any(|side| &**side == topic),
        }
    }
}
