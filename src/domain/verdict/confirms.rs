//! Confirm: the confirm tag by the same account while its purchase waits.

use super::Judge;
use crate::domain::account::{ConfirmForm, KeptConfirm};
use crate::domain::events::{Event, Order, Payment, ReplyKind};
use crate::domain::ids::{PostId, PurchaseId};
use crate::domain::intent::{Echo, PostForm, PostIntent, StockAction};
use crate::domain::offer::Tag;
use crate::domain::purchase::{Confirm, Purchase, Reason, State};
use crate::domain::time::{Span, Time};
use crate::planted::{self, Bug};

/// Where a confirm belongs.
enum Target {
    /// It pays this one.
    Pays(usize),
    /// It concerns this one, but comes to nothing.
    Fails(usize, Reason),
    /// It paid: a redelivery.
    Known,
    /// It was rejected against the one that it concerns before.
    Told,
    /// Nothing that it could pay has been read yet.
    Unknown,
}

impl Judge<'_> {
    /// Judges the confirm side of a post, if it has one. `rejection` is set for posts that confirm nothing whatever
    /// they carry.
    pub(super) fn judge_confirm_of(&mut self, intent: &PostIntent, rejection: Option<Reason>) {
        let how = match (&intent.form, rejection) {
            (_, Some(reason)) => ConfirmForm::Never(reason),
            (PostForm::Own | PostForm::ManualRetweetOfService, None) => ConfirmForm::Words,
            (PostForm::ManualRetweet, None) => ConfirmForm::Never(Reason::ManualRetweet),
            (PostForm::Retweet(echo), None) => ConfirmForm::Echo(echo.clone(), Reason::Retweet),
            (PostForm::Quote(echo), None) => ConfirmForm::Echo(echo.clone(), Reason::Quote),
        };
        let echo_tags = match &how {
            ConfirmForm::Echo(echo, _) => echo.confirm_tags.clone(),
            ConfirmForm::Words | ConfirmForm::Never(_) => Vec::new(),
        };
        let mut kept = KeptConfirm {
            id: intent.id,
            first_id: intent.first_id,
            time: intent.time,
            tags: intent.confirm_tags.clone(),
            how,
            told: false,
        };
        kept.tags.extend(echo_tags.into_iter().filter(|tag| !intent.confirm_tags.contains(tag)));
        let by_id = matches!(&kept.how, ConfirmForm::Echo(Echo { id: Some(_), .. }, _));
        // Each tag is a confirm of its own: a post with the tags of two offers pays one purchase of each.
        let of_tag = |tag: &Tag| KeptConfirm { tags: vec![tag.clone()], ..kept.clone() };
        let mut confirms: Vec<KeptConfirm> = kept.tags.iter().map(of_tag).collect();
        if confirms.is_empty() && by_id {
            confirms.push(kept);
        }
        for confirm in confirms {
            let unspent = self.judge_confirm(confirm);
            unspent.into_iter().for_each(|confirm| self.keep(confirm));
        }
    }

    /// Judges again what was kept, now that this purchase is prompted; the earliest post first.
    pub(super) fn judge_kept_for(&mut self, purchase: PurchaseId) {
        let Some(index) = self.position_of(purchase) else { return };
        let Some(extras) = self.account.extras.as_deref_mut() else { return };
        let purchase = &self.account.purchases[index];
        let (mut mine, others): (Vec<_>, Vec<_>) = std::mem::take(&mut extras.confirms)
            .into_iter()
            .partition(|kept| kept.time >= purchase.window_from && addresses(kept, purchase));
        extras.confirms = others;
        mine.sort_by_key(|kept| (kept.time, kept.id));
        for kept in mine {
            // It stays until the watermark passes its time: messages that waited for the answer may yet be judged.
            let unspent = self.judge_confirm(kept);
            self.account.extras().confirms.extend(unspent);
        }
    }

    /// Gives the confirm back if it may pay a purchase that is read later.
    fn judge_confirm(&mut self, confirm: KeptConfirm) -> Option<KeptConfirm> {
        match self.target_of(&confirm) {
            Target::Known => None,
            Target::Pays(index) => {
                self.pay(index, &confirm);
                None
            }
            Target::Fails(index, reason) => {
                // Told once, it is judged again only for what it may yet pay.
                if !confirm.told && !self.was_rejected(&confirm) {
                    self.reject_confirm(index, reason, &confirm);
                }
                self.note_weighed(&confirm);
                let lives = may_yet_pay(reason, &confirm);
                lives.then_some(KeptConfirm { told: true, ..confirm })
            }
            Target::Told => {
                self.note_weighed(&confirm);
                let lives = confirm.told && may_yet_pay(Reason::NoPurchase, &confirm);
                lives.then_some(confirm)
            }
            Target::Unknown => Some(confirm),
        }
    }

    /// The oldest purchase that waits and for which the confirm is on time and of a form that pays, of an account that
    /// was not stopped by then; else the one that it concerns: one that waits, else the latest that has ended.
    fn target_of(&self, confirm: &KeptConfirm) -> Target {
        let user = self.id.user;
        let addressed = || self.account.purchases.iter().enumerate().filter(|(_, p)| addresses(confirm, p));
        let used = |p: &Purchase| p.confirm.as_ref().is_some_and(|paid| paid.post == confirm.first_id);
        if addressed().any(|(_, p)| used(p)) && !planted::is(Bug::ConfirmIdsForgotten) {
            return Target::Known;
        }
        let reached = || addressed().filter(|(_, p)| p.window_from <= confirm.time);
        let prompted = || reached().filter(|(_, p)| p.state == State::Prompted);
        // What was rejected stays rejected: a deadline that moved since changes nothing for this confirm.
        let new = prompted().filter(|(_, p)| !p.rejected_confirms.contains(&confirm.id));
        let on_time = new.filter(|(_, p)| p.deadline.is_some_and(|deadline| is_on_time(confirm.time, deadline)));
        let fitting = on_time.filter(|(_, p)| form_rejection(confirm, p, user).is_none());
        let fitting = fitting.filter(|(index, _)| !self.is_stopped_by(*index, confirm.time));
        let age = |(index, p): &(usize, &Purchase)| (p.ordered_at, *index);
        let oldest = if planted::is(Bug::NewestPaid) { fitting.max_by_key(age) } else { fitting.min_by_key(age) };
        let concerned = oldest
            .or_else(|| prompted().min_by_key(|(index, p)| (p.ordered_at, *index)))
            .or_else(|| reached().filter(|(_, p)| !p.state.waits()).max_by_key(|(index, p)| (p.ordered_at, *index)));
        let Some((index, purchase)) = concerned else { return Target::Unknown };
        if purchase.rejected_confirms.contains(&confirm.id) {
            return Target::Told;
        }
        match form_rejection(confirm, purchase, user) {
            Some(reason) => Target::Fails(index, reason),
            None if oldest.is_some() => Target::Pays(index),
            None if self.is_late(index, confirm.time) => Target::Fails(index, Reason::Late),
            None => Target::Fails(index, Reason::NoPurchase),
        }
    }

    /// Whether it comes after a window that nothing else ended before.
    fn is_late(&self, index: usize, confirm: Time) -> bool {
        let purchase = &self.account.purchases[index];
        let end = purchase.deadline.map_or(confirm, |deadline| deadline.min(confirm));
        purchase.state == State::Expired || (purchase.state == State::Prompted && !self.is_stopped_by(index, end))
    }

    /// Keeps a confirm until the watermark passes its time; one that it passed already is dropped at once.
    fn keep(&mut self, confirm: KeptConfirm) {
        let passed = self.watermark.is_some_and(|mark| confirm.time.is_passed_by(mark));
        if passed && !self.account.waits_in_line(&confirm) {
            self.drop_confirm(&confirm);
            return;
        }
        if planted::is(Bug::EarlyConfirmDropped) {
            return;
        }
        let kept = &mut self.account.extras().confirms;
        // An edit has a time of its own: it may confirm what an earlier version was too early for.
        let same = |k: &KeptConfirm| k.id == confirm.id && k.tags == confirm.tags;
        if !kept.iter().any(same) {
            kept.push(confirm);
        }
    }

    /// A confirm that nothing was read for in time. Where it concerns a purchase all the same (one that waits in line),
    /// that is recorded.
    pub(super) fn drop_confirm(&mut self, confirm: &KeptConfirm) {
        if confirm.told {
            return;
        }
        let reason = match &confirm.how {
            ConfirmForm::Words => Reason::NoPurchase,
            ConfirmForm::Echo(_, reason) | ConfirmForm::Never(reason) => *reason,
        };
        let mut concerned = self.account.purchases.iter().enumerate();
        let concerned = concerned.rfind(|(_, p)| p.ordered_at <= confirm.time && addresses(confirm, p));
        if let Some((index, purchase)) = concerned {
            if !purchase.rejected_confirms.contains(&confirm.id) {
                self.reject_confirm(index, reason, confirm);
            }
            return;
        }
        self.emit(Event::Counted(reason));
        if reason == Reason::NoPurchase && self.rules.tell_nothing_to_confirm {
            self.tell_nothing_to_confirm(confirm);
        }
    }

    /// Once per post, however many tags it has and however often it is read; what is older than is remembered stays
    /// unanswered.
    fn is_unanswered(&mut self, confirm: &KeptConfirm) -> bool {
        let age = self.rules.windows.buy_max_age;
        let is_old = self.watermark.is_some_and(|mark| confirm.time.after(age).is_passed_by(mark));
        if is_old || self.overloaded {
            return false;
        }
        let told = &mut self.account.extras().told_nothing_to_confirm;
        let known = told.iter().any(|(first_id, _)| *first_id == confirm.first_id);
        if !known {
            told.push((confirm.first_id, confirm.time));
        }
        !known
    }

    /// Whoever never linked an account is not spoken to.
    fn tell_nothing_to_confirm(&mut self, confirm: &KeptConfirm) {
        let Some(handle) = self.handle_for(confirm.time) else { return };
        if !self.is_unanswered(confirm) || !self.courtesy_left(confirm.time) {
            return;
        }
        let id = self.uuid("reply", &format!("nothing_to_confirm|{}|{}", self.id, confirm.first_id));
        self.emit(Event::Reply(crate::domain::events::Reply {
            id,
            kind: ReplyKind::NothingToConfirm,
            account: self.id,
            handle: Some(handle),
            in_reply_to: Some(confirm.id),
            terms: None,
            purchase: None,
            at: confirm.time,
        }));
    }

    fn reject_confirm(&mut self, index: usize, reason: Reason, confirm: &KeptConfirm) {
        self.account.purchases[index].rejected_confirms.push(confirm.id);
        self.reject_against(index, reason, confirm.time, confirm.id);
    }

    /// Whether it was told of any purchase that it concerns.
    fn was_rejected(&self, confirm: &KeptConfirm) -> bool {
        let mut concerned = self.account.purchases.iter().filter(|p| addresses(confirm, p));
        concerned.any(|p| p.rejected_confirms.contains(&confirm.id))
    }

    /// A confirm that pays nothing is told of one purchase, but was weighed against all that are prompted: what is told
    /// later of any of them changes nothing for it, however often it is read.
    fn note_weighed(&mut self, confirm: &KeptConfirm) {
        let prompted = self.account.purchases.iter_mut().filter(|p| p.state == State::Prompted);
        for purchase in prompted.filter(|p| p.window_from <= confirm.time && addresses(confirm, p)) {
            if !purchase.rejected_confirms.contains(&confirm.id) {
                purchase.rejected_confirms.push(confirm.id);
            }
        }
    }

    /// The payment (I1, I2, I3): at once, with the card that is linked as of the confirm.
    fn pay(&mut self, index: usize, confirm: &KeptConfirm) {
        let at = confirm.time;
        let Some(link) = self.link_for(at) else {
            // It was linked when it ordered, and nothing that it pays has been stopped since.
            self.reject_confirm(index, Reason::NotLinked, confirm);
            return;
        };
        let paid = Confirm { post: confirm.first_id, ship_to: link.billing_ref.clone() };
        self.account.purchases[index].confirm = Some(Box::new(paid));
        // Other versions of the post say no more than this one did.
        let purchase = &self.account.purchases[index];
        if let Some(extras) = self.account.extras.as_deref_mut() {
            extras.confirms.retain(|kept| kept.first_id != confirm.first_id || !addresses(kept, purchase));
        }
        let cancel_window = self.rules.windows.cancel_window;
        self.transit(index, State::Authorized, None, at, Some(confirm.id));
        let purchase = &mut self.account.purchases[index];
        purchase.deadline = (cancel_window > Span::ZERO).then(|| at.after(cancel_window));
        let payment = Payment {
            purchase: purchase.id,
            account: self.id,
            link: link.clone(),
            terms: purchase.terms.clone(),
            ordered_at: purchase.ordered_at,
            confirmed_at: at,
            order_post: purchase.order_post,
            confirm_post: confirm.id,
        };
        self.emit(Event::Payment(payment));
        let sale = if cancel_window > Span::ZERO { StockAction::SellOpen } else { StockAction::Sell };
        self.ask_stock(index, sale, at);
        if cancel_window == Span::ZERO {
            self.fulfil(index, at, Some(confirm.id));
        }
        self.reply_about(index, ReplyKind::Purchased, at, Some(confirm.id), None);
        self.email_about(index, ReplyKind::Purchased, at, &link);
    }

    /// The order to the merchant: exactly one per payment that was not voided. What was read of links since changes no
    /// address.
    pub(super) fn fulfil(&mut self, index: usize, at: Time, post: Option<PostId>) {
        let purchase = &mut self.account.purchases[index];
        let order = Order {
            purchase: purchase.id,
            account: self.id,
            merchant: purchase.terms.merchant.clone(),
            item: purchase.terms.item.clone(),
            ship_to: purchase.confirm.as_mut().map(|paid| std::mem::take(&mut paid.ship_to)).unwrap_or_default(),
            at,
        };
        self.emit(Event::Order(order));
        self.transit(index, State::Fulfilled, None, at, post);
    }
}

