//! A few of the newest transitions of purchases: a glance at the end of each partition, however many there were.

use serde_json::{Value, json};

use crate::bus::{Budget, Bus, BusError, Reader, TopicPartition};

const TOPIC: &str = "purchases.events";

/// Records that are shown of a partition and glance, at most.
const RECORDS_MAX: u64 = 3;

const GLANCE: Budget = Budget { records_max: RECORDS_MAX as usize, bytes_max: 64 << 10 };

#[derive(Default)]
pub struct Glance {
    reader: Option<Box<dyn Reader>>,
    /// Where the next glance begins, by partition; empty before the first one.
    next: Vec<u64>,
}

impl Glance {
    /// The newest events since the last look, whole and without accounts, posts and purchases. `None` if there is
    /// nothing new.
    pub fn look(&mut self, bus: &dyn Bus) -> Option<(Value, Value)> {
        let mut reader = self.reader.take().or_else(|| bus.reader().ok())?;
        let (mut seen, mut skipped) = (Vec::new(), 0);
        // A reader that failed is not used again; the next look begins where this one did.
        self.look_at(bus, &mut *reader, &mut seen, &mut skipped).ok()?;
        reader.rest();
        self.reader = Some(reader);
        if seen.is_empty() {
            return None;
        }
        let bare: Vec<Value> = seen.iter().map(bare).collect();
        let around = |events: Vec<Value>| json!({"events": events, "skipped": skipped});
        Some((around(seen), around(bare)))
    }

    fn look_at(
        &mut self,
        bus: &dyn Bus,
        reader: &mut dyn Reader,
        seen: &mut Vec<Value>,
        skipped: &mut u64,
    ) -> Result<(), BusError> {
        for partition in 0..bus.partitions(TOPIC)? {
            let (at, place) = (TopicPartition::new(TOPIC, partition), partition as usize);
            let end = reader.end(&at)?;
            // What was there before the first look is the past.
            let known = self.next.get(place).copied().unwrap_or(end);
            let from = known.max(end.saturating_sub(RECORDS_MAX));
            let mut next = from;
            if from < end {
                next = reader.read(&at, from, GLANCE, &mut |record| {
                    seen.extend(record.value.and_then(|value| serde_json::from_slice::<Value>(value).ok()));
                })?;
            }
            *skipped += from - known;
            self.next.resize(self.next.len().max(place + 1), 0);
            self.next[place] = next;
        }
        Ok(())
    }
}

fn bare(event: &Value) -> Value {
    let mut bare = event.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.retain(|name, _| matches!(name.as_str(), "offer" | "from" | "to" | "reason" | "at"));
    }
    bare
}
