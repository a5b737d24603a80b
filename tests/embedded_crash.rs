//! Crashes the embedded log at random points of its writing and looks at what is left.
//!
//! The disk keeps what was written since the last sync apart. A crash keeps an arbitrary part of that, in blocks of 4
//! KiB, and tears one block at an arbitrary byte; then everything fails, as for a program that is no more. Several
//! workers commit at once, so a seed fixes the crash (when, and what of it reached the disk) but not which worker is
//! next.

#[path = "embedded_crash/disk.rs"]
mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use disk::Disk;
use pay_by_tweet::bus::embedded::{Embedded, EmbeddedOptions, Fsync};
use pay_by_tweet::bus::{
    Budget, Bus, BusError, CommitState, OutRecord, Position, RecordRef, TopicPartition, WorkerSpec,
};
use pay_by_tweet::domain::Time;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const SEEDS: u64 = 200;
const WORKERS: u32 = 3;
const PARTITIONS: u32 = 2;
const TRANSACTIONS_PER_LIFE: u64 = 30;
const LONG: Duration = Duration::from_secs(30);

#[test]
fn no_committed_transaction_is_lost_when_each_is_synced() {
    let lost = (0..SEEDS).map(|seed| check(seed, Fsync::Commit)).sum::<usize>();
    assert_eq!(lost, 0);
}

#[test]
fn a_prefix_in_commit_order_survives_when_syncs_come_at_intervals() {
    let lost = (0..SEEDS).map(|seed| check(seed, Fsync::Interval(Duration::from_millis(2)))).sum::<usize>();
    assert!(lost > 0, "these crashes lost nothing, so they tried nothing");
}

/// Two lives of one log, each ended by a crash; the second may end while the log is still being repaired. Returns how
/// many answered transactions were lost.
fn check(seed: u64, fsync: Fsync) -> usize {
    println!("seed {seed}, {fsync:?}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut history = History::default();
    let mut image = empty_log(fsync);
    for life in 0..2 {
        let most = [40, 300, 1_500][random.random_range(0..3)];
        let disk = Disk::of(image, random.random(), random.random_range(0..most));
        match Embedded::open_on(disk.clone(), options(fsync)) {
            Ok(log) => live(&log, life, &mut history),
            Err(error) => assert!(disk.is_crashed(), "seed {seed}: {error}"),
        }
        image = disk.crash();
        let disk = Disk::of(image.clone(), 0, u64::MAX);
        let log = Embedded::open_on(disk, options(fsync)).unwrap_or_else(|e| panic!("seed {seed}: not reopened: {e}"));
        history.compare(&log, &format!("seed {seed}, life {life}, {fsync:?}"));
    }
    history.lost
}

/// The image of a log without records.
fn empty_log(fsync: Fsync) -> Vec<u8> {
    let disk = Disk::of(Vec::new(), 0, u64::MAX);
    drop(Embedded::open_on(disk.clone(), options(fsync)).expect("the disk works"));
    disk.live()
}

fn options(fsync: Fsync) -> EmbeddedOptions {
    let clock = AtomicI64::new(0);
    let now = Arc::new(move || Time(clock.fetch_add(1, Ordering::SeqCst)));
    EmbeddedOptions {
        partitions: PARTITIONS,
        fsync,
        compacted: vec!["state".into()],
        tombstones_kept: Duration::ZERO,
        upkeep_every_bytes: 10_000,
        cache_bytes: 1 << 20,
        ..EmbeddedOptions::new(now)
    }
}

/// What was sent and what was answered.
#[derive(Default)]
struct History {
    sent: BTreeMap<String, Sent>,
    /// Counts moments: "answered before started" is an order that the log must keep.
    moment: AtomicU64,
    /// What a crash left; it must not get lost any more.
    kept: BTreeSet<String>,
    /// Answered transactions that are gone.
    lost: usize,
}

#[derive(Clone, Debug)]
struct Sent {
    worker: u32,
    number: u64,
    records: BTreeMap<(String, u32), usize>,
    started: u64,
    /// When it was answered `Committed`.
    committed: Option<u64>,
}

/// Workers commit until the disk crashes or they are done.
fn live(log: &Embedded, life: u32, history: &mut History) {
    let moment = &history.moment;
    let sent: Vec<(String, Sent)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|w| scope.spawn(move || work(log, life, w, moment))).collect();
        for _ in 0..3 {
            // An error means that the disk crashed.
            let _ = log.compact_now();
        }
        workers.into_iter().flat_map(|w| w.join().expect("workers don't panic")).collect()
    });
    history.sent.extend(sent);
}

