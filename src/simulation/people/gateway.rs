//! The gateway: posts replies, tells what became of them, and wakes whoever waits for a prompt.

use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::behaviour::Behaviour;
use super::chance::{Chance, mixed};
use super::desk::{Desk, Into, Planned, What};
use super::goods::{OfferTags, TagId};
use super::post::{Author, Echoed, Post, Relation, Word, snowflake};
use super::script::{author_of, number_of};
use crate::domain::{AccountId, PostId, PromptFate, Time};
use crate::wire::uuids;

/// Marks the service among those who write posts.
const SERVICE_WRITER: u64 = 0x200;

/// Serials of posts that react to prompts lie above those of scripts.
const FIRST_REACTION: u64 = 0x800;

const LATE_MS: (i64, i64) = (60_000, 5_400_000);
const USUAL_MS: (i64, i64) = (200, 4_000);

/// What somebody does on seeing the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum React {
    Retweet,
    Quote,
    Reply,
    /// The bare tag when the window ends that began as the prompt appeared, or just past that.
    Edge {
        past: bool,
    },
    /// "cancel", in reply.
    Cancel,
    /// A quote with a buy tag.
    QuoteAndBuy(TagId),
    /// Cancel tags, in reply.
    CancelByTag([TagId; 2]),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reaction {
    pub account: u64,
    pub how: React,
    pub tags: OfferTags,
    /// From the prompt on.
    pub delay: i64,
}

/// Who waits for which prompt: by the order's post, then by offer.
#[derive(Default)]
pub(super) struct Reactions {
    by_order: FxHashMap<u64, Vec<(usize, Reaction)>>,
    serials: FxHashMap<u64, u64>,
    seen: u64,
}

#[derive(Deserialize)]
struct Reply<'a> {
    reply: &'a str,
    kind: &'a str,
    account: Option<&'a str>,
    in_reply_to: Option<&'a str>,
    offer: Option<&'a str>,
}

impl Reactions {
    pub fn expect(&mut self, order: u64, good: usize, reaction: Reaction) {
        self.by_order.entry(order).or_default().push((good, reaction));
    }

    fn take(&mut self, order: u64, good: usize) -> Option<Reaction> {
        let waiting = self.by_order.get_mut(&order)?;
        let place = waiting.iter().position(|(offered, _)| *offered == good)?;
        Some(waiting.swap_remove(place).1)
    }

    fn serial(&mut self, writer: u64, first: u64) -> u64 {
        let serial = self.serials.entry(writer).or_insert(first);
        *serial += 1;
        *serial
    }

    /// Takes a record of `replies`.
    pub fn see(&mut self, now: i64, value: &[u8], desk: &mut Desk) {
        let Ok(reply) = serde_json::from_slice::<Reply<'_>>(value) else { return };
        let (Some(account), Some(id)) = (reply.account.and_then(AccountId::parse), uuids::parse(reply.reply)) else {
            return;
        };
        // By the reply's own id: neither other replies nor the order of their coming change what becomes of it.
        let key = u64::from_le_bytes(id.0[..8].try_into().expect("a UUID has 16 bytes"));
        let mut chance = Chance::new(mixed(desk.plan.seed, 4), key);
        let plan = desk.plan.gateway;
        let prompt = reply.kind == "prompt";
        if chance.per_mille(plan.never) {
            return desk.count(Behaviour::PostedNever);
        }
        let late = chance.per_mille(plan.late);
        let (least, most) = if late { LATE_MS } else { USUAL_MS };
        let at = now + chance.between(least, most);
        let failed = chance.per_mille(plan.failed);
        let outcome = if failed {
            desk.count(if prompt { Behaviour::PromptFails } else { Behaviour::ReplyFails });
            Err("blocked".to_owned())
        } else {
            let writer = SERVICE_WRITER | number_of(account.user).unwrap_or(0x1ff) & 0x1ff;
            Ok(PostId(snowflake(at, writer, self.serial(writer, 0))))
        };
        let post = outcome.as_ref().ok().map(|post: &PostId| post.0);
        let fate = PromptFate { reply: id, at: Time(at), outcome };
        let told = at + chance.between(0, 1_000);
        let side = chance.below(desk.known.partitions as usize) as u32;
        let planned = Planned { into: Into::Posted, partition: side, what: What::Posted(account, fate) };
        let order = self.order();
        if plan.elsewhere > 0 {
            self.tell_otherwise(&planned, told, key, desk);
        }
        let index = desk.note(told, order, planned);
        if chance.per_mille(plan.twice) {
            desk.count(Behaviour::PostedTwice);
            desk.again(told + chance.between(1, 600_000), order, index);
        }
        if late {
            desk.count(Behaviour::PostedLate);
        }
        let Some(post) = post else { return };
        let to = reply.in_reply_to.and_then(|id| id.parse().ok());
        let good = reply.offer.and_then(|offer| desk.goods.all.iter().position(|good| good.spec.id == offer));
        if chance.per_mille(plan.streamed) {
            self.stream(post, account, to, good, &mut chance, desk);
        }
        if let (true, Some(order), Some(good)) = (prompt, to, good)
            && let Some(reaction) = self.take(order, good)
        {
            self.react(&reaction, post, order, at, &mut chance, desk);
        }
    }

