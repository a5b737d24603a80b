//! How long it takes from a tweet to its prompt, as the network's gateway sees it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use pay_by_tweet::bus::{Budget, Bus, TopicPartition};
use serde_json::Value;

use super::support::firehose::Words;
use super::trial::Feed;

/// A look at all replies costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Appends the posts at an even pace, whatever the program does; those that are due at once together.
pub fn pace(feed: &mut Feed<'_>, within: Duration, watch: &Watch) {
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
pub struct Watch {
    /// When the post was due, by its id.
    tweeted: Arc<Mutex<HashMap<u64, Instant>>>,
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Histogram<u64>>,
}

impl Watch {
    /// Counts posts that are due after a while: a cluster that was just started is slow at first.
    pub fn start(log: Arc<dyn Bus>, warm_up: Duration) -> Watch {
        let counts_from = Instant::now() + warm_up;
        let (tweeted, over): (Arc<Mutex<HashMap<u64, Instant>>>, Arc<AtomicBool>) = Default::default();
        let thread = {
            let (tweeted, over) = (tweeted.clone(), over.clone());
            std::thread::spawn(move || watch(&*log, &tweeted, &over, counts_from))
        };
        Watch { tweeted, over, thread }
    }

    /// Milliseconds from tweet to visible prompt.
    pub fn stop(self) -> Histogram<u64> {
        self.over.store(true, Ordering::Release);
        self.thread.join().expect("it reads")
    }
}

/// Of milliseconds, in words.
pub fn spread(waits: &Histogram<u64>) -> String {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| waits.value_at_quantile(q));
    format!("p50 {p50} ms, p99 {p99} ms, longest {max} ms")
}

fn watch(
    log: &dyn Bus,
    tweeted: &Mutex<HashMap<u64, Instant>>,
    over: &AtomicBool,
    counts_from: Instant,
) -> Histogram<u64> {
    let mut waits = Histogram::new(3).expect("three digits are allowed");
    let mut reader = log.reader().expect("the cluster is up");
    let all = log.all_of("replies").expect("it is there");
    let mut positions: Vec<(TopicPartition, u64)> = all.iter().map(|at| (at.clone(), 0)).collect();
    loop {
        let last = over.load(Ordering::Acquire);
        let mut seen = Vec::new();
        let read = reader.read_all(&mut positions, Budget::BULK, &mut |_, record| {
            seen.push(serde_json::from_slice::<Value>(record.value.unwrap_or_default()).expect("replies are JSON"));
        });
        read.expect("the cluster is up");
        for reply in seen.iter().filter(|reply| reply["kind"] == "prompt") {
            let id = reply["in_reply_to"].as_str().and_then(|id| id.parse().ok()).expect("it answers a post");
            let due = tweeted.lock().expect("nobody panics with it").remove(&id);
            let due = due.unwrap_or_else(|| panic!("a second prompt, or one to nothing: {reply}"));
            if due >= counts_from {
                waits.record(due.elapsed().as_millis() as u64).expect("it is in range");
            }
        }
        if last {
            let ends = reader.ends(&all).expect("the cluster is up");
            if positions.iter().zip(ends).all(|((_, position), end)| *position >= end) {
                return waits;
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
