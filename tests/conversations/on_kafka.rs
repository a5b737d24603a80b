//! The same conversations through a real broker, told to processes of the program as it ships: on so many partitions,
//! by so many processes, the same verdicts and the same replies.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pay_by_tweet::bus::Bus;
use pay_by_tweet::pipeline::{Producer, Record, read_all};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::TABLES;
use crate::check::as_expected;
use crate::cluster::Cluster;
use crate::flock::Flock;
use crate::harness::{Delivery, Pace, Program, Teller, model_agrees, offers_toml, settings_toml, tell};
use crate::outcome::Outcome;
use crate::shapes::Shape;
use crate::site::Site;
use crate::spread::{left_out, spread};
use crate::support::outputs::Outputs;
use crate::support::{asked, first_seed};
use crate::talk::Talk;

/// Partitions of every topic, and processes.
type Size = (u32, usize);

/// The first of them are tried in every run of the tests.
const SIZES: [Size; 6] = [(1, 1), (3, 3), (12, 1), (1, 3), (3, 1), (12, 3)];
const SIZES_OF_A_SAMPLE: usize = 3;

/// Told at the same time: most of each is waiting.
const LANES: usize = 4;
/// A small broker keeps the topics of so many.
const PER_CLUSTER: usize = 40;

struct Telling {
    name: &'static str,
    talk: Talk,
    shape: Shape,
}

#[test]
fn a_sample_is_told_on_a_cluster() {
    let (all, cluster) = (tellings(), Cluster::start(1));
    let (sizes, some) = (&SIZES[..SIZES_OF_A_SAMPLE], all.chunks(asked("TELLINGS", 3) as usize));
    check(sizes.iter().zip(some).flat_map(|(size, some)| otherwise(&cluster, *size, some)).collect());
}

#[test]
#[ignore = "tests/campaign kafka"]
fn all_are_told_on_clusters_of_every_size() {
    let all = tellings();
    let all = &all[..all.len().min(asked("TELLINGS", u64::MAX) as usize)];
    let only = std::env::var("SIZE").ok();
    let is_asked =
        |(partitions, processes): &Size| only.as_ref().is_none_or(|only| *only == format!("{partitions}x{processes}"));
    let of_size = |size| all.chunks(PER_CLUSTER).flat_map(move |some| otherwise(&Cluster::start(1), size, some));
    check(SIZES.into_iter().filter(is_asked).flat_map(of_size).collect());
}

fn check(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} came out otherwise:\n{}", failures.len(), failures.join("\n"));
}

/// Every conversation that can be told on a cluster, each in one of its shapes, shuffled; says why others can't.
fn tellings() -> Vec<Telling> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tellings = Vec::new();
    for (name, build) in TABLES.iter().copied().flatten() {
        let mut talk = Talk::new();
        build(&mut talk);
        match left_out(&talk) {
            Some(why) => *reasons.entry(why).or_default() += 1,
            None => {
                let shape = talk.shapes[(tellings.len() + first_seed() as usize) % talk.shapes.len()];
                tellings.push(Telling { name, talk, shape });
            }
        }
    }
    println!("seed {}; {} conversations; left out: {reasons:?}", first_seed(), tellings.len());
    assert!(!tellings.is_empty(), "nothing can be told");
    tellings.shuffle(&mut SmallRng::seed_from_u64(first_seed()));
    tellings
}

/// Tells some of them; answers what came out otherwise.
fn otherwise(cluster: &Cluster, size: Size, some: &[Telling]) -> Vec<String> {
    let (partitions, processes) = size;
    let (queue, failures) = (Mutex::new(some.iter().enumerate()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || {
        while let Some((at, telling)) = next() {
            let prefix = format!("talk-{partitions}-{processes}-{at}.");
            let told = catch_unwind(AssertUnwindSafe(|| told_on(cluster, &prefix, size, telling)));
            if let Err(why) = told.unwrap_or_else(|panic| Err(words_of(&*panic))) {
                let why = format!("── {}\n{why}\n   told as {:?} on {partitions}", telling.name, telling.shape);
                let why = format!("{why} partitions by {processes} processes");
                failures.lock().unwrap_or_else(PoisonError::into_inner).push(why);
            }
        }
    };
    let begun = Instant::now();
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(lane))));
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (count, failed, seconds) = (some.len(), failures.len(), begun.elapsed().as_secs_f64());
    println!("{partitions} partitions, {processes} processes: {count} told, {failed} otherwise, {seconds:.1} s");
    failures
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default()
}

/// What the table expects comes of it, and at last, when all that waits has come to its end, the very records that one
/// partition in process gives.
fn told_on(cluster: &Cluster, prefix: &str, size: Size, telling: &Telling) -> Result<(), String> {
    let (Telling { talk, shape, .. }, (partitions, processes)) = (telling, size);
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let config = folder.path().join("config.toml");
    let of_the_place = [
        format!("topics.partitions = {partitions}"),
        "offers.file = \"offers.toml\"".to_owned(),
        "log.level = \"warn\"".to_owned(),
        // What makes no output is waited for here.
        "commit.interval = \"5ms\"".to_owned(),
    ];
    std::fs::write(&config, settings_toml(talk, &of_the_place)).expect("the folder is writable");
    std::fs::write(folder.path().join("offers.toml"), offers_toml(talk)).expect("the folder is writable");
    let site = Site::at(&config, cluster.bootstrap(), prefix);
    site.succeed(&["topics", "create"]);

    let mut teller = Teller::new(Processes::start(&site, processes), talk, *shape, Delivery::Once, Pace::OneByOne);
    teller.tell(&spread(&talk.steps, partitions))?;
    as_expected(talk, &teller.outcome()?)?;
    teller.tell(&spread(&talk.long_after(), partitions))?;
    let run = teller.written()?;
    teller.into_program().flock.stop();
    model_agrees(talk, &run)?;

    let steps = [&talk.steps[..], &talk.long_after()].concat();
    let in_process = tell(talk, &steps, *shape, Pace::OneByOne, Delivery::Once)?;
    let difference = outputs(&run.outcome).difference(&outputs(&in_process));
    difference.map_or(Ok(()), |difference| Err(format!("   on the cluster {difference}")))
}

/// Dead letters name offsets, which markers move; their reasons are among what is expected.
fn outputs(outcome: &Outcome) -> Outputs {
    let records = |topic: &str| outcome.topics[topic].iter().map(|(record, _)| record.clone()).collect();
    let mut outputs = Outputs::of_records(records);
    outputs.0.remove("dead-letters");
    outputs
}

/// Processes of the program, and who appends to their topics.
struct Processes<'a> {
    flock: Flock<'a>,
    log: Arc<dyn Bus>,
    gateway: Producer,
    /// Something was sent that is not committed.
    sent: bool,
}

impl<'a> Processes<'a> {
    fn start(site: &'a Site<'a>, count: usize) -> Processes<'a> {
        let log = site.bus();
        let gateway = Producer::new(&*log, "gateway").expect("the cluster is up");
        Processes { flock: Flock::start(site, count), log, gateway, sent: false }
    }
}

impl Program for Processes<'_> {
    /// What has a key goes where every producer brings that key.
    fn append(&mut self, topic: &str, partition: u32, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()> {
        let partition = key.is_none().then_some(partition);
        self.gateway.send(topic, partition, key, Some(value))?;
        self.sent = true;
        Ok(())
    }

    fn run(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.sent) {
            self.gateway.commit(&[])?;
        }
        self.flock.await_drained();
        Ok(())
    }

    fn records(&self, topic: &str) -> anyhow::Result<Vec<Record>> {
        read_all(&*self.log, topic)
    }
}
