//! What the program costs on a cluster, as ratios to what the same work costs at least, in the same run.

use std::time::{Duration, Instant};

use pay_by_tweet::bus::{BusWorker, CommitState, OutRecord, Position, TopicPartition, WorkerSpec};
use pay_by_tweet::load::{self, Firehose, Moment, Options, Segment};
use pay_by_tweet::pipeline::Producer;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::cluster::Cluster;
use super::flock::Flock;
use super::raw;
use super::site::Site;
use super::support::{House, asked};
use super::trial::{Feed, Trial};
use super::watch::{Watch, pace, spread};

const PARTITIONS: u32 = 2;
/// Posts of one transaction while the topic is filled.
const CHUNK: usize = 2_000;
/// A broker that was just started compiles its code for so long.
const WARM_UP: Duration = Duration::from_secs(20);
/// A client waits so long for what is there.
const WAIT: Duration = Duration::from_secs(10);

/// Processor time per post of a consumer that does nothing, against that of the whole program, from its start until all
/// is consumed; both find everything in the log. Medians of interleaved rounds.
pub fn program_against_a_consumer_that_does_nothing(cluster: &Cluster) {
    let (posts, rounds) = (asked("POSTS", 1_000_000), asked("ROUNDS", 3));
    let house = House::new("", &format!("[topics]\npartitions = {PARTITIONS}\n"));
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let site = Site::on(&house.config, cluster, &format!("cost-{round}."));
        let bytes = fill(&site, &house, posts);
        let nothing = || raw::read(&site, "tweets", PARTITIONS).cpu;
        let before = [nothing(), nothing()];
        let mut flock = Flock::start(&site, 1);
        flock.await_drained();
        let program = flock.cpu_seconds(0);
        flock.stop();
        let mut each = [before[0], before[1], nothing()];
        println!("nothing done: {each:.2?} CPU s");
        let least = median(&mut each);
        println!(
            "{posts} posts, {:.1} GB: nothing done {least:.2} CPU s, {:.0} posts a CPU s; the program {program:.2} CPU s, \
             {:.0} posts a CPU s; ratio {:.3}",
            bytes as f64 / 1e9,
            posts as f64 / least,
            posts as f64 / program,
            least / program
        );
        ratios.push(least / program);
    }
    println!("program / nothing done, posts per CPU second: median {:.3} (goal 0.6)", median(&mut ratios));
}

/// The load's posts, full-size, as of the last minutes. Answers their bytes.
fn fill(site: &Site<'_>, house: &House, posts: u64) -> u64 {
    const SPAN: Duration = Duration::from_secs(600);
    let log = site.bus();
    let options = Options::of(&house.settings, posts as f64 / SPAN.as_secs_f64(), SPAN).expect("it reads tweets");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later than 1970");
    let start = Moment(now.as_micros() as i64).before(SPAN + Duration::from_secs(60));
    let (rate, duration, shape, relevant) = (options.rate, options.duration, options.shape, options.relevant);
    let links = Firehose::new(&options, PARTITIONS, start).links(&Segment { start, duration, shape, rate, relevant });
    let mut producer = Producer::new(&*log, "filler").expect("the cluster is up");
    let mut open = 0;
    let mut append = |record: &OutRecord, last: bool| {
        let key = record.key.as_deref();
        producer.send(&record.topic, record.partition, key, record.value.as_deref()).expect("the cluster is up");
        open += 1;
        if open >= CHUNK || last {
            producer.commit(&[]).expect("the cluster is up");
            open = 0;
        }
    };
    load::offers().for_each(|offer| append(&offer, false));
    links.iter().for_each(|link| append(link, false));
    let made = load::dry_run(&options, PARTITIONS, start, &mut |said| append(&said.record, false));
    append(&load::offers().next().expect("it has goods"), true);
    made.counts.bytes
}

