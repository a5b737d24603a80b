//! A partition of a post topic: posts become intents, deletions batches, and event time ticks (DESIGN section 6).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::catalogue::Catalogue;
use super::intent::Screened;
use super::setup::ScreenSetup;
use super::shard::to_account;
use super::{DeadLetter, DeadReason, Verdict, screen};
use crate::bus::{OutRecord, TopicPartition, partition_of_key};
use crate::domain::{
    AccountId, AccountMessage, DeletedPost, Deletion, FunnelDelta, InboxRecord, Network, OfferMessage, OffersRecord,
    SourceId, Span, Tick, Time,
};
use crate::engine::pressure::Standing;
use crate::engine::shard::{Batch, Clocks, Decided, InRecord, Item};
use crate::planted::{self, Bug};
use crate::telemetry;
use crate::wire::internal;

pub struct PostsShard {
    setup: Arc<ScreenSetup>,
    at: TopicPartition,
    network: Network,
    progress: Progress,
    /// Progress before each open batch, and what the batch counted.
    layers: VecDeque<(Progress, Counts)>,
}

/// How far event time has come on this source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// The highest event time seen.
    high: Option<Time>,
    /// The highest time that a tick told.
    told: Option<Time>,
    /// The clock, and the highest event time, at the last tick of a live source; in a replay, at its first.
    ticked: Option<(Time, Option<Time>)>,
    /// Since when the source has been read to its end without anything new.
    quiet_since: Option<Time>,
    /// The one idle move after the last input file was made.
    moved_at_end: bool,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    outcomes: [u64; OUTCOMES.len()],
    dead: Vec<DeadReason>,
    /// The one idle move after the last input file was made.
    moved: bool,
}

const OUTCOMES: [&str; 8] =
    ["passed", "intent", "mention", "no_effect", "deletion", "control", "retweet", "dead_letter"];
const PASSED: usize = 0;
const INTENT: usize = 1;
const MENTION: usize = 2;
const NO_EFFECT: usize = 3;
const DELETION: usize = 4;
const CONTROL: usize = 5;
const RETWEET: usize = 6;
const DEAD: usize = 7;

/// What a batch makes, in order.
struct Out {
    records: Vec<OutRecord>,
    /// Deletions not yet written, by inbox partition. They are written before anything else goes to their partition, so
    /// that batching changes no order.
    deletions: BTreeMap<u32, Vec<(u64, DeletedPost)>>,
    mentions: BTreeMap<String, (u64, Time)>,
    counts: Counts,
    now: Time,
    /// Something told an event time.
    heard: bool,
}

impl PostsShard {
    pub fn new(setup: Arc<ScreenSetup>, at: TopicPartition, network: Network, note: &str) -> PostsShard {
        PostsShard { setup, at, network, progress: Progress::of_note(note), layers: VecDeque::new() }
    }

    pub fn decide(&mut self, batch: &Batch) -> Decided {
        let before = self.progress;
        let catalogue = self.setup.catalogue.get();
        let mut out = Out::new(batch.now);
        out.counts.outcomes[PASSED] =
            batch.records - batch.items.iter().filter(|i| matches!(i, Item::Record(_))).count() as u64;
        self.tick_before(batch, &mut out);
        for item in &batch.items {
            match item {
                // It is not ahead of its own append time, or it would have been copied.
                Item::Moment(time) => self.advance(*time, &mut out),
                Item::Record(record) => self.read(record, &catalogue, &mut out),
            }
        }
        let read = out.records.len();
        self.tick_after(batch, &mut out);
        if planted::is(Bug::TickBeforeItsBatch) {
            out.records.rotate_left(read);
        }
        out.flush_deletions(self.network);
        out.flush_mentions();
        self.layers.push_back((before, std::mem::take(&mut out.counts)));
        let note = (self.progress != before).then(|| self.progress.note());
        let standing = Standing::Source { mark: self.progress.told, at_end: batch.at_end };
        Decided { records: out.records, note, standing: Some(standing), taken: None }
    }

