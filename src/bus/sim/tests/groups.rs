//! Groups: rebalances, generations, stable positions.

use super::*;

/// Two members of one group in two processes, after the rebalance.
fn pair(bus: &SimBus) -> [Box<dyn BusWorker>; 2] {
    bus.pin("g", &at("in", 0), "one");
    bus.pin("g", &at("in", 1), "two");
    let mut one = worker(bus, 1, "one");
    assert_eq!(take_over(&mut one), [0, 1]);
    let mut two = worker(bus, 2, "two");
    assert_eq!(poll(&mut two).0, Polled::Idle, "the group waits");
    let (told, _) = poll(&mut one);
    assert_eq!(told, Polled::Revoking { partitions: vec![at("in", 0), at("in", 1)], lost: false });
    one.release().unwrap();
    assert_eq!((take_over(&mut one), take_over(&mut two)), (vec![0], vec![1]));
    [one, two]
}

#[test]
fn a_rebalance_waits_for_releases_and_last_commits_succeed() {
    let bus = sim(None);
    let [mut one, mut two] = pair(&bus);
    assert_eq!(commit(&mut one, "a", 1), CommitState::Committed);
    bus.rebalance("g");
    assert!(matches!(poll(&mut one).0, Polled::Revoking { lost: false, .. }));
    assert_eq!(commit(&mut one, "last", 2), CommitState::Committed);
    one.release().unwrap();
    assert_eq!(poll(&mut one).0, Polled::Idle);
    assert!(matches!(poll(&mut two).0, Polled::Revoking { lost: false, .. }));
    bus.pin("g", &at("in", 0), "two");
    two.release().unwrap();
    let (told, _) = poll(&mut two);
    let positions = vec![(at("in", 0), upto(0, 2)[0].1.clone()), (at("in", 1), Position::default())];
    assert_eq!(told, Polled::Assigned(positions));
    assert_eq!(poll(&mut one).0, Polled::Assigned(Vec::new()));
    assert_eq!(commit(&mut one, "not mine", 3), CommitState::Fenced, "the partition is another's");
    one.recover().unwrap();
    assert_eq!(values(&bus, &at("out", 0)), ["a", "last"]);
    no_misuse(&bus);
}

#[test]
fn without_pins_all_assignors_share_everything_out() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let bus = SimBus::new(options(seed), START);
        let mut members: Vec<_> = (0..3)
            .map(|n| worker_of(&bus, n, &format!("w{n}"), &[("in", false), ("side", true), ("out", false)]))
            .collect();
        let mut shares = vec![0; 3];
        for _ in 0..5 {
            for (member, share) in members.iter_mut().zip(&mut shares) {
                match poll(member).0 {
                    Polled::Revoking { .. } => member.release().unwrap(),
                    Polled::Assigned(all) => *share = all.len(),
                    _ => {}
                }
            }
        }
        assert_eq!(shares.iter().sum::<usize>(), 5);
        seen.insert(shares);
    }
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn a_member_that_does_not_let_go_is_put_out() {
    let bus = sim(None);
    let [mut one, mut two] = pair(&bus);
    bus.rebalance("g");
    assert!(matches!(poll(&mut two).0, Polled::Revoking { lost: false, .. }));
    two.release().unwrap();
    bus.advance(later(59_999));
    assert_eq!(poll(&mut two).0, Polled::Idle);
    bus.advance(later(60_000));
    assert_eq!(take_over(&mut two), [0, 1]);
    assert_eq!(commit(&mut one, "too late", 1), CommitState::Fenced);
    one.recover().unwrap();
    assert!(matches!(poll(&mut one).0, Polled::Revoking { lost: true, .. }));
    one.release().unwrap();
    assert!(matches!(poll(&mut two).0, Polled::Revoking { lost: false, .. }), "one joins again");
    two.release().unwrap();
    assert_eq!((take_over(&mut one), take_over(&mut two)), (vec![0], vec![1]));
    no_misuse(&bus);
}

#[test]
fn a_zombie_is_fenced_by_its_generation() {
    for cheat in [None, Some(Cheat::NoGenerationFence)] {
        let bus = sim(cheat);
        let [mut one, mut two] = pair(&bus);
        bus.pause(ProcessId(1));
        bus.advance(later(9_999));
        assert!(matches!(poll(&mut two).0, Polled::Idle), "one may come back");
        bus.advance(later(10_000));
        assert!(matches!(poll(&mut two).0, Polled::Revoking { lost: false, .. }));
        two.release().unwrap();
        assert_eq!(take_over(&mut two), [0, 1]);
        assert_eq!(commit(&mut two, "heir", 1), CommitState::Committed);
        bus.resume(ProcessId(1));
        let fenced = cheat.is_none();
        let told = commit(&mut one, "zombie", 1);
        assert_eq!(told, if fenced { CommitState::Fenced } else { CommitState::Committed });
        if fenced {
            one.recover().unwrap();
        }
        assert_eq!(values(&bus, &at("out", 0)).len(), if fenced { 1 } else { 2 });
        assert!(matches!(poll(&mut one).0, Polled::Revoking { lost: true, .. }));
    }
}

