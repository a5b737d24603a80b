//! What becomes of a purchase once it is opened: prompt, confirm, payment, end.

use crate::domain::{PostId, Reason, ReplyKind, Span, State, StockAction, Time};

use super::account::{Account, Now};
use super::kept::{Confirm, Kept, What};
use super::purchase::Purchase;
use super::said::{Paid, Said};
use super::standing::Stop;

/// What became of a confirm.
enum Judged {
    Pays(usize),
    /// It came to nothing.
    Told {
        may_yet_pay: bool,
    },
    /// It was judged before: what is kept of it stays if it may yet pay, and a redelivery is nothing new.
    Known {
        may_yet_pay: bool,
    },
    /// It concerns nothing that was read.
    Unknown,
}

impl Account {
    pub fn prompt(&mut self, index: usize, post: Option<PostId>, now: Now<'_>) {
        let purchase = &mut self.purchases[index];
        let from = std::mem::replace(&mut purchase.state, State::Prompted);
        purchase.deadline = super::deadline(purchase.from, now);
        let at = purchase.from;
        self.tell_event(index, Some(from), None, at, post);
        self.tell(index, ReplyKind::Prompt, Some(self.purchases[index].version));
        self.judge_kept(index, now);
        self.void_by_kept(index);
    }

    pub fn waitlist(&mut self, index: usize, now: Now<'_>) {
        let purchase = &mut self.purchases[index];
        purchase.state = State::Waitlisted;
        let (at, version, first) = (purchase.ordered_at, purchase.version, purchase.first);
        self.tell_event(index, Some(State::Ordered), None, at, Some(first));
        self.tell(index, ReplyKind::Waitlisted, Some(version));
        if let Some(stop) = self.stop_of(index) {
            self.end(index, stop, now);
        }
    }

    pub fn sold_out(&mut self, index: usize, at: Time, post: Option<PostId>, now: Now<'_>) {
        let purchase = &mut self.purchases[index];
        let from = std::mem::replace(&mut purchase.state, State::SoldOut);
        let version = purchase.version;
        self.tell_event(index, Some(from), Some(Reason::SoldOut), at, post);
        self.tell(index, ReplyKind::SoldOut, Some(version));
        self.judge_kept(index, now);
    }

    /// A purchase that waits is cancelled, and its unit or place is free.
    pub fn end(&mut self, index: usize, stop: Stop, now: Now<'_>) {
        // Whatever stopped the account first has stopped this.
        let stop = self.stopped_by(index, stop.time).unwrap_or(stop);
        self.end_freeing(index, stop, stop.time, now);
    }

    pub fn end_freeing(&mut self, index: usize, stop: Stop, freed_at: Time, now: Now<'_>) {
        let purchase = &mut self.purchases[index];
        let from = std::mem::replace(&mut purchase.state, State::Cancelled);
        let version = purchase.version;
        self.tell_event(index, Some(from), Some(stop.reason), stop.time, stop.post);
        if self.purchases[index].terms.limited && from != State::Ordered {
            self.release(index, freed_at);
        }
        let in_reply_to = match stop.reason {
            // There is nothing left to reply to.
            Reason::Deleted => None,
            Reason::CancelledByUser => Some(stop.post.unwrap_or(version)),
            // A freeze has a reply of its own.
            _ => Some(version),
        };
        self.tell(index, ReplyKind::Cancelled, in_reply_to);
        self.judge_kept(index, now);
    }

    pub fn prompt_failed(&mut self, index: usize, at: Time) {
        if self.purchases[index].state != State::Prompted {
            return;
        }
        self.purchases[index].state = State::Cancelled;
        self.tell_event(index, Some(State::Prompted), Some(Reason::PromptFailed), at, None);
        if self.purchases[index].terms.limited {
            self.release(index, at);
        }
        self.tell_privately(index, ReplyKind::Cancelled);
    }

    pub fn expire(&mut self, index: usize, at: Time) {
        let purchase = &mut self.purchases[index];
        purchase.state = State::Expired;
        let version = purchase.version;
        self.tell_event(index, Some(State::Prompted), None, at, None);
        if self.purchases[index].terms.limited {
            self.release(index, at);
        }
        self.tell(index, ReplyKind::Expired, Some(version));
    }

