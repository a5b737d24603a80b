//! The simulator's seeds: those that once failed, a budget of fresh ones, and that a seed is the same run every time.
//!
//! `SIMULATION_FROM` names the first fresh seed, else the day does; `SIMULATION_SEEDS` says how many.

use std::time::{SystemTime, UNIX_EPOCH};

use pay_by_tweet::bus::sim::{Cheat, Faults};
use pay_by_tweet::config::Settings;
use pay_by_tweet::simulation::Plan;
use pay_by_tweet::simulation::campaign::{Campaign, Mix, Summary, replay_line, run_caught};

/// Fresh seeds of a test run.
const FRESH_SEEDS: u64 = 24;

/// Seeds within which each broken promise must be noticed.
const CHEATING_SEEDS: u64 = 100;

/// Seeds that are run twice, line by line.
const DETERMINISTIC_SEEDS: u64 = 3;

#[test]
fn seeds_that_once_failed_hold() {
    let base = base();
    for line in include_str!("simulation/seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let (seed, why) = line.split_once(' ').unwrap_or((line, ""));
        let seed: u64 = seed.parse().unwrap_or_else(|_| panic!("not a seed: {line:?}"));
        let outcome = run_caught(&Plan::draw(seed, &base), false);
        assert!(outcome.broken.is_empty(), "seed {seed} ({why}) fails again: {:#?}", outcome.broken);
    }
}

#[test]
fn fresh_seeds_hold() {
    let (from, seeds) = (number("SIMULATION_FROM").unwrap_or_else(today), number("SIMULATION_SEEDS"));
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let campaign = Campaign { from, seeds: seeds.unwrap_or(FRESH_SEEDS), jobs, mix: Mix::ALL };
    println!("seeds from {from}: {}", campaign.seeds);
    let summary = campaign.run(&base(), &mut |_, _| {});
    let told: Vec<String> = summary
        .failures
        .iter()
        .map(|failure| format!("{}: {}: {}", replay_line(failure.seed), failure.broken.invariant, failure.broken.what))
        .collect();
    assert!(told.is_empty(), "{} of {} seeds failed:\n{}", told.len(), summary.seeds, told.join("\n"));
    reaches_what_it_is_for(&summary);
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    let (base, from) = (base(), number("SIMULATION_FROM").unwrap_or_else(today));
    for seed in from..from + DETERMINISTIC_SEEDS {
        let plan = Plan::draw(seed, &base);
        let (one, two) = (run_caught(&plan, true), run_caught(&plan, true));
        let (one_lines, two_lines) = (one.trace.unwrap_or_default(), two.trace.unwrap_or_default());
        let differs = one_lines.lines().zip(two_lines.lines()).find(|(one, two)| one != two);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!((one.fingerprint, one_lines.len()), (two.fingerprint, two_lines.len()), "seed {seed}");
        assert_eq!(run_caught(&plan, false).fingerprint, one.fingerprint, "lines change nothing, seed {seed}");
    }
}

/// A log that breaks a promise is noticed, whichever it is.
#[test]
fn every_broken_promise_of_the_log_is_noticed() {
    let base = base();
    // Much of what a promise protects from is rare: it is looked for in rough weather.
    let network = Faults {
        aborted: 30,
        fenced: 50,
        request_lost: 50,
        delayed_end: 100,
        late_markers: 300,
        early_sends: 300,
        lagging_position: 50,
        ..Faults::default()
    };
    let notices = |cheat: Cheat| {
        let mix = Mix { cheat: Some(cheat), ..Mix::ALL };
        let noticed = (0..CHEATING_SEEDS).find(|seed| {
            let mut plan = mix.plan(*seed, &base);
            plan.spells.iter_mut().for_each(|spell| spell.network = network);
            !run_caught(&plan, false).broken.is_empty()
        });
        println!("{cheat:?} is noticed by seed {noticed:?}");
        noticed.is_some()
    };
    let unnoticed: Vec<Cheat> = Cheat::ALL.into_iter().filter(|cheat| !notices(*cheat)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} was not noticed in {CHEATING_SEEDS} seeds");
}

/// A campaign in which something never happens proves nothing about it.
fn reaches_what_it_is_for(summary: &Summary) {
    let per_seed = |total: u64| total / summary.seeds.max(1);
    let never: Vec<&str> = summary
        .counts
        .rows()
        .iter()
        .filter(|count| count.total == 0 && count.name != "deaths")
        .map(|c| c.name)
        .collect();
    assert!(never.is_empty(), "never happened in {} seeds: {never:?}", summary.seeds);
    assert!(per_seed(summary.counts.orders) >= 500, "{} orders in {} seeds", summary.counts.orders, summary.seeds);
}

fn base() -> Settings {
    Settings::of_text(None, std::iter::empty()).expect("the shipped configuration is sound")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

/// A seed that changes every day: its number since 1970, with room for each day's seeds.
fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    since / 86_400 * 1_000_000
}
