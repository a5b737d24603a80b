//! The whole program as its users run it, with a real broker in place of the folder: the same commands, the same
//! outputs.

use std::path::Path;

use pay_by_tweet::bus::ends_of;
use serde_json::Value;

use super::cluster::Cluster;
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
    let house = House::new("idle_after = \"0s\"\n", "");
    let firehose = Firehose::new(plan);
    let write = |name: &str, lines: Vec<Vec<u8>>| {
        let path = house.dir.path().join(name);
        std::fs::write(&path, [lines.join(&b'\n'), vec![b'\n']].concat()).expect("the folder is writable");
        path.display().to_string()
    };
    let links = format!("accounts.links={}", write("links.jsonl", firehose.links().collect()));
    let tweets = firehose.of_partition(0).iter().map(Post::record).collect();
    let tweets = format!("tweets={}", write("tweets.jsonl", tweets));
    let args = ["run", "--input", &links, "--input", &tweets];
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
        assert!(result[count].as_u64() > Some(0) && result[way]["count"] == result[count], "{way} in {result}");
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
