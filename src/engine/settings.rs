//! The loop's settings and every bound that it keeps.

use std::time::Duration;

use crate::bus::Budget;
use crate::domain::Span;

/// What an operator may set. One copy for all workers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `instance.id`: part of every worker's name, so of its transactional identity.
    pub instance: String,
    /// `commit.interval`: records that were read wait at most this long for their transaction while more keep coming.
    pub commit_interval: Span,
    /// How often a shard that gets no records is asked whether it has something to say (if its stage wants that).
    pub idle_every: Span,
    /// How much one transaction takes in at most.
    pub batch: Budget,
}

/// Progress that made no output is committed after this many commit intervals at the latest.
pub const PROGRESS_INTERVALS_MAX: i64 = 10;

/// First and longest pause after trouble with the log; it doubles in between.
pub const BACKOFF_MIN_MS: u64 = 50;
pub const BACKOFF_MAX_MS: u64 = 2_000;

/// Attempts to abort before the outcome counts as uncertain and the worker rebuilds.
pub const ABORT_TRIES_MAX: u32 = 5;

/// The group's positions are looked up at most this often while posts wait for side inputs.
pub const GATE_POLL_MS: i64 = 50;

/// Shards that a worker keeps after their partition went away, in case it comes back.
pub const PARKED_SHARDS_MAX: usize = 64;

/// A restore that gets no further for this long is an error: longer than any transaction timeout plus the broker's scan
/// for overdue ones (5 s and 10 s), shorter than the patience of a consumer group.
pub const RESTORE_STALL_MS: i64 = 60_000;
/// What lies between two looks at a restore counts as waiting up to this: more is a clock that jumped, or a machine
/// that slept.
pub const RESTORE_LOOK_MAX_MS: i64 = 5_000;

/// A restore that an open transaction holds back rests as long as after so many setbacks.
pub const HELD_BACK_SETBACKS: u32 = 3;

/// Bytes of changelog records that a restore gathers before it decodes them.
pub const RESTORE_GATHERED_BYTES_MAX: usize = 64 << 20;

/// Queries to shards that may be under way at once, per stage.
pub const QUERIES_IN_FLIGHT_MAX: usize = 256;

/// The longest wait of one poll when there is nothing to do.
pub const POLL_WAIT_MS: u64 = 50;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            instance: "0".to_owned(),
            commit_interval: Span(50),
            idle_every: Span::of_secs(1),
            batch: Budget { records_max: 8_192, bytes_max: 8 << 20 },
        }
    }
}

/// The pause after this many setbacks in a row: none after the first, then doubling between the bounds.
pub fn backoff(setbacks: u32) -> Duration {
    match setbacks {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis((BACKOFF_MIN_MS << (n - 2).min(16)).min(BACKOFF_MAX_MS)),
    }
}
