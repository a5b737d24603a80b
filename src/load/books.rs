//! What came out, kept from the output topics, and how it compares with the truth.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;

use super::behaviour::Behaviour;
use super::goods::GOODS;
use super::truth::{Line, Truth};
use crate::domain::{AccountId, Reason, State};

/// A purchase as its events tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub user: u64,
    /// Place in [`GOODS`].
    pub offer: usize,
    /// The post of its first event; zero while that was not read.
    pub order_post: u64,
    pub state: Option<State>,
    pub reason: Option<Reason>,
    pub prompted: bool,
    pub payments: u32,
    pub orders: u32,
    pub confirm_post: u64,
}

#[derive(Default)]
pub struct Books {
    purchases: HashMap<u128, Told>,
    dead_letters: u64,
    /// Records that were read, so that whoever waits sees whether anything still comes.
    read: u64,
}

/// How a load came out.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// By behaviour: conversations, and how many of them came out as they must.
    pub rows: BTreeMap<Behaviour, (u64, u64)>,
    pub prompted: u64,
    pub paid: u64,
    /// The first deviations, in words, and how many there are in all.
    pub deviations: Vec<String>,
    pub deviations_count: u64,
}

/// A payment's posts.
pub struct Paid {
    pub order_post: u64,
    pub confirm_post: u64,
}

/// Deviations that are told in words.
const DEVIATIONS_TOLD_MAX: usize = 20;

#[derive(Deserialize)]
struct EventRecord<'a> {
    purchase: &'a str,
    account: &'a str,
    offer: &'a str,
    from: Option<&'a str>,
    to: &'a str,
    reason: Option<&'a str>,
    post: Option<&'a str>,
}

#[derive(Deserialize)]
struct PaymentRecord<'a> {
    purchase: &'a str,
    account: &'a str,
    offer: &'a str,
    order_post: &'a str,
    confirm_post: &'a str,
}

#[derive(Deserialize)]
struct OrderRecord<'a> {
    purchase: &'a str,
}

impl Books {
    /// Takes a record of `purchases.events`, if it is about one of our offers.
    pub fn event(&mut self, value: &[u8]) {
        self.read += 1;
        let Ok(event) = serde_json::from_slice::<EventRecord<'_>>(value) else { return };
        let Some(offer) = place(event.offer) else { return };
        let told = self.purchases.entry(key(event.purchase)).or_default();
        (told.user, told.offer) = (user(event.account), offer);
        if event.from.is_none() {
            told.order_post = event.post.and_then(|post| post.parse().ok()).unwrap_or(0);
        }
        if event.from != Some(event.to) {
            told.state = State::ALL.into_iter().find(|state| state.name() == event.to);
            told.reason = event.reason.and_then(|name| Reason::ALL.into_iter().find(|reason| reason.name() == name));
            told.prompted |= told.state == Some(State::Prompted);
        }
    }

    /// Takes a record of `payments.authorized`; gives its posts, if it is about one of our offers.
    pub fn payment(&mut self, value: &[u8]) -> Option<Paid> {
        self.read += 1;
        let payment: PaymentRecord<'_> = serde_json::from_slice(value).ok()?;
        let offer = place(payment.offer)?;
        let told = self.purchases.entry(key(payment.purchase)).or_default();
        (told.user, told.offer) = (user(payment.account), offer);
        told.payments += 1;
        told.confirm_post = payment.confirm_post.parse().ok()?;
        Some(Paid { order_post: payment.order_post.parse().ok()?, confirm_post: told.confirm_post })
    }

