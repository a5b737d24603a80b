//! What an account remembers. It is alive only while there is something here: see [`Account::is_forgettable`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::ids::PostId;
use super::intent::{AccountMessage, CardStatus, DeletedPost, Echo, Link, LinkChange, LinkMessage, StockVerdict};
use super::offer::Tag;
use super::purchase::{Purchase, Reason};
use super::time::Time;
use super::{PurchaseId, Rules, Span, State};
use crate::planted::{self, Bug};

/// The private state of one account. Small where nothing unusual happened: a million of them are in memory at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The history of links, card states and freezes, sorted by time; those of one time stand in order of reading.
    pub links: Vec<LinkMessage>,
    /// In order of opening.
    pub purchases: Vec<Purchase>,
    /// What most accounts never need.
    pub extras: Option<Box<Extras>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Buys that opened nothing, so that an edit or a redelivery of them stays refused.
    pub refused: Vec<Refused>,
    /// Offers about which `not_linked` was told, and when.
    pub told_not_linked: Vec<(String, Time)>,
    /// First ids and times of posts that were answered `nothing_to_confirm`: a redelivery is not answered again.
    pub told_nothing_to_confirm: Vec<(PostId, Time)>,
    /// Confirms that were read before a purchase they could pay.
    pub confirms: Vec<KeptConfirm>,
    pub cancels: Vec<KeptCancel>,
    /// Deletions that may have been read before their order.
    pub deletions: Vec<DeletedPost>,
    /// Stock is asked for these, in order of asking, with the answers that came out of turn.
    pub asking: VecDeque<(PurchaseId, Option<StockVerdict>)>,
    /// Messages that wait for the answers, each with the watermark that it was read at.
    pub queue: VecDeque<(AccountMessage, Option<Time>)>,
    /// The handle of an account that was unlinked, once its link is forgotten: answers are still addressed by it.
    pub past_handle: Option<String>,
    /// (the latest hour of event time in which there were any, courtesy replies sent in it).
    pub courtesy: (i64, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub first_id: PostId,
    pub offer: String,
    /// The tag by which it was ordered.
    pub buy: Tag,
    pub at: Time,
}

