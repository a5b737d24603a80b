//! What came of a conversation: the output topics, said in short lines.

use std::collections::{BTreeMap, BTreeSet};

use pay_by_tweet::pipeline::Record;
use serde_json::Value;

use crate::people::name_of;

pub const OUTPUTS: [&str; 9] = [
    "replies",
    "payments.authorized",
    "payments.voided",
    "fulfilment.orders",
    "notifications.email",
    "messages.direct",
    "purchases.events",
    "offers.funnel",
    "dead-letters",
];

/// Every record of the output topics.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub topics: BTreeMap<&'static str, Vec<(Record, Value)>>,
}

impl Outcome {
    pub fn add(&mut self, topic: &'static str, records: Vec<Record>) -> Result<(), String> {
        let mut read = Vec::new();
        for record in records {
            let value = serde_json::from_slice(record.value.as_deref().unwrap_or(b"null"));
            let value = value.map_err(|error| format!("{topic}: {error}"))?;
            read.push((record, value));
        }
        self.topics.insert(topic, read);
        Ok(())
    }

    pub fn values(&self, topic: &str) -> impl Iterator<Item = &Value> {
        self.topics.get(topic).into_iter().flatten().map(|(_, value)| value)
    }

    /// Tampers with the values of a topic.
    pub fn change(&mut self, topic: &str, change: impl FnOnce(&mut Vec<Value>)) {
        let records = self.topics.get_mut(topic).expect("an output topic");
        let record = records[0].0.clone();
        let mut values: Vec<Value> = records.iter().map(|(_, value)| value.clone()).collect();
        change(&mut values);
        *records = values.into_iter().map(|value| (record.clone(), value)).collect();
    }

    /// One fact a line, sorted.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lives().into_iter().map(|(_, life)| life).collect();
        for (topic, verb) in [("replies", "hears"), ("messages.direct", "privately hears")] {
            let mut heard: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for reply in self.values(topic).filter(|reply| !reply["account"].is_null()) {
                heard.entry(name_of(text(reply, "account"))).or_default().push(text(reply, "kind"));
            }
            lines.extend(heard.into_iter().map(|(who, kinds)| format!("{who} {verb} {}", kinds.join(", "))));
        }
        for payment in self.values("payments.authorized") {
            let (minor, currency) = (&payment["amount"]["minor"], text(&payment["amount"], "currency"));
            lines.push(format!("{} pays {minor} {currency}", name_of(text(payment, "account"))));
        }
        for voided in self.values("payments.voided") {
            lines.push(format!("{} gets it back: {}", name_of(text(voided, "account")), text(voided, "reason")));
        }
        let dead: Vec<&str> = self.values("dead-letters").map(|letter| text(letter, "reason")).collect();
        if !dead.is_empty() {
            lines.push(format!("dead letters: {}", dead.join(", ")));
        }
        lines.sort();
        lines
    }

    /// (purchase, `alice gift: ordered > prompted > expired !late`), in order of their first events.
    fn lives(&self) -> Vec<(String, String)> {
        let mut lives: Vec<(String, String)> = Vec::new();
        for event in self.values("purchases.events") {
            let purchase = text(event, "purchase");
            let index = lives.iter().position(|(id, _)| id == purchase).unwrap_or_else(|| {
                let who = name_of(text(event, "account"));
                lives.push((purchase.to_owned(), format!("{who} {}:", text(event, "offer"))));
                lives.len() - 1
            });
            let life = &mut lives[index].1;
            let reason = event["reason"].as_str();
            if event["from"] == event["to"] {
                life.push_str(&format!(" !{}", reason.unwrap_or("?")));
                continue;
            }
            if event["from"].is_string() {
                life.push_str(" >");
            }
            life.push_str(&format!(" {}", text(event, "to")));
            if let Some(reason) = reason.filter(|reason| *reason != text(event, "to")) {
                life.push_str(&format!("({reason})"));
            }
        }
        lives
    }

    /// What reading in another order must not change: where each purchase ended, and what was paid by which post.
    pub fn verdicts(&self) -> BTreeSet<String> {
        let mut ends: BTreeMap<&str, &str> = BTreeMap::new();
        for event in self.values("purchases.events") {
            ends.insert(text(event, "purchase"), text(event, "to"));
        }
        let ends = ends.into_iter().map(|(purchase, state)| format!("{purchase} {state}"));
        let payments = self.values("payments.authorized").map(Value::to_string);
        let voids = self.values("payments.voided").map(Value::to_string);
        ends.chain(payments).chain(voids).collect()
    }

    /// Everything that consumers see, key by key in order, which is the order that is promised; but for what a
    /// redelivery repeats: dead letters and counts of mentions.
    pub fn seen(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for (topic, records) in &self.topics {
            match *topic {
                "dead-letters" => {}
                "offers.funnel" => {
                    let last: BTreeMap<&str, &Value> = records.iter().map(|(_, v)| (text(v, "offer"), v)).collect();
                    for (offer, funnel) in last {
                        let mut funnel = funnel.clone();
                        funnel["mentions"] = Value::Null;
                        seen.push(format!("funnel of {offer}: {funnel}"));
                    }
                }
                _ => seen.extend(records.iter().map(|(record, value)| {
                    let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
                    format!("{topic} {key}: {value}")
                })),
            }
        }
        seen.sort_by_key(|line| line.split(": ").next().unwrap_or_default().to_owned());
        seen
    }

    /// Whether some record of the topic has all these fields.
    pub fn has(&self, topic: &str, fields: &Value) -> bool {
        self.values(topic).any(|value| includes(value, fields))
    }
}

pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("null")
}

fn includes(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(key, part)| value.get(key).is_some_and(|value| includes(value, part)))
        }
        (Value::String(value), Value::String(part)) if part.starts_with('~') => value.contains(&part[1..]),
        _ => value == part,
    }
}
