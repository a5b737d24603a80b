//! Every key of the configuration, section by section: its type and its bounds. The defaults stand in the shipped file.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use crate::domain::money::parse_decimal;
use crate::domain::{Network, ReplyKind, Span, parse_id};

use super::document::{Entry, Node, Value};
use super::error::Place;
use super::reader::{PROPERTIES, Reader};
use super::template::{check_email, check_reply};
use super::values::{is_near, nearest};
use super::*;

/// Decimals of `limits.spend_per_day`: as many as any currency has.
const SPEND_EXPONENT: u32 = 4;

/// Bounds of the keys that take a number, each in the unit of its name.
const PARTITIONS_MAX: i64 = 4096;
const WORKERS_MAX: i64 = 256;
const COUNT_MAX: i64 = 1_000_000;
const BYTES_MIN: i64 = 1 << 10;
const BYTES_MAX: i64 = 1 << 40;

/// Characters of a topic's name, by Kafka's rule, less what `topics.prefix` may take.
const TOPIC_CHARS_MAX: usize = 149;
const PREFIX_CHARS_MAX: usize = 100;

/// Properties that exactly-once rests on; the program sets them.
const OWN_PROPERTIES: [&str; 16] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "check.crcs",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "transactional.id",
];

const TRANSACTION_TIMEOUT: &str = "transaction.timeout.ms";
/// Up to half of the patience that a restore has with somebody's open transaction (`engine::settings`).
const TRANSACTION_TIMEOUTS_MS: std::ops::RangeInclusive<u32> = 1_000..=30_000;

/// Properties that name brokers; one of them is needed.
const BROKERS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];

/// Topics that the program itself reads or writes, so that none of them can be a source of posts.
const OWN_TOPICS: [&str; 22] = [
    "accounts.links",
    "offers",
    "replies.posted",
    "payments.results",
    "approvals",
    "cards.spend",
    "replies",
    "payments.authorized",
    "payments.requested",
    "payments.voided",
    "fulfilment.orders",
    "notifications.email",
    "messages.direct",
    "credits",
    "purchases.events",
    "offers.funnel",
    "dead-letters",
    "accounts.changelog",
    "offers.changelog",
    "accounts.inbox",
    "offers.inbox",
    "screen.changelog",
];

/// Reads everything. Mistakes stay in the reader, and the defaults take the place of what was wrong.
pub(super) fn settings(reader: &mut Reader, file: Option<&Path>) -> Settings {
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let offers_named = reader.is_set("offers.file");
    let offers_file = folder.join(reader.text("offers.file", non_empty));
    Settings {
        file: file.map(Path::to_path_buf),
        bus: bus(reader, folder),
        topics: TopicSettings {
            prefix: reader.text("topics.prefix", topic_prefix),
            partitions: number(reader, "topics.partitions", 1, PARTITIONS_MAX),
        },
        sources: sources(reader),
        http: http(reader, folder),
        offers_file: (file.is_some() || offers_named).then_some(offers_file),
        service: service(reader),
        account: account(reader),
        time: time(reader),
        reply: reply(reader),
        limits: limits(reader),
        instance_id: reader.optional_text("instance.id", "payments-0", instance_id),
        payment: payment(reader),
        commit_interval: duration(reader, "commit.interval", 1),
        workers: Workers {
            screen: number(reader, "workers.screen", 1, WORKERS_MAX),
            accounts: number(reader, "workers.accounts", 1, WORKERS_MAX),
            offers: number(reader, "workers.offers", 1, WORKERS_MAX),
        },
        shutdown_timeout: duration(reader, "shutdown.timeout", 1),
        dead_letters_body: reader.flag("dead_letters.body"),
        log: LogSettings {
            format: reader.choice("log.format", &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]),
            level: reader.choice("log.level", &["error", "warn", "info", "debug", "trace"].map(|level| (level, level))),
        },
        templates: templates(reader),
    }
}

