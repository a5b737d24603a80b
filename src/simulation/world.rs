//! The loop: one step of one worker at a time, time in between, and every committed record shown to all who judge.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::checks::{Broken, Checks};
use super::counts::Counts;
use super::people::{Input, People};
use super::plan::{BUS_STREAM, CLOCK_AHEAD_MAX, Kind, Plan, SCHEDULE_STREAM, Spell, calm};
use super::process::{Process, State, Stepped, Work};
use super::rest::Rest;
use super::trace::{Trace, digest};
use crate::audit::{Auditor, Rules, Seen};
use crate::bus::sim::{Cursor, ProcessId, SimBus, SimOptions, SimRecord, SimTopic};
use crate::bus::{TopicPartition, partition_of_key};
use crate::domain::{AccountId, InboxRecord, SourceId, Span, Time};
use crate::pipeline::{COMPACTED, topics};
use crate::screen::setup::Topology;
use crate::wire::internal;

/// A run in progress.
pub struct World<'a> {
    pub(super) plan: &'a Plan,
    pub(super) rng: SmallRng,
    /// True time. Every process has a clock that may differ.
    pub(super) now: Time,
    pub(super) bus: SimBus,
    pub(super) people: People,
    pub(super) processes: Vec<Process>,
    pub(super) checks: Checks,
    pub(super) auditor: Auditor,
    pub(super) trace: Trace,
    pub(super) counts: Counts,
    pub(super) broken: Vec<Broken>,
    pub(super) turns: u64,
    /// The weather of the present spell.
    pub(super) spell: usize,
    spell_ends: u64,
    /// The turn in which time last passed or something became visible.
    moved: u64,
    /// Where committed records and ended transactions were last looked at.
    cursor: Cursor,
    ended: usize,
    topics: BTreeMap<String, u32>,
    accounts: BTreeSet<AccountId>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    /// Equal for equal runs: of every action and every committed record.
    pub fingerprint: u64,
    /// Empty if everything held; the run ends at the first that did not.
    pub broken: Vec<Broken>,
    pub counts: Counts,
    /// Turns taken, those of the quiet end too.
    pub turns: u64,
    /// Turns taken until trouble ended.
    pub troubled_turns: u64,
    /// Whom anything was said to.
    pub accounts: Vec<AccountId>,
    /// One line an action, if asked for.
    pub trace: Option<String>,
}

