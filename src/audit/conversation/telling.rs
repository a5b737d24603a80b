//! What an account says: predictions, in the order in which they must come.

use crate::domain::{
    Link, PostForm, PostId, PostIntent, PurchaseId, Reason, ReplyKind, State, StockAction, Terms, Time, Uuid,
};
use crate::wire::uuids::uuid_of;

use super::account::{Account, Now};
use super::kept::Confirm;
use super::purchase::Purchase;
use super::said::{Expected, Said};

const HOUR_MS: i64 = 3_600_000;

impl Account {
    pub fn say(&mut self, index: Option<usize>, said: Said) {
        let purchase = index.map(|index| &self.purchases[index]);
        let id = purchase.map(|purchase| purchase.id);
        let offer = purchase.map(|purchase| purchase.terms.offer.clone());
        self.push(Expected { purchase: id, offer, at: said.at().unwrap_or(self.told_at), said, optional: false });
    }

    /// The purchase came to its present state.
    pub fn tell_event(
        &mut self,
        index: usize,
        from: Option<State>,
        reason: Option<Reason>,
        at: Time,
        post: Option<PostId>,
    ) {
        self.told_at = at;
        let purchase = &mut self.purchases[index];
        let to = purchase.state;
        if !to.is_open() && from != Some(to) {
            purchase.deadline = purchase.deadline.max(at);
        }
        self.say(Some(index), Said::Event { from, to, reason, at, post });
    }

    /// `from` and `to` are the present state. Of a purchase that may be forgotten it need not be told.
    pub fn tell_rejected_confirm(
        &mut self,
        index: usize,
        confirm: &Confirm,
        reason: Reason,
        optional: bool,
        now: Now<'_>,
    ) {
        let Purchase { id, ref terms, state, .. } = self.purchases[index];
        let optional = optional || self.purchases[index].may_be_forgotten(now.rules, now.watermark);
        let (at, post) = (confirm.time, Some(confirm.post));
        let said = Said::Event { from: Some(state), to: state, reason: Some(reason), at, post };
        self.push(Expected { purchase: Some(id), offer: Some(terms.offer.clone()), at, said, optional });
    }

    pub fn tell_refusal(&mut self, id: PurchaseId, intent: &PostIntent, terms: &Terms, reason: Reason, optional: bool) {
        let (at, post) = (intent.time, Some(intent.id));
        let said = Said::Event { from: None, to: State::Rejected, reason: Some(reason), at, post };
        self.push(Expected { purchase: Some(id), offer: Some(terms.offer.clone()), at, said, optional });
    }

    /// A reply about a purchase that was opened.
    pub fn tell(&mut self, index: usize, kind: ReplyKind, in_reply_to: Option<PostId>) {
        let id = reply_id(kind, self.purchases[index].id);
        if self.handle_is_known(None) {
            self.say(Some(index), Said::Reply { direct: false, id, kind, in_reply_to });
        }
    }

    pub fn tell_privately(&mut self, index: usize, kind: ReplyKind) {
        let purchase = &self.purchases[index];
        let (id, in_reply_to) = (direct_id(kind, purchase.id), Some(purchase.version));
        self.say(Some(index), Said::Reply { direct: true, id, kind, in_reply_to });
    }

    /// A reply that could not be posted is told directly, once; about a purchase that may be forgotten it need not be.
    pub fn tell_directly(&mut self, told: &Expected, about: Option<usize>, at: Time, now: Now<'_>) {
        let (Said::Reply { direct: false, kind, in_reply_to, .. }, Some(purchase)) = (&told.said, told.purchase) else {
            return;
        };
        let id = direct_id(*kind, purchase);
        if !self.replies.contains_key(&id) {
            let about = about.map(|index| &self.purchases[index]);
            let optional = about.is_none_or(|about| about.may_be_forgotten(now.rules, now.watermark));
            let in_reply_to = about.map(|about| about.version).or(*in_reply_to);
            let said = Said::Reply { direct: true, id, kind: *kind, in_reply_to };
            self.push(Expected { at, said, optional, ..told.clone() });
        }
    }

