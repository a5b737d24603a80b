//! One worker: its place in the group, and what it fetches. Its producer is in `commit`.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use super::broker::{Broker, Life, Shared, lock};
use super::commit::Outbox;
use super::faults::{Cheat, SLOW_FETCHES_MS_MAX};
use super::group::{Member, Standing};
use super::transactions::Committer;
use crate::bus::{
    Budget, BusError, BusWorker, CommitState, LogClock, OutRecord, Polled, Position, RecordRef, TopicPartition,
    WorkerSpec,
};
use crate::domain::{Span, Time};

/// A worker of the simulated bus.
pub(super) struct SimWorker {
    broker: Shared,
    life: Life,
    spec: WorkerSpec,
    group: usize,
    /// Its id in the group, another after each time that it was put out.
    member: u64,
    generation: u32,
    membership: Membership,
    /// In order of partitions.
    held: Vec<Held>,
    /// Where the next poll starts its round, so that every partition comes first in turn.
    turn: usize,
    outbox: Outbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    /// Holds nothing and waits for the next generation.
    Waiting,
    Steady,
    /// Was told to let go.
    Revoking,
}

struct Held {
    at: TopicPartition,
    log: usize,
    preferred: bool,
    running: bool,
    next: u64,
    /// The partition's end when last looked at, as far as that is known.
    end_seen: u64,
    slow_until: Option<Time>,
}

impl SimWorker {
    /// Takes the identity over and joins the group.
    pub fn open(shared: Shared, life: Life, spec: WorkerSpec) -> Result<SimWorker, BusError> {
        let mut broker = lock(&shared);
        broker.call(life)?;
        for subscription in &spec.topics {
            broker.topic(&subscription.topic)?;
        }
        let group = broker.group(&spec.group);
        let outbox = Outbox::new(&mut broker, &spec.name);
        drop(broker);
        let mut worker = SimWorker {
            broker: shared.clone(),
            life,
            spec,
            group,
            member: 0,
            generation: 0,
            membership: Membership::Waiting,
            held: Vec::new(),
            turn: 0,
            outbox,
        };
        worker.enter(&mut lock(&shared));
        Ok(worker)
    }

    /// Joins the group as a new member. A worker without topics is no member of its group.
    fn enter(&mut self, broker: &mut Broker) {
        self.membership = Membership::Waiting;
        if self.spec.topics.is_empty() {
            return;
        }
        broker.members += 1;
        self.member = broker.members;
        let topics = self.spec.topics.iter().filter_map(|subscription| broker.topic(&subscription.topic).ok());
        let member = Member::new(Arc::from(self.spec.name.as_str()), self.life.process, topics.collect());
        let deadline = broker.rebalance_deadline();
        broker.groups[self.group].enter(self.member, member, deadline, &mut broker.rng);
    }

    fn committer(&self) -> Committer {
        let member = (!self.spec.topics.is_empty()).then_some(self.member);
        Committer { group: self.group, member, generation: self.generation }
    }

    /// What the group has to say, if anything; `None` to go on and fetch.
    fn news(&mut self, broker: &mut Broker) -> Option<Polled> {
        let standing = broker.groups[self.group].standing(self.member);
        match (self.membership, standing) {
            _ if self.spec.topics.is_empty() => None,
            (Membership::Revoking, _) => Some(Polled::Idle),
            (Membership::Waiting, Standing::Out) => {
                self.enter(broker);
                Some(Polled::Idle)
            }
            (Membership::Waiting, Standing::Preparing) => {
                broker.groups[self.group].join(self.member, &mut broker.rng);
                Some(Polled::Idle)
            }
            (Membership::Waiting, Standing::Stable) => Some(self.take_over(broker)),
            (Membership::Steady, Standing::Out) => Some(self.revoking(true)),
            (Membership::Steady, Standing::Preparing) if self.held.is_empty() => {
                self.membership = Membership::Waiting;
                broker.groups[self.group].join(self.member, &mut broker.rng);
                Some(Polled::Idle)
            }
            (Membership::Steady, Standing::Preparing) if broker.strikes(|faults| faults.late_revoke) => None,
            (Membership::Steady, Standing::Preparing) => Some(self.revoking(false)),
            (Membership::Steady, Standing::Stable) => None,
        }
    }

