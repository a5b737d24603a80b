//! What was looked at and what was found wrong.

use super::cut::Shortened;
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
    /// What may lie beyond a cut is no violation, while what is missing is told; how much was passed over by that.
    rest: Option<Shortened>,
    passed_over: u64,
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
            if self.rest.as_ref().is_some_and(|shortened| shortened.forgives(&violation)) {
                self.passed_over += 1;
                continue;
            }
            self.total += 1;
            if self.violations.len() < VIOLATIONS_MAX {
                self.violations.push(violation);
            }
        }
    }

    /// From here on what is told is missing, not wrong.
    pub(super) fn begin_rest(&mut self, shortened: &Shortened) {
        self.rest = Some(shortened.clone());
    }

    /// How much was told since that may lie beyond the cut.
    pub(super) fn end_rest(&mut self) -> u64 {
        self.rest = None;
        std::mem::take(&mut self.passed_over)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Cut;
    use crate::audit::cut::Bounds;

    #[test]
    fn what_may_lie_beyond_a_cut_is_no_violation_however_much_it_is() {
        let mut cut = Cut::default();
        cut.topics.insert("replies".to_owned(), vec![Bounds { begin: 0, firm: 9, end: 9 }]);
        cut.shorten("replies:0:5").expect("the topic is there");
        let mut found = Found::default();
        found.add(Invariant::I3, Whose::default(), "wrong".to_owned());
        found.begin_rest(cut.shortened());
        for _ in 0..=VIOLATIONS_MAX {
            found.add(Invariant::I1, Whose::default(), "missing".to_owned());
        }
        assert_eq!((found.end_rest(), found.total()), (VIOLATIONS_MAX as u64 + 1, 1));
        found.add(Invariant::I1, Whose::default(), "missing".to_owned());
        assert_eq!(found.total(), 2, "the cut excuses nothing else");
    }
}
