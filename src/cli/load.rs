//! `load`: the service under a synthetic firehose, a table and JSON of how it went, and the truth beside it.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::demo::duration;
use super::{Misconfigured, Outcome};
use crate::app::{App, StageSet};
use crate::bus::Bus;
use crate::clock::{Clock, SystemClock};
use crate::config::{BusKind, Settings};
use crate::domain::Span;
use crate::load::{self, Backlog, Bounds, Finished, Moment, Options, Phase, Program, Progress, Shape, may_load};
use crate::log::Running;
use crate::pipeline::all_sources;
use crate::screen::setup::Topology;

#[derive(clap::Args, Clone, Debug)]
pub struct LoadArgs {
    #[command(flatten)]
    config: super::ConfigArg,
    /// Posts per second, on average
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: u32,
    /// How long; then the load waits until everything that must come has come
    #[arg(long, value_name = "D", value_parser = duration)]
    duration: Duration,
    /// The same seed gives the same people and noise; ids and times are those of the run
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How the rate changes over the duration
    #[arg(long, value_name = "steady|spike|diurnal", default_value = "steady", value_parser = Shape::parse)]
    shape: Shape,
    /// Share of posts by people who come shopping
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = share)]
    relevant: f64,
    /// Where a post goes: all of a user's to one partition, or each to any
    #[arg(long, value_name = "user|spread", default_value = "spread", value_parser = spread)]
    partitions_by: Spread,
    /// Appends 30 s of posts before the program starts; uneven: most of them in one partition
    #[arg(long, value_name = "even|uneven", value_parser = backlog)]
    backlog: Option<Backlog>,
    /// Finds the highest rate that holds, from --rate upwards, and holds it for the duration
    #[arg(long, conflicts_with_all = ["backlog", "shape"])]
    max: bool,
    /// With --max: a rate holds while the 99th percentile from tweet to prompt is at most this
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    p99: Duration,
    /// Shortens account.confirm_window to this, and account.reply_grace and time.lateness_max to a fifth of it, so that
    /// late confirms and expiries come within the load
    #[arg(long, value_name = "D", value_parser = duration)]
    window: Option<Duration>,
    /// Writes what must come out, one JSON line a conversation
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Writes the result as JSON, with backlog and latencies of every second
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Generates the load and sends it nowhere: what the generator costs
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug)]
struct Spread(bool);

/// The program under load.
struct Launched {
    app: App,
    stopped: Arc<AtomicBool>,
}

