//! Three brokers, of which one is away at any time: told to end as in a rolling restart, or killed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::cluster::Cluster;
use super::flock::Flock;
use super::kills::Feed;
use super::site::Site;
use super::support::due::compare;
use super::support::firehose::{Firehose, Plan};
use super::support::{House, asked, first_seed};

const PARTITIONS: u32 = 3;
const NODES: usize = 3;

/// Nothing is lost or doubled, and no process needs to be started anew.
pub fn brokers_restart_one_after_the_other(cluster: &mut Cluster) {
    let restarts = asked("RESTARTS", 3) as usize;
    let posts = asked("POSTS", 6_000) as usize;
    let plan = Plan {
        seed: first_seed(),
        posts,
        shoppers: posts as u64 / 15,
        partitions: PARTITIONS,
        span_ms: 3_600_000,
        ..Plan::default()
    };
    println!("{plan:?}, {restarts} restarts");
    let firehose = Firehose::new(plan);
    let settings = format!("[topics]\npartitions = {PARTITIONS}\n[limits]\npending_per_account = 100\n");
    let house = House::new("idle_after = \"0s\"\n", &settings);
    let site = Site::on(&house.config, cluster, "brokers.");
    let mut flock = Flock::start(&site, 2);
    let mut feed = Feed::new(&site, &firehose);
    let mut random = SmallRng::seed_from_u64(plan.seed);
    let slice = posts / (2 * restarts + 1);
    for restart in 0..restarts {
        feed.append(slice);
        flock.await_progress();
        let node = restart % NODES;
        if random.random_bool(0.5) {
            cluster.stop(node);
        } else {
            cluster.kill(node);
        }
        feed.append(slice);
        flock.await_progress();
        cluster.revive(node);
    }
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.stop();
    compare(&*site.bus(), &firehose, "brokers that restart");
    site.succeed(&["audit"]);
    assert_eq!(cluster.open_transactions(), Vec::<String>::new());
}
