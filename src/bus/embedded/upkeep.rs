//! Keeps the store small: compacts compacted topics and drops what outlived its retention, a bounded piece at a time.
//!
//! A piece is one transaction of the store, committed without a sync of its own: the next synced commit carries it, and
//! a crash before that only undoes it. Readers hold snapshots and never see a piece half done.
//!
//! A compaction *pass* over a partition first reads what was appended since the last pass and remembers each key's
//! last offset there, then walks from the beginning and drops every record that a later one replaces. A pass starts
//! when as much was appended as the last one left (and [`DIRTY_BYTES_MIN`]), so that a byte appended costs a bounded
//! number of bytes rewritten, however large the topic.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redb::{Durability, ReadableDatabase};

use super::frame::{BATCH_BYTES_MAX, Batch, Frame, FrameError, RawRecord};
use super::store::{BATCHES, CLEANED, ENDS, Shared, Snapshot, Topic, lock};

/// Bytes that one round handles per byte appended between two rounds.
const ROUND_BYTES_PER_BYTE: u64 = 4;
/// A pass is not worth it for fewer appended bytes.
const DIRTY_BYTES_MIN: u64 = 4 << 20;
/// Keys that a pass remembers, in bytes; a pass that meets more ends earlier in the log.
const KEYS_BYTES_MAX: usize = 64 << 20;
/// What the map costs per key besides the key.
const KEY_OVERHEAD_BYTES: usize = 48;
/// What a record's numbers may grow by when it moves to another batch; more only costs a larger page.
const NUMBERS_GROW_BYTES: usize = 8;

pub struct Upkeep {
    shared: Arc<Shared>,
    pass: Option<Pass>,
    /// Bytes appended since the last round.
    appended: u64,
    /// Something was appended since no pass was found worth it.
    check: bool,
    /// Partitions to compact whatever it costs.
    forced: Vec<(Topic, u32)>,
}

/// A compaction of one partition.
struct Pass {
    number: u32,
    /// Below this each key stands once.
    clean_end: u64,
    /// Records from here on are left alone.
    bound: u64,
    /// Bytes ever appended below the bound, as far as the scan came.
    appended: u64,
    last: HashMap<Box<[u8]>, u64>,
    last_bytes: usize,
    /// Where to go on.
    at: u64,
    rewriting: bool,
    kept_bytes: u64,
}

/// What one piece of a rewrite changes.
#[derive(Default)]
struct Piece {
    remove: Vec<u64>,
    insert: Vec<(u64, Vec<u8>)>,
    read_bytes: u64,
    kept_bytes: u64,
    next: u64,
}

/// Small batches that are being joined.
struct Joined {
    base: u64,
    time: i64,
    batch: Batch,
    sources: Vec<u64>,
    changed: bool,
}

impl Upkeep {
    pub fn new(shared: Arc<Shared>) -> Upkeep {
        Upkeep { shared, pass: None, appended: 0, check: true, forced: Vec::new() }
    }

    /// Counts appended bytes; true when a round is due.
    pub fn appended(&mut self, bytes: u64) -> bool {
        self.appended += bytes;
        self.check = true;
        self.appended >= self.shared.options.upkeep_every_bytes
    }

    /// Whether a round would go on with something.
    pub fn is_busy(&self) -> bool {
        self.pass.is_some() || !self.forced.is_empty()
    }

    /// Every compacted partition gets a pass, worth it or not.
    pub fn force(&mut self) {
        let topics = self.shared.options.compacted.iter().filter_map(|name| self.shared.find(name));
        self.forced = topics.flat_map(|topic| (0..topic.count).map(move |p| (topic.clone(), p))).collect();
    }

    /// Forgets what it was at.
    pub fn give_up(&mut self) {
        self.pass = None;
        self.forced.clear();
    }

    /// Does a piece of work; true if it wrote.
    pub fn round(&mut self, idle: bool) -> Result<bool, redb::Error> {
        let bytes = self.appended.max(self.shared.options.upkeep_every_bytes) * ROUND_BYTES_PER_BYTE;
        self.appended = 0;
        let expired = self.expire(bytes)?;
        if self.pass.is_none() && (self.check || !idle || !self.forced.is_empty()) {
            self.pass = self.next_pass()?;
            self.check = self.pass.is_some();
        }
        let Some(mut pass) = self.pass.take() else {
            return Ok(expired);
        };
        let (done, wrote) = if pass.rewriting {
            self.rewrite(&mut pass, bytes)?
        } else {
            self.scan(&mut pass, bytes)?;
            (false, false)
        };
        if !done {
            self.pass = Some(pass);
        }
        Ok(wrote || expired)
    }

