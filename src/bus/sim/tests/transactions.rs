//! Transactions: whole or not at all, epochs, lost and late EndTxns, late markers.

use super::*;

#[test]
fn output_and_positions_become_visible_together() {
    let bus = sim(None);
    let mut worker = worker(&bus, 1, "w");
    take_over(&mut worker);
    worker.send(&record("out", 0, "a")).unwrap();
    worker.send(&record("out", 1, "b")).unwrap();
    bus.script(2, CommitState::Committed);
    worker.start_commit(&upto(0, 3)).unwrap();
    for _ in 0..2 {
        assert_eq!(worker.poll_commit(NO_WAIT), CommitState::Pending);
        assert!(values(&bus, &at("out", 0)).is_empty() && position(&bus, 0).unwrap().is_none());
    }
    assert_eq!(worker.poll_commit(NO_WAIT), CommitState::Committed);
    assert_eq!((values(&bus, &at("out", 0)), values(&bus, &at("out", 1))), (vec!["a".into()], vec!["b".into()]));
    assert_eq!(position(&bus, 0).unwrap(), Some(3));
    let all = ended(&bus);
    let Ended { producer, group, generation, committed, positions, records, .. } = &all[0];
    assert_eq!((producer.as_deref(), group.as_deref(), *generation), (Some("w"), Some("g"), Some(1)));
    assert!(*committed && *positions == upto(0, 3));
    assert_eq!(*records, [(at("out", 0), 0), (at("out", 1), 0)]);
    worker.start_commit(&upto(0, 4)).unwrap();
    assert_eq!((answer(&mut worker), position(&bus, 0).unwrap()), (CommitState::Committed, Some(4)), "positions alone");
    no_misuse(&bus);
}

#[test]
fn an_abort_leaves_nothing_to_see() {
    let bus = sim(None);
    bus.set_faults(Faults { early_sends: ALWAYS, ..Faults::default() });
    let mut worker = worker(&bus, 1, "w");
    take_over(&mut worker);
    assert_eq!(worker.abort().unwrap(), CommitState::Aborted, "nothing is open");
    worker.send(&record("out", 0, "a")).unwrap();
    assert_eq!(bus.open_transactions(), 1);
    assert_eq!(worker.abort().unwrap(), CommitState::Aborted);
    bus.set_faults(Faults { aborted: ALWAYS, ..Faults::default() });
    assert_eq!(commit(&mut worker, "b", 1), CommitState::Aborted);
    bus.set_faults(Faults::default());
    assert_eq!(commit(&mut worker, "c", 1), CommitState::Committed);
    assert_eq!(values(&bus, &at("out", 0)), ["c"]);
    assert_eq!(position(&bus, 0).unwrap(), Some(1));
    no_misuse(&bus);
}

#[test]
fn a_crash_leaves_its_transaction_to_a_successor_or_to_the_timeout() {
    for succeeded in [true, false] {
        let bus = sim(None);
        bus.set_faults(Faults { early_sends: ALWAYS, ..Faults::default() });
        let mut first = worker(&bus, 1, "w");
        take_over(&mut first);
        first.send(&record("out", 0, "left")).unwrap();
        bus.crash(ProcessId(1));
        assert!(matches!(first.send(&record("out", 0, "x")), Err(BusError::Fatal(_))), "the dead don't send");
        drop(first);
        assert_eq!(bus.open_transactions(), 1, "a crash is silent");
        if succeeded {
            let _second = worker(&bus, 1, "w");
            assert_eq!(bus.open_transactions(), 0);
        } else {
            bus.advance(later(4_999));
            assert_eq!(bus.open_transactions(), 1);
            assert_eq!(bus.next_event(), Some(later(5_000)));
            bus.advance(later(5_000));
            assert_eq!(bus.open_transactions(), 0);
        }
        assert!(values(&bus, &at("out", 0)).is_empty());
    }
}

#[test]
fn a_clean_leave_aborts_at_once() {
    let bus = sim(None);
    bus.set_faults(Faults { early_sends: ALWAYS, ..Faults::default() });
    let mut worker = worker(&bus, 1, "w");
    worker.send(&record("out", 0, "left")).unwrap();
    drop(worker);
    assert_eq!((bus.open_transactions(), bus.next_event()), (0, None));
}

