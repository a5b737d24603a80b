//! A simulated process: the production stages and workers on its own connection to the log, with a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use super::plan::{Plan, ProcessPlan};
use crate::bus::sim::{ProcessId, SimBus};
use crate::bus::{Bus, BusError, TopicPartition};
use crate::domain::{Span, Time};
use crate::engine;
use crate::engine::host::Inline;
use crate::engine::pressure::Standing;
use crate::engine::settings::backoff;
use crate::engine::stage::Stage;
use crate::engine::stats::WorkerStats;
use crate::engine::worker::{Step, Worker, WorkerError};
use crate::pipeline::{Stages, engine_settings};
use crate::screen::setup::Topology;

/// Steps in a row that may keep a worker busy and write nothing, before it is left alone until time has passed.
const SPINS_MAX: u32 = 8;

/// A worker on the calling thread.
pub type Inlined<St> = Worker<St, Inline<<St as Stage>::Shard>>;

/// A process that runs, stands still, or is gone.
pub struct Process {
    pub id: ProcessId,
    pub plan: ProcessPlan,
    /// How far its clock is from true time, in milliseconds; jumps are added to the plan's.
    pub clock_ahead_ms: i64,
    pub state: State,
    /// What its workers counted, those of earlier lives too.
    pub stats: WorkerStats,
    /// Its workers commit what they have read as soon as nothing else is to do, as while a drain is under way.
    pub eager: bool,
    starts: u32,
}

pub enum State {
    /// Not running; started again at this moment of true time, if one is named.
    Down(Option<Time>),
    Up(Running),
    /// Stopped in its tracks until then: it holds everything that it held and knows nothing of the time that passes.
    Paused(Running, Time),
}

/// A life of a process.
pub struct Running {
    bus: Arc<dyn Bus>,
    members: Vec<Member>,
    /// It was told to stop: it finishes what it has and leaves its groups, and is started again then.
    stopping: Option<Time>,
}

struct Member {
    stage: StageHandle,
    /// `None` until it could join its group.
    worker: Option<AnyWorker>,
    slot: (u32, u32),
    settings: engine::settings::Settings,
    tries: u32,
    /// Steps again then, by true time.
    rests_until: Time,
    /// Nothing came of its last step, and nothing has happened since.
    idle: bool,
    /// Steps in a row that kept it busy and wrote nothing: it waits for something without saying so.
    spins: u32,
    /// What the log had come to at its last step.
    log_version: u64,
    done: bool,
}

/// Whose work came with what became visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub screen: bool,
    pub accounts: bool,
    pub offers: bool,
}

enum StageHandle {
    Screen(Arc<crate::screen::stage::ScreenStage>),
    Accounts(Arc<crate::accounts::AccountsStage>),
    Offers(Arc<crate::offers::OffersStage>),
}

pub enum AnyWorker {
    Screen(Box<Inlined<crate::screen::stage::ScreenStage>>),
    Accounts(Box<Inlined<crate::accounts::AccountsStage>>),
    Offers(Box<Inlined<crate::offers::OffersStage>>),
}

/// What one step of a process came to.
#[derive(Debug)]
pub enum Stepped {
    Busy,
    Idle,
    /// It pauses for so long, because the log is away or keeps failing.
    Resting(Duration),
    /// This worker ended as it was told to.
    Done,
    /// The program would have ended with this error.
    Died(String),
}

impl Process {
    pub fn new(id: ProcessId, plan: ProcessPlan) -> Process {
        Process {
            id,
            plan,
            clock_ahead_ms: plan.clock_ahead_ms,
            state: State::Down(None),
            stats: WorkerStats::default(),
            eager: false,
            starts: 0,
        }
    }

