//! The promises of the bus (`src/bus/mod.rs`), on a real broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pay_by_tweet::bus::kafka::Kafka;
use pay_by_tweet::bus::kafka::admin::{Admin, Wanted};
use pay_by_tweet::bus::{
    Budget, Bus, BusError, BusWorker, CommitState, OutRecord, Polled, Position, Subscription, TopicPartition,
    WorkerSpec,
};

use super::cluster::Cluster;

const LONG: Duration = Duration::from_secs(30);

fn spec(group: &str, name: &str, topics: &[(&str, bool)]) -> WorkerSpec {
    let topics = topics.iter().map(|(t, preferred)| Subscription { topic: Arc::from(*t), preferred: *preferred });
    WorkerSpec { group: group.into(), name: name.into(), topics: topics.collect(), slot: (0, 1) }
}

fn record(topic: &str, partition: u32, key: &str, value: Option<&str>) -> OutRecord {
    OutRecord {
        topic: Arc::from(topic),
        partition: Some(partition),
        key: Some(key.as_bytes().to_vec()),
        value: value.map(|v| v.as_bytes().to_vec()),
        headers: vec![("ce_type", topic.to_string())],
    }
}

/// A cluster with these topics of two partitions each, stamped by the broker.
fn with_topics(cluster: &Cluster, prefix: &str, topics: &[&str]) -> Kafka {
    with_topics_of(cluster, prefix, topics, ("message.timestamp.type", "LogAppendTime"))
}

fn with_topics_of(cluster: &Cluster, prefix: &str, topics: &[&str], setting: (&'static str, &str)) -> Kafka {
    let kafka = cluster.kafka(prefix);
    let wanted = topics.iter().map(|topic| Wanted {
        topic: (*topic).to_owned(),
        partitions: 2,
        exact: true,
        settings: [(setting.0, setting.1.to_owned())].into(),
    });
    Admin::new(&kafka).unwrap().create(&wanted.collect::<Vec<_>>(), 1).unwrap();
    kafka
}

fn commit(worker: &mut dyn BusWorker, positions: &[(TopicPartition, Position)]) -> CommitState {
    worker.start_commit(positions).unwrap();
    let begun = Instant::now();
    loop {
        match worker.poll_commit(Duration::from_secs(1)) {
            CommitState::Pending => assert!(begun.elapsed() < LONG, "no outcome"),
            outcome => return outcome,
        }
    }
}

fn append(kafka: &Kafka, records: &[OutRecord]) {
    let mut worker = kafka.worker(spec("writers", "writer", &[])).unwrap();
    for one in records {
        worker.send(one).unwrap();
    }
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
}

/// (offset, key, value) of everything in a partition.
fn all(kafka: &Kafka, topic: &str, partition: u32) -> Vec<(u64, String, Option<String>)> {
    let at = TopicPartition::new(topic, partition);
    let mut reader = kafka.reader().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (end, mut position, mut found) = (reader.end(&at).unwrap(), reader.beginning(&at).unwrap(), Vec::new());
    let begun = Instant::now();
    while position < end {
        assert!(begun.elapsed() < LONG, "{topic}-{partition} can't be read to {end}, only to {position}");
        position = reader
            .read(&at, position, Budget::BULK, &mut |record| {
                found.push((record.offset, text(record.key.unwrap_or_default()), record.value.map(text)));
            })
            .unwrap();
    }
    found
}

/// Polls until an event comes or this many records were given.
fn poll_until(worker: &mut dyn BusWorker, count: usize, seen: &mut Vec<(TopicPartition, u64, String)>) -> Polled {
    let begun = Instant::now();
    loop {
        let polled = worker.poll(Budget::BULK, Duration::from_millis(100), &mut |at, record| {
            seen.push((
                at.clone(),
                record.offset,
                String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned(),
            ));
        });
        match polled.unwrap() {
            Polled::Idle | Polled::Records(_) if seen.len() < count => {}
            other => return other,
        }
        assert!(begun.elapsed() < LONG, "only {} of {count} came", seen.len());
    }
}

fn assigned(worker: &mut dyn BusWorker) -> Vec<(TopicPartition, Position)> {
    match poll_until(worker, 1, &mut Vec::new()) {
        Polled::Assigned(told) => told,
        other => panic!("{other:?} instead of an assignment"),
    }
}

fn resume_all(worker: &mut dyn BusWorker, told: &[(TopicPartition, Position)]) {
    let all: Vec<_> = told.iter().map(|(at, position)| (at.clone(), position.offset)).collect();
    worker.resume_at(&all).unwrap();
}

/// Consume, produce, commit; then a second life goes on where the first committed, note and all.
pub fn records_and_positions_are_committed_together(cluster: &Cluster) {
    let kafka = with_topics(cluster, "whole.", &["in", "out"]);
    append(&kafka, &[record("in", 0, "a", Some("1")), record("in", 1, "b", Some("2"))]);
    let mut worker = kafka.worker(spec("g", "w", &[("in", false)])).unwrap();
    let told = assigned(&mut *worker);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|(_, position)| *position == Position::default()));
    resume_all(&mut *worker, &told);
    let mut seen = Vec::new();
    poll_until(&mut *worker, 2, &mut seen);
    worker.send(&record("out", 0, "a", Some("one"))).unwrap();
    let at = TopicPartition::new("in", 0);
    let position = Position { offset: 1, note: "watermark 7".to_owned() };
    assert_eq!(commit(&mut *worker, &[(at.clone(), position.clone())]), CommitState::Committed);
    assert_eq!(all(&kafka, "out", 0), [(0, "a".to_owned(), Some("one".to_owned()))]);
    assert_eq!(kafka.position("g", &at).unwrap(), Some(position.clone()));
    drop(worker);
    let mut next = kafka.worker(spec("g", "w", &[("in", false)])).unwrap();
    let told = assigned(&mut *next);
    assert!(told.contains(&(at, position)), "{told:?}");
}

