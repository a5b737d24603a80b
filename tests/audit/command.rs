//! The command itself: on a folder that nobody holds, and through the program that holds it.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::firehose::{Firehose, Plan, Post};
use crate::support::{House, first_seed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pay-by-tweet");

/// A program that has not opened its log after this long never will.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// What a bad configuration ends with.
const EXIT_CONFIG: i32 = 78;

#[test]
fn the_command_judges_a_folder_and_a_running_program() {
    let house = House::new("idle_after = \"0s\"\n", "");
    feed(&house);
    let of_folder = json_of(&audit(&house, &["--json"]), 0);
    assert!(of_folder["payments"].as_u64() > Some(50) && of_folder["open"] == 0, "{of_folder}");
    let text = String::from_utf8(audit(&house, &["--memory-max", "1"]).stdout).expect("UTF-8");
    assert!(text.contains("no violations") && text.contains("payments.authorized"), "{text}");

    let payments = "payments.authorized:0:0,payments.authorized:1:0,payments.authorized:2:0,payments.authorized:3:0";
    let cut = json_of(&audit(&house, &["--json", "--until", payments]), 0);
    assert!(cut["open"].as_u64() > Some(50) && cut["payments"] == 0, "what lies beyond the cut is open: {cut}");
    assert_eq!(audit(&house, &["--until", "payments:0"]).status.code(), Some(EXIT_CONFIG));

    truths(&house, house.dir.path());

    let mut run = Command::new(PROGRAM);
    run.args(["run", "--config"]).arg(&house.config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut program = Killed(run.spawn().expect("the program starts"));
    let began = Instant::now();
    // Before that the audit might hold the folder, and the program could not start.
    while !house.settings.bus.embedded.dir.join("endpoint.json").exists() {
        assert!(began.elapsed() < START_PATIENCE, "the program does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = audit(&house, &["--json"]);
    assert!(program.0.try_wait().expect("it is a child").is_none(), "the program ended by itself");
    let of_program = json_of(&answer, 0);
    for same in ["payments", "purchases", "offers"] {
        assert_eq!(of_program[same], of_folder[same], "{same}");
    }
}

/// A truth file that is true, one that is not, one that is torn, one that is not there.
fn truths(house: &House, folder: &Path) {
    let nobodys =
        r#"{"account":"twitter:7","offer":"mug","order_post":"70","to":[],"reason":null,"confirm_post":null}"#;
    let path = folder.join("truth.jsonl");
    let told = |conversation: &str, count: u32| {
        let text = format!("{conversation}\n{{\"end\":{{\"conversations\":{count}}}}}\n");
        std::fs::write(&path, text).expect("the folder is writable");
        audit(house, &["--json", "--truth", &path.display().to_string()])
    };
    json_of(&told(nobodys, 1), 0);
    let text = format!("{nobodys}\n{{\"end\":{{\"conversations\":1,\"confirm_window_ms\":1,\"reply_grace_ms\":0}}}}\n");
    std::fs::write(&path, text).expect("the folder is writable");
    json_of(&audit(house, &["--json", "--truth", &path.display().to_string()]), 1);
    let missing = json_of(&told(&nobodys.replace("[]", "[\"fulfilled\"]"), 1), 1);
    assert_eq!(missing["conversations"][0]["account"], "twitter:7", "{missing}");
    // Where several ends are allowed, only the one that pays has a confirm.
    let ordered = ordered_in_vain(house);
    let (account, offer, post) = (&ordered["account"], &ordered["offer"], &ordered["post"]);
    let to = r#"["fulfilled","expired"]"#;
    let either = format!(
        r#"{{"account":{account},"offer":{offer},"order_post":{post},"to":{to},"reason":null,"confirm_post":"1"}}"#
    );
    let judged = json_of(&told(&either, 1), 1).to_string();
    assert!(judged.contains("no conversation of the truth file") && !judged.contains("paid by post"), "{judged}");
    let torn = told(nobodys, 2);
    assert!(!torn.status.success() && String::from_utf8_lossy(&torn.stderr).contains("torn"));
    assert_eq!(audit(house, &["--truth", "/nowhere"]).status.code(), Some(EXIT_CONFIG));
}

/// The first event of a purchase that expired.
fn ordered_in_vain(house: &House) -> Value {
    let mut tap = Command::new(PROGRAM);
    let tap =
        tap.args(["tap", "purchases.events", "--config"]).arg(&house.config).output().expect("the program starts");
    let lines = tap.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events = lines.map(|line| serde_json::from_slice::<Value>(line).expect("tap prints JSON")["value"].clone());
    let events: Vec<Value> = events.collect();
    let expired = events.iter().find(|event| event["to"] == "expired").expect("something expires");
    let of_it = |event: &&Value| event["purchase"] == expired["purchase"];
    events.iter().find(of_it).expect("it is one of them").clone()
}

/// Lets the program consume a firehose.
fn feed(house: &House) {
    let (scarce, stops) = (true, true);
    let plan = Plan {
        seed: first_seed(),
        posts: 2_000,
        shoppers: 40,
        partitions: 1,
        span_ms: 3_600_000,
        disorder_ms: 30_000,
        scarce,
        stops,
        ..Plan::default()
    };
    let firehose = Firehose::new(plan);
    let write = |name: &str, records: &mut dyn Iterator<Item = Vec<u8>>| {
        let path = house.dir.path().join(name);
        let lines: Vec<Vec<u8>> = records.collect();
        std::fs::write(&path, lines.join(&b'\n')).expect("the folder is writable");
        path.display().to_string()
    };
    let links = write("links.jsonl", &mut firehose.links());
    let tweets = write("tweets.jsonl", &mut firehose.of_partition(0).iter().map(Post::record));
    let mut run = Command::new(PROGRAM);
    let inputs = ["--input", &format!("accounts.links={links}"), "--input", &tweets];
    let ended = run.args(["run", "--config"]).arg(&house.config).args(inputs).output().expect("the program starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn audit(house: &House, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["audit", "--config"]).arg(&house.config).args(args).output().expect("the program starts")
}

fn json_of(answer: &Output, code: i32) -> Value {
    let told = String::from_utf8_lossy(&answer.stdout);
    assert_eq!(answer.status.code(), Some(code), "{told}{}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
