//! Looks at the running program once a second and publishes what it sees; every few seconds while nobody listens, so
//! that a page that is opened finds a past.
//!
//! Looking must not cost the pipeline: totals come from the metrics, positions and ends from the log, and what takes
//! long (all accounts of a shard are looked at to count what waits) is asked again only after a hundred times as long.
//! Single events are a glance at the end of their topic, a few of however many there were: the cost does not grow with
//! the rate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use futures_executor::block_on;
use serde_json::Value;

use super::HttpState;
use super::glance::Glance;
use super::lag::Lags;
use super::offers::offers_json;
use super::sample::{AccountsSample, Counted, History, Sample, SourceSample, StageSample};
use super::scrape::{Scrape, Totals, quantile, since};
use crate::accounts::{AccountsAnswer, AccountsQuery};
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::domain::{Span, Time};
use crate::engine::directory::QueryError;
use crate::engine::health::WorkerHealth;
use crate::offers::shard::{OffersAnswer, OffersQuery};

/// Between two looks at single events.
const BEAT: Duration = Duration::from_millis(500);

/// Beats between two samples: while somebody listens, and while nobody does.
const BEATS_WATCHED: u32 = 2;
const BEATS_UNWATCHED: u32 = 10;

/// Upper ends of the classes of [`AccountsSample::pending`], from now; later deadlines are a class of their own.
pub const PENDING_EDGES: [Span; 6] =
    [Span::ZERO, Span::of_mins(1), Span::of_mins(3), Span::of_mins(5), Span::of_mins(10), Span::of_mins(15)];

/// A query of all accounts is repeated after so many times what it took: 1 % of the shards' time at most.
const ACCOUNTS_PAUSE_FACTOR: f64 = 100.0;

/// Whoever has not scraped for so long does not scrape.
const SCRAPED_WITHIN_SECONDS: f64 = 120.0;

/// How long the end of a server waits for a look that is under way.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// The stages, in the order in which records flow.
pub const STAGES: [&str; 3] = ["screen", "accounts", "offers"];

/// What handlers know of the watching thread.
pub struct Watch {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    history: History,
    sample: Value,
    /// Since the metrics were asked for.
    scraped: Option<Stopwatch>,
}

/// The thread's own.
struct Watcher {
    state: Arc<HttpState>,
    shared: Arc<Shared>,
    lags: Lags,
    glance: Glance,
    before: Option<Before>,
    accounts: AccountsSample,
    /// Since the accounts were asked, and for how long they are not asked again.
    rest: Option<(Stopwatch, f64)>,
}

struct Before {
    taken: Stopwatch,
    scrape: Scrape,
    workers: Vec<WorkerHealth>,
}

/// The thread, for whoever ends it.
pub struct Watching {
    handle: JoinHandle<()>,
    /// Closed when the thread ends.
    ended: mpsc::Receiver<()>,
}

/// Starts the thread; it ends when `stopping` is set.
pub fn start(state: Arc<HttpState>, stopping: Arc<AtomicBool>) -> std::io::Result<(Watch, Watching)> {
    let shared = Arc::<Shared>::default();
    let watcher = Watcher {
        lags: Lags::default(),
        glance: Glance::default(),
        before: None,
        accounts: AccountsSample::default(),
        rest: None,
        shared: shared.clone(),
        state,
    };
    let (running, ended) = mpsc::channel::<()>();
    let handle = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
        let _running = running;
        watcher.run(&stopping);
    })?;
    Ok((Watch { shared, thread: handle.thread().clone() }, Watching { handle, ended }))
}

impl Watching {
    /// Waits until it has ended; not for ever, since a log that does not answer must not hold up the program's end.
    pub fn wait(self) {
        self.handle.thread().unpark();
        if self.ended.recv_timeout(END_PATIENCE) != Err(mpsc::RecvTimeoutError::Timeout) {
            // One that panicked has said so.
            let _ = self.handle.join();
        }
    }
}

impl Watch {
    /// What a new subscriber is told at once.
    pub fn first_events(&self) -> Vec<(&'static str, Value)> {
        let last = self.shared.last();
        vec![("history", last.history.json()), ("sample", last.sample.clone())]
    }

