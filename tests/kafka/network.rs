//! A network that breaks connections and loses, or brings late, the requests that end transactions.

use std::time::Duration;

use super::cluster::Cluster;
use super::flock::Flock;
use super::kills::Feed;
use super::proxy::Mishap;
use super::site::Site;
use super::support::due::compare;
use super::support::firehose::{Firehose, Plan};
use super::support::{House, asked, first_seed};

const PARTITIONS: u32 = 3;
/// Mishaps come so far apart: the client connects again after some tens of milliseconds.
const BETWEEN: Duration = Duration::from_millis(300);

/// No transaction is torn, lost or doubled, whatever the network does to its end.
pub fn ends_of_transactions_get_lost_or_come_late(cluster: &Cluster) {
    let each = asked("MISHAPS", 3);
    let posts = asked("POSTS", 3_000) as usize;
    let plan = Plan {
        seed: first_seed(),
        posts,
        shoppers: posts as u64 / 12,
        partitions: PARTITIONS,
        span_ms: 3_600_000,
        ..Plan::default()
    };
    println!("{plan:?}, {each} mishaps of each kind");
    let firehose = Firehose::new(plan);
    let settings = format!("[topics]\npartitions = {PARTITIONS}\n[limits]\npending_per_account = 100\n");
    let house = House::new("idle_after = \"0s\"\n", &settings);
    let site = Site::on(&house.config, cluster, "network.");
    let proxied =
        Site { config: site.config, kafka: Some((cluster.proxied(), "network.".to_owned())), more: Vec::new() };
    let mut flock = Flock::start(&proxied, 2);
    let mut feed = Feed::new(&site, &firehose);
    let kinds = [Some(Mishap::RequestLost), Some(Mishap::AnswerLost), Some(Mishap::RequestLate), None];
    let slice = posts / (each as usize * kinds.len() * 2);
    let proxy = cluster.proxy(0);
    for _ in 0..each {
        for kind in kinds {
            match kind {
                // Every connection breaks, in the middle of whatever is under way.
                None => {
                    feed.append(slice);
                    flock.await_progress();
                    proxy.cut();
                }
                Some(mishap) => {
                    let (before, brought) = (proxy.arm(mishap), proxy.brought());
                    feed.append(slice);
                    flock.until("no transaction ends", |_| proxy.happened() > before);
                    if mishap == Mishap::RequestLate {
                        flock.until("it never comes", |_| proxy.brought() > brought);
                    }
                }
            }
            feed.append(slice);
            std::thread::sleep(BETWEEN);
        }
    }
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.stop();
    println!("{} mishaps, of which {} late requests came after all", proxy.happened(), proxy.brought());
    assert_eq!((proxy.happened(), proxy.brought()), (3 * each, each));
    compare(&*site.bus(), &firehose, "a bad network");
    site.succeed(&["audit"]);
    assert_eq!(cluster.open_transactions(), Vec::<String>::new());
}

/// The broker can't be reached for a while, from any process: they wait, and go on by themselves.
pub fn the_cluster_is_away_for_a_while(cluster: &Cluster) {
    let plan = Plan {
        seed: first_seed(),
        posts: 2_000,
        shoppers: 150,
        partitions: PARTITIONS,
        span_ms: 3_600_000,
        ..Plan::default()
    };
    let firehose = Firehose::new(plan);
    let settings = format!("[topics]\npartitions = {PARTITIONS}\n[limits]\npending_per_account = 100\n");
    let house = House::new("idle_after = \"0s\"\n", &settings);
    let site = Site::on(&house.config, cluster, "away.");
    let proxied = Site { config: site.config, kafka: Some((cluster.proxied(), "away.".to_owned())), more: Vec::new() };
    let mut flock = Flock::start(&proxied, 2);
    let mut feed = Feed::new(&site, &firehose);
    feed.append(1_000);
    flock.await_progress();
    cluster.proxy(0).refuse(true);
    // Past the session's and the transactions' timeouts.
    std::thread::sleep(Duration::from_secs(8));
    cluster.proxy(0).refuse(false);
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.stop();
    compare(&*site.bus(), &firehose, "a cluster that was away");
    site.succeed(&["audit"]);
    assert_eq!(cluster.open_transactions(), Vec::<String>::new());
}
