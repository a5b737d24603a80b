//! Appends by way of a worker's transactions: what every log can do.

use std::time::Duration;

use super::{Appender, Bus, BusError, BusWorker, CommitState, OutRecord, WorkerSpec};

/// Times that a batch of records is tried before its writer gives up.
const TRIES_MAX: u32 = 5;

/// How long one commit may take.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(30);

/// One transaction for all records of a call.
pub struct Transacted {
    worker: Box<dyn BusWorker>,
}

impl Transacted {
    /// A second one of the same name fences the first.
    pub fn new<B: Bus + ?Sized>(bus: &B, name: &str) -> Result<Transacted, BusError> {
        let worker = bus.worker(WorkerSpec {
            group: format!("pay-by-tweet.{name}"),
            name: name.to_owned(),
            topics: Vec::new(),
            slot: (0, 1),
        })?;
        Ok(Transacted { worker })
    }
}

impl Appender for Transacted {
    /// A batch whose outcome is not known is written again.
    fn append(&mut self, records: &[OutRecord]) -> Result<(), BusError> {
        if records.is_empty() {
            return Ok(());
        }
        for _ in 0..TRIES_MAX {
            for record in records {
                self.worker.send(record)?;
            }
            self.worker.start_commit(&[])?;
            match self.worker.poll_commit(COMMIT_WAIT_MAX) {
                CommitState::Committed => return Ok(()),
                CommitState::Aborted => {}
                CommitState::Uncertain => self.worker.recover()?,
                state @ (CommitState::Pending | CommitState::Fenced) => {
                    return Err(BusError::Fatal(format!("records were not committed: {state:?}")));
                }
            }
        }
        Err(BusError::Fatal(format!("records were not committed in {TRIES_MAX} tries")))
    }
}
