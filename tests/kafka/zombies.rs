//! Processes that stand still for longer than the group and their transactions wait for them, and then go on.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::cluster::Cluster;
use super::flock::{Flock, Signal};
use super::support::asked;
use super::trial::{Feed, Trial};
use super::watch::{Watch, pace, spread};

/// Past the session's timeout (6 s) and the transactions' (5 s).
const STILL: Duration = Duration::from_secs(9);
const BETWEEN: Duration = Duration::from_secs(3);
/// Readers may be held up by a zombie's transaction for so long at most.
const HELD_UP_MAX: Duration = Duration::from_secs(20);

/// Nothing of a zombie becomes visible, nothing is lost, and readers wait for a bounded time.
pub fn zombies_change_nothing(cluster: &Cluster) {
    let stops = asked("ZOMBIES", 1);
    let seconds = (stops + 1) * (STILL + BETWEEN).as_secs();
    let posts = (seconds * asked("RATE", 100)) as usize;
    let trial = Trial::new(posts, 12);
    println!("{stops} processes stand still for {STILL:?}");
    let site = trial.site(cluster, "zombies.");
    let mut flock = Flock::start(&site, 2);
    let mut feed = Feed::new(&site, &trial.firehose);
    flock.await_drained();
    let watch = Watch::start(site.bus(), Duration::ZERO);
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| pace(&mut feed, Duration::from_secs(seconds), &watch));
        let mut random = SmallRng::seed_from_u64(trial.firehose.plan.seed);
        for _ in 0..stops {
            std::thread::sleep(BETWEEN.mul_f64(random.random_range(0.5..1.5)));
            let victim = random.random_range(0..2);
            flock.tell(victim, Signal::Stop);
            std::thread::sleep(STILL);
            flock.tell(victim, Signal::Cont);
        }
        feeding.join().expect("it appends everything");
    });
    feed.close();
    flock.await_drained();
    let waits = watch.stop();
    flock.stop();
    trial.check(cluster, &site, "zombies");
    println!("tweet to prompt, {} of them: {}", waits.len(), spread(&waits));
    assert!(u128::from(waits.value_at_quantile(0.99)) <= HELD_UP_MAX.as_millis(), "readers are held up for too long");
}
