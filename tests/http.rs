//! The HTTP side of a running program: a purchase goes through the threads of all three stages on a log in memory, and
//! each path is asked as an operator, a probe and a stranger would.

#[path = "http/page.rs"]
mod page;
#[path = "http/taps.rs"]
mod taps;

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pay_by_tweet::bus::Bus;
use pay_by_tweet::bus::embedded::Embedded;
use pay_by_tweet::clock::VirtualClock;
use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::{SourceId, Span, Time};
use pay_by_tweet::engine::runtime::Runtime;
use pay_by_tweet::http::{ClientError, Endpoint, Events, HttpState, Server, client_get, new_secret, serve};
use pay_by_tweet::pipeline::{Producer, Stages, embedded_options, engine_settings, seed_offers, topics};
use pay_by_tweet::screen::setup::Topology;
use pay_by_tweet::telemetry;
use serde_json::{Value, json};

const BUYER: &str = "twitter:1450000000000000007";
const CARD: &str = "tok_never_to_be_seen";
const HANDLE: &str = "quietbuyer";
const TOKEN: &str = "the operator's token";

/// 2013-02-12T15:00:00Z.
const START_MS: i64 = 1_360_681_200_000;

/// Looks at the running program, 20 ms apart, before a test gives up.
const LOOKS_MAX: u32 = 500;

/// A whole program with its server; fields are dropped in this order.
struct Program {
    server: Option<Server>,
    runtime: Runtime,
    bus: Arc<dyn Bus>,
    clock: VirtualClock,
    secret: String,
    _dir: tempfile::TempDir,
}

/// What a request came to.
struct Answer {
    status: u16,
    kind: String,
    text: String,
}

#[derive(Clone, Copy)]
enum Key {
    None,
    Token,
    Secret,
    Wrong,
}

impl Program {
    fn start(token: Option<&str>, open: bool) -> Program {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let settings = settings(dir.path());
        let offers = settings.load_offers().expect("the offers are valid");
        let clock = VirtualClock::at(Time(START_MS + 3_600_000));
        let options = embedded_options(&settings, Arc::new(clock.clone()));
        let log = Embedded::open_on(redb::backends::InMemoryBackend::new(), options).expect("a log in memory");
        let bus: Arc<dyn Bus> = Arc::new(log);
        let source = SourceId { topic: "tweets".to_owned(), partition: 0 };
        let stages = Stages::new(&settings, &*bus, Topology::new(vec![source], false)).expect("stages");
        seed_offers(&*bus, &offers, &stages.screen.setup).expect("the offers are written");
        let pressure = stages.screen.pressure.clone();
        let mut runtime =
            Runtime::new(bus.clone(), Arc::new(clock.clone()), engine_settings(&settings)).expect("threads");
        runtime.spawn(stages.screen, 1).expect("screen");
        let accounts = runtime.spawn(stages.accounts, 2).expect("accounts");
        let offers = runtime.spawn(stages.offers, 1).expect("offers");
        let secret = new_secret().expect("random bytes");
        let state = HttpState {
            accounts_partitions: bus.partitions("accounts.inbox").expect("known"),
            bus: bus.clone(),
            accounts,
            offers,
            health: runtime.health(),
            clock: Arc::new(clock.clone()),
            token: token.map(str::to_owned),
            secret: secret.clone(),
            open,
            metrics: telemetry::install(),
            topics: topics(&settings),
            sources: vec!["tweets".to_owned()],
            pressure,
            events: Events::default(),
            play: None,
        };
        let server = serve(any_port(), state).expect("a free port");
        Program { server: Some(server), runtime, bus, clock, secret, _dir: dir }
    }

    fn addr(&self) -> SocketAddr {
        self.server.as_ref().expect("not stopped").addr()
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint { address: self.addr(), secret: self.secret.clone() }
    }

    /// Looks until it is so.
    #[track_caller]
    fn until(&self, what: &str, so: impl Fn() -> bool) {
        for _ in 0..LOOKS_MAX {
            if so() {
                return;
            }
            // Waiting for a failure is waiting all the same.
            if let Some(failure) = self.runtime.failure(Duration::from_millis(20)) {
                panic!("{failure}");
            }
        }
        panic!("it is never so: {what}");
    }

