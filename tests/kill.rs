//! The program killed with SIGKILL at random moments, and started again with the same command until it ends by itself:
//! every output topic must hold what an undisturbed run writes, record for record and key for key.

mod support;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use support::firehose::{Firehose, Plan, Post};
use support::outputs::Outputs;
use support::{House, asked, first_seed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pay-by-tweet");

/// Kills of one run; with more to do, further runs follow on fresh logs.
const KILLS_PER_RUN: u64 = 12;

/// No run of these inputs takes as long.
const FOREVER: Duration = Duration::from_secs(120);

#[test]
fn killed_and_restarted_when_every_commit_is_synced() {
    check("commit", 1, asked("KILLS", KILLS_PER_RUN));
}

#[test]
fn killed_and_restarted_when_syncs_come_at_intervals() {
    check("interval", 2, asked("KILLS", KILLS_PER_RUN));
}

/// The undisturbed run has one worker per stage, so that the number of workers is seen to change nothing either.
fn check(fsync: &str, workers: u32, kills: u64) {
    let seed = first_seed();
    let hour_ms = 3_600_000;
    let posts = asked("POSTS", 200_000) as usize;
    let (scarce, stops) = (false, true);
    let plan = Plan {
        seed,
        posts,
        shoppers: 1_200,
        partitions: 1,
        span_ms: hour_ms,
        disorder_ms: 0,
        scarce,
        stops,
        ..Plan::default()
    };
    println!("{plan:?}, fsync {fsync}, {workers} workers per stage, {kills} kills");
    let inputs = Inputs::write(&Firehose::new(plan));
    let start = undisturbed(&self::house(fsync, workers), &Inputs::none());
    let house = house(fsync, 1);
    let whole = undisturbed(&house, &inputs);
    let expected = outputs(&house);
    let count = |topic| expected.count(topic);
    println!(
        "start {:.1} s, undisturbed {:.1} s: {} payments, {} transitions, {} replies, {} dead letters",
        start.as_secs_f64(),
        whole.as_secs_f64(),
        count("payments.authorized"),
        count("purchases.events"),
        count("replies"),
        count("dead-letters")
    );
    assert!(count("payments.authorized") > 0 && count("dead-letters") > 0, "these inputs try nothing");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut left = kills;
    while left > 0 {
        let house = self::house(fsync, workers);
        let done = kill_and_restart(&house, &inputs, &expected, (start, whole), left.min(KILLS_PER_RUN), &mut random);
        left -= done.min(left);
    }
}

/// How long it takes from the beginning to the end.
fn undisturbed(house: &House, inputs: &Inputs) -> Duration {
    let began = Instant::now();
    let status = live(house, inputs, FOREVER).expect("the undisturbed run ends");
    assert!(status.success(), "the undisturbed run: {status}");
    began.elapsed()
}

/// One log, from its beginning to its end, killed on the way. Returns how often.
fn kill_and_restart(
    house: &House,
    inputs: &Inputs,
    expected: &Outputs,
    (start, whole): (Duration, Duration),
    kills: u64,
    random: &mut SmallRng,
) -> u64 {
    let mut lives = Vec::new();
    let ended = loop {
        let uptime = match lives.len() as u64 {
            done if done >= kills => FOREVER,
            // Some die while they start, the others are spread over the run.
            _ if random.random_bool(0.2) => start.mul_f64(random.random_range(0.0..1.0)),
            _ => start + whole.saturating_sub(start).mul_f64(random.random_range(0.0..2.0) / kills as f64),
        };
        let began = Instant::now();
        let ended = live(house, inputs, uptime);
        lives.push(began.elapsed().as_millis());
        if let Some(status) = ended {
            break status;
        }
        assert!(uptime < FOREVER, "it does not end; lives in ms: {lives:?}");
    };
    println!("lives in ms: {lives:?}");
    assert!(ended.success(), "the last life: {ended}");
    outputs(house).assert_same(expected, &format!("{:?}, lives in ms: {lives:?}", house.settings.bus.embedded.fsync));
    lives.len() as u64 - 1
}

fn house(fsync: &str, workers: u32) -> House {
    let more = format!(
        "[bus.embedded]\nfsync = \"{fsync}\"\n[workers]\nscreen = {workers}\naccounts = {workers}\noffers = {workers}\n"
    );
    House::new("idle_after = \"0s\"\n", &more)
}

/// Runs the program for at most `uptime`, then kills it; its status if it ended before.
fn live(house: &House, inputs: &Inputs, uptime: Duration) -> Option<ExitStatus> {
    let named = |topic: &str, path: &Path| format!("{topic}={}", path.display());
    let mut child = Command::new(PROGRAM)
        .args(["run", "--config"])
        .arg(&house.config)
        .args(["--input", &named("accounts.links", &inputs.links), "--input", &named("tweets", &inputs.tweets)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = child.stdout.take().expect("it is piped");
    let (ended, end) = mpsc::channel();
    // Its output ends when it does.
    std::thread::spawn(move || {
        let _ = stdout.read_to_end(&mut Vec::new());
        drop(ended);
    });
    let killed = end.recv_timeout(uptime) == Err::<(), _>(RecvTimeoutError::Timeout);
    if killed {
        child.kill().expect("it can be killed");
    }
    let status = child.wait().expect("it is a child");
    // It may have ended in the very moment of the kill.
    (!killed || status.code().is_some()).then_some(status)
}

fn outputs(house: &House) -> Outputs {
    Outputs::of(|topic| {
        let tap = Command::new(PROGRAM).args(["tap", topic, "--config"]).arg(&house.config).output();
        let tap = tap.expect("the program starts");
        assert!(tap.status.success(), "tap {topic}: {}", String::from_utf8_lossy(&tap.stderr));
        let lines = tap.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice::<Value>(line).expect("tap prints JSON")).collect()
    })
}

/// The files that the program is fed.
struct Inputs {
    _dir: tempfile::TempDir,
    links: PathBuf,
    tweets: PathBuf,
}

impl Inputs {
    fn write(firehose: &Firehose) -> Inputs {
        let inputs = Inputs::none();
        write_lines(&inputs.links, firehose.links());
        write_lines(&inputs.tweets, firehose.of_partition(0).iter().map(Post::record));
        inputs
    }

    fn none() -> Inputs {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let (links, tweets) = (dir.path().join("links.jsonl"), dir.path().join("tweets.jsonl"));
        write_lines(&links, std::iter::empty());
        write_lines(&tweets, std::iter::empty());
        Inputs { _dir: dir, links, tweets }
    }
}

fn write_lines(path: &Path, lines: impl Iterator<Item = Vec<u8>>) {
    let mut file = BufWriter::new(File::create(path).expect("the folder is writable"));
    for line in lines {
        file.write_all(&line).and_then(|()| file.write_all(b"\n")).expect("the folder is writable");
    }
    file.flush().expect("the folder is writable");
}
