//! `tap TOPIC [--follow]`: a topic's committed records as JSON lines, from the folder itself or, while a program runs
//! on it, through that program.

use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use super::Outcome;
use super::folder::{BrokenOff, Folder, Found, Unanswered};
use crate::bus::{Budget, Bus, BusError, Reader};
use crate::clock::SystemClock;
use crate::config::{BusKind, Settings};
use crate::http::{Endpoint, client_get, tap_line};
use crate::pipeline::topics;

#[derive(clap::Args)]
pub struct TapArgs {
    /// The topic, with or without topics.prefix
    topic: String,
    /// Go on with records that come
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    config: super::ConfigArg,
}

/// How often `--follow` looks for new records, and how often an end that can't be read is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks at an end that an open transaction holds back: above `transaction.timeout.ms`, after which its broker ends it.
const EMPTY_LOOKS_MAX: u32 = 175;

pub fn run(args: &TapArgs) -> Outcome {
    let settings = super::settings(args.config.config.as_deref())?;
    let known = topics(&settings);
    let bare = args.topic.strip_prefix(settings.topics.prefix.as_str()).unwrap_or(&args.topic);
    // A prefix may be how some topic begins.
    let Some(topic) = known.iter().find(|topic| **topic == args.topic).or(known.iter().find(|topic| *topic == bare))
    else {
        bail!("there is no topic \"{}\"; there are {}", args.topic, known.join(", "));
    };
    let mut tap = Tap::new(&settings, topic, args.follow);
    match settings.bus.kind {
        BusKind::Kafka => tap.cluster()?,
        BusKind::Embedded => tap.folder()?,
    }
    Ok(ExitCode::SUCCESS)
}

struct Tap<'a> {
    settings: &'a Settings,
    topic: &'a str,
    follow: bool,
    /// What is read next, by partition.
    places: Vec<u64>,
    /// Where each partition ended when it was looked at first; who follows looks anew.
    ends: Vec<Option<u64>>,
    /// How often nothing came in a row although there is more.
    empty_looks: u32,
}

/// What was read at one go.
#[derive(Default)]
struct Piece {
    lines: String,
    /// There is more to be read at once.
    more: bool,
}

