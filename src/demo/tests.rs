//! The demo against a service that knows the simplest rules only: what it does right must count as right, and each of
//! its mistakes must be named.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::bus::headers::Headers;
use crate::bus::*;
use crate::domain::{Currency, Money, Offer, OfferKind, Tag, Terms};

type Log = Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>;

/// A log of one partition a topic, in memory.
#[derive(Clone, Default)]
struct MemoryBus(Log);

struct Producer(Log, Vec<(String, Vec<u8>)>);

impl Bus for MemoryBus {
    fn worker(&self, spec: WorkerSpec) -> Result<Box<dyn BusWorker>, BusError> {
        assert!(spec.topics.is_empty());
        Ok(Box::new(Producer(self.0.clone(), Vec::new())))
    }
    fn reader(&self) -> Result<Box<dyn Reader>, BusError> {
        Ok(Box::new(self.clone()))
    }
    fn partitions(&self, _: &str) -> Result<u32, BusError> {
        Ok(1)
    }
    fn position(&self, _: &str, _: &TopicPartition) -> Result<Option<Position>, BusError> {
        Ok(None)
    }
}

impl Reader for MemoryBus {
    fn beginning(&mut self, _: &TopicPartition) -> Result<u64, BusError> {
        Ok(0)
    }
    fn end(&mut self, at: &TopicPartition) -> Result<u64, BusError> {
        Ok(self.0.lock().unwrap().get(&*at.topic).map_or(0, |topic| topic.len() as u64))
    }
    fn read(
        &mut self,
        at: &TopicPartition,
        from: u64,
        _: Budget,
        visit: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<u64, BusError> {
        let log = self.0.lock().unwrap();
        let values = log.get(&*at.topic).map_or(&[][..], |topic| &topic[from as usize..]);
        for (offset, value) in (from..).zip(values) {
            visit(RecordRef {
                offset,
                timestamp: Time(0),
                key: None,
                value: Some(value),
                headers: Headers::decoded(&[]),
            });
        }
        Ok(from + values.len() as u64)
    }
}

impl BusWorker for Producer {
    fn poll(
        &mut self,
        _: Budget,
        _: Duration,
        _: &mut dyn FnMut(&TopicPartition, RecordRef<'_>),
    ) -> Result<Polled, BusError> {
        Ok(Polled::Idle)
    }
    fn resume_at(&mut self, _: &[(TopicPartition, u64)]) -> Result<(), BusError> {
        Ok(())
    }
    fn pause(&mut self, _: &[TopicPartition]) -> Result<(), BusError> {
        Ok(())
    }
    fn at_end(&self, _: &TopicPartition) -> bool {
        true
    }
    fn log_clock(&self) -> LogClock {
        LogClock::Ours
    }

    fn release(&mut self) -> Result<(), BusError> {
        Ok(())
    }
    fn send(&mut self, record: &OutRecord) -> Result<(), BusError> {
        self.1.push((record.topic.to_string(), record.value.clone().unwrap()));
        Ok(())
    }
    fn start_commit(&mut self, _: &[(TopicPartition, Position)]) -> Result<(), BusError> {
        let mut log = self.0.lock().unwrap();
        for (topic, value) in self.1.drain(..) {
            log.entry(topic).or_default().push(value);
        }
        Ok(())
    }
    fn poll_commit(&mut self, _: Duration) -> CommitState {
        CommitState::Committed
    }
    fn abort(&mut self) -> Result<CommitState, BusError> {
        self.1.clear();
        Ok(CommitState::Aborted)
    }
    fn recover(&mut self) -> Result<(), BusError> {
        Ok(())
    }
}

/// Prompts every own buy of who is linked, and takes every own confirm tag for a confirm. It knows nothing else.
#[derive(Default)]
struct Simple {
    bus: MemoryBus,
    clock: VirtualClock,
    state: Mutex<State>,
    pays_twice: bool,
    stops: bool,
}

#[derive(Default)]
struct State {
    read: HashMap<&'static str, usize>,
    linked: HashMap<String, (String, String)>,
    /// (account, offer) to purchase.
    waiting: HashMap<(String, String), String>,
    purchases: u64,
}

const OFFERS: [(&str, &str, &str); 3] = [
    ("mug", "BuyMug", "ConfirmMug"),
    ("demo-front-row-seat", "BuyFrontRowSeat", "ConfirmFrontRowSeat"),
    ("demo-signed-poster", "BuySignedPoster", "ConfirmSignedPoster"),
];

impl Simple {
    fn step(&self) {
        let mut state = self.state.lock().unwrap();
        for topic in ["accounts.links", "tweets"] {
            let read = state.read.entry(topic).or_default();
            let values = self.bus.0.lock().unwrap().get(topic).map_or(Vec::new(), |all| all[*read..].to_vec());
            *read += values.len();
            for value in values.iter().filter(|value| !value.trim_ascii().is_empty()) {
                let record: Value = serde_json::from_slice(value).unwrap();
                if topic == "tweets" { self.tweet(&mut state, &record) } else { link(&mut state, &record) }
            }
        }
    }

