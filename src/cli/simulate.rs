//! `simulate`: the program against a faulty log and talkative people, seed by seed.

use std::io::IsTerminal;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::clock::Stopwatch;
use crate::config::Settings;
use crate::simulation::campaign::{Campaign, Failure, Mix, Summary, replay_line, run_caught};
use crate::simulation::counts::Count;
use crate::simulation::kills::{Hunt, Mistake};
use crate::simulation::plan::{Kind, Kinds};
use crate::simulation::shrink::shrink;
use crate::simulation::{Outcome, Plan};

#[derive(clap::Args, Clone, Debug)]
pub struct SimulateArgs {
    /// How many seeds to run
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub seeds: u64,
    /// The first of them
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub from: u64,
    /// Seeds run at the same time [default: one per core]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Run this seed alone
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "from", "jobs"])]
    pub seed: Option<u64>,
    /// Print a line for every action of the seed
    #[arg(long, requires = "seed")]
    pub trace: bool,
    /// Look for a smaller history that breaks the same invariant, and print it
    #[arg(long)]
    pub shrink: bool,
    /// Leave kinds of trouble out: crash, pause, rebalance, scale, broker, compact, clock, append-clock, network
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = Kind::of_name)]
    pub without: Vec<Kind>,
    /// Plant a bug, to see whether it is found
    #[cfg(feature = "planted")]
    #[arg(long, value_name = "NAME", value_parser = bug)]
    pub bug: Option<crate::planted::Bug>,
    /// Make each mistake that this build can make, and print how many seeds it takes until it is noticed
    #[arg(long, value_name = "TRIALS", num_args = 0..=1, default_missing_value = "5", conflicts_with = "seed")]
    pub kills: Option<u64>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// The summary of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    seeds: u64,
    seconds: f64,
    counts: Vec<Count>,
    failures: Vec<Failed<'a>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    seed: u64,
    invariant: &'a str,
    what: &'a str,
    replay: String,
}

/// Exit code 0 if every seed held, else 1.
pub fn run(args: &SimulateArgs) -> super::Outcome {
    // Nothing of the machine decides anything here: not its files, not its environment.
    let base = Settings::of_text(None, std::iter::empty())?;
    match (args.seed, args.kills) {
        (Some(seed), _) => run_one(args, seed, &base),
        (None, Some(trials)) => run_kills(args, trials, &base),
        (None, None) => run_many(args, &base),
    }
}

