//! The load against the whole program on an embedded log: what it says must come out is what comes out, its posts are
//! what they claim to be, and its latencies leave nothing out.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pay_by_tweet::app::{App, StageSet};
use pay_by_tweet::bus::embedded::Embedded;
use pay_by_tweet::bus::{
    Budget, Bus, BusError, BusWorker, CommitState, LogClock, OutRecord, Polled, Position, Reader, RecordRef,
    TopicPartition, WorkerSpec,
};
use pay_by_tweet::clock::SystemClock;
use pay_by_tweet::config::OfferSpec;
use pay_by_tweet::domain::{Network, PostForm, SourceId};
use pay_by_tweet::load::{
    self, Act, Backlog, Finished, GOODS, Meaning, Moment, Options, Phase, Program, Progress, Said, may_load,
};
use pay_by_tweet::pipeline::embedded_options;
use pay_by_tweet::posts::post::Form;
use pay_by_tweet::screen::setup::Topology;
use pay_by_tweet::screen::{Catalogue, Service, Verdict, screen};
use serde_json::Value;
use support::{House, first_seed, outputs};

/// Windows that end within the test.
const TIME: &str = "lateness_max = \"500ms\"\ntick_every = \"200ms\"";
const MORE: &str =
    "[account]\nconfirm_window = \"2s\"\nreply_grace = \"500ms\"\n[bus.embedded]\nfsync = \"interval\"\n";

const RECORD_BYTES_MAX: usize = 1 << 20;

struct Launched(App);

impl Program for Launched {
    fn failure(&self) -> Option<String> {
        self.0.failure(Duration::ZERO).map(|failure| format!("{}: {}", failure.worker, failure.why))
    }

    fn stopped(&self) -> bool {
        false
    }
}

/// Options of a load of so many seconds.
fn options(house: &House, rate: f64, seconds: u64, relevant: f64) -> Options {
    let options = Options::of(&house.settings, rate, Duration::from_secs(seconds)).expect("there is a source");
    Options { seed: first_seed(), relevant, ..options }
}

/// Loads a program on a log of its own, which it reaches through `seen_by_program`; gives the log too.
fn load(
    house: &House,
    options: &Options,
    seen_by_program: impl FnOnce(Arc<dyn Bus>) -> Arc<dyn Bus>,
    on_progress: &mut dyn FnMut(&Progress),
) -> (Finished<Launched>, Arc<dyn Bus>) {
    let clock = Arc::new(SystemClock);
    let log = Embedded::open(house.dir.path(), embedded_options(&house.settings, clock.clone())).expect("a log");
    let log: Arc<dyn Bus> = Arc::new(log);
    let start = || {
        let partitions = 0..log.partitions(&options.topic)?;
        let sources = partitions.map(|partition| SourceId { topic: options.topic.clone(), partition });
        let topology = Topology::new(sources.collect(), true);
        let bus = seen_by_program(log.clone());
        Ok(Launched(App::start(&house.settings, bus, clock.clone(), topology, StageSet::ALL)?))
    };
    let finished = load::run(&*log, &*clock, options, start, on_progress).expect("the load comes to its end");
    println!("{}", finished.report);
    (finished, log)
}

/// By order post and offer: state, reason, payments, orders, confirming post; read by other code than the load's own.
type Came = BTreeMap<(String, String), (String, Value, usize, usize, Value)>;

