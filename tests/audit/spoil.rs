//! Ways to spoil a copy of a run's topics, one record at a time.

use std::collections::{BTreeMap, BTreeSet};

use pay_by_tweet::domain::{
    AccountId, AccountMessage, InboxRecord, OfferMessage, OffersRecord, StockAction, StockAnswer, StockVerdict,
};
use pay_by_tweet::pipeline::Record;
use pay_by_tweet::wire::internal;
use pay_by_tweet::wire::uuids::uuid_of;
use serde_json::{Value, json};

/// Records by topic, as a reader sees them.
pub type Topics = BTreeMap<String, Vec<Record>>;

pub fn value_of(record: &Record) -> Value {
    record.value.as_deref().map_or(Value::Null, |value| serde_json::from_slice(value).expect("outputs are JSON"))
}

pub fn set_value(record: &mut Record, value: &Value) {
    record.value = Some(value.to_string().into_bytes());
}

pub fn account_of(record: &Record) -> String {
    value_of(record)["account"].as_str().unwrap_or_default().to_owned()
}

pub fn header(record: &Record, name: &str) -> String {
    let found = record.headers.iter().find(|(header, _)| header == name);
    String::from_utf8(found.expect("every output has it").1.clone()).expect("headers are UTF-8")
}

pub fn set_header(record: &mut Record, name: &str, value: &str) {
    let found = record.headers.iter_mut().find(|(header, _)| header == name);
    found.expect("every output has it").1 = value.as_bytes().to_vec();
}

/// The first record of which this holds.
pub fn first_of<'a>(topics: &'a mut Topics, topic: &str, holds: impl Fn(&Value) -> bool) -> &'a mut Record {
    let all = topics.get_mut(topic).expect("the topic is there");
    all.iter_mut().find(|record| holds(&value_of(record))).unwrap_or_else(|| panic!("no such record in {topic}"))
}

pub fn find(topics: &mut Topics, topic: &str, holds: impl Fn(&Value) -> bool) -> Record {
    first_of(topics, topic, holds).clone()
}

/// Takes the first record out of which this holds.
pub fn remove(topics: &mut Topics, topic: &str, holds: impl Fn(&Value) -> bool) -> Record {
    let all = topics.get_mut(topic).expect("the topic is there");
    let index = all.iter().position(|record| holds(&value_of(record)));
    all.remove(index.unwrap_or_else(|| panic!("no such record in {topic}")))
}

/// Puts a record behind the others; gives it back.
pub fn append(topics: &mut Topics, topic: &str, record: Record) -> Record {
    topics.get_mut(topic).expect("the topic is there").push(record.clone());
    record
}

/// Changes the first record of which this holds; tells whose it is.
pub fn change(topics: &mut Topics, topic: &str, holds: impl Fn(&Value) -> bool, with: impl Fn(&mut Value)) -> String {
    let record = first_of(topics, topic, holds);
    let mut value = value_of(record);
    let account = value["account"].as_str().unwrap_or_default().to_owned();
    with(&mut value);
    set_value(record, &value);
    account
}

/// Takes the first request of this kind out of `offers.inbox`.
pub fn remove_request(topics: &mut Topics, action: StockAction) -> AccountId {
    let (index, account) = request(topics, action);
    topics.get_mut("offers.inbox").expect("the topic is there").remove(index);
    account
}

/// Asks the first request of this kind a second time.
pub fn double_request(topics: &mut Topics, action: StockAction) -> AccountId {
    let (index, account) = request(topics, action);
    let all = topics.get_mut("offers.inbox").expect("the topic is there");
    let again = all[index].clone();
    all.insert(index + 1, again);
    account
}

fn request(topics: &Topics, wanted: StockAction) -> (usize, AccountId) {
    let of = |record: &Record| match internal::decode_offers(record.value.as_deref().unwrap_or_default()) {
        Ok(OffersRecord::To(_, OfferMessage::Stock(request))) if request.action == wanted => Some(request.account),
        _ => None,
    };
    let mut all = topics["offers.inbox"].iter().enumerate();
    all.find_map(|(index, record)| Some((index, of(record)?))).expect("there is such a request")
}

