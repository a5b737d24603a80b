//! The auditor: judges a run by its committed topics alone.
//!
//! It is a second opinion. It shares the wire's codecs and the domain's data types with the program, and no rule: what
//! a conversation must come to is judged by [`conversation`], a model of its own; stock, funnels, envelopes, dead
//! letters and how records of different topics agree, by the other files here.
//!
//! | file | what it judges |
//! |---|---|
//! | `conversation` | I1, I2, I3, I5: every output of the accounts stage, predicted from `accounts.inbox` |
//! | `ledger` | I2, I3, I8: events are chains; payment, order, reply and e-mail belong together |
//! | `stock` | I4: holds, sales, releases and waitlists, counted anew |
//! | `funnel` | running totals are the sums of what was said |
//! | `envelope`, `shape` | headers, ids, keys, members; I11 |
//! | `letters` | I9: dead letters name what is there, and what is damaged has one |
//! | `truth` | that a load generator's conversations all came to what they had to |
//! | `cut`, `log` | passes over a whole log, a share of the accounts at a time |
//! | `story` | a violation as the conversation that it belongs to |
//!
//! [`Auditor::see`] takes record after record and costs a few microseconds each; nothing is read twice.

pub mod conversation;
mod cut;
mod envelope;
mod found;
mod funnel;
mod ledger;
mod letters;
pub mod log;
mod rules;
mod shape;
mod share;
mod stock;
pub mod story;
mod tally;
pub mod truth;
mod violation;

use std::collections::BTreeMap;

use serde_json::Value;

use self::conversation::Conversations;
use self::cut::Shortened;
use self::envelope::Envelopes;
use self::funnel::Funnels;
use self::ledger::Ledger;
use self::letters::Letters;
use self::stock::Stock;
use crate::domain::{
    AccountId, AccountMessage, InboxRecord, LinkChange, LinkMessage, OfferMessage, OffersRecord, Time,
};
use crate::wire::internal;

pub use self::cut::{Bounds, Cut, CutError, OUTPUTS};
pub use self::envelope::Cards;
pub use self::found::{Found, VIOLATIONS_MAX, Whose};
pub use self::rules::Rules;
pub use self::share::{Part, Share};
pub use self::tally::{OfferTally, Tally};
pub use self::violation::{Invariant, Violation};

/// A committed record as a reader sees it; `topic` without `topics.prefix`.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub offset: u64,
    pub timestamp: Time,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(String, Vec<u8>)],
}

/// Judges records as they come: within a partition in order, an inbox record before the outputs that it caused, else
/// in any order.
pub struct Auditor {
    rules: Rules,
    share: Share,
    /// What is seen now may lack what belongs to it: it lies behind the cut of a running system.
    open: bool,
    /// By partition of `accounts.inbox`: the first record that was seen open.
    open_from: BTreeMap<u32, u64>,
    conversations: Conversations,
    ledger: Ledger,
    stock: Stock,
    funnels: Funnels,
    letters: Letters,
    envelopes: Envelopes,
    tally: Tally,
    found: Found,
}

impl Auditor {
    pub fn new(rules: Rules) -> Auditor {
        Auditor {
            share: Share::WHOLE,
            open: false,
            open_from: BTreeMap::new(),
            conversations: Conversations::new(rules),
            ledger: Ledger::default(),
            stock: Stock::default(),
            funnels: Funnels::default(),
            letters: Letters::default(),
            envelopes: Envelopes::default(),
            tally: Tally::default(),
            found: Found::default(),
            rules,
        }
    }

    /// Judges input records by their shape, too: what is damaged must have a dead letter. `posts` are the topics that
    /// carry posts.
    pub fn judging_inputs(mut self, posts: Vec<String>, record_bytes_max: usize) -> Auditor {
        self.letters = Letters::judging(posts, record_bytes_max);
        self
    }

