//! What the catalogue was at each moment, and what a post meant by it. Known from what merchants and people meant:
//! nothing here reads a record.

use std::sync::Arc;

use super::goods::{Goods, OfferTags, TagId};
use super::post::{Echoed, Post, Relation};
use crate::config::OfferSpec;
use crate::domain::{Echo, PostForm, PostId, PostIntent, Tag, Terms, Time};

/// Every state that the `offers` topic has been in.
pub(super) struct Catalogue {
    states: Vec<State>,
    /// From which state on a tag is known, by its kind and id: what was ever published stays known.
    known: [Vec<u32>; 3],
}

struct State {
    /// When the record that made it was appended.
    since: i64,
    /// In order of ids.
    listed: Vec<Listed>,
}

#[derive(Clone)]
struct Listed {
    terms: Arc<Terms>,
    buy: TagId,
    /// By which version, if by one.
    withdrawn: Option<u64>,
    /// Its version is that of the record which seeded the topic: read off the first order.
    version_unknown: bool,
}

/// What is known of a tag once it was published.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Buy,
    Confirm,
    Cancel,
}

const NEVER: u32 = u32::MAX;

impl Catalogue {
    pub fn new(goods: &Goods) -> Catalogue {
        let unknown = || vec![NEVER; goods.tags.len()];
        let first = State { since: i64::MIN, listed: Vec::new() };
        let mut catalogue = Catalogue { states: vec![first], known: [unknown(), unknown(), unknown()] };
        for good in goods.all.iter().filter(|good| good.seeded) {
            let Ok(offer) = good.spec.clone().into_offer(0) else { continue };
            catalogue.know(good.tags[0], 0);
            catalogue.put(Listed {
                terms: Arc::new(offer.terms),
                buy: good.tags[0].buy,
                withdrawn: None,
                version_unknown: true,
            });
        }
        catalogue
    }

    pub fn newest(&self) -> usize {
        self.states.len() - 1
    }

    /// The oldest state by which a screen may judge what is appended now: it follows the topic before every poll, and a
    /// look at the topic may fail for a while.
    pub fn oldest_at(&self, now: i64, lag_max: i64) -> usize {
        self.states.iter().rposition(|state| state.since <= now.saturating_sub(lag_max)).unwrap_or(0)
    }

    /// A record of the topic of this version: an offer as it is from now on.
    pub fn publish(&mut self, spec: &OfferSpec, tags: OfferTags, version: u64, now: i64) {
        let Ok(offer) = spec.clone().into_offer(version) else { return };
        self.next_state(now);
        self.know(tags, self.newest() as u32);
        let terms = Arc::new(offer.terms);
        let known = self.listed(&terms.offer).map(|known| (&known.terms, known.withdrawn, known.version_unknown));
        let is_older = known.is_some_and(|(known, _, seeded)| !seeded && known.version > version);
        let withdrawn = known.and_then(|(_, withdrawn, _)| withdrawn).filter(|later| *later > version);
        if !is_older {
            self.put(Listed { terms, buy: tags.buy, withdrawn, version_unknown: false });
        }
    }

    pub fn withdraw(&mut self, id: &str, version: u64, now: i64) {
        self.next_state(now);
        if let Some(listed) = self.listed(id).filter(|listed| listed.version_unknown || listed.terms.version < version)
        {
            listed.withdrawn = listed.withdrawn.max(Some(version));
        }
    }

    /// An offer as it is by the newest state.
    fn listed(&mut self, id: &str) -> Option<&mut Listed> {
        self.states.last_mut()?.listed.iter_mut().find(|listed| listed.terms.offer == id)
    }

    /// Whether a post can become nothing by this state.
    pub fn may_be_silent(&self, post: &Post, state: usize) -> bool {
        let own = match &post.relation {
            Relation::Retweet(echoed) => return !shows_a_prompt(echoed),
            Relation::Quote(echoed) => !shows_a_prompt(echoed),
            Relation::Own | Relation::Reply { .. } | Relation::Manual { .. } => true,
        };
        let speaks = post.cancels
            || post.freezes
            || post.tags().any(|tag| self.order_of(tag, Time(post.time()), state).is_some())
            || post.tags().any(|tag| self.is(Kind::Cancel, tag, state))
            || post.tags().any(|tag| self.is(Kind::Confirm, tag, state));
        own && !speaks
    }

