//! Runs by seed: the same calls give the same answers.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Three careful clients copy `in` to `out` under every fault; the script of what they were told.
fn run(seed: u64) -> (String, SimBus) {
    let bus = SimBus::new(options(seed), START);
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut draw = |max: u32| rng.random_range(0..max);
    let mut told = String::new();
    let mut workers: Vec<_> = (0..3).map(|n| worker(&bus, n, &format!("w{n}"))).collect();
    bus.set_faults(Faults {
        unavailable: draw(50),
        aborted: draw(100),
        fenced: draw(50),
        request_lost: draw(100),
        response_lost: draw(100),
        delayed_end: draw(100),
        duplicated_end: draw(100),
        pending_max: draw(4),
        late_markers: draw(500),
        early_sends: draw(1_000),
        short_polls: draw(500),
        slow_fetch: draw(50),
        strays: draw(50),
        lagging_position: draw(100),
        late_revoke: draw(500),
    });
    for step in 0..600 {
        bus.advance(later(step * 10));
        bus.append(&at("in", draw(2)), None, Some(step.to_string().as_bytes()));
        let n = draw(3);
        match draw(200) {
            0 => bus.rebalance("g"),
            1 => bus.restart_broker(Span(i64::from(draw(300)))),
            2 => bus.compact(),
            3 => {
                bus.crash(ProcessId(n));
                let spec = WorkerSpec {
                    group: "g".to_owned(),
                    name: format!("w{n}"),
                    topics: vec![Subscription { topic: "in".into(), preferred: false }],
                    slot: (0, 1),
                };
                // Until it succeeds the slot is empty.
                if let Ok(worker) = bus.connect(ProcessId(n)).worker(spec) {
                    workers[n as usize] = worker;
                }
            }
            _ => act(&mut workers[n as usize], &mut told),
        }
    }
    let mut cursor = Cursor::default();
    bus.committed_since(&mut cursor, &mut |record| told.push_str(&format!("{record:?}\n")));
    bus.ended_since(&mut 0, &mut |ended| told.push_str(&format!("{ended:?}\n")));
    (told, bus)
}

/// Copies what one poll gives, commits, and does what each answer asks for.
fn act(worker: &mut Box<dyn BusWorker>, told: &mut String) {
    let mut copies = Vec::new();
    let mut positions = Vec::new();
    let polled = worker.poll(Budget::BULK, NO_WAIT, &mut |at, record| {
        copies.push(super::record("out", at.partition, &format!("{}@{}", at.partition, record.offset)));
        positions.retain(|(other, _)| other != at);
        positions.push((at.clone(), Position { offset: record.offset + 1, note: String::new() }));
    });
    told.push_str(&format!("{polled:?}\n"));
    match polled {
        Ok(Polled::Assigned(all)) => {
            let all: Vec<_> = all.into_iter().map(|(at, position)| (at, position.offset)).collect();
            let _ = worker.resume_at(&all);
        }
        Ok(Polled::Revoking { .. }) => {
            let released = (0..20).any(|_| worker.release().is_ok());
            told.push_str(if released { "released\n" } else { "stuck\n" });
        }
        Ok(Polled::Records(_)) => {
            let sent = copies.iter().try_for_each(|copy| worker.send(copy));
            let started = sent.and_then(|()| worker.start_commit(&positions));
            let state = match started {
                Ok(()) => (0..100).map(|_| worker.poll_commit(NO_WAIT)).find(|state| *state != CommitState::Pending),
                Err(_) => worker.abort().ok(),
            };
            told.push_str(&format!("{state:?}\n"));
            if state != Some(CommitState::Committed) {
                let _ = worker.recover();
            }
        }
        _ => {}
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (mut kinds, mut all) = ([0; 4], std::collections::BTreeSet::new());
    for seed in 0..30 {
        let (told, _) = run(seed);
        assert_eq!(told, run(seed).0, "seed {seed}");
        for (kind, count) in ["Committed", "Uncertain", "Fenced", "Aborted"].iter().zip(&mut kinds) {
            *count += told.matches(&format!("Some({kind})")).count();
        }
        all.insert(told);
    }
    assert_eq!(all.len(), 30);
    assert!(kinds.iter().all(|count| *count > 20), "{kinds:?}");
}
