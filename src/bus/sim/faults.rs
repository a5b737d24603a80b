//! What may go wrong between a client and the broker, and which promise a bus can be told to break.

/// How often what goes wrong, in parts of a thousand. All 0, the default, is a network without faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A call fails. Of `send`, half of the failures come after the record was taken.
    pub unavailable: u32,
    /// A commit runs into an error after which the client can only abort.
    pub aborted: u32,
    /// The coordinator fences a producer that did nothing wrong.
    pub fenced: u32,
    /// An EndTxn never arrives.
    pub request_lost: u32,
    /// An EndTxn is carried out and nobody hears of it.
    pub response_lost: u32,
    /// An EndTxn arrives much later, after the client has given up waiting.
    pub delayed_end: u32,
    /// An EndTxn is carried out, nobody hears of it, and a copy of it arrives much later.
    pub duplicated_end: u32,
    /// Between any two requests of a commit its state is looked at up to this many times (a count, not a rate).
    pub pending_max: u32,
    /// A commit is answered before its markers are written; they are written later, partition by partition.
    pub late_markers: u32,
    /// `send` puts what it has buffered into the log at once. Otherwise that waits for the commit.
    pub early_sends: u32,
    /// A poll or a read gives less than there is.
    pub short_polls: u32,
    /// A partition gives nothing to one worker for a while ([`SLOW_FETCHES_MS_MAX`]), nor tells where it ends.
    pub slow_fetch: u32,
    /// A poll gives what was fetched before its partition was paused.
    pub strays: u32,
    /// A committed position is not known to be stable although it is.
    pub lagging_position: u32,
    /// A poll goes on with the old assignment although the group waits for a revocation.
    pub late_revoke: u32,
}

/// A broken client or broker: what the auditors of a run must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    /// `Reader::end` gives the last stable offset (breaks promise 5).
    RestoreBoundedByLso,
    /// `recover` keeps the producer with its epoch and whatever it has open (breaks promise 4).
    KeptProducer,
    /// Positions are committed when a commit starts, whatever becomes of its transaction (breaks promise 2).
    OffsetsOutsideTransaction,
    /// Polls and readers see records of open and of aborted transactions (breaks promise 2).
    ReadUncommitted,
    /// The group takes positions of any generation and any partition from anybody (breaks promise 3).
    NoGenerationFence,
    /// A producer goes on under an epoch that was taken over (breaks promise 3).
    NoEpochFence,
    /// Positions are told while a transaction that moves them is undecided (breaks promise 4).
    UnstablePositions,
}

impl Cheat {
    pub const ALL: [Cheat; 7] = [
        Cheat::RestoreBoundedByLso,
        Cheat::KeptProducer,
        Cheat::OffsetsOutsideTransaction,
        Cheat::ReadUncommitted,
        Cheat::NoGenerationFence,
        Cheat::NoEpochFence,
        Cheat::UnstablePositions,
    ];
}

/// A partition is slow for at most one of these, drawn evenly.
pub const SLOW_FETCHES_MS_MAX: [i64; 3] = [200, 2_000, 60_000];

/// A marker is late by at most one of these, drawn evenly.
pub const LATE_MARKERS_MS_MAX: [i64; 3] = [30, 300, 3_000];

/// A delayed or copied EndTxn arrives within one of these, drawn evenly: soon, within a transaction timeout, after it.
pub const DELAYS_MS_MAX: [i64; 4] = [20, 200, 2_000, 20_000];
