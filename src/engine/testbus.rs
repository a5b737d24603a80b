//! A small log in memory whose outcomes a test can bend: aborts, uncertain and fenced commits, pending ones, calls that
//! fail, partitions that move. Every transaction leaves a marker behind, so offsets have gaps as Kafka's have.

mod member;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::bus::{
    Budget, Bus, BusError, BusWorker, CommitState, Position, Reader, RecordRef, Subscription, TopicPartition,
    WorkerSpec,
};
use crate::domain::Time;
use member::Handle;

/// Clones share one log.
#[derive(Clone)]
pub struct TestBus(Arc<Mutex<Inner>>);

/// How often what goes wrong, in parts of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub unavailable: u32,
    pub aborted: u32,
    pub uncertain: u32,
    pub fenced: u32,
    /// A commit is pending up to this many looks.
    pub pending_max: u32,
}

pub struct Inner {
    logs: BTreeMap<TopicPartition, Log>,
    positions: BTreeMap<(String, TopicPartition), Position>,
    pub owners: BTreeMap<(String, TopicPartition), String>,
    members: BTreeMap<String, Member>,
    transactions: Vec<Fate>,
    pub faults: Faults,
    /// Outcomes of the next commits, before faults are drawn.
    pub script: VecDeque<(u32, CommitState)>,
    rng: SmallRng,
}

#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    end: u64,
}

struct Entry {
    offset: u64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    transaction: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

struct Member {
    group: String,
    topics: Vec<Subscription>,
    fetch: BTreeMap<TopicPartition, Fetch>,
    events: VecDeque<Event>,
    /// Where the partitions of the revocation that was told go on release.
    releasing: Option<(TopicPartition, String)>,
    open: Option<usize>,
    pending: Option<Pending>,
    /// A commit or abort whose outcome nobody knows.
    unsettled: Option<Pending>,
    /// Fenced or uncertain: nothing may be sent before it has recovered.
    must_recover: bool,
}

struct Fetch {
    position: u64,
    running: bool,
}

enum Event {
    Assigned(Vec<TopicPartition>),
    Revoking { at: TopicPartition, to: Option<String> },
}

struct Pending {
    transaction: usize,
    positions: Vec<(TopicPartition, Position)>,
    looks_left: u32,
    outcome: CommitState,
}

impl TestBus {
    pub fn new(topics: &[(&str, u32)], seed: u64) -> TestBus {
        let mut logs = BTreeMap::new();
        for (topic, partitions) in topics {
            for partition in 0..*partitions {
                logs.insert(TopicPartition::new(topic, partition), Log::default());
            }
        }
        TestBus(Arc::new(Mutex::new(Inner {
            logs,
            positions: BTreeMap::new(),
            owners: BTreeMap::new(),
            members: BTreeMap::new(),
            transactions: Vec::new(),
            faults: Faults::default(),
            script: VecDeque::new(),
            rng: SmallRng::seed_from_u64(seed),
        })))
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A record by somebody outside every transaction; answers its offset.
    pub fn append(&self, at: &TopicPartition, key: &str, value: &str) -> u64 {
        self.inner().append(at, Some(key.as_bytes().to_vec()), Some(value.as_bytes().to_vec()), None)
    }

    /// A record of somebody's transaction, which stays open until [`TestBus::end_foreign`].
    pub fn append_foreign(&self, at: &TopicPartition, key: &str, value: &str) -> usize {
        let mut inner = self.inner();
        inner.transactions.push(Fate::Open);
        let transaction = inner.transactions.len() - 1;
        inner.append(at, Some(key.as_bytes().to_vec()), Some(value.as_bytes().to_vec()), Some(transaction));
        transaction
    }

    pub fn end_foreign(&self, transaction: usize, commit: bool) {
        self.inner().settle(transaction, if commit { Fate::Committed } else { Fate::Aborted });
    }

    /// Moves a partition to another member, if its owner has no event waiting; `lost`: without asking.
    pub fn reassign(&self, group: &str, at: &TopicPartition, to: &str, lost: bool) {
        self.inner().reassign(group, at, to, lost);
    }

    /// All committed values of a partition, in order.
    pub fn committed(&self, at: &TopicPartition) -> Vec<(u64, String, String)> {
        let inner = self.inner();
        let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
        let visible = inner.visible(at, 0);
        visible.map(|entry| (entry.offset, text(&entry.key), text(&entry.value))).collect()
    }

    pub fn open_transactions(&self) -> usize {
        self.inner().transactions.iter().filter(|fate| **fate == Fate::Open).count()
    }
}

impl Bus for TestBus {
    fn worker(&self, spec: WorkerSpec) -> Result<Box<dyn BusWorker>, BusError> {
        let mut inner = self.inner();
        inner.draw_trouble()?;
        let taken = |topic: &str| spec.topics.iter().any(|subscription| *subscription.topic == *topic);
        let free: Vec<TopicPartition> = inner
            .logs
            .keys()
            .filter(|at| taken(&at.topic) && !inner.owners.contains_key(&(spec.group.clone(), (*at).clone())))
            .filter(|at| at.partition % spec.slot.1 == spec.slot.0)
            .cloned()
            .collect();
        for at in &free {
            inner.owners.insert((spec.group.clone(), at.clone()), spec.name.clone());
        }
        let member = Member {
            group: spec.group,
            topics: spec.topics,
            fetch: BTreeMap::new(),
            events: VecDeque::from([Event::Assigned(free)]),
            releasing: None,
            open: None,
            pending: None,
            unsettled: None,
            must_recover: false,
        };
        assert!(inner.members.insert(spec.name.clone(), member).is_none(), "two workers of one name");
        Ok(Box::new(Handle { bus: self.clone(), name: spec.name }))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, BusError> {
        Ok(Box::new(self.clone()))
    }

    fn partitions(&self, topic: &str) -> Result<u32, BusError> {
        Ok(self.inner().logs.keys().filter(|at| *at.topic == *topic).count() as u32)
    }

    fn position(&self, group: &str, at: &TopicPartition) -> Result<Option<Position>, BusError> {
        let mut inner = self.inner();
        inner.draw_trouble()?;
        Ok(inner.positions.get(&(group.to_owned(), at.clone())).cloned())
    }
}

impl Reader for TestBus {
    fn beginning(&mut self, _: &TopicPartition) -> Result<u64, BusError> {
        Ok(0)
    }

