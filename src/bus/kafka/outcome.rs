//! What an answer of the transactional producer means. One path for each, as the README's table says.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What to do after a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The same call again.
    Retry,
    /// Abort, then replay.
    Abort,
    /// Abort; the group has moved on without this worker.
    AbortFenced,
    /// The identity was taken over.
    Fenced,
    /// Nobody knows what came of the transaction.
    Uncertain,
}

/// By librdkafka's own flags (`rdkafka.h`, "Transactional producer API"): fatal, abortable, retriable, in this order;
/// an error without any of them leaves the outcome unknown.
pub fn failure_of(error: &KafkaError) -> Failure {
    let KafkaError::Transaction(native) = error else {
        return Failure::Uncertain;
    };
    let code = native.code();
    if native.is_fatal() {
        return if is_fenced(code) { Failure::Fenced } else { Failure::Uncertain };
    }
    if native.txn_requires_abort() {
        return if is_out_of_group(code) { Failure::AbortFenced } else { Failure::Abort };
    }
    if native.is_retriable() { Failure::Retry } else { Failure::Uncertain }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | ProducerFenced | InvalidProducerEpoch)
}

fn is_out_of_group(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{FencedInstanceId, IllegalGeneration, UnknownMemberId};
    matches!(code, FencedInstanceId | IllegalGeneration | UnknownMemberId)
}
