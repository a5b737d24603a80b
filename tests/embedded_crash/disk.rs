//! A disk that crashes: what was written since the last sync may be there or not, block by block.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What reaches a disk, reaches it in such blocks.
const BLOCK_BYTES: usize = 4096;

/// A disk that remembers what was not synced.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Platter>>);

struct Platter {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// Operations that change something, until the crash.
    left: u64,
    seed: u64,
    /// The image that the crash left.
    crashed: Option<Vec<u8>>,
}

enum Unsynced {
    Length(usize),
    Block(usize, Vec<u8>),
}

impl Disk {
    /// A disk that holds `image` and crashes at its change number `left`; `seed` decides what the crash leaves.
    pub fn of(image: Vec<u8>, seed: u64, left: u64) -> Disk {
        let platter = Platter { live: image.clone(), durable: image, unsynced: Vec::new(), left, seed, crashed: None };
        Disk(Arc::new(Mutex::new(platter)))
    }

    pub fn is_crashed(&self) -> bool {
        self.platter().crashed.is_some()
    }

    /// What is on the disk after the crash, which happens now if it hasn't yet.
    pub fn crash(&self) -> Vec<u8> {
        let mut platter = self.platter();
        platter.crash();
        platter.crashed.clone().expect("it has crashed")
    }

    /// What a program would read.
    pub fn live(&self) -> Vec<u8> {
        self.platter().live.clone()
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().expect("no holder panics")
    }

    fn running(&self) -> Result<MutexGuard<'_, Platter>, Error> {
        let platter = self.platter();
        if platter.crashed.is_some() { Err(Error::other("crashed")) } else { Ok(platter) }
    }

    /// The end of an operation that changed something: the last one may have reached the disk, but is never answered.
    fn count(mut platter: MutexGuard<'_, Platter>) -> Result<(), Error> {
        if platter.left == 0 {
            platter.crash();
            return Err(Error::other("crashed"));
        }
        platter.left -= 1;
        Ok(())
    }
}

impl Platter {
    fn crash(&mut self) {
        if self.crashed.is_some() {
            return;
        }
        let mut random = SmallRng::seed_from_u64(self.seed);
        // A disk that works in order loses a suffix; others lose anything.
        let (upto, landing) = match random.random_range(0..3) {
            0 => (random.random_range(0..=self.unsynced.len()), 1.0),
            _ => (self.unsynced.len(), [0.1, 0.5, 0.9, 0.99, 1.0][random.random_range(0..5)]),
        };
        let landed: Vec<&Unsynced> = self.unsynced[..upto].iter().filter(|_| random.random_bool(landing)).collect();
        // Half of the crashes tear the last block that was under way, the others any.
        let torn = match random.random_bool(0.5) {
            true => landed.len().saturating_sub(1),
            false => random.random_range(0..landed.len().max(1)),
        };
        let mut image = std::mem::take(&mut self.durable);
        for (i, one) in landed.into_iter().enumerate() {
            let upto = if i == torn { random.random_range(0..=BLOCK_BYTES) } else { BLOCK_BYTES };
            one.reach(&mut image, upto);
        }
        self.crashed = Some(image);
    }
}

impl Unsynced {
    /// Reaches the disk, its first `upto` bytes at least.
    fn reach(&self, image: &mut Vec<u8>, upto: usize) {
        match self {
            Unsynced::Length(length) => image.resize(*length, 0),
            Unsynced::Block(offset, bytes) => {
                let bytes = &bytes[..upto.min(bytes.len())];
                let end = offset + bytes.len();
                image.resize(image.len().max(end), 0);
                image[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.running()?.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let (platter, from) = (self.running()?, offset as usize);
        let bytes = platter.live.get(from..from + out.len()).ok_or(Error::from(ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut platter = self.running()?;
        platter.live.resize(len as usize, 0);
        platter.unsynced.push(Unsynced::Length(len as usize));
        Disk::count(platter)
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut platter = self.running()?;
        // The crash of a sync itself finds everything still unsynced.
        if platter.left > 0 {
            let unsynced = std::mem::take(&mut platter.unsynced);
            unsynced.iter().for_each(|one| one.reach(&mut platter.durable, BLOCK_BYTES));
        }
        Disk::count(platter)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let (mut platter, mut at, mut rest) = (self.running()?, offset as usize, data);
        while !rest.is_empty() {
            let (block, more) = rest.split_at(rest.len().min(BLOCK_BYTES - at % BLOCK_BYTES));
            let live = platter.live.get_mut(at..at + block.len()).ok_or(Error::from(ErrorKind::UnexpectedEof))?;
            live.copy_from_slice(block);
            platter.unsynced.push(Unsynced::Block(at, block.to_vec()));
            (at, rest) = (at + block.len(), more);
        }
        Disk::count(platter)
    }
}
