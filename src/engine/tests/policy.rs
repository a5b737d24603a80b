//! Each rule of the loop on its own.

use super::super::actor::{Actors, Arbiters};
use super::super::directory::{Directory, QueryError};
use super::super::host::{Host, Inline};
use super::super::pressure::{Pressure, Standing};
use super::super::restore::{Progress, Restore, RestoreFailure};
use super::super::settings::RESTORE_STALL_MS;
use super::super::shard::{Batch, Clocks, InRecord, Item, Shard};
use super::super::stage::Stage;
use super::super::toy::{Toy, ToyShard, expected};
use super::super::worker::{Step, Worker};
use super::*;
use crate::bus::CommitState;
use crate::bus::sim::Faults;
use crate::domain::Span;

type ToyWorker = Worker<Toy, Inline<ToyShard>>;

#[test]
fn an_idle_worker_commits_at_once() {
    let bus = toy_bus(1, 1);
    let mut worker = worker(&bus, (0, 1));
    settle(&mut worker, Time(0));
    append(&bus, &input(0), "a", "1");
    settle(&mut worker, Time(0));
    assert_eq!(values(&bus, &output(0)), ["0:a:1:1"]);
    assert_eq!(position(&bus, &input(0)), Some(Position { offset: 1, note: "1".to_owned() }));
}

#[test]
fn a_busy_worker_gathers_until_the_batch_is_full_or_the_interval_over() {
    let bus = toy_bus(1, 1);
    let mut worker = worker(&bus, (0, 1));
    settle(&mut worker, Time(0));
    let mut put_and_step = |now| {
        append(&bus, &input(0), "a", "1");
        worker.step(Time(now), NO_WAIT).unwrap();
        worker.stats().batches
    };
    assert_eq!([put_and_step(0), put_and_step(10), put_and_step(20)], [0, 0, 0]);
    assert_eq!(put_and_step(30), 1, "four records are a batch");
    assert_eq!([put_and_step(100), put_and_step(120)], [1, 1]);
    assert_eq!(put_and_step(150), 2, "the first has waited for 50 ms");
}

#[test]
fn progress_without_output_is_committed_after_ten_intervals_on_a_drain_and_at_the_end() {
    let check = |quiet: &str, act: &dyn Fn(&mut ToyWorker) -> Time, committed: bool| {
        let bus = toy_bus(1, 1);
        let mut worker = worker(&bus, (0, 1));
        settle(&mut worker, Time(0));
        append(&bus, &input(0), "a", quiet);
        settle(&mut worker, Time(0));
        assert_eq!(position(&bus, &input(0)), None);
        let now = act(&mut worker);
        for _ in 0..10 {
            worker.step(now, NO_WAIT).unwrap();
        }
        assert_eq!(position(&bus, &input(0)).map(|position| position.offset), committed.then_some(1), "{quiet}");
    };
    for quiet in ["skip", "moment", "quiet"] {
        check(quiet, &|_| Time(499), false);
        check(quiet, &|_| Time(500), true);
        check(quiet, &|worker| (worker.set_eager(true), Time(1)).1, true);
        check(quiet, &|worker| (worker.stop(), Time(1)).1, true);
    }
}

#[test]
fn a_stream_that_never_pauses_and_never_matters_moves_its_position() {
    let bus = toy_bus(1, 1);
    let mut worker = worker(&bus, (0, 1));
    settle(&mut worker, Time(0));
    for now in 0..60 {
        append(&bus, &input(0), "a", "skip");
        worker.step(Time(now * 10), NO_WAIT).unwrap();
    }
    assert!(position(&bus, &input(0)).is_some_and(|position| position.offset > 0));
}

#[test]
fn one_batch_is_decided_ahead_and_none_of_it_sent() {
    let bus = toy_bus(1, 1);
    let mut worker = worker(&bus, (0, 1));
    settle(&mut worker, Time(0));
    bus.script(1_000, CommitState::Aborted);
    for _ in 0..20 {
        append(&bus, &input(0), "a", "1");
        worker.step(Time(0), NO_WAIT).unwrap();
    }
    for _ in 0..100 {
        worker.step(Time(0), NO_WAIT).unwrap();
    }
    let stats = worker.stats();
    assert_eq!((stats.batches, stats.decided_ahead, stats.sent), (2, 1, 8), "four records and their changelog");
    assert!(values(&bus, &output(0)).is_empty());
    while worker.stats().aborts == 0 {
        worker.step(Time(0), NO_WAIT).unwrap();
    }
    settle(&mut worker, Time(0));
    let stats = worker.stats();
    assert_eq!((stats.aborts, stats.restores), (1, 1), "an abort takes back, it does not rebuild");
    check_exactly_once(&bus, 1, "after the abort");
}

