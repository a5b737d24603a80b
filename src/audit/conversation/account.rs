//! One account: what is remembered of it, and how its messages are judged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::audit::Rules;
use crate::domain::{
    AccountId, AccountMessage, CardStatus, DeletedPost, LinkChange, LinkMessage, PostForm, PostId, PostIntent,
    PromptFate, PurchaseId, Reason, ReplyKind, State, StockAction, StockAnswer, StockVerdict, Tag, Time, Uuid,
};

use super::kept::{Confirm, Kept, What, is_cancelled_by};
use super::purchase::Purchase;
use super::said::Expected;
use super::standing::{Standing, Stop};

/// What surrounds a message: the settings, and how far time has come when it is judged.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub rules: &'a Rules,
    /// The partition's watermark at this moment.
    pub watermark: Option<Time>,
    /// The wall clock of the last tick on live sources.
    pub clock: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Account {
    pub id: AccountId,
    pub standing: Standing,
    /// All that were ever opened, in the order of reading.
    pub purchases: Vec<Purchase>,
    pub kept: Vec<Kept>,
    /// Buys that opened nothing: the offers of a first id, and by which tags.
    pub refused: BTreeMap<PostId, Vec<(String, Tag)>>,
    /// Offers about which `not_linked` was told.
    pub not_linked: BTreeSet<String>,
    /// First ids of posts that were answered `nothing_to_confirm`.
    pub nothing_told: BTreeSet<PostId>,
    /// Replies of courtesy by hour of event time.
    pub courtesies: BTreeMap<i64, u32>,
    /// Confirms that paid, by first id and tag.
    pub used: BTreeSet<(PostId, Tag)>,
    /// Purchases whose stock is asked, in the order of asking, and what was answered.
    pub asked: VecDeque<(PurchaseId, Option<StockAnswer>)>,
    /// Messages that wait for an answer about stock, with the watermark that they were read at.
    queue: VecDeque<(AccountMessage, Option<Time>)>,
    /// Every reply by its id, for what the gateway tells of it.
    pub replies: BTreeMap<Uuid, Expected>,
    /// Posts that may confirm, for rejections that are told of another purchase than predicted.
    pub confirms: BTreeMap<PostId, Confirm>,
    /// When the last transition was, which what is said next is about.
    pub told_at: Time,
    /// Predictions since they were last taken.
    pub out: Vec<Expected>,
}

impl Account {
    pub fn new(id: AccountId) -> Account {
        Account {
            id,
            standing: Standing::default(),
            purchases: Vec::new(),
            kept: Vec::new(),
            refused: BTreeMap::new(),
            not_linked: BTreeSet::new(),
            nothing_told: BTreeSet::new(),
            courtesies: BTreeMap::new(),
            used: BTreeSet::new(),
            asked: VecDeque::new(),
            queue: VecDeque::new(),
            replies: BTreeMap::new(),
            confirms: BTreeMap::new(),
            told_at: Time::default(),
            out: Vec::new(),
        }
    }

    /// Reads a message. While stock is asked all but its answers wait, and answers are heard in the order of asking.
    pub fn read(&mut self, message: &AccountMessage, now: Now<'_>) {
        let is_idle = self.queue.is_empty() && !self.asks_for_stock();
        let asked = match message {
            // That a place in line was served is no answer to the asking, and waits its turn behind the answers.
            AccountMessage::Stock(StockAnswer {
                verdict: StockVerdict::Freed { .. } | StockVerdict::Exhausted { .. },
                ..
            }) => None,
            AccountMessage::Stock(answer) => self.asked.iter_mut().find(|(asked, _)| *asked == answer.purchase),
            _ => None,
        };
        match (asked, message) {
            (Some((_, heard)), AccountMessage::Stock(answer)) => *heard = Some(answer.clone()),
            _ if is_idle => {
                self.pass(now);
                self.judge(message, now);
            }
            _ => self.queue.push_back((message.clone(), now.watermark)),
        }
        self.proceed(now);
    }

    /// Judges what waits, each as of the watermark that it was read at, and lets time pass up to now.
    pub fn proceed(&mut self, now: Now<'_>) {
        loop {
            while let Some((_, Some(answer))) = self.asked.front().cloned() {
                self.asked.pop_front();
                self.answered(&answer, now);
            }
            if self.asks_for_stock() {
                return;
            }
            let Some((message, watermark)) = self.queue.pop_front() else { break };
            let then = Now { watermark, ..now };
            self.pass(then);
            self.judge(&message, then);
        }
        self.pass(now);
    }

