//! The one loop that runs every stage.
//!
//! A [`stage::Stage`] says what a stage reads and what its [`shard::Shard`]s are. A [`worker::Worker`] runs it, one
//! [`worker::Worker::step`] at a time, driven by a thread of the [`runtime::Runtime`] or by a simulator:
//!
//! ```text
//! poll ─▶ admit ─▶ gather ─▶ decide (host) ─▶ send ─▶ start commit ─▶ outcome
//!   ▲                           │ at most one batch        │  Committed: forget the undo layer
//!   │                           │ ahead, none of it sent   │  Aborted: take back newest first, seek back
//!   └───────────────────────────┴──────────────────────────┘  Uncertain, Fenced: new identity, rebuild the shards
//! ```
//!
//! - **A transaction is one batch.** Records are gathered while polls bring more at once, up to a batch or
//!   `commit.interval`, then decided, sent and committed in one go: a transaction is open for no longer than that
//!   takes, an idle worker adds no delay, a busy one commits seldom, and a shard has one undo layer per transaction, so
//!   two at most. A shard may leave the end of its batch, be it too much for a transaction or not to be decided yet:
//!   that comes first in the next.
//! - **Progress without output** is settled at once and committed with the next transaction, or alone after
//!   [`settings::PROGRESS_INTERVALS_MAX`] intervals, at the gate, on a drain and at the end.
//! - **[`host`]** is where shards live: behind direct calls, or behind actors ([`actor`], [`directory`]).
//! - **[`restore`]** rebuilds a shard; shards whose partition went away are parked and reused if nobody advanced: a
//!   position and its note stand for one state.
//! - **The gate** holds posts until side inputs were forwarded; [`pressure`] holds them while shards are full.
//! - **[`crate::clock`]** is the only file that reads clocks; everything else is told `now`.
//!
//! Invariants kept here: **I6** a restore reads the committed position first, then the changelog's end, then all
//! committed records below it. **I7** every transaction commits positions, so the group's fence covers it, and whoever
//! is fenced drops its state. **I8** one transaction at a time, with all output and all positions of its batch. **I9**
//! offsets of a partition only go up, and each is committed with what was decided about it; anything else panics.
//! **I10** every wait is bounded and every failed step is taken again, so that open transactions end and partitions are
//! let go.

pub mod actor;
pub mod directory;
pub mod ends;
mod gate;
pub mod health;
mod held;
pub mod host;
pub mod journal;
pub mod log_clock;
mod parking;
pub mod pressure;
pub mod restore;
pub mod runtime;
pub mod settings;
pub mod shard;
pub mod stage;
pub mod stats;
pub mod worker;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
