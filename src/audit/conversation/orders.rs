//! Buys: what they open, and why they open nothing.

use std::sync::Arc;

use crate::domain::{
    Money, OfferKind, PostForm, PostIntent, PurchaseId, Reason, ReplyKind, State, StockAction, Terms, Time,
};
use crate::wire::uuids::uuid_of;

use super::account::{Account, Now};
use super::purchase::Purchase;
use super::standing::Stop;

impl Account {
    /// One buy tag of a post.
    pub fn order(&mut self, intent: &PostIntent, terms: &Arc<Terms>, now: Now<'_>) {
        if terms.kind != OfferKind::Purchase {
            return;
        }
        let id = uuid_of(&format!("purchase|{}|{}|{}", self.id, intent.first_id, terms.offer));
        // Whichever offer the tag stood for then.
        let by_tag = |purchase: &Purchase| purchase.first == intent.first_id && purchase.terms.buy == terms.buy;
        let opened = self.purchases.iter().any(|purchase| purchase.id == id || by_tag(purchase));
        let refused = self.refused.get(&intent.first_id).into_iter().flatten();
        let refused = refused.into_iter().any(|(offer, buy)| *offer == terms.offer || *buy == terms.buy);
        if opened || refused {
            // How long it is known is bounded; later it is one of long ago.
            if is_stale(intent.time, now) {
                let reasons = refusal_of_form(&intent.form).into_iter().chain([Reason::Stale]);
                reasons.for_each(|reason| self.tell_refusal(id, intent, terms, reason, true));
            }
            return;
        }
        let mut refusal = self.refusal_of_buy(intent, terms, now);
        if refusal.is_none() {
            // Linked anew: what was stopped before does not stand beside it.
            self.end_what_was_stopped_by(intent.time, now);
            refusal = self.limit_reached(intent.time, terms, now);
        }
        if let Some(reason) = refusal {
            let by = (terms.offer.clone(), terms.buy.clone());
            self.refused.entry(intent.first_id).or_default().push(by);
            self.tell_refusal(id, intent, terms, reason, false);
            self.answer_refusal(id, intent, terms, reason, now);
            return;
        }
        let index = self.open(id, intent, terms);
        let passed = |stop: &Stop| now.watermark.is_some_and(|watermark| stop.time < watermark);
        let deleted = self.stop_of(index).filter(|stop| stop.reason == Reason::Deleted);
        let sure = deleted.or_else(|| self.stop_ahead(index).filter(passed));
        match sure.or_else(|| self.earlier_stop(index, now)) {
            Some(stop) => self.end(index, stop, now),
            None if terms.limited => {
                self.ask(index, StockAction::Hold, intent.time);
                self.asked.push_back((id, None));
            }
            None => self.prompt(index, Some(intent.first_id), now),
        }
    }

    fn refusal_of_buy(&self, intent: &PostIntent, terms: &Terms, now: Now<'_>) -> Option<Reason> {
        if let Some(reason) = refusal_of_form(&intent.form) {
            return Some(reason);
        }
        if is_stale(intent.time, now) {
            return Some(Reason::Stale);
        }
        if let Some(reason) = self.standing.refusal_at(intent.time) {
            return Some(reason);
        }
        let country = self.standing.link_at(intent.time).map(|link| link.country.clone()).unwrap_or_default();
        if !terms.allows_country(&country) {
            return Some(Reason::Country);
        }
        (!terms.is_open_at(intent.time)).then_some(Reason::NotOpen)
    }

    fn limit_reached(&self, time: Time, terms: &Terms, now: Now<'_>) -> Option<Reason> {
        let limits = &now.rules.limits;
        let counted = || self.purchases.iter().filter(|purchase| purchase.counts());
        if counted().filter(|p| p.terms.offer == terms.offer).count() >= terms.per_account as usize {
            return Some(Reason::Duplicate);
        }
        let waiting = self.purchases.iter().filter(|purchase| purchase.waits()).count();
        if waiting >= limits.pending_per_account {
            return Some(Reason::LimitPending);
        }
        if waiting + self.kept.iter().filter(|kept| kept.is_early(&self.purchases)).count()
            >= limits.pending_per_account
        {
            return Some(Reason::Overloaded);
        }
        let of_day = || counted().filter(|purchase| purchase.ordered_at.utc_day() == time.utc_day());
        if of_day().count() >= limits.purchases_per_day as usize {
            return Some(Reason::LimitPurchases);
        }
        let spent = of_day().filter(|p| p.terms.amount.currency == terms.amount.currency).map(|p| e4(&p.terms));
        let total = spent.chain([e4(terms)]).fold(0i64, i64::saturating_add);
        (total > limits.spend_per_day_e4).then_some(Reason::LimitSpend)
    }

    fn open(&mut self, id: PurchaseId, intent: &PostIntent, terms: &Arc<Terms>) -> usize {
        self.purchases.push(Purchase {
            id,
            terms: Arc::clone(terms),
            first: intent.first_id,
            version: intent.id,
            ordered_at: intent.time,
            from: intent.time,
            state: State::Ordered,
            deadline: intent.time,
            fate_told: false,
            prompt_post: None,
            fulfil: None,
            confirmed: None,
            judged: Vec::new(),
        });
        let index = self.purchases.len() - 1;
        self.tell_event(index, None, None, intent.time, Some(intent.first_id));
        index
    }

    fn answer_refusal(&mut self, id: PurchaseId, intent: &PostIntent, terms: &Terms, reason: Reason, now: Now<'_>) {
        let kind = match reason {
            Reason::NotLinked => ReplyKind::NotLinked,
            Reason::CardNotActive | Reason::Country => ReplyKind::NotEligible,
            Reason::Frozen => ReplyKind::Frozen,
            Reason::NotOpen => ReplyKind::NotOpen,
            Reason::Duplicate => ReplyKind::AlreadyTweeted,
            Reason::LimitPending | Reason::LimitPurchases | Reason::LimitSpend => ReplyKind::LimitReached,
            _ => return,
        };
        let once = kind == ReplyKind::NotLinked;
        if once && self.not_linked.contains(&terms.offer) {
            return;
        }
        if self.tell_courtesy(id, kind, intent, terms, now) && once {
            self.not_linked.insert(terms.offer.clone());
        }
    }
}

fn refusal_of_form(form: &PostForm) -> Option<Reason> {
    match form {
        PostForm::Own => None,
        PostForm::ManualRetweet | PostForm::ManualRetweetOfService => Some(Reason::ManualRetweet),
        PostForm::Retweet(_) => Some(Reason::Retweet),
        PostForm::Quote(_) => Some(Reason::Quote),
    }
}

/// More than `account.buy_max_age` behind the watermark.
fn is_stale(time: Time, now: Now<'_>) -> bool {
    now.watermark.is_some_and(|watermark| watermark.since(time) > now.rules.windows.buy_max_age.0)
}

/// An amount in ten-thousandths of the currency's unit.
fn e4(terms: &Terms) -> i64 {
    let Money { minor, .. } = terms.amount;
    minor.saturating_mul(10i64.saturating_pow(4u32.saturating_sub(terms.exponent)))
}
