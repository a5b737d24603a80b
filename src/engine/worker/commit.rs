//! From what shards decided to an outcome: send, commit, and what follows from each answer.

use std::time::Duration;

use super::super::held::{Fetch, Held, State, Table};
use super::super::host::Host;
use super::super::restore::Restore;
use super::super::settings::ABORT_TRIES_MAX;
use super::super::shard::{Decided, Item, Shard};
use super::super::stage::Stage;
use super::{Step, Worker, WorkerError};
use crate::bus::{BusError, CommitState, OutRecord, Position, TopicPartition};
use crate::clock::Stopwatch;
use crate::domain::Time;
use crate::planted::{self, Bug};
use crate::telemetry;

/// What the worker is about to do with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// A transaction could not be sent whole; it is to be aborted, then taken back.
    Aborting,
    /// The state can't be trusted: the bus worker needs a new identity, then the shards are rebuilt.
    Recovering,
    /// The identity is new; the positions are to be looked up.
    Rebuilding,
}

/// One layer of some shards: decided together, committed or taken back together.
#[derive(Debug)]
pub(super) struct Unit {
    shards: Vec<TopicPartition>,
    /// What each of `shards` has reached with this layer.
    reached: Vec<Position>,
    records: Vec<OutRecord>,
    /// All positions that its transaction commits.
    positions: Vec<(TopicPartition, Position)>,
}

impl Unit {
    pub fn new<S>(shards: Vec<TopicPartition>, decided: Vec<(Decided, Vec<Item>)>, held: &mut Table<S>) -> Unit {
        let mut unit = Unit { shards, reached: Vec::new(), records: Vec::new(), positions: Vec::new() };
        assert_eq!(unit.shards.len(), decided.len(), "I9: each batch has one answer");
        for (at, (decided, left)) in unit.shards.iter().zip(decided) {
            let row = held.find(at).expect("only held partitions are decided");
            if let Some(note) = decided.note {
                row.note = note;
            }
            let behind = u64::from(planted::is(Bug::PositionOffByOne));
            let offset = row.leave(left).saturating_sub(behind);
            unit.reached.push(Position { offset, note: row.note.clone() });
            unit.records.extend(decided.records);
        }
        unit
    }

    /// Whether it has no output.
    pub fn is_silent(&self) -> bool {
        self.records.is_empty()
    }
}

impl<St: Stage, H: Host<St::Shard>> Worker<St, H> {
    /// Sends a unit and starts its commit; one without output is settled at once, its positions follow with a later
    /// transaction. Only while nothing is in flight.
    pub(super) fn dispatch(&mut self, mut unit: Unit, now: Time) -> Result<(), WorkerError> {
        assert!(self.in_flight.is_none() || planted::is(Bug::AheadSentEarly), "I8: one transaction at a time");
        if unit.is_silent() {
            self.host.committed(&unit.shards)?;
            self.settle(&unit);
            if self.held.rows.iter().any(Held::has_progress) {
                self.progress_since.get_or_insert(now);
            }
            return Ok(());
        }
        if !planted::is(Bug::PositionsApart) {
            unit.positions = self.positions_with(&unit);
        }
        self.send(unit, now)
    }

    /// Commits positions that moved without output. Answers whether there were any.
    pub(super) fn commit_progress(&mut self, now: Time) -> Result<bool, WorkerError> {
        if self.in_flight.is_some() {
            return Ok(false);
        }
        let mut unit = Unit { shards: Vec::new(), reached: Vec::new(), records: Vec::new(), positions: Vec::new() };
        unit.positions = self.positions_with(&unit);
        if unit.positions.is_empty() {
            self.progress_since = None;
            return Ok(false);
        }
        self.send(unit, now)?;
        Ok(true)
    }

    /// Looks at the commit in flight, waiting at most `wait`. Answers whether it ended.
    pub(super) fn look_at_commit(&mut self, now: Time, wait: Duration) -> Result<bool, WorkerError> {
        match self.bus.poll_commit(wait) {
            CommitState::Pending => return Ok(false),
            CommitState::Committed => {
                telemetry::transaction(self.stage.name(), self.sent.seconds());
                self.when_committed(now)?;
            }
            CommitState::Aborted if planted::is(Bug::AbortTakenForCommit) => self.when_committed(now)?,
            CommitState::Aborted => {
                self.stats.aborts += 1;
                self.setbacks = self.setbacks.saturating_add(1);
                self.take_back_all()?;
            }
            CommitState::Uncertain if planted::is(Bug::UncertainTakenForCommit) => self.when_committed(now)?,
            CommitState::Uncertain if planted::is(Bug::UncertainTakenForAbort) => self.take_back_all()?,
            CommitState::Uncertain => {
                self.stats.uncertain += 1;
                self.rebuild();
            }
            CommitState::Fenced => {
                self.stats.fenced += 1;
                self.rebuild();
            }
        }
        Ok(true)
    }

    /// Aborts what could not be sent whole.
    pub(super) fn abort_step(&mut self) -> Result<Step, WorkerError> {
        match self.bus.abort() {
            Ok(CommitState::Aborted) => {
                self.stats.aborts += 1;
                self.phase = Phase::Running;
                self.setbacks = self.setbacks.saturating_add(1);
                self.take_back_all()?;
            }
            Ok(CommitState::Fenced) => {
                self.stats.fenced += 1;
                self.rebuild();
            }
            // Committed is no answer to an abort, so whatever it means, the state is rebuilt.
            Ok(CommitState::Uncertain | CommitState::Committed) => {
                self.stats.uncertain += 1;
                self.rebuild();
            }
            Ok(CommitState::Pending) => return self.abort_again(BusError::Unavailable("abort pending".to_owned())),
            Err(why) => return self.abort_again(why),
        }
        Ok(self.setback())
    }

