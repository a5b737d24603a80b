//! The log on a Kafka cluster, by librdkafka.
//!
//! ```text
//!              one thread a worker                         one thread a worker
//!  group ──▶ member ──▶ poll ──▶ engine ──▶ send ──▶ transactions ──▶ producer ──▶ cluster
//!             (names, positions, native)              (outcome)
//!  cluster ──▶ reader: committed records, ends with open transactions counted
//! ```
//!
//! - [`clients`]: how every client is configured, and which properties nobody may set.
//! - `complaints`: what clients complain of, told now and then.
//! - `native`: batches, queues of chosen partitions, the bell. The only unsafe code.
//! - `member`: a member of a group: assignment, positions, records.
//! - `transactions`, `producer`, `outcome`: a worker's transactions, and what each answer means.
//! - `reader`: restores, taps, ends.
//! - `appender`: records from outside, in no transaction.
//! - [`admin`]: topics as the program needs them.
//! - `names`, `positions`: the cluster's names and the group's offsets as ours.

pub mod admin;
mod appender;
pub mod clients;
mod complaints;
mod member;
mod names;
mod native;
mod outcome;
mod positions;
mod producer;
mod reader;
mod transactions;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::producer::BaseProducer;
use rdkafka::topic_partition_list::TopicPartitionListElem;

use self::appender::KafkaAppender;
use self::clients::{Clients, Isolation, Quiet, refusal};
use self::names::Names;
use self::positions::{Committed, committed_of};
use self::reader::KafkaReader;
use self::worker::KafkaWorker;
use super::{Appender, Bus, BusError, BusWorker, Position, Reader, TopicPartition, WorkerSpec};

/// A look-up on the cluster may take so long.
const CALL_WAIT: Duration = Duration::from_secs(5);

/// Errors that are looked at after a call failed.
const EVENTS_MAX: usize = 64;

/// A cluster.
pub struct Kafka {
    /// Sees uncommitted records; in no group.
    ends: Arc<BaseConsumer<Quiet>>,
    shared: Arc<Shared>,
}

/// What the workers need of it too, and what is asked for once.
struct Shared {
    clients: Clients,
    names: Names,
    onlookers: Mutex<HashMap<String, Arc<BaseConsumer<Quiet>>>>,
    partitions: Mutex<HashMap<String, u32>>,
}

impl Kafka {
    /// `properties`: librdkafka's, `bootstrap.servers` among them; `prefix`: `topics.prefix`. Connects on first use.
    pub fn new(properties: BTreeMap<String, String>, prefix: &str) -> Result<Kafka, BusError> {
        check_tls(&properties)?;
        let clients = Clients::new(properties);
        let config = clients.reader(Isolation::Uncommitted);
        let ends = BaseConsumer::from_config_and_context(&config, Quiet::default()).map_err(refused)?;
        tracing::info!(properties = clients.described(), "kafka");
        let shared =
            Shared { clients, names: Names::new(prefix), onlookers: Mutex::default(), partitions: Mutex::default() };
        Ok(Kafka { ends: Arc::new(ends), shared: Arc::new(shared) })
    }

    /// Topics and brokers. An error says why the last connection failed, too.
    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, BusError> {
        self.ends.fetch_metadata(topic, CALL_WAIT).map_err(|why| {
            // Errors of connections wait to be polled.
            (0..EVENTS_MAX).for_each(|_| drop(self.ends.poll(Duration::ZERO)));
            match self.ends.context().trouble() {
                Some(trouble) => BusError::Unavailable(format!("{why}: {trouble}")),
                None => unavailable(why),
            }
        })
    }
}

/// Whether this build's librdkafka knows the properties and can take their values, together, for each kind of client;
/// waits for no broker.
pub fn check_properties(properties: &BTreeMap<String, String>) -> Result<(), BusError> {
    check_tls(properties)?;
    let clients = Clients::new(properties.clone());
    for config in [clients.reader(Isolation::Uncommitted), clients.member("check", "check")] {
        BaseConsumer::from_config_and_context(&config, Quiet::default()).map_err(refused)?;
    }
    BaseProducer::from_config(&clients.producer("check")).map(|_| ()).map_err(refused)
}

fn check_tls(properties: &BTreeMap<String, String>) -> Result<(), BusError> {
    let secure = properties.get("security.protocol").is_some_and(|value| value.to_lowercase().ends_with("ssl"));
    if secure && !cfg!(feature = "tls") {
        let why = "this build does not speak TLS; build it with --features tls";
        return Err(BusError::Misconfigured(format!("bus.kafka.properties: security.protocol: {why}")));
    }
    Ok(())
}

