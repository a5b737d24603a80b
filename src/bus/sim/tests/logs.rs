//! Partitions: the last stable offset, markers, what readers and polls give, compaction.

use super::*;

#[test]
fn an_open_transaction_holds_back_readers_and_counts_for_the_end() {
    for cheat in [None, Some(Cheat::RestoreBoundedByLso), Some(Cheat::ReadUncommitted)] {
        let bus = sim(cheat);
        let out = at("out", 0);
        bus.append(&out, None, Some(b"before"));
        let foreign = bus.begin_foreign();
        bus.append_foreign(foreign, &out, None, b"inside");
        bus.append(&out, None, Some(b"behind"));
        let mut reader = reader(&bus);
        let is_honest = cheat != Some(Cheat::ReadUncommitted);
        assert_eq!(values(&bus, &out).len(), if is_honest { 1 } else { 3 }, "{cheat:?}");
        let bounded = cheat == Some(Cheat::RestoreBoundedByLso);
        assert_eq!(reader.end(&out).unwrap(), if bounded { 1 } else { 3 }, "{cheat:?}");
        bus.end_foreign(foreign, false);
        let seen = committed(&bus, &out);
        let expected = [(0, "before"), (1, "inside"), (2, "behind")].map(|(offset, value)| (offset, value.to_owned()));
        let keep = |(_, value): &&(u64, String)| !is_honest || value != "inside";
        assert_eq!(seen, expected.iter().filter(keep).cloned().collect::<Vec<_>>(), "{cheat:?}");
        assert_eq!(reader.end(&out).unwrap(), 4, "the marker takes an offset");
        assert_eq!(reader.read(&out, 0, Budget::BULK, &mut |_| {}).unwrap(), 4, "a reader passes gaps");
    }
}

#[test]
fn budgets_end_a_read_between_records() {
    let bus = sim(None);
    let out = at("out", 0);
    for value in ["12345", "1", "2", "3"] {
        bus.append(&out, None, Some(value.as_bytes()));
    }
    let read = |records_max, bytes_max| {
        let mut count = 0;
        let next = reader(&bus).read(&out, 0, Budget { records_max, bytes_max }, &mut |_| count += 1);
        (next.unwrap(), count)
    };
    assert_eq!(read(2, 100), (2, 2));
    assert_eq!(read(100, 1), (1, 1), "one record comes however large it is");
    assert_eq!(read(100, 6), (2, 2));
    assert_eq!(read(100, 100), (4, 4));
}

#[test]
fn ordinary_topics_wait_for_preferred_ones_and_the_end_is_known() {
    let bus = sim(None);
    let mut worker = worker_of(&bus, 1, "w", &[("in", false), ("side", true)]);
    take_over(&mut worker);
    for n in 0..3 {
        bus.append(&at("side", 0), None, Some(b"s"));
        bus.append(&at("in", n % 2), None, Some(b"i"));
    }
    let mut polled = |budget| {
        let mut values = Vec::new();
        worker.poll(budget, NO_WAIT, &mut |at, record| values.push(shown(at, record))).unwrap();
        (values, worker.at_end(&at("side", 0)), worker.at_end(&at("in", 0)))
    };
    let two = Budget { records_max: 2, bytes_max: 100 };
    let all = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    assert_eq!(polled(two), (all(&["side/0@0=s", "side/0@1=s"]), false, false));
    let (mut values, side_at_end, _) = polled(two);
    assert_eq!((values.remove(0), side_at_end), ("side/0@2=s".to_owned(), true));
    assert!(values[0].starts_with("in/"), "{values:?}");
    assert_eq!(polled(Budget::BULK).0.len(), 2);
    assert_eq!(polled(two), (Vec::new(), true, true));
    let foreign = bus.begin_foreign();
    bus.append_foreign(foreign, &at("in", 0), None, b"open");
    assert_eq!(polled(two), (Vec::new(), true, false), "an open transaction is not read to its end");
    bus.end_foreign(foreign, true);
    bus.set_faults(Faults { slow_fetch: ALWAYS, ..Faults::default() });
    assert_eq!(polled(two), (Vec::new(), false, false), "a slow partition gives nothing and has no end");
    bus.set_faults(Faults::default());
    assert_eq!(polled(two).0, Vec::<String>::new(), "it stays slow for a while");
    bus.advance(later(faults::SLOW_FETCHES_MS_MAX[2]));
    assert_eq!(polled(two), (all(&["in/0@2=open"]), true, true));
}

