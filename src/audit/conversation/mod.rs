//! The rules of the conversation once more, independent of the program that is judged: what the records of
//! `accounts.inbox` must come to, against what came of them.
//!
//! It is written from the rules alone and shares no code with the stages: plain values, no undo, no restore. It reads
//! the inbox record by record and predicts every transition, payment, order, void, reply, e-mail and request for stock
//! of each account, in order. What is said beside that, or said otherwise, or not said at all, is a violation.
//!
//! - `account`: how a message is judged. `orders`: buys. `life`: from the prompt to the end. `kept`: what is kept for
//!   what is read later.
//! - `standing`: links, cards, freezes. `watermark`: how far event time has come.
//! - `said`, `telling`: predictions.

mod account;
mod kept;
mod life;
mod orders;
mod purchase;
mod said;
mod standing;
mod telling;
#[cfg(test)]
mod tests;
mod watermark;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use crate::audit::{Found, Invariant, Rules, Violation};
use crate::domain::ids::parse_id;
use crate::domain::{
    AccountId, AccountMessage, InboxRecord, PostForm, PostId, PurchaseId, Reason, State, StockRequest, Time,
};
use crate::wire::uuids;

use account::{Account, Now};
use said::{Expected, Said, Topic};
use watermark::Progress;

/// All accounts of all partitions.
#[derive(Debug)]
pub struct Conversations {
    rules: Rules,
    partitions: BTreeMap<u32, Partition>,
    expected: BTreeMap<AccountId, BTreeMap<Topic, VecDeque<Due>>>,
    /// Whose predictions each record of the inbox caused, if transactions are followed.
    causes: Option<BTreeMap<Cause, BTreeSet<AccountId>>>,
    /// Whose purchase it is, for records that don't tell.
    owners: BTreeMap<PurchaseId, AccountId>,
    /// Purchases that were seen paid.
    paid: BTreeSet<PurchaseId>,
    /// Rejected confirms that were told of other purchases than predicted.
    told: BTreeSet<(PurchaseId, PostId)>,
    order: ExpiryOrder,
    violations: Vec<Violation>,
}

/// A partition of the inbox, and an offset.
type Cause = (u32, u64);

#[derive(Debug)]
struct Due {
    cause: Cause,
    expected: Expected,
}

/// Deadlines that the watermark passes are judged in (deadline, account) order: of one partition of the inbox, expiries
/// come in that order wherever they are told.
#[derive(Debug, Default)]
struct ExpiryOrder {
    /// Those that are to be told: the inbox's partition, and the place.
    due: BTreeMap<PurchaseId, (u32, Place)>,
    ticks: u64,
    /// By inbox partition and partition of the events: the place of the last that was told.
    told: BTreeMap<(u32, u32), Place>,
}

/// The tick that passed a deadline, the deadline, and whose it is.
type Place = (u64, Time, AccountId);

#[derive(Debug, Default)]
struct Partition {
    progress: Progress,
    accounts: BTreeMap<AccountId, Account>,
    /// When the watermark's passing changes something for an account. An entry may be out of date: then nothing does.
    dues: BTreeSet<(Time, AccountId)>,
}

impl Conversations {
    pub fn new(rules: Rules) -> Conversations {
        Conversations {
            rules,
            partitions: BTreeMap::new(),
            expected: BTreeMap::new(),
            causes: None,
            owners: BTreeMap::new(),
            paid: BTreeSet::new(),
            told: BTreeSet::new(),
            order: ExpiryOrder::default(),
            violations: Vec::new(),
        }
    }

    /// From here on [`Conversations::consumed`] will be told.
    pub fn follow_transactions(&mut self) {
        self.causes = Some(BTreeMap::new());
    }

