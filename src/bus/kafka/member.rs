//! A member of a consumer group: partitions come and go, records are fetched into two queues, one for preferred topics.
//!
//! rust-rdkafka's own rebalance would assign at once. Here an event is kept until the worker has polled it and, for a
//! revocation, has released what it held: the group waits meanwhile (eager protocol).

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rustc_hash::FxHashMap;

use super::Shared;
use super::clients::tell;
use super::complaints::complain;
use super::names::Names;
use super::native::{Doorbell, Fetched, Origin, Queue, high_watermark};
use super::positions::{Committed, committed_of, list_of};
use super::{CALL_WAIT, is_denied, misled, unavailable};
use crate::bus::{Budget, BusError, Polled, Position, RecordRef, Subscription, TopicPartition};
use crate::clock::Deadline;

/// A bell that was missed costs so much at most.
const NAP_MAX: Duration = Duration::from_millis(100);
/// Group events served in one poll.
const EVENTS_MAX: usize = 64;

pub struct Member {
    // Queues above the client, so that they are dropped first.
    events: Queue,
    preferred: Queue,
    ordinary: Queue,
    bell: Arc<Doorbell>,
    names: Names,
    shared: Arc<Shared>,
    topics: Vec<Subscription>,
    rows: Vec<Row>,
    /// Where the records of a partition go; filled as they come.
    places: FxHashMap<Origin, usize>,
    /// Assigned, but their positions are not known yet.
    arriving: Option<TopicPartitionList>,
    consumer: BaseConsumer<GroupEvents>,
}

/// A partition that is assigned.
struct Row {
    at: TopicPartition,
    topic: CString,
    partition: i32,
    preferred: bool,
    running: bool,
    /// The next offset to give.
    next: u64,
    /// It was read to here, past every gap; nothing until something was fetched since it was resumed.
    end: Option<u64>,
}

/// Which queue is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Preferred,
    Ordinary,
}

/// What the group says, kept until it is polled.
#[derive(Default)]
pub struct GroupEvents {
    events: Mutex<VecDeque<GroupEvent>>,
    /// The worker is gone: whatever is revoked is given up at once.
    closing: AtomicBool,
}

enum GroupEvent {
    Assign(TopicPartitionList),
    Revoke(TopicPartitionList),
}

impl Member {
    pub fn join(config: &ClientConfig, shared: Arc<Shared>, topics: Vec<Subscription>) -> Result<Member, BusError> {
        let names = shared.names.clone();
        let fatal = |why: KafkaError| BusError::Fatal(why.to_string());
        let consumer = BaseConsumer::from_config_and_context(config, GroupEvents::default()).map_err(fatal)?;
        let client = consumer.client().native_ptr();
        let bell = Arc::new(Doorbell::default());
        let events = Queue::of_consumer(client).expect("a consumer with a group has a queue").with_bell(&bell);
        let physical: Vec<String> = topics.iter().map(|one| names.physical(&one.topic)).collect();
        let member = Member {
            events,
            preferred: Queue::new(client).with_bell(&bell),
            ordinary: Queue::new(client).with_bell(&bell),
            bell,
            names,
            shared,
            topics,
            rows: Vec::new(),
            places: FxHashMap::default(),
            arriving: None,
            consumer,
        };
        let physical: Vec<&str> = physical.iter().map(String::as_str).collect();
        member.consumer.subscribe(&physical).map_err(fatal)?;
        Ok(member)
    }

    pub fn poll(
        &mut self,
        budget: Budget,
        wait: Duration,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError> {
        let deadline = Deadline::after(wait);
        loop {
            self.serve_events()?;
            if let Some(event) = self.next_event()? {
                return Ok(event);
            }
            let mut left = budget;
            self.drain(Class::Preferred, &mut left, visit)?;
            if self.preferred_is_read() {
                self.drain(Class::Ordinary, &mut left, visit)?;
            }
            let visited = budget.records_max - left.records_max;
            let patience = deadline.left();
            match visited {
                0 if patience.is_zero() => return Ok(Polled::Idle),
                0 => self.bell.wait(patience.min(NAP_MAX)),
                visited => return Ok(Polled::Records(visited)),
            }
        }
    }

    pub fn resume_at(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), BusError> {
        let mut list = TopicPartitionList::new();
        for (at, offset) in positions {
            let row = self.row_mut(at)?;
            (row.next, row.end, row.running) = (*offset, None, true);
            let offset = Position { offset: *offset, note: String::new() };
            list_of(&mut list, &self.names.physical(&at.topic), at.partition, &offset);
        }
        self.seek(&list)?;
        self.consumer.resume(&list).map_err(unavailable)
    }

    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        let mut list = TopicPartitionList::new();
        for at in partitions {
            self.row_mut(at)?.running = false;
            list.add_partition(&self.names.physical(&at.topic), at.partition as i32);
        }
        self.consumer.pause(&list).map_err(unavailable)
    }

