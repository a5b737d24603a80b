//! What a seed draws before anything runs: the program's settings, its processes, its people, and its weather.
//!
//! Swarm testing: each seed switches most kinds of trouble off and turns the rest up, so that rare mixes are met.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::people::PeoplePlan;
use crate::app::StageSet;
use crate::bus::sim::{Cheat, Faults};
use crate::config::{IdleBy, Settings};
use crate::domain::Span;
use crate::planted::Bug;

/// Everything about a run that is decided before its first step. The same plan gives the same run, byte for byte.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub settings: Settings,
    pub people: PeoplePlan,
    pub processes: Vec<ProcessPlan>,
    pub partitions: Partitions,
    /// Sources are live: idle ones move by the clock (DESIGN section 6).
    pub live: bool,
    /// Shards are over their bound from start to end, so that sources wait for those behind them all the time.
    pub pressed: bool,
    /// It is the log's clock that may go back, else the processes'. If both did, nothing would tell a post of today
    /// from one of the future.
    pub log_lags: bool,
    /// The spells that follow each other in a circle until people have nothing more to say.
    pub spells: Vec<Spell>,
    /// Kinds of trouble that may occur at all; shrinking takes some away.
    pub kinds: Kinds,
    /// Turns after which trouble ends, whatever people still have to say.
    pub turns_max: u64,
    /// A promise that the log breaks, and a mistake that the program makes, so that the checks can prove themselves.
    pub cheat: Option<Cheat>,
    pub bug: Option<Bug>,
}

/// One process as it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessPlan {
    pub stages: StageSet,
    /// Workers per stage.
    pub workers: u32,
    /// How far its clock is from true time, in milliseconds.
    pub clock_ahead_ms: i64,
    /// Keeps its instance id over restarts, so that a restart fences what the earlier life left.
    pub stable_instance: bool,
}

/// Partition counts, one to four each. A changelog has as many as its inbox, posts as many as people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions {
    /// `accounts.inbox` and the side inputs; `topics.partitions` tells people.
    pub accounts: u32,
    pub offers: u32,
    pub outputs: u32,
}

/// A stretch of turns with its own weather.
#[derive(Clone, Debug)]
pub struct Spell {
    pub turns: u64,
    /// Trouble per turn, in parts of ten thousand.
    pub trouble: u32,
    /// Kinds of trouble and how often each is met among them.
    pub kinds: Vec<(Kind, u32)>,
    pub network: Faults,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Crash,
    Pause,
    Rebalance,
    Scale,
    Broker,
    Compact,
    Clock,
    AppendClock,
    Network,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Crash,
        Kind::Pause,
        Kind::Rebalance,
        Kind::Scale,
        Kind::Broker,
        Kind::Compact,
        Kind::Clock,
        Kind::AppendClock,
        Kind::Network,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Crash => "crash",
            Kind::Pause => "pause",
            Kind::Rebalance => "rebalance",
            Kind::Scale => "scale",
            Kind::Broker => "broker",
            Kind::Compact => "compact",
            Kind::Clock => "clock",
            Kind::AppendClock => "append-clock",
            Kind::Network => "network",
        }
    }

    pub fn of_name(name: &str) -> Result<Kind, String> {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("kinds are {}", Kind::ALL.map(Kind::name).join(", ")))
    }
}

impl Kinds {
    pub const ALL: Kinds = Kinds(u16::MAX);

    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// The kinds that it has.
    pub fn names(self) -> Vec<&'static str> {
        Kind::ALL.into_iter().filter(|kind| self.has(*kind)).map(Kind::name).collect()
    }

    pub fn without(self, kind: Kind) -> Kinds {
        Kinds(self.0 & !(1 << kind as u16))
    }
}

/// Processes at the same time at most; scaling stays within them.
pub const PROCESSES_MAX: u32 = 4;

/// A clock that is set right is so far from true time at most.
pub const CLOCK_AHEAD_MAX: Span = Span(5_000);

