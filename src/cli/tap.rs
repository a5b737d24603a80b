//! `tap TOPIC [--follow]`: a topic's committed records as JSON lines, from the folder itself or, while a program runs
//! on it, through that program.

use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use super::Outcome;
use crate::bus::embedded::FILE_NAME;
use crate::bus::{Budget, Bus, BusError, Reader};
use crate::clock::SystemClock;
use crate::config::{BusKind, Settings};
use crate::http::{ClientError, Endpoint, client_get, read_endpoint, tap_line};
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
    let mut tap = Tap { settings: &settings, topic, follow: args.follow, places: Vec::new() };
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
}

/// Nobody reads the output any more.
struct ReaderLeft;

/// The running program went away amid its answer.
#[derive(Debug, thiserror::Error)]
#[error("the running program's answer breaks off: {0}")]
struct BrokenOff(std::io::Error);

fn is_away(error: &anyhow::Error) -> bool {
    error.is::<BrokenOff>() || matches!(error.downcast_ref(), Some(ClientError::Away { .. }))
}

impl Tap<'_> {
    fn cluster(&mut self) -> anyhow::Result<()> {
        let log = open_log(self.settings)?;
        let mut reader = log.reader()?;
        let mut told = false;
        loop {
            match self.print_log(&*log, &mut *reader) {
                Ok(Some(ReaderLeft)) => return Ok(()),
                Ok(None) => told = false,
                Err(error) if self.follow && matches!(error.downcast_ref(), Some(BusError::Unavailable(_))) => {
                    if !std::mem::replace(&mut told, true) {
                        eprintln!("pay-by-tweet: {error:#}; trying again");
                    }
                }
                Err(other) => return Err(other),
            }
            if !self.follow {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Opens the folder anew for every look: a program that starts meanwhile must not wait for who follows.
    fn folder(&mut self) -> anyhow::Result<()> {
        loop {
            let printed = match open_log(self.settings) {
                Ok(log) => self.print_log(&*log, &mut *log.reader()?)?,
                Err(BusError::Taken(taken)) => match read_endpoint(&self.settings.bus.embedded.dir)? {
                    Some(endpoint) => match self.print_remote(&endpoint) {
                        // It is stopping, or just gone.
                        Err(error) if self.follow && is_away(&error) => None,
                        printed => printed?,
                    },
                    // It is starting or stopping, or another command reads.
                    None if self.follow => None,
                    None => return Err(super::Misconfigured(taken).into()),
                },
                Err(other) => return Err(other.into()),
            };
            if !self.follow || printed.is_some() {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn print_log(&mut self, log: &dyn Bus, reader: &mut dyn Reader) -> anyhow::Result<Option<ReaderLeft>> {
        let all = log.all_of(self.topic)?;
        self.places.resize(all.len(), 0);
        let mut out = std::io::stdout().lock();
        for (at, place) in all.iter().zip(&mut self.places) {
            let end = reader.end(at)?;
            *place = (*place).max(reader.beginning(at)?);
            let mut empty_looks = 0;
            while *place < end {
                let mut lines = String::new();
                let next = reader.read(at, *place, Budget::BULK, &mut |record| {
                    lines += &tap_line(at.partition, record.offset, record.key, record.value, &record.headers.read());
                    lines.push('\n');
                })?;
                if super::reader_left(out.write_all(lines.as_bytes()))? {
                    return Ok(Some(ReaderLeft));
                }
                if next > *place {
                    (*place, empty_looks) = (next, 0);
                } else if self.follow {
                    break;
                } else if empty_looks == EMPTY_LOOKS_MAX {
                    let (topic, partition) = (self.topic, at.partition);
                    bail!("{topic} {partition} can't be read beyond {next} of {end}: a transaction stays open");
                } else {
                    empty_looks += 1;
                    std::thread::sleep(LOOK_EVERY);
                }
            }
        }
        Ok(super::reader_left(out.flush())?.then_some(ReaderLeft))
    }

    fn print_remote(&mut self, endpoint: &Endpoint) -> anyhow::Result<Option<ReaderLeft>> {
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
                    return Ok(Some(ReaderLeft));
                }
            }
        }
        Ok(super::reader_left(out.flush())?.then_some(ReaderLeft))
    }
}

/// The log of a cluster, or of a folder that nobody holds.
pub fn open_log(settings: &Settings) -> Result<Arc<dyn Bus>, BusError> {
    let dir = &settings.bus.embedded.dir;
    if settings.bus.kind == BusKind::Embedded && !dir.join(FILE_NAME).exists() {
        return Err(BusError::Fatal(format!("there is no log in {} (bus.embedded.dir)", dir.display())));
    }
    crate::log::open_to_read(settings, Arc::new(SystemClock))
}
