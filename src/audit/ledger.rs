//! How records of different topics belong together: events are unbroken chains, and each purchase has as many payments,
//! orders, replies and e-mails as its events say, with the same posts, times and amounts (I2, I3, I8).

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::found::{Found, Whose};
use super::shape::{self, STATES};
use super::tally::Tally;
use super::violation::Invariant;
use crate::domain::{AccountId, Money, PostForm, PostIntent, Terms, Uuid};

#[derive(Default)]
pub(super) struct Ledger {
    lives: FxHashMap<Uuid, Life>,
    posts: FxHashMap<(AccountId, u64), Post>,
    /// Terms that buys carried, by offer.
    terms: BTreeMap<String, Vec<Sold>>,
    /// First ids of edited posts, with the versions that were read.
    edits: FxHashMap<(AccountId, u64), Vec<u64>>,
}

/// What is known of a purchase.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub account: Option<AccountId>,
    pub offer: Option<u32>,
    /// Index into [`STATES`].
    pub state: Option<u8>,
    /// The last one given.
    pub reason: Option<String>,
    /// First id of the post that ordered, by the events.
    pub order_post: Option<u64>,
    ordered_at: Option<Stamp>,
    /// Time and post of the event `authorized`.
    authorized: Option<(Stamp, Option<u64>)>,
    was_fulfilled: bool,
    payment: Option<Payment>,
    orders: u32,
    voided: u32,
    replies: u32,
    emails: u32,
    /// Part of it lies behind the cut.
    open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Payment {
    ordered_at: Stamp,
    confirmed_at: Stamp,
    order_post: Option<u64>,
    confirm_post: Option<u64>,
    minor: i64,
}

/// A time as the contract writes it; in order as bytes, too.
type Stamp = [u8; 24];

/// What a post of an account can be part of.
#[derive(Clone, Copy, Debug)]
struct Post {
    at: Stamp,
    buys: bool,
    may_confirm: bool,
}

/// What one version of an offer sells.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sold {
    version: u64,
    amount: Money,
    merchant: String,
    item: String,
    limited: bool,
}

impl Ledger {
    /// A post that an account wrote, and the terms that it carries.
    pub fn post(&mut self, account: AccountId, intent: &PostIntent) {
        let post = Post::of(intent);
        let known = self.posts.entry((account, intent.id.0)).or_insert(post);
        // A post may come again when its offer is no longer sold, or sold by other tags.
        known.buys |= post.buys;
        known.may_confirm |= post.may_confirm;
        if intent.id != intent.first_id {
            self.edits.entry((account, intent.first_id.0)).or_default().push(intent.id.0);
        }
        for terms in &intent.orders {
            let versions = match self.terms.get_mut(&terms.offer) {
                Some(versions) => versions,
                None => self.terms.entry(terms.offer.clone()).or_default(),
            };
            if versions.iter().all(|known| known.version != terms.version) {
                versions.push(Sold::by(terms));
            }
        }
    }

    /// Whether events told of this purchase.
    pub fn knows(&self, purchase: Uuid) -> bool {
        self.lives.contains_key(&purchase)
    }

    /// An output that is about an account or an order.
    pub fn see(&mut self, topic: &str, value: &Value, whose: Whose, open: bool, found: &mut Found, tally: &mut Tally) {
        let Some(purchase) = whose.purchase else { return };
        let life = self.lives.entry(purchase).or_default();
        life.open |= open;
        if let Some(account) = whose.account {
            let owner = *life.account.get_or_insert(account);
            found.check(Invariant::I3, owner == account, whose, || format!("{topic}: the purchase is {owner}'s"));
        }
        match topic {
            "purchases.events" => self.event(purchase, value, whose, found, tally),
            "payments.authorized" => self.payment(purchase, value, whose, found, tally),
            "payments.voided" => {
                life.voided += 1;
                found.check(Invariant::I2, life.voided == 1, whose, || "voided twice".to_owned());
            }
            "fulfilment.orders" => {
                life.orders += 1;
                tally.orders_claimed += 1;
                found.check(Invariant::I1, life.orders == 1, whose, || "a second fulfilment order".to_owned());
                let offer = life.offer.and_then(|offer| tally.numbered(offer)).map(|totals| totals.offer.as_str());
                let mut sold = self.terms.iter().filter(|(of, _)| offer.is_none_or(|offer| *of == offer));
                let sold = sold.any(|(_, versions)| versions.iter().any(|sold| sold.is_ordered_by(value)));
                found.check(Invariant::I1, sold, whose, || "the order is for what no offer sells".to_owned());
            }
            "replies" if value["kind"] == "purchased" => life.replies += 1,
            "notifications.email" if value["kind"] == "purchased" => life.emails += 1,
            _ => {}
        }
    }

