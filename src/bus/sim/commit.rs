//! A worker's producer: what it buffers, and the requests of its commits and aborts, any of which the network may lose.

use std::sync::Arc;

use rand::Rng;

use super::broker::{Broker, Flight};
use super::faults::Cheat;
use super::log::Content;
use super::transactions::{Committer, Refused};
use crate::bus::{BusError, CommitState, OutRecord, Position, TopicPartition, partition_of_key};
use crate::domain::Time;

/// The producer of one worker.
pub(super) struct Outbox {
    name: Arc<str>,
    producer: usize,
    epoch: u32,
    /// Sent, but not in the log yet: (log, record).
    buffer: Vec<(usize, Content)>,
    /// The broker may have a transaction of this producer open.
    begun: bool,
    committing: Option<Committing>,
    /// When the last record was appended, by the log's clock.
    appended: Option<Time>,
    /// What was told last.
    last: CommitState,
    /// It was told `Uncertain` or `Fenced` and has not recovered.
    must_recover: bool,
}

/// A commit under way.
struct Committing {
    committer: Committer,
    positions: Vec<(TopicPartition, Position)>,
    next: Request,
    /// Looks until it goes on.
    looks: u32,
    script: Option<CommitState>,
}

/// What a commit does next.
enum Request {
    Records,
    Positions,
    End,
    /// The answer, and how often the broker had been restarted when it was on its way.
    Answer(CommitState, u32),
}

impl Outbox {
    /// Takes the identity over.
    pub fn new(broker: &mut Broker, name: &str) -> Outbox {
        let (producer, epoch) = broker.init_producer(name);
        Outbox {
            name: Arc::from(name),
            producer,
            epoch,
            buffer: Vec::new(),
            begun: false,
            committing: None,
            appended: None,
            last: CommitState::Aborted,
            must_recover: false,
        }
    }

    /// Whether there is anything that a commit or an abort should have ended.
    pub fn is_open(&self) -> bool {
        self.committing.is_some() || !self.must_recover && (self.begun || !self.buffer.is_empty())
    }

    pub fn appended(&self) -> Option<Time> {
        self.appended
    }

