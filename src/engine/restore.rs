//! Rebuilding a shard from its changelog, a piece at a time, so that the worker stays in its group meanwhile.
//!
//! The order matters (I6). The committed input position was read before; only then is the changelog's end looked up,
//! with open transactions counted, and only committed records are read up to it: whatever was committed with that
//! position or before lies below that end. Positions are compared, never records counted: offsets have gaps.
//!
//! A changelog holds many records of a busy key between two compactions. Only the last one counts, so records are
//! gathered as bytes and decoded once they are known to be the last, or when too many bytes were gathered.

use rustc_hash::FxHashMap;

use super::settings::{RESTORE_GATHERED_BYTES_MAX, RESTORE_LOOK_MAX_MS, RESTORE_STALL_MS};
use super::shard::{RestoreError, Shard};
use crate::bus::{Budget, BusError, Reader, TopicPartition};
use crate::domain::{Span, Time};
use crate::planted::{self, Bug};

/// A shard that is being rebuilt.
#[derive(Debug)]
pub struct Restore<S> {
    shard: S,
    source: Source,
    latest: Latest,
    consumed: bool,
    has_records: bool,
}

type Key = Box<[u8]>;

/// The last record of each key among those that were not given to the shard yet, in the order of their first ones.
#[derive(Debug, Default)]
struct Latest {
    records: Vec<(Key, Option<Vec<u8>>)>,
    places: FxHashMap<Key, usize>,
    bytes: usize,
}

/// How far a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The shard is as of the committed position.
    Done,
    /// This many records were read; the end is not known to be reached yet.
    Read(u64),
    /// An open transaction holds back what follows.
    HeldBack,
}

#[derive(Debug, thiserror::Error)]
pub enum RestoreFailure {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Record(#[from] RestoreError),
    /// Records vanished, or a transaction of somebody hangs.
    #[error(
        "restoring {topic}-{partition} is stuck at offset {position}, short of its end {end}, for {RESTORE_STALL_MS} ms"
    )]
    Stalled { topic: String, partition: u32, position: u64, end: u64 },
    /// What the state was made of would be consumed again.
    #[error(
        "{topic}-{partition} holds state, but its group is at the beginning of its input: it consumed before, and its \
         positions are gone (`offsets.retention.minutes`), or the input was made anew. Set the group's positions to \
         where it was, or begin under another topics.prefix"
    )]
    Unplaced { topic: String, partition: u32 },
}

#[derive(Debug)]
enum Source {
    None,
    Unopened(TopicPartition),
    Reading { at: TopicPartition, position: u64, end: u64, looked: Time, waited: Span },
}

impl<S: Shard> Restore<S> {
    /// `shard` is fresh; without changelog it is ready at once. `consumed`: whether its group is beyond the
    /// beginning of its input.
    pub fn new(shard: S, changelog: Option<TopicPartition>, consumed: bool) -> Restore<S> {
        let source = changelog.map_or(Source::None, Source::Unopened);
        Restore { shard, source, latest: Latest::default(), consumed, has_records: false }
    }

    /// Reads the next piece. After `BusError::Unavailable` it goes on where it was; after another error the shard is
    /// spoilt.
    pub fn step(&mut self, reader: &mut dyn Reader, now: Time) -> Result<Progress, RestoreFailure> {
        if let Source::Unopened(at) = &self.source {
            // A transaction's end takes an offset, too.
            let early = if planted::is(Bug::RestoreStopsEarly) { 2 } else { 0 };
            let end = reader.end(at)?.saturating_sub(early);
            let position = reader.beginning(at)?;
            self.source = Source::Reading { at: at.clone(), position, end, looked: now, waited: Span::ZERO };
        }
        let Source::Reading { at, position, end, looked, waited } = &mut self.source else {
            return Ok(Progress::Done);
        };
        // A clock that jumps, or a machine that slept, is no wait.
        waited.0 += now.since(*looked).clamp(0, RESTORE_LOOK_MAX_MS);
        *looked = now;
        if *position >= *end {
            self.latest.give(&mut self.shard)?;
            if self.has_records && !self.consumed {
                return Err(RestoreFailure::Unplaced { topic: at.topic.to_string(), partition: at.partition });
            }
            return Ok(Progress::Done);
        }
        let read = read_into(&mut self.latest, reader, at, *position);
        if let Err(RestoreFailure::Bus(BusError::Unavailable(_))) = &read {
            // A log that is away is not stuck.
            *waited = Span::ZERO;
        }
        let (next, records) = read?;
        self.has_records |= records > 0;
        if self.latest.bytes >= RESTORE_GATHERED_BYTES_MAX {
            self.latest.give(&mut self.shard)?;
        }
        if next > *position {
            (*position, *waited) = (next, Span::ZERO);
            return Ok(Progress::Read(records));
        }
        if waited.0 >= RESTORE_STALL_MS {
            let (topic, partition) = (at.topic.to_string(), at.partition);
            return Err(RestoreFailure::Stalled { topic, partition, position: *position, end: *end });
        }
        Ok(Progress::HeldBack)
    }

    /// The shard, once [`Progress::Done`] was said.
    pub fn into_shard(self) -> S {
        self.shard
    }
}

impl Latest {
    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.bytes += value.map_or(0, <[u8]>::len);
        match self.places.get(key) {
            Some(place) => {
                let kept = &mut self.records[*place].1;
                self.bytes -= kept.as_ref().map_or(0, Vec::len);
                match (&mut *kept, value) {
                    // Most versions of a key are about as long.
                    (Some(room), Some(value)) => {
                        room.clear();
                        room.extend_from_slice(value);
                    }
                    (_, value) => *kept = value.map(<[u8]>::to_vec),
                }
            }
            None => {
                self.bytes += key.len();
                self.places.insert(key.into(), self.records.len());
                self.records.push((key.into(), value.map(<[u8]>::to_vec)));
            }
        }
    }

    fn give<S: Shard>(&mut self, shard: &mut S) -> Result<(), RestoreError> {
        let Latest { records, .. } = std::mem::take(self);
        records.iter().try_for_each(|(key, value)| shard.restore(key, value.as_deref()))
    }
}

/// Gathers one piece of the changelog; answers the next position and the number of records.
fn read_into(
    latest: &mut Latest,
    reader: &mut dyn Reader,
    at: &TopicPartition,
    from: u64,
) -> Result<(u64, u64), RestoreFailure> {
    let mut records = 0;
    let mut failure = None;
    let next = reader.read(at, from, Budget::BULK, &mut |record| {
        records += 1;
        match record.key {
            Some(key) => latest.put(key, record.value),
            None => {
                let why = || format!("no key at offset {}", record.offset);
                failure.get_or_insert_with(|| RestoreError { key: String::new(), why: why() });
            }
        }
    })?;
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok((next, records)),
    }
}
