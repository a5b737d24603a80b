//! Everybody else: posts that buy nothing, though some of them come close.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::goods::Goods;
use super::twitter::Twitter;
use crate::domain::Time;
use crate::posts::people::person;
use crate::posts::post::{Draft, User};
use crate::posts::{render, words};

/// People who post what has nothing to do with buying.
const PEOPLE: u64 = 2000;

/// Their ids begin here; shoppers' are higher.
const PEOPLE_FROM: u64 = 700_000_000_000_000_000;

/// Shares of what is streamed, in percent; the rest are posts.
const RETWEETS_PERCENT: u32 = 70;
const DELETIONS_PERCENT: u32 = 10;

/// One message of the stream's own in so many.
const MESSAGES_ONE_IN: u32 = 500;

pub struct Noise {
    rng: SmallRng,
    people: Vec<Arc<User>>,
    tags: Vec<String>,
    number: u64,
}

impl Noise {
    pub fn new(seed: u64, catalogue: &[Arc<Goods>]) -> Noise {
        let mut rng = SmallRng::seed_from_u64(seed);
        let people = (1..=PEOPLE).map(|number| {
            let id = PEOPLE_FROM + number * 104_729;
            Arc::new(person(id, number, &mut rng))
        });
        let people = people.collect();
        let tags = catalogue.iter().flat_map(|goods| [goods.buy_tag.clone(), goods.confirm_tag.clone()]).collect();
        Noise { people, tags, rng, number: 0 }
    }

    /// Streams one thing.
    pub fn make(&mut self, at: Time, twitter: &mut Twitter) {
        self.number += 1;
        if self.rng.random_ratio(1, MESSAGES_ONE_IN) {
            return self.message(at, twitter);
        }
        let Some(author) = self.people.choose(&mut self.rng).cloned() else { return };
        let dice = self.rng.random_range(0..100);
        if dice < DELETIONS_PERCENT {
            return twitter.delete_some(at);
        }
        let other = twitter.recent(|post| post.author().id != author.id);
        let draft = match other {
            Some(other) if dice < DELETIONS_PERCENT + RETWEETS_PERCENT => Draft::retweet(&author, &other),
            Some(other) if self.rng.random_ratio(1, 10) => Draft::quote(&author, self.words().0, &other),
            Some(other) if self.rng.random_ratio(1, 5) => {
                let text = format!("@{} {}", other.author().handle, self.words().0);
                Draft::reply(&author, text, Some(other.id), other.author())
            }
            _ => self.own_post(&author),
        };
        let post = twitter.publish(draft, at);
        twitter.mark_deletable(&post);
    }

    /// A post into this partition, so that its source comes to this time.
    pub fn pulse(&mut self, partition: u32, at: Time, twitter: &mut Twitter) {
        if let Some(author) = self.people.choose(&mut self.rng) {
            let (text, language) = words::chatter(&mut self.rng);
            twitter.publish_into(partition, Draft { language, ..Draft::own(author, text) }, at);
        }
    }

    fn own_post(&mut self, author: &Arc<User>) -> Draft {
        let (text, language) = self.words();
        let text = text.to_owned();
        if self.rng.random_ratio(1, 4)
            && let Some(tag) = self.tags.choose(&mut self.rng)
        {
            return words::look_alike(author, tag, self.number, &mut self.rng);
        }
        Draft { language, ..Draft::own(author, text) }
    }

    fn words(&mut self) -> (&'static str, &'static str) {
        words::chatter(&mut self.rng)
    }

    fn message(&mut self, at: Time, twitter: &mut Twitter) {
        match self.rng.random_range(0..3) {
            0 => twitter.keep_alive(),
            1 => twitter.stream(&render::limit(self.number, at), None),
            _ => twitter.stream(&render::warning(self.rng.random_range(60..90)), None),
        }
    }
}