    /// Looks at everything that was kept before a purchase came to its state, in order of event time.
    pub fn judge_kept(&mut self, index: usize, now: Now<'_>) {
        let mut kept: Vec<Kept> = self.kept.iter().filter(|k| matches!(k.what, What::Confirm(_))).cloned().collect();
        kept.sort_by_key(|kept| (kept.time, kept.post));
        for kept in kept {
            let What::Confirm(confirm) = &kept.what else { continue };
            self.stop_before(index, Some(confirm.time), now);
            match self.judge_confirm(confirm, &[index], now) {
                Judged::Unknown | Judged::Known { may_yet_pay: true } => {}
                Judged::Told { may_yet_pay: true } => {
                    let known = self.kept.iter_mut().find(|other| other.is_same(&kept));
                    known.into_iter().for_each(|kept| kept.told = true);
                }
                Judged::Told { may_yet_pay: false } | Judged::Known { may_yet_pay: false } => {
                    self.kept.retain(|other| !other.is_same(&kept));
                }
                Judged::Pays(index) => {
                    self.kept.retain(|other| !other.is_same(&kept));
                    self.pay(index, confirm, now);
                }
            }
        }
        self.stop_before(index, None, now);
    }

    /// Inside the cancel window a cancel that is known already takes back what was just paid.
    fn void_by_kept(&mut self, index: usize) {
        let purchase = &self.purchases[index];
        let cancels = self.kept.iter().filter(|kept| matches!(kept.what, What::Cancel { .. }) && kept.stops(purchase));
        let first = cancels.min_by_key(|kept| (kept.time, kept.post)).cloned();
        if let Some(cancel) = first.filter(|_| purchase.state == State::Authorized) {
            self.void(index, &cancel);
        }
    }

    fn stop_before(&mut self, index: usize, before: Option<Time>, now: Now<'_>) {
        if self.purchases[index].state != State::Prompted {
            return;
        }
        if let Some(stop) = self.stop_of(index).filter(|stop| before.is_none_or(|before| stop.time <= before)) {
            self.end(index, stop, now);
        }
    }

    /// One confirm: for what waits now, else kept for what is read later.
    pub fn confirm(&mut self, confirm: Confirm, now: Now<'_>) {
        self.confirms.insert(confirm.post, confirm.clone());
        let all: Vec<usize> = (0..self.purchases.len()).collect();
        let told = match self.judge_confirm(&confirm, &all, now) {
            Judged::Pays(index) => return self.pay(index, &confirm, now),
            Judged::Told { may_yet_pay: false } | Judged::Known { .. } => return,
            Judged::Told { may_yet_pay: true } => true,
            Judged::Unknown => false,
        };
        let (time, post, first) = (confirm.time, confirm.post, confirm.first);
        let passed = now.watermark.is_some_and(|watermark| time < watermark);
        let kept = Kept { time, post, first, told, what: What::Confirm(confirm.clone()) };
        if passed && !told && !self.is_held_by_the_line(&kept) {
            return self.tell_no_purchase(&confirm, now);
        }
        self.keep(kept, now);
    }

    /// Judges a confirm for some of the purchases: it pays the oldest that fits, or is rejected.
    fn judge_confirm(&mut self, confirm: &Confirm, among: &[usize], now: Now<'_>) -> Judged {
        let named = || among.iter().copied().filter(|index| confirm.names(&self.purchases[*index]));
        if named().any(|index| self.used.contains(&(confirm.first, self.purchases[index].terms.confirm.clone()))) {
            return Judged::Known { may_yet_pay: false };
        }
        let prompted = |index: &usize| self.purchases[*index].state == State::Prompted;
        let reached: Vec<usize> = named()
            .filter(|index| prompted(index) || !self.purchases[*index].waits())
            .filter(|index| self.purchases[*index].from <= confirm.time)
            .collect();
        let fits = |index: &usize| {
            let purchase = &self.purchases[*index];
            let new = !purchase.judged.contains(&confirm.post);
            let in_time = confirm.time <= purchase.deadline;
            let stopped = self.stopped_by(*index, confirm.time).is_some();
            prompted(index) && new && in_time && !stopped && confirm.unfit(purchase, self.id).is_none()
        };
        let oldest = |index: &usize| (self.purchases[*index].ordered_at, *index);
        if let Some(index) = reached.iter().copied().filter(fits).min_by_key(oldest) {
            return Judged::Pays(index);
        }
        let waits = reached.iter().copied().filter(prompted).min_by_key(oldest);
        let Some(index) = waits.or(reached.iter().copied().max_by_key(oldest)) else { return Judged::Unknown };
        let weighed: Vec<usize> = reached.iter().copied().filter(prompted).collect();
        let judged = self.reject(index, confirm, now);
        // What is told later of any that waits changes nothing for this confirm, of whichever its rejection was told.
        for index in weighed {
            let known = &mut self.purchases[index].judged;
            if !known.contains(&confirm.post) {
                known.push(confirm.post);
            }
        }
        judged
    }

