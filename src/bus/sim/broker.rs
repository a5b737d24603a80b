//! The broker's state behind its lock, and its time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustc_hash::FxHashMap;

use super::faults::{Cheat, DELAYS_MS_MAX, Faults};
use super::group::Group;
use super::log::{Fates, Isolation, Log};
use super::transactions::{Producer, Transaction};
use super::watch::{Ended, TookOver};
use super::{ProcessId, SimOptions};
use crate::bus::{BusError, CommitState, TopicPartition};
use crate::domain::{Span, Time};

/// Broken promises that are remembered until somebody asks.
const MISUSES_MAX: usize = 16;

pub(super) struct Broker {
    pub options: SimOptions,
    pub now: Time,
    /// How far the clock of append times is ahead of true time.
    pub ahead: Span,
    pub rng: SmallRng,
    pub faults: Faults,
    /// Topic → its logs' numbers.
    topics: FxHashMap<Arc<str>, Range<usize>>,
    pub logs: Vec<Log>,
    pub groups: Vec<Group>,
    pub producers: Vec<Producer>,
    /// Transactions without their markers, by number.
    pub open: BTreeMap<u64, Transaction>,
    pub deadlines: BTreeSet<(Time, u64)>,
    pub fates: Fates,
    pub ended: Vec<Ended>,
    /// What is on its way, by (arrival, order of sending).
    pub flights: BTreeMap<(Time, u64), Flight>,
    pub flights_sent: u64,
    away_until: Option<Time>,
    /// Logs that nobody leads: readers outside every group are told so.
    pub leaderless: BTreeSet<usize>,
    /// How often the broker was restarted: an answer that was awaited over a restart is lost.
    pub restarts: u32,
    pub members: u64,
    processes: BTreeMap<ProcessId, u32>,
    /// Outcomes of the next commits, instead of drawn ones: (looks, outcome).
    pub script: VecDeque<(u32, CommitState)>,
    pub misuses: Vec<String>,
    /// Changes whenever something may have become visible.
    pub version: u64,
    /// By group and generation, and by the name of whoever took over.
    pub took_over: FxHashMap<(usize, u32), FxHashMap<Arc<str>, TookOver>>,
}

/// A message that has not arrived yet.
pub(super) enum Flight {
    /// As before KIP-890 part 2: it names no transaction, only who asks.
    EndTxn { producer: usize, epoch: u32, commit: bool },
    /// A marker for one partition.
    Marker { transaction: u64, log: usize },
    /// The marker for the positions of the transaction.
    Positions { transaction: u64 },
}

/// One life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub process: ProcessId,
    pub number: u32,
}

/// The broker, shared by everybody.
pub(super) type Shared = Arc<Mutex<Broker>>;