    pub fn committed(&mut self) {
        let Some((_, counts)) = self.layers.pop_front() else { return };
        for (outcome, n) in OUTCOMES.into_iter().zip(counts.outcomes) {
            telemetry::screened(&self.at.topic, outcome, n);
        }
        if counts.moved {
            self.setup.topology.note_move();
        }
        for reason in counts.dead {
            telemetry::dead_letters(&self.at.topic, reason.name(), 1);
        }
    }

    pub fn take_back(&mut self) {
        if let Some((before, _)) = self.layers.pop_back() {
            self.progress = before;
        }
    }

    fn read(&mut self, record: &InRecord, catalogue: &Catalogue, out: &mut Out) {
        let value = record.value.as_deref().unwrap_or_default();
        let outcome = match screen(value, self.network, catalogue, self.setup.record_bytes_max) {
            Verdict::Post(screened) if self.is_future(screened.time, record, out.now) => {
                self.bury(record, &ahead(), out)
            }
            Verdict::Post(screened) => self.post(*screened, out),
            Verdict::Deletion(deletion) => self.delete(deletion, record, out),
            Verdict::Heartbeat(at) if self.is_future(at, record, out.now) => self.bury(record, &ahead(), out),
            Verdict::Heartbeat(at) => {
                self.advance(at, out);
                CONTROL
            }
            Verdict::Control | Verdict::Other | Verdict::KeepAlive => CONTROL,
            Verdict::Passed => match super::post_time(value, self.network) {
                Some(time) if self.is_future(time, record, out.now) => self.bury(record, &ahead(), out),
                time => {
                    time.into_iter().for_each(|time| self.advance(time, out));
                    PASSED
                }
            },
            Verdict::Dead(letter) => self.bury(record, &letter, out),
        };
        out.counts.outcomes[outcome] += 1;
    }

    fn post(&mut self, screened: Screened, out: &mut Out) -> usize {
        self.advance(screened.time, out);
        if screened.is_retweet && !screened.mentions.is_empty() {
            out.counts.outcomes[RETWEET] += 1;
        }
        for terms in &screened.mentions {
            let (n, at) = out.mentions.entry(terms.offer.clone()).or_insert((0, screened.time));
            *n += 1;
            *at = (*at).max(screened.time);
        }
        match screened.intent {
            Some(intent) => {
                if !planted::is(Bug::DeletionOvertaken) {
                    out.flush_deletions_of(self.network, self.partition_of(screened.account));
                }
                out.records.push(to_account(screened.account, AccountMessage::Post(intent)));
                INTENT
            }
            None if screened.mentions.is_empty() => NO_EFFECT,
            None => MENTION,
        }
    }

    /// Its time is the notice's own, else the highest that was seen on this partition. One from the future is none: it
    /// would keep what the deletion frees from everybody until then.
    fn delete(&mut self, deletion: Deletion, record: &InRecord, out: &mut Out) -> usize {
        let told = deletion.time.filter(|time| !self.is_future(*time, record, out.now));
        let time = told.or(self.progress.high).unwrap_or(record.timestamp);
        let account = AccountId { network: self.network, user: deletion.author };
        let deleted = DeletedPost { post: deletion.post, time };
        let mut partition = self.partition_of(account);
        if planted::is(Bug::DeletionMisrouted) {
            partition = (deletion.author % u64::from(self.setup.accounts_partitions)) as u32;
        }
        out.deletions.entry(partition).or_default().push((deletion.author, deleted));
        DELETION
    }

    fn bury(&self, record: &InRecord, letter: &DeadLetter, out: &mut Out) -> usize {
        out.counts.dead.push(letter.reason);
        let body = self.setup.dead_letter_body;
        if !planted::is(Bug::DeadLetterLost) {
            out.records.push(record.dead_letter(&self.at, letter.reason.name(), &letter.detail, body));
        }
        DEAD
    }

    /// A post ahead of the clock by more than the skew must not drag the watermark along. A clock that is behind the
    /// log's is wrong itself and judges nobody: then the append time does.
    fn is_future(&self, time: Time, record: &InRecord, now: Time) -> bool {
        time > now.max(record.timestamp).after(self.setup.time.skew_max) && !planted::is(Bug::FutureBelieved)
    }

    fn partition_of(&self, account: AccountId) -> u32 {
        partition_of_key(account.to_string().as_bytes(), self.setup.accounts_partitions)
    }