/// A post as far as it may confirm something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptConfirm {
    pub id: PostId,
    pub first_id: PostId,
    pub time: Time,
    pub tags: Vec<Tag>,
    pub how: ConfirmForm,
    /// A rejection of it was recorded already; it is kept for a purchase that may yet be read.
    pub told: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfirmForm {
    /// Bare, a reply, or a manual retweet of the service: the tags decide.
    Words,
    /// A native retweet or quote: only of this account's own prompt. The reason is that of the rejection otherwise.
    Echo(Echo, Reason),
    /// Of a form that never confirms.
    Never(Reason),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCancel {
    pub id: PostId,
    pub time: Time,
    pub scope: CancelScope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelScope {
    /// Of the offers with these cancel tags.
    Tags(Vec<Tag>),
    /// Everything that waits.
    All,
}

/// The standing of an account at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub link: Option<Arc<Link>>,
    pub card: Option<CardStatus>,
    pub frozen: bool,
}

impl Account {
    pub fn is_forgettable(&self) -> bool {
        self.links.is_empty() && self.purchases.is_empty() && self.extras.is_none()
    }

    pub fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_with(Box::default)
    }

    /// Lets go of the extras when there is nothing in them; called after every message.
    pub fn tidy(&mut self) {
        let passivated = planted::is(Bug::RefusalForgotten) && self.links.is_empty() && self.pending() == 0;
        if passivated || self.extras.as_deref().is_some_and(Extras::is_empty) {
            self.extras = None;
        }
    }

    pub fn is_asking(&self) -> bool {
        self.extras.as_deref().is_some_and(|extras| !extras.asking.is_empty())
    }

    /// The standing as of a moment, among the links read so far.
    pub fn standing_at(&self, time: Time) -> Standing {
        let mut standing = Standing::default();
        for entry in self.links.iter().take_while(|entry| entry.at <= time) {
            standing.apply(&entry.change);
        }
        standing
    }

    /// Whether a link is remembered: which it is for a while after it stopped to matter.
    pub fn has_link(&self) -> bool {
        self.has_link_from(0)
    }

    /// Whether it was linked at a moment of which an order may wait or may yet be read. When its history was tidied
    /// last makes no difference.
    pub fn may_have_ordered(&self, mark: Option<Time>, rules: &Rules) -> bool {
        let base = mark.and_then(|mark| self.links_base(self.horizon(mark, rules))).unwrap_or(0);
        self.has_link_from(base)
    }

    fn has_link_from(&self, place: usize) -> bool {
        self.links[place..].iter().any(|entry| matches!(entry.change, LinkChange::Link(_)))
    }

    /// What stopped an order's account as of its time, else the first change after it that does, with its time and
    /// reason: an unlink, a card that is no longer active, a freeze. One from before the order may be read late; it
    /// stops the order all the same.
    pub fn stopped_after(&self, ordered_at: Time) -> Option<(Time, Reason, Option<PostId>)> {
        if let Some(reason) = self.standing_at(ordered_at).stopped_by() {
            let (at, post) = self.stopped_since(ordered_at, reason);
            return Some((at, reason, post));
        }
        self.first_stop_after(ordered_at)
    }

    /// What stops a purchase that waits at a moment that is yet to come: a change that was read before its order,
    /// though it is later. The account is judged as of each post's time, so the change holds from its own on.
    pub fn stop_ahead(&self, purchase: &Purchase) -> Option<(Time, Reason, Option<PostId>)> {
        let spoilt = planted::is(Bug::UnlinkLeavesPending) || planted::is(Bug::StopAheadForgotten);
        self.first_stop_after(purchase.ordered_at).filter(|_| purchase.state.waits() && !spoilt)
    }

    fn first_stop_after(&self, time: Time) -> Option<(Time, Reason, Option<PostId>)> {
        let later = &self.links[self.links.partition_point(|entry| entry.at <= time)..];
        later.iter().find_map(|entry| match entry.change {
            LinkChange::Unlink => Some((entry.at, Reason::Unlinked, None)),
            LinkChange::Card(CardStatus::Suspended | CardStatus::Cancelled) => {
                Some((entry.at, Reason::CardNotActive, None))
            }
            LinkChange::Freeze(post) => Some((entry.at, Reason::Frozen, Some(post))),
            LinkChange::Link(_) | LinkChange::Card(CardStatus::Active) => None,
        })
    }

    /// Since when the reason has stopped the account that it stops at a moment, and the post of a freeze.
    fn stopped_since(&self, moment: Time, reason: Reason) -> (Time, Option<PostId>) {
        let mut standing = Standing::default();
        let mut since = None;
        for entry in self.links.iter().take_while(|entry| entry.at <= moment) {
            standing.apply(&entry.change);
            let post = if let LinkChange::Freeze(post) = entry.change { Some(post) } else { None };
            since = since.or(Some((entry.at, post))).filter(|_| standing.stopped_by() == Some(reason));
        }
        since.unwrap_or((moment, None))
    }

    /// Adds a change to the history; `false` if it stands there already (a redelivery) or belongs to what was forgotten
    /// up to the horizon.
    pub fn record_link(&mut self, message: LinkMessage, horizon: Option<Time>) -> bool {
        if self.links.contains(&message) {
            return false;
        }
        let base = horizon.and_then(|horizon| self.links_base(horizon));
        if base.is_some_and(|base| message.at < self.links[base].at) {
            return false;
        }
        let place = self.links.partition_point(|entry| entry.at <= message.at);
        self.links.insert(place, message);
        true
    }

    /// Up to when the history of links matters to nothing that may yet be read: nothing older can be ordered any more,
    /// and what is open is judged by the link as of its order, however long it has been open.
    pub fn horizon(&self, mark: Time, rules: &Rules) -> Time {
        let ordered = self.purchases.iter().filter(|p| p.state.is_open()).map(|p| p.ordered_at);
        ordered.fold(mark.before(rules.windows.buy_max_age), Time::min)
    }

    /// The last change up to the horizon that makes all of earlier times history.
    pub fn links_base(&self, horizon: Time) -> Option<usize> {
        self.links.iter().rposition(|entry| entry.at <= horizon && entry.change.is_full())
    }

    /// When the last such change will make history of what was before it; not before what is open has ended, for that
    /// is judged by the link as of its order.
    fn links_tidied_at(&self, rules: &Rules) -> Option<Time> {
        let base = self.links.iter().rposition(|entry| entry.change.is_full())?;
        let is_tidy = self.links[0].at == self.links[base].at;
        (!is_tidy && !self.has_open()).then(|| self.links[base].at.after(rules.windows.buy_max_age))
    }

    fn has_open(&self) -> bool {
        self.purchases.iter().any(|purchase| purchase.state.is_open())
    }

    /// When a purchase may be forgotten. Not while another one waits that its confirm could pay if it came again.
    fn forget_at(&self, purchase: &Purchase, rules: &Rules) -> Option<Time> {
        let waits = |other: &Purchase| other.state.waits() && other.terms.confirm == purchase.terms.confirm;
        let is_needed = purchase.confirm.is_some() && self.purchases.iter().any(waits);
        purchase.forget_at(rules).filter(|_| !is_needed)
    }

    /// When the links of who has unlinked are forgotten, whatever was told of his card since; not before what is open
    /// has ended. Of who was never linked a card's status stays: the link that it holds against may be read yet.
    pub fn links_gone_at(&self, rules: &Rules) -> Option<Time> {
        if self.has_open() {
            return None;
        }
        let full = self.links.iter().rfind(|entry| entry.change.is_full())?;
        let last = self.links.last()?;
        matches!(full.change, LinkChange::Unlink).then(|| last.at.after(rules.windows.forget_after))
    }

    /// Forgets the purchases that the watermark allows to.
    pub fn forget_purchases(&mut self, mark: Time, rules: &Rules) {
        let may_go = |p: &&Purchase| self.forget_at(p, rules).is_some_and(|at| at.is_passed_by(mark));
        let gone: Vec<PurchaseId> = self.purchases.iter().filter(may_go).map(|p| p.id).collect();
        self.purchases.retain(|p| !gone.contains(&p.id));
    }

    /// Bytes kept for what opened nothing (early records, refused buys, waiting messages), by a fixed estimate per
    /// record.
    pub fn kept_bytes(&self) -> usize {
        const PER_RECORD_BYTES: usize = 160;
        let Some(extras) = self.extras.as_deref() else { return 0 };
        let records = extras.refused.len()
            + extras.told_not_linked.len()
            + extras.told_nothing_to_confirm.len()
            + extras.confirms.len()
            + extras.cancels.len()
            + extras.deletions.len()
            + 2 * extras.queue.len();
        records * PER_RECORD_BYTES
    }

    /// Purchases that wait plus records kept early: what `limits.pending_per_account` bounds. What can confirm nothing,
    /// or was told already, is no early confirm.
    pub fn pending(&self) -> usize {
        let Some(extras) = self.extras.as_deref() else { return self.waiting() };
        let confirms = extras.confirms.iter().filter(|kept| !kept.told && !matches!(kept.how, ConfirmForm::Never(_)));
        let hit = |deleted: &DeletedPost| self.purchases.iter().any(|purchase| purchase.is_ordered_by(deleted.post));
        let early = extras.deletions.iter().filter(|deleted| !hit(deleted));
        self.waiting() + confirms.count() + extras.cancels.len() + early.count()
    }

    /// Purchases that wait.
    pub fn waiting(&self) -> usize {
        self.purchases.iter().filter(|purchase| purchase.state.waits()).count()
    }

    /// Whether a confirm is kept however far the watermark goes.
    pub fn keeps_on(&self, kept: &KeptConfirm) -> bool {
        self.waits_in_line(kept) || planted::is(Bug::EarlyConfirmKept)
    }

    /// Whether a kept confirm speaks of a purchase that waits in line: its prompt may be decided by something earlier
    /// than the confirm, and told later.
    pub fn waits_in_line(&self, kept: &KeptConfirm) -> bool {
        let in_line = self.purchases.iter().filter(|purchase| purchase.state == State::Waitlisted);
        in_line.into_iter().any(|purchase| kept.tags.contains(&purchase.terms.confirm))
    }

    /// When a purchase ends by itself once the watermark has passed it. One in line does not: its turn may have come
    /// before what stops it, and be told later.
    pub fn ends_at(&self, purchase: &Purchase, rules: &Rules) -> Option<Time> {
        let stop = self.stop_ahead(purchase).filter(|_| purchase.state == State::Prompted).map(|(at, ..)| at);
        purchase.window_ends_at(rules).into_iter().chain(stop).min()
    }

    /// When this account next wants to hear of the watermark passing; `None` while stock is asked or nothing is due.
    pub fn next_wake(&self, rules: &Rules) -> Option<Time> {
        if self.is_asking() {
            return None;
        }
        let purchases = self.purchases.iter();
        let purchases = purchases.filter_map(|p| self.ends_at(p, rules).or_else(|| self.forget_at(p, rules)));
        let extras = self.extras.iter().flat_map(|extras| extras.wakes(rules));
        let confirms = self.extras.iter().flat_map(|extras| &extras.confirms);
        let confirms = confirms.filter(|kept| !self.keeps_on(kept)).map(|kept| kept.time);
        let unlinked = self.links_gone_at(rules);
        purchases.chain(extras).chain(confirms).chain(unlinked).chain(self.links_tidied_at(rules)).min()
    }
}