fn work(log: &Embedded, life: u32, w: u32, moment: &AtomicU64) -> Vec<(String, Sent)> {
    let mut random = SmallRng::seed_from_u64(u64::from(life * 100 + w));
    let input = TopicPartition::new("input", w);
    let mut all = Vec::new();
    let spec = WorkerSpec { group: "g".into(), name: format!("w{w}"), topics: Vec::new(), slot: (0, 1) };
    let Ok(mut worker) = log.worker(spec) else { return all };
    let Ok(position) = log.position("g", &input) else {
        return all;
    };
    let first = position.map_or(0, |p| p.offset);
    for number in first..first + TRANSACTIONS_PER_LIFE {
        let id = format!("{life}.{w}.{number}");
        let mut sent = Sent { worker: w, number, records: BTreeMap::new(), started: 0, committed: None };
        for (topic, partition, bytes) in some_records(&mut random) {
            *sent.records.entry((topic.to_string(), partition)).or_default() += 1;
            if worker.send(&record(topic, partition, w, &id, bytes)).is_err() {
                return all;
            }
        }
        let position = Position { offset: number + 1, note: id.clone() };
        sent.started = moment.fetch_add(1, Ordering::SeqCst);
        let started = worker.start_commit(&[(input.clone(), position)]);
        let state = if started.is_ok() { worker.poll_commit(LONG) } else { CommitState::Uncertain };
        let committed = state == CommitState::Committed;
        sent.committed = committed.then(|| moment.fetch_add(1, Ordering::SeqCst));
        all.push((id, sent));
        if !committed {
            assert_eq!(state, CommitState::Uncertain);
            assert!(matches!(worker.start_commit(&[]), Err(BusError::Fatal(_))), "a dead log must not carry on");
            return all;
        }
    }
    all
}

/// (topic, partition, bytes) of one transaction: always one in `order` and one in `state`.
fn some_records(random: &mut SmallRng) -> Vec<(&'static str, u32, usize)> {
    let mut records = vec![("order", 0, 10), ("state", 0, random.random_range(0..3_000))];
    for _ in 0..random.random_range(0..6) {
        let bytes = if random.random_range(0..40) == 0 { 300_000 } else { random.random_range(0..6_000) };
        records.push((["a", "b"][random.random_range(0..2)], random.random_range(0..PARTITIONS), bytes));
    }
    records
}

/// `state` is keyed by worker, so that it can be compacted; everything else by the transaction.
fn record(topic: &str, partition: u32, worker: u32, id: &str, bytes: usize) -> OutRecord {
    let key = if topic == "state" { format!("w{worker}") } else { id.to_string() };
    let value = format!("{id} {}", "v".repeat(bytes));
    let headers = vec![("ce_id", id.to_string())];
    let (key, value) = (Some(key.into_bytes()), Some(value.into_bytes()));
    OutRecord { topic: Arc::from(topic), partition: Some(partition), key, value, headers }
}