#[test]
fn who_takes_too_long_is_fenced() {
    let bus = sim(None);
    let mut worker = worker(&bus, 1, "w");
    take_over(&mut worker);
    bus.set_faults(Faults { early_sends: ALWAYS, ..Faults::default() });
    worker.send(&record("out", 0, "slow")).unwrap();
    bus.advance(later(5_000));
    assert_eq!(commit(&mut worker, "more", 1), CommitState::Fenced);
    worker.recover().unwrap();
    assert_eq!(commit(&mut worker, "again", 1), CommitState::Committed);
    assert_eq!(values(&bus, &at("out", 0)), ["again"]);
    bus.set_faults(Faults { fenced: ALWAYS, ..Faults::default() });
    assert_eq!(commit(&mut worker, "for no reason", 2), CommitState::Fenced);
    assert_eq!(values(&bus, &at("out", 0)), ["again"]);
    no_misuse(&bus);
}

#[test]
fn a_newer_epoch_fences_the_older() {
    for cheat in [None, Some(Cheat::NoEpochFence)] {
        let bus = sim(cheat);
        let mut old = worker_of(&bus, 1, "w", &[]);
        let mut new = worker_of(&bus, 2, "w", &[]);
        old.send(&record("out", 0, "zombie")).unwrap();
        old.start_commit(&upto(0, 1)).unwrap();
        let fenced = cheat.is_none();
        assert_eq!(answer(&mut old), if fenced { CommitState::Fenced } else { CommitState::Committed });
        assert_eq!(values(&bus, &at("out", 0)).is_empty(), fenced);
        new.send(&record("out", 0, "heir")).unwrap();
        new.start_commit(&upto(0, 2)).unwrap();
        assert_eq!(answer(&mut new), CommitState::Committed);
        old.recover().unwrap();
        new.start_commit(&upto(0, 2)).unwrap();
        assert_eq!(answer(&mut new), if fenced { CommitState::Fenced } else { CommitState::Committed });
    }
}

#[test]
fn lost_requests_and_lost_answers_are_uncertain_until_recovery() {
    let lose = |faults: Faults, visible: bool| {
        let bus = sim(None);
        let mut worker = worker(&bus, 1, "w");
        take_over(&mut worker);
        bus.set_faults(faults);
        worker.send(&record("out", 0, "a")).unwrap();
        worker.start_commit(&upto(0, 1)).unwrap();
        assert_eq!(worker.poll_commit(NO_WAIT), CommitState::Pending, "it waits for the answer first");
        assert_eq!(answer(&mut worker), CommitState::Uncertain);
        bus.set_faults(Faults::default());
        assert_eq!(position(&bus, 0).is_err(), !visible, "undecided positions are not told");
        worker.recover().unwrap();
        assert_eq!(position(&bus, 0).unwrap(), visible.then_some(1));
        assert_eq!(values(&bus, &at("out", 0)).len(), usize::from(visible));
        // Whatever is still under way does no harm now.
        worker.send(&record("out", 0, "b")).unwrap();
        bus.set_faults(Faults { early_sends: ALWAYS, ..Faults::default() });
        worker.send(&record("out", 0, "c")).unwrap();
        (1..40).for_each(|n| bus.advance(later(n * 100)));
        assert_eq!(values(&bus, &at("out", 0)).len(), usize::from(visible));
        worker.start_commit(&upto(0, 2)).unwrap();
        assert_eq!(answer(&mut worker), CommitState::Committed);
        no_misuse(&bus);
    };
    lose(Faults { request_lost: ALWAYS, ..Faults::default() }, false);
    lose(Faults { delayed_end: ALWAYS, ..Faults::default() }, false);
    lose(Faults { response_lost: ALWAYS, ..Faults::default() }, true);
    lose(Faults { duplicated_end: ALWAYS, ..Faults::default() }, true);
}

/// One transaction whose EndTxn is copied, another of which only half is sent when the copy arrives. Answers what is
/// visible of the second.
fn second_after_a_copy(cheat: Option<Cheat>) -> Vec<String> {
    let day = Span::DAY;
    let options = SimOptions { cheat, transaction_timeout: day, session_timeout: day, ..options(1) };
    let bus = SimBus::new(options, START);
    let mut worker = worker(&bus, 1, "w");
    take_over(&mut worker);
    bus.set_faults(Faults { duplicated_end: ALWAYS, ..Faults::default() });
    assert_eq!(commit(&mut worker, "first", 1), CommitState::Uncertain);
    bus.set_faults(Faults { early_sends: ALWAYS, ..Faults::default() });
    worker.recover().unwrap();
    worker.send(&record("out", 0, "half")).unwrap();
    bus.advance(later(20_000));
    bus.set_faults(Faults::default());
    let torn = values(&bus, &at("out", 0)).split_off(1);
    assert_eq!(position(&bus, 0).unwrap(), Some(1), "the second has not moved it");
    torn
}

#[test]
fn a_late_end_tears_a_later_transaction_of_a_kept_producer_only() {
    assert_eq!(second_after_a_copy(Some(Cheat::KeptProducer)), ["half"]);
    assert!(second_after_a_copy(None).is_empty());
}

