use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use redb::backends::InMemoryBackend;

use super::*;
use crate::bus::{Budget, CommitState, OutRecord, Polled, Subscription, partition_of_key};

const LONG: Duration = Duration::from_secs(20);

pub(super) struct Clock(pub(super) Arc<AtomicI64>);

impl Clock {
    pub(super) fn options(&self) -> EmbeddedOptions {
        let at = self.0.clone();
        let options = EmbeddedOptions::new(Arc::new(move || Time(at.load(Ordering::SeqCst))));
        EmbeddedOptions { partitions: 2, cache_bytes: 4 << 20, ..options }
    }
}

pub(super) fn clock() -> Clock {
    Clock(Arc::new(AtomicI64::new(1_000)))
}

pub(super) fn memory(options: EmbeddedOptions) -> Embedded {
    Embedded::open_on(InMemoryBackend::new(), options).unwrap()
}

pub(super) fn spec(group: &str, name: &str, topics: &[(&str, bool)]) -> WorkerSpec {
    let topics = topics.iter().map(|(t, preferred)| Subscription { topic: Arc::from(*t), preferred: *preferred });
    WorkerSpec { group: group.into(), name: name.into(), topics: topics.collect(), slot: (0, 1) }
}

pub(super) fn record(topic: &str, partition: u32, key: &str, value: Option<&str>) -> OutRecord {
    OutRecord {
        topic: Arc::from(topic),
        partition: Some(partition),
        key: Some(key.as_bytes().to_vec()),
        value: value.map(|v| v.as_bytes().to_vec()),
        headers: vec![("ce_type", topic.to_string())],
    }
}

pub(super) fn commit(worker: &mut dyn BusWorker, positions: &[(TopicPartition, Position)]) -> CommitState {
    worker.start_commit(positions).unwrap();
    worker.poll_commit(LONG)
}

pub(super) fn append(bus: &Embedded, records: &[OutRecord]) {
    let mut worker = bus.worker(spec("writers", "w", &[])).unwrap();
    for r in records {
        worker.send(r).unwrap();
    }
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
}

/// (offset, key, value) of everything in a partition.
pub(super) fn all(bus: &Embedded, topic: &str, partition: u32) -> Vec<(u64, String, Option<String>)> {
    let (at, mut reader, mut seen) = (TopicPartition::new(topic, partition), bus.reader().unwrap(), Vec::new());
    let (mut from, end) = (reader.beginning(&at).unwrap(), reader.end(&at).unwrap());
    while from < end {
        let budget = Budget { records_max: 7, bytes_max: 300 };
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        let next =
            reader.read(&at, from, budget, &mut |r| seen.push((r.offset, text(r.key.unwrap()), r.value.map(text))));
        assert!(next.as_ref().unwrap() > &from);
        from = next.unwrap();
    }
    seen
}

/// Resumes everything at its committed positions.
pub(super) fn start(worker: &mut dyn BusWorker) -> Vec<(TopicPartition, Position)> {
    let Polled::Assigned(told) = worker.poll(Budget::BULK, LONG, &mut |_, _| ()).unwrap() else { panic!() };
    let positions: Vec<_> = told.iter().map(|(at, p)| (at.clone(), p.offset)).collect();
    worker.resume_at(&positions).unwrap();
    told
}

pub(super) fn poll(worker: &mut dyn BusWorker, budget: Budget) -> Vec<(String, u32, u64)> {
    let mut seen = Vec::new();
    worker
        .poll(budget, Duration::ZERO, &mut |at, r| seen.push((at.topic.to_string(), at.partition, r.offset)))
        .unwrap();
    seen
}