    fn append(&self, topic: &str, values: &[Value]) {
        let mut producer = Producer::new(&*self.bus, "feed").expect("a producer");
        for value in values {
            producer.send(topic, Some(0), None, Some(value.to_string().as_bytes())).expect("sent");
        }
        producer.commit(&[]).expect("committed");
        self.until("drained", || self.runtime.drained().expect("the log is there"));
    }

    /// A link, a buy, a confirm, and a second buy that waits.
    fn feed_a_purchase(&self) {
        self.append(
            "accounts.links",
            &[json!({"type": "link", "account": BUYER, "card": CARD, "country": "US", "handle": HANDLE,
                "email_ref": "eml_1", "billing_ref": "adr_1", "at": "2013-02-11T15:00:00.000Z"})],
        );
        let posts = [(60, "A present #BuyTeapot"), (120, "#ConfirmTeapot"), (180, "#BuyMug"), (200, "nothing")];
        self.append("tweets", &posts.map(|(seconds, text)| tweet(seconds, text)));
    }

    fn get(&self, path: &str, key: Key) -> Answer {
        let token = match key {
            Key::None => None,
            Key::Token => Some(TOKEN),
            Key::Secret => Some(self.secret.as_str()),
            Key::Wrong => Some("wrong"),
        };
        request("GET", self.addr(), path, token)
    }

