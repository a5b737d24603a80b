//! One worker of the test bus.

use std::time::Duration;

use super::{Event, Fate, Fetch, Inner, Member, Pending, TestBus};
use crate::bus::{
    Budget, BusError, BusWorker, CommitState, OutRecord, Polled, Position, RecordRef, TopicPartition, partition_of_key,
};

pub(super) struct Handle {
    pub bus: TestBus,
    pub name: String,
}

impl BusWorker for Handle {
    fn poll(
        &mut self,
        budget: Budget,
        wait: Duration,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError> {
        let mut guard = self.bus.inner();
        let inner = &mut *guard;
        inner.draw_trouble()?;
        if let Some(event) = inner.members.get_mut(&self.name).and_then(|member| member.events.pop_front()) {
            return Ok(tell(inner, &self.name, event));
        }
        let member = &inner.members[&self.name];
        let topics = member.topics.clone();
        for preferred in [true, false] {
            let mut given = 0;
            let running: Vec<(TopicPartition, u64)> = inner.members[&self.name]
                .fetch
                .iter()
                .filter(|(at, fetch)| {
                    fetch.running && topics.iter().any(|topic| topic.topic == at.topic && topic.preferred == preferred)
                })
                .map(|(at, fetch)| (at.clone(), fetch.position))
                .collect();
            for (at, position) in running {
                let (next, count) = inner.give(&at, position, budget.records_max - given, visit);
                given += count;
                let member = member_of(inner, &self.name);
                member.fetch.get_mut(&at).expect("just listed").position = next;
                if given == budget.records_max {
                    break;
                }
            }
            if given > 0 {
                return Ok(Polled::Records(given));
            }
        }
        drop(guard);
        std::thread::sleep(wait);
        Ok(Polled::Idle)
    }

    fn resume_at(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), BusError> {
        let mut inner = self.bus.inner();
        inner.draw_trouble()?;
        for (at, position) in positions {
            if inner.is_owner(&self.name, at) {
                let member = member_of(&mut inner, &self.name);
                member.fetch.insert(at.clone(), Fetch { position: *position, running: true });
            }
        }
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        let mut inner = self.bus.inner();
        inner.draw_trouble()?;
        let member = member_of(&mut inner, &self.name);
        for at in partitions {
            if let Some(fetch) = member.fetch.get_mut(at) {
                fetch.running = false;
            }
        }
        Ok(())
    }

    fn at_end(&self, at: &TopicPartition) -> bool {
        let inner = self.bus.inner();
        inner.members[&self.name].fetch.get(at).is_some_and(|fetch| fetch.position >= inner.logs[at].end)
    }

    fn release(&mut self) -> Result<(), BusError> {
        let mut inner = self.bus.inner();
        inner.draw_trouble()?;
        let member = member_of(&mut inner, &self.name);
        assert!(member.open.is_none() && member.pending.is_none(), "released with an open transaction");
        let group = member.group.clone();
        if let Some((at, to)) = member.releasing.take() {
            member.fetch.remove(&at);
            inner.give_to((group, at), &to);
        }
        Ok(())
    }

    fn send(&mut self, record: &OutRecord) -> Result<(), BusError> {
        let mut inner = self.bus.inner();
        let by = open_transaction(&mut inner, &self.name);
        inner.draw_trouble()?;
        let partitions = inner.logs.keys().filter(|at| at.topic == record.topic).count() as u32;
        let by_key = || record.key.as_deref().map_or(0, |key| partition_of_key(key, partitions));
        let at = TopicPartition { topic: record.topic.clone(), partition: record.partition.unwrap_or_else(by_key) };
        inner.append(&at, record.key.clone(), record.value.clone(), Some(by));
        // The record may be in the log although the call failed.
        inner.draw_trouble()
    }

    fn start_commit(&mut self, positions: &[(TopicPartition, Position)]) -> Result<(), BusError> {
        let mut inner = self.bus.inner();
        let transaction = open_transaction(&mut inner, &self.name);
        inner.draw_trouble()?;
        let (looks_left, outcome) = inner.draw_outcome();
        let pending = Pending { transaction, positions: positions.to_vec(), looks_left, outcome };
        let member = member_of(&mut inner, &self.name);
        assert!(member.pending.is_none(), "two commits at once");
        assert!(!positions.is_empty(), "I7: a transaction without positions is not fenced");
        (member.open, member.pending) = (None, Some(pending));
        Ok(())
    }

    fn poll_commit(&mut self, _: Duration) -> CommitState {
        let mut inner = self.bus.inner();
        let member = member_of(&mut inner, &self.name);
        let mut pending = member.pending.take().expect("nothing to look at");
        if pending.looks_left > 0 {
            pending.looks_left -= 1;
            member.pending = Some(pending);
            return CommitState::Pending;
        }
        if pending.outcome == CommitState::Uncertain {
            member.unsettled = Some(pending);
            return CommitState::Uncertain;
        }
        let outcome = finish(&mut inner, &self.name, pending);
        member_of(&mut inner, &self.name).must_recover = outcome == CommitState::Fenced;
        outcome
    }

    fn abort(&mut self) -> Result<CommitState, BusError> {
        let mut inner = self.bus.inner();
        inner.draw_trouble()?;
        let (_, outcome) = inner.draw_outcome();
        let member = member_of(&mut inner, &self.name);
        let Some(transaction) = member.open.take() else {
            return Ok(CommitState::Aborted);
        };
        if outcome == CommitState::Uncertain {
            let (positions, looks_left) = (Vec::new(), 0);
            member.unsettled = Some(Pending { transaction, positions, looks_left, outcome: CommitState::Aborted });
            return Ok(CommitState::Uncertain);
        }
        member.must_recover = outcome == CommitState::Fenced;
        inner.settle(transaction, Fate::Aborted);
        Ok(if outcome == CommitState::Fenced { CommitState::Fenced } else { CommitState::Aborted })
    }

    fn recover(&mut self) -> Result<(), BusError> {
        let mut inner = self.bus.inner();
        inner.draw_trouble()?;
        settle_all(&mut inner, &self.name);
        member_of(&mut inner, &self.name).must_recover = false;
        Ok(())
    }
}

/// A crash, or a clean leave: what is open ends one way or the other, the partitions are free.
impl Drop for Handle {
    fn drop(&mut self) {
        let mut inner = self.bus.inner();
        settle_all(&mut inner, &self.name);
        inner.members.remove(&self.name);
        inner.owners.retain(|_, owner| *owner != self.name);
    }
}

fn member_of<'a>(inner: &'a mut Inner, name: &str) -> &'a mut Member {
    inner.members.get_mut(name).expect("a handle is a member")
}

