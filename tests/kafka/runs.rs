//! The whole program as its users run it, with a real broker in place of the folder: the same commands, the same
//! outputs.

use std::path::Path;

use futures_executor::block_on;
use pay_by_tweet::bus::ends_of;
use pay_by_tweet::log::wanted_topics;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use serde_json::Value;

use super::cluster::Cluster;
use super::flock::Flock;
use super::site::Site;
use super::support::example::{assert_as_written, lines, shared};
use super::support::firehose::{Firehose, Plan, Post};
use super::support::{House, asked, first_seed};

/// The worked example of the contract.
pub fn the_worked_example_comes_out_as_written(cluster: &Cluster) {
    the_worked_example_at(&|config| Site::at(config, cluster.bootstrap(), "example."));
}

/// The same, wherever the cluster is.
pub fn the_worked_example_at(site: &dyn Fn(&Path) -> Site<'_>) {
    let Some(folder) = shared("contract") else { return };
    let config = folder.join("config.toml");
    let site = site(&config).with_topics();
    site.succeed(&["topics", "describe"]);
    site.succeed(&["check", "--online"]);
    let input = |topic: &str| format!("{topic}={}", folder.join(format!("{topic}.jsonl")).display());
    assert!(!lines(&folder.join("tweets.jsonl")).is_empty());
    site.succeed(&["run", "--input", &input("accounts.links"), "--input", &input("tweets")]);
    assert_as_written(&folder, |topic| {
        let records = site.tap(topic).into_iter();
        records.map(|line| (line["key"].as_str().map(str::to_owned), line["value"].clone())).collect()
    });
    let audit = String::from_utf8(site.succeed(&["audit"])).expect("UTF-8");
    println!("{audit}");
}

/// A firehose of full-size posts gives the very outputs of the embedded log, record for record and key for key.
pub fn a_firehose_comes_out_as_on_the_embedded_log(cluster: &Cluster) {
    let posts = asked("POSTS", 20_000) as usize;
    let house = House::new("idle_after = \"0s\"\n", "");
    let args = run_of(&house, posts);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let folder = Site::folder(&house.config);
    folder.succeed(&args);
    let mut expected = folder.outputs();
    assert!(expected.count("payments.authorized") > 0, "these inputs try nothing");
    let site = Site::on(&house.config, cluster, "firehose.");
    site.succeed(&args);
    let mut found = site.outputs();
    // They name offsets, which markers move.
    let dead = "dead-letters";
    assert!(found.count(dead) > 0 && found.count(dead) == expected.count(dead));
    found.0.remove(dead);
    expected.0.remove(dead);
    found.assert_same(&expected, "Kafka against the embedded log");
    println!("{} payments, {} replies", expected.count("payments.authorized"), expected.count("replies"));
    site.succeed(&["audit"]);
}

/// Writes a firehose of so many posts beside a configuration; gives the arguments of a run that reads it.
pub fn run_of(house: &House, posts: usize) -> [String; 5] {
    let plan = Plan {
        seed: first_seed(),
        posts,
        shoppers: posts as u64 / 100,
        partitions: 1,
        span_ms: 3_600_000,
        disorder_ms: 0,
        scarce: false,
        stops: true,
        ..Plan::default()
    };
    println!("{plan:?}");
    let firehose = Firehose::new(plan);
    let write = |name: &str, lines: Vec<Vec<u8>>| {
        let path = house.dir.path().join(name);
        std::fs::write(&path, [lines.join(&b'\n'), vec![b'\n']].concat()).expect("the folder is writable");
        path.display().to_string()
    };
    let links = format!("accounts.links={}", write("links.jsonl", firehose.links().collect()));
    let tweets = firehose.of_partition(0).iter().map(Post::record).collect();
    let tweets = format!("tweets={}", write("tweets.jsonl", tweets));
    ["run".to_owned(), "--input".to_owned(), links, "--input".to_owned(), tweets]
}

/// What is remembered of an account lies in the partition that it had: more of them, and it is looked for elsewhere.
pub fn topics_that_grew_are_refused(cluster: &Cluster) {
    let house = House::new("idle_after = \"0s\"\n", "");
    let site = Site::on(&house.config, cluster, "grown.");
    let args = run_of(&house, 1_000);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    site.succeed(&args);
    let internal = wanted_topics(&house.settings).into_iter().filter(|one| one.exact);
    grow(cluster, &internal.map(|one| format!("grown.{}", one.topic)).collect::<Vec<_>>());
    let other = House::new("idle_after = \"0s\"\n", "[topics]\npartitions = 8\n");
    let output = Site { config: &other.config, ..site }.call(&args);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && why.contains("4 partitions, and it has 8 now"), "{why}");
}

