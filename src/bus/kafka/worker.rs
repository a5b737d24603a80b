//! A worker on the cluster: its membership and its transactions.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};

use super::Shared;
use super::member::Member;
use super::positions::list_of;
use super::transactions::Transactions;
use crate::bus::{
    Budget, BusError, BusWorker, CommitState, LogClock, OutRecord, Polled, Position, RecordRef, TopicPartition,
    WorkerSpec, partition_of_key,
};
use crate::planted::{self, Bug};

pub struct KafkaWorker {
    shared: Arc<Shared>,
    group: String,
    /// `None`: it only produces.
    member: Option<Member>,
    transactions: Transactions,
}

impl KafkaWorker {
    /// Takes the transactional identity over, then joins the group.
    pub fn open(shared: Arc<Shared>, spec: WorkerSpec) -> Result<KafkaWorker, BusError> {
        let names = &shared.names;
        let identity = names.physical(&spec.name);
        let transactions = Transactions::open(shared.clients.producer(&identity), &spec.name)?;
        let member = if spec.topics.is_empty() {
            None
        } else {
            let config = shared.clients.member(&names.physical(&spec.group), &identity);
            Some(Member::join(&config, shared.clone(), spec.topics)?)
        };
        Ok(KafkaWorker { shared, group: spec.group, member, transactions })
    }

    /// Of the group as it is now. Who is in no group commits as somebody outside it, which the broker lets pass.
    fn group_metadata(&self) -> Result<Option<ConsumerGroupMetadata>, BusError> {
        match &self.member {
            Some(member) => Ok(member.group_metadata()),
            None => Ok(self.shared.onlooker(&self.group)?.group_metadata()),
        }
    }

    fn member(&mut self) -> Result<&mut Member, BusError> {
        self.member.as_mut().ok_or_else(|| BusError::Fatal("this worker consumes nothing".to_owned()))
    }
}

impl BusWorker for KafkaWorker {
    fn poll(
        &mut self,
        budget: Budget,
        wait: Duration,
        visit: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError> {
        self.member()?.poll(budget, wait, visit)
    }

    fn resume_at(&mut self, positions: &[(TopicPartition, u64)]) -> Result<(), BusError> {
        self.member()?.resume_at(positions)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), BusError> {
        self.member()?.pause(partitions)
    }

    fn at_end(&self, at: &TopicPartition) -> bool {
        self.member.as_ref().is_some_and(|member| member.at_end(at))
    }

    fn log_clock(&self) -> LogClock {
        self.transactions.log_clock()
    }

    fn release(&mut self) -> Result<(), BusError> {
        self.member()?.release()
    }

    fn send(&mut self, record: &OutRecord) -> Result<(), BusError> {
        let topic = self.shared.names.physical(&record.topic);
        // By the count that everything else here goes by, whatever becomes of the topic meanwhile.
        let by_key = || {
            let key = record.key.as_deref()?;
            Some(partition_of_key(key, self.shared.known_partitions(&record.topic)?))
        };
        self.transactions.send(&topic, record, record.partition.or_else(by_key))
    }

    fn start_commit(&mut self, positions: &[(TopicPartition, Position)]) -> Result<(), BusError> {
        let mut list = TopicPartitionList::new();
        for (at, position) in positions {
            list_of(&mut list, &self.shared.names.physical(&at.topic), at.partition, position);
        }
        let mut group = if positions.is_empty() { None } else { self.group_metadata()? };
        if planted::is(Bug::PositionsOutside) && group.take().is_some() {
            self.member()?.commit_positions(&list)?;
        }
        self.transactions.start_commit(list, group)
    }

    fn poll_commit(&mut self, wait: Duration) -> CommitState {
        self.transactions.poll_commit(wait)
    }

    fn abort(&mut self) -> Result<CommitState, BusError> {
        self.transactions.abort()
    }

    fn recover(&mut self) -> Result<(), BusError> {
        self.transactions.recover()
    }
}
