//! Logical names of topics and groups, and those of the cluster, which begin with `topics.prefix`.

use std::sync::Arc;

use rdkafka::TopicPartitionList;

use crate::bus::TopicPartition;

#[derive(Clone, Debug)]
pub struct Names {
    prefix: Arc<str>,
}

impl Names {
    pub fn new(prefix: &str) -> Names {
        Names { prefix: Arc::from(prefix) }
    }

    /// The cluster's name of a topic, group or transactional id.
    pub fn physical(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Our name of a partition of the cluster.
    pub fn logical(&self, topic: &str, partition: i32) -> TopicPartition {
        let topic = topic.strip_prefix(&*self.prefix).unwrap_or(topic);
        TopicPartition::new(topic, u32::try_from(partition).unwrap_or(0))
    }

    pub fn logical_of(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        list.elements().iter().map(|element| self.logical(element.topic(), element.partition())).collect()
    }
}
