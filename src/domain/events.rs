//! What a verdict makes: closed events with the domain's names. The wire turns each into one record of one topic.

use std::sync::Arc;

use super::ids::{AccountId, PostId, PurchaseId, Uuid};
use super::intent::{Link, StockRequest};
use super::money::Money;
use super::offer::Terms;
use super::purchase::{Reason, State};
use super::time::Time;

/// One effect of the accounts stage, in the order in which it must be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Transition(Transition),
    Reply(Reply),
    /// A reply that must not or could not be public.
    Direct(Reply),
    Payment(Payment),
    Order(Order),
    Voided(Voided),
    Email(Email),
    /// To the offers stage, which holds the stock.
    Stock(String, StockRequest),
    /// Counted in metrics only: a confirm or retweet that concerns no purchase.
    Counted(Reason),
}

/// A record of `purchases.events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub purchase: PurchaseId,
    pub account: AccountId,
    pub terms: Arc<Terms>,
    pub from: Option<State>,
    pub to: State,
    pub reason: Option<Reason>,
    pub at: Time,
    pub post: Option<PostId>,
    /// Milliseconds from prompt to confirm, on the transition to `authorized`.
    pub confirm_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    Prompt,
    AlreadyTweeted,
    Purchased,
    Declined,
    Expired,
    Cancelled,
    SoldOut,
    Waitlisted,
    NotLinked,
    NotEligible,
    NotOpen,
    LimitReached,
    ApprovalNeeded,
    NothingToConfirm,
    Enrolled,
    Code,
    Credited,
    Frozen,
    Reminder,
    Announcement,
}

/// A record of `replies`, before its text is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub id: Uuid,
    pub kind: ReplyKind,
    pub account: AccountId,
    pub handle: Option<String>,
    pub in_reply_to: Option<PostId>,
    /// `None` where the reply is about the account, not an offer (`frozen`).
    pub terms: Option<Arc<Terms>>,
    pub purchase: Option<PurchaseId>,
    pub at: Time,
}

/// A record of `payments.authorized`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub purchase: PurchaseId,
    pub account: AccountId,
    pub link: Arc<Link>,
    pub terms: Arc<Terms>,
    pub ordered_at: Time,
    pub confirmed_at: Time,
    pub order_post: PostId,
    pub confirm_post: PostId,
}

/// A record of `fulfilment.orders`: no card, no amount, no handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub purchase: PurchaseId,
    pub account: AccountId,
    pub merchant: String,
    pub item: String,
    pub ship_to: String,
    pub at: Time,
}

/// A record of `payments.voided`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voided {
    pub purchase: PurchaseId,
    pub account: AccountId,
    pub reason: Reason,
    pub at: Time,
}

/// A record of `notifications.email`, before its text is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    pub id: Uuid,
    pub kind: ReplyKind,
    pub account: AccountId,
    pub email_ref: String,
    pub purchase: PurchaseId,
    pub terms: Arc<Terms>,
    pub at: Time,
}

/// One effect of the offers stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferEvent {
    Answer(AccountId, super::intent::StockAnswer),
    /// The offer tweet itself, when the offer opens.
    Announcement {
        id: Uuid,
        terms: Arc<Terms>,
        at: Time,
    },
    Funnel(Funnel),
}

/// A record of `offers.funnel`: running totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Funnel {
    pub offer: String,
    pub at: Time,
    pub mentions: u64,
    pub buys: u64,
    pub prompts: u64,
    pub confirms: u64,
    pub authorized: u64,
    pub fulfilled: u64,
    pub expired: u64,
    pub cancelled: u64,
    pub declined: u64,
    pub sold_out: u64,
    pub revenue: Money,
    pub confirm_ms_p50: Option<u64>,
    pub confirm_ms_p99: Option<u64>,
}

impl ReplyKind {
    pub const ALL: [ReplyKind; 20] = [
        ReplyKind::Prompt,
        ReplyKind::AlreadyTweeted,
        ReplyKind::Purchased,
        ReplyKind::Declined,
        ReplyKind::Expired,
        ReplyKind::Cancelled,
        ReplyKind::SoldOut,
        ReplyKind::Waitlisted,
        ReplyKind::NotLinked,
        ReplyKind::NotEligible,
        ReplyKind::NotOpen,
        ReplyKind::LimitReached,
        ReplyKind::ApprovalNeeded,
        ReplyKind::NothingToConfirm,
        ReplyKind::Enrolled,
        ReplyKind::Code,
        ReplyKind::Credited,
        ReplyKind::Frozen,
        ReplyKind::Reminder,
        ReplyKind::Announcement,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ReplyKind::Prompt => "prompt",
            ReplyKind::AlreadyTweeted => "already_tweeted",
            ReplyKind::Purchased => "purchased",
            ReplyKind::Declined => "declined",
            ReplyKind::Expired => "expired",
            ReplyKind::Cancelled => "cancelled",
            ReplyKind::SoldOut => "sold_out",
            ReplyKind::Waitlisted => "waitlisted",
            ReplyKind::NotLinked => "not_linked",
            ReplyKind::NotEligible => "not_eligible",
            ReplyKind::NotOpen => "not_open",
            ReplyKind::LimitReached => "limit_reached",
            ReplyKind::ApprovalNeeded => "approval_needed",
            ReplyKind::NothingToConfirm => "nothing_to_confirm",
            ReplyKind::Enrolled => "enrolled",
            ReplyKind::Code => "code",
            ReplyKind::Credited => "credited",
            ReplyKind::Frozen => "frozen",
            ReplyKind::Reminder => "reminder",
            ReplyKind::Announcement => "announcement",
        }
    }
}
