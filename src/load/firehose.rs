//! The stream: posts of everybody in order of their intended times, a slice of a millisecond at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Options;
use super::behaviour::{Act, posts_per_conversation};
use super::crowd::{Crowd, Deed, Due};
use super::goods;
use super::moment::{Ids, Moment};
use super::pool::{Pool, style};
use super::shape::Segment;
use super::truth::Truth;
use crate::bus::{OutRecord, partition_of_key};
use crate::domain::AccountId;
use crate::posts::json::{Json, Style, object};
use crate::posts::post::{Draft, Post, User};
use crate::posts::render;
use crate::wire::time;

/// Posts that are scheduled together.
const SLICE: Duration = Duration::from_millis(1);

/// How long the gateway takes to post a reply.
const POSTING_MS: std::ops::Range<u64> = 50..250;

/// While a backlog piles up unevenly, so many percent of its posts are in the first partition.
const UNEVEN_PERCENT: u32 = 70;

pub struct Firehose {
    topic: Arc<str>,
    partitions: u32,
    options: Options,
    crowd: Crowd,
    pool: Pool,
    ids: Ids,
    rng: SmallRng,
    agenda: BTreeMap<(Moment, u64), Item>,
    scheduled: u64,
    segment: Segment,
    /// The next slice begins here.
    cursor: Moment,
    /// Posts and conversations of this segment so far.
    streamed: f64,
    begun: f64,
    uneven: bool,
    counts: Counts,
}

/// A record with what it is.
#[derive(Clone, Debug)]
pub struct Said {
    pub record: OutRecord,
    /// The moment for which it was scheduled.
    pub at: Moment,
    pub meaning: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing to us.
    Noise,
    /// A deletion of a post that is nothing to us.
    Deletion,
    /// A step of a conversation.
    Step(Act),
    /// A reply of the service, as the network shows it.
    Reply,
    /// No post: a record of another input.
    Side,
}

/// What was streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records of the post topic, those below included.
    pub posts: u64,
    pub bytes: u64,
    /// By people who came shopping.
    pub relevant: u64,
    pub deletions: u64,
    /// The service's own.
    pub replies: u64,
}

/// A record of `replies`, as the gateway takes it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it was read.
    pub at: Moment,
    pub reply: String,
    pub user: u64,
    pub handle: String,
    pub in_reply_to: Option<u64>,
    pub text: String,
    pub is_prompt: bool,
}

enum Item {
    Step(Due),
    Reply(Heard),
}

impl Firehose {
    /// A stream into so many partitions, at rest until the first [`Firehose::begin`].
    pub fn new(options: &Options, partitions: u32, now: Moment) -> Firehose {
        let mut seeds = SmallRng::seed_from_u64(options.seed);
        // Accounts of another run on the same log are other accounts.
        let first_user = Ids::default().next(now);
        let segment = Segment {
            start: now,
            duration: Duration::ZERO,
            shape: super::shape::Shape::Steady,
            rate: 0.0,
            relevant: 0.0,
        };
        Firehose {
            topic: Arc::from(options.topic.as_str()),
            partitions: partitions.max(1),
            pool: Pool::new(seeds.random(), &goods::tags(), now.time()),
            rng: SmallRng::seed_from_u64(seeds.random()),
            crowd: Crowd::new(options, first_user),
            options: options.clone(),
            ids: Ids::default(),
            agenda: BTreeMap::new(),
            scheduled: 0,
            segment,
            cursor: now,
            streamed: 0.0,
            begun: 0.0,
            uneven: false,
            counts: Counts::default(),
        }
    }

    /// The links that a segment's people need, to be written before it begins.
    pub fn links(&self, segment: &Segment) -> Vec<OutRecord> {
        let people = (segment.posts() * segment.relevant / posts_per_conversation()).ceil() as u64 + 1;
        let at = segment.start.before(Duration::from_secs(60));
        self.crowd.coming(people).map(|user| self.link(&user, at)).collect()
    }

    /// Goes over to a segment. What was scheduled before goes on; a segment that begins where the stream stands leaves
    /// all of it its own time.
    pub fn begin(&mut self, segment: Segment, uneven: bool) {
        (self.streamed, self.begun) = (0.0, 0.0);
        self.cursor = segment.start;
        self.uneven = uneven;
        self.segment = segment;
    }