    /// Transactions consumed a partition of the inbox up to this offset, and all that they wrote was seen: whatever was
    /// caused before must have been told by then.
    pub fn consumed(&mut self, partition: u32, position: u64) {
        let Some(causes) = &mut self.causes else { return };
        let mut accounts = BTreeSet::new();
        while let Some(entry) = causes.range((partition, 0)..(partition, position)).next().map(|(cause, _)| *cause) {
            accounts.extend(causes.remove(&entry).unwrap_or_default());
        }
        for account in accounts {
            let mut missing = Vec::new();
            for queue in self.expected.get_mut(&account).into_iter().flat_map(BTreeMap::values_mut) {
                let is_late = |due: &Due| due.cause.0 == partition && due.cause.1 < position && !due.expected.optional;
                while let Some(place) = queue.iter().position(is_late) {
                    missing.extend(queue.remove(place));
                }
            }
            self.violations.extend(missing.iter().map(|due| missing_of(account, &due.expected)));
        }
    }

    /// Reads a committed record of `accounts.inbox`; those of a partition in order, and each before what it caused.
    pub fn inbox(&mut self, partition: u32, offset: u64, record: &InboxRecord) {
        let cause = (partition, offset);
        match record {
            InboxRecord::To(account, message) => self.message(cause, *account, message),
            InboxRecord::Deletions(network, posts) => {
                for (user, deleted) in posts {
                    let account = AccountId { network: *network, user: *user };
                    // Most are strangers', who would fill the memory.
                    let known = self.partitions.get(&partition).is_some_and(|own| own.accounts.contains_key(&account));
                    if known {
                        self.message(cause, account, &AccountMessage::Deleted(*deleted));
                    }
                }
            }
            InboxRecord::Tick(tick) => {
                let watermark = self.partitions.entry(partition).or_default().progress.tick(tick);
                self.pass(cause, watermark);
            }
        }
    }

    /// Compares a committed record of an output topic (its name without prefix) with what must come next.
    pub fn output(&mut self, topic: &str, partition: u32, value: &Value, ce_time: Option<&str>) {
        let Some(topic) = Topic::of(topic, value) else { return };
        let purchase = value["purchase"].as_str();
        let account = match (value["account"].as_str(), topic) {
            (None, Topic::Orders) => purchase.and_then(uuids::parse).and_then(|id| self.owners.get(&id).copied()),
            // The offer's own tweet is to nobody.
            (None, Topic::Replies) => return,
            (account, _) => account.and_then(AccountId::parse),
        };
        let id = purchase.and_then(uuids::parse);
        if topic == Topic::Events
            && let Some(expired) = id.filter(|_| value["to"] == State::Expired.name())
            && !self.order.tell(partition, expired)
        {
            let what = "expired after one whose deadline, or account, comes later".to_owned();
            self.violate(Invariant::I5, account, purchase.map(str::to_owned), what);
        }
        let twice = topic == Topic::Payments && id.is_some_and(|id| !self.paid.insert(id));
        let Err(what) = self.take(account, topic, id, None, |expected| expected.differs(value, ce_time)) else {
            return;
        };
        if topic == Topic::Rejections && self.is_open(account, id, value) {
            return;
        }
        let invariant = match topic {
            Topic::Payments if twice => Invariant::I2,
            Topic::Payments => Invariant::I3,
            Topic::Orders => Invariant::I1,
            _ => Invariant::I5,
        };
        let got = format!("{topic:?}: {what}; got {}", without_card(value));
        self.violate(invariant, account, purchase.map(str::to_owned), got);
    }

    /// Compares what was asked of the offers stage (`offers.inbox`) with what must be asked next.
    pub fn stock_request(&mut self, request: &StockRequest, offer: &str) {
        let differs = |expected: &Expected| expected.differs_from_request(request, offer);
        let taken = self.take(Some(request.account), Topic::Stock, Some(request.purchase), Some(offer), differs);
        if let Err(what) = taken {
            let what = format!("Stock: {what}; got {request:?} for {offer}");
            self.violate(Invariant::I4, Some(request.account), Some(request.purchase.to_string()), what);
        }
    }