/// A panic elsewhere leaves the broker as whole as a test or a run that failed needs it.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Broker> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Broker {
    pub fn new(options: SimOptions, now: Time) -> Broker {
        let (mut topics, mut logs) = (FxHashMap::default(), Vec::new());
        for topic in &options.topics {
            let name: Arc<str> = Arc::from(topic.name.as_str());
            let first = logs.len();
            for partition in 0..topic.partitions {
                let at = TopicPartition { topic: name.clone(), partition };
                logs.push(Log::new(at, topic.compacted));
            }
            topics.insert(name, first..logs.len());
        }
        Broker {
            now,
            ahead: Span::ZERO,
            rng: SmallRng::seed_from_u64(options.seed),
            faults: Faults::default(),
            topics,
            logs,
            groups: Vec::new(),
            producers: Vec::new(),
            open: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            fates: Fates::default(),
            ended: Vec::new(),
            flights: BTreeMap::new(),
            flights_sent: 0,
            away_until: None,
            leaderless: BTreeSet::new(),
            restarts: 0,
            members: 0,
            processes: BTreeMap::new(),
            script: VecDeque::new(),
            misuses: Vec::new(),
            version: 0,
            took_over: FxHashMap::default(),
            options,
        }
    }

    /// A call by a process: fails while the broker is away, by draw, and always after the process has crashed.
    pub fn call(&mut self, life: Life) -> Result<(), BusError> {
        if self.life(life.process) != life {
            return Err(BusError::Fatal("its process has crashed".to_owned()));
        }
        if self.is_away() {
            return Err(BusError::Unavailable("the broker restarts".to_owned()));
        }
        self.fail_by_draw()
    }

    pub fn fail_by_draw(&mut self) -> Result<(), BusError> {
        match self.strikes(|faults| faults.unavailable) {
            true => Err(BusError::Unavailable("drawn".to_owned())),
            false => Ok(()),
        }
    }

    pub fn is_away(&self) -> bool {
        self.away_until.is_some()
    }

    /// The life that a process lives now.
    pub fn life(&self, process: ProcessId) -> Life {
        Life { process, number: self.processes.get(&process).copied().unwrap_or(0) }
    }

    pub fn end_life(&mut self, process: ProcessId) {
        *self.processes.entry(process).or_default() += 1;
        let now = self.now;
        self.groups.iter_mut().for_each(|group| group.lose(now, |_, member| member.process == process));
    }

    pub fn hear(&mut self, process: ProcessId, silent_since: Option<Time>) {
        self.groups.iter_mut().for_each(|group| group.hear(process, silent_since));
    }

    pub fn cheats(&self, cheat: Cheat) -> bool {
        self.options.cheat == Some(cheat)
    }

    pub fn isolation(&self) -> Isolation {
        if self.cheats(Cheat::ReadUncommitted) { Isolation::None } else { Isolation::Committed }
    }

    /// Whether a fault strikes now.
    /// Notes where everything ends as a worker takes over what its group assigned to it.
    pub fn note_take_over(&mut self, group: usize, generation: u32, name: &str) {
        let ends = self.logs.iter().map(|log| (log.at.clone(), log.end())).collect();
        self.took_over.entry((group, generation)).or_default().insert(Arc::from(name), Arc::new(ends));
    }

    pub fn strikes(&mut self, rate: impl Fn(&Faults) -> u32) -> bool {
        let per_mille = rate(&self.faults);
        per_mille > 0 && self.rng.random_range(0..1000) < per_mille
    }

    /// Looks before the next request of a commit.
    pub fn draw_looks(&mut self) -> u32 {
        match self.faults.pending_max {
            0 => 0,
            max => self.rng.random_range(0..=max),
        }
    }

    pub fn misuse(&mut self, what: &str, who: &str) {
        if self.misuses.len() < MISUSES_MAX {
            self.misuses.push(format!("{who}: {what}"));
        }
    }

    /// The logs of a topic.
    pub fn topic(&self, topic: &str) -> Result<Range<usize>, BusError> {
        self.topics.get(topic).cloned().ok_or_else(|| BusError::Fatal(format!("there is no topic {topic}")))
    }

    pub fn number(&self, at: &TopicPartition) -> Result<usize, BusError> {
        let topic = self.topic(&at.topic)?;
        let number = topic.start + at.partition as usize;
        let unknown = || BusError::Fatal(format!("{} has no partition {}", at.topic, at.partition));
        topic.contains(&number).then_some(number).ok_or_else(unknown)
    }

    /// The group's number, made if it is new.
    pub fn group(&mut self, name: &str) -> usize {
        let known = self.groups.iter().position(|group| *group.name == *name);
        known.unwrap_or_else(|| {
            self.groups.push(Group::new(name));
            self.groups.len() - 1
        })
    }

    /// The moment of the log's clock.
    pub fn append_time(&self) -> Time {
        self.now.after(self.ahead)
    }

    pub fn rebalance_deadline(&self) -> Time {
        self.now.after(self.options.rebalance_timeout)
    }

    /// Time has come so far: what was due happens. Never goes back.
    pub fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        if let Some(until) = self.away_until {
            if self.now < until {
                return;
            }
            self.come_back(until);
        }
        while let Some(flight) = self.flights.first_entry().filter(|flight| flight.key().0 <= self.now) {
            let flight = flight.remove();
            self.deliver(flight);
        }
        self.expire_transactions();
        let (session, rebalance) = (self.options.session_timeout, self.options.rebalance_timeout);
        for group in &mut self.groups {
            group.expire(self.now, session, rebalance, &mut self.rng);
        }
    }

    /// The next moment at which something happens by itself.
    pub fn next_event(&self) -> Option<Time> {
        if self.away_until.is_some() {
            return self.away_until;
        }
        let flight = self.flights.first_key_value().map(|((due, _), _)| *due);
        let transaction = self.deadlines.first().map(|(due, _)| *due);
        let session = self.options.session_timeout;
        let groups = self.groups.iter().filter_map(|group| group.next_deadline(session)).min();
        [flight, transaction, groups].into_iter().flatten().min()
    }

    pub fn restart(&mut self, away: Span) {
        self.restarts += 1;
        self.away_until = Some(self.now.after(away)).max(self.away_until);
    }

    pub fn send_flight(&mut self, due: Time, flight: Flight) {
        self.flights_sent += 1;
        self.flights.insert((due, self.flights_sent), flight);
    }

    /// A delay after which a message arrives that was thought to be lost.
    pub fn draw_delay(&mut self) -> Time {
        let max = DELAYS_MS_MAX[self.rng.random_range(0..DELAYS_MS_MAX.len())];
        self.now.after(Span(self.rng.random_range(1..=max)))
    }

    /// Requests that came meanwhile are lost; markers that are to be written still are.
    fn come_back(&mut self, since: Time) {
        self.away_until = None;
        self.flights.retain(|(due, _), flight| *due > since || !matches!(flight, Flight::EndTxn { .. }));
        let (now, timeout) = (self.now, self.options.rebalance_timeout);
        self.groups.iter_mut().for_each(|group| group.forgive(now, timeout));
    }

    fn deliver(&mut self, flight: Flight) {
        match flight {
            // Nobody awaits the answer any more.
            Flight::EndTxn { producer, epoch, commit } => {
                let _ = self.end_transaction(producer, epoch, commit);
            }
            Flight::Marker { transaction, log } => self.mark(transaction, log),
            Flight::Positions { transaction } => self.mark_positions(transaction),
        }
    }
}