/// Nothing of an aborted transaction can be seen, and its records leave a gap that readers pass.
pub fn aborted_transactions_are_not_seen(cluster: &Cluster) {
    let kafka = with_topics(cluster, "abort.", &["in", "out"]);
    let mut worker = kafka.worker(spec("g", "w", &[])).unwrap();
    worker.send(&record("out", 0, "a", Some("never"))).unwrap();
    assert_eq!(worker.abort().unwrap(), CommitState::Aborted);
    worker.send(&record("out", 0, "a", Some("yes"))).unwrap();
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
    let found = all(&kafka, "out", 0);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].2.as_deref(), Some("yes"));
    // Its marker comes after it, so that positions are compared, never counted.
    let end = kafka.reader().unwrap().end(&TopicPartition::new("out", 0)).unwrap();
    assert!(end > found[0].0 + 1, "{end}");
}

/// A position before a marker is as good as one after it: whoever reads from there comes to the end.
pub fn reads_come_past_markers(cluster: &Cluster) {
    let kafka = with_topics(cluster, "marker.", &["out"]);
    append(&kafka, &[record("out", 0, "a", Some("1"))]);
    let at = TopicPartition::new("out", 0);
    let mut reader = kafka.reader().unwrap();
    let glance = Budget { records_max: 1, bytes_max: 1 << 16 };
    let begun = Instant::now();
    while reader.read(&at, 1, glance, &mut |record| panic!("{record:?}")).unwrap() < 2 {
        assert!(begun.elapsed() < LONG, "the marker is not passed");
    }
}

/// The end counts records of open transactions, committed readers stop before them (KAFKA-10167).
pub fn ends_count_open_transactions(cluster: &Cluster) {
    let kafka = with_topics(cluster, "ends.", &["out"]);
    let at = TopicPartition::new("out", 0);
    let mut open = kafka.worker(spec("g", "open", &[])).unwrap();
    open.send(&record("out", 0, "a", Some("open"))).unwrap();
    append(&kafka, &[record("out", 0, "b", Some("committed"))]);
    let mut reader = kafka.reader().unwrap();
    let begun = Instant::now();
    // Both records, and the marker of the one that was committed.
    while reader.end(&at).unwrap() < 3 {
        assert!(begun.elapsed() < LONG);
    }
    assert_eq!(reader.ends(&[at.clone(), TopicPartition::new("out", 1)]).unwrap(), [3, 0]);
    assert_eq!(reader.stable_end(&at).unwrap(), 0, "readers come no further for now");
    let mut seen = 0;
    let next = reader.read(&at, 0, Budget::BULK, &mut |_| seen += 1).unwrap();
    assert!(seen == 0 && next < reader.end(&at).unwrap(), "{seen} records up to {next}");
    assert_eq!(commit(&mut *open, &[]), CommitState::Committed);
    assert_eq!(all(&kafka, "out", 0).len(), 2);
}

/// Nothing new is no error; a cluster that can't be asked is one, or whoever waits would wait for what never comes.
pub fn a_log_that_is_away_is_an_error(cluster: &Cluster) {
    let kafka = with_topics(cluster, "silent.", &["out"]);
    let at = TopicPartition::new("out", 0);
    append(&kafka, &[record("out", 0, "a", Some("1"))]);
    let properties = [("bootstrap.servers".to_owned(), cluster.proxied())].into();
    let proxied = Kafka::new(properties, "silent.").unwrap();
    let mut reader = proxied.reader().unwrap();
    let mut look = |from| reader.read(&at, from, Budget::BULK, &mut |_| {});
    let begun = Instant::now();
    let mut next = 0;
    while next < 2 {
        next = look(next).unwrap();
        assert!(begun.elapsed() < LONG);
    }
    assert_eq!((look(next).unwrap(), look(next).unwrap()), (next, next));
    cluster.proxy(0).refuse(true);
    cluster.proxy(0).cut();
    assert!(matches!(look(next), Err(BusError::Unavailable(_))));
    cluster.proxy(0).refuse(false);
    append(&kafka, &[record("out", 0, "a", Some("2"))]);
    while !look(next).is_ok_and(|later| later > next) {
        assert!(begun.elapsed() < LONG);
    }
}

