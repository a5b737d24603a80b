//! The loop against the test bus: every outcome at every step, and each policy on its own.

mod policy;
mod schedules;
mod threads;

use std::sync::Arc;

use super::host::{Host, Inline};
use super::settings::Settings;
use super::testbus::{NO_WAIT, TestBus};
use super::toy::{Toy, ToyShard, expected};
use super::worker::{Step, Worker};
use crate::bus::{Budget, Bus, Position, TopicPartition};
use crate::domain::Time;

const GROUP: &str = "pay-by-tweet.toy";

fn input(partition: u32) -> TopicPartition {
    TopicPartition::new("in", partition)
}

fn output(partition: u32) -> TopicPartition {
    TopicPartition::new("out", partition)
}

fn settings() -> Settings {
    Settings { batch: Budget { records_max: 4, bytes_max: 1 << 20 }, ..Settings::default() }
}

fn toy_bus(partitions: u32, seed: u64) -> TestBus {
    TestBus::new(&[("in", partitions), ("out", partitions), ("toy.changelog", partitions)], seed)
}

fn worker(bus: &TestBus, slot: (u32, u32)) -> Worker<Toy, Inline<ToyShard>> {
    worker_of(bus, Toy::default(), Inline::default(), slot)
}

fn worker_of<H: Host<ToyShard>>(bus: &TestBus, toy: Toy, host: H, slot: (u32, u32)) -> Worker<Toy, H> {
    Worker::new(Arc::new(toy), host, Arc::new(bus.clone()), settings(), slot).expect("no trouble drawn")
}

/// Steps until nothing comes for a while; `now` stands still.
fn settle<H: Host<ToyShard>>(worker: &mut Worker<Toy, H>, now: Time) {
    let mut idle = 0;
    for _ in 0..10_000 {
        idle = match worker.step(now, NO_WAIT).expect("only bus trouble") {
            Step::Idle => idle + 1,
            _ => 0,
        };
        if idle == 3 {
            return;
        }
    }
    panic!("never idle");
}

fn values(bus: &TestBus, at: &TopicPartition) -> Vec<String> {
    bus.committed(at).into_iter().map(|(_, _, value)| value).collect()
}

fn position(bus: &TestBus, at: &TopicPartition) -> Option<Position> {
    bus.position(GROUP, at).expect("no trouble drawn")
}

/// The one check: everything that was put in came out exactly once, in order, partition by partition.
fn check_exactly_once(bus: &TestBus, partitions: u32, why: &str) {
    for partition in 0..partitions {
        let (out, _, _) = expected(&bus.committed(&input(partition)));
        assert_eq!(values(bus, &output(partition)), out, "{why}, partition {partition}");
    }
}
