//! Processes killed with SIGKILL on a real cluster, while they join, restore, consume and commit.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::cluster::Cluster;
use super::flock::Flock;
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
    let kills = asked("KILLS", 4);
    check(cluster, 1, kills / 2);
    check(cluster, PARTITIONS, kills - kills / 2);
}

fn check(cluster: &Cluster, sources: u32, kills: u64) {
    let posts = asked("POSTS", 15_000) as usize;
    let plan = Plan {
        seed: first_seed(),
        posts,
        shoppers: posts as u64 / 60,
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
    let site = |name: &str| {
        let prefix = format!("{name}-{sources}.");
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
    let slice = posts / (kills as usize + 1);
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
    kill_and_restart(&site, &firehose, kills, slice);
    assert_eq!(cluster.open_transactions(), Vec::<String>::new());
    comparable(&site).assert_same(&expected, "killed against undisturbed");
    print!("{}", String::from_utf8_lossy(&site.succeed(&["audit"])));
}

fn kill_and_restart(site: &Site<'_>, firehose: &Firehose, kills: u64, slice: usize) {
    let mut random = SmallRng::seed_from_u64(firehose.plan.seed);
    let mut flock = Flock::start(site, 2);
    let mut feed = Feed::new(site, firehose);
    let mut ages = Vec::new();
    let begun = Instant::now();
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
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.await_no_lag();
    flock.stop();
    println!("{kills} kills in {:.1} s, ms apart: {ages:?}", begun.elapsed().as_secs_f64());
}
