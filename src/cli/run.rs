//! `run`: the stages until SIGTERM, or until the inputs of `--input` are consumed.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Misconfigured, Outcome};
use crate::app::{App, StageSet};
use crate::bus::kafka::check_properties;
use crate::bus::{Bus, BusError, TopicPartition, ends_of};
use crate::clock::SystemClock;
use crate::config::{BusKind, IdleBy, Settings};
use crate::domain::{SourceId, Span};
use crate::feed::{Feeder, Input, LOOK_EVERY};
use crate::log::Running;
use crate::pacing::Pacing;
use crate::pipeline::{all_sources, topics};
use crate::screen::DeadReason;
use crate::screen::setup::Topology;
use crate::screen::side::SIDE_INPUTS;
use crate::{http, telemetry};

#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: super::ConfigArg,
    /// Stages of this process
    #[arg(long, value_name = "screen,accounts,offers", value_parser = StageSet::parse)]
    stages: Option<StageSet>,
    /// JSON lines into an input topic (tweets if none is named), `-` for standard input; each file to its end before
    /// the next, then the program drains and ends
    #[arg(long, value_name = "[TOPIC=]FILE|-")]
    input: Vec<String>,
}

pub fn run(args: &RunArgs) -> Outcome {
    let settings = super::settings(args.config.config.as_deref())?;
    super::log_to_stderr(&settings);
    let inputs = inputs_of(args, &settings)?;
    let stages = args.stages.unwrap_or(StageSet::ALL);
    if !inputs.is_empty() && stages != StageSet::ALL {
        return Err(Misconfigured("--input runs all stages; leave --stages out".to_owned()).into());
    }
    let stopped = stop_flag()?;
    let clock = Arc::new(SystemClock);
    let Some(Running { log, .. }) = &open(&settings, clock.clone(), &stopped)? else { return Ok(ExitCode::SUCCESS) };
    let topology = topology(&**log, &settings, &inputs)?;
    let app = App::start(&settings, log.clone(), clock, topology, stages)?;
    let (server, endpoint) = serve(&settings, &app, !inputs.is_empty())?;
    tracing::info!(http = %server.addr(), bus = ?settings.bus.kind, "running");
    let outcome = if inputs.is_empty() { wait(&app, &stopped) } else { feed(&app, &settings, &inputs, &stopped) };
    // Whoever asks meanwhile hears that nothing is ready any more.
    let stopped = app.stop(settings.shutdown_timeout);
    server.stop();
    drop(endpoint);
    // What ended the run is told even where the stop has troubles of its own.
    if let (Err(_), Err(late)) = (&outcome, &stopped) {
        tracing::warn!("{late}");
    }
    outcome?;
    stopped?;
    Ok(ExitCode::SUCCESS)
}

/// The log to run on, as soon as no command reads it; `None` if the program was stopped before.
pub fn open(settings: &Settings, clock: Arc<SystemClock>, stopped: &AtomicBool) -> anyhow::Result<Option<Running>> {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let mut told = false;
    let again = || {
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(dir = %settings.bus.embedded.dir.display(), "waiting for a command that reads the folder");
        }
        std::thread::sleep(LOOK_EVERY);
        !stopped.load(Ordering::Acquire)
    };
    let refused = |error| match error {
        BusError::Taken(taken) => Misconfigured(taken).into(),
        other => anyhow::Error::from(other),
    };
    if settings.bus.kind == BusKind::Kafka {
        check_properties(&settings.bus.kafka_properties)?;
    }
    let claim = crate::log::claim(settings).map_err(refused)?;
    if claim.is_some() {
        http::forget_endpoint(&settings.bus.embedded.dir)?;
    }
    crate::log::open_to_run(settings, clock, claim, again).map_err(refused)
}