#[test]
fn a_pause_within_the_session_goes_unnoticed() {
    let bus = sim(None);
    let [mut one, mut two] = pair(&bus);
    for round in 1..5 {
        bus.pause(ProcessId(1));
        bus.advance(later(round * 9_000));
        bus.resume(ProcessId(1));
    }
    bus.advance(later(100_000));
    assert_eq!(commit(&mut one, "a", 1), CommitState::Committed);
    assert_eq!(poll(&mut two).0, Polled::Idle);
}

#[test]
fn a_crashed_member_stays_until_its_session_is_over_even_if_its_process_lives_again() {
    let bus = sim(None);
    let [one, mut two] = pair(&bus);
    bus.crash(ProcessId(1));
    drop(one);
    let mut again = worker(&bus, 1, "one");
    bus.pause(ProcessId(1));
    bus.resume(ProcessId(1));
    assert!(matches!(poll(&mut two).0, Polled::Revoking { lost: false, .. }));
    two.release().unwrap();
    bus.advance(later(9_999));
    assert_eq!(poll(&mut again).0, Polled::Idle, "the dead one has not let go");
    bus.advance(later(10_000));
    assert_eq!((take_over(&mut again), take_over(&mut two)), (vec![0], vec![1]));
}

#[test]
fn a_leave_is_noticed_at_once_unless_the_broker_is_away() {
    for away in [false, true] {
        let bus = sim(None);
        let [one, mut two] = pair(&bus);
        if away {
            bus.restart_broker(Span(100));
        }
        drop(one);
        bus.advance(later(100));
        let told = poll(&mut two).0;
        assert_eq!(matches!(told, Polled::Revoking { lost: false, .. }), !away, "{told:?}");
        bus.advance(later(10_100));
        if away {
            assert!(matches!(poll(&mut two).0, Polled::Revoking { lost: false, .. }));
        }
        two.release().unwrap();
        assert_eq!(take_over(&mut two), [0, 1]);
    }
}

#[test]
fn a_partition_is_assigned_once_its_position_is_stable() {
    for cheat in [None, Some(Cheat::UnstablePositions)] {
        let bus = SimBus::new(SimOptions { cheat, transaction_timeout: Span::of_secs(30), ..options(1) }, START);
        let [mut one, mut two] = pair(&bus);
        bus.set_faults(Faults { request_lost: ALWAYS, ..Faults::default() });
        assert_eq!(commit(&mut one, "undecided", 7), CommitState::Uncertain);
        bus.set_faults(Faults::default());
        assert_eq!(position(&bus, 0).is_err(), cheat.is_none());
        bus.crash(ProcessId(1));
        bus.advance(later(10_000));
        assert!(matches!(poll(&mut two).0, Polled::Revoking { lost: false, .. }));
        two.release().unwrap();
        let told = poll(&mut two).0;
        match cheat {
            None => assert_eq!(told, Polled::Idle),
            Some(_) => assert!(matches!(told, Polled::Assigned(_))),
        }
        bus.advance(later(30_000));
        if cheat.is_none() {
            assert_eq!(take_over(&mut two), [0, 1]);
        }
        assert_eq!(position(&bus, 0).unwrap(), None, "it was aborted");
    }
}

#[test]
fn a_lookup_may_lag() {
    let bus = sim(None);
    bus.set_faults(Faults { lagging_position: ALWAYS, ..Faults::default() });
    let mut one = worker(&bus, 1, "one");
    assert_eq!(poll(&mut one).0, Polled::Idle);
    assert!(matches!(position(&bus, 0), Err(BusError::Unavailable(_))));
    bus.set_faults(Faults::default());
    assert_eq!(take_over(&mut one), [0, 1]);
}

#[test]
fn a_producer_without_topics_is_no_member() {
    let bus = sim(None);
    let mut one = worker(&bus, 1, "one");
    let mut feeder = worker_of(&bus, 2, "feeder", &[]);
    assert_eq!(take_over(&mut one), [0, 1]);
    assert_eq!(poll(&mut feeder).0, Polled::Idle);
    feeder.send(&record("in", 0, "fed")).unwrap();
    let place = (at("a file", 0), Position { offset: 17, note: String::new() });
    feeder.start_commit(&[place]).unwrap();
    assert_eq!(answer(&mut feeder), CommitState::Committed);
    let found = bus.connect(ProcessId(2)).position("g", &at("a file", 0)).unwrap();
    assert_eq!(found.map(|position| position.offset), Some(17));
    assert_eq!(poll(&mut one).1, ["in/0@0=fed"]);
    no_misuse(&bus);
}
