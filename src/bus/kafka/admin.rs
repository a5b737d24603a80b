//! Topics as the program needs them: their settings, their partition counts, and the first positions of the groups that
//! read them. A position that nobody ever committed must not be guessed later (`auto.offset.reset=error`).

use std::collections::BTreeMap;
use std::time::Duration;

use futures_executor::block_on;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::positions::list_of;
use super::{CALL_WAIT, Kafka, unavailable};
use crate::bus::{Bus, BusError, Position, TopicPartition, ends_of};
use crate::clock::Deadline;

/// A cluster may take so long to make topics.
const MAKE_WAIT: Duration = Duration::from_secs(30);

/// A topic that the program needs, by its logical name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub topic: String,
    pub partitions: u32,
    /// Whether the program can't go on with another number of partitions.
    pub exact: bool,
    /// The topic's configuration, by Kafka's names.
    pub settings: BTreeMap<&'static str, String>,
}

/// A topic as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub topic: String,
    pub partitions: u32,
    pub replication: u32,
}

/// What [`Admin::create`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    pub made: Vec<String>,
    pub there: Vec<String>,
}

/// A topic that is there with another number of partitions than it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{topic} has {found} partitions, and topics.partitions says {wanted}: accounts would change their partitions. If \
     nothing was consumed yet set topics.partitions = {found}; else use another topics.prefix"
)]
pub struct Mismatch {
    pub topic: String,
    pub found: u32,
    pub wanted: u32,
}

pub struct Admin<'a> {
    kafka: &'a Kafka,
    client: AdminClient<rdkafka::client::DefaultClientContext>,
}

impl<'a> Admin<'a> {
    pub fn new(kafka: &'a Kafka) -> Result<Admin<'a>, BusError> {
        Ok(Admin { kafka, client: AdminClient::from_config(&kafka.shared.clients.admin()).map_err(unavailable)? })
    }

    /// Number of brokers that can be reached.
    pub fn brokers(&self) -> Result<usize, BusError> {
        Ok(self.kafka.metadata(None)?.brokers().len())
    }

    /// The topics that are there, of those that are wanted.
    pub fn find(&self, wanted: &[Wanted]) -> Result<Vec<Found>, BusError> {
        let metadata = self.kafka.metadata(None)?;
        let mut found = Vec::new();
        for one in wanted {
            let name = self.kafka.shared.names.physical(&one.topic);
            let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { continue };
            let replication = topic.partitions().iter().map(|partition| partition.replicas().len()).max();
            found.push(Found {
                topic: one.topic.clone(),
                partitions: u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX),
                replication: replication.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            });
        }
        Ok(found)
    }

    /// Every topic whose partition count the program can't go on with.
    pub fn mismatches(wanted: &[Wanted], found: &[Found]) -> Vec<Mismatch> {
        let of = |one: &Wanted| found.iter().find(|found| found.topic == one.topic);
        let wrong = wanted.iter().filter(|one| one.exact).filter_map(|one| Some((one, of(one)?)));
        wrong
            .filter(|(one, found)| one.partitions != found.partitions)
            .map(|(one, found)| Mismatch { topic: one.topic.clone(), found: found.partitions, wanted: one.partitions })
            .collect()
    }

    /// Makes the topics that are not there.
    pub fn create(&self, wanted: &[Wanted], replication: i32) -> Result<Created, BusError> {
        let found = self.find(wanted)?;
        if let Some(mismatch) = Self::mismatches(wanted, &found).first() {
            return Err(BusError::Fatal(mismatch.to_string()));
        }
        let is_there = |one: &&Wanted| found.iter().any(|found| found.topic == one.topic);
        let (there, lacking): (Vec<&Wanted>, Vec<&Wanted>) = wanted.iter().partition(is_there);
        let name = |one: &&Wanted| self.kafka.shared.names.physical(&one.topic);
        let names: Vec<String> = lacking.iter().map(name).collect();
        let topics: Vec<NewTopic<'_>> = lacking
            .iter()
            .zip(&names)
            .map(|(one, name)| {
                let partitions = i32::try_from(one.partitions).unwrap_or(i32::MAX);
                let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
                one.settings.iter().fold(topic, |topic, (setting, value)| topic.set(setting, value))
            })
            .collect();
        let mut created = Created { made: Vec::new(), there: there.iter().map(name).collect() };
        if topics.is_empty() {
            return Ok(created);
        }
        let options = AdminOptions::new().operation_timeout(Some(MAKE_WAIT)).request_timeout(Some(MAKE_WAIT));
        for outcome in block_on(self.client.create_topics(&topics, &options)).map_err(unavailable)? {
            match outcome {
                Ok(name) => created.made.push(name),
                Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => created.there.push(name),
                Err((name, why)) => return Err(BusError::Fatal(format!("{name} can't be made: {why}"))),
            }
        }
        self.await_topics(wanted)?;
        Ok(created)
    }

