//! The program put together: from settings and a log to the three stages. Everything that runs the stages starts here:
//! the threads of `run`, the demo, and [`InlinePipeline`], which steps them on the calling thread.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::accounts::{self, AccountsStage};
use crate::bus::embedded::{Embedded, EmbeddedOptions, Fsync};
use crate::bus::{Budget, Bus, BusError, BusWorker, CommitState, OutRecord, TopicPartition, WorkerSpec, ends_of};
use crate::clock::{Clock, VirtualClock};
use crate::config::{self, IdleBy, OfferSpec, Settings};
use crate::domain::{Offer, SourceId, Span, Time};
use crate::engine;
use crate::engine::ends;
use crate::engine::host::Inline;
use crate::engine::pressure::Pressure;
use crate::engine::restore::{Progress, Restore};
use crate::engine::stage::Stage;
use crate::engine::worker::{Step, Worker, WorkerError, inputs_of};
use crate::offers::{self, OfferView, OffersStage};
use crate::pacing::Pacing;
use crate::screen::ScreenStage;
use crate::screen::catalogue::Service;
use crate::screen::follow::{Follower, OfferRules};
use crate::screen::setup::{ScreenSetup, Shared, TimeRules, Topology};
use crate::screen::side::OFFERS;
use crate::wire::uuids::uuid_of;

/// Topics of which only the last record of each key is kept. `offers` is not among them here: its older versions tell
/// which confirm tags people were given, and which offers were withdrawn, and a catalogue is small.
pub const COMPACTED: [&str; 3] = ["offers.funnel", "accounts.changelog", "offers.changelog"];

/// Topics that keep their records for `bus.embedded.retention`.
pub const RETAINED: [&str; 12] = [
    "accounts.links",
    "replies.posted",
    "accounts.inbox",
    "offers.inbox",
    "replies",
    "payments.authorized",
    "payments.voided",
    "fulfilment.orders",
    "notifications.email",
    "messages.direct",
    "purchases.events",
    "dead-letters",
];

/// Every topic of the program under these settings, sorted.
pub fn topics(settings: &Settings) -> Vec<String> {
    let sources = settings.sources.iter().map(|source| source.topic.as_str());
    let mut topics: Vec<String> =
        COMPACTED.into_iter().chain([OFFERS]).chain(RETAINED).chain(sources).map(str::to_owned).collect();
    topics.sort();
    topics
}

/// Every partition of every post topic.
pub fn all_sources(settings: &Settings, bus: &dyn Bus) -> Result<Vec<SourceId>, BusError> {
    let mut sources = Vec::new();
    for source in &settings.sources {
        let partitions = 0..bus.partitions(&source.topic)?;
        sources.extend(partitions.map(|partition| SourceId { topic: source.topic.clone(), partition }));
    }
    Ok(sources)
}

/// The stages, ready to be run by workers.
pub struct Stages {
    pub screen: Arc<ScreenStage>,
    pub accounts: Arc<AccountsStage>,
    pub offers: Arc<OffersStage>,
}

impl Stages {
    pub fn new(settings: &Settings, bus: &dyn Bus, topology: Topology) -> anyhow::Result<Stages> {
        let pressure = Pressure::default();
        let service = Service {
            handle: settings.service.handle.clone(),
            user_id: Some(settings.service.user_id),
            freeze_tag: Some(settings.service.freeze_tag.clone()),
        };
        let rules = Box::new(TopicRules {
            freeze_tag: settings.service.freeze_tag.clone(),
            looks: config::TagLooks::default(),
        });
        let follower = Follower::new(bus, service, rules, settings.limits.record_bytes)?;
        let catalogue = Shared::new(follower.empty());
        follower.follow(&catalogue)?;
        let setup = Arc::new(ScreenSetup {
            catalogue,
            sources: settings.sources.iter().map(|s| (Arc::from(s.topic.as_str()), s.network)).collect(),
            topology,
            time: time_rules(settings),
            accounts_partitions: bus.partitions("accounts.inbox")?,
            offers_partitions: bus.partitions("offers.inbox")?,
            record_bytes_max: settings.limits.record_bytes,
            dead_letter_body: settings.dead_letters_body,
            follower,
        });
        let accounts = accounts::Setup {
            rules: settings.rules(uuid_of),
            texts: settings.texts(),
            records_max: settings.records_per_shard(),
            dead_letter_body: settings.dead_letters_body,
            partitions: setup.accounts_partitions,
        };
        let offers = offers::Setup {
            texts: settings.texts(),
            uuid_of,
            dead_letter_body: settings.dead_letters_body,
            partitions: setup.offers_partitions,
        };
        Ok(Stages {
            screen: Arc::new(ScreenStage { setup, pressure: pressure.clone() }),
            accounts: Arc::new(AccountsStage { setup: Arc::new(accounts), pressure }),
            offers: Arc::new(OffersStage { setup: Arc::new(offers) }),
        })
    }
}

