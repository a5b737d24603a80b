//! One worker: one step of the loop at a time, driven by a thread or by a simulator with a virtual clock.

mod assign;
mod commit;

use std::sync::Arc;
use std::time::Duration;

use super::gate::SideInputs;
use super::held::{Fetch, Table};
use super::host::{Host, HostError};
use super::log_clock::{ClockWatch, Clocks};
use super::parking::Parked;
use super::restore::RestoreFailure;
use super::settings::{BACKOFF_MIN_MS, GATE_POLL_MS, PROGRESS_INTERVALS_MAX, Settings, backoff};
use super::shard::Batch;
use super::stage::Stage;
use super::stats::WorkerStats;
use crate::bus::{Budget, Bus, BusError, BusWorker, Polled, Reader, TopicPartition, WorkerSpec};
use crate::clock::Stopwatch;
use crate::domain::Time;
use crate::planted::{self, Bug};
use assign::Revoking;
use commit::{Phase, Unit};

/// Consumes some partitions of one stage's input, has their shards decide, and commits what they decided.
pub struct Worker<St: Stage, H: Host<St::Shard>> {
    stage: Arc<St>,
    host: H,
    log: Arc<dyn Bus>,
    bus: Box<dyn BusWorker>,
    reader: Box<dyn Reader>,
    group: String,
    settings: Settings,
    held: Table<St::Shard>,
    parked: Parked<St::Shard>,
    gate: SideInputs,
    clocks: ClockWatch,
    phase: Phase,
    /// When the transaction in flight was sent, for the metric of its duration.
    sent: Stopwatch,
    /// Its commit was started, the outcome is open.
    in_flight: Option<Unit>,
    /// Decided while another was in flight; nothing of it is sent.
    ahead: Option<Unit>,
    revoking: Option<Revoking>,
    /// Since when undecided records wait.
    gathering_since: Option<Time>,
    /// Since when progress without output waits.
    progress_since: Option<Time>,
    eager: bool,
    stopping: bool,
    /// The shards were asked once more since.
    stop_tried: bool,
    is_assigned: bool,
    /// Failures since the last success, of calls and of whole transactions: they stretch the pauses.
    call_failures: u32,
    setbacks: u32,
    stats: WorkerStats,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done: step again at once.
    Busy,
    /// Nothing came within the wait.
    Idle,
    /// The log is away or keeps failing: step again after this pause.
    Backoff(Duration),
    /// Only after [`Worker::stop`]: everything is committed; drop the worker to leave the group.
    Done,
}

/// The worker can't go on, and with it the program.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Restore(RestoreFailure),
}

/// The consumer group of a stage, without `topics.prefix` (which is the bus's business).
pub fn group_of(stage: &str) -> String {
    format!("pay-by-tweet.{stage}")
}

/// The group of a stage and the topics that it consumes, for [`super::ends::drained`].
pub fn inputs_of<St: Stage>(stage: &St) -> (String, Vec<Arc<str>>) {
    let topics = stage.subscriptions().into_iter().map(|subscription| subscription.topic);
    (group_of(stage.name()), topics.collect())
}

impl<St: Stage, H: Host<St::Shard>> Worker<St, H> {
    /// Joins the stage's group as number `slot.0` of `slot.1` workers in this process.
    pub fn new(
        stage: Arc<St>,
        host: H,
        log: Arc<dyn Bus>,
        settings: Settings,
        slot: (u32, u32),
    ) -> Result<Worker<St, H>, BusError> {
        let group = group_of(stage.name());
        let name = format!("{}.{}.{}", stage.name(), settings.instance, slot.0);
        let reader = log.reader()?;
        let bus = log.worker(WorkerSpec { group: group.clone(), name, topics: stage.subscriptions(), slot })?;
        let gate = SideInputs::new(stage.gate());
        Ok(Worker {
            clocks: ClockWatch::new(stage.skew_max(), bus.log_clock()),
            stage,
            host,
            log,
            bus,
            reader,
            group,
            settings,
            held: Table::new(),
            parked: Parked::default(),
            gate,
            phase: Phase::Running,
            sent: Stopwatch::start(),
            in_flight: None,
            ahead: None,
            revoking: None,
            gathering_since: None,
            progress_since: None,
            eager: false,
            stopping: false,
            stop_tried: false,
            is_assigned: false,
            call_failures: 0,
            setbacks: 0,
            stats: WorkerStats::default(),
        })
    }

