//! One account's life: its card, and the episodes that its owner goes through.

use std::sync::Arc;

use super::behaviour::Behaviour;
use super::chance::Chance;
use super::desk::{Desk, Into, Planned, What};
use super::gateway::Reactions;
use super::goods::OfferTags;
use super::post::{Author, Near, Post, Relation, Word, snowflake};
use crate::domain::{AccountId, CardStatus, Link, LinkChange, LinkMessage, Time};

/// Users of strangers lie below this, those of accounts above; an account's friend is the next user.
const FIRST_USER: u64 = 1_450_000_000_000_000_000;
const USERS_APART: u64 = 1_000;

const DAY_MS: i64 = 86_400_000;
const EPISODES_MAX: usize = 1_000;

/// Serials of an account's scripted posts; those that react to prompts lie above.
const SERIALS_MAX: u64 = 0x7ff;

/// How an account stands when it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Linked,
    Late,
    NotLinked,
    Abroad,
    Suspended,
}

pub(super) struct Script<'a> {
    pub desk: &'a mut Desk,
    pub reactions: &'a mut Reactions,
    pub chance: Chance,
    pub number: u64,
    pub author: Author,
    pub account: AccountId,
    /// Buy tags said so far.
    pub orders: usize,
    standing: Standing,
    serial: u64,
    next_good: usize,
    /// Random times lie between these.
    open: (i64, i64),
}

/// The user of an account of this number.
pub(super) fn author_of(number: u64) -> Author {
    let user = FIRST_USER + number * USERS_APART;
    Author { user, handle: Arc::from(format!("shopper{number}").as_str()) }
}

/// The number of the account that a user, or a user's friend, belongs to.
pub(super) fn number_of(user: u64) -> Option<u64> {
    user.checked_sub(FIRST_USER).map(|rest| rest / USERS_APART)
}