    /// An open transaction of somebody else holds records back below the high watermark: then there is no end in sight.
    /// Before anything was fetched since the partition was resumed that watermark is as old as the fetch before.
    pub fn at_end(&self, at: &TopicPartition) -> bool {
        let client = self.consumer.client().native_ptr();
        self.rows.iter().find(|row| row.at == *at).is_some_and(|row| {
            let end = row.end.map(|end| end.max(row.next));
            end.zip(high_watermark(client, &row.topic, row.partition)).is_some_and(|(end, high)| end >= high)
        })
    }

    pub fn release(&mut self) -> Result<(), BusError> {
        self.rows.clear();
        self.places.clear();
        self.consumer.unassign().map_err(unavailable)
    }

    /// The group as it is now, for a transaction's positions.
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    fn serve_events(&mut self) -> Result<(), BusError> {
        // Even if nothing waits, a poll tells librdkafka that somebody is there (`max.poll.interval.ms`).
        for _ in 0..=self.events.len().min(EVENTS_MAX) {
            match self.consumer.poll(Duration::ZERO) {
                Some(Err(KafkaError::MessageConsumptionFatal(why))) => return Err(BusError::Fatal(why.to_string())),
                Some(Err(KafkaError::MessageConsumption(why))) => judge(why, None)?,
                // Records come by the other queues; one that lost its way is read again after the next seek.
                _ => {}
            }
        }
        Ok(())
    }

    fn next_event(&mut self) -> Result<Option<Polled>, BusError> {
        if self.arriving.is_none() {
            match self.consumer.context().next() {
                Some(GroupEvent::Assign(partitions)) => self.arriving = Some(partitions),
                Some(GroupEvent::Revoke(partitions)) => {
                    let partitions = self.names.logical_of(&partitions);
                    return Ok(Some(Polled::Revoking { partitions, lost: self.consumer.assignment_lost() }));
                }
                None => return Ok(None),
            }
        }
        let Some(arriving) = self.arriving.clone() else { return Ok(None) };
        self.ensure_known()?;
        let told = self.arrive(&arriving)?;
        self.arriving = None;
        Ok(Some(Polled::Assigned(told)))
    }

    /// A topic that grew has everybody assigned anew, whoever gets its new partitions. What is in them, no watermark of
    /// this program waits for, and no catalogue of it knows.
    fn ensure_known(&self) -> Result<(), BusError> {
        for Subscription { topic, .. } in &self.topics {
            let Some(count) = self.shared.known_partitions(topic) else { continue };
            let name = self.names.physical(topic);
            let metadata = self.consumer.fetch_metadata(Some(&name), CALL_WAIT).map_err(unavailable)?;
            let has = metadata.topics().iter().map(|one| one.partitions().len()).sum::<usize>();
            if has > count as usize {
                return Err(BusError::Fatal(format!(
                    "{topic} has {has} partitions now, and had {count} when this program started: start all processes \
                     anew, together"
                )));
            }
        }
        Ok(())
    }

    /// Looks the positions up, then takes the partitions, paused.
    fn arrive(&mut self, partitions: &TopicPartitionList) -> Result<Vec<(TopicPartition, Position)>, BusError> {
        let committed = self.consumer.committed_offsets(partitions.clone(), CALL_WAIT).map_err(unavailable)?;
        let (mut told, mut list) = (Vec::new(), TopicPartitionList::new());
        for element in committed.elements() {
            let (topic, partition) = (element.topic().to_owned(), element.partition());
            let position = match committed_of(&element).map_err(unavailable)? {
                Committed::At(position) => position,
                Committed::Nowhere => self.first_position(&topic, partition)?,
            };
            list_of(&mut list, &topic, partition as u32, &position);
            told.push((self.names.logical(&topic, partition), position));
        }
        let client = self.consumer.client().native_ptr();
        self.rows.clear();
        self.places.clear();
        for (at, position) in &told {
            let topic = self.names.physical(&at.topic);
            let preferred = self.topics.iter().any(|one| one.topic == at.topic && one.preferred);
            let queue = if preferred { &self.preferred } else { &self.ordinary };
            if !queue.adopt(client, &topic, at.partition as i32) {
                return Err(BusError::Fatal(format!("{topic}-{} can't be fetched", at.partition)));
            }
            self.rows.push(Row {
                at: at.clone(),
                topic: CString::new(topic).unwrap_or_default(),
                partition: at.partition as i32,
                preferred,
                running: false,
                next: position.offset,
                end: None,
            });
        }
        self.consumer.assign(&list).map_err(unavailable)?;
        self.consumer.pause(&list).map_err(unavailable)?;
        Ok(told)
    }

