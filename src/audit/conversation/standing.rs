//! What is known of an account's link, card and freezes, in order of event time.

use std::sync::Arc;

use crate::domain::{CardStatus, Link, LinkChange, PostId, Reason, Time};

/// Every change that was read, by its time; changes of one time in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Standing {
    changes: Vec<(Time, LinkChange)>,
}

/// What ends a purchase that waits, and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub time: Time,
    pub reason: Reason,
    pub post: Option<PostId>,
}

/// The state at a moment.
#[derive(Clone, Debug, Default)]
struct At {
    link: Option<Arc<Link>>,
    inactive: bool,
    frozen: bool,
}

impl Standing {
    /// Takes a change; `false` if it is known already.
    pub fn learn(&mut self, at: Time, change: &LinkChange) -> bool {
        if self.changes.iter().any(|(known_at, known)| *known_at == at && known == change) {
            return false;
        }
        let index = self.changes.partition_point(|(known_at, _)| *known_at <= at);
        self.changes.insert(index, (at, change.clone()));
        true
    }

    pub fn knows_freeze(&self, post: PostId) -> bool {
        self.changes.iter().any(|(_, change)| *change == LinkChange::Freeze(post))
    }

    /// The link as of a moment, whatever its card's state.
    pub fn link_at(&self, time: Time) -> Option<Arc<Link>> {
        self.at(time).link
    }

    /// The link that was made last; replies still find who unlinked by it.
    pub fn last_link(&self) -> Option<&Arc<Link>> {
        self.changes.iter().rev().find_map(|(_, change)| match change {
            LinkChange::Link(link) => Some(link),
            _ => None,
        })
    }

    /// Whether there was a link at some moment from then on.
    pub fn was_linked_since(&self, time: Time) -> bool {
        let later = |(at, change): &(Time, LinkChange)| *at > time && matches!(change, LinkChange::Link(_));
        self.at(time).link.is_some() || self.changes.iter().any(later)
    }

    /// Why nothing can be bought at a moment.
    pub fn refusal_at(&self, time: Time) -> Option<Reason> {
        self.at(time).refusal()
    }

    /// What stops commerce at `time` or first thereafter: an unlink, a card's end, a freeze.
    pub fn stop_from(&self, time: Time) -> Option<Stop> {
        let mut state = At::default();
        let mut stop: Option<Stop> = None;
        for (at, change) in &self.changes {
            if *at > time && stop.is_some() {
                break;
            }
            state.apply(change);
            let post = if let LinkChange::Freeze(post) = change { Some(*post) } else { None };
            let reason = state.refusal().map(|why| if why == Reason::NotLinked { Reason::Unlinked } else { why });
            let same = |stop: &Stop| Some(stop.reason) == reason;
            stop = stop.filter(same).or(reason.map(|reason| Stop { time: *at, reason, post }));
        }
        stop
    }

    fn at(&self, time: Time) -> At {
        let mut state = At::default();
        self.changes.iter().take_while(|(at, _)| *at <= time).for_each(|(_, change)| state.apply(change));
        state
    }
}

impl At {
    fn apply(&mut self, change: &LinkChange) {
        match change {
            LinkChange::Link(link) => *self = At { link: Some(Arc::clone(link)), inactive: false, frozen: false },
            LinkChange::Unlink => self.link = None,
            LinkChange::Card(status) => self.inactive = *status != CardStatus::Active,
            LinkChange::Freeze(_) => self.frozen = true,
        }
    }

    fn refusal(&self) -> Option<Reason> {
        match self {
            At { link: None, .. } => Some(Reason::NotLinked),
            At { frozen: true, .. } => Some(Reason::Frozen),
            At { inactive: true, .. } => Some(Reason::CardNotActive),
            _ => None,
        }
    }
}
