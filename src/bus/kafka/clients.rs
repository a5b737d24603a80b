//! How the clients of the cluster are configured. Three layers: values that suit this program, then
//! `bus.kafka.properties`, then what exactly-once rests on, which nobody overrides.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::complaints::complain;
use crate::planted::{self, Bug};

/// Who a client is, which only the program says, also by saying nothing.
const IDENTITY: [&str; 4] = ["group.id", "group.instance.id", "group.protocol", "transactional.id"];

/// Properties whose values may be shown, with those that end in one of [`SHOWN_ENDINGS`]. All others are hidden: a list
/// of secrets would miss a new one, and one whose name is misspelt.
const SHOWN: [&str; 8] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "client.rack",
    "compression.type",
    "debug",
];

/// Times, sizes, and paths.
const SHOWN_ENDINGS: [&str; 6] = [".ms", ".bytes", ".kbytes", ".messages", ".size", ".location"];

/// What every producer has.
const PRODUCER: [(&str, &str); 4] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("partitioner", "murmur2_random"),
    // A connection that breaks is told by a log line, and casts doubt on whatever was under way (`producer.rs`).
    ("log.connection.close", "true"),
];

/// The largest record that is written, in bytes, where the topics are ours: an account's whole state, or a dead letter
/// that carries its record in base64. Kafka's own default is a million.
pub const RECORD_BYTES_MAX: usize = 8 << 20;

/// Stands for a value that is not shown.
const HIDDEN: &str = "[hidden]";

/// Makes the configurations of all clients.
#[derive(Clone)]
pub struct Clients {
    properties: BTreeMap<String, String>,
}

/// Which records a consumer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    Committed,
    /// Everything: its ends count the records of open transactions too.
    Uncommitted,
}

impl Clients {
    pub fn new(properties: BTreeMap<String, String>) -> Clients {
        Clients { properties }
    }

    /// Brokers, security and the like: all that an administrator needs.
    pub fn admin(&self) -> ClientConfig {
        self.layered(&[], &[])
    }

    /// A member of a group. `name` orders members, so that a group whose members come back hands out alike.
    pub fn member(&self, group: &str, name: &str) -> ClientConfig {
        let suited = [
            ("client.id", name),
            ("session.timeout.ms", "10000"),
            ("max.poll.interval.ms", "60000"),
            // With the default of a second, fetching stands still for that long whenever the queue was full.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "50"),
            ("fetch.wait.max.ms", "100"),
            ("queued.max.messages.kbytes", "65536"),
            ("reconnect.backoff.max.ms", "1000"),
        ];
        let forced = [
            ("group.id", group),
            ("group.protocol", "classic"),
            // Eager: a transaction that is committed while partitions are revoked still succeeds.
            ("partition.assignment.strategy", "range"),
        ];
        self.layered(&suited, &[&forced[..], &consumer(Isolation::Committed)].concat())
    }

    /// A consumer that is in no group and reads what it is told to.
    pub fn reader(&self, isolation: Isolation) -> ClientConfig {
        let suited = [
            ("client.id", "pay-by-tweet.reader"),
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.error.backoff.ms", "50"),
            ("fetch.wait.max.ms", "10"),
            // Of each partition that is being read.
            ("queued.max.messages.kbytes", "8192"),
            ("reconnect.backoff.max.ms", "1000"),
        ];
        self.layered(&suited, &consumer(isolation))
    }

    /// A consumer that only asks where a group stands, or commits for it while nobody is in it.
    pub fn onlooker(&self, group: &str) -> ClientConfig {
        let suited = [("client.id", "pay-by-tweet.onlooker"), ("reconnect.backoff.max.ms", "1000")];
        let forced = [("group.id", group), ("group.protocol", "classic")];
        self.layered(&suited, &[&forced[..], &consumer(Isolation::Committed)].concat())
    }

    /// The producer of a worker.
    pub fn producer(&self, transactional_id: &str) -> ClientConfig {
        let suited = [
            ("client.id", transactional_id),
            ("transaction.timeout.ms", "5000"),
            ("linger.ms", "0"),
            ("compression.type", "lz4"),
            ("message.max.bytes", &RECORD_BYTES_MAX.to_string()),
            // Transactions back to back meet markers of the last that are still being written, for a millisecond or so.
            ("retry.backoff.ms", "1"),
            ("reconnect.backoff.max.ms", "1000"),
        ];
        self.layered(&suited, &[&[("transactional.id", transactional_id)], &PRODUCER[..]].concat())
    }