    fn event(&mut self, purchase: Uuid, value: &Value, whose: Whose, found: &mut Found, tally: &mut Tally) {
        let Some(life) = self.lives.get_mut(&purchase) else { return };
        let state_of = |name: &str| {
            let state = value[name].as_str().and_then(|name| STATES.iter().position(|state| *state == name));
            state.map(|state| state as u8)
        };
        let (from, to) = (state_of("from"), state_of("to"));
        let refused_again = from.is_none() && to == REJECTED && has_ended(name_of(life.state));
        // A buy that was read again when it was so old that what became of it is forgotten.
        let is_forgotten = refused_again && value["reason"] == "stale";
        let unbroken = from == life.state || is_forgotten || (refused_again && life.state == REJECTED);
        found.check(Invariant::I8, unbroken, whose, || {
            format!("after {} comes an event from {} to {}", name_of(life.state), name_of(from), name_of(to))
        });
        let allowed = is_allowed(name_of(from), name_of(to), !value["reason"].is_null());
        found.check(Invariant::I8, allowed, whose, || {
            format!("no purchase goes from {} to {}", name_of(from), name_of(to))
        });
        if !is_forgotten {
            life.state = to;
            if let Some(reason) = value["reason"].as_str() {
                life.reason = Some(reason.to_owned());
            }
        }
        let offer = value["offer"].as_str().unwrap_or_default();
        let number = tally.number_of(offer);
        let same = *life.offer.get_or_insert(number) == number;
        found.check(Invariant::I8, same, whose, || format!("its offer was another before: {offer}"));
        if from == to {
            return;
        }
        tally.offer(offer).events.count(name_of(to));
        let (at, post) = (stamp(value, "at"), shape::post(value, "post"));
        match name_of(to) {
            "ordered" => {
                tally.purchases += 1;
                (life.ordered_at, life.order_post) = (Some(at), post);
            }
            "rejected" if !is_forgotten => life.order_post = post,
            "authorized" => life.authorized = Some((at, post)),
            "fulfilled" => life.was_fulfilled = true,
            _ => {}
        }
    }

    fn payment(&mut self, purchase: Uuid, value: &Value, whose: Whose, found: &mut Found, tally: &mut Tally) {
        let Some(life) = self.lives.get_mut(&purchase) else { return };
        let payment = Payment {
            ordered_at: stamp(value, "ordered_at"),
            confirmed_at: stamp(value, "confirmed_at"),
            order_post: shape::post(value, "order_post"),
            confirm_post: shape::post(value, "confirm_post"),
            minor: value["amount"]["minor"].as_i64().unwrap_or_default(),
        };
        found.check(Invariant::I2, life.payment.is_none(), whose, || "a second payment".to_owned());
        let offer = value["offer"].as_str().unwrap_or_default();
        let totals = tally.offer(offer);
        totals.payments += 1;
        totals.revenue_minor += payment.minor;
        if let Some(currency) = value["amount"]["currency"].as_str()
            && totals.currency != currency
        {
            totals.currency = currency.to_owned();
        }
        tally.payments += 1;
        let number = tally.number_of(offer);
        let same = *life.offer.get_or_insert(number) == number;
        found.check(Invariant::I8, same, whose, || "the payment is for another offer than the events".to_owned());
        life.payment.get_or_insert(payment);
        let at_terms = self.terms.get(offer).is_some_and(|sold| sold.iter().any(|sold| sold.is_paid_by(value)));
        found.check(Invariant::I1, at_terms, whose, || {
            format!("{} minor units to this merchant are not the terms of {offer}", payment.minor)
        });
        let Some(account) = whose.account else { return };
        let ordered = payment.order_post.is_some_and(|post| self.has_bought(account, post, &payment.ordered_at));
        found.check(Invariant::I3, ordered, whose, || "the account wrote no such buy at that time".to_owned());
        let confirm = payment.confirm_post.and_then(|post| self.posts.get(&(account, post)));
        let confirmed = confirm.is_some_and(|post| post.may_confirm && post.at == payment.confirmed_at);
        found.check(Invariant::I3, confirmed, whose, || "the account wrote no such confirm at that time".to_owned());
        let in_order = payment.ordered_at <= payment.confirmed_at;
        found.check(Invariant::I5, in_order, whose, || "confirmed before it was ordered".to_owned());
    }

