//! Wires the demo to the program: the stages on an embedded log of their own, all on one virtual clock.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_executor::block_on;

use super::demo::{DemoArgs, tell};
use super::{Misconfigured, Outcome};
use crate::accounts::{AccountsAnswer, AccountsQuery};
use crate::app::{App, StageSet};
use crate::bus::embedded::Embedded;
use crate::bus::{Bus, TopicPartition, partition_of_key};
use crate::clock::{Clock, SystemClock, VirtualClock};
use crate::config::{Fsync, Settings};
use crate::demo::{self, DemoOptions, Report, Service};
use crate::domain::{AccountId, Offer, Time};
use crate::engine::runtime::Failure;
use crate::http;
use crate::pipeline::{all_sources, embedded_options};
use crate::screen::setup::Topology;
use crate::wire::internal::account_key;

/// The program as the demo sees it.
struct Launched {
    app: App,
    clock: VirtualClock,
    stopped: Arc<AtomicBool>,
    /// The first worker that failed.
    failure: Mutex<Option<Failure>>,
}

/// How long a demo that is played keeps its log.
const KEPT: Duration = Duration::from_secs(3 * 3600);

/// A folder that goes with the demo.
struct Scratch(PathBuf);

pub fn run(args: &DemoArgs) -> Outcome {
    let mut settings = super::settings(args.config.config.as_deref())?;
    super::log_to_stderr(&settings);
    let scratch = Scratch(std::env::temp_dir().join(format!("pay-by-tweet-demo-{}", settings.instance_id())));
    settings.bus.embedded.dir = scratch.0.clone();
    // What a demo made is thrown away: there is no crash that it must survive.
    settings.bus.embedded.fsync = Fsync::Interval;
    if args.headless {
        return super::demo::run(args, &settings, |options| {
            let (launched, offers) = launch(&settings)?;
            let report = demo::run(&launched, options, &offers, &mut tell);
            launched.stop(&settings)?;
            report
        });
    }
    // It may run for days of anybody's time, and nobody reads what is old.
    settings.bus.embedded.retention = settings.bus.embedded.retention.min(KEPT);
    super::demo::play(args, &settings, |options| play(&settings, options))
}

/// The program, and its page in front of it.
fn play(settings: &Settings, options: &DemoOptions) -> anyhow::Result<Option<Report>> {
    let (launched, offers) = launch(settings)?;
    let events = http::Events::default();
    let (player, desk) = demo::desk(events.clone());
    let state =
        http::HttpState { open: true, events, play: Some(player), ..super::run::http_state(settings, &launched.app)? };
    let server = super::run::listen(settings, state, true)?;
    super::print(&format!("The demo is at http://{}/ (stop it with Ctrl-C)", server.addr()))?;
    let played = demo::play(&launched, options, &offers, &desk, &mut tell);
    server.stop();
    launched.stop(settings)?;
    played
}

/// Starts the stages on a log of their own; answers them and what is on offer.
fn launch(settings: &Settings) -> anyhow::Result<(Launched, Vec<Arc<Offer>>)> {
    let stopped = super::run::stop_flag()?;
    let clock = VirtualClock::at(SystemClock.now());
    let log = embedded_options(settings, Arc::new(clock.clone()));
    let log: Arc<dyn Bus> = Arc::new(Embedded::open(&settings.bus.embedded.dir, log)?);
    let sources = all_sources(settings, &*log)?;
    let app = App::start(settings, log, Arc::new(clock.clone()), Topology::new(sources, true), StageSet::ALL)?;
    let offers: Result<Vec<Arc<Offer>>, _> =
        settings.load_offers()?.into_iter().map(|spec| spec.into_offer(0).map(Arc::new)).collect();
    let offers = offers.map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Misconfigured(errors.join("\n"))
    })?;
    Ok((Launched { app, clock, stopped, failure: Mutex::new(None) }, offers))
}

impl Launched {
    /// A worker that failed is the error.
    fn stop(self, settings: &Settings) -> anyhow::Result<()> {
        let Launched { app, failure, .. } = self;
        if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(failure.into());
        }
        Ok(app.stop(settings.shutdown_timeout)?)
    }
}

impl Service for Launched {
    fn bus(&self) -> &dyn Bus {
        &*self.app.bus
    }

    fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    fn drained(&self) -> bool {
        self.app.drained().unwrap_or(false)
    }

    fn pending(&self) -> usize {
        let stats = |at| block_on(self.app.accounts.query(&at, AccountsQuery::Stats));
        self.app.accounts.partitions().into_iter().map(stats).fold(0, |sum, answer| match answer {
            Ok(AccountsAnswer::Stats { waiting, .. }) => sum + waiting,
            // A shard that can't be asked now counts as pending, so that nobody takes silence for the end.
            _ => sum + 1,
        })
    }

    fn deadlines(&self, account: AccountId) -> Vec<(String, Time)> {
        let Ok(partitions) = self.app.bus.partitions("accounts.inbox") else { return Vec::new() };
        let at = TopicPartition::new("accounts.inbox", partition_of_key(&account_key(account), partitions));
        match block_on(self.app.accounts.query(&at, AccountsQuery::Account(account))) {
            Ok(AccountsAnswer::Account(Some(account), _)) => {
                let waiting = account.purchases.iter().filter(|purchase| purchase.state.waits());
                waiting.filter_map(|purchase| Some((purchase.id.to_string(), purchase.deadline?))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn stopped(&self) -> bool {
        if let Some(failure) = self.app.failure(Duration::ZERO) {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            self.stopped.store(true, Ordering::Release);
        }
        self.stopped.load(Ordering::Acquire)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
