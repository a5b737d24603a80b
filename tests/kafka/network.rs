//! A network that breaks connections and loses, or brings late, the requests that end transactions.

use std::time::Duration;

use pay_by_tweet::bus::kafka::Kafka;
use pay_by_tweet::pipeline::Producer;

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

/// Somebody's transaction that stays open is no lag, since nobody can read what it holds back; it is told all the same.
pub fn an_open_transaction_is_told(cluster: &Cluster) {
    let trial = Trial::new(500, 13);
    let site = trial.site(cluster, "held.");
    let mut flock = Flock::start(&site, 1);
    let mut feed = Feed::new(&site, &trial.firehose);
    flock.await_drained();
    // Whoever is only scraped looks every five seconds.
    let patient = [("bootstrap.servers", cluster.bootstrap()), ("transaction.timeout.ms", "60000".to_owned())];
    let patient = patient.map(|(name, value)| (name.to_owned(), value)).into();
    let patient = Kafka::new(patient, "held.").expect("the properties are good");
    let mut somebody = Producer::new(&patient, "somebody").expect("the cluster is up");
    somebody.send("tweets", Some(0), None, Some(b"{}")).expect("the cluster is up");
    let held = |flock: &Flock<'_>| flock.told("pay_by_tweet_open_transaction_seconds").into_iter().fold(0.0, f64::max);
    flock.until("nobody tells of the open transaction", |flock| held(flock) >= 1.0);
    assert!(flock.told("pay_by_tweet_lag_records").iter().all(|lag| *lag == 0.0));
    somebody.commit(&[]).expect("the cluster is up");
    flock.until("the transaction is told of for ever", |flock| held(flock) == 0.0);
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.stop();
    trial.check(cluster, &site, "a transaction that was open");
}
