//! Committed positions: offsets with a note, as Kafka keeps them per group.

use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionListElem};

use crate::bus::Position;

/// Where a group stands in a partition.
pub enum Committed {
    At(Position),
    /// It never committed, or so long ago that the cluster has forgotten.
    Nowhere,
}

/// Adds a partition at a position to a list.
pub fn list_of(list: &mut TopicPartitionList, topic: &str, partition: u32, position: &Position) {
    let mut element = list.add_partition(topic, partition as i32);
    let offset = i64::try_from(position.offset).unwrap_or(i64::MAX);
    element.set_offset(Offset::Offset(offset)).expect("an offset of zero or more is one");
    if !position.note.is_empty() {
        element.set_metadata(&position.note);
    }
}

/// What a look-up of committed offsets says of one partition.
pub fn committed_of(element: &TopicPartitionListElem<'_>) -> Result<Committed, KafkaError> {
    element.error()?;
    Ok(match element.offset() {
        Offset::Offset(offset) => {
            Committed::At(Position { offset: u64::try_from(offset).unwrap_or(0), note: element.metadata().to_owned() })
        }
        _ => Committed::Nowhere,
    })
}