    /// Drops all shards, takes a new identity, looks the positions up, and starts to restore.
    pub(super) fn recover_step(&mut self) -> Result<Step, WorkerError> {
        if self.phase == Phase::Recovering {
            self.drop_shards()?;
            self.bus.recover()?;
            self.phase = Phase::Rebuilding;
        }
        let all: Vec<TopicPartition> = self.held.rows.iter().map(|row| row.at.clone()).collect();
        self.bus.pause(&all)?;
        for row in self.held.rows.iter_mut().filter(|row| matches!(row.state, State::Empty)) {
            // Nobody has committed since the assignment if nobody ever has: then what it told still holds.
            let position = self.log.position(&self.group, &row.at)?.unwrap_or_else(|| row.committed.clone());
            let restore = fresh_restore(&*self.stage, &row.at, &position);
            *row = Held::new(row.at.clone(), row.is_posts, position, State::Restoring(Box::new(restore)));
        }
        self.phase = Phase::Running;
        Ok(self.setback())
    }

    fn send(&mut self, unit: Unit, now: Time) -> Result<(), WorkerError> {
        self.sent = Stopwatch::start();
        self.clocks.sent(now);
        let unit = self.in_flight.insert(unit);
        let mut sent = 0;
        let mut outcome = Ok(());
        for record in &unit.records {
            outcome = self.bus.send(record);
            if outcome.is_err() {
                break;
            }
            sent += 1;
        }
        self.stats.sent += sent;
        let outcome = outcome.and_then(|()| self.bus.start_commit(&unit.positions));
        if let Err(why) = outcome {
            // Part of it may be in the log's hands: it can't be sent again, only aborted as a whole.
            self.phase = Phase::Aborting;
            return Err(why.into());
        }
        Ok(())
    }

    fn abort_again(&mut self, why: BusError) -> Result<Step, WorkerError> {
        if !matches!(why, BusError::Unavailable(_)) {
            return Err(why.into());
        }
        if self.call_failures >= ABORT_TRIES_MAX {
            self.stats.uncertain += 1;
            self.rebuild();
        }
        Err(why.into())
    }

    fn when_committed(&mut self, now: Time) -> Result<(), WorkerError> {
        let unit = self.in_flight.take().expect("only called while a commit is in flight");
        self.stats.commits += 1;
        self.setbacks = 0;
        if !unit.records.is_empty() {
            self.clocks.committed(self.bus.log_clock(), now);
        }
        self.host.committed(&unit.shards)?;
        self.settle(&unit);
        for (at, position) in unit.positions {
            if let Some(row) = self.held.find(&at) {
                row.committed = position;
            }
        }
        self.progress_since = self.held.rows.iter().any(Held::has_progress).then_some(now);
        match self.ahead.take() {
            // Others may own its partitions already, and one transaction can't leave them out.
            Some(ahead) if self.revoking.as_ref().is_some_and(|revoking| revoking.lost) => self.take_back(&ahead),
            Some(ahead) => self.dispatch(ahead, now),
            None => Ok(()),
        }
    }

    fn take_back_all(&mut self) -> Result<(), WorkerError> {
        // Newest first: the journal of a shard is a stack.
        for unit in [self.ahead.take(), self.in_flight.take()].into_iter().flatten() {
            self.take_back(&unit)?;
        }
        Ok(())
    }

    fn take_back(&mut self, unit: &Unit) -> Result<(), WorkerError> {
        self.host.take_back(&unit.shards)?;
        for at in &unit.shards {
            let row = self.held.find(at).expect("a unit's partitions are held until it ended");
            if !planted::is(Bug::RewindForgotten) {
                row.rewind();
            }
        }
        Ok(())
    }

    fn rebuild(&mut self) {
        self.phase = Phase::Recovering;
        self.setbacks = self.setbacks.saturating_add(1);
    }

    fn drop_shards(&mut self) -> Result<(), WorkerError> {
        (self.in_flight, self.ahead) = (None, None);
        (self.gathering_since, self.progress_since) = (None, None);
        for row in &mut self.held.rows {
            if planted::is(Bug::RecoverKeepsShards) && row.is_live() {
                row.rewind();
                row.fetch = Fetch::Stopped;
                continue;
            }
            if row.is_live() {
                self.host.take(&row.at)?.iter().for_each(|shard| shard.tell_left());
            }
            row.state = State::Empty;
            row.fetch = Fetch::Stopped;
            row.discard();
        }
        Ok(())
    }

    fn settle(&mut self, unit: &Unit) {
        for (at, reached) in unit.shards.iter().zip(&unit.reached) {
            self.held.find(at).expect("a unit's partitions are held until it ended").settled.clone_from(reached);
        }
    }

    /// The positions of a transaction: of each partition that it concerns, moved or not (a commit proves that the
    /// partition is still this worker's), and of those that moved without output before.
    fn positions_with(&self, unit: &Unit) -> Vec<(TopicPartition, Position)> {
        let mut positions = Vec::new();
        for row in &self.held.rows {
            // Both are in the order of partitions.
            match unit.shards.binary_search(&row.at) {
                Ok(index) => positions.push((row.at.clone(), unit.reached[index].clone())),
                Err(_) if row.has_progress() => positions.push((row.at.clone(), row.settled.clone())),
                Err(_) => {}
            }
        }
        positions
    }
}

/// A restore of the shard of an input partition as of a position.
pub(super) fn fresh_restore<St: Stage>(stage: &St, at: &TopicPartition, position: &Position) -> Restore<St::Shard>
where
    St::Shard: Shard,
{
    let changelog = stage.changelog().map(|topic| TopicPartition { topic, partition: at.partition });
    Restore::new(stage.shard(at, &position.note), changelog, position.offset > 0)
}