    fn tweet(&self, state: &mut State, record: &Value) {
        let Some((id, user, tags)) = own_words(record) else { return };
        let account = format!("twitter:{user}");
        let Some((card, address)) = state.linked.get(&account).cloned() else { return };
        for (offer, buy, confirm) in OFFERS {
            let key = (account.clone(), offer.to_owned());
            if tags.contains(&buy.to_lowercase()) && !state.waiting.contains_key(&key) {
                state.purchases += 1;
                let purchase = format!("p{}", state.purchases);
                self.event(&account, &purchase, offer, None, "ordered", &id);
                self.event(&account, &purchase, offer, Some("ordered"), "prompted", &id);
                self.reply(&account, "prompt", offer, &id, &format!("Tweet #{confirm} {purchase}"));
                state.waiting.insert(key, purchase);
            } else if tags.contains(&confirm.to_lowercase())
                && let Some(purchase) = state.waiting.remove(&key)
            {
                self.event(&account, &purchase, offer, Some("prompted"), "authorized", &id);
                let minor = match offer {
                    "mug" => 1200,
                    "demo-front-row-seat" => 9900,
                    _ => 4250,
                };
                let payment = json!({"purchase": purchase, "account": account, "card": card,
                    "amount": {"minor": minor, "currency": "USD"}});
                for _ in 0..if self.pays_twice { 2 } else { 1 } {
                    self.put("payments.authorized", &payment);
                }
                self.put("fulfilment.orders", &json!({"purchase": purchase, "ship_to": address}));
                self.event(&account, &purchase, offer, Some("authorized"), "fulfilled", &id);
                self.reply(&account, "purchased", offer, &id, &format!("Thanks {purchase}"));
            }
        }
    }

    fn event(&self, account: &str, purchase: &str, offer: &str, from: Option<&str>, to: &str, post: &str) {
        let value = json!({"purchase": purchase, "account": account, "offer": offer, "from": from, "to": to,
            "reason": null, "post": post});
        self.put("purchases.events", &value);
    }

    fn reply(&self, account: &str, kind: &str, offer: &str, to: &str, text: &str) {
        let value = json!({"reply": text, "kind": kind, "account": account, "handle": "somebody", "in_reply_to": to,
            "text": format!("@somebody {text}"), "offer": offer});
        self.put("replies", &value);
    }