#[test]
fn records_come_back_in_order_whole_and_as_sent() {
    let bus = memory(clock().options());
    let mut worker = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    for i in 0..3_000 {
        worker.send(&record("in", 1, &format!("k{i}"), Some(&"x".repeat(i % 700)))).unwrap();
        if i == 1_500 {
            assert_eq!(all(&bus, "in", 1).len(), 0, "nothing is visible before the commit");
        }
    }
    let mut keyed = record("in", 0, "21", None);
    keyed.partition = None;
    worker.send(&keyed).unwrap();
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
    let seen = all(&bus, "in", 1);
    let of_key = partition_of_key(b"21", 2);
    assert_eq!(seen.iter().filter(|(_, key, _)| key != "21").count(), 3_000);
    assert!(seen.iter().enumerate().all(|(i, (offset, _, _))| i as u64 == *offset));
    assert!(all(&bus, "in", of_key).iter().any(|(_, key, value)| key == "21" && value.is_none()));
    start(&mut *worker);
    let mut seen = 0;
    worker
        .poll(Budget::BULK, LONG, &mut |at, r| {
            assert_eq!(r.timestamp, Time(1_000));
            assert_eq!(r.headers.read()[..], [("ce_type".to_string(), b"in".to_vec())]);
            assert_eq!(&*at.topic, "in");
            seen += 1;
        })
        .unwrap();
    assert_eq!(seen, 3_001);
    assert!(worker.at_end(&TopicPartition::new("in", 1)));
    assert_eq!(bus.topics().unwrap().iter().map(|t| t.partitions.len()).collect::<Vec<_>>(), [2]);
}

#[test]
fn an_abort_leaves_nothing_and_a_large_record_comes_alone() {
    let bus = memory(clock().options());
    let mut worker = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    worker.send(&record("in", 0, "k", Some("gone"))).unwrap();
    assert_eq!(worker.abort().unwrap(), CommitState::Aborted);
    worker.send(&record("in", 0, "k", Some(&"y".repeat(1 << 20)))).unwrap();
    worker.send(&record("in", 0, "k", Some("small"))).unwrap();
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
    start(&mut *worker);
    let budget = Budget { records_max: 10, bytes_max: 1_000 };
    assert_eq!(poll(&mut *worker, budget), [("in".to_string(), 0, 0)]);
    assert!(!worker.at_end(&TopicPartition::new("in", 0)));
    assert_eq!(poll(&mut *worker, budget), [("in".to_string(), 0, 1)]);
    assert_eq!(poll(&mut *worker, budget), []);
    assert!(worker.send(&record("in", 2, "k", None)).is_err(), "there is no partition 2");
}

#[test]
fn positions_and_notes_come_back_of_any_place_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let at = TopicPartition::new("in", 1);
    let file = TopicPartition::new("file:posts.jsonl", 77);
    let position = Position { offset: 5, note: "mid file".into() };
    {
        let bus = Embedded::open(dir.path(), clock().options()).unwrap();
        let mut worker = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
        worker.send(&record("in", 1, "k", Some("v"))).unwrap();
        let positions = [(at.clone(), position.clone()), (file.clone(), position.clone())];
        assert_eq!(commit(&mut *worker, &positions), CommitState::Committed);
    }
    let bus = Embedded::open(dir.path(), clock().options()).unwrap();
    assert_eq!(bus.position("g", &file).unwrap(), Some(position.clone()));
    assert_eq!(bus.position("other", &file).unwrap(), None);
    assert_eq!(all(&bus, "in", 1).len(), 1);
    let mut worker = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    assert_eq!(start(&mut *worker), [(TopicPartition::new("in", 0), Position::default()), (at, position)]);
}

#[test]
fn preferred_topics_are_read_to_their_ends_first() {
    let bus = memory(clock().options());
    let mut worker = bus.worker(spec("g", "a", &[("posts", false), ("links", true)])).unwrap();
    start(&mut *worker);
    let records: Vec<_> =
        (0..40).flat_map(|i| [record("posts", i % 2, "p", None), record("links", i % 2, "l", None)]).collect();
    append(&bus, &records);
    let budget = Budget { records_max: 7, bytes_max: 1 << 20 };
    let mut seen = Vec::new();
    while seen.len() < 80 {
        let some = poll(&mut *worker, budget);
        assert!(some.len() == 7 || seen.len() + some.len() == 80);
        seen.extend(some);
    }
    assert!(seen[..40].iter().all(|(topic, _, _)| topic == "links") && seen[40..].iter().all(|r| r.0 == "posts"));
    append(&bus, &records);
    worker.pause(&[TopicPartition::new("links", 0), TopicPartition::new("links", 1)]).unwrap();
    assert_eq!(poll(&mut *worker, budget)[0].0, "posts", "paused ones hold nobody up");
    worker.resume_at(&[(TopicPartition::new("links", 1), 39)]).unwrap();
    let seen = poll(&mut *worker, budget);
    assert_eq!((&seen[0], &*seen[1].0), (&("links".to_string(), 1, 39), "posts"));
}

