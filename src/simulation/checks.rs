//! What must hold of transactions, positions and restored state: I6, I7, I8, I9 at every commit; I10 and I12 at rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::fold::Fold;
use super::process::{AnyWorker, Process};
use super::trace::digest;
use crate::accounts::{self, AccountsAnswer, AccountsQuery, AccountsShard, AccountsStage};
use crate::audit::Violation;
use crate::bus::sim::{Ended, SimRecord};
use crate::bus::{Bus, OutRecord, TopicPartition, partition_of_key};
use crate::config::Settings;
use crate::domain::{AccountId, Span, Time};
use crate::engine::pressure::Pressure;
use crate::engine::settings::RESTORE_LOOK_MAX_MS;
use crate::engine::shard::{InRecord, Shard};
use crate::engine::stage::Stage;
use crate::engine::worker::group_of;
use crate::offers::{self, OffersShard, OffersStage};
use crate::pipeline::restored;
use crate::wire::uuids::uuid_of;

/// A check that failed, by the invariant that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// `I1` and so on.
    pub invariant: String,
    pub account: Option<AccountId>,
    pub what: String,
}

/// A record by its place, and what stands there.
type Placed = ((TopicPartition, u64), Written);

/// What a record says: its digest, and the words for it if anybody will read them.
#[derive(Clone, Debug, Default)]
struct Written {
    digest: u64,
    words: String,
}

impl Broken {
    pub fn new(invariant: &str, what: String) -> Broken {
        Broken { invariant: invariant.to_owned(), account: None, what }
    }

    pub fn of_violation(violation: Violation) -> Broken {
        Broken { invariant: violation.invariant.to_string(), account: violation.account, what: violation.to_string() }
    }
}

/// Follows the transactions of all workers.
pub struct Checks {
    /// Partition counts by topic.
    partitions: BTreeMap<String, u32>,
    accounts_stage: AccountsStage,
    offers_stage: OffersStage,
    accounts: Vec<Fold<AccountsShard>>,
    offers: Vec<Fold<OffersShard>>,
    accounts_group: String,
    offers_group: String,
    /// Transactions of which something is still to be seen.
    open: FxHashMap<u64, Transaction>,
    /// The last committed position by group and partition, and the generation that committed it.
    positions: BTreeMap<(Arc<str>, TopicPartition), (u64, u32)>,
    /// The newest epoch of each producer.
    epochs: BTreeMap<Arc<str>, u32>,
    /// Accounts that have been in the changelog.
    known: BTreeSet<AccountId>,
    /// The topics of posts.
    posts: BTreeSet<String>,
    /// By partition of `accounts.inbox`: the transactions that consumed it, and up to where, until all that they wrote
    /// is seen.
    consuming: BTreeMap<u32, VecDeque<(u64, u64)>>,
    broken: Vec<Broken>,
    /// A person will read what is found.
    with_words: bool,
}

#[derive(Default)]
struct Transaction {
    /// `None` until it is known to be decided.
    committed: Option<bool>,
    /// Place and digest of each record that was seen.
    seen: Vec<Placed>,
    /// Places of all its records.
    places: Vec<(TopicPartition, u64)>,
    /// What its records must be, by place; `None` for a stage that has no fold.
    expected: Option<Vec<Placed>>,
}

impl Checks {
    pub fn new(settings: &Settings, partitions: BTreeMap<String, u32>, with_words: bool) -> Checks {
        let count = |topic: &str| partitions.get(topic).copied().unwrap_or(1);
        let setup = accounts::Setup {
            rules: settings.rules(uuid_of),
            texts: settings.texts(),
            records_max: settings.records_per_shard(),
            dead_letter_body: settings.dead_letters_body,
            partitions: count(ACCOUNTS_INBOX),
        };
        let accounts_stage = AccountsStage { setup: Arc::new(setup), pressure: Pressure::default() };
        let setup = offers::Setup {
            texts: settings.texts(),
            uuid_of,
            dead_letter_body: settings.dead_letters_body,
            partitions: count(OFFERS_INBOX),
        };
        let offers_stage = OffersStage { setup: Arc::new(setup) };
        let account = |p| Fold::new(accounts_stage.shard(&TopicPartition::new(ACCOUNTS_INBOX, p), ""));
        let offer = |p| Fold::new(offers_stage.shard(&TopicPartition::new(OFFERS_INBOX, p), ""));
        Checks {
            accounts: (0..count(ACCOUNTS_INBOX)).map(account).collect(),
            offers: (0..count(OFFERS_INBOX)).map(offer).collect(),
            accounts_stage,
            offers_stage,
            accounts_group: group_of("accounts"),
            offers_group: group_of("offers"),
            partitions,
            open: FxHashMap::default(),
            positions: BTreeMap::new(),
            epochs: BTreeMap::new(),
            known: BTreeSet::new(),
            posts: settings.sources.iter().map(|source| source.topic.clone()).collect(),
            consuming: BTreeMap::new(),
            broken: Vec::new(),
            with_words,
        }
    }