    /// Everything that is due before a moment and within the segment, or the first so many bytes of it.
    pub fn stream(&mut self, until: Moment, bytes_max: u64) -> Vec<Said> {
        let mut said = Vec::new();
        let from = self.counts.bytes;
        let until = until.min(self.segment.end());
        while self.cursor < until && self.counts.bytes - from < bytes_max {
            self.slice(until.min(self.cursor.after(SLICE)), &mut said);
        }
        said
    }

    /// Whether everything before a moment, or the segment's end, was streamed.
    pub fn has_reached(&self, moment: Moment) -> bool {
        self.cursor >= moment.min(self.segment.end())
    }

    /// Whether the segment is over.
    pub fn has_ended(&self) -> bool {
        self.cursor >= self.segment.end()
    }

    /// Up to when everything was streamed.
    pub fn cursor(&self) -> Moment {
        self.cursor
    }

    /// The gateway takes a reply: it posts it after a while, and tells.
    pub fn hear(&mut self, heard: Heard) {
        let delay = Duration::from_millis(self.rng.random_range(POSTING_MS));
        self.schedule(heard.at.after(delay), Item::Reply(heard));
    }

    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn truth(&self) -> &Truth {
        self.crowd.truth()
    }

    pub fn into_truth(self) -> Truth {
        self.crowd.into_truth()
    }

    /// The users that came so far: the first, and how many.
    pub fn users(&self) -> (u64, u64) {
        self.crowd.users()
    }

    /// Whether nothing is scheduled and no script waits for anything.
    pub fn is_over(&self) -> bool {
        self.agenda.is_empty() && self.crowd.open() == 0
    }

    /// Whether anything is scheduled.
    pub fn has_plans(&self) -> bool {
        !self.agenda.is_empty()
    }