/// Runs a plan to its end, or to the first check that fails.
pub fn run(plan: &Plan, with_lines: bool) -> Outcome {
    let mut world = World::new(plan, with_lines);
    world.start_all();
    world.look();
    let mut troubled_turns = 0;
    while world.broken.is_empty() && world.turns < plan.turns_max && world.people.next_due().is_some() {
        world.turn();
        troubled_turns = world.turns;
    }
    if world.broken.is_empty() {
        Rest::new(&mut world).come();
    }
    world.finish(troubled_turns)
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, with_lines: bool) -> World<'a> {
        let mut people = People::new(&plan.people, &plan.settings);
        if plan.log_lags || !plan.spells.iter().any(|spell| spell.kinds.iter().any(|(kind, _)| *kind == Kind::Clock)) {
            people.trust_clocks(CLOCK_AHEAD_MAX);
        }
        let now = people.next_due().unwrap_or(DEFAULT_START).before(Span::of_secs(10));
        let topics = topics_of(plan);
        let sim_topics = topics.iter().map(|(name, partitions)| SimTopic {
            name: name.clone(),
            partitions: *partitions,
            compacted: COMPACTED.contains(&name.as_str()),
        });
        let mut options = SimOptions::new(plan.seed ^ (BUS_STREAM << 32), sim_topics.collect());
        options.cheat = plan.cheat;
        let bus = SimBus::new(options, now);
        let processes = plan.processes.iter().enumerate();
        World {
            rng: SmallRng::seed_from_u64(plan.seed ^ (SCHEDULE_STREAM << 32)),
            now,
            processes: processes.map(|(id, process)| Process::new(ProcessId(id as u32), *process)).collect(),
            bus,
            people,
            checks: Checks::new(&plan.settings, topics.clone(), with_lines),
            auditor: auditor_of(plan),
            trace: Trace::new(with_lines),
            counts: Counts::default(),
            broken: Vec::new(),
            turns: 0,
            spell: 0,
            spell_ends: plan.spells.first().map_or(u64::MAX, |spell| spell.turns),
            moved: 0,
            cursor: Cursor::default(),
            ended: 0,
            topics,
            accounts: BTreeSet::new(),
            plan,
        }
    }

    /// The catalogue is written before anybody reads it, then every process starts.
    fn start_all(&mut self) {
        let count = self.topics.get("offers").copied().unwrap_or(1);
        for offer in self.people.offers().to_vec() {
            let value = serde_json::to_vec(&offer).expect("an offer is plain data");
            let partition = partition_of_key(offer.id.as_bytes(), count);
            self.people.seeded(partition, self.bus.append_time());
            self.bus.append(&TopicPartition::new("offers", partition), Some(offer.id.as_bytes()), Some(&value));
        }
        for index in 0..self.processes.len() {
            self.start(index);
        }
    }

    /// Starts a process; one that can't start tries again later.
    pub(super) fn start(&mut self, index: usize) {
        let topology = Topology::new(self.sources(), self.plan.live);
        let process = &mut self.processes[index];
        self.bus.resume(process.id);
        let started = process.start(&self.bus, self.plan, topology, self.now);
        self.counts.starts += 1;
        self.trace.act(self.now, &[1, index as u64], || match &started {
            Ok(()) => format!("p{index} starts"),
            Err(why) => format!("p{index} can't start: {why:#}"),
        });
        if started.is_err() {
            self.processes[index].state = State::Down(Some(self.now.after(RESTART_AFTER)));
        }
    }

    fn sources(&self) -> Vec<SourceId> {
        let settings = &self.plan.settings;
        let partitions = |topic: &str| 0..self.topics.get(topic).copied().unwrap_or(1);
        let of = |topic: &String| {
            let topic = topic.clone();
            partitions(&topic).map(move |partition| SourceId { topic: topic.clone(), partition }).collect::<Vec<_>>()
        };
        settings.sources.iter().flat_map(|source| of(&source.topic)).collect()
    }

    /// One turn under the weather of its spell.
    fn turn(&mut self) {
        if self.turns >= self.spell_ends {
            self.next_spell();
        }
        let spell: &'a Spell = &self.plan.spells[self.spell];
        if self.rng.random_range(0..10_000) < spell.trouble
            && let Ok((kind, _)) = spell.kinds.choose_weighted(&mut self.rng, |(_, weight)| *weight)
        {
            self.trouble(*kind);
        }
        self.go_on(LONGEST_NAP);
    }

    fn next_spell(&mut self) {
        self.spell = (self.spell + 1) % self.plan.spells.len();
        let spell: &'a Spell = &self.plan.spells[self.spell];
        self.spell_ends = self.turns + spell.turns;
        let allowed = self.plan.kinds.has(Kind::Network);
        self.bus.set_faults(if allowed { spell.network } else { calm() });
        self.trace.act(self.now, &[2, self.spell as u64], || format!("spell {}: {:?}", self.spell, spell.network));
    }

    /// Steps one worker that may have something to do; if there is none, time passes. Answers whether all were idle.
    pub(super) fn go_on(&mut self, longest_nap: Span) -> bool {
        self.turns += 1;
        let now = self.now;
        let runnable: Vec<(usize, usize)> = (0..self.processes.len())
            .flat_map(|index| self.processes[index].runnable(now).map(move |place| (index, place)))
            .collect();
        // Some wait for an outcome without saying so: whatever they are doing, time goes on.
        let stagnates = self.turns - self.moved > STAGNANT_TURNS_MAX;
        let Some((index, place)) = runnable.choose(&mut self.rng).copied().filter(|_| !stagnates) else {
            self.nap(longest_nap);
            return true;
        };
        for _ in 0..self.rng.random_range(1..=BURST_STEPS_MAX) {
            if !self.step(index, place) {
                break;
            }
        }
        // Now and then time passes although there is work: a machine is slow.
        if self.rng.random_range(0..100) == 0 {
            let span = Span(self.rng.random_range(1..=LAG_MAX.0));
            self.pass(span);
        }
        false
    }

    /// Steps one worker; false if it should not be stepped again at once.
    fn step(&mut self, index: usize, place: usize) -> bool {
        let name = self.trace.has_lines().then(|| self.processes[index].name(place));
        let bus = &self.bus;
        let stepped = self.processes[index].step(place, self.now, || bus.version());
        self.counts.steps += 1;
        let code = match &stepped {
            Stepped::Busy => 0,
            Stepped::Idle => 1,
            Stepped::Resting(_) => 2,
            Stepped::Done => 3,
            Stepped::Died(_) => 4,
        };
        self.trace.act(self.now, &[3, index as u64, place as u64, code], || {
            format!("{} {stepped:?}", name.unwrap_or_default())
        });
        if let Stepped::Died(_) = stepped {
            self.counts.deaths += 1;
            self.crash(index, RESTART_AFTER);
        }
        self.look();
        matches!(stepped, Stepped::Busy) && self.broken.is_empty() && self.processes[index].may_step(place)
    }

    /// Nobody has anything to do: time passes. Mostly much of it, but only a little while an outcome is awaited.
    fn nap(&mut self, longest: Span) {
        let awaits = self.processes.iter().any(Process::awaits_outcome);
        let levels = if awaits { &NAPS[..AWAITING_LEVELS] } else { &NAPS };
        let (_, level) = levels.choose_weighted(&mut self.rng, |(weight, _)| *weight).copied().unwrap_or(NAPS[0]);
        let span = Span(self.rng.random_range(1..=level.0.min(longest.0)));
        self.pass(span);
    }

    pub(super) fn pass(&mut self, span: Span) {
        self.moved = self.turns;
        self.now = self.now.after(span);
        self.trace.act(self.now, &[4], || format!("{} ms pass", span.0));
        self.bus.advance(self.now);
        for index in 0..self.processes.len() {
            self.processes[index].wake(span < SHORT);
            match &self.processes[index].state {
                State::Down(Some(then)) if *then <= self.now => self.start(index),
                State::Paused(_, until) if *until <= self.now => self.resume(index),
                _ => {}
            }
        }
        for input in self.people.take_due(self.now) {
            self.append(input);
        }
        self.look();
    }

    pub(super) fn append(&mut self, input: Input) {
        let at = TopicPartition { topic: input.topic.clone(), partition: input.partition };
        let appended = self.bus.append_time();
        let offset = self.bus.append(&at, input.key.as_deref(), Some(&input.value));
        self.people.appended(&input, offset, appended);
        self.counts.inputs += 1;
        self.trace.act(self.now, &[5, u64::from(input.partition), offset], || {
            let text = String::from_utf8_lossy(&input.value);
            format!("people append {}-{}@{offset} {text}", input.topic, input.partition)
        });
    }

    /// Shows everything that became visible to people, auditor and checks.
    pub(super) fn look(&mut self) {
        let World { bus, cursor, ended, now, people, checks, auditor, trace, counts, accounts, .. } = self;
        let mut seen = 0;
        let mut work = Work::default();
        bus.committed_since(cursor, &mut |record: &SimRecord<'_>| {
            seen += 1;
            let at = record.at;
            match &*at.topic {
                "accounts.inbox" => work.accounts = true,
                "offers.inbox" => work.offers = true,
                _ => work.screen |= record.transaction.is_none(),
            }
            let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            let digest = digest(&at.topic, at.partition, record.key, record.value, headers);
            trace.record(*now, digest, || describe(record));
            checks.see(record, digest);
            let value = record.value.unwrap_or_default();
            match &*at.topic {
                "accounts.inbox" => {
                    if let Ok(decoded) = internal::decode_inbox(record.key, value) {
                        if let InboxRecord::To(account, _) = &decoded {
                            accounts.insert(*account);
                        }
                        people.see_inbox(at.partition, record.offset, record.timestamp, &decoded);
                    }
                }
                "dead-letters" => people.see_dead_letter(value),
                topic => people.see_output(*now, topic, value),
            }
            auditor.see(&Seen {
                topic: &at.topic,
                partition: at.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
            counts.see(&at.topic);
        });
        let before = *ended;
        bus.ended_since(ended, &mut |transaction| {
            counts.ended(transaction.committed);
            checks.ended(transaction, *now);
        });
        if seen == 0 && before == *ended {
            return;
        }
        checks.settle();
        checks.take_consumed().into_iter().for_each(|(partition, position)| auditor.consumed(partition, position));
        if seen > 0 {
            self.moved = self.turns;
            self.processes.iter_mut().for_each(|process| process.wake_for(work));
        }
        self.judge();
    }

    /// Gathers what the judges found.
    pub(super) fn judge(&mut self) {
        self.broken.extend(self.checks.take_broken());
        self.broken.extend(self.auditor.take_violations().into_iter().map(Broken::of_violation));
        self.broken.extend(self.bus.take_misuses().into_iter().map(|what| Broken::new(MISUSE, what)));
        let people = self.people.problems().into_iter();
        self.broken.extend(people.map(|what| Broken::new("I9", what)));
    }

    fn finish(mut self, troubled_turns: u64) -> Outcome {
        for index in 0..self.processes.len() {
            self.processes[index].vanish(None);
            super::process::add(&mut self.counts.workers, &self.processes[index].stats);
        }
        self.counts.orders = self.people.orders() as u64;
        for broken in &self.broken {
            self.trace.act(self.now, &[6], || format!("BROKEN {}: {}", broken.invariant, broken.what));
        }
        Outcome {
            seed: self.plan.seed,
            fingerprint: self.trace.fingerprint(),
            broken: self.broken,
            counts: self.counts,
            turns: self.turns,
            troubled_turns,
            accounts: self.accounts.into_iter().collect(),
            trace: self.trace.into_lines(),
        }
    }
}

