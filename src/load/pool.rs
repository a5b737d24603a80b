//! Posts of people who buy nothing, rendered once and sent often: every copy gets an id, author and time of its own, in
//! the places where they stand.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::moment::{Ids, Moment};
use crate::domain::Time;
use crate::posts::json::{Json, Style};
use crate::posts::people::person;
use crate::posts::post::{Draft, Post, User};
use crate::posts::{render, words};

/// Bodies of a pool.
const BODIES: usize = 3_000;

/// Shares of what is streamed, in percent; the rest are posts of their own.
const RETWEETS_PERCENT: u32 = 70;
const DELETIONS_PERCENT: u32 = 10;

/// Of the posts that are no retweets: quotes, replies, and posts that name an offer's tag and don't have it.
const QUOTES_ONE_IN: u32 = 8;
const REPLIES_ONE_IN: u32 = 4;
const LOOK_ALIKES_ONE_IN: u32 = 20;

/// Everybody who buys nothing, and the first of their ids, which have as many digits as that of a body's author.
const PEOPLE: u64 = 1_000_000;
const PEOPLE_FROM: u64 = 1_000_000_000_000_000_000;

/// Posts that others retweet and quote.
const ORIGINALS: usize = 500;

/// A deleted post is so old at most, in milliseconds.
const DELETED_AGE_MS_MAX: i64 = 600_000;

/// What stands in a body until a copy is made. No other id or time in it is the same.
const ID: u64 = 8_888_888_888_888_888_881;
const AUTHOR: u64 = 7_777_777_777_777_777_772;
const TIME: Time = Time(1_009_843_200_123);
const CREATED_AT: &str = "Tue Jan 01 00:00:00 +0000 2002";

pub struct Pool {
    bodies: Vec<Body>,
    rng: SmallRng,
    created: Created,
}

/// A post to be copied, and where in it the copies differ.
struct Body {
    bytes: Vec<u8>,
    patches: Vec<(usize, Patch)>,
    is_deletion: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patch {
    Id,
    Author,
    Milliseconds,
    CreatedAt,
}

/// A copy.
pub struct Copied {
    pub value: Vec<u8>,
    pub author: u64,
    pub is_deletion: bool,
}

/// The text of a second, kept until the next one.
struct Created {
    second: i64,
    text: String,
}

impl Pool {
    /// `tags` are what offers are bought and confirmed by; `now` is after the posts that others retweet.
    pub fn new(seed: u64, tags: &[String], now: Time) -> Pool {
        let mut maker = Maker { rng: SmallRng::seed_from_u64(seed), tags, originals: Vec::new(), ids: Ids::default() };
        maker.originals = (0..ORIGINALS as i64).map(|number| maker.original(number, now)).collect();
        let bodies = (0..BODIES).map(|_| maker.body()).collect();
        Pool { bodies, rng: SmallRng::seed_from_u64(seed ^ 1), created: Created { second: -1, text: String::new() } }
    }

    /// A copy of any body; the id is that of the post, or of the notice's moment.
    pub fn copy(&mut self, id: u64, at: Moment) -> Copied {
        let Some(body) = self.bodies.choose(&mut self.rng) else {
            return Copied { value: Vec::new(), author: 0, is_deletion: false };
        };
        let author = PEOPLE_FROM + self.rng.random_range(0..PEOPLE);
        let age = if body.is_deletion { self.rng.random_range(1_000..DELETED_AGE_MS_MAX) as u64 } else { 0 };
        let id = id.saturating_sub(age << 22);
        let mut value = body.bytes.clone();
        for (place, patch) in &body.patches {
            match patch {
                Patch::Id => write_digits(&mut value[*place..*place + ID_DIGITS], id),
                Patch::Author => write_digits(&mut value[*place..*place + ID_DIGITS], author),
                Patch::Milliseconds => {
                    write_digits(&mut value[*place..*place + MILLISECOND_DIGITS], at.time().0.unsigned_abs());
                }
                Patch::CreatedAt => {
                    let text = self.created.at(at.time());
                    value[*place..*place + text.len()].copy_from_slice(text.as_bytes());
                }
            }
        }
        Copied { value, author, is_deletion: body.is_deletion }
    }
}

const ID_DIGITS: usize = 19;
const MILLISECOND_DIGITS: usize = 13;

/// Fills a place with a number's decimal digits.
fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Created {
    fn at(&mut self, time: Time) -> &str {
        let second = time.0.div_euclid(1000);
        if self.second != second {
            self.second = second;
            self.text = render::created_at(time);
        }
        &self.text
    }
}

impl Body {
    fn new(bytes: Vec<u8>, is_deletion: bool) -> Body {
        let mut patches = Vec::new();
        for (text, patch) in [
            (ID.to_string(), Patch::Id),
            (AUTHOR.to_string(), Patch::Author),
            (TIME.0.to_string(), Patch::Milliseconds),
            (CREATED_AT.to_owned(), Patch::CreatedAt),
        ] {
            patches.extend(memchr::memmem::find_iter(&bytes, text.as_bytes()).map(|place| (place, patch)));
        }
        Body { bytes, patches, is_deletion }
    }
}

struct Maker<'a> {
    rng: SmallRng,
    tags: &'a [String],
    originals: Vec<Arc<Post>>,
    ids: Ids,
}

