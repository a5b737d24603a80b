//! The simulated network: hands out ids from virtual time, streams posts and messages, remembers what people see.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::bus::OutRecord;
use crate::domain::Time;
use crate::domain::time::SNOWFLAKE_EPOCH_MS;
use crate::posts::json::{Json, Style};
use crate::posts::post::{Draft, Post, Relation};
use crate::posts::render;

/// Posts that can still be retweeted, quoted or deleted.
const RECENT_POSTS_MAX: usize = 512;

/// Posts of people who buy nothing that can still be deleted.
const DELETABLE_POSTS_MAX: usize = 2048;

/// What happens between two looks and is still seen.
const SHOWN_MAX: usize = 4096;

/// The machine part of a snowflake id: 10 bits.
const MACHINE: u64 = 0x17b;

pub struct Twitter {
    topic: Arc<str>,
    partitions: u32,
    rng: SmallRng,
    ids: Snowflakes,
    recent: VecDeque<Arc<Post>>,
    deletable: VecDeque<(u64, u64)>,
    outbox: Vec<OutRecord>,
    streamed: u64,
    /// What happened since it was last taken, if somebody looks.
    shown: Option<VecDeque<Shown>>,
}

/// What somebody who looks at the network sees.
pub enum Shown {
    Post(Arc<Post>),
    Deleted(u64),
}

/// Ids as snowflake makes them: milliseconds, machine, sequence.
#[derive(Debug, Default)]
struct Snowflakes {
    last_ms: i64,
    sequence: u64,
}

impl Twitter {
    pub fn new(topic: &str, partitions: u32, seed: u64) -> Twitter {
        Twitter {
            topic: Arc::from(topic),
            partitions: partitions.max(1),
            rng: SmallRng::seed_from_u64(seed),
            ids: Snowflakes::default(),
            recent: VecDeque::new(),
            deletable: VecDeque::new(),
            outbox: Vec::new(),
            streamed: 0,
            shown: None,
        }
    }

    /// Accepts a post and streams it, in one of the two versions of the format.
    pub fn publish(&mut self, draft: Draft, at: Time) -> Arc<Post> {
        let (id, time) = self.ids.next(at);
        let mut versions = draft.edit_of.as_ref().map(|post| post.versions.clone()).unwrap_or_default();
        versions.push(id);
        let post = Arc::new(Post { id, time, draft, versions });
        self.show(|| Shown::Post(post.clone()));
        let json = if self.rng.random_bool(0.5) { render::v1(&post) } else { render::v2(&post) };
        self.stream(&json, None);
        if !matches!(post.draft.relation, Relation::Retweet(_)) {
            keep(&mut self.recent, post.clone(), RECENT_POSTS_MAX);
        }
        post
    }

    /// Deletes a post; the stream tells it.
    pub fn delete(&mut self, post: u64, author: u64, at: Time) {
        self.show(|| Shown::Deleted(post));
        self.stream(&render::deletion(post, author, at), None);
    }

    /// A post that [`Twitter::delete_some`] may delete.
    pub fn mark_deletable(&mut self, post: &Post) {
        keep(&mut self.deletable, (post.id, post.author().id), DELETABLE_POSTS_MAX);
    }

    /// Deletes one of the deletable posts, if there is any.
    pub fn delete_some(&mut self, at: Time) {
        if self.deletable.is_empty() {
            return;
        }
        let place = self.rng.random_range(0..self.deletable.len());
        if let Some((post, author)) = self.deletable.swap_remove_back(place) {
            self.delete(post, author, at);
        }
    }

    /// Streams a message that is no post into this partition, or into any.
    pub fn stream(&mut self, message: &Json, partition: Option<u32>) {
        let escaped = self.rng.random_ratio(1, 3);
        let style = Style { slashes: escaped, non_ascii: escaped, angles: self.rng.random_bool(0.5) };
        let partition = partition.unwrap_or_else(|| self.rng.random_range(0..self.partitions));
        self.put(partition, message.render(style).into_bytes());
    }

