//! The log that the settings name, opened; and for a cluster, the topics that it must have.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bus::embedded::{Claim, Embedded, EmbeddedOptions};
use crate::bus::kafka::Kafka;
use crate::bus::kafka::admin::{Admin, Wanted};
use crate::bus::kafka::clients::RECORD_BYTES_MAX;
use crate::bus::{Bus, BusError};
use crate::clock::Clock;
use crate::config::{BusKind, Settings};
use crate::engine::worker::group_of;
use crate::pipeline::{COMPACTED, embedded_options, topics};
use crate::screen::side::{OFFERS, SIDE_INPUTS};

/// Topics that only this program reads and writes. An inbox and its changelog have as many partitions as each other.
const INTERNAL: [&str; 4] = ["accounts.inbox", "accounts.changelog", "offers.inbox", "offers.changelog"];

/// What an inbox is kept for: above the longest outage.
const INBOX_RETENTION_MS: u64 = 7 * DAY_MS;
/// Tombstones outlive the longest outage and the restore after it.
const TOMBSTONE_RETENTION_MS: u64 = 7 * DAY_MS;
/// Older versions of an offer tell which tags people were given; they outlive every conversation.
const OFFERS_LAG_MS: u64 = 30 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A log, and the right to run on it.
pub struct Running {
    pub log: Arc<dyn Bus>,
    /// Of the folder, where there is one.
    _claim: Option<Claim>,
}

/// The right to run on the folder, where there is one. `Taken`: another program has it.
pub fn claim(settings: &Settings) -> Result<Option<Claim>, BusError> {
    match settings.bus.kind {
        BusKind::Embedded => Claim::take(&settings.bus.embedded.dir).map(Some),
        BusKind::Kafka => Ok(None),
    }
}

/// Opens the log for running on it. While a command reads the folder, `again` is asked whether to try once more; `None`
/// if not.
pub fn open_to_run(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    claim: Option<Claim>,
    mut again: impl FnMut() -> bool,
) -> Result<Option<Running>, BusError> {
    loop {
        match open(settings, embedded_options(settings, clock.clone())) {
            Err(BusError::Taken(_)) if claim.is_some() => {
                if !again() {
                    return Ok(None);
                }
            }
            opened => return Ok(Some(Running { log: opened?, _claim: claim })),
        }
    }
}

/// Opens the log for a command that only reads. `Taken`: a program holds the folder.
pub fn open_to_read(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, BusError> {
    // Whoever runs on the folder says by its groups what is not read yet; a command has none.
    open(settings, EmbeddedOptions { retention: Vec::new(), ..embedded_options(settings, clock) })
}

fn open(settings: &Settings, embedded: EmbeddedOptions) -> Result<Arc<dyn Bus>, BusError> {
    Ok(match settings.bus.kind {
        BusKind::Embedded => Arc::new(Embedded::open(&settings.bus.embedded.dir, embedded)?),
        BusKind::Kafka => {
            let kafka = open_kafka(settings)?;
            ensure_topics(&kafka, settings)?;
            Arc::new(kafka)
        }
    })
}

pub fn open_kafka(settings: &Settings) -> Result<Kafka, BusError> {
    Kafka::new(settings.bus.kafka_properties.clone(), &settings.topics.prefix)
}

/// Every topic that a cluster must have under these settings. All are stamped by the broker: event times as old as a
/// backfill's would meet retention at once.
pub fn wanted_topics(settings: &Settings) -> Vec<Wanted> {
    let (_, foreign) = inputs(settings).swap_remove(0);
    let one = |topic: String| {
        let mut config = BTreeMap::from([("message.timestamp.type", "LogAppendTime".to_owned())]);
        if COMPACTED.contains(&topic.as_str()) || topic == OFFERS {
            config.insert("cleanup.policy", "compact".to_owned());
            config.insert("delete.retention.ms", TOMBSTONE_RETENTION_MS.to_string());
        }
        if topic == OFFERS {
            config.insert("min.compaction.lag.ms", OFFERS_LAG_MS.to_string());
        }
        if topic.ends_with(".inbox") {
            config.insert("retention.ms", INBOX_RETENTION_MS.to_string());
        }
        if !foreign.contains(&topic) {
            // With what a batch has around its records.
            config.insert("max.message.bytes", (RECORD_BYTES_MAX + (64 << 10)).to_string());
        }
        let exact = INTERNAL.contains(&topic.as_str());
        Wanted { topic, partitions: settings.topics.partitions, exact, settings: config }
    };
    topics(settings).into_iter().map(one).collect()
}

/// The groups of the stages, and the topics that each reads.
pub fn inputs(settings: &Settings) -> Vec<(String, Vec<String>)> {
    let posts = settings.sources.iter().map(|source| source.topic.clone());
    let screen = SIDE_INPUTS.into_iter().map(str::to_owned).chain(posts).collect();
    vec![
        (group_of("screen"), screen),
        (group_of("accounts"), vec!["accounts.inbox".to_owned()]),
        (group_of("offers"), vec!["offers.inbox".to_owned()]),
    ]
}

/// Refuses a cluster that lacks a topic, or has one whose partition count would send accounts elsewhere.
pub fn ensure_topics(kafka: &Kafka, settings: &Settings) -> Result<(), BusError> {
    let wanted = wanted_topics(settings);
    let found = Admin::new(kafka)?.find(&wanted)?;
    let lacks = |one: &&Wanted| !found.iter().any(|found| found.topic == one.topic);
    let lacking: Vec<&str> = wanted.iter().filter(lacks).map(|one| one.topic.as_str()).collect();
    if !lacking.is_empty() {
        return Err(BusError::Fatal(format!(
            "the cluster lacks {} of {} topics ({}); `pay-by-tweet topics create` makes them",
            lacking.len(),
            wanted.len(),
            lacking.join(", ")
        )));
    }
    match Admin::mismatches(&wanted, &found).first() {
        Some(mismatch) => Err(BusError::Fatal(mismatch.to_string())),
        None => Ok(()),
    }
}
