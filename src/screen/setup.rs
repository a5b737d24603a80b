//! What every shard of the screen shares.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::catalogue::Catalogue;
use super::follow::Follower;
use crate::domain::{Network, SourceId, Span};

/// The screen's settings and shared views. The views change only by what is in the log (offers) or by how the program
/// was started (sources).
pub struct ScreenSetup {
    pub catalogue: Shared<Catalogue>,
    /// Post topics and the network of their authors.
    pub sources: Vec<(Arc<str>, Network)>,
    pub topology: Topology,
    pub time: TimeRules,
    /// Partition counts of `accounts.inbox` and `offers.inbox`.
    pub accounts_partitions: u32,
    pub offers_partitions: u32,
    pub record_bytes_max: usize,
    pub dead_letter_body: bool,
    /// Keeps the catalogue up to date.
    pub follower: Follower,
}

/// `time.*` of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct TimeRules {
    pub lateness_max: Span,
    /// Zero: an idle source never moves.
    pub idle_after: Span,
    /// `time.idle = "heartbeat"`: only a gateway's record moves an idle source.
    pub idle_by_heartbeat: bool,
    pub tick_every: Span,
    pub skew_max: Span,
    /// A higher one replaces the list of sources, which otherwise only grows.
    pub topology: u32,
}

/// Which partitions are sources, and whether they are live (DESIGN section 6).
#[derive(Debug, Default)]
pub struct Topology {
    sources: RwLock<Arc<Vec<SourceId>>>,
    /// Not fed by `--input`, and idle sources may move: ticks carry the wall clock.
    live: bool,
    /// The last input file has been read: idle sources move once.
    ended: AtomicBool,
    /// Sources whose last move after that is committed.
    moved: AtomicUsize,
}

/// A value that many read and one replaces.
#[derive(Debug)]
pub struct Shared<T>(RwLock<Arc<T>>);

impl Topology {
    pub fn new(mut sources: Vec<SourceId>, live: bool) -> Topology {
        sources.sort();
        sources.dedup();
        Topology {
            sources: RwLock::new(Arc::new(sources)),
            live,
            ended: AtomicBool::new(false),
            moved: AtomicUsize::new(0),
        }
    }

    pub fn sources(&self) -> Arc<Vec<SourceId>> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn is_live(&self) -> bool {
        self.live
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether every source has made its last move and its tick is committed.
    pub fn has_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire) >= self.sources().len()
    }

    pub(super) fn note_move(&self) {
        self.moved.fetch_add(1, Ordering::AcqRel);
    }

    /// Every input file has been read to its end.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl<T> Shared<T> {
    pub fn new(value: T) -> Shared<T> {
        Shared(RwLock::new(Arc::new(value)))
    }

    pub fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}