fn bus(reader: &mut Reader, folder: &Path) -> BusSettings {
    let kafka_properties = reader.properties(folder);
    for name in OWN_PROPERTIES {
        let Some(place) = reader.property_place(name) else { continue };
        let what = "exactly-once needs its own value of this property".to_owned();
        reader.fault_at(place, format!("{PROPERTIES}.\"{name}\""), what, "leave it out".to_owned());
    }
    let timeout = kafka_properties.get(TRANSACTION_TIMEOUT).map(|text| text.trim().parse());
    if let (Some(place), Some(given)) = (reader.property_place(TRANSACTION_TIMEOUT), timeout)
        && !given.is_ok_and(|ms: u32| TRANSACTION_TIMEOUTS_MS.contains(&ms))
    {
        let (least, most) = (TRANSACTION_TIMEOUTS_MS.start(), TRANSACTION_TIMEOUTS_MS.end());
        let what = format!("a transaction may stay open for {least} to {most} ms: a restore waits for it");
        let hint = "leave it out: it is 5000".to_owned();
        reader.fault_at(place, format!("{PROPERTIES}.\"{TRANSACTION_TIMEOUT}\""), what, hint);
    }
    let kind = reader.choice("bus.kind", &[("embedded", BusKind::Embedded), ("kafka", BusKind::Kafka)]);
    if kind == BusKind::Kafka && BROKERS.iter().all(|name| reader.property_place(name).is_none()) {
        let place = reader.place("bus.kind").unwrap_or_else(|| Place::whole_file("the command line"));
        let hint = format!("set {PROPERTIES}.\"{}\" = \"host:9092,…\"", BROKERS[0]);
        reader.fault_at(place, "bus.kind".to_owned(), "a cluster needs its brokers".to_owned(), hint);
    }
    BusSettings {
        kind,
        embedded: EmbeddedSettings {
            dir: folder.join(reader.text("bus.embedded.dir", non_empty)),
            fsync: reader.choice("bus.embedded.fsync", &[("commit", Fsync::Commit), ("interval", Fsync::Interval)]),
            fsync_interval: duration(reader, "bus.embedded.fsync_interval", 1),
            retention: duration(reader, "bus.embedded.retention", 1),
            cache_bytes: size(reader, "bus.embedded.cache_bytes"),
        },
        kafka_properties,
    }
}

fn http(reader: &mut Reader, folder: &Path) -> HttpSettings {
    let address = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is not an IP address with a port"));
    HttpSettings {
        listen: reader.text("http.listen", address),
        token_file: reader.optional_text("http.token_file", "token", non_empty).map(|name| folder.join(name)),
    }
}

fn service(reader: &mut Reader) -> ServiceSettings {
    ServiceSettings {
        handle: reader.text("service.handle", handle),
        user_id: reader.text("service.user_id", |text| {
            parse_id(text).ok_or_else(|| format!("\"{text}\" is not a user id, which is digits only"))
        }),
        freeze_tag: reader.text("service.freeze_tag", |text| super::tags::legal_tag(text).map(|()| text.to_owned())),
    }
}

fn account(reader: &mut Reader) -> AccountSettings {
    AccountSettings {
        confirm_window: span(reader, "account.confirm_window", 1),
        reply_grace: span(reader, "account.reply_grace", 0),
        buy_max_age: span(reader, "account.buy_max_age", 1),
        cancel_window: span(reader, "account.cancel_window", 0),
        forget_after: span(reader, "account.forget_after", 1),
    }
}

fn time(reader: &mut Reader) -> TimeSettings {
    TimeSettings {
        lateness_max: span(reader, "time.lateness_max", 0),
        idle_after: span(reader, "time.idle_after", 0),
        idle: reader.choice("time.idle", &[("clock", IdleBy::Clock), ("heartbeat", IdleBy::Heartbeat)]),
        tick_every: span(reader, "time.tick_every", 1),
        skew_max: span(reader, "time.skew_max", 0),
        topology: number(reader, "time.topology", 0, COUNT_MAX),
    }
}

