//! What an audit finds.

use std::fmt;

use crate::domain::AccountId;

/// The invariants of the crate's documentation, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    I9,
    I10,
    I11,
    I12,
}

/// One record, or its absence, that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub account: Option<AccountId>,
    /// The purchase's UUID.
    pub purchase: Option<String>,
    /// What was expected and what was got, in a sentence.
    pub what: String,
}

/// `I1`.
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// `I1 twitter:1 <purchase>: what`.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.invariant)?;
        if let Some(account) = self.account {
            write!(f, " {account}")?;
        }
        if let Some(purchase) = &self.purchase {
            write!(f, " {purchase}")?;
        }
        write!(f, ": {}", self.what)
    }
}