    /// Event time comes to `time`. On a source that is not live, a tick stands between two posts that a multiple of
    /// `time.tick_every` separates: exact on every replay, however the log was cut into batches.
    fn advance(&mut self, time: Time, out: &mut Out) {
        out.heard = true;
        let every = self.setup.time.tick_every.0.max(1);
        if let Some(high) = self.progress.high
            && !self.setup.topology.is_live()
            && time.0.div_euclid(every) > high.0.div_euclid(every)
        {
            self.tick(high.before(self.lateness_max()), None, out);
        }
        self.progress.high = self.progress.high.max(Some(time));
    }

    /// What is read after an outage, or after this worker stood still, would be judged by the clock of before, and the
    /// windows of all who ordered meanwhile would be shorter by it: the clock is told first. Event time stays where it
    /// was. Where a live source was before, a replay has no clock any more: that is told first, too.
    fn tick_before(&mut self, batch: &Batch, out: &mut Out) {
        let old = self.setup.time.tick_every.0.saturating_mul(2);
        let is_old = |(clock, _): (Time, _)| !(0..old).contains(&batch.now.since(clock));
        let is_live = self.setup.topology.is_live();
        let late = self.progress.ticked.is_none_or(|ticked| is_live && is_old(ticked));
        if !batch.items.is_empty() && late && !planted::is(Bug::ClockToldLate) {
            self.write_tick(self.progress.told, is_live.then_some(batch.now), out);
            if !is_live {
                self.progress.ticked = Some((batch.now, self.progress.high));
            }
        }
    }

    /// Ticks that depend on the clock: those of live sources, idle ones, and the one idle move after the last input
    /// file.
    fn tick_after(&mut self, batch: &Batch, out: &mut Out) {
        let rules = self.setup.time;
        // Keep-alives and whatever else has no time bring event time no further than silence does.
        let quiet = !out.heard && (batch.at_end || planted::is(Bug::IdleTickNotAtEnd));
        // Since a moment that is yet to come, if the clock was set back: then from now on.
        let since = self.progress.quiet_since.filter(|since| *since <= batch.now);
        self.progress.quiet_since = quiet.then(|| since.unwrap_or(batch.now));
        if !self.setup.topology.is_live() {
            let ended = self.setup.topology.has_ended() && quiet && rules.idle_after.0 > 0 && !rules.idle_by_heartbeat;
            if ended && !self.progress.moved_at_end {
                self.progress.moved_at_end = true;
                out.counts.moved = self.source_index().is_some();
                let mark = self.progress.high.max(Some(batch.now)).unwrap_or(batch.now);
                self.tick(mark.before(self.lateness_max()), None, out);
            }
            return;
        }
        let idle = self.progress.quiet_since.is_some_and(|since| since.after(rules.idle_after) <= batch.now);
        let moves = idle && !rules.idle_by_heartbeat;
        let believed = batch.clocks == Clocks::Agree || planted::is(Bug::WrongClockBelieved);
        let high = if moves && believed { self.progress.high.max(Some(batch.now)) } else { self.progress.high };
        // A source that never said anything only writes to learn whether its clock may be believed.
        if high.is_none() && (!moves || believed) {
            return;
        }
        let passed = |then: Time, now: Time| !(0..rules.tick_every.0).contains(&now.since(then));
        let due = self.progress.ticked.is_none_or(|(clock, ticked_high)| {
            passed(clock, batch.now)
                || high.is_some_and(|high| ticked_high.is_none_or(|then| then.after(rules.tick_every) <= high))
        });
        if !due {
            return;
        }
        self.progress.ticked = Some((batch.now, high));
        match high {
            Some(high) => self.tick(high.before(self.lateness_max()), Some(batch.now), out),
            None => self.write_tick(None, Some(batch.now), out),
        }
    }

    /// What a tick's mark stays behind of the highest time seen.
    fn lateness_max(&self) -> Span {
        if planted::is(Bug::MarkWithoutLateness) { Span::ZERO } else { self.setup.time.lateness_max }
    }