fn inputs_of(args: &RunArgs, settings: &Settings) -> anyhow::Result<Vec<Input>> {
    let posts = settings.sources.iter().map(|source| source.topic.as_str());
    let topics: Vec<&str> = posts.chain(SIDE_INPUTS).collect();
    let inputs: Result<Vec<Input>, String> = args.input.iter().map(|text| Input::parse(text, &topics)).collect();
    inputs.map_err(|why| Misconfigured(why).into())
}

/// Without inputs every partition of every post topic is a source on a cluster. With them, and on the embedded log,
/// which nobody writes to but who has it, only those that hold records, or will; of a topic that
/// is the only one at least one.
fn topology(log: &dyn Bus, settings: &Settings, inputs: &[Input]) -> anyhow::Result<Topology> {
    let is_posts = |topic: &str| settings.sources.iter().any(|source| source.topic == topic);
    let source = |topic: &str, partition| SourceId { topic: topic.to_owned(), partition };
    let mut sources = BTreeSet::new();
    if settings.bus.kind == BusKind::Kafka && inputs.is_empty() {
        sources.extend(all_sources(settings, log)?);
    } else {
        let mut reader = log.reader()?;
        for topic in settings.sources.iter().map(|source| source.topic.as_str()) {
            let held = ends_of(log, &mut *reader, topic)?.into_iter().filter(|(_, end)| *end > 0);
            sources.extend(held.map(|(at, _)| source(topic, at.partition)));
        }
        let named = inputs.iter().filter(|input| is_posts(&input.topic) && !input.is_empty());
        sources.extend(named.map(|input| source(&input.topic, 0)));
        // Of several topics none may be named before it has posts: a later run would not go on naming it, and nothing
        // would move it then.
        if let (true, true, [only]) = (inputs.is_empty(), sources.is_empty(), &settings.sources[..]) {
            sources.insert(source(&only.topic, 0));
        }
    }
    let live = inputs.is_empty() && settings.time.idle_after > Span::ZERO;
    Ok(Topology::new(sources.into_iter().collect(), live))
}

/// The server, and the file by which commands on this machine find it, where the folder is this program's.
fn serve(settings: &Settings, app: &App, feeding: bool) -> anyhow::Result<(http::Server, Option<http::EndpointFile>)> {
    let state = http_state(settings, app)?;
    let secret = state.secret.clone();
    // A batch job must not fail because another program has the port.
    let server = listen(settings, state, feeding)?;
    let file = match settings.bus.kind {
        BusKind::Embedded => Some(http::write_endpoint(&settings.bus.embedded.dir, server.addr(), &secret)?),
        BusKind::Kafka => None,
    };
    Ok((server, file))
}

/// The server, at `http.listen`, or if that is taken and `anywhere` will do, at any free port.
pub fn listen(settings: &Settings, state: http::HttpState, anywhere: bool) -> anyhow::Result<http::Server> {
    let mut listen = settings.http.listen;
    if anywhere && TcpListener::bind(listen).is_err() {
        tracing::warn!(%listen, "http.listen is taken; serving on a free port");
        listen.set_port(0);
    }
    let hint = |error: std::io::Error| match error.kind() {
        ErrorKind::AddrInUse => {
            // Behind the last port comes 0, which is any.
            let other = SocketAddr::new(listen.ip(), listen.port().wrapping_add(1));
            Misconfigured(format!("{error}; set http.listen (PAY_BY_TWEET__HTTP__LISTEN={other})"))
        }
        _ => Misconfigured(error.to_string()),
    };
    Ok(http::serve(listen, state).map_err(hint)?)
}

