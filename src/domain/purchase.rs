//! The life of a purchase: states, reasons, and the record that an account keeps of it.

use std::sync::Arc;

use super::ids::{PostId, PurchaseId};
use super::offer::Terms;
use super::time::Time;

/// States of DESIGN section 3. `Rejected` is the state of a buy that opened nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Ordered,
    Waitlisted,
    Prompted,
    Approving,
    Paying,
    Authorized,
    Fulfilled,
    Rejected,
    SoldOut,
    Expired,
    Cancelled,
    Declined,
}

/// Why a transition or a rejection happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    NotLinked,
    CardNotActive,
    Frozen,
    Country,
    NotOpen,
    Stale,
    Duplicate,
    LimitPending,
    LimitPurchases,
    LimitSpend,
    SoldOut,
    Retweet,
    ManualRetweet,
    Quote,
    BothTags,
    Late,
    Overloaded,
    NoPurchase,
    Deleted,
    CancelledByUser,
    Unlinked,
    PromptFailed,
    Declined,
    PaymentTimeout,
    ApprovalRefused,
    ApprovalTimeout,
}

/// One purchase of one account. Small: a million of them wait in memory at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    pub id: PurchaseId,
    pub terms: Arc<Terms>,
    /// First id of the ordering post.
    pub order_post: PostId,
    /// The version that ordered; equal to `order_post` unless the post was edited.
    pub order_version: PostId,
    pub ordered_at: Time,
    /// Where the window counts from: `ordered_at`, or the event time of what freed a waitlisted unit.
    pub window_from: Time,
    pub state: State,
    /// When the state ends by itself: the confirm deadline of a prompted purchase, the end of the cancel window of an
    /// authorized one. Of one that has ended when it did, or would have.
    pub deadline: Option<Time>,
    /// The prompt's post id, once `replies.posted` told it.
    pub prompt_post: Option<PostId>,
    pub confirm: Option<Box<Confirm>>,
    /// Confirms that were weighed against this purchase and rejected, each version of a post by itself: none of them
    /// ever pays it, and a redelivery is not told twice.
    pub rejected_confirms: Vec<PostId>,
    /// Bit n: the n-th kind of reply that could not be posted was told directly, so that a redelivery is not told
    /// twice.
    pub told_directly: u8,
}

/// What paid a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// First id of the post.
    pub post: PostId,
    /// Where the order goes: the address that was known when it was paid. Empty once the order was made.
    pub ship_to: String,
}

impl State {
    pub const ALL: [State; 12] = [
        State::Ordered,
        State::Waitlisted,
        State::Prompted,
        State::Approving,
        State::Paying,
        State::Authorized,
        State::Fulfilled,
        State::Rejected,
        State::SoldOut,
        State::Expired,
        State::Cancelled,
        State::Declined,
    ];

    pub fn name(self) -> &'static str {
        match self {
            State::Ordered => "ordered",
            State::Waitlisted => "waitlisted",
            State::Prompted => "prompted",
            State::Approving => "approving",
            State::Paying => "paying",
            State::Authorized => "authorized",
            State::Fulfilled => "fulfilled",
            State::Rejected => "rejected",
            State::SoldOut => "sold_out",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
            State::Declined => "declined",
        }
    }

    /// Waits for something: stock, a confirm, an approval, a payment.
    pub fn waits(self) -> bool {
        matches!(self, State::Ordered | State::Waitlisted | State::Prompted | State::Approving | State::Paying)
    }

    /// Waits, or is paid and may still be taken back.
    pub fn is_open(self) -> bool {
        self.waits() || self == State::Authorized
    }

    pub fn succeeded(self) -> bool {
        matches!(self, State::Authorized | State::Fulfilled)
    }
}

impl Reason {
    pub const ALL: [Reason; 26] = [
        Reason::NotLinked,
        Reason::CardNotActive,
        Reason::Frozen,
        Reason::Country,
        Reason::NotOpen,
        Reason::Stale,
        Reason::Duplicate,
        Reason::LimitPending,
        Reason::LimitPurchases,
        Reason::LimitSpend,
        Reason::SoldOut,
        Reason::Retweet,
        Reason::ManualRetweet,
        Reason::Quote,
        Reason::BothTags,
        Reason::Late,
        Reason::Overloaded,
        Reason::NoPurchase,
        Reason::Deleted,
        Reason::CancelledByUser,
        Reason::Unlinked,
        Reason::PromptFailed,
        Reason::Declined,
        Reason::PaymentTimeout,
        Reason::ApprovalRefused,
        Reason::ApprovalTimeout,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Reason::NotLinked => "not_linked",
            Reason::CardNotActive => "card_not_active",
            Reason::Frozen => "frozen",
            Reason::Country => "country",
            Reason::NotOpen => "not_open",
            Reason::Stale => "stale",
            Reason::Duplicate => "duplicate",
            Reason::LimitPending => "limit_pending",
            Reason::LimitPurchases => "limit_purchases",
            Reason::LimitSpend => "limit_spend",
            Reason::SoldOut => "sold_out",
            Reason::Retweet => "retweet",
            Reason::ManualRetweet => "manual_retweet",
            Reason::Quote => "quote",
            Reason::BothTags => "both_tags",
            Reason::Late => "late",
            Reason::Overloaded => "overloaded",
            Reason::NoPurchase => "no_purchase",
            Reason::Deleted => "deleted",
            Reason::CancelledByUser => "cancelled_by_user",
            Reason::Unlinked => "unlinked",
            Reason::PromptFailed => "prompt_failed",
            Reason::Declined => "declined",
            Reason::PaymentTimeout => "payment_timeout",
            Reason::ApprovalRefused => "approval_refused",
            Reason::ApprovalTimeout => "approval_timeout",
        }
    }
}