    /// Nothing is to come any more: what was due and is missing is a violation, unless the record of the inbox that
    /// causes it (partition, offset) is still open. Gives how many of those there are.
    pub fn at_rest(&mut self, is_open: &dyn Fn(u32, u64) -> bool, found: &mut Found) -> u64 {
        let mut open = 0;
        for (account, topics) in std::mem::take(&mut self.expected) {
            for due in topics.into_values().flatten().filter(|due| !due.expected.optional) {
                if is_open(due.cause.0, due.cause.1) {
                    open += 1;
                } else {
                    found.extend([missing_of(account, &due.expected)]);
                }
            }
        }
        open
    }

    pub fn take_violations(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }

    fn message(&mut self, cause: Cause, id: AccountId, message: &AccountMessage) {
        let Partition { progress, accounts, dues } = self.partitions.entry(cause.0).or_default();
        let now = Now { rules: &self.rules, watermark: progress.value(), clock: progress.clock };
        let account = accounts.entry(id).or_insert_with(|| Account::new(id));
        account.read(message, now);
        dues.extend(account.next_due(&self.rules).map(|due| (due, id)));
        let said = std::mem::take(&mut account.out);
        self.predict(cause, id, said);
    }

    fn pass(&mut self, cause: Cause, watermark: Option<Time>) {
        let Some(watermark) = watermark else { return };
        self.order.ticks += 1;
        loop {
            let Partition { progress, accounts, dues } = self.partitions.entry(cause.0).or_default();
            let Some((due, id)) = dues.first().copied().filter(|(due, _)| *due < watermark) else { break };
            dues.remove(&(due, id));
            let Some(account) = accounts.get_mut(&id) else { continue };
            let now = Now { rules: &self.rules, watermark: Some(watermark), clock: progress.clock };
            account.proceed(now);
            dues.extend(account.next_due(&self.rules).map(|due| (due, id)));
            let said = std::mem::take(&mut account.out);
            self.order.expect(cause.0, id, &said);
            self.predict(cause, id, said);
        }
    }

    fn predict(&mut self, cause: Cause, id: AccountId, said: Vec<Expected>) {
        if let Some(causes) = self.causes.as_mut().filter(|_| !said.is_empty()) {
            causes.entry(cause).or_default().insert(id);
        }
        for expected in said {
            if let (Said::Event { from: None, to: State::Ordered, .. }, Some(purchase)) =
                (&expected.said, expected.purchase)
            {
                self.owners.insert(purchase, id);
            }
            let topics = self.expected.entry(id).or_default();
            topics.entry(expected.said.topic()).or_default().push_back(Due { cause, expected });
        }
    }

    /// Takes the prediction that a record fulfils. If it isn't the next one but a later one, those before are missing.
    fn take(
        &mut self,
        account: Option<AccountId>,
        topic: Topic,
        purchase: Option<PurchaseId>,
        offer: Option<&str>,
        differs: impl Fn(&Expected) -> Option<String>,
    ) -> Result<(), String> {
        let account = account.ok_or_else(|| "nobody's".to_owned())?;
        let nothing = || "nothing was expected".to_owned();
        let queue = self.expected.get_mut(&account).and_then(|t| t.get_mut(&topic)).ok_or_else(nothing)?;
        // Orders to merchants and requests about different offers have keys of their own, so no order among them.
        let comparable = |expected: &Expected| match topic {
            Topic::Orders | Topic::Rejections => expected.purchase == purchase,
            Topic::Stock => expected.offer.as_deref() == offer,
            _ => true,
        };
        let same = |due: &Due| comparable(&due.expected) && differs(&due.expected).is_none();
        let Some(found) = queue.iter().position(same) else {
            // One that is meant for the same purchase is this one's place: it differs.
            let meant = queue.iter().position(|due| comparable(&due.expected) && !due.expected.optional);
            let meant = meant.filter(|index| queue[*index].expected.purchase == purchase);
            let why = meant.and_then(|index| differs(&queue[index].expected)).unwrap_or_else(nothing);
            meant.map(|index| queue.remove(index));
            return Err(why);
        };
        let in_order = topic != Topic::Rejections;
        let before: Vec<usize> = (0..found).filter(|index| in_order && comparable(&queue[*index].expected)).collect();
        queue.remove(found);
        let skipped: Vec<Due> = before.into_iter().rev().filter_map(|index| queue.remove(index)).collect();
        let skipped = skipped.iter().rev().filter(|due| !due.expected.optional);
        self.violations.extend(skipped.map(|due| missing_of(account, &due.expected)));
        Ok(())
    }

