//! What holds of every outcome, whatever was said.

use std::collections::{BTreeMap, BTreeSet};

use pay_by_tweet::domain::Uuid;
use pay_by_tweet::text::{V3_280, measure};
use serde_json::Value;

use crate::outcome::{Outcome, text};
use crate::talk::Talk;

/// What is wrong, a line each.
pub fn broken(outcome: &Outcome, talk: &Talk) -> Vec<String> {
    let mut problems = Vec::new();
    lives_are_chains(outcome, &mut problems);
    payments_are_whole(outcome, talk, &mut problems);
    replies_can_be_posted(outcome, talk, &mut problems);
    envelopes(outcome, &mut problems);
    cards_stay_private(outcome, &mut problems);
    problems.into_iter().map(|problem| format!("   {problem}")).collect()
}

fn lives_are_chains(outcome: &Outcome, problems: &mut Vec<String>) {
    let mut states: BTreeMap<&str, &Value> = BTreeMap::new();
    for event in outcome.values("purchases.events") {
        let before = states.insert(text(event, "purchase"), &event["to"]).unwrap_or(&Value::Null);
        if *before != event["from"] {
            problems.push(format!("after {before} comes {event}"));
        }
        let first = if before.is_null() { &["ordered", "rejected"][..] } else { &[] };
        if before.is_null() && !first.contains(&text(event, "to")) {
            problems.push(format!("begins with {event}"));
        }
    }
}

/// I2, I3 and what belongs to a payment: one order to the merchant, one e-mail.
fn payments_are_whole(outcome: &Outcome, talk: &Talk, problems: &mut Vec<String>) {
    let purchases = |topic: &str| -> Vec<String> {
        let mut all: Vec<String> = outcome.values(topic).map(|v| text(v, "purchase").to_owned()).collect();
        all.sort();
        all
    };
    let (paid, shipped) = (purchases("payments.authorized"), purchases("fulfilment.orders"));
    let in_state = |state: &str| {
        let events = outcome.values("purchases.events").filter(|e| text(e, "to") == state && e["from"] != e["to"]);
        let mut all: Vec<String> = events.map(|e| text(e, "purchase").to_owned()).collect();
        all.sort();
        all
    };
    if paid != in_state("authorized") {
        problems.push(format!("payments of {paid:?}, authorized are {:?}", in_state("authorized")));
    }
    if shipped != in_state("fulfilled") {
        problems.push(format!("orders of {shipped:?}, fulfilled are {:?}", in_state("fulfilled")));
    }
    if !talk.settings.contains_key("account.cancel_window") && shipped != paid {
        problems.push(format!("payments of {paid:?}, orders of {shipped:?}"));
    }
    let once: BTreeSet<&String> = paid.iter().collect();
    if once.len() != paid.len() {
        problems.push(format!("paid twice: {paid:?}"));
    }
    for order in outcome.values("fulfilment.orders") {
        let keys: Vec<&str> = order.as_object().into_iter().flat_map(|o| o.keys().map(String::as_str)).collect();
        if keys != ["item", "merchant", "purchase", "quantity", "ship_to"] || text(order, "ship_to").is_empty() {
            problems.push(format!("an order is {order}"));
        }
    }
    for payment in outcome.values("payments.authorized") {
        let mailed = outcome.values("notifications.email").filter(|mail| {
            mail["purchase"] == payment["purchase"]
                && mail["kind"] == "purchased"
                && text(mail, "email_ref").starts_with("eml_")
        });
        if mailed.count() != 1 {
            problems.push(format!("not one e-mail about {payment}"));
        }
    }
}

fn replies_can_be_posted(outcome: &Outcome, talk: &Talk, problems: &mut Vec<String>) {
    let mut said: BTreeSet<(String, String)> = BTreeSet::new();
    for reply in outcome.values("replies").chain(outcome.values("messages.direct")) {
        let words = text(reply, "text");
        if !said.insert((reply["account"].to_string(), words.to_owned())) {
            problems.push(format!("said twice to one account: {words}"));
        }
        let offer = talk.offers.iter().find(|offer| offer.id == text(reply, "offer"));
        let max = offer.and_then(|offer| offer.reply_length).unwrap_or(280);
        let length = measure(words, &V3_280).weighted_length;
        if i64::from(length) > max {
            problems.push(format!("{length} long, above {max}: {words}"));
        }
        if reply["account"].is_null() {
            continue;
        }
        if !words.starts_with(&format!("@{} ", text(reply, "handle"))) {
            problems.push(format!("not to the handle of {reply}"));
        }
        let tag = match text(reply, "kind") {
            "prompt" => offer.and_then(|offer| offer.confirm_tag.as_ref()),
            "already_tweeted" => offer.and_then(|offer| offer.buy_tag.as_ref()),
            _ => None,
        };
        if tag.is_some_and(|tag| !words.contains(&format!("#{tag}"))) {
            problems.push(format!("without its tag: {words}"));
        }
    }
}

fn envelopes(outcome: &Outcome, problems: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    for (topic, records) in &outcome.topics {
        for (record, value) in records {
            let headers: BTreeMap<&str, String> = record
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value).into_owned()))
                .collect();
            let header = |name: &str| headers.get(name).map_or("", String::as_str);
            let id = header("ce_id");
            let is_v5 = id.len() == format!("{}", Uuid([0; 16])).len() && id.as_bytes()[14] == b'5';
            let fits = header("ce_specversion") == "1.0"
                && header("ce_type") == *topic
                && header("ce_source").starts_with("pay-by-tweet/")
                && header("ce_time").len() == "2013-02-12T15:01:00.000Z".len()
                && header("ce_time").ends_with('Z');
            if !is_v5 || !fits {
                problems.push(format!("{topic} has headers {headers:?}"));
            }
            if value["at"].is_string() && text(value, "at") != header("ce_time") {
                problems.push(format!("{topic} has ce_time {} of {value}", header("ce_time")));
            }
            if !ids.insert(id.to_owned()) {
                problems.push(format!("two records have the id {id}, one is {value}"));
            }
            let key = match *topic {
                "fulfilment.orders" => &value["purchase"],
                "offers.funnel" => &value["offer"],
                "dead-letters" => &Value::Null,
                _ => &value["account"],
            };
            let got = record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned());
            if got.as_deref() != key.as_str() {
                problems.push(format!("{topic} has the key {got:?} for {value}"));
            }
        }
    }
}

/// I11.
fn cards_stay_private(outcome: &Outcome, problems: &mut Vec<String>) {
    for (topic, records) in &outcome.topics {
        for (record, value) in records {
            let headers: String = record.headers.iter().map(|(_, v)| String::from_utf8_lossy(v).into_owned()).collect();
            if !topic.starts_with("payments.") && (value.to_string() + &headers).contains("tok_") {
                problems.push(format!("{topic} tells a card: {value}"));
            }
        }
    }
    for payment in outcome.values("payments.authorized") {
        if !text(payment, "card").starts_with("tok_") {
            problems.push(format!("a payment without card: {payment}"));
        }
    }
}