/// Turns of trouble at most: some tens of times what people of one seed need.
const TURNS_MAX: u64 = 400_000;

/// What people would say in hours they say in so much less.
const SPAN_DIVISOR: i64 = 3;

/// What is mixed into a seed, so that the plan, the schedule, the people and the log draw apart from each other.
pub(super) const SCHEDULE_STREAM: u64 = 0x5eed_0001;
pub(super) const BUS_STREAM: u64 = 0x5eed_0002;
const PLAN_STREAM: u64 = 0x5eed_0003;
const PRESSURE_STREAM: u64 = 0x5eed_0004;
const ROOM_STREAM: u64 = 0x5eed_0005;

impl Plan {
    /// Draws the plan of a seed; `base` is the shipped configuration.
    pub fn draw(seed: u64, base: &Settings) -> Plan {
        let rng = &mut SmallRng::seed_from_u64(seed ^ (PLAN_STREAM << 32));
        let mut settings = base.clone();
        let live = rng.random_bool(0.7);
        let mut draw = || *[1, 1, 2, 2, 3, 4].choose(rng).expect("not empty");
        let partitions = Partitions { accounts: draw(), offers: draw(), outputs: draw() };
        let mut people = PeoplePlan::draw(seed);
        // The same conversations in less time: ticks and idle steps cost more than they find.
        people.span = Span(people.span.0 / SPAN_DIVISOR);
        draw_settings(&mut settings, live, rng);
        let room = &mut SmallRng::seed_from_u64(seed ^ (ROOM_STREAM << 32));
        settings.limits.transaction_records = *[1, 4, 20, 100, 60_000, 60_000].choose(room).expect("not empty");
        settings.topics.partitions = partitions.accounts;
        if live && people.heartbeats && rng.random_bool(0.5) {
            settings.time.idle = IdleBy::Heartbeat;
        }
        // What people say comes later than that only where they mean it to.
        let lateness = &mut settings.time.lateness_max;
        *lateness = (*lateness).max(Span(people.disorder.0 + 1_000));
        let processes = draw_processes(rng);
        let log_lags = rng.random_bool(0.3);
        let spells = draw_spells(rng);
        // What was said last of an offer is told by when it was appended, if not by its partition.
        let jumps = |spell: &Spell| spell.kinds.iter().any(|(kind, _)| *kind == Kind::AppendClock);
        people.offers_keyed |= spells.iter().any(jumps);
        Plan {
            seed,
            settings,
            people,
            processes,
            partitions,
            live,
            pressed: SmallRng::seed_from_u64(seed ^ (PRESSURE_STREAM << 32)).random_bool(0.25),
            log_lags,
            spells,
            kinds: Kinds::ALL,
            turns_max: TURNS_MAX,
            cheat: None,
            bug: None,
        }
    }
}

fn draw_settings(settings: &mut Settings, live: bool, rng: &mut SmallRng) {
    let pick = |rng: &mut SmallRng, all: &[i64]| *all.choose(rng).expect("not empty");
    settings.limits.batch_records = pick(rng, &[3, 8, 20, 50, 200]) as usize;
    settings.commit_interval = std::time::Duration::from_millis(pick(rng, &[10, 50, 100, 500, 2_000]) as u64);
    settings.time.tick_every = Span::of_secs(pick(rng, &[5, 15, 20, 30, 45, 60]));
    settings.time.lateness_max = Span::of_secs(pick(rng, &[20, 60, 120, 300]));
    settings.time.idle_after = if live { Span::of_secs(pick(rng, &[5, 15, 30, 60])) } else { Span::ZERO };
    settings.time.idle = IdleBy::Clock;
    settings.account.confirm_window = Span::of_secs(pick(rng, &[120, 300, 900]));
    settings.account.reply_grace = Span::of_secs(pick(rng, &[10, 60]));
    settings.account.cancel_window = Span::of_secs(pick(rng, &[0, 0, 0, 60, 300]));
    settings.account.buy_max_age = Span::of_secs(pick(rng, &[1_800, 7_200, 86_400]));
    settings.reply.feedback_required = rng.random_bool(0.2);
    settings.reply.feedback_timeout = Span::of_secs(pick(rng, &[600, 3_600]));
    settings.reply.nothing_to_confirm = rng.random_bool(0.3);
    settings.limits.pending_per_account = pick(rng, &[2, 4, 16, 16]) as usize;
    settings.limits.purchases_per_day = pick(rng, &[2, 5, 20, 20]) as u32;
    settings.limits.spend_per_day_e4 = pick(rng, &[4_000_000, 50_000_000, 50_000_000]);
    settings.limits.replies_per_hour = pick(rng, &[2, 10, 60, 60]) as u32;
}

