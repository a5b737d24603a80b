//! A conversation, told step by step, with what must come of it.

use std::collections::BTreeMap;

use pay_by_tweet::config::OfferSpec;
use serde_json::{Value, json};

use crate::people::{NOISE, SERVICE, User, id_at, ms, rfc};
use crate::shapes::{Original, Post, Shape};

pub const BUY: &str = "Early gift! #BuyAmexGiftCard25";
pub const CONFIRM: &str = "#ConfirmAmexGiftCard25";
pub const CANCEL: &str = "oh no #CancelAmexGiftCard25";

/// Named conversations about one rule.
pub type Table = &'static [(&'static str, fn(&mut Talk))];

#[derive(Clone, Debug)]
pub enum Step {
    /// A record of a post topic: a post or a notice, of this event time. Only these may change places.
    Post {
        place: (String, u32),
        time: i64,
        value: Said,
    },
    /// The same post of somebody who says nothing that matters, in several places, while the step before is read.
    Others {
        places: Vec<(String, u32)>,
        post: Box<Post>,
    },
    /// A record of a side input, or a heartbeat.
    Side {
        topic: String,
        partition: u32,
        key: Option<String>,
        value: Value,
    },
    /// What the gateway did with the first reply of a kind to an account about which nothing was told yet.
    Posted {
        user: User,
        kind: &'static str,
        outcome: Result<u64, &'static str>,
        at: i64,
    },
    /// The virtual clock comes to this time.
    Clock(i64),
    EndOfInput,
}

#[derive(Clone, Debug)]
pub enum Said {
    Post(Box<Post>),
    Raw(Vec<u8>),
}

