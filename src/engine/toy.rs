//! A stage for tests: running sums per key, with a changelog, an undo journal and a note.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::pressure::{Pressure, Standing};
use super::shard::{Batch, Decided, Item, RestoreError, Shard};
use super::stage::{Admitted, Gate, Stage};
use crate::bus::{OutRecord, RecordRef, Subscription, TopicPartition};
use crate::domain::Time;

/// Reads `in` (and `side`, if gated), writes `out` and `toy.changelog`. A value is a number to add, `skip` (not
/// admitted), `moment`, or anything else: seen, without output.
#[derive(Default)]
pub struct Toy {
    pub gated: bool,
    pub idle: bool,
    /// So many items of a batch are taken at most, and as few as none, if given.
    pub room: Option<usize>,
    pub pressure: Pressure,
}

#[derive(Clone, Debug)]
pub struct ToyShard {
    pub at: TopicPartition,
    pub sums: BTreeMap<Vec<u8>, i64>,
    /// Items seen so far; kept in the note.
    pub seen: u64,
    pub layers: VecDeque<Layer>,
    /// Every batch that was decided: (records, at_end).
    pub batches: Vec<(u64, bool)>,
    idle: bool,
    room: Option<usize>,
}

/// What a batch touched, as it was before.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    sums: Vec<(Vec<u8>, Option<i64>)>,
    seen: u64,
}

impl Stage for Toy {
    type Shard = ToyShard;

    fn name(&self) -> &'static str {
        "toy"
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        let mut all = vec![Subscription { topic: "in".into(), preferred: false }];
        if self.gated {
            all.push(Subscription { topic: "side".into(), preferred: true });
        }
        all
    }

    fn changelog(&self) -> Option<Arc<str>> {
        (!self.gated).then(|| "toy.changelog".into())
    }

    fn shard(&self, at: &TopicPartition, note: &str) -> ToyShard {
        ToyShard {
            at: at.clone(),
            sums: BTreeMap::new(),
            seen: note.parse().unwrap_or(0),
            layers: VecDeque::new(),
            batches: Vec::new(),
            idle: self.idle,
            room: self.room,
        }
    }

    fn admit(&self, _: &TopicPartition, record: RecordRef<'_>) -> Admitted {
        match record.value {
            Some(b"skip") => Admitted::Skip,
            Some(b"moment") => Admitted::Moment(Time(record.offset as i64)),
            _ => Admitted::Copy,
        }
    }

    fn gate(&self) -> Gate {
        if self.gated { Gate::Some(vec!["side".into()]) } else { Gate::None }
    }

    fn pressure(&self) -> Option<&Pressure> {
        Some(&self.pressure)
    }

    fn wants_idle(&self) -> bool {
        self.idle
    }
}

impl Shard for ToyShard {
    type Query = String;
    type Answer = Option<i64>;

    fn decide(&mut self, batch: &Batch) -> Decided {
        assert!(self.layers.len() < 2, "the journal is two deep");
        self.batches.push((batch.records, batch.at_end));
        let mut layer = Layer { sums: Vec::new(), seen: self.seen };
        let mut records = Vec::new();
        let is_record = |item: &Item| matches!(item, Item::Record(_));
        // Now and then there is no room at all.
        let room = self.room.map(|room| if self.batches.len() % 5 == 4 { 0 } else { room });
        let taken = room.and_then(|room| (room..batch.items.len()).find(|index| is_record(&batch.items[*index])));
        for item in batch.items.iter().take(taken.unwrap_or(usize::MAX)) {
            self.seen += 1;
            let Item::Record(record) = item else { continue };
            let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
            let (Ok(number), Some(key)) = (text.parse::<i64>(), record.key.clone()) else {
                continue;
            };
            layer.sums.push((key.clone(), self.sums.get(&key).copied()));
            let sum = self.sums.get(&key).copied().unwrap_or(0) + number;
            self.sums.insert(key.clone(), sum);
            let name = String::from_utf8_lossy(&key).into_owned();
            records.push(self.record("out", &key, format!("{}:{name}:{sum}:{}", record.offset, self.seen)));
            records.push(self.record("toy.changelog", &key, sum.to_string()));
        }
        if self.idle && batch.records == 0 {
            records.push(self.record("out", b"tick", format!("{}:{}", batch.now.0, batch.at_end)));
        }
        self.layers.push_back(layer);
        let standing = Standing::Source { mark: Some(Time(self.seen as i64)), at_end: batch.at_end };
        let note = (!batch.items.is_empty()).then(|| self.seen.to_string());
        Decided { records, note, taken, standing: Some(standing) }
    }

    fn committed(&mut self) {
        self.layers.pop_front().expect("committed without a layer");
    }

    fn take_back(&mut self) {
        let layer = self.layers.pop_back().expect("taken back without a layer");
        self.seen = layer.seen;
        for (key, before) in layer.sums.into_iter().rev() {
            match before {
                Some(sum) => self.sums.insert(key, sum),
                None => self.sums.remove(&key),
            };
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RestoreError> {
        let text = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let sum = text.parse().map_err(|_| RestoreError { key: String::new(), why: "no number".to_owned() })?;
        self.sums.insert(key.to_vec(), sum);
        Ok(())
    }

    fn query(&self, key: String) -> Option<i64> {
        assert_ne!(key, "panic", "asked to");
        self.sums.get(key.as_bytes()).copied()
    }
}

impl ToyShard {
    fn record(&self, topic: &str, key: &[u8], value: String) -> OutRecord {
        let (key, value) = (Some(key.to_vec()), Some(value.into_bytes()));
        OutRecord { topic: topic.into(), partition: Some(self.at.partition), key, value, headers: Vec::new() }
    }
}

/// What `out` must hold of partition `at` after these inputs (offset, key, value), and the final sums.
pub fn expected(inputs: &[(u64, String, String)]) -> (Vec<String>, BTreeMap<Vec<u8>, i64>, u64) {
    let (mut out, mut sums, mut seen) = (Vec::new(), BTreeMap::new(), 0);
    for (offset, key, value) in inputs {
        if value != "skip" {
            seen += 1;
        }
        if let Ok(number) = value.parse::<i64>() {
            let sum = sums.entry(key.clone().into_bytes()).or_insert(0);
            *sum += number;
            out.push(format!("{offset}:{key}:{sum}:{seen}"));
        }
    }
    (out, sums, seen)
}
