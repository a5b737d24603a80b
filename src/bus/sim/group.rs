//! A consumer group: members, generations, eager rebalances, committed positions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use rustc_hash::FxHashMap;

use super::ProcessId;
use crate::bus::{Position, TopicPartition};
use crate::domain::{Span, Time};

/// One group. A generation lasts until a member comes or goes: then all members let go of everything and join anew.
pub(super) struct Group {
    pub name: Arc<str>,
    pub generation: u32,
    members: BTreeMap<u64, Member>,
    /// A rebalance is under way; whoever has not joined by then is out.
    preparing: Option<Time>,
    positions: FxHashMap<TopicPartition, Kept>,
    /// Which member gets a partition, by name, whatever the assignor says.
    pins: BTreeMap<usize, Arc<str>>,
}

pub(super) struct Member {
    pub name: Arc<str>,
    pub process: ProcessId,
    /// The log numbers of the partitions of each topic that it subscribes to.
    pub topics: Vec<Range<usize>>,
    /// No heartbeats since then.
    silent_since: Option<Time>,
    /// Nor will there be any.
    gone: bool,
    /// It has let go and waits for the next generation.
    joined: bool,
    assigned: Vec<usize>,
}

#[derive(Default)]
struct Kept {
    position: Option<Position>,
    /// Transactions that will move it if they are committed.
    pending: u32,
}

/// What a group is doing, as one member sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The group does not know this member.
    Out,
    Preparing,
    Stable,
}

impl Group {
    pub fn new(name: &str) -> Group {
        Group {
            name: Arc::from(name),
            generation: 0,
            members: BTreeMap::new(),
            preparing: None,
            positions: FxHashMap::default(),
            pins: BTreeMap::new(),
        }
    }

    pub fn standing(&self, member: u64) -> Standing {
        match (self.members.contains_key(&member), self.preparing) {
            (false, _) => Standing::Out,
            (true, Some(_)) => Standing::Preparing,
            (true, None) => Standing::Stable,
        }
    }

    pub fn assigned(&self, member: u64) -> &[usize] {
        self.members.get(&member).map_or(&[], |member| &member.assigned)
    }

    /// A new member, which holds nothing and so has joined at once.
    pub fn enter(&mut self, id: u64, mut member: Member, deadline: Time, rng: &mut SmallRng) {
        member.joined = true;
        self.members.insert(id, member);
        self.prepare(deadline, rng);
    }

    pub fn leave(&mut self, member: u64, deadline: Time, rng: &mut SmallRng) {
        if self.members.remove(&member).is_some() {
            self.prepare(deadline, rng);
        }
    }

    /// A member has let go of its partitions.
    pub fn join(&mut self, member: u64, rng: &mut SmallRng) {
        if let Some(member) = self.members.get_mut(&member).filter(|_| self.preparing.is_some()) {
            member.joined = true;
        }
        self.complete_if_joined(rng);
    }

    /// Begins a rebalance unless one is under way.
    pub fn prepare(&mut self, deadline: Time, rng: &mut SmallRng) {
        self.preparing.get_or_insert(deadline);
        self.complete_if_joined(rng);
    }

    /// Members of this process fall silent, or are heard of again.
    pub fn hear(&mut self, process: ProcessId, silent_since: Option<Time>) {
        for member in self.members.values_mut().filter(|member| member.process == process && !member.gone) {
            member.silent_since = silent_since.map(|now| member.silent_since.unwrap_or(now));
        }
    }

    /// Members vanish without a word.
    pub fn lose(&mut self, now: Time, is_lost: impl Fn(u64, &Member) -> bool) {
        for (_, member) in self.members.iter_mut().filter(|(id, member)| is_lost(**id, member)) {
            member.silent_since.get_or_insert(now);
            member.gone = true;
        }
    }

    /// What a coordinator does that was away: nobody is blamed for the time before.
    pub fn forgive(&mut self, now: Time, rebalance_timeout: Span) {
        for member in self.members.values_mut() {
            member.silent_since = member.silent_since.map(|_| now);
        }
        self.preparing = self.preparing.map(|_| now.after(rebalance_timeout));
    }

