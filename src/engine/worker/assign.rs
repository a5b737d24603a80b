//! Partitions that come and go: restore, park, reuse, pause; and the end of the worker.

use std::time::Duration;

use super::super::held::{Fetch, Held, State};
use super::super::host::Host;
use super::super::restore::{Progress, RestoreFailure};
use super::super::settings::HELD_BACK_SETBACKS;
use super::super::shard::Shard;
use super::super::stage::Stage;
use super::commit::{Phase, fresh_restore};
use super::{Step, Worker, WorkerError};
use crate::bus::{BusError, Position, TopicPartition};
use crate::domain::Time;
use crate::planted::{self, Bug};

/// Partitions that the group wants back.
#[derive(Debug)]
pub(super) struct Revoking {
    pub partitions: Vec<TopicPartition>,
    /// Others may own them already: nothing may be committed for them.
    pub lost: bool,
    /// The last progress was sent to be committed; whatever came of it, there is no second try.
    tried: bool,
}

impl Revoking {
    pub fn new(partitions: Vec<TopicPartition>, lost: bool) -> Revoking {
        Revoking { partitions, lost, tried: lost }
    }
}

impl<St: Stage, H: Host<St::Shard>> Worker<St, H> {
    /// Takes partitions over: from parking, or by a restore that the next steps carry out.
    pub(super) fn assigned(&mut self, partitions: Vec<(TopicPartition, Position)>) -> Result<(), WorkerError> {
        self.is_assigned = true;
        if !planted::is(Bug::GateNeverShut) {
            self.gate.shut();
        }
        let posts = self.stage.gate();
        for (at, position) in partitions {
            if let Some(row) = self.held.find(&at) {
                row.fetch = Fetch::Stopped;
                if self.in_flight.is_some() || self.ahead.is_some() || self.phase != Phase::Running {
                    // The group has forgotten what this worker has open: no telling what it stands on.
                    row.committed = position;
                    self.phase = Phase::Recovering;
                    continue;
                }
                if row.is_live() && row.settled == position {
                    row.committed = position;
                    row.rewind();
                    continue;
                }
                drop(self.host.take(&at)?);
            }
            let state = match self.parked.take(&at, &position) {
                Some(shard) => {
                    shard.tell();
                    self.host.put(&at, shard)?;
                    self.stats.reused += 1;
                    State::Live
                }
                None => State::Restoring(Box::new(fresh_restore(&*self.stage, &at, &position))),
            };
            let is_posts = posts.holds(&at.topic);
            self.held.insert(Held::new(at, is_posts, position, state));
        }
        Ok(())
    }

    /// Finishes what is open, parks the shards, lets the partitions go. One piece a step; nothing is polled meanwhile.
    pub(super) fn revoke_step(&mut self, now: Time, wait: Duration) -> Result<Step, WorkerError> {
        if self.in_flight.is_some() {
            self.look_at_commit(now, wait)?;
            return Ok(Step::Busy);
        }
        let Some(revoking) = &mut self.revoking else {
            return Ok(Step::Busy);
        };
        if !std::mem::replace(&mut revoking.tried, true) && self.commit_progress(now)? {
            return Ok(Step::Busy);
        }
        let partitions = self.revoking.as_ref().map(|revoking| revoking.partitions.clone()).unwrap_or_default();
        for at in partitions {
            self.park(at)?;
        }
        if self.held.gathered() == 0 {
            self.gathering_since = None;
        }
        self.bus.release()?;
        self.is_assigned = false;
        // Half a restore may have gone with its partition.
        self.reader.rest();
        self.revoking = None;
        Ok(Step::Busy)
    }

    /// Finishes what was taken; then there is nothing left to step for. What a shard leaves then, the next owner reads
    /// again: it may be a million expiries.
    pub(super) fn stop_step(&mut self, now: Time, wait: Duration) -> Result<Step, WorkerError> {
        if self.in_flight.is_some() {
            self.look_at_commit(now, wait)?;
            return Ok(Step::Busy);
        }
        let decided = !std::mem::replace(&mut self.stop_tried, true) && self.decide(now)?;
        if decided || self.in_flight.is_some() || self.commit_progress(now)? {
            return Ok(Step::Busy);
        }
        Ok(Step::Done)
    }

