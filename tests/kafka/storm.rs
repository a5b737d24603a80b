//! Processes that join and leave all the time while a million purchases are pending: how long partitions stand still,
//! and what a restore costs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use pay_by_tweet::bus::Bus;
use pay_by_tweet::engine::worker::group_of;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::cluster::Cluster;
use super::flock::Flock;
use super::raw;
use super::site::Site;
use super::support::firehose::{FIRST_SHOPPER, Firehose, Plan, Post, SNOWFLAKE_EPOCH_MS, START_MS, Words};
use super::support::{Gateway, House, asked, first_seed};
use super::watch::spread;

pub const PARTITIONS: u32 = 12;
const INBOX: &str = "accounts.inbox";
const CHANGELOG: &str = "accounts.changelog";
/// Those who are pending bought within this time, so that nothing expires.
const BOUGHT_WITHIN_MS: u64 = 60_000;
/// Posts that come while processes join and leave, and how often.
const LIVE_POSTS: u64 = 24;
const LIVE_EVERY: Duration = Duration::from_millis(50);
/// Shoppers who come while processes join and leave.
const LIVE_SHOPPERS: u64 = 200_000;
/// A partition works again once its position was committed so often.
const COMMITS: usize = 5;
const WAIT: Duration = Duration::from_secs(20);

/// Nothing is lost or doubled, whoever comes and goes.
pub fn processes_come_and_go(cluster: &Cluster) {
    let (pending, changes) = (asked("PENDING", 1_000_000), asked("CHANGES", 32));
    let house = House::new("idle_after = \"0s\"\n", &format!("[topics]\npartitions = {PARTITIONS}\n"));
    let site = Site::on(&house.config, cluster, "storm.");
    let mut flock = Flock::start(&site, 3);
    let mut crowd = Crowd::new(&site, pending);
    flock.await_drained();
    let begun = Instant::now();
    crowd.order(pending, BOUGHT_WITHIN_MS * 1_000 / pending.max(1));
    flock.await_drained();
    println!("{pending} links and purchases in {:.1} s", begun.elapsed().as_secs_f64());
    let group = Group::of(&site);
    let (over, seen) = (AtomicBool::new(false), Mutex::new(vec![Vec::new(); PARTITIONS as usize]));
    let events = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                crowd.order(LIVE_POSTS, 40);
                std::thread::sleep(LIVE_EVERY);
            }
        });
        scope.spawn(|| group.watch(&seen, &over));
        let events = storm(&mut flock, &group, &seen, changes);
        over.store(true, Ordering::Release);
        events
    });
    flock.await_drained();
    tell(&events, &seen.into_inner().expect("nobody panics with it"));
    for index in 0..3 {
        println!("p{index}: {} MB resident", flock.resident_bytes(index) / 1_000_000);
    }
    flock.stop();
    print!("{}", String::from_utf8_lossy(&site.succeed(&["audit"])));
    assert_eq!(cluster.open_transactions(), Vec::<String>::new());
    restores(&site);
}

/// One change of who is in the group.
struct Event {
    at: Instant,
    joined: bool,
    before: Owners,
    after: Owners,
}

/// The client that has each partition.
type Owners = BTreeMap<u32, String>;
/// When each partition's position was seen to move.
type Seen = Mutex<Vec<Vec<Instant>>>;

fn storm(flock: &mut Flock<'_>, group: &Group, seen: &Seen, changes: u64) -> Vec<Event> {
    let mut random = SmallRng::seed_from_u64(first_seed());
    let mut events: Vec<Event> = Vec::new();
    let mut down = None;
    for _ in 0..changes {
        let before = group.owners();
        let at = Instant::now();
        let joined = down.is_some();
        match down.take() {
            Some(index) => flock.launch(index),
            None => {
                let index = random.random_range(1..3);
                flock.leave(index);
                down = Some(index);
            }
        }
        let mut after = Owners::new();
        flock.until("partitions stand still", |_| {
            after = group.owners();
            let works =
                |times: &Vec<Instant>| times.iter().rev().take(COMMITS).filter(|time| **time > at).count() == COMMITS;
            let all_work = seen.lock().expect("nobody panics with it").iter().all(works);
            all_work && after.len() == PARTITIONS as usize && after != before
        });
        events.push(Event { at, joined, before, after });
    }
    down.into_iter().for_each(|index| flock.launch(index));
    events
}