fn came(log: &dyn Bus) -> Came {
    let mut by_purchase: BTreeMap<String, Value> = BTreeMap::new();
    let mut states: BTreeMap<String, Value> = BTreeMap::new();
    for event in outputs::values(log, "purchases.events") {
        let purchase = event["purchase"].as_str().expect("an id").to_owned();
        if event["from"].is_null() {
            by_purchase.insert(purchase.clone(), event.clone());
        }
        if event["from"] != event["to"] {
            states.insert(purchase, event);
        }
    }
    let payments = outputs::values(log, "payments.authorized");
    let orders = outputs::values(log, "fulfilment.orders");
    let of = |all: &[Value], purchase: &str| -> Vec<Value> {
        all.iter().filter(|value| value["purchase"] == purchase).cloned().collect()
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let rows = by_purchase.iter().map(|(purchase, first)| {
        let (last, paid) = (&states[purchase], of(&payments, purchase));
        let confirm = paid.first().map_or(Value::Null, |payment| payment["confirm_post"].clone());
        let shipped = of(&orders, purchase).len();
        let row = (text(&last["to"]), last["reason"].clone(), paid.len(), shipped, confirm);
        ((text(&first["post"]), text(&first["offer"])), row)
    });
    rows.collect()
}

/// The truth file against what came, line by line.
fn check_truth(finished: &Finished<Launched>, log: &dyn Bus) {
    let mut file = Vec::new();
    finished.truth.write(Network::TWITTER, &mut file).expect("memory takes all");
    let text = String::from_utf8(file).expect("the truth is UTF-8");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let end = lines.pop().expect("a last line");
    assert_eq!(end["end"]["conversations"], lines.len());
    assert_eq!(lines.len() as u64, finished.report.conversations);
    let mut came = came(log);
    for line in &lines {
        let key = (line["order_post"].as_str().expect("an id").to_owned(), line["offer"].as_str().unwrap().to_owned());
        let to: Vec<&str> = line["to"].as_array().expect("states").iter().filter_map(Value::as_str).collect();
        match came.remove(&key) {
            None => assert!(to.is_empty(), "nothing came of {line}"),
            Some((state, reason, payments, orders, confirm)) => {
                assert!(to.contains(&state.as_str()), "{line} came to {state}");
                assert!(line["reason"].is_null() || line["reason"] == reason, "{line} came with {reason}");
                let bought = usize::from(state == "fulfilled");
                assert_eq!((payments, orders), (bought, bought), "{line}");
                let by_this = line["confirm_post"].is_null() || bought == 0 || line["confirm_post"] == confirm;
                assert!(by_this, "{line} was confirmed by {confirm}");
            }
        }
    }
    assert!(came.is_empty(), "nobody asked for {came:?}");
}

#[test]
fn what_must_come_out_comes_out() {
    let house = House::new(TIME, MORE);
    let (finished, log) = load(&house, &options(&house, 600.0, 5, 0.3), |bus| bus, &mut |_| {});
    let report = &finished.report;
    assert!(report.is_as_expected(), "{:?}", report.deviations);
    // Who waited for a prompt may post after the end of the schedule, on top of it.
    let scheduled = (600.0 * 5.0) as u64;
    assert!((scheduled..scheduled + scheduled / 20).contains(&report.posts), "{} posts", report.posts);
    assert_eq!(report.rate_asked, 600.0);
    assert_eq!(report.rows.len(), 20, "every behaviour comes: {:?}", report.rows);
    check_truth(&finished, &*log);
    let events = outputs::values(&*log, "purchases.events");
    let prompted: BTreeSet<&str> = events
        .iter()
        .filter(|event| event["to"] == "prompted")
        .filter_map(|event| event["purchase"].as_str())
        .collect();
    assert_eq!(report.prompts, prompted.len() as u64);
    assert_eq!(report.tweet_to_prompt.count, report.prompts, "every prompt is measured once");
    let payments = outputs::values(&*log, "payments.authorized").len() as u64;
    // Who confirms while the load drains meets no load.
    let measured = (report.confirm_to_payment.count, report.tweet_to_payment.count);
    assert_eq!((report.payments, measured.0), (payments, measured.1));
    assert!(0 < measured.0 && measured.0 < payments, "{measured:?} of {payments}");
    assert!(report.tweet_to_prompt.p50_ms <= report.tweet_to_prompt.max_ms && report.tweet_to_prompt.p50_ms > 0.0);
    assert!(outputs::values(&*log, "dead-letters").is_empty());
    // Another load of the same log is other people.
    assert!(may_load(&*log, "tweets").expect("the log is readable"));
    finished.program.0.stop(Duration::from_secs(10)).expect("the program stops");
}

/// One source is far behind the others when the program starts: confirms are read before their buys.
#[test]
fn an_uneven_backlog_changes_nothing() {
    let house = House::new(TIME, MORE);
    let options = Options { backlog: Some(Backlog::Uneven), ..options(&house, 200.0, 2, 0.3) };
    let (finished, log) = load(&house, &options, |bus| bus, &mut |_| {});
    assert!(finished.report.is_as_expected(), "{:?}", finished.report.deviations);
    check_truth(&finished, &*log);
    let mut reader = log.reader().expect("the log is readable");
    let mut ends = (0..4).map(|partition| reader.end(&TopicPartition::new("tweets", partition)).expect("an end"));
    assert!(ends.next().expect("a partition") > 3 * ends.next().expect("a partition"));
    let measured = finished.report.tweet_to_prompt.count;
    assert!(measured < finished.report.prompts, "what waited in the log is not charged to the program");
    finished.program.0.stop(Duration::from_secs(10)).expect("the program stops");
}

#[test]
fn a_log_of_real_posts_is_not_loaded() {
    let house = House::new(TIME, MORE);
    let log =
        Embedded::open(house.dir.path(), embedded_options(&house.settings, Arc::new(SystemClock))).expect("a log");
    let log: Arc<dyn Bus> = Arc::new(log);
    assert!(may_load(&*log, "tweets").expect("the log is readable"));
    support::Gateway::new(&log).append("tweets", 1, [b"{}".to_vec()]);
    assert!(!may_load(&*log, "tweets").expect("the log is readable"));
}

/// A program that stops for a while half way through is charged with all that waited meanwhile, not with one slow post.
#[test]
fn a_stall_is_charged_to_everything_that_waited() {
    const STALL: Duration = Duration::from_millis(1500);
    let house = House::new(TIME, MORE);
    let stall = Arc::new(AtomicBool::new(false));
    let mut stalled = false;
    let (finished, _log) = load(
        &house,
        &options(&house, 400.0, 4, 0.5),
        |inner| Arc::new(Stalling { inner, stall: stall.clone(), length: STALL }),
        &mut |progress| {
            if !stalled && progress.phase == Phase::Loading && progress.elapsed > Duration::from_secs(1) {
                stalled = true;
                stall.store(true, Ordering::SeqCst);
            }
        },
    );
    assert!(stalled && !stall.load(Ordering::SeqCst), "the stall happened");
    let prompt = finished.report.tweet_to_prompt;
    // Three eighths of all posts are scheduled while it stands still, and wait for 750 ms on average. Had the load
    // waited with it, a few would.
    assert!(prompt.max_ms >= 1_400.0 && prompt.p90_ms >= 800.0, "{prompt:?}");
    assert!(finished.report.behind_ms_max < 1_000.0, "the load goes on meanwhile: {}", finished.report.behind_ms_max);
    assert!(finished.report.is_as_expected(), "{:?}", finished.report.deviations);
    finished.program.0.stop(Duration::from_secs(10)).expect("the program stops");
}

/// A generator that stood still across the end of its segment goes on where it was: what was due meanwhile has its own
/// time, and leads to the end that the truth tells.
#[test]
fn a_generator_that_lags_says_everything_at_its_own_time() {
    const LAG: Duration = Duration::from_millis(1800);
    let house = House::new(TIME, MORE);
    let mut lagged = false;
    let (finished, _log) = load(&house, &options(&house, 400.0, 3, 0.5), |inner| inner, &mut |progress| {
        if !lagged && progress.phase == Phase::Loading && progress.elapsed > Duration::from_millis(2_200) {
            lagged = true;
            std::thread::sleep(LAG);
        }
    });
    let report = &finished.report;
    assert!(lagged && report.behind_ms_max >= 1_500.0, "it lagged by {} ms", report.behind_ms_max);
    assert!(report.took_s > 3.5 && report.rate_held < 350.0, "{} s, {}/s", report.took_s, report.rate_held);
    assert!(report.is_as_expected(), "{:?}", report.deviations);
    finished.program.0.stop(Duration::from_secs(10)).expect("the program stops");
}

/// A log whose screen can be made to stand still once.
struct Stalling {
    inner: Arc<dyn Bus>,
    stall: Arc<AtomicBool>,
    length: Duration,
}

struct StallingWorker {
    inner: Box<dyn BusWorker>,
    stall: Arc<AtomicBool>,
    length: Duration,
}

impl Bus for Stalling {
    fn worker(&self, spec: WorkerSpec) -> Result<Box<dyn BusWorker>, BusError> {
        let stalls = spec.group == "pay-by-tweet.screen";
        let inner = self.inner.worker(spec)?;
        let worker = || StallingWorker { inner, stall: self.stall.clone(), length: self.length };
        if stalls { Ok(Box::new(worker())) } else { Ok(worker().inner) }
    }

    fn reader(&self) -> Result<Box<dyn Reader>, BusError> {
        self.inner.reader()
    }

    fn partitions(&self, topic: &str) -> Result<u32, BusError> {
        self.inner.partitions(topic)
    }

    fn position(&self, group: &str, at: &TopicPartition) -> Result<Option<Position>, BusError> {
        self.inner.position(group, at)
    }
}

impl BusWorker for StallingWorker {
    fn poll(
        &mut self,
        budget: Budget,
        wait: Duration,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError> {
        if self.stall.swap(false, Ordering::SeqCst) {
            std::thread::sleep(self.length);
        }
        self.inner.poll(budget, wait, visit)
    }

    fn resume_at(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), BusError> {
        self.inner.resume_at(positions)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        self.inner.pause(partitions)
    }

    fn at_end(&self, at: &TopicPartition) -> bool {
        self.inner.at_end(at)
    }

    fn log_clock(&self) -> LogClock {
        self.inner.log_clock()
    }

    fn release(&mut self) -> Result<(), BusError> {
        self.inner.release()
    }

    fn send(&mut self, record: &OutRecord) -> Result<(), BusError> {
        self.inner.send(record)
    }

    fn start_commit(&mut self, positions: &[(TopicPartition, Position)]) -> Result<(), BusError> {
        self.inner.start_commit(positions)
    }

    fn poll_commit(&mut self, wait: Duration) -> CommitState {
        self.inner.poll_commit(wait)
    }

    fn abort(&mut self) -> Result<CommitState, BusError> {
        self.inner.abort()
    }

    fn recover(&mut self) -> Result<(), BusError> {
        self.inner.recover()
    }
}

/// What a stream of posts holds, counted by other code than that which makes it.
#[derive(Default)]
struct Census {
    ids: BTreeSet<u64>,
    statuses: usize,
    bytes: usize,
    deletions: usize,
    retweets: usize,
    escaped: usize,
    shoppers: usize,
    scripts: BTreeSet<&'static str>,
    partitions: BTreeMap<Option<u32>, usize>,
    acts: BTreeMap<String, usize>,
}

impl Census {
    fn count(&mut self, said: &Said, catalogue: &Catalogue) {
        let bytes = said.record.value.as_deref().expect("posts have a value");
        let value: Value = serde_json::from_slice(bytes).expect("posts are JSON");
        *self.partitions.entry(said.record.partition).or_default() += 1;
        check_meaning(said, bytes, catalogue);
        if let Meaning::Step(act) = said.meaning {
            self.shoppers += 1;
            *self.acts.entry(format!("{act:?}")).or_default() += 1;
        }
        if !value["delete"].is_null() {
            self.deletions += 1;
            return;
        }
        let id = value["id"].as_u64().expect("an id");
        assert!(self.ids.insert(id), "{id} twice");
        assert_eq!(Moment::of_id(id), said.at);
        assert_eq!(value["id_str"], id.to_string());
        assert_eq!(value["timestamp_ms"], said.at.time().0.to_string());
        self.statuses += 1;
        self.bytes += bytes.len();
        self.retweets += usize::from(value.get("retweeted_status").is_some());
        self.escaped += usize::from(bytes.is_ascii() && memchr::memmem::find(bytes, b"\\/").is_some());
        self.scripts.extend(value["text"].as_str().expect("a text").chars().filter_map(script));
    }
}

fn script(c: char) -> Option<&'static str> {
    match c {
        'a'..='z' => Some("Latin"),
        'а'..='я' => Some("Cyrillic"),
        '\u{0620}'..='\u{064a}' => Some("Arabic"),
        'α'..='ω' => Some("Greek"),
        'ぁ'..='ん' => Some("Hiragana"),
        '一'..='龥' => Some("Han"),
        '가'..='힣' => Some("Hangul"),
        '\u{0900}'..='\u{097f}' => Some("Devanagari"),
        '\u{1f300}'..='\u{1faff}' => Some("emoji"),
        _ => None,
    }
}

/// The screen must read a post as what it was meant to be.
fn check_meaning(said: &Said, bytes: &[u8], catalogue: &Catalogue) {
    let verdict = screen(bytes, Network::TWITTER, catalogue, RECORD_BYTES_MAX);
    let text = String::from_utf8_lossy(bytes);
    let act = match said.meaning {
        Meaning::Noise => return assert!(!verdict.matters(), "{verdict:?} of {text}"),
        Meaning::Deletion | Meaning::Step(Act::DeleteOrder) => {
            return assert!(matches!(verdict, Verdict::Deletion(_)), "{verdict:?} of {text}");
        }
        // Nobody was prompted here, so there is nothing to retweet but news; so it is before anybody ordered.
        Meaning::Step(Act::RetweetPrompt | Act::RetweetOrder) if text.contains("The Morning Paper") => {
            return assert!(!verdict.matters(), "{verdict:?} of {text}");
        }
        Meaning::Reply | Meaning::Side => panic!("nobody answers here: {text}"),
        Meaning::Step(act) => act,
    };
    let Verdict::Post(post) = &verdict else { panic!("{verdict:?} of {act:?}: {text}") };
    let intent = post.intent.as_ref();
    let orders = intent.map_or(0, |intent| intent.orders.len());
    let is_form = |form: fn(&PostForm) -> bool| intent.is_some_and(|intent| form(&intent.form));
    let right = match act {
        Act::Buy | Act::BuyAgain => orders == 1 && is_form(|form| *form == PostForm::Own),
        Act::Reword => orders == 1 && intent.is_some_and(|intent| intent.first_id != intent.id),
        Act::Confirm(Form::Bare) => orders == 0 && intent.is_some_and(|intent| intent.confirm_tags.len() == 1),
        Act::Cancel => intent.is_some_and(|intent| intent.cancel_word),
        Act::QuoteWithTag => orders == 1 && is_form(|form| matches!(form, PostForm::Quote(_))),
        Act::ManualRetweetWithTag => orders == 1 && is_form(|form| *form == PostForm::ManualRetweet),
        _ => intent.is_none() && post.is_retweet && post.mentions.len() == 1,
    };
    assert!(right, "{act:?} is read as {post:?}: {text}");
}

#[test]
fn posts_are_what_they_claim_to_be() {
    const POSTS: usize = 20_000;
    let house = House::new(TIME, MORE);
    let options = options(&house, 1000.0, POSTS as u64 / 1000, 0.1);
    let specs = load::offers().map(|record| record.value.expect("offers have a value"));
    let offers = specs.enumerate().map(|(version, value)| {
        let spec: OfferSpec = serde_json::from_slice(&value).expect("an offer");
        Arc::new(spec.into_offer(version as u64).expect("a valid offer"))
    });
    let service =
        Service { handle: options.service_handle.clone(), user_id: Some(options.service_user), freeze_tag: None };
    let catalogue = Catalogue::new(offers, [], service);
    let mut census = Census::default();
    let run = load::dry_run(&options, 4, Moment(1_770_000_000_000_000), &mut |said| census.count(said, &catalogue));
    let all = run.counts.posts as usize;
    assert_eq!((all, census.statuses + census.deletions), (POSTS, POSTS));
    let percent = |part: usize, of: usize| part * 100 / of;
    let noise = POSTS - census.shoppers;
    assert!((8..=11).contains(&percent(census.shoppers, POSTS)), "{} by shoppers", census.shoppers);
    assert!((67..=73).contains(&percent(census.retweets, noise)), "{} retweets of {noise}", census.retweets);
    assert!((8..=12).contains(&percent(census.deletions, noise)), "{} deletions of {noise}", census.deletions);
    assert!((28..=38).contains(&percent(census.escaped, census.statuses)), "{} escaped", census.escaped);
    let mean = census.bytes / census.statuses;
    assert!((4_200..5_200).contains(&mean), "{mean} bytes a post");
    let scripts = ["Latin", "Cyrillic", "Arabic", "Greek", "Hiragana", "Han", "Hangul", "Devanagari", "emoji"];
    assert_eq!(census.scripts, BTreeSet::from(scripts));
    assert!(census.partitions.values().all(|posts| (20..=30).contains(&percent(*posts, POSTS))));
    let acts = ["Buy", "BuyAgain", "Reword", "Confirm(Bare)", "Cancel", "DeleteOrder", "QuoteWithTag", "RetweetOrder"];
    assert!(acts.iter().all(|act| census.acts.contains_key(*act)), "{:?}", census.acts);
    // The same seed, the same stream.
    let mut again = Vec::new();
    load::dry_run(&options, 4, Moment(1_770_000_000_000_000), &mut |said| again.push(said.record.clone()));
    let mut place = 0;
    load::dry_run(&options, 4, Moment(1_770_000_000_000_000), &mut |said| {
        assert_eq!(said.record, again[place]);
        place += 1;
    });
    assert_eq!((place, GOODS.len()), (POSTS, 5));
}
