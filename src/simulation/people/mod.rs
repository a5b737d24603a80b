//! The input side of the simulator: people, a gateway and merchants from a seed, and what each of their records must
//! become in `accounts.inbox` (I9).
//!
//! | file | what |
//! |---|---|
//! | `plan`, `behaviour` | what a seed draws |
//! | `goods` | offers, and how merchants change them |
//! | `script`, `acts` | the lives of accounts, each from a stream of chance of its own |
//! | `gateway` | what becomes of replies, and who reacts to prompts |
//! | `chatter` | strangers, control messages, poison |
//! | `post`, `render` | posts as they are meant, and as bytes |
//! | `desk` | everything noted down until it is due |
//! | `catalogue`, `check` | what records must become: by what was meant, not by reading them |

mod acts;
mod behaviour;
mod catalogue;
mod chance;
mod chatter;
mod check;
mod desk;
mod gateway;
mod goods;
mod offers_check;
mod plan;
mod post;
mod render;
mod script;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::bus::partition_of_key;
use crate::config::{OfferSpec, Settings};
use crate::domain::{AccountId, InboxRecord, OffersRecord, Span, Time};

use check::Check;
use desk::{Desk, Into, Planned, What};
use gateway::Reactions;
use script::Script;

pub use behaviour::Behaviour;
pub use plan::{ACCOUNTS_MAX, GatewayPlan, PeoplePlan, START};

/// A record that somebody writes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub due: Time,
    pub topic: Arc<str>,
    pub partition: u32,
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
    /// Which record this is to [`People`]; the same for each time that it is written.
    pub id: u32,
}

/// Everybody outside the program.
pub struct People {
    desk: Desk,
    reactions: Reactions,
    check: Check,
    offers: Vec<OfferSpec>,
    orders: usize,
}

impl People {
    /// The people of a plan, under the program's settings.
    pub fn new(plan: &PeoplePlan, settings: &Settings) -> People {
        let mut desk = Desk::new(plan, settings);
        let mut reactions = Reactions::default();
        let accounts = plan.accounts.clamp(1, ACCOUNTS_MAX);
        let orders_each = plan.orders_min.div_ceil(accounts as usize);
        for number in (0..accounts).filter(|number| plan.is_kept(*number)) {
            Script::new(&mut desk, &mut reactions, number).live(orders_each);
        }
        chatter::chatter(&mut desk);
        let mut places = chance::Chance::new(plan.seed, 8);
        for change in 0..desk.goods.changes.len() {
            let (due, good) = (desk.goods.changes[change].at, desk.goods.changes[change].good);
            desk.count(desk.goods.changes[change].what);
            let id = &desk.goods.all[good].spec.id;
            let keyed = partition_of_key(id.as_bytes(), desk.known.partitions);
            let drawn = places.below(desk.known.partitions as usize) as u32;
            let partition = if plan.offers_keyed { keyed } else { drawn };
            let order = desk.next_order();
            desk.note(due, order, Planned { into: Into::Offers, partition, what: What::Offer(change) });
        }
        let check = Check::new(&desk);
        let offers = desk.goods.seeds();
        People { desk, reactions, check, offers, orders: 0 }
    }

    /// The catalogue at the start; the records that change it later are among the inputs.
    pub fn offers(&self) -> &[OfferSpec] {
        &self.offers
    }

    /// When the next record is to be written.
    pub fn next_due(&self) -> Option<Time> {
        self.desk.next_due().map(Time)
    }

    /// The records to write now, in this order.
    pub fn take_due(&mut self, now: Time) -> Vec<Input> {
        self.check.clock(now);
        let mut inputs = Vec::new();
        while let Some((due, planned)) = self.desk.pop(now.0) {
            inputs.push(self.input(due, planned));
        }
        inputs
    }

    /// An input was written at this offset: from now on it is known what must come of it. It may be written more than
    /// once, in its own partition.
    pub fn appended(&mut self, input: &Input, offset: u64, appended: Time) {
        self.orders += self.check.appended(input.id, offset, appended, &self.desk);
    }

