//! Many seeds, one at a time on each core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, mpsc};
use std::thread;

use super::checks::Broken;
use super::counts::Counts;
use super::plan::{Kinds, Plan};
use super::world::{Outcome, run};
use crate::bus::sim::Cheat;
use crate::config::Settings;
use crate::planted::Bug;

/// Which seeds to run, and on how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    pub from: u64,
    pub seeds: u64,
    pub jobs: usize,
    /// What all plans of the campaign have in common.
    pub mix: Mix,
}

/// What is chosen for a whole campaign.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Kinds of trouble that may occur.
    pub kinds: Kinds,
    pub cheat: Option<Cheat>,
    pub bug: Option<Bug>,
}

/// What a campaign came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub seeds: u64,
    /// Of all seeds that ended without a panic.
    pub counts: Counts,
    /// Seeds that failed, with the first thing that was broken, in order.
    pub failures: Vec<Failure>,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub seed: u64,
    pub broken: Broken,
}

/// The invariant that a panic of the program breaks: it asserts them itself.
pub const PANIC: &str = "panic";

impl Campaign {
    /// Runs all seeds; tells of each as it ends, on the calling thread.
    pub fn run(&self, base: &Settings, tell: &mut dyn FnMut(u64, &Outcome)) -> Summary {
        let next = AtomicU64::new(0);
        let (send, outcomes) = mpsc::channel();
        let mut summary = Summary::default();
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let done = next.fetch_add(1, Ordering::Relaxed);
                        if done >= self.seeds {
                            return;
                        }
                        let plan = self.mix.plan(self.from + done, base);
                        let outcome = run_caught(&plan, false);
                        // Nobody listens any more only if the campaign is being given up.
                        let _ = send.send(outcome);
                    }
                });
            }
            drop(send);
            for outcome in outcomes {
                summary.add(&outcome);
                tell(summary.seeds, &outcome);
            }
        });
        summary.failures.sort_by_key(|failure| failure.seed);
        summary
    }
}

impl Mix {
    /// Everything may go wrong, and nothing cheats.
    pub const ALL: Mix = Mix { kinds: Kinds::ALL, cheat: None, bug: None };

    pub fn plan(&self, seed: u64, base: &Settings) -> Plan {
        Plan { kinds: self.kinds, cheat: self.cheat, bug: self.bug, ..Plan::draw(seed, base) }
    }
}

impl Summary {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.counts.add(&outcome.counts);
        if let Some(broken) = outcome.broken.first() {
            self.failures.push(Failure { seed: outcome.seed, broken: broken.clone() });
        }
    }
}

/// Runs a plan; a panic of the program is a check that failed, with its message. Where panics abort (the release
/// profile), the seed is told before the process ends.
pub fn run_caught(plan: &Plan, with_lines: bool) -> Outcome {
    install_hook();
    last_panic::begin(plan.seed);
    #[cfg(feature = "planted")]
    crate::planted::set(plan.bug);
    let outcome = catch_unwind(AssertUnwindSafe(|| run(plan, with_lines)));
    let message = last_panic::end();
    outcome.unwrap_or_else(|_| Outcome {
        seed: plan.seed,
        fingerprint: 0,
        broken: vec![Broken::new(PANIC, message)],
        counts: Counts::default(),
        turns: 0,
        troubled_turns: 0,
        accounts: Vec::new(),
        trace: None,
    })
}

/// The line that runs a seed again.
pub fn replay_line(seed: u64) -> String {
    format!("pay-by-tweet simulate --seed {seed} --trace")
}

/// Panics on threads that run a seed are kept for its outcome; others are told as ever.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match last_panic::seed() {
            Some(_) if cfg!(panic = "unwind") => last_panic::keep(info.to_string()),
            Some(seed) => {
                eprintln!("seed {seed} panicked; to run it again: {}", replay_line(seed));
                told(info);
            }
            None => told(info),
        }));
    });
}

/// The seed that this thread runs, and what its panic said.
mod last_panic {
    use std::cell::RefCell;

    thread_local! {
        static RUNNING: RefCell<Option<(u64, String)>> = const { RefCell::new(None) };
    }

    pub fn begin(seed: u64) {
        RUNNING.set(Some((seed, String::new())));
    }

    pub fn seed() -> Option<u64> {
        RUNNING.with_borrow(|running| running.as_ref().map(|(seed, _)| *seed))
    }

    pub fn keep(message: String) {
        RUNNING.with_borrow_mut(|running| running.iter_mut().for_each(|(_, kept)| kept.clone_from(&message)));
    }

    pub fn end() -> String {
        RUNNING.take().map(|(_, message)| message).unwrap_or_default()
    }
}
