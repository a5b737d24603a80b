//! `/v1/ends/{topic}?group=`: where a topic's partitions begin and end, and how far a group has consumed them, for
//! commands that read while another program holds the log.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::Shown;
use super::access::Authorized;
use super::answer::{ApiError, json};
use crate::bus::{Bus, BusError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    group: Option<String>,
}

/// The partitions in order of their numbers.
#[derive(Serialize, Deserialize)]
pub struct Ends {
    pub partitions: Vec<PartitionEnds>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct PartitionEnds {
    /// First offset that is still kept.
    pub begin: u64,
    /// One past the last record.
    pub end: u64,
    /// Committed position of the group; null where it never committed, and without group.
    pub position: Option<u64>,
}

pub async fn ends(
    _: Authorized,
    served: Shown,
    topic: web::Path<String>,
    query: web::Query<Query>,
) -> Result<HttpResponse, ApiError> {
    served.knows(&topic)?;
    let bus = served.state.bus.clone();
    let (topic, group) = (topic.into_inner(), query.into_inner().group);
    let found = web::block(move || look_up(&*bus, &topic, group.as_deref())).await;
    let found = found.map_err(|error| ApiError::unavailable(error.to_string()))?;
    Ok(json(&found.map_err(|error| ApiError::unavailable(error.to_string()))?))
}

/// The positions are looked up first, so that what they stand for lies before the ends.
fn look_up(bus: &dyn Bus, topic: &str, group: Option<&str>) -> Result<Ends, BusError> {
    let mut reader = bus.reader()?;
    let all = bus.all_of(topic)?;
    let positions = match group {
        Some(group) => bus.positions(group, &all)?,
        None => vec![None; all.len()],
    };
    let ends = reader.ends(&all)?;
    let parts = all.iter().zip(positions).zip(ends).map(|((at, position), end)| {
        let position = position.map(|position| position.offset);
        Ok(PartitionEnds { begin: reader.beginning(at)?, end, position })
    });
    Ok(Ends { partitions: parts.collect::<Result<_, BusError>>()? })
}
