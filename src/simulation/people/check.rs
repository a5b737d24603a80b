//! Whether the screen made of each record what was meant by it (I9), in order and exactly once.
//!
//! Every record that was written waits in a queue of its source partition and of the inbox partition where its account
//! lives, until it is seen there; only the first of a queue may come next. Three things are not certain, and each is
//! allowed in every way that the contract allows:
//!
//! - **The catalogue.** Posts race with changes of offers. A post may be read by any state of the catalogue from the
//!   one that it was appended under (less the plan's `catalogue_lag`, since a look at the topic may fail for a while)
//!   to the newest one when its record is seen. A post that says nothing by one of these may be passed over; what a
//!   later record of its queue overtakes is taken for passed over.
//! - **Damage** in a record that is no candidate may be noticed or not.
//! - **Idle moves** of live sources are bounded by the clock that their tick carries, and that clock by the log's.

mod marks;

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashSet;
use serde::Deserialize;

use super::behaviour::Behaviour;
use super::catalogue::Catalogue;
use super::desk::{Desk, Into, Raw, What};
use super::offers_check::OffersCheck;
use super::post::{Post, Relation};
use crate::bus::partition_of_key;
use crate::domain::{AccountId, AccountMessage, DeletedPost, InboxRecord, OffersRecord, PostIntent, Span, Time};

const PROBLEMS_MAX: usize = 100;

/// A batch is gathered for so long at most, and its worker asked as often for idle ones.
const CLOCK_SLACK_MS: i64 = 5_000;

pub(super) struct Check {
    pub problems: Vec<String>,
    now: i64,
    /// The highest append time.
    log_clock: i64,
    /// By how much processes' clocks may be behind; `None` if nothing is known of that.
    lag_max: Option<i64>,
    /// The highest clock that a tick told, by inbox partition.
    told_clocks: Vec<Option<i64>>,
    catalogue: Catalogue,
    offers: OffersCheck,
    /// By partition of `offers`: the version of its last record.
    offer_versions: BTreeMap<u32, u64>,
    sources: Vec<Source>,
    /// Dead letters that must come, or may.
    dead: BTreeMap<(Into, u32, u64), Dead>,
    /// By inbox partition and source: the highest mark told.
    marks: Vec<Vec<Option<Time>>>,
    /// First ids of posts whose buy tags were counted.
    ordered: FxHashSet<u64>,
    buy_tags: Vec<bool>,
}

/// A partition of an input.
struct Source {
    into: Into,
    partition: u32,
    /// The highest event time appended.
    high: Option<i64>,
    /// The least mark that has to be told once everything was read.
    due_mark: Option<Time>,
    /// By inbox partition.
    queues: Vec<VecDeque<Pending>>,
}

/// A record that is to be seen.
#[derive(Clone, Copy)]
struct Pending {
    planned: u32,
    offset: u64,
    /// When it was appended, by true time, and by the log's clock if that is ahead.
    at: i64,
    at_by_log: i64,
    /// The state of the catalogue from which on it may be read.
    state: u32,
    /// The highest event time of its partition before it.
    high: Option<i64>,
    /// It repeats one that may have been passed over: one of both was seen, and nobody knows which.
    seen_perhaps: bool,
}

struct Dead {
    reason: &'static str,
    size: usize,
    sure: bool,
}

#[derive(Deserialize)]
struct DeadLetter<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
    size: usize,
    reason: &'a str,
}

/// What was seen, as far as it must be found among what was meant.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Post(AccountId, &'a PostIntent),
    Side(AccountId, &'a AccountMessage),
    Deletion(u64, DeletedPost),
}

impl Check {
    pub fn new(desk: &Desk) -> Check {
        let inboxes = desk.known.partitions as usize;
        let source = |into, partition| Source {
            into,
            partition,
            high: None,
            due_mark: None,
            queues: (0..inboxes).map(|_| VecDeque::new()).collect(),
        };
        let posts = desk.plan.post_partitions.max(desk.known.partitions);
        let sides = [Into::Links, Into::Posted];
        let sides = sides.into_iter().flat_map(|into| (0..desk.known.partitions).map(move |p| (into, p)));
        let sources: Vec<Source> =
            (0..posts).map(|p| (Into::Posts, p)).chain(sides).map(|(into, p)| source(into, p)).collect();
        let mut buy_tags = vec![false; desk.goods.tags.len()];
        for tags in desk.goods.all.iter().flat_map(|good| good.tags) {
            buy_tags[usize::from(tags.buy.0)] = true;
        }
        Check {
            problems: Vec::new(),
            // The program may start before people do.
            now: desk.plan.start.0 - 3_600_000,
            log_clock: i64::MIN,
            lag_max: None,
            told_clocks: vec![None; inboxes],
            catalogue: Catalogue::new(&desk.goods),
            offers: OffersCheck::new(&desk.goods, desk.known.partitions),
            offer_versions: BTreeMap::new(),
            marks: vec![vec![None; sources.len()]; inboxes],
            sources,
            dead: BTreeMap::new(),
            ordered: FxHashSet::default(),
            buy_tags,
        }
    }