fn draw_processes(rng: &mut SmallRng) -> Vec<ProcessPlan> {
    let count = *[1, 2, 2, 3].choose(rng).expect("not empty");
    let mut processes: Vec<ProcessPlan> = (0..count).map(|_| draw_process(rng)).collect();
    let has = |of: fn(&StageSet) -> bool| processes.iter().any(|process| of(&process.stages));
    let (screen, accounts, offers) = (has(|s| s.screen), has(|s| s.accounts), has(|s| s.offers));
    let first = &mut processes[0].stages;
    // Some process runs each stage.
    first.screen |= !screen;
    first.accounts |= !accounts;
    first.offers |= !offers;
    processes
}

pub(super) fn draw_process(rng: &mut SmallRng) -> ProcessPlan {
    let stages = if rng.random_bool(0.6) {
        StageSet::ALL
    } else {
        let bits = rng.random_range(1..8);
        StageSet { screen: bits & 1 != 0, accounts: bits & 2 != 0, offers: bits & 4 != 0 }
    };
    ProcessPlan {
        stages,
        workers: *[1, 1, 2].choose(rng).expect("not empty"),
        clock_ahead_ms: if rng.random_bool(0.3) { rng.random_range(-CLOCK_AHEAD_MAX.0..CLOCK_AHEAD_MAX.0) } else { 0 },
        stable_instance: rng.random_bool(0.5),
    }
}

fn draw_spells(rng: &mut SmallRng) -> Vec<Spell> {
    let mut spells = Vec::new();
    for _ in 0..rng.random_range(1..4) {
        spells.push(Spell { turns: rng.random_range(50..2_000), trouble: 0, kinds: Vec::new(), network: calm() });
        let turns = rng.random_range(100..3_000);
        let trouble = *[0, 20, 60, 200, 500].choose(rng).expect("not empty");
        let mut kinds = Vec::new();
        for kind in Kind::ALL {
            if rng.random_bool(0.5) {
                kinds.push((kind, rng.random_range(1..5)));
            }
        }
        let network = if rng.random_bool(0.7) { draw_network(rng) } else { calm() };
        spells.push(Spell { turns, trouble, kinds, network });
    }
    spells
}

/// Rates in parts of a thousand; most kinds of faults are off in a spell, some of the others are wild.
fn draw_network(rng: &mut SmallRng) -> Faults {
    let wild = rng.random_bool(0.3);
    let mut rate = |most: u32| match (rng.random_bool(0.4), wild) {
        (false, _) => 0,
        (true, false) => *[1, 5, 20].choose(rng).expect("not empty"),
        (true, true) => rng.random_range(1..=most),
    };
    Faults {
        unavailable: rate(100),
        aborted: rate(300),
        fenced: rate(100),
        request_lost: rate(300),
        response_lost: rate(300),
        delayed_end: rate(300),
        duplicated_end: rate(300),
        pending_max: rate(5),
        late_markers: rate(500),
        early_sends: rate(500),
        short_polls: rate(500),
        slow_fetch: rate(50),
        strays: rate(300),
        lagging_position: rate(100),
        late_revoke: rate(500),
    }
}

/// A network without faults.
pub(super) fn calm() -> Faults {
    Faults::default()
}
