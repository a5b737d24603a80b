//! A synthetic firehose into the log, and what came of it: how fast, and whether it was right.
//!
//! The load is *open loop*: every post has a moment for which it was scheduled, whatever the program does meanwhile,
//! and latencies count from that moment. A program that stalls for a second is charged with a second for the first
//! post of it, and with what is left of the second for each of the others (no coordinated omission).
//!
//! | file | what |
//! |---|---|
//! | `shape`, `moment` | when posts are due; moments, and ids that carry them |
//! | `pool` | posts of people who buy nothing, rendered once and sent often |
//! | `behaviour`, `crowd`, `goods` | who shops for what, and how |
//! | `firehose` | all of them in order of time |
//! | `truth`, `books` | what must come out, and what came |
//! | `meter`, `watcher`, `process` | latencies, backlog, cost |
//! | `run`, `hold`, `report` | segments of load one after the other; the highest rate that holds; the result |
//!
//! All that is known of the log is the [`crate::bus`] trait.

mod behaviour;
mod books;
mod crowd;
mod firehose;
mod goods;
mod hold;
mod meter;
mod moment;
mod pool;
pub mod process;
mod report;
mod run;
mod shape;
mod truth;
mod watcher;

use std::time::Duration;

pub use behaviour::{Act, Behaviour, End};
pub use firehose::{Counts, Firehose, Meaning, Said};
pub use goods::{GOODS, Goods, records as offers};
pub use meter::{Latency, Sample};
pub use moment::Moment;
pub use report::{Cost, Report, Row};
pub use run::{DryRun, Finished, dry_run, run};
pub use shape::{Segment, Shape};
pub use truth::{Line, Truth};

use crate::bus::{Budget, Bus, BusError, ends_of};
use crate::config::{PostFormat, Settings};
use crate::domain::{Network, Span};

/// How a load goes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Posts per second, on average. With `highest`, where the search begins.
    pub rate: f64,
    pub duration: Duration,
    /// The same seed gives the same people and noise. Ids and times are those of the run.
    pub seed: u64,
    pub shape: Shape,
    /// Share of posts by people who come shopping.
    pub relevant: f64,
    /// Posts go to any partition; else each user's go to one.
    pub spread: bool,
    pub backlog: Option<Backlog>,
    pub highest: Option<Bounds>,
    /// The post topic, of format "x", and the network of its authors.
    pub topic: String,
    pub network: Network,
    pub service_handle: String,
    pub service_user: u64,
    /// `account.confirm_window`, `account.reply_grace`, `account.cancel_window`, `time.lateness_max`.
    pub confirm_window: Span,
    pub reply_grace: Span,
    pub cancel_window: Span,
    pub lateness_max: Span,
}

/// Posts that wait in the log when the program starts: [`BACKLOG_SPAN`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    Even,
    /// Most of it in one partition, so that the others run ahead.
    Uneven,
}

/// What a rate must keep to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The 99th percentile from tweet to prompt.
    pub p99: Duration,
}

/// What the load needs of the running program.
pub trait Program {
    /// Why it can't go on, if it can't.
    fn failure(&self) -> Option<String>;

    /// Whether the user wants an end now.
    fn stopped(&self) -> bool;
}

/// How far a load is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub phase: Phase,
    /// Of the phase; zero where nobody knows how long it takes.
    pub length: Duration,
    pub elapsed: Duration,
    pub rate: f64,
    pub posts: u64,
    pub last: Sample,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Preparing,
    Searching,
    Loading,
    /// Until everything that must come has come.
    Draining,
}

/// The event time that a backlog spans.
pub const BACKLOG_SPAN: Duration = Duration::from_secs(30);

/// Whether a log may be loaded: it holds no posts, or a load's offers. Nobody wants made-up posts among real ones.
pub fn may_load(bus: &dyn Bus, topic: &str) -> Result<bool, BusError> {
    let mut reader = bus.reader()?;
    let mut ours = false;
    for (at, end) in ends_of(bus, &mut *reader, "offers")? {
        let mut position = reader.beginning(&at)?;
        while position < end {
            let is_ours = |key: &[u8]| GOODS.iter().any(|goods| goods.id.as_bytes() == key);
            position =
                reader.read(&at, position, Budget::BULK, &mut |record| ours |= record.key.is_some_and(is_ours))?;
        }
    }
    let posts = ends_of(bus, &mut *reader, topic)?;
    Ok(ours || posts.iter().all(|(_, end)| *end == 0))
}

impl Options {
    /// A steady load without backlog, under these settings. `None` if they have no source of format "x".
    pub fn of(settings: &Settings, rate: f64, duration: Duration) -> Option<Options> {
        let source = settings.sources.iter().find(|source| source.format == PostFormat::X)?;
        Some(Options {
            rate,
            duration,
            seed: 1,
            shape: Shape::Steady,
            relevant: 0.01,
            spread: true,
            backlog: None,
            highest: None,
            topic: source.topic.clone(),
            network: source.network,
            service_handle: settings.service.handle.clone(),
            service_user: settings.service.user_id,
            confirm_window: settings.account.confirm_window,
            reply_grace: settings.account.reply_grace,
            cancel_window: settings.account.cancel_window,
            lateness_max: settings.time.lateness_max,
        })
    }
}