    fn put(&self, topic: &str, value: &Value) {
        self.bus.0.lock().unwrap().entry(topic.to_owned()).or_default().push(value.to_string().into_bytes());
    }
}

fn link(state: &mut State, record: &Value) {
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    if record["type"] == "link" {
        state.linked.insert(text("account"), (text("card"), text("billing_ref")));
    }
}

/// (id, user, folded tags) of a post that is no retweet or quote.
fn own_words(record: &Value) -> Option<(String, String, HashSet<String>)> {
    let (id, user, entities) = match record.get("data") {
        Some(data) => {
            let kind = &data["referenced_tweets"][0]["type"];
            let entities = data.get("note_tweet").unwrap_or(data).get("entities");
            if kind == "retweeted" || kind == "quoted" {
                return None;
            }
            (&data["edit_history_tweet_ids"][0], &data["author_id"], entities)
        }
        None => {
            let entities = record.get("extended_tweet").unwrap_or(record).get("entities");
            if record.get("retweeted_status").is_some() || record["is_quote_status"] == true {
                return None;
            }
            let id = record.get("edit_history").map_or(&record["id_str"], |history| &history["initial_tweet_id"]);
            (id, &record["user"]["id_str"], entities)
        }
    };
    let tags = entities.and_then(|entities| entities["hashtags"].as_array()).into_iter().flatten();
    let tags = tags.filter_map(|tag| tag["text"].as_str().or(tag["tag"].as_str())).map(str::to_lowercase);
    Some((id.as_str()?.to_owned(), user.as_str()?.to_owned(), tags.collect()))
}

impl Service for Simple {
    fn bus(&self) -> &dyn Bus {
        &self.bus
    }
    fn clock(&self) -> &VirtualClock {
        &self.clock
    }
    fn drained(&self) -> bool {
        self.step();
        true
    }
    fn pending(&self) -> usize {
        0
    }
    fn stopped(&self) -> bool {
        self.stops
    }
}

fn mug() -> Arc<Offer> {
    let terms = Terms {
        offer: "mug".to_owned(),
        version: 0,
        kind: OfferKind::Purchase,
        buy_tag: "BuyMug".to_owned(),
        confirm_tag: "ConfirmMug".to_owned(),
        cancel_tag: Some("CancelMug".to_owned()),
        buy: Tag("buymug".to_owned()),
        confirm: Tag("confirmmug".to_owned()),
        cancel: Some(Tag("cancelmug".to_owned())),
        merchant: "pottery".to_owned(),
        item: "Mug".to_owned(),
        amount: Money { minor: 1200, currency: Currency::USD },
        exponent: 2,
        limited: false,
        per_account: 1,
        opens: None,
        closes: None,
        countries: vec!["US".to_owned()],
        terms_url: None,
        reply_length: 140,
    };
    Arc::new(Offer { terms, quantity: None, waitlist_max: 0, withdrawn: false, credit: None, codes: Vec::new() })
}

/// One round of every behaviour, without time to stream.
fn demo(service: &Simple, seed: u64) -> Report {
    service.clock.set(Time(1_760_000_000_000));
    let options = DemoOptions { wall: Some(Duration::ZERO), seed, ..DemoOptions::default() };
    run(service, &options, &[mug()], &mut |_| ()).unwrap()
}

fn row<'a>(report: &'a Report, behaviour: &str) -> &'a Row {
    report.rows.iter().find(|row| row.behaviour == behaviour).unwrap_or_else(|| panic!("no {behaviour}: {report}"))
}

#[test]
fn what_comes_right_counts_and_what_does_not_is_named() {
    let report = demo(&Simple::default(), 1);
    for right in
        ["confirms by the bare tag", "confirms by reply", "confirms by manual retweet", "adds the tag by an edit"]
    {
        let row = row(&report, right);
        assert!(row.count > 0 && row.count == row.as_expected, "{right}: {report}");
        assert!(!report.deviations.iter().any(|d| d.conversation.contains(&format!("who {right}"))), "{report}");
    }
    assert!(report.payments > 4 && report.payments == report.orders && !report.is_as_scripted());
    let named = |conversation: &str, expected: &str, came: &str| {
        let is = |d: &&Deviation| {
            d.conversation.contains(conversation) && d.expected.contains(expected) && d.came.contains(came)
        };
        assert!(report.deviations.iter().any(|d| is(&d)), "no {conversation}, {expected}, {came} in {report}");
    };
    named("who never confirms, post", "expired", "prompted");
    named("who never confirms", "a reply \"expired\"", "nothing within");
    named("who buys twice", "rejected (duplicate)", "no event at all");
    named("who deletes the order", "cancelled (deleted)", "prompted");
    named("who confirms late", "expired, confirm rejected (late)", "fulfilled, 1 payments, 1 orders");
    named("who has a suspended card", "rejected (card_not_active)", "prompted");
    named("who jokes by manual retweet", "rejected (manual_retweet)", "prompted");
    named("the race for #BuyFrontRowSeat", "5 units", "units sold");
    let text = report.to_string();
    assert!(text.contains("deviations:") && text.contains("revenue") && text.contains("all conversations"));
}

