//! Whether a group has consumed a partition up to an end. Offsets have gaps, so a position may stay short of the end
//! for ever: what counts is that no committed record and no open transaction lies between.

use crate::bus::{Budget, Bus, BusError, Position, Reader, TopicPartition, ends_of};
use crate::domain::Time;

/// A glance: enough to see whether there is a record at all.
const GLANCE: Budget = Budget { records_max: 1, bytes_max: 64 << 10 };

/// Whether nothing that a consumer would read lies in `position..end`.
pub fn reached(reader: &mut dyn Reader, at: &TopicPartition, position: u64, end: u64) -> Result<bool, BusError> {
    if position >= end {
        return Ok(true);
    }
    let (unread, next) = first_unread(reader, at, position, end)?;
    Ok(unread.is_none() && next >= end)
}

/// Offset and append time of the first committed record in `position..end`, as far as one glance sees, and the position
/// after it. Records at or past the end do not count: they came after the end was looked up.
pub fn first_unread(
    reader: &mut dyn Reader,
    at: &TopicPartition,
    position: u64,
    end: u64,
) -> Result<(Option<(u64, Time)>, u64), BusError> {
    let mut first = None;
    let next = reader.read(at, position, GLANCE, &mut |record| {
        first.get_or_insert((record.offset, record.timestamp));
    })?;
    Ok((first.filter(|(offset, _)| *offset < end), next))
}

/// Where a group stands in a partition; at the beginning if it never committed.
pub fn position_of(bus: &dyn Bus, reader: &mut dyn Reader, group: &str, at: &TopicPartition) -> Result<u64, BusError> {
    or_beginning(reader, at, bus.position(group, at)?)
}

/// [`position_of`] in several partitions, in their order.
pub fn positions_of(
    bus: &dyn Bus,
    reader: &mut dyn Reader,
    group: &str,
    all: &[TopicPartition],
) -> Result<Vec<u64>, BusError> {
    let positions = bus.positions(group, all)?;
    all.iter().zip(positions).map(|(at, position)| or_beginning(reader, at, position)).collect()
}

fn or_beginning(reader: &mut dyn Reader, at: &TopicPartition, position: Option<Position>) -> Result<u64, BusError> {
    position.map_or_else(|| reader.beginning(at), |position| Ok(position.offset))
}

/// Whether every group has consumed all of its topics, as of one moment: the ends are read, then the positions, then
/// the ends again. Stages feed each other in a circle, but output appears together with the position of its input, so
/// ends that did not move while all positions stood at them leave nothing under way.
pub fn drained(
    bus: &dyn Bus,
    reader: &mut dyn Reader,
    inputs: &[(String, Vec<std::sync::Arc<str>>)],
) -> Result<bool, BusError> {
    let mut before = Vec::new();
    for (group, topics) in inputs {
        for topic in topics {
            before.push((group, topic, ends_of(bus, reader, topic)?));
        }
    }
    for (group, _, ends) in &before {
        let all: Vec<TopicPartition> = ends.iter().map(|(at, _)| at.clone()).collect();
        for ((at, end), position) in ends.iter().zip(positions_of(bus, reader, group, &all)?) {
            if !reached(reader, at, position, *end)? {
                return Ok(false);
            }
        }
    }
    for (_, topic, ends) in &before {
        if ends_of(bus, reader, topic)? != *ends {
            return Ok(false);
        }
    }
    Ok(true)
}