    /// How far partitions of `accounts.inbox` were consumed by transactions all of whose records were seen.
    pub fn take_consumed(&mut self) -> Vec<(u32, u64)> {
        let open = &self.open;
        let mut consumed = Vec::new();
        for (partition, transactions) in &mut self.consuming {
            let mut whole = None;
            while let Some((_, position)) = transactions.front().filter(|(id, _)| !open.contains_key(id)) {
                whole = Some(*position);
                transactions.pop_front();
            }
            consumed.extend(whole.map(|position| (*partition, position)));
        }
        consumed
    }

    pub fn take_broken(&mut self) -> Vec<Broken> {
        std::mem::take(&mut self.broken)
    }

    /// Accounts that ever had something to remember.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.known.iter()
    }

    /// Purchases that wait, over all accounts.
    pub fn waiting(&self) -> usize {
        let stats = self.accounts.iter().map(|fold| fold.shard.query(AccountsQuery::Stats));
        stats.map(|answer| if let AccountsAnswer::Stats { waiting, .. } = answer { waiting } else { 0 }).sum()
    }

    /// A record became visible. To be told of all that did before the transactions that ended are told.
    pub fn see(&mut self, record: &SimRecord<'_>, digest: u64) {
        let at = record.at;
        let input = || InRecord {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
        };
        let in_order = match &*at.topic {
            ACCOUNTS_INBOX => self.accounts[at.partition as usize].push(input()),
            OFFERS_INBOX => self.offers[at.partition as usize].push(input()),
            _ => true,
        };
        if !in_order {
            self.fail(
                "I9",
                format!("{}-{}@{} was consumed before anybody could read it", at.topic, at.partition, record.offset),
            );
        }
        if &*at.topic == accounts::codec::CHANGELOG
            && let Some(id) = record.key.and_then(|key| std::str::from_utf8(key).ok()).and_then(AccountId::parse)
        {
            self.known.insert(id);
        }
        if let Some(id) = record.transaction {
            let words = self.words_of(&at.topic, record.value);
            let transaction = self.open.entry(id).or_default();
            transaction.seen.push(((at.clone(), record.offset), Written { digest, words }));
        }
    }

    /// A transaction was decided; in the order in which they were.
    pub fn ended(&mut self, ended: &Ended, now: Time) {
        self.check_identity(ended);
        if ended.committed && ended.group.as_deref() == Some(&self.accounts_group) {
            for (at, position) in &ended.positions {
                let consuming = self.consuming.entry(at.partition).or_default();
                consuming.push_back((ended.transaction, position.offset));
            }
        }
        let expected = if ended.committed { self.expect(ended, now) } else { None };
        let transaction = self.open.entry(ended.transaction).or_default();
        transaction.committed = Some(ended.committed);
        transaction.places.clone_from(&ended.records);
        transaction.expected = expected;
    }

    /// Looks at the transactions of which something is to be seen. Cheap: most are whole at once.
    pub fn settle(&mut self) {
        let mut failures = Vec::new();
        self.open.retain(|id, transaction| match transaction.committed {
            None => {
                failures.push((*id, "I8", "is seen before it was decided".to_owned()));
                false
            }
            Some(false) => {
                if !transaction.seen.is_empty() {
                    failures.push((*id, "I8", "was aborted and is seen".to_owned()));
                }
                false
            }
            Some(true) if transaction.seen.len() < transaction.places.len() => true,
            Some(true) => {
                if let Some(what) = transaction.differs() {
                    failures.push((*id, "I6", what));
                }
                false
            }
        });
        failures.sort();
        for (id, invariant, what) in failures {
            self.fail(invariant, format!("transaction {id} {what}"));
        }
    }

    /// Nothing moves any more: all is visible, consumed, and restores to what it is.
    pub fn at_rest(&mut self, bus: &dyn Bus, processes: &[Process], now: Time) {
        let mut torn: Vec<u64> = self.open.keys().copied().collect();
        torn.sort_unstable();
        for id in torn {
            self.fail("I8", format!("transaction {id} was committed and is not whole to be seen"));
        }
        for index in 0..self.accounts.len() {
            self.compare_accounts(index as u32, bus, processes, now);
        }
        for index in 0..self.offers.len() {
            self.compare_offers(index as u32, bus, processes, now);
        }
    }

    fn fail(&mut self, invariant: &'static str, what: String) {
        self.broken.push(Broken::new(invariant, what));
    }

    /// I7: whoever commits is the newest of its name and of the group's newest generation that committed there. I9:
    /// positions only go up.
    fn check_identity(&mut self, ended: &Ended) {
        let Some(producer) = &ended.producer else { return };
        let newest = self.epochs.entry(producer.clone()).or_default();
        let is_old = ended.epoch < *newest;
        *newest = (*newest).max(ended.epoch);
        if !ended.committed {
            return;
        }
        if is_old {
            self.fail("I7", format!("{producer} committed with the old epoch {}", ended.epoch));
        }
        let Some(group) = &ended.group else { return };
        let own = ended.generation.unwrap_or_default();
        let mut took_posts = false;
        for (at, position) in &ended.positions {
            let place = self.positions.entry((group.clone(), at.clone())).or_default();
            let (before, generation) = std::mem::replace(place, (position.offset, own));
            took_posts |= position.offset > before && self.posts.contains(&*at.topic);
            let what = || format!("{producer} on {}-{}", at.topic, at.partition);
            if position.offset < before {
                self.fail("I9", format!("{} moved the position back from {before} to {}", what(), position.offset));
            }
            if own < generation {
                self.fail("I7", format!("{} committed in generation {own} after {generation}", what()));
            }
        }
        if took_posts {
            self.check_gate(producer, group, ended);
        }
    }

    /// Posts are taken only once the side inputs were forwarded up to where they ended at the assignment, by whoever
    /// reads them (DESIGN section 3, side inputs first).
    fn check_gate(&mut self, producer: &str, group: &Arc<str>, ended: &Ended) {
        let ends = ended.took_over_at.iter().flat_map(|ends| ends.iter());
        let position = |at: &TopicPartition| self.positions.get(&(group.clone(), at.clone())).map_or(0, |(at, _)| *at);
        let behind = ends.filter(|(at, _)| SIDE_INPUTS.contains(&&*at.topic)).find(|(at, end)| position(at) < *end);
        if let Some((at, end)) = behind {
            let what = format!("{producer} took posts before {}-{} was forwarded up to {end}", at.topic, at.partition);
            self.fail("I5", what);
        }
    }

    /// What the folds say that a transaction's records are, in the order in which they were sent.
    fn expect(&mut self, ended: &Ended, now: Time) -> Option<Vec<Placed>> {
        let mut records = Vec::new();
        for (at, position) in &ended.positions {
            let index = at.partition as usize;
            if ended.group.as_deref() == Some(&self.accounts_group) {
                let begun = position.note.starts_with(accounts::shard::BEGUN);
                records.extend(self.accounts[index].advance(position.offset, begun, now));
            } else if ended.group.as_deref() == Some(&self.offers_group) {
                records.extend(self.offers[index].advance(position.offset, false, now));
            } else {
                return None;
            }
        }
        if records.len() != ended.records.len() {
            let topics: Vec<&str> = records.iter().map(|record| &*record.topic).collect();
            let wrote: Vec<&str> = ended.records.iter().map(|(at, _)| &*at.topic).collect();
            let what = format!("{:?} wrote {wrote:?}, its committed input makes {topics:?}", ended.producer);
            self.fail("I6", what);
            return None;
        }
        let written = records.iter().map(|record| self.written(record));
        Some(ended.records.iter().cloned().zip(written).collect())
    }

    fn written(&self, record: &OutRecord) -> Written {
        let count = self.partitions.get(&*record.topic).copied().unwrap_or(1);
        let by_key = || record.key.as_deref().map_or(0, |key| partition_of_key(key, count));
        let partition = record.partition.unwrap_or_else(by_key);
        let headers = record.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let digest = digest(&record.topic, partition, key, value, headers);
        Written { digest, words: self.words_of(&record.topic, value) }
    }

    fn words_of(&self, topic: &str, value: Option<&[u8]>) -> String {
        match value {
            Some(value) if self.with_words && topic == accounts::codec::CHANGELOG => {
                format!("{:?}", accounts::codec::decode_account(value))
            }
            Some(value) if self.with_words => String::from_utf8_lossy(value).into_owned(),
            _ => String::new(),
        }
    }

    /// The shards that run, and one restored as a restart would, against the fold.
    fn compare_accounts(&mut self, partition: u32, bus: &dyn Bus, processes: &[Process], now: Time) {
        let at = TopicPartition::new(ACCOUNTS_INBOX, partition);
        let (mut found, mut layers) = (Vec::new(), 0);
        let fold = &self.accounts[partition as usize];
        let mut compare = |whose: &str, shard: &AccountsShard| {
            let differs = self.known.iter().find(|id| shard.account(id) != fold.shard.account(id));
            found.extend(differs.map(|id| {
                let (is, ought) = (shard.account(id), fold.shard.account(id));
                format!("{whose} shard of {ACCOUNTS_INBOX}-{partition} has {id} as {is:?}, its input makes {ought:?}")
            }));
            let stats = |shard: &AccountsShard| format!("{:?}", shard.query(AccountsQuery::Stats));
            let (is, ought) = (stats(shard), stats(&fold.shard));
            if is != ought {
                found.push(format!("{whose} shard of {ACCOUNTS_INBOX}-{partition} has {is}, its input makes {ought}"));
            }
        };
        for worker in processes.iter().flat_map(Process::workers) {
            if let AnyWorker::Accounts(worker) = worker
                && let Some(shard) = worker.host().shards().get(&at)
            {
                layers = layers.max(shard.undo_layers());
                compare("the running", shard);
            }
        }
        match restored(&self.accounts_stage, bus, ACCOUNTS_INBOX, partition, &mut time_from(now)) {
            Ok(shard) => compare("the restored", &shard),
            Err(error) => found.push(format!("{ACCOUNTS_INBOX}-{partition} can't be restored: {error:#}")),
        }
        found.into_iter().for_each(|what| self.fail("I6", what));
        if layers > 0 {
            self.fail("I12", format!("the shard of {ACCOUNTS_INBOX}-{partition} keeps {layers} batches to take back"));
        }
        self.all_read(ACCOUNTS_INBOX, partition, self.accounts[partition as usize].unread());
    }

    fn compare_offers(&mut self, partition: u32, bus: &dyn Bus, processes: &[Process], now: Time) {
        let at = TopicPartition::new(OFFERS_INBOX, partition);
        let mut found = Vec::new();
        let fold = view(&self.offers[partition as usize].shard);
        let mut compare = |whose: &str, shard: &OffersShard| {
            let is = view(shard);
            if is != fold {
                found.push(format!("{whose} shard of {OFFERS_INBOX}-{partition} is {is}, its input makes {fold}"));
            }
        };
        for worker in processes.iter().flat_map(Process::workers) {
            if let AnyWorker::Offers(worker) = worker
                && let Some(shard) = worker.host().shards().get(&at)
            {
                compare("the running", shard);
            }
        }
        match restored(&self.offers_stage, bus, OFFERS_INBOX, partition, &mut time_from(now)) {
            Ok(shard) => compare("the restored", &shard),
            Err(error) => found.push(format!("{OFFERS_INBOX}-{partition} can't be restored: {error:#}")),
        }
        found.into_iter().for_each(|what| self.fail("I6", what));
        self.all_read(OFFERS_INBOX, partition, self.offers[partition as usize].unread());
    }

    fn all_read(&mut self, topic: &str, partition: u32, unread: usize) {
        if unread > 0 {
            self.fail("I9", format!("{unread} records of {topic}-{partition} were never consumed"));
        }
    }
}