    /// The next moment at which the watermark's passing changes something.
    pub fn next_due(&self, rules: &Rules) -> Option<Time> {
        if self.asks_for_stock() {
            return None;
        }
        let purchases = (0..self.purchases.len()).filter_map(|index| self.due(index, rules));
        let kept = self.kept.iter().filter(|kept| !self.is_held_by_the_line(kept)).map(|kept| kept.time);
        purchases.chain(kept).min()
    }

    fn asks_for_stock(&self) -> bool {
        !self.asked.is_empty()
    }

    /// What the watermark has passed, in order of time: deadlines, and confirms that were kept for nothing.
    fn pass(&mut self, now: Now<'_>) {
        let Some(watermark) = now.watermark else { return };
        loop {
            let due = |index: usize| self.due(index, now.rules).map(|time| (time, index));
            let next = (0..self.purchases.len()).filter_map(due).filter(|(time, _)| *time < watermark).min();
            let dropped = self.next_dropped(watermark);
            match (next, dropped) {
                (Some((time, index)), kept) if kept.as_ref().is_none_or(|kept| time <= kept.time) => {
                    self.end_by_time(index, time, now);
                }
                (_, Some(kept)) => self.drop_kept(&kept, now),
                (_, None) => break,
            }
        }
    }

    fn end_by_time(&mut self, index: usize, time: Time, now: Now<'_>) {
        match (self.stopped_by(index, time), self.purchases[index].state) {
            (Some(stop), _) => self.end(index, stop, now),
            (None, State::Prompted) => self.expire(index, time),
            (None, _) => self.fulfil(index, time, true),
        }
    }

    /// What was stopped by a moment ends, or did so before by its deadline.
    pub fn end_what_was_stopped_by(&mut self, moment: Time, now: Now<'_>) {
        for index in 0..self.purchases.len() {
            match (self.stopped_by(index, moment), self.due(index, now.rules)) {
                (Some(_), Some(time)) => self.end_by_time(index, time, now),
                (Some(stop), None) => self.end(index, stop, now),
                (None, _) => {}
            }
        }
    }

    /// The moment that the watermark must pass for the next thing to happen to a purchase by itself. In line it waits
    /// for its turn, whatever the time.
    fn due(&self, index: usize, rules: &Rules) -> Option<Time> {
        let prompted = self.purchases[index].state == State::Prompted;
        let stop = self.stop_ahead(index).filter(|_| prompted).map(|stop| stop.time);
        self.purchases[index].due(rules).into_iter().chain(stop).min()
    }

    fn next_dropped(&self, watermark: Time) -> Option<Kept> {
        let passed = |kept: &&Kept| kept.time < watermark && !self.is_held_by_the_line(kept);
        self.kept.iter().filter(passed).min_by_key(|kept| (kept.time, kept.post)).cloned()
    }

    /// A confirm that came to nothing is told where it concerns a purchase.
    fn drop_kept(&mut self, kept: &Kept, now: Now<'_>) {
        self.kept.retain(|other| !other.is_same(kept));
        if let What::Confirm(confirm) = &kept.what
            && !kept.told
        {
            self.tell_no_purchase(confirm, now);
        }
    }

    /// What frees the unit of a waitlisted purchase may be earlier than a confirm and be told later.
    pub fn is_held_by_the_line(&self, kept: &Kept) -> bool {
        let What::Confirm(confirm) = &kept.what else { return false };
        self.purchases.iter().any(|p| p.state == State::Waitlisted && confirm.names(p))
    }

    fn judge(&mut self, message: &AccountMessage, now: Now<'_>) {
        match message {
            AccountMessage::Post(intent) => self.post(intent, now),
            AccountMessage::Link(link) => self.link(link, now),
            AccountMessage::Posted(fate) => self.posted(fate, now),
            AccountMessage::Deleted(deleted) => self.deleted(*deleted, now),
            AccountMessage::Stock(answer) => self.answered(answer, now),
        }
    }

    fn post(&mut self, intent: &PostIntent, now: Now<'_>) {
        if intent.freeze {
            self.freeze(intent, now);
        }
        self.cancel(intent, now);
        for confirm in Confirm::all_of(intent) {
            self.confirm(confirm, now);
        }
        for terms in &intent.orders {
            self.order(intent, terms, now);
        }
    }

    fn link(&mut self, message: &LinkMessage, now: Now<'_>) {
        if !self.standing.learn(message.at, &message.change) {
            return;
        }
        let stops = match message.change {
            LinkChange::Unlink => true,
            LinkChange::Card(status) => status != CardStatus::Active,
            LinkChange::Link(_) | LinkChange::Freeze(_) => false,
        };
        if stops {
            self.stop_what_waits(message.at, now);
        }
    }