    pub fn clock(&self, now: Time) -> Time {
        Time(now.0.saturating_add(self.clock_ahead_ms))
    }

    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Starts the program anew. An error is one that it would end with.
    pub fn start(&mut self, log: &SimBus, plan: &Plan, topology: Topology, now: Time) -> anyhow::Result<()> {
        let mut settings = plan.settings.clone();
        let life = if self.plan.stable_instance { 0 } else { self.starts };
        settings.instance_id = Some(format!("p{}-{life}", self.id.0));
        self.starts += 1;
        let bus = log.connect(self.id);
        let stages = Stages::new(&settings, &*bus, topology)?;
        if plan.pressed {
            let somebody = TopicPartition::new("accounts.inbox", u32::MAX);
            stages.screen.pressure.tell(&somebody, Standing::Keeper { full: true });
        }
        let engine = engine_settings(&settings);
        let mut members = Vec::new();
        for slot in 0..self.plan.workers {
            let set = self.plan.stages;
            let handles = [
                set.screen.then(|| StageHandle::Screen(stages.screen.clone())),
                set.accounts.then(|| StageHandle::Accounts(stages.accounts.clone())),
                set.offers.then(|| StageHandle::Offers(stages.offers.clone())),
            ];
            members.extend(handles.into_iter().flatten().map(|stage| Member {
                stage,
                worker: None,
                slot: (slot, self.plan.workers),
                settings: engine.clone(),
                tries: 1,
                rests_until: now,
                idle: false,
                spins: 0,
                log_version: 0,
                done: false,
            }));
        }
        self.state = State::Up(Running { bus, members, stopping: None });
        Ok(())
    }

    /// The program is gone from one moment to the next; the log must know already.
    pub fn vanish(&mut self, back_at: Option<Time>) {
        let gone = std::mem::replace(&mut self.state, State::Down(back_at));
        if let State::Up(running) | State::Paused(running, _) = gone {
            running.members.iter().filter_map(|member| member.worker.as_ref()).for_each(|worker| {
                add(&mut self.stats, &worker.stats());
            });
        }
    }

    pub fn pause(&mut self, until: Time) {
        let state = std::mem::replace(&mut self.state, State::Down(None));
        self.state = match state {
            State::Up(running) => State::Paused(running, until),
            other => other,
        };
    }

