//! `tap TOPIC [--follow]`: a topic's committed records as JSON lines, from the folder itself or, while a program runs
//! on it, through that program.

use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use super::Outcome;
use crate::bus::embedded::FILE_NAME;
use crate::bus::{Budget, Bus, BusError, TopicPartition};
use crate::clock::SystemClock;
use crate::config::{BusKind, Settings};
use crate::http::{client_get, read_endpoint, tap_line};
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

/// How often `--follow` looks for new records.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub fn run(args: &TapArgs) -> Outcome {
    let settings = super::settings(args.config.config.as_deref())?;
    let known = topics(&settings);
    let bare = args.topic.strip_prefix(settings.topics.prefix.as_str()).unwrap_or(&args.topic);
    // A prefix may be how some topic begins.
    let Some(topic) = known.iter().find(|topic| **topic == args.topic).or(known.iter().find(|topic| *topic == bare))
    else {
        bail!("there is no topic \"{}\"; there are {}", args.topic, known.join(", "));
    };
    let topic = topic.clone();
    let mut places = vec![0u64; settings.topics.partitions as usize];
    loop {
        let piped = print_new(&settings, &topic, &mut places)?;
        if !args.follow || !piped {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Prints what lies past `places` and moves them. False when nobody reads the output any more.
fn print_new(settings: &Settings, topic: &str, places: &mut [u64]) -> anyhow::Result<bool> {
    match open_log(settings) {
        Ok(log) => print_log(&*log, topic, places),
        Err(BusError::Taken(taken)) => match read_endpoint(&settings.bus.embedded.dir)? {
            Some(endpoint) => print_remote(&endpoint, topic, places),
            None => Err(super::Misconfigured(taken).into()),
        },
        Err(other) => Err(other.into()),
    }
}

/// The log of a cluster, or of a folder that nobody holds.
pub fn open_log(settings: &Settings) -> Result<Arc<dyn Bus>, BusError> {
    let dir = &settings.bus.embedded.dir;
    if settings.bus.kind == BusKind::Embedded && !dir.join(FILE_NAME).exists() {
        return Err(BusError::Fatal(format!("there is no log in {} (bus.embedded.dir)", dir.display())));
    }
    crate::log::open(settings, Arc::new(SystemClock))
}

fn print_log(log: &dyn Bus, topic: &str, places: &mut [u64]) -> anyhow::Result<bool> {
    let mut reader = log.reader()?;
    let mut out = std::io::stdout().lock();
    for (partition, place) in (0..).zip(places.iter_mut()) {
        let at = TopicPartition::new(topic, partition);
        let end = reader.end(&at)?;
        *place = (*place).max(reader.beginning(&at)?);
        while *place < end {
            let mut lines = String::new();
            *place = reader.read(&at, *place, Budget::BULK, &mut |record| {
                lines += &tap_line(partition, record.offset, record.key, record.value, &record.headers.read());
                lines.push('\n');
            })?;
            if out.write_all(lines.as_bytes()).is_err() {
                return Ok(false);
            }
        }
    }
    Ok(out.flush().is_ok())
}

fn print_remote(endpoint: &crate::http::Endpoint, topic: &str, places: &mut [u64]) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    for (partition, place) in places.iter_mut().enumerate() {
        let path = format!("/v1/tap/{topic}?partition={partition}&from={place}");
        for line in BufReader::new(client_get(endpoint, &path)?).lines() {
            let line = line?;
            let record: serde_json::Value = serde_json::from_str(&line)?;
            let Some(offset) = record["offset"].as_u64() else { bail!("the running program answered: {line}") };
            *place = offset + 1;
            if writeln!(out, "{line}").is_err() {
                return Ok(false);
            }
        }
    }
    Ok(out.flush().is_ok())
}
