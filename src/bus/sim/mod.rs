//! A broker in memory, with what matters of Kafka, for simulations: deterministic by its seed, on virtual time, with
//! faults on demand.
//!
//! ```text
//!  process: SimWorker (member, commit), SimReader ──▶ broker: groups, transactions, logs ──▶ watch: what checks see
//!                                                  └──▶ flights: requests that come late or twice
//! ```
//!
//! - `log`: partitions, control markers, the last stable offset, compaction. `group`: generations and eager rebalances.
//!   `transactions`: epochs, EndTxn, markers. `broker`: time, restarts, messages on their way.
//! - `member`: the consumer of a worker. `commit`: its producer, whose requests the faults hit. `reader`: the rest of
//!   the client.
//! - [`faults`]: what may go wrong, and the promises that a bus can be told to break so that checks can prove
//!   themselves.
//!
//! An EndTxn is a request over a network, and as before KIP-890 part 2 it names a producer and an epoch but no
//! transaction: one that arrives late ends whatever that producer has open then, possibly half of it. A client is safe
//! from that only if it takes a new epoch after every answer that was uncertain (promise 4).
//!
//! Calls never wait, whatever they are told: time is [`SimBus::advance`]'s. The same calls give the same answers.

mod broker;
mod commit;
pub mod faults;
mod group;
mod log;
mod member;
mod reader;
mod transactions;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use rand::Rng;

use self::broker::{Broker, Shared, lock};
use self::log::Content;
use self::reader::Connection;
use super::{Bus, BusError, CommitState, TopicPartition};
use crate::domain::{Span, Time};

pub use self::faults::{Cheat, Faults};
pub use self::watch::{Cursor, Ended, SimRecord};

/// Kafka's `delete.retention.ms`: how long compaction keeps a tombstone.
pub const TOMBSTONES_KEPT: Span = Span::DAY;

/// The broker. Clones share it.
#[derive(Clone)]
pub struct SimBus(Shared);

/// How a broker is made. The topics that it names are all that there are.
#[derive(Clone, Debug)]
pub struct SimOptions {
    pub seed: u64,
    pub topics: Vec<SimTopic>,
    /// A process that was paused or crashed for so long has left its groups.
    pub session_timeout: Span,
    /// A transaction that is open for so long is aborted, its producer fenced.
    pub transaction_timeout: Span,
    /// A member that does not let go of its partitions for so long has left.
    pub rebalance_timeout: Span,
    pub cheat: Option<Cheat>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimTopic {
    pub name: String,
    pub partitions: u32,
    pub compacted: bool,
}

/// A process of the program: what it made by [`SimBus::connect`] lives and dies with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

impl SimOptions {
    /// The timeouts that the program asks of Kafka: 10 s of session, 5 s for a transaction, 60 s for a rebalance.
    pub fn new(seed: u64, topics: Vec<SimTopic>) -> SimOptions {
        SimOptions {
            seed,
            topics,
            session_timeout: Span::of_secs(10),
            transaction_timeout: Span::of_secs(5),
            rebalance_timeout: Span::of_secs(60),
            cheat: None,
        }
    }
}

impl SimTopic {
    pub fn new(name: &str, partitions: u32) -> SimTopic {
        SimTopic { name: name.to_owned(), partitions, compacted: false }
    }

    /// A topic of which compaction keeps the last record of each key.
    pub fn compacted(name: &str, partitions: u32) -> SimTopic {
        SimTopic { compacted: true, ..SimTopic::new(name, partitions) }
    }
}

impl SimBus {
    pub fn new(options: SimOptions, now: Time) -> SimBus {
        SimBus(Arc::new(Mutex::new(Broker::new(options, now))))
    }

    /// The bus as a process sees it. After a crash connect again, under the same id or another.
    pub fn connect(&self, process: ProcessId) -> Arc<dyn Bus> {
        let life = lock(&self.0).life(process);
        Arc::new(Connection::new(self.0.clone(), life))
    }

    /// From now on this goes wrong so often.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.0).faults = faults;
    }

    /// From now on a partition can't be read, or can again.
    pub fn set_leaderless(&self, at: &TopicPartition, leaderless: bool) -> Result<(), BusError> {
        let mut broker = lock(&self.0);
        let number = broker.number(at)?;
        let changed = if leaderless { broker.leaderless.insert(number) } else { broker.leaderless.remove(&number) };
        broker.version += u64::from(changed);
        Ok(())
    }

    pub fn faults(&self) -> Faults {
        lock(&self.0).faults
    }