    /// When the next member is to be put out.
    pub fn next_deadline(&self, session: Span) -> Option<Time> {
        let silent = self.members.values().filter_map(|member| member.silent_since).min();
        [silent.map(|since| since.after(session)), self.preparing].into_iter().flatten().min()
    }

    /// Puts out who was silent for a session, or does not let go in time.
    pub fn expire(&mut self, now: Time, session: Span, rebalance: Span, rng: &mut SmallRng) {
        let before = self.members.len();
        self.members.retain(|_, member| member.silent_since.is_none_or(|since| since.after(session) > now));
        if self.members.len() < before {
            self.prepare(now.after(rebalance), rng);
        }
        if self.preparing.is_some_and(|deadline| deadline <= now) {
            self.members.retain(|_, member| member.joined);
            self.complete_if_joined(rng);
        }
    }

    pub fn pin(&mut self, number: usize, name: &str) {
        self.pins.insert(number, Arc::from(name));
    }

    /// Whether this member may commit these partitions in this generation.
    pub fn accepts(&self, member: u64, generation: u32, mut numbers: impl Iterator<Item = Option<usize>>) -> bool {
        let assigned = self.assigned(member);
        self.members.contains_key(&member)
            && generation == self.generation
            && numbers.all(|number| number.is_some_and(|number| assigned.binary_search(&number).is_ok()))
    }

    /// The committed position, and whether no undecided transaction would move it.
    pub fn position(&self, at: &TopicPartition) -> (Option<Position>, bool) {
        self.positions.get(at).map_or((None, true), |kept| (kept.position.clone(), kept.pending == 0))
    }

    pub fn set_position(&mut self, at: &TopicPartition, position: Position) {
        self.positions.entry(at.clone()).or_default().position = Some(position);
    }

    /// A transaction is about to move a position.
    pub fn hold(&mut self, at: &TopicPartition) {
        self.positions.entry(at.clone()).or_default().pending += 1;
    }

    /// The transaction has ended; answers whether the position went back.
    pub fn settle(&mut self, at: &TopicPartition, position: &Position, committed: bool) -> bool {
        let kept = self.positions.entry(at.clone()).or_default();
        kept.pending = kept.pending.saturating_sub(1);
        let back = committed && kept.position.as_ref().is_some_and(|before| before.offset > position.offset);
        if committed {
            kept.position = Some(position.clone());
        }
        back
    }

    /// Begins the next generation once everybody has joined.
    fn complete_if_joined(&mut self, rng: &mut SmallRng) {
        if self.preparing.is_some() && self.members.values().all(|member| member.joined) {
            self.preparing = None;
            self.generation += 1;
            self.assign(rng);
            self.members.values_mut().for_each(|member| member.joined = false);
        }
    }

    /// Range or round-robin, in an order of members that is drawn, too: ids are random in Kafka.
    fn assign(&mut self, rng: &mut SmallRng) {
        let mut order: Vec<u64> = self.members.keys().copied().collect();
        if order.len() > 1 {
            let turn = rng.random_range(0..order.len());
            order.rotate_left(turn);
        }
        let is_range = rng.random_bool(0.5);
        let mut topics: Vec<Range<usize>> = self.members.values().flat_map(|m| m.topics.iter().cloned()).collect();
        topics.sort_by_key(|topic| topic.start);
        topics.dedup();
        self.members.values_mut().for_each(|member| member.assigned.clear());
        let mut turn = 0;
        for topic in topics {
            let takers: Vec<u64> =
                order.iter().copied().filter(|id| self.members[id].topics.contains(&topic)).collect();
            for number in topic.clone() {
                let nth =
                    if is_range { (number - topic.start) * takers.len() / topic.len() } else { turn % takers.len() };
                turn += 1;
                let pinned = self
                    .pins
                    .get(&number)
                    .and_then(|name| takers.iter().copied().find(|id| self.members[id].name == *name));
                if let Some(member) = self.members.get_mut(&pinned.unwrap_or(takers[nth])) {
                    member.assigned.push(number);
                }
            }
        }
    }
}

impl Member {
    pub fn new(name: Arc<str>, process: ProcessId, topics: Vec<Range<usize>>) -> Member {
        Member { name, process, topics, silent_since: None, gone: false, joined: true, assigned: Vec::new() }
    }
}
