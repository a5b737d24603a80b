//! `--input`: JSON lines of files into input topics, each file to its end before the next. How far a file was fed is
//! committed in the same transaction as its records, so that a program that was killed goes on where it was.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::bus::{Bus, Position, TopicPartition};
use crate::pacing::{Pacing, Stock};
use crate::pipeline::{FILE_PLACES, Producer};
use crate::wire::uuids::uuid_of;

/// Lines of one transaction, and bytes of one transaction, at most.
const CHUNK_LINES_MAX: usize = 2_000;
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// A longer line is no record of any network.
const LINE_BYTES_MAX: u64 = 60 << 20;

/// What of a file's beginning tells it from another of the same name.
const FINGERPRINT_BYTES: usize = 4096;

/// The feeder's name as a producer.
pub const PRODUCER: &str = "input";

/// One `--input [TOPIC=]FILE|-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub topic: String,
    /// `None` is standard input.
    pub path: Option<PathBuf>,
}

/// Waits until everything that was fed is decided and tells the stock; `None` if the program is to stop.
pub type Settle<'a> = dyn FnMut() -> anyhow::Result<Option<Stock>> + 'a;

/// Appends an input's lines to partition 0 of its topic.
pub struct Feeder<'a> {
    bus: &'a dyn Bus,
    producer: Producer,
    pacing: Pacing,
}

impl Input {
    /// The part before `=` is a topic if it is one of `topics`; without it the topic is `tweets`.
    pub fn parse(text: &str, topics: &[&str]) -> Result<Input, String> {
        let (topic, file) = match text.split_once('=') {
            Some((topic, file)) if topics.contains(&topic) => (topic, file),
            Some((topic, _)) if !Path::new(text).exists() => {
                return Err(format!("--input {text}: \"{topic}\" is no input topic; there are {}", topics.join(", ")));
            }
            _ => ("tweets", text),
        };
        let path = (file != "-").then(|| PathBuf::from(file));
        if let Some(missing) = path.as_ref().filter(|path| !path.is_file()) {
            return Err(format!("--input {text}: there is no file {}", missing.display()));
        }
        Ok(Input { topic: topic.to_owned(), path })
    }

    /// Bytes to read; `None` for standard input.
    pub fn bytes(&self) -> Option<u64> {
        self.path.as_ref().and_then(|path| path.metadata().ok()).map(|meta| meta.len())
    }

    pub fn is_empty(&self) -> bool {
        self.bytes() == Some(0)
    }
}

impl<'a> Feeder<'a> {
    pub fn new(bus: &'a dyn Bus, pacing: Pacing) -> anyhow::Result<Feeder<'a>> {
        Ok(Feeder { bus, producer: Producer::new(bus, PRODUCER)?, pacing })
    }

    /// Feeds an input to its end. `on_bytes` hears how far it came; it answers whether to go on.
    pub fn feed(
        &mut self,
        input: &Input,
        settle: &mut Settle<'_>,
        on_bytes: &mut dyn FnMut(u64) -> bool,
    ) -> anyhow::Result<()> {
        match &input.path {
            None => self.lines(input, Box::new(BufReader::new(std::io::stdin())), None, settle, on_bytes),
            Some(path) => {
                let (file, place) = self.open(input, path).with_context(|| format!("--input {}", path.display()))?;
                self.producer = Producer::in_group(self.bus, PRODUCER, &place.group)?;
                self.lines(input, Box::new(BufReader::with_capacity(1 << 20, file)), Some(place), settle, on_bytes)
            }
        }
    }

    /// Opens a file at the place that was reached before, if it is still the same file.
    fn open(&self, input: &Input, path: &Path) -> anyhow::Result<(File, Place)> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut place = Place::new(input, path)?;
        if let Some(position) = self.bus.position(&place.group, &place.at)?
            && position.offset <= length
            && position.note == fingerprint(&mut file, position.offset)?
        {
            place.offset = position.offset;
        }
        file.seek(SeekFrom::Start(place.offset))?;
        Ok((file, place))
    }

    fn lines(
        &mut self,
        input: &Input,
        mut reader: Box<dyn BufRead>,
        mut place: Option<Place>,
        settle: &mut Settle<'_>,
        on_bytes: &mut dyn FnMut(u64) -> bool,
    ) -> anyhow::Result<()> {
        let mut done = place.as_ref().map_or(0, |place| place.offset);
        let (mut lines, mut bytes) = (0, 0);
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line)?;
            if read as u64 > LINE_BYTES_MAX {
                bail!("the line at byte {done} of {} is longer than {LINE_BYTES_MAX} bytes", input.topic);
            }
            let record = without_line_end(&line);
            let mut weight = self.pacing.weigh(&input.topic, record);
            let waits = read > 0 && self.pacing.must_settle(&weight);
            if lines > 0 && (read == 0 || waits || lines >= CHUNK_LINES_MAX || bytes >= CHUNK_BYTES_MAX) {
                let positions = place.as_mut().map(|place| place.reach(done)).transpose()?;
                self.producer.commit(positions.as_slice())?;
                (lines, bytes) = (0, 0);
                if !on_bytes(done) {
                    return Ok(());
                }
            }
            if read == 0 {
                return Ok(());
            }
            if waits {
                let Some(stock) = settle()? else { return Ok(()) };
                self.pacing.look(&stock);
                // The catalogue may have changed meanwhile.
                weight = self.pacing.weigh(&input.topic, record);
            }
            self.producer.send(&input.topic, Some(0), None, Some(record))?;
            self.pacing.count(weight);
            done += read as u64;
            bytes += read;
            lines += 1;
        }
    }
}

/// How far a file was fed: a position in the partition that it is fed into, of a group of the file's own. A cluster
/// keeps positions only of partitions that exist.
struct Place {
    path: PathBuf,
    group: String,
    at: TopicPartition,
    offset: u64,
}

impl Place {
    fn new(input: &Input, path: &Path) -> anyhow::Result<Place> {
        let path = path.canonicalize()?;
        let group = format!("{FILE_PLACES}{}", uuid_of(&format!("{} {}", input.topic, path.display())));
        Ok(Place { at: TopicPartition::new(&input.topic, 0), group, path, offset: 0 })
    }

    fn reach(&mut self, offset: u64) -> anyhow::Result<(TopicPartition, Position)> {
        self.offset = offset;
        let note = fingerprint(&mut File::open(&self.path)?, offset)?;
        Ok((self.at.clone(), Position { offset, note }))
    }
}

/// A hash of the file's beginning, as far as it was fed.
fn fingerprint(file: &mut File, offset: u64) -> std::io::Result<String> {
    let mut head = vec![0; FINGERPRINT_BYTES.min(usize::try_from(offset).unwrap_or(FINGERPRINT_BYTES))];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    Ok(Sha256::digest(&head).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// A line is a record without its end: `\n` or `\r\n`.
fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How often a feeder looks whether its records were consumed.
pub const LOOK_EVERY: Duration = Duration::from_millis(5);