    /// Where a partition of an input topic ends, though retention may have taken all of it.
    pub fn know_input(&mut self, topic: &str, partition: u32, end: u64) {
        self.letters.know_end(topic, partition, end);
    }

    /// From here on [`Auditor::consumed`] will be told.
    pub fn following_transactions(mut self) -> Auditor {
        self.conversations.follow_transactions();
        self
    }

    /// Transactions consumed a partition of `accounts.inbox` up to this offset, and all that they wrote was seen.
    pub fn consumed(&mut self, partition: u32, position: u64) {
        self.conversations.consumed(partition, position);
    }

    /// A record of any topic; changelogs and unknown topics are passed over.
    pub fn see(&mut self, seen: &Seen<'_>) {
        self.tally.count(seen.topic, self.share);
        let is_output = shape::members_of(seen.topic).is_some();
        self.tally.unconsumed += u64::from(self.open && !is_output);
        match seen.topic {
            "accounts.inbox" => self.see_accounts_inbox(seen),
            "offers.inbox" => self.see_offers_inbox(seen),
            "accounts.changelog" | "offers.changelog" => {}
            _ if is_output => self.see_output(seen),
            _ => self.letters.see_input(seen, self.open),
        }
    }

    /// From here on what is seen is `open`: it may still lack what it causes or belongs to.
    pub fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// Nothing is to come any more: what is due and missing is a violation.
    pub fn at_rest(&mut self) {
        self.end_pass(&Shortened::default());
        self.judge_totals(true);
    }

    pub fn take_violations(&mut self) -> Vec<Violation> {
        self.found.extend(self.conversations.take_violations());
        let mut violations = self.found.take();
        // A prediction may hold a card, and whoever reads of a violation must not.
        violations.iter_mut().for_each(|violation| self.cards().hide(&mut violation.what));
        violations
    }