/// Posts and side inputs are judged by their shape, too.
fn auditor_of(plan: &Plan) -> Auditor {
    let posts = plan.settings.sources.iter().map(|source| source.topic.clone()).collect();
    Auditor::new(Rules::of(&plan.settings))
        .judging_inputs(posts, plan.settings.limits.record_bytes)
        .following_transactions()
}

/// Every topic of the program with its partition count.
fn topics_of(plan: &Plan) -> BTreeMap<String, u32> {
    let partitions = plan.partitions;
    let count = |name: &str| match name {
        "accounts.inbox" | "accounts.changelog" | "offers" | "accounts.links" | "replies.posted" => partitions.accounts,
        "offers.inbox" | "offers.changelog" => partitions.offers,
        name if plan.settings.sources.iter().any(|source| source.topic == name) => plan.people.post_partitions,
        _ => partitions.outputs,
    };
    topics(&plan.settings).into_iter().map(|name| (name.clone(), count(&name))).collect()
}

/// A committed record for the reader of a trace.
fn describe(record: &SimRecord<'_>) -> String {
    let at = record.at;
    let key = String::from_utf8_lossy(record.key.unwrap_or_default());
    let value = record.value.unwrap_or_default();
    let text = match &*at.topic {
        "accounts.inbox" => format!("{:?}", internal::decode_inbox(record.key, value)),
        "offers.inbox" => format!("{:?}", internal::decode_offers(value)),
        "accounts.changelog" | "offers.changelog" => format!("{} bytes", value.len()),
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    format!("  {}-{}@{} {key} {text}", at.topic, at.partition, record.offset)
}

/// What is broken when a worker does what the promises of the bus forbid.
const MISUSE: &str = "bus";

/// When nobody has anything to say: 2013-03-01T00:00:00Z.
const DEFAULT_START: Time = Time(1_362_096_000_000);

/// A program that ended is started again after this.
pub(super) const RESTART_AFTER: Span = Span(500);

/// Time passes at most so far at once while everybody is idle.
const LONGEST_NAP: Span = Span(20_000);

/// How often a nap is at most how long; the first few are for those who await an outcome.
const NAPS: [(u32, Span); 5] = [(2, Span(4)), (2, Span(40)), (2, Span(400)), (4, Span(4_000)), (5, Span(30_000))];
const AWAITING_LEVELS: usize = 3;

/// After less than this nobody has anything new to say by the clock alone.
const SHORT: Span = Span(400);

/// Time passes at most so far while there is work.
const LAG_MAX: Span = Span(200);

/// Turns in which everybody was busy and nothing came of it, at most.
const STAGNANT_TURNS_MAX: u64 = 200;

/// Steps of one worker in a row at most.
const BURST_STEPS_MAX: u32 = 6;