    pub fn resume(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Down(None));
        self.state = match state {
            State::Paused(running, _) => State::Up(running),
            other => other,
        };
    }

    /// Tells all workers to finish and leave; the process is down once all are done.
    pub fn stop(&mut self, back_at: Time) {
        if let State::Up(running) = &mut self.state {
            running.stopping = Some(back_at);
            running.members.iter_mut().for_each(|member| member.idle = false);
        }
    }

    pub fn is_stopping(&self) -> bool {
        matches!(&self.state, State::Up(running) if running.stopping.is_some())
    }

    /// Places of the workers that may have something to do now.
    pub fn runnable(&self, now: Time) -> impl Iterator<Item = usize> {
        let members = match &self.state {
            State::Up(running) => running.members.as_slice(),
            _ => &[],
        };
        let ready = move |(_, member): &(usize, &Member)| !member.idle && !member.done && member.rests_until <= now;
        members.iter().enumerate().filter(ready).map(|(place, _)| place)
    }

    /// Whether a worker has something to do, as far as is known.
    pub fn may_step(&self, place: usize) -> bool {
        matches!(&self.state, State::Up(running) if running.members.get(place).is_some_and(|member| !member.idle))
    }

    /// Time has passed: whoever was idle may find something to do, after a short while only those who wait for an
    /// outcome.
    pub fn wake(&mut self, short: bool) {
        if let State::Up(running) = &mut self.state {
            let rests = |member: &Member| short && member.worker.as_ref().is_some_and(AnyWorker::rests);
            running.members.iter_mut().for_each(|member| member.idle &= rests(member));
        }
    }

    /// Something to read came: whoever was idle and reads such things has something to do.
    pub fn wake_for(&mut self, work: Work) {
        if let State::Up(running) = &mut self.state {
            running.members.iter_mut().for_each(|member| member.idle &= !member.stage.does(work));
        }
    }

    /// When the first of those that rest may go on.
    pub fn rests_until(&self, now: Time) -> Option<Time> {
        let State::Up(running) = &self.state else { return None };
        running.members.iter().map(|member| member.rests_until).filter(|until| *until > now).min()
    }

    /// All workers joined, are ready, and wait for no outcome.
    pub fn is_settled(&self) -> bool {
        match &self.state {
            State::Up(running) => running.members.iter().all(|member| {
                member.done || member.worker.as_ref().is_some_and(|worker| worker.is_ready() && worker.is_settled())
            }),
            _ => true,
        }
    }

    /// Some worker waits for the outcome of a transaction.
    pub fn awaits_outcome(&self) -> bool {
        self.workers().any(|worker| !worker.is_settled())
    }

    pub fn workers(&self) -> impl Iterator<Item = &AnyWorker> {
        let members = match &self.state {
            State::Up(running) => running.members.as_slice(),
            _ => &[],
        };
        members.iter().filter_map(|member| member.worker.as_ref())
    }

    /// How it stands, for those who wonder what is stuck.
    pub fn describe(&self) -> String {
        let id = self.id.0;
        match &self.state {
            State::Down(then) => format!("p{id} is down until {then:?}"),
            State::Paused(_, until) => format!("p{id} stands still until {until:?}"),
            State::Up(running) => {
                let members = running.members.iter().map(|member| {
                    let worker = member.worker.as_ref();
                    let ready = worker.map(|worker| (worker.is_ready(), worker.is_settled()));
                    let name = member.stage.name();
                    format!("{name}.{} ready, settled: {ready:?}, rests until {:?}", member.slot.0, member.rests_until)
                });
                format!("p{id}: {}", members.collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Name of a worker, for the trace.
    pub fn name(&self, place: usize) -> String {
        let State::Up(running) = &self.state else { return format!("p{}", self.id.0) };
        let member = &running.members[place];
        format!("p{}.{}.{}", self.id.0, member.stage.name(), member.slot.0)
    }

    /// One step of one worker. `log_version` grows with everything that is written.
    pub fn step(&mut self, place: usize, now: Time, log_version: impl Fn() -> u64) -> Stepped {
        let clock = self.clock(now);
        let State::Up(running) = &mut self.state else { return Stepped::Idle };
        let stopping = running.stopping.is_some();
        let member = &mut running.members[place];
        let stepped = member.step(&running.bus, clock, stopping, self.eager);
        let version = log_version();
        let fruitless = std::mem::replace(&mut member.log_version, version) == version;
        member.spins = if fruitless { member.spins.saturating_add(1) } else { 0 };
        match &stepped {
            Stepped::Busy => member.idle = member.spins > SPINS_MAX,
            Stepped::Idle => member.idle = true,
            Stepped::Resting(pause) => {
                member.rests_until = now.after(Span(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)));
            }
            Stepped::Done => {
                member.done = true;
                if let Some(worker) = member.worker.take() {
                    add(&mut self.stats, &worker.stats());
                }
                if running.members.iter().all(|member| member.done) {
                    self.state = State::Down(running.stopping);
                }
            }
            Stepped::Died(_) => {}
        }
        stepped
    }
}

impl Member {
    fn step(&mut self, log: &Arc<dyn Bus>, clock: Time, stopping: bool, eager: bool) -> Stepped {
        let Some(worker) = &mut self.worker else {
            if stopping {
                return Stepped::Done;
            }
            return match self.stage.join(log, &self.settings, self.slot) {
                Ok(worker) => {
                    self.worker = Some(worker);
                    Stepped::Busy
                }
                Err(BusError::Unavailable(_)) => {
                    self.tries += 1;
                    Stepped::Resting(backoff(self.tries))
                }
                Err(other) => Stepped::Died(other.to_string()),
            };
        };
        if stopping {
            worker.stop();
        }
        worker.set_eager(eager);
        match worker.step(clock) {
            Ok(Step::Busy) => Stepped::Busy,
            Ok(Step::Idle) => Stepped::Idle,
            Ok(Step::Backoff(pause)) => Stepped::Resting(pause),
            Ok(Step::Done) => Stepped::Done,
            Err(error) => Stepped::Died(error.to_string()),
        }
    }
}

impl StageHandle {
    fn does(&self, work: Work) -> bool {
        match self {
            StageHandle::Screen(_) => work.screen,
            StageHandle::Accounts(_) => work.accounts,
            StageHandle::Offers(_) => work.offers,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            StageHandle::Screen(stage) => stage.name(),
            StageHandle::Accounts(stage) => stage.name(),
            StageHandle::Offers(stage) => stage.name(),
        }
    }

    fn join(
        &self,
        log: &Arc<dyn Bus>,
        settings: &engine::settings::Settings,
        slot: (u32, u32),
    ) -> Result<AnyWorker, BusError> {
        let (log, settings) = (log.clone(), settings.clone());
        Ok(match self {
            StageHandle::Screen(stage) => {
                AnyWorker::Screen(Box::new(Worker::new(stage.clone(), Inline::default(), log, settings, slot)?))
            }
            StageHandle::Accounts(stage) => {
                AnyWorker::Accounts(Box::new(Worker::new(stage.clone(), Inline::default(), log, settings, slot)?))
            }
            StageHandle::Offers(stage) => {
                AnyWorker::Offers(Box::new(Worker::new(stage.clone(), Inline::default(), log, settings, slot)?))
            }
        })
    }
}

impl AnyWorker {
    pub fn stats(&self) -> WorkerStats {
        match self {
            AnyWorker::Screen(worker) => worker.stats(),
            AnyWorker::Accounts(worker) => worker.stats(),
            AnyWorker::Offers(worker) => worker.stats(),
        }
    }

    fn step(&mut self, clock: Time) -> Result<Step, WorkerError> {
        match self {
            AnyWorker::Screen(worker) => worker.step(clock, Duration::ZERO),
            AnyWorker::Accounts(worker) => worker.step(clock, Duration::ZERO),
            AnyWorker::Offers(worker) => worker.step(clock, Duration::ZERO),
        }
    }

    fn set_eager(&mut self, eager: bool) {
        match self {
            AnyWorker::Screen(worker) => worker.set_eager(eager),
            AnyWorker::Accounts(worker) => worker.set_eager(eager),
            AnyWorker::Offers(worker) => worker.set_eager(eager),
        }
    }

    fn stop(&mut self) {
        match self {
            AnyWorker::Screen(worker) => worker.stop(),
            AnyWorker::Accounts(worker) => worker.stop(),
            AnyWorker::Offers(worker) => worker.stop(),
        }
    }

    /// It waits for nothing but input.
    fn rests(&self) -> bool {
        self.is_ready() && self.is_settled()
    }

    fn is_ready(&self) -> bool {
        match self {
            AnyWorker::Screen(worker) => worker.is_ready(),
            AnyWorker::Accounts(worker) => worker.is_ready(),
            AnyWorker::Offers(worker) => worker.is_ready(),
        }
    }

    fn is_settled(&self) -> bool {
        match self {
            AnyWorker::Screen(worker) => worker.is_settled(),
            AnyWorker::Accounts(worker) => worker.is_settled(),
            AnyWorker::Offers(worker) => worker.is_settled(),
        }
    }
}

/// Adds one worker's totals to a sum.
pub fn add(sum: &mut WorkerStats, one: &WorkerStats) {
    sum.records += one.records;
    sum.sent += one.sent;
    sum.batches += one.batches;
    sum.decided_ahead += one.decided_ahead;
    sum.commits += one.commits;
    sum.aborts += one.aborts;
    sum.uncertain += one.uncertain;
    sum.fenced += one.fenced;
    sum.restores += one.restores;
    sum.restored_records += one.restored_records;
    sum.reused += one.reused;
    sum.backoffs += one.backoffs;
    sum.strays += one.strays;
}
