//! Seeded random schedules: two workers, three partitions, everything that can go wrong, in any order.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::ends;
use super::*;
use crate::bus::sim::{Cheat, Faults};
use crate::domain::Span;

const SCHEDULES: u64 = 2_000;
const PARTITIONS: u32 = 3;
const NAMES: [&str; 2] = ["toy.0.0", "toy.0.1"];

struct World {
    seed: u64,
    rng: SmallRng,
    bus: SimBus,
    workers: [Option<Worker<Toy, Inline<ToyShard>>>; 2],
    /// (transaction, whether it is in an input).
    foreign: Vec<(u64, bool)>,
    now: i64,
    why: String,
    seen: Seen,
}

/// That the schedules reach what they are for.
#[derive(Default)]
struct Seen {
    commits: u64,
    aborts: u64,
    uncertain: u64,
    fenced: u64,
    restores: u64,
    reused: u64,
    ahead: u64,
    strays: u64,
    /// Transactions that committed, and those that did not.
    committed: u64,
    aborted: u64,
}

#[test]
fn exactly_once_under_every_outcome_at_every_step() {
    let from = std::env::var("ENGINE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = from.map_or(0..SCHEDULES, |seed| seed..seed + 1);
    let mut seen = Seen::default();
    for seed in seeds {
        let world = World::run(seed, None);
        seen.add(&world.seen);
    }
    if from.is_none() {
        let Seen { commits, aborts, uncertain, fenced, restores, reused, ahead, .. } = seen;
        let all = [commits, aborts, uncertain, fenced, restores, reused, ahead, seen.committed, seen.aborted];
        println!("{SCHEDULES} schedules: {all:?}; strays {}", seen.strays);
        assert!(all.iter().all(|count| *count > SCHEDULES / 10), "the schedules miss something: {all:?}");
    }
}

/// The schedules are worth something: each broken promise of the bus shows in one of the first few.
#[test]
fn a_bus_that_breaks_a_promise_is_found_out() {
    for cheat in Cheat::ALL {
        let found = (0..SCHEDULES).find(|seed| std::panic::catch_unwind(|| World::run(*seed, Some(cheat))).is_err());
        println!("{cheat:?} by seed {found:?}");
        assert!(found.is_some(), "{cheat:?} goes unnoticed");
    }
}

impl World {
    /// A whole schedule with its checks.
    fn run(seed: u64, cheat: Option<Cheat>) -> World {
        let mut world = World::new(seed, cheat);
        for _ in 0..world.rng.random_range(40..240) {
            world.act();
        }
        world.come_to_rest();
        world.check();
        world
    }

    fn new(seed: u64, cheat: Option<Cheat>) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let bus = SimBus::new(SimOptions { cheat, ..toy_options(&["in", "out"], PARTITIONS, seed) }, Time(0));
        let workers = [0, 1].map(|slot| Some(worker_of(&bus, toy_of(seed), Inline::default(), (slot, 2))));
        bus.set_faults(draw_faults(&mut rng));
        let why = format!("ENGINE_SEED={seed}");
        World { seed, rng, bus, workers, foreign: Vec::new(), now: 1_000, why, seen: Seen::default() }
    }

    fn act(&mut self) {
        let partition = self.rng.random_range(0..PARTITIONS);
        let which = self.rng.random_range(0..2);
        match self.rng.random_range(0..1_000) {
            0..600 => self.step(which),
            600..800 => self.put_in(partition),
            800..880 => {
                let ms = [1, 20, 100, 1_000][self.rng.random_range(0..4)];
                self.pass(ms);
            }
            880..930 => {
                self.bus.pin(GROUP, &input(partition), NAMES[which]);
                self.bus.rebalance(GROUP);
            }
            930..940 => self.stand_still(which),
            940..970 => {
                if self.rng.random_bool(0.7) {
                    self.bus.crash(ProcessId(which as u32));
                }
                self.leave(which);
                self.rejoin(which);
            }
            970..973 => self.bus.restart_broker(Span(self.rng.random_range(1..1_000))),
            973..978 => self.bus.compact(),
            _ => self.foreign_transaction(partition),
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now += ms;
        self.bus.advance(Time(self.now));
    }

    /// A process is stopped for longer than a session: others take its partitions over, and it does not know.
    fn stand_still(&mut self, which: usize) {
        self.bus.pause(ProcessId(which as u32));
        self.pass(10_000);
        for _ in 0..self.rng.random_range(0..60) {
            self.step(1 - which);
            self.pass(5);
        }
        self.bus.resume(ProcessId(which as u32));
    }

    fn step(&mut self, which: usize) {
        let Some(worker) = &mut self.workers[which] else {
            return self.rejoin(which);
        };
        worker.step(Time(self.now), NO_WAIT).unwrap_or_else(|why| panic!("{}: {why}", self.why));
    }

    fn put_in(&mut self, partition: u32) {
        for _ in 0..self.rng.random_range(1..7) {
            let key = ["a", "b", "c"][self.rng.random_range(0..3)];
            let value = ["1", "2", "-5", "7", "skip", "moment", "quiet"][self.rng.random_range(0..7)];
            append(&self.bus, &input(partition), key, value);
        }
    }

    /// Somebody else's transaction in an input, or one that comes to nothing in a changelog.
    fn foreign_transaction(&mut self, partition: u32) {
        match self.foreign.pop() {
            Some((transaction, is_input)) => {
                self.bus.end_foreign(transaction, is_input && self.rng.random_bool(0.5));
            }
            None => {
                let is_input = self.rng.random_bool(0.5);
                let at = if is_input { input(partition) } else { changelog(partition) };
                self.foreign.push((append_foreign(&self.bus, &at, "f", "9"), is_input));
            }
        }
    }

    fn leave(&mut self, which: usize) {
        if let Some(worker) = self.workers[which].take() {
            self.seen.count(&worker);
        }
    }

    /// The slot stays empty if the log is away.
    fn rejoin(&mut self, which: usize) {
        self.workers[which] = try_worker(&self.bus, toy_of(self.seed), Inline::default(), (which as u32, 2)).ok();
    }

    /// Faults stop; within bounded steps everything must be consumed, nothing be open, nothing be under way (I10).
    fn come_to_rest(&mut self) {
        self.bus.set_faults(Faults::default());
        for (transaction, is_input) in std::mem::take(&mut self.foreign) {
            self.bus.end_foreign(transaction, is_input);
        }
        for _ in 0..4_000 {
            for which in 0..2 {
                if let Some(worker) = &mut self.workers[which] {
                    worker.set_eager(true);
                }
                self.step(which);
            }
            self.pass(20);
            let held: usize = self.workers.iter().flatten().map(|worker| worker.partitions().count()).sum();
            let is_quiet = self.bus.next_event().is_none() && held == PARTITIONS as usize;
            if is_quiet && self.is_drained().unwrap_or(false) {
                return;
            }
        }
        panic!("{}: not drained", self.why);
    }

    fn is_drained(&self) -> Result<bool, BusError> {
        let bus = self.bus.connect(ONLOOKER);
        ends::drained(&*bus, &mut *reader(&self.bus), &[(GROUP.to_owned(), vec!["in".into()])])
    }

    fn check(&mut self) {
        // A commit may have been made and not been noticed yet.
        for _ in 0..50 {
            self.step(0);
            self.step(1);
        }
        check_exactly_once(&self.bus, PARTITIONS, &self.why);
        assert_eq!(self.bus.open_transactions(), 0, "{}", self.why);
        let seen = &mut self.seen;
        self.bus.ended_since(&mut 0, &mut |ended| {
            *(if ended.committed { &mut seen.committed } else { &mut seen.aborted }) += 1;
        });
        let mut hosted = 0;
        for worker in self.workers.iter().flatten() {
            for (at, shard) in worker.host().shards() {
                let (_, sums, seen) = expected(&committed(&self.bus, at));
                assert_eq!(shard.sums, sums, "{}: {at:?}", self.why);
                assert_eq!(shard.seen, seen, "{}: {at:?}", self.why);
                assert!(shard.layers.is_empty(), "{}: open layers of {at:?}", self.why);
                let Position { note, .. } = position(&self.bus, at).unwrap_or_default();
                assert_eq!(note.parse().unwrap_or(0), seen, "{}: note of {at:?}", self.why);
                hosted += 1;
            }
        }
        assert_eq!(hosted, PARTITIONS, "{}", self.why);
        self.leave(0);
        self.leave(1);
    }
}

/// In every third schedule shards leave part of their batches.
fn toy_of(seed: u64) -> Toy {
    Toy { room: seed.is_multiple_of(3).then_some(1 + seed as usize % 2), ..Toy::default() }
}

/// Each schedule has its own mix.
fn draw_faults(rng: &mut SmallRng) -> Faults {
    let mut draw = |rates: [u32; 3]| rates[rng.random_range(0..3)];
    Faults {
        unavailable: draw([0, 10, 60]),
        aborted: draw([0, 100, 300]),
        fenced: draw([0, 20, 100]),
        request_lost: draw([0, 10, 50]),
        response_lost: draw([0, 20, 100]),
        delayed_end: draw([0, 20, 50]),
        duplicated_end: draw([0, 20, 100]),
        pending_max: draw([0, 1, 3]),
        late_markers: draw([0, 50, 300]),
        early_sends: draw([0, 500, 1_000]),
        short_polls: draw([0, 100, 500]),
        slow_fetch: draw([0, 5, 30]),
        strays: draw([0, 50, 300]),
        lagging_position: draw([0, 20, 100]),
        late_revoke: draw([0, 100, 500]),
    }
}

impl Seen {
    fn count(&mut self, worker: &Worker<Toy, Inline<ToyShard>>) {
        let stats = worker.stats();
        self.commits += stats.commits;
        self.aborts += stats.aborts;
        self.uncertain += stats.uncertain;
        self.fenced += stats.fenced;
        self.restores += stats.restores;
        self.reused += stats.reused;
        self.ahead += stats.decided_ahead;
        self.strays += stats.strays;
    }

    fn add(&mut self, other: &Seen) {
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.uncertain += other.uncertain;
        self.fenced += other.fenced;
        self.restores += other.restores;
        self.reused += other.reused;
        self.ahead += other.ahead;
        self.strays += other.strays;
        self.committed += other.committed;
        self.aborted += other.aborted;
    }
}