    /// For how long it is known that an account was linked once is left open.
    pub fn tell_frozen(&mut self, intent: &PostIntent, now: Now<'_>) {
        let age = now.rules.windows.buy_max_age;
        let optional = now.watermark.is_some_and(|watermark| intent.time.after(age) < watermark);
        let id = uuid_of(&format!("reply|frozen|{}|{}", self.id, intent.id));
        let said = Said::Reply { direct: false, id, kind: ReplyKind::Frozen, in_reply_to: Some(intent.id) };
        self.push(Expected { purchase: None, offer: None, at: intent.time, said, optional });
    }

    /// A confirm in own words that concerns nothing is answered, where that is wanted; once per post.
    pub fn tell_nothing_to_confirm(&mut self, confirm: &Confirm, now: Now<'_>) {
        let own_words = matches!(confirm.form, PostForm::Own | PostForm::ManualRetweetOfService);
        let own_words = own_words && !confirm.buys && !confirm.cancels;
        let age = now.rules.windows.buy_max_age;
        let is_old = now.watermark.is_some_and(|watermark| confirm.time.after(age) < watermark);
        let wanted = now.rules.tells_nothing_to_confirm && own_words && !is_old && self.handle_is_known(None);
        if !wanted || !self.nothing_told.insert(confirm.first) {
            return;
        }
        let kind = ReplyKind::NothingToConfirm;
        let id = uuid_of(&format!("reply|{}|{}|{}", kind.name(), self.id, confirm.first));
        let said = Said::Reply { direct: false, id, kind, in_reply_to: Some(confirm.post) };
        let expected = Expected { purchase: None, offer: None, at: confirm.time, said, optional: false };
        self.push_courtesy(expected, now);
    }

    /// A reply to a buy that opened nothing, within the bound of an hour; whether it is told.
    pub fn tell_courtesy(
        &mut self,
        id: PurchaseId,
        kind: ReplyKind,
        intent: &PostIntent,
        terms: &Terms,
        now: Now<'_>,
    ) -> bool {
        let said = Said::Reply { direct: false, id: reply_id(kind, id), kind, in_reply_to: Some(intent.id) };
        let (offer, at) = (Some(terms.offer.clone()), intent.time);
        let expected = Expected { purchase: Some(id), offer, at, said, optional: false };
        self.handle_is_known(intent.handle.as_ref()) && self.push_courtesy(expected, now)
    }

    fn push_courtesy(&mut self, expected: Expected, now: Now<'_>) -> bool {
        let at = expected.at;
        let hour = now.watermark.map_or(at, |watermark| watermark.max(at)).0.div_euclid(HOUR_MS);
        let told = self.courtesies.range(hour..).next_back().map_or(hour, |(latest, _)| *latest);
        let told = self.courtesies.entry(told).or_default();
        *told += 1;
        let within = *told <= now.rules.limits.replies_per_hour;
        if within {
            self.push(expected);
        }
        within
    }

    pub fn mail(&mut self, index: usize, kind: ReplyKind, link: &Link) {
        let id = uuid_of(&name_of("email", kind, self.purchases[index].id));
        self.say(Some(index), Said::Email { id, kind, email_ref: link.email_ref.clone() });
    }

    pub fn ask(&mut self, index: usize, action: StockAction, at: Time) {
        self.say(Some(index), Said::Stock { action, at });
    }

    fn handle_is_known(&self, told: Option<&String>) -> bool {
        told.is_some() || self.standing.last_link().is_some()
    }

    fn push(&mut self, expected: Expected) {
        if let Said::Reply { id, .. } = &expected.said {
            self.replies.insert(*id, expected.clone());
        }
        self.out.push(expected);
    }
}

impl Expected {
    pub fn is_reply(&self, of: ReplyKind) -> bool {
        matches!(&self.said, Said::Reply { direct: false, kind, .. } if *kind == of)
    }
}

fn reply_id(kind: ReplyKind, purchase: PurchaseId) -> Uuid {
    uuid_of(&name_of("reply", kind, purchase))
}

fn direct_id(kind: ReplyKind, purchase: PurchaseId) -> Uuid {
    uuid_of(&name_of("direct", kind, purchase))
}

/// The name of which an id is the UUIDv5: `reply|prompt|<purchase>`.
fn name_of(what: &str, kind: ReplyKind, purchase: PurchaseId) -> String {
    let purchase = uuid::Uuid::from_bytes(purchase.0).hyphenated();
    format!("{what}|{}|{purchase}", kind.name())
}
