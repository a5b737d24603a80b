//! The accounts stage: every account of one inbox partition as a virtual actor inside a pure [`AccountsShard`].
//!
//! `shard` reads the inbox and writes what the verdicts of [`crate::domain::verdict`] say, `table` holds the accounts
//! with their deadlines and the undo journal, `codec` is the changelog's format, `stage` tells the engine what to run.

pub mod codec;
pub mod outbox;
pub mod shard;
pub mod stage;
pub mod table;

pub use shard::{AccountsAnswer, AccountsQuery, AccountsShard, Setup};
pub use stage::AccountsStage;
