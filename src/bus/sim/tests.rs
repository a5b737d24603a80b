//! The simulated broker by scenarios: each trap that is Kafka's is there, and each cheat is what it says.

mod groups;
mod logs;
mod runs;
mod transactions;

use std::time::Duration;

use super::*;
use crate::bus::{
    Budget, BusError, BusWorker, OutRecord, Polled, Position, Reader, RecordRef, Subscription, WorkerSpec,
};

const NO_WAIT: Duration = Duration::ZERO;
const START: Time = Time(1_000_000);
const ALWAYS: u32 = 1_000;

/// Topics `in` (2), `side` (1), `out` (2) and `changes` (1, compacted).
fn options(seed: u64) -> SimOptions {
    let mut topics: Vec<SimTopic> = [("in", 2), ("side", 1), ("out", 2)].map(|(t, n)| SimTopic::new(t, n)).into();
    topics.push(SimTopic::compacted("changes", 1));
    SimOptions::new(seed, topics)
}

fn sim(cheat: Option<Cheat>) -> SimBus {
    SimBus::new(SimOptions { cheat, ..options(1) }, START)
}

fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn later(ms: i64) -> Time {
    START.after(Span(ms))
}

/// A worker of the group `g` that reads `in`, in a process of its own.
fn worker(bus: &SimBus, process: u32, name: &str) -> Box<dyn BusWorker> {
    worker_of(bus, process, name, &[("in", false)])
}

fn worker_of(bus: &SimBus, process: u32, name: &str, topics: &[(&str, bool)]) -> Box<dyn BusWorker> {
    let topics = topics.iter().map(|(topic, preferred)| Subscription { topic: (*topic).into(), preferred: *preferred });
    let spec = WorkerSpec { group: "g".to_owned(), name: name.to_owned(), topics: topics.collect(), slot: (0, 1) };
    bus.connect(ProcessId(process)).worker(spec).expect("no faults yet")
}

fn reader(bus: &SimBus) -> Box<dyn Reader> {
    bus.connect(ProcessId(99)).reader().expect("no faults yet")
}

fn record(topic: &str, partition: u32, value: &str) -> OutRecord {
    let (partition, value) = (Some(partition), Some(value.as_bytes().to_vec()));
    OutRecord { topic: topic.into(), partition, key: Some(b"k".to_vec()), value, headers: Vec::new() }
}

fn upto(partition: u32, offset: u64) -> Vec<(TopicPartition, Position)> {
    vec![(at("in", partition), Position { offset, note: format!("up to {offset}") })]
}

/// Polls once, answers what came and the values.
fn poll(worker: &mut Box<dyn BusWorker>) -> (Polled, Vec<String>) {
    let mut values = Vec::new();
    let polled = worker.poll(Budget::BULK, NO_WAIT, &mut |at, record| values.push(shown(at, record)));
    (polled.expect("no faults"), values)
}

fn shown(at: &TopicPartition, record: RecordRef<'_>) -> String {
    format!("{}/{}@{}={}", at.topic, at.partition, record.offset, text(record.value))
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Polls until the worker is assigned and resumes everything; answers the partitions.
fn take_over(worker: &mut Box<dyn BusWorker>) -> Vec<u32> {
    for _ in 0..5 {
        if let (Polled::Assigned(all), _) = poll(worker) {
            let positions: Vec<_> = all.iter().map(|(at, position)| (at.clone(), position.offset)).collect();
            worker.resume_at(&positions).expect("no faults");
            return all.iter().map(|(at, _)| at.partition).collect();
        }
    }
    panic!("never assigned");
}

/// Looks until the commit has an answer.
fn answer(worker: &mut Box<dyn BusWorker>) -> CommitState {
    let mut looks = (0..1_000).map(|_| worker.poll_commit(NO_WAIT));
    looks.find(|state| *state != CommitState::Pending).expect("an answer")
}

/// Commits one record together with a position of partition 0.
fn commit(worker: &mut Box<dyn BusWorker>, value: &str, offset: u64) -> CommitState {
    worker.send(&record("out", 0, value)).expect("no faults");
    worker.start_commit(&upto(0, offset)).expect("no faults");
    answer(worker)
}

/// Committed records as (offset, value).
fn committed(bus: &SimBus, at: &TopicPartition) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let visit = &mut |record: RecordRef<'_>| all.push((record.offset, text(record.value)));
    reader(bus).read(at, 0, Budget::BULK, visit).expect("no faults");
    all
}

fn values(bus: &SimBus, at: &TopicPartition) -> Vec<String> {
    committed(bus, at).into_iter().map(|(_, value)| value).collect()
}

fn position(bus: &SimBus, partition: u32) -> Result<Option<u64>, BusError> {
    let found = bus.connect(ProcessId(99)).position("g", &at("in", partition))?;
    Ok(found.map(|position| position.offset))
}

fn ended(bus: &SimBus) -> Vec<Ended> {
    let mut all = Vec::new();
    bus.ended_since(&mut 0, &mut |ended| all.push(ended.clone()));
    all
}

/// Nothing that a client did was forbidden.
fn no_misuse(bus: &SimBus) {
    assert_eq!(bus.take_misuses(), Vec::<String>::new());
}