pub fn run(args: &LoadArgs) -> Outcome {
    let mut settings = super::settings(args.config.config.as_deref())?;
    super::log_to_stderr(&settings);
    if let Some(window) = args.window {
        shorten(&mut settings, window);
    }
    let options = options(args, &settings)?;
    if args.dry_run {
        return dry_run(&options, settings.topics.partitions);
    }
    let truth_file = args.truth.as_deref().map(Unfinished::create).transpose()?;
    let json_file = args.json.as_deref().map(Unfinished::create).transpose()?;
    let stopped = super::run::stop_flag()?;
    let clock = Arc::new(SystemClock);
    let Some(Running { log, .. }) = &super::run::open(&settings, clock.clone(), &stopped)? else {
        return Ok(ExitCode::FAILURE);
    };
    if !may_load(&**log, &options.topic)? {
        let elsewhere = match settings.bus.kind {
            BusKind::Embedded => "another bus.embedded.dir",
            BusKind::Kafka => "another topics.prefix",
        };
        return Err(Misconfigured(format!("the log holds posts that no load made; name {elsewhere}")).into());
    }
    let bar = bar();
    let start = || launch(&settings, log.clone(), clock.clone(), stopped);
    let finished = load::run(&**log, &*clock, &options, start, &mut |progress| tell(&bar, progress));
    bar.finish_and_clear();
    let Finished { report, truth, program } = finished?;
    // Whatever has troubles now, the rest of what the load was for is told all the same.
    let truth = truth_file.map_or(Ok(()), |file| file.write(|out| truth.write(options.network, out)));
    let json = json_file.map_or(Ok(()), |file| file.write(|out| Ok(serde_json::to_writer_pretty(out, &report)?)));
    let printed = super::print(report.to_string().trim_end());
    program.app.stop(settings.shutdown_timeout)?;
    truth.and(json).and(printed)?;
    Ok(if report.is_as_expected() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(args: &LoadArgs, settings: &Settings) -> anyhow::Result<Options> {
    let options = Options::of(settings, f64::from(args.rate), args.duration);
    let options = options.context("the configuration has no source of format \"x\" for the load to post into")?;
    if args.backlog == Some(Backlog::Uneven) && !args.partitions_by.0 {
        let why = "--backlog uneven needs --partitions-by spread: a user's posts stay in the partition of their key";
        return Err(Misconfigured(why.to_owned()).into());
    }
    Ok(Options {
        seed: args.seed,
        shape: args.shape,
        relevant: args.relevant,
        spread: args.partitions_by.0,
        backlog: args.backlog,
        highest: args.max.then_some(Bounds { p99: args.p99 }),
        ..options
    })
}

fn shorten(settings: &mut Settings, window: Duration) {
    let window = Span(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
    let fifth = Span(window.0 / 5);
    settings.account.confirm_window = window;
    settings.account.reply_grace = settings.account.reply_grace.min(fifth);
    settings.time.lateness_max = settings.time.lateness_max.min(fifth);
}

fn launch(
    settings: &Settings,
    log: Arc<dyn Bus>,
    clock: Arc<SystemClock>,
    stopped: Arc<AtomicBool>,
) -> anyhow::Result<Launched> {
    let sources = all_sources(settings, &*log)?;
    let live = settings.time.idle_after > Span::ZERO;
    let app = App::start(settings, log, clock, Topology::new(sources, live), StageSet::ALL)?;
    Ok(Launched { app, stopped })
}

impl Program for Launched {
    fn failure(&self) -> Option<String> {
        self.app.failure(Duration::ZERO).map(|failure| format!("{}: {}", failure.worker, failure.why))
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

fn dry_run(options: &Options, partitions: u32) -> Outcome {
    let now = Moment(SystemClock.now().0 * 1000);
    let run = load::dry_run(options, partitions, now, &mut |_| {});
    let (posts, bytes, seconds) = (run.counts.posts, run.counts.bytes, run.cpu_seconds.max(0.01));
    super::print(&format!(
        "{posts} posts, {bytes} bytes, {} by shoppers, {} deletions\n{:.2} CPU seconds: {:.0} posts, {:.0} MB a CPU second",
        run.counts.relevant,
        run.counts.deletions,
        run.cpu_seconds,
        posts as f64 / seconds,
        bytes as f64 / 1e6 / seconds,
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A file that is written by way of another one, so that nobody reads half of it; made before a long load, so that one
/// that can't be is told at once.
struct Unfinished<'a> {
    path: &'a Path,
    beside: PathBuf,
    file: File,
}

impl Unfinished<'_> {
    fn create(path: &Path) -> anyhow::Result<Unfinished<'_>> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".unfinished");
        let refused = |why: &dyn Display| Misconfigured(format!("{}: {why}", path.display()));
        if path.is_dir() {
            return Err(refused(&"it is a folder; name a file").into());
        }
        let file = File::create(&beside).map_err(|error| refused(&error))?;
        Ok(Unfinished { path, beside: beside.into(), file })
    }

    fn write(&self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> anyhow::Result<()> {
        let all = || {
            let mut out = BufWriter::new(&self.file);
            write(&mut out)?;
            out.into_inner()?.sync_all()?;
            std::fs::rename(&self.beside, self.path)
        };
        all().with_context(|| self.path.display().to_string())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Once it is finished it has another name.
        let _ = std::fs::remove_file(&self.beside);
    }
}

/// Drawn on a terminal only.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix:10} {wide_bar} {msg}");
    bar.with_style(style.expect("the template is a constant that indicatif reads"))
}

fn tell(bar: &ProgressBar, progress: &Progress) {
    let Progress { phase, length, elapsed, rate, posts, last } = progress;
    bar.set_prefix(match phase {
        Phase::Preparing => "preparing",
        Phase::Searching => "searching",
        Phase::Loading => "loading",
        Phase::Draining => "draining",
    });
    bar.set_length(u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1));
    bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    bar.set_message(format!(
        "{rate:.0}/s  {} posts  backlog {}  prompt p99 {:.0} ms",
        HumanCount(*posts),
        HumanCount(last.backlog),
        last.prompt_ms_p99
    ));
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share from 0 to 1, such as 0.01".to_owned())
}

fn spread(text: &str) -> Result<Spread, String> {
    match text {
        "user" => Ok(Spread(false)),
        "spread" => Ok(Spread(true)),
        other => Err(format!("\"{other}\" is no way; there are user, spread")),
    }
}

fn backlog(text: &str) -> Result<Backlog, String> {
    match text {
        "even" => Ok(Backlog::Even),
        "uneven" => Ok(Backlog::Uneven),
        other => Err(format!("\"{other}\" is no backlog; there are even, uneven")),
    }
}