fn tell(inner: &mut Inner, name: &str, event: Event) -> Polled {
    let group = inner.members[name].group.clone();
    match event {
        Event::Assigned(partitions) => Polled::Assigned(
            partitions
                .into_iter()
                .map(|at| (at.clone(), inner.positions.get(&(group.clone(), at)).cloned().unwrap_or_default()))
                .collect(),
        ),
        Event::Revoking { at, to } => {
            let lost = to.is_none();
            let member = member_of(inner, name);
            member.releasing = to.map(|to| (at.clone(), to));
            Polled::Revoking { partitions: vec![at], lost }
        }
    }
}

fn open_transaction(inner: &mut Inner, name: &str) -> usize {
    let next = inner.transactions.len();
    let member = member_of(inner, name);
    assert!(!member.must_recover, "sent without recovering from a fence");
    assert!(member.pending.is_none() && member.unsettled.is_none(), "sent while another transaction is unsettled");
    let transaction = *member.open.get_or_insert(next);
    if transaction == next {
        inner.transactions.push(Fate::Open);
    }
    transaction
}

/// Commits unless the outcome says otherwise or a partition is another's.
fn finish(inner: &mut Inner, name: &str, pending: Pending) -> CommitState {
    let owned = pending.positions.iter().all(|(at, _)| inner.is_owner(name, at));
    let outcome = if owned { pending.outcome } else { CommitState::Fenced };
    if outcome != CommitState::Committed {
        inner.settle(pending.transaction, Fate::Aborted);
        return outcome;
    }
    inner.settle(pending.transaction, Fate::Committed);
    let group = inner.members[name].group.clone();
    for (at, position) in pending.positions {
        let key = (group.clone(), at);
        let before = inner.positions.get(&key).map_or(0, |position| position.offset);
        assert!(position.offset >= before, "a position went back");
        inner.positions.insert(key, position);
    }
    CommitState::Committed
}

fn settle_all(inner: &mut Inner, name: &str) {
    let member = member_of(inner, name);
    let (open, left) = (member.open.take(), [member.pending.take(), member.unsettled.take()]);
    if let Some(transaction) = open {
        inner.settle(transaction, Fate::Aborted);
    }
    for mut pending in left.into_iter().flatten() {
        if pending.outcome == CommitState::Uncertain {
            let committed = inner.draw(500);
            pending.outcome = if committed { CommitState::Committed } else { CommitState::Aborted };
        }
        finish(inner, name, pending);
    }
}