    fn slice(&mut self, end: Moment, said: &mut Vec<Said>) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 < end) {
            let ((at, _), item) = entry.remove_entry();
            // What was scheduled too late for its slice goes into this one: a partition's times never run backwards.
            self.happen(item, at.max(self.cursor), said);
        }
        let due = self.segment.due_before(end);
        let begun = due * self.segment.relevant / posts_per_conversation();
        while self.begun + 1.0 <= begun {
            self.begun += 1.0;
            let share = self.rng.random_range(0.0..1.0);
            let at = self.within(end, share);
            for step in self.crowd.begin(at) {
                match step.at < end {
                    true => self.happen(Item::Step(step), step.at, said),
                    false => self.schedule(step.at, Item::Step(step)),
                }
            }
        }
        let noise = (due - self.streamed).max(0.0) as u64;
        for number in 0..noise {
            let at = self.within(end, number as f64 / noise as f64);
            self.noise(at, said);
        }
        self.cursor = end;
    }

    fn within(&self, end: Moment, share: f64) -> Moment {
        Moment(self.cursor.0 + (end.since(self.cursor) as f64 * share) as i64)
    }

    fn noise(&mut self, at: Moment, said: &mut Vec<Said>) {
        let id = self.ids.next(at);
        let copied = self.pool.copy(id, at);
        let partition = self.partition_of(copied.author);
        self.counts.deletions += u64::from(copied.is_deletion);
        let meaning = if copied.is_deletion { Meaning::Deletion } else { Meaning::Noise };
        self.put(partition, copied.value, at, meaning, said);
    }

    fn happen(&mut self, item: Item, at: Moment, said: &mut Vec<Said>) {
        match item {
            Item::Step(step) => self.step(&Due { at, ..step }, said),
            Item::Reply(heard) => self.reply(heard, at, said),
        }
    }

    fn step(&mut self, step: &Due, said: &mut Vec<Said>) {
        let Some(deed) = self.crowd.deed(step) else { return };
        let meaning = Meaning::Step(step.act);
        match deed {
            Deed::Post(draft) => {
                let drawn = self.partition_of(draft.author.id);
                let partition = self.crowd.partition(step, drawn);
                let post = self.publish(draft, partition, step.at, meaning, said);
                self.crowd.posted(step, Some(&post));
                self.counts.relevant += 1;
            }
            Deed::Delete(post, author) => {
                let json = render::deletion(post, author, step.at.time());
                let value = json.render(style(&mut self.rng)).into_bytes();
                let partition = self.partition_of(author);
                self.put(partition, value, step.at, meaning, said);
                self.crowd.posted(step, None);
                self.counts.relevant += 1;
            }
            Deed::Unlink(user) => {
                let account = self.account(user);
                let value = object([
                    ("type", "unlink".into()),
                    ("account", account.as_str().into()),
                    ("at", time::format(step.at.time()).into()),
                ]);
                said.push(side("accounts.links", &account, &value, step.at));
                self.crowd.posted(step, None);
            }
        }
    }

    /// The network shows a reply, and the gateway tells so.
    fn reply(&mut self, heard: Heard, at: Moment, said: &mut Vec<Said>) {
        let to = Arc::new(User { id: heard.user, handle: heard.handle, ..(**self.crowd.service()).clone() });
        let draft = Draft::reply(&self.crowd.service().clone(), heard.text, heard.in_reply_to, &to);
        let partition = self.partition_of(draft.author.id);
        let post = self.publish(draft, partition, at, Meaning::Reply, said);
        self.counts.replies += 1;
        let account = self.account(heard.user);
        let value = object([
            ("reply", heard.reply.into()),
            ("account", account.as_str().into()),
            ("post", post.id.to_string().into()),
            ("at", time::format(post.time).into()),
        ]);
        said.push(side("replies.posted", &account, &value, at));
        if heard.is_prompt {
            for step in self.crowd.prompted(heard.user, at, &post) {
                self.schedule(step.at, Item::Step(step));
            }
        }
    }

    fn publish(
        &mut self,
        draft: Draft,
        partition: u32,
        at: Moment,
        meaning: Meaning,
        said: &mut Vec<Said>,
    ) -> Arc<Post> {
        let id = self.ids.next(at);
        let mut versions = draft.edit_of.as_ref().map(|post| post.versions.clone()).unwrap_or_default();
        versions.push(id);
        let post = Arc::new(Post { id, time: at.time(), draft, versions });
        let value = render::v1(&post).render(style(&mut self.rng)).into_bytes();
        self.put(partition, value, at, meaning, said);
        post
    }

    fn put(&mut self, partition: u32, value: Vec<u8>, at: Moment, meaning: Meaning, said: &mut Vec<Said>) {
        self.counts.posts += 1;
        self.counts.bytes += value.len() as u64;
        self.streamed += 1.0;
        let topic = self.topic.clone();
        let record =
            OutRecord { topic, partition: Some(partition), key: None, value: Some(value), headers: Vec::new() };
        said.push(Said { record, at, meaning });
    }

    fn partition_of(&mut self, user: u64) -> u32 {
        if !self.options.spread {
            return partition_of_key(user.to_string().as_bytes(), self.partitions);
        }
        if self.uneven && self.rng.random_ratio(UNEVEN_PERCENT, 100) {
            return 0;
        }
        self.rng.random_range(0..self.partitions)
    }

    fn schedule(&mut self, at: Moment, item: Item) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), item);
    }

    fn account(&self, user: u64) -> String {
        AccountId { network: self.options.network, user }.to_string()
    }

    fn link(&self, user: &User, at: Moment) -> OutRecord {
        let account = self.account(user.id);
        let value = object([
            ("type", "link".into()),
            ("account", account.as_str().into()),
            ("card", format!("tok_{:024x}", user.id.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into()),
            ("country", "US".into()),
            ("handle", user.handle.as_str().into()),
            ("email_ref", format!("eml_{}", user.id).into()),
            ("billing_ref", format!("adr_{}", user.id).into()),
            ("at", time::format(at.time()).into()),
        ]);
        side("accounts.links", &account, &value, at).record
    }
}

/// A record of a side input, keyed, so that one account's stay in order.
fn side(topic: &str, key: &str, value: &Json, at: Moment) -> Said {
    let record = OutRecord {
        topic: Arc::from(topic),
        partition: None,
        key: Some(key.as_bytes().to_vec()),
        value: Some(value.render(Style::default()).into_bytes()),
        headers: Vec::new(),
    };
    Said { record, at, meaning: Meaning::Side }
}