/// What comes into a partition that was not there when a program started, no watermark of its own waits for: it ends,
/// whichever partitions it has, to be started anew.
pub fn a_topic_that_grows_ends_the_program(cluster: &Cluster) {
    let house = House::new("", "[bus.kafka.properties]\n\"topic.metadata.refresh.interval.ms\" = \"200\"\n");
    let site = Site::on(&house.config, cluster, "growing.");
    let mut flock = Flock::start(&site, 2);
    flock.await_ready();
    grow(cluster, &["growing.tweets".to_owned()]);
    for index in 0..2 {
        let said = flock.fails(index);
        assert!(said.contains("tweets has 8 partitions now, and had 4"), "{said}");
    }
    (0..2).for_each(|index| flock.launch(index));
    flock.await_ready();
    flock.stop();
}

/// Gives topics eight partitions.
fn grow(cluster: &Cluster, topics: &[String]) {
    let config: ClientConfig = cluster.properties().into_iter().collect();
    let admin: AdminClient<_> = config.create().expect("a client");
    let grown: Vec<NewPartitions<'_>> = topics.iter().map(|topic| NewPartitions::new(topic, 8)).collect();
    let made = block_on(admin.create_partitions(&grown, &AdminOptions::new())).expect("an answer");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

/// A load consumes all of its posts, counts them right, and finds what it must; the audit says the same of its truth.
pub fn a_load_comes_out_as_it_must(cluster: &Cluster) {
    let house = House::new("tick_every = \"200ms\"\n", "");
    let site = Site::on(&house.config, cluster, "load.");
    let path = |name: &str| house.dir.path().join(name).display().to_string();
    let (truth, json) = (path("truth.jsonl"), path("result.json"));
    let load = ["load", "--rate", "1000", "--duration", "2s", "--window", "2s", "--relevant", "0.05"];
    site.succeed(&[&load[..], &["--truth", &truth, "--json", &json]].concat());
    let result = std::fs::read_to_string(json).expect("it was written");
    let result: Value = serde_json::from_str(&result).expect("JSON");
    for (way, count) in [("tweet_to_prompt", "prompts"), ("tweet_to_payment", "payments")] {
        // Who confirms while the load drains meets no load.
        let measured = result[way]["count"].as_u64();
        assert!(measured > Some(0) && measured <= result[count].as_u64(), "{way} in {result}");
    }
    // What is counted by offsets are posts: no marker stands between them.
    let bus = site.bus();
    let ends = ends_of(&*bus, &mut *bus.reader().expect("a reader"), "tweets").expect("the ends");
    let (end, posts) = (ends.iter().map(|(_, end)| end).sum::<u64>(), site.tap("tweets").len() as u64);
    assert!(end == posts && posts > 2000, "{posts} posts, {end} offsets");
    site.succeed(&["audit", "--truth", &truth]);
}

/// Commands say what is wrong, and what to do.
pub fn mistakes_are_told(cluster: &Cluster) {
    let house = House::new("idle_after = \"0s\"\n", "");
    let lacking = Site::at(&house.config, cluster.bootstrap(), "nowhere.");
    let told = |site: &Site<'_>, args: &[&str]| {
        let output = site.call(args);
        assert!(!output.status.success(), "{args:?} succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for command in [&["run"][..], &["check", "--online"]] {
        assert!(told(&lacking, command).contains("topics create"));
    }
    let site = Site::on(&house.config, cluster, "mistakes.");
    let again = String::from_utf8(site.succeed(&["topics", "create"])).expect("UTF-8");
    assert!(again.starts_with("0 topics made") && again.contains("positions of 0 partitions"), "{again}");
    let other = House::new("idle_after = \"0s\"\n", "[topics]\npartitions = 7\n");
    let other = Site { config: &other.config, ..site };
    for command in [&["run"][..], &["topics", "create"]] {
        let why = told(&other, command);
        assert!(why.contains("topics.partitions says 7"), "{why}");
    }
}