    pub fn clock(&mut self, now: Time) {
        self.now = self.now.max(now.0);
    }

    /// The log's clock has come so far.
    pub fn log_clock(&mut self, appended: Time) {
        self.log_clock = self.log_clock.max(appended.0);
    }

    /// No process's clock will be further behind than this.
    pub fn trust_clocks(&mut self, lag_max: Span) {
        self.lag_max = Some(lag_max.0);
    }

    pub fn now(&self) -> i64 {
        self.now
    }

    /// The version of a record of `offers`: later ones have higher ones, by the log's clock, then by the partition, and
    /// in a partition always.
    pub fn said_of_offers(&mut self, partition: u32, appended: Time) -> u64 {
        let by_clock = appended.0.max(0) as u64 * (1 << 20) + u64::from(partition);
        let last = self.offer_versions.entry(partition).and_modify(|last| *last = by_clock.max(*last + (1 << 10)));
        *last.or_insert(by_clock)
    }

    /// Notes what a record must become; gives how many orders it holds.
    pub fn appended(&mut self, planned: u32, offset: u64, appended: Time, desk: &Desk) -> usize {
        let record = &desk.planned[planned as usize];
        let version = if record.into == Into::Offers { self.said_of_offers(record.partition, appended) } else { 0 };
        let at = (record.into, record.partition, offset);
        match &record.what {
            What::Post(post) => {
                if may_matter(post, desk) {
                    self.expect(planned, offset, post.author.user, desk);
                }
                self.rise(record.partition, post.time(), desk);
                return self.count_orders(post);
            }
            What::Deletion { user, .. } => self.expect(planned, offset, *user, desk),
            What::Link(account, _) | What::Posted(account, _) => self.expect(planned, offset, account.user, desk),
            What::Offer(change) => {
                let change = &desk.goods.changes[*change];
                let good = &desk.goods.all[change.good];
                match &change.spec {
                    Some(_) if change.what == Behaviour::OfferRefused => {
                        let size = super::goods::record(&good.spec.id, change).len();
                        self.dead.insert(at, Dead { reason: "wrong_type", size, sure: true });
                    }
                    Some(spec) => {
                        self.offers.appended(change, record.partition, version);
                        self.catalogue.publish(spec, good.tags[change.generation], version, self.now);
                    }
                    None => {
                        self.offers.appended(change, record.partition, version);
                        self.catalogue.withdraw(&good.spec.id, version, self.now);
                    }
                }
            }
            What::Raw { value, meant } => {
                let size = value.len();
                let dead = match *meant {
                    Raw::Nothing => None,
                    Raw::Heartbeat(time) => {
                        self.rise(record.partition, time, desk);
                        None
                    }
                    Raw::Dead(reason) => Some(Dead { reason, size, sure: true }),
                    Raw::PerhapsDead(reason) => Some(Dead { reason, size, sure: false }),
                };
                self.dead.extend(dead.map(|dead| (at, dead)));
            }
        }
        0
    }

    pub fn see_inbox(&mut self, inbox: u32, offset: u64, record: &InboxRecord, desk: &Desk) {
        match record {
            InboxRecord::To(_, AccountMessage::Stock(_)) => {}
            InboxRecord::To(account, AccountMessage::Post(intent)) => {
                self.find(inbox, offset, Seen::Post(*account, intent), None, desk);
            }
            InboxRecord::To(account, AccountMessage::Deleted(deleted)) => {
                self.find(inbox, offset, Seen::Deletion(account.user, *deleted), None, desk);
            }
            InboxRecord::To(account, message) => {
                self.find(inbox, offset, Seen::Side(*account, message), None, desk);
            }
            InboxRecord::Deletions(_, deletions) => {
                let mut source = None;
                for (user, deleted) in deletions {
                    source = self.find(inbox, offset, Seen::Deletion(*user, *deleted), source, desk).or(source);
                }
            }
            InboxRecord::Tick(tick) => self.see_tick(inbox, tick, desk),
        }
    }

    pub fn see_offers(&mut self, record: &OffersRecord, desk: &Desk) {
        if let Some(wrong) = self.offers.see(record, &desk.goods) {
            self.complain(wrong);
        }
    }

