//! What a worker counts.

/// Totals since the worker started. Read by metrics and health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// Input records that were read, those passed over by the prefilter too.
    pub records: u64,
    /// Records that were sent, also in transactions that did not commit.
    pub sent: u64,
    /// Batches that shards decided, empty ones too.
    pub batches: u64,
    pub decided_ahead: u64,
    pub commits: u64,
    pub aborts: u64,
    pub uncertain: u64,
    pub fenced: u64,
    /// Shards that were rebuilt from their changelog.
    pub restores: u64,
    pub restored_records: u64,
    /// Shards that came back from parking.
    pub reused: u64,
    /// Pauses because the log was away or kept failing.
    pub backoffs: u64,
    /// Records of partitions that were not being taken; they are read again from the right position.
    pub strays: u64,
}