    /// One step of the loop. `now` is the worker's clock; the step waits at most `wait` for input or an outcome, and
    /// sleeps for nothing else. Panics on a broken invariant only.
    pub fn step(&mut self, now: Time, wait: Duration) -> Result<Step, WorkerError> {
        self.clocks.step(now);
        match self.advance(now, wait) {
            Ok(step) => {
                self.call_failures = 0;
                if let Step::Backoff(_) = step {
                    self.stats.backoffs += 1;
                }
                Ok(step)
            }
            Err(WorkerError::Bus(BusError::Unavailable(_))) => {
                self.call_failures = self.call_failures.saturating_add(1);
                self.stats.backoffs += 1;
                Ok(Step::Backoff(backoff(self.call_failures + 1)))
            }
            Err(other) => Err(other),
        }
    }

    /// From now on no records are taken; what was taken is finished. Step until [`Step::Done`].
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether progress without output is committed as soon as nothing else is to do (while a drain is under way).
    pub fn set_eager(&mut self, eager: bool) {
        self.eager = eager;
    }

    /// Assigned, all shards restored, the gate passed, no trouble, and our clock is not known to be another than the
    /// log's.
    pub fn is_ready(&self) -> bool {
        self.is_assigned
            && !self.stopping
            && self.phase == Phase::Running
            && self.revoking.is_none()
            && self.call_failures == 0
            && self.gate.is_open()
            && self.clocks.state() != Clocks::Differ
            && self.held.rows.iter().all(|row| row.is_live())
    }