    fn end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        let mut inner = self.inner();
        inner.draw_trouble()?;
        Ok(inner.logs[at].end)
    }

    fn read(
        &mut self,
        at: &TopicPartition,
        from: u64,
        budget: Budget,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let mut inner = self.inner();
        inner.draw_trouble()?;
        // Small pieces, so that restores take several steps.
        let (next, _) = inner.give(at, from, budget.records_max.min(3), &mut |_, record| visit(record));
        // Trouble half-way, too.
        inner.draw_trouble()?;
        Ok(next)
    }
}

impl Inner {
    fn append(&mut self, at: &TopicPartition, key: Option<Vec<u8>>, value: Option<Vec<u8>>, by: Option<usize>) -> u64 {
        let log = self.logs.get_mut(at).unwrap_or_else(|| panic!("no partition {at:?}"));
        let offset = log.end;
        log.entries.push(Entry { offset, key, value, transaction: by });
        log.end += 1;
        offset
    }

    /// Ends a transaction: a marker in each partition that it touched.
    fn settle(&mut self, transaction: usize, fate: Fate) {
        assert_eq!(self.transactions[transaction], Fate::Open, "ended twice");
        self.transactions[transaction] = fate;
        for log in self.logs.values_mut() {
            if log.entries.iter().any(|entry| entry.transaction == Some(transaction)) {
                log.end += 1;
            }
        }
    }