#[test]
fn what_was_taken_back_never_happened() {
    let record = |offset, key: &str| {
        let (key, value) = (Some(key.as_bytes().to_vec()), Some(b"3".to_vec()));
        Item::Record(InRecord { offset, timestamp: Time(0), key, value })
    };
    let batch = |items: Vec<Item>| Batch {
        records: items.len() as u64,
        items,
        now: Time(0),
        at_end: true,
        clocks: Clocks::Agree,
    };
    let mut shard = Toy::default().shard(&input(0), "");
    shard.decide(&batch(vec![record(0, "a")]));
    let before = (shard.sums.clone(), shard.seen);
    let first = shard.decide(&batch(vec![record(1, "a"), record(2, "b"), record(3, "a")]));
    shard.take_back();
    assert_eq!((shard.sums.clone(), shard.seen), before);
    assert_eq!(shard.decide(&batch(vec![record(1, "a"), record(2, "b"), record(3, "a")])), first);
}

#[test]
fn a_restore_is_the_fold_of_the_input_and_misses_nothing_below_an_open_transaction() {
    let bus = toy_bus(1, 1);
    {
        let mut worker = worker(&bus, (0, 1));
        for n in 0..20 {
            append(&bus, &input(0), ["a", "b"][n % 2], "2");
        }
        settle(&mut worker, Time(0));
    }
    let foreign = append_foreign(&bus, &changelog(0), "z", "99");
    let mut restore = Restore::new(Toy::default().shard(&input(0), "20"), Some(changelog(0)), true);
    // Small pieces, so that it takes several steps.
    bus.set_faults(Faults { short_polls: 900, ..Faults::default() });
    let mut reader = reader(&bus);
    let mut steps = 0;
    while restore.step(&mut *reader, Time(0)).unwrap() != Progress::HeldBack {
        steps += 1;
        assert!(steps < 100, "it must wait for the open transaction");
    }
    // A clock that jumps is no wait.
    let mut now = Time(RESTORE_STALL_MS);
    assert_eq!(restore.step(&mut *reader, now).unwrap(), Progress::HeldBack);
    let stuck = loop {
        now = now.after(Span(1_000));
        assert!(now < Time(3 * RESTORE_STALL_MS), "it must not wait for ever");
        match restore.step(&mut *reader, now) {
            Ok(read) => assert_eq!(read, Progress::HeldBack),
            Err(stuck) => break stuck,
        }
    };
    assert!(matches!(stuck, RestoreFailure::Stalled { .. }), "{stuck:?}");
    assert!(now > Time(RESTORE_STALL_MS + RESTORE_STALL_MS / 2), "a minute of waiting, not of the clock");
    bus.end_foreign(foreign, false);
    while restore.step(&mut *reader, now).unwrap() != Progress::Done {}
    bus.set_faults(Faults::default());
    let (_, sums, seen) = expected(&committed(&bus, &input(0)));
    let shard = restore.into_shard();
    assert_eq!((shard.sums, shard.seen), (sums, seen));
}

#[test]
fn state_whose_group_has_lost_its_position_is_refused() {
    let bus = toy_bus(1, 1);
    append(&bus, &changelog(0), "a", "2");
    let mut restore = Restore::new(Toy::default().shard(&input(0), ""), Some(changelog(0)), false);
    let mut reader = reader(&bus);
    let refused = (0..10).find_map(|_| restore.step(&mut *reader, Time(0)).err());
    assert!(matches!(refused, Some(RestoreFailure::Unplaced { .. })), "{refused:?}");
}

#[test]
fn a_changelog_that_cannot_be_read_ends_the_worker() {
    let bus = toy_bus(1, 1);
    append(&bus, &changelog(0), "a", "damaged");
    let mut worker = worker(&bus, (0, 1));
    let failed = (0..10).any(|_| worker.step(Time(0), NO_WAIT).is_err());
    assert!(failed && !worker.is_ready());
}