    /// Nothing that was decided waits for its commit.
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.ahead.is_none()
    }

    pub fn stats(&self) -> WorkerStats {
        self.stats
    }

    /// The partitions held, in order.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.held.rows.iter().map(|row| &row.at)
    }

    pub fn host(&self) -> &H {
        &self.host
    }

    fn advance(&mut self, now: Time, wait: Duration) -> Result<Step, WorkerError> {
        match self.phase {
            Phase::Running => {}
            Phase::Aborting => return self.abort_step(),
            Phase::Recovering | Phase::Rebuilding => return self.recover_step(),
        }
        let mut busy = false;
        if self.in_flight.is_some() {
            busy = self.look_at_commit(now, Duration::ZERO)?;
            if self.setbacks > 1 && busy && self.in_flight.is_none() {
                return Ok(self.setback());
            }
            if self.phase != Phase::Running {
                return Ok(Step::Busy);
            }
        }
        if self.revoking.is_some() {
            return self.revoke_step(now, wait);
        }
        if self.stopping {
            return self.stop_step(now, wait);
        }
        busy |= self.restore_step(now)?;
        if let Err(why) = self.tend_gate(now).and_then(|()| self.tend_fetches()) {
            return Err(self.attend(why));
        }
        if self.ahead.is_none() {
            let wait = if busy || self.in_flight.is_some() { Duration::ZERO } else { self.patience(wait) };
            busy |= self.take_in_and_decide(now, wait)?;
        }
        if !busy && self.in_flight.is_some() && self.revoking.is_none() {
            // Nothing else can be done: wait for the outcome itself, so that it is noticed at once.
            busy = self.look_at_commit(now, wait)?;
        }
        Ok(if busy { Step::Busy } else { Step::Idle })
    }

    /// Something that comes before a poll failed. The group is heard all the same, or it would go on without this
    /// worker.
    fn attend(&mut self, why: BusError) -> WorkerError {
        if !matches!(why, BusError::Unavailable(_)) {
            return why.into();
        }
        let heard = self.bus.poll(Budget::NOTHING, Duration::ZERO, &mut |_, _| {});
        let heard = heard.map_err(WorkerError::from).and_then(|polled| self.hear(polled));
        heard.err().unwrap_or(why.into())
    }

    /// Takes in what the group says. Answers whether it was anything.
    fn hear(&mut self, polled: Polled) -> Result<bool, WorkerError> {
        match polled {
            Polled::Assigned(partitions) => self.assigned(partitions)?,
            Polled::Revoking { partitions, lost } => self.revoking = Some(Revoking::new(partitions, lost)),
            Polled::Records(_) | Polled::Idle => return Ok(false),
        }
        Ok(true)
    }

    /// Polls, and has the shards decide once a batch is worth it: nothing more is there at once, it is full, or its
    /// first record has waited for a commit interval.
    fn take_in_and_decide(&mut self, now: Time, wait: Duration) -> Result<bool, WorkerError> {
        if let Err(why) = self.stage.before_poll() {
            return Err(self.attend(why));
        }
        let polled = self.poll(wait)?;
        match polled {
            Polled::Records(_) => {
                let since = *self.gathering_since.get_or_insert(now);
                let waited = now.since(since);
                let full = self.held.gathered() >= self.settings.batch.records_max as u64
                    || self.held.gathered_bytes() >= self.settings.batch.bytes_max;
                if full || !(0..self.settings.commit_interval.0).contains(&waited) {
                    self.decide(now)?;
                }
                // A stream that never pauses and never matters must not keep its positions from moving.
                self.commit_progress_if_due(now, false)?;
                Ok(true)
            }
            Polled::Idle => {
                let decided = self.decide(now)?;
                Ok(self.commit_progress_if_due(now, true)? || decided)
            }
            news => self.hear(news),
        }
    }

    fn poll(&mut self, wait: Duration) -> Result<Polled, BusError> {
        let Worker { bus, held, stage, stats, settings, .. } = self;
        let room = (settings.batch.records_max as u64).saturating_sub(held.gathered()).max(1);
        let bytes_max = settings.batch.bytes_max.saturating_sub(held.gathered_bytes()).max(1);
        let budget = Budget { records_max: room as usize, bytes_max };
        bus.poll(budget, wait, &mut |at, record| match held.find(at) {
            Some(row) if row.is_live() && (row.fetch == Fetch::Running || planted::is(Bug::StraysTaken)) => {
                stats.records += 1;
                row.take_in(record, stage.admit(at, record));
            }
            // Not being taken, or from a position that was left behind: a seek stands before it is read for good.
            _ => stats.strays += 1,
        })
    }

    /// Hands what was gathered to the shards, and an empty batch to those whose idle moment has come. Answers whether
    /// any had records.
    fn decide(&mut self, now: Time) -> Result<bool, WorkerError> {
        let batches = self.batches(now);
        if batches.is_empty() {
            if self.held.gathered() == 0 {
                self.gathering_since = None;
            }
            return Ok(false);
        }
        let shards: Vec<TopicPartition> = batches.iter().map(|(at, _)| at.clone()).collect();
        let had: u64 = batches.iter().map(|(_, batch)| batch.records).sum();
        self.stats.batches += batches.len() as u64;
        let decided = self.host.decide(batches)?;
        if let Some(pressure) = self.stage.pressure() {
            for (at, (decided, _)) in shards.iter().zip(&decided) {
                decided.standing.into_iter().for_each(|standing| pressure.tell(at, standing));
            }
        }
        let unit = Unit::new(shards, decided, &mut self.held);
        let left = self.held.gathered();
        self.gathering_since = (left > 0).then_some(now);
        let waits = left > 0 && left == had && unit.is_silent();
        if self.in_flight.is_some() && !planted::is(Bug::AheadSentEarly) {
            self.ahead = Some(unit);
            self.stats.decided_ahead += 1;
        } else {
            self.dispatch(unit, now)?;
        }
        // Whoever takes nothing and says nothing waits for the log.
        if waits { Err(BusError::Unavailable("a shard waits".to_owned()).into()) } else { Ok(had > 0) }
    }

    fn batches(&mut self, now: Time) -> Vec<(TopicPartition, Batch)> {
        let wants_idle = self.stage.wants_idle() && !self.stopping;
        let idle_every = self.settings.idle_every.0;
        let bus = &self.bus;
        let mut batches = Vec::new();
        for row in self.held.rows.iter_mut().filter(|row| row.is_live()) {
            // A source that is paused is not idle: what it holds is unread.
            let idle_due = wants_idle
                && row.fetch == Fetch::Running
                && row.decided_at.is_none_or(|then| !(0..idle_every).contains(&now.since(then)));
            if row.records > 0 || idle_due {
                let at_end = row.fetch == Fetch::Running && bus.at_end(&row.at);
                batches.push((row.at.clone(), row.batch(now, at_end, self.clocks.state())));
            }
        }
        batches
    }

    fn commit_progress_if_due(&mut self, now: Time, idle: bool) -> Result<bool, WorkerError> {
        let Some(since) = self.progress_since else {
            return Ok(false);
        };
        let overdue = now.since(since) >= self.settings.commit_interval.0.saturating_mul(PROGRESS_INTERVALS_MAX);
        // Whoever waits at the gate, this worker or another, waits for committed positions.
        let awaited = idle && (self.eager || !self.gate.is_open());
        if awaited || overdue { self.commit_progress(now) } else { Ok(false) }
    }

    /// How long a poll may wait: not while records are half gathered, and not past the next look at the gate.
    fn patience(&self, wait: Duration) -> Duration {
        if self.gathering_since.is_some() {
            Duration::ZERO
        } else if !self.gate.is_open() {
            wait.min(Duration::from_millis(GATE_POLL_MS as u64))
        } else if self.held.rows.iter().any(|row| !row.is_live()) {
            wait.min(Duration::from_millis(BACKOFF_MIN_MS))
        } else {
            wait
        }
    }

    /// Pauses after repeated setbacks, so that a log that keeps failing is not hammered.
    fn setback(&self) -> Step {
        match backoff(self.setbacks) {
            Duration::ZERO => Step::Busy,
            pause => Step::Backoff(pause),
        }
    }
}
