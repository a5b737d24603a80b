//! What no network should send, through the whole program: each record is what section 3 of the design says, a dead
//! letter with its reason or nothing at all; the conversations in between are judged as if it were not there.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use pay_by_tweet::bus::Bus;
use pay_by_tweet::bus::embedded::Embedded;
use pay_by_tweet::clock::VirtualClock;
use pay_by_tweet::domain::{SourceId, Time};
use pay_by_tweet::pipeline::{InlinePipeline, embedded_options};
use pay_by_tweet::screen::setup::Topology;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::firehose::{Firehose, Plan, Post, WINDOW_MS, Words};
use support::outputs::{is_id, values};
use support::{Gateway, House, asked, first_seed};

const RECORD_BYTES_MAX: usize = 1 << 20;

/// What must come of a record: a reason, or no dead letter.
type Expected = Option<&'static str>;

/// A program over one source, at a time after everything but the future.
struct Program {
    pipeline: InlinePipeline,
    log: Arc<dyn Bus>,
    gateway: Gateway,
}

impl Program {
    fn start(now_ms: i64) -> Program {
        let house = House::new("", "");
        let clock = VirtualClock::at(Time(now_ms));
        let options = embedded_options(&house.settings, Arc::new(clock.clone()));
        let bus = Embedded::open_on(redb::backends::InMemoryBackend::new(), options).expect("memory works");
        let bus = Arc::new(bus);
        let log: Arc<dyn Bus> = bus.clone();
        let topology = Topology::new(vec![SourceId { topic: "tweets".to_owned(), partition: 0 }], false);
        let pipeline = InlinePipeline::on(bus, clock, &house.settings, &house.offers, topology).expect("it starts");
        Program { pipeline, gateway: Gateway::new(&log), log }
    }

    fn feed(&mut self, topic: &str, records: Vec<Vec<u8>>) {
        self.gateway.append(topic, 0, records);
        self.pipeline.run().expect("garbage stops nothing");
    }

    /// Dead letters of a topic's partition 0, by offset.
    fn dead_letters(&self, topic: &str) -> BTreeMap<u64, Value> {
        let letters = values(&*self.log, "dead-letters");
        let of_topic = letters.into_iter().filter(|letter| letter["topic"] == topic && letter["partition"] == 0);
        of_topic.map(|letter| (letter["offset"].as_u64().expect("an offset"), letter)).collect()
    }

    /// The letter of one record is there if it must be, with its reason, size and hash, and quotes nothing of it.
    fn check_letter(letters: &BTreeMap<u64, Value>, offset: u64, record: &[u8], expected: Expected, name: &str) {
        let found = letters.get(&offset);
        assert_eq!(found.map(|letter| letter["reason"].as_str().unwrap_or_default()), expected, "{name}: {found:?}");
        let Some(letter) = found else { return };
        let hash = Sha256::digest(record).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("strings take all");
            hex
        });
        assert_eq!(letter["size"], record.len(), "{name}");
        assert_eq!(letter["sha256"], hash, "{name}");
        assert!(letter.get("body").is_none(), "{name}: {letter}");
        assert!(!letter.to_string().contains("secret"), "{name}: {letter}");
    }
}

