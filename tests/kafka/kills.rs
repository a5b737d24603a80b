//! Processes killed with SIGKILL on a real cluster, while they join, restore, consume and commit.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::cluster::Cluster;
use super::flock::Flock;
use super::proxy::{Api, Trap};
use super::site::Site;
use super::support::firehose::{Firehose, Plan};
use super::support::{House, asked, first_seed};
use super::trial::Feed;

const PARTITIONS: u32 = 3;

/// A kill within so long of a start meets joining, restoring and the first batches.
const YOUNG: Duration = Duration::from_millis(1_500);
/// A kill within so long of progress meets every phase of the loop.
const AT_WORK: Duration = Duration::from_millis(300);

/// Two processes, of which one or the other is killed. With one source the outputs are those of an undisturbed run,
/// record for record; with several whatever leaves the house is.
pub fn killed_processes_change_nothing(cluster: &Cluster) {
    let (kills, posts) = (asked("KILLS", 2), asked("POSTS", 6_000));
    check(cluster, "random", (1, posts), kills / 2, at_random);
    check(cluster, "random", (PARTITIONS, posts), kills - kills / 2, at_random);
}

/// The same, each kill while a request of its own kind is under way.
pub fn processes_killed_at_any_step_change_nothing(cluster: &Cluster) {
    let (kills, posts) = (asked("KILLS", STEPS.len() as u64), asked("POSTS", 4_000));
    check(cluster, "steps", (1, posts), kills, |flock, feed, kills, slice| {
        at_each_step(cluster, flock, feed, kills, slice)
    });
}

/// `killing` kills so many times and feeds as many slices of so many posts.
fn check(
    cluster: &Cluster,
    name: &str,
    (sources, posts): (u32, u64),
    kills: u64,
    killing: impl Fn(&mut Flock<'_>, &mut Feed<'_>, u64, usize),
) {
    let plan = Plan {
        seed: first_seed(),
        posts: posts as usize,
        shoppers: posts / 60,
        partitions: sources,
        span_ms: 3_600_000,
        stops: true,
        keyed: true,
        bytes: 4_700,
        ..Plan::default()
    };
    println!("{plan:?}, {kills} kills");
    let firehose = Firehose::new(plan);
    let house = House::new("idle_after = \"0s\"\n", &format!("[topics]\npartitions = {PARTITIONS}\n"));
    let site = |run: &str| {
        let prefix = format!("{name}-{run}-{sources}.");
        cluster.topic(&prefix, "tweets", sources);
        Site::on(&house.config, cluster, &prefix)
    };
    let comparable = |site: &Site<'_>| {
        let outputs = site.outputs().in_any_order();
        if sources == 1 { outputs } else { outputs.paid_and_shipped() }
    };
    let begun = Instant::now();
    let calm = site("calm");
    let mut flock = Flock::start(&calm, 1);
    let mut feed = Feed::new(&calm, &firehose);
    // In the slices of the other run: markers stand between them, and dead letters name offsets.
    let slice = (posts / (kills + 1)) as usize;
    (0..kills).for_each(|_| feed.append(slice));
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.stop();
    let expected = comparable(&calm);
    let count = expected.count("payments.authorized");
    println!("undisturbed {:.1} s, {count} payments", begun.elapsed().as_secs_f64());
    assert!(count > 0, "these inputs try nothing");

    let site = site("killed");
    let proxied = site.behind_proxies(cluster);
    let mut flock = Flock::start(&proxied, 2);
    let mut feed = Feed::new(&site, &firehose);
    let begun = Instant::now();
    killing(&mut flock, &mut feed, kills, slice);
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.await_no_lag();
    flock.stop();
    println!("{kills} kills in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(cluster.open_transactions(), Vec::<String>::new());
    comparable(&site).assert_same(&expected, "killed against undisturbed");
    print!("{}", String::from_utf8_lossy(&site.succeed(&["audit"])));
}

/// Whatever a process is at, now and then while it starts.
pub fn at_random(flock: &mut Flock<'_>, feed: &mut Feed<'_>, kills: u64, slice: usize) {
    let mut random = SmallRng::seed_from_u64(first_seed());
    let mut ages = Vec::new();
    for _ in 0..kills {
        feed.append(slice);
        let started = Instant::now();
        if random.random_bool(0.25) {
            std::thread::sleep(YOUNG.mul_f64(random.random_range(0.0..1.0)));
        } else {
            flock.await_progress();
            std::thread::sleep(AT_WORK.mul_f64(random.random_range(0.0..1.0)));
        }
        let victim = random.random_range(0..2);
        flock.kill(victim);
        ages.push(started.elapsed().as_millis());
        flock.launch(victim);
    }
    println!("ms apart: {ages:?}");
}

/// The requests at which processes are killed, in the order in which a new process comes to them.
const STEPS: [(&str, Trap); 11] = [
    ("joining", Trap { api: Api::JoinGroup, whose: "", passed_on: false }),
    ("being assigned", Trap { api: Api::SyncGroup, whose: "", passed_on: true }),
    ("taking the identity over", Trap { api: Api::InitProducerId, whose: "", passed_on: true }),
    ("restoring", Trap { api: Api::Fetch, whose: READER, passed_on: true }),
    ("before a transaction begins", Trap { api: Api::AddPartitionsToTxn, whose: "", passed_on: false }),
    ("before its first records", Trap { api: Api::Produce, whose: "", passed_on: false }),
    ("in the middle of its records", Trap { api: Api::Produce, whose: "", passed_on: true }),
    ("before its positions", Trap { api: Api::AddOffsetsToTxn, whose: "", passed_on: false }),
    ("after its positions", Trap { api: Api::TxnOffsetCommit, whose: "", passed_on: true }),
    ("before its end", Trap { api: Api::EndTxn, whose: "", passed_on: false }),
    ("ended, but not told so", Trap { api: Api::EndTxn, whose: "", passed_on: true }),
];
/// The name of the client that restores.
const READER: &str = "pay-by-tweet.reader";

/// Each step in turn, of whichever process comes to it first.
fn at_each_step(cluster: &Cluster, flock: &mut Flock<'_>, feed: &mut Feed<'_>, kills: u64, slice: usize) {
    let proxy = cluster.proxy(0);
    let (mut down, mut killed) = (None, [0; 2]);
    for (step, trap) in (0..kills).map(|kill| STEPS[kill as usize % STEPS.len()]) {
        proxy.set(trap);

        let launched = down.take().inspect(|victim| flock.launch(*victim));
        feed.append(slice);
        let mut caught = None;
        flock.until(&format!("nobody is killed {step}"), |_| {
            caught = proxy.caught();
            caught.is_some()
        });
        // A client that does not say whose it is belongs, as far as is known, to the process that came last.
        let names = |victim: &usize| caught.as_ref().is_some_and(|name| name.contains(&format!("p{victim}")));
        let victim = (0..2).find(names).or(launched).unwrap_or(0);
        flock.kill(victim);
        proxy.let_go();
        killed[victim] += 1;
        down = Some(victim);
    }
    if let Some(victim) = down {
        flock.launch(victim);
    }
    println!("each of {} steps, killed of p0 and p1: {killed:?}", STEPS.len());
}
