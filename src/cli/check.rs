//! `pay-by-tweet check`: reads the configuration and the offers, and says everything that is wrong with them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::bus::kafka::admin::Admin;
use crate::bus::kafka::check_properties;
use crate::bus::{Budget, Bus, BusError, Reader, TopicPartition};
use crate::config::{BusKind, ConfigErrors, Settings};
use crate::log::{ensure_topics, inputs, open_kafka};
use crate::pipeline::{Producer, topics};
use crate::screen::side::OFFERS;

/// The exit code of a bad configuration (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct CheckArgs {
    /// The configuration file [default: config/pay-by-tweet.toml if it exists]
    #[arg(long, value_name = "F")]
    pub config: Option<PathBuf>,
    /// Also asks the cluster: whether it is there, has the topics, and lets us read and write (nothing stays)
    #[arg(long)]
    pub online: bool,
}

/// The exit code of a bus that is not as it must be (`EX_UNAVAILABLE` of sysexits.h).
pub const EXIT_UNAVAILABLE: u8 = 69;

/// Runs the command with the process's environment and output.
pub fn run(args: &CheckArgs) -> super::Outcome {
    match check(args, super::environment(), &mut io::stdout(), &mut io::stderr()) {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(error) => super::reader_left(Err(error)).map(|_| ExitCode::SUCCESS),
    }
}

/// Checks, and writes one line on success or every mistake on failure. Gives the exit code: 0,
/// [`EXIT_CONFIG`], or [`EXIT_UNAVAILABLE`].
pub fn check(
    args: &CheckArgs,
    env: impl Iterator<Item = (String, String)>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    match checked(args.config.as_deref(), env) {
        Ok((settings, offers)) => {
            if let (BusKind::Kafka, Err(why)) = (settings.bus.kind, check_properties(&settings.bus.kafka_properties)) {
                writeln!(err, "{why}")?;
                return Ok(EXIT_CONFIG);
            }
            let file =
                settings.file.as_deref().map_or("the built-in defaults".into(), |path| path.display().to_string());
            let from = settings.offers_file.as_deref();
            let catalogue = from.map_or("the built-in catalogue".into(), |path| path.display().to_string());
            let noun = if offers == 1 { "offer" } else { "offers" };
            let online = match args.online.then(|| probe(&settings, offers)) {
                None => String::new(),
                Some(Ok(told)) => format!("; online: {told}"),
                Some(Err(why)) => {
                    writeln!(err, "online: {why}")?;
                    return Ok(EXIT_UNAVAILABLE);
                }
            };
            writeln!(out, "ok: {file} with {offers} {noun} of {catalogue}{online}")?;
            Ok(0)
        }
        Err(errors) => {
            writeln!(err, "{errors}")?;
            Ok(EXIT_CONFIG)
        }
    }
}

/// The settings and how many offers they name.
fn checked(
    config: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<(Settings, usize), ConfigErrors> {
    let settings = Settings::load(config, env)?;
    let mut errors = settings.read_token().err().unwrap_or_default();
    let offers = settings.load_offers().map_err(|found| errors.0.extend(found.0)).unwrap_or_default();
    errors.into_result((settings, offers.len()))
}

/// Brokers, topics, and the rights of a worker: to read its topics and its groups' positions, to write in transactions.
/// What it writes is aborted; nobody sees it.
fn probe(settings: &Settings, offers: usize) -> Result<String, BusError> {
    if settings.bus.kind == BusKind::Embedded {
        return Ok("the embedded bus has no server, nothing to probe".to_owned());
    }
    let kafka = open_kafka(settings)?;
    let brokers = Admin::new(&kafka)?.brokers()?;
    ensure_topics(&kafka, settings)?;
    let mut partitions = 0;
    let mut reader = kafka.reader()?;
    for (group, topics) in inputs(settings) {
        for topic in &topics {
            let all = kafka.all_of(topic)?;
            partitions += kafka.positions(&group, &all)?.len();
            ensure_readable(&mut *reader, &all)?;
        }
    }
    let inputs: Vec<String> = inputs(settings).swap_remove(0).1;
    // The offers of the file are written where the topic lacks them.
    let is_written = |topic: &String| !inputs.contains(topic) || (offers > 0 && topic == OFFERS);
    let written: Vec<String> = topics(settings).into_iter().filter(is_written).collect();
    for topic in written.iter().filter(|topic| topic.ends_with(".changelog")) {
        ensure_readable(&mut *reader, &kafka.all_of(topic)?)?;
    }
    Producer::new(&kafka, "check")?.try_out(&written)?;
    Ok(format!("{brokers} brokers, all topics, {partitions} partitions to read, {} topics to write", written.len()))
}

/// To be told an end takes the right to read.
fn ensure_readable(reader: &mut dyn Reader, all: &[TopicPartition]) -> Result<(), BusError> {
    let ends = reader.ends(all)?;
    if let (Some(first), Some(end)) = (all.first(), ends.first()) {
        reader.read(first, *end, Budget::BULK, &mut |_| {})?;
    }
    reader.rest();
    Ok(())
}