/// Who takes a name over fences who had it: nothing that the first sends is ever seen.
pub fn a_second_life_fences_the_first(cluster: &Cluster) {
    let kafka = with_topics(cluster, "fence.", &["out"]);
    let mut first = kafka.worker(spec("g", "same", &[])).unwrap();
    first.send(&record("out", 0, "a", Some("zombie"))).unwrap();
    let mut second = kafka.worker(spec("g", "same", &[])).unwrap();
    second.send(&record("out", 0, "a", Some("alive"))).unwrap();
    assert_eq!(commit(&mut *second, &[]), CommitState::Committed);
    assert_eq!(commit(&mut *first, &[]), CommitState::Fenced);
    let values: Vec<_> = all(&kafka, "out", 0).into_iter().map(|(_, _, value)| value.unwrap()).collect();
    assert_eq!(values, ["alive"]);
    // It may go on as a new life, which fences the other in turn.
    first.recover().unwrap();
    first.send(&record("out", 0, "a", Some("again"))).unwrap();
    assert_eq!(commit(&mut *first, &[]), CommitState::Committed);
}

/// A partition that went to another member can't be committed for any more.
pub fn partitions_that_moved_are_fenced(cluster: &Cluster) {
    let kafka = with_topics(cluster, "moved.", &["in", "out"]);
    append(&kafka, &[record("in", 0, "a", Some("1")), record("in", 1, "b", Some("2"))]);
    let mut first = kafka.worker(spec("g", "first", &[("in", false)])).unwrap();
    let told = assigned(&mut *first);
    assert_eq!(told.len(), 2);
    resume_all(&mut *first, &told);
    poll_until(&mut *first, 2, &mut Vec::new());
    let second = std::thread::scope(|scope| {
        let joining = scope.spawn(|| {
            let mut second = kafka.worker(spec("g", "second", &[("in", false)])).unwrap();
            (assigned(&mut *second), second)
        });
        // The group asks for the partitions back, and waits until they are released.
        let asked = poll_until(&mut *first, usize::MAX, &mut Vec::new());
        let Polled::Revoking { partitions, lost: false } = asked else { panic!("{asked:?}") };
        assert_eq!(partitions.len(), 2);
        first.send(&record("out", 0, "a", Some("last"))).unwrap();
        let position = |offset| Position { offset, note: String::new() };
        let positions = [(told[0].0.clone(), position(1))];
        assert_eq!(commit(&mut *first, &positions), CommitState::Committed, "a last commit still succeeds");
        first.release().unwrap();
        let kept = assigned(&mut *first);
        assert_eq!(kept.len(), 1);
        let (gone, second) = joining.join().unwrap();
        assert_eq!(gone.len(), 1);
        assert_ne!(gone[0].0, kept[0].0);
        let moved = [&kept[0], &gone[0]].into_iter().find(|(at, _)| *at == told[0].0).unwrap();
        assert_eq!(moved.1.offset, 1);
        second
    });
    drop(second);
}

/// After a seek records come again, from the very offset.
pub fn seeks_replay(cluster: &Cluster) {
    let kafka = with_topics(cluster, "seek.", &["in"]);
    let records: Vec<_> = (0..100).map(|n| record("in", 0, "k", Some(&n.to_string()))).collect();
    append(&kafka, &records);
    let mut worker = kafka.worker(spec("g", "w", &[("in", false)])).unwrap();
    let told = assigned(&mut *worker);
    resume_all(&mut *worker, &told);
    let at = TopicPartition::new("in", 0);
    let mut seen = Vec::new();
    poll_until(&mut *worker, 100, &mut seen);
    let begun = Instant::now();
    while !worker.at_end(&at) {
        assert!(begun.elapsed() < LONG, "the end was not noticed");
        poll_until(&mut *worker, 0, &mut Vec::new());
    }
    worker.resume_at(&[(at.clone(), 40)]).unwrap();
    assert!(!worker.at_end(&at));
    let mut again = Vec::new();
    poll_until(&mut *worker, 60, &mut again);
    assert_eq!(again[..], seen[40..]);
    worker.pause(std::slice::from_ref(&at)).unwrap();
    append(&kafka, &[record("in", 0, "k", Some("paused"))]);
    let mut while_paused = Vec::new();
    worker.poll(Budget::BULK, Duration::from_millis(300), &mut |_, record| while_paused.push(record.offset)).unwrap();
    assert!(while_paused.is_empty());
    // One marker stands between.
    worker.resume_at(&[(at.clone(), 101)]).unwrap();
    assert!(!worker.at_end(&at), "what came meanwhile was not asked for yet");
    let mut rest = Vec::new();
    poll_until(&mut *worker, 1, &mut rest);
    assert_eq!(rest[0].2, "paused");
}

