//! A durable partitioned log in one file, inside the program: no server, the same promises.
//!
//! ```text
//! workers ── whole transactions ──▶ committer ── one transaction of the store for all that wait ──▶ log.redb
//!    ▲                                                                                                 │
//!    └───────────────────────────── snapshots (a poll reads one, so do readers) ◀──────────────────────┘
//! ```
//!
//! - `frame`: many records in one value. `store`: the tables. `committer`: the only thread that writes.
//!   `upkeep`: compaction and retention. `worker`, `reader`: the traits.
//! - What a crash leaves: the store commits by writing pages beside the old ones and then one small header that names
//!   them by checksum, so that a torn commit is the commit before. It relies on three things of the medium: what was
//!   synced stays, a single byte is written or not, and a write changes nothing outside its range.
//! - After a crash of the program or the machine, opening with [`Fsync::Commit`] reads the whole file once to verify it
//!   (about a second per GB that is cached). [`Fsync::Interval`] spares that: each sync notes what is allocated, which
//!   would halve the rate of commits if every one did it.

mod committer;
mod frame;
mod reader;
mod store;
mod upkeep;
mod worker;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod upkeep_tests;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redb::{Database, DatabaseError, StorageBackend};

use self::committer::{Committer, QUEUE_TRANSACTIONS_MAX, Request};
use self::reader::EmbeddedReader;
use self::store::{Shared, lock};
use self::worker::EmbeddedWorker;
use super::{Bus, BusError, BusWorker, Position, Reader, TopicPartition, WorkerSpec};
use crate::domain::Time;

/// The file within the folder.
pub const FILE_NAME: &str = "log.redb";
/// Locked while the log is open.
const LOCK_NAME: &str = "log.lock";
/// Locked while a program runs on the folder; shared, for an instant, by who looks whether one does.
const CLAIM_NAME: &str = "run.lock";
const UNFINISHED_NAME: &str = "log.redb.unfinished";

/// Who looks at a claim holds it shared for a few system calls: so often, this far apart, they are waited for.
const LOOKERS_MAX: u32 = 1_000;
const LOOKER_PAUSE: Duration = Duration::from_millis(1);

/// Interval syncs are no closer than this.
const TICK_MIN: Duration = Duration::from_millis(1);

/// When a commit is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before it is answered: no committed transaction is lost.
    Commit,
    /// So often: what survives a crash of the machine is a prefix in commit order, over all stages. A crash of the
    /// program alone may lose the same.
    Interval(Duration),
}

/// How a log is kept.
#[derive(Clone)]
pub struct EmbeddedOptions {
    /// Partitions of a topic that `partitions_of` doesn't name.
    pub partitions: u32,
    pub partitions_of: BTreeMap<String, u32>,
    pub fsync: Fsync,
    /// How long a topic's records are kept at least, by append time. What a group hasn't read is kept longer. Topics
    /// that aren't named, and compacted ones, are kept forever.
    pub retention: Vec<(String, Duration)>,
    /// Topics of which only the last record of each key is kept.
    pub compacted: Vec<String>,
    /// Groups whose names begin so keep places of their own in positions, not offsets: what they have not read is
    /// nothing of the topic's. Empty: none do.
    pub bookmarks: String,
    /// How long a compacted topic keeps a tombstone at least, so that whoever is reading it learns of the deletion.
    pub tombstones_kept: Duration,
    /// Memory of the store for pages.
    pub cache_bytes: usize,
    /// A round of upkeep follows so many appended bytes.
    pub upkeep_every_bytes: u64,
    /// The log's clock: append times come from it, and nothing else.
    pub now: Arc<dyn Fn() -> Time + Send + Sync>,
}

/// The embedded log. Dropping it finishes what waits and syncs; the folder is free again when its workers and readers
/// are gone, too.
pub struct Embedded {
    shared: Arc<Shared>,
    requests: SyncSender<Request>,
    committer: Option<JoinHandle<()>>,
    metronome: Option<(Sender<()>, JoinHandle<()>)>,
}

/// A topic as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    pub topic: Arc<str>,
    /// (first offset that is kept, one past the last) by partition.
    pub partitions: Vec<(u64, u64)>,
}

/// The right to run on a folder, for as long as this is kept. Commands that only read hold the log for a while
/// without it: whoever has it and finds the log taken waits for them.
pub struct Claim {
    _held: File,
}

