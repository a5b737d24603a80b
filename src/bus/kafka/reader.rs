//! Reads committed records of any partition, outside every group. Ends come from a handle of their own that sees
//! uncommitted records: a `read_committed` one would give the last stable offset, and a restore would miss what was
//! committed above an open transaction (KAFKA-10167).

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::clients::Quiet;
use super::names::Names;
use super::native::{Doorbell, Fetched, Fetcher};
use super::{CALL_WAIT, is_denied, misled, unavailable};
use crate::bus::{Budget, BusError, Reader, RecordRef, TopicPartition};
use crate::clock::Deadline;
use crate::planted::{self, Bug};

/// A read at the end waits so long for something new.
const NEWS_WAIT: Duration = Duration::from_millis(100);
/// Elsewhere it waits longer, for a record or to be told that this is the end: silence says neither.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Longest sleep while records are awaited; the bell ends it earlier.
const NAP_MAX: Duration = Duration::from_millis(50);
/// Partitions that go on being fetched, so that the next read of theirs finds what came, until the reader rests.
const OPEN_MAX: usize = 16;

pub struct KafkaReader {
    // Above the client, so that they are dropped first.
    open: Vec<Open>,
    bell: Arc<Doorbell>,
    names: Names,
    consumer: BaseConsumer<Quiet>,
    ends: Arc<BaseConsumer<Quiet>>,
}

/// A partition that is being fetched.
struct Open {
    at: TopicPartition,
    fetcher: Fetcher,
    /// The next offset that it will give.
    next: u64,
    /// Where the end was told last: of one end it is told once.
    end: Option<u64>,
}

impl KafkaReader {
    pub fn new(config: &ClientConfig, names: Names, ends: Arc<BaseConsumer<Quiet>>) -> Result<KafkaReader, BusError> {
        let consumer = BaseConsumer::from_config_and_context(config, Quiet::default()).map_err(unavailable)?;
        let bell = Arc::new(Doorbell::default());
        Ok(KafkaReader { open: Vec::new(), bell, names, consumer, ends })
    }

    fn watermarks(&self, at: &TopicPartition) -> Result<(u64, u64), BusError> {
        let counts_all = if planted::is(Bug::StableEndTaken) { &self.consumer } else { &*self.ends };
        self.watermarks_by(counts_all, at)
    }

    /// A client that reads what is committed is told the last stable offset for an end.
    fn watermarks_by(&self, client: &BaseConsumer<Quiet>, at: &TopicPartition) -> Result<(u64, u64), BusError> {
        let topic = self.names.physical(&at.topic);
        let partition = i32::try_from(at.partition).unwrap_or(i32::MAX);
        let found = client.fetch_watermarks(&topic, partition, CALL_WAIT);
        let (low, high) = found.map_err(|why| misled(client, &topic, why))?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// The partition's place in `open`, fetching from this offset on. So many may be open at a time.
    fn opened(&mut self, at: &TopicPartition, from: u64, open_max: usize) -> Result<usize, BusError> {
        let index = match self.open.iter().position(|open| open.at == *at) {
            Some(index) if self.open[index].next == from => return Ok(index),
            Some(index) => index,
            None => {
                if self.open.len() >= open_max {
                    self.open.remove(0);
                }
                let topic = self.names.physical(&at.topic);
                let partition = i32::try_from(at.partition).unwrap_or(i32::MAX);
                let fetcher = Fetcher::new(self.consumer.client().native_ptr(), &topic, partition, &self.bell);
                let fetcher = fetcher.ok_or_else(|| BusError::Fatal(format!("{topic}-{partition} can't be read")))?;
                self.open.push(Open { at: at.clone(), fetcher, next: from, end: None });
                self.open.len() - 1
            }
        };
        let open = &mut self.open[index];
        (open.next, open.end) = (from, None);
        if let Err(why) = open.fetcher.start(from) {
            self.open.remove(index);
            return Err(BusError::Unavailable(format!("{}-{} can't be read: {why}", at.topic, at.partition)));
        }
        Ok(index)
    }

    /// The next read of this partition begins anew. Without the right to read it none will come to anything.
    fn given_up(&mut self, index: usize, why: RDKafkaErrorCode) -> BusError {
        let Open { at, .. } = self.open.remove(index);
        let told = format!("{}-{} can't be read: {why}", at.topic, at.partition);
        if is_denied(why) { BusError::Fatal(told) } else { BusError::Unavailable(told) }
    }
}

impl Reader for KafkaReader {
    fn beginning(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        Ok(self.watermarks(at)?.0)
    }