    fn reject(&mut self, index: usize, confirm: &Confirm, now: Now<'_>) -> Judged {
        // The buy of another may be read yet that was earlier than this confirm.
        if self.purchases[index].judged.contains(&confirm.post) {
            return Judged::Known { may_yet_pay: true };
        }
        let reason = self.refusal_of_confirm(index, confirm);
        // It is told of one purchase at least; whether of a further one is left open.
        let again = self.purchases.iter().any(|purchase| purchase.judged.contains(&confirm.post));
        self.purchases[index].judged.push(confirm.post);
        self.tell_rejected_confirm(index, confirm, reason, again, now);
        Judged::Told { may_yet_pay: matches!(reason, Reason::Late | Reason::NoPurchase) }
    }

    /// A confirm was dropped that concerned nothing when it was judged.
    pub fn tell_no_purchase(&mut self, confirm: &Confirm, now: Now<'_>) {
        let named = |p: &Purchase| confirm.names(p) && p.ordered_at <= confirm.time;
        // The last that was opened stands for all of them.
        let Some(index) = self.purchases.iter().rposition(named) else {
            return self.tell_nothing_to_confirm(confirm, now);
        };
        let purchase = &self.purchases[index];
        let paid = self.used.contains(&(confirm.first, purchase.terms.confirm.clone()));
        if paid || purchase.judged.contains(&confirm.post) {
            return;
        }
        self.purchases[index].judged.push(confirm.post);
        let reason = confirm.unfit(&self.purchases[index], self.id).unwrap_or(Reason::NoPurchase);
        self.tell_rejected_confirm(index, confirm, reason, false, now);
    }

    fn pay(&mut self, index: usize, confirm: &Confirm, now: Now<'_>) {
        self.used.insert((confirm.first, self.purchases[index].terms.confirm.clone()));
        let purchase = &self.purchases[index];
        let is_other_version = |kept: &Kept| {
            kept.first == confirm.first && matches!(&kept.what, What::Confirm(other) if other.names(purchase))
        };
        self.kept.retain(|kept| !is_other_version(kept));
        let Some(link) = self.standing.link_at(confirm.time).or(self.standing.last_link().cloned()) else { return };
        let window = now.rules.windows.cancel_window;
        let purchase = &mut self.purchases[index];
        purchase.state = State::Authorized;
        purchase.fulfil = Some(confirm.time.after(window));
        purchase.deadline = if window > Span::ZERO { confirm.time.after(window) } else { purchase.from };
        purchase.confirmed = Some((confirm.post, link.billing_ref.clone()));
        let paid = Paid {
            card: link.card.clone(),
            merchant: purchase.terms.merchant.clone(),
            amount: purchase.terms.amount,
            ordered_at: purchase.ordered_at,
            confirmed_at: confirm.time,
            order_post: purchase.first,
            confirm_post: confirm.post,
        };
        let limited = purchase.terms.limited;
        self.tell_event(index, Some(State::Prompted), None, confirm.time, Some(confirm.post));
        self.say(Some(index), Said::Payment(Box::new(paid)));
        if limited {
            let action = if window.0 > 0 { StockAction::SellOpen } else { StockAction::Sell };
            self.ask(index, action, confirm.time);
        }
        self.tell(index, ReplyKind::Purchased, Some(confirm.post));
        self.mail(index, ReplyKind::Purchased, &link);
        if window.0 == 0 {
            self.fulfil(index, confirm.time, false);
        }
    }

    /// At once, or when the cancel window has passed.
    pub fn fulfil(&mut self, index: usize, at: Time, waited: bool) {
        let purchase = &mut self.purchases[index];
        purchase.state = State::Fulfilled;
        let (confirm, ship_to) = purchase.confirmed.clone().unzip();
        let limited = purchase.terms.limited;
        let (merchant, item) = (purchase.terms.merchant.clone(), purchase.terms.item.clone());
        self.tell_event(index, Some(State::Authorized), None, at, confirm.filter(|_| !waited));
        let ship_to = ship_to.unwrap_or_default();
        self.say(Some(index), Said::Order { merchant, item, ship_to });
        if limited && waited {
            self.ask(index, StockAction::Settle, at);
        }
    }

    /// A cancel inside the cancel window takes the payment back.
    pub fn void(&mut self, index: usize, cancel: &Kept) {
        let purchase = &self.purchases[index];
        let inside = purchase.fulfil.is_some_and(|end| cancel.time <= end);
        if !inside || !matches!(cancel.what, What::Cancel { .. }) {
            return;
        }
        let (reason, limited) = (Reason::CancelledByUser, purchase.terms.limited);
        self.purchases[index].state = State::Cancelled;
        self.tell_event(index, Some(State::Authorized), Some(reason), cancel.time, Some(cancel.post));
        self.say(Some(index), Said::Voided { reason, at: cancel.time });
        if limited {
            self.ask(index, StockAction::Return, cancel.time);
        }
        self.tell(index, ReplyKind::Cancelled, Some(cancel.post));
    }
}
