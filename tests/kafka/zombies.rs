//! Processes that stand still for longer than the group and their transactions wait for them, and then go on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use pay_by_tweet::bus::{Budget, Bus, TopicPartition};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::cluster::Cluster;
use super::flock::{Flock, Signal};
use super::support::asked;
use super::support::firehose::Words;
use super::trial::{Feed, Trial};

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
    let watch = Watch::start(site.bus());
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
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| waits.value_at_quantile(q));
    println!("tweet to prompt, {} of them: p50 {p50} ms, p99 {p99} ms, longest {max} ms", waits.len());
    assert!(u128::from(p99) <= HELD_UP_MAX.as_millis(), "readers are held up for too long");
}

/// Appends the posts at an even pace, whatever the program does; those that are due at once together.
fn pace(feed: &mut Feed<'_>, within: Duration, watch: &Watch) {
    let begun = Instant::now();
    let all = feed.posts.len();
    let every = within / all as u32;
    let mut next = 0;
    while next < all {
        std::thread::sleep((begun + every * next as u32).saturating_duration_since(Instant::now()));
        let due = (begun.elapsed().as_nanos() / every.as_nanos()) as usize + 1;
        let batch = next..due.min(all);
        let mut tweeted = watch.tweeted.lock().expect("nobody panics with it");
        for index in batch.clone().filter(|index| matches!(feed.posts[*index].words, Words::Buy(_))) {
            tweeted.insert(feed.posts[index].id, begun + every * index as u32);
        }
        drop(tweeted);
        feed.append(batch.len());
        next = batch.end;
    }
}

/// Reads the replies as the network's gateway does, and tells how long each prompt took.
struct Watch {
    /// When the post was due, by its id.
    tweeted: Arc<Mutex<HashMap<u64, Instant>>>,
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Histogram<u64>>,
}

impl Watch {
    fn start(log: Arc<dyn Bus>) -> Watch {
        let (tweeted, over): (Arc<Mutex<HashMap<u64, Instant>>>, Arc<AtomicBool>) = Default::default();
        let thread = {
            let (tweeted, over) = (tweeted.clone(), over.clone());
            std::thread::spawn(move || watch(&*log, &tweeted, &over))
        };
        Watch { tweeted, over, thread }
    }

    /// Milliseconds from tweet to visible prompt.
    fn stop(self) -> Histogram<u64> {
        self.over.store(true, Ordering::Release);
        self.thread.join().expect("it reads")
    }
}

fn watch(log: &dyn Bus, tweeted: &Mutex<HashMap<u64, Instant>>, over: &AtomicBool) -> Histogram<u64> {
    let mut waits = Histogram::new(3).expect("three digits are allowed");
    let mut reader = log.reader().expect("the cluster is up");
    let count = log.partitions("replies").expect("it is there");
    let mut positions: Vec<u64> = vec![0; count as usize];
    loop {
        // Looked at before the last round, so that nothing is left behind.
        let last = over.load(Ordering::Acquire);
        for (partition, position) in positions.iter_mut().enumerate() {
            let at = TopicPartition::new("replies", partition as u32);
            let mut seen = Vec::new();
            let next = reader.read(&at, *position, Budget::BULK, &mut |record| {
                seen.push(serde_json::from_slice::<Value>(record.value.unwrap_or_default()).expect("replies are JSON"));
            });
            *position = next.expect("the cluster is up");
            for reply in seen.iter().filter(|reply| reply["kind"] == "prompt") {
                let id = reply["in_reply_to"].as_str().and_then(|id| id.parse().ok()).expect("it answers a post");
                let due = tweeted.lock().expect("nobody panics with it").remove(&id);
                let due = due.unwrap_or_else(|| panic!("a second prompt, or one to nothing: {reply}"));
                waits.record(due.elapsed().as_millis() as u64).expect("it is in range");
            }
        }
        if last {
            return waits;
        }
    }
}
