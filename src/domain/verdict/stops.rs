//! What ends a purchase before it is paid: cancel, deletion, unlink, card status, freeze, a prompt that failed to post.

use super::Judge;
use super::confirms::form_rejection;
use crate::domain::account::{CancelScope, KeptCancel, KeptConfirm};
use crate::domain::events::{Event, Reply, ReplyKind, Voided};
use crate::domain::ids::{PostId, Uuid};
use crate::domain::intent::{DeletedPost, LinkChange, LinkMessage, PostIntent, PromptFate, StockAction};
use crate::domain::offer::Tag;
use crate::domain::purchase::{Purchase, Reason, State};
use crate::domain::time::Time;
use crate::planted::{self, Bug};

/// The replies about a purchase that a gateway may fail to post; the cardholder is then told directly.
const RETRIED_DIRECTLY: [ReplyKind; 5] =
    [ReplyKind::Purchased, ReplyKind::Expired, ReplyKind::Cancelled, ReplyKind::SoldOut, ReplyKind::Waitlisted];

/// What stops a purchase.
#[derive(Clone, Copy)]
struct Stop {
    reason: Reason,
    at: Time,
    /// The causing post.
    post: Option<PostId>,
    /// The post to answer.
    answer: Option<PostId>,
}

impl Judge<'_> {
    /// A cancel by its author: the purchase whose prompt it answers, else all that wait (by a cancel tag: its offer's).
    /// A tag of another offer than the prompt's means its own offer.
    pub(super) fn cancel_by(&mut self, intent: &PostIntent) {
        let scope = match &*intent.cancel_tags {
            [] => CancelScope::All,
            tags => CancelScope::Tags(tags.to_vec()),
        };
        let is_answered = |p: &&Purchase| p.prompt_post.is_some() && p.prompt_post == intent.in_reply_to;
        let answered = self.account.purchases.iter().find(is_answered).filter(|p| scope.covers(p));
        let (answered, scope) = match answered {
            Some(purchase) => (Some(purchase.id), scope.besides(purchase)),
            None => (None, scope),
        };
        let stop =
            Stop { reason: Reason::CancelledByUser, at: intent.time, post: Some(intent.id), answer: Some(intent.id) };
        for index in 0..self.account.purchases.len() {
            let purchase = &self.account.purchases[index];
            if Some(purchase.id) == answered || scope.covers(purchase) {
                self.cancel_if_open(index, &stop);
            }
        }
        if !scope.is_empty() {
            self.keep_cancel(KeptCancel { id: intent.id, time: intent.time, scope });
        }
    }

    /// A cancel may be read before the buy that it takes back; it is kept as long as a confirm would be.
    fn keep_cancel(&mut self, cancel: KeptCancel) {
        if self.watermark.is_some_and(|mark| cancel.time.is_passed_by(mark)) {
            return;
        }
        let kept = &mut self.account.extras().cancels;
        // An edit has a time and words of its own.
        if !kept.iter().any(|k| k.id == cancel.id) {
            kept.push(cancel);
        }
    }

    fn cancel_if_open(&mut self, index: usize, stop: &Stop) {
        let purchase = &self.account.purchases[index];
        if purchase.ordered_at > stop.at {
            return;
        }
        match purchase.state {
            State::Ordered | State::Waitlisted | State::Prompted => self.cancel(index, stop),
            State::Authorized if purchase.deadline.is_some_and(|end| stop.at <= end) => self.void(index, stop),
            _ => {}
        }
    }

    /// Whatever has stopped the account before has stopped this.
    fn cancel(&mut self, index: usize, stop: &Stop) {
        let stop = self.stop_ahead(index).filter(|ahead| ahead.at <= stop.at).unwrap_or(*stop);
        self.cancel_freeing(index, &stop, stop.at);
    }

    /// A unit that it holds is free from a moment on.
    fn cancel_freeing(&mut self, index: usize, stop: &Stop, freed_at: Time) {
        let id = self.account.purchases[index].id;
        let asked = self.account.purchases[index].state != State::Ordered;
        self.transit(index, State::Cancelled, Some(stop.reason), stop.at, stop.post);
        if asked && !planted::is(Bug::CancelKeepsStock) {
            self.ask_stock(index, StockAction::Release, freed_at);
        }
        self.reply_about(index, ReplyKind::Cancelled, stop.at, stop.answer, None);
        // A confirm that was kept for this purchase comes to nothing, and is told so as if it had been read now.
        self.judge_kept_for(id);
    }

    /// A cancel inside the cancel window: the payment goes back before anything was ordered.
    fn void(&mut self, index: usize, stop: &Stop) {
        let voided =
            Voided { purchase: self.account.purchases[index].id, account: self.id, reason: stop.reason, at: stop.at };
        self.transit(index, State::Cancelled, Some(stop.reason), stop.at, stop.post);
        self.emit(Event::Voided(voided));
        self.ask_stock(index, StockAction::Return, stop.at);
        self.reply_about(index, ReplyKind::Cancelled, stop.at, stop.answer, None);
    }

    /// What was read before an order may stop it at once, before stock is asked: its deletion; an unlink or freeze that
    /// is later, if the watermark has passed it; a cancel earlier than any kept confirm.
    pub(super) fn stopped_before_stock(&mut self, index: usize) -> bool {
        let purchase = &self.account.purchases[index];
        let of_order = |deleted: &&DeletedPost| purchase.is_ordered_by(deleted.post);
        let deleted = self
            .account
            .extras
            .as_deref()
            .and_then(|extras| extras.deletions.iter().filter(of_order).min_by_key(|deleted| deleted.time));
        let deleted = deleted.map(|d| Stop { reason: Reason::Deleted, at: d.time, post: Some(d.post), answer: None });
        let is_passed = |stop: &Stop| self.watermark.is_some_and(|mark| stop.at.is_passed_by(mark));
        let stopped = self.stop_ahead(index).filter(is_passed);
        let Some(stop) = deleted.or(stopped).or_else(|| self.kept_cancel_for(index)) else { return false };
        self.cancel(index, &stop);
        true
    }

    /// What stops this purchase though it is later than its order and was read before it.
    fn stop_ahead(&self, index: usize) -> Option<Stop> {
        let purchase = &self.account.purchases[index];
        let answer = Some(purchase.order_version);
        self.account.stop_ahead(purchase).map(|(at, reason, post)| Stop { reason, at, post, answer })
    }

    /// Whether its account was stopped by then.
    pub(super) fn is_stopped_by(&self, index: usize, moment: Time) -> bool {
        self.stop_ahead(index).is_some_and(|stop| stop.at <= moment)
    }

    /// Time has come to what stops it.
    pub(super) fn end_stopped(&mut self, index: usize) {
        if let Some(stop) = self.stop_ahead(index) {
            self.cancel(index, &stop);
        }
    }

    /// What was stopped by then makes room for a new order, and can't be paid beside it.
    pub(super) fn end_all_stopped_by(&mut self, moment: Time) {
        for index in 0..self.account.purchases.len() {
            if !self.is_stopped_by(index, moment) || planted::is(Bug::OrderBesideTheStopped) {
                continue;
            }
            match self.account.ends_at(&self.account.purchases[index], self.rules) {
                // Its window may have ended before.
                Some(at) => self.end(index, at),
                None => self.end_stopped(index),
            }
        }
    }

    /// Its turn in line came when its account had been stopped: the unit is free again from then on.
    pub(super) fn pass_turn(&mut self, index: usize, at: Time) {
        if let Some(stop) = self.stop_ahead(index) {
            self.cancel_freeing(index, &stop, at);
        }
    }

    /// The first cancel that was read before its buy, unless an earlier confirm is kept that pays.
    fn kept_cancel_for(&self, index: usize) -> Option<Stop> {
        let extras = self.account.extras.as_deref()?;
        let stop = self.first_cancel_of(index)?;
        let purchase = &self.account.purchases[index];
        let deadline = self.deadline_of(purchase.window_from);
        let confirms = extras.confirms.iter().filter(|k| k.tags.contains(&purchase.terms.confirm));
        let mut confirms = confirms.filter(|k| form_rejection(k, purchase, self.id.user).is_none());
        let stops_at = self.stop_ahead(index).map_or(stop.at, |ahead| ahead.at.min(stop.at));
        let pays = |k: &KeptConfirm| k.time >= purchase.ordered_at && k.time < stops_at && Some(k.time) <= deadline;
        if confirms.any(pays) { None } else { Some(stop) }
    }

    /// A cancel that was read before its buy holds where an earlier confirm came to nothing, and inside the cancel
    /// window where one paid.
    pub(super) fn cancel_by_kept(&mut self, index: usize) {
        if let Some(stop) = self.first_cancel_of(index) {
            self.cancel_if_open(index, &stop);
        }
    }

    fn first_cancel_of(&self, index: usize) -> Option<Stop> {
        let purchase = &self.account.purchases[index];
        let cancels = self.account.extras.as_deref()?.cancels.iter();
        let cancels = cancels.filter(|k| k.time >= purchase.ordered_at && k.scope.covers(purchase));
        let first = cancels.min_by_key(|k| (k.time, k.id))?;
        let (at, post) = (first.time, Some(first.id));
        Some(Stop { reason: Reason::CancelledByUser, at, post, answer: post })
    }

    /// The deletion of an order before it is paid cancels it; of anything else it changes nothing.
    pub(super) fn delete(&mut self, deleted: DeletedPost) {
        let stop = Stop { reason: Reason::Deleted, at: deleted.time, post: Some(deleted.post), answer: None };
        for index in 0..self.account.purchases.len() {
            let purchase = &self.account.purchases[index];
            if !purchase.is_ordered_by(deleted.post) {
                continue;
            }
            if matches!(purchase.state, State::Ordered | State::Waitlisted | State::Prompted) {
                self.cancel(index, &stop);
            }
        }
        let passed = self.watermark.is_some_and(|mark| deleted.time.is_passed_by(mark));
        let kept = &mut self.account.extras().deletions;
        // Kept though it hit: another version of the post may be read later, with another order.
        let wanted = !passed && !planted::is(Bug::EarlyDeletionIgnored);
        if wanted && !kept.iter().any(|k| k.post == deleted.post) {
            kept.push(deleted);
        }
    }

    /// A record of `accounts.links`: cancels what waits where it stops the account.
    pub(super) fn change_link(&mut self, message: LinkMessage) {
        let (stops, at) = (message.change.stops(), message.at);
        if self.record_link(message) && stops && !planted::is(Bug::UnlinkLeavesPending) {
            self.cancel_waiting(at);
        }
    }

    /// The freeze tag stops all commerce of the account until it is linked anew; who is not linked has none.
    pub(super) fn freeze(&mut self, intent: &PostIntent) {
        if self.account.standing_at(intent.time).link.is_none() {
            return;
        }
        // Each version by itself: an edit may come after the account was linked anew, and is forgotten in its own time.
        let change = LinkChange::Freeze(intent.id);
        let known = self.account.links.iter().any(|entry| entry.change == change);
        if known || !self.record_link(LinkMessage { at: intent.time, change }) {
            return;
        }
        let handle = intent.handle.clone().or_else(|| self.handle_for(intent.time));
        self.emit(Event::Reply(Reply {
            id: self.uuid("reply", &format!("frozen|{}|{}", self.id, intent.id)),
            kind: ReplyKind::Frozen,
            account: self.id,
            handle,
            in_reply_to: Some(intent.id),
            terms: None,
            purchase: None,
            at: intent.time,
        }));
        self.cancel_waiting(intent.time);
    }

    fn record_link(&mut self, message: LinkMessage) -> bool {
        let horizon = self.watermark.map(|mark| self.account.horizon(mark, self.rules));
        self.account.record_link(message, horizon)
    }

    /// What waits is cancelled as soon as it is read what stopped its account. Where something else stops it first,
    /// known before, that is still to come.
    fn cancel_waiting(&mut self, stopped_at: Time) {
        for index in 0..self.account.purchases.len() {
            let purchase = &self.account.purchases[index];
            if !matches!(purchase.state, State::Ordered | State::Waitlisted | State::Prompted) {
                continue;
            }
            let version = purchase.order_version;
            let stop = self.account.stopped_after(purchase.ordered_at);
            if let Some((at, reason, post)) = stop.filter(|(at, ..)| *at == stopped_at) {
                self.cancel(index, &Stop { reason, at, post, answer: Some(version) });
            }
        }
    }

    /// What the gateway did with a reply. A prompt's post id makes its retweets confirms and starts the window where
    /// the prompt really appeared; a prompt that failed cancels; another reply that failed is told directly.
    pub(super) fn tell_fate(&mut self, fate: PromptFate) {
        let is_prompt = |p: &Purchase| self.reply_id(ReplyKind::Prompt, p.id) == fate.reply;
        let Some(index) = self.account.purchases.iter().position(is_prompt) else {
            if fate.outcome.is_err() {
                self.tell_directly(&fate);
            }
            return;
        };
        let window = self.rules.windows.confirm_window;
        let purchase = &mut self.account.purchases[index];
        match fate.outcome {
            Ok(post) if purchase.prompt_post.is_none() => {
                purchase.prompt_post = Some(post);
                if purchase.state == State::Prompted {
                    let posted = Some(fate.at.after(window)).filter(|_| !planted::is(Bug::PostedAtIgnored));
                    purchase.deadline = purchase.deadline.max(posted);
                    let id = purchase.id;
                    self.judge_kept_for(id);
                }
            }
            Err(_) if purchase.state == State::Prompted && purchase.prompt_post.is_none() => {
                self.transit(index, State::Cancelled, Some(Reason::PromptFailed), fate.at, None);
                self.ask_stock(index, StockAction::Release, fate.at);
                self.tell_direct(index, ReplyKind::Cancelled, fate.at);
            }
            _ => {}
        }
    }

    fn tell_directly(&mut self, fate: &PromptFate) {
        let about = |(bit, kind): (usize, ReplyKind)| {
            let index = self.account.purchases.iter().position(|p| self.reply_id(kind, p.id) == fate.reply)?;
            Some((index, kind, 1u8 << bit))
        };
        let Some((index, kind, bit)) = RETRIED_DIRECTLY.into_iter().enumerate().find_map(about) else { return };
        if self.account.purchases[index].told_directly & bit == 0 {
            self.account.purchases[index].told_directly |= bit;
            self.tell_direct(index, kind, fate.at);
        }
    }

    fn tell_direct(&mut self, index: usize, kind: ReplyKind, at: Time) {
        let purchase = &self.account.purchases[index];
        let reply = Reply {
            id: self.direct_id(kind, purchase.id),
            kind,
            account: self.id,
            handle: self.handle_for(at),
            in_reply_to: Some(purchase.order_version),
            terms: Some(purchase.terms.clone()),
            purchase: Some(purchase.id),
            at,
        };
        self.emit(Event::Direct(reply));
    }

    fn direct_id(&self, kind: ReplyKind, purchase: Uuid) -> Uuid {
        self.uuid("direct", &format!("{}|{purchase}", kind.name()))
    }
}

impl CancelScope {
    fn covers(&self, purchase: &Purchase) -> bool {
        match self {
            CancelScope::All => true,
            CancelScope::Tags(tags) => purchase.terms.cancel.as_ref().is_some_and(|tag| tags.contains(tag)),
        }
    }

    /// What is left of it when it answers the prompt of a purchase: tags of other offers.
    fn besides(self, purchase: &Purchase) -> CancelScope {
        let of_another = |tag: &Tag| Some(tag) != purchase.terms.cancel.as_ref();
        match self {
            CancelScope::All => CancelScope::Tags(Vec::new()),
            CancelScope::Tags(tags) => CancelScope::Tags(tags.into_iter().filter(of_another).collect()),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, CancelScope::Tags(tags) if tags.is_empty())
    }
}