    /// A gateway that forgot what it did posts a reply again, elsewhere and later. By chance of its own.
    fn tell_otherwise(&mut self, planned: &Planned, told: i64, key: u64, desk: &mut Desk) {
        let What::Posted(account, fate) = &planned.what else { return };
        let mut chance = Chance::new(mixed(desk.plan.seed, 8), key);
        let Ok(post) = fate.outcome else { return };
        if !chance.per_mille(desk.plan.gateway.elsewhere) {
            return;
        }
        let later = chance.between(1, 600_000);
        let outcome = match chance.below(3) {
            0 => Ok(post),
            1 => Ok(PostId(post.0 ^ 1 << 62)),
            _ => Err("blocked".to_owned()),
        };
        let fate = PromptFate { at: Time(fate.at.0 + later), outcome, ..fate.clone() };
        desk.count(Behaviour::PostedElsewhere);
        let order = self.order();
        desk.note(told + later, order, Planned { what: What::Posted(*account, fate), ..*planned });
    }

    fn order(&mut self) -> u64 {
        self.seen += 1;
        (2 << 40) | self.seen
    }

    /// The service's own words come back in the stream, and mean nothing.
    fn stream(
        &mut self,
        id: u64,
        account: AccountId,
        to: Option<u64>,
        good: Option<usize>,
        chance: &mut Chance,
        desk: &mut Desk,
    ) {
        desk.count(Behaviour::ServiceSpeaks);
        let handle = std::sync::Arc::from("you");
        let words = good.map(|good| Word::Tag(desk.goods.all[good].tags[0].confirm)).into_iter().collect();
        let relation = Relation::Reply { post: to, to: Author { user: account.user, handle } };
        let post = Post { relation, ..Post::new(id, &desk.known.service, words) };
        let due = post.time() + chance.between(0, desk.plan.disorder.0.min(desk.known.lateness * 4 / 5));
        let partition = desk.partition(desk.known.service.user, chance);
        let order = self.order();
        desk.note(due, order, Planned { into: Into::Posts, partition, what: What::Post(Box::new(post)) });
    }

    fn react(&mut self, how: &Reaction, prompt: u64, order: u64, posted: i64, chance: &mut Chance, desk: &mut Desk) {
        let author = author_of(how.account);
        let at = match how.how {
            React::Edge { past } => posted + desk.known.window + i64::from(past),
            _ => posted + how.delay,
        };
        let id = snowflake(at, how.account, self.serial(how.account, FIRST_REACTION));
        let tag = Word::Tag(how.tags.confirm);
        let mut post = Post::new(id, &author, Vec::new());
        post.v2 = chance.per_mille(desk.plan.v2);
        let echoed = Echoed {
            id: prompt,
            author: desk.known.service.clone(),
            by_service: true,
            reply_to: Some(order),
            reply_to_user: Some(author.user),
            tags: vec![how.tags.confirm],
            included: !post.v2 || chance.below(2) == 0,
        };
        match how.how {
            React::Retweet => post.relation = Relation::Retweet(echoed),
            React::Quote => {
                post.words = vec![Word::Plain(5)];
                post.relation = Relation::Quote(echoed);
            }
            React::Reply => {
                post.words = vec![tag];
                post.relation = Relation::Reply { post: Some(prompt), to: desk.known.service.clone() };
            }
            React::Edge { .. } => post.words = vec![tag],
            React::Cancel => {
                post.cancels = true;
                post.relation = Relation::Reply { post: Some(prompt), to: desk.known.service.clone() };
            }
            React::QuoteAndBuy(buy) => {
                post.words = vec![Word::Tag(buy)];
                post.relation = Relation::Quote(echoed);
            }
            React::CancelByTag(tags) => {
                post.words = tags.map(Word::Tag).into();
                post.relation = Relation::Reply { post: Some(prompt), to: desk.known.service.clone() };
            }
        }
        let due = at + chance.between(0, desk.plan.disorder.0.min(desk.known.lateness * 4 / 5));
        let partition = desk.partition(author.user, chance);
        let order = self.order();
        desk.note(due, order, Planned { into: Into::Posts, partition, what: What::Post(Box::new(post)) });
    }
}