    /// Whether the account wrote a buy of this time under this first id, in one of its versions.
    fn has_bought(&self, account: AccountId, first_id: u64, at: &Stamp) -> bool {
        let edits = self.edits.get(&(account, first_id)).map_or(&[][..], Vec::as_slice);
        let mut versions = edits.iter().chain([&first_id]).filter_map(|id| self.posts.get(&(account, *id)));
        versions.any(|post| post.buys && post.at == *at)
    }

    pub fn at_rest(&mut self, found: &mut Found, tally: &mut Tally) {
        for (offer, versions) in &self.terms {
            tally.offer(offer).was_unlimited |= versions.iter().any(|sold| !sold.limited);
        }
        let mut lives: Vec<(&Uuid, &Life)> = self.lives.iter().collect();
        lives.sort_unstable_by_key(|(purchase, _)| **purchase);
        for (purchase, life) in lives {
            let whose = Whose { account: life.account, purchase: Some(*purchase) };
            if let Some(totals) = life.offer.and_then(|offer| tally.numbered(offer)) {
                totals.voided += u64::from(life.voided);
                totals.revenue_minor -= life.payment.map_or(0, |payment| payment.minor * i64::from(life.voided));
                totals.holding += u64::from(life.holds());
            }
            tally.open += u64::from(life.open);
            if !life.open {
                life.is_whole(whose, found);
            }
        }
    }

    /// Every purchase, in no order.
    pub fn lives(&self) -> impl Iterator<Item = (&Uuid, &Life)> {
        self.lives.iter()
    }

    /// Every purchase by account, first id of its ordering post, and offer.
    pub fn by_order<'a>(&self, tally: &'a Tally) -> FxHashMap<(AccountId, u64, &'a str), (Uuid, &Life)> {
        let offers: Vec<&str> = tally.offer_names().collect();
        let entries = self.lives.iter().filter_map(|(purchase, life)| {
            let offer = offers.get(life.offer? as usize)?;
            Some(((life.account?, life.order_post?, *offer), (*purchase, life)))
        });
        entries.collect()
    }
}

