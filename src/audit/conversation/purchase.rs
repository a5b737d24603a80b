//! One purchase as the model remembers it.

use std::sync::Arc;

use crate::audit::Rules;
use crate::domain::{PostId, PurchaseId, State, Terms, Time};

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
    pub deadline: Time,
    pub fate_told: bool,
    pub prompt_post: Option<PostId>,
    /// When the cancel window of a paid one ends.
    pub fulfil: Option<Time>,
    /// When it was confirmed, and by which post.
    pub confirmed: Option<(Time, PostId)>,
    /// First ids of confirms that were judged for this purchase.
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