    fn freeze(&mut self, intent: &PostIntent, now: Now<'_>) {
        let linked = self.standing.link_at(intent.time).is_some();
        if !linked || self.standing.knows_freeze(intent.id) {
            return;
        }
        self.standing.learn(intent.time, &LinkChange::Freeze(intent.id));
        self.tell_frozen(intent, now);
        self.stop_what_waits(intent.time, now);
    }

    /// By a change that was just read, if it is the first that stops a purchase.
    fn stop_what_waits(&mut self, at: Time, now: Now<'_>) {
        for index in 0..self.purchases.len() {
            let purchase = &self.purchases[index];
            if !purchase.waits() {
                continue;
            }
            let first = self.standing.stop_from(purchase.ordered_at);
            if let Some(stop) = first.filter(|stop| stop.time == at) {
                self.end(index, stop, now);
            }
        }
    }

    fn posted(&mut self, fate: &PromptFate, now: Now<'_>) {
        let Some(told) = self.replies.get(&fate.reply).cloned() else { return };
        let index = self.purchases.iter().position(|purchase| Some(purchase.id) == told.purchase);
        let prompt = told.is_reply(ReplyKind::Prompt);
        match (&fate.outcome, index) {
            // Only what is told first counts.
            (_, Some(index)) if prompt && self.purchases[index].prompt_post.is_some() => {}
            (Ok(post), Some(index)) if prompt => {
                let purchase = &mut self.purchases[index];
                purchase.prompt_post = Some(*post);
                purchase.fate_told = true;
                if purchase.state == State::Prompted {
                    let told = fate.at.after(now.rules.windows.confirm_window);
                    purchase.deadline = purchase.deadline.max(told);
                    self.judge_kept(index, now);
                }
            }
            (Err(_), Some(index)) if prompt => self.prompt_failed(index, fate.at),
            (Err(_), _) => self.tell_directly(&told, index, fate.at, now),
            (Ok(_), _) => {}
        }
    }

    fn deleted(&mut self, deleted: DeletedPost, now: Now<'_>) {
        // What is older can't be ordered any more.
        let open = |purchase: &Purchase| purchase.waits() || purchase.state == State::Authorized;
        let oldest = now.watermark.map_or(Time(i64::MIN), |watermark| watermark.before(now.rules.windows.buy_max_age));
        if !self.standing.was_linked_since(oldest) && !self.purchases.iter().any(open) {
            return;
        }
        let what = What::Deleted(deleted.post);
        self.stop_by(Kept { time: deleted.time, post: deleted.post, first: deleted.post, told: false, what }, now);
    }

    fn cancel(&mut self, intent: &PostIntent, now: Now<'_>) {
        let own = !matches!(intent.form, PostForm::Retweet(_));
        if !own || intent.buys || (intent.cancel_tags.is_empty() && !intent.cancel_word) {
            return;
        }
        let answers = intent.in_reply_to;
        let answered = self.purchases.iter().find(|p| answers.is_some() && p.prompt_post == answers);
        let answered = answered.filter(|purchase| is_cancelled_by(&intent.cancel_tags, purchase));
        let answered = answered.map(|purchase| (purchase.id, purchase.terms.cancel.clone()));
        let what = What::Cancel { tags: intent.cancel_tags.clone(), answered };
        self.stop_by(Kept { time: intent.time, post: intent.id, first: intent.first_id, told: false, what }, now);
    }

    /// A cancel or a deletion: ends what it concerns, and is kept for what is read later.
    fn stop_by(&mut self, kept: Kept, now: Now<'_>) {
        for index in 0..self.purchases.len() {
            if kept.stops(&self.purchases[index]) {
                let stop = kept.as_stop();
                match self.purchases[index].state {
                    State::Prompted | State::Waitlisted => self.end(index, stop, now),
                    State::Authorized => self.void(index, &kept),
                    _ => {}
                }
            }
        }
        // One that answers a prompt has found its purchase; a tag of another offer has not.
        let found = match &kept.what {
            What::Cancel { tags, answered: Some((_, own)) } => tags.iter().all(|tag| Some(tag) == own.as_ref()),
            _ => false,
        };
        if !found {
            self.keep(kept, now);
        }
    }

