//! The demo: the whole service with a simulated Twitter on virtual time, judged to its end or played on the page.
//!
//! | file | what |
//! |---|---|
//! | `run` | the pace: wall time moves virtual time, until nothing is pending |
//! | `world` | network, people and books together |
//! | `twitter`, `gateway` | the network: ids, the stream, replies posted and told |
//! | `cast`, `script`, `shopper`, `goods` | who shops for what, and how |
//! | `noise` | everybody else |
//! | `play`, `person`, `acts`, `timeline` | the demo that one plays: somebody in front of a page |
//! | `ledger`, `report` | what must come of each conversation, what came, the table |
//!
//! Nothing here knows how the program is wired: a [`Service`] stands for it. The log should be a fresh one; what other
//! runs left in it is not read, but stock that they sold stays sold.

mod acts;
mod cast;
mod gateway;
mod goods;
mod ledger;
mod noise;
mod person;
mod play;
mod report;
mod run;
mod script;
mod shopper;
mod timeline;
mod twitter;
mod world;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use ledger::Deviation;
pub use play::{Desk, desk, play};
pub use report::{Latency, Report, Row};
pub use run::run;

use crate::bus::Bus;
use crate::clock::VirtualClock;
use crate::domain::{AccountId, Network, Span, Time};

/// How a demo goes.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How long people post; then virtual time runs on until nothing is pending. `None`: until the user wants an end.
    pub wall: Option<Duration>,
    /// The same seed gives the same cast and scripts.
    pub seed: u64,
    /// Virtual seconds per wall second, at most: virtual time waits for a service that lags.
    pub speed: u32,
    /// Somebody plays it. Without an end no script is judged, and it can go on for ever.
    pub plays: bool,
    /// Posts of people who buy nothing, per virtual second.
    pub posts_per_second: u32,
    /// People who come shopping, per virtual minute, once every behaviour had its turn.
    pub shoppers_per_minute: u32,
    /// The post topic, of format "x", and the network of its authors.
    pub topic: String,
    pub network: Network,
    /// `service.handle`, `service.user_id` and `service.freeze_tag` of the configuration.
    pub service_handle: String,
    pub service_user: u64,
    pub freeze_tag: String,
    /// `account.confirm_window` and `account.reply_grace`.
    pub confirm_window: Span,
    pub reply_grace: Span,
    /// `time.lateness_max`: a deadline is over this much later.
    pub lateness_max: Span,
}

impl Default for DemoOptions {
    fn default() -> DemoOptions {
        DemoOptions {
            wall: Some(Duration::from_secs(60)),
            seed: 1,
            speed: 60,
            plays: false,
            posts_per_second: 10,
            shoppers_per_minute: 10,
            topic: "tweets".to_owned(),
            network: Network::TWITTER,
            service_handle: "PayByTweet".to_owned(),
            service_user: 501_234_567,
            freeze_tag: "FreezeMyCard".to_owned(),
            confirm_window: Span::of_mins(15),
            reply_grace: Span::of_secs(60),
            lateness_max: Span::of_mins(5),
        }
    }
}

impl DemoOptions {
    /// Whether it has no end of its own, and so keeps nothing for a judgement.
    fn goes_on(&self) -> bool {
        self.plays && self.wall.is_none()
    }
}

/// What the demo needs of the running program.
pub trait Service {
    fn bus(&self) -> &dyn Bus;

    /// The clock of every stage; the demo moves it, and nobody else.
    fn clock(&self) -> &VirtualClock;

    /// Whether everything appended so far was consumed by all stages and committed.
    fn drained(&self) -> bool;

    /// Purchases that wait in all account shards.
    fn pending(&self) -> usize;

    /// Until when each purchase of an account that waits for a confirm may have it, by the purchase's id.
    fn deadlines(&self, _: AccountId) -> Vec<(String, Time)> {
        Vec::new()
    }

    /// Whether the user wants the demo to end now.
    fn stopped(&self) -> bool;
}

/// How far a demo is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub wall: Duration,
    pub now: Time,
    pub tweets: u64,
    /// Shoppers whose script is not over.
    pub shopping: usize,
    pub payments: u64,
    /// Nobody comes any more: virtual time runs on until nothing is pending.
    pub closing: bool,
}