impl Claim {
    /// `Taken` while another program runs on the folder, which is made if it is missing.
    pub fn take(dir: &Path) -> Result<Claim, BusError> {
        let file = lock_file(dir, CLAIM_NAME)?;
        let locked = |tried| is_locked(tried, dir, CLAIM_NAME);
        for _ in 0..LOOKERS_MAX {
            if locked(file.try_lock())? {
                return Ok(Claim { _held: file });
            }
            // What can't be shared either belongs to a program, and not to who looks for one.
            if !locked(file.try_lock_shared())? {
                break;
            }
            locked(file.unlock().map_err(TryLockError::Error))?;
            thread::sleep(LOOKER_PAUSE);
        }
        Err(taken(dir))
    }

    /// Whether a program runs on the folder. Looking keeps none from starting.
    pub fn is_held(dir: &Path) -> Result<bool, BusError> {
        match File::open(dir.join(CLAIM_NAME)) {
            Ok(file) => is_locked(file.try_lock_shared(), dir, CLAIM_NAME).map(|free| !free),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(lock_failed(dir, CLAIM_NAME, &e)),
        }
    }
}

impl EmbeddedOptions {
    /// Four partitions, every commit synced, nothing expires, nothing is compacted, 64 MiB of pages.
    pub fn new(now: Arc<dyn Fn() -> Time + Send + Sync>) -> EmbeddedOptions {
        EmbeddedOptions {
            partitions: 4,
            partitions_of: BTreeMap::new(),
            fsync: Fsync::Commit,
            retention: Vec::new(),
            compacted: Vec::new(),
            bookmarks: String::new(),
            tombstones_kept: Duration::from_secs(24 * 3600),
            cache_bytes: 64 << 20,
            upkeep_every_bytes: 2 << 20,
            now,
        }
    }
}

impl Embedded {
    /// Opens the log in a folder, made if it is missing. `Taken` while another program holds it.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Embedded, BusError> {
        let failed = |e: &dyn Display| BusError::Fatal(format!("{}: {e}", dir.display()));
        let held = hold(dir, LOCK_NAME)?;
        let file = dir.join(FILE_NAME);
        if !file.try_exists().map_err(|e| failed(&e))? {
            create(dir, &options)?;
        }
        let db = redb::Builder::new().set_cache_size(options.cache_bytes).open(&file).map_err(|e| match e {
            DatabaseError::DatabaseAlreadyOpen => taken(dir),
            e => failed(&e),
        })?;
        Embedded::start(db, options, Some(held))
    }

    /// Opens the log on any storage. Storage that is empty gets a log; a crash meanwhile leaves neither, so do it once
    /// where it can be done over.
    pub fn open_on(backend: impl StorageBackend, options: EmbeddedOptions) -> Result<Embedded, BusError> {
        let mut builder = redb::Builder::new();
        let db = builder.set_cache_size(options.cache_bytes).create_with_backend(backend).map_err(|e| match e {
            DatabaseError::DatabaseAlreadyOpen => BusError::Taken("another pay-by-tweet holds the storage".to_string()),
            e => BusError::Fatal(e.to_string()),
        })?;
        Embedded::start(db, options, None)
    }

    /// Every topic that holds or held records, by name.
    pub fn topics(&self) -> Result<Vec<TopicState>, BusError> {
        let snapshot = self.shared.snapshot()?;
        let catalog = self.shared.catalog.read().unwrap_or_else(PoisonError::into_inner);
        let state = |topic: &store::Topic| {
            let numbers = topic.first..topic.first + topic.count;
            let partitions = numbers.map(|n| Ok((snapshot.beginning(n)?, snapshot.end(n)?)));
            Ok(TopicState { topic: topic.name.clone(), partitions: partitions.collect::<Result<_, BusError>>()? })
        };
        let all: Result<Vec<_>, BusError> = catalog.topics.values().map(state).collect();
        Ok(all?.into_iter().filter(|topic| topic.partitions.iter().any(|(_, end)| *end > 0)).collect())
    }

    /// Returns when every commit that was answered is on the disk.
    pub fn flush(&self) -> Result<(), BusError> {
        self.ask(Request::Flush)
    }

    /// Compacts and expires whatever can be, at once.
    pub fn compact_now(&self) -> Result<(), BusError> {
        self.ask(Request::Tidy)
    }

    fn start(db: Database, options: EmbeddedOptions, held: Option<File>) -> Result<Embedded, BusError> {
        let fsync = options.fsync;
        let shared = Arc::new(Shared::load(db, options, held)?);
        let (requests, served) = sync_channel(QUEUE_TRANSACTIONS_MAX);
        let committer = Committer::new(shared.clone());
        let committer = spawn("log-committer", move || committer.run(&served))?;
        let metronome = match fsync {
            Fsync::Commit => None,
            Fsync::Interval(every) => {
                let (stop, stopped) = channel();
                let requests = requests.clone();
                Some((stop, spawn("log-metronome", move || tick(every, &stopped, &requests))?))
            }
        };
        Ok(Embedded { shared, requests, committer: Some(committer), metronome })
    }

    fn ask(&self, request: impl FnOnce(SyncSender<()>) -> Request) -> Result<(), BusError> {
        let (answer, answered) = sync_channel(1);
        let closed = || BusError::Fatal("the log is closed".to_string());
        self.requests.send(request(answer)).map_err(|_| closed())?;
        answered.recv().map_err(|_| closed())?;
        lock(&self.shared.state).check()
    }
}