    /// Keeps what may concern a purchase that is read later, once, until the watermark has passed its time.
    pub fn keep(&mut self, kept: Kept, now: Now<'_>) {
        let passed = now.watermark.is_some_and(|watermark| kept.time < watermark);
        let known = self.kept.iter().any(|other| other.is_same(&kept));
        if !known && (!passed || self.is_held_by_the_line(&kept)) {
            self.kept.push(kept);
        }
    }

    fn answered(&mut self, answer: &StockAnswer, now: Now<'_>) {
        let Some(index) = self.purchases.iter().position(|purchase| purchase.id == answer.purchase) else { return };
        let purchase = &self.purchases[index];
        let (state, ordered_at, first) = (purchase.state, purchase.ordered_at, purchase.first);
        match (state, answer.verdict) {
            (State::Ordered, StockVerdict::Held) => self.held(index, first, now),
            (State::Ordered, StockVerdict::Waitlisted) => self.waitlist(index, now),
            (State::Ordered, StockVerdict::SoldOut) => self.sold_out(index, ordered_at, Some(first), now),
            (State::Waitlisted, StockVerdict::Freed { at }) => self.served(index, at.max(ordered_at), now),
            (State::Waitlisted, StockVerdict::Exhausted { at }) => self.sold_out(index, at, None, now),
            _ => {}
        }
    }

    fn held(&mut self, index: usize, first: PostId, now: Now<'_>) {
        match self.earlier_stop(index, now) {
            Some(stop) => self.end(index, stop, now),
            None => self.prompt(index, Some(first), now),
        }
    }

    /// Its turn in line has come, unless its account was stopped by then.
    fn served(&mut self, index: usize, at: Time, now: Now<'_>) {
        self.purchases[index].from = at;
        match self.stopped_by(index, at) {
            Some(stop) => self.end_freeing(index, stop, at, now),
            None => self.prompt(index, None, now),
        }
    }

    /// A change of the account's standing that is later than a purchase and was known before it: the purchase waits
    /// until then.
    pub fn stop_ahead(&self, index: usize) -> Option<Stop> {
        let purchase = &self.purchases[index];
        self.standing.stop_from(purchase.ordered_at).filter(|_| purchase.waits())
    }

    /// The change that stopped the account by a moment.
    pub fn stopped_by(&self, index: usize, moment: Time) -> Option<Stop> {
        self.stop_ahead(index).filter(|stop| stop.time <= moment)
    }

    /// What is known to end a purchase at once. Against a cancel an earlier confirm wins that was kept from before.
    pub fn earlier_stop(&self, index: usize, now: Now<'_>) -> Option<Stop> {
        let stop = self.stop_of(index)?;
        if stop.reason != Reason::CancelledByUser {
            return Some(stop);
        }
        let purchase = &self.purchases[index];
        let deadline = super::deadline(purchase.from, now);
        let stops_at = self.stop_ahead(index).map_or(stop.time, |ahead| ahead.time.min(stop.time));
        let pays = |kept: &Kept| match &kept.what {
            What::Confirm(confirm) => {
                kept.time < stops_at
                    && (purchase.from..=deadline).contains(&kept.time)
                    && confirm.names(purchase)
                    && confirm.unfit(purchase, self.id).is_none()
                    && !self.used.contains(&(kept.first, purchase.terms.confirm.clone()))
            }
            _ => false,
        };
        if self.kept.iter().any(pays) { None } else { Some(stop) }
    }

    /// What was said to stop a purchase: a deletion, else the first cancel.
    pub fn stop_of(&self, index: usize) -> Option<Stop> {
        let purchase = &self.purchases[index];
        let kept = || self.kept.iter().filter(|kept| kept.stops(purchase)).map(Kept::as_stop);
        let deleted = kept().filter(|stop| stop.reason == Reason::Deleted).min_by_key(|stop| stop.time);
        deleted.or_else(|| kept().min_by_key(|stop| stop.time))
    }

    /// Holds are released by whoever held one or stood in line.
    pub fn release(&mut self, index: usize, at: Time) {
        self.ask(index, StockAction::Release, at);
    }

    pub fn refusal_of_confirm(&self, index: usize, confirm: &Confirm) -> Reason {
        let purchase = &self.purchases[index];
        match (confirm.unfit(purchase, self.id), purchase.state) {
            (Some(reason), _) => reason,
            (None, State::Prompted) if self.stopped_by(index, confirm.time.min(purchase.deadline)).is_some() => {
                Reason::NoPurchase
            }
            (None, State::Prompted | State::Expired) => Reason::Late,
            (None, _) => Reason::NoPurchase,
        }
    }
}