    /// A producer of single records, in no transaction.
    pub fn appender(&self, name: &str) -> ClientConfig {
        let suited = [
            ("client.id", name),
            ("linger.ms", "0"),
            ("compression.type", "lz4"),
            // A record that is not acknowledged by then is given up.
            ("message.timeout.ms", "30000"),
            ("reconnect.backoff.max.ms", "1000"),
        ];
        self.layered(&suited, &PRODUCER)
    }

    /// The properties that were set, for logs: names, and values where they may be shown.
    pub fn described(&self) -> String {
        let shown = self.properties.iter().map(|(name, value)| match may_be_shown(name) {
            true => format!("{name}={value}"),
            false => format!("{name}={HIDDEN}"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn layered(&self, suited: &[(&str, &str)], forced: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in suited {
            config.set(*name, *value);
        }
        for (name, value) in self.properties.iter().filter(|(name, _)| !IDENTITY.contains(&name.as_str())) {
            config.set(name, value);
        }
        for (name, value) in forced {
            config.set(*name, *value);
        }
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }
}

fn may_be_shown(name: &str) -> bool {
    SHOWN.contains(&name) || SHOWN_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Why a client can't be made of these properties. The binding's own words quote the value, librdkafka's sometimes do.
pub fn refusal(why: &KafkaError) -> String {
    match why {
        KafkaError::ClientConfig(_, told, name, value) if !may_be_shown(name) && told.contains(value.as_str()) => {
            format!("the value of \"{name}\" is refused")
        }
        KafkaError::ClientConfig(_, told, ..) => told.clone(),
        other => other.to_string(),
    }
}

fn consumer(isolation: Isolation) -> Vec<(&'static str, &'static str)> {
    let level = match isolation {
        Isolation::Committed if !planted::is(Bug::UncommittedRead) => "read_committed",
        Isolation::Committed | Isolation::Uncommitted => "read_uncommitted",
    };
    vec![
        ("isolation.level", level),
        ("auto.offset.reset", "error"),
        ("check.crcs", "true"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("allow.auto.create.topics", "false"),
    ]
}

/// Passes what librdkafka says to the program's log, and nothing else.
#[derive(Debug, Default)]
pub struct Quiet {
    /// Why a connection failed last: calls only say that no broker answered.
    trouble: Mutex<Option<String>>,
}

impl Quiet {
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That none answers says less than why one did not.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
        complain(&error, "reader", reason);
    }
}

impl ConsumerContext for Quiet {}

/// A line of librdkafka's log as one of ours.
pub fn tell(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // Consumers are given the producers' properties too, and the other way round.
        _ if facility == "CONFWARN" => tracing::debug!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice => complain(facility, "librdkafka", message),
        RDKafkaLogLevel::Info => tracing::info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exactly_once_rests_on_is_not_overridden() {
        let names = ["group.id", "isolation.level", "transactional.id", "acks", "enable.idempotence", "partitioner"];
        let clients = Clients::new(names.map(|name| (name.to_owned(), "mine".to_owned())).into());
        let is_mine = |config: &ClientConfig, name| config.get(name) == Some("mine");
        let consumers = [clients.member("g", "n"), clients.reader(Isolation::Uncommitted), clients.onlooker("g")];
        for consumer in &consumers {
            assert!(!is_mine(consumer, "group.id") && !is_mine(consumer, "isolation.level"));
        }
        let producer = clients.producer("t");
        assert!(names[2..].iter().all(|name| !is_mine(&producer, name)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let set = [
            ("sasl.password", "p1"),
            ("ssl.key.pem", "p2"),
            ("sasl.oauthbearer.assertion.private.key.passphrase", "p3"),
            ("sasl.pasword", "p4"),
            ("bootstrap.servers", "a:1"),
            ("linger.ms", "5"),
        ];
        let clients = Clients::new(set.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let shown = clients.described();
        assert!(set[..4].iter().all(|(name, value)| shown.contains(name) && !shown.contains(value)), "{shown}");
        assert!(shown.contains("bootstrap.servers=a:1") && shown.contains("linger.ms=5"), "{shown}");
    }

    #[test]
    fn refused_values_are_not_told() {
        let refused = |name: &str, value: &str| {
            let config = Clients::new([(name.to_owned(), value.to_owned())].into()).admin();
            refusal(&config.create_native_config().err().expect("librdkafka refuses it"))
        };
        assert_eq!(refused("sasl.pasword", "hunter2"), "No such configuration property: \"sasl.pasword\"");
        assert_eq!(refused("sasl.pasword", "such"), "the value of \"sasl.pasword\" is refused");
        assert_eq!(refused("isolation.level", "hunter2"), "the value of \"isolation.level\" is refused");
        assert!(refused("compression.type", "zip").contains("\"zip\""));
    }
}