/// A worker was there, and has left both a changelog.
fn two_partitions_with_state() -> SimBus {
    let bus = toy_bus(2, 1);
    let mut before = worker(&bus, (0, 2));
    for partition in 0..2 {
        append(&bus, &input(partition), "a", "1");
    }
    settle(&mut before, Time(0));
    drop(before);
    bus
}

#[test]
fn a_partition_that_cannot_be_restored_keeps_nobody_else_waiting() {
    let bus = two_partitions_with_state();
    bus.set_leaderless(&changelog(0), true).unwrap();
    let mut one = worker(&bus, (0, 2));
    for partition in 0..2 {
        append(&bus, &input(partition), "a", "2");
    }
    settle(&mut one, Time(0));
    assert_eq!((values(&bus, &output(0)).len(), values(&bus, &output(1)).len()), (1, 2));
    assert!(!one.is_ready());
    // It still hears of its group: another worker comes and gets its share.
    let mut two = worker(&bus, (1, 2));
    bus.pin(GROUP, &input(1), "toy.0.1");
    bus.rebalance(GROUP);
    settle_all(&mut [&mut one, &mut two], Time(1));
    append(&bus, &input(1), "a", "3");
    settle_all(&mut [&mut one, &mut two], Time(1));
    assert_eq!(two.stats().commits, 1);
    bus.set_leaderless(&changelog(0), false).unwrap();
    settle_all(&mut [&mut one, &mut two], Time(60_000));
    check_exactly_once(&bus, 2, "a partition could not be read for a while");
    assert!(one.is_ready());
}

#[test]
fn a_partition_that_an_open_transaction_holds_back_keeps_nobody_else_waiting() {
    let bus = two_partitions_with_state();
    let foreign = append_foreign(&bus, &changelog(0), "z", "99");
    let mut one = worker(&bus, (0, 2));
    for partition in 0..2 {
        append(&bus, &input(partition), "a", "2");
    }
    settle(&mut one, Time(0));
    assert_eq!((values(&bus, &output(0)).len(), values(&bus, &output(1)).len()), (1, 2));
    bus.end_foreign(foreign, false);
    settle(&mut one, Time(1_000));
    check_exactly_once(&bus, 2, "a partition was held back for a while");
    assert!(one.is_ready());
}

#[test]
fn a_parked_shard_is_reused_unless_somebody_advanced() {
    for advanced in [false, true] {
        let bus = toy_bus(1, 1);
        let (mut one, mut two) = (worker(&bus, (0, 2)), worker(&bus, (1, 2)));
        let move_to = |one: &mut ToyWorker, two: &mut ToyWorker, name: &str| {
            bus.pin(GROUP, &input(0), name);
            bus.rebalance(GROUP);
            settle_all(&mut [one, two], Time(0));
        };
        move_to(&mut one, &mut two, "toy.0.0");
        append(&bus, &input(0), "a", "1");
        settle(&mut one, Time(0));
        move_to(&mut one, &mut two, "toy.0.1");
        if advanced {
            append(&bus, &input(0), "a", "1");
            settle(&mut two, Time(0));
        }
        move_to(&mut one, &mut two, "toy.0.0");
        append(&bus, &input(0), "a", "5");
        settle(&mut one, Time(0));
        let stats = one.stats();
        assert_eq!((stats.reused, stats.restores), if advanced { (0, 2) } else { (1, 1) });
        check_exactly_once(&bus, 1, "moved there and back");
    }
}

fn gated_bus() -> SimBus {
    bus_of(&["in", "side", "out"], 2, 1)
}

fn gated(bus: &SimBus, slot: (u32, u32)) -> Worker<Toy, Inline<ToyShard>> {
    worker_of(bus, Toy { gated: true, ..Toy::default() }, Inline::default(), slot)
}

