//! A network that breaks connections and loses, or brings late, the requests that end transactions.

use std::time::Duration;

use super::cluster::Cluster;
use super::flock::Flock;
use super::proxy::Mishap;
use super::support::asked;
use super::trial::{Feed, Trial};

/// Mishaps come so far apart: the client connects again after some tens of milliseconds.
const BETWEEN: Duration = Duration::from_millis(300);

/// No transaction is torn, lost or doubled, whatever the network does to its end.
pub fn ends_of_transactions_get_lost_or_come_late(cluster: &Cluster) {
    let each = asked("MISHAPS", 3);
    let posts = asked("POSTS", 3_000) as usize;
    let trial = Trial::new(posts, 12);
    println!("{each} mishaps of each kind");
    let site = trial.site(cluster, "network.");
    let proxied = site.behind_proxies(cluster);
    let mut flock = Flock::start(&proxied, 2);
    let mut feed = Feed::new(&site, &trial.firehose);
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
    trial.check(cluster, &site, "a bad network");
}

/// The broker can't be reached for a while, from any process: they wait, and go on by themselves.
pub fn the_cluster_is_away_for_a_while(cluster: &Cluster) {
    let trial = Trial::new(2_000, 13);
    let site = trial.site(cluster, "away.");
    let proxied = site.behind_proxies(cluster);
    let mut flock = Flock::start(&proxied, 2);
    let mut feed = Feed::new(&site, &trial.firehose);
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
    trial.check(cluster, &site, "a cluster that was away");
}