    /// How often each invariant was checked, and how many violations there were.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The card tokens that links told.
    pub fn cards(&self) -> &Cards {
        self.envelopes.cards()
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins a pass over all topics that looks at one share of the accounts and offers. Totals go on.
    fn begin_pass(&mut self, share: Share) {
        self.share = share;
        self.open = false;
        self.open_from = BTreeMap::new();
        self.conversations = Conversations::new(self.rules);
        self.ledger = Ledger::default();
        self.stock = Stock::default();
        self.funnels = Funnels::default();
        self.letters.begin_pass();
        self.envelopes.begin_pass(share);
    }

    /// What is due and missing in the present share, unless it may lie beyond a cut made by hand. What was found to be
    /// wrong before stays.
    fn end_pass(&mut self, shortened: &Shortened) {
        self.found.extend(self.conversations.take_violations());
        self.found.begin_rest(shortened);
        self.rest_conversations();
        self.ledger.at_rest(&mut self.found, &mut self.tally);
        self.stock.at_rest(&mut self.found, &mut self.tally);
        self.funnels.at_rest(&mut self.found, &mut self.tally);
        if self.share.has_the_rest() {
            self.letters.at_rest(&mut self.found, &mut self.tally);
        }
        self.tally.open += self.found.end_rest();
    }

    /// What a record causes that nobody has consumed yet is not missing.
    fn rest_conversations(&mut self) {
        let open_from = std::mem::take(&mut self.open_from);
        let is_open = |partition, offset| open_from.get(&partition).is_some_and(|from| offset >= *from);
        self.tally.open += self.conversations.at_rest(&is_open, &mut self.found);
    }

    /// Holds the purchases of the present share against a truth file.
    fn judge_truth(
        &mut self,
        lines: impl std::io::BufRead,
        summary: &mut truth::Summary,
        shortened: &Shortened,
    ) -> anyhow::Result<()> {
        self.found.begin_rest(shortened);
        let of_share = truth::judge(lines, &self.ledger, self.share, &self.tally, &mut self.found)?;
        self.tally.open += self.found.end_rest();
        summary.conversations = of_share.conversations;
        summary.open += of_share.open;
        Ok(())
    }

    /// `at_once`: all was seen in one pass.
    fn judge_totals(&mut self, at_once: bool) {
        self.tally.judge(at_once, &mut self.found);
    }

    /// On a log of which all is consumed, and on which nobody runs, nothing is left to end what waits, which a truth
    /// file says must end.
    fn judge_rest(&mut self, waiting: u64) {
        let is_at_rest = self.tally.open == 0 && self.tally.unconsumed == 0;
        self.found.check(Invariant::I9, waiting == 0 || !is_at_rest, Whose::default(), || {
            format!("{waiting} purchases wait that the truth file says must end, and nothing is left to be consumed")
        });
    }

    fn see_accounts_inbox(&mut self, seen: &Seen<'_>) {
        let Ok(record) = internal::decode_inbox(seen.key, seen.value.unwrap_or_default()) else {
            return self.letters.see_damaged(seen, self.open);
        };
        if self.open {
            self.open_from.entry(seen.partition).or_insert(seen.offset);
        }
        if let InboxRecord::To(account, message) = &record {
            self.learn(*account, message);
        }
        match record {
            _ if self.share.part == Part::Offers => {}
            InboxRecord::To(account, _) if !self.share.has_account(account) => {}
            InboxRecord::Deletions(network, mut deletions) => {
                deletions.retain(|(user, _)| self.share.has_account(AccountId { network, user: *user }));
                self.conversations.inbox(seen.partition, seen.offset, &InboxRecord::Deletions(network, deletions));
            }
            record => self.conversations.inbox(seen.partition, seen.offset, &record),
        }
    }

    /// What is needed of a message beside the conversation.
    fn learn(&mut self, account: AccountId, message: &AccountMessage) {
        match message {
            AccountMessage::Link(LinkMessage { change: LinkChange::Link(link), .. }) => {
                self.envelopes.learn_card(&link.card);
            }
            AccountMessage::Stock(answer) => {
                self.stock.answer(account, answer, (self.share, self.open), &mut self.found);
            }
            AccountMessage::Post(intent) if self.share.has_account(account) => self.ledger.post(account, intent),
            _ => {}
        }
    }

    fn see_offers_inbox(&mut self, seen: &Seen<'_>) {
        let Ok(record) = internal::decode_offers(seen.value.unwrap_or_default()) else {
            return self.letters.see_damaged(seen, self.open);
        };
        let OffersRecord::To(offer, message) = &record else { return };
        if let OfferMessage::Stock(request) = message
            && self.share.has_account(request.account)
        {
            self.conversations.stock_request(request, offer);
        }
        if !self.share.has_offer(offer) {
            return;
        }
        match message {
            OfferMessage::Published(published) => self.stock.publish(offer, published, self.open, &mut self.found),
            OfferMessage::Withdrawn { .. } => {}
            OfferMessage::Stock(request) => self.stock.request(offer, request, self.open, &mut self.found),
            OfferMessage::Funnel(delta) => self.funnels.add(offer, delta, self.open),
        }
    }

    fn see_output(&mut self, seen: &Seen<'_>) {
        let Some(value) = seen.value else { return };
        let Ok(value) = serde_json::from_slice::<Value>(value) else {
            let place = format!("{} {}:{} is no JSON", seen.topic, seen.partition, seen.offset);
            return self.found.add(Invariant::I8, Whose::default(), place);
        };
        let whose = Whose { account: shape::account(&value), purchase: shape::id(&value, "purchase") };
        if !self.is_own(seen, &value, whose) {
            return;
        }
        if !self.envelopes.see(seen, &value, whose, &mut self.found) {
            return;
        }
        match seen.topic {
            "offers.funnel" => self.funnels.see(&value, &mut self.found),
            "dead-letters" => self.letters.see_letter(&value, &mut self.found),
            topic => {
                self.ledger.see(topic, &value, whose, self.open, &mut self.found, &mut self.tally);
                let ce_time = seen.headers.iter().find(|(name, _)| name == "ce_time");
                let ce_time = ce_time.and_then(|(_, time)| std::str::from_utf8(time).ok());
                self.conversations.output(topic, seen.partition, &value, ce_time);
            }
        }
    }

    /// Whether the present share has this output record. Orders name no account: their purchase tells, so events are
    /// to be seen before orders where there are several shares.
    fn is_own(&self, seen: &Seen<'_>, value: &Value, whose: Whose) -> bool {
        match (seen.topic, whose.account) {
            _ if self.share == Share::WHOLE => true,
            (_, Some(account)) => self.share.has_account(account),
            ("offers.funnel", _) => self.share.has_offer(value["offer"].as_str().unwrap_or_default()),
            ("fulfilment.orders", _) => whose.purchase.is_some_and(|purchase| self.ledger.knows(purchase)),
            // Dead letters and announcements are few.
            _ => self.share.has_the_rest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OfferSpec, Settings};
    use crate::domain::{Network, StockAction, StockRequest, Uuid};

    fn auditor() -> Auditor {
        Auditor::new(Rules::of(&Settings::of_text(None, std::iter::empty()).expect("the defaults are valid")))
    }

    #[test]
    fn what_waits_for_good_is_told_unless_something_is_left_to_consume() {
        for (waiting, open, unconsumed, found) in [(2, 0, 0, 1), (2, 1, 0, 0), (2, 0, 1, 0), (0, 0, 0, 0)] {
            let mut auditor = auditor();
            (auditor.tally.open, auditor.tally.unconsumed) = (open, unconsumed);
            auditor.judge_rest(waiting);
            assert_eq!(auditor.found.total(), found, "{waiting} wait, {open} open, {unconsumed} unconsumed");
        }
    }

    #[test]
    fn an_order_of_an_unknown_purchase_is_told_unless_the_purchase_may_lie_between_two_ends() {
        for (open, at_once, found) in [(0, false, 1), (3, false, 0), (3, true, 1)] {
            let mut auditor = auditor();
            auditor.tally.open = open;
            auditor.tally.records.insert("fulfilment.orders".to_owned(), 1);
            auditor.judge_totals(at_once);
            assert_eq!(auditor.found.total(), found, "{open} open, at once: {at_once}");
        }
    }

    /// A larger quantity that the offers stage has not read yet serves nobody.
    #[test]
    fn an_offer_that_nobody_consumed_yet_promises_nothing() {
        let offer = |version, quantity| {
            let text = |text: &str| Some(text.to_owned());
            let spec = OfferSpec {
                id: "mug".to_owned(),
                kind: text("purchase"),
                buy_tag: text("BuyMug"),
                confirm_tag: text("ConfirmMug"),
                merchant: text("shop"),
                item: text("mug"),
                price: text("10.00"),
                currency: text("USD"),
                quantity: Some(quantity),
                waitlist_max: Some(1),
                ..OfferSpec::default()
            };
            spec.into_offer(version).expect("the offer is valid")
        };
        for (open, found) in [(false, true), (true, false)] {
            let mut auditor = auditor();
            auditor.stock.publish("mug", &offer(1, 1), false, &mut auditor.found);
            for user in 1..=2u8 {
                let account = AccountId { network: Network::TWITTER, user: user.into() };
                let (purchase, at) = (Uuid([user; 16]), Time(0));
                let request = StockRequest { purchase, account, at, action: StockAction::Hold };
                auditor.stock.request("mug", &request, true, &mut auditor.found);
            }
            auditor.stock.publish("mug", &offer(2, 2), open, &mut auditor.found);
            auditor.stock.at_rest(&mut auditor.found, &mut auditor.tally);
            assert_eq!(auditor.found.total() > 0, found, "behind the cut: {open}");
            assert!(auditor.tally.open > 0);
        }
    }
}
