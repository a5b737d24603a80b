//! The rules of the conversation (DESIGN section 3): a message to an account in, events out.
//!
//! | file | rules |
//! |---|---|
//! | `orders` | buy, refusals, stock answers, prompt |
//! | `confirms` | every form of confirm, early and late ones, payment |
//! | `stops` | cancel, deletion, unlink, card status, freeze, failed prompts |
//! | `passing` | what the watermark ends: expiry, the cancel window, what is forgotten |
//!
//! Two invariants hold throughout. Stock is asked in order and answered in order: while an answer is missing, the
//! account's later messages wait, each with the watermark that it was read at, so that what an account says never
//! depends on how fast the offers stage is. And a deadline is only ever compared with a post's time or with the
//! watermark, never with a clock (I5).

mod confirms;
mod orders;
mod passing;
mod stops;

use super::account::Account;
use super::events::{Email, Event, Reply, ReplyKind, Transition};
use super::ids::{AccountId, PostId, PurchaseId, Uuid};
use super::intent::{AccountMessage, Link, PostIntent, StockAction, StockRequest};
use super::offer::Terms;
use super::purchase::{Reason, State};
use super::rules::Rules;
use super::time::Time;
use crate::planted::{self, Bug};
use std::sync::Arc;

/// One account under judgement. Every event goes to `out` in the order in which readers must see it.
pub struct Judge<'a> {
    pub rules: &'a Rules,
    pub id: AccountId,
    pub account: &'a mut Account,
    /// The shard's watermark at the message; `None` until every source has ticked.
    pub watermark: Option<Time>,
    /// The wall clock of the last tick, on live sources.
    pub clock: Option<Time>,
    /// The shard is at its byte bound: new buys are refused.
    pub overloaded: bool,
    pub out: &'a mut Vec<Event>,
}

