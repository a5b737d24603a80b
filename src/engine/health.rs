//! How the workers are, for /livez, /readyz and metrics.

use std::sync::{Arc, Mutex, PoisonError};

use super::stats::WorkerStats;
use crate::domain::{Span, Time};

/// The workers of all stages; clones share.
#[derive(Clone, Debug, Default)]
pub struct Health {
    workers: Arc<Mutex<Vec<WorkerHealth>>>,
}

/// One worker, as of its last step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerHealth {
    /// `screen`, `accounts` or `offers`.
    pub stage: &'static str,
    pub slot: u32,
    /// By the runtime's clock; when the worker was spawned, until it has stepped.
    pub last_step: Time,
    /// Assigned, restored, the gate passed, not stopping.
    pub ready: bool,
    pub stats: WorkerStats,
}

impl Health {
    pub fn workers(&self) -> Vec<WorkerHealth> {
        self.lock().clone()
    }

    /// Every worker has stepped within `patience`.
    pub fn is_live(&self, now: Time, patience: Span) -> bool {
        self.lock().iter().all(|worker| now.since(worker.last_step) <= patience.0)
    }

    /// There are workers, and every one of them is ready.
    pub fn is_ready(&self) -> bool {
        let workers = self.lock();
        !workers.is_empty() && workers.iter().all(|worker| worker.ready)
    }

    /// Adds a worker; answers its place.
    pub(super) fn add(&self, stage: &'static str, slot: u32, now: Time) -> usize {
        let mut workers = self.lock();
        workers.push(WorkerHealth { stage, slot, last_step: now, ready: false, stats: WorkerStats::default() });
        workers.len() - 1
    }

    pub(super) fn report(&self, place: usize, now: Time, ready: bool, stats: WorkerStats) {
        if let Some(worker) = self.lock().get_mut(place) {
            (worker.last_step, worker.ready, worker.stats) = (now, ready, stats);
        }
    }

    pub(super) fn none_ready(&self) {
        self.lock().iter_mut().for_each(|worker| worker.ready = false);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WorkerHealth>> {
        // Plain values: a panic between two of them leaves nothing half done.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