#[test]
fn paying_twice_is_noticed() {
    let report = demo(&Simple { pays_twice: true, ..Simple::default() }, 2);
    assert_eq!(row(&report, "confirms by the bare tag").as_expected, 0);
    let came = |text: &str| report.deviations.iter().any(|d| d.came.contains(text));
    assert!(came("2 payments, 1 orders") && report.deviations.iter().any(|d| d.conversation == "the sums"), "{report}");
}

#[test]
fn a_stop_ends_it_unjudged() {
    let report = demo(&Simple { stops: true, ..Simple::default() }, 3);
    assert!(report.stopped && !report.is_as_scripted() && report.deviations.is_empty());
}

#[test]
fn who_plays_for_a_while_is_told_how_it_went() {
    let options = DemoOptions { wall: Some(Duration::ZERO), plays: true, ..DemoOptions::default() };
    let (_page, desk) = desk(crate::http::Events::default());
    let played = |service: &Simple| {
        service.clock.set(Time(1_760_000_000_000));
        play(service, &options, &[mug()], &desk, &mut |_| ()).unwrap()
    };
    let report = played(&Simple::default()).expect("its time is over");
    assert!(report.payments > 4 && row(&report, "confirms by the bare tag").count > 0 && !report.stopped, "{report}");
    assert!(played(&Simple { stops: true, ..Simple::default() }).is_none(), "whoever stops it wants no table");
}

#[test]
fn the_page_is_told_the_windows() {
    let options = DemoOptions {
        wall: Some(Duration::from_secs(1)),
        plays: true,
        confirm_window: Span::of_mins(4),
        reply_grace: Span::of_secs(30),
        lateness_max: Span::of_secs(42),
        ..DemoOptions::default()
    };
    let (page, desk) = desk(crate::http::Events::default());
    let service = Simple::default();
    service.clock.set(Time(1_760_000_000_000));
    let state = std::thread::scope(|scope| {
        let asked = scope.spawn(|| page.state());
        play(&service, &options, &[mug()], &desk, &mut |_| ()).unwrap();
        asked.join().unwrap().unwrap()
    });
    let windows = ["confirm_window_ms", "reply_grace_ms", "lateness_max_ms"].map(|name| state[name].as_i64());
    assert_eq!(windows, [Some(240_000), Some(30_000), Some(42_000)]);
}

#[test]
fn what_a_player_buys_is_no_deviation() {
    let mut ledger = ledger::Ledger::default();
    let event =
        json!({"purchase": "p", "account": "twitter:7", "offer": "mug", "from": null, "to": "ordered", "post": "70"});
    ledger.take("purchases.events", &event);
    assert_eq!(ledger.judge().1.len(), 1);
    ledger.player(AccountId { network: Network::TWITTER, user: 7 });
    assert_eq!(ledger.judge().1, []);
}

#[test]
fn a_seed_gives_one_stream() {
    let stream = |seed| {
        let service = Simple::default();
        demo(&service, seed);
        let log = service.bus.0.lock().unwrap();
        log["tweets"].clone()
    };
    assert!(stream(4) == stream(4));
    assert!(stream(4) != stream(5));
}
