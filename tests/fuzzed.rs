//! The fuzzing's checks without its engine: on every input that was worth keeping, and on random changes of the seeds.
//! `CASES` says how many of these each target gets, `SEED` where they begin.

mod support;

use std::panic::catch_unwind;
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use support::{asked, first_seed};
use targets::Target;

#[path = "fuzz/targets/mod.rs"]
mod targets;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/regressions");
const INPUT_BYTES_MAX: usize = 4096;
/// Changed inputs that are changed further.
const POOL_MAX: usize = 64;

fn check(target: &Target, input: &[u8], name: &str) {
    let passed = catch_unwind(|| (target.check)(input)).is_ok();
    assert!(passed, "{}: {name} fails: {}", target.name, input.escape_ascii());
}

fn check_target(target: &Target) {
    let kept = std::fs::read_dir(Path::new(KEPT).join(target.name)).into_iter().flatten().flatten();
    for path in kept.map(|entry| entry.path()) {
        check(target, &std::fs::read(&path).expect("kept inputs can be read"), &path.display().to_string());
    }
    let (seed, cases) = (first_seed(), asked("CASES", 2_000));
    let seeds = (target.seeds)();
    for (number, input) in seeds.iter().enumerate() {
        check(target, input, &format!("seed input {number}"));
    }
    let mut pool = seeds.clone();
    let mut rng = SmallRng::seed_from_u64(seed);
    for case in 0..cases {
        let from = if case % 2 == 0 { &seeds } else { &pool };
        let start = from.choose(&mut rng).expect("there are seeds");
        let input = targets::mutate::mutated(&mut rng, target, start, INPUT_BYTES_MAX);
        check(target, &input, &format!("case {case} of seed {seed}"));
        if pool.len() < seeds.len() + POOL_MAX {
            pool.push(input);
        } else {
            let place = seeds.len() + case as usize % POOL_MAX;
            pool[place] = input;
        }
    }
    println!("{}: seed {seed}, {} seed inputs, {cases} changed ones", target.name, seeds.len());
}

#[test]
fn any_post_is_screened() {
    check_target(&targets::screen::SCREEN);
}

#[test]
fn any_side_input_is_read_or_refused() {
    check_target(&targets::wire::INPUTS);
}

#[test]
fn any_internal_record_is_read_or_refused() {
    check_target(&targets::wire::INTERNAL);
}

#[test]
fn any_text_keeps_to_the_rules_of_texts() {
    check_target(&targets::text::TEXT);
}

#[test]
fn any_configuration_is_taken_or_refused_by_line() {
    check_target(&targets::config::CONFIG);
}