#[test]
fn each_kind_of_garbage_is_what_the_design_says() {
    let firehose = Firehose::new(conversations(first_seed(), 0));
    let now_ms = firehose.end_ms();
    let mut program = Program::start(now_ms);
    for topic in ["tweets", "accounts.links", "replies.posted", "offers"] {
        let cases = if topic == "tweets" { posts(now_ms) } else { side_inputs(topic) };
        // The catalogue stands at the beginning of `offers`.
        let first = program.log.reader().and_then(|mut reader| reader.end(&at(topic))).expect("the log is open");
        program.feed(topic, cases.iter().map(|(_, record, _)| record.clone()).collect());
        let letters = program.dead_letters(topic);
        for (offset, (name, record, expected)) in (first..).zip(&cases) {
            Program::check_letter(&letters, offset, record, *expected, &format!("{topic}: {name}"));
        }
        println!("{topic}: {} cases, {} dead letters", cases.len(), letters.len());
    }
    // None of it brought time on: a confirm at the last millisecond is in time.
    let shopper = firehose.posts.iter().find(|post| matches!(post.words, Words::Buy(0))).expect("somebody buys a mug");
    let confirm = Post {
        time: shopper.time + WINDOW_MS,
        id: shopper.id + ((WINDOW_MS as u64) << 22),
        words: Words::Confirm(0),
        ..*shopper
    };
    program.feed("accounts.links", firehose.links().collect());
    program.feed("tweets", vec![shopper.record()]);
    program.feed("tweets", posts(now_ms).into_iter().map(|(_, record, _)| record).collect());
    program.feed("tweets", vec![confirm.record()]);
    assert_eq!(values(&*program.log, "payments.authorized").len(), 1, "the watermark was dragged along");
}

fn at(topic: &str) -> pay_by_tweet::bus::TopicPartition {
    pay_by_tweet::bus::TopicPartition::new(topic, 0)
}

fn conversations(seed: u64, posts: usize) -> Plan {
    let (span_ms, disorder_ms) = (2 * 3_600_000, 200_000);
    let posts = posts.max(4_000);
    Plan { seed, posts, shoppers: 150, partitions: 1, span_ms, disorder_ms, scarce: false, ..Plan::default() }
}