#[test]
fn positions_outside_the_transaction_outlive_its_abort() {
    for cheat in [None, Some(Cheat::OffsetsOutsideTransaction)] {
        let bus = sim(cheat);
        let mut worker = worker(&bus, 1, "w");
        take_over(&mut worker);
        bus.script(0, CommitState::Aborted);
        assert_eq!(commit(&mut worker, "a", 1), CommitState::Aborted);
        assert!(values(&bus, &at("out", 0)).is_empty());
        assert_eq!(position(&bus, 0).unwrap(), cheat.map(|_| 1));
    }
}

#[test]
fn late_markers_make_a_transaction_visible_piece_by_piece() {
    let mut partly = 0;
    for seed in 0..20 {
        let bus = SimBus::new(options(seed), START);
        let mut worker = worker(&bus, 1, "w");
        take_over(&mut worker);
        bus.set_faults(Faults { late_markers: ALWAYS, ..Faults::default() });
        worker.send(&record("out", 1, "a")).unwrap();
        assert_eq!(commit(&mut worker, "a", 1), CommitState::Committed, "answered before it is visible");
        assert_eq!(values(&bus, &at("out", 0)).len() + values(&bus, &at("out", 1)).len(), 0);
        assert!(position(&bus, 0).is_err() && ended(&bus).len() == 1, "decided");
        worker.send(&record("out", 0, "b")).unwrap();
        worker.start_commit(&upto(0, 2)).unwrap();
        assert_eq!(worker.poll_commit(NO_WAIT), CommitState::Pending, "the one before is not complete");
        for ms in 1..=faults::LATE_MARKERS_MS_MAX[2] {
            bus.advance(later(ms));
            let visible = values(&bus, &at("out", 0)).len() + values(&bus, &at("out", 1)).len();
            partly += u32::from(visible == 1);
        }
        assert_eq!((position(&bus, 0).unwrap(), ended(&bus).len()), (Some(1), 1));
        assert_eq!(answer(&mut worker), CommitState::Committed);
        worker.recover().unwrap();
        assert_eq!((position(&bus, 0).unwrap(), bus.open_transactions()), (Some(2), 0), "recovery completes it");
    }
    assert!(partly > 100, "{partly}");
}

#[test]
fn an_answer_that_is_under_way_when_the_broker_restarts_is_lost() {
    let bus = sim(None);
    let mut worker = worker(&bus, 1, "w");
    take_over(&mut worker);
    worker.send(&record("out", 0, "a")).unwrap();
    bus.set_faults(Faults { pending_max: 1_000, ..Faults::default() });
    worker.start_commit(&upto(0, 1)).unwrap();
    while position(&bus, 0).ok().flatten().is_none() {
        assert_eq!(worker.poll_commit(NO_WAIT), CommitState::Pending);
    }
    bus.restart_broker(Span(100));
    assert!((0..2_000).all(|_| worker.poll_commit(NO_WAIT) == CommitState::Pending));
    assert!(matches!(worker.recover(), Err(BusError::Unavailable(_))));
    assert_eq!(bus.next_event(), Some(later(100)));
    bus.advance(later(100));
    assert_eq!(answer(&mut worker), CommitState::Uncertain);
    worker.recover().unwrap();
    assert_eq!(values(&bus, &at("out", 0)), ["a"]);
    bus.set_faults(Faults::default());
    assert_eq!(commit(&mut worker, "b", 2), CommitState::Committed, "it is still a member");
    no_misuse(&bus);
}

#[test]
fn what_the_promises_forbid_is_noted() {
    let bus = sim(None);
    let mut worker = worker(&bus, 1, "w");
    take_over(&mut worker);
    bus.script(0, CommitState::Uncertain);
    commit(&mut worker, "a", 5);
    worker.send(&record("out", 0, "b")).unwrap();
    worker.recover().unwrap();
    worker.start_commit(&[]).unwrap();
    answer(&mut worker);
    worker.start_commit(&upto(0, 5)).unwrap();
    assert!(matches!(worker.send(&record("out", 0, "c")), Err(BusError::Fatal(_))));
    answer(&mut worker);
    worker.start_commit(&upto(0, 4)).unwrap();
    answer(&mut worker);
    bus.set_faults(Faults { early_sends: ALWAYS, ..Faults::default() });
    worker.send(&record("out", 0, "d")).unwrap();
    worker.release().unwrap();
    let misuses = bus.take_misuses();
    let about = ["Uncertain", "without positions", "in/0 went back", "nobody asked", "transaction open"];
    assert_eq!(misuses.len(), about.len(), "{misuses:?}");
    assert!(misuses.iter().zip(about).all(|(misuse, about)| misuse.contains(about)), "{misuses:?}");
}
