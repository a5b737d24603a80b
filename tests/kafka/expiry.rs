//! A great many purchases that end at the same moment: an offer that everybody wanted, and a day on which nobody
//! confirmed. What ends them must fit into transactions that the cluster does not give up.

use std::time::Instant;

use pay_by_tweet::bus::{Budget, ends_of};

use super::cluster::Cluster;
use super::flock::Flock;
use super::site::Site;
use super::storm::{Crowd, PARTITIONS};
use super::support::{House, asked};

/// Longer than a confirm window and all allowances.
const LATER_MS: u64 = 3_600_000;

/// One process holds them all. `ROOM` is `limits.transaction_records`, a million at most.
pub fn everything_ends_at_once(cluster: &Cluster) {
    let (pending, room) = (asked("PENDING", 300_000), asked("ROOM", 60_000));
    let limits = format!("[topics]\npartitions = {PARTITIONS}\n[limits]\ntransaction_records = {room}\n");
    let house = House::new("idle_after = \"0s\"\n", &limits);
    let site = Site::on(&house.config, cluster, "expiry.");
    let mut flock = Flock::start(&site, 1);
    let mut crowd = Crowd::new(&site, pending);
    flock.await_drained();
    // All within a millisecond of each other.
    crowd.order(pending, 0);
    flock.await_drained();
    let begun = Instant::now();
    // Time passes on every partition of the source, as the second post after the pause tells.
    for _ in 0..2 {
        crowd.pause(LATER_MS);
        crowd.order(u64::from(PARTITIONS), 0);
    }
    flock.await_drained();
    let (took, given_up) = (begun.elapsed(), flock.told("pay_by_tweet_worker_aborts_total").iter().sum::<f64>());
    flock.stop();
    assert_eq!(expired(&site), pending, "each of them ends, once");
    println!("{pending} purchases ended in {:.1} s, {given_up} transactions were given up", took.as_secs_f64());
    print!("{}", String::from_utf8_lossy(&site.succeed(&["audit"])));
    assert_eq!(cluster.open_transactions(), Vec::<String>::new());
}

/// Purchases that were told to have expired.
fn expired(site: &Site<'_>) -> u64 {
    let log = site.bus();
    let mut reader = log.reader().expect("the cluster is up");
    let mut count = 0;
    for (at, end) in ends_of(&*log, &mut *reader, "purchases.events").expect("the cluster is up") {
        let mut next = 0;
        while next < end {
            let visit = &mut |record: pay_by_tweet::bus::RecordRef<'_>| {
                let event = serde_json::from_slice::<serde_json::Value>(record.value.unwrap_or_default());
                count += u64::from(event.expect("it is JSON")["to"] == "expired");
            };
            next = reader.read(&at, next, Budget::BULK, visit).expect("the cluster is up");
        }
    }
    count
}