    /// A blank line, as streams send to keep the connection.
    pub fn keep_alive(&mut self) {
        let partition = self.rng.random_range(0..self.partitions);
        self.put(partition, b"\r\n".to_vec());
    }

    /// Posts a draft into a partition of one's choice.
    pub fn publish_into(&mut self, partition: u32, draft: Draft, at: Time) {
        let (id, time) = self.ids.next(at);
        let post = Post { id, time, draft, versions: vec![id] };
        self.stream(&render::v1(&post), Some(partition));
    }

    /// Writes a record of a side input. It is keyed, so that one key's records stay in order.
    pub fn send(&mut self, topic: &str, key: &str, value: &Json) {
        self.outbox.push(OutRecord {
            topic: Arc::from(topic),
            partition: None,
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.render(Style::default()).into_bytes()),
            headers: Vec::new(),
        });
    }

    /// A recent post of which this is true, if there is any; no retweets.
    pub fn recent(&mut self, fits: impl Fn(&Post) -> bool) -> Option<Arc<Post>> {
        let fitting: Vec<&Arc<Post>> = self.recent.iter().filter(|post| fits(post)).collect();
        fitting.choose(&mut self.rng).map(|post| (*post).clone())
    }

    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Records of the stream so far, messages included.
    pub fn streamed(&self) -> u64 {
        self.streamed
    }

    /// Takes what is to be written, in order.
    pub fn take_outbox(&mut self) -> Vec<OutRecord> {
        std::mem::take(&mut self.outbox)
    }

    /// Somebody looks from now on.
    pub fn watch(&mut self) {
        self.shown = Some(VecDeque::new());
    }

    /// What happened since the last time, the newest of it.
    pub fn take_shown(&mut self) -> Vec<Shown> {
        self.shown.as_mut().map(|shown| shown.drain(..).collect()).unwrap_or_default()
    }

    fn show(&mut self, what: impl FnOnce() -> Shown) {
        if let Some(shown) = &mut self.shown {
            keep(shown, what(), SHOWN_MAX);
        }
    }

    fn put(&mut self, partition: u32, value: Vec<u8>) {
        self.streamed += 1;
        self.outbox.push(OutRecord {
            topic: self.topic.clone(),
            partition: Some(partition),
            key: None,
            value: Some(value),
            headers: Vec::new(),
        });
    }
}

impl Snowflakes {
    const SEQUENCE_BITS: u32 = 12;
    const MACHINE_BITS: u32 = 10;

    /// The next id and its time: the moment asked for, or the last one given if that is later.
    fn next(&mut self, at: Time) -> (u64, Time) {
        if at.0 > self.last_ms {
            *self = Snowflakes { last_ms: at.0, sequence: 0 };
        } else {
            self.sequence += 1;
            if self.sequence >> Self::SEQUENCE_BITS > 0 {
                *self = Snowflakes { last_ms: self.last_ms + 1, sequence: 0 };
            }
        }
        let ms = u64::try_from(self.last_ms - SNOWFLAKE_EPOCH_MS).unwrap_or(0);
        let id = ms << (Self::SEQUENCE_BITS + Self::MACHINE_BITS) | MACHINE << Self::SEQUENCE_BITS | self.sequence;
        (id, Time(self.last_ms))
    }
}

fn keep<T>(ring: &mut VecDeque<T>, item: T, items_max: usize) {
    if ring.len() >= items_max {
        ring.pop_front();
    }
    ring.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_time_and_grow() {
        let mut ids = Snowflakes::default();
        let at = Time(1_700_000_000_000);
        let mut last = 0;
        for step in 0..10_000 {
            let (id, time) = ids.next(Time(at.0 + step / 5000));
            assert!(id > last);
            assert_eq!(Time::of_snowflake(id), Some(time));
            assert!(time >= Time(at.0 + step / 5000) && time.0 < at.0 + 4);
            last = id;
        }
    }
}
