//! Dead letters (I9): each names a record that exists, and what is damaged to the naked eye has one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Seen;
use super::found::{Found, Whose};
use super::tally::Tally;
use super::violation::Invariant;

#[derive(Default)]
pub(super) struct Letters {
    /// Topics of posts, and bytes that a record may have; without them inputs are not judged.
    judged: Option<(Vec<String>, usize)>,
    /// One past the last offset that is known to be there, by topic and partition.
    ends: BTreeMap<String, BTreeMap<u32, u64>>,
    /// Records that must have a dead letter.
    due: BTreeSet<Place>,
    /// Records that may have none yet.
    open: BTreeSet<Place>,
    /// What dead letters named.
    named: BTreeSet<Place>,
}

type Place = (String, u32, u64);

/// Side inputs of which every record is one JSON object.
const SIDE_INPUTS: [&str; 2] = ["accounts.links", "replies.posted"];

impl Letters {
    pub fn judging(posts: Vec<String>, record_bytes_max: usize) -> Letters {
        Letters { judged: Some((posts, record_bytes_max)), ..Letters::default() }
    }

    pub fn begin_pass(&mut self) {
        *self = Letters { judged: self.judged.take(), ends: std::mem::take(&mut self.ends), ..Letters::default() };
    }

    pub fn know_end(&mut self, topic: &str, partition: u32, end: u64) {
        let ends = self.ends.entry(topic.to_owned()).or_default();
        let known = ends.entry(partition).or_default();
        *known = end.max(*known);
    }

    /// A record of an input topic.
    pub fn see_input(&mut self, seen: &Seen<'_>, open: bool) {
        self.move_end(seen);
        let Some((posts, record_bytes_max)) = &self.judged else { return };
        let judged = posts.iter().any(|topic| topic == seen.topic) || SIDE_INPUTS.contains(&seen.topic);
        if judged && is_damaged(seen.value.unwrap_or_default(), *record_bytes_max) {
            self.see_damaged(seen, open);
        }
    }

    /// A record that nobody can understand: it must have a dead letter.
    pub fn see_damaged(&mut self, seen: &Seen<'_>, open: bool) {
        self.move_end(seen);
        let place = (seen.topic.to_owned(), seen.partition, seen.offset);
        if open {
            self.open.insert(place)
        } else {
            self.due.insert(place)
        };
    }

    pub fn see_letter(&mut self, value: &Value, found: &mut Found) {
        let topic = value["topic"].as_str().unwrap_or_default().to_owned();
        let partition = value["partition"].as_u64().and_then(|p| u32::try_from(p).ok()).unwrap_or(u32::MAX);
        let place = (topic, partition, value["offset"].as_u64().unwrap_or(u64::MAX));
        let text = format!("{} {}:{}", place.0, place.1, place.2);
        let tells_links = place.0 == "accounts.links" && value.get("body").is_some();
        found.check(Invariant::I11, !tells_links, Whose::default(), || {
            format!("the dead letter for {text} repeats a record that may tell a card")
        });
        let first = self.named.insert(place);
        found.check(Invariant::I9, first, Whose::default(), || format!("a second dead letter for {text}"));
    }

    pub fn at_rest(&mut self, found: &mut Found, tally: &mut Tally) {
        // Where nobody showed the inputs, nothing is known of them.
        let named = self.named.iter().filter(|_| !self.ends.is_empty());
        for (topic, partition, offset) in named {
            let end = self.ends.get(topic).and_then(|ends| ends.get(partition));
            let there = end.is_some_and(|end| offset < end);
            // The internal topics are not counted here, except where a record of theirs is damaged; and a topic that
            // posts come by no longer is not read.
            let is_read = self.judged.as_ref().is_some_and(|(posts, _)| {
                posts.contains(topic) || topic == "offers" || SIDE_INPUTS.contains(&topic.as_str())
            });
            found.check(Invariant::I9, there || !is_read, Whose::default(), || {
                format!("a dead letter names {topic} {partition}:{offset}, where there is nothing")
            });
        }
        for place in &self.due {
            found.check(Invariant::I9, self.named.contains(place), Whose::default(), || {
                format!("{} {}:{} is damaged and has no dead letter", place.0, place.1, place.2)
            });
        }
        tally.open += self.open.iter().filter(|place| !self.named.contains(*place)).count() as u64;
    }

    fn move_end(&mut self, seen: &Seen<'_>) {
        let end = seen.offset.saturating_add(1);
        match self.ends.get_mut(seen.topic).and_then(|ends| ends.get_mut(&seen.partition)) {
            Some(known) => *known = end.max(*known),
            None => self.know_end(seen.topic, seen.partition, end),
        }
    }
}

/// Too large, or neither blank nor from `{` to `}`.
fn is_damaged(value: &[u8], record_bytes_max: usize) -> bool {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let first = value.iter().find(|byte| !is_blank(byte));
    let last = value.iter().rev().find(|byte| !is_blank(byte));
    let object = first == Some(&b'{') && last == Some(&b'}');
    value.len() > record_bytes_max || (first.is_some() && !object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_letter_may_name_what_retention_took() {
        for (end, violations) in [(4, 0), (3, 1)] {
            let mut letters = Letters::judging(vec!["tweets".to_owned()], 100);
            letters.know_end("tweets", 0, end);
            letters.begin_pass();
            let mut found = Found::default();
            letters.see_letter(&json!({"topic": "tweets", "partition": 0, "offset": 3}), &mut found);
            letters.at_rest(&mut found, &mut Tally::default());
            assert_eq!(found.total(), violations, "it ends at {end}");
        }
    }
}
