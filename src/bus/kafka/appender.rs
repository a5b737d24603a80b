//! Appends outside of every transaction, as a gateway does: idempotent, acknowledged by all replicas in sync. There are
//! no markers, so that the offsets of a topic that is fed so count its records; and an open loop waits for one answer a
//! batch, where the end of a transaction takes several.

use std::sync::Arc;

use super::producer::{Hopeless, TxProducer};
use super::{Shared, unavailable};
use crate::bus::{Appender, BusError, OutRecord};

pub struct KafkaAppender {
    shared: Arc<Shared>,
    producer: TxProducer,
}

impl KafkaAppender {
    pub fn new(shared: Arc<Shared>, name: &str) -> Result<KafkaAppender, BusError> {
        let config = shared.clients.appender(&shared.names.physical(name));
        let producer = TxProducer::new(&config, Hopeless::default()).map_err(unavailable)?;
        Ok(KafkaAppender { shared, producer })
    }
}

impl Appender for KafkaAppender {
    fn append(&mut self, records: &[OutRecord]) -> Result<(), BusError> {
        for record in records {
            let topic = self.shared.names.physical(&record.topic);
            self.producer.enqueue(&topic, record, record.partition).map_err(unavailable)?;
        }
        self.producer.delivered().map_err(unavailable)
    }
}