    /// Somebody began to listen.
    pub fn wake(&self) {
        self.thread.unpark();
    }

    /// Prometheus came by: the next time it finds how far the stages are behind.
    pub fn scraped(&self) {
        self.shared.last().scraped = Some(Stopwatch::start());
    }
}

impl Shared {
    fn last(&self) -> MutexGuard<'_, Last> {
        // Values that are replaced whole.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    fn run(mut self, stopping: &AtomicBool) {
        let mut beats = 0;
        while !stopping.load(Ordering::Acquire) {
            let watched = self.state.events.are_watched();
            if watched {
                self.glance();
            }
            if beats == 0 {
                let sample = self.sample(watched);
                let mut last = self.shared.last();
                last.history.add(sample.point(watched));
                last.sample = serde_json::to_value(&sample).unwrap_or_default();
                if watched {
                    self.state.events.publish("sample", &last.sample);
                }
            }
            beats = (beats + 1) % if watched { BEATS_WATCHED } else { BEATS_UNWATCHED };
            std::thread::park_timeout(BEAT);
        }
    }

    fn glance(&mut self) {
        let Some((whole, bare)) = self.glance.look(&*self.state.bus) else { return };
        self.state.events.publish_forms("transitions", &whole, &bare);
    }

    /// Positions and ends are asked for only while somebody looks or scrapes: they are requests to brokers.
    fn sample(&mut self, watched: bool) -> Sample {
        let now = self.state.clock.now();
        let workers = self.state.health.workers();
        let scrape = Scrape::read(&self.state.metrics.render());
        let scraped = self.shared.last().scraped.as_ref().map(Stopwatch::seconds);
        if watched || scraped.is_some_and(|seconds| seconds < SCRAPED_WITHIN_SECONDS) {
            self.lags.look(&self.state, now);
        }
        self.ask_accounts(now);
        let before = self.before.take();
        let seconds = before.as_ref().map_or(0.0, |before| before.taken.seconds());
        let empty = Scrape::default();
        let old = before.as_ref().map_or(&empty, |before| &before.scrape);
        let counted = |now: &Totals, before: &Totals| Counted {
            total: now.clone(),
            per_second: since(now, before).into_iter().map(|(key, n)| (key, per_second(n, seconds))).collect(),
        };
        let old_workers = before.as_ref().map_or(&[][..], |before| &before.workers);
        let stage = |name| {
            let mut stage = stage_of(name, &workers, old_workers, seconds);
            let buckets = (scrape.transactions.get(name), old.transactions.get(name));
            if let (Some(buckets), Some(_)) = (buckets.0, &before) {
                let old = buckets_or_none(old, name);
                stage.transaction_ms_p50 = quantile(buckets, old, 0.5).map(|seconds| seconds * 1000.0);
                stage.transaction_ms_p99 = quantile(buckets, old, 0.99).map(|seconds| seconds * 1000.0);
            }
            self.lags.fill(&mut stage);
            stage
        };
        let sample = Sample {
            now: now.0,
            wall: SystemClock.now().0,
            ready: self.state.health.is_ready(),
            stages: STAGES.into_iter().map(stage).collect(),
            sources: self.sources(),
            accounts: self.accounts.clone(),
            full_shards: self.state.pressure.full_shards(),
            transitions: counted(&scrape.transitions, &old.transitions),
            rejected_confirms: counted(&scrape.rejected_confirms, &old.rejected_confirms),
            replies: counted(&scrape.replies, &old.replies),
            unconcerned: counted(&scrape.unconcerned, &old.unconcerned),
            screened: counted(&scrape.screened, &old.screened),
            dead_letters: counted(&scrape.dead_letters, &old.dead_letters),
            offers: self.offers(),
        };
        self.before = Some(Before { taken: Stopwatch::start(), scrape, workers });
        sample
    }

    fn sources(&self) -> Vec<SourceSample> {
        let sample = |source: crate::engine::pressure::SourceView| SourceSample {
            name: format!("{}-{}", source.at.topic, source.at.partition),
            watermark: source.mark.map(|Time(ms)| ms),
            at_end: source.at_end,
            held: source.held,
            lag_records: self.lags.of_source(&source.at),
        };
        self.state.pressure.sources().into_iter().map(sample).collect()
    }

    fn offers(&self) -> Value {
        let mut views = Vec::new();
        for at in self.state.offers.partitions() {
            // One that is busy or away is missing for a second.
            if let Ok(OffersAnswer::All(found)) = block_on(self.state.offers.query(&at, OffersQuery::All)) {
                views.extend(found);
            }
        }
        views.sort_by(|a, b| a.offer.terms.offer.cmp(&b.offer.terms.offer));
        offers_json(&views)
    }

    /// Counts what waits in all account shards, unless that was done a moment ago for what it takes.
    fn ask_accounts(&mut self, now: Time) {
        if self.rest.as_ref().is_some_and(|(since, pause)| since.seconds() < *pause) {
            return;
        }
        let asked = Stopwatch::start();
        let ends: Vec<Time> = PENDING_EDGES.map(|edge| now.after(edge)).to_vec();
        let mut sum = AccountsSample {
            pending: vec![0; PENDING_EDGES.len() + 1],
            pending_edges_ms: PENDING_EDGES.map(|Span(ms)| ms).to_vec(),
            ..AccountsSample::default()
        };
        // Anew each time: a partition that left to another process would hold the stage's watermark back for ever.
        let mut watermarks = BTreeMap::new();
        for at in self.state.accounts.partitions() {
            match block_on(self.state.accounts.query(&at, AccountsQuery::Stats)) {
                Ok(AccountsAnswer::Stats { accounts, waiting, kept_bytes, watermark }) => {
                    sum.accounts += accounts;
                    sum.waiting += waiting;
                    sum.kept_bytes += kept_bytes;
                    watermarks.insert(at.clone(), watermark);
                }
                // It is here and has no time to answer: what it told last holds.
                Err(QueryError::Busy) => watermarks.extend(self.lags.told_by(&at)),
                Ok(_) | Err(QueryError::NotHere) => {}
            }
            let pending = block_on(self.state.accounts.query(&at, AccountsQuery::Pending(ends.clone())));
            if let Ok(AccountsAnswer::Pending(counts)) = pending {
                sum.pending.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
            }
        }
        self.accounts = sum;
        self.lags.tell_watermarks(watermarks);
        self.rest = Some((Stopwatch::start(), asked.seconds() * ACCOUNTS_PAUSE_FACTOR));
    }
}