impl Life {
    pub fn state_name(&self) -> &'static str {
        name_of(self.state)
    }

    pub fn confirm_post(&self) -> Option<u64> {
        self.payment?.confirm_post
    }

    /// Whether it may still come to something else.
    pub fn waits(&self) -> bool {
        matches!(self.state_name(), "ordered" | "waitlisted" | "authorized") || self.holds()
    }

    pub fn is_refused(&self) -> bool {
        self.state == REJECTED
    }

    /// Whether it has a unit of limited stock that is not sold.
    fn holds(&self) -> bool {
        matches!(self.state_name(), "prompted" | "approving" | "paying")
    }

    /// One payment, one order, one reply and one e-mail, as the events say, and all of the same.
    fn is_whole(&self, whose: Whose, found: &mut Found) {
        let mut check = |invariant, holds, what: &str| found.check(invariant, holds, whose, || what.to_owned());
        check(Invariant::I8, self.state.is_some(), "records tell of a purchase without events");
        let (paid, authorized) = (self.payment.is_some(), self.authorized.is_some());
        check(Invariant::I1, paid || !authorized, "authorized, and no payment");
        check(Invariant::I3, authorized || !paid, "a payment, and never authorized");
        check(Invariant::I1, self.orders > 0 || !self.was_fulfilled, "fulfilled, and no order");
        check(Invariant::I1, self.was_fulfilled || self.orders == 0, "an order, and never fulfilled");
        let given_back = authorized && self.state_name() == "cancelled";
        check(Invariant::I2, (self.voided > 0) == given_back, "voided if and only if cancelled after the payment");
        check(Invariant::I8, self.emails == u32::from(authorized), "not one e-mail about the payment");
        check(Invariant::I8, self.replies <= u32::from(authorized), "more than one reply about the payment");
        let (Some(payment), Some((at, post))) = (self.payment, self.authorized) else { return };
        check(Invariant::I8, payment.confirmed_at == at, "paid and authorized at different times");
        check(Invariant::I8, payment.confirm_post == post, "paid and authorized by different posts");
        check(Invariant::I8, self.order_post == payment.order_post, "paid for another post than was ordered by");
        check(
            Invariant::I8,
            self.ordered_at == Some(payment.ordered_at),
            "paid for another time than it was ordered at",
        );
    }
}

impl Post {
    fn of(intent: &PostIntent) -> Post {
        let echo = matches!(intent.form, PostForm::Retweet(_) | PostForm::Quote(_));
        Post {
            at: crate::wire::time::bytes_of(intent.time),
            buys: !intent.orders.is_empty(),
            may_confirm: !intent.buys && (echo || !intent.confirm_tags.is_empty()),
        }
    }
}

impl Sold {
    fn by(terms: &Terms) -> Sold {
        let Terms { version, amount, merchant, item, limited, .. } = terms;
        Sold { version: *version, amount: *amount, merchant: merchant.clone(), item: item.clone(), limited: *limited }
    }

    fn is_paid_by(&self, payment: &Value) -> bool {
        let amount = &payment["amount"];
        amount["minor"].as_i64() == Some(self.amount.minor)
            && amount["currency"].as_str() == Some(self.amount.currency.code())
            && payment["merchant"] == *self.merchant
    }

    fn is_ordered_by(&self, order: &Value) -> bool {
        order["merchant"] == *self.merchant && order["item"] == *self.item && order["quantity"].as_u64() == Some(1)
    }
}

/// `rejected` as an index into [`STATES`].
const REJECTED: Option<u8> = Some(7);

fn name_of(state: Option<u8>) -> &'static str {
    state.and_then(|state| STATES.get(usize::from(state)).copied()).unwrap_or("null")
}

fn has_ended(state: &str) -> bool {
    matches!(state, "fulfilled" | "rejected" | "sold_out" | "expired" | "cancelled" | "declined")
}

/// The transitions of the contract. A rejected confirm leaves its purchase where it is, and says why.
fn is_allowed(from: &str, to: &str, has_reason: bool) -> bool {
    match (from, to) {
        ("null", "ordered") => true,
        ("null", "rejected") => has_reason,
        (from, to) if from == to => has_reason,
        ("ordered", "waitlisted" | "prompted" | "sold_out" | "cancelled") => true,
        ("waitlisted", "prompted" | "sold_out" | "cancelled") => true,
        ("prompted", "approving" | "paying" | "authorized" | "expired" | "cancelled") => true,
        ("approving", "paying" | "authorized" | "declined" | "expired" | "cancelled") => true,
        ("paying", "authorized" | "declined" | "cancelled") => true,
        ("authorized", "fulfilled" | "cancelled") => true,
        _ => false,
    }
}

fn stamp(value: &Value, name: &str) -> Stamp {
    value[name].as_str().and_then(|text| text.as_bytes().try_into().ok()).unwrap_or_default()
}