/// How long partitions stood still around each change: those that stayed where they were, and those that moved.
fn tell(events: &[Event], seen: &[Vec<Instant>]) {
    for joined in [false, true] {
        let (mut stayed, mut moved) = (histogram(), histogram());
        for (index, event) in events.iter().enumerate().filter(|(_, event)| event.joined == joined) {
            let end = events.get(index + 1).map_or_else(Instant::now, |next| next.at);
            for (partition, times) in (0..).zip(seen) {
                let pause = times.windows(2).filter(|pair| pair[1] > event.at && pair[0] < end);
                let longest = pause.map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
                let kept = event.before.get(&partition) == event.after.get(&partition);
                let histogram = if kept { &mut stayed } else { &mut moved };
                histogram.record(longest.as_millis() as u64).expect("it is in range");
            }
        }
        let what = if joined { "joins" } else { "leaves" };
        for (which, pauses) in [("stayed", stayed), ("moved", moved)] {
            println!("one {what}: {} partitions {which}: stood still {}", pauses.len(), spread(&pauses));
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

/// The group of the accounts, seen from outside.
struct Group {
    log: Arc<dyn Bus>,
    /// Of the cluster, for what the log does not tell: who has what.
    consumer: BaseConsumer,
    name: String,
    inbox: String,
}

impl Group {
    fn of(site: &Site<'_>) -> Group {
        let (brokers, prefix) = site.kafka.clone().expect("it is on a cluster");
        let name = format!("{prefix}{}", group_of("accounts"));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", &name);
        let consumer = config.create().expect("the properties are good");
        Group { log: site.bus(), consumer, name, inbox: format!("{prefix}{INBOX}") }
    }

    /// Looks at the positions until it is over.
    fn watch(&self, seen: &Seen, over: &AtomicBool) {
        let all = self.log.all_of(INBOX).expect("it is there");
        let mut last = vec![None; all.len()];
        while !over.load(Ordering::Acquire) {
            let Ok(positions) = self.log.positions(&group_of("accounts"), &all) else { continue };
            let now = Instant::now();
            let mut seen = seen.lock().expect("nobody panics with it");
            for ((last, position), seen) in last.iter_mut().zip(positions).zip(seen.iter_mut()) {
                if *last != position {
                    *last = position;
                    seen.push(now);
                }
            }
            drop(seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// As the group's coordinator tells; empty while it is being handed out.
    fn owners(&self) -> Owners {
        let groups = self.consumer.fetch_group_list(Some(&self.name), WAIT).expect("the cluster is up");
        let members =
            groups.groups().iter().filter(|group| group.state() == "Stable").flat_map(|group| group.members());
        let mut owners = Owners::new();
        for member in members {
            let partitions = partitions_of(member.assignment().unwrap_or_default(), &self.inbox);
            owners.extend(partitions.map(|partition| (partition, member.client_id().to_owned())));
        }
        owners
    }
}

/// The partitions of a topic in a member's assignment: a version, then topics with their partitions
/// (`ConsumerProtocolAssignment.json` of Kafka).
fn partitions_of(assignment: &[u8], topic: &str) -> impl Iterator<Item = u32> {
    let name = [&(topic.len() as u16).to_be_bytes()[..], topic.as_bytes()].concat();
    let begin = assignment.windows(name.len()).position(|part| part == name).map(|at| at + name.len());
    let number = |at: usize| u32::from_be_bytes(assignment[at..at + 4].try_into().expect("four bytes"));
    let found: Vec<u32> =
        begin.map_or_else(Vec::new, |at| (1..=number(at)).map(|n| number(at + 4 * n as usize)).collect());
    found.into_iter()
}

/// Shoppers who order one thing each, one after the other.
pub struct Crowd {
    gateway: Gateway,
    ordered: u64,
    /// Microseconds of event time.
    time: u64,
}

impl Crowd {
    /// All of them have linked a card.
    pub fn new(site: &Site<'_>, pending: u64) -> Crowd {
        let mut gateway = Gateway::new(&site.bus());
        let shoppers = pending + LIVE_SHOPPERS;
        gateway.append(
            "accounts.links",
            0,
            Firehose { plan: Plan { shoppers, ..Plan::default() }, posts: Vec::new() }.links(),
        );
        Crowd { gateway, ordered: 0, time: 0 }
    }

    /// So many more order, so many microseconds after each other.
    pub fn order(&mut self, count: u64, apart: u64) {
        let first = self.ordered;
        let posts = |partition: u64| {
            let mine = (first..first + count).filter(move |n| n % u64::from(PARTITIONS) == partition);
            let time = self.time;
            mine.map(move |n| order(n, START_MS + ((time + (n - first) * apart) / 1_000) as i64).record())
        };
        let all: Vec<_> = (0..u64::from(PARTITIONS)).map(posts).collect();
        for (partition, posts) in (0..).zip(all) {
            self.gateway.append("tweets", partition, posts);
        }
        self.ordered += count;
        self.time += count * apart;
    }

    /// For so long nobody orders anything.
    pub fn pause(&mut self, ms: u64) {
        self.time += ms * 1_000;
    }
}

fn order(n: u64, time: i64) -> Post {
    let id = (((time - SNOWFLAKE_EPOCH_MS) as u64) << 22) | (n & 0x3f_ffff);
    Post { id, time, arrival: time, partition: 0, author: FIRST_SHOPPER + n, words: Words::Buy(0), bytes: 0 }
}

/// A restore of everything by one process, against reading the same changelog and doing nothing.
fn restores(site: &Site<'_>) {
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let raw::Read { seconds: read, cpu: read_cpu, records } = raw::read(site, CHANGELOG, PARTITIONS);
        let begun = Instant::now();
        let mut flock = Flock::start(site, 1);
        flock.await_ready();
        let (whole, cpu) = (begun.elapsed().as_secs_f64(), flock.cpu_seconds(0));
        flock.stop();
        println!(
            "{records} records of the changelog: read raw in {read:.2} s, {read_cpu:.2} CPU s; one process ready in \
             {whole:.2} s, {cpu:.2} CPU s; ratios {:.2} and {:.2}",
            read / whole,
            read_cpu / cpu
        );
        rounds.push(read / whole);
    }
    rounds.sort_by(f64::total_cmp);
    println!("restore / raw read, records a second: median {:.2} (goal 0.5)", rounds[1]);
}
