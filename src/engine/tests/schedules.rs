//! Seeded random schedules: two workers, three partitions, everything that can go wrong, in any order.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::ends;
use super::super::host::Inline;
use super::super::testbus::{Faults, NO_WAIT, TestBus};
use super::super::toy::{Toy, ToyShard, expected};
use super::super::worker::Worker;
use super::{GROUP, check_exactly_once, input, position, toy_bus, worker};
use crate::bus::{BusError, Position};
use crate::domain::Time;

const SCHEDULES: u64 = 2_000;
const PARTITIONS: u32 = 3;
const NAMES: [&str; 2] = ["toy.0.0", "toy.0.1"];

struct World {
    rng: SmallRng,
    bus: TestBus,
    workers: [Option<Worker<Toy, Inline<ToyShard>>>; 2],
    foreign: Vec<usize>,
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
}

#[test]
fn exactly_once_under_every_outcome_at_every_step() {
    let from = std::env::var("ENGINE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = from.map_or(0..SCHEDULES, |seed| seed..seed + 1);
    let mut seen = Seen::default();
    for seed in seeds {
        let mut world = World::new(seed);
        for _ in 0..world.rng.random_range(40..240) {
            world.act();
        }
        world.come_to_rest();
        world.check();
        seen.add(&world.seen);
    }
    if from.is_none() {
        let all = [seen.commits, seen.aborts, seen.uncertain, seen.fenced, seen.restores, seen.reused, seen.ahead];
        assert!(all.iter().all(|count| *count > SCHEDULES / 10), "the schedules miss something: {all:?}");
    }
    println!("seeds 0..{SCHEDULES}; strays {}", seen.strays);
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let bus = toy_bus(PARTITIONS, seed);
        let workers = [Some(worker(&bus, (0, 2))), Some(worker(&bus, (1, 2)))];
        bus.inner().faults = Faults {
            unavailable: [0, 10, 60][rng.random_range(0..3)],
            aborted: [0, 100, 300][rng.random_range(0..3)],
            uncertain: [0, 50, 200][rng.random_range(0..3)],
            fenced: [0, 50, 200][rng.random_range(0..3)],
            pending_max: rng.random_range(0..4),
        };
        let why = format!("ENGINE_SEED={seed}");
        World { rng, bus, workers, foreign: Vec::new(), now: 1_000, why, seen: Seen::default() }
    }

    fn act(&mut self) {
        let partition = self.rng.random_range(0..PARTITIONS);
        let which = self.rng.random_range(0..2);
        match self.rng.random_range(0..100) {
            0..60 => self.step(which),
            60..80 => self.put_in(partition),
            80..87 => self.now += [1, 20, 100, 1_000][self.rng.random_range(0..4)],
            87..95 => {
                let lost = self.rng.random_bool(0.3);
                self.bus.reassign(GROUP, &input(partition), NAMES[which], lost);
            }
            95..97 => {
                self.leave(which);
                self.rejoin(which);
            }
            _ => self.foreign_transaction(partition),
        }
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
            self.bus.append(&input(partition), key, value);
        }
    }

    fn foreign_transaction(&mut self, partition: u32) {
        match self.foreign.pop() {
            Some(transaction) => self.bus.end_foreign(transaction, self.rng.random_bool(0.5)),
            None => self.foreign.push(self.bus.append_foreign(&input(partition), "f", "9")),
        }
    }

    /// A crash: whatever is open ends one way or the other.
    fn leave(&mut self, which: usize) {
        if let Some(worker) = self.workers[which].take() {
            self.seen.count(&worker);
        }
    }

    fn rejoin(&mut self, which: usize) {
        let faults = std::mem::take(&mut self.bus.inner().faults);
        self.workers[which] = Some(worker(&self.bus, (which as u32, 2)));
        self.bus.inner().faults = faults;
        // Partitions whose owner left while another's slot was theirs go to whoever is there.
        for partition in 0..PARTITIONS {
            let key = (GROUP.to_owned(), input(partition));
            if !self.bus.inner().owners.contains_key(&key) {
                self.bus.reassign(GROUP, &input(partition), NAMES[which], false);
            }
        }
    }

    /// Faults stop; within bounded steps everything must be consumed and nothing be open (I10).
    fn come_to_rest(&mut self) {
        self.bus.inner().faults = Faults::default();
        for transaction in std::mem::take(&mut self.foreign) {
            self.bus.end_foreign(transaction, true);
        }
        for _ in 0..2_000 {
            for which in 0..2 {
                if let Some(worker) = &mut self.workers[which] {
                    worker.set_eager(true);
                }
                self.step(which);
            }
            self.now += 5;
            if self.is_drained().unwrap_or(false) {
                return;
            }
        }
        panic!("{}: not drained", self.why);
    }

    fn is_drained(&self) -> Result<bool, BusError> {
        ends::drained(&self.bus, &mut self.bus.clone(), &[(GROUP.to_owned(), vec!["in".into()])])
    }

    fn check(&mut self) {
        // A commit may have been made and not been noticed yet.
        for _ in 0..50 {
            self.step(0);
            self.step(1);
        }
        check_exactly_once(&self.bus, PARTITIONS, &self.why);
        assert_eq!(self.bus.open_transactions(), 0, "{}", self.why);
        let mut hosted = 0;
        for worker in self.workers.iter().flatten() {
            for (at, shard) in worker.host().shards() {
                let (_, sums, seen) = expected(&self.bus.committed(at));
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
    }
}
