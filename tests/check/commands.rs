//! The commands as processes: what they end with, and that they end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pay_by_tweet::bus::embedded::{Embedded, EmbeddedOptions};
use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::Time;
use pay_by_tweet::http::{client_get, read_endpoint};

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
        self.terminate();
        self.ended()
    }

    fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(sent.expect("there is a kill").success());
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
fn commands_that_read_wait_for_each_other() {
    let place = Place::new("");
    let reading = place.reading();
    // Whoever was killed names nobody who could be asked.
    std::fs::write(endpoint(&place.log()), r#"{"address":"127.0.0.1:1","secret":""}"#).expect("the folder is ours");
    let mut waiting = Program::start(&mut place.command(&["tap", "tweets"]));
    waiting.says("waiting for a command that reads the folder");
    drop(reading);
    assert_eq!(waiting.ended(), Some(0));
    let commands: [&[&str]; 4] = [&["tap", "tweets"], &["offers"], &["audit"], &["account", "twitter:7"]];
    let twice = commands.iter().chain(&commands);
    let all: Vec<Program> = twice.map(|args| Program::start(&mut place.command(args))).collect();
    let codes: Vec<Option<i32>> = all.into_iter().map(|mut command| command.ended()).collect();
    assert_eq!(codes, [0, 0, 0, 1, 0, 0, 0, 1].map(Some), "an account that nobody knows ends with 1");
}

#[test]
fn commands_that_read_wait_for_a_program_that_starts_or_stops() {
    let place = Place::new("");
    let reading = place.reading();
    let mut program = Program::that_waits(&place);
    let mut early = Program::start(&mut place.command(&["tap", "tweets"]));
    let follow = Program::start(place.command(&["tap", "--follow", "replies"]).stdout(Stdio::piped()));
    drop(reading);
    assert_eq!(early.ended(), Some(0));
    let unknown = place.output(&["account", "twitter:7"]);
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!((unknown.status.code(), &*told), (Some(1), "pay-by-tweet: nothing is remembered of twitter:7\n"));
    let endpoint = read_endpoint(&place.log()).expect("it is whole").expect("it runs");
    let mut metrics = String::new();
    client_get(&endpoint, "/metrics").expect("it answers").read_to_string(&mut metrics).expect("UTF-8");
    for counted in [
        "pay_by_tweet_dead_letters_total{topic=\"tweets\",reason=\"not_json\"} 0",
        "pay_by_tweet_dead_letters_total{topic=\"accounts.links\",reason=\"no_id\"} 0",
        "pay_by_tweet_transitions_total{to=\"rejected\",reason=\"overloaded\"} 0",
    ] {
        assert!(metrics.lines().any(|line| line == counted), "no {counted} in\n{metrics}");
    }
    program.terminate();
    assert_eq!(place.tap("tweets"), Vec::<String>::new());
    assert_eq!(program.ended(), Some(0));
    assert_eq!(follow.terminated(), None, "it would follow the next program");
}

#[test]
fn where_the_address_is_taken_a_demo_takes_another_and_a_service_says_how_to() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("it is bound").to_string();
    let place = Place::new("");
    let listen = "PAY_BY_TWEET__HTTP__LISTEN";
    let refused = place.command(&["run"]).env(listen, &taken).output().expect("the program starts");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{told}");
    assert!(told.contains("set http.listen (PAY_BY_TWEET__HTTP__LISTEN=127.0.0.1:"), "{told}");
    let mut demo = Command::new(PROGRAM);
    demo.arg("demo").current_dir(place.dir.path()).env(listen, &taken).stdin(Stdio::null());
    let mut demo = Program::start(demo.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut first = String::new();
    BufReader::new(demo.0.stdout.take().expect("it is piped")).read_line(&mut first).expect("UTF-8");
    assert!(first.contains("The demo is at http://127.0.0.1:") && !first.contains(&taken), "{first}");
    assert_eq!(demo.terminated(), Some(0));
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
    assert!(code == Some(1) && told.starts_with("pay-by-tweet: there is no log"), "{code:?}: {told}");
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
