//! The transaction coordinator: producers and their epochs, transactions, EndTxn, markers.

use std::sync::Arc;

use rand::Rng;

use super::broker::{Broker, Flight};
use super::faults::{Cheat, LATE_MARKERS_MS_MAX};
use super::log::Content;
use super::watch::Ended;
use crate::bus::{Position, TopicPartition};
use crate::domain::{Span, Time};

/// A transactional identity.
pub(super) struct Producer {
    name: Arc<str>,
    epoch: u32,
    open: Option<u64>,
    /// Decided, but not all of its markers are written.
    completing: Option<u64>,
    /// How the last transaction of this epoch ended.
    last: Option<bool>,
}

/// A transaction until its last marker is written.
pub(super) struct Transaction {
    /// `None`: somebody outside the program.
    producer: Option<usize>,
    epoch: u32,
    deadline: Option<Time>,
    committed: bool,
    /// (group, generation) that its positions were sent with.
    group: Option<(usize, u32)>,
    positions: Vec<(TopicPartition, Position)>,
    records: Vec<(TopicPartition, u64)>,
    /// Logs that wait for its marker.
    unmarked: Vec<usize>,
    positions_unmarked: bool,
}

/// Who commits positions, and for whom; `member` is `None` for a producer that is in no group.
#[derive(Clone, Copy)]
pub(super) struct Committer {
    pub group: usize,
    pub member: Option<u64>,
    pub generation: u32,
}

/// Why the coordinator did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another has this identity or these partitions, or the state is not what the request takes for granted.
    Fenced,
    /// The transaction before is not complete yet.
    Busy,
}

impl Broker {
    /// A new epoch of an identity. What the older one left undecided is aborted, and everything of it is complete.
    pub fn init_producer(&mut self, name: &str) -> (usize, u32) {
        let known = self.producers.iter().position(|producer| *producer.name == *name);
        let number = known.unwrap_or_else(|| {
            let name = Arc::from(name);
            self.producers.push(Producer { name, epoch: 0, open: None, completing: None, last: None });
            self.producers.len() - 1
        });
        self.fence(number);
        if let Some(transaction) = self.producers[number].completing {
            self.complete(transaction);
        }
        (number, self.producers[number].epoch)
    }

    /// Aborts what is open and gives the identity a new epoch, which nobody has been told.
    pub fn fence(&mut self, number: usize) {
        if let Some(open) = self.producers[number].open {
            self.decide(open, false);
        }
        let producer = &mut self.producers[number];
        producer.epoch += 1;
        producer.last = None;
    }

    pub fn epoch(&self, producer: usize) -> u32 {
        self.producers[producer].epoch
    }

    pub fn append_to(&mut self, transaction: u64, log: usize, content: Content) -> u64 {
        let (offset, first) = self.append(log, content, Some(transaction));
        if let Some(open) = self.open.get_mut(&transaction) {
            open.records.push((self.logs[log].at.clone(), offset));
            if first {
                open.unmarked.push(log);
            }
        }
        offset
    }

    pub fn append(&mut self, log: usize, content: Content, transaction: Option<u64>) -> (u64, bool) {
        let now = self.append_time();
        self.version += 1;
        self.logs[log].append(content, now, transaction)
    }

    /// Adds positions to the open transaction, begun if there is none.
    pub fn add_positions(
        &mut self,
        by: (usize, u32),
        committer: Committer,
        positions: &[(TopicPartition, Position)],
    ) -> Result<(), Refused> {
        let transaction = self.open_of(by)?;
        self.check_generation(committer, positions)?;
        if let Some(open) = self.open.get_mut(&transaction).filter(|_| !positions.is_empty()) {
            open.group = Some((committer.group, committer.generation));
            open.positions.extend_from_slice(positions);
            open.positions_unmarked = true;
            positions.iter().for_each(|(at, _)| self.groups[committer.group].hold(at));
        }
        Ok(())
    }

    /// Moves positions outside every transaction.
    pub fn set_positions(
        &mut self,
        committer: Committer,
        positions: &[(TopicPartition, Position)],
    ) -> Result<(), Refused> {
        self.check_generation(committer, positions)?;
        for (at, position) in positions {
            self.groups[committer.group].set_position(at, position.clone());
        }
        Ok(())
    }

    /// An EndTxn has arrived. It ends whatever transaction this epoch of the producer has open.
    pub fn end_transaction(&mut self, producer: usize, epoch: u32, commit: bool) -> Result<(), Refused> {
        self.check_epoch((producer, epoch))?;
        let state = &self.producers[producer];
        match (state.open, state.last) {
            (Some(open), _) => {
                self.decide(open, commit);
                Ok(())
            }
            // It was asked before.
            (None, Some(last)) if last == commit => Ok(()),
            (None, _) => Err(Refused::Fenced),
        }
    }

    /// Begins a transaction, `None`: of somebody outside the program.
    pub fn begin(&mut self, by: Option<(usize, u32)>) -> u64 {
        let number = self.fates.begin();
        let deadline = self.now.after(self.options.transaction_timeout);
        self.deadlines.insert((deadline, number));
        let transaction = Transaction {
            producer: by.map(|(producer, _)| producer),
            epoch: by.map_or(0, |(_, epoch)| epoch),
            deadline: Some(deadline),
            committed: false,
            group: None,
            positions: Vec::new(),
            records: Vec::new(),
            unmarked: Vec::new(),
            positions_unmarked: false,
        };
        self.open.insert(number, transaction);
        number
    }