    /// Which of several purchases a rejected confirm concerns is left open: another than predicted may be told of,
    /// once, if it is named by the confirm.
    fn is_open(&mut self, account: Option<AccountId>, purchase: Option<PurchaseId>, value: &Value) -> bool {
        let post = value["post"].as_str().and_then(parse_id).map(PostId);
        let (Some(id), Some(purchase), Some(post)) = (account, purchase, post) else { return false };
        let account = self.partitions.values().find_map(|partition| partition.accounts.get(&id));
        let reason = account.and_then(|account| {
            let confirm = account.confirms.get(&post)?;
            let purchase = account.purchases.iter().find(|known| known.id == purchase && confirm.names(known))?;
            // Of a retweet or quote that was dropped it need not be known whether it was of the own prompt.
            let echo = match confirm.form {
                PostForm::Retweet(_) => Some(Reason::Retweet),
                PostForm::Quote(_) => Some(Reason::Quote),
                _ => None,
            };
            Some((confirm.unfit(purchase, id), echo))
        });
        let fits = match (reason, value["reason"].as_str()) {
            (Some((Some(reason), _)), got) => got == Some(reason.name()),
            (Some((None, echo)), got) => {
                let reasons = [Some(Reason::Late), Some(Reason::NoPurchase), echo];
                reasons.into_iter().flatten().any(|reason| got == Some(reason.name()))
            }
            (None, _) => false,
        };
        if fits && let Some(queue) = self.expected.get_mut(&id).and_then(|topics| topics.get_mut(&Topic::Rejections)) {
            let of_post = |said: &Said| matches!(said, Said::Event { post: told, .. } if *told == Some(post));
            let of_post = queue.iter_mut().map(|due| &mut due.expected).filter(|expected| of_post(&expected.said));
            of_post.for_each(|expected| expected.optional = true);
        }
        fits && self.told.insert((purchase, post))
    }

    fn violate(&mut self, invariant: Invariant, account: Option<AccountId>, purchase: Option<String>, what: String) {
        self.violations.push(Violation { invariant, account, purchase, what });
    }
}

fn missing_of(account: AccountId, expected: &Expected) -> Violation {
    let invariant = match expected.said.topic() {
        Topic::Payments | Topic::Orders => Invariant::I1,
        Topic::Stock => Invariant::I4,
        _ => Invariant::I5,
    };
    let purchase = expected.purchase.map(|id| id.to_string());
    Violation { invariant, account: Some(account), purchase, what: format!("missing: {expected:?}") }
}

impl ExpiryOrder {
    fn expect(&mut self, inbox: u32, account: AccountId, said: &[Expected]) {
        for expected in said {
            if let (Said::Event { to: State::Expired, at, .. }, Some(purchase)) = (&expected.said, expected.purchase) {
                self.due.insert(purchase, (inbox, (self.ticks, *at, account)));
            }
        }
    }

    /// Whether it is in order.
    fn tell(&mut self, events: u32, purchase: PurchaseId) -> bool {
        let Some((inbox, place)) = self.due.remove(&purchase) else { return true };
        let last = self.told.entry((inbox, events)).or_insert(place);
        let is_later = place >= *last;
        *last = (*last).max(place);
        is_later
    }
}

/// The end of the window that begins at `from`, as decided now.
fn deadline(from: Time, now: Now<'_>) -> Time {
    let windows = &now.rules.windows;
    let seen = from.after(windows.reply_grace);
    now.clock.map_or(seen, |clock| seen.max(clock)).after(windows.confirm_window)
}

/// A card token stays out of what people read (I11).
fn without_card(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("card");
    }
    value
}