impl History {
    fn compare(&mut self, log: &Embedded, which: &str) {
        let order = read(log, "order", 0);
        assert!(order.iter().enumerate().all(|(i, (offset, _))| *offset == i as u64), "{which}: a hole in the order");
        let survived: BTreeSet<String> = order.iter().map(|(_, id)| id.clone()).collect();
        assert_eq!(survived.len(), order.len(), "{which}: a transaction twice");
        assert!(self.kept.is_subset(&survived), "{which}: what had survived a crash got lost");
        let lost: Vec<&String> = self.sent.iter().filter(|(_, s)| s.committed.is_some()).map(|(id, _)| id).collect();
        let lost: Vec<&String> = lost.into_iter().filter(|id| !survived.contains(*id)).collect();
        if !lost.is_empty() {
            println!("{which}: answered and gone: {lost:?}");
            self.lost += lost.len();
        }
        self.check_prefix(&survived, which);
        self.check_whole(log, &survived, which);
        self.check_workers(log, &order, which);
        // What is lost now stays lost, and its moments mean nothing for the next life.
        self.sent.retain(|id, _| survived.contains(id));
        self.kept = survived;
    }

    /// Whatever was answered before a survivor was started survived.
    fn check_prefix(&self, survived: &BTreeSet<String>, which: &str) {
        let latest_start = survived.iter().filter_map(|id| self.sent.get(id)).map(|sent| sent.started).max();
        for (id, sent) in &self.sent {
            let before = sent.committed.zip(latest_start).is_some_and(|(committed, start)| committed < start);
            assert!(!before || survived.contains(id), "{which}: {id} is missing in the middle");
        }
    }

    fn check_whole(&self, log: &Embedded, survived: &BTreeSet<String>, which: &str) {
        let mut found: BTreeMap<(String, u32), BTreeMap<String, usize>> = BTreeMap::new();
        for topic in ["a", "b"] {
            for partition in 0..PARTITIONS {
                let of = found.entry((topic.to_string(), partition)).or_default();
                read(log, topic, partition).into_iter().for_each(|(_, id)| *of.entry(id).or_default() += 1);
            }
        }
        for (place, ids) in &found {
            for id in ids.keys() {
                assert!(survived.contains(id), "{which}: half of {id} is in {place:?}");
            }
            for id in survived {
                let sent = self.sent[id].records.get(place).copied().unwrap_or(0);
                assert_eq!(ids.get(id).copied().unwrap_or(0), sent, "{which}: {id} in {place:?}");
            }
        }
    }

    fn check_workers(&self, log: &Embedded, order: &[(u64, String)], which: &str) {
        let state: BTreeMap<u32, String> =
            read(log, "state", 0).into_iter().map(|(_, id)| (self.sent[&id].worker, id)).collect();
        for w in 0..WORKERS {
            let of_worker: Vec<&str> =
                order.iter().map(|(_, id)| id.as_str()).filter(|id| self.sent[*id].worker == w).collect();
            let in_turn = of_worker.iter().enumerate().all(|(i, id)| self.sent[*id].number == i as u64);
            assert!(in_turn, "{which}: {of_worker:?}");
            let position = log.position("g", &TopicPartition::new("input", w)).expect("the log is open");
            let offset = of_worker.len() as u64;
            let expected = of_worker.last().map(|id| Position { offset, note: id.to_string() });
            assert_eq!(position, expected, "{which}: worker {w}");
            assert_eq!(state.get(&w).map(String::as_str), of_worker.last().copied(), "{which}: the fold of worker {w}");
        }
    }
}

/// (offset, id of the transaction) of everything in a partition.
fn read(log: &Embedded, topic: &str, partition: u32) -> Vec<(u64, String)> {
    let at = TopicPartition::new(topic, partition);
    let mut reader = log.reader().expect("the log is open");
    let end = reader.end(&at).expect("the log is open");
    let (mut from, mut seen) = (0, Vec::new());
    while from < end {
        let mut visit = |record: RecordRef<'_>| {
            let id = String::from_utf8(record.headers.read()[0].1.clone()).expect("ids are text");
            let value = record.value.expect("every record has a value");
            assert!(value.starts_with(id.as_bytes()) && value[id.len() + 1..].iter().all(|b| *b == b'v'));
            seen.push((record.offset, id));
        };
        from = reader.read(&at, from, Budget::BULK, &mut visit).expect("what survived can be read");
    }
    seen
}
