use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::tests::{all, append, clock, commit, memory, poll, record, spec, start};
use super::*;
use crate::bus::{Budget, CommitState};

#[test]
fn compaction_keeps_the_fold_of_every_key() {
    let clock = clock();
    let kept = Duration::from_millis(500);
    let options = EmbeddedOptions {
        compacted: vec!["changelog".into()],
        tombstones_kept: kept,
        upkeep_every_bytes: 20_000,
        ..clock.options()
    };
    let bus = memory(options);
    let mut fold: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut random = 7u64;
    for round in 0..40 {
        let mut records = Vec::new();
        for i in 0..200 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = format!("k{}", (random >> 33) % 500);
            let value = (!(random >> 20).is_multiple_of(4)).then(|| format!("{round}.{i} {}", "v".repeat(300)));
            records.push(record("changelog", 0, &key, value.as_deref()));
            fold.insert(key, value);
        }
        append(&bus, &records);
        clock.0.fetch_add(100, Ordering::SeqCst);
        if round % 10 == 9 {
            let before = all(&bus, "changelog", 0);
            bus.compact_now().unwrap();
            let after = all(&bus, "changelog", 0);
            assert!(after.len() < before.len());
            let refold: BTreeMap<_, _> = after.iter().map(|(_, key, value)| (key.clone(), value.clone())).collect();
            let live = |fold: &BTreeMap<String, Option<String>>| -> BTreeMap<_, _> {
                fold.iter().filter(|(_, value)| value.is_some()).map(|(k, v)| (k.clone(), v.clone())).collect()
            };
            assert_eq!((live(&refold), refold.len()), (live(&fold), after.len()), "each key once, at its last value");
            assert!(after.iter().all(|r| before.contains(r)), "offsets stay");
        }
    }
    let deleted = |all: Vec<(u64, String, Option<String>)>| all.iter().filter(|r| r.2.is_none()).count();
    assert!(deleted(all(&bus, "changelog", 0)) > 0, "young tombstones stay");
    clock.0.fetch_add(1_000, Ordering::SeqCst);
    bus.compact_now().unwrap();
    assert_eq!(deleted(all(&bus, "changelog", 0)), 0);
    append(&bus, &[record("changelog", 0, "k0", Some("v")), record("changelog", 0, "k0", None)]);
    clock.0.fetch_add(1_000, Ordering::SeqCst);
    bus.compact_now().unwrap();
    assert_eq!(deleted(all(&bus, "changelog", 0)), 1, "an old one does not go together with what it deletes");
    bus.compact_now().unwrap();
    assert_eq!(deleted(all(&bus, "changelog", 0)), 0);
    let mut reader = bus.reader().unwrap();
    assert_eq!(reader.end(&TopicPartition::new("changelog", 0)).unwrap(), 8_002);
}

#[test]
fn upkeep_comes_by_itself_and_keeps_the_store_small() {
    let options = EmbeddedOptions { compacted: vec!["changelog".into()], ..clock().options() };
    let bus = memory(options);
    let mut worker = bus.worker(spec("g", "a", &[])).unwrap();
    for round in 0..60 {
        for i in 0..1_000 {
            worker.send(&record("changelog", 0, &format!("k{}", i % 100), Some(&"v".repeat(1_000)))).unwrap();
        }
        assert_eq!(commit(&mut *worker, &[]), CommitState::Committed, "{round}");
    }
    let kept = all(&bus, "changelog", 0).len();
    assert!(kept < 20_000, "60000 records of 100 keys left {kept}");
}

#[test]
fn retention_takes_what_is_old_and_read() {
    let clock = clock();
    let retention = vec![("in".to_string(), Duration::from_secs(10))];
    let bus = memory(EmbeddedOptions { retention, bookmarks: "files.".to_owned(), ..clock.options() });
    let mut reader = bus.worker(spec("readers", "r", &[("in", false)])).unwrap();
    let mut feeder = bus.worker(spec("files.a", "f", &[])).unwrap();
    let place = (TopicPartition::new("in", 0), Position { offset: 3, note: String::new() });
    assert_eq!(commit(&mut *feeder, &[place]), CommitState::Committed, "a place in a file holds nothing back");
    let ten = |p| (0..10).map(|i| record("in", p, &i.to_string(), Some("v"))).collect::<Vec<_>>();
    for _ in 0..3 {
        append(&bus, &ten(0));
        append(&bus, &ten(1));
        clock.0.fetch_add(6_000, Ordering::SeqCst);
    }
    bus.compact_now().unwrap();
    assert_eq!(all(&bus, "in", 0).len(), 30, "a group that subscribed has read nothing yet");
    let at = |p, offset| (TopicPartition::new("in", p), Position { offset, note: String::new() });
    assert_eq!(commit(&mut *reader, &[at(0, 30), at(1, 15)]), CommitState::Committed);
    bus.compact_now().unwrap();
    let first = |p| all(&bus, "in", p)[0].0;
    assert_eq!((first(0), first(1)), (20, 10), "young ones stay, and the batch that is half read");
    start(&mut *reader);
    reader.resume_at(&[(TopicPartition::new("in", 0), 0)]).unwrap();
    assert_eq!(poll(&mut *reader, Budget::BULK).iter().filter(|r| r.1 == 0).count(), 10, "a gap is passed over");
    assert_eq!(bus.reader().unwrap().beginning(&TopicPartition::new("in", 0)).unwrap(), 20);
}
