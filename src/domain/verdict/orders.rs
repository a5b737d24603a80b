//! Buy: who may order what, what stock says, and the prompt.

use std::sync::Arc;

use super::{Judge, same_offer};
use crate::domain::account::{Extras, Refused};
use crate::domain::events::{Event, Reply, ReplyKind, Transition};
use crate::domain::ids::{PostId, PurchaseId};
use crate::domain::intent::{CardStatus, PostForm, PostIntent, StockAction, StockAnswer, StockVerdict};
use crate::domain::offer::Terms;
use crate::domain::purchase::{Purchase, Reason, State};
use crate::domain::time::Time;
use crate::planted::{self, Bug};

impl Judge<'_> {
    /// One buy tag of one post. An edit or a redelivery of what was judged before changes nothing.
    pub(super) fn order(&mut self, terms: &Arc<Terms>, intent: &PostIntent) {
        let first_id = if planted::is(Bug::EditOrdersAgain) { intent.id } else { intent.first_id };
        // Also by the tag alone: it may have passed to another offer since, and the order was one of then.
        let same = |p: &Purchase| same_offer(&p.terms, terms) || p.terms.buy == terms.buy;
        let known = self.account.purchases.iter().any(|p| p.order_post == first_id && same(p));
        let same = |refused: &Refused| refused.offer == terms.offer || refused.buy == terms.buy;
        let refused = |extras: &Extras| extras.refused.iter().any(|r| r.first_id == first_id && same(r));
        if known || self.account.extras.as_deref().is_some_and(refused) {
            return;
        }
        let refusal = self.ineligible(terms, intent).or_else(|| {
            // Who may order now is linked anew if anything stopped him before.
            self.end_all_stopped_by(intent.time);
            self.over_limit(terms, intent.time)
        });
        match refusal {
            Some(reason) => self.refuse(terms, intent, reason),
            None => self.open(terms, intent),
        }
    }

    /// Why this buy opens nothing whatever else the account has bought, in the order in which reasons are given.
    fn ineligible(&self, terms: &Terms, intent: &PostIntent) -> Option<Reason> {
        let standing = self.account.standing_at(intent.time);
        let stale =
            self.watermark.is_some_and(|mark| intent.time.after(self.rules.windows.buy_max_age).is_passed_by(mark));
        let form = match intent.form {
            PostForm::Own => None,
            PostForm::ManualRetweet if planted::is(Bug::ManualRetweetOrders) => None,
            PostForm::ManualRetweet | PostForm::ManualRetweetOfService => Some(Reason::ManualRetweet),
            PostForm::Retweet(_) => Some(Reason::Retweet),
            PostForm::Quote(_) => Some(Reason::Quote),
        };
        if form.is_some() {
            return form;
        }
        if stale {
            return Some(Reason::Stale);
        }
        let Some(link) = standing.link else { return Some(Reason::NotLinked) };
        if standing.frozen {
            return Some(Reason::Frozen);
        }
        if standing.card != Some(CardStatus::Active) {
            return Some(Reason::CardNotActive);
        }
        if !terms.allows_country(&link.country) {
            return Some(Reason::Country);
        }
        (!terms.is_open_at(intent.time)).then_some(Reason::NotOpen)
    }

    fn over_limit(&self, terms: &Terms, time: Time) -> Option<Reason> {
        let limits = &self.rules.limits;
        let counting = || self.account.purchases.iter().filter(|p| p.state.waits() || p.state.succeeded());
        let most = terms.per_account as usize + usize::from(planted::is(Bug::PerAccountOffByOne));
        if counting().filter(|p| same_offer(&p.terms, terms)).count() >= most {
            return Some(Reason::Duplicate);
        }
        if self.account.waiting() >= limits.pending_per_account {
            return Some(Reason::LimitPending);
        }
        if self.account.pending() >= limits.pending_per_account {
            return Some(Reason::Overloaded);
        }
        let today = || counting().filter(|p| p.ordered_at.utc_day() == time.utc_day());
        if today().count() >= limits.purchases_per_day as usize {
            return Some(Reason::LimitPurchases);
        }
        let spent = today()
            .filter(|p| p.terms.amount.currency == terms.amount.currency)
            .try_fold(terms.amount, |sum, p| sum.checked_add(p.terms.amount));
        let in_e4 =
            spent.and_then(|sum| sum.minor.checked_mul(10i64.checked_pow(4u32.saturating_sub(terms.exponent))?));
        if in_e4.is_none_or(|e4| e4 > limits.spend_per_day_e4) {
            return Some(Reason::LimitSpend);
        }
        self.overloaded.then_some(Reason::Overloaded)
    }

    fn refuse(&mut self, terms: &Arc<Terms>, intent: &PostIntent, reason: Reason) {
        let purchase = self.purchase_id(intent.first_id, &terms.offer);
        self.remember_refused(terms, intent);
        self.emit(Event::Transition(Transition {
            purchase,
            account: self.id,
            terms: terms.clone(),
            from: None,
            to: State::Rejected,
            reason: Some(reason),
            at: intent.time,
            post: Some(intent.id),
            confirm_ms: None,
        }));
        let Some(kind) = answer_to(reason) else { return };
        let handle = intent.handle.clone().or_else(|| self.handle_for(intent.time));
        // What can't be addressed is only counted: it is no answer.
        if handle.is_some() {
            let once = kind == ReplyKind::NotLinked;
            if (once && self.was_told_not_linked(&terms.offer)) || !self.courtesy_left(intent.time) {
                return;
            }
            if once {
                self.account.extras().told_not_linked.push((terms.offer.clone(), intent.time));
            }
        }
        self.emit(Event::Reply(Reply {
            id: self.reply_id(kind, purchase),
            kind,
            account: self.id,
            handle,
            in_reply_to: Some(intent.id),
            terms: Some(terms.clone()),
            purchase: Some(purchase),
            at: intent.time,
        }));
    }

    /// Remembers a refused buy from its time on, or from the watermark on if it came later than that; within the byte
    /// bound only.
    fn remember_refused(&mut self, terms: &Terms, intent: &PostIntent) {
        if self.overloaded {
            return;
        }
        let at = self.watermark.map_or(intent.time, |mark| mark.max(intent.time));
        let refused = Refused { first_id: intent.first_id, offer: terms.offer.clone(), buy: terms.buy.clone(), at };
        self.account.extras().refused.push(refused);
    }

    /// Or can't be remembered to have been told.
    fn was_told_not_linked(&self, offer: &str) -> bool {
        let told = self.account.extras.iter().flat_map(|extras| &extras.told_not_linked);
        self.overloaded || told.into_iter().any(|(told, _)| told == offer)
    }

    fn open(&mut self, terms: &Arc<Terms>, intent: &PostIntent) {
        let id = self.purchase_id(intent.first_id, &terms.offer);
        self.account.purchases.push(Purchase {
            id,
            terms: terms.clone(),
            order_post: intent.first_id,
            order_version: intent.id,
            ordered_at: intent.time,
            window_from: intent.time,
            state: State::Ordered,
            deadline: None,
            prompt_post: None,
            confirm: None,
            rejected_confirms: Vec::new(),
            told_directly: 0,
        });
        let index = self.account.purchases.len() - 1;
        self.emit(Event::Transition(Transition {
            purchase: id,
            account: self.id,
            terms: terms.clone(),
            from: None,
            to: State::Ordered,
            reason: None,
            at: intent.time,
            post: Some(intent.first_id),
            confirm_ms: None,
        }));
        if self.stopped_before_stock(index) {
            return;
        }
        if terms.limited && !planted::is(Bug::SoldWithoutHold) {
            self.ask_stock(index, StockAction::Hold, intent.time);
            self.account.extras().asking.push_back((id, None));
        } else {
            self.prompt(index, intent.time, Some(intent.first_id), intent.handle.clone());
        }
    }

    /// Notes the answer if this purchase asked; the order of asking is kept.
    pub(super) fn answer_asked(&mut self, purchase: PurchaseId, verdict: StockVerdict) -> bool {
        if matches!(verdict, StockVerdict::Freed { .. } | StockVerdict::Exhausted { .. }) {
            return false;
        }
        let asked = self.account.extras().asking.iter_mut().find(|(id, _)| *id == purchase);
        asked.map(|(_, answer)| *answer = Some(verdict)).is_some()
    }

    pub(super) fn next_answer(&mut self) -> Option<(PurchaseId, StockVerdict)> {
        let asking = &mut self.account.extras().asking;
        let (purchase, verdict) = *asking.front()?;
        let verdict = verdict?;
        asking.pop_front();
        Some((purchase, verdict))
    }

    /// A stock answer inherits the time of its order.
    pub(super) fn apply_answer(&mut self, purchase: PurchaseId, verdict: StockVerdict) {
        let Some(index) = self.position_of(purchase) else { return };
        let (at, post) = {
            let purchase = &self.account.purchases[index];
            (purchase.ordered_at, purchase.order_post)
        };
        let version = self.account.purchases[index].order_version;
        match verdict {
            StockVerdict::Held => self.prompt(index, at, Some(post), None),
            StockVerdict::Waitlisted => {
                self.transit(index, State::Waitlisted, None, at, Some(post));
                self.reply_about(index, ReplyKind::Waitlisted, at, Some(version), None);
                self.cancel_by_kept(index);
            }
            StockVerdict::SoldOut => self.sell_out(index, at, Some(post)),
            StockVerdict::Freed { .. } | StockVerdict::Exhausted { .. } => {}
        }
    }

    /// An answer nobody waits for in turn: a waitlisted purchase is served, or never will be.
    pub(super) fn answer_unasked(&mut self, answer: StockAnswer) {
        let Some(index) = self.position_of(answer.purchase) else { return };
        let waitlisted = self.account.purchases[index].state == State::Waitlisted;
        match answer.verdict {
            StockVerdict::Freed { at } if waitlisted => {
                // Read out of order, what freed the unit may be earlier than the order: nothing before it confirms.
                let at = at.max(self.account.purchases[index].ordered_at);
                if !planted::is(Bug::WaitlistWindowFromOrder) {
                    self.account.purchases[index].window_from = at;
                }
                if self.is_stopped_by(index, at) && !planted::is(Bug::TurnOfTheUnlinked) {
                    self.pass_turn(index, at);
                } else {
                    self.prompt(index, at, None, None);
                }
            }
            StockVerdict::Exhausted { at } if waitlisted => self.sell_out(index, at, None),
            // A unit freed for a place in line that was given up meanwhile: the release under way frees it again.
            _ => {}
        }
    }

    fn sell_out(&mut self, index: usize, at: Time, post: Option<PostId>) {
        let version = self.account.purchases[index].order_version;
        self.transit(index, State::SoldOut, Some(Reason::SoldOut), at, post);
        self.reply_about(index, ReplyKind::SoldOut, at, Some(version), None);
        let id = self.account.purchases[index].id;
        self.judge_kept_for(id);
    }

    /// Opens the confirm window: our own lag never shortens it, since on live sources it counts from the wall clock of
    /// the last tick at the earliest. Then whatever confirm was kept for this purchase is judged.
    fn prompt(&mut self, index: usize, at: Time, post: Option<PostId>, handle: Option<String>) {
        let deadline = self.deadline_of(self.account.purchases[index].window_from);
        let purchase = &mut self.account.purchases[index];
        purchase.deadline = deadline;
        let version = purchase.order_version;
        let id = purchase.id;
        self.transit(index, State::Prompted, None, at, post);
        self.reply_about(index, ReplyKind::Prompt, at, Some(version), handle);
        self.judge_kept_for(id);
        self.cancel_by_kept(index);
    }

    /// The end of a window that opens now.
    pub(super) fn deadline_of(&self, window_from: Time) -> Option<Time> {
        let windows = self.rules.windows;
        let clock = self.clock.filter(|_| !planted::is(Bug::LagShortensWindow));
        let seen = Some(window_from.after(windows.reply_grace)).max(clock);
        seen.map(|seen| seen.after(windows.confirm_window))
    }
}

/// What the buyer is told about a refused buy; `None` where silence is better (jokes, quotes, stale replays).
fn answer_to(reason: Reason) -> Option<ReplyKind> {
    match reason {
        Reason::NotLinked => Some(ReplyKind::NotLinked),
        Reason::Frozen => Some(ReplyKind::Frozen),
        Reason::CardNotActive | Reason::Country => Some(ReplyKind::NotEligible),
        Reason::NotOpen => Some(ReplyKind::NotOpen),
        Reason::Duplicate => Some(ReplyKind::AlreadyTweeted),
        Reason::LimitPending | Reason::LimitPurchases | Reason::LimitSpend => Some(ReplyKind::LimitReached),
        Reason::SoldOut => Some(ReplyKind::SoldOut),
        _ => None,
    }
}
