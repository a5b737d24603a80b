//! Where everything that will be said is noted down until it is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::behaviour::Behaviour;
use super::chance::Chance;
use super::goods::Goods;
use super::plan::PeoplePlan;
use super::post::{Author, Post};
use crate::bus::partition_of_key;
use crate::config::{IdleBy, Settings};
use crate::domain::{AccountId, LinkMessage, Network, PromptFate};

/// The topics that people write into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Into {
    Posts,
    Links,
    Posted,
    Offers,
}

/// A record that is or will be written, and what it is meant to be.
#[derive(Debug)]
pub(super) struct Planned {
    pub into: Into,
    pub partition: u32,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Post(Box<Post>),
    /// `at` is the notice's own time, if it has one.
    Deletion {
        post: u64,
        user: u64,
        at: Option<i64>,
        v2: bool,
    },
    Link(AccountId, LinkMessage),
    Posted(AccountId, PromptFate),
    /// A change of the catalogue, by its index.
    Offer(usize),
    Raw {
        value: Vec<u8>,
        meant: Raw,
    },
}

/// What bytes that are no sound message must become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Nothing,
    /// A dead letter of this reason.
    Dead(&'static str),
    /// Damage in a record that is no candidate may be noticed or not.
    PerhapsDead(&'static str),
    /// Brings its partition's event time to this.
    Heartbeat(i64),
}

/// The rules that people know, in milliseconds, and the sizes that matter.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub window: i64,
    pub grace: i64,
    pub lateness: i64,
    pub cancel_window: i64,
    /// Zero unless feedback is required.
    pub feedback_timeout: i64,
    pub buy_max_age: i64,
    pub pending_max: usize,
    pub purchases_max: usize,
    pub record_bytes_max: usize,
    pub tick_every: i64,
    pub skew_max: i64,
    /// Zero: sources are never idle.
    pub idle_after: i64,
    pub idle_by_clock: bool,
    pub partitions: u32,
    pub network: Network,
    pub topics: [Arc<str>; 4],
    pub service: Author,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    due: i64,
    /// Due before the partition stood still; keeps the order of a backlog.
    meant_for: i64,
    order: u64,
    planned: u32,
}

pub(super) struct Desk {
    pub plan: PeoplePlan,
    pub known: Known,
    pub goods: Goods,
    pub planned: Vec<Planned>,
    pub counts: [u32; Behaviour::ALL.len()],
    /// Latest moment that anything was due or said.
    pub latest: i64,
    heap: BinaryHeap<Reverse<Slot>>,
    /// Partitions stand still from one moment to another.
    still: Vec<(u32, i64, i64)>,
    noted: u64,
}

impl Desk {
    pub fn new(plan: &PeoplePlan, settings: &Settings) -> Desk {
        let mut chance = Chance::new(plan.seed, 3);
        let span = plan.span.0;
        let still = (0..plan.backlogs).map(|_| {
            let from = plan.start.0 + chance.between(0, span);
            (chance.below(plan.post_partitions as usize) as u32, from, from + chance.between(60_000, span / 3))
        });
        Desk {
            still: still.collect(),
            known: Known::of(settings),
            goods: Goods::draw(plan, &settings.service.freeze_tag),
            plan: plan.clone(),
            planned: Vec::new(),
            counts: [0; Behaviour::ALL.len()],
            latest: plan.start.0,
            heap: BinaryHeap::new(),
            noted: 0,
        }
    }

    pub fn count(&mut self, behaviour: Behaviour) {
        self.counts[behaviour as usize] += 1;
    }

    /// Notes a record down; `order` tells apart what is due at one moment.
    pub fn note(&mut self, due: i64, order: u64, planned: Planned) -> u32 {
        let index = self.planned.len() as u32;
        self.planned.push(planned);
        self.again(due, order, index);
        index
    }

    /// Notes that a record comes again.
    pub fn again(&mut self, due: i64, order: u64, planned: u32) {
        let of = &self.planned[planned as usize];
        let mut slot = Slot { due, meant_for: due, order, planned };
        if of.into == Into::Posts {
            for (partition, from, to) in &self.still {
                if *partition == of.partition && (*from..*to).contains(&slot.due) {
                    slot.due = *to;
                }
            }
        }
        self.latest = self.latest.max(slot.due);
        self.heap.push(Reverse(slot));
    }

    pub fn next_due(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse(slot)| slot.due)
    }

    /// The next record that is due by now, and since when.
    pub fn pop(&mut self, now: i64) -> Option<(i64, u32)> {
        let Reverse(slot) = *self.heap.peek()?;
        if slot.due > now {
            return None;
        }
        self.heap.pop();
        Some((slot.due, slot.planned))
    }

    /// The order of what has no account: behind all accounts.
    pub fn next_order(&mut self) -> u64 {
        self.noted += 1;
        (1 << 40) | self.noted
    }

    /// The partition of a post by this user, one of its own if posts are keyed.
    pub fn partition(&self, user: u64, chance: &mut Chance) -> u32 {
        let open = self.plan.post_partitions - u32::from(self.plan.mute_partition);
        let drawn = chance.below(open as usize) as u32;
        if self.plan.keyed { partition_of_key(user.to_string().as_bytes(), open) } else { drawn }
    }

    pub fn account(&self, user: u64) -> AccountId {
        AccountId { network: self.known.network, user }
    }
}

impl Known {
    fn of(settings: &Settings) -> Known {
        let source = settings.sources.iter().find(|source| source.network == Network::TWITTER);
        let posts = source.or(settings.sources.first()).map_or("tweets", |source| source.topic.as_str());
        Known {
            window: settings.account.confirm_window.0,
            grace: settings.account.reply_grace.0,
            lateness: settings.time.lateness_max.0,
            cancel_window: settings.account.cancel_window.0,
            feedback_timeout: if settings.reply.feedback_required { settings.reply.feedback_timeout.0 } else { 0 },
            buy_max_age: settings.account.buy_max_age.0,
            pending_max: settings.limits.pending_per_account,
            purchases_max: settings.limits.purchases_per_day as usize,
            record_bytes_max: settings.limits.record_bytes,
            tick_every: settings.time.tick_every.0,
            skew_max: settings.time.skew_max.0,
            idle_after: settings.time.idle_after.0,
            idle_by_clock: settings.time.idle == IdleBy::Clock,
            partitions: settings.topics.partitions,
            network: Network::TWITTER,
            topics: [posts, "accounts.links", "replies.posted", "offers"].map(Arc::from),
            service: Author {
                user: settings.service.user_id,
                handle: Arc::from(settings.service.handle.trim().trim_start_matches('@')),
            },
        }
    }

    pub fn topic(&self, into: Into) -> &Arc<str> {
        &self.topics[into as usize]
    }
}