    fn revoking(&mut self, lost: bool) -> Polled {
        self.membership = Membership::Revoking;
        Polled::Revoking { partitions: self.held.iter().map(|held| held.at.clone()).collect(), lost }
    }

    /// Takes the assignment, once no undecided transaction would move one of its positions.
    fn take_over(&mut self, broker: &mut Broker) -> Polled {
        let group = &broker.groups[self.group];
        let generation = group.generation;
        let assigned = group.assigned(self.member).to_vec();
        let looked_up = assigned.iter().map(|log| group.position(&broker.logs[*log].at));
        let (positions, stable): (Vec<_>, Vec<bool>) = looked_up.unzip();
        let lags = broker.strikes(|faults| faults.lagging_position);
        if (lags || stable.contains(&false)) && !broker.cheats(Cheat::UnstablePositions) {
            return Polled::Idle;
        }
        (self.generation, self.membership) = (generation, Membership::Steady);
        broker.note_take_over(self.group, generation, &self.spec.name);
        let mut told = Vec::with_capacity(assigned.len());
        for (log, position) in assigned.into_iter().zip(positions) {
            let at = broker.logs[log].at.clone();
            let position = position.unwrap_or_default();
            let preferred = self.spec.topics.iter().any(|topic| topic.preferred && topic.topic == at.topic);
            told.push((at.clone(), position.clone()));
            self.held.push(Held {
                at,
                log,
                preferred,
                running: false,
                next: position.offset,
                end_seen: u64::MAX,
                slow_until: None,
            });
        }
        self.held.sort_by(|a, b| a.at.cmp(&b.at));
        Polled::Assigned(told)
    }

    /// Gives records of the preferred topics and, if those are read to their ends, of the others.
    fn fetch(
        &mut self,
        broker: &mut Broker,
        budget: Budget,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> usize {
        let mut left = budget;
        if budget.records_max > 0 && broker.strikes(|faults| faults.short_polls) {
            left.records_max = broker.rng.random_range(1..=budget.records_max);
        }
        let records_max = left.records_max;
        for held in self.held.iter_mut().filter(|held| held.running) {
            held.look(broker);
        }
        self.turn = self.turn.wrapping_add(1);
        let isolation = broker.isolation();
        for preferred in [true, false] {
            let mut is_done = true;
            for i in 0..self.held.len() {
                let turn = (i + self.turn) % self.held.len();
                let held = &mut self.held[turn];
                if !held.running || held.preferred != preferred {
                    continue;
                }
                if held.slow_until.is_none() {
                    let (log, at) = (&broker.logs[held.log], &held.at);
                    held.next =
                        log.read(held.next, isolation, &broker.fates, &mut left, &mut |entry| visit(at, entry.lend()));
                    is_done &= held.next >= log.stable();
                } else {
                    is_done = false;
                }
            }
            if !is_done {
                break;
            }
        }
        self.stray(broker, &mut left, visit);
        records_max - left.records_max
    }

    /// What was fetched before its partition was paused may still be given.
    fn stray(&self, broker: &mut Broker, left: &mut Budget, visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>)) {
        let isolation = broker.isolation();
        for held in self.held.iter().filter(|held| !held.running) {
            if left.records_max > 0 && broker.strikes(|faults| faults.strays) {
                let (log, at) = (&broker.logs[held.log], &held.at);
                log.read(held.next, isolation, &broker.fates, left, &mut |entry| visit(at, entry.lend()));
            }
        }
    }

    fn held(&mut self, at: &TopicPartition) -> Result<&mut Held, BusError> {
        let found = self.held.iter_mut().find(|held| held.at == *at);
        found.ok_or_else(|| BusError::Fatal(format!("{}/{} is not assigned to this worker", at.topic, at.partition)))
    }
}

