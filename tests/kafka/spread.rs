//! Posts of one conversation spread over the partitions, one of which comes last: several processes read them.

use super::cluster::Cluster;
use super::flock::Flock;
use super::site::Site;
use super::support::due::compare;
use super::support::firehose::{Firehose, Plan, Post};
use super::support::pieces::{HOUR_MS, Order, PARTITIONS, pieces};
use super::support::{Gateway, House, asked, first_seed};

/// Every payment that is due and no other, whoever reads which partition.
pub fn posts_may_be_spread_and_uneven(cluster: &Cluster) {
    let plan = Plan {
        seed: first_seed(),
        posts: asked("POSTS", 20_000) as usize,
        shoppers: 400,
        partitions: PARTITIONS,
        span_ms: 3 * HOUR_MS,
        disorder_ms: 299_000,
        scarce: true,
        ..Plan::default()
    };
    println!("{plan:?}");
    let firehose = Firehose::new(plan);
    let limits = format!("[topics]\npartitions = {PARTITIONS}\n[limits]\npending_per_account = 100\n");
    let house = House::new("idle_after = \"0s\"\n", &limits);
    for (processes, order) in [(1, Order::AllAtOnce), (3, Order::LaggardLast)] {
        let site = Site::on(&house.config, cluster, &format!("spread-{processes}."));
        let mut flock = Flock::start(&site, processes);
        let mut gateway = Gateway::new(&site.bus());
        gateway.append("accounts.links", 0, firehose.links());
        flock.await_drained();
        for (partition, posts) in pieces(&firehose, order) {
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
        compare(&*site.bus(), &firehose, &format!("{processes} processes, {order:?}"));
        site.succeed(&["audit"]);
    }
}
