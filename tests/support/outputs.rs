//! Output topics as their readers see them, to hold one run against another.

use std::collections::BTreeMap;

use pay_by_tweet::bus::Bus;
use pay_by_tweet::pipeline::{Record, read_all};
use pay_by_tweet::wire::outputs::Topic;
use serde_json::Value;

/// By topic and key: what a reader of that key sees, record for record. Without key nothing promises an order, so those
/// are sorted; `offers.funnel` is compacted, so its last record counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs(pub BTreeMap<&'static str, BTreeMap<String, Vec<String>>>);

/// Stands for a missing key; keys are accounts, purchases and offers.
const NO_KEY: &str = "";

impl Outputs {
    pub fn of_log(bus: &dyn Bus) -> Outputs {
        Outputs::of_records(|topic| read_all(bus, topic).expect("the log is readable"))
    }

    pub fn of_records(mut records: impl FnMut(&str) -> Vec<Record>) -> Outputs {
        Outputs::of(|topic| records(topic).iter().map(line_of).collect())
    }

    /// `lines` gives a topic's records as `tap` prints them.
    pub fn of(mut lines: impl FnMut(&str) -> Vec<Value>) -> Outputs {
        let mut outputs = Outputs::default();
        for topic in Topic::ALL.map(Topic::name) {
            let keys = outputs.0.entry(topic).or_default();
            for line in lines(topic) {
                let key = line["key"].as_str().unwrap_or(NO_KEY).to_owned();
                keys.entry(key).or_default().push(seen(topic, &line));
            }
            if let Some(unkeyed) = keys.get_mut(NO_KEY) {
                unkeyed.sort();
            }
            if topic == "offers.funnel" {
                keys.values_mut().for_each(|all| drop(all.drain(..all.len() - 1)));
            }
        }
        outputs
    }

    /// Of each key which records there are, whatever their order: how several partitions are read decides what an
    /// account is told first.
    pub fn in_any_order(mut self) -> Outputs {
        self.0.values_mut().flat_map(BTreeMap::values_mut).for_each(|all| all.sort());
        self
    }

    /// What leaves the house. How several sources are read also decides whether a late confirm is called late or
    /// expired, which is told, but moves nothing.
    pub fn paid_and_shipped(mut self) -> Outputs {
        self.0.retain(|topic, _| {
            ["payments.authorized", "payments.voided", "fulfilment.orders", "notifications.email"].contains(topic)
        });
        self
    }

    pub fn count(&self, topic: &str) -> usize {
        self.0.get(topic).map_or(0, |keys| keys.values().map(Vec::len).sum())
    }

    /// Panics with the first differences.
    pub fn assert_same(&self, other: &Outputs, what: &str) {
        if let Some(difference) = self.difference(other) {
            panic!("{what}: {difference}");
        }
    }

    /// The first differences.
    pub fn difference(&self, other: &Outputs) -> Option<String> {
        for (topic, keys) in &self.0 {
            let others = &other.0[topic];
            let mut all: Vec<&String> = keys.keys().chain(others.keys()).collect();
            all.sort();
            all.dedup();
            let different: Vec<&String> = all.into_iter().filter(|key| keys.get(*key) != others.get(*key)).collect();
            if let Some(key) = different.first() {
                let (ours, theirs) = (keys.get(*key), others.get(*key));
                let count = different.len();
                return Some(format!("{topic} differs for {count} keys; {key}:\n{ours:#?}\nagainst\n{theirs:#?}"));
            }
        }
        None
    }
}

/// The values of a topic.
pub fn values(bus: &dyn Bus, topic: &str) -> Vec<Value> {
    let records = read_all(bus, topic).expect("the log is readable");
    records.iter().map(|record| line_of(record)["value"].clone()).collect()
}

/// Whether a value is this id: ids above 2^53 are strings.
pub fn is_id(value: &Value, id: u64) -> bool {
    value.as_str().and_then(|text| text.parse().ok()) == Some(id)
}

/// A dead letter's time is that of its append, which another run can't repeat.
fn seen(topic: &str, line: &Value) -> String {
    let headers = &line["headers"];
    let time = if topic == "dead-letters" { &Value::Null } else { &headers["ce_time"] };
    assert_eq!(headers["ce_type"], topic, "{line}");
    format!("{} {time} {}", headers["ce_id"], line["value"])
}

fn line_of(record: &Record) -> Value {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("outputs are UTF-8");
    let headers: serde_json::Map<String, Value> =
        record.headers.iter().map(|(name, value)| (name.clone(), Value::String(text(value)))).collect();
    let value: Value =
        record.value.as_deref().map_or(Value::Null, |v| serde_json::from_slice(v).expect("outputs are JSON"));
    serde_json::json!({"key": record.key.as_deref().map(text), "headers": headers, "value": value})
}