#[test]
fn no_partition_starves() {
    let options = EmbeddedOptions { partitions: 8, ..clock().options() };
    let bus = memory(options);
    let mut worker = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    start(&mut *worker);
    append(&bus, &(0..800).map(|i| record("in", i % 8, "k", Some(&"z".repeat(100)))).collect::<Vec<_>>());
    for budget in [(1, 1 << 20), (3, 1 << 20), (1_000, 1), (1_000, 500)] {
        let mut seen: HashMap<u32, usize> = HashMap::new();
        for _ in 0..8 {
            let some = poll(&mut *worker, Budget { records_max: budget.0, bytes_max: budget.1 });
            assert!(!some.is_empty() && some.len() <= budget.0);
            some.iter().for_each(|(_, partition, _)| *seen.entry(*partition).or_default() += 1);
        }
        assert_eq!(seen.len(), 8, "{budget:?}: {seen:?}");
    }
}

#[test]
fn slots_share_the_partitions() {
    let bus = memory(EmbeddedOptions { partitions: 5, ..clock().options() });
    let mut seen = Vec::new();
    for slot in 0..2 {
        let spec = WorkerSpec { slot: (slot, 2), ..spec("g", &format!("w{slot}"), &[("in", false), ("side", true)]) };
        let mut worker = bus.worker(spec).unwrap();
        let told = start(&mut *worker);
        assert!(told.iter().all(|(at, _)| at.partition % 2 == slot));
        seen.extend(told.into_iter().map(|(at, _)| at));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10);
}

#[test]
fn a_poll_wakes_up_for_a_commit() {
    let bus = memory(clock().options());
    let mut worker = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    start(&mut *worker);
    std::thread::scope(|scope| {
        let polled = scope.spawn(move || worker.poll(Budget::BULK, LONG, &mut |_, _| ()).unwrap());
        append(&bus, &[record("other", 0, "k", None)]);
        append(&bus, &[record("in", 0, "k", None)]);
        assert_eq!(polled.join().unwrap(), Polled::Records(1));
    });
}

#[test]
fn a_successor_fences_and_recover_takes_the_name_back() {
    let bus = memory(clock().options());
    let mut old = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    old.send(&record("in", 0, "k", Some("old"))).unwrap();
    let mut new = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    let mut other = bus.worker(spec("g", "b", &[("in", false)])).unwrap();
    assert_eq!(commit(&mut *old, &[(TopicPartition::new("in", 0), Position::default())]), CommitState::Fenced);
    assert_eq!(old.abort().unwrap(), CommitState::Fenced);
    assert_eq!((all(&bus, "in", 0).len(), bus.position("g", &TopicPartition::new("in", 0)).unwrap()), (0, None));
    assert_eq!(commit(&mut *new, &[]), CommitState::Committed);
    assert_eq!(commit(&mut *other, &[]), CommitState::Committed);
    old.recover().unwrap();
    old.send(&record("in", 0, "k", Some("again"))).unwrap();
    assert_eq!(commit(&mut *old, &[]), CommitState::Committed);
    assert_eq!(commit(&mut *new, &[]), CommitState::Fenced);
}

#[test]
fn who_only_reads_needs_no_claim_and_keeps_nobody_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let reading = Embedded::open(dir.path(), clock().options()).unwrap();
    let claim = Claim::take(dir.path()).unwrap();
    assert!(matches!(Claim::take(dir.path()), Err(BusError::Taken(_))));
    drop((reading, claim));
    Claim::take(dir.path()).unwrap();
}

#[test]
fn who_looks_for_a_program_keeps_none_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!Claim::is_held(&dir.path().join("nowhere")).unwrap());
    let claim = Claim::take(dir.path()).unwrap();
    assert!(Claim::is_held(dir.path()).unwrap());
    drop(claim);
    // However many look: one of them has it shared nearly always.
    let stopped = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let look = || {
            while !stopped.load(Ordering::SeqCst) {
                Claim::is_held(dir.path()).unwrap();
            }
        };
        (0..4).for_each(|_| drop(scope.spawn(look)));
        let taken: Result<Vec<()>, BusError> = (0..100).map(|_| Claim::take(dir.path()).map(drop)).collect();
        stopped.store(true, Ordering::SeqCst);
        taken.unwrap();
    });
    assert!(!Claim::is_held(dir.path()).unwrap());
}

