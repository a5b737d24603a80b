//! The person in front of the page: what they posted, what came of it, and what they see of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::gateway::Seen;
use super::twitter::Twitter;
use crate::config::exponent_of;
use crate::domain::{AccountId, Network, Time};
use crate::posts::json::object;
use crate::posts::people::JOINED_MS;
use crate::posts::post::{Draft, Post, Relation, User};
use crate::wire::time;

/// Ids of the people in front of the page begin here.
const YOU_FROM: u64 = 1_449_000_000_000_000_000;

/// What is remembered of the person, at most: posts, replies, mails and purchases.
const REMEMBERED_MAX: usize = 100;

pub struct You {
    pub user: Arc<User>,
    pub account: AccountId,
    card: Card,
    country: String,
    posts: VecDeque<Said>,
    replies: VecDeque<Value>,
    /// What the service replied publicly, to be retweeted or answered.
    answers: VecDeque<Arc<Post>>,
    mails: VecDeque<Value>,
    /// In order of their first event.
    purchases: VecDeque<Bought>,
    deadlines: BTreeMap<String, Time>,
    /// Since this was last taken.
    changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Card {
    None,
    Active,
    Suspended,
}

/// A post of the person's own.
struct Said {
    post: Arc<Post>,
    deleted: bool,
    /// What the service made of it, in order.
    verdicts: Vec<Value>,
    /// Everything that can come of it by itself has come.
    settled: bool,
}

#[derive(Default)]
struct Bought {
    id: String,
    offer: String,
    state: String,
    events: Vec<Value>,
    payment: Option<Value>,
    ordered: bool,
}

impl You {
    /// The n-th person in front of this page.
    pub fn new(number: u64, network: Network) -> You {
        let handle = if number <= 1 { "you".to_owned() } else { format!("you{number}") };
        let user = User {
            id: YOU_FROM + number * 7919,
            name: "You".to_owned(),
            handle,
            about: String::new(),
            place: None,
            joined: Time(JOINED_MS),
            followers: 12,
            posts: 3,
        };
        You {
            account: AccountId { network, user: user.id },
            user: Arc::new(user),
            card: Card::None,
            country: String::new(),
            posts: VecDeque::new(),
            replies: VecDeque::new(),
            answers: VecDeque::new(),
            mails: VecDeque::new(),
            purchases: VecDeque::new(),
            deadlines: BTreeMap::new(),
            changed: true,
        }
    }

    pub fn link(&mut self, country: &str, now: Time, twitter: &mut Twitter) {
        let account = self.account.to_string();
        let record = object([
            ("type", "link".into()),
            ("account", account.as_str().into()),
            ("card", self.token().into()),
            ("country", country.into()),
            ("handle", self.user.handle.as_str().into()),
            ("email_ref", format!("eml_{}", self.user.id).into()),
            ("billing_ref", format!("adr_{}", self.user.id).into()),
            ("at", time::format(now).into()),
        ]);
        twitter.send("accounts.links", &account, &record);
        country.clone_into(&mut self.country);
        self.has_card(Card::Active);
    }

    pub fn unlink(&mut self, now: Time, twitter: &mut Twitter) {
        self.tell_issuer("unlink", None, now, twitter);
        self.has_card(Card::None);
    }

    pub fn suspend(&mut self, now: Time, twitter: &mut Twitter) {
        self.tell_issuer("card", Some("suspended"), now, twitter);
        self.has_card(Card::Suspended);
    }

    pub fn is_linked(&self) -> bool {
        self.card != Card::None
    }

    /// Publishes as this person.
    pub fn publish(&mut self, draft: Draft, now: Time, twitter: &mut Twitter) -> Arc<Post> {
        let post = twitter.publish(draft, now);
        if let Some(edited) = &post.draft.edit_of {
            let first = edited.first_id();
            self.posts.retain(|said| said.post.first_id() != first || !said.verdicts.is_empty());
        }
        keep(&mut self.posts, Said { post: post.clone(), deleted: false, verdicts: Vec::new(), settled: false });
        self.changed = true;
        post
    }

    pub fn delete(&mut self, id: u64, now: Time, twitter: &mut Twitter) -> bool {
        let Some(said) = self.posts.iter_mut().rfind(|said| said.post.id == id && !said.deleted) else { return false };
        said.deleted = true;
        twitter.delete(id, self.user.id, now);
        self.changed = true;
        true
    }

    /// A post of this person's that still stands.
    pub fn own_post(&self, id: u64) -> Option<&Arc<Post>> {
        self.posts.iter().rfind(|said| said.post.id == id && !said.deleted).map(|said| &said.post)
    }

    /// A record of an output topic.
    pub fn take(&mut self, topic: &str, record: &Value, now: Time) {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let is_mine = record["account"].as_str() == Some(self.account.to_string().as_str());
        match topic {
            "purchases.events" if is_mine => self.transition(record),
            "payments.authorized" if is_mine => {
                let exponent = exponent_of(record["amount"]["currency"].as_str().unwrap_or_default());
                let payment = json!({"amount": record["amount"], "exponent": exponent,
                    "at": record["confirmed_at"], "merchant": record["merchant"], "card_ends": ending(text("card"))});
                self.purchase(text("purchase")).payment = Some(payment);
            }
            // An order tells its merchant neither the account nor the card: it is known by its purchase.
            "fulfilment.orders" => match self.purchases.iter_mut().find(|bought| bought.id == text("purchase")) {
                Some(bought) => bought.ordered = true,
                None => return,
            },
            "notifications.email" if is_mine => {
                keep(&mut self.mails, json!({"kind": record["kind"], "text": record["text"], "at": now.0}));
            }
            "messages.direct" if is_mine => keep(
                &mut self.replies,
                json!({"kind": record["kind"], "offer": record["offer"], "text": record["text"], "at": now.0,
                    "post": null, "purchase": record["purchase"]}),
            ),
            _ => return,
        }
        self.changed = true;
    }

