//! How far each stage is behind: records between its group's position and the end of each partition that it consumes,
//! and how long ago the first of them was appended. What sits in the log already is all of it; nobody else is asked.
//!
//! Records that an open transaction holds back are no stage's lag: nobody can read them. But a transaction that nobody
//! ends would hold them back for ever with a lag of nothing, so it is told how long it has been open.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::HttpState;
use super::sample::{StageSample, TopicLag};
use super::watch::STAGES;
use crate::bus::{Bus, BusError, Reader, TopicPartition};
use crate::domain::Time;
use crate::engine::ends::{first_unread, positions_of};
use crate::engine::worker::group_of;
use crate::screen::side::SIDE_INPUTS;
use crate::telemetry;

#[derive(Default)]
pub struct Lags {
    reader: Option<Box<dyn Reader>>,
    by_stage: BTreeMap<&'static str, BTreeMap<TopicPartition, Lag>>,
    /// Of the accounts' shards.
    watermarks: BTreeMap<TopicPartition, Option<Time>>,
    /// Of the sources, as the stages before tell it.
    told: Option<i64>,
    /// No stage could be looked at: then the first one tells enough the next time.
    away: bool,
}

#[derive(Clone, Copy, Default)]
struct Lag {
    records: u64,
    ms: i64,
    hold: Option<Hold>,
}

/// An open transaction that holds back whatever follows it. While the same one does, where it begins stays the same.
#[derive(Clone, Copy)]
struct Hold {
    from: u64,
    /// When it was seen first.
    since: Time,
    logged: bool,
}

/// Nobody's transaction takes so long: brokers end those of the dead after their own timeout, ours after five seconds.
const HELD_LONG_MS: i64 = 60_000;

impl Lags {
    /// Looks anew. While the log is away the last look stands, and how old it is is told; one stage that can't be
    /// looked at hides no other.
    pub fn look(&mut self, state: &HttpState, now: Time) {
        let was_away = std::mem::replace(&mut self.away, true);
        for stage in STAGES {
            // A reader that failed is not used again.
            let Some(mut reader) = self.reader.take().or_else(|| state.bus.reader().ok()) else { return };
            match look_at(&*state.bus, &mut *reader, stage, &topics_of(stage, &state.sources), now) {
                Ok(mut lags) => {
                    let before = self.by_stage.remove(stage).unwrap_or_default();
                    for (at, lag) in &mut lags {
                        lag.hold = lag.hold.map(|hold| hold.goes_on(before.get(at).and_then(|lag| lag.hold), at, now));
                        let held_ms = lag.hold.map_or(0, |hold| now.since(hold.since));
                        let (lag_s, held_s) = (seconds(lag.ms), seconds(held_ms));
                        telemetry::lag(stage, &at.topic, at.partition, lag.records, lag_s, held_s);
                    }
                    self.by_stage.insert(stage, lags);
                    telemetry::lag_looked(stage, now);
                    self.reader = Some(reader);
                    self.away = false;
                }
                Err(_) if was_away => return,
                Err(why) => tracing::debug!(stage, %why, "how far a stage is behind can't be seen"),
            }
        }
        self.told = state.pressure.sources().iter().filter_map(|source| source.mark).map(|Time(ms)| ms).min();
        self.reader.iter_mut().for_each(|reader| reader.rest());
    }

    /// What the accounts' shards that are here tell, all of them.
    pub fn tell_watermarks(&mut self, watermarks: BTreeMap<TopicPartition, Option<Time>>) {
        self.watermarks = watermarks;
    }

    /// What a shard told last, if it did.
    pub fn told_by(&self, at: &TopicPartition) -> Option<(TopicPartition, Option<Time>)> {
        self.watermarks.get(at).map(|watermark| (at.clone(), *watermark))
    }

    /// Adds what is known to a stage's sample.
    pub fn fill(&self, stage: &mut StageSample) {
        let mut by_topic: BTreeMap<&Arc<str>, Lag> = BTreeMap::new();
        for (at, lag) in self.by_stage.get(stage.name).into_iter().flatten() {
            let sum = by_topic.entry(&at.topic).or_default();
            sum.records += lag.records;
            sum.ms = sum.ms.max(lag.ms);
        }
        let of_topic =
            |(topic, lag): (&Arc<str>, Lag)| TopicLag { topic: topic.to_string(), records: lag.records, ms: lag.ms };
        stage.lag = by_topic.into_iter().map(of_topic).collect();
        stage.lag_records = stage.lag.iter().map(|lag| lag.records).sum();
        stage.lag_ms = stage.lag.iter().map(|lag| lag.ms).max().unwrap_or(0);
        stage.watermark = match stage.name {
            "screen" => self.told,
            // A shard without watermark holds the stage back.
            "accounts" => self.watermarks.values().copied().min().flatten().map(|Time(ms)| ms),
            _ => None,
        };
    }

    pub fn of_source(&self, at: &TopicPartition) -> u64 {
        self.by_stage.get("screen").and_then(|lags| lags.get(at)).map_or(0, |lag| lag.records)
    }
}

impl Hold {
    fn seen(from: u64, now: Time) -> Hold {
        Hold { from, since: now, logged: false }
    }

    /// As it was seen before, if it is the same; says once that it stands for long.
    fn goes_on(self, before: Option<Hold>, at: &TopicPartition, now: Time) -> Hold {
        let mut hold = before.filter(|before| before.from == self.from).unwrap_or(self);
        if !hold.logged && now.since(hold.since) >= HELD_LONG_MS {
            hold.logged = true;
            tracing::warn!(
                topic = %at.topic,
                partition = at.partition,
                offset = hold.from,
                "a transaction has been open for a minute and holds back whatever follows it; if its producer is gone, \
                 see `kafka-transactions.sh find-hanging`"
            );
        }
        hold
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn topics_of(stage: &str, sources: &[String]) -> Vec<String> {
    match stage {
        "screen" => sources.iter().cloned().chain(SIDE_INPUTS.map(str::to_owned)).collect(),
        inbox => vec![format!("{inbox}.inbox")],
    }
}

/// Positions are looked up before ends, so that a stage that runs looks rather behind than ahead.
fn look_at(
    bus: &dyn Bus,
    reader: &mut dyn Reader,
    stage: &str,
    topics: &[String],
    now: Time,
) -> Result<BTreeMap<TopicPartition, Lag>, BusError> {
    let group = group_of(stage);
    let mut lags = BTreeMap::new();
    for topic in topics {
        let all = bus.all_of(topic)?;
        let positions = positions_of(bus, reader, &group, &all)?;
        let ends = reader.ends(&all)?;
        for ((at, from), end) in all.into_iter().zip(positions).zip(ends) {
            let lag = lag_between(reader, &at, from, end, now)?;
            lags.insert(at, lag);
        }
    }
    Ok(lags)
}

/// Between position and end there may be nothing but markers: then nothing is behind. Or what is there can't be read,
/// since it follows a transaction's first record.
fn lag_between(reader: &mut dyn Reader, at: &TopicPartition, from: u64, end: u64, now: Time) -> Result<Lag, BusError> {
    if from >= end {
        return Ok(Lag::default());
    }
    let (unread, next) = first_unread(reader, at, from, end)?;
    let lag = |(offset, appended)| Lag { records: end - offset, ms: now.since(appended).max(0), hold: None };
    let nothing_to_read = || Lag { hold: (next < end).then(|| Hold::seen(next, now)), ..Lag::default() };
    Ok(unread.map_or_else(nothing_to_read, lag))
}
