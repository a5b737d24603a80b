//! Three brokers, of which one is away at any time: told to end as in a rolling restart, or killed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::cluster::Cluster;
use super::flock::Flock;
use super::support::asked;
use super::trial::{Feed, Trial};

const NODES: usize = 3;

/// Nothing is lost or doubled, and no process needs to be started anew.
pub fn brokers_restart_one_after_the_other(cluster: &mut Cluster) {
    let restarts = asked("RESTARTS", 3) as usize;
    let posts = asked("POSTS", 6_000) as usize;
    let trial = Trial::new(posts, 15);
    println!("{restarts} restarts");
    let site = trial.site(cluster, "brokers.");
    let mut flock = Flock::start(&site, 2);
    let mut feed = Feed::new(&site, &trial.firehose);
    let mut random = SmallRng::seed_from_u64(trial.firehose.plan.seed);
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
    trial.check(cluster, &site, "brokers that restart");
}