impl<'a> Script<'a> {
    pub fn new(desk: &'a mut Desk, reactions: &'a mut Reactions, number: u64) -> Script<'a> {
        let mut chance = Chance::new(desk.plan.seed, 1_000 + number);
        let standing = [Standing::Linked, Standing::Late, Standing::NotLinked, Standing::Abroad, Standing::Suspended]
            [chance.weighted(&[80, 6, 5, 4, 5])];
        let author = author_of(number);
        let next_good = chance.below(desk.goods.all.len());
        let open = (desk.plan.start.0 + 120_000, desk.plan.start.0 + desk.plan.span.0);
        let account = desk.account(author.user);
        Script { desk, reactions, chance, number, author, account, orders: 0, standing, serial: 0, next_good, open }
    }

    /// Writes the whole life down: at least so many orders.
    pub fn live(mut self, orders_min: usize) -> usize {
        self.begin();
        let weights = self.desk.plan.weights;
        for _ in 0..EPISODES_MAX {
            if self.orders >= orders_min || self.serial + 40 > SERIALS_MAX {
                break;
            }
            let behaviour = Behaviour::ALL[self.chance.weighted(&weights)];
            self.desk.count(behaviour);
            self.act(behaviour);
        }
        while self.orders < orders_min && self.serial < SERIALS_MAX {
            let at = self.moment();
            self.buy(at);
        }
        self.orders
    }

    fn begin(&mut self) {
        let (start, before) = (self.desk.plan.start.0, self.desk.plan.start.0 - 3 * DAY_MS);
        let country = if self.standing == Standing::Abroad { "DE" } else { "US" };
        match self.standing {
            Standing::Linked => {}
            Standing::Late => self.desk.count(Behaviour::IsLinkedLate),
            Standing::NotLinked => self.desk.count(Behaviour::IsNotLinked),
            Standing::Abroad => self.desk.count(Behaviour::IsAbroad),
            Standing::Suspended => self.desk.count(Behaviour::HasSuspendedCard),
        }
        let at = match self.standing {
            Standing::NotLinked => return,
            Standing::Late => self.moment(),
            _ => before,
        };
        self.link(at, at.max(start), country, "a");
        if self.standing == Standing::Suspended {
            self.card(before + 1, start + 1, CardStatus::Suspended);
            let back = self.moment();
            self.card(back, back, CardStatus::Active);
        }
    }

    /// Some moment of the span.
    pub fn moment(&mut self) -> i64 {
        self.chance.between(self.open.0, self.open.1)
    }

    /// An offer, and the tags by which it is bought at this time. Offers come in turn.
    pub fn good_at(&mut self, at: i64) -> (usize, OfferTags) {
        let good = self.next_good % self.desk.goods.all.len();
        self.next_good += if self.chance.below(4) == 0 { 2 } else { 1 };
        // Some have not noticed a change of tags, and some know them before they are there.
        let noticed = at + self.chance.between(-600_000, 60_000);
        (good, self.desk.goods.tags_at(good, noticed))
    }

    pub fn id(&mut self, at: i64) -> u64 {
        self.serial += 1;
        snowflake(at, self.number, self.serial)
    }

    /// A post of this author with these words among others.
    pub fn post(&mut self, at: i64, words: &[Word]) -> Post {
        let id = self.id(at);
        let mut all = Vec::with_capacity(words.len() + 6);
        all.extend((0..self.chance.below(3)).map(|_| Word::Plain(0)));
        all.extend_from_slice(words);
        all.extend((0..self.chance.below(4)).map(|_| Word::Plain(0)));
        for word in &mut all {
            if let Word::Plain(which) = word {
                *which = self.chance.below(256) as u8;
            }
        }
        let mut post = Post::new(id, &self.author, all);
        post.v2 = self.chance.per_mille(self.desk.plan.v2);
        post.unnamed = post.v2 && self.chance.below(3) == 0;
        if self.chance.below(30) == 0 {
            let tags = self.desk.goods.all[0].tags[0];
            post.profile = Some(tags.buy);
        }
        if self.chance.below(40) == 0 {
            let tags = self.desk.goods.all[0].tags[0];
            let near = *self.chance.pick(&Near::ALL);
            post.words.push(Word::Near(near, tags.buy));
        }
        post
    }

    /// Says it; it is read a little later, or much.
    pub fn say(&mut self, post: Post) -> i64 {
        let plan = &self.desk.plan;
        let (disorder, too_late, lateness) = (plan.disorder.0, plan.too_late, self.desk.known.lateness);
        let disorder = disorder.min(lateness * 4 / 5);
        let mut due = post.time() + self.chance.between(0, disorder);
        if self.chance.per_mille(too_late) {
            due += lateness + self.chance.between(0, 3_600_000);
            self.desk.count(Behaviour::IsTooLate);
        }
        self.say_at(post, due);
        due
    }

    /// Says it; it is read at this moment.
    pub fn say_at(&mut self, post: Post, due: i64) {
        let partition = self.desk.partition(post.author.user, &mut self.chance);
        self.note(due, Into::Posts, partition, What::Post(Box::new(post)));
    }

    /// A post with the buy tag of some offer: its tags, its id, when it is read.
    pub fn buy(&mut self, at: i64) -> Bought {
        let (good, tags) = self.good_at(at);
        self.buy_good(at, good, tags)
    }

    pub fn buy_good(&mut self, at: i64, good: usize, tags: OfferTags) -> Bought {
        let post = self.post(at, &[Word::Tag(tags.buy)]);
        let id = post.id;
        self.orders += 1;
        let due = self.say(post);
        if self.chance.below(12) == 0 {
            self.mark_deadline(at);
        }
        Bought { good, tags, id, due }
    }

    /// A post that says nothing brings event time to the end of an order's window, or a millisecond beyond.
    fn mark_deadline(&mut self, ordered_at: i64) {
        let known = &self.desk.known;
        let end = ordered_at + known.grace + known.window + known.lateness + self.chance.between(0, 1);
        if end < self.desk.plan.start.0 + self.desk.plan.span.0 {
            let post = self.post(end, &[]);
            self.say_at(post, end);
        }
    }

    /// A confirm by the bare tag.
    pub fn confirm(&mut self, at: i64, bought: &Bought) -> u64 {
        let post = self.post(at, &[Word::Tag(bought.tags.confirm)]);
        let id = post.id;
        self.say(post);
        id
    }

    /// A reply to the service.
    pub fn reply(&mut self, at: i64, words: &[Word], to: Option<u64>) -> Post {
        let service = self.desk.known.service.clone();
        Post { relation: Relation::Reply { post: to, to: service }, ..self.post(at, words) }
    }

    /// Some time after a buy, well within the window.
    pub fn soon(&mut self, after: i64) -> i64 {
        after + self.chance.between(1_000, self.desk.known.window / 2)
    }

    pub fn deadline(&self, ordered_at: i64) -> i64 {
        ordered_at + self.desk.known.grace + self.desk.known.window
    }

    pub fn delete(&mut self, post: u64, user: u64, at: i64, due: i64, timed: bool) {
        let partition = self.desk.partition(user, &mut self.chance);
        let v2 = self.chance.per_mille(self.desk.plan.v2);
        self.note(due, Into::Posts, partition, What::Deletion { post, user, at: timed.then_some(at), v2 });
    }

    pub fn link(&mut self, at: i64, due: i64, country: &str, card: &str) {
        let user = self.author.user;
        let link = Link {
            card: format!("tok_{user}_{card}"),
            country: country.to_owned(),
            handle: self.author.handle.to_string(),
            email_ref: format!("eml_{user}"),
            billing_ref: format!("adr_{user}_{card}"),
        };
        self.side(due, LinkMessage { at: Time(at), change: LinkChange::Link(Arc::new(link)) });
    }

    pub fn unlink(&mut self, at: i64, due: i64) {
        self.side(due, LinkMessage { at: Time(at), change: LinkChange::Unlink });
    }

    pub fn card(&mut self, at: i64, due: i64, status: CardStatus) {
        self.side(due, LinkMessage { at: Time(at), change: LinkChange::Card(status) });
    }

    /// Whoever stopped shopping mostly begins again.
    pub fn begin_again(&mut self, after: i64) {
        if self.chance.below(10) < 7 {
            let at = after + self.chance.between(60_000, 1_200_000);
            self.link(at, at, "US", "b");
        }
    }

    fn side(&mut self, due: i64, message: LinkMessage) {
        let jitter = self.chance.between(0, self.desk.plan.disorder.0.min(30_000));
        let partition = self.chance.below(self.desk.known.partitions as usize) as u32;
        self.note(due + jitter, Into::Links, partition, What::Link(self.account, message));
    }

    fn note(&mut self, due: i64, into: Into, partition: u32, what: What) {
        let order = self.number << 24 | (self.desk.planned.len() as u64 & 0xff_ffff);
        let again = self.chance.per_mille(self.desk.plan.redelivered);
        let later = self.chance.between(1, self.desk.plan.span.0);
        let index = self.desk.note(due, order, Planned { into, partition, what });
        if again {
            self.desk.count(Behaviour::IsRedelivered);
            self.desk.again(due + later, order, index);
        }
    }
}

/// A buy that was said.
#[derive(Clone, Copy)]
pub(super) struct Bought {
    pub good: usize,
    pub tags: OfferTags,
    pub id: u64,
    /// When it is read.
    pub due: i64,
}