impl Extras {
    fn is_empty(&self) -> bool {
        self.refused.is_empty()
            && self.told_not_linked.is_empty()
            && self.told_nothing_to_confirm.is_empty()
            && self.confirms.is_empty()
            && self.cancels.is_empty()
            && self.deletions.is_empty()
            && self.asking.is_empty()
            && self.queue.is_empty()
            && self.past_handle.is_none()
            && self.courtesy.1 == 0
    }

    fn wakes(&self, rules: &Rules) -> impl Iterator<Item = Time> {
        let cancels = self.cancels.iter().map(|kept| kept.time);
        let deletions = self.deletions.iter().map(|kept| kept.time);
        let refused = self.refused.iter().map(|kept| kept.forget_at(rules));
        let answered = self.told_nothing_to_confirm.iter().map(|(_, at)| rules.edits_are_stale_at(*at));
        let forget_after = rules.windows.forget_after;
        let told = self.told_not_linked.iter().map(move |(_, at)| at.after(forget_after));
        let hour = (self.courtesy.1 > 0).then(|| Time((self.courtesy.0 + 1).saturating_mul(HOUR.0)));
        cancels.chain(deletions).chain(refused).chain(answered).chain(told).chain(hour)
    }
}

/// The span by which `limits.replies_per_hour` counts.
pub const HOUR: Span = Span(3_600_000);