    /// Where a group begins that never committed here: at the first record, unless records are gone already.
    fn first_position(&self, topic: &str, partition: i32) -> Result<Position, BusError> {
        let (low, _) = self
            .consumer
            .fetch_watermarks(topic, partition, CALL_WAIT)
            .map_err(|why| misled(&self.consumer, topic, why))?;
        if low != 0 {
            return Err(BusError::Fatal(format!(
                "the group has no position in {topic}-{partition}, and the records before offset {low} are gone: what \
                 was consumed can't be known. If it never consumed, `pay-by-tweet topics create` sets first positions; \
                 do it before retention takes the first record"
            )));
        }
        Ok(Position::default())
    }

    fn drain(
        &mut self,
        class: Class,
        left: &mut Budget,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<(), BusError> {
        let mut failure = None;
        while !left.is_used_up() && failure.is_none() {
            let Member { preferred, ordinary, rows, places, names, .. } = self;
            let queue = if class == Class::Preferred { preferred } else { ordinary };
            let taken = queue.take(left.records_max, &mut |origin, topic, fetched| {
                let Some(index) = place_of(places, rows, names, origin, topic) else { return };
                let row = &mut rows[index];
                match fetched {
                    Fetched::Message(message) if message.offset >= row.next && row.running => {
                        let record = message.lend();
                        row.next = record.offset + 1;
                        // The high watermark came with it, or later.
                        row.end = row.end.or(Some(0));
                        left.spend(record.bytes());
                        visit(&row.at, record);
                    }
                    // Fetched before a seek or pause.
                    Fetched::Message(_) => {}
                    Fetched::End(offset) => row.end = Some(offset),
                    Fetched::Error(why) => failure = judge(why, Some(&row.at)).err().or(failure.take()),
                }
            });
            if taken == 0 {
                break;
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Outside every transaction: only for the bug that is called so.
    pub fn commit_positions(&self, list: &TopicPartitionList) -> Result<(), BusError> {
        self.consumer.commit(list, CommitMode::Sync).map_err(unavailable)
    }

    /// Promise 7: every running partition of a preferred topic was read to its end.
    fn preferred_is_read(&self) -> bool {
        let client = self.consumer.client().native_ptr();
        self.rows.iter().filter(|row| row.preferred && row.running).all(|row| {
            row.end.is_some_and(|end| {
                end >= row.next
                    || high_watermark(client, &row.topic, row.partition).is_some_and(|high| row.next >= high)
            })
        })
    }

    /// A partition that was assigned a moment ago can't be moved yet.
    fn seek(&self, list: &TopicPartitionList) -> Result<(), BusError> {
        const AGAIN_AFTER: Duration = Duration::from_millis(5);
        let deadline = Deadline::after(CALL_WAIT);
        loop {
            let sought = self.consumer.seek_partitions(list.clone(), CALL_WAIT).map_err(unavailable)?;
            let failed = sought.elements().iter().find_map(|element| element.error().err());
            match failed {
                None => return Ok(()),
                Some(why) if deadline.is_over() => return Err(unavailable(why)),
                Some(_) => std::thread::sleep(AGAIN_AFTER),
            }
        }
    }

    fn row_mut(&mut self, at: &TopicPartition) -> Result<&mut Row, BusError> {
        let found = self.rows.iter_mut().find(|row| row.at == *at);
        found.ok_or_else(|| BusError::Fatal(format!("{}/{} is not assigned to this worker", at.topic, at.partition)))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Release);
    }
}

/// The row of a message.
fn place_of(
    places: &mut FxHashMap<Origin, usize>,
    rows: &[Row],
    names: &Names,
    origin: Origin,
    topic: &CStr,
) -> Option<usize> {
    if let Some(index) = places.get(&origin) {
        return Some(*index);
    }
    let at = names.logical(topic.to_str().ok()?, origin.partition);
    let index = rows.iter().position(|row| row.at == at)?;
    places.insert(origin, index);
    Some(index)
}

/// Passing errors are told; those that lose records end the worker.
fn judge(why: RDKafkaErrorCode, at: Option<&TopicPartition>) -> Result<(), BusError> {
    use RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange};
    let place = at.map(|at| format!("{}-{}", at.topic, at.partition)).unwrap_or_default();
    if matches!(why, AutoOffsetReset | OffsetOutOfRange) {
        return Err(BusError::Fatal(format!(
            "{place}: the committed position is not in the log ({why}): records that were not consumed are gone"
        )));
    }
    if is_denied(why) {
        return Err(BusError::Fatal(format!("{place}: {why}")));
    }
    complain(why, "member", &place);
    Ok(())
}

impl GroupEvents {
    fn next(&self) -> Option<GroupEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn put(&self, event: GroupEvent) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
    }
}

impl ClientContext for GroupEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        complain(&error, "member", reason);
    }
}

impl ConsumerContext for GroupEvents {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Acquire) {
            // Nobody polls any more, and the group must not wait.
            if let Err(why) = consumer.unassign() {
                tracing::warn!(%why, "partitions were not given up");
            }
            return;
        }
        self.put(match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => GroupEvent::Assign(partitions.clone()),
            _ => GroupEvent::Revoke(partitions.clone()),
        });
    }
}
