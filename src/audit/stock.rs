//! I4, counted anew: per offer held + sold never exceed the quantity, each hold is answered once and sold or released
//! once, the waitlist is served in order. The requests of `offers.inbox` are taken in their order and say what must be
//! answered; the answers stand in `accounts.inbox`.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;

use super::found::{Found, Whose};
use super::share::{Part, Share};
use super::tally::{StockTally, Tally};
use super::violation::Invariant;
use crate::domain::{AccountId, Offer, StockAction, StockAnswer, StockRequest, StockVerdict, Time, Uuid};

#[derive(Default)]
pub(super) struct Stock {
    shelves: BTreeMap<String, Shelf>,
    claims: FxHashMap<Uuid, Claim>,
}

/// The units of an offer.
#[derive(Default)]
struct Shelf {
    /// Version, quantity (`None`: unlimited) and length of the waitlist, once published.
    published: Option<(u64, Option<u64>, u64)>,
    held: u64,
    sold: u64,
    /// Sold ones that may come back.
    returnable: u64,
    peak: u64,
    line: VecDeque<Uuid>,
    /// Requests that came before the offer was published.
    early: Vec<(StockRequest, bool)>,
}

/// What a purchase has of its offer, and what it was told.
#[derive(Default)]
struct Claim {
    account: Option<AccountId>,
    standing: Standing,
    /// Answers that must come; `true`: behind the cut.
    due: VecDeque<(Answer, bool)>,
    /// Answers that came before the requests were seen; `true`: behind the cut.
    early: VecDeque<(StockVerdict, bool)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Nothing,
    /// Since when it was free for this one, where that is known.
    Held {
        since: Option<Time>,
    },
    Waiting,
    Sold {
        returnable: bool,
    },
    /// Released, given back, or told that all is sold.
    Over,
    /// In line when all was sold: a release may be under way.
    Exhausted,
}

/// An answer that must come. Without a time, any will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Held,
    Waitlisted,
    SoldOut,
    Freed(Option<Time>),
    Exhausted,
}

impl Stock {
    /// An offer's record. A smaller quantity stops new holds only; a larger one serves the line.
    pub fn publish(&mut self, offer: &str, published: &Offer, open: bool, found: &mut Found) {
        let version = published.terms.version;
        let shelf = self.shelves.entry(offer.to_owned()).or_default();
        if shelf.published.is_some_and(|(known, ..)| known >= version) {
            return;
        }
        shelf.published = Some((version, published.quantity, published.waitlist_max));
        for (request, is_open) in std::mem::take(&mut shelf.early) {
            self.request(offer, &request, open || is_open, found);
        }
        self.serve(offer, None, open, found);
    }

    pub fn request(&mut self, offer: &str, request: &StockRequest, open: bool, found: &mut Found) {
        let shelf = match self.shelves.get_mut(offer) {
            Some(shelf) => shelf,
            None => self.shelves.entry(offer.to_owned()).or_default(),
        };
        if shelf.published.is_none() {
            return shelf.early.push((request.clone(), open));
        }
        let StockRequest { purchase, account, at, action } = *request;
        let whose = Whose::of(account, purchase);
        let claim = self.claims.entry(purchase).or_default();
        let owner = *claim.account.get_or_insert(account);
        found.check(Invariant::I4, owner == account, whose, || format!("stock was asked for {owner} before"));
        let mut freed_at = Some(at);
        let next = match (action, claim.standing) {
            (StockAction::Hold, Standing::Nothing) => {
                let (answer, standing) = shelf.hold(purchase, at);
                claim.standing = standing;
                return claim.expect(purchase, answer, open, found);
            }
            (StockAction::Sell | StockAction::SellOpen, Standing::Held { .. }) => {
                let returnable = action == StockAction::SellOpen;
                shelf.held -= 1;
                shelf.sold += 1;
                shelf.returnable += u64::from(returnable);
                Standing::Sold { returnable }
            }
            (StockAction::Release, Standing::Held { since }) => {
                shelf.held -= 1;
                // It may be given up as of a time at which it was not free yet.
                freed_at = since.map(|since| since.max(at));
                Standing::Over
            }
            (StockAction::Release, Standing::Waiting) => {
                shelf.line.retain(|waiting| *waiting != purchase);
                Standing::Over
            }
            (StockAction::Release, Standing::Exhausted) => Standing::Over,
            (StockAction::Return, Standing::Sold { returnable: true }) => {
                shelf.sold -= 1;
                shelf.returnable -= 1;
                Standing::Over
            }
            (StockAction::Settle, Standing::Sold { returnable: true }) => {
                shelf.returnable -= 1;
                Standing::Sold { returnable: false }
            }
            (action, standing) => {
                return found.add(Invariant::I4, whose, format!("{action:?} was asked of a unit that is {standing:?}"));
            }
        };
        found.checked(Invariant::I4, 1);
        claim.standing = next;
        self.serve(offer, freed_at, open, found);
    }