    /// One past the last record that committed readers may see: the first record of an open transaction, else the end.
    fn stable_end(&self, at: &TopicPartition) -> u64 {
        let log = &self.logs[at];
        let open = |entry: &&Entry| entry.transaction.is_some_and(|by| self.transactions[by] == Fate::Open);
        log.entries.iter().find(open).map_or(log.end, |entry| entry.offset)
    }

    fn visible(&self, at: &TopicPartition, from: u64) -> impl Iterator<Item = &Entry> {
        let end = self.stable_end(at);
        self.logs[at]
            .entries
            .iter()
            .filter(move |entry| entry.offset >= from && entry.offset < end)
            .filter(|entry| entry.transaction.is_none_or(|by| self.transactions[by] == Fate::Committed))
    }

    /// Visits at most `max` visible records; answers the next position and how many there were.
    fn give(
        &self,
        at: &TopicPartition,
        from: u64,
        max: usize,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> (u64, usize) {
        let (mut next, mut given) = (from, 0);
        for entry in self.visible(at, from) {
            if given == max {
                return (next, given);
            }
            let (key, value) = (entry.key.as_deref(), entry.value.as_deref());
            visit(
                at,
                RecordRef { offset: entry.offset, timestamp: Time(entry.offset as i64), key, value, headers: &[] },
            );
            (next, given) = (entry.offset + 1, given + 1);
        }
        (next.max(self.stable_end(at)), given)
    }

    fn draw(&mut self, per_mille: u32) -> bool {
        self.rng.random_range(0..1000) < per_mille
    }

    fn draw_trouble(&mut self) -> Result<(), BusError> {
        let per_mille = self.faults.unavailable;
        if self.draw(per_mille) { Err(BusError::Unavailable("drawn".to_owned())) } else { Ok(()) }
    }

    fn draw_outcome(&mut self) -> (u32, CommitState) {
        if let Some(scripted) = self.script.pop_front() {
            return scripted;
        }
        let faults = self.faults;
        let looks = self.rng.random_range(0..=faults.pending_max);
        let outcome = match self.rng.random_range(0..1000) {
            n if n < faults.aborted => CommitState::Aborted,
            n if n < faults.aborted + faults.uncertain => CommitState::Uncertain,
            n if n < faults.aborted + faults.uncertain + faults.fenced => CommitState::Fenced,
            _ => CommitState::Committed,
        };
        (looks, outcome)
    }

    fn reassign(&mut self, group: &str, at: &TopicPartition, to: &str, lost: bool) {
        let key = (group.to_owned(), at.clone());
        let Some(from) = self.owners.get(&key).cloned() else {
            return self.give_to(key, to);
        };
        let owner = self.members.get_mut(&from).expect("owners are members");
        if from == to || !owner.events.is_empty() || owner.releasing.is_some() || !self.members.contains_key(to) {
            return;
        }
        let owner = self.members.get_mut(&from).expect("owners are members");
        if lost {
            owner.events.push_back(Event::Revoking { at: at.clone(), to: None });
            owner.fetch.remove(at);
            self.give_to(key, to);
        } else {
            owner.events.push_back(Event::Revoking { at: at.clone(), to: Some(to.to_owned()) });
        }
    }

    /// Makes a member the owner; if it is gone, the partition waits for the next to join.
    fn give_to(&mut self, key: (String, TopicPartition), to: &str) {
        self.owners.remove(&key);
        if let Some(member) = self.members.get_mut(to) {
            member.events.push_back(Event::Assigned(vec![key.1.clone()]));
            self.owners.insert(key, to.to_owned());
        }
    }

    fn is_owner(&self, name: &str, at: &TopicPartition) -> bool {
        let key = (self.members[name].group.clone(), at.clone());
        self.owners.get(&key).is_some_and(|owner| owner == name)
    }
}

/// How long a test's poll waits in earnest: not at all, time is virtual.
pub const NO_WAIT: Duration = Duration::ZERO;
