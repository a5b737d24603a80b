//! How many seeds it takes until a mistake is noticed: the proof that the checks can fail.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::campaign::{Mix, run_caught};
use crate::bus::sim::Cheat;
use crate::config::Settings;
use crate::planted::Bug;

/// Something that is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Of the program.
    Bug(Bug),
    /// Of the log.
    Cheat(Cheat),
}

/// How mistakes are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    pub from: u64,
    /// Each of these begins at seeds of its own.
    pub trials: u64,
    /// Seeds of a trial at most; a mistake that gets through one trial is not looked for any more.
    pub seeds_max: u64,
    pub jobs: usize,
}

/// What became of a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    pub mistake: Mistake,
    /// Seeds that each trial needed; `None` for one in which it was not noticed.
    pub seeds: Vec<Option<u64>>,
    /// The invariants that were found broken.
    pub invariants: BTreeSet<String>,
}

impl Mistake {
    /// Every one that this build can make.
    pub fn all() -> Vec<Mistake> {
        let bugs: &[Bug] = if cfg!(feature = "planted") { Bug::ALL } else { &[] };
        let bugs = bugs.iter().copied().filter(|bug| !Bug::ON_CLUSTER.contains(bug));
        bugs.map(Mistake::Bug).chain(Cheat::ALL.into_iter().map(Mistake::Cheat)).collect()
    }

    pub fn name(self) -> String {
        match self {
            Mistake::Bug(bug) => bug.name().to_owned(),
            Mistake::Cheat(cheat) => format!("log: {cheat:?}"),
        }
    }

    pub fn mix(self) -> Mix {
        match self {
            Mistake::Bug(bug) => Mix { bug: Some(bug), ..Mix::ALL },
            Mistake::Cheat(cheat) => Mix { cheat: Some(cheat), ..Mix::ALL },
        }
    }
}

impl Hunt {
    /// Looks for each mistake; tells of each as it ends, on the calling thread.
    pub fn run(&self, mistakes: &[Mistake], base: &Settings, tell: &mut dyn FnMut(&Kill)) -> Vec<Kill> {
        let next = AtomicUsize::new(0);
        let (send, kills) = mpsc::channel();
        let mut found = Vec::new();
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    while let Some(mistake) = mistakes.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // Nobody listens any more only if the hunt is being given up.
                        let _ = send.send(self.hunt(*mistake, base));
                    }
                });
            }
            drop(send);
            for kill in kills {
                tell(&kill);
                found.push(kill);
            }
        });
        found.sort_by_key(|kill| mistakes.iter().position(|mistake| *mistake == kill.mistake));
        found
    }

    fn hunt(&self, mistake: Mistake, base: &Settings) -> Kill {
        let mut kill = Kill { mistake, seeds: Vec::new(), invariants: BTreeSet::new() };
        for trial in 0..self.trials {
            let from = self.from + trial * self.seeds_max;
            let broken = (0..self.seeds_max).find_map(|n| {
                let outcome = run_caught(&mistake.mix().plan(from + n, base), false);
                outcome.broken.into_iter().next().map(|broken| (n + 1, broken.invariant))
            });
            kill.seeds.push(broken.as_ref().map(|(seeds, _)| *seeds));
            match broken {
                Some((_, invariant)) => drop(kill.invariants.insert(invariant)),
                None => break,
            }
        }
        kill
    }
}

impl Kill {
    /// The median over all trials; `None` if it got through one.
    pub fn median(&self) -> Option<u64> {
        let mut seeds = self.seeds.iter().copied().collect::<Option<Vec<u64>>>()?;
        seeds.sort_unstable();
        seeds.get(seeds.len() / 2).copied()
    }
}