impl Bus for Embedded {
    fn worker(&self, spec: WorkerSpec) -> Result<Box<dyn BusWorker>, BusError> {
        Ok(Box::new(EmbeddedWorker::open(self.shared.clone(), self.requests.clone(), &spec)?))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, BusError> {
        lock(&self.shared.state).check()?;
        Ok(Box::new(EmbeddedReader::new(self.shared.clone())))
    }

    fn partitions(&self, topic: &str) -> Result<u32, BusError> {
        Ok(self.shared.find(topic).map_or_else(|| self.shared.options.count(topic), |found| found.count))
    }

    fn position(&self, group: &str, at: &TopicPartition) -> Result<Option<Position>, BusError> {
        self.shared.snapshot()?.position(group, at)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some((stop, metronome)) = self.metronome.take() {
            drop(stop);
            // It ends at once, or it waits for room in the queue, which the committer makes.
            let _ = metronome.join();
        }
        let _ = self.requests.send(Request::Stop);
        if let Some(committer) = self.committer.take() {
            // One that panicked has nothing left to finish.
            let _ = committer.join();
        }
    }
}

/// Locks the folder, made if it is missing, under a name for as long as the file is open.
fn hold(dir: &Path, name: &str) -> Result<File, BusError> {
    let file = lock_file(dir, name)?;
    if is_locked(file.try_lock(), dir, name)? { Ok(file) } else { Err(taken(dir)) }
}

fn lock_file(dir: &Path, name: &str) -> Result<File, BusError> {
    make_folder(dir).map_err(|e| BusError::Fatal(format!("{}: {e}", dir.display())))?;
    owners_file().create(true).append(true).open(dir.join(name)).map_err(|e| lock_failed(dir, name, &e))
}

/// False if somebody else has it.
fn is_locked(tried: Result<(), TryLockError>, dir: &Path, name: &str) -> Result<bool, BusError> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(lock_failed(dir, name, &e)),
    }
}

fn lock_failed(dir: &Path, name: &str, why: &std::io::Error) -> BusError {
    BusError::Fatal(format!("{}: {why}", dir.join(name).display()))
}

/// The log holds card tokens: what is made of it is its owner's alone. What is there already stays as it is.
fn make_folder(dir: &Path) -> std::io::Result<()> {
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.recursive(true).create(dir)
}

/// A file that is its owner's alone if it is made.
fn owners_file() -> OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes an empty log under another name and moves it to its place when it is whole: a file that a crash left half made
/// could not be told from one that was damaged.
fn create(dir: &Path, options: &EmbeddedOptions) -> Result<(), BusError> {
    let failed = |e: &dyn Display| BusError::Fatal(format!("{}: {e}", dir.display()));
    let unfinished = dir.join(UNFINISHED_NAME);
    match std::fs::remove_file(&unfinished) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(&e)),
        _ => {}
    }
    // The store takes an empty file for a new one.
    owners_file().write(true).create_new(true).open(&unfinished).map_err(|e| failed(&e))?;
    let db = redb::Builder::new().set_cache_size(options.cache_bytes).create(&unfinished).map_err(|e| failed(&e))?;
    drop(Shared::load(db, options.clone(), None)?);
    let synced = File::open(&unfinished).and_then(|file| file.sync_all());
    synced.and_then(|()| std::fs::rename(&unfinished, dir.join(FILE_NAME))).map_err(|e| failed(&e))?;
    // A file is only as durable as its entry in the folder, and the folder as its own.
    #[cfg(unix)]
    for folder in [Some(dir), dir.parent().filter(|parent| !parent.as_os_str().is_empty())].into_iter().flatten() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| failed(&e))?;
    }
    Ok(())
}

fn taken(dir: &Path) -> BusError {
    BusError::Taken(format!("{} is in use: another pay-by-tweet holds it", dir.display()))
}

/// Asks for a sync every so often. A thread of its own, so that a committer that is never idle needs no clock.
fn tick(every: Duration, stopped: &Receiver<()>, requests: &SyncSender<Request>) {
    let every = every.max(TICK_MIN);
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        if requests.send(Request::Tick).is_err() {
            return;
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, BusError> {
    let spawned = thread::Builder::new().name(name.to_string()).spawn(run);
    spawned.map_err(|e| BusError::Fatal(format!("no thread for {name}: {e}")))
}
