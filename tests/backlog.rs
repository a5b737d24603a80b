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
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use support::firehose::{Firehose, OFFERS, Plan, Post, SCARCE, Truth, WINDOW_MS, Words, offer_of};
use support::outputs::{is_id, values};
use support::{Gateway, House, asked, first_seed};

const HOUR_MS: i64 = 3_600_000;
const PARTITIONS: u32 = 4;
const LAGGING: u32 = 3;

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

/// How the partitions come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The other partitions to their ends, then the lagging one in pieces.
    LaggardLast,
    /// All at the pace of event time, the lagging one an hour behind.
    HourBehind,
    /// Pieces of any partition, at random.
    Pieces,
    /// Everything is there when the program starts.
    AllAtOnce,
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
        stops: false,
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

/// (partition, posts), in the order in which they are appended.
fn pieces(firehose: &Firehose, order: Order) -> Vec<(u32, Vec<Post>)> {
    let mut random = SmallRng::seed_from_u64(firehose.plan.seed);
    let all: Vec<Vec<Post>> = (0..PARTITIONS).map(|partition| firehose.of_partition(partition)).collect();
    let whole = |partition: u32| (partition, all[partition as usize].clone());
    let mut pieces = Vec::new();
    match order {
        Order::AllAtOnce => pieces.extend((0..PARTITIONS).map(whole)),
        Order::LaggardLast => {
            pieces.extend((0..LAGGING).map(whole));
            let behind = &all[LAGGING as usize];
            pieces.extend(behind.chunks(behind.len() / 7 + 1).map(|piece| (LAGGING, piece.to_vec())));
        }
        Order::HourBehind => {
            let comes = |p: usize, post: &Post| post.arrival + if p == LAGGING as usize { HOUR_MS } else { 0 };
            let (mut next, mut now) = ([0; PARTITIONS as usize], 0);
            while (0..all.len()).any(|p| next[p] < all[p].len()) {
                let first = (0..all.len()).filter_map(|p| all[p].get(next[p]).map(|post| comes(p, post))).min();
                now = first.unwrap_or(now).max(now) + random.random_range(60_000..1_200_000);
                for (p, posts) in all.iter().enumerate() {
                    let upto = next[p] + posts[next[p]..].partition_point(|post| comes(p, post) <= now);
                    if upto > next[p] {
                        pieces.push((p as u32, posts[next[p]..upto].to_vec()));
                    }
                    next[p] = upto;
                }
            }
        }
        Order::Pieces => {
            let mut rest: Vec<&[Post]> = all.iter().map(Vec::as_slice).collect();
            while rest.iter().any(|posts| !posts.is_empty()) {
                let p = random.random_range(0..rest.len());
                let (piece, more) = rest[p].split_at(random.random_range(0..=rest[p].len().min(2_500)));
                pieces.push((p as u32, piece.to_vec()));
                rest[p] = more;
            }
        }
    }
    pieces
}

/// Payments and orders are exactly those that are due.
fn compare(bus: &dyn Bus, firehose: &Firehose, what: &str) {
    let truth = firehose.truth();
    let payments = values(bus, "payments.authorized");
    let paid = by_purchase(&payments, what);
    let ordered = by_purchase(&values(bus, "fulfilment.orders"), what);
    assert_eq!(paid.keys().collect::<Vec<_>>(), ordered.keys().collect::<Vec<_>>(), "{what}: payments and orders");
    let mut unpaid: Truth = truth.clone();
    let mut scarce_paid = 0;
    for payment in paid.values() {
        let key = (user_of(payment), offer_of(payment["offer"].as_str().expect("an offer")));
        let due = unpaid.remove(&key).unwrap_or_else(|| panic!("{what}: not due, or twice: {payment}"));
        let confirm = due.confirms.iter().any(|(_, id)| is_id(&payment["confirm_post"], *id));
        assert!(confirm && is_id(&payment["order_post"], due.order_post), "{what}: {payment} against {due:?}");
        scarce_paid += u64::from(key.1 == SCARCE);
    }
    let missed: Vec<_> = unpaid.iter().filter(|(_, due)| !due.confirms.is_empty()).collect();
    let sold_out = check_scarce(bus, &missed, scarce_paid, what);
    let missed: Vec<_> = missed.into_iter().filter(|((_, offer), _)| *offer != SCARCE).collect();
    assert!(missed.is_empty(), "{what}: {} payments are missing, such as {:?}", missed.len(), missed[0]);
    assert_eq!(ends(bus, "expired"), unpaid.len() - sold_out, "{what}: what is not paid expires");
    assert_eq!(ends(bus, "fulfilled"), paid.len(), "{what}");
    println!(
        "{what}: {} buys, {} payments, {} expired, {sold_out} sold out",
        truth.len(),
        paid.len(),
        ends(bus, "expired")
    );
}

/// Who gets the last units depends on the order of reading, but not how many there are, nor what comes of who got one.
fn check_scarce(bus: &dyn Bus, missed: &[(&(u64, u8), &support::firehose::Due)], paid: u64, what: &str) -> usize {
    let sold_out: BTreeSet<String> = values(bus, "purchases.events")
        .iter()
        .filter(|event| event["to"] == "sold_out")
        .map(|event| event["account"].as_str().expect("an account").to_owned())
        .collect();
    assert!(OFFERS[usize::from(SCARCE)].1.is_some_and(|units| paid <= units), "{what}: I4, {paid} were sold");
    for ((user, offer), due) in missed {
        let excused = *offer != SCARCE || sold_out.contains(&format!("twitter:{user}"));
        assert!(excused, "{what}: {user} held a unit and confirmed in time: {due:?}");
    }
    sold_out.len()
}

fn ends(bus: &dyn Bus, state: &str) -> usize {
    let ended = |event: &&Value| event["to"] == state && event["from"] != state;
    values(bus, "purchases.events").iter().filter(ended).count()
}

fn by_purchase(values: &[Value], what: &str) -> BTreeMap<String, Value> {
    let id = |value: &Value| value["purchase"].as_str().expect("a purchase").to_owned();
    let by_id: BTreeMap<String, Value> = values.iter().map(|value| (id(value), value.clone())).collect();
    assert_eq!(by_id.len(), values.len(), "{what}: I2, a purchase twice");
    by_id
}

fn user_of(value: &Value) -> u64 {
    let user = value["account"].as_str().and_then(|account| account.strip_prefix("twitter:"));
    user.and_then(|user| user.parse().ok()).expect("an account")
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