    /// Takes a record of `fulfilment.orders`.
    pub fn order(&mut self, value: &[u8]) {
        self.read += 1;
        if let Ok(order) = serde_json::from_slice::<OrderRecord<'_>>(value) {
            self.purchases.entry(key(order.purchase)).or_default().orders += 1;
        }
    }

    pub fn dead_letter(&mut self) {
        self.read += 1;
        self.dead_letters += 1;
    }

    /// Records that were read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Holds what came against what must come. `users` are the first of ours, and how many: what others left in the log
    /// is not judged.
    pub fn judge(&self, truth: &Truth, users: (u64, u64)) -> Judgement {
        let ours = |told: &&Told| told.user.checked_sub(users.0).is_some_and(|number| number < users.1);
        let mut unclaimed: HashMap<(u64, usize), &Told> = HashMap::with_capacity(self.purchases.len());
        let mut judgement = Judgement::default();
        for told in self.purchases.values().filter(ours) {
            judgement.prompted += u64::from(told.prompted);
            judgement.paid += u64::from(told.payments > 0);
            if unclaimed.insert((told.order_post, told.offer), told).is_some() {
                judgement.deviate(format!("post {} opened two purchases of one offer", told.order_post));
            }
        }
        for line in &truth.lines {
            let told = unclaimed.remove(&(line.order_post, line.offer));
            let fault = line.fault(told);
            let row = judgement.rows.entry(line.behaviour).or_default();
            row.0 += 1;
            row.1 += u64::from(fault.is_none());
            if let Some(came) = fault {
                judgement.deviate(format!("{line} came to {came}"));
            }
        }
        let mut unasked: Vec<&Told> = unclaimed.into_values().collect();
        unasked.sort_by_key(|told| told.order_post);
        for told in unasked {
            judgement.deviate(format!("user {}, post {}: nobody ordered, yet {told}", told.user, told.order_post));
        }
        if self.dead_letters > 0 {
            judgement.deviate(format!("{} dead letters", self.dead_letters));
        }
        judgement
    }
}

impl Judgement {
    pub fn is_complete(&self) -> bool {
        self.deviations_count == 0
    }

    fn deviate(&mut self, what: String) {
        self.deviations_count += 1;
        if self.deviations.len() < DEVIATIONS_TOLD_MAX {
            self.deviations.push(what);
        }
    }
}

impl Line {
    /// What came instead of what must come.
    fn fault(&self, told: Option<&Told>) -> Option<String> {
        let Some(told) = told else {
            return (!self.end.to.is_empty()).then(|| "no purchase at all".to_owned());
        };
        let ended = told.state.is_some_and(|state| self.end.to.contains(&state));
        let why = self.end.reason.is_none() || told.reason == self.end.reason;
        let bought = told.state == Some(State::Fulfilled);
        let once = (told.payments, told.orders) == if bought { (1, 1) } else { (0, 0) };
        let by = !bought || self.confirm_post.is_none_or(|post| post == told.confirm_post);
        let whose = told.user == self.user;
        (!(ended && why && once && by && whose)).then(|| told.to_string())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<&str> = self.end.to.iter().map(|state| state.name()).collect();
        let must = if to.is_empty() { "nothing".to_owned() } else { to.join(" or ") };
        let (user, post, offer) = (self.user, self.order_post, GOODS[self.offer].id);
        write!(f, "user {user}, who {}, post {post}, {offer}: must be {must}", self.behaviour.name())?;
        self.end.reason.map_or(Ok(()), |reason| write!(f, " ({})", reason.name()))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.map_or("no event", State::name))?;
        if let Some(reason) = self.reason {
            write!(f, " ({})", reason.name())?;
        }
        write!(f, ", {} payments, {} orders, confirmed by {}", self.payments, self.orders, self.confirm_post)
    }
}

fn place(offer: &str) -> Option<usize> {
    GOODS.iter().position(|goods| goods.id == offer)
}

/// The user of an account's name; zero, which nobody has, if it is none.
pub fn user(account: &str) -> u64 {
    AccountId::parse(account).map_or(0, |account| account.user)
}

/// A UUID as a number.
fn key(uuid: &str) -> u128 {
    let digits = uuid.bytes().filter_map(|byte| char::from(byte).to_digit(16));
    digits.fold(0, |sum, digit| sum << 4 | u128::from(digit))
}
