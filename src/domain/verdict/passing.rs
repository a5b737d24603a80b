//! What the watermark ends by passing: confirm windows, cancel windows, and what need not be remembered any longer.

use super::Judge;
use crate::domain::account::HOUR;
use crate::domain::events::ReplyKind;
use crate::domain::ids::PostId;
use crate::domain::intent::{LinkChange, StockAction};
use crate::domain::purchase::State;
use crate::domain::time::Time;
use crate::planted::{self, Bug};

/// What the watermark's passing brings, in the order in which those of one moment come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The state of the purchase at this place ends.
    End(usize),
    /// This post was kept as a confirm, and nothing was read that it could pay.
    Confirm(PostId, usize),
}

impl Judge<'_> {
    /// Ends what the watermark has passed, earliest first, then forgets. What is after `until` is left for its turn
    /// among the other accounts.
    pub(super) fn pass(&mut self, until: Time) {
        let Some(mark) = self.watermark else { return };
        while let Some((at, due)) = self.next_due(mark).filter(|(at, _)| *at <= until) {
            match due {
                Due::End(index) => self.end(index, at),
                Due::Confirm(_, index) => {
                    let kept = self.account.extras().confirms.remove(index);
                    self.drop_confirm(&kept);
                }
            }
        }
        self.forget(mark);
    }

    /// Lets the watermark pass what a message brought too late.
    pub(super) fn pass_at_once(&mut self) {
        let wake = self.account.next_wake(self.rules);
        if self.watermark.is_some_and(|mark| wake.is_some_and(|wake| wake.is_passed_by(mark))) {
            self.pass(Time(i64::MAX));
        }
    }

    fn next_due(&self, mark: Time) -> Option<(Time, Due)> {
        let ends = self.account.purchases.iter().enumerate();
        let ends = ends.filter_map(|(index, p)| self.account.ends_at(p, self.rules).map(|end| (end, Due::End(index))));
        let confirms = self.account.extras.iter().flat_map(|extras| extras.confirms.iter().enumerate());
        let confirms = confirms.filter(|(_, kept)| !self.account.keeps_on(kept));
        let confirms = confirms.map(|(index, kept)| (kept.time, Due::Confirm(kept.id, index)));
        ends.chain(confirms).filter(|(at, _)| at.is_passed_by(mark)).min()
    }

    /// Time has come to what ends a purchase.
    pub(super) fn end(&mut self, index: usize, at: Time) {
        if self.is_stopped_by(index, at) {
            self.end_stopped(index);
        } else if self.account.purchases[index].state == State::Prompted {
            self.expire(index, at);
        } else {
            self.fulfil(index, at, None);
            self.ask_stock(index, StockAction::Settle, at);
        }
    }

    fn expire(&mut self, index: usize, deadline: Time) {
        let version = self.account.purchases[index].order_version;
        self.transit(index, State::Expired, None, deadline, None);
        if !planted::is(Bug::ExpiryKeepsStock) {
            self.ask_stock(index, StockAction::Release, deadline);
        }
        if planted::is(Bug::ReleasedTwice) {
            self.ask_stock(index, StockAction::Release, deadline);
        }
        self.reply_about(index, ReplyKind::Expired, deadline, Some(version), None);
    }

    /// Drops what the watermark made unnecessary, so that what an account remembers is bounded.
    fn forget(&mut self, mark: Time) {
        let rules = self.rules;
        self.account.forget_purchases(mark, rules);
        self.prune_links(mark);
        let Some(extras) = self.account.extras.as_deref_mut() else { return };
        extras.refused.retain(|kept| !kept.forget_at(rules).is_passed_by(mark));
        extras.told_not_linked.retain(|(_, at)| !at.after(rules.windows.forget_after).is_passed_by(mark));
        extras.told_nothing_to_confirm.retain(|(_, at)| !rules.edits_are_stale_at(*at).is_passed_by(mark));
        extras.cancels.retain(|kept| !kept.time.is_passed_by(mark));
        extras.deletions.retain(|kept| !kept.time.is_passed_by(mark));
        if Time((extras.courtesy.0 + 1).saturating_mul(HOUR.0)).is_passed_by(mark) {
            extras.courtesy = (0, 0);
        }
    }

    /// Everything before the last full change that no post can predate any more is history that nobody asks for.
    fn prune_links(&mut self, mark: Time) {
        let horizon = self.account.horizon(mark, self.rules);
        if let Some(base) = self.account.links_base(horizon) {
            // What is of the same time stays, or it would be news when it comes again, and count after what it was
            // before.
            let at = self.account.links[base].at;
            self.forget_links_before(self.account.links.partition_point(|entry| entry.at < at));
        }
        if self.account.links_gone_at(self.rules).is_some_and(|at| at.is_passed_by(mark)) {
            self.account.links.clear();
            self.account.extras().past_handle = None;
        }
    }

    /// Of a link that ended only the handle is kept.
    fn forget_links_before(&mut self, base: usize) {
        let last_link = self.account.links.drain(..base).rev().find_map(|entry| match entry.change {
            LinkChange::Link(link) => Some(link.handle.clone()),
            _ => None,
        });
        if last_link.is_some() {
            self.account.extras().past_handle = last_link;
        }
        if self.account.has_link()
            && let Some(extras) = self.account.extras.as_deref_mut()
        {
            extras.past_handle = None;
        }
    }
}