#[test]
fn posts_wait_for_side_inputs_of_every_worker() {
    let bus = gated_bus();
    for partition in 0..2 {
        append(&bus, &input(partition), "post", "1");
        // One without output: its position must be committed all the same.
        append(&bus, &TopicPartition::new("side", partition), "link", "1");
        append(&bus, &TopicPartition::new("side", partition), "link", "quiet");
    }
    // A trailing gap that no position will ever pass.
    let foreign = append_foreign(&bus, &TopicPartition::new("side", 0), "link", "1");
    bus.end_foreign(foreign, false);
    for topic in ["in", "side"] {
        bus.pin(GROUP, &TopicPartition::new(topic, 0), "toy.0.0");
        bus.pin(GROUP, &TopicPartition::new(topic, 1), "toy.0.1");
    }
    let (mut one, mut two) = (gated(&bus, (0, 2)), gated(&bus, (1, 2)));
    settle(&mut one, Time(0));
    assert_eq!(values(&bus, &output(0)), ["0:link:1:1"], "the other worker has not forwarded its side input");
    assert!(!one.is_ready());
    settle(&mut two, Time(0));
    settle(&mut two, Time(100));
    assert_eq!(values(&bus, &output(1)), ["0:link:1:1", "0:post:1:1"]);
    settle(&mut one, Time(20));
    assert!(!one.is_ready(), "it looks at most every 50 ms");
    settle(&mut one, Time(100));
    assert_eq!(values(&bus, &output(0)), ["0:link:1:1", "0:post:1:1"]);
    assert!(one.is_ready() && two.is_ready());
}

#[test]
fn posts_pause_under_pressure_while_side_inputs_flow() {
    let bus = gated_bus();
    let pressure = Pressure::default();
    let behind = |at_end| {
        let standing = Standing::Source { mark: Some(Time(-1)), at_end };
        pressure.tell(&TopicPartition::new("elsewhere", 0), standing);
    };
    let toy = Toy { gated: true, pressure: pressure.clone(), ..Toy::default() };
    let mut worker = worker_of(&bus, toy, Inline::default(), (0, 1));
    settle(&mut worker, Time(0));
    pressure.tell(&TopicPartition::new("inbox", 0), Standing::Keeper { full: true });
    append(&bus, &input(0), "post", "1");
    settle(&mut worker, Time(0));
    assert_eq!(values(&bus, &output(0)), ["0:post:1:1"], "nobody is behind");
    behind(false);
    append(&bus, &input(0), "post", "1");
    settle(&mut worker, Time(0));
    append(&bus, &TopicPartition::new("side", 0), "link", "1");
    settle(&mut worker, Time(0));
    assert_eq!(values(&bus, &output(0)), ["0:post:1:1", "0:link:1:1"]);
    behind(true);
    settle(&mut worker, Time(0));
    assert_eq!(values(&bus, &output(0)), ["0:post:1:1", "0:link:1:1", "1:post:2:2"]);
}

#[test]
fn idle_shards_are_asked_once_a_second_and_told_whether_they_are_at_the_end() {
    let bus = toy_bus(2, 1);
    let mut worker = worker_of(&bus, Toy { idle: true, ..Toy::default() }, Inline::default(), (0, 1));
    settle(&mut worker, Time(0));
    assert_eq!(values(&bus, &output(0)), ["0:true"]);
    settle(&mut worker, Time(999));
    assert_eq!(values(&bus, &output(0)).len(), 1);
    append(&bus, &input(0), "a", "1");
    settle(&mut worker, Time(1_000));
    assert_eq!(values(&bus, &output(0)), ["0:true", "0:a:1:1"], "it had something to do");
    assert_eq!(values(&bus, &output(1)), ["0:true", "1000:true"], "the other had not");
    let foreign = append_foreign(&bus, &input(1), "a", "1");
    settle(&mut worker, Time(2_000));
    assert_eq!(values(&bus, &output(1)).last().map(String::as_str), Some("2000:false"), "not read to its end");
    bus.end_foreign(foreign, true);
    settle(&mut worker, Time(2_000));
}

#[test]
fn a_stop_finishes_what_was_taken() {
    let bus = toy_bus(1, 1);
    let mut worker = worker(&bus, (0, 1));
    settle(&mut worker, Time(0));
    bus.script(5, CommitState::Committed);
    for n in 0..8 {
        append(&bus, &input(0), "a", "1");
        worker.step(Time(n), NO_WAIT).unwrap();
    }
    worker.stop();
    append(&bus, &input(0), "a", "1");
    let done = (0..100).any(|_| worker.step(Time(9), NO_WAIT).unwrap() == Step::Done);
    assert!(done);
    drop(worker);
    assert_eq!(bus.open_transactions(), 0);
    let taken = values(&bus, &output(0)).len();
    assert_eq!(position(&bus, &input(0)).map(|position| position.offset), Some(taken as u64));
    assert!((4..9).contains(&taken), "{taken}");
}