    pub fn see_dead_letter(&mut self, value: &[u8], desk: &Desk) {
        let Ok(letter) = serde_json::from_slice::<DeadLetter<'_>>(value) else {
            return self.complain("a dead letter can't be read".to_owned());
        };
        let DeadLetter { topic, partition, offset, size, reason } = letter;
        let into = [Into::Posts, Into::Links, Into::Posted, Into::Offers]
            .into_iter()
            .find(|into| **desk.known.topic(*into) == *topic);
        match into.and_then(|into| self.dead.remove(&(into, partition, offset))) {
            None => {
                self.complain(format!("{topic}/{partition}/{offset} is a dead letter ({reason}) and should be none"))
            }
            Some(dead) if dead.reason != reason || dead.size != size => self.complain(format!(
                "{topic}/{partition}/{offset} is a dead letter of {size} bytes for {reason}, not of {} for {}",
                dead.size, dead.reason
            )),
            Some(_) => {}
        }
    }

    /// Everything has been read: what is still expected is missing.
    pub fn finish(&mut self, desk: &Desk) {
        let mut missing: Vec<String> = self.offers.missing(&desk.goods).collect();
        for (index, source) in self.sources.iter().enumerate() {
            let name = format!("{}/{}", desk.known.topic(source.into), source.partition);
            for (inbox, queue) in source.queues.iter().enumerate() {
                for pending in queue.iter().filter(|pending| !self.may_be_silent(pending, desk)) {
                    missing.push(format!("{name}/{} never came to accounts.inbox/{inbox}", pending.offset));
                }
                if self.marks[inbox][index] < source.due_mark {
                    let (told, due) = (self.marks[inbox][index], source.due_mark);
                    missing.push(format!("{name} told {told:?} to accounts.inbox/{inbox}, and should {due:?}"));
                }
            }
        }
        for ((into, partition, offset), dead) in self.dead.iter().filter(|(_, dead)| dead.sure) {
            let topic = desk.known.topic(*into);
            missing.push(format!("{topic}/{partition}/{offset} is no dead letter, and should for {}", dead.reason));
        }
        missing.into_iter().for_each(|missing| self.complain(missing));
    }

    fn expect(&mut self, planned: u32, offset: u64, user: u64, desk: &Desk) {
        let record = &desk.planned[planned as usize];
        let inbox = partition_of_key(desk.account(user).to_string().as_bytes(), desk.known.partitions) as usize;
        let state = self.catalogue.oldest_at(self.now, desk.plan.catalogue_lag.0) as u32;
        let (at, at_by_log) = (self.now, self.now.max(self.log_clock));
        let source = self.source(record.into, record.partition);
        let source = &mut self.sources[source];
        let high = source.high;
        source.queues[inbox].push_back(Pending { planned, offset, at, at_by_log, state, high, seen_perhaps: false });
    }

    fn source(&self, into: Into, partition: u32) -> usize {
        let of = |source: &Source| source.into == into && source.partition == partition;
        self.sources.iter().position(of).expect("records are noted for partitions that there are")
    }

    fn count_orders(&mut self, post: &Post) -> usize {
        let buys = post.tags().filter(|tag| self.buy_tags[usize::from(tag.0)]).count();
        if buys > 0 && !matches!(post.relation, Relation::Retweet(_)) && self.ordered.insert(post.first) {
            buys
        } else {
            0
        }
    }

    /// Finds what was seen at the head of a queue, and judges it. Gives the source.
    fn find(&mut self, inbox: u32, offset: u64, seen: Seen<'_>, only: Option<usize>, desk: &Desk) -> Option<usize> {
        let found = self.place_of(inbox, seen, only, desk);
        let Some((index, place)) = found else {
            self.out_of_turn(inbox, offset, seen, desk);
            return None;
        };
        let queue = &mut self.sources[index].queues[inbox as usize];
        queue.drain(..place);
        let pending = queue.pop_front()?;
        self.note_repeat(index, inbox, &pending, desk);
        self.judge(inbox, offset, seen, &pending, desk);
        if let Seen::Post(..) = seen {
            self.judge_clock(inbox, offset, &pending, desk);
        }
        Some(index)
    }

    /// What may have been passed over is perhaps not what was seen, but the same written again: then no more will come.
    fn note_repeat(&mut self, source: usize, inbox: u32, seen: &Pending, desk: &Desk) {
        let queue = &self.sources[source].queues[inbox as usize];
        let place = queue.iter().position(|pending| pending.planned == seen.planned);
        let place = place.filter(|place| {
            self.may_be_silent(seen, desk) && queue.iter().take(*place).all(|pending| self.may_be_silent(pending, desk))
        });
        if let Some(place) = place {
            self.sources[source].queues[inbox as usize][place].seen_perhaps = true;
        }
    }

    /// Whoever judges a post must know a clock of its reading: an outage or a standstill shortens nobody's window.
    fn judge_clock(&mut self, inbox: u32, offset: u64, pending: &Pending, desk: &Desk) {
        let (Some(lag_max), Some(told)) = (self.lag_max, self.told_clocks[inbox as usize]) else { return };
        let late = pending.at - told - lag_max - 2 * desk.known.tick_every;
        if late > CLOCK_SLACK_MS {
            self.complain(format!("accounts.inbox/{inbox}/{offset} is to be judged by a clock {late} ms too old"));
        }
    }

    /// The source, and the place in its queue, of a record that may come next.
    fn place_of(&self, inbox: u32, seen: Seen<'_>, only: Option<usize>, desk: &Desk) -> Option<(usize, usize)> {
        let is_it = |pending: &Pending| names(&desk.planned[pending.planned as usize].what, seen);
        let queues = || {
            let sources = self.sources.iter().enumerate().filter(|(index, _)| only.is_none_or(|only| only == *index));
            sources.filter_map(|(index, source)| Some((index, source.queues.get(inbox as usize)?)))
        };
        // Mostly it stands at a head; only else it matters what may be passed over.
        let head = queues().find(|(_, queue)| queue.front().is_some_and(is_it));
        if let Some((index, _)) = head {
            return Some((index, 0));
        }
        queues().find_map(|(index, queue)| {
            let place = queue.iter().position(is_it)?;
            let passed = queue.iter().take(place).all(|pending| self.may_be_silent(pending, desk));
            passed.then_some((index, place))
        })
    }

    /// It may stand deeper in a queue: then what stands before it was lost, or overtaken.
    fn out_of_turn(&mut self, inbox: u32, offset: u64, seen: Seen<'_>, desk: &Desk) {
        let is_it = |pending: &Pending| names(&desk.planned[pending.planned as usize].what, seen);
        let mut what = "was meant by nobody, or came before";
        for source in &mut self.sources {
            let Some(queue) = source.queues.get_mut(inbox as usize) else { continue };
            if let Some(place) = queue.iter().position(is_it) {
                queue.remove(place);
                what = "came before what stands before it in its partition";
                break;
            }
        }
        self.complain(format!("accounts.inbox/{inbox}/{offset} {what}: {}", told(seen)));
    }

    fn judge(&mut self, inbox: u32, offset: u64, seen: Seen<'_>, pending: &Pending, desk: &Desk) {
        let wrong = match (seen, &desk.planned[pending.planned as usize].what) {
            (Seen::Post(_, intent), What::Post(post)) => {
                let mut wrong = None;
                for state in pending.state as usize..=self.catalogue.newest() {
                    wrong = self.catalogue.judge(post, state, intent, &desk.goods).err();
                    if wrong.is_none() {
                        break;
                    }
                }
                wrong
            }
            (Seen::Deletion(_, deleted), What::Deletion { at, .. }) => {
                let time = at.or(pending.high);
                time.filter(|time| *time != deleted.time.0).map(|_| "the time of a deletion")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.complain(format!(
                "accounts.inbox/{inbox}/{offset} has another {wrong} than was meant: {}",
                told(seen)
            ));
        }
    }

    fn may_be_silent(&self, pending: &Pending, desk: &Desk) -> bool {
        match &desk.planned[pending.planned as usize].what {
            What::Post(_) if pending.seen_perhaps => true,
            What::Post(post) => (pending.state as usize..=self.catalogue.newest())
                .any(|state| self.catalogue.may_be_silent(post, state)),
            _ => false,
        }
    }

    fn complain(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// Whether a post can become anything at all.
fn may_matter(post: &Post, desk: &Desk) -> bool {
    let echoes = matches!(post.relation, Relation::Retweet(_) | Relation::Quote(_));
    post.author.user != desk.known.service.user
        && (post.cancels || post.freezes || echoes || post.tags().next().is_some())
}

/// Whether what was seen is this record, rightly read or not.
fn names(what: &What, seen: Seen<'_>) -> bool {
    match (what, seen) {
        (What::Post(post), Seen::Post(account, intent)) => {
            post.id == intent.id.0 && post.author.user == account.user && account.network.as_str() == "twitter"
        }
        (What::Link(meant, message), Seen::Side(account, AccountMessage::Link(told))) => {
            *meant == account && message == told
        }
        (What::Posted(meant, fate), Seen::Side(account, AccountMessage::Posted(told))) => {
            *meant == account && fate == told
        }
        (What::Deletion { post, user, .. }, Seen::Deletion(account, deleted)) => {
            *user == account && *post == deleted.post.0
        }
        _ => false,
    }
}

fn told(seen: Seen<'_>) -> String {
    match seen {
        Seen::Post(account, intent) => format!("post {} of {account}", intent.id),
        Seen::Side(account, AccountMessage::Link(_)) => format!("a link of {account}"),
        Seen::Side(account, _) => format!("what became of a reply to {account}"),
        Seen::Deletion(user, deleted) => format!("the deletion of {} by {user}", deleted.post),
    }
}