    /// An offer of the catalogue was written before anybody reads it.
    pub fn seeded(&mut self, partition: u32, appended: Time) {
        self.check.said_of_offers(partition, appended);
    }

    /// A committed record of an output: what the gateway does with a reply.
    pub fn see_output(&mut self, now: Time, topic: &str, value: &[u8]) {
        self.check.clock(now);
        if topic == "replies" {
            self.reactions.see(now.0, value, &mut self.desk);
        }
    }

    /// No process's clock will be further behind than this.
    pub fn trust_clocks(&mut self, lag_max: Span) {
        self.check.trust_clocks(lag_max);
    }

    /// A committed record of `accounts.inbox`.
    pub fn see_inbox(&mut self, partition: u32, offset: u64, appended: Time, record: &InboxRecord) {
        self.check.log_clock(appended);
        self.check.see_inbox(partition, offset, record, &self.desk);
    }

    /// A committed record of `offers.inbox`, in order of its partition: changes of offers are looked at. Who shows none
    /// of these is not asked for them.
    pub fn see_offers_inbox(&mut self, record: &OffersRecord) {
        self.check.see_offers(record, &self.desk);
    }

    /// A committed record of `dead-letters`.
    pub fn see_dead_letter(&mut self, value: &[u8]) {
        self.check.see_dead_letter(value, &self.desk);
    }

    /// Posts on every source, so late that the watermark passes everything that was said, step by step: a unit that is
    /// freed opens another window. Each is to be written when it is due.
    pub fn close(&mut self) -> Vec<Input> {
        let known = &self.desk.known;
        let round = known.window + known.grace + known.lateness + known.cancel_window + 60_000;
        let mut inputs = Vec::new();
        let mut at = self.desk.latest.max(self.check.now()) + known.feedback_timeout;
        for serial in 0..CLOSING_ROUNDS {
            at += round;
            for partition in 0..self.desk.plan.post_partitions {
                let post =
                    chatter::closing(at, serial * u64::from(self.desk.plan.post_partitions) + u64::from(partition));
                let planned = Planned { into: Into::Posts, partition, what: What::Post(Box::new(post)) };
                self.desk.planned.push(planned);
                inputs.push(self.input(at, self.desk.planned.len() as u32 - 1));
            }
        }
        inputs
    }

    /// What is still missing when nothing is to come any more, after the problems not yet told.
    pub fn finish(&mut self) -> Vec<String> {
        self.check.finish(&self.desk);
        self.problems()
    }

    /// What was wrong so far; each is told once.
    pub fn problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.check.problems)
    }

    /// Buy tags in posts that were written, edits and repeats not counted.
    pub fn orders(&self) -> usize {
        self.orders
    }

    /// The number of an account in [`PeoplePlan::keep`].
    pub fn number_of(account: AccountId) -> Option<u64> {
        script::number_of(account.user)
    }

    /// How often each behaviour was drawn.
    pub fn behaviours(&self) -> impl Iterator<Item = (Behaviour, u32)> {
        Behaviour::ALL.into_iter().zip(self.desk.counts)
    }

    fn input(&self, due: i64, planned: u32) -> Input {
        let Planned { into, partition, what } = &self.desk.planned[planned as usize];
        let (key, value) = match what {
            What::Post(post) => (None, render::post(post, &self.desk.goods)),
            What::Deletion { post, user, at, v2 } => (None, render::deletion(*post, *user, *at, *v2)),
            What::Link(account, message) => (Some(account.to_string()), render::link(*account, message)),
            What::Posted(account, fate) => (Some(account.to_string()), render::posted(*account, fate)),
            What::Offer(change) => {
                let change = &self.desk.goods.changes[*change];
                let id = &self.desk.goods.all[change.good].spec.id;
                (Some(id.clone()), goods::record(id, change))
            }
            What::Raw { value, .. } => (None, value.clone()),
        };
        Input {
            due: Time(due),
            topic: self.desk.known.topic(*into).clone(),
            partition: *partition,
            key: key.map(String::into_bytes),
            value,
            id: planned,
        }
    }
}

/// Rounds of closing posts: waitlists are shorter.
const CLOSING_ROUNDS: u64 = 10;