    fn end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        Ok(self.watermarks(at)?.1)
    }

    fn stable_end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        Ok(self.watermarks_by(&self.consumer, at)?.1)
    }

    fn ends(&mut self, all: &[TopicPartition]) -> Result<Vec<u64>, BusError> {
        let mut list = TopicPartitionList::new();
        for at in all {
            let mut element = list.add_partition(&self.names.physical(&at.topic), at.partition as i32);
            // In place of a time: the latest offset (ListOffsets, timestamp -1).
            element.set_offset(Offset::End).map_err(unavailable)?;
        }
        let found = self.ends.offsets_for_times(list, CALL_WAIT).map_err(|why| match all.first() {
            Some(at) => misled(&self.ends, &self.names.physical(&at.topic), why),
            None => unavailable(why),
        })?;
        let ends = found.elements().into_iter().map(|element| {
            element.error().map_err(|why| misled(&self.ends, element.topic(), why))?;
            Ok(element.offset().to_raw().and_then(|end| u64::try_from(end).ok()).unwrap_or(0))
        });
        ends.collect()
    }

    fn read(
        &mut self,
        at: &TopicPartition,
        from: u64,
        budget: Budget,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let index = self.opened(at, from, OPEN_MAX)?;
        let KafkaReader { open, consumer, bell, .. } = self;
        let one = &mut open[index];
        let deadline = Deadline::after(if one.is_at_end() { NEWS_WAIT } else { ANSWER_WAIT });
        let (mut left, mut taken) = (budget, Taken::default());
        while !left.is_used_up() && taken.failure.is_none() && !taken.ended {
            taken = one.take(&mut left, visit);
            if taken.count > 0 {
                continue;
            }
            let patience = deadline.left();
            if one.next > from || patience.is_zero() {
                break;
            }
            bell.wait(patience.min(NAP_MAX));
            // Logs, and errors of the whole client: they pass, or are told with the next call that they concern.
            drop(consumer.poll(Duration::ZERO));
        }
        let (next, at_end) = (one.next, one.is_at_end());
        if let Some(why) = taken.failure {
            return Err(self.given_up(index, why));
        }
        if next == from && !at_end {
            self.open.remove(index);
            return Err(BusError::Unavailable(format!("no answer for {}-{} from {from} on", at.topic, at.partition)));
        }
        if next == from && !taken.ended {
            // An end is told once. Afterwards a cluster that is away is as silent as one that has nothing new.
            self.watermarks(at)?;
        }
        Ok(next)
    }

    fn read_all(
        &mut self,
        positions: &mut [(TopicPartition, u64)],
        budget: Budget,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let open_max = positions.len().max(OPEN_MAX);
        let mut visited = 0;
        for (at, position) in positions {
            let index = self.opened(at, *position, open_max)?;
            let (mut left, one) = (budget, &mut self.open[index]);
            let taken = one.take(&mut left, &mut |record| {
                visited += 1;
                visit(at, record);
            });
            *position = one.next;
            if let Some(why) = taken.failure {
                return Err(self.given_up(index, why));
            }
        }
        drop(self.consumer.poll(Duration::ZERO));
        Ok(visited)
    }

    fn rest(&mut self) {
        self.open.clear();
    }
}

/// What was fetched meanwhile and handed out.
#[derive(Default)]
struct Taken {
    /// Records, ends and errors.
    count: usize,
    /// Whether nothing more was there.
    ended: bool,
    failure: Option<RDKafkaErrorCode>,
}

impl Open {
    fn is_at_end(&self) -> bool {
        self.end == Some(self.next)
    }

    /// Hands out what was fetched meanwhile; waits for nothing.
    fn take(&mut self, left: &mut Budget, visit: &mut dyn FnMut(RecordRef<'_>)) -> Taken {
        let (next, end, mut taken) = (&mut self.next, &mut self.end, Taken::default());
        taken.count = self.fetcher.take(left.records_max, &mut |fetched| match fetched {
            Fetched::Message(message) => {
                let record = message.lend();
                *next = record.offset + 1;
                left.spend(record.bytes());
                visit(record);
            }
            Fetched::End(offset) => {
                *next = offset.max(*next);
                (*end, taken.ended) = (Some(*next), true);
            }
            Fetched::Error(why) => taken.failure = Some(why),
        });
        taken
    }
}
