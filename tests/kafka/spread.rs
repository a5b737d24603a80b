//! Posts of one conversation spread over the partitions, one of which comes last: several processes read them.

use super::cluster::Cluster;
use super::flock::Flock;
use super::support::firehose::{Plan, Post};
use super::support::pieces::{HOUR_MS, Order, PARTITIONS, pieces};
use super::support::{Gateway, asked};
use super::trial::Trial;

/// Every payment that is due and no other, whoever reads which partition.
pub fn posts_may_be_spread_and_uneven(cluster: &Cluster) {
    let trial = Trial::of(Plan {
        posts: asked("POSTS", 8_000) as usize,
        shoppers: 400,
        partitions: PARTITIONS,
        span_ms: 3 * HOUR_MS,
        disorder_ms: 299_000,
        scarce: true,
        ..Plan::default()
    });
    let firehose = &trial.firehose;
    for (processes, order) in [(1, Order::AllAtOnce), (3, Order::LaggardLast)] {
        let site = trial.site(cluster, &format!("spread-{processes}."));
        let mut flock = Flock::start(&site, processes);
        let mut gateway = Gateway::new(&site.bus());
        gateway.append("accounts.links", 0, firehose.links());
        flock.await_drained();
        for (partition, posts) in pieces(firehose, order) {
            gateway.append("tweets", partition, posts.iter().map(Post::record));
            if order == Order::LaggardLast {
                flock.await_drained();
            }
        }
        for partition in 0..PARTITIONS {
            gateway.append("tweets", partition, [firehose.closing().record()]);
        }
        flock.await_drained();
        flock.stop();
        trial.check(cluster, &site, &format!("{processes} processes, {order:?}"));
    }
}
