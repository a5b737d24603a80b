//! The episodes of an account's life, one behaviour each.

use std::sync::Arc;

use super::behaviour::Behaviour as B;
use super::gateway::{React, Reaction};
use super::goods::TagId;
use super::post::{Author, Echoed, Near, Post, Relation, Word};
use super::script::{Bought, Script};
use crate::domain::CardStatus;

/// Strangers whose posts and prompts are retweeted.
const STRANGER: u64 = 2_000_001;

impl Script<'_> {
    /// One episode, at some moment.
    pub(super) fn act(&mut self, behaviour: B) {
        let at = self.moment();
        if behaviour as usize <= B::ConfirmsWithTwoTags as usize {
            self.confirms(behaviour, at);
        } else if behaviour as usize <= B::BuysWhenNotOpen as usize {
            self.buys(behaviour, at);
        } else if behaviour as usize <= B::DeletesNothing as usize {
            self.takes_back(behaviour, at);
        } else {
            self.does_else(behaviour, at);
        }
    }

    fn confirms(&mut self, behaviour: B, at: i64) {
        let bought = match behaviour {
            B::ConfirmIsReadFirst => return self.confirm_is_read_first(at),
            B::ConfirmsWithTwoTags => return self.confirms_two(at),
            _ => self.buy(at),
        };
        let soon = self.soon(at);
        let deadline = self.deadline(at);
        match behaviour {
            B::ConfirmsByReply => {
                let to = Some(self.chance.between(1, i64::MAX) as u64);
                let reply = self.reply(soon, &[Word::Tag(bought.tags.confirm)], to);
                self.say(reply);
            }
            B::ConfirmsByManualRetweet => {
                let of = self.desk.known.service.clone();
                let post = self.post(soon, &[Word::Tag(bought.tags.confirm)]);
                self.say(Post { relation: Relation::Manual { of, by_service: true }, ..post });
            }
            B::ConfirmsByRetweet => self.echo_prompt(soon, &bought, false),
            B::ConfirmsByQuote => self.echo_prompt(soon, &bought, true),
            B::ConfirmsByRetweetOfPosted => self.react(&bought, React::Retweet),
            B::ConfirmsByQuoteOfPosted => self.react(&bought, React::Quote),
            B::ConfirmsByReplyToPosted => self.react(&bought, React::Reply),
            B::ConfirmsAtEdgeOfPosted => {
                let past = self.chance.below(2) == 0;
                self.react(&bought, React::Edge { past });
            }
            B::ConfirmsTooSoon => {
                let before = at - self.chance.between(1, 240_000);
                self.confirm(before, &bought);
            }
            B::ConfirmsTwice => {
                self.confirm(soon, &bought);
                let again = self.soon(at);
                self.confirm(again, &bought);
            }
            B::SomebodyElseConfirms => {
                let friend = Author { user: self.author.user + 1, handle: Arc::from("a_friend") };
                let post = self.post(soon, &[Word::Tag(bought.tags.confirm)]);
                self.say(Post { author: friend, ..post });
            }
            B::ConfirmsAtDeadline => drop(self.confirm(deadline, &bought)),
            B::ConfirmsPastDeadline => drop(self.confirm(deadline + 1, &bought)),
            B::ConfirmsLate => {
                let late = deadline + self.chance.between(1, 3_600_000);
                self.confirm(late, &bought);
            }
            B::NeverConfirms => {}
            _ => drop(self.confirm(soon, &bought)),
        }
    }

    /// The buy is read late, the confirm at once.
    fn confirm_is_read_first(&mut self, at: i64) {
        let (good, tags) = self.good_at(at);
        let buy = self.post(at, &[Word::Tag(tags.buy)]);
        self.orders += 1;
        let late = self.read_late(at, 2_000);
        let bought = Bought { good, tags, id: buy.id, due: late };
        let said = at + self.chance.between(1, (late - at - 1).min(self.desk.known.window));
        let confirm = self.post(said, &[Word::Tag(bought.tags.confirm)]);
        self.say_at(confirm, said);
        self.say_at(buy, bought.due);
    }

    /// When something is read that much later than it was said, or more, but in time.
    fn read_late(&mut self, said: i64, least: i64) -> i64 {
        said + self.chance.between(least, (self.desk.known.lateness * 4 / 5).max(2 * least))
    }

    fn confirms_two(&mut self, at: i64) {
        let first = self.buy(at);
        let then = at + self.chance.between(1, 60_000);
        let second = self.buy(then);
        let said = self.soon(then);
        let post = self.post(said, &[Word::Tag(first.tags.confirm), Word::Tag(second.tags.confirm)]);
        self.say(post);
    }

    /// A retweet or quote of the prompt, as if it had been seen: its id was never told, but it says whose it is.
    fn echo_prompt(&mut self, at: i64, bought: &Bought, quote: bool) {
        let id = self.id(at - 500);
        let to_order = self.chance.below(3) > 0;
        let echoed = Echoed {
            id,
            author: self.desk.known.service.clone(),
            by_service: true,
            reply_to: to_order.then_some(bought.id),
            reply_to_user: Some(self.author.user),
            tags: vec![bought.tags.confirm],
            included: true,
        };
        self.echo(at, echoed, quote, &[]);
    }

    fn echo(&mut self, at: i64, echoed: Echoed, quote: bool, words: &[Word]) {
        let post = if quote { self.post(at, words) } else { self.bare(at) };
        let relation = if quote { Relation::Quote(echoed) } else { Relation::Retweet(echoed) };
        self.say(Post { relation, ..post });
    }

    /// A post without own words.
    fn bare(&mut self, at: i64) -> Post {
        let post = self.post(at, &[]);
        Post { words: Vec::new(), ..post }
    }

    fn react(&mut self, bought: &Bought, how: React) {
        let delay = self.chance.between(1_000, self.desk.known.window * 9 / 10);
        let reaction = Reaction { account: self.number, how, tags: bought.tags, delay };
        self.reactions.expect(bought.id, bought.good, reaction);
    }

    fn buys(&mut self, behaviour: B, at: i64) {
        match behaviour {
            B::BuysSeveral => {
                let goods: Vec<_> = (0..self.chance.between(2, 3)).map(|_| self.good_at(at)).collect();
                let words: Vec<Word> = goods.iter().map(|(_, tags)| Word::Tag(tags.buy)).collect();
                let post = self.post(at, &words);
                self.orders += words.len();
                let id = post.id;
                let due = self.say(post);
                for (good, tags) in goods.into_iter().take(2) {
                    let soon = self.soon(at);
                    self.confirm(soon, &Bought { good, tags, id, due });
                }
            }
            B::BuysAgain => {
                let first = self.buy(at);
                let again = self.soon(at);
                self.buy_good(again, first.good, first.tags);
                let soon = self.soon(at);
                self.confirm(soon, &first);
            }
            B::BuysWithBothTags => {
                let (_, tags) = self.good_at(at);
                let post = self.post(at, &[Word::Tag(tags.confirm), Word::Tag(tags.buy)]);
                self.orders += 1;
                self.say(post);
            }
            B::RetweetsABuy => {
                let (_, tags) = self.good_at(at);
                let echoed = self.of_stranger(at, tags.buy);
                self.echo(at, echoed, false, &[]);
            }
            B::BuysByManualRetweet => {
                let (_, tags) = self.good_at(at);
                let of = Author { user: STRANGER, handle: Arc::from("somebody") };
                let post = self.post(at, &[Word::Tag(tags.buy)]);
                self.orders += 1;
                self.say(Post { relation: Relation::Manual { of, by_service: false }, ..post });
            }
            B::BuysByQuote => {
                let (_, tags) = self.good_at(at);
                let echoed = self.of_stranger(at, tags.buy);
                self.orders += 1;
                self.echo(at, echoed, true, &[Word::Tag(tags.buy)]);
            }
            B::BuysStale => {
                let (_, tags) = self.good_at(at);
                let long_ago = at - self.desk.known.buy_max_age - 3 * 3_600_000;
                let post = self.post(long_ago, &[Word::Tag(tags.buy)]);
                self.orders += 1;
                self.say_at(post, at);
            }
            _ => self.buys_when_not_open(at),
        }
    }

    fn buys_when_not_open(&mut self, at: i64) {
        let (start, end) = (self.desk.plan.start.0 + 60_000, self.desk.plan.start.0 + self.desk.plan.span.0);
        let closed = self.desk.goods.all.iter().enumerate().find_map(|(good, offered)| {
            let early = offered.opens.filter(|opens| *opens > start).map(|opens| (good, start, opens - 1));
            early.or_else(|| offered.closes.filter(|closes| *closes < end).map(|closes| (good, closes + 1, end)))
        });
        let Some((good, from, to)) = closed else {
            self.buy(at);
            return;
        };
        let at = self.chance.between(from, to);
        let tags = self.desk.goods.tags_at(good, at);
        self.buy_good(at, good, tags);
    }

    fn of_stranger(&mut self, at: i64, tag: TagId) -> Echoed {
        Echoed {
            id: self.id(at - 60_000),
            author: Author { user: STRANGER, handle: Arc::from("somebody") },
            by_service: false,
            reply_to: None,
            reply_to_user: None,
            tags: vec![tag],
            included: true,
        }
    }

    fn takes_back(&mut self, behaviour: B, at: i64) {
        match behaviour {
            B::EditAddsTag | B::EditRemovesTag | B::EditKeepsTag => return self.edits(behaviour, at),
            B::CancelIsReadFirst | B::DeletionIsReadFirst => return self.is_taken_back_first(behaviour, at),
            B::DeletesNothing => return self.deletes_nothing(at),
            _ => {}
        }
        let bought = self.buy(at);
        let soon = self.soon(at).max(bought.due);
        match behaviour {
            B::CancelsByTag => {
                let post = self.post(soon, &[Word::Tag(bought.tags.cancel)]);
                self.say(post);
            }
            B::CancelsByWord => {
                let reply = self.reply(soon, &[], None);
                self.say(Post { cancels: true, ..reply });
            }
            B::CancelsPosted => {
                let other = self.buy(at + 1);
                self.react(&bought, React::Cancel);
                let soon = self.soon(at);
                self.confirm(soon, &other);
            }
            B::Freezes => {
                let post = self.post(soon, &[Word::Tag(self.desk.goods.freeze)]);
                self.say(Post { freezes: true, ..post });
                let again = soon + self.chance.between(10_000, 60_000);
                self.buy(again);
                self.begin_again(again);
            }
            B::DeletesConfirm => {
                let confirm = self.confirm(soon, &bought);
                let then = soon + self.chance.between(1_000, 300_000);
                self.delete(confirm, self.author.user, then, then, true);
            }
            B::DeletesWithoutTime => self.delete(bought.id, self.author.user, soon, soon, false),
            B::DeletesVersion => {
                let version = self.edit(soon, &bought, &[Word::Tag(bought.tags.buy)]);
                let then = soon + 30_000;
                self.delete(version, self.author.user, then, then, true);
            }
            _ => self.delete(bought.id, self.author.user, soon, soon, true),
        }
    }

    /// The order is read late, what takes it back at once.
    fn is_taken_back_first(&mut self, behaviour: B, at: i64) {
        let (_, tags) = self.good_at(at);
        let buy = self.post(at, &[Word::Tag(tags.buy)]);
        self.orders += 1;
        let late = self.read_late(at, 2_000);
        let said = at + self.chance.between(1, late - at - 1);
        if behaviour == B::DeletionIsReadFirst {
            self.delete(buy.id, self.author.user, said, said, true);
        } else {
            let cancel = self.post(said, &[Word::Tag(tags.cancel)]);
            self.say_at(cancel, said);
        }
        self.say_at(buy, late);
    }

    /// The order is read late; a confirm or cancel, and an edit of it, before. The first may be from before the order.
    fn edits_early(&mut self, behaviour: B, at: i64) {
        let (_, tags) = self.good_at(at);
        let buy = self.post(at, &[Word::Tag(tags.buy)]);
        self.orders += 1;
        let late = self.read_late(at, 4_000);
        let first = at + self.chance.between(-3_000, (late - at) / 2);
        let then = self.chance.between(first.max(at) + 1, late - 1);
        let other = *self.chance.pick(&[tags, self.desk.goods.all[0].tags[0]]);
        let (tag, more) =
            if behaviour == B::EditsEarlyConfirm { (tags.confirm, other.confirm) } else { (tags.cancel, other.cancel) };
        // What an edit adds may be all that matters.
        let begun = *self.chance.pick(&[Word::Tag(tag), Word::Tag(more), Word::Plain(0)]);
        let post = self.post(first, &[begun]);
        let version = Post { first: post.id, ..self.post(then, &[Word::Tag(tag), Word::Tag(more)]) };
        self.say_at(post, first);
        self.say_at(version, then);
        if self.chance.below(2) == 0 {
            let said = self.chance.between(at, late);
            let early = self.post(said, &[Word::Tag(tags.confirm)]);
            self.say_at(early, said);
        }
        self.say_at(buy, late);
        let soon = self.soon(late);
        let confirm = self.post(soon, &[Word::Tag(tags.confirm)]);
        self.say(confirm);
    }

    fn deletes_nothing(&mut self, at: i64) {
        for user in [self.author.user, self.author.user + 2] {
            let post = self.id(at - 5_000);
            let (timed, jitter) = (self.chance.below(3) > 0, self.chance.between(0, 2_000));
            self.delete(post, user, at, at + jitter, timed);
        }
    }

    fn edits(&mut self, behaviour: B, at: i64) {
        let then = at + self.chance.between(10_000, 200_000);
        if behaviour == B::EditAddsTag {
            let (good, tags) = self.good_at(at);
            let muse = self.post(at, &[Word::Plain(0)]);
            let id = muse.id;
            let due = self.say(muse);
            let first = Bought { good, tags, id, due };
            self.orders += 1;
            let version = self.edit(then, &first, &[Word::Tag(tags.buy)]);
            let soon = self.soon(then);
            self.confirm(soon, &Bought { id: version, ..first });
            return;
        }
        let bought = self.buy(at);
        let kept = [Word::Tag(bought.tags.buy)];
        self.edit(then, &bought, if behaviour == B::EditKeepsTag { &kept } else { &[] });
        let soon = self.soon(then);
        self.confirm(soon, &bought);
    }

    /// A new version of a post, with these words.
    fn edit(&mut self, at: i64, of: &Bought, words: &[Word]) -> u64 {
        let post = Post { first: of.id, ..self.post(at, words) };
        let id = post.id;
        self.say(post);
        id
    }

    fn does_else(&mut self, behaviour: B, at: i64) {
        match behaviour {
            B::WaitsForMany | B::KeepsMuchEarly | B::BuysMuch => return self.does_much(behaviour, at),
            B::NearlySaysIt => return self.nearly_says_it(at),
            B::ConfirmsAndBuys | B::QuotesPostedAndBuys | B::CancelsPostedByTag | B::BuysAndCancels => {
                return self.mixes(behaviour, at);
            }
            B::EditsEarlyConfirm | B::EditsEarlyCancel => return self.edits_early(behaviour, at),
            _ => {}
        }
        let bought = self.buy(at);
        let soon = self.soon(at).max(bought.due);
        match behaviour {
            B::Unlinks => {
                self.unlink(soon, soon);
                self.begin_again(soon);
            }
            B::UnlinksBackdated => {
                self.unlink(at - 1_000, soon);
                self.begin_again(soon);
            }
            B::LosesCard => {
                let status = *self.chance.pick(&[CardStatus::Suspended, CardStatus::Cancelled]);
                self.card(soon, soon, status);
                self.buy(soon + 60_000);
                let back = soon + self.chance.between(120_000, 900_000);
                if self.chance.below(3) > 0 {
                    self.card(back, back, CardStatus::Active);
                }
            }
            B::TakesSecondCard => {
                self.link(soon, soon, "US", "c");
                let confirmed = soon + self.chance.between(1_000, 60_000);
                self.confirm(confirmed, &bought);
            }
            B::ManualRetweetOfAnother => {
                let of = Author { user: STRANGER, handle: Arc::from("somebody") };
                let post = self.post(soon, &[Word::Tag(bought.tags.confirm)]);
                self.say(Post { relation: Relation::Manual { of, by_service: false }, ..post });
            }
            _ => {
                let echoed = Echoed {
                    id: self.id(soon - 60_000),
                    author: self.desk.known.service.clone(),
                    by_service: true,
                    reply_to: Some(self.chance.between(1, i64::MAX) as u64),
                    reply_to_user: Some(STRANGER),
                    tags: vec![bought.tags.confirm],
                    included: true,
                };
                self.echo(soon, echoed, behaviour == B::QuotesPromptOfAnother, &[]);
            }
        }
    }

    /// What meets the limits of an account.
    fn does_much(&mut self, behaviour: B, at: i64) {
        let known = &self.desk.known;
        let (pending, purchases) = (known.pending_max.min(20) + 1, known.purchases_max.min(22) + 2);
        match behaviour {
            B::WaitsForMany => {
                for n in 0..pending as i64 {
                    self.buy(at + n * 1_000);
                }
            }
            B::BuysMuch => {
                for n in 0..purchases as i64 {
                    let bought = self.buy(at + n * 20_000);
                    self.confirm(at + n * 20_000 + 10_000, &bought);
                }
            }
            _ => {
                for n in 0..pending as i64 {
                    let post = self.id(at + n);
                    self.delete(post, self.author.user, at + n, at + n, true);
                }
                self.buy(at + pending as i64 + 1);
            }
        }
    }

    /// Tags that contradict each other, or what the post answers.
    fn mixes(&mut self, behaviour: B, at: i64) {
        let bought = self.buy(at);
        let other = match self.chance.below(3) {
            0 => bought.tags,
            1 => self.good_at(at).1,
            // Of an offer that is withdrawn by now, of one that has other tags, or never known.
            _ => *self.chance.pick(&self.desk.goods.all.iter().flat_map(|good| good.tags).collect::<Vec<_>>()),
        };
        let soon = self.soon(at);
        match behaviour {
            B::ConfirmsAndBuys => {
                let words = [Word::Tag(bought.tags.confirm), Word::Tag(other.buy)];
                let post =
                    if self.chance.below(2) == 0 { self.post(soon, &words) } else { self.reply(soon, &words, None) };
                self.orders += 1;
                self.say(post);
            }
            B::BuysAndCancels => {
                let cancel = self.chance.pick(&[bought.tags, other]).cancel;
                let post = self.post(soon, &[Word::Tag(other.buy), Word::Tag(cancel)]);
                self.orders += 1;
                self.say(post);
            }
            B::QuotesPostedAndBuys => self.react(&bought, React::QuoteAndBuy(other.buy)),
            _ => {
                let second = self.buy(at + 1);
                let tags = *self.chance.pick(&[bought.tags, second.tags, other]);
                self.react(&bought, React::CancelByTag([tags.cancel, other.cancel]));
                self.confirm(soon, &second);
            }
        }
        if self.chance.below(2) == 0 {
            let later = self.soon(soon);
            self.confirm(later, &bought);
        }
    }

    fn nearly_says_it(&mut self, at: i64) {
        let (_, tags) = self.good_at(at);
        let tag = *self.chance.pick(&[tags.buy, tags.confirm, tags.cancel]);
        let near = [*self.chance.pick(&Near::ALL), *self.chance.pick(&Near::ALL)];
        let post = self.post(at, &near.map(|near| Word::Near(near, tag)));
        let service = self.desk.known.service.clone();
        let relation = match self.chance.below(3) {
            0 => Relation::Reply { post: None, to: service },
            _ => Relation::Own,
        };
        self.say(Post { relation, ..post });
    }
}