#[test]
fn compaction_keeps_the_last_of_each_key_below_the_stable_end() {
    let bus = sim(None);
    let changes = at("changes", 0);
    let put = |key: &str, value: Option<&str>| bus.append(&changes, Some(key.as_bytes()), value.map(str::as_bytes));
    put("a", Some("1"));
    put("b", Some("1"));
    put("a", Some("2"));
    put("b", None);
    let foreign = bus.begin_foreign();
    bus.append_foreign(foreign, &changes, Some(b"a"), b"aborted");
    put("a", Some("3"));
    let compact = || (0..200).for_each(|_| bus.compact());
    compact();
    assert_eq!(committed(&bus, &changes), [(2, "2".to_owned()), (3, "-".to_owned())], "the tombstone is young");
    bus.end_foreign(foreign, false);
    assert_eq!(values(&bus, &changes), ["2", "-", "3"], "what was beyond the stable end stayed");
    compact();
    assert_eq!(committed(&bus, &changes), [(3, "-".to_owned()), (5, "3".to_owned())]);
    bus.advance(START.after(TOMBSTONES_KEPT).after(Span(1)));
    compact();
    assert_eq!(committed(&bus, &changes), [(5, "3".to_owned())]);
    assert_eq!(reader(&bus).end(&changes).unwrap(), 7);
    bus.append(&at("out", 0), Some(b"a"), Some(b"1"));
    bus.append(&at("out", 0), Some(b"a"), Some(b"2"));
    compact();
    assert_eq!(values(&bus, &at("out", 0)), ["1", "2"], "an ordinary topic");
}

#[test]
fn timestamps_are_append_times_by_the_logs_clock() {
    let bus = sim(None);
    let out = at("out", 0);
    bus.append(&out, None, None);
    bus.advance(later(5));
    bus.set_append_clock(Span(100));
    bus.append(&out, None, None);
    let mut times = Vec::new();
    reader(&bus).read(&out, 0, Budget::BULK, &mut |record| times.push(record.timestamp)).unwrap();
    assert_eq!(times, [START, later(105)]);
    bus.advance(START);
    bus.append(&out, None, None);
    reader(&bus).read(&out, 2, Budget::BULK, &mut |record| times.push(record.timestamp)).unwrap();
    assert_eq!(times[2], later(105), "time does not go back");
}

#[test]
fn what_became_visible_is_seen_once_and_in_order() {
    let bus = sim(None);
    let mut cursor = Cursor::default();
    let mut seen = || {
        let mut all = Vec::new();
        bus.committed_since(&mut cursor, &mut |record| {
            all.push(format!("{}{}@{} {:?}", record.at.topic, record.at.partition, record.offset, record.transaction));
        });
        all
    };
    let foreign = bus.begin_foreign();
    bus.append(&at("out", 0), None, None);
    bus.append_foreign(foreign, &at("out", 0), None, b"");
    bus.append(&at("out", 0), None, None);
    bus.append(&at("in", 1), None, None);
    assert_eq!(seen(), ["in1@0 None", "out0@0 None"]);
    assert!(seen().is_empty());
    bus.end_foreign(foreign, true);
    assert_eq!(seen(), ["out0@1 Some(0)", "out0@2 None"]);
    let mut all = Vec::new();
    let mut cursor = 0;
    bus.ended_since(&mut cursor, &mut |ended| all.push(ended.clone()));
    assert_eq!((all.len(), all[0].committed, all[0].records.clone()), (1, true, vec![(at("out", 0), 1)]));
    bus.ended_since(&mut cursor, &mut |_| panic!("seen already"));
}

#[test]
fn a_partition_that_does_not_exist_is_an_error() {
    let bus = sim(None);
    let process = bus.connect(ProcessId(1));
    assert_eq!(process.partitions("in").unwrap(), 2);
    assert!(matches!(process.partitions("none"), Err(BusError::Fatal(_))));
    assert!(matches!(reader(&bus).end(&at("in", 2)), Err(BusError::Fatal(_))));
    let mut worker = worker(&bus, 1, "w");
    assert!(matches!(worker.send(&record("out", 2, "x")), Err(BusError::Fatal(_))));
    assert!(matches!(worker.resume_at(&[(at("in", 0), 0)]), Err(BusError::Fatal(_))), "not assigned yet");
}