/// One small record and one position to a transaction, back to back: our worker against a bare loop of the same client.
pub fn transactions_against_a_bare_loop(cluster: &Cluster) {
    const EACH: u32 = 100;
    let house = House::new("", "");
    let site = Site::on(&house.config, cluster, "transactions.");
    let mut worker = Ours::new(&site);
    let bare = Bare::new(&site);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..asked("ROUNDS", 3) * 4 {
        let (from, mut take) = (round as u32 * EACH, [Duration::ZERO; 2]);
        let begun = Instant::now();
        (from..from + EACH).for_each(|next| worker.transaction(next));
        take[0] = begun.elapsed() / EACH;
        let begun = Instant::now();
        (from..from + EACH).for_each(|next| bare.transaction(next));
        take[1] = begun.elapsed() / EACH;
        ours.push(take[0].as_secs_f64() * 1e3);
        theirs.push(take[1].as_secs_f64() * 1e3);
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    println!(
        "a transaction: ours {:.2} ms, a bare loop {:.2} ms; median of ratios {:.2} (goal at most 1.5)",
        median(&mut ours),
        median(&mut theirs),
        median(&mut ratios)
    );
}

struct Ours {
    worker: Box<dyn BusWorker>,
}

impl Ours {
    fn new(site: &Site<'_>) -> Ours {
        let spec = WorkerSpec { group: "ours".into(), name: "ours".into(), topics: Vec::new(), slot: (0, 1) };
        Ours { worker: site.bus().worker(spec).expect("the cluster is up") }
    }

    fn transaction(&mut self, next: u32) {
        let record = OutRecord {
            topic: "replies".into(),
            partition: Some(0),
            key: Some(b"key".to_vec()),
            value: Some(b"value".to_vec()),
            headers: Vec::new(),
        };
        self.worker.send(&record).expect("the cluster is up");
        let position = Position { offset: next.into(), note: String::new() };
        self.worker.start_commit(&[(TopicPartition::new("tweets", 0), position)]).expect("the cluster is up");
        loop {
            match self.worker.poll_commit(WAIT) {
                CommitState::Pending => {}
                outcome => return assert_eq!(outcome, CommitState::Committed),
            }
        }
    }
}

struct Bare {
    producer: BaseProducer,
    member: BaseConsumer,
    prefix: String,
}

impl Bare {
    fn new(site: &Site<'_>) -> Bare {
        let (brokers, prefix) = site.kafka.clone().expect("it is on a cluster");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        let member = config.clone().set("group.id", "bare").create().expect("the properties are good");
        // What suits transactions back to back is the same for both.
        config.set("linger.ms", "0").set("retry.backoff.ms", "1");
        config.set("transactional.id", "bare").set("compression.type", "lz4");
        let producer: BaseProducer = config.create().expect("the properties are good");
        producer.init_transactions(WAIT).expect("the cluster is up");
        Bare { producer, member, prefix }
    }

    fn transaction(&self, next: u32) {
        let topic = |name: &str| format!("{}{name}", self.prefix);
        self.producer.begin_transaction().expect("none is open");
        let replies = topic("replies");
        let record = BaseRecord::to(&replies).partition(0).key("key").payload("value");
        self.producer.send(record).map_err(|(why, _)| why).expect("there is room");
        let mut positions = TopicPartitionList::new();
        positions.add_partition_offset(&topic("tweets"), 0, Offset::Offset(next.into())).expect("an offset");
        let group = self.member.group_metadata().expect("it has a group");
        // Without this, rust-rdkafka's commit waits in steps of 100 ms.
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(1));
        }
        self.producer.send_offsets_to_transaction(&positions, &group, WAIT).expect("the cluster is up");
        self.producer.commit_transaction(WAIT).expect("the cluster is up");
    }
}

/// From tweet to visible prompt while the program has next to nothing to do.
pub fn prompts_while_idle(cluster: &Cluster) {
    let seconds = asked("SECONDS", 60) + WARM_UP.as_secs();
    let trial = Trial::new((seconds * 20) as usize, 12);
    let site = trial.site(cluster, "idle.");
    let mut flock = Flock::start(&site, 1);
    let mut feed = Feed::new(&site, &trial.firehose);
    flock.await_drained();
    let watch = Watch::start(site.bus(), WARM_UP);
    pace(&mut feed, Duration::from_secs(seconds), &watch);
    feed.close();
    flock.await_drained();
    let waits = watch.stop();
    flock.stop();
    trial.check(cluster, &site, "an idle program");
    println!("tweet to prompt while idle, {} of them (goal of p99: 100 ms): {}", waits.len(), spread(&waits));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
