//! What must be said: one predicted record, and how it differs from one that was seen.

use serde_json::Value;

use crate::domain::ids::parse_id;
use crate::domain::{Money, PostId, PurchaseId, Reason, ReplyKind, State, StockAction, StockRequest, Time, Uuid};
use crate::wire::{time, uuids};

/// The topics that the accounts stage writes, as far as they are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Events,
    /// Events of confirms that were rejected: they change no state, and stand among the others without order.
    Rejections,
    Payments,
    Voided,
    Orders,
    Replies,
    Direct,
    Emails,
    Stock,
}

/// A record without what stands in every one of its topic, and without texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Event { from: Option<State>, to: State, reason: Option<Reason>, at: Time, post: Option<PostId> },
    Payment(Box<Paid>),
    Voided { reason: Reason, at: Time },
    Order { merchant: String, item: String, ship_to: String },
    Reply { direct: bool, id: Uuid, kind: ReplyKind, in_reply_to: Option<PostId> },
    Email { id: Uuid, kind: ReplyKind, email_ref: String },
    Stock { action: StockAction, at: Time },
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Paid {
    pub card: String,
    pub merchant: String,
    pub amount: Money,
    pub ordered_at: Time,
    pub confirmed_at: Time,
    pub order_post: PostId,
    pub confirm_post: PostId,
}

/// A predicted record of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub purchase: Option<PurchaseId>,
    pub offer: Option<String>,
    /// The event time of its cause.
    pub at: Time,
    pub said: Said,
    /// It may be missing, where what is remembered for how long is left open.
    pub optional: bool,
}

impl Topic {
    pub fn of(name: &str, value: &Value) -> Option<Topic> {
        Some(match name {
            "purchases.events" if value["from"] == value["to"] => Topic::Rejections,
            "purchases.events" => Topic::Events,
            "payments.authorized" => Topic::Payments,
            "payments.voided" => Topic::Voided,
            "fulfilment.orders" => Topic::Orders,
            "replies" => Topic::Replies,
            "messages.direct" => Topic::Direct,
            "notifications.email" => Topic::Emails,
            _ => return None,
        })
    }
}

impl Said {
    /// The time that it tells itself.
    pub fn at(&self) -> Option<Time> {
        match self {
            Said::Event { at, .. } | Said::Voided { at, .. } | Said::Stock { at, .. } => Some(*at),
            Said::Payment(paid) => Some(paid.confirmed_at),
            Said::Order { .. } | Said::Reply { .. } | Said::Email { .. } => None,
        }
    }

    pub fn topic(&self) -> Topic {
        match self {
            Said::Event { from: Some(from), to, .. } if from == to => Topic::Rejections,
            Said::Event { .. } => Topic::Events,
            Said::Payment(_) => Topic::Payments,
            Said::Voided { .. } => Topic::Voided,
            Said::Order { .. } => Topic::Orders,
            Said::Reply { direct: false, .. } => Topic::Replies,
            Said::Reply { direct: true, .. } => Topic::Direct,
            Said::Email { .. } => Topic::Emails,
            Said::Stock { .. } => Topic::Stock,
        }
    }
}

impl Expected {
    /// The first field in which a record differs from this prediction, with both values.
    /// `ce_time` is the header, where it is known.
    pub fn differs(&self, got: &Value, ce_time: Option<&str>) -> Option<String> {
        let mut fields = Fields { got, difference: None };
        fields.uuid("purchase", self.purchase);
        if let Some(got) = ce_time.filter(|got| *got != time::text_of(&time::bytes_of(self.at))) {
            fields.difference = Some(format!("ce_time: expected {}, got {got}", time::format(self.at)));
        }
        match &self.said {
            Said::Event { from, to, reason, at, post } => {
                fields.text("offer", self.offer.as_deref());
                fields.text("from", from.map(State::name));
                fields.text("reason", reason.map(Reason::name));
                fields.text("to", Some(to.name()));
                fields.time("at", *at);
                fields.post("post", *post);
            }
            Said::Payment(paid) => {
                fields.text("offer", self.offer.as_deref());
                fields.paid(paid);
            }
            Said::Voided { reason, at } => {
                fields.text("reason", Some(reason.name()));
                fields.time("at", *at);
            }
            Said::Order { merchant, item, ship_to } => {
                fields.text("merchant", Some(merchant));
                fields.text("item", Some(item));
                fields.text("ship_to", Some(ship_to));
                fields.number("quantity", 1);
            }
            Said::Reply { direct: _, id, kind, in_reply_to } => {
                fields.text("kind", Some(kind.name()));
                fields.text("offer", self.offer.as_deref());
                fields.post("in_reply_to", *in_reply_to);
                fields.uuid("reply", Some(*id));
            }
            Said::Email { id, kind, email_ref } => {
                fields.text("kind", Some(kind.name()));
                fields.text("email_ref", Some(email_ref));
                fields.uuid("notification", Some(*id));
            }
            Said::Stock { .. } => fields.note("a stock request", "a record of a topic".to_owned()),
        }
        fields.difference
    }