    /// This partition's place in the list of sources; `None` if it holds nothing that counts.
    fn source_index(&self) -> Option<usize> {
        let is_me = |source: &SourceId| source.topic == *self.at.topic && source.partition == self.at.partition;
        self.setup.topology.sources().iter().position(is_me)
    }

    /// Writes one tick into every inbox partition, after everything that was read before it.
    fn tick(&mut self, mark: Time, clock: Option<Time>, out: &mut Out) {
        out.flush_deletions(self.network);
        let told = self.progress.told.filter(|_| !planted::is(Bug::WatermarkGoesBack));
        let mark = told.map_or(mark, |told| told.max(mark));
        self.progress.told = Some(mark);
        self.write_tick(Some(mark), clock, out);
    }

    fn write_tick(&self, mark: Option<Time>, clock: Option<Time>, out: &mut Out) {
        let sources = self.setup.topology.sources();
        let Some(index) = self.source_index() else { return };
        let tick = Tick {
            topology: u64::from(self.setup.time.topology) << 32 | sources.len() as u64,
            sources: sources.to_vec(),
            marks: mark.map(|mark| (index as u32, mark)).into_iter().collect(),
            clock,
        };
        let inbox = internal::encode_inbox(&InboxRecord::Tick(tick.clone()));
        let offers = internal::encode_offers(&OffersRecord::Tick(tick));
        out.send_to_all("accounts.inbox", self.setup.accounts_partitions, &inbox);
        out.send_to_all("offers.inbox", self.setup.offers_partitions, &offers);
    }
}

fn ahead() -> DeadLetter {
    DeadLetter { reason: DeadReason::Future, detail: "the post's time is ahead of the clock".to_owned() }
}

impl Out {
    fn new(now: Time) -> Out {
        Out {
            records: Vec::new(),
            deletions: BTreeMap::new(),
            mentions: BTreeMap::new(),
            counts: Counts::default(),
            now,
            heard: false,
        }
    }

    fn send_to_all(&mut self, topic: &str, partitions: u32, value: &[u8]) {
        let topic: Arc<str> = Arc::from(topic);
        for partition in 0..partitions - u32::from(planted::is(Bug::TickSkipsAnInbox)) {
            self.records.push(OutRecord {
                topic: topic.clone(),
                partition: Some(partition),
                key: None,
                value: Some(value.to_vec()),
                headers: Vec::new(),
            });
        }
    }

    fn flush_deletions(&mut self, network: Network) {
        while let Some(partition) = self.deletions.keys().next().copied() {
            self.flush_deletions_of(network, partition);
        }
    }

    fn flush_deletions_of(&mut self, network: Network, partition: u32) {
        let Some(deletions) = self.deletions.remove(&partition) else { return };
        self.records.push(OutRecord {
            topic: Arc::from("accounts.inbox"),
            partition: Some(partition),
            key: None,
            value: Some(internal::encode_inbox(&InboxRecord::Deletions(network, deletions))),
            headers: Vec::new(),
        });
    }

    /// Mentions arrive as one count per offer, source and commit, so that a viral tag is no hot key.
    fn flush_mentions(&mut self) {
        for (offer, (mentions, at)) in std::mem::take(&mut self.mentions) {
            let delta = FunnelDelta { at, mentions, ..FunnelDelta::default() };
            let key = Some(offer.clone().into_bytes());
            let value = internal::encode_offers(&OffersRecord::To(offer, OfferMessage::Funnel(delta)));
            let topic = Arc::from("offers.inbox");
            self.records.push(OutRecord { topic, partition: None, key, value: Some(value), headers: Vec::new() });
        }
    }
}

impl Progress {
    /// What stands beside the committed position: `high,told` in milliseconds, empty where there is none. The clock's
    /// share is not kept: a restarted screen makes its idle judgements anew.
    fn note(&self) -> String {
        let ms = |time: Option<Time>| time.map_or(String::new(), |Time(ms)| ms.to_string());
        format!("{},{}", ms(self.high), ms(self.told))
    }

    fn of_note(note: &str) -> Progress {
        let mut parts = note.split(',').map(|part| part.parse().ok().map(Time));
        let mut next = || parts.next().flatten();
        Progress { high: next(), told: next(), ..Progress::default() }
    }
}