#[cfg(unix)]
#[test]
fn what_is_made_is_its_owners_and_what_is_there_stays() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let there = tempfile::tempdir().unwrap();
    std::fs::set_permissions(there.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let dir = there.path().join("data");
    let claim = Claim::take(&dir).unwrap();
    let open = || drop(Embedded::open(&dir, clock().options()).unwrap());
    open();
    assert_eq!((mode(there.path()), mode(&dir)), (0o755, 0o700));
    for name in [FILE_NAME, LOCK_NAME, CLAIM_NAME] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o640)).unwrap();
    }
    drop(claim);
    drop(Claim::take(&dir).unwrap());
    open();
    assert_eq!([FILE_NAME, LOCK_NAME, CLAIM_NAME].map(|name| mode(&dir.join(name))), [0o640; 3]);
}

#[test]
fn a_second_opener_is_told_who_is_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let bus = Embedded::open(dir.path(), clock().options()).unwrap();
    let Err(BusError::Taken(message)) = Embedded::open(dir.path(), clock().options()) else { panic!() };
    assert!(message.contains(&dir.path().display().to_string()) && message.contains("another pay-by-tweet"));
    drop(bus);
    Embedded::open(dir.path(), clock().options()).unwrap();
}

#[test]
fn a_log_that_a_crash_left_half_made_is_made_anew_and_a_damaged_one_never() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(UNFINISHED_NAME), vec![0; 9_000]).unwrap();
    drop(Embedded::open(dir.path(), clock().options()).unwrap());
    assert!(!dir.path().join(UNFINISHED_NAME).exists());
    std::fs::write(dir.path().join(FILE_NAME), vec![0; 9_000]).unwrap();
    assert!(matches!(Embedded::open(dir.path(), clock().options()), Err(BusError::Fatal(_))));
}

#[test]
fn other_partition_counts_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = |partitions, of: &[(&str, u32)]| {
        let partitions_of = of.iter().map(|(t, c)| (t.to_string(), *c)).collect();
        Embedded::open(dir.path(), EmbeddedOptions { partitions, partitions_of, ..clock().options() })
    };
    let bus = open(4, &[("replies", 3)]).unwrap();
    append(&bus, &[record("replies", 2, "k", None), record("in", 0, "k", None)]);
    assert_eq!((bus.partitions("replies").unwrap(), bus.partitions("new").unwrap()), (3, 4));
    drop(bus);
    let Err(BusError::Fatal(message)) = open(4, &[("replies", 8)]) else { panic!() };
    assert!(message.contains("topic replies has 3 partitions on disk, configuration says 8"), "{message}");
    assert!(matches!(open(8, &[("replies", 3)]), Err(BusError::Fatal(_))));
    assert!(matches!(open(0, &[]), Err(BusError::Fatal(_))));
    let bus = open(4, &[("replies", 3), ("empty", 9)]).unwrap();
    assert_eq!((all(&bus, "replies", 2).len(), all(&bus, "in", 0).len()), (1, 1));
}

#[test]
fn intervals_are_synced_when_asked_and_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { fsync: Fsync::Interval(Duration::from_secs(3_600)), ..clock().options() };
    let bus = Embedded::open(dir.path(), options.clone()).unwrap();
    append(&bus, &[record("in", 0, "k", None)]);
    bus.flush().unwrap();
    append(&bus, &[record("in", 0, "k", None)]);
    drop(bus);
    let bus = Embedded::open(dir.path(), options).unwrap();
    assert_eq!(all(&bus, "in", 0).len(), 2);
}

#[test]
fn what_was_handed_over_is_finished_when_the_log_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let bus = Embedded::open(dir.path(), clock().options()).unwrap();
    let mut worker = bus.worker(spec("g", "a", &[("in", false)])).unwrap();
    worker.send(&record("in", 0, "k", None)).unwrap();
    worker.start_commit(&[]).unwrap();
    drop(bus);
    assert_eq!(worker.poll_commit(LONG), CommitState::Committed);
    assert!(matches!(worker.start_commit(&[]), Err(BusError::Fatal(_))));
    assert!(matches!(worker.recover(), Err(BusError::Fatal(_))));
    drop(worker);
    assert_eq!(all(&Embedded::open(dir.path(), clock().options()).unwrap(), "in", 0).len(), 1);
}