impl Held {
    /// Looks the end up, unless the partition is slow to answer.
    fn look(&mut self, broker: &mut Broker) {
        self.slow_until = self.slow_until.filter(|until| *until > broker.now);
        if self.slow_until.is_none() && broker.strikes(|faults| faults.slow_fetch) {
            let most = SLOW_FETCHES_MS_MAX[broker.rng.random_range(0..SLOW_FETCHES_MS_MAX.len())];
            self.slow_until = Some(broker.now.after(Span(broker.rng.random_range(1..=most))));
        }
        self.end_seen = if self.slow_until.is_some() { u64::MAX } else { broker.logs[self.log].end() };
    }
}

impl BusWorker for SimWorker {
    fn poll(
        &mut self,
        budget: Budget,
        wait: Duration,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError> {
        let shared = Arc::clone(&self.broker);
        let mut broker = lock(&shared);
        broker.call(self.life)?;
        if let Some(news) = self.news(&mut broker) {
            return Ok(news);
        }
        match self.fetch(&mut broker, budget, visit) {
            0 => {
                drop(broker);
                if !wait.is_zero() {
                    std::thread::yield_now();
                }
                Ok(Polled::Idle)
            }
            visited => Ok(Polled::Records(visited)),
        }
    }

    fn resume_at(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), BusError> {
        lock(&self.broker).call(self.life)?;
        for (at, next) in positions {
            let held = self.held(at)?;
            (held.next, held.running, held.end_seen) = (*next, true, u64::MAX);
        }
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        lock(&self.broker).call(self.life)?;
        partitions.iter().try_for_each(|at| self.held(at).map(|held| held.running = false))
    }

    fn at_end(&self, at: &TopicPartition) -> bool {
        self.held.iter().any(|held| held.at == *at && held.next >= held.end_seen)
    }

    fn log_clock(&self) -> LogClock {
        LogClock::Told(self.outbox.appended())
    }

    fn release(&mut self) -> Result<(), BusError> {
        let shared = Arc::clone(&self.broker);
        let mut guard = lock(&shared);
        let broker = &mut *guard;
        broker.call(self.life)?;
        if self.membership != Membership::Revoking {
            broker.misuse("released what nobody asked for", &self.spec.name);
        }
        if self.outbox.is_open() {
            broker.misuse("released with a transaction open", &self.spec.name);
        }
        self.held.clear();
        self.membership = Membership::Waiting;
        match broker.groups[self.group].standing(self.member) {
            Standing::Out => self.enter(broker),
            _ => broker.groups[self.group].join(self.member, &mut broker.rng),
        }
        Ok(())
    }

    fn send(&mut self, record: &OutRecord) -> Result<(), BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        self.outbox.send(&mut broker, record)
    }

    fn start_commit(&mut self, positions: &[(TopicPartition, Position)]) -> Result<(), BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        self.outbox.start_commit(&mut broker, self.committer(), positions)
    }

    fn poll_commit(&mut self, wait: Duration) -> CommitState {
        let mut broker = lock(&self.broker);
        if broker.life(self.life.process) != self.life {
            return CommitState::Uncertain;
        }
        let state = self.outbox.poll_commit(&mut broker);
        drop(broker);
        if state == CommitState::Pending && !wait.is_zero() {
            std::thread::yield_now();
        }
        state
    }

    fn abort(&mut self) -> Result<CommitState, BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        Ok(self.outbox.abort(&mut broker))
    }

    fn recover(&mut self) -> Result<(), BusError> {
        let mut broker = lock(&self.broker);
        broker.call(self.life)?;
        self.outbox.recover(&mut broker);
        Ok(())
    }
}

/// A clean leave, if the process lives and the broker hears it.
impl Drop for SimWorker {
    fn drop(&mut self) {
        let mut guard = lock(&self.broker);
        let broker = &mut *guard;
        if broker.life(self.life.process) != self.life {
            return;
        }
        if broker.is_away() {
            let now = broker.now;
            return broker.groups[self.group].lose(now, |id, _| id == self.member);
        }
        self.outbox.leave(broker);
        let deadline = broker.rebalance_deadline();
        broker.groups[self.group].leave(self.member, deadline, &mut broker.rng);
    }
}
