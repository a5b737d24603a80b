//! The crash of the machine, through the whole program: all three stages on a log whose disk loses what was not synced
//! and tears a block, at random moments. With `fsync = "commit"` nothing that a reader saw is lost, with `"interval"` a
//! prefix is left; half of a transaction is never there; and going on from what is left comes to what an undisturbed
//! run comes to.

#[path = "embedded_crash/disk.rs"]
mod disk;
mod support;

use std::io::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use disk::Disk;
use pay_by_tweet::bus::embedded::{Embedded, EmbeddedOptions, Fsync};
use pay_by_tweet::bus::{Bus, TopicPartition};
use pay_by_tweet::clock::VirtualClock;
use pay_by_tweet::domain::{SourceId, Time};
use pay_by_tweet::pipeline::{InlinePipeline, Producer, Record, embedded_options, read_all};
use pay_by_tweet::screen::setup::Topology;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use support::firehose::{Firehose, Plan, Post};
use support::outputs::{Outputs, values};
use support::{House, asked, first_seed};

/// Crashes per way of syncing.
const POINTS: u64 = 200;

/// Crashes of one log, at most, before it is let finish.
const CRASHES_MAX: u64 = 3;

#[test]
fn nothing_that_was_seen_is_lost_when_every_commit_is_synced() {
    let lost = check(Fsync::Commit, asked("POINTS", POINTS));
    assert_eq!(lost, 0);
}

#[test]
fn a_prefix_is_left_when_syncs_come_at_intervals() {
    let lost = check(Fsync::Interval(Duration::from_millis(5)), asked("POINTS", POINTS));
    assert!(lost > 0, "these crashes lost nothing, so they tried nothing");
}

/// Crashes so often, each log up to three times. Returns how many records that were seen were lost.
fn check(fsync: Fsync, points: u64) -> usize {
    let job = Job::new(fsync, first_seed());
    let (mut point, mut lost) = (0, 0);
    for seed in job.seed.. {
        if point >= points {
            break;
        }
        let mut random = SmallRng::seed_from_u64(seed);
        let crashes = random.random_range(1..=CRASHES_MAX);
        println!("seed {seed}, {fsync:?}");
        let mut image = job.empty.clone();
        let mut seen = Seen::default();
        for _ in 0..crashes {
            let disk = Disk::of(image, random.random(), random.random_range(0..job.changes));
            let ended = job.go_on(Counted::new(&disk), &mut random, &mut seen);
            let why = ended.err().filter(|_| !disk.is_crashed());
            assert!(why.is_none(), "seed {seed}: {why:?}");
            image = disk.crash();
            lost += job.look_at(image.clone(), &mut seen, &format!("seed {seed}, {fsync:?}"));
            point += 1;
        }
        let disk = Disk::of(image, 0, u64::MAX);
        let end = job.go_on(Counted::new(&disk), &mut random, &mut seen);
        let end = end.unwrap_or_else(|error| panic!("seed {seed}: it does not go on: {error:#}"));
        Outputs::of_log(&*end).assert_same(&job.expected, &format!("seed {seed}, {fsync:?}"));
    }
    println!("{point} crashes, {} changes of the disk in an undisturbed run, {lost} records lost", job.changes);
    lost
}

/// What is to be done, and what must come of it.
struct Job {
    fsync: Fsync,
    seed: u64,
    house: House,
    firehose: Firehose,
    links: Vec<Vec<u8>>,
    posts: Vec<Vec<u8>>,
    empty: Vec<u8>,
    expected: Outputs,
    /// Of the disk, in an undisturbed run.
    changes: u64,
}

/// What readers have seen.
#[derive(Default)]
struct Seen {
    topics: [Vec<Record>; WATCHED.len()],
}

const WATCHED: [&str; 3] = ["payments.authorized", "fulfilment.orders", "purchases.events"];

impl Job {
    fn new(fsync: Fsync, seed: u64) -> Job {
        let span_ms = 1_800_000;
        let (disorder_ms, scarce, stops) = (0, false, true);
        let plan = Plan {
            seed,
            posts: 400,
            shoppers: 12,
            partitions: 1,
            span_ms,
            disorder_ms,
            scarce,
            stops,
            ..Plan::default()
        };
        let firehose = Firehose::new(plan);
        let mut job = Job {
            fsync,
            seed,
            house: House::new("tick_every = \"30s\"", "[topics]\npartitions = 2"),
            links: firehose.links().collect(),
            posts: firehose.of_partition(0).iter().map(Post::record).collect(),
            firehose,
            empty: Vec::new(),
            expected: Outputs::default(),
            changes: 0,
        };
        let disk = Disk::of(Vec::new(), 0, u64::MAX);
        drop(Embedded::open_on(disk.clone(), job.options()).expect("the disk works"));
        job.empty = disk.live();
        let disk = Counted::new(&Disk::of(job.empty.clone(), 0, u64::MAX));
        let mut random = SmallRng::seed_from_u64(seed);
        let end = job.go_on(disk.clone(), &mut random, &mut Seen::default()).expect("nothing disturbs it");
        job.expected = Outputs::of_log(&*end);
        job.changes = disk.changes.load(Ordering::SeqCst);
        let paid = job.expected.count("payments.authorized");
        println!("{plan:?}: {paid} payments, {} transitions", job.expected.count("purchases.events"));
        assert!(paid > 0, "these inputs try nothing");
        job
    }

