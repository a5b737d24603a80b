//! A firehose of shoppers for a cluster whose processes, brokers or network fail, and what must have come of it.

use super::cluster::Cluster;
use super::site::Site;
use super::support::due::compare;
use super::support::firehose::{Firehose, Plan, Post};
use super::support::{Gateway, House, first_seed};

pub struct Trial {
    pub firehose: Firehose,
    house: House,
}

impl Trial {
    /// An hour of event time on three sources, on one shopper so many posts.
    pub fn new(posts: usize, posts_per_shopper: u64) -> Trial {
        let shoppers = posts as u64 / posts_per_shopper;
        Trial::of(Plan { posts, shoppers, partitions: 3, span_ms: 3_600_000, ..Plan::default() })
    }

    /// The seed is that of the run. Nobody cancels: what must come of it is told by [`Firehose::truth`].
    pub fn of(plan: Plan) -> Trial {
        let plan = Plan { seed: first_seed(), stops: false, ..plan };
        println!("{plan:?}");
        let partitions = plan.partitions;
        let more = format!("[topics]\npartitions = {partitions}\n[limits]\npending_per_account = 100\n");
        Trial { firehose: Firehose::new(plan), house: House::new("idle_after = \"0s\"\n", &more) }
    }

    /// Topics of its own for it.
    pub fn site(&self, cluster: &Cluster, prefix: &str) -> Site<'_> {
        Site::on(&self.house.config, cluster, prefix)
    }

    /// Every payment that was due and no other; nothing torn, and nothing left open.
    pub fn check(&self, cluster: &Cluster, site: &Site<'_>, what: &str) {
        compare(&*site.bus(), &self.firehose, what);
        site.succeed(&["audit"]);
        assert_eq!(cluster.open_transactions(), Vec::<String>::new());
    }
}

/// A firehose on its way into a cluster, slice by slice.
pub struct Feed<'f> {
    gateway: Gateway,
    /// By arrival.
    pub posts: Vec<&'f Post>,
    next: usize,
    closing: Post,
    partitions: u32,
}

impl<'f> Feed<'f> {
    /// Appends the links.
    pub fn new(site: &Site<'_>, firehose: &'f Firehose) -> Feed<'f> {
        let mut gateway = Gateway::new(&site.bus());
        gateway.append("accounts.links", 0, firehose.links());
        let mut posts: Vec<&Post> = firehose.posts.iter().collect();
        posts.sort_by_key(|post| (post.arrival, post.id));
        Feed { gateway, posts, next: 0, closing: firehose.closing(), partitions: firehose.plan.partitions }
    }

    /// So many posts more.
    pub fn append(&mut self, count: usize) {
        let end = self.next.saturating_add(count).min(self.posts.len());
        for partition in 0..self.partitions {
            let slice = self.posts[self.next..end].iter().filter(|post| post.partition == partition);
            self.gateway.append("tweets", partition, slice.map(|post| post.record()));
        }
        self.next = end;
    }

    /// A post after everything on every partition: whatever still waits expires.
    pub fn close(&mut self) {
        for partition in 0..self.partitions {
            self.gateway.append("tweets", partition, [self.closing.record()]);
        }
    }
}