/// Ordinary records come only after the preferred ones that were there before.
pub fn preferred_topics_come_first(cluster: &Cluster) {
    let kafka = with_topics(cluster, "first.", &["posts", "links"]);
    let posts: Vec<_> = (0..50).map(|n| record("posts", n % 2, "p", Some("post"))).collect();
    let links: Vec<_> = (0..50).map(|n| record("links", n % 2, "l", Some("link"))).collect();
    append(&kafka, &[posts, links].concat());
    let mut worker = kafka.worker(spec("g", "w", &[("posts", false), ("links", true)])).unwrap();
    let told = assigned(&mut *worker);
    assert_eq!(told.len(), 4);
    resume_all(&mut *worker, &told);
    let mut seen = Vec::new();
    poll_until(&mut *worker, 100, &mut seen);
    let values: Vec<&str> = seen.iter().map(|(_, _, value)| value.as_str()).collect();
    assert!(values[..50].iter().all(|value| *value == "link") && values[50..].iter().all(|value| *value == "post"));
}

/// The log's clock is the broker's, as told with delivered records.
pub fn the_brokers_clock_is_told(cluster: &Cluster) {
    use pay_by_tweet::bus::LogClock;
    let kafka = with_topics(cluster, "clock.", &["out"]);
    let mut worker = kafka.worker(spec("g", "w", &[])).unwrap();
    assert_eq!(worker.log_clock(), LogClock::Told(None));
    worker.send(&record("out", 0, "a", Some("1"))).unwrap();
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
    let LogClock::Told(Some(at)) = worker.log_clock() else { panic!("{:?}", worker.log_clock()) };
    let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!((ours - at.0).abs() < 60_000, "{} against {ours}", at.0);
}

/// A worker outlives its broker: what was committed stays, and it goes on when the broker is back.
pub fn a_broker_may_be_killed(cluster: &mut Cluster) {
    let kafka = with_topics(cluster, "away.", &["out"]);
    let mut worker = kafka.worker(spec("g", "w", &[])).unwrap();
    worker.send(&record("out", 0, "a", Some("before"))).unwrap();
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
    worker.send(&record("out", 0, "a", Some("torn"))).unwrap();
    cluster.kill(0);
    worker.start_commit(&[]).unwrap();
    cluster.revive(0);
    let begun = Instant::now();
    let torn = loop {
        match worker.poll_commit(Duration::from_secs(1)) {
            CommitState::Pending => assert!(begun.elapsed() < 2 * LONG, "no outcome"),
            outcome => break outcome,
        }
    };
    if matches!(torn, CommitState::Uncertain | CommitState::Fenced) {
        while worker.recover().is_err() {
            assert!(begun.elapsed() < 2 * LONG, "no identity");
        }
    }
    worker.send(&record("out", 0, "a", Some("after"))).unwrap();
    assert_eq!(commit(&mut *worker, &[]), CommitState::Committed);
    let values: Vec<_> = all(&kafka, "out", 0).into_iter().map(|(_, _, value)| value.unwrap()).collect();
    let whole = match torn {
        CommitState::Committed => values == ["before", "torn", "after"],
        CommitState::Aborted => values == ["before", "after"],
        _ => values == ["before", "torn", "after"] || values == ["before", "after"],
    };
    assert!(whole, "{values:?} after {torn:?}");
}

/// A topic may take less than the client does. Trying again would abort for ever.
pub fn a_record_that_its_topic_refuses_is_fatal(cluster: &Cluster) {
    let kafka = with_topics_of(cluster, "narrow.", &["out"], ("max.message.bytes", "1000"));
    let mut worker = kafka.worker(spec("narrow", "narrow-1", &[])).unwrap();
    // Nothing that a compression makes small.
    let long: String = (0..500u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    worker.send(&record("out", 0, "a", Some(&long))).unwrap();
    assert_eq!(commit(&mut *worker, &[]), CommitState::Aborted);
    let again = worker.send(&record("out", 0, "a", Some("small")));
    let Err(BusError::Fatal(why)) = again else { panic!("{again:?}") };
    assert!(why.contains("narrow.out") && why.contains("refused"), "{why}");
}
