//! What the watermark ends by passing: confirm windows, cancel windows, and what need not be remembered any longer.

use super::Judge;
use crate::domain::account::{HOUR, KeptConfirm};
use crate::domain::events::ReplyKind;
use crate::domain::intent::{LinkChange, LinkMessage, StockAction};
use crate::domain::purchase::{Purchase, State};
use crate::domain::time::Time;
use crate::planted::{self, Bug};

impl Judge<'_> {
    /// Ends what the watermark has passed, earliest deadline first, then forgets. Ends after `until` are left for their
    /// turn among the other accounts.
    pub(super) fn pass(&mut self, until: Time) {
        let Some(mark) = self.watermark else { return };
        while let Some((end, index)) = self.next_end(mark).filter(|(end, _)| *end <= until) {
            match self.account.purchases[index].state {
                State::Prompted => self.expire(index, end),
                _ => {
                    self.fulfil(index, end, None);
                    self.ask_stock(index, StockAction::Settle, end);
                }
            }
        }
        self.forget(mark);
    }

    fn next_end(&self, mark: Time) -> Option<(Time, usize)> {
        let ends = self.account.purchases.iter().enumerate();
        let ends = ends.filter_map(|(index, p)| p.ends_at(self.rules).map(|end| (end, index)));
        ends.filter(|(end, _)| end.is_passed_by(mark)).min()
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
        self.account.purchases.retain(|p| p.forget_at(rules).is_none_or(|at| !at.is_passed_by(mark)));
        self.prune_links(mark);
        let Some(extras) = self.account.extras.as_deref_mut() else { return };
        let age = rules.windows.buy_max_age;
        extras.refused.retain(|kept| !kept.at.after(age).is_passed_by(mark));
        extras.told_not_linked.retain(|(_, at)| !at.after(rules.windows.forget_after).is_passed_by(mark));
        extras.cancels.retain(|kept| !kept.time.is_passed_by(mark));
        extras.deletions.retain(|kept| !kept.time.is_passed_by(mark));
        if Time((extras.courtesy.0 + 1).saturating_mul(HOUR.0)).is_passed_by(mark) {
            extras.courtesy = (0, 0);
        }
        let confirms = std::mem::take(&mut extras.confirms);
        let is_kept = |kept: &KeptConfirm| {
            !kept.time.is_passed_by(mark) || self.account.waits_in_line(kept) || planted::is(Bug::EarlyConfirmKept)
        };
        let (live, passed): (Vec<_>, Vec<_>) = confirms.into_iter().partition(is_kept);
        self.account.extras().confirms = live;
        for kept in &passed {
            self.drop_confirm(kept);
        }
    }

    /// Everything before the last full change that no post can predate any more is history that nobody asks for.
    fn prune_links(&mut self, mark: Time) {
        // What is open is judged by the link as of its order, however long it has been open.
        let open = |p: &&Purchase| p.state.waits() || p.state == State::Authorized;
        let ordered = self.account.purchases.iter().filter(open).map(|p| p.ordered_at);
        let recent = mark.before(self.rules.windows.buy_max_age);
        let horizon = ordered.fold(recent, Time::min);
        let full = |entry: &LinkMessage| matches!(entry.change, LinkChange::Link(_) | LinkChange::Unlink);
        if let Some(base) = self.account.links.iter().rposition(|entry| entry.at <= horizon && full(entry)) {
            self.account.links.drain(..base);
        }
        let gone = match self.account.links.as_slice() {
            [LinkMessage { at, change: LinkChange::Unlink }] => {
                at.after(self.rules.windows.forget_after).is_passed_by(mark)
            }
            _ => false,
        };
        if gone {
            self.account.links.clear();
        }
    }
}