impl Transaction {
    /// What is wrong with a transaction that is whole to be seen.
    fn differs(&mut self) -> Option<String> {
        let by_place = |a: &Placed, b: &Placed| a.0.cmp(&b.0);
        self.seen.sort_by(by_place);
        self.places.sort();
        if !self.seen.iter().map(|(place, _)| place).eq(self.places.iter()) {
            return Some("has other records than it was told to have".to_owned());
        }
        let expected = self.expected.as_mut()?;
        // A batch writes each key of the changelog at most once, in the order in which it first looked at them, and
        // nobody can tell which batch looked first.
        for placed in [&mut *expected, &mut self.seen] {
            placed.sort_by_cached_key(|(place, written)| {
                let (at, _) = place;
                match &*at.topic {
                    accounts::codec::CHANGELOG | offers::codec::CHANGELOG => (at.clone(), written.digest),
                    _ => (at.clone(), place.1),
                }
            });
        }
        let differs = |((_, ought), (_, is)): &(&Placed, &Placed)| ought.digest != is.digest;
        let (((at, offset), ought), (_, is)) = expected.iter().zip(&self.seen).find(differs)?;
        let what = format!("wrote {}-{}@{offset} otherwise than its committed input makes it", at.topic, at.partition);
        let (is, ought) = (&is.words, &ought.words);
        Some(if is.is_empty() { what } else { format!("{what}: {is}; its input makes {ought}") })
    }
}

fn view(shard: &OffersShard) -> String {
    format!("{:?}", shard.view())
}

const SIDE_INPUTS: [&str; 3] = ["accounts.links", "offers", "replies.posted"];
const ACCOUNTS_INBOX: &str = "accounts.inbox";
const OFFERS_INBOX: &str = "offers.inbox";

/// Time for a restore that nobody else moves: it passes with each look, so that one that gets no further is told.
fn time_from(mut now: Time) -> impl FnMut() -> Time {
    move || {
        now = now.after(Span(RESTORE_LOOK_MAX_MS));
        now
    }
}