    /// True time has come so far: timeouts strike, what was under way arrives. It never goes back.
    pub fn advance(&self, now: Time) {
        lock(&self.0).advance(now);
    }

    /// The next moment at which something would happen by itself, if anything.
    pub fn next_event(&self) -> Option<Time> {
        lock(&self.0).next_event()
    }

    /// The clock of append times runs ahead of true time by this from now on.
    pub fn set_append_clock(&self, ahead: Span) {
        lock(&self.0).ahead = ahead;
    }

    /// The process is gone without a word: its members vanish, its transactions stay open until they time out or a
    /// successor of the same name aborts them. Handles of it fail from now on, and are silent when they are dropped.
    pub fn crash(&self, process: ProcessId) {
        lock(&self.0).end_life(process);
    }

    /// The process stands still: no heartbeats. Don't step it meanwhile.
    pub fn pause(&self, process: ProcessId) {
        let mut broker = lock(&self.0);
        let now = broker.now;
        broker.hear(process, Some(now));
    }

    /// The process goes on and does not know that it stood still.
    pub fn resume(&self, process: ProcessId) {
        lock(&self.0).hear(process, None);
    }

    /// Every call is refused for so long; answers and requests that are under way are lost.
    pub fn restart_broker(&self, away: Span) {
        lock(&self.0).restart(away);
    }

    /// Begins a rebalance of a group, after which partitions lie elsewhere.
    pub fn rebalance(&self, group: &str) {
        let mut guard = lock(&self.0);
        let broker = &mut *guard;
        let (number, deadline) = (broker.group(group), broker.rebalance_deadline());
        broker.groups[number].prepare(deadline, &mut broker.rng);
    }

    /// From its next rebalance on the group gives this partition to the worker of this name, if it is a member.
    pub fn pin(&self, group: &str, at: &TopicPartition, name: &str) {
        let mut broker = lock(&self.0);
        let number = broker.group(group);
        let log = known(&broker, at);
        broker.groups[number].pin(log, name);
    }

    /// Compacts a part, drawn anew each time, of what may be compacted in each compacted partition.
    pub fn compact(&self) {
        let mut guard = lock(&self.0);
        let broker = &mut *guard;
        let tombstones = broker.append_time().before(TOMBSTONES_KEPT);
        for log in broker.logs.iter_mut().filter(|log| log.compacted) {
            let bound = broker.rng.random_range(0..=log.stable());
            log.compact(bound, tombstones, &broker.fates);
        }
    }

    /// Appends a record of a producer outside all transactions; answers its offset. Panics if there is no such
    /// partition.
    pub fn append(&self, at: &TopicPartition, key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
        let mut broker = lock(&self.0);
        let log = known(&broker, at);
        broker.append(log, content(key, value), None).0
    }

    /// The log's clock: what a record is stamped with that is appended now.
    pub fn append_time(&self) -> Time {
        lock(&self.0).append_time()
    }

    /// Begins a transaction of somebody outside the program. It stays open, and holds back whoever reads what it
    /// touched, until [`SimBus::end_foreign`] or its timeout.
    pub fn begin_foreign(&self) -> u64 {
        lock(&self.0).begin(None)
    }

    /// Appends a record of such a transaction; answers its offset. Panics if there is no such partition.
    pub fn append_foreign(&self, transaction: u64, at: &TopicPartition, key: Option<&[u8]>, value: &[u8]) -> u64 {
        let mut broker = lock(&self.0);
        let log = known(&broker, at);
        broker.append_to(transaction, log, content(key, Some(value)))
    }

    /// Ends such a transaction, unless its time ran out before.
    pub fn end_foreign(&self, transaction: u64, commit: bool) {
        lock(&self.0).decide(transaction, commit);
    }

    /// The outcome of the next commit that is started, after so many looks, instead of a drawn one. Scripts queue up.
    /// `Committed` is what comes of it if nobody is fenced.
    pub fn script(&self, looks: u32, outcome: CommitState) {
        lock(&self.0).script.push_back((looks, outcome));
    }

    /// Takes what workers did that the promises of [`crate::bus`] forbid, such as sending after an uncertain outcome.
    /// The first few are kept.
    pub fn take_misuses(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0).misuses)
    }
}

fn known(broker: &Broker, at: &TopicPartition) -> usize {
    broker.number(at).unwrap_or_else(|why| panic!("{why}"))
}

fn content(key: Option<&[u8]>, value: Option<&[u8]>) -> Content {
    Content { key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), headers: Vec::new() }
}
