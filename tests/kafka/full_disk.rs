//! A disk of a broker that is full: the broker ends, since it can't write, and whoever has to makes room and starts it.
//! Where it is one of three, the others go on meanwhile.

use super::cluster::Cluster;
use super::flock::{Flock, Signal};
use super::support::asked;
use super::trial::{Feed, Trial};

/// Of a disk that holds the trial and little more.
pub const SMALL_MIB: u64 = 96;

/// Nothing is lost or doubled when the only broker's disk is full for a while, and no process needs to be started anew.
pub fn the_only_disk_is_full_for_a_while(cluster: &mut Cluster) {
    full_for_a_while(cluster, |flock| flock.until("the program is ready without a log", |flock| !flock.is_ready()));
}

/// The same of one of three disks; and work goes on while it is full.
pub fn one_of_three_disks_is_full_for_a_while(cluster: &mut Cluster) {
    full_for_a_while(cluster, |flock| flock.await_progress());
}

fn full_for_a_while(cluster: &mut Cluster, meanwhile: impl Fn(&mut Flock<'_>)) {
    let times = asked("TIMES", 3) as usize;
    let posts = asked("POSTS", 12_000) as usize;
    let trial = Trial::new(posts, 12);
    let site = trial.site(cluster, "disk.");
    let mut flock = Flock::start(&site, 2);
    let mut feed = Feed::new(&site, &trial.firehose);
    let slice = posts / (2 * times + 1);
    for _ in 0..times {
        feed.append(slice);
        flock.await_progress();
        // There is work when the disk is full, whoever is faster.
        (0..2).for_each(|index| flock.tell(index, Signal::Stop));
        feed.append(slice);
        cluster.disk().fill();
        (0..2).for_each(|index| flock.tell(index, Signal::Cont));
        flock.until("the broker goes on without a disk", |_| cluster.has_ended(0));
        meanwhile(&mut flock);
        cluster.disk().make_room();
        cluster.revive(0);
        flock.await_progress();
    }
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.await_ready();
    flock.stop();
    trial.check(cluster, &site, "a disk that was full");
}
