//! A smaller history that breaks the same invariant: fewer kinds of trouble, fewer turns of it, fewer accounts.

use std::collections::BTreeSet;

use super::campaign::run_caught;
use super::plan::{Kind, Plan};
use super::world::Outcome;

/// A plan that fails, as small as it was found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub plan: Plan,
    pub outcome: Outcome,
    /// Runs that it took.
    pub runs: u32,
}

/// Makes a failing plan smaller for as long as it breaks the same invariant; `None` if it holds.
pub fn shrink(plan: &Plan, tell: &mut dyn FnMut(&str)) -> Option<Shrunk> {
    let outcome = run_caught(plan, false);
    let invariant = outcome.broken.first()?.invariant.clone();
    let mut best = Best { shrunk: Shrunk { plan: plan.clone(), outcome, runs: 1 }, invariant };
    best.fewer_kinds(tell);
    best.fewer_turns(tell);
    best.fewer_accounts(tell);
    best.fewer_turns(tell);
    best.fewer_processes(tell);
    Some(best.shrunk)
}

struct Best {
    shrunk: Shrunk,
    invariant: String,
}

impl Best {
    /// Keeps the plan if it fails alike.
    fn takes(&mut self, plan: Plan) -> bool {
        if self.shrunk.runs >= RUNS_MAX {
            return false;
        }
        self.shrunk.runs += 1;
        let outcome = run_caught(&plan, false);
        let alike = outcome.broken.first().is_some_and(|broken| broken.invariant == self.invariant);
        if alike {
            (self.shrunk.plan, self.shrunk.outcome) = (plan, outcome);
        }
        alike
    }

    fn fewer_kinds(&mut self, tell: &mut dyn FnMut(&str)) {
        for kind in Kind::ALL {
            let mut plan = self.shrunk.plan.clone();
            plan.kinds = plan.kinds.without(kind);
            if self.takes(plan) {
                tell(&format!("fails without {kind:?}"));
            }
        }
    }

    /// The fewest turns of trouble, by halving.
    fn fewer_turns(&mut self, tell: &mut dyn FnMut(&str)) {
        let (mut low, mut high) = (0, self.shrunk.outcome.troubled_turns.min(self.shrunk.plan.turns_max));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.takes(Plan { turns_max: middle, ..self.shrunk.plan.clone() }) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        tell(&format!("trouble for {high} turns"));
    }

    /// Only the account that the failure names, if that is enough; else halves, quarters and so on are left out.
    fn fewer_accounts(&mut self, tell: &mut dyn FnMut(&str)) {
        let all: Vec<u64> = (0..self.shrunk.plan.people.accounts).collect();
        let mut kept = self.shrunk.plan.people.keep.clone().map_or(all, |kept| kept.into_iter().collect());
        let mut chunk = kept.len().div_ceil(2);
        while chunk > 0 {
            let mut start = 0;
            while start < kept.len() {
                let rest: Vec<u64> = kept
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| !(start..start + chunk).contains(i))
                    .map(|(_, n)| *n)
                    .collect();
                if !rest.is_empty() && self.takes(self.keeping(&rest)) {
                    kept = rest;
                } else {
                    start += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
        tell(&format!("with {} accounts", kept.len()));
    }

    fn keeping(&self, accounts: &[u64]) -> Plan {
        let mut plan = self.shrunk.plan.clone();
        plan.people.keep = Some(accounts.iter().copied().collect::<BTreeSet<u64>>());
        plan
    }

    fn fewer_processes(&mut self, tell: &mut dyn FnMut(&str)) {
        while self.shrunk.plan.processes.len() > 1 {
            let mut plan = self.shrunk.plan.clone();
            plan.processes.pop();
            plan.processes[0].stages = crate::app::StageSet::ALL;
            if !self.takes(plan) {
                break;
            }
        }
        tell(&format!("with {} processes", self.shrunk.plan.processes.len()));
    }
}

/// Runs that a shrink may take.
const RUNS_MAX: u32 = 400;
