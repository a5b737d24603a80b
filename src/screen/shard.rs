//! The screen's shards: one per input partition, stateless but for how far event time has come, which stands in the
//! note that is committed with the position.

use std::sync::Arc;

use super::posts::PostsShard;
use super::setup::ScreenSetup;
use super::side::SideShard;
use crate::bus::{OutRecord, TopicPartition};
use crate::domain::{AccountId, AccountMessage, InboxRecord};
use crate::engine::shard::{Batch, Decided, RestoreError, Shard};
use crate::wire::internal;

/// A partition of a post topic, or of a side input.
pub enum ScreenShard {
    Posts(Box<PostsShard>),
    Side(SideShard),
}

impl ScreenShard {
    pub fn new(setup: Arc<ScreenSetup>, at: TopicPartition, note: &str) -> ScreenShard {
        match setup.network_of(&at.topic) {
            Some(network) => ScreenShard::Posts(Box::new(PostsShard::new(setup, at, network, note))),
            None => ScreenShard::Side(SideShard::new(setup, at)),
        }
    }
}

impl Shard for ScreenShard {
    type Query = std::convert::Infallible;
    type Answer = ();

    fn decide(&mut self, batch: &Batch) -> Decided {
        match self {
            ScreenShard::Posts(posts) => posts.decide(batch),
            ScreenShard::Side(side) => side.decide(batch),
        }
    }

    fn committed(&mut self) {
        match self {
            ScreenShard::Posts(posts) => posts.committed(),
            ScreenShard::Side(side) => side.committed(),
        }
    }

    fn take_back(&mut self) {
        match self {
            ScreenShard::Posts(posts) => posts.take_back(),
            ScreenShard::Side(side) => side.take_back(),
        }
    }

    fn restore(&mut self, key: &[u8], _value: Option<&[u8]>) -> Result<(), RestoreError> {
        let key = String::from_utf8_lossy(key).into_owned();
        Err(RestoreError { key, why: "the screen has no changelog".to_owned() })
    }

    fn query(&self, query: Self::Query) {
        match query {}
    }
}

/// A message to an account, as a record of `accounts.inbox`.
pub(super) fn to_account(account: AccountId, message: AccountMessage) -> OutRecord {
    OutRecord {
        topic: Arc::from("accounts.inbox"),
        partition: None,
        key: Some(account.to_string().into_bytes()),
        value: Some(internal::encode_inbox(&InboxRecord::To(account, message))),
        headers: Vec::new(),
    }
}