impl Judge<'_> {
    /// Judges a message, or lets it wait while stock is asked.
    pub fn receive(&mut self, message: AccountMessage) {
        if !self.account.is_asking() {
            self.judge(message);
        } else if let AccountMessage::Stock(answer) = &message
            && self.answer_asked(answer.purchase, answer.verdict)
        {
            self.settle();
        } else {
            let watermark = self.watermark;
            self.account.extras().queue.push_back((message, watermark));
        }
        self.account.tidy();
    }

    /// The watermark passed `due`: ends what ends by then. Nothing ends while stock is asked.
    pub fn wake(&mut self, due: Time) {
        if !self.account.is_asking() {
            self.pass(due);
            self.account.tidy();
        }
    }

    fn judge(&mut self, message: AccountMessage) {
        match message {
            AccountMessage::Post(intent) => self.judge_post(intent),
            AccountMessage::Link(message) => self.change_link(message),
            AccountMessage::Posted(fate) => self.tell_fate(fate),
            AccountMessage::Stock(answer) => self.answer_unasked(answer),
            AccountMessage::Deleted(deleted) => self.delete(deleted),
        }
        // The watermark may have passed a whole window by the time that a unit is freed, or a message is read.
        self.pass_at_once();
    }

    fn judge_post(&mut self, intent: PostIntent) {
        if intent.freeze {
            self.freeze(&intent);
        }
        let cancels = !intent.buys && (!intent.cancel_tags.is_empty() || intent.cancel_word);
        if cancels {
            self.cancel_by(&intent);
        }
        // Who buys or cancels in the same breath confirms nothing.
        let buys = (intent.buys && !planted::is(Bug::BothTagsConfirm)).then_some(Reason::BothTags);
        self.judge_confirm_of(&intent, buys.or(cancels.then_some(Reason::CancelledByUser)));
        for terms in &intent.orders {
            self.order(terms, &intent);
        }
    }

    /// All asked stock is answered as far as answers are in turn; then the queue, message by message, each at the
    /// watermark that it was read at.
    fn settle(&mut self) {
        let now = self.watermark;
        loop {
            while let Some((purchase, verdict)) = self.next_answer() {
                self.apply_answer(purchase, verdict);
            }
            if self.account.is_asking() {
                return;
            }
            let Some((message, watermark)) = self.account.extras().queue.pop_front() else { break };
            if !planted::is(Bug::QueueJudgedAtPresentWatermark) {
                self.watermark = watermark;
            }
            self.pass(Time(i64::MAX));
            self.judge(message);
            self.watermark = now;
        }
        self.pass(Time(i64::MAX));
    }

    fn uuid(&self, kind: &str, name: &str) -> Uuid {
        (self.rules.uuid_of)(&format!("{kind}|{name}"))
    }

    /// The id of the purchase that this post orders: a function of account, first id and offer.
    fn purchase_id(&self, first_id: PostId, offer: &str) -> PurchaseId {
        self.uuid("purchase", &format!("{}|{first_id}|{offer}", self.id))
    }

    fn emit(&mut self, event: Event) {
        self.out.push(event);
    }

    /// Moves the purchase at `index` into a state and records the transition.
    fn transit(&mut self, index: usize, to: State, reason: Option<Reason>, at: Time, post: Option<PostId>) {
        let purchase = &mut self.account.purchases[index];
        let from = purchase.state;
        purchase.state = to;
        // Until then somebody waited, and may be told about it for a while.
        if !to.is_open() {
            purchase.deadline = purchase.deadline.max(Some(at));
        }
        let confirm_ms = (to == State::Authorized).then(|| at.since(purchase.window_from));
        let (id, terms) = (purchase.id, purchase.terms.clone());
        self.emit(Event::Transition(Transition {
            purchase: id,
            account: self.id,
            terms,
            from: Some(from),
            to,
            reason,
            at,
            post,
            confirm_ms,
        }));
    }

    /// Records that something against the purchase was rejected: from and to are its present state.
    fn reject_against(&mut self, index: usize, reason: Reason, at: Time, post: PostId) {
        let purchase = &self.account.purchases[index];
        let (id, terms, state) = (purchase.id, purchase.terms.clone(), purchase.state);
        self.emit(Event::Transition(Transition {
            purchase: id,
            account: self.id,
            terms,
            from: Some(state),
            to: state,
            reason: Some(reason),
            at,
            post: Some(post),
            confirm_ms: None,
        }));
    }

    fn ask_stock(&mut self, index: usize, action: StockAction, at: Time) {
        let purchase = &self.account.purchases[index];
        if !purchase.terms.limited {
            return;
        }
        let request = StockRequest { purchase: purchase.id, account: self.id, at, action };
        let offer = purchase.terms.offer.clone();
        self.emit(Event::Stock(offer, request));
    }

    /// The handle that answers are addressed by.
    fn handle_for(&self, time: Time) -> Option<String> {
        let past = || self.account.extras.as_deref().and_then(|extras| extras.past_handle.clone());
        self.link_for(time).map(|link| link.handle.clone()).or_else(past)
    }

    /// The link that stands for the account: as of the moment, else the last one known.
    fn link_for(&self, time: Time) -> Option<Arc<Link>> {
        self.account.standing_at(time).link.or_else(|| {
            self.account.links.iter().rev().find_map(|entry| match &entry.change {
                super::intent::LinkChange::Link(link) => Some(link.clone()),
                _ => None,
            })
        })
    }

    /// A reply about the purchase at `index`; its id is a function of purchase and kind.
    fn reply_about(
        &mut self,
        index: usize,
        kind: ReplyKind,
        at: Time,
        in_reply_to: Option<PostId>,
        handle: Option<String>,
    ) {
        let purchase = &self.account.purchases[index];
        let (id, terms) = (purchase.id, purchase.terms.clone());
        let handle = handle.or_else(|| self.handle_for(at));
        self.emit(Event::Reply(Reply {
            id: self.reply_id(kind, id),
            kind,
            account: self.id,
            handle,
            in_reply_to,
            terms: Some(terms),
            purchase: Some(id),
            at,
        }));
    }

    fn reply_id(&self, kind: ReplyKind, purchase: PurchaseId) -> Uuid {
        if planted::is(Bug::ReplyIdsUnstable) {
            return self.uuid("reply", &format!("{}|{purchase}|{:?}", kind.name(), self.watermark));
        }
        self.uuid("reply", &format!("{}|{purchase}", kind.name()))
    }

    fn email_about(&mut self, index: usize, kind: ReplyKind, at: Time, link: &Link) {
        let purchase = &self.account.purchases[index];
        let (id, terms) = (purchase.id, purchase.terms.clone());
        self.emit(Event::Email(Email {
            id: self.uuid("email", &format!("{}|{id}", kind.name())),
            kind,
            account: self.id,
            email_ref: link.email_ref.clone(),
            purchase: id,
            terms,
            at,
        }));
    }

    /// Whether one more reply that courtesy alone asks for is within `limits.replies_per_hour`; counts it. It goes out
    /// in the hour that event time has come to, however old the post is.
    fn courtesy_left(&mut self, at: Time) -> bool {
        let now = self.watermark.map_or(at, |mark| mark.max(at));
        let hour = now.0.div_euclid(super::account::HOUR.0);
        let max = self.rules.limits.replies_per_hour;
        let courtesy = &mut self.account.extras().courtesy;
        if courtesy.0 < hour {
            *courtesy = (hour, 0);
        }
        courtesy.1 += 1;
        courtesy.1 <= max
    }

    fn position_of(&self, purchase: PurchaseId) -> Option<usize> {
        self.account.purchases.iter().position(|p| p.id == purchase)
    }
}

/// Whether a purchase of these terms counts for the offer: versions of one offer are one offer.
fn same_offer(a: &Terms, b: &Terms) -> bool {
    a.offer == b.offer
}
