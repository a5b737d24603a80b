//! What must come of every conversation, and what came: the demo's own books, kept from the output topics.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::goods::{Goods, SCARCE_UNITS};
use super::script::{Behaviour, End, Outcome};
use crate::domain::AccountId;
use crate::posts::post::Post;

/// A shopper as the books name him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// `network:user_id`
    pub account: String,
    pub user: u64,
    pub handle: String,
    pub behaviour: Behaviour,
}

/// Something that did not come as it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// Who talked about what.
    pub conversation: String,
    pub expected: String,
    pub came: String,
}

/// A conversation that a script opened.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub who: Arc<Who>,
    pub goods: Option<Goods>,
    /// First id of the opening post.
    pub post: u64,
    pub expected: Outcome,
}

/// A purchase as `purchases.events` tells it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub account: String,
    pub offer: String,
    /// The post of its first event.
    pub post: String,
    pub state: String,
    pub reason: Option<String>,
    /// Reasons of confirms that were rejected against it.
    pub rejected_confirms: Vec<String>,
    pub payments: Vec<Payment>,
    /// Addresses to ship to.
    pub orders: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub card: String,
    pub minor: i64,
    pub currency: String,
}

#[derive(Default)]
pub struct Ledger {
    conversations: Vec<Conversation>,
    purchases: BTreeMap<String, Told>,
    complaints: Vec<Deviation>,
    replies: BTreeMap<String, u64>,
    direct: u64,
    dead_letters: BTreeMap<String, u64>,
    paid: u64,
    /// Accounts of people who follow no script: what they buy is no deviation.
    players: HashSet<String>,
    /// Counts payments and remembers nothing: a demo that is played has no end at which it would be judged.
    counts_only: bool,
}

/// A conversation with what came of it.
pub struct Judged<'a> {
    pub conversation: &'a Conversation,
    pub as_expected: bool,
}

impl Ledger {
    /// Books that only count payments.
    pub fn counting() -> Ledger {
        Ledger { counts_only: true, ..Ledger::default() }
    }

    /// Notes somebody who follows no script.
    pub fn player(&mut self, account: AccountId) {
        if !self.counts_only {
            self.players.insert(account.to_string());
        }
    }

    /// Notes a conversation that a post opened.
    pub fn expect(&mut self, who: &Arc<Who>, goods: Option<&Goods>, post: &Post, expected: Outcome) {
        if self.counts_only {
            return;
        }
        let goods = goods.cloned();
        self.conversations.push(Conversation { who: who.clone(), goods, post: post.first_id(), expected });
    }

    /// Notes what the network did not show.
    pub fn complain(&mut self, who: &Who, expected: String, came: String) {
        if !self.counts_only {
            self.complaints.push(Deviation { conversation: who.to_string(), expected, came });
        }
    }

    /// Notes something wrong that is no conversation's fault.
    pub fn fault(&mut self, what: &str, expected: &str, came: String) {
        if !self.counts_only {
            self.complaints.push(Deviation { conversation: what.to_owned(), expected: expected.to_owned(), came });
        }
    }

    /// The posts of the conversations after the first so many.
    pub fn posts_since(&self, conversations: usize) -> impl Iterator<Item = u64> {
        self.conversations.iter().skip(conversations).map(|conversation| conversation.post)
    }

    /// Takes a record of an output topic.
    pub fn take(&mut self, topic: &str, record: &Value) {
        self.paid += u64::from(topic == "payments.authorized");
        if self.counts_only {
            return;
        }
        match topic {
            "purchases.events" => self.transition(record),
            "payments.authorized" => {
                let payment = Payment {
                    card: text(record, "card"),
                    minor: record["amount"]["minor"].as_i64().unwrap_or(i64::MIN),
                    currency: text(&record["amount"], "currency"),
                };
                self.purchase(record).payments.push(payment);
            }
            "fulfilment.orders" => {
                let address = text(record, "ship_to");
                self.purchase(record).orders.push(address);
            }
            "replies" => *self.replies.entry(text(record, "kind")).or_default() += 1,
            "messages.direct" => self.direct += 1,
            "dead-letters" => *self.dead_letters.entry(text(record, "reason")).or_default() += 1,
            _ => {}
        }
    }

