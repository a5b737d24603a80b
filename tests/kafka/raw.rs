//! The least that it takes to read a topic: a consumer that looks at nothing.

use std::time::{Duration, Instant};

use pay_by_tweet::load::process::cpu_seconds;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::site::Site;

const WAIT: Duration = Duration::from_secs(20);

/// What it took.
pub struct Read {
    pub seconds: f64,
    /// Processor seconds.
    pub cpu: f64,
    pub records: u64,
}

/// Reads all that is committed, checksums checked as the program has them checked.
pub fn read(site: &Site<'_>, topic: &str, partitions: u32) -> Read {
    let (brokers, prefix) = site.kafka.clone().expect("it is on a cluster");
    let (begun, before) = (Instant::now(), cpu_seconds("self"));
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "raw").set("check.crcs", "true");
    config.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("the properties are good");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions as i32 {
        list.add_partition_offset(&format!("{prefix}{topic}"), partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("the topic is there");
    let (mut ended, mut records) = (0, 0);
    while ended < partitions {
        match consumer.poll(WAIT).expect("there is more, or an end") {
            Ok(message) => {
                std::hint::black_box(message);
                records += 1;
            }
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(why) => panic!("{why}"),
        }
    }
    Read { seconds: begun.elapsed().as_secs_f64(), cpu: cpu_seconds("self") - before, records }
}