    /// Decides a transaction. Its markers follow, at once or late.
    pub fn decide(&mut self, number: u64, commit: bool) {
        let Some(transaction) = self.open.get_mut(&number) else { return };
        transaction.committed = commit;
        let (logs, positions) = (transaction.unmarked.clone(), transaction.positions_unmarked);
        if let Some(deadline) = transaction.deadline.take() {
            self.deadlines.remove(&(deadline, number));
        }
        if let Some(producer) = transaction.producer {
            let producer = &mut self.producers[producer];
            (producer.open, producer.completing, producer.last) = (None, Some(number), Some(commit));
        }
        self.note_ended(number);
        self.fates.decide(number, commit);
        if !self.strikes(|faults| faults.late_markers) {
            return self.complete(number);
        }
        for log in logs {
            let due = self.draw_marker();
            self.send_flight(due, Flight::Marker { transaction: number, log });
        }
        if positions {
            let due = self.draw_marker();
            self.send_flight(due, Flight::Positions { transaction: number });
        }
        self.close_if_marked(number);
    }

    /// Writes the marker of one log, unless it was written meanwhile.
    pub fn mark(&mut self, number: u64, log: usize) {
        let Some(transaction) = self.open.get_mut(&number) else { return };
        if let Some(index) = transaction.unmarked.iter().position(|unmarked| *unmarked == log) {
            transaction.unmarked.remove(index);
            self.logs[log].mark(number);
            self.version += 1;
            self.close_if_marked(number);
        }
    }

    pub fn mark_positions(&mut self, number: u64) {
        let Some(transaction) = self.open.get_mut(&number) else { return };
        if !std::mem::take(&mut transaction.positions_unmarked) {
            return;
        }
        let mut back = None;
        if let Some((group, _)) = transaction.group {
            for (at, position) in &transaction.positions {
                if self.groups[group].settle(at, position, transaction.committed) {
                    back = Some(format!("the position of {}/{} went back", at.topic, at.partition));
                }
            }
        }
        if let Some(what) = back {
            let who = transaction.producer.map(|number| self.producers[number].name.clone());
            self.misuse(&what, who.as_deref().unwrap_or("somebody"));
        }
        self.close_if_marked(number);
    }

    /// Aborts what is overdue; its producer is fenced.
    pub fn expire_transactions(&mut self) {
        while let Some(due) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= self.now) {
            self.deadlines.remove(&due);
            let number = due.1;
            match self.open.get(&number).and_then(|transaction| transaction.producer) {
                Some(producer) if self.producers[producer].open == Some(number) => self.fence(producer),
                _ => self.decide(number, false),
            }
        }
    }

    /// Writes all markers that a transaction still needs.
    fn complete(&mut self, number: u64) {
        self.mark_positions(number);
        let logs = self.open.get(&number).map(|transaction| transaction.unmarked.clone()).unwrap_or_default();
        logs.into_iter().for_each(|log| self.mark(number, log));
        self.close_if_marked(number);
    }

    /// In the order of decisions: whoever goes on from a position of this transaction is decided later.
    fn note_ended(&mut self, number: u64) {
        let Some(transaction) = self.open.get_mut(&number) else { return };
        let ended = Ended {
            transaction: number,
            producer: transaction.producer.map(|producer| self.producers[producer].name.clone()),
            epoch: transaction.epoch,
            group: transaction.group.map(|(group, _)| self.groups[group].name.clone()),
            generation: transaction.group.map(|(_, generation)| generation),
            took_over_at: transaction.producer.zip(transaction.group).and_then(|(producer, (group, generation))| {
                let name = &self.producers[producer].name;
                self.took_over.get(&(group, generation)).and_then(|of| of.get(name)).cloned()
            }),
            committed: transaction.committed,
            positions: transaction.positions.clone(),
            records: std::mem::take(&mut transaction.records),
        };
        self.ended.push(ended);
    }

    fn close_if_marked(&mut self, number: u64) {
        let is_marked = |open: &Transaction| open.unmarked.is_empty() && !open.positions_unmarked;
        if !self.open.get(&number).is_some_and(is_marked) {
            return;
        }
        let Some(transaction) = self.open.remove(&number) else { return };
        if let Some(producer) = transaction.producer.map(|producer| &mut self.producers[producer]) {
            producer.completing = producer.completing.filter(|completing| *completing != number);
        }
    }

    /// The open transaction of (producer, epoch), begun if there is none.
    pub fn open_of(&mut self, by: (usize, u32)) -> Result<u64, Refused> {
        self.check_epoch(by)?;
        let producer = &self.producers[by.0];
        match (producer.open, producer.completing) {
            (Some(open), _) => Ok(open),
            (None, Some(_)) => Err(Refused::Busy),
            (None, None) => {
                let number = self.begin(Some(by));
                self.producers[by.0].open = Some(number);
                Ok(number)
            }
        }
    }

    fn check_epoch(&self, (producer, epoch): (usize, u32)) -> Result<(), Refused> {
        let is_current = self.producers[producer].epoch == epoch || self.cheats(Cheat::NoEpochFence);
        if is_current { Ok(()) } else { Err(Refused::Fenced) }
    }

    fn check_generation(&self, by: Committer, positions: &[(TopicPartition, Position)]) -> Result<(), Refused> {
        let group = &self.groups[by.group];
        let numbers = positions.iter().map(|(at, _)| self.number(at).ok());
        let accepts = |member| group.accepts(member, by.generation, numbers);
        let is_fine = self.cheats(Cheat::NoGenerationFence) || by.member.is_none_or(accepts);
        if is_fine { Ok(()) } else { Err(Refused::Fenced) }
    }

    fn draw_marker(&mut self) -> Time {
        let most = LATE_MARKERS_MS_MAX[self.rng.random_range(0..LATE_MARKERS_MS_MAX.len())];
        self.now.after(Span(self.rng.random_range(1..=most)))
    }
}