/// What a conversation is told by, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Talk {
    pub settings: BTreeMap<&'static str, String>,
    pub sources: Vec<(&'static str, &'static str)>,
    /// Partitions that are sources, where it is not partition 0 of each topic.
    pub source_partitions: Option<Vec<(&'static str, u32)>>,
    pub offers: Vec<OfferSpec>,
    pub steps: Vec<Step>,
    pub shapes: Vec<Shape>,
    /// The clock at the start of a conversation on live sources.
    pub live_from: Option<i64>,
    pub expected: Vec<String>,
    /// (topic, fields that some record has); `false`: that none has.
    pub records: Vec<(&'static str, Value, bool)>,
    /// Why another order of reading may change verdicts.
    pub decided_at_once: Option<&'static str>,
    /// Why a record that comes again, long after, may be news.
    pub news_again: Option<&'static str>,
    /// What the gateway tells of a reply is left out where there was no such reply.
    pub may_lack_replies: bool,
    place: (String, u32),
    lateness: i64,
}

impl Talk {
    pub fn new() -> Talk {
        Talk {
            settings: BTreeMap::new(),
            sources: vec![("tweets", "twitter")],
            source_partitions: None,
            offers: vec![gift(), kindle()],
            steps: Vec::new(),
            shapes: Shape::ALL.to_vec(),
            live_from: None,
            expected: Vec::new(),
            records: Vec::new(),
            decided_at_once: None,
            news_again: None,
            may_lack_replies: false,
            place: ("tweets".to_owned(), 0),
            lateness: 5 * 60_000,
        }
    }

    /// How late a post may be read after a newer one of its source.
    pub fn lateness(&self) -> i64 {
        self.lateness
    }

    // Settings.

    pub fn set(&mut self, key: &'static str, toml: &str) {
        self.settings.insert(key, toml.to_owned());
    }

    pub fn lateness_max(&mut self, seconds: i64) {
        self.lateness = seconds * 1000;
        self.set("time.lateness_max", &format!("\"{seconds}s\""));
    }

    pub fn gift(&mut self, change: impl FnOnce(&mut OfferSpec)) {
        change(&mut self.offers[0]);
    }

    pub fn offer(&mut self, change: impl FnOnce(&mut OfferSpec)) {
        let mut offer = gift();
        change(&mut offer);
        self.offers.push(offer);
    }

    pub fn only(&mut self, shapes: &[Shape]) {
        self.shapes = shapes.to_vec();
    }

    /// The sources are live, and the clock begins here.
    pub fn live(&mut self, clock: &str) {
        self.live_from = Some(ms(clock));
        self.settings.entry("time.idle_after").or_insert("\"30s\"".to_owned());
    }

    /// The posts that follow are read from this topic and partition.
    pub fn on(&mut self, topic: &str, partition: u32) {
        self.place = (topic.to_owned(), partition);
    }

    // Links.

    /// Links the user's card on the day before.
    pub fn linked(&mut self, user: User) {
        self.link(user, "11 15:00:00");
    }

    pub fn link(&mut self, user: User, at: &str) {
        self.link_as(user, at, "US", &format!("tok_{}", user.handle));
    }

    pub fn link_as(&mut self, user: User, at: &str, country: &str, card: &str) {
        self.link_to(user, at, country, card, &format!("adr_{}", user.handle));
    }

    pub fn link_to(&mut self, user: User, at: &str, country: &str, card: &str, billing: &str) {
        let email = format!("eml_{}", user.handle);
        self.links(json!({"type": "link", "account": self.account(user), "card": card, "country": country,
            "handle": user.handle, "email_ref": email, "billing_ref": billing, "at": rfc(ms(at))}));
    }

    pub fn unlink(&mut self, user: User, at: &str) {
        self.links(json!({"type": "unlink", "account": self.account(user), "at": rfc(ms(at))}));
    }

    pub fn card(&mut self, user: User, status: &str, at: &str) {
        self.links(json!({"type": "card", "account": self.account(user), "status": status, "at": rfc(ms(at))}));
    }

    fn links(&mut self, value: Value) {
        self.side("accounts.links", None, value);
    }

    fn account(&self, user: User) -> String {
        let network = self.sources.iter().find(|(topic, _)| *topic == self.place.0).map_or("twitter", |(_, n)| n);
        format!("{network}:{}", user.id)
    }

    pub fn side(&mut self, topic: &str, key: Option<&str>, value: Value) {
        let (topic, key) = (topic.to_owned(), key.map(str::to_owned));
        self.steps.push(Step::Side { topic, partition: 0, key, value });
    }

    /// The catalogue's topic gets this version of the offer.
    pub fn publish(&mut self, offer: &OfferSpec) {
        let value = serde_json::to_value(offer).expect("an offer is JSON");
        self.side("offers", Some(&offer.id), value);
    }

    pub fn withdraw(&mut self, id: &str) {
        self.side("offers", Some(id), json!({"id": id, "withdrawn": true}));
    }

    // Posts.

    pub fn put(&mut self, post: Post) -> u64 {
        let id = post.id;
        self.steps.push(Step::Post { place: self.place.clone(), time: post.at, value: Said::Post(Box::new(post)) });
        id
    }

    pub fn post(&mut self, user: User, at: &str, text: &str) -> u64 {
        self.put(said(user, at, text))
    }

    pub fn reply(&mut self, user: User, at: &str, text: &str, to: (u64, User)) -> u64 {
        self.put(Post { reply_to: Some(to), ..said(user, at, text) })
    }

    pub fn retweet(&mut self, user: User, at: &str, of: &Original) -> u64 {
        self.put(Post { retweet_of: Some(of.clone()), ..said(user, at, "") })
    }

    pub fn quote(&mut self, user: User, at: &str, text: &str, of: &Original) -> u64 {
        let text = format!("{text} https://t.co/abcdefghij");
        self.put(Post { quote_of: Some(of.clone()), ..said(user, at, &text) })
    }

    /// A version of a post whose first id is told.
    pub fn edit(&mut self, user: User, at: &str, first_id: u64, text: &str) -> u64 {
        self.put(Post { first_id, ..said(user, at, text) })
    }

    /// The notice that a post is deleted, at a time of its own.
    pub fn delete(&mut self, user: User, at: &str, post: u64) {
        let status =
            json!({"id": post, "id_str": post.to_string(), "user_id": user.id, "user_id_str": user.id.to_string()});
        let notice = json!({"delete": {"status": status, "timestamp_ms": ms(at).to_string()}});
        self.raw(at, notice.to_string().as_bytes());
    }

    /// A notice without time; `at` is only its place among the posts.
    pub fn delete_untimed(&mut self, user: User, at: &str, post: u64) {
        let status =
            json!({"id": post, "id_str": post.to_string(), "user_id": user.id, "user_id_str": user.id.to_string()});
        self.raw(at, json!({"delete": {"status": status}}).to_string().as_bytes());
    }

    pub fn raw(&mut self, at: &str, value: &[u8]) {
        self.steps.push(Step::Post { place: self.place.clone(), time: ms(at), value: Said::Raw(value.to_vec()) });
    }

    pub fn noise(&mut self, at: &str) {
        self.post(NOISE, at, "good night");
    }

    /// Posts of somebody else that bring the watermark to exactly this time.
    pub fn watermark(&mut self, at: &str) {
        let high = ms(at) + self.lateness;
        for time in [high, high + 1000] {
            self.put(Post::new(NOISE, time, id_at(NOISE, time), "good night"));
        }
    }

    /// What brings the watermark past everything that the talk is about.
    pub fn long_after(&self) -> Vec<Step> {
        let mut after = Talk::new();
        after.lateness = self.lateness;
        let first_ones = || self.sources.iter().map(|(topic, _)| (*topic, 0)).collect();
        for (topic, partition) in self.source_partitions.clone().unwrap_or_else(first_ones) {
            after.on(topic, partition);
            after.watermark("16 00:00:00");
        }
        if self.live_from.is_some() { Vec::new() } else { after.steps }
    }

    pub fn heartbeat(&mut self, at: &str) {
        let (topic, partition) = self.place.clone();
        self.steps.push(Step::Side { topic, partition, key: None, value: json!({"heartbeat": {"at": rfc(ms(at))}}) });
    }

    // The gateway.

    /// The prompt as the service's own post: a reply to the order.
    pub fn prompt_of(&self, user: User, order: u64, at: &str) -> Original {
        let at = ms(at);
        Original {
            id: id_at(SERVICE, at),
            author: SERVICE,
            at,
            text: format!("@{} Tweet {CONFIRM} w/in 15 min to buy $25 gift card", user.handle),
            reply_to: Some((order, user)),
            included: true,
        }
    }

    pub fn posted(&mut self, user: User, kind: &'static str, post: &Original, at: &str) {
        self.steps.push(Step::Posted { user, kind, outcome: Ok(post.id), at: ms(at) });
    }

    pub fn failed(&mut self, user: User, kind: &'static str, at: &str) {
        self.steps.push(Step::Posted { user, kind, outcome: Err("blocked"), at: ms(at) });
    }

    pub fn clock(&mut self, at: &str) {
        self.steps.push(Step::Clock(ms(at)));
    }

    pub fn end_of_input(&mut self) {
        self.steps.push(Step::EndOfInput);
    }

    // What must come of it.

    /// All that purchases, ears and purses see, one fact a line.
    pub fn expect(&mut self, lines: &[&str]) {
        self.expected.extend(lines.iter().map(|line| line.to_string()));
    }

    /// The whole of a purchase of the gift card, beside what else is expected.
    pub fn buys_the_gift(&mut self, user: User) {
        let who = user.handle;
        self.expected.push(format!("{who} gift: ordered > prompted > authorized > fulfilled"));
        self.expected.push(format!("{who} hears prompt, purchased"));
        self.expected.push(format!("{who} pays 1500 USD"));
    }

    /// A purchase of the gift card that got its prompt, and no further.
    pub fn waits_for_a_confirm(&mut self, user: User) {
        self.expected.push(format!("{} gift: ordered > prompted", user.handle));
        self.expected.push(format!("{} hears prompt", user.handle));
    }

    /// Some record of the topic has these fields.
    pub fn record(&mut self, topic: &'static str, fields: Value) {
        self.records.push((topic, fields, true));
    }

    pub fn no_record(&mut self, topic: &'static str, fields: Value) {
        self.records.push((topic, fields, false));
    }

    /// When the purchase of the event came to this state.
    pub fn event_at(&mut self, to: &str, at: &str) {
        self.record("purchases.events", json!({"to": to, "at": rfc(ms(at))}));
    }

    /// Another order of reading may change verdicts here, for what is decided at once depends on it.
    pub fn decided_at_once(&mut self, why: &'static str) {
        self.decided_at_once = Some(why);
    }

    /// A record may be news when it comes again at the end, for what it said was forgotten or not understood by then.
    pub fn news_again(&mut self, why: &'static str) {
        self.news_again = Some(why);
    }
}

pub fn said(user: User, at: &str, text: &str) -> Post {
    let at = ms(at);
    Post::new(user, at, id_at(user, at), text)
}

/// The gift card of the contract.
pub fn gift() -> OfferSpec {
    let text = |text: &str| Some(text.to_owned());
    OfferSpec {
        id: "gift".to_owned(),
        kind: text("purchase"),
        buy_tag: text("BuyAmexGiftCard25"),
        confirm_tag: text("ConfirmAmexGiftCard25"),
        cancel_tag: text("CancelAmexGiftCard25"),
        merchant: text("amex"),
        item: text("$25 gift card"),
        price: text("15.00"),
        tax: text("0.00"),
        currency: text("USD"),
        quantity: Some(1000),
        per_account: Some(1),
        opens: text("2013-02-11T05:00:00.000Z"),
        closes: text("2013-03-04T04:59:59.999Z"),
        countries: Some(vec!["US".to_owned()]),
        reply_length: Some(140),
        ..OfferSpec::default()
    }
}

/// Unlimited, for every country.
pub fn kindle() -> OfferSpec {
    let text = |text: &str| Some(text.to_owned());
    OfferSpec {
        id: "kindle".to_owned(),
        kind: text("purchase"),
        buy_tag: text("BuyKindleFireHD"),
        confirm_tag: text("ConfirmKindleFireHD"),
        cancel_tag: text("CancelKindleFireHD"),
        merchant: text("amazon"),
        item: text("Kindle Fire HD"),
        price: text("149.99"),
        tax: text("12.00"),
        currency: text("USD"),
        countries: Some(Vec::new()),
        reply_length: Some(140),
        ..OfferSpec::default()
    }
}