/// The groups of files that are fed begin so: their positions are places in the files.
pub const FILE_PLACES: &str = "pay-by-tweet.input.";

/// How the embedded log is kept under these settings.
pub fn embedded_options(settings: &Settings, clock: Arc<dyn Clock>) -> EmbeddedOptions {
    let embedded = &settings.bus.embedded;
    let sources = settings.sources.iter().map(|source| source.topic.as_str());
    EmbeddedOptions {
        partitions: settings.topics.partitions,
        fsync: match embedded.fsync {
            config::Fsync::Commit => Fsync::Commit,
            config::Fsync::Interval => Fsync::Interval(embedded.fsync_interval),
        },
        retention: sources.chain(RETAINED).map(|topic| (topic.to_owned(), embedded.retention)).collect(),
        bookmarks: FILE_PLACES.to_owned(),
        compacted: COMPACTED.map(str::to_owned).to_vec(),
        cache_bytes: embedded.cache_bytes,
        ..EmbeddedOptions::new(Arc::new(move || clock.now()))
    }
}

/// The engine's settings under these settings.
pub fn engine_settings(settings: &Settings) -> engine::settings::Settings {
    engine::settings::Settings {
        instance: settings.instance_id(),
        commit_interval: Span(i64::try_from(settings.commit_interval.as_millis()).unwrap_or(i64::MAX)),
        batch: Budget { records_max: settings.limits.batch_records, bytes_max: settings.limits.batch_bytes },
        ..engine::settings::Settings::default()
    }
}

/// Several processes that start at once take the seeder's name from each other at most so often.
const SEED_TRIES_MAX: usize = 50;

/// Writes the offers that the topic lacks; the topic wins for ids that it knows. Gives the number written.
pub fn seed_offers(bus: &dyn Bus, offers: &[OfferSpec], setup: &ScreenSetup) -> anyhow::Result<usize> {
    for _ in 0..SEED_TRIES_MAX {
        if lacking(offers, setup).is_empty() {
            return Ok(0);
        }
        // Whoever has the name is alone: another's transaction is decided, and what it wrote is seen now.
        let mut seed = Producer::new(bus, "seed")?;
        setup.follower.follow(&setup.catalogue)?;
        let lacking = lacking(offers, setup);
        let mut write = || -> Result<(), BusError> {
            for offer in &lacking {
                let value = serde_json::to_vec(offer).map_err(|why| BusError::Fatal(why.to_string()))?;
                seed.send(OFFERS, None, Some(offer.id.as_bytes()), Some(&value))?;
            }
            seed.commit(&[])
        };
        match write() {
            Ok(()) => return Ok(lacking.len()),
            Err(BusError::Unavailable(why)) => tracing::info!(why, "the offers of the file are tried again"),
            Err(other) => return Err(other.into()),
        }
    }
    anyhow::bail!("the offers of the file could not be written: other processes take the name to do it again and again")
}

/// The offers that the topic does not know.
fn lacking<'o>(offers: &'o [OfferSpec], setup: &ScreenSetup) -> Vec<&'o OfferSpec> {
    let known = setup.follower.known();
    offers.iter().filter(|offer| !known.contains(&offer.id)).collect()
}

/// The configuration's rules for offers of the topic.
struct TopicRules {
    freeze_tag: String,
    looks: config::TagLooks,
}

impl OfferRules for TopicRules {
    fn read(&self, spec: Value, version: u64) -> Result<Offer, String> {
        let spec: OfferSpec = serde_json::from_value(spec).map_err(|error| without_value(&error.to_string()))?;
        // Whether its replies fit is not asked: the topic is read again at every start, by the settings of that day,
        // and what people were prompted for must not become unknown.
        spec.into_offer(version).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.what)).collect();
            errors.join("; ")
        })
    }

    fn clash(&self, new: &Offer, others: &mut dyn Iterator<Item = &Offer>) -> Option<String> {
        config::clash_with(new, others, &self.freeze_tag, &self.looks)
    }
}

/// What serde says of a field, without the value that it quotes: that may be a discount code.
fn without_value(said: &str) -> String {
    said.rsplit_once(", expected ")
        .map_or_else(|| said.to_owned(), |(_, expected)| format!("a field is not {expected}"))
}

fn time_rules(settings: &Settings) -> TimeRules {
    TimeRules {
        lateness_max: settings.time.lateness_max,
        idle_after: settings.time.idle_after,
        idle_by_heartbeat: settings.time.idle == IdleBy::Heartbeat,
        tick_every: settings.time.tick_every,
        skew_max: settings.time.skew_max,
        topology: settings.time.topology,
    }
}

