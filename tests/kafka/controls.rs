//! Negative controls: where a mistake is planted in the clients of the cluster, the audit must find it. The same
//! mishaps without the mistake leave nothing to find.

use std::time::Duration;

use pay_by_tweet::bus::{Bus, OutRecord, TopicPartition, WorkerSpec};
use pay_by_tweet::planted::Bug;

use super::cluster::Cluster;
use super::flock::Flock;
use super::kills;
use super::proxy::Mishap;
use super::site::Site;
use super::support::asked;
use super::trial::{Feed, Trial};

const POSTS: usize = 12_000;
/// A transaction of somebody else stays open for so long after a start: until those before are missed, and longer.
const HANGING: Duration = Duration::from_secs(12);
/// Above [`HANGING`] and all that comes before: the cluster does not end it.
const HANGING_MAX_MS: &str = "120000";
/// What a restore reads.
const CHANGELOGS: [&str; 2] = ["accounts.changelog", "offers.changelog"];

/// What happens to the processes while they are fed.
pub type Mishaps = fn(&Cluster, &Site<'_>, &mut Flock<'_>, &mut Feed<'_>);

/// Mishaps, and the mistakes that they bring to light.
pub const CONTROLS: [(&str, Mishaps, &[Bug]); 3] = [
    ("killed", killed, &[Bug::PositionsOutside, Bug::UncommittedRead]),
    ("ended_late", ended_late, &[Bug::ProducerKept]),
    ("restored_below_an_open_transaction", restored_below_an_open_transaction, &[Bug::StableEndTaken]),
];

/// With a mistake the audit must find it, without one nothing.
pub fn go_through(cluster: &Cluster, name: &str, bug: Option<Bug>, mishaps: Mishaps) {
    let trial = Trial::new(asked("POSTS", POSTS as u64) as usize, 12);
    let site = trial.site(cluster, &format!("control-{name}."));
    let mut mistaken = site.behind_proxies(cluster);
    mistaken.more.extend(bug.map(|bug| ("PLANTED".to_owned(), bug.name().to_owned())));
    let mut flock = Flock::start(&mistaken, 2);
    let mut feed = Feed::new(&site, &trial.firehose);
    mishaps(cluster, &site, &mut flock, &mut feed);
    feed.append(usize::MAX);
    feed.close();
    flock.await_drained();
    flock.stop();
    if bug.is_none() {
        return trial.check(cluster, &site, name);
    }
    let output = site.call(&["audit"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{name} was not noticed: {told}");
    let lines: Vec<&str> = told.lines().collect();
    println!("{name}: {}", lines[lines.len().saturating_sub(3)..].join("; "));
}

fn killed(_: &Cluster, _: &Site<'_>, flock: &mut Flock<'_>, feed: &mut Feed<'_>) {
    let kills = asked("KILLS", 12);
    kills::at_random(flock, feed, kills, POSTS / (kills as usize + 1));
}

/// Ends of transactions come once more when the next one has records.
fn ended_late(cluster: &Cluster, _: &Site<'_>, flock: &mut Flock<'_>, feed: &mut Feed<'_>) {
    let mishaps = asked("MISHAPS", 12);
    let slice = POSTS / (2 * mishaps as usize + 1);
    let proxy = cluster.proxy(0);
    for _ in 0..mishaps {
        let (before, brought) = (proxy.arm(Mishap::RequestLate), proxy.brought());
        feed.append(slice);
        flock.until("no transaction ends", |_| proxy.happened() > before);
        feed.append(slice);
        flock.until("it never comes", |_| proxy.brought() > brought);
    }
}

/// Both processes are killed and restore while somebody's transaction stands open below the changelogs' ends.
fn restored_below_an_open_transaction(_: &Cluster, site: &Site<'_>, flock: &mut Flock<'_>, feed: &mut Feed<'_>) {
    let log = site.bus_with(&[("transaction.timeout.ms", HANGING_MAX_MS)]);
    let spec =
        WorkerSpec { name: "somebody".to_owned(), group: "somebody".to_owned(), topics: Vec::new(), slot: (0, 1) };
    let mut somebody = log.worker(spec).expect("the cluster is up");
    feed.append(POSTS / 3);
    flock.await_drained();
    open_everywhere(&*log, &mut |record| somebody.send(record).expect("the topics are there"));
    feed.append(POSTS / 3);
    flock.await_drained();
    (0..2).for_each(|index| flock.kill(index));
    (0..2).for_each(|index| flock.launch(index));
    std::thread::sleep(HANGING);
    somebody.abort().expect("the cluster is up");
}

/// A record in every partition of the changelogs; each has arrived when this answers.
fn open_everywhere(log: &dyn Bus, send: &mut dyn FnMut(&OutRecord)) {
    let mut reader = log.reader().expect("the cluster is up");
    for topic in CHANGELOGS {
        for partition in 0..log.partitions(topic).expect("it is there") {
            let at = TopicPartition::new(topic, partition);
            let before = reader.end(&at).expect("the cluster is up");
            send(&OutRecord {
                topic: topic.into(),
                partition: Some(partition),
                key: Some(b"somebody".to_vec()),
                value: None,
                headers: Vec::new(),
            });
            while reader.end(&at).expect("the cluster is up") == before {
                std::thread::yield_now();
            }
        }
    }
}
