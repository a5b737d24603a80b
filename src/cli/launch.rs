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
use crate::bus::Bus;
use crate::bus::embedded::Embedded;
use crate::clock::{Clock, SystemClock, VirtualClock};
use crate::config::{Fsync, Settings};
use crate::demo::{DemoOptions, Report, Service};
use crate::domain::{Offer, SourceId};
use crate::engine::runtime::Failure;
use crate::pipeline::embedded_options;
use crate::screen::setup::Topology;

/// The program as the demo sees it.
struct Launched {
    app: App,
    clock: VirtualClock,
    stopped: Arc<AtomicBool>,
    /// The first worker that failed.
    failure: Mutex<Option<Failure>>,
}

/// A folder that goes with the demo.
struct Scratch(PathBuf);

pub fn run(args: &DemoArgs) -> Outcome {
    let mut settings = super::settings(args.config.config.as_deref())?;
    if !args.headless {
        return Err(Misconfigured("the demo has no page yet; run it with --headless".to_owned()).into());
    }
    super::log_to_stderr(&settings);
    let scratch = Scratch(std::env::temp_dir().join(format!("pay-by-tweet-demo-{}", settings.instance_id())));
    settings.bus.embedded.dir = scratch.0.clone();
    // What a demo made is thrown away: there is no crash that it must survive.
    settings.bus.embedded.fsync = Fsync::Interval;
    super::demo::run(args, &settings, |options| launch(&settings, options))
}

fn launch(settings: &Settings, options: &DemoOptions) -> anyhow::Result<Report> {
    let stopped = super::run::stop_flag()?;
    let clock = VirtualClock::at(SystemClock.now());
    let log = embedded_options(settings, Arc::new(clock.clone()));
    let log: Arc<dyn Bus> = Arc::new(Embedded::open(&settings.bus.embedded.dir, log)?);
    let mut sources = Vec::new();
    for source in &settings.sources {
        let partitions = 0..log.partitions(&source.topic)?;
        sources.extend(partitions.map(|partition| SourceId { topic: source.topic.clone(), partition }));
    }
    let app = App::start(settings, log, Arc::new(clock.clone()), Topology::new(sources, true), StageSet::ALL)?;
    let offers: Result<Vec<Arc<Offer>>, _> =
        settings.load_offers()?.into_iter().map(|spec| spec.into_offer(0).map(Arc::new)).collect();
    let offers = offers.map_err(|errors| Misconfigured(format!("{errors:?}")))?;
    let launched = Launched { app, clock, stopped, failure: Mutex::new(None) };
    let report = crate::demo::run(&launched, options, &offers, &mut tell);
    let Launched { app, failure, .. } = launched;
    if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure.into());
    }
    app.stop(settings.shutdown_timeout)?;
    report
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
