//! Everybody else: posts that buy nothing, though some of them come close.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::cast::person;
use super::goods::Goods;
use super::post::{Draft, Url, User, short_url};
use super::render;
use super::twitter::Twitter;
use crate::domain::Time;

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
            let (text, language) = words(&mut self.rng);
            twitter.publish_into(partition, Draft { language, ..Draft::own(author, text) }, at);
        }
    }

    fn own_post(&mut self, author: &Arc<User>) -> Draft {
        let (text, language) = self.words();
        let text = text.to_owned();
        if self.rng.random_ratio(1, 4)
            && let Some(draft) = self.look_alike(author)
        {
            return draft;
        }
        Draft { language, ..Draft::own(author, text) }
    }

    /// A post that names an offer's tag and must not count as having it.
    fn look_alike(&mut self, author: &Arc<User>) -> Option<Draft> {
        let tag = self.tags.choose(&mut self.rng)?.clone();
        let wide: String = tag.chars().map(wide).collect();
        Some(match self.rng.random_range(0..7) {
            0 => Draft::own(author, format!("Who came up with #{tag}Already? #Not{tag}")),
            1 => Draft::own(author, format!("{tag} without the sign # {tag} is no tag, is it")),
            2 => Draft::own(author, format!("letters that are others: #{wide}")),
            3 => Draft::own(author, format!("mail#{tag} and @{} are something else", short_name(&tag))),
            4 => Draft::own(author, format!("#{tag}_ #{tag}2 #_{tag}")),
            5 => Draft::own(author, format!("half of it #{}", tag.get(..tag.len() / 2).unwrap_or(&tag))),
            _ => {
                let short = short_url(self.number);
                let expanded = format!("https://deals.example.com/today?from=stream#{tag}");
                let draft = Draft::own(author, format!("Read about it here {short} and decide"));
                Draft { urls: vec![Url { short, expanded }], ..draft }
            }
        })
    }

    fn words(&mut self) -> (&'static str, &'static str) {
        words(&mut self.rng)
    }

    fn message(&mut self, at: Time, twitter: &mut Twitter) {
        match self.rng.random_range(0..3) {
            0 => twitter.keep_alive(),
            1 => twitter.stream(&render::limit(self.number, at), None),
            _ => twitter.stream(&render::warning(self.rng.random_range(60..90)), None),
        }
    }
}

fn words(rng: &mut SmallRng) -> (&'static str, &'static str) {
    const WORDS: [(&str, &str); 16] = [
        ("good morning", "en"),
        ("The train is late again & so am I #commute", "en"),
        ("Soup of the day: more soup 🍲 <spoiler>", "en"),
        ("He said \"buy low\", I bought lunch", "en"),
        ("今日はいい天気ですね。散歩に行きます #散歩", "ja"),
        ("猫がキーボードの上で寝ている 🐈", "ja"),
        ("Доброе утро! Кофе, потом всё остальное #кофе", "ru"),
        ("Кто забыл зонт? Я забыл зонт.", "ru"),
        ("صباح الخير من القاهرة ☀️", "ar"),
        ("Καλημέρα, πρώτα καφές", "el"),
        ("¿Quién se comió la última galleta? #galletas", "es"),
        ("Schöne Grüße aus Zürich, 1/3 der Strecke geschafft", "de"),
        ("हम लोग चाय पी रहे हैं", "hi"),
        ("비가 온다 #비", "ko"),
        ("👩‍🚀🚀🌕", "und"),
        (
            "A thread, since nobody asked: when the river rises the ducks move up to the bakery, where they queue in an \
             orderly fashion, which cannot be said of the people who come to watch the ducks queue at the bakery. #ducks",
            "en",
        ),
    ];
    WORDS.choose(rng).copied().unwrap_or(WORDS[0])
}

/// The full-width form of an ASCII letter: another letter by the rules of tags.
fn wide(c: char) -> char {
    if c.is_ascii_graphic() { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c }
}

/// As much of a tag as a handle may have.
fn short_name(tag: &str) -> &str {
    tag.get(..15).unwrap_or(tag)
}