    #[track_caller]
    fn check(&self, path: &str, key: Key, status: u16) -> Answer {
        let answer = self.get(path, key);
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        if status >= 400 {
            assert!(answer.json()["error"].is_string(), "{path}: {}", answer.text);
        }
        answer
    }
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn lines(&self) -> Vec<Value> {
        self.text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

#[test]
fn a_purchase_is_seen_on_every_path() {
    let program = Program::start(Some(TOKEN), false);
    program.until("ready", || program.get("/readyz", Key::None).status == 200);
    program.feed_a_purchase();
    assert_eq!(program.check("/livez", Key::None, 200).json(), json!({"live": true}));

    let account = program.check(&format!("/v1/accounts/{BUYER}"), Key::Token, 200);
    assert!(!account.text.contains(CARD) && !account.text.contains("adr_1"), "{}", account.text);
    let account = account.json();
    assert_eq!(account["link"], json!({"country": "US", "handle": HANDLE, "card": "active", "frozen": false}));
    assert_eq!(account["purchases"][0]["offer"], "teapot");
    assert_eq!(account["purchases"][0]["state"], "fulfilled");
    assert_eq!(account["purchases"][0]["ordered_at"], "2013-02-12T15:01:00.000Z");
    assert_eq!(account["purchases"][0]["amount"], json!({"minor": 2099, "currency": "USD"}));
    assert_eq!(account["purchases"][0]["exponent"], 2);
    assert_eq!(account["purchases"][1]["state"], "prompted");
    assert_eq!(account["purchases"][1]["deadline"], "2013-02-12T15:19:00.000Z");
    assert_eq!(account["kept"]["links"], 1);
    // A tick stands between two posts and tells the first one's time: 15:03:00, less `lateness_max`.
    assert_eq!(account["watermark"], "2013-02-12T15:02:00.000Z");

    let offers = program.check("/v1/offers", Key::None, 200).json();
    let teapot = offers.as_array().expect("an array").iter().find(|offer| offer["id"] == "teapot").expect("known");
    assert_eq!((&teapot["kind"], &teapot["quantity"]), (&json!("purchase"), &json!(3)));
    assert_eq!(teapot["per_account"], 1);
    assert_eq!((&teapot["held"], &teapot["sold"], &teapot["waiting"]), (&json!(0), &json!(1), &json!(0)));
    assert_eq!((&teapot["funnel"]["authorized"], &teapot["funnel"]["mentions"]), (&json!(1), &json!(1)));

    // Browsers take both for currencies without decimals.
    let batik = offers.as_array().expect("an array").iter().find(|offer| offer["id"] == "batik").expect("known");
    assert_eq!((&batik["price"], &batik["exponent"]), (&json!({"minor": 15_000_000, "currency": "IDR"}), &json!(2)));
    let ink = offers.as_array().expect("an array").iter().find(|offer| offer["id"] == "ink").expect("known");
    assert_eq!((&ink["price"], &ink["exponent"]), (&json!({"minor": 500, "currency": "JPY"}), &json!(0)));

    let page = program.check("/", Key::None, 200);
    assert!(page.kind.starts_with("text/html") && page.text.contains("/assets/main.js"));
}

#[test]
fn account_data_needs_a_key() {
    let program = Program::start(Some(TOKEN), false);
    program.until("ready", || program.get("/readyz", Key::None).status == 200);
    let (account, tap) = (format!("/v1/accounts/{BUYER}"), "/v1/tap/replies".to_owned());
    for path in [&account, &tap] {
        for key in [Key::None, Key::Wrong] {
            let refused = program.check(path, key, 401);
            assert!(refused.text.contains("Authorization: Bearer"), "{}", refused.text);
        }
    }
    program.check(&account, Key::Token, 404);
    program.check(&account, Key::Secret, 404);
    program.check(&tap, Key::Token, 200);
    for bad in ["twitter:x", "twitter", "twitter:01", "twitter:%ff"] {
        program.check(&format!("/v1/accounts/{bad}"), Key::Token, 400);
    }
    program.check("/v1/nothing", Key::None, 404);
    let head = request("HEAD", program.addr(), "/readyz", None);
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let posted = request("POST", program.addr(), "/v1/offers", Some(TOKEN));
    assert_eq!((posted.status, posted.json()["error"].is_string()), (405, true));
}

#[test]
fn without_a_token_the_refusal_names_the_setting() {
    let program = Program::start(None, false);
    let refused = program.check(&format!("/v1/accounts/{BUYER}"), Key::None, 401);
    assert!(refused.text.contains("http.token_file"), "{}", refused.text);
    program.check("/v1/tap/replies", Key::Secret, 200);
    let open = Program::start(None, true);
    open.check("/v1/tap/replies", Key::None, 200);
}

#[test]
fn metrics_are_described_parse_and_tell_nobody() {
    let program = Program::start(None, false);
    program.until("ready", || program.get("/readyz", Key::None).status == 200);
    program.feed_a_purchase();
    telemetry::transaction("of this test", 0.003);
    let answer = program.check("/metrics", Key::None, 200);
    assert!(answer.kind.starts_with("text/plain; version=0.0.4"), "{}", answer.kind);
    for private in [CARD, HANDLE, BUYER, "1450000000000000007", "present"] {
        assert!(!answer.text.contains(private), "{private} is in the metrics");
    }
    let mut described = Vec::new();
    for line in answer.text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            described.push(rest.split_once(' ').expect("a text").0.to_owned());
        } else if !line.starts_with("# ") {
            let name = sample(line);
            let family = |suffix| name.strip_suffix(suffix).unwrap_or(name);
            let known = ["", "_bucket", "_sum", "_count"].iter().any(|s| described.contains(&family(s).to_owned()));
            assert!(known, "no # HELP before {line}");
        }
    }
    for expected in [
        "pay_by_tweet_worker_ready{stage=\"screen\",slot=\"0\"} 1",
        "pay_by_tweet_worker_ready{stage=\"accounts\",slot=\"1\"} 1",
        "pay_by_tweet_stock_sold{offer=\"teapot\"} 1",
        "pay_by_tweet_transaction_duration_seconds_bucket{stage=\"of this test\",le=\"0.005\"} 1",
        concat!("pay_by_tweet_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(answer.text.lines().any(|line| line == expected), "no {expected} in\n{}", answer.text);
    }
    assert!(answer.text.contains("pay_by_tweet_worker_commits_total{stage=\"accounts\""));
    assert!(answer.text.contains("pay_by_tweet_transitions_total{to=\"fulfilled\""));
}

#[test]
fn a_tap_gives_lines_from_where_it_is_told() {
    let program = Program::start(Some(TOKEN), false);
    program.feed_a_purchase();
    let tap = |query: &str| program.check(&format!("/v1/tap/{query}"), Key::Token, 200);
    let tweets = tap("tweets");
    assert_eq!(tweets.kind, "application/x-ndjson");
    let tweets = tweets.lines();
    assert_eq!(tweets.len(), 4);
    assert_eq!((&tweets[0]["partition"], &tweets[0]["key"]), (&json!(0), &Value::Null));
    assert_eq!(tweets[0]["value"], tweet(60, "A present #BuyTeapot"));
    assert_eq!(tap("tweets?partition=0&from=1&max=2").lines(), tweets[1..3]);
    assert_eq!(tap("tweets?partition=1").lines(), Vec::<Value>::new());

    let payments = tap("payments.authorized").lines();
    assert_eq!((payments.len(), &payments[0]["key"]), (1, &json!(BUYER)));
    assert_eq!(payments[0]["headers"]["ce_type"], "payments.authorized");
    assert!(tap("accounts.inbox").lines().iter().all(|line| line["value_base64"].is_string()));

    for bad in ["tweets?partition=x", "tweets?form=3", "tweets?max=-1"] {
        program.check(&format!("/v1/tap/{bad}"), Key::Token, 400);
    }
    program.check("/v1/tap/tweets?partition=99", Key::Token, 404);

    let mut text = String::new();
    let mut body = client_get(&program.endpoint(), "/v1/tap/tweets?max=1").expect("answered");
    body.read_to_string(&mut text).expect("whole");
    assert_eq!(text.lines().count(), 1);
    let stranger = Endpoint { secret: "guessed".to_owned(), ..program.endpoint() };
    let refused = client_get(&stranger, "/v1/tap/tweets").map(drop).expect_err("it is refused");
    assert!(matches!(&refused, ClientError::Refused { status: 401, why } if why.contains("Bearer")), "{refused}");
}

#[test]
fn what_is_refused_is_told_as_json_with_what_there_is() {
    let program = Program::start(Some(TOKEN), false);
    for path in ["/v1/tap/twets", "/v1/ends/twets"] {
        let refused = program.check(path, Key::Token, 404).text;
        assert!(refused.contains("twets") && refused.contains("replies, ") && refused.contains("tweets"), "{refused}");
        program.check(path, Key::None, 401);
    }
    program.check("/v1/ends/tweets", Key::Token, 200);
    program.check("/v1/ends/tweets?foo=1", Key::Token, 400);
    let nowhere = program.check("/v2", Key::None, 404).text;
    assert!(nowhere.contains("/v1/tap/{topic}") && nowhere.contains("/readyz"), "{nowhere}");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let post = agent.post(format!("http://{}/v1/demo/tweet", program.addr()));
    let post = post.header("authorization", format!("Bearer {TOKEN}")).header("content-type", "application/json");
    let mut answer = post.send(&" ".repeat(17 << 10)).expect("it is answered");
    let told: Value = serde_json::from_str(&answer.body_mut().read_to_string().expect("whole")).expect("JSON");
    assert_eq!((answer.status().as_u16(), told["error"].is_string()), (413, true), "{told}");
}

#[test]
fn a_tap_that_follows_sees_what_comes_and_ends_with_the_server() {
    let mut program = Program::start(None, false);
    let mut body = client_get(&program.endpoint(), "/v1/tap/tweets?follow=true").expect("answered");
    program.append("tweets", &[tweet(1, "first"), tweet(2, "second")]);
    let mut text = Vec::new();
    while text.iter().filter(|byte| **byte == b'\n').count() < 2 {
        let mut some = [0; 256];
        let n = body.read(&mut some).expect("it goes on");
        assert!(n > 0, "it ended");
        text.extend_from_slice(&some[..n]);
    }
    let address = program.addr();
    program.server.take().expect("not stopped").stop();
    assert_eq!(body.read_to_end(&mut text).expect("it ends as answers do"), 0);
    let gone =
        client_get(&Endpoint { address, secret: String::new() }, "/livez").map(drop).expect_err("nobody is there");
    assert!(gone.to_string().contains(&address.to_string()), "{gone}");
}

#[test]
fn a_worker_that_stands_still_is_named() {
    let program = Program::start(None, false);
    program.until("ready", || program.get("/readyz", Key::None).status == 200);
    let Program { server, runtime, clock, .. } = program;
    let server = server.expect("started");
    runtime.stop(Duration::from_secs(10)).expect("it stops");
    clock.advance(Span::of_secs(46));
    let live = request("GET", server.addr(), "/livez", None);
    assert_eq!(live.status, 503);
    assert!(live.text.contains("screen-0, accounts-0, accounts-1, offers-0"), "{}", live.text);
    let ready = request("GET", server.addr(), "/readyz", None);
    assert_eq!(ready.json(), json!({"error": "not ready: screen-0, accounts-0, accounts-1, offers-0"}));
}

#[test]
fn an_address_in_use_is_said_at_once() {
    let program = Program::start(None, false);
    let state = HttpState {
        bus: program.bus.clone(),
        accounts: Default::default(),
        offers: Default::default(),
        health: Default::default(),
        clock: Arc::new(program.clock.clone()),
        accounts_partitions: 4,
        token: None,
        secret: String::new(),
        open: false,
        metrics: telemetry::install(),
        topics: Vec::new(),
        sources: Vec::new(),
        pressure: Default::default(),
        events: Events::default(),
        play: None,
    };
    let error = serve(program.addr(), state).map(drop).expect_err("the address is in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains("http.listen") && text.contains(&program.addr().to_string()), "{text}");
}

fn settings(dir: &Path) -> Settings {
    let config = dir.join("config.toml");
    std::fs::write(
        &config,
        "[topics]\npartitions = 4\n[time]\nidle_after = \"0s\"\nlateness_max = \"60s\"\n\
         [offers]\nfile = \"offers.toml\"\n[service]\nhandle = \"TeaShop\"\nuser_id = \"501\"\n",
    )
    .expect("writable");
    let offer = |id: &str, name: &str, [price, tax, currency]: [&str; 3], quantity: &str| {
        format!(
            "[[offers]]\nid = \"{id}\"\nkind = \"purchase\"\nbuy_tag = \"Buy{name}\"\nconfirm_tag = \"Confirm{name}\"\n\
             merchant = \"teashop\"\nitem = \"{name}\"\nprice = \"{price}\"\ntax = \"{tax}\"\n\
             currency = \"{currency}\"\n{quantity}\n"
        )
    };
    let offers = [
        offer("teapot", "Teapot", ["19.99", "1.00", "USD"], "quantity = 3"),
        offer("mug", "Mug", ["19.99", "1.00", "USD"], ""),
        offer("batik", "Batik", ["150000.00", "0.00", "IDR"], ""),
        offer("ink", "Ink", ["450", "50", "JPY"], ""),
    ];
    let offers = offers.concat();
    std::fs::write(dir.join("offers.toml"), offers).expect("writable");
    Settings::load(Some(&config), std::iter::empty()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn tweet(seconds: i64, text: &str) -> Value {
    let ms = START_MS + seconds * 1000;
    let id = (ms - pay_by_tweet::domain::time::SNOWFLAKE_EPOCH_MS) << 22;
    let hashtags: Vec<Value> = text
        .match_indices('#')
        .map(|(start, _)| {
            let tag = text[start + 1..].split(' ').next().unwrap_or_default();
            json!({"text": tag, "indices": [start, start + 1 + tag.len()]})
        })
        .collect();
    json!({"created_at": "Tue Feb 12 15:00:00 +0000 2013", "id": id, "id_str": id.to_string(), "text": text,
        "truncated": false, "in_reply_to_status_id": null, "is_quote_status": false,
        "user": {"id": 1450000000000000007u64, "id_str": "1450000000000000007", "screen_name": HANDLE},
        "entities": {"hashtags": hashtags, "urls": [], "user_mentions": []}, "timestamp_ms": ms.to_string()})
}

/// The name of a sample of the text format: `name{label="value",…} number`.
#[track_caller]
fn sample(line: &str) -> &str {
    let (series, number) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no number: {line}"));
    assert!(number.parse::<f64>().is_ok(), "no number: {line}");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let legal = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("labels without end: {line}"));
    for label in labels.split("\",").filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once("=\"").unwrap_or_else(|| panic!("a label without value: {line}"));
        assert!(legal(key) && !value.trim_end_matches('"').contains('"'), "{line}");
    }
    assert!(legal(name) && name.starts_with("pay_by_tweet_"), "{line}");
    name
}

fn request(method: &str, addr: SocketAddr, path: &str, token: Option<&str>) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(15)))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{addr}{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut answer = agent.run(request.body(()).expect("a sound request")).expect("it is answered");
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let text = answer.body_mut().read_to_string().expect("the answer is whole");
    Answer { status: answer.status().as_u16(), kind, text }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