fn refused(why: KafkaError) -> BusError {
    BusError::Misconfigured(format!("bus.kafka.properties: {}", refusal(&why)))
}

impl Shared {
    /// How many partitions a topic had when it was first asked for.
    fn known_partitions(&self, topic: &str) -> Option<u32> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }

    /// A consumer of a group's name that never joins it.
    fn onlooker(&self, group: &str) -> Result<Arc<BaseConsumer<Quiet>>, BusError> {
        let mut onlookers = self.onlookers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(onlooker) = onlookers.get(group) {
            return Ok(onlooker.clone());
        }
        let config = self.clients.onlooker(&self.names.physical(group));
        let onlooker = Arc::new(BaseConsumer::from_config_and_context(&config, Quiet::default()).map_err(unavailable)?);
        onlookers.insert(group.to_owned(), onlooker.clone());
        Ok(onlooker)
    }
}

impl Bus for Kafka {
    fn worker(&self, spec: WorkerSpec) -> Result<Box<dyn BusWorker>, BusError> {
        Ok(Box::new(KafkaWorker::open(self.shared.clone(), spec)?))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, BusError> {
        let config = self.shared.clients.reader(Isolation::Committed);
        Ok(Box::new(KafkaReader::new(&config, self.shared.names.clone(), self.ends.clone())?))
    }

    fn partitions(&self, topic: &str) -> Result<u32, BusError> {
        if let Some(count) = self.shared.known_partitions(topic) {
            return Ok(count);
        }
        let name = self.shared.names.physical(topic);
        let metadata = self.metadata(Some(&name))?;
        let found = metadata.topics().iter().find(|one| one.name() == name);
        let count = found.filter(|one| one.error().is_none()).map_or(0, |one| one.partitions().len());
        if count == 0 {
            return Err(BusError::Fatal(format!(
                "the cluster has no topic \"{name}\"; `pay-by-tweet topics create` makes all that are needed"
            )));
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.shared.partitions.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), count);
        Ok(count)
    }

    fn position(&self, group: &str, at: &TopicPartition) -> Result<Option<Position>, BusError> {
        Ok(self.positions(group, std::slice::from_ref(at))?.pop().flatten())
    }

    fn positions(&self, group: &str, all: &[TopicPartition]) -> Result<Vec<Option<Position>>, BusError> {
        let onlooker = self.shared.onlooker(group)?;
        let mut list = TopicPartitionList::new();
        for at in all {
            list.add_partition(&self.shared.names.physical(&at.topic), at.partition as i32);
        }
        // The answer keeps the order of the question.
        let committed = onlooker.committed_offsets(list, CALL_WAIT).map_err(unavailable)?;
        let position = |element: &TopicPartitionListElem<'_>| match committed_of(element) {
            Ok(Committed::At(position)) => Ok(Some(position)),
            Ok(Committed::Nowhere) => Ok(None),
            Err(why) => Err(unavailable(why)),
        };
        committed.elements().iter().map(position).collect()
    }

    fn appender(&self, name: &str) -> Result<Box<dyn Appender>, BusError> {
        Ok(Box::new(KafkaAppender::new(self.shared.clone(), name)?))
    }
}

/// What is written by this one will be refused the next time, too.
fn is_hopeless(why: &KafkaError) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, MessageSizeTooLarge, TransactionalIdAuthorizationFailed};
    why.rdkafka_error_code().is_some_and(|code| {
        is_denied(code)
            || matches!(code, ClusterAuthorizationFailed | MessageSizeTooLarge | TransactionalIdAuthorizationFailed)
    })
}

/// Without the right to it nothing will come of asking again.
fn is_denied(why: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
    matches!(why, GroupAuthorizationFailed | TopicAuthorizationFailed)
}

/// A question about partitions of a topic failed. A client remembers for `metadata.max.age.ms`, a quarter of an hour,
/// also that a partition had no leader, and answers by that alone (`rd_kafka_topic_partition_list_get_leaders`); so it
/// is made to ask anew, for the next try.
fn misled<C: ConsumerContext>(client: &BaseConsumer<C>, topic: &str, why: KafkaError) -> BusError {
    use RDKafkaErrorCode::{LeaderNotAvailable, UnknownPartition};
    if matches!(why.rdkafka_error_code(), Some(LeaderNotAvailable | UnknownPartition)) {
        drop(client.fetch_metadata(Some(topic), CALL_WAIT));
    }
    unavailable(why)
}

fn unavailable(why: KafkaError) -> BusError {
    BusError::Unavailable(why.to_string())
}