    /// What is wrong with an intent for this post; an order of a seeded offer tells the version that it has.
    pub fn judge(&mut self, post: &Post, state: usize, intent: &PostIntent, goods: &Goods) -> Result<(), &'static str> {
        let time = Time(post.time());
        let head = (PostId(post.id), PostId(post.first), time);
        if (intent.id, intent.first_id, intent.time) != head {
            return Err("id, first_id or time");
        }
        let handle = Some(&*post.author.handle).filter(|_| !post.unnamed);
        if intent.handle.as_deref() != handle || intent.in_reply_to != answered(post) {
            return Err("handle or in_reply_to");
        }
        if intent.form != self.form_of(post, state, goods) {
            return Err("form");
        }
        let retweet = matches!(post.relation, Relation::Retweet(_));
        let said = |said: bool| said && !retweet;
        if (intent.cancel_word, intent.freeze) != (said(post.cancels), said(post.freezes)) {
            return Err("cancel_word or freeze");
        }
        let cancels = post.tags().filter(|tag| said(self.is(Kind::Cancel, *tag, state)));
        if !same_tags(&intent.cancel_tags, cancels, goods) {
            return Err("cancel_tags");
        }
        if intent.buys != said(post.tags().any(|tag| self.is(Kind::Buy, tag, state))) {
            return Err("buys");
        }
        let confirms = post.tags().filter(|tag| said(self.is(Kind::Confirm, *tag, state)));
        if !same_tags(&intent.confirm_tags, confirms, goods) {
            return Err("confirm_tags");
        }
        let orders = if retweet { Vec::new() } else { self.orders(post, state) };
        if orders.len() != intent.orders.len() {
            return Err("orders");
        }
        for (place, terms) in orders.into_iter().zip(&intent.orders) {
            if !self.is_listed(state, place, terms) {
                return Err("the terms of an order");
            }
        }
        Ok(())
    }

    fn know(&mut self, tags: OfferTags, state: u32) {
        for (kind, tag) in [(Kind::Buy, tags.buy), (Kind::Confirm, tags.confirm), (Kind::Cancel, tags.cancel)] {
            let known = &mut self.known[kind as usize][usize::from(tag.0)];
            *known = (*known).min(state);
        }
    }

    fn is(&self, kind: Kind, tag: TagId, state: usize) -> bool {
        self.known[kind as usize][usize::from(tag.0)] as usize <= state
    }

    fn next_state(&mut self, since: i64) {
        let listed = self.states.last().map(|state| state.listed.clone()).unwrap_or_default();
        self.states.push(State { since, listed });
    }

    fn put(&mut self, new: Listed) {
        let Some(state) = self.states.last_mut() else { return };
        match state.listed.binary_search_by(|listed| listed.terms.offer.cmp(&new.terms.offer)) {
            Ok(place) => state.listed[place] = new,
            Err(place) => state.listed.insert(place, new),
        }
    }

    /// The place of the offer that a buy tag orders: of those that share it the one that is open.
    fn order_of(&self, tag: TagId, time: Time, state: usize) -> Option<usize> {
        let listed = &self.states[state].listed;
        let of_tag = |place: &usize| listed[*place].buy == tag && listed[*place].withdrawn.is_none();
        let is_open = |place: &usize| listed[*place].terms.is_open_at(time);
        let mut all = (0..listed.len()).filter(of_tag);
        all.clone().find(is_open).or_else(|| all.next())
    }

    fn orders(&self, post: &Post, state: usize) -> Vec<usize> {
        let time = Time(post.time());
        let mut orders: Vec<usize> = post.tags().filter_map(|tag| self.order_of(tag, time, state)).collect();
        orders.sort_unstable();
        orders.dedup();
        orders
    }

    fn form_of(&self, post: &Post, state: usize, goods: &Goods) -> PostForm {
        let echo = |echoed: &Echoed| {
            let known = echoed.tags.iter().filter(|tag| echoed.included && self.is(Kind::Confirm, **tag, state));
            Echo {
                id: Some(PostId(echoed.id)),
                by_service: echoed.by_service && echoed.included,
                in_reply_to: echoed.reply_to.filter(|_| echoed.included).map(PostId),
                in_reply_to_user: echoed.reply_to_user.filter(|_| echoed.included),
                confirm_tags: known.map(|tag| goods.text(*tag).folded.clone()).collect(),
            }
        };
        match &post.relation {
            Relation::Own | Relation::Reply { .. } => PostForm::Own,
            Relation::Manual { by_service: true, .. } => PostForm::ManualRetweetOfService,
            Relation::Manual { .. } => PostForm::ManualRetweet,
            Relation::Retweet(echoed) => PostForm::Retweet(echo(echoed)),
            Relation::Quote(echoed) => PostForm::Quote(echo(echoed)),
        }
    }

    fn is_listed(&mut self, state: usize, place: usize, terms: &Arc<Terms>) -> bool {
        let listed = &self.states[state].listed[place];
        if listed.version_unknown && listed.terms.offer == terms.offer {
            self.learn(&terms.offer, terms.version);
        }
        *self.states[state].listed[place].terms == **terms
    }

    fn learn(&mut self, offer: &str, version: u64) {
        for state in &mut self.states {
            let unknown = |listed: &&mut Listed| listed.version_unknown && listed.terms.offer == offer;
            if let Some(listed) = state.listed.iter_mut().find(unknown) {
                listed.terms = Arc::new(Terms { version, ..(*listed.terms).clone() });
                listed.version_unknown = false;
            }
        }
    }
}

/// Whether an account must be shown what was retweeted or quoted: it may be its own prompt.
fn shows_a_prompt(echoed: &Echoed) -> bool {
    let answers = echoed.reply_to.is_some() || echoed.reply_to_user.is_some();
    echoed.by_service && (answers || !echoed.included)
}

/// The post that it replies to.
fn answered(post: &Post) -> Option<PostId> {
    match &post.relation {
        Relation::Reply { post, .. } => post.map(PostId),
        _ => None,
    }
}

/// Each tag once, in their order.
fn same_tags(told: &[Tag], meant: impl Iterator<Item = TagId>, goods: &Goods) -> bool {
    let mut distinct: Vec<TagId> = Vec::new();
    for tag in meant {
        if !distinct.contains(&tag) {
            distinct.push(tag);
        }
    }
    distinct.len() == told.len() && distinct.iter().zip(told).all(|(tag, told)| goods.text(*tag).folded == *told)
}