    fn options(&self) -> EmbeddedOptions {
        let clock = self.clock();
        let options = embedded_options(&self.house.settings, Arc::new(clock));
        EmbeddedOptions { fsync: self.fsync, upkeep_every_bytes: 30_000, cache_bytes: 4 << 20, ..options }
    }

    /// Every life at the same time of a clock that nothing may depend on.
    fn clock(&self) -> VirtualClock {
        VirtualClock::at(Time(self.firehose.end_ms()))
    }

    /// From whatever the disk holds to the end, unless it crashes: appends what the log lacks, steps the stages.
    fn go_on(&self, disk: Counted, random: &mut SmallRng, seen: &mut Seen) -> anyhow::Result<Arc<Embedded>> {
        let bus = Arc::new(Embedded::open_on(disk, self.options())?);
        let topology = Topology::new(vec![SourceId { topic: "tweets".to_owned(), partition: 0 }], false);
        let (settings, offers) = (&self.house.settings, &self.house.offers);
        let mut pipeline = InlinePipeline::on(bus.clone(), self.clock(), settings, offers, topology)?;
        let mut producer = Producer::new(&*bus, "gateway")?;
        for (topic, values) in [("accounts.links", &self.links), ("tweets", &self.posts)] {
            let held = bus.reader()?.end(&TopicPartition::new(topic, 0))? as usize;
            let mut rest = &values[held..];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(random.random_range(1..=rest.len().min(150)));
                for value in piece {
                    producer.send(topic, Some(0), None, Some(value))?;
                }
                producer.commit(&[])?;
                rest = more;
                pipeline.run()?;
                seen.look(&*bus)?;
            }
        }
        pipeline.end_of_input()?;
        seen.look(&*bus)?;
        Ok(bus)
    }

    /// What a crash left: whole transactions, and of what was seen all or a prefix. Returns how much of it is gone.
    fn look_at(&self, image: Vec<u8>, seen: &mut Seen, what: &str) -> usize {
        let log = Embedded::open_on(Disk::of(image, 0, u64::MAX), self.options());
        let log = log.unwrap_or_else(|error| panic!("{what}: it can't be opened again: {error}"));
        let ids = |topic: &str, which: &dyn Fn(&Value) -> bool| {
            let values = values(&log, topic);
            let mut ids: Vec<String> =
                values.iter().filter(|value| which(value)).map(|value| value["purchase"].to_string()).collect();
            ids.sort();
            ids
        };
        let paid = ids("payments.authorized", &|_| true);
        let authorized = ids("purchases.events", &|event| event["to"] == "authorized" && event["from"] == "prompted");
        assert_eq!(paid, ids("fulfilment.orders", &|_| true), "{what}: I8, half a transaction");
        assert_eq!(paid, authorized, "{what}: I8, half a transaction");
        let mut lost = 0;
        for (before, topic) in seen.topics.iter_mut().zip(WATCHED) {
            let after = read_all(&log, topic).expect("the log is open");
            for partition in 0..self.house.settings.topics.partitions {
                let of = |all: &[Record]| -> Vec<Record> {
                    all.iter().filter(|record| record.partition == partition).cloned().collect()
                };
                let (was, is) = (of(before), of(&after));
                let common = was.len().min(is.len());
                assert_eq!(was[..common], is[..common], "{what}: {topic} is no prefix of what it was");
                lost += was.len() - common;
            }
            *before = after;
        }
        lost
    }
}

impl Seen {
    fn look(&mut self, bus: &dyn Bus) -> anyhow::Result<()> {
        for (seen, topic) in self.topics.iter_mut().zip(WATCHED) {
            *seen = read_all(bus, topic)?;
        }
        Ok(())
    }
}

/// Counts the changes of a disk as the disk itself does.
#[derive(Clone, Debug)]
struct Counted {
    disk: Disk,
    changes: Arc<AtomicU64>,
}

impl Counted {
    fn new(disk: &Disk) -> Counted {
        Counted { disk: disk.clone(), changes: Arc::default() }
    }

    fn count(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

impl redb::StorageBackend for Counted {
    fn len(&self) -> Result<u64, Error> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.count();
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.count();
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.count();
        self.disk.write(offset, data)
    }
}