    pub fn send(&mut self, broker: &mut Broker, record: &OutRecord) -> Result<(), BusError> {
        self.check(broker, "sent")?;
        let logs = broker.topic(&record.topic)?;
        let by_key = || record.key.as_deref().map_or(0, |key| partition_of_key(key, logs.len() as u32));
        let partition = record.partition.unwrap_or_else(by_key) as usize;
        if partition >= logs.len() {
            return Err(BusError::Fatal(format!("{} has no partition {partition}", record.topic)));
        }
        let headers = record.headers.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into_bytes()));
        let content = Content { key: record.key.clone(), value: record.value.clone(), headers: headers.collect() };
        self.buffer.push((logs.start + partition, content));
        if broker.strikes(|faults| faults.early_sends) {
            // Whoever is fenced learns it from the commit.
            let _ = self.flush(broker);
        }
        broker.fail_by_draw()
    }

    pub fn start_commit(
        &mut self,
        broker: &mut Broker,
        committer: Committer,
        positions: &[(TopicPartition, Position)],
    ) -> Result<(), BusError> {
        self.check(broker, "started a commit")?;
        if positions.is_empty() && committer.member.is_some() {
            broker.misuse("a commit without positions, which no generation fences", &self.name);
        }
        if broker.cheats(Cheat::OffsetsOutsideTransaction) {
            let _ = broker.set_positions(committer, positions);
        }
        let script = broker.script.pop_front();
        let looks = script.map_or_else(|| broker.draw_looks(), |(looks, _)| looks);
        self.committing = Some(Committing {
            committer,
            positions: positions.to_vec(),
            next: Request::Records,
            looks,
            script: script.map(|(_, outcome)| outcome),
        });
        Ok(())
    }

    pub fn poll_commit(&mut self, broker: &mut Broker) -> CommitState {
        let Some(mut commit) = self.committing.take() else {
            return self.last;
        };
        while commit.looks == 0 && !broker.is_away() {
            if let Request::Answer(answer, restarts) = commit.next {
                // An answer that was under way when the broker went down never came.
                let is_lost = restarts != broker.restarts;
                return self.tell(if is_lost { CommitState::Uncertain } else { answer });
            }
            match self.request(broker, &mut commit) {
                Ok(next) => commit.next = next,
                Err(Refused::Busy) => break,
                Err(Refused::Fenced) => return self.tell(CommitState::Fenced),
            }
            if commit.script.is_none() {
                commit.looks += broker.draw_looks();
            }
        }
        commit.looks = commit.looks.saturating_sub(1);
        self.committing = Some(commit);
        CommitState::Pending
    }

    pub fn abort(&mut self, broker: &mut Broker) -> CommitState {
        let was_asked = self.committing.take().is_some_and(|commit| matches!(commit.next, Request::Answer(..)));
        self.buffer.clear();
        if was_asked {
            return self.tell(CommitState::Uncertain);
        }
        if !self.begun {
            return CommitState::Aborted;
        }
        let state = self.end(broker, false);
        self.tell(state)
    }

    /// A new epoch: whatever the older one left is settled, and what of it is still under way can do no harm.
    pub fn recover(&mut self, broker: &mut Broker) {
        self.buffer.clear();
        (self.committing, self.must_recover) = (None, false);
        if broker.cheats(Cheat::KeptProducer) && broker.epoch(self.producer) == self.epoch {
            return;
        }
        self.begun = false;
        (self.producer, self.epoch) = broker.init_producer(&self.name);
    }

    /// Aborts what is open, as a client does that closes.
    pub fn leave(&mut self, broker: &mut Broker) {
        if self.begun {
            // Fenced: then there is nothing of its own to end.
            let _ = broker.end_transaction(self.producer, self.epoch, false);
        }
    }

    /// The next request of a commit; answers what comes after it.
    fn request(&mut self, broker: &mut Broker, commit: &mut Committing) -> Result<Request, Refused> {
        match commit.next {
            Request::Records => self.flush(broker).map(|()| Request::Positions),
            Request::Positions => {
                let outside = broker.cheats(Cheat::OffsetsOutsideTransaction);
                let positions = if outside { &[][..] } else { &commit.positions };
                self.begun = true;
                broker.add_positions((self.producer, self.epoch), commit.committer, positions)?;
                Ok(Request::End)
            }
            Request::End | Request::Answer(..) => {
                let answer = match commit.script {
                    Some(outcome) => self.end_by_script(broker, outcome),
                    None => self.end_commit(broker),
                };
                if answer == CommitState::Uncertain && commit.script.is_none() {
                    // It waited for an answer first.
                    commit.looks += 1 + broker.draw_looks();
                }
                Ok(Request::Answer(answer, broker.restarts))
            }
        }
    }

    fn flush(&mut self, broker: &mut Broker) -> Result<(), Refused> {
        if !self.buffer.is_empty() {
            let transaction = broker.open_of((self.producer, self.epoch))?;
            self.begun = true;
            self.appended = Some(broker.append_time());
            self.buffer.drain(..).for_each(|(log, content)| {
                broker.append_to(transaction, log, content);
            });
        }
        Ok(())
    }

    fn end_commit(&mut self, broker: &mut Broker) -> CommitState {
        if broker.strikes(|faults| faults.fenced) {
            broker.fence(self.producer);
        }
        let commit = !broker.strikes(|faults| faults.aborted);
        self.end(broker, commit)
    }

    fn end_by_script(&mut self, broker: &mut Broker, outcome: CommitState) -> CommitState {
        match outcome {
            CommitState::Fenced => broker.fence(self.producer),
            // It came through, or it did not.
            CommitState::Uncertain => {
                if broker.rng.random_bool(0.5) {
                    let _ = broker.end_transaction(self.producer, self.epoch, true);
                }
                return CommitState::Uncertain;
            }
            CommitState::Pending | CommitState::Committed | CommitState::Aborted => {}
        }
        self.end_now(broker, outcome != CommitState::Aborted)
    }

    /// EndTxn over the network.
    fn end(&mut self, broker: &mut Broker, commit: bool) -> CommitState {
        if broker.strikes(|faults| faults.request_lost) {
            return CommitState::Uncertain;
        }
        if broker.strikes(|faults| faults.delayed_end) {
            self.end_later(broker, commit);
            return CommitState::Uncertain;
        }
        let state = self.end_now(broker, commit);
        if broker.strikes(|faults| faults.duplicated_end) {
            self.end_later(broker, commit);
            return CommitState::Uncertain;
        }
        if broker.strikes(|faults| faults.response_lost) { CommitState::Uncertain } else { state }
    }

    fn end_now(&mut self, broker: &mut Broker, commit: bool) -> CommitState {
        match broker.end_transaction(self.producer, self.epoch, commit) {
            Ok(()) if commit => CommitState::Committed,
            Ok(()) => CommitState::Aborted,
            Err(_) => CommitState::Fenced,
        }
    }

    fn end_later(&mut self, broker: &mut Broker, commit: bool) {
        let due = broker.draw_delay();
        broker.send_flight(due, Flight::EndTxn { producer: self.producer, epoch: self.epoch, commit });
    }

    fn tell(&mut self, state: CommitState) -> CommitState {
        self.last = state;
        match state {
            CommitState::Committed | CommitState::Aborted => self.begun = false,
            CommitState::Uncertain | CommitState::Fenced => self.must_recover = true,
            CommitState::Pending => {}
        }
        state
    }

    /// Whether a transaction may be added to. A client that goes on without recovering does what it does.
    fn check(&self, broker: &mut Broker, did: &str) -> Result<(), BusError> {
        if self.must_recover {
            broker.misuse(&format!("{did} without recovering from {:?}", self.last), &self.name);
        }
        match self.committing {
            Some(_) => Err(BusError::Fatal("the commit before has not been answered yet".to_owned())),
            None => Ok(()),
        }
    }
}