impl Maker<'_> {
    /// A post of up to a day ago.
    fn original(&mut self, number: i64, now: Time) -> Arc<Post> {
        let id = PEOPLE_FROM + PEOPLE + number.unsigned_abs();
        let author = Arc::new(person(id, number.unsigned_abs(), &mut self.rng));
        let time = Time(now.0 - self.rng.random_range(0..86_400_000));
        let id = self.ids.next(Moment(time.0 * 1000));
        Arc::new(Post { id, time, draft: self.own(&author), versions: vec![id] })
    }

    fn body(&mut self) -> Body {
        let dice = self.rng.random_range(0..100);
        if dice < DELETIONS_PERCENT {
            return Body::new(self.render(&render::deletion(ID, AUTHOR, TIME)), true);
        }
        let number = self.rng.random_range(1..PEOPLE);
        let author = Arc::new(person(AUTHOR, number, &mut self.rng));
        let other = self.originals.choose(&mut self.rng).cloned();
        let draft = match other {
            Some(other) if dice < DELETIONS_PERCENT + RETWEETS_PERCENT => Draft::retweet(&author, &other),
            Some(other) if self.rng.random_ratio(1, QUOTES_ONE_IN) => {
                Draft::quote(&author, words::chatter(&mut self.rng).0, &other)
            }
            Some(other) if self.rng.random_ratio(1, REPLIES_ONE_IN) => {
                let text = format!("@{} {}", other.author().handle, words::chatter(&mut self.rng).0);
                Draft::reply(&author, text, Some(other.id), other.author())
            }
            _ => self.own(&author),
        };
        let post = Post { id: ID, time: TIME, draft, versions: vec![ID] };
        Body::new(self.render(&render::v1(&post)), false)
    }

    fn own(&mut self, author: &Arc<User>) -> Draft {
        let number = self.rng.random();
        if self.rng.random_ratio(1, LOOK_ALIKES_ONE_IN)
            && let Some(tag) = self.tags.choose(&mut self.rng)
        {
            return words::look_alike(author, tag, number, &mut self.rng);
        }
        words::post(author, number, &mut self.rng)
    }

    fn render(&mut self, json: &Json) -> Vec<u8> {
        json.render(style(&mut self.rng)).into_bytes()
    }
}

/// As serializers differ: a third escapes whatever it can.
pub fn style(rng: &mut SmallRng) -> Style {
    let escaped = rng.random_ratio(1, 3);
    Style { slashes: escaped, non_ascii: escaped, angles: rng.random_bool(0.5) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn copies_differ_where_they_should() {
        let now = Time(1_770_000_000_000);
        let mut pool = Pool::new(3, &["BuyIt".to_owned()], now);
        let mut ids = Ids::default();
        let (mut statuses, mut deletions, mut bytes) = (0, 0, 0);
        for step in 0..3_000i64 {
            let at = Moment(now.0 * 1000 + step * 333);
            let id = ids.next(at);
            let copied = pool.copy(id, at);
            let value: Value = serde_json::from_slice(&copied.value).unwrap();
            let text = String::from_utf8(copied.value.clone()).unwrap();
            assert!(!text.contains(&ID.to_string()) && !text.contains(&AUTHOR.to_string()), "{text}");
            if copied.is_deletion {
                deletions += 1;
                let status = &value["delete"]["status"];
                assert_eq!(status["user_id"], copied.author);
                assert!(status["id"].as_u64().unwrap() < id);
                assert_eq!(value["delete"]["timestamp_ms"], at.time().0.to_string());
                continue;
            }
            statuses += 1;
            bytes += copied.value.len();
            assert_eq!((&value["id"], &value["id_str"]), (&id.into(), &id.to_string().into()));
            assert_eq!(value["user"]["id_str"], copied.author.to_string());
            assert_eq!(value["timestamp_ms"], at.time().0.to_string());
            assert_eq!(value["created_at"], render::created_at(at.time()));
            assert_ne!(value["retweeted_status"]["id_str"], value["id_str"]);
        }
        assert!((200..400).contains(&deletions), "{deletions}");
        let mean = bytes / statuses;
        assert!((4_200..5_200).contains(&mean), "{mean} bytes a post");
    }
}