    pub fn conversations(&self) -> usize {
        self.conversations.len()
    }

    pub fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.purchases.values().flat_map(|told| &told.payments)
    }

    /// Payments so far.
    pub fn paid(&self) -> u64 {
        self.paid
    }

    pub fn orders(&self) -> u64 {
        self.purchases.values().map(|told| told.orders.len() as u64).sum()
    }

    pub fn replies(&self) -> &BTreeMap<String, u64> {
        &self.replies
    }

    pub fn direct_messages(&self) -> u64 {
        self.direct
    }

    /// Holds every conversation against the books. Deviations come in the order of the conversations; then what nobody
    /// asked for, and what the books as a whole have wrong.
    pub fn judge(&self) -> (Vec<Judged<'_>>, Vec<Deviation>) {
        let mut deviations = self.complaints.clone();
        let mut unclaimed: HashMap<[String; 3], (&String, &Told)> = HashMap::new();
        for (id, told) in &self.purchases {
            let key = [told.account.clone(), told.offer.clone(), told.post.clone()];
            if unclaimed.insert(key, (id, told)).is_some() {
                deviations.push(unasked(id, told, "one purchase of one offer by one post"));
            }
        }
        let mut judged = Vec::new();
        for conversation in &self.conversations {
            let told = unclaimed.remove(&conversation.key());
            let deviation = conversation.deviation(told.map(|(_, told)| told));
            judged.push(Judged { conversation, as_expected: deviation.is_none() });
            deviations.extend(deviation);
        }
        let by_script = |(_, told): &(&String, &Told)| !self.players.contains(&told.account);
        let mut unclaimed: Vec<_> = unclaimed.into_values().filter(by_script).collect();
        unclaimed.sort_by_key(|(id, _)| *id);
        deviations.extend(unclaimed.into_iter().map(|(id, told)| unasked(id, told, "nothing: no script buys this")));
        deviations.extend(self.race());
        deviations.extend(self.sums());
        deviations.extend(self.dead_letters.iter().map(|(reason, count)| Deviation {
            conversation: "the stream".to_owned(),
            expected: "no dead letters".to_owned(),
            came: format!("{count} with reason {reason}"),
        }));
        (judged, deviations)
    }

    fn transition(&mut self, record: &Value) {
        let (from, to, reason) = (record["from"].as_str(), text(record, "to"), record["reason"].as_str());
        let told = self.purchase(record);
        if from.is_none() {
            told.post = text(record, "post");
            told.account = text(record, "account");
            told.offer = text(record, "offer");
        }
        if from == Some(to.as_str()) {
            told.rejected_confirms.extend(reason.map(str::to_owned));
        } else {
            told.state = to;
            told.reason = reason.map(str::to_owned);
        }
    }

    fn purchase(&mut self, record: &Value) -> &mut Told {
        self.purchases.entry(text(record, "purchase")).or_default()
    }

    /// Of the scarce offer every unit is sold, and no more, once anybody raced for it.
    fn race(&self) -> Option<Deviation> {
        let race = self.conversations.iter().filter(|c| c.expected == Outcome::PurchasedOrSoldOut);
        let offer = race.filter_map(|c| c.goods.as_ref()).next()?;
        let sold: usize = self.purchases.values().filter(|told| told.offer == offer.id).map(|t| t.payments.len()).sum();
        (sold as u64 != SCARCE_UNITS).then(|| Deviation {
            conversation: format!("the race for #{}", offer.buy_tag),
            expected: format!("{SCARCE_UNITS} units sold"),
            came: format!("{sold} units sold"),
        })
    }

    /// As many payments as orders as authorized conversations.
    fn sums(&self) -> Option<Deviation> {
        let authorized = self.purchases.values().filter(|told| told.is_authorized()).count() as u64;
        let (payments, orders) = (self.payments().count() as u64, self.orders());
        (payments != orders || orders != authorized).then(|| Deviation {
            conversation: "the sums".to_owned(),
            expected: "as many payments as orders as authorized conversations".to_owned(),
            came: format!("{payments} payments, {orders} orders, {authorized} authorized conversations"),
        })
    }
}

