//! The gateway between the service and the network: posts replies, and tells what became of them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::twitter::Twitter;
use crate::domain::{AccountId, Network, Time};
use crate::posts::json::{Json, object};
use crate::posts::post::{Draft, Post, User};
use crate::wire::time;

/// How long posting takes.
const POSTING_MS: std::ops::Range<i64> = 1_000..2_000;

/// Prompts that others can still see and retweet.
const PROMPTS_MAX: usize = 64;

/// Texts that the network remembers.
const SAID_MAX: usize = 50_000;

/// A reply that its addressee sees in the timeline, or gets as a direct message.
#[derive(Clone, Debug)]
pub struct Seen {
    pub kind: String,
    pub offer: Option<String>,
    /// What it is about, as records name it.
    pub purchase: Option<String>,
    /// When it appeared.
    pub at: Time,
    /// `None` for a direct message.
    pub post: Option<Arc<Post>>,
}

pub struct Gateway {
    network: Network,
    service: Arc<User>,
    users: HashMap<u64, Arc<User>>,
    /// Whoever blocks the service can't be replied to.
    blocked: HashSet<u64>,
    /// Networks drop a text that they have seen lately.
    said: HashSet<String>,
    said_in_order: VecDeque<String>,
    due: BTreeMap<(Time, u64), Reply>,
    taken: u64,
    prompts: VecDeque<Arc<Post>>,
    rng: SmallRng,
}

/// A record of `replies`.
struct Reply {
    id: String,
    kind: String,
    /// `None` for an announcement.
    user: Option<u64>,
    handle: String,
    in_reply_to: Option<u64>,
    text: String,
    offer: Option<String>,
    purchase: Option<String>,
}

impl Gateway {
    pub fn new(network: Network, service: Arc<User>, seed: u64) -> Gateway {
        Gateway {
            network,
            service,
            users: HashMap::new(),
            blocked: HashSet::new(),
            said: HashSet::new(),
            said_in_order: VecDeque::new(),
            due: BTreeMap::new(),
            taken: 0,
            prompts: VecDeque::new(),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    pub fn service(&self) -> &Arc<User> {
        &self.service
    }

    pub fn register(&mut self, user: &Arc<User>, blocks_service: bool) {
        self.users.insert(user.id, user.clone());
        if blocks_service {
            self.blocked.insert(user.id);
        }
    }

    /// Takes a record of `replies`, to be posted after a while.
    pub fn take(&mut self, record: &Value, now: Time) {
        let Some(reply) = Reply::read(record) else { return };
        let at = Time(now.0 + self.rng.random_range(POSTING_MS));
        self.taken += 1;
        self.due.insert((at, self.taken), reply);
    }

    /// When the next reply will be posted.
    pub fn next_due(&self) -> Option<Time> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Posts the reply that is due first, and tells its addressee's id and what there is to see, if anybody sees it.
    pub fn post_next(&mut self, twitter: &mut Twitter) -> Option<(u64, Seen)> {
        let ((at, _), reply) = self.due.pop_first()?;
        let Some(user) = reply.user else {
            twitter.publish(Draft::own(&self.service, reply.text), at);
            return None;
        };
        let failure = if self.blocked.contains(&user) {
            Some("you are blocked by this user")
        } else if !self.is_new(&reply.text) {
            Some("status is a duplicate")
        } else {
            None
        };
        if let Some(why) = failure {
            self.tell(&reply.id, user, ("failed", why.into()), at, twitter);
            return None;
        }
        let to = self.users.get(&user).cloned().unwrap_or_else(|| stranger(user, &reply.handle));
        let draft = Draft::reply(&self.service, reply.text, reply.in_reply_to, &to);
        let post = twitter.publish(draft, at);
        self.tell(&reply.id, user, ("post", post.id.to_string().into()), post.time, twitter);
        if reply.kind == "prompt" {
            if self.prompts.len() >= PROMPTS_MAX {
                self.prompts.pop_front();
            }
            self.prompts.push_back(post.clone());
        }
        let Reply { kind, offer, purchase, .. } = reply;
        Some((user, Seen { kind, offer, purchase, at: post.time, post: Some(post) }))
    }

    /// Whether the text was not posted lately; it is from now on.
    fn is_new(&mut self, text: &str) -> bool {
        if !self.said.insert(text.to_owned()) {
            return false;
        }
        self.said_in_order.push_back(text.to_owned());
        if self.said_in_order.len() > SAID_MAX
            && let Some(oldest) = self.said_in_order.pop_front()
        {
            self.said.remove(&oldest);
        }
        true
    }

    /// Nothing more is said to this user, or by them.
    pub fn forget(&mut self, user: u64) {
        self.users.remove(&user);
        self.blocked.remove(&user);
    }

    /// A prompt that is there to see and was not meant for this user.
    pub fn prompt_of_another(&self, user: u64) -> Option<Arc<Post>> {
        let to_another = |post: &&Arc<Post>| !post.draft.addresses(user);
        self.prompts.iter().rev().find(to_another).cloned()
    }

    /// The account's name in records.
    pub fn account(&self, user: u64) -> String {
        AccountId { network: self.network, user }.to_string()
    }

    fn tell(&self, reply: &str, user: u64, outcome: (&'static str, Json), at: Time, twitter: &mut Twitter) {
        let account = self.account(user);
        let value = object([
            ("reply", reply.into()),
            ("account", account.as_str().into()),
            outcome,
            ("at", time::format(at).into()),
        ]);
        twitter.send("replies.posted", &account, &value);
    }
}

impl Reply {
    fn read(record: &Value) -> Option<Reply> {
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        Some(Reply {
            id: text("reply")?,
            kind: text("kind")?,
            user: record["account"].as_str().and_then(AccountId::parse).map(|account| account.user),
            handle: text("handle").unwrap_or_default(),
            in_reply_to: record["in_reply_to"].as_str().and_then(|id| id.parse().ok()),
            text: text("text")?,
            offer: text("offer"),
            purchase: text("purchase"),
        })
    }
}

impl Draft {
    fn addresses(&self, user: u64) -> bool {
        matches!(&self.relation, crate::posts::post::Relation::Reply { to, .. } if to.id == user)
    }
}

/// Somebody of whom only the reply tells.
fn stranger(id: u64, handle: &str) -> Arc<User> {
    Arc::new(User {
        id,
        handle: handle.to_owned(),
        name: handle.to_owned(),
        about: String::new(),
        place: None,
        joined: Time(crate::posts::people::JOINED_MS),
        followers: 0,
        posts: 1,
    })
}