/// A stage's workers added up.
fn stage_of(name: &'static str, workers: &[WorkerHealth], before: &[WorkerHealth], seconds: f64) -> StageSample {
    let of_stage = |all: &[WorkerHealth], value: fn(&WorkerHealth) -> u64| -> u64 {
        all.iter().filter(|worker| worker.stage == name).map(value).sum()
    };
    let total = |value: fn(&WorkerHealth) -> u64| of_stage(workers, value);
    let rate = |value: fn(&WorkerHealth) -> u64| {
        let added = of_stage(workers, value).saturating_sub(of_stage(before, value));
        if before.is_empty() { 0.0 } else { per_second(added as f64, seconds) }
    };
    StageSample {
        name,
        workers: workers.iter().filter(|worker| worker.stage == name).count(),
        ready: workers.iter().filter(|worker| worker.stage == name && worker.ready).count(),
        records_per_second: rate(|worker| worker.stats.records),
        sent_per_second: rate(|worker| worker.stats.sent),
        commits_per_second: rate(|worker| worker.stats.commits),
        ahead_per_second: rate(|worker| worker.stats.decided_ahead),
        commits: total(|worker| worker.stats.commits),
        aborts: total(|worker| worker.stats.aborts),
        uncertain: total(|worker| worker.stats.uncertain),
        fenced: total(|worker| worker.stats.fenced),
        restores: total(|worker| worker.stats.restores),
        backoffs: total(|worker| worker.stats.backoffs),
        transaction_ms_p50: None,
        transaction_ms_p99: None,
        lag: Vec::new(),
        lag_records: 0,
        lag_ms: 0,
        watermark: None,
    }
}

fn buckets_or_none<'a>(scrape: &'a Scrape, stage: &str) -> &'a [f64] {
    scrape.transactions.get(stage).map_or(&[], Vec::as_slice)
}

fn per_second(n: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { n / seconds } else { 0.0 }
}
