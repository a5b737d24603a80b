//! An uneven backlog: four source partitions, one of them an hour behind, buys in one and their confirms in another, so
//! that confirms are read before their buys. Every payment that is due must be made, and none that is not.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pay_by_tweet::app::{App, StageSet};
use pay_by_tweet::bus::Bus;
use pay_by_tweet::bus::embedded::Embedded;
use pay_by_tweet::clock::VirtualClock;
use pay_by_tweet::domain::{SourceId, Span, Time};
use pay_by_tweet::pipeline::{InlinePipeline, embedded_options};
use pay_by_tweet::screen::setup::Topology;
use support::due::compare;
use support::firehose::{Firehose, Plan, Post, WINDOW_MS, Words};
use support::pieces::{HOUR_MS, Order, PARTITIONS, pieces};
use support::{Gateway, House, asked, first_seed};

#[test]
fn every_payment_that_is_due_and_none_that_is_not() {
    let posts = asked("POSTS", 300_000) as usize;
    check(Plan { posts, ..plan(first_seed()) }, Order::LaggardLast);
}

#[test]
fn whatever_the_order_in_which_the_backlog_comes() {
    for seed in first_seed()..first_seed() + asked("SEEDS", 3) {
        let small = Plan { posts: 20_000, shoppers: 400, ..plan(seed) };
        check(small, Order::HourBehind);
        check(small, Order::Pieces);
        check(small, Order::AllAtOnce);
    }
}

/// With threads: two screen workers, of which one reads the partition that lags.
#[test]
fn with_two_screen_workers() {
    let plan = Plan { posts: 60_000, ..plan(first_seed()) };
    let house = House::new("", LIMITS_OUT_OF_THE_WAY);
    let mut settings = house.settings.clone();
    (settings.workers.screen, settings.workers.accounts) = (2, 2);
    let firehose = Firehose::new(plan);
    let clock = VirtualClock::at(Time(firehose.end_ms()));
    let options = embedded_options(&settings, {
        let clock = clock.clone();
        Arc::new(clock)
    });
    let log = Embedded::open_on(redb::backends::InMemoryBackend::new(), options).expect("memory works");
    let log: Arc<dyn Bus> = Arc::new(log);
    let app =
        App::start(&settings, log.clone(), Arc::new(clock.clone()), topology(), StageSet::ALL).expect("it starts");
    let mut gateway = Gateway::new(&log);
    gateway.append("accounts.links", 0, firehose.links());
    wait(&app, &clock, || app.drained().expect("the log is open"));
    for (partition, posts) in pieces(&firehose, Order::LaggardLast) {
        gateway.append("tweets", partition, posts.iter().map(Post::record));
        wait(&app, &clock, || app.drained().expect("the log is open"));
    }
    app.screen.topology.end();
    wait(&app, &clock, || app.screen.topology.has_moved() && app.drained().expect("the log is open"));
    app.stop(Duration::from_secs(10)).expect("it stops");
    compare(&*log, &firehose, "two screen workers");
}

const LIMITS_OUT_OF_THE_WAY: &str = "[limits]\npending_per_account = 100\n";

fn plan(seed: u64) -> Plan {
    let disorder_ms = 299_000;
    Plan {
        seed,
        posts: 0,
        shoppers: 1_200,
        partitions: PARTITIONS,
        span_ms: 3 * HOUR_MS,
        disorder_ms,
        scarce: true,
        ..Plan::default()
    }
}

fn topology() -> Topology {
    let source = |partition| SourceId { topic: "tweets".to_owned(), partition };
    Topology::new((0..PARTITIONS).map(source).collect(), false)
}

fn check(plan: Plan, order: Order) {
    println!("{plan:?}, {order:?}");
    let started = Instant::now();
    let firehose = Firehose::new(plan);
    let house = House::new("", LIMITS_OUT_OF_THE_WAY);
    let clock = VirtualClock::at(Time(firehose.end_ms()));
    let options = embedded_options(&house.settings, {
        let clock = clock.clone();
        Arc::new(clock)
    });
    let bus = Embedded::open_on(redb::backends::InMemoryBackend::new(), options).expect("memory works");
    let bus = Arc::new(bus);
    let log: Arc<dyn Bus> = bus.clone();
    let mut pipeline = InlinePipeline::on(bus, clock, &house.settings, &house.offers, topology()).expect("it starts");
    let mut gateway = Gateway::new(&log);
    gateway.append("accounts.links", 0, firehose.links());
    let pieces = pieces(&firehose, order);
    for (partition, posts) in &pieces {
        gateway.append("tweets", *partition, posts.iter().map(Post::record));
        if order != Order::AllAtOnce {
            pipeline.run().expect("it runs");
        }
    }
    pipeline.end_of_input().expect("it runs");
    compare(&*log, &firehose, &format!("seed {}, {order:?}", plan.seed));
    missed_by_naive_judging(&firehose, &pieces, order);
    println!("{:.1} s", started.elapsed().as_secs_f64());
}

/// The negative control. A job that judges in the order of reading, by the highest time that it has read so far less
/// five minutes, and keeps no confirm for a buy that comes later, must fail on this input, or the input proves nothing.
fn missed_by_naive_judging(firehose: &Firehose, pieces: &[(u32, Vec<Post>)], order: Order) {
    const GRACE_MS: i64 = 300_000;
    let mut waits: BTreeMap<(u64, u8), i64> = BTreeMap::new();
    let (mut clock, mut paid) = (i64::MIN, BTreeSet::new());
    for post in pieces.iter().flat_map(|(_, posts)| posts) {
        clock = clock.max(post.time);
        match post.words {
            Words::Buy(offer) => drop(waits.entry((post.author, offer)).or_insert(post.time)),
            Words::Confirm(offer) => {
                let key = (post.author, offer);
                let in_time = |bought: i64| {
                    (bought..=bought + WINDOW_MS).contains(&post.time) && clock - GRACE_MS <= bought + WINDOW_MS
                };
                if waits.get(&key).is_some_and(|bought| in_time(*bought)) {
                    paid.insert(key);
                }
            }
            _ => {}
        }
    }
    let truth = firehose.truth();
    let due = truth.iter().filter(|(_, due)| !due.confirms.is_empty()).count();
    let missed = truth.iter().filter(|(key, due)| !due.confirms.is_empty() && !paid.contains(*key)).count();
    let share = missed as f64 / due as f64;
    println!(
        "naive judging in the order of reading ({order:?}) misses {missed} of {due} payments: {:.0} %",
        share * 100.0
    );
    assert!(share > 0.05, "this input is no trial");
}

/// Until it is done. The clock goes on meanwhile: workers look at each other's progress by it.
fn wait(app: &App, clock: &VirtualClock, mut done: impl FnMut() -> bool) {
    const LOOK_EVERY: Duration = Duration::from_millis(5);
    while !done() {
        clock.advance(Span(20));
        if let Some(failure) = app.failure(LOOK_EVERY) {
            panic!("{}: {}", failure.worker, failure.why);
        }
    }
}