/// Appends records in transactions, outside every stage: the file feeder, seeding, the demo's network.
pub struct Producer {
    worker: Box<dyn BusWorker>,
}

impl Producer {
    /// A producer of this name; a second one of the same name fences the first.
    pub fn new(bus: &dyn Bus, name: &str) -> Result<Producer, BusError> {
        Producer::in_group(bus, name, &format!("pay-by-tweet.{name}"))
    }

    /// Its positions are those of this group.
    pub fn in_group(bus: &dyn Bus, name: &str, group: &str) -> Result<Producer, BusError> {
        let spec = WorkerSpec { group: group.to_owned(), name: name.to_owned(), topics: Vec::new(), slot: (0, 1) };
        Ok(Producer { worker: bus.worker(spec)? })
    }

    pub fn send(
        &mut self,
        topic: &str,
        partition: Option<u32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), BusError> {
        self.worker.send(&OutRecord {
            topic: Arc::from(topic),
            partition,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
        })
    }

    /// Writes a record to each of these topics and takes it back. An error: what may not be written.
    pub fn try_out(&mut self, topics: &[String]) -> Result<(), BusError> {
        for topic in topics {
            self.send(topic, Some(0), Some(b"check"), None)?;
        }
        while self.worker.abort()? == CommitState::Pending {}
        // Whatever was refused for good is told now.
        self.worker.recover()
    }

    /// Commits what was sent, with these positions of the producer's own group. `Unavailable`: it was not committed, or
    /// nobody knows.
    pub fn commit(&mut self, positions: &[(TopicPartition, crate::bus::Position)]) -> Result<(), BusError> {
        self.worker.start_commit(positions)?;
        loop {
            match self.worker.poll_commit(Duration::from_millis(200)) {
                CommitState::Pending => {}
                CommitState::Committed => return Ok(()),
                other => return Err(BusError::Unavailable(format!("a producer's transaction ended as {other:?}"))),
            }
        }
    }
}

/// All three stages on an embedded log in memory, stepped on the calling thread by a virtual clock.
pub struct InlinePipeline {
    bus: Arc<Embedded>,
    clock: VirtualClock,
    producer: Producer,
    pacing: Pacing,
    stages: Stages,
    screen: Inlined<ScreenStage>,
    accounts: Inlined<AccountsStage>,
    offers: Inlined<OffersStage>,
}

type Inlined<St> = Worker<St, Inline<<St as Stage>::Shard>>;

