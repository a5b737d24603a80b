//! `--input`: JSON lines of files into input topics, each file to its end before the next. How far a file was fed is
//! committed in the same transaction as its records, so that a program that was killed goes on where it was.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::bus::{Bus, Position, TopicPartition};
use crate::clock::Stopwatch;
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

/// How long what standard input said may wait for more of it before it is committed, and the stop looked for.
const STILL_MAX: Duration = Duration::from_millis(50);

/// Lines of standard input that wait to be fed.
const LINES_AHEAD_MAX: usize = 16;

/// Hears how many bytes of an input are committed, and answers whether to go on.
pub type OnBytes<'a> = dyn FnMut(u64) -> anyhow::Result<bool> + 'a;

/// Appends an input's lines to partition 0 of its topic.
pub struct Feeder<'a> {
    bus: &'a dyn Bus,
    producer: Producer,
    pacing: Pacing,
}

impl Input {
    /// The part before `=` is a topic if it is one of `topics`; without it the topic is `tweets`.
    pub fn parse(text: &str, topics: &[&str]) -> Result<Input, String> {
        const UNNAMED: &str = "tweets";
        let (topic, file) = match text.split_once('=') {
            Some((topic, file)) if topics.contains(&topic) => (topic, file),
            Some((topic, _)) if !Path::new(text).exists() => {
                return Err(format!("--input {text}: \"{topic}\" is no input topic; there are {}", topics.join(", ")));
            }
            _ if !topics.contains(&UNNAMED) => {
                return Err(format!("--input {text}: name the topic, TOPIC={text}; there are {}", topics.join(", ")));
            }
            _ => (UNNAMED, text),
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
    pub fn feed(&mut self, input: &Input, settle: &mut Settle<'_>, on_bytes: &mut OnBytes<'_>) -> anyhow::Result<()> {
        match &input.path {
            None => self.lines(input, Lines::piped(std::io::stdin())?, None, settle, on_bytes),
            Some(path) => {
                let (file, place) = self.open(input, path).with_context(|| format!("--input {}", path.display()))?;
                self.producer = Producer::in_group(self.bus, PRODUCER, &place.group)?;
                let lines = Lines::File(BufReader::with_capacity(1 << 20, file));
                self.lines(input, lines, Some(place), settle, on_bytes)
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
        mut source: Lines,
        mut place: Option<Place>,
        settle: &mut Settle<'_>,
        on_bytes: &mut OnBytes<'_>,
    ) -> anyhow::Result<()> {
        let mut done = place.as_ref().map_or(0, |place| place.offset);
        let (mut lines, mut bytes) = (0, 0);
        let mut since = Stopwatch::start();
        loop {
            let next = source.next().with_context(|| format!("the line at byte {done} of {}", input.topic))?;
            let record = if let Next::Line(line) = &next { without_line_end(line) } else { &[] };
            let mut weight = self.pacing.weigh(&input.topic, record);
            let waits = matches!(next, Next::Line(_)) && self.pacing.must_settle(&weight);
            let is_late = source.is_piped() && since.seconds() >= STILL_MAX.as_secs_f64();
            let is_full = lines >= CHUNK_LINES_MAX || bytes >= CHUNK_BYTES_MAX || is_late;
            if lines > 0 && (waits || is_full || !matches!(next, Next::Line(_))) {
                let positions = place.as_mut().map(|place| place.reach(done)).transpose()?;
                self.producer.commit(positions.as_slice())?;
                (lines, bytes) = (0, 0);
            }
            if lines == 0 {
                if !on_bytes(done)? {
                    return Ok(());
                }
                since = Stopwatch::start();
            }
            let line = match &next {
                Next::Line(line) => line,
                Next::Still => continue,
                Next::End => return Ok(()),
            };
            if waits {
                let Some(stock) = settle()? else { return Ok(()) };
                self.pacing.look(&stock);
                // The catalogue may have changed meanwhile.
                weight = self.pacing.weigh(&input.topic, record);
            }
            self.producer.send(&input.topic, Some(0), None, Some(record))?;
            self.pacing.count(weight);
            done += line.len() as u64;
            bytes += line.len();
            lines += 1;
        }
    }
}

/// Where lines come from.
enum Lines {
    File(BufReader<File>),
    /// Read by a thread of its own: whoever types may take his time, and a stop must not wait for him.
    Piped(Receiver<std::io::Result<Vec<u8>>>),
}

enum Next {
    /// With its end.
    Line(Vec<u8>),
    /// Nothing for [`STILL_MAX`].
    Still,
    End,
}

impl Lines {
    fn piped(source: impl Read + Send + 'static) -> std::io::Result<Lines> {
        let (said, heard) = sync_channel(LINES_AHEAD_MAX);
        // It ends with its source, or with the program.
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            let mut reader = BufReader::new(source);
            loop {
                let line = read_line(&mut reader);
                let is_last = !matches!(&line, Ok(line) if !line.is_empty());
                if said.send(line).is_err() || is_last {
                    return;
                }
            }
        })?;
        Ok(Lines::Piped(heard))
    }

    fn is_piped(&self) -> bool {
        matches!(self, Lines::Piped(_))
    }

    fn next(&mut self) -> std::io::Result<Next> {
        let line = match self {
            Lines::File(reader) => read_line(reader)?,
            Lines::Piped(lines) => match lines.recv_timeout(STILL_MAX) {
                Ok(line) => line?,
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Still),
                Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
            },
        };
        Ok(if line.is_empty() { Next::End } else { Next::Line(line) })
    }
}

/// The next line with its end; empty at the end of all.
fn read_line(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line)?;
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(std::io::Error::new(ErrorKind::InvalidData, format!("is longer than {LINE_BYTES_MAX} bytes")));
    }
    Ok(line)
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
