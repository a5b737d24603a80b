//! The commands, one file each.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bus::BusError;
use crate::config::{ConfigErrors, LogFormat, Settings};

pub mod account;
pub mod audit;
pub mod check;
pub mod demo;
pub mod folder;
pub mod launch;
pub mod load;
pub mod run;
pub mod schema;
pub mod simulate;
pub mod tap;
pub mod topics;

pub use check::{EXIT_CONFIG, EXIT_UNAVAILABLE};

#[derive(Parser)]
#[command(name = "pay-by-tweet", version, about = "Buying by tweet: tweets in, payments and orders out, exactly once")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the stages, or feed files and end when all is consumed
    Run(run::RunArgs),
    /// The whole service with a simulated Twitter on virtual time
    Demo(demo::DemoArgs),
    /// A synthetic firehose into the log, with latencies from tweet to payment and a check of what came out
    Load(load::LoadArgs),
    /// Make or describe the topics of a Kafka cluster
    Topics(topics::TopicsArgs),
    /// Print a topic's records, one JSON line each
    Tap(tap::TapArgs),
    /// Print what is remembered of an account
    Account(account::AccountArgs),
    /// Print the offers with their stock and funnel
    Offers(account::OffersArgs),
    /// Run the program against a faulty log and talkative people, seed by seed
    Simulate(simulate::SimulateArgs),
    /// Judge a run by its committed topics: exit 0 if it is clean, 1 with what is wrong
    Audit(audit::AuditArgs),
    /// Check the configuration and the offers
    Check(check::CheckArgs),
    /// Print the JSON Schemas of the topics
    Schema(schema::SchemaArgs),
}

/// What a command ends with: its exit code, or an error to be told.
pub type Outcome = anyhow::Result<ExitCode>;

/// An error that ends with [`EXIT_CONFIG`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(pub String);

/// An error that ends with [`EXIT_UNAVAILABLE`]: where 1 is a verdict, what came to none must end otherwise.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Unjudged(pub anyhow::Error);

impl Cli {
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Run(args) => run::run(&args),
            Command::Demo(args) => launch::run(&args),
            Command::Load(args) => load::run(&args),
            Command::Tap(args) => tap::run(&args),
            Command::Topics(args) => topics::run(&args),
            Command::Account(args) => account::account(&args),
            Command::Offers(args) => account::offers(&args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Audit(args) => audit::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Schema(args) => schema::run(&args),
        };
        outcome.unwrap_or_else(|error| {
            eprintln!("pay-by-tweet: {error:#}");
            ExitCode::from(exit_code(&error))
        })
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let by_bus = matches!(error.downcast_ref(), Some(BusError::Misconfigured(_)));
    match error.downcast_ref() {
        Some(Unjudged(why)) => exit_code(why).max(EXIT_UNAVAILABLE),
        None if error.is::<folder::Unanswered>() => EXIT_UNAVAILABLE,
        None if by_bus || error.is::<Misconfigured>() || error.is::<ConfigErrors>() => EXIT_CONFIG,
        None => 1,
    }
}

/// Loads the settings of `--config`, the environment included.
pub fn settings(config: Option<&Path>) -> anyhow::Result<Settings> {
    Ok(Settings::load(config, environment())?)
}

/// The environment. A variable that is not UTF-8 can't be one of ours with a good value: its lossy text is refused with
/// its name, and somebody else's is passed over.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// Prints a text. A reader that has left (`| head`) is no failure; a disk that is full is.
pub fn print(text: &str) -> anyhow::Result<()> {
    reader_left(writeln!(std::io::stdout().lock(), "{text}")).map(|_| ())
}

/// Whether a write to standard output found nobody there any more; other failures are failures.
pub fn reader_left(written: std::io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(true),
        Err(error) => Err(anyhow::Error::from(error).context("standard output")),
    }
}

/// Logs to standard error, as `log.*` says; the first call counts.
pub fn log_to_stderr(settings: &Settings) {
    // The HTTP server's own start and stop are no news.
    let level = tracing_subscriber::EnvFilter::new(format!("{},actix_server=warn", settings.log.level));
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(level);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    let _ = match settings.log.format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Pretty => log.try_init(),
    };
}

/// `--config F`, which every command takes.
#[derive(clap::Args, Clone, Debug)]
pub struct ConfigArg {
    /// Configuration file [default: config/pay-by-tweet.toml if it exists, else the built-in one]
    #[arg(long, value_name = "F", global = true)]
    pub config: Option<PathBuf>,
}
