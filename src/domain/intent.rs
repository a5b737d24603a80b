//! What reaches an account: the records of `accounts.inbox`, as closed enums. The screen makes most of them; the offers
//! stage answers through the same inbox.

use std::sync::Arc;

use super::ids::{AccountId, Network, PostId, PurchaseId, Uuid};
use super::offer::{Tag, Terms};
use super::time::Time;

/// A message to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountMessage {
    Post(PostIntent),
    Link(LinkMessage),
    Posted(PromptFate),
    Stock(StockAnswer),
    /// A notice that one of the account's posts was deleted.
    Deleted(DeletedPost),
}

/// A record of `accounts.inbox`: for one account, or for the whole partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxRecord {
    To(AccountId, AccountMessage),
    /// Deletions of a batch whose authors live in this partition.
    Deletions(Network, Vec<(u64, DeletedPost)>),
    Tick(Tick),
}

/// A post that may matter to its author's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostIntent {
    pub id: PostId,
    pub first_id: PostId,
    pub time: Time,
    /// The author's handle as the post tells it; accounts without a link are answered by it.
    pub handle: Option<String>,
    pub form: PostForm,
    /// Terms of the offers whose buy tag stands in own words, in order of the catalogue.
    pub orders: Vec<Arc<Terms>>,
    /// A buy tag stands in own words, be it of an offer that nobody can order by it: such a post confirms nothing.
    pub buys: bool,
    /// Known confirm tags in own words.
    pub confirm_tags: Vec<Tag>,
    /// Known cancel tags in own words.
    pub cancel_tags: Vec<Tag>,
    /// "cancel" is the first word (after leading @handles) of a reply to the service.
    pub cancel_word: bool,
    /// The service's freeze tag stands in own words.
    pub freeze: bool,
    /// The post that this one replies to.
    pub in_reply_to: Option<PostId>,
}

/// How the words of a post relate to somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostForm {
    /// The author's own post: bare or a reply.
    Own,
    /// `RT @service …`, with or without comment.
    ManualRetweetOfService,
    /// `RT @somebody …`.
    ManualRetweet,
    Retweet(Echo),
    Quote(Echo),
}

/// The retweeted or quoted post, as far as it may be a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    pub id: Option<PostId>,
    /// Written by the service's user id.
    pub by_service: bool,
    pub in_reply_to: Option<PostId>,
    pub in_reply_to_user: Option<u64>,
    /// Known confirm tags in the echoed post.
    pub confirm_tags: Vec<Tag>,
}

/// A version or the first id of a post of this account was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedPost {
    pub post: PostId,
    pub time: Time,
}

/// A record of `accounts.links`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMessage {
    pub at: Time,
    pub change: LinkChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    Link(Arc<Link>),
    Unlink,
    Card(CardStatus),
    /// Not on the topic: a post with the freeze tag stands in the same history.
    Freeze(PostId),
}

impl LinkChange {
    /// Whether what was before it matters no longer.
    pub fn is_full(&self) -> bool {
        matches!(self, LinkChange::Link(_) | LinkChange::Unlink)
    }

    /// Whether nothing can be bought after it.
    pub fn stops(&self) -> bool {
        match self {
            LinkChange::Unlink | LinkChange::Freeze(_) => true,
            LinkChange::Card(status) => *status != CardStatus::Active,
            LinkChange::Link(_) => false,
        }
    }
}

/// What a link tells of its cardholder; references only, never a card number or an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    pub card: String,
    pub country: String,
    pub handle: String,
    pub email_ref: String,
    pub billing_ref: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStatus {
    Active,
    Suspended,
    Cancelled,
}

/// What the gateway did with a reply (`replies.posted`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFate {
    pub reply: Uuid,
    pub at: Time,
    /// The post id, or why it failed for good.
    pub outcome: Result<PostId, String>,
}

/// An answer of the offers stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockAnswer {
    pub purchase: PurchaseId,
    pub verdict: StockVerdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockVerdict {
    Held,
    Waitlisted,
    SoldOut,
    /// A waitlisted purchase holds a unit now, freed by something of this event time.
    Freed {
        at: Time,
    },
    /// A waitlisted purchase can never be served any more, decided by something of this event time.
    Exhausted {
        at: Time,
    },
}

/// A partition of a post topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    pub topic: String,
    pub partition: u32,
}

/// Progress of event time, written into every inbox partition (DESIGN section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Grows with every change of the list of sources.
    pub topology: u64,
    pub sources: Vec<SourceId>,
    /// (index into `sources`, event time up to which that source has been read).
    pub marks: Vec<(u32, Time)>,
    /// The screen's wall clock, on live sources only.
    pub clock: Option<Time>,
}

/// A record of `offers.inbox`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffersRecord {
    To(String, OfferMessage),
    Tick(Tick),
}

/// A message to one offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferMessage {
    /// The catalogue's record of this offer changed.
    Published(Arc<super::offer::Offer>),
    /// The offer was withdrawn by the record of this offset.
    Withdrawn {
        version: u64,
    },
    Stock(StockRequest),
    /// What the accounts of one batch did to this offer's funnel.
    Funnel(FunnelDelta),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockRequest {
    pub purchase: PurchaseId,
    pub account: AccountId,
    /// Event time of the cause.
    pub at: Time,
    pub action: StockAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockAction {
    /// Hold a unit, or wait in line for one.
    Hold,
    /// The held unit is paid.
    Sell,
    /// The held unit, or the place in line, is free again.
    Release,
    /// The sold unit came back: the purchase was voided before fulfilment.
    Return,
    /// The held unit is paid, but may come back until its cancel window is told to have passed.
    SellOpen,
    /// The cancel window of a unit that was sold open has passed: it can't come back any more.
    Settle,
}

/// Additions to an offer's funnel; see `offers.funnel` in DESIGN section 2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunnelDelta {
    /// The highest event time that is counted here.
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
    /// Minor units of the offer's currency; voided payments count negative.
    pub revenue_minor: i64,
    /// Milliseconds from prompt window start to confirm, one entry a confirm.
    pub confirm_ms: Vec<u32>,
}

/// A card token must not reach a log through `{:?}` (I11).
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("country", &self.country).field("handle", &self.handle).finish_non_exhaustive()
    }
}