    /// Commits the first positions of groups in the topics that they read, where they have none: at the first record.
    /// Answers how many partitions that were. No member of the group may be running.
    pub fn first_positions(&self, inputs: &[(String, Vec<String>)]) -> Result<usize, BusError> {
        let mut reader = self.kafka.reader()?;
        let mut count = 0;
        for (group, topics) in inputs {
            let mut list = TopicPartitionList::new();
            for topic in topics {
                let all = self.kafka.all_of(topic)?;
                let positions = patiently(|| self.kafka.positions(group, &all))?;
                for (at, _) in all.iter().zip(positions).filter(|(_, position)| position.is_none()) {
                    let first = Position { offset: reader.beginning(at)?, note: String::new() };
                    if first.offset > 0 && INBOXES.contains(&topic.as_str()) {
                        return Err(BusError::Fatal(positions_gone(group, at)));
                    }
                    list_of(&mut list, &self.kafka.shared.names.physical(topic), at.partition, &first);
                }
            }
            if list.count() > 0 {
                let onlooker = self.kafka.shared.onlooker(group)?;
                patiently(|| onlooker.commit(&list, CommitMode::Sync).map_err(unavailable))?;
                count += list.count();
            }
        }
        Ok(count)
    }

    /// A broker may hear of new topics later than the controller that made them.
    fn await_topics(&self, wanted: &[Wanted]) -> Result<(), BusError> {
        let mut reader = self.kafka.reader()?;
        for one in wanted {
            // Every partition has a leader that answers. A topic that is not known yet is a fatal error elsewhere.
            patiently(|| {
                ends_of(self.kafka, &mut *reader, &one.topic).map_err(|why| {
                    BusError::Unavailable(format!("{} was made, and is not there yet: {why}", one.topic))
                })
            })?;
        }
        Ok(())
    }

    /// The configuration of topics that are there, by topic and Kafka's names.
    pub fn settings(&self, found: &[Found]) -> Result<BTreeMap<String, BTreeMap<String, String>>, BusError> {
        if found.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<String> = found.iter().map(|one| self.kafka.shared.names.physical(&one.topic)).collect();
        let specifiers: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(CALL_WAIT));
        let mut settings = BTreeMap::new();
        for resource in block_on(self.client.describe_configs(&specifiers, &options)).map_err(unavailable)? {
            let resource = resource.map_err(|why| BusError::Unavailable(format!("a topic's settings: {why}")))?;
            if let OwnedResourceSpecifier::Topic(name) = resource.specifier {
                let entries = resource.entries.into_iter().map(|entry| (entry.name, entry.value.unwrap_or_default()));
                settings.insert(self.kafka.shared.names.logical(&name, 0).topic.to_string(), entries.collect());
            }
        }
        Ok(settings)
    }
}

/// Topics of this program's own that it consumes: what goes from them unread is lost.
const INBOXES: [&str; 2] = ["accounts.inbox", "offers.inbox"];

fn positions_gone(group: &str, at: &TopicPartition) -> String {
    format!(
        "{group} has no position in {}-{}, whose first records are gone: it consumed them, and its positions are gone \
         (`offsets.retention.minutes`), or it never did. What it consumed must not be consumed again: set its positions \
         to where it was, or begin under another topics.prefix",
        at.topic, at.partition
    )
}

/// Tries again while a young cluster elects leaders and coordinators.
fn patiently<T>(mut call: impl FnMut() -> Result<T, BusError>) -> Result<T, BusError> {
    const AGAIN_AFTER: Duration = Duration::from_millis(50);
    let deadline = Deadline::after(MAKE_WAIT);
    loop {
        match call() {
            Err(BusError::Unavailable(_)) if !deadline.is_over() => std::thread::sleep(AGAIN_AFTER),
            outcome => return outcome,
        }
    }
}