fn reply(reader: &mut Reader) -> ReplySettings {
    ReplySettings {
        feedback_required: reader.choice("reply.feedback", &[("optional", false), ("required", true)]),
        feedback_timeout: span(reader, "reply.feedback_timeout", 1),
        nothing_to_confirm: reader.flag("reply.nothing_to_confirm"),
    }
}

fn limits(reader: &mut Reader) -> LimitSettings {
    if reader.optional_text("limits.step_up_above", "100.00", |text| Ok(text.to_owned())).is_some() {
        reader.fault("limits.step_up_above", "not supported yet", "leave it out");
    }
    LimitSettings {
        pending_per_account: number(reader, "limits.pending_per_account", 1, COUNT_MAX) as usize,
        purchases_per_day: number(reader, "limits.purchases_per_day", 0, COUNT_MAX),
        spend_per_day_e4: reader.text("limits.spend_per_day", |text| parse_decimal(text, SPEND_EXPONENT)),
        replies_per_hour: number(reader, "limits.replies_per_hour", 0, COUNT_MAX),
        record_bytes: size(reader, "limits.record_bytes"),
        kept_bytes_per_shard: size(reader, "limits.kept_bytes_per_shard"),
        batch_records: number(reader, "limits.batch_records", 1, COUNT_MAX) as usize,
        batch_bytes: size(reader, "limits.batch_bytes"),
        transaction_records: number(reader, "limits.transaction_records", 1, COUNT_MAX) as usize,
    }
}

fn payment(reader: &mut Reader) -> Authorization {
    let known = [("on_confirm", Some(Authorization::OnConfirm)), ("processor", None)];
    let choice = reader.choice("payment.authorization", &known);
    if choice.is_none() {
        reader.fault("payment.authorization", "\"processor\" is not supported yet", "set it to \"on_confirm\"");
    }
    choice.unwrap_or(Authorization::OnConfirm)
}

fn templates(reader: &mut Reader) -> Templates {
    let mut templates = Templates::default();
    for kind in ReplyKind::ALL {
        let key = format!("replies.templates.{}", kind.name());
        let text = reader.text(&key, |source| check_reply(kind, source));
        templates.replies.insert(kind.name().to_owned(), text);
    }
    for kind in EMAIL_KINDS {
        let text = reader.text(&format!("emails.templates.{}", kind.name()), check_email);
        templates.emails.insert(kind.name().to_owned(), text);
    }
    templates
}

fn sources(reader: &mut Reader) -> Vec<Source> {
    let (place, items) = reader.list("sources");
    let mut sources: Vec<Source> = Vec::new();
    let mut topics = HashSet::new();
    for (i, item) in items.iter().enumerate() {
        let mut fault = |line: usize, key: &str, what: String, hint: &str| {
            let key = if key.is_empty() { format!("sources[{i}]") } else { format!("sources[{i}].{key}") };
            reader.fault_at(at_line(&place, line), key, what, hint.to_owned());
        };
        let Some(source) = source(item, &mut fault) else {
            continue;
        };
        if !topics.insert(source.topic.clone()) {
            fault(item.line, "topic", format!("\"{}\" is listed twice", source.topic), "list each topic once");
        }
        sources.push(source);
    }
    if items.is_empty() {
        reader.fault("sources", "an empty list: nothing would be read", "leave it out to read \"tweets\"");
    }
    sources
}