/// Exit code 0 if every mistake was noticed.
fn run_kills(args: &SimulateArgs, trials: u64, base: &Settings) -> super::Outcome {
    let mistakes = Mistake::all();
    let hunt = Hunt { from: args.from, trials, seeds_max: args.seeds, jobs: args.jobs.unwrap_or_else(cores) };
    let bar = progress(mistakes.len() as u64);
    let kills = hunt.run(&mistakes, base, &mut |_| bar.inc(1));
    bar.finish_and_clear();
    super::print("| mistake | seeds, median | each | broken |\n|---|---|---|---|")?;
    for kill in &kills {
        let count = |seeds: Option<u64>| seeds.map_or_else(|| format!("> {}", args.seeds), |n| n.to_string());
        let each: Vec<String> = kill.seeds.iter().copied().map(count).collect();
        let invariants: Vec<&str> = kill.invariants.iter().map(String::as_str).collect();
        let (name, median) = (kill.mistake.name(), count(kill.median()));
        super::print(&format!("| {name} | {median} | {} | {} |", each.join(", "), invariants.join(", ")))?;
    }
    let survivors = kills.iter().filter(|kill| kill.median().is_none()).count();
    super::print(&format!("{} mistakes, {survivors} not noticed", kills.len()))?;
    Ok(if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn run_one(args: &SimulateArgs, seed: u64, base: &Settings) -> super::Outcome {
    let plan = mix(args).plan(seed, base);
    let stopwatch = Stopwatch::start();
    let outcome = run_caught(&plan, args.trace && !args.shrink);
    let seconds = stopwatch.seconds();
    outcome.trace.iter().try_for_each(|trace| super::print(trace.trim_end()))?;
    if args.shrink && !outcome.broken.is_empty() {
        print_shrunk(&plan)?;
    }
    let summary = summary_of(&outcome);
    tell(args, &summary, seconds)?;
    super::print(&format!("fingerprint {:016x}, {} turns", outcome.fingerprint, outcome.turns))?;
    Ok(exit_code(&summary))
}

fn run_many(args: &SimulateArgs, base: &Settings) -> super::Outcome {
    let campaign =
        Campaign { from: args.from, seeds: args.seeds, jobs: args.jobs.unwrap_or_else(cores), mix: mix(args) };
    let bar = progress(args.seeds);
    let stopwatch = Stopwatch::start();
    let summary = campaign.run(base, &mut |_, outcome| {
        if let Some(broken) = outcome.broken.first() {
            bar.suspend(|| eprintln!("seed {} broke {}: {}", outcome.seed, broken.invariant, broken.what));
        }
        bar.inc(1);
    });
    bar.finish_and_clear();
    tell(args, &summary, stopwatch.seconds())?;
    if let (true, Some(failure)) = (args.shrink, summary.failures.first()) {
        print_shrunk(&mix(args).plan(failure.seed, base))?;
    }
    Ok(exit_code(&summary))
}

fn mix(args: &SimulateArgs) -> Mix {
    let kinds = args.without.iter().fold(Kinds::ALL, |kinds, kind| kinds.without(*kind));
    #[cfg(feature = "planted")]
    let bug = args.bug;
    #[cfg(not(feature = "planted"))]
    let bug = None;
    Mix { kinds, bug, ..Mix::ALL }
}

fn progress(seeds: u64) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds  {per_sec}  {eta} left");
    let bar = ProgressBar::with_draw_target(Some(seeds), target);
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}

fn print_shrunk(plan: &Plan) -> anyhow::Result<()> {
    let Some(shrunk) = shrink(plan, &mut |step| eprintln!("{step}")) else { return Ok(()) };
    let again = run_caught(&shrunk.plan, true);
    again.trace.iter().try_for_each(|trace| super::print(trace.trim_end()))?;
    let plan = &shrunk.plan;
    super::print(&format!(
        "smallest history after {} runs: {} turns of trouble, kinds {:?}, accounts {:?}",
        shrunk.runs,
        plan.turns_max,
        plan.kinds.names(),
        plan.people.keep
    ))
}

fn summary_of(outcome: &Outcome) -> Summary {
    let failures = outcome.broken.iter().map(|broken| Failure { seed: outcome.seed, broken: broken.clone() });
    Summary { seeds: 1, counts: outcome.counts.clone(), failures: failures.collect() }
}

fn tell(args: &SimulateArgs, summary: &Summary, seconds: f64) -> anyhow::Result<()> {
    if args.json {
        let failures = summary.failures.iter().map(|failure| Failed {
            seed: failure.seed,
            invariant: &failure.broken.invariant,
            what: &failure.broken.what,
            replay: replay_line(failure.seed),
        });
        let report =
            Report { seeds: summary.seeds, seconds, counts: summary.counts.rows(), failures: failures.collect() };
        return super::print(&serde_json::to_string_pretty(&report)?);
    }
    for Failure { seed, broken } in &summary.failures {
        super::print(&format!("seed {seed} broke {}: {}\n  {}", broken.invariant, broken.what, replay_line(*seed)))?;
    }
    let per_second = summary.seeds as f64 / seconds.max(f64::MIN_POSITIVE);
    super::print(&format!("{} seeds in {seconds:.1} s ({per_second:.1} a second)", summary.seeds))?;
    for Count { name, total } in summary.counts.rows() {
        super::print(&format!("{name:>16} {total}"))?;
    }
    super::print(&format!("{} seeds failed", summary.failures.len()))
}

#[cfg(feature = "planted")]
fn bug(name: &str) -> Result<crate::planted::Bug, String> {
    crate::planted::Bug::of_name(name).ok_or_else(|| "no bug has this name".to_owned())
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