/// What falls due at once may be a million: a stop does not wait for all of it.
#[test]
fn a_stop_leaves_what_a_shard_leaves() {
    let bus = toy_bus(1, 1);
    for _ in 0..8 {
        append(&bus, &input(0), "a", "1");
    }
    let mut one = worker_of(&bus, Toy { room: Some(1), ..Toy::default() }, Inline::default(), (0, 2));
    while values(&bus, &output(0)).is_empty() {
        one.step(Time(0), NO_WAIT).unwrap();
    }
    one.stop();
    assert!((0..100).any(|_| one.step(Time(9), NO_WAIT).unwrap() == Step::Done));
    drop(one);
    let taken = values(&bus, &output(0)).len();
    assert!(taken < 5, "{taken}");
    settle(&mut worker(&bus, (1, 2)), Time(9));
    check_exactly_once(&bus, 1, "the next owner goes on");
}

#[test]
fn a_worker_between_two_assignments_is_not_ready() {
    let bus = toy_bus(2, 1);
    let mut one = worker(&bus, (0, 2));
    settle(&mut one, Time(0));
    assert!(one.is_ready());
    let mut two = worker(&bus, (1, 2));
    let mut between = 0;
    for _ in 0..50 {
        one.step(Time(0), NO_WAIT).unwrap();
        if one.partitions().next().is_none() {
            between += 1;
            assert!(!one.is_ready(), "its partitions were taken away");
        }
        two.step(Time(0), NO_WAIT).unwrap();
    }
    assert!(between > 0 && one.is_ready() && two.is_ready());
}

#[test]
fn both_hosts_give_the_same_outputs() {
    let run = |host: &mut dyn FnMut(&SimBus)| {
        let bus = toy_bus(3, 7);
        for (looks, outcome) in [(1, CommitState::Aborted), (2, CommitState::Uncertain), (0, CommitState::Fenced)] {
            bus.script(looks, outcome);
        }
        for n in 0..60u32 {
            append(&bus, &input(n % 3), ["a", "b"][n as usize % 2], "3");
        }
        host(&bus);
        check_exactly_once(&bus, 3, "host");
        (0..3).flat_map(|partition| committed(&bus, &output(partition))).collect::<Vec<_>>()
    };
    let inline = run(&mut |bus| settle(&mut worker(bus, (0, 1)), Time(0)));
    let arbiters = Arbiters::start().unwrap();
    let directory = Directory::default();
    let actors = run(&mut |bus| {
        let host = Actors::new(arbiters.arbiter(), directory.clone());
        settle(&mut worker_of(bus, Toy::default(), host, (0, 1)), Time(0));
        assert_eq!(directory.partitions(), Vec::new(), "a worker that is gone is not listed");
    });
    assert_eq!(inline, actors);
}

#[test]
fn a_query_reaches_the_shard_and_a_vanished_actor_is_an_error() {
    let arbiters = Arbiters::start().unwrap();
    let directory = Directory::default();
    let mut host = Actors::new(arbiters.arbiter(), directory.clone());
    let mut shard = Toy::default().shard(&input(0), "");
    shard.restore(b"a", Some(b"5")).unwrap();
    host.put(&input(0), shard).unwrap();
    let ask = |key: &str| futures_executor::block_on(directory.query(&input(0), key.to_owned()));
    assert_eq!(ask("a"), Ok(Some(5)));
    assert_eq!(host.query(&input(0), "a".to_owned()).unwrap(), Some(Some(5)));
    let elsewhere = futures_executor::block_on(directory.query(&input(1), "a".to_owned()));
    assert_eq!(elsewhere, Err(QueryError::NotHere));
    // The panic ends the actor; in the program it ends the process.
    assert_eq!(ask("panic"), Err(QueryError::NotHere));
    assert!(host.committed(&[input(0)]).is_err());
}