    /// A reply of the service shows in this person's timeline.
    pub fn see(&mut self, seen: &Seen) {
        let Some(post) = &seen.post else { return };
        let reply = json!({"kind": seen.kind, "offer": seen.offer, "text": post.draft.text, "at": seen.at.0,
            "post": post.id.to_string(), "purchase": seen.purchase});
        keep(&mut self.replies, reply);
        keep(&mut self.answers, post.clone());
        self.changed = true;
    }

    /// A reply of the service to this person.
    pub fn prompt(&self, id: u64) -> Option<&Arc<Post>> {
        self.answers.iter().rfind(|post| post.id == id)
    }

    /// Whether something was posted of which it isn't known yet that nothing more comes of it.
    pub fn is_unsettled(&self) -> bool {
        self.posts.iter().any(|said| !said.settled)
    }

    /// The service has consumed everything that was posted, and what came of it was taken.
    pub fn settle(&mut self) {
        self.posts.iter_mut().for_each(|said| said.settled = true);
        self.changed = true;
    }

    pub fn waits(&self) -> bool {
        self.purchases.iter().any(|bought| matches!(bought.state.as_str(), "ordered" | "waitlisted" | "prompted"))
    }

    /// Until when each purchase that waits may be confirmed, by its id.
    pub fn told_deadlines(&mut self, deadlines: Vec<(String, Time)>) {
        let deadlines = deadlines.into_iter().collect();
        self.changed |= self.deadlines != deadlines;
        self.deadlines = deadlines;
    }

    /// The person as the page sees them, if anything changed since the last time.
    pub fn take_changed(&mut self) -> Option<Value> {
        std::mem::take(&mut self.changed).then(|| self.json())
    }

    pub fn json(&self) -> Value {
        let card = match self.card {
            Card::None => Value::Null,
            Card::Active => "active".into(),
            Card::Suspended => "suspended".into(),
        };
        json!({
            "handle": self.user.handle,
            "account": self.account.to_string(),
            "card": card,
            // Never the token itself (I11).
            "card_ends": self.is_linked().then(|| ending(&self.token())),
            "country": self.country,
            "posts": self.posts.iter().map(Said::json).collect::<Vec<_>>(),
            "replies": self.replies,
            "mails": self.mails,
            "purchases": self.purchases.iter().map(|bought| self.bought(bought)).collect::<Vec<_>>(),
        })
    }

    fn bought(&self, bought: &Bought) -> Value {
        json!({
            "id": bought.id,
            "offer": bought.offer,
            "state": bought.state,
            "events": bought.events,
            "payment": bought.payment,
            "ordered": bought.ordered,
            "deadline": self.deadlines.get(&bought.id).map(|Time(ms)| ms),
        })
    }

    fn transition(&mut self, record: &Value) {
        let posted = record["post"].as_str().and_then(|id| id.parse::<u64>().ok());
        let said = self.posts.iter_mut().rfind(|said| posted.is_some_and(|id| said.post.versions.contains(&id)));
        if let Some(said) = said {
            said.verdicts.push(record.clone());
            said.settled = true;
        }
        let bought = self.purchase(record["purchase"].as_str().unwrap_or_default());
        bought.offer = record["offer"].as_str().unwrap_or_default().to_owned();
        bought.state = record["to"].as_str().unwrap_or_default().to_owned();
        if bought.events.len() < REMEMBERED_MAX {
            bought.events.push(record.clone());
        }
    }

    fn purchase(&mut self, id: &str) -> &mut Bought {
        let place = self.purchases.iter().position(|bought| bought.id == id).unwrap_or_else(|| {
            keep(&mut self.purchases, Bought { id: id.to_owned(), ..Bought::default() });
            self.purchases.len() - 1
        });
        &mut self.purchases[place]
    }

    fn has_card(&mut self, card: Card) {
        self.card = card;
        self.changed = true;
    }

    fn tell_issuer(&self, kind: &str, status: Option<&str>, now: Time, twitter: &mut Twitter) {
        let account = self.account.to_string();
        let mut record = object([("type", kind.into()), ("account", account.as_str().into())]);
        record.extend(status.map(|status| ("status", status.into())));
        record.extend([("at", time::format(now).into())]);
        twitter.send("accounts.links", &account, &record);
    }

    /// Made up, as all tokens here.
    fn token(&self) -> String {
        format!("tok_{:024x}", self.user.id.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Said {
    fn json(&self) -> Value {
        let relation = match &self.post.draft.relation {
            Relation::Own => "own",
            Relation::Reply { .. } => "reply",
            Relation::Retweet(_) => "retweet",
            Relation::Quote(_) => "quote",
        };
        json!({"id": self.post.id.to_string(), "first": self.post.first_id().to_string(), "at": self.post.time.0,
            "text": self.post.draft.text, "how": relation, "deleted": self.deleted,
            "edited": self.post.versions.len() > 1, "settled": self.settled, "verdicts": self.verdicts})
    }
}

/// The last four characters, as card statements show them.
fn ending(token: &str) -> String {
    token.get(token.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

fn keep<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() >= REMEMBERED_MAX {
        all.pop_front();
    }
    all.push_back(one);
}
