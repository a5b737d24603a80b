//! `demo`: the whole service with a simulated Twitter, to be played with on its page; with `--headless` a table at the
//! end, and whether all came as scripted.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::config::{PostFormat, Settings};
use crate::demo::{DemoOptions, Progress, Report};

#[derive(clap::Args, Clone, Debug)]
pub struct DemoArgs {
    #[command(flatten)]
    pub config: super::ConfigArg,
    /// Without the page: runs for a while, prints a table, and fails if any conversation came out otherwise than
    /// scripted
    #[arg(long)]
    pub headless: bool,
    /// Wall time for which people post; then virtual time runs until nothing is pending, and the table is printed.
    /// Unless given: 60s with --headless, else until SIGINT or SIGTERM
    #[arg(long = "for", value_name = "D", value_parser = duration)]
    pub wall: Option<Duration>,
    /// The same seed gives the same people and scripts
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Virtual seconds per wall second: 1 unless given, with --headless 60
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub speed: Option<u32>,
    /// Posts of people who buy nothing, per virtual second: 3 unless given, with --headless 10
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub posts: Option<u32>,
    /// People who come shopping, per virtual minute
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub shoppers: u32,
}

/// Wall time of a headless demo, unless told.
const WALL: Duration = Duration::from_secs(60);

/// Launches a headless demo and prints its table. Gives exit code 0 if every conversation came to what its script
/// demands, else 1; `launch` wires the program to [`crate::demo::run()`].
pub fn run(
    args: &DemoArgs,
    settings: &Settings,
    launch: impl FnOnce(&DemoOptions) -> anyhow::Result<Report>,
) -> anyhow::Result<ExitCode> {
    let options = options(args, settings)?;
    super::print(&format!("demo: seed {}, {} virtual seconds per second", options.seed, options.speed))?;
    let report = launch(&options)?;
    ended(&report)
}

/// Plays until SIGINT or SIGTERM, or for as long as `--for` says, and then ends as [`run()`] does; `launch` wires the
/// program to [`crate::demo::play()`].
pub fn play(
    args: &DemoArgs,
    settings: &Settings,
    launch: impl FnOnce(&DemoOptions) -> anyhow::Result<Option<Report>>,
) -> anyhow::Result<ExitCode> {
    launch(&options(args, settings)?)?.map_or(Ok(ExitCode::SUCCESS), |report| ended(&report))
}

/// Prints the table.
fn ended(report: &Report) -> super::Outcome {
    super::print(format!("\n{report}").trim_end())?;
    Ok(if report.is_as_scripted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells progress on standard error, if a person looks at it.
pub fn tell(progress: &Progress) {
    let mut err = std::io::stderr();
    if !err.is_terminal() {
        return;
    }
    let Progress { wall, tweets, shopping, payments, closing, .. } = progress;
    let phase = if *closing { "running out" } else { "streaming" };
    let seconds = wall.as_secs();
    // What can't be shown is not missed.
    let _ = write!(
        err,
        "\r{seconds:>4} s  {phase:<11}  {tweets:>9} tweets  {shopping:>5} shopping  {payments:>6} payments  "
    );
    let _ = err.flush();
}

fn options(args: &DemoArgs, settings: &Settings) -> anyhow::Result<DemoOptions> {
    let source = settings.sources.iter().find(|source| source.format == PostFormat::X);
    let source = source.context("the configuration has no source of format \"x\" for the demo to post into")?;
    let (speed, posts) = if args.headless { (60, 10) } else { (1, 3) };
    Ok(DemoOptions {
        wall: args.wall.or(args.headless.then_some(WALL)),
        seed: args.seed,
        speed: args.speed.unwrap_or(speed),
        posts_per_second: args.posts.unwrap_or(posts),
        shoppers_per_minute: args.shoppers,
        plays: !args.headless,
        topic: source.topic.clone(),
        network: source.network,
        service_handle: settings.service.handle.clone(),
        service_user: settings.service.user_id,
        freeze_tag: settings.service.freeze_tag.clone(),
        confirm_window: settings.account.confirm_window,
        reply_grace: settings.account.reply_grace,
        lateness_max: settings.time.lateness_max,
    })
}

/// Reads `500ms`, `60s`, `5m` or `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let ms_per_unit = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let ms = number.parse::<u64>().ok().zip(ms_per_unit).and_then(|(number, unit)| number.checked_mul(unit));
    ms.map(Duration::from_millis).ok_or_else(|| "a number and a unit of ms, s, m or h, such as 60s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "60", "s", "1.5s", "-1s", "1d", "99999999999999999999h", "9999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