/// Whether a confirm that came to nothing may still pay another purchase: one that waits in line, or whose buy is read
/// later. Which offer that will be of, and how many of it the account may have, nobody knows before.
fn may_yet_pay(reason: Reason, confirm: &KeptConfirm) -> bool {
    matches!(reason, Reason::Late | Reason::NoPurchase) && !matches!(confirm.how, ConfirmForm::Never(_))
}

/// A confirm of the deadline's own millisecond is on time.
fn is_on_time(confirm: Time, deadline: Time) -> bool {
    let spoilt =
        i64::from(planted::is(Bug::FirstMillisecondForgiven)) - i64::from(planted::is(Bug::LastMillisecondLate));
    confirm <= deadline.after(Span(spoilt))
}

/// Whether the confirm speaks of this purchase: by its tag, or by echoing its prompt, of which the gateway told. What
/// is echoed by its words has its tags among them, each a confirm of its own.
fn addresses(confirm: &KeptConfirm, purchase: &Purchase) -> bool {
    let by_id = |echo: &Echo| echo.id.is_some() && echo.id == purchase.prompt_post;
    confirm.tags.contains(&purchase.terms.confirm) || matches!(&confirm.how, ConfirmForm::Echo(echo, _) if by_id(echo))
}

/// Why the form of this confirm can't pay this purchase; `None` if it can.
pub(super) fn form_rejection(confirm: &KeptConfirm, purchase: &Purchase, user: u64) -> Option<Reason> {
    match &confirm.how {
        ConfirmForm::Words => None,
        ConfirmForm::Never(reason) => Some(*reason),
        ConfirmForm::Echo(..) if planted::is(Bug::RetweetConfirms) => None,
        ConfirmForm::Echo(echo, reason) => (!echoes_prompt(echo, purchase, user)).then_some(*reason),
    }
}

/// This account's own prompt: known by the id that `replies.posted` told, or by a post of the service that replies to
/// the order or to this user and carries the tag.
fn echoes_prompt(echo: &Echo, purchase: &Purchase, user: u64) -> bool {
    if echo.id.is_some() && echo.id == purchase.prompt_post {
        return true;
    }
    let to_order = echo.in_reply_to.is_some_and(|post| purchase.is_ordered_by(post));
    let to_user = echo.in_reply_to_user == Some(user);
    echo.by_service && (to_order || to_user) && echo.confirm_tags.contains(&purchase.terms.confirm)
}