    /// As [`Expected::differs`], for a request to the offers stage.
    pub fn differs_from_request(&self, got: &StockRequest, offer: &str) -> Option<String> {
        let asked = Said::Stock { action: got.action, at: got.at };
        let same = self.purchase == Some(got.purchase) && self.offer.as_deref() == Some(offer) && self.said == asked;
        if same { None } else { Some(format!("expected {self:?}, got {got:?}")) }
    }
}

/// A card token stays out of what people read (I11).
impl std::fmt::Debug for Paid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Paid { card: _, merchant, amount, ordered_at, confirmed_at, order_post, confirm_post } = self;
        write!(f, "{amount:?} to {merchant}, ordered {ordered_at:?} by {order_post}, ")?;
        write!(f, "confirmed {confirmed_at:?} by {confirm_post}")
    }
}

/// Compares field by field and remembers the first difference.
struct Fields<'a> {
    got: &'a Value,
    difference: Option<String>,
}

impl Fields<'_> {
    fn text(&mut self, name: &str, expected: Option<&str>) {
        if self.got[name].as_str() != expected {
            self.note(name, expected.unwrap_or("null").to_owned());
        }
    }

    fn uuid(&mut self, name: &str, expected: Option<Uuid>) {
        let got = self.got[name].as_str();
        if got.and_then(uuids::parse) != expected || got.is_some() != expected.is_some() {
            self.note(name, expected.map_or("null".to_owned(), |id| id.to_string()));
        }
    }

    fn time(&mut self, name: &str, expected: Time) {
        if self.got[name].as_str() != Some(time::text_of(&time::bytes_of(expected))) {
            self.note(name, time::format(expected));
        }
    }

    fn post(&mut self, name: &str, expected: Option<PostId>) {
        let got = self.got[name].as_str();
        if got.and_then(parse_id) != expected.map(|post| post.0) || got.is_some() != expected.is_some() {
            self.note(name, expected.map_or("null".to_owned(), |post| post.to_string()));
        }
    }

    fn number(&mut self, name: &str, expected: i64) {
        if self.got[name].as_i64() != Some(expected) {
            self.note(name, expected.to_string());
        }
    }

    fn paid(&mut self, paid: &Paid) {
        // A card token stays out of what people read (I11).
        if self.got["card"].as_str() != Some(&paid.card) {
            self.difference.get_or_insert("card: another one was expected".to_owned());
        }
        self.text("merchant", Some(&paid.merchant));
        if self.got["amount"]["minor"].as_i64() != Some(paid.amount.minor)
            || self.got["amount"]["currency"].as_str() != Some(paid.amount.currency.code())
        {
            self.note("amount", format!("{} {}", paid.amount.minor, paid.amount.currency.code()));
        }
        self.time("ordered_at", paid.ordered_at);
        self.time("confirmed_at", paid.confirmed_at);
        self.post("order_post", Some(paid.order_post));
        self.post("confirm_post", Some(paid.confirm_post));
    }

    fn note(&mut self, name: &str, expected: String) {
        if self.difference.is_none() {
            self.difference = Some(format!("{name}: expected {expected}, got {}", self.got[name]));
        }
    }
}