/// Changes the last answer of this kind, or takes it out.
pub fn change_answer(topics: &mut Topics, from: StockVerdict, to: Option<StockVerdict>) -> AccountId {
    let all = topics.get_mut("accounts.inbox").expect("the topic is there");
    let of = |record: &Record| match internal::decode_inbox(None, record.value.as_deref().unwrap_or_default()) {
        Ok(InboxRecord::To(account, AccountMessage::Stock(answer))) if answer.verdict == from => {
            Some((account, answer.purchase))
        }
        _ => None,
    };
    let found = all.iter().enumerate().rev().find_map(|(index, record)| Some((index, of(record)?)));
    let (index, (account, purchase)) = found.expect("there is such an answer");
    match to {
        None => drop(all.remove(index)),
        Some(verdict) => {
            let answer = AccountMessage::Stock(StockAnswer { purchase, verdict });
            all[index].value = Some(internal::encode_inbox(&InboxRecord::To(account, answer)));
        }
    }
    account
}

/// A purchase that expired, although a confirm came late, is paid after all, with all that belongs to it.
pub fn pay_late(topics: &mut Topics) -> String {
    let paid: BTreeSet<String> = topics["payments.authorized"].iter().map(account_of).collect();
    let events: Vec<Value> = topics["purchases.events"].iter().map(value_of).collect();
    let expired = |late: &Value| events.iter().any(|e| e["purchase"] == late["purchase"] && e["to"] == "expired");
    let is_fit = |event: &Value| {
        event["reason"] == "late" && expired(event) && event["account"].as_str().is_some_and(|a| paid.contains(a))
    };
    let late = value_of(&find(topics, "purchases.events", is_fit));
    let purchase = late["purchase"].as_str().expect("a purchase").to_owned();
    let of_it = |value: &Value| value["purchase"] == late["purchase"];
    let ordered = value_of(&find(topics, "purchases.events", |value| of_it(value) && value["to"] == "ordered"));
    let offer = late["offer"].clone();
    remove(topics, "replies", |value| of_it(value) && value["kind"] == "expired");
    let expired = remove(topics, "purchases.events", |value| of_it(value) && value["to"] == "expired");
    let at = late["at"].as_str().expect("a time");
    for (from, to) in [("prompted", "authorized"), ("authorized", "fulfilled")] {
        let mut record = expired.clone();
        let id = uuid_of(&format!("{purchase}{to}")).to_string();
        let mut value = late.clone();
        (value["from"], value["to"], value["reason"]) = (json!(from), json!(to), Value::Null);
        set_value(&mut record, &value);
        set_header(&mut record, "ce_id", &id);
        set_header(&mut record, "ce_time", at);
        append(topics, "purchases.events", record);
    }
    // As paid by somebody else for the same offer; the card is told by a payment of this account.
    let model = find(topics, "payments.authorized", |value| value["offer"] == offer);
    let paid_by = value_of(&model)["purchase"].clone();
    let own = value_of(&find(topics, "payments.authorized", |value| value["account"] == late["account"]));
    for (topic, id) in [("payments.authorized", None), ("fulfilment.orders", None), ("notifications.email", Some(()))] {
        let mut record = find(topics, topic, |value| value["purchase"] == paid_by);
        let mut value = value_of(&record);
        value["purchase"] = json!(purchase);
        if value["account"].is_string() {
            value["account"] = late["account"].clone();
            record.key = late["account"].as_str().map(|key| key.as_bytes().to_vec());
        }
        let name = id.map_or(format!("{topic}|{purchase}"), |()| format!("email|purchased|{purchase}"));
        let id = uuid_of(&name).to_string();
        match topic {
            "payments.authorized" => {
                (value["ordered_at"], value["order_post"]) = (ordered["at"].clone(), ordered["post"].clone());
                (value["confirmed_at"], value["confirm_post"]) = (late["at"].clone(), late["post"].clone());
                value["card"] = own["card"].clone();
            }
            "fulfilment.orders" => record.key = Some(purchase.clone().into_bytes()),
            _ => value["notification"] = json!(id),
        }
        set_value(&mut record, &value);
        set_header(&mut record, "ce_id", &id);
        set_header(&mut record, "ce_time", at);
        record.partition = expired.partition;
        append(topics, topic, record);
    }
    late["account"].as_str().unwrap_or_default().to_owned()
}
