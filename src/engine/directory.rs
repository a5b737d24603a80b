//! The only shared map: which actor hosts the shard of a partition. One directory per stage; the HTTP side asks through
//! it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Addr;
use dashmap::DashMap;

use super::actor::{Ask, ShardActor};
use super::settings::QUERIES_IN_FLIGHT_MAX;
use super::shard::Shard;
use crate::bus::TopicPartition;

/// Input partition → address of its shard's actor, for the shards that are restored and live in this process. Clones
/// share.
pub struct Directory<S: Shard> {
    addresses: Arc<DashMap<TopicPartition, Addr<ShardActor<S>>>>,
    in_flight: Arc<AtomicUsize>,
}

/// Why a query has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Another process hosts it, or it is being restored.
    #[error("this partition is not live in this process now")]
    NotHere,
    /// [`QUERIES_IN_FLIGHT_MAX`] queries are under way.
    #[error("too many queries at once")]
    Busy,
}

impl<S: Shard> Directory<S> {
    /// Asks a shard. The answer may show what is decided and not yet committed.
    pub async fn query(&self, at: &TopicPartition, query: S::Query) -> Result<S::Answer, QueryError> {
        let _permit = Permit::take(&self.in_flight).ok_or(QueryError::Busy)?;
        // The address is cloned out so that no guard of the map is held across the await.
        let address = self.addresses.get(at).map(|entry| entry.value().clone()).ok_or(QueryError::NotHere)?;
        address.send(Ask::<S>(query)).await.ok().flatten().ok_or(QueryError::NotHere)
    }

    /// The partitions that are live here, sorted.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let mut all: Vec<TopicPartition> = self.addresses.iter().map(|entry| entry.key().clone()).collect();
        all.sort();
        all
    }

    pub(super) fn insert(&self, at: &TopicPartition, address: Addr<ShardActor<S>>) {
        self.addresses.insert(at.clone(), address);
    }

    /// Removes the entry unless another worker has put its own in the meantime.
    pub(super) fn remove(&self, at: &TopicPartition, address: &Addr<ShardActor<S>>) {
        self.addresses.remove_if(at, |_, present| present == address);
    }
}

impl<S: Shard> Default for Directory<S> {
    fn default() -> Directory<S> {
        Directory { addresses: Arc::default(), in_flight: Arc::default() }
    }
}

impl<S: Shard> Clone for Directory<S> {
    fn clone(&self) -> Directory<S> {
        Directory { addresses: Arc::clone(&self.addresses), in_flight: Arc::clone(&self.in_flight) }
    }
}

/// One of the queries that may be under way; given back on drop, also when the asker went away.
struct Permit<'a>(&'a AtomicUsize);

impl Permit<'_> {
    fn take(in_flight: &AtomicUsize) -> Option<Permit<'_>> {
        let permit = Permit(in_flight);
        // Dropping the permit on refusal gives the count back.
        (in_flight.fetch_add(1, Ordering::AcqRel) < QUERIES_IN_FLIGHT_MAX).then_some(permit)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
