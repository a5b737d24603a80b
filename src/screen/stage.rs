//! The screen as the engine runs it.

use std::sync::Arc;

use super::setup::ScreenSetup;
use super::shape::{self, Shape};
use super::shard::ScreenShard;
use super::side::SIDE_INPUTS;
use crate::bus::{BusError, RecordRef, Subscription, TopicPartition};
use crate::domain::Span;
use crate::engine::pressure::Pressure;
use crate::engine::stage::{Admitted, Gate, Stage};

pub struct ScreenStage {
    pub setup: Arc<ScreenSetup>,
    pub pressure: Pressure,
}

impl Stage for ScreenStage {
    type Shard = ScreenShard;

    fn name(&self) -> &'static str {
        "screen"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        let side = SIDE_INPUTS.iter().map(|topic| Subscription { topic: Arc::from(*topic), preferred: true });
        let posts = self.setup.sources.iter().map(|(topic, _)| Subscription { topic: topic.clone(), preferred: false });
        side.chain(posts).collect()
    }

    fn changelog(&self) -> Option<Arc<str>> {
        None
    }

    fn shard(&self, at: &TopicPartition, note: &str) -> ScreenShard {
        ScreenShard::new(self.setup.clone(), at.clone(), note)
    }

    /// The catalogue is followed before every poll, so that an offer is known before the posts that were made after it.
    /// While the topic can't be read, no posts are: by an old catalogue a buy would be nothing.
    fn before_poll(&self) -> Result<(), BusError> {
        self.setup.follower.follow(&self.setup.catalogue)
    }

    /// Most posts can't matter: of those only the time is taken, without a copy.
    fn admit(&self, at: &TopicPartition, record: RecordRef<'_>) -> Admitted {
        let Some(network) = self.setup.network_of(&at.topic) else { return Admitted::Copy };
        match shape::look(record.value.unwrap_or_default(), self.setup.record_bytes_max) {
            Shape::KeepAlive => Admitted::Skip,
            Shape::Dead(_) => Admitted::Copy,
            Shape::Object(object) if self.setup.catalogue.get().may_matter(object) => Admitted::Copy,
            Shape::Object(object) => match super::post_time(object, network) {
                // The shard has the clock: what was appended before its time is for it to judge.
                Some(time) if time > record.timestamp.after(self.setup.time.skew_max) => Admitted::Copy,
                Some(time) => Admitted::Moment(time),
                None => Admitted::Skip,
            },
        }
    }

    fn gate(&self) -> Gate {
        Gate::Some(SIDE_INPUTS.iter().map(|topic| Arc::from(*topic)).collect())
    }

    fn pressure(&self) -> Option<&Pressure> {
        Some(&self.pressure)
    }

    fn skew_max(&self) -> Option<Span> {
        Some(self.setup.time.skew_max)
    }

    fn wants_idle(&self) -> bool {
        true
    }
}
