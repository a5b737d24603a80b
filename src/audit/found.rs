//! What was looked at and what was found wrong.

use super::violation::{Invariant, Violation};
use crate::domain::{AccountId, Uuid};

/// Violations that are kept; more are only counted.
pub const VIOLATIONS_MAX: usize = 10_000;

/// Invariants, I1 to I12.
const INVARIANTS: usize = 12;

/// Collects violations, and how often each invariant was checked.
#[derive(Default)]
pub struct Found {
    violations: Vec<Violation>,
    /// Those taken and those beyond [`VIOLATIONS_MAX`] too.
    total: u64,
    checks: [u64; INVARIANTS],
}

/// Whom a violation concerns.
#[derive(Clone, Copy, Default)]
pub struct Whose {
    pub account: Option<AccountId>,
    pub purchase: Option<Uuid>,
}

impl Found {
    /// Counts a check, and notes a violation unless it `holds`. `what` must hold no card token and no text of a post.
    pub fn check(&mut self, invariant: Invariant, holds: bool, whose: Whose, what: impl FnOnce() -> String) {
        self.checks[invariant as usize] += 1;
        if !holds {
            self.add(invariant, whose, what());
        }
    }

    pub fn add(&mut self, invariant: Invariant, whose: Whose, what: String) {
        let purchase = whose.purchase.map(|purchase| purchase.to_string());
        self.extend([Violation { invariant, account: whose.account, purchase, what }]);
    }

    pub fn extend(&mut self, violations: impl IntoIterator<Item = Violation>) {
        for violation in violations {
            self.total += 1;
            if self.violations.len() < VIOLATIONS_MAX {
                self.violations.push(violation);
            }
        }
    }

    /// A place among the violations, for [`Found::forgive`].
    pub(super) fn begin_forgiving(&self) -> usize {
        self.violations.len()
    }

    /// Takes back the violations found since that are `forgiven`, and tells how many they were.
    pub(super) fn forgive(&mut self, since: usize, forgiven: &dyn Fn(&Violation) -> bool) -> u64 {
        let later = self.violations.split_off(since);
        let count = later.len();
        self.violations.extend(later.into_iter().filter(|violation| !forgiven(violation)));
        let taken_back = (count + since - self.violations.len()) as u64;
        self.total -= taken_back;
        taken_back
    }

    pub fn checked(&mut self, invariant: Invariant, times: u64) {
        self.checks[invariant as usize] += times;
    }

    pub fn take(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }

    /// All that were ever found.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often I1 to I12 were checked.
    pub fn checks(&self) -> &[u64; INVARIANTS] {
        &self.checks
    }
}

impl Whose {
    pub fn of(account: AccountId, purchase: Uuid) -> Whose {
        Whose { account: Some(account), purchase: Some(purchase) }
    }
}