    fn next_pass(&mut self) -> Result<Option<Pass>, redb::Error> {
        let snapshot = Snapshot::of(&self.shared.db)?;
        while let Some((topic, partition)) = self.forced.pop() {
            let pass = Pass::over(&self.shared, topic.first + partition)?;
            // What has nothing new may still hold tombstones whose time has come.
            if snapshot.batches_from(pass.number, 0, pass.bound)?.next().is_some() {
                return Ok(Some(pass));
            }
        }
        for topic in self.shared.options.compacted.iter().filter_map(|name| self.shared.find(name)) {
            for number in topic.first..topic.first + topic.count {
                let (ever, cleaned) = tally(&self.shared, number)?;
                if ever.saturating_sub(cleaned.2) >= cleaned.1.max(DIRTY_BYTES_MIN) {
                    return Pass::over(&self.shared, number).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Remembers the last offset of each key in a piece of what is new.
    fn scan(&self, pass: &mut Pass, bytes: u64) -> Result<(), redb::Error> {
        let snapshot = Snapshot::of(&self.shared.db)?;
        let mut read = 0;
        for row in snapshot.batches_from(pass.number, pass.at, pass.bound)? {
            if read >= bytes {
                return Ok(());
            }
            let (key, value) = row?;
            let base = key.value().1;
            if base < pass.at {
                continue;
            }
            if pass.last_bytes >= KEYS_BYTES_MAX {
                pass.bound = base;
                break;
            }
            let mut frame = Frame::parse(base, value.value()).map_err(corrupted)?;
            pass.at = frame.end();
            read += value.value().len() as u64;
            pass.appended += value.value().len() as u64;
            while let Some(record) = frame.next_from(pass.clean_end).map_err(corrupted)? {
                pass.remember(&record);
            }
        }
        pass.rewriting = true;
        pass.at = 0;
        Ok(())
    }

    /// Rewrites a piece; (the pass is done, something was written).
    fn rewrite(&self, pass: &mut Pass, bytes: u64) -> Result<(bool, bool), redb::Error> {
        let oldest = (self.shared.options.now)().0.saturating_sub(millis(self.shared.options.tombstones_kept));
        let piece = pass.piece(&Snapshot::of(&self.shared.db)?, bytes, oldest)?;
        pass.at = piece.next;
        pass.kept_bytes += piece.kept_bytes;
        let done = pass.at >= pass.bound;
        if !done && piece.remove.is_empty() {
            return Ok((false, false));
        }
        let mut transaction = self.shared.db.begin_write()?;
        transaction.set_durability(Durability::None)?;
        {
            let mut batches = transaction.open_table(BATCHES)?;
            for base in &piece.remove {
                batches.remove((pass.number, *base))?;
            }
            for (base, framed) in &piece.insert {
                batches.insert((pass.number, *base), framed.as_slice())?;
            }
            if done {
                let row = (pass.bound, pass.kept_bytes, pass.appended);
                transaction.open_table(CLEANED)?.insert(pass.number, row)?;
            }
        }
        transaction.commit()?;
        Ok((done, true))
    }

    /// Drops whole batches that are older than their topic's retention and that every group has read.
    fn expire(&self, bytes: u64) -> Result<bool, redb::Error> {
        let mut doomed = Vec::new();
        if !self.shared.options.retention.is_empty() {
            let now = (self.shared.options.now)().0;
            let snapshot = Snapshot::of(&self.shared.db)?;
            let mut left = bytes;
            for (name, kept) in &self.shared.options.retention {
                let compacted = self.shared.options.compacted.contains(name);
                if let Some(topic) = self.shared.find(name).filter(|_| !compacted) {
                    let oldest = now.saturating_sub(millis(*kept));
                    self.expired(&snapshot, &topic, oldest, &mut left, &mut doomed)?;
                }
            }
        }
        if doomed.is_empty() {
            return Ok(false);
        }
        let mut transaction = self.shared.db.begin_write()?;
        transaction.set_durability(Durability::None)?;
        {
            let mut batches = transaction.open_table(BATCHES)?;
            for key in &doomed {
                batches.remove(*key)?;
            }
        }
        transaction.commit()?;
        Ok(true)
    }

    fn expired(
        &self,
        snapshot: &Snapshot,
        topic: &Topic,
        oldest: i64,
        left: &mut u64,
        doomed: &mut Vec<(u32, u64)>,
    ) -> Result<(), redb::Error> {
        let mut unread = None;
        for partition in 0..topic.count {
            let number = topic.first + partition;
            for row in snapshot.batches_from(number, 0, u64::MAX)? {
                let (key, value) = row?;
                let frame = Frame::parse(key.value().1, value.value()).map_err(corrupted)?;
                if frame.time >= oldest || *left == 0 {
                    break;
                }
                let unread = match &unread {
                    Some(unread) => unread,
                    None => unread.insert(snapshot.unread(
                        &lock(&self.shared.subscribed),
                        topic,
                        &self.shared.options.bookmarks,
                    )?),
                };
                if unread.get(&partition).is_some_and(|lowest| frame.end() > *lowest) {
                    break;
                }
                *left = left.saturating_sub(value.value().len() as u64);
                doomed.push(key.value());
            }
        }
        Ok(())
    }
}

impl Pass {
    fn over(shared: &Shared, number: u32) -> Result<Pass, redb::Error> {
        let (_, (clean_end, _, appended)) = tally(shared, number)?;
        Ok(Pass {
            number,
            clean_end,
            bound: lock(&shared.state).end(number),
            appended,
            last: HashMap::new(),
            last_bytes: 0,
            at: clean_end,
            rewriting: false,
            kept_bytes: 0,
        })
    }

    fn remember(&mut self, record: &RawRecord<'_>) {
        let Some(key) = record.key else { return };
        match self.last.get_mut(key) {
            Some(offset) => *offset = record.offset,
            None => {
                self.last_bytes += key.len() + KEY_OVERHEAD_BYTES;
                self.last.insert(Box::from(key), record.offset);
            }
        }
    }

    /// Whether a record below the bound stays. A tombstone that stays the last of its key goes when it was appended
    /// before `oldest`, but not together with the value that it deletes: whoever has read that and goes on reading,
    /// over several snapshots, would never learn of it. So it outlives one pass.
    fn keeps(&self, record: &RawRecord<'_>, oldest: i64) -> bool {
        let Some(key) = record.key else { return true };
        match self.last.get(key) {
            Some(last) if *last != record.offset => false,
            _ => record.value.is_some() || record.time >= oldest || record.offset >= self.clean_end,
        }
    }

    fn piece(&self, snapshot: &Snapshot, bytes: u64, oldest: i64) -> Result<Piece, redb::Error> {
        let mut piece = Piece { next: self.bound, ..Piece::default() };
        let mut joined: Option<Joined> = None;
        for row in snapshot.batches_from(self.number, self.at, self.bound)? {
            let (key, value) = row?;
            let (base, framed) = (key.value().1, value.value());
            if piece.read_bytes >= bytes {
                piece.next = base;
                break;
            }
            piece.read_bytes += framed.len() as u64;
            let frame = Frame::parse(base, framed).map_err(corrupted)?;
            let kept = self.count_kept(frame, oldest)?;
            if kept == frame.count && framed.len() > BATCH_BYTES_MAX / 2 {
                piece.put(joined.take());
                piece.kept_bytes += framed.len() as u64;
            } else {
                self.join(frame, base, kept, oldest, &mut joined, &mut piece)?;
            }
        }
        piece.put(joined.take());
        Ok(piece)
    }

    fn count_kept(&self, mut frame: Frame<'_>, oldest: i64) -> Result<u32, redb::Error> {
        let mut kept = 0;
        while let Some(record) = frame.next_from(0).map_err(corrupted)? {
            kept += u32::from(self.keeps(&record, oldest));
        }
        Ok(kept)
    }

    /// Adds what stays of a batch to the batch in the making; a full one is put away first.
    fn join(
        &self,
        mut frame: Frame<'_>,
        base: u64,
        kept: u32,
        oldest: i64,
        joined: &mut Option<Joined>,
        piece: &mut Piece,
    ) -> Result<(), redb::Error> {
        if joined
            .as_ref()
            .is_some_and(|into| !into.batch.has_room(frame.len() + frame.count as usize * NUMBERS_GROW_BYTES))
        {
            piece.put(joined.take());
        }
        let into = joined.get_or_insert_with(|| Joined::at(base, frame.time));
        into.changed |= kept != frame.count || !into.sources.is_empty();
        into.sources.push(base);
        while let Some(record) = frame.next_from(0).map_err(corrupted)? {
            if self.keeps(&record, oldest) {
                if into.batch.is_empty() {
                    (into.base, into.time) = (record.offset, frame.time);
                }
                into.batch.push_raw(record.offset - into.base, record.time.saturating_sub(into.time), &record);
            }
        }
        Ok(())
    }
}

impl Joined {
    fn at(base: u64, time: i64) -> Joined {
        Joined { base, time, batch: Batch::new(), sources: Vec::new(), changed: false }
    }
}

impl Piece {
    fn put(&mut self, joined: Option<Joined>) {
        let Some(mut joined) = joined else { return };
        if !joined.batch.is_empty() {
            self.kept_bytes += joined.batch.len() as u64;
        }
        if joined.changed {
            self.remove.append(&mut joined.sources);
            if !joined.batch.is_empty() {
                self.insert.push((joined.base, joined.batch.framed(joined.time).to_vec()));
            }
        }
    }
}

/// (bytes ever appended to the partition, its row of [`CLEANED`]).
fn tally(shared: &Shared, number: u32) -> Result<(u64, (u64, u64, u64)), redb::Error> {
    let transaction = shared.db.begin_read()?;
    let ever = transaction.open_table(ENDS)?.get(number)?.map_or(0, |row| row.value().1);
    let cleaned = transaction.open_table(CLEANED)?.get(number)?.map_or((0, 0, 0), |row| row.value());
    Ok((ever, cleaned))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn corrupted(error: FrameError) -> redb::Error {
    redb::Error::Corrupted(error.to_string())
}