/// (name, record, what must come of it), all from 2013 but those from the future.
fn posts(now_ms: i64) -> Vec<(&'static str, Vec<u8>, Expected)> {
    const ID: &str = "301345161999286273";
    let user = r#""user":{"id":7,"id_str":"7","screen_name":"secret"}"#;
    let tagged = format!(r#"{{"id_str":"{ID}","text":"secret #BuyMug ☃",{user}}}"#).into_bytes();
    let plain = format!(r#"{{"id_str":"{ID}","text":"secret ☃",{user}}}"#).into_bytes();
    let with = |fields: &str| format!(r##"{{"tag":"#BuyMug",{fields}}}"##).into_bytes();
    let snowman = |record: &[u8]| record.windows(3).position(|bytes| bytes == "☃".as_bytes()).expect("it is there");
    let cut = |record: &[u8], len: usize| record[..len].to_vec();
    let joined = |parts: &[&[u8]]| parts.concat();
    let raw = |record: &[u8], byte: u8| {
        let mut record = record.to_vec();
        let place = snowman(&record) - 1;
        record[place] = byte;
        record
    };
    let padded = |len: usize| joined(&[&tagged, &b" ".repeat(len - tagged.len())]);
    let nested = |levels: usize, tag: &str| {
        format!("{{\"a\":{}\"{tag}\"{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1)).into_bytes()
    };
    let objects = |levels: usize| format!("{}\"#BuyMug\"{}", "{\"a\":".repeat(levels), "}".repeat(levels)).into_bytes();
    let of_time = |ms: i64, text: &str| {
        let id = ((ms - 1_288_834_974_657) as u64) << 22;
        format!(r#"{{"id":{id},"id_str":"{id}","text":"{text}",{user}}}"#).into_bytes()
    };
    let day_ms = 86_400_000;
    vec![
        ("nothing", b"".to_vec(), None),
        ("a keep-alive", b"\r\n".to_vec(), None),
        ("words", b"secret words".to_vec(), Some("not_json")),
        ("words with a tag", b"#BuyMug".to_vec(), Some("not_json")),
        ("an array", joined(&[b"[", &tagged, b"]"]), Some("not_json")),
        ("a byte order mark", joined(&[b"\xef\xbb\xbf", &tagged]), Some("not_json")),
        ("NULs", vec![0; 500], Some("not_json")),
        ("a NUL in a text with a tag", raw(&tagged, 0), Some("not_json")),
        ("a NUL in a text", raw(&plain, 0), None),
        ("an escaped NUL", with(&format!(r##""id_str":"{ID}","text":"\u0000#BuyMug",{user}"##)), None),
        ("bytes of no text", vec![0xff, 0xfe, 0x80], Some("not_utf8")),
        ("such a byte in a text with a tag", raw(&tagged, 0xff), Some("not_utf8")),
        ("such a byte in a text", raw(&plain, 0xff), None),
        ("cut, with a tag", cut(&tagged, tagged.len() - 1), Some("not_json")),
        ("cut", cut(&plain, plain.len() - 2), Some("not_json")),
        ("cut at a brace", cut(&plain, plain.len() - 1), None),
        ("cut in a character", cut(&plain, snowman(&plain) + 1), Some("not_utf8")),
        ("cut to its brace", b"{".to_vec(), Some("not_json")),
        ("a brace too many, with a tag", joined(&[&tagged, b"}"]), Some("not_json")),
        ("a brace too many", joined(&[&plain, b"}"]), None),
        ("two in one", joined(&[&tagged, b"\n", &tagged]), Some("not_json")),
        ("as long as may be", padded(RECORD_BYTES_MAX), None),
        ("a byte longer", padded(RECORD_BYTES_MAX + 1), Some("too_large")),
        ("10 MiB", padded(10 << 20), Some("too_large")),
        ("10 MiB of nothing", vec![b' '; 10 << 20], Some("too_large")),
        ("10 MiB of no JSON", vec![b'x'; 10 << 20], Some("too_large")),
        ("128 levels", nested(128, "#BuyMug"), None),
        ("129 levels", nested(129, "#BuyMug"), Some("too_deep")),
        ("129 objects", objects(129), Some("too_deep")),
        ("500,000 levels", nested(500_000, "#BuyMug"), Some("too_deep")),
        ("500,000 levels without a tag", nested(500_000, ""), None),
        ("levels that never end", joined(&[b"{\"#BuyMug\":", &b"[".repeat(300_000), b"}"]), Some("too_deep")),
        ("a number for a text", with(&format!(r#""id_str":"{ID}","text":7,{user}"#)), Some("wrong_type")),
        ("a text for a user", with(&format!(r#""id_str":"{ID}","text":"a","user":"secret""#)), Some("wrong_type")),
        (
            "a list for a user's id",
            with(&format!(r#""id_str":"{ID}","text":"a","user":{{"id":[1]}}"#)),
            Some("wrong_type"),
        ),
        (
            "an object for entities' tags",
            with(&format!(r#""id_str":"{ID}","entities":{{"hashtags":{{}}}},{user}"#)),
            Some("wrong_type"),
        ),
        ("half an id", with(&format!(r#""id":1.5,"text":"a",{user}"#)), Some("wrong_type")),
        ("an id below zero", with(&format!(r#""id":-5,"text":"a",{user}"#)), Some("wrong_type")),
        (
            "an id of 30 digits",
            with(&format!(r#""id":123456789012345678901234567890,"text":"a",{user}"#)),
            Some("wrong_type"),
        ),
        ("an id in words", with(&format!(r#""id_str":"secret","text":"a",{user}"#)), Some("wrong_type")),
        ("an old id without a date", with(&format!(r#""id":5,"text":"a",{user}"#)), Some("wrong_type")),
        (
            "a date that is none",
            with(&format!(r#""id":5,"created_at":"secret","text":"a",{user}"#)),
            Some("wrong_type"),
        ),
        (
            "a text twice",
            with(&format!(r##""id_str":"{ID}","text":"a","text":"#BuyMug",{user}"##)),
            Some("duplicate_field"),
        ),
        (
            "an id twice, once in disguise",
            with(&format!(r#""id_str":"{ID}","i\u0064_str":"5","text":"a",{user}"#)),
            Some("duplicate_field"),
        ),
        ("two users", with(&format!(r#""id_str":"{ID}","text":"a",{user},{user}"#)), Some("duplicate_field")),
        (
            "two of what nobody reads",
            with(&format!(r#""lang":"a","lang":"b","id_str":"{ID}","text":"a",{user}"#)),
            None,
        ),
        ("no id", with(&format!(r##""text":"#BuyMug",{user}"##)), Some("no_id")),
        ("an empty id", with(&format!(r#""id_str":"","text":"a",{user}"#)), Some("no_id")),
        ("no author", with(&format!(r##""id_str":"{ID}","text":"#BuyMug""##)), Some("no_author")),
        (
            "an author without id",
            with(&format!(r#""id_str":"{ID}","text":"a","user":{{"screen_name":"secret"}}"#)),
            Some("no_author"),
        ),
        ("v2 without id", br##"{"data":{"author_id":"7","text":"#BuyMug"}}"##.to_vec(), Some("no_id")),
        (
            "v2 without author",
            format!(r##"{{"data":{{"id":"{ID}","text":"#BuyMug"}}}}"##).into_bytes(),
            Some("no_author"),
        ),
        (
            "v2 with a list for a text",
            format!(r##"{{"data":{{"id":"{ID}","author_id":"7","text":["#BuyMug"]}}}}"##).into_bytes(),
            Some("wrong_type"),
        ),
        ("half a pair", with(&format!(r##""id_str":"{ID}","text":"#BuyMug \ud83d","user":{{"id":7}}"##)), None),
        ("a sound object", with(r#""a":1"#), None),
        ("an object of nothing", b"{}".to_vec(), None),
        ("a deletion of nothing", br#"{"delete":{"status":{"user_id":7}}}"#.to_vec(), Some("no_id")),
        ("a deletion by nobody", br#"{"delete":{"status":{"id":7}}}"#.to_vec(), Some("no_author")),
        ("a heartbeat without time", br#"{"heartbeat":{"at":"secret"}}"#.to_vec(), Some("wrong_type")),
        ("a day ahead, with a tag", of_time(now_ms + day_ms, "#BuyMug"), Some("future")),
        ("a day ahead", of_time(now_ms + day_ms, "secret"), Some("future")),
        ("a century ahead", with(&format!(r#""id":18446744073709551615,"text":"a",{user}"#)), Some("future")),
        (
            "a date ahead",
            with(&format!(r#""id":5,"created_at":"9999-12-30T00:00:00Z","text":"a",{user}"#)),
            Some("future"),
        ),
        ("a heartbeat ahead", br#"{"heartbeat":{"at":"9999-01-01T00:00:00Z"}}"#.to_vec(), Some("future")),
        (
            "of the year one",
            with(&format!(r##""id":5,"created_at":"0001-01-01T00:00:00Z","text":"#BuyMug",{user}"##)),
            None,
        ),
    ]
}

fn side_inputs(topic: &str) -> Vec<(&'static str, Vec<u8>, Expected)> {
    let mut cases: Vec<(&'static str, Vec<u8>, Expected)> = vec![
        ("words", b"secret".to_vec(), Some("not_json")),
        ("cut", br#"{"type":"link","#.to_vec(), Some("not_json")),
        ("NULs", vec![0; 10], Some("not_json")),
        ("bytes of no text", b"{\"id\":\"\xff\"}".to_vec(), Some("not_utf8")),
        ("10 MiB", vec![b'{'; 10 << 20], Some("too_large")),
        ("500,000 levels", [b"{\"id\":".to_vec(), b"[".repeat(500_000)].concat(), None),
        ("nothing", b"".to_vec(), None),
    ];
    // Cut and too deep at once: either reason is true.
    cases.retain(|(name, ..)| !name.starts_with("500,000"));
    let link = r#""card":"secret","country":"US","handle":"h","email_ref":"e","billing_ref":"b""#;
    let more: Vec<(&'static str, String, Expected)> = match topic {
        "accounts.links" => vec![
            ("an unknown type", r#"{"type":"dance"}"#.to_owned(), None),
            ("no account", format!(r#"{{"type":"link","at":"2013-02-11T15:00:00Z",{link}}}"#), Some("no_id")),
            ("no time", format!(r#"{{"type":"link","account":"twitter:7",{link}}}"#), Some("wrong_type")),
            (
                "two cards",
                format!(
                    r#"{{"type":"link","account":"twitter:7","at":"2013-02-11T15:00:00Z",{link},"card":"secret"}}"#
                ),
                Some("duplicate_field"),
            ),
            (
                "a number for an account",
                format!(r#"{{"type":"link","account":7,"at":"2013-02-11T15:00:00Z",{link}}}"#),
                Some("wrong_type"),
            ),
            (
                "a handle for an account",
                r#"{"type":"unlink","account":"twitter:secret","at":"2013-02-11T15:00:00Z"}"#.to_owned(),
                Some("wrong_type"),
            ),
        ],
        "replies.posted" => vec![
            ("an object of nothing", "{}".to_owned(), None),
            ("no reply", r#"{"account":"twitter:7","post":"7","at":"2013-02-11T15:00:00Z"}"#.to_owned(), Some("no_id")),
            (
                "a reply of no id",
                r#"{"reply":"secret","account":"twitter:7","post":"7","at":"2013-02-11T15:00:00Z"}"#.to_owned(),
                Some("wrong_type"),
            ),
        ],
        _ => vec![
            ("no id", r#"{"kind":"purchase"}"#.to_owned(), Some("no_id")),
            ("a number for an id", r#"{"id":7}"#.to_owned(), Some("wrong_type")),
            ("an offer of nothing", r#"{"id":"a"}"#.to_owned(), Some("wrong_type")),
            ("two prices", r#"{"id":"a","price":"1.00","price":"2.00"}"#.to_owned(), Some("duplicate_field")),
        ],
    };
    cases.extend(more.into_iter().map(|(name, record, expected)| (name, record.into_bytes(), expected)));
    cases
}

/// 100 MB of it, among conversations.
#[test]
fn conversations_go_on_among_a_hundred_megabytes_of_garbage() {
    let (seed, megabytes) = (first_seed(), asked("MEGABYTES", 100));
    println!("seed {seed}, {megabytes} MB");
    let firehose = Firehose::new(conversations(seed, 4_000));
    let mut program = Program::start(firehose.end_ms());
    program.feed("accounts.links", firehose.links().collect());
    let mut random = SmallRng::seed_from_u64(seed);
    let posts = firehose.of_partition(0);
    let (mut offset, mut bytes) = (0u64, 0);
    let mut expected: BTreeMap<u64, (&'static str, usize)> = BTreeMap::new();
    let mut unknown = Vec::new();
    for post in posts.chunks(posts.len() / 25 + 1) {
        let mut records = Vec::new();
        let mut garbage_bytes = 0;
        let share = (megabytes as usize * 1_000_000) / 25;
        for post in post {
            records.push((post.record(), Some(None)));
            while garbage_bytes < share && random.random_bool(0.9) {
                let (record, comes) = garbage(&mut random, post, firehose.end_ms());
                garbage_bytes += record.len();
                records.push((record, comes));
            }
        }
        while garbage_bytes < share {
            let (record, comes) = garbage(&mut random, &post[0], firehose.end_ms());
            garbage_bytes += record.len();
            records.push((record, comes));
        }
        bytes += garbage_bytes;
        for (record, comes) in &records {
            match comes {
                Some(Some(reason)) => drop(expected.insert(offset, (*reason, record.len()))),
                Some(None) => {}
                None => unknown.push(offset),
            }
            offset += 1;
        }
        program.feed("tweets", records.into_iter().map(|(record, _)| record).collect());
    }
    program.pipeline.end_of_input().expect("it runs");
    let mut letters = program.dead_letters("tweets");
    let buried = letters.len();
    letters.retain(|offset, _| unknown.binary_search(offset).is_err());
    let found: BTreeMap<u64, (&str, usize)> = letters
        .iter()
        .map(|(offset, letter)| {
            let reason = letter["reason"].as_str().expect("a reason");
            (*offset, (reason, letter["size"].as_u64().expect("a size") as usize))
        })
        .collect();
    let wrong = expected.iter().find(|(offset, one)| found.get(offset) != Some(one));
    assert_eq!(wrong, None, "a letter is missing, or another: {:?}", wrong.and_then(|(offset, _)| found.get(offset)));
    assert_eq!(found.len(), expected.len(), "letters that must not be");
    let truth = firehose.truth();
    let due = truth.values().filter(|due| !due.confirms.is_empty()).count();
    let payments = values(&*program.log, "payments.authorized");
    println!("{offset} records, {:.0} MB of garbage, {buried} dead letters, {due} payments", bytes as f64 / 1e6);
    assert_eq!(payments.len(), due, "payments among the garbage");
    for payment in &payments {
        let due = truth.values().find(|due| is_id(&payment["order_post"], due.order_post)).expect("a buy that counts");
        assert!(due.confirms.iter().any(|(_, id)| is_id(&payment["confirm_post"], *id)), "{payment}");
    }
}

/// A record, and what must come of it; `None` where only the program's survival is asked. What it says of the time is
/// that of `post`, or lies in the future.
fn garbage(random: &mut SmallRng, post: &Post, now_ms: i64) -> (Vec<u8>, Option<Expected>) {
    let stranger = Post { author: 3, words: [Words::Noise, Words::Buy(0)][random.random_range(0..2)], ..*post };
    let tagged = stranger.words != Words::Noise;
    let mut record = stranger.record();
    let choice = random.random_range(0..1_000);
    match choice {
        0 => {
            record.resize(10 << 20, b' ');
            (record, Some(Some("too_large")))
        }
        1..150 => {
            let mut bytes = vec![0; random.random_range(1..60_000)];
            random.fill(&mut bytes[..]);
            bytes[0] = if choice % 2 == 0 { b'x' } else { 0xc0 };
            let reason = if std::str::from_utf8(&bytes).is_ok() { "not_json" } else { "not_utf8" };
            (bytes, Some(Some(reason)))
        }
        150..200 => (vec![0; random.random_range(1..100_000)], Some(Some("not_json"))),
        200..400 => {
            record.truncate(random.random_range(1..record.len()));
            while record.ends_with(b"}") {
                record.pop();
            }
            (record, Some(Some("not_json")))
        }
        400..450 => {
            let levels = random.random_range(200..50_000);
            let tag = if tagged { "#BuyMug" } else { "" };
            let record = format!("{{\"a\":{}\"{tag}\"{}}}", "[".repeat(levels), "]".repeat(levels));
            (record.into_bytes(), Some(tagged.then_some("too_deep")))
        }
        450..550 => {
            record.splice(1..1, br#""text":"a","#.iter().copied());
            (record, Some(tagged.then_some("duplicate_field")))
        }
        550..650 => {
            let id = ((now_ms + 86_400_000 - 1_288_834_974_657) as u64) << 22;
            let record = Post { id, ..stranger }.record();
            (record, Some(Some("future")))
        }
        _ => {
            // Anything may become of what follows the id.
            let text = record.windows(6).position(|bytes| bytes == b"\"text\"").expect("posts have texts");
            for _ in 0..random.random_range(1..8) {
                let place = random.random_range(text..record.len());
                match random.random_range(0..3) {
                    0 => record[place] = random.random(),
                    1 => drop(record.remove(place)),
                    _ => record.insert(place, *b"\"{}[],:\\0"[..].get(random.random_range(0..9)).unwrap_or(&0)),
                }
            }
            (record, None)
        }
    }
}
