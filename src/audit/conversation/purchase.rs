//! One purchase as the model remembers it.

use std::sync::Arc;

use crate::audit::Rules;
use crate::domain::{PostId, PurchaseId, Span, State, Terms, Time};

#[derive(Clone, Debug)]
pub(super) struct Purchase {
    pub id: PurchaseId,
    pub terms: Arc<Terms>,
    /// First id of the ordering post, and the version that ordered.
    pub first: PostId,
    pub version: PostId,
    pub ordered_at: Time,
    /// From when a confirm counts: the order, or what freed the unit of a waitlisted one.
    pub from: Time,
    pub state: State,
    /// Of one that has ended when it did, if that is later.
    pub deadline: Time,
    pub fate_told: bool,
    pub prompt_post: Option<PostId>,
    /// When the cancel window of a paid one ends.
    pub fulfil: Option<Time>,
    /// By which post it was confirmed, and the address that was known then.
    pub confirmed: Option<(PostId, String)>,
    /// Posts that were judged as confirms of this purchase, and rejected. Each version of a post by itself.
    pub judged: Vec<PostId>,
}

impl Purchase {
    /// Whether it is on its way to a payment.
    pub fn waits(&self) -> bool {
        matches!(self.state, State::Ordered | State::Waitlisted | State::Prompted)
    }

    /// Whether it counts towards `per_account` and the limits of a day.
    pub fn counts(&self) -> bool {
        self.waits() || matches!(self.state, State::Authorized | State::Fulfilled)
    }

    /// Whether it need not be known any more at this watermark: it has ended, its buy would be stale if it were read
    /// again, and its day is over. One that is paid counts for as long as its offer is open, also where that was
    /// extended meanwhile.
    pub fn may_be_forgotten(&self, rules: &Rules, watermark: Option<Time>) -> bool {
        let old = self.ordered_at.max(self.from).max(self.deadline).after(rules.windows.buy_max_age).after(Span::DAY);
        let until = match self.state {
            State::Fulfilled => self.terms.closes.map(|closes| closes.after(rules.windows.forget_after).max(old)),
            _ if self.counts() => None,
            _ => Some(old),
        };
        until.is_some_and(|until| watermark.is_some_and(|watermark| until < watermark))
    }

    /// The moment that the watermark must pass for the next thing to happen by itself.
    pub fn due(&self, rules: &Rules) -> Option<Time> {
        match self.state {
            State::Prompted if rules.windows.feedback_required && !self.fate_told => {
                Some(self.deadline.max(self.from.after(rules.windows.feedback_timeout)))
            }
            State::Prompted => Some(self.deadline),
            State::Authorized => self.fulfil,
            _ => None,
        }
    }
}
