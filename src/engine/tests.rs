//! The loop against the simulated broker: every outcome at every step, and each policy on its own.

mod policy;
mod schedules;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use super::host::{Host, Inline};
use super::settings::Settings;
use super::toy::{Toy, ToyShard, expected};
use super::worker::{Step, Worker};
use crate::bus::sim::{ProcessId, SimBus, SimOptions, SimTopic};
use crate::bus::{Budget, BusError, Position, Reader, RecordRef, TopicPartition};
use crate::domain::Time;

const GROUP: &str = "pay-by-tweet.toy";

/// How long a step waits in earnest: not at all, time is virtual.
const NO_WAIT: Duration = Duration::ZERO;

/// The process of whoever looks on.
const ONLOOKER: ProcessId = ProcessId(99);

fn input(partition: u32) -> TopicPartition {
    TopicPartition::new("in", partition)
}

fn changelog(partition: u32) -> TopicPartition {
    TopicPartition::new("toy.changelog", partition)
}

fn output(partition: u32) -> TopicPartition {
    TopicPartition::new("out", partition)
}

fn settings() -> Settings {
    Settings { batch: Budget { records_max: 4, bytes_max: 1 << 20 }, ..Settings::default() }
}

fn toy_bus(partitions: u32, seed: u64) -> SimBus {
    bus_of(&["in", "out"], partitions, seed)
}

fn bus_of(topics: &[&str], partitions: u32, seed: u64) -> SimBus {
    SimBus::new(toy_options(topics, partitions, seed), Time(0))
}

/// These topics and the changelog.
fn toy_options(topics: &[&str], partitions: u32, seed: u64) -> SimOptions {
    let mut topics: Vec<SimTopic> = topics.iter().map(|topic| SimTopic::new(topic, partitions)).collect();
    topics.push(SimTopic::compacted("toy.changelog", partitions));
    SimOptions::new(seed, topics)
}

/// A worker in a process of its own, named "toy.0.(slot)".
fn worker(bus: &SimBus, slot: (u32, u32)) -> Worker<Toy, Inline<ToyShard>> {
    worker_of(bus, Toy::default(), Inline::default(), slot)
}

fn worker_of<H: Host<ToyShard>>(bus: &SimBus, toy: Toy, host: H, slot: (u32, u32)) -> Worker<Toy, H> {
    try_worker(bus, toy, host, slot).expect("no trouble drawn")
}

fn try_worker<H: Host<ToyShard>>(
    bus: &SimBus,
    toy: Toy,
    host: H,
    slot: (u32, u32),
) -> Result<Worker<Toy, H>, BusError> {
    Worker::new(Arc::new(toy), host, bus.connect(ProcessId(slot.0)), settings(), slot)
}

/// Steps until nothing comes for a while; `now` stands still.
fn settle<H: Host<ToyShard>>(worker: &mut Worker<Toy, H>, now: Time) {
    settle_all(&mut [worker], now);
}

/// Steps several in turn until nothing comes for a while.
fn settle_all<H: Host<ToyShard>>(workers: &mut [&mut Worker<Toy, H>], now: Time) {
    let mut idle = 0;
    for _ in 0..10_000 {
        let steps: Vec<Step> =
            workers.iter_mut().map(|worker| worker.step(now, NO_WAIT).expect("only bus trouble")).collect();
        idle = if steps.iter().all(|step| *step == Step::Idle) { idle + 1 } else { 0 };
        if idle == 3 {
            return;
        }
    }
    panic!("never idle");
}

/// A record by somebody outside every transaction; answers its offset.
fn append(bus: &SimBus, at: &TopicPartition, key: &str, value: &str) -> u64 {
    bus.append(at, Some(key.as_bytes()), Some(value.as_bytes()))
}

/// A record of somebody's transaction, which stays open until [`SimBus::end_foreign`].
fn append_foreign(bus: &SimBus, at: &TopicPartition, key: &str, value: &str) -> u64 {
    let foreign = bus.begin_foreign();
    bus.append_foreign(foreign, at, Some(key.as_bytes()), value.as_bytes());
    foreign
}

fn reader(bus: &SimBus) -> Box<dyn Reader> {
    bus.connect(ONLOOKER).reader().expect("readers open without a call")
}

/// All committed records of a partition, in order: (offset, key, value).
fn committed(bus: &SimBus, at: &TopicPartition) -> Vec<(u64, String, String)> {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let mut all = Vec::new();
    let visit = &mut |record: RecordRef<'_>| all.push((record.offset, text(record.key), text(record.value)));
    reader(bus).read(at, 0, Budget::BULK, visit).expect("no trouble drawn");
    all
}

fn values(bus: &SimBus, at: &TopicPartition) -> Vec<String> {
    committed(bus, at).into_iter().map(|(_, _, value)| value).collect()
}

fn position(bus: &SimBus, at: &TopicPartition) -> Option<Position> {
    bus.connect(ONLOOKER).position(GROUP, at).expect("no trouble drawn")
}

/// The one check: everything that was put in came out exactly once, in order, partition by partition.
fn check_exactly_once(bus: &SimBus, partitions: u32, why: &str) {
    for partition in 0..partitions {
        let (out, _, _) = expected(&committed(bus, &input(partition)));
        assert_eq!(values(bus, &output(partition)), out, "{why}, partition {partition}");
    }
    assert_eq!(bus.take_misuses(), Vec::<String>::new(), "{why}");
}