impl<'a> Tap<'a> {
    fn new(settings: &'a Settings, topic: &'a str, follow: bool) -> Tap<'a> {
        Tap { settings, topic, follow, places: Vec::new(), ends: Vec::new(), empty_looks: 0 }
    }

    fn cluster(&mut self) -> anyhow::Result<()> {
        let log = crate::log::open_to_read(self.settings, Arc::new(SystemClock))?;
        let mut reader = log.reader()?;
        let mut told = false;
        loop {
            let more = match self.read(&*log, &mut *reader) {
                Ok(piece) => {
                    told = false;
                    if super::reader_left(write(&piece.lines))? {
                        return Ok(());
                    }
                    piece.more
                }
                Err(error) if self.follow && matches!(error.downcast_ref(), Some(BusError::Unavailable(_))) => {
                    if !std::mem::replace(&mut told, true) {
                        eprintln!("pay-by-tweet: {error:#}; trying again");
                    }
                    false
                }
                Err(other) => return Err(other),
            };
            if !self.goes_on(more) {
                return Ok(());
            }
        }
    }

    /// Opens the folder anew for every piece, and prints when it is closed: a program that starts meanwhile must wait
    /// neither for who follows nor for who reads what is printed.
    fn folder(&mut self) -> anyhow::Result<()> {
        let mut folder = Folder::new(self.settings);
        loop {
            let told = folder.ask(|found| match found {
                Found::Log(log) => Ok((false, self.read(&*log, &mut *log.reader()?)?)),
                Found::Program(endpoint) => Ok((self.print_remote(&endpoint)?, Piece::default())),
            });
            let (left, piece) = match told {
                Err(error) if self.follow && error.is::<Unanswered>() => Default::default(),
                told => told?,
            };
            if left || super::reader_left(write(&piece.lines))? || !self.goes_on(piece.more) {
                return Ok(());
            }
        }
    }

    /// Whether there is anything to come; after a pause, if it is not there yet.
    fn goes_on(&self, more: bool) -> bool {
        let goes_on = more || self.follow;
        if goes_on && (!more || self.empty_looks > 0) {
            std::thread::sleep(LOOK_EVERY);
        }
        goes_on
    }

    /// Reads on, partition by partition, as much as is taken at one go. Of partitions that can't be read the first is
    /// told when the others have nothing more.
    fn read(&mut self, log: &dyn Bus, reader: &mut dyn Reader) -> anyhow::Result<Piece> {
        let all = log.all_of(self.topic)?;
        self.places.resize(all.len(), 0);
        self.ends.resize(all.len(), None);
        let (mut away, mut held_back) = (None, None);
        for ((at, place), known) in all.iter().zip(&mut self.places).zip(&mut self.ends) {
            let mut lines = String::new();
            let mut look = || {
                let end = match *known {
                    Some(end) if !self.follow => end,
                    _ => *known.insert(reader.end(at)?),
                };
                let from = (*place).max(reader.beginning(at)?);
                if from >= end {
                    return Ok((from, from, end));
                }
                let next = reader.read(at, from, Budget::BULK, &mut |record| {
                    lines += &tap_line(at.partition, record.offset, record.key, record.value, &record.headers.read());
                    lines.push('\n');
                })?;
                Ok((from, next, end))
            };
            match look() {
                Ok((from, next, _)) if next > from => {
                    (*place, self.empty_looks) = (next, 0);
                    return Ok(Piece { lines, more: true });
                }
                Ok((from, _, end)) => held_back = held_back.or((from < end).then_some((at.partition, from, end))),
                Err(BusError::Unavailable(why)) => away = away.or(Some(BusError::Unavailable(why))),
                Err(other) => return Err(other.into()),
            }
        }
        match (away, held_back) {
            (Some(away), _) => Err(away.into()),
            (None, Some((partition, from, end))) if !self.follow => {
                self.empty_looks += 1;
                if self.empty_looks > EMPTY_LOOKS_MAX {
                    bail!("{} {partition} can't be read beyond {from} of {end}: a transaction stays open", self.topic);
                }
                Ok(Piece { lines: String::new(), more: true })
            }
            _ => Ok(Piece::default()),
        }
    }

    /// Prints what the running program tells. True when nobody reads the output any more.
    fn print_remote(&mut self, endpoint: &Endpoint) -> anyhow::Result<bool> {
        self.places.resize(self.settings.topics.partitions as usize, 0);
        let mut out = std::io::stdout().lock();
        for (partition, place) in self.places.iter_mut().enumerate() {
            let path = format!("/v1/tap/{}?partition={partition}&from={place}", self.topic);
            for line in BufReader::new(client_get(endpoint, &path)?).lines() {
                let line = line.map_err(BrokenOff)?;
                let record: serde_json::Value = serde_json::from_str(&line)?;
                let Some(offset) = record["offset"].as_u64() else { bail!("the running program answered: {line}") };
                *place = offset + 1;
                if super::reader_left(writeln!(out, "{line}"))? {
                    return Ok(true);
                }
            }
        }
        super::reader_left(out.flush())
    }
}

fn write(lines: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::embedded::{Embedded, EmbeddedOptions};
    use crate::domain::Time;
    use crate::pipeline::Producer;

    #[test]
    fn who_does_not_follow_ends_where_the_topic_ended() {
        let options = EmbeddedOptions::new(Arc::new(|| Time(0)));
        let log = Embedded::open_on(redb::backends::InMemoryBackend::new(), options).expect("memory works");
        let mut producer = Producer::new(&log, "test").expect("the log is open");
        let mut append = |value: &[u8]| {
            producer
                .send("tweets", Some(0), None, Some(value))
                .and_then(|()| producer.commit(&[]))
                .expect("it is there");
        };
        let settings = Settings::of_text(None, std::iter::empty()).expect("the defaults are valid");
        for follow in [false, true] {
            append(b"1");
            let mut tap = Tap::new(&settings, "tweets", follow);
            let mut reader = log.reader().expect("a reader");
            assert!(!tap.read(&log, &mut *reader).expect("it reads").lines.is_empty());
            append(b"2");
            assert_eq!(tap.read(&log, &mut *reader).expect("it reads").lines.is_empty(), !follow);
        }
    }
}