impl Standing {
    /// Why whoever stands so can buy nothing.
    fn stopped_by(&self) -> Option<Reason> {
        match self {
            Standing { link: None, .. } => Some(Reason::Unlinked),
            Standing { frozen: true, .. } => Some(Reason::Frozen),
            Standing { card, .. } => (*card != Some(CardStatus::Active)).then_some(Reason::CardNotActive),
        }
    }

    fn apply(&mut self, change: &LinkChange) {
        match change {
            LinkChange::Link(link) => {
                *self = Standing { link: Some(link.clone()), card: Some(CardStatus::Active), frozen: false }
            }
            LinkChange::Unlink => *self = Standing::default(),
            LinkChange::Card(status) => self.card = Some(*status),
            LinkChange::Freeze(_) => self.frozen = true,
        }
    }
}

impl Refused {
    pub fn forget_at(&self, rules: &Rules) -> Time {
        rules.edits_are_stale_at(self.at)
    }
}

impl Purchase {
    /// Whether this post ordered it: by its first id, or as the version that ordered.
    pub fn is_ordered_by(&self, post: PostId) -> bool {
        post == self.order_post || post == self.order_version
    }

    /// Whether its state has an end that no message brings.
    pub fn ends_by_itself(&self) -> bool {
        matches!(self.state, State::Prompted | State::Authorized)
    }

    /// When its window ends: to confirm, or to cancel what was paid.
    pub fn window_ends_at(&self, rules: &Rules) -> Option<Time> {
        let deadline = self.deadline.filter(|_| self.ends_by_itself())?;
        let untold = rules.windows.feedback_required && self.state == State::Prompted && self.prompt_post.is_none();
        Some(if untold { deadline.max(self.window_from.after(rules.windows.feedback_timeout)) } else { deadline })
    }

    /// When an ended purchase may be forgotten: no redelivered buy, confirm or daily limit can concern it any more, and
    /// what became of its replies is known, also where a clock that was ahead made its deadline late. One that
    /// succeeded counts towards `per_account` for as long as its offer is open, also where it was extended meanwhile.
    pub fn forget_at(&self, rules: &Rules) -> Option<Time> {
        if self.state.is_open() {
            return None;
        }
        let until = self.ordered_at.max(self.window_from).max(self.deadline.unwrap_or(self.ordered_at));
        let settled = until.after(rules.windows.buy_max_age).after(Span::DAY);
        if self.state.succeeded() {
            self.terms.closes.map(|closes| closes.after(rules.windows.forget_after).max(settled))
        } else {
            Some(settled)
        }
    }
}
