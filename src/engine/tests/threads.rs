//! The runtime: real threads, actors, the wall clock.

use std::time::Duration;

use super::super::runtime::Runtime;
use super::*;
use crate::clock::{Deadline, SystemClock};

fn runtime(bus: &SimBus) -> Runtime {
    Runtime::new(bus.connect(ProcessId(0)), Arc::new(SystemClock), settings()).unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(20));
    while !holds() {
        assert!(!deadline.left().is_zero(), "never {what}");
        std::thread::yield_now();
    }
}

#[test]
fn it_drains_stops_and_starts_again_where_it_was() {
    let bus = toy_bus(4, 3);
    for round in 0..2 {
        let mut runtime = runtime(&bus);
        let directory = runtime.spawn(Arc::new(Toy::default()), 2).unwrap();
        for n in 0..200u32 {
            append(&bus, &input(n % 4), ["a", "b", "c"][n as usize % 3], ["1", "skip", "quiet"][n as usize % 3]);
        }
        eventually("drained", || runtime.drained().unwrap());
        eventually("ready", || runtime.health().is_ready());
        assert_eq!(directory.partitions().len(), 4);
        check_exactly_once(&bus, 4, &format!("round {round}"));
        let health = runtime.health();
        runtime.stop(Duration::from_secs(20)).unwrap();
        assert!(!health.is_ready() && health.workers().len() == 2);
        assert_eq!(bus.open_transactions(), 0);
    }
}

#[test]
fn the_first_error_is_told() {
    let bus = toy_bus(1, 3);
    append(&bus, &changelog(0), "a", "damaged");
    let mut runtime = runtime(&bus);
    runtime.spawn(Arc::new(Toy::default()), 1).unwrap();
    let failure = runtime.failure(Duration::from_secs(20)).map(|failure| failure.to_string());
    assert_eq!(failure.as_deref(), Some("worker toy-0 ended: changelog record of key \"\": no number"));
}