    /// An answer of the offers stage. In a pass over a share of the offers, requests are seen first.
    pub fn answer(&mut self, account: AccountId, answer: &StockAnswer, seen: (Share, bool), found: &mut Found) {
        let (share, open) = seen;
        let claim = match share.part {
            Part::Accounts => None,
            Part::Offers => self.claims.get_mut(&answer.purchase),
            Part::Both => Some(self.claims.entry(answer.purchase).or_default()),
        };
        let Some(claim) = claim else { return };
        let owner = *claim.account.get_or_insert(account);
        let whose = Whose::of(account, answer.purchase);
        found
            .check(Invariant::I4, owner == account, whose, || format!("{owner} asked for stock, another was answered"));
        match claim.due.pop_front() {
            Some((due, _)) => due.compare(answer.verdict, whose, found),
            None => claim.early.push_back((answer.verdict, open)),
        }
    }

    pub fn at_rest(&mut self, found: &mut Found, tally: &mut Tally) {
        let mut claims: Vec<(&Uuid, &Claim)> = self.claims.iter().collect();
        claims.sort_unstable_by_key(|(purchase, _)| **purchase);
        for (purchase, claim) in claims {
            let whose = Whose { account: claim.account, purchase: Some(*purchase) };
            let due = claim.due.iter().filter(|(_, open)| !open).map(|(answer, _)| *answer).next();
            found.check(Invariant::I4, due.is_none(), whose, || format!("stock was asked and never answered: {due:?}"));
            let unasked = claim.early.iter().find(|(_, open)| !open);
            found.check(Invariant::I4, unasked.is_none(), whose, || {
                format!("answered {unasked:?}, and nothing was asked")
            });
            tally.open += claim.due.iter().filter(|(_, open)| *open).count() as u64;
        }
        for (offer, shelf) in std::mem::take(&mut self.shelves) {
            let Some((_, quantity, _)) = shelf.published else {
                found.add(
                    Invariant::I4,
                    Whose::default(),
                    format!("stock of {offer} was asked, and it was never published"),
                );
                continue;
            };
            if quantity.is_some() || shelf.peak > 0 {
                let Shelf { held, sold, peak, .. } = shelf;
                tally.offer(&offer).stock = Some(StockTally { held, sold, peak, quantity });
            }
        }
    }

    /// Stock may be free: the next in line hold it. When all is sold for good, nobody waits any longer.
    fn serve(&mut self, offer: &str, at: Option<Time>, open: bool, found: &mut Found) {
        let Some(shelf) = self.shelves.get_mut(offer) else { return };
        while shelf.has_free() {
            let Some(purchase) = shelf.line.pop_front() else { break };
            shelf.hold_one();
            if let Some(claim) = self.claims.get_mut(&purchase) {
                claim.standing = Standing::Held { since: at };
                claim.expect(purchase, Answer::Freed(at), open, found);
            }
        }
        if !shelf.may_free_up() && !shelf.has_free() {
            for purchase in std::mem::take(&mut shelf.line) {
                if let Some(claim) = self.claims.get_mut(&purchase) {
                    claim.standing = Standing::Exhausted;
                    claim.expect(purchase, Answer::Exhausted, open, found);
                }
            }
        }
    }
}

impl Shelf {
    fn has_free(&self) -> bool {
        let quantity = self.published.and_then(|(_, quantity, _)| quantity);
        quantity.is_none_or(|quantity| self.held + self.sold < quantity)
    }

    /// Whether a unit that is gone may come back.
    fn may_free_up(&self) -> bool {
        self.held > 0 || self.returnable > 0
    }

    fn hold_one(&mut self) {
        self.held += 1;
        self.peak = self.peak.max(self.held + self.sold);
    }

    /// What a hold must be answered.
    fn hold(&mut self, purchase: Uuid, at: Time) -> (Answer, Standing) {
        let room = self.published.map_or(0, |(_, _, waitlist_max)| waitlist_max);
        if self.has_free() {
            self.hold_one();
            (Answer::Held, Standing::Held { since: Some(at) })
        } else if (self.line.len() as u64) < room && self.may_free_up() {
            self.line.push_back(purchase);
            (Answer::Waitlisted, Standing::Waiting)
        } else {
            (Answer::SoldOut, Standing::Over)
        }
    }
}

impl Claim {
    fn expect(&mut self, purchase: Uuid, answer: Answer, open: bool, found: &mut Found) {
        match self.early.pop_front() {
            Some((verdict, _)) => {
                answer.compare(verdict, Whose { account: self.account, purchase: Some(purchase) }, found)
            }
            None => self.due.push_back((answer, open)),
        }
    }
}

impl Answer {
    fn compare(self, got: StockVerdict, whose: Whose, found: &mut Found) {
        let same = match (self, got) {
            (Answer::Held, StockVerdict::Held)
            | (Answer::Waitlisted, StockVerdict::Waitlisted)
            | (Answer::SoldOut, StockVerdict::SoldOut)
            | (Answer::Exhausted, StockVerdict::Exhausted { .. }) => true,
            (Answer::Freed(due), StockVerdict::Freed { at }) => due.is_none_or(|due| due == at),
            _ => false,
        };
        found.check(Invariant::I4, same, whose, || format!("stock must answer {self:?}, and answered {got:?}"));
    }
}