/// A record as a reader of its topic sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub partition: u32,
    pub offset: u64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl InlinePipeline {
    /// The sources are partition 0 of each configured post topic; more by [`InlinePipeline::with_sources`].
    pub fn new(settings: &Settings, offers: &[OfferSpec], now: Time, live: bool) -> anyhow::Result<InlinePipeline> {
        let sources = settings.sources.iter().map(|s| (s.topic.clone(), 0)).collect();
        InlinePipeline::with_sources(settings, offers, now, live, sources)
    }

    pub fn with_sources(
        settings: &Settings,
        offers: &[OfferSpec],
        now: Time,
        live: bool,
        sources: Vec<(String, u32)>,
    ) -> anyhow::Result<InlinePipeline> {
        let clock = VirtualClock::at(now);
        let options = embedded_options(settings, Arc::new(clock.clone()));
        let bus = Arc::new(Embedded::open_on(redb::backends::InMemoryBackend::new(), options)?);
        let sources = sources.into_iter().map(|(topic, partition)| crate::domain::SourceId { topic, partition });
        InlinePipeline::on(bus, clock, settings, offers, Topology::new(sources.collect(), live))
    }

    /// On a log that is there already, which may hold what an earlier life left; `clock` is the log's own.
    pub fn on(
        bus: Arc<Embedded>,
        clock: VirtualClock,
        settings: &Settings,
        offers: &[OfferSpec],
        topology: Topology,
    ) -> anyhow::Result<InlinePipeline> {
        let stages = Stages::new(settings, &*bus, topology)?;
        seed_offers(&*bus, offers, &stages.screen.setup)?;
        let log: Arc<dyn Bus> = bus.clone();
        let engine = engine_settings(settings);
        let mut pipeline = InlinePipeline {
            producer: Producer::new(&*bus, "test")?,
            pacing: Pacing::new(stages.screen.setup.clone(), settings.account.cancel_window),
            screen: Worker::new(stages.screen.clone(), Inline::default(), log.clone(), engine.clone(), (0, 1))?,
            accounts: Worker::new(stages.accounts.clone(), Inline::default(), log.clone(), engine.clone(), (0, 1))?,
            offers: Worker::new(stages.offers.clone(), Inline::default(), log, engine, (0, 1))?,
            stages,
            clock,
            bus,
        };
        pipeline.screen.set_eager(true);
        pipeline.accounts.set_eager(true);
        pipeline.offers.set_eager(true);
        Ok(pipeline)
    }

    /// Appends one record, as a producer would.
    pub fn append(&mut self, topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()> {
        self.producer.send(topic, Some(partition), key, Some(value))?;
        Ok(self.producer.commit(&[])?)
    }

    /// Appends one record as `run --input` does: in haste, but no faster than short stock allows.
    pub fn feed(&mut self, topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()> {
        let mut weight = self.pacing.weigh(topic, value);
        if self.pacing.must_settle(&weight) {
            self.run()?;
            let shards = self.offers.host().shards().values();
            let views: Vec<OfferView> = shards.flat_map(|shard| shard.view()).collect();
            self.pacing.look(&views);
            // The catalogue may have changed meanwhile.
            weight = self.pacing.weigh(topic, value);
        }
        self.pacing.count(weight);
        self.append(topic, partition, key, value)
    }

    /// Steps all stages until everything is consumed.
    pub fn run(&mut self) -> anyhow::Result<()> {
        for _ in 0..IDLE_TURNS_MAX {
            let now = self.clock.now();
            let busy =
                [settle(&mut self.screen, now)?, settle(&mut self.accounts, now)?, settle(&mut self.offers, now)?];
            let settled = self.screen.is_settled() && self.accounts.is_settled() && self.offers.is_settled();
            if settled && !busy.contains(&true) && self.is_drained()? {
                return Ok(());
            }
        }
        anyhow::bail!("not drained after {IDLE_TURNS_MAX} turns: screen {:?}", self.screen.stats())
    }

    /// Moves the clock by a span and runs.
    pub fn advance(&mut self, span: Span) -> anyhow::Result<()> {
        self.clock.advance(span);
        self.run()
    }

    /// As after the last input file: idle sources move once, unless `time.idle_after` is zero.
    pub fn end_of_input(&mut self) -> anyhow::Result<()> {
        self.run()?;
        self.stages.screen.setup.topology.end();
        self.advance(Span::of_secs(2))?;
        self.advance(Span::of_secs(2))
    }

    /// Everything that is in a topic, partition by partition.
    pub fn records(&self, topic: &str) -> anyhow::Result<Vec<Record>> {
        read_all(&*self.bus, topic)
    }

    pub fn account(&self, id: crate::domain::AccountId) -> Option<crate::domain::account::Account> {
        self.accounts.host().shards().values().find_map(|shard| shard.account(&id).cloned())
    }

    fn is_drained(&self) -> Result<bool, BusError> {
        let all = [inputs_of(&*self.stages.screen), inputs_of(&*self.stages.accounts), inputs_of(&*self.stages.offers)];
        ends::drained(&*self.bus, &mut *self.bus.reader()?, &all)
    }
}

/// A shard as of its changelog, for commands that look at a log which no program runs on. `now` is asked before each
/// look, so that a changelog that is held back for good is given up.
pub fn restored<St: Stage>(
    stage: &St,
    bus: &dyn Bus,
    input: &str,
    partition: u32,
    now: &mut dyn FnMut() -> Time,
) -> anyhow::Result<St::Shard> {
    let shard = stage.shard(&TopicPartition::new(input, partition), "");
    let changelog = stage.changelog().map(|topic| TopicPartition { topic, partition });
    let mut restore = Restore::new(shard, changelog, true);
    let mut reader = bus.reader()?;
    while restore.step(&mut *reader, now())? != Progress::Done {}
    Ok(restore.into_shard())
}

/// All records of a topic.
pub fn read_all(bus: &dyn Bus, topic: &str) -> anyhow::Result<Vec<Record>> {
    let mut reader = bus.reader()?;
    let mut all = Vec::new();
    for (at, end) in ends_of(bus, &mut *reader, topic)? {
        let mut position = reader.beginning(&at)?;
        while position < end {
            position = reader.read(&at, position, Budget::BULK, &mut |record| {
                all.push(Record {
                    partition: at.partition,
                    offset: record.offset,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: record.headers.read().into_owned(),
                });
            })?;
        }
    }
    Ok(all)
}

fn settle<St: Stage>(worker: &mut Inlined<St>, now: Time) -> Result<bool, WorkerError> {
    let mut busy = false;
    // A step that waits for nothing ends at once, so idle steps in a row mean that nothing is under way here.
    for _ in 0..STEPS_PER_TURN_MAX {
        match worker.step(now, Duration::ZERO)? {
            Step::Busy => busy = true,
            Step::Idle | Step::Backoff(_) | Step::Done => break,
        }
    }
    Ok(busy)
}

/// Turns of all stages within which everything must be consumed; commits are answered by another thread meanwhile.
const IDLE_TURNS_MAX: u64 = 10_000_000;

/// Steps that one stage makes before the next has its turn.
const STEPS_PER_TURN_MAX: usize = 1_000;
