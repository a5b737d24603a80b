//! The threads: one per worker, each stepping its worker with the program's clock until it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix::ArbiterHandle;

use super::actor::{Actors, Arbiters};
use super::directory::Directory;
use super::ends;
use super::health::Health;
use super::settings::{POLL_WAIT_MS, Settings, backoff};
use super::stage::Stage;
use super::worker::{Step, Worker, WorkerError, group_of, inputs_of};
use crate::bus::{Bus, BusError, Reader, TopicPartition};
use crate::clock::{Clock, Deadline};

/// The running stages of this process. Dropping it stops them and waits for them.
pub struct Runtime {
    log: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    arbiters: Arbiters,
    control: Arc<Control>,
    health: Health,
    threads: Vec<WorkerThread>,
    /// For looking at ends; made on first use, and anew after an error.
    reader: Mutex<Option<Box<dyn Reader>>>,
    /// The group and topics of each stage that was spawned.
    inputs: Vec<(String, Vec<Arc<str>>)>,
    failed: mpsc::Sender<Failure>,
    failures: mpsc::Receiver<Failure>,
}

/// The first error of a worker ends the program.
#[derive(Debug, thiserror::Error)]
#[error("worker {worker} ended: {why}")]
pub struct Failure {
    /// `screen-0` and the like.
    pub worker: String,
    pub why: String,
}

/// Why a stop was not clean.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// What these had open is not committed; it is read again after the next start.
    #[error("not finished in time: {0}")]
    Late(String),
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What all threads look at between two steps.
#[derive(Default)]
struct Control {
    stop: AtomicBool,
    eager: AtomicBool,
}

struct WorkerThread {
    name: String,
    handle: JoinHandle<()>,
    /// Closed when the thread ends.
    ended: mpsc::Receiver<()>,
}

/// A worker of a thread.
type Joined<St> = Worker<St, Actors<<St as Stage>::Shard>>;

/// Everything that one thread needs.
struct Loop<St: Stage> {
    name: String,
    stage: Arc<St>,
    log: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    slot: (u32, u32),
    arbiter: ArbiterHandle,
    directory: Directory<St::Shard>,
    control: Arc<Control>,
    health: Health,
    place: usize,
}

impl Runtime {
    pub fn new(log: Arc<dyn Bus>, clock: Arc<dyn Clock>, settings: Settings) -> std::io::Result<Runtime> {
        let (failed, failures) = mpsc::channel();
        Ok(Runtime {
            log,
            clock,
            settings,
            arbiters: Arbiters::start()?,
            control: Arc::default(),
            health: Health::default(),
            threads: Vec::new(),
            reader: Mutex::default(),
            inputs: Vec::new(),
            failed,
            failures,
        })
    }

    /// Starts this many workers of a stage, at least one, on threads `<stage>-0`, …; the directory finds their shards.
    pub fn spawn<St: Stage>(&mut self, stage: Arc<St>, workers: u32) -> std::io::Result<Directory<St::Shard>> {
        let directory = Directory::default();
        self.inputs.push(inputs_of(&*stage));
        let workers = workers.max(1);
        for slot in 0..workers {
            let name = format!("{}-{slot}", stage.name());
            let one = Loop {
                name: name.clone(),
                stage: Arc::clone(&stage),
                log: Arc::clone(&self.log),
                clock: Arc::clone(&self.clock),
                settings: self.settings.clone(),
                slot: (slot, workers),
                arbiter: self.arbiters.arbiter(),
                directory: directory.clone(),
                control: Arc::clone(&self.control),
                health: self.health.clone(),
                place: self.health.add(stage.name(), slot, self.clock.now()),
            };
            let failed = self.failed.clone();
            let (running, ended) = mpsc::channel::<()>();
            let handle = thread::Builder::new().name(name.clone()).spawn(move || {
                let _running = running;
                let name = one.name.clone();
                if let Err(why) = one.run() {
                    // Nobody listens any more only if the program is past caring.
                    let _ = failed.send(Failure { worker: name, why: why.to_string() });
                }
            })?;
            self.threads.push(WorkerThread { name, handle, ended });
        }
        Ok(directory)
    }

    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The first worker that failed, if one does within `wait`.
    pub fn failure(&self, wait: Duration) -> Option<Failure> {
        self.failures.recv_timeout(wait).ok()
    }