/// What a server of this program asks; nobody gets in without a key.
pub fn http_state(settings: &Settings, app: &App) -> anyhow::Result<http::HttpState> {
    let metrics = telemetry::install();
    let read = settings.sources.iter().map(|source| source.topic.as_str()).chain(SIDE_INPUTS);
    read.for_each(|topic| DeadReason::ALL.iter().for_each(|reason| telemetry::dead_letters(topic, reason.name(), 0)));
    Ok(http::HttpState {
        bus: app.bus.clone(),
        accounts: app.accounts.clone(),
        offers: app.offers.clone(),
        health: app.health(),
        clock: app.clock.clone(),
        accounts_partitions: app.bus.partitions("accounts.inbox")?,
        token: settings.read_token()?,
        secret: http::new_secret()?,
        open: false,
        metrics,
        topics: topics(settings),
        sources: settings.sources.iter().map(|source| source.topic.clone()).collect(),
        pressure: app.pressure.clone(),
        events: http::Events::default(),
        play: None,
    })
}

/// Until SIGTERM, SIGINT, or the first worker that fails.
fn wait(app: &App, stopped: &AtomicBool) -> anyhow::Result<()> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    while !stopped.load(Ordering::Acquire) {
        check(app, LOOK_EVERY)?;
    }
    Ok(())
}

/// Fails with the first worker that failed, or fails within `wait`.
fn check(app: &App, wait: Duration) -> anyhow::Result<()> {
    match app.failure(wait) {
        Some(failure) => bail!("{}: {}", failure.worker, failure.why),
        None => Ok(()),
    }
}

/// Feeds each input to its end, waits until it is screened, and at last until everything is consumed.
fn feed(app: &App, settings: &Settings, inputs: &[Input], stopped: &AtomicBool) -> anyhow::Result<()> {
    let bar = progress_bar(inputs);
    let mut before = 0;
    let pacing = Pacing::new(app.screen.clone(), settings.account.cancel_window);
    let mut feeder = Feeder::new(&*app.bus, pacing)?;
    let mut settle = || if until(app, stopped, || app.drained())? { app.stock().map(Some) } else { Ok(None) };
    for input in inputs {
        bar.set_message(input.topic.clone());
        feeder.feed(input, &mut settle, &mut |bytes| {
            bar.set_position(before + bytes);
            check(app, Duration::ZERO)?;
            Ok(!stopped.load(Ordering::Acquire))
        })?;
        before += input.bytes().unwrap_or_default();
        let at = TopicPartition::new(&input.topic, 0);
        let mut reader = app.bus.reader()?;
        let mut end = None;
        let mut screened = || {
            let end = match end {
                Some(end) => end,
                None => *end.insert(reader.end(&at)?),
            };
            app.screened(&at, end)
        };
        if !until(app, stopped, &mut screened)? {
            return Ok(());
        }
    }
    bar.set_message("draining");
    if !until(app, stopped, || app.drained())? {
        return Ok(());
    }
    if settings.time.idle_after > Span::ZERO && settings.time.idle == IdleBy::Clock {
        app.screen.topology.end();
        until(app, stopped, || Ok(app.screen.topology.has_moved()))?;
        until(app, stopped, || app.drained())?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Waits for a condition; false if the program was stopped meanwhile.
fn until(app: &App, stopped: &AtomicBool, mut done: impl FnMut() -> Result<bool, BusError>) -> anyhow::Result<bool> {
    loop {
        match done() {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // The workers wait for the log too.
            Err(BusError::Unavailable(why)) => tracing::warn!(why, "the log is away"),
            Err(other) => return Err(other.into()),
        }
        if stopped.load(Ordering::Acquire) {
            return Ok(false);
        }
        check(app, LOOK_EVERY)?;
    }
}

/// Drawn on a terminal only.
fn progress_bar(inputs: &[Input]) -> ProgressBar {
    let total: Option<u64> = inputs.iter().map(Input::bytes).sum();
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg:16} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    bar.with_style(style.expect("the template is a constant that indicatif reads"))
}

/// Set by SIGTERM or SIGINT, from now on.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            match signals {
                (Ok(mut term), Ok(mut interrupt)) => {
                    tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
                    tracing::info!("stopping");
                    set.store(true, Ordering::Release);
                }
                _ => tracing::warn!("signals can't be caught; the program ends when it is killed"),
            }
        });
    })?;
    Ok(flag)
}
