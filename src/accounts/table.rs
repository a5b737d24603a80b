//! The accounts of one partition: private state by id, deadlines in order, and a journal to take batches back.

use std::collections::BTreeSet;

use crate::domain::account::Account;
use crate::domain::{AccountId, Rules, Time};
use crate::engine::journal::Journaled;
use crate::planted::{self, Bug};

/// An account and the wake-up that stands for it in the index.
#[derive(Clone, Debug, PartialEq)]
struct Slot {
    account: Account,
    wake: Option<Time>,
}

/// Accounts that have something to remember; the others do not exist.
#[derive(Default)]
pub struct Table {
    slots: Journaled<AccountId, Slot>,
    /// One entry per account: its earliest wake-up. In (deadline, account) order, as deadlines must be judged.
    wakes: BTreeSet<(Time, AccountId)>,
    /// Bytes kept for what opened nothing, over all accounts.
    kept_bytes: usize,
}

impl Table {
    pub fn get(&self, id: &AccountId) -> Option<&Account> {
        self.slots.get(id).map(|slot| &slot.account)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        self.slots.iter().map(|(id, slot)| (id, &slot.account))
    }

    /// The earliest wake-up that the watermark has passed.
    pub fn first_passed(&self, mark: Time) -> Option<(Time, AccountId)> {
        let passed = |(time, _): &(Time, AccountId)| time.is_passed_by(mark);
        if planted::is(Bug::ExpiryInAnyOrder) {
            return self.wakes.iter().copied().rfind(passed);
        }
        self.wakes.first().copied().filter(passed)
    }

    /// Changes an account, activating it if it did not exist and passivating it if nothing is left to remember.
    pub fn change(&mut self, id: AccountId, rules: &Rules, judge: impl FnOnce(&mut Account)) {
        let slot = self.slots.edit(&id, || Slot { account: Account::default(), wake: None });
        let kept_before = slot.account.kept_bytes();
        judge(&mut slot.account);
        let old = slot.wake;
        slot.wake = slot.account.next_wake(rules);
        let new = slot.wake;
        self.kept_bytes = self.kept_bytes + slot.account.kept_bytes() - kept_before;
        let forgettable = slot.account.is_forgettable();
        reindex(&mut self.wakes, id, old, new);
        if forgettable {
            self.slots.remove(&id);
        }
    }

    /// Puts an account in as the changelog tells it; `None` removes it.
    pub fn restore(&mut self, id: AccountId, account: Option<Account>, rules: &Rules) {
        let old = self.slots.remove(&id);
        if let Some(old) = &old {
            reindex(&mut self.wakes, id, old.wake, None);
            self.kept_bytes -= old.account.kept_bytes();
        }
        if let Some(account) = account {
            let wake = account.next_wake(rules);
            reindex(&mut self.wakes, id, None, wake);
            self.kept_bytes += account.kept_bytes();
            self.slots.insert(&id, Slot { account, wake });
        }
    }

    /// Batches that could be taken back.
    pub fn layers(&self) -> usize {
        self.slots.layers()
    }

    pub fn open_layer(&mut self) {
        self.slots.open_layer();
    }

    pub fn drop_oldest_layer(&mut self) {
        self.slots.drop_oldest_layer();
    }

    pub fn take_back(&mut self) {
        let (wakes, kept) = (&mut self.wakes, &mut self.kept_bytes);
        self.slots.take_back(|id, before, lost| {
            reindex(wakes, *id, lost.and_then(|slot| slot.wake), before.and_then(|slot| slot.wake));
            let bytes = |slot: Option<&Slot>| slot.map_or(0, |slot| slot.account.kept_bytes());
            *kept = *kept + bytes(before) - bytes(lost);
        });
    }

    /// Whether the newest layer changed this account.
    pub fn has_changed(&self, id: &AccountId) -> bool {
        self.slots.has_changed(id)
    }

    /// What the newest layer changed, in order of first touch, with its present state.
    pub fn changed(&self) -> impl Iterator<Item = (&AccountId, Option<&Account>)> {
        self.slots.changed().map(|id| (id, self.get(id)))
    }
}

fn reindex(wakes: &mut BTreeSet<(Time, AccountId)>, id: AccountId, old: Option<Time>, new: Option<Time>) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        wakes.remove(&(old, id));
    }
    if let Some(new) = new {
        wakes.insert((new, id));
    }
}