fn source(item: &Node, fault: &mut dyn FnMut(usize, &str, String, &str)) -> Option<Source> {
    const KEYS: [&str; 3] = ["topic", "network", "format"];
    let Value::Table(entries) = &item.value else {
        let what = format!("expected a table, found {}", item.value.describe());
        fault(item.line, "", what, "write [[sources]] with topic, network and format");
        return None;
    };
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let meant = nearest(&entry.key, KEYS.into_iter()).unwrap_or_default();
        let hint = if is_near(&entry.key, meant) { "did you mean" } else { "the nearest valid key is" };
        fault(entry.line, &entry.key, "unknown key".to_owned(), &format!("{hint} \"{meant}\"?"));
    }
    let mut field = |key: &str, example: &str| text_field(entries, key, example, item.line, fault);
    let (topic, network) = (field("topic", "tweets"), field("network", "twitter"));
    let format = if entries.iter().any(|entry| entry.key == "format") { field("format", "x") } else { Some((0, "x")) };
    let ((topic_line, topic), (network_line, name), (format_line, format)) = (topic?, network?, format?);
    let network = Network::new(name);
    if network.is_none() {
        let what = format!("\"{name}\" is not a network's name of at most 15 of a-z, 0-9, _ and -");
        fault(network_line, "network", what, "write it such as \"twitter\"");
    }
    if format != "x" {
        fault(format_line, "format", format!("\"{format}\" is not a known format"), "the only one yet is \"x\"");
    }
    if let Err(what) = source_topic(topic) {
        fault(topic_line, "topic", what, "write it such as \"tweets\"");
    }
    Some(Source { topic: topic.to_owned(), network: network?, format: PostFormat::X })
}

fn text_field<'a>(
    entries: &'a [Entry],
    key: &str,
    example: &str,
    line: usize,
    fault: &mut dyn FnMut(usize, &str, String, &str),
) -> Option<(usize, &'a str)> {
    let hint = format!("write {key} = \"{example}\"");
    match entries.iter().find(|entry| entry.key == key).map(|entry| (entry.line, &entry.node.value)) {
        Some((line, Value::Text(text))) => return Some((line, text)),
        Some((line, value)) => fault(line, key, format!("expected a string, found {}", value.describe()), &hint),
        None => fault(line, key, "missing".to_owned(), &hint),
    }
    None
}

fn source_topic(name: &str) -> Result<(), String> {
    if name.is_empty()
        || name.len() > TOPIC_CHARS_MAX
        || !name.bytes().all(is_topic_byte)
        || name == "."
        || name == ".."
    {
        return Err(format!("\"{name}\" is not a topic's name of letters, digits, '.', '_' and '-'"));
    }
    if OWN_TOPICS.contains(&name) {
        return Err(format!("\"{name}\" is a topic of the program itself"));
    }
    Ok(())
}

fn topic_prefix(text: &str) -> Result<String, String> {
    if text.len() > PREFIX_CHARS_MAX || !text.bytes().all(is_topic_byte) {
        return Err(format!("\"{text}\" can't begin a topic's name: at most 100 letters, digits, '.', '_' and '-'"));
    }
    Ok(text.to_owned())
}

fn is_topic_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
}

fn handle(text: &str) -> Result<String, String> {
    let legal = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let what = || format!("\"{text}\" is not a handle of 1 to 15 letters, digits and '_', without '@'");
    legal.then(|| text.to_owned()).ok_or_else(what)
}

fn instance_id(text: &str) -> Result<String, String> {
    let legal = (1..=100).contains(&text.len()) && text.bytes().all(is_topic_byte);
    legal
        .then(|| text.to_owned())
        .ok_or_else(|| format!("\"{text}\" is not a name of 1 to 100 letters, digits, '.', '_' and '-'"))
}

fn non_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn span(reader: &mut Reader, key: &str, least_ms: i64) -> Span {
    Span(reader.duration_ms(key, least_ms))
}

fn duration(reader: &mut Reader, key: &str, least_ms: i64) -> Duration {
    Duration::from_millis(reader.duration_ms(key, least_ms).unsigned_abs())
}

/// A number whose upper bound fits 32 bits.
fn number(reader: &mut Reader, key: &str, least: i64, most: i64) -> u32 {
    reader.whole(key, least..=most) as u32
}

fn size(reader: &mut Reader, key: &str) -> usize {
    reader.bytes(key, BYTES_MIN..=BYTES_MAX) as usize
}

fn at_line(place: &Place, line: usize) -> Place {
    match place {
        Place::File { path, .. } => Place::line(path, line),
        Place::Variable(_) => place.clone(),
    }
}
