//! The offers stage as the engine runs it.

use std::sync::Arc;

use super::codec;
use super::shard::{OffersShard, Setup};
use crate::bus::{RecordRef, Subscription, TopicPartition};
use crate::engine::stage::{Admitted, Gate, Stage};

pub struct OffersStage {
    pub setup: Arc<Setup>,
}

impl Stage for OffersStage {
    type Shard = OffersShard;

    fn name(&self) -> &'static str {
        "offers"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        vec![Subscription { topic: Arc::from("offers.inbox"), preferred: false }]
    }

    fn changelog(&self) -> Option<Arc<str>> {
        Some(Arc::from(codec::CHANGELOG))
    }

    fn shard(&self, at: &TopicPartition, _note: &str) -> OffersShard {
        OffersShard::new(self.setup.clone(), at.clone())
    }

    fn admit(&self, _at: &TopicPartition, _record: RecordRef<'_>) -> Admitted {
        Admitted::Copy
    }

    fn gate(&self) -> Gate {
        Gate::None
    }
}
