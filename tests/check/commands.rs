//! The commands as processes: what they end with, and that they end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pay_by_tweet::bus::embedded::{Embedded, EmbeddedOptions};
use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::Time;

use super::GOOD_OFFER;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pay-by-tweet");

/// What is not there after so long never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration.
struct Place {
    dir: tempfile::TempDir,
    config: PathBuf,
}

impl Place {
    fn new(more: &str) -> Place {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = dir.path().join("config.toml");
        std::fs::write(&config, format!("[http]\nlisten = \"127.0.0.1:0\"\n{more}\n")).expect("the folder is ours");
        std::fs::write(dir.path().join("offers.toml"), GOOD_OFFER).expect("the folder is ours");
        Place { dir, config }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).arg("--config").arg(&self.config).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).stdout(Stdio::piped()).output().expect("the program starts")
    }

    fn log(&self) -> PathBuf {
        Settings::load(Some(&self.config), std::iter::empty()).expect("it is valid").bus.embedded.dir
    }

    /// Reads the folder, as a command does, for as long as this is kept.
    fn reading(&self) -> Embedded {
        Embedded::open(&self.log(), EmbeddedOptions::new(Arc::new(|| Time(0)))).expect("nobody has it")
    }

    fn tap(&self, topic: &str) -> Vec<String> {
        let answer = self.output(&["tap", topic]);
        let told = String::from_utf8(answer.stdout).expect("UTF-8");
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        told.lines().map(str::to_owned).collect()
    }
}

struct Program(Child, Lines<BufReader<ChildStderr>>);

impl Program {
    fn start(command: &mut Command) -> Program {
        let mut child = command.spawn().expect("the program starts");
        let err = child.stderr.take().expect("it is piped");
        Program(child, BufReader::new(err).lines())
    }

    /// Whose folder is being read.
    fn that_waits(place: &Place) -> Program {
        let mut program = Program::start(&mut place.command(&["run"]));
        program.says("waiting for a command that reads the folder");
        program
    }

    /// Waits for SIGTERM to end it, and gives the exit code.
    fn terminated(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(sent.expect("there is a kill").success());
        self.ended()
    }