impl Conversation {
    /// Account, offer and post, by which a purchase is found. What must come to nothing has no offer, and so finds
    /// none.
    fn key(&self) -> [String; 3] {
        let offer = self.goods.as_ref().map_or(String::new(), |goods| goods.id.clone());
        [self.who.account.clone(), offer, self.post.to_string()]
    }

    /// How what came deviates from what must come, if it does.
    fn deviation(&self, told: Option<&Told>) -> Option<Deviation> {
        let fault = match (self.expected, told) {
            (Outcome::Nothing, None) => None,
            (Outcome::Nothing, Some(told)) => Some(told.to_string()),
            (_, None) => Some("no event at all".to_owned()),
            (Outcome::Purchased, Some(told)) => self.purchase_fault(told),
            (Outcome::PurchasedOrSoldOut, Some(told)) if told.is_authorized() => self.purchase_fault(told),
            (Outcome::PurchasedOrSoldOut, Some(told)) => (told.state != "sold_out").then(|| told.to_string()),
            (Outcome::Ends(end), Some(told)) => (!end.is(told)).then(|| told.to_string()),
        };
        let unpaid = |told: &&Told| told.payments.is_empty() && told.orders.is_empty();
        let fault = match (fault, told) {
            (None, Some(told)) if !told.is_authorized() && !unpaid(&told) => {
                Some(format!("{told}, yet paid or shipped"))
            }
            (fault, _) => fault,
        };
        fault.map(|came| Deviation { conversation: self.to_string(), expected: self.expected.to_string(), came })
    }

    /// One payment of the right amount with the right card, one order to the right address.
    fn purchase_fault(&self, told: &Told) -> Option<String> {
        let goods = self.goods.as_ref()?;
        let due = Payment { card: self.who.card(), minor: goods.minor, currency: goods.currency.code().to_owned() };
        if !told.is_authorized() {
            return Some(told.to_string());
        }
        if told.payments.len() != 1 || told.orders.len() != 1 {
            return Some(format!("{} payments, {} orders", told.payments.len(), told.orders.len()));
        }
        let paid = told.payments.iter().all(|payment| *payment == due);
        let shipped = told.orders.iter().all(|address| *address == self.who.address());
        match (paid, shipped) {
            (false, _) => Some("a payment of another amount or card".to_owned()),
            (_, false) => Some("an order to another address".to_owned()),
            _ => None,
        }
    }
}

impl End {
    fn is(&self, told: &Told) -> bool {
        let named = |reason: &str| told.rejected_confirms.iter().any(|told| told == reason);
        told.state == self.state.name()
            && told.reason.as_deref() == self.reason.map(|reason| reason.name())
            && self.rejected_confirm.is_none_or(|reason| named(reason.name()))
    }
}

impl Told {
    /// Paid for, whether or not it is with the merchant yet.
    pub fn is_authorized(&self) -> bool {
        matches!(self.state.as_str(), "authorized" | "fulfilled")
    }
}

impl Who {
    /// The token of this one's card.
    pub fn card(&self) -> String {
        format!("tok_{:024x}", self.user.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The reference of this one's billing address.
    pub fn address(&self) -> String {
        format!("adr_{}", self.user)
    }
}

fn unasked(id: &str, told: &Told, expected: &str) -> Deviation {
    Deviation {
        conversation: format!("purchase {id} of {} by {}", told.offer, told.account),
        expected: expected.to_owned(),
        came: told.to_string(),
    }
}

fn text(record: &Value, name: &str) -> String {
    record[name].as_str().unwrap_or_default().to_owned()
}