    /// Whether every stage has consumed and committed everything that is in its topics. From the first call on, workers
    /// commit progress without output as soon as they are idle. To be called again, after a pause, until it says yes.
    pub fn drained(&self) -> Result<bool, BusError> {
        self.control.eager.store(true, Ordering::Release);
        self.with_reader(|reader| ends::drained(&*self.log, reader, &self.inputs))
    }

    /// Whether a stage has consumed and committed a partition up to an end.
    pub fn reached(&self, stage: &str, at: &TopicPartition, end: u64) -> Result<bool, BusError> {
        self.with_reader(|reader| {
            let position = ends::position_of(&*self.log, reader, &group_of(stage), at)?;
            ends::reached(reader, at, position, end)
        })
    }

    fn with_reader<T>(&self, look: impl FnOnce(&mut dyn Reader) -> Result<T, BusError>) -> Result<T, BusError> {
        let mut held = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = match held.take() {
            Some(reader) => reader,
            None => self.log.reader()?,
        };
        let found = look(&mut *reader)?;
        reader.rest();
        *held = Some(reader);
        Ok(found)
    }

    /// Not ready, stop polling, finish the transactions, leave the groups; within `timeout` (`shutdown.timeout`).
    pub fn stop(mut self, timeout: Duration) -> Result<(), StopError> {
        self.signal_stop();
        let deadline = Deadline::after(timeout);
        let mut late = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            match thread.ended.recv_timeout(deadline.left()) {
                Err(mpsc::RecvTimeoutError::Timeout) => late.push(thread.name),
                // A panic was reported by its hook; the failure channel can't know it.
                _ => {
                    if thread.handle.join().is_err() {
                        return Err(Failure { worker: thread.name, why: "it panicked".to_owned() }.into());
                    }
                }
            }
        }
        if let Ok(failure) = self.failures.try_recv() {
            return Err(failure.into());
        }
        if late.is_empty() { Ok(()) } else { Err(StopError::Late(late.join(", "))) }
    }

    fn signal_stop(&self) {
        self.control.stop.store(true, Ordering::Release);
        self.health.none_ready();
        for thread in &self.threads {
            thread.handle.thread().unpark();
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.signal_stop();
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.handle.join();
        }
    }
}

impl<St: Stage> Loop<St> {
    fn run(self) -> Result<(), WorkerError> {
        let Some(mut worker) = self.join_group()? else {
            return Ok(());
        };
        loop {
            if self.control.stop.load(Ordering::Acquire) {
                worker.stop();
            }
            worker.set_eager(self.control.eager.load(Ordering::Acquire));
            let now = self.clock.now();
            let step = worker.step(now, Duration::from_millis(POLL_WAIT_MS))?;
            self.health.report(self.place, now, worker.is_ready(), worker.stats());
            match step {
                Step::Busy | Step::Idle => {}
                Step::Backoff(pause) => thread::park_timeout(pause),
                Step::Done => return Ok(()),
            }
        }
    }

    /// `None` if the program was stopped before the log was there.
    fn join_group(&self) -> Result<Option<Joined<St>>, WorkerError> {
        let mut tries = 1;
        while !self.control.stop.load(Ordering::Acquire) {
            let host = Actors::new(self.arbiter.clone(), self.directory.clone());
            let (stage, log) = (Arc::clone(&self.stage), Arc::clone(&self.log));
            match Worker::new(stage, host, log, self.settings.clone(), self.slot) {
                Ok(worker) => return Ok(Some(worker)),
                Err(BusError::Unavailable(_)) => {
                    tries += 1;
                    self.health.report(self.place, self.clock.now(), false, Default::default());
                    thread::park_timeout(backoff(tries));
                }
                Err(other) => return Err(other.into()),
            }
        }
        Ok(None)
    }
}