    fn ended(&mut self) -> Option<i32> {
        let mut ended = None;
        until("it ends", || {
            ended = self.0.try_wait().expect("it is a child");
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }

    /// Its log's next line with this in it.
    fn says(&mut self, what: &str) {
        let said: Vec<String> = self.1.by_ref().map_while(Result::ok).take_while(|line| !line.contains(what)).collect();
        assert!(self.0.try_wait().expect("it is a child").is_none(), "it ended without \"{what}\": {said:?}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn endpoint(log: &Path) -> PathBuf {
    log.join("endpoint.json")
}

#[test]
fn a_program_waits_for_who_reads_and_refuses_who_runs() {
    let place = Place::new("");
    let reading = place.reading();
    let first = Program::that_waits(&place);
    drop(reading);
    until("it runs", || endpoint(&place.log()).exists());
    let second = place.output(&["run"]);
    assert_eq!(second.status.code(), Some(78), "{}", String::from_utf8_lossy(&second.stderr));
    assert_eq!(first.terminated(), Some(0));
}

#[test]
fn who_waits_for_a_reader_can_be_stopped() {
    let place = Place::new("");
    let _reading = place.reading();
    assert_eq!(Program::that_waits(&place).terminated(), Some(0));
}

#[test]
fn standard_input_is_fed_as_it_comes_and_holds_up_no_stop() {
    let place = Place::new("");
    let mut program = Program::start(place.command(&["run", "--input", "-"]).stdin(Stdio::piped()));
    let mut typed = program.0.stdin.take().expect("it is piped");
    let post = r#"{"id_str":"301347426925214077","text":"hello","timestamp_ms":"1360681783068","user":{"id_str":"7"}}"#;
    writeln!(typed, "{post}").expect("it reads");
    until("it runs", || endpoint(&place.log()).exists());
    until("the post is fed", || place.tap("tweets").iter().any(|line| line.contains("301347426925214077")));
    assert_eq!(program.terminated(), Some(0));
    drop(typed);
}

#[test]
fn standard_input_that_never_rests_is_fed_too_and_holds_up_no_stop() {
    let place = Place::new("");
    let mut program = Program::start(place.command(&["run", "--input", "-"]).stdin(Stdio::piped()));
    let mut typed = program.0.stdin.take().expect("it is piped");
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = stopped.clone();
    let typing = std::thread::spawn(move || {
        // Until it is stopped, or its reader has ended.
        while !stop.load(Ordering::Acquire) && typed.write_all(b"{\"text\":\"hello\"}\n").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    until("it runs", || endpoint(&place.log()).exists());
    until("posts are fed", || !place.tap("tweets").is_empty());
    assert_eq!(program.terminated(), Some(0));
    stopped.store(true, Ordering::Release);
    typing.join().expect("it types");
}

#[test]
fn who_reads_what_tap_prints_keeps_no_program_from_starting() {
    let place = Place::new("");
    let file = place.dir.path().join("offers.jsonl");
    std::fs::write(&file, format!("{{\"id\":\"{}\"}}\n", "x".repeat(300)).repeat(2_000)).expect("the folder is ours");
    let fed = place.output(&["run", "--input", &format!("offers={}", file.display())]);
    assert!(fed.status.success(), "{}", String::from_utf8_lossy(&fed.stderr));
    let mut page = Program::start(place.command(&["tap", "offers"]).stdout(Stdio::piped()));
    let mut first = BufReader::new(page.0.stdout.take().expect("it is piped")).lines();
    assert!(first.next().is_some(), "it prints, and then waits for its reader");
    let program = Program::start(&mut place.command(&["run"]));
    until("it runs", || endpoint(&place.log()).exists());
    assert!(page.0.try_wait().expect("it is a child").is_none(), "it had more to print than a pipe takes");
    assert_eq!(program.terminated(), Some(0));
}

#[test]
fn an_input_without_a_topic_is_refused_where_there_is_no_usual_one() {
    let place = Place::new("[[sources]]\ntopic = \"posts\"\nnetwork = \"twitter\"\nformat = \"x\"\n");
    let file = place.dir.path().join("posts.jsonl");
    std::fs::write(&file, "{}\n").expect("the folder is ours");
    let answer = place.output(&["run", "--input", &file.display().to_string()]);
    let told = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert_eq!(answer.status.code(), Some(78), "{told}");
    assert!(told.contains("name the topic") && told.contains("posts, "), "{told}");
}

#[test]
fn what_a_load_writes_is_opened_before_it_begins() {
    let place = Place::new("");
    let nowhere = place.dir.path().join("nowhere").join("truth.jsonl").display().to_string();
    let answer = place.output(&["load", "--rate", "10", "--duration", "1h", "--truth", &nowhere]);
    let told = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert_eq!(answer.status.code(), Some(78), "{told}");
    assert!(told.contains(&nowhere), "{told}");
}

#[test]
fn somebody_elses_variable_need_not_be_text() {
    let odd = OsString::from_vec(vec![0xff]);
    let answer = |name: &str| {
        let place = Place::new("");
        let variable: (&OsStr, &OsStr) = (name.as_ref(), &odd);
        let answer = place.command(&["offers"]).env(variable.0, variable.1).output().expect("the program starts");
        (answer.status.code(), String::from_utf8_lossy(&answer.stderr).into_owned())
    };
    let (code, told) = answer("SOMEBODY_ELSES");
    assert!(code == Some(1) && told.contains("there is no log"), "{code:?}: {told}");
    let (code, told) = answer("PAY_BY_TWEET__TOPICS__PARTITIONS");
    assert!(code == Some(78) && told.contains("PAY_BY_TWEET__TOPICS__PARTITIONS"), "{code:?}: {told}");
}

#[test]
fn an_audit_without_a_verdict_is_none() {
    let place = Place::new("");
    let answer = place.output(&["audit"]);
    assert_eq!(answer.status.code(), Some(69), "{}", String::from_utf8_lossy(&answer.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_told_and_a_reader_that_left_is_not() {
    let place = Place::new("");
    let file = place.dir.path().join("offers.jsonl");
    std::fs::write(&file, "{}\n".repeat(3)).expect("the folder is ours");
    let fed = place.output(&["run", "--input", &format!("offers={}", file.display())]);
    assert!(fed.status.success(), "{}", String::from_utf8_lossy(&fed.stderr));
    assert_eq!(place.tap("dead-letters").len(), 3);
    for args in [["tap", "dead-letters"], ["audit", "--json"]] {
        let full = File::options().write(true).open("/dev/full").expect("there is one");
        let mut told = Program::start(place.command(&args).stdout(full));
        assert!(!matches!(told.ended(), Some(0)), "{args:?}");
        let mut left = Program::start(place.command(&args).stdout(Stdio::piped()));
        drop(left.0.stdout.take());
        assert_eq!(left.ended(), Some(0), "{args:?}");
    }
}
