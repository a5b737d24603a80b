//! The accounts stage as the engine runs it.

use std::sync::Arc;

use super::codec;
use super::shard::{AccountsShard, Setup};
use crate::bus::{RecordRef, Subscription, TopicPartition};
use crate::engine::pressure::Pressure;
use crate::engine::stage::{Admitted, Gate, Stage};

pub struct AccountsStage {
    pub setup: Arc<Setup>,
    pub pressure: Pressure,
}

impl Stage for AccountsStage {
    type Shard = AccountsShard;

    fn name(&self) -> &'static str {
        "accounts"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        vec![Subscription { topic: Arc::from("accounts.inbox"), preferred: false }]
    }

    fn changelog(&self) -> Option<Arc<str>> {
        Some(Arc::from(codec::CHANGELOG))
    }

    fn shard(&self, at: &TopicPartition, _note: &str) -> AccountsShard {
        AccountsShard::new(self.setup.clone(), at.clone())
    }

    fn admit(&self, _at: &TopicPartition, _record: RecordRef<'_>) -> Admitted {
        Admitted::Copy
    }

    fn gate(&self) -> Gate {
        Gate::None
    }

    fn pressure(&self) -> Option<&Pressure> {
        Some(&self.pressure)
    }
}