    /// Carries the restore of one partition on by one piece. Answers whether it moved. A partition that can't be read
    /// waits by itself: it must not keep the others from their work, nor the worker from its group.
    ///
    /// A read that fails may have taken its time, so it is one a step, of whoever failed longest ago.
    pub(super) fn restore_step(&mut self, now: Time) -> Result<bool, WorkerError> {
        let Worker { held, reader, host, stats, log, group, .. } = self;
        let is_due = |row: &&mut Held<_>| matches!(row.state, State::Restoring(_)) && !row.rests(now);
        let due = held.rows.iter_mut().filter(is_due).min_by_key(|row| row.failed.map(|(_, at)| at));
        let Some(row) = due else { return Ok(false) };
        let State::Restoring(restore) = &mut row.state else { unreachable!("just matched") };
        match restore.step(&mut **reader, now) {
            // A look may take its time, and the others have work to do.
            Ok(Progress::HeldBack) => {
                row.failed = Some((HELD_BACK_SETBACKS, now));
                Ok(false)
            }
            Ok(Progress::Read(records)) => {
                row.failed = None;
                stats.restored_records += records;
                Ok(true)
            }
            Ok(Progress::Done) => {
                row.failed = None;
                let State::Restoring(restore) = std::mem::replace(&mut row.state, State::Live) else {
                    unreachable!("just matched")
                };
                host.put(&row.at, restore.into_shard())?;
                stats.restores += 1;
                reader.rest();
                Ok(true)
            }
            // It goes on from where it was: what was read twice counts once.
            Err(RestoreFailure::Bus(BusError::Unavailable(why))) => {
                let times = row.failed.map_or(0, |(times, _)| times).saturating_add(1);
                row.failed = Some((times, now));
                stats.backoffs += 1;
                let TopicPartition { topic, partition } = &row.at;
                tracing::warn!(%topic, partition, times, why, "a shard can't be restored yet");
                Ok(false)
            }
            Err(RestoreFailure::Bus(why)) => Err(why.into()),
            Err(unplaced @ RestoreFailure::Unplaced { .. }) => match log.position(group, &row.at) {
                // Somebody else went on meanwhile: this worker has yet to be told that it is another's partition.
                Ok(Some(position)) if position.offset > 0 => {
                    row.failed = Some((0, now));
                    Ok(false)
                }
                Ok(_) => Err(WorkerError::Restore(unplaced)),
                Err(why) => Err(why.into()),
            },
            Err(other) => Err(WorkerError::Restore(other)),
        }
    }

    pub(super) fn tend_gate(&mut self, now: Time) -> Result<(), BusError> {
        if self.gate.is_open() {
            return Ok(());
        }
        let Worker { gate, log, reader, group, held, .. } = self;
        let rows = &held.rows;
        let own = |at: &TopicPartition| {
            rows.binary_search_by(|row| row.at.cmp(at)).ok().map(|index| rows[index].committed.offset)
        };
        gate.tend(now, &**log, &mut **reader, group, &own)?;
        if gate.is_open() {
            reader.rest();
        }
        Ok(())
    }

    /// Tells the bus which partitions to fetch, and from where: live ones, of which posts wait at the gate and under
    /// pressure. The only place that resumes or pauses in the course of things.
    pub(super) fn tend_fetches(&mut self) -> Result<(), BusError> {
        let Worker { held, gate, stage, bus, .. } = self;
        let pressure = stage.pressure();
        let waits = |at: &TopicPartition| !gate.is_open() || pressure.is_some_and(|pressure| pressure.holds(at));
        let (mut resume, mut pause, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for (index, row) in held.rows.iter().enumerate() {
            let wanted = row.is_live() && !(row.is_posts && waits(&row.at));
            match (wanted, row.fetch) {
                (true, Fetch::Running) | (false, Fetch::Stopped) => continue,
                (true, _) => resume.push((row.at.clone(), row.next)),
                (false, _) => pause.push(row.at.clone()),
            }
            changes.push((index, if wanted { Fetch::Running } else { Fetch::Stopped }));
        }
        if !pause.is_empty() {
            bus.pause(&pause)?;
        }
        if !resume.is_empty() {
            bus.resume_at(&resume)?;
        }
        for (index, fetch) in changes {
            held.rows[index].fetch = fetch;
        }
        Ok(())
    }

    /// Lets a partition go. Its shard has no open layer; it is kept if the group stands exactly where it does.
    fn park(&mut self, at: TopicPartition) -> Result<(), WorkerError> {
        let Some(row) = self.held.remove(&at) else {
            return Ok(());
        };
        self.stage.pressure().into_iter().for_each(|pressure| pressure.forget(&at));
        if !row.is_live() {
            return Ok(());
        }
        let shard = self.host.take(&at)?;
        shard.iter().for_each(|shard| shard.tell_left());
        if let Some(shard) = shard.filter(|_| row.settled == row.committed) {
            self.parked.put(at, row.committed, shard);
        }
        Ok(())
    }
}
