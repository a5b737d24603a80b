//! The settings by which accounts judge; built once from the configuration and shared.

use super::ids::Uuid;
use super::offer::Windows;
use super::time::{Span, Time};

/// For how long a post may be edited: one hour (X API v2, `edit_controls.editable_until`).
const EDIT_WINDOW: Span = Span(3_600_000);

/// Everything that a verdict depends on besides the events.
#[derive(Clone, Debug)]
pub struct Rules {
    pub windows: Windows,
    pub limits: Limits,
    /// Answer a confirm that concerns nothing with `nothing_to_confirm` (off by default).
    pub tell_nothing_to_confirm: bool,
    /// Makes the UUIDv5 of a name; the domain has no hash function of its own.
    pub uuid_of: fn(&str) -> Uuid,
}

impl Rules {
    /// When neither a post of this time that is read again nor an edit of it is younger than `account.buy_max_age`.
    pub fn edits_are_stale_at(&self, at: Time) -> Time {
        at.after(self.windows.buy_max_age).after(EDIT_WINDOW)
    }
}

/// Limits per account (`limits.*`), and of the memory that a shard may keep for what did not open anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Purchases that wait plus records kept early, per account.
    pub pending_per_account: usize,
    /// Per UTC day of `ordered_at`.
    pub purchases_per_day: u32,
    /// Per UTC day of `ordered_at` and currency, in ten-thousandths of the currency's unit.
    pub spend_per_day_e4: i64,
    /// Replies that courtesy alone asks for, per account and hour of event time; prompts and receipts always go out.
    pub replies_per_hour: u32,
    /// Bytes that a shard keeps for early records, refused buys and waiting messages before it refuses new buys.
    pub kept_bytes_per_shard: usize,
}
