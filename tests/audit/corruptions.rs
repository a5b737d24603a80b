//! What may be wrong with a log, one thing at a time, and the invariant by which an audit must notice it.

use pay_by_tweet::audit::Invariant::{self, I1, I2, I3, I4, I5, I8, I9, I11};
use pay_by_tweet::domain::{StockAction, StockVerdict};
use serde_json::{Value, json};

use crate::spoil::{
    Topics, account_of, append, change, change_answer, double_request, find, first_of, header, pay_late, remove,
    remove_request, set_header, set_value, value_of,
};

/// Spoils a copy of the topics or of the truth, a list of conversations. Tells whose it was, if it is about an account.
type Spoil = fn(&mut Topics, &mut Value) -> Option<String>;

/// A corruption, the invariant by which it must be found, and how.
pub struct Corruption {
    pub name: &'static str,
    /// One of these.
    pub invariants: &'static [Invariant],
    pub spoil: Spoil,
}

const fn case(name: &'static str, invariants: &'static [Invariant], spoil: Spoil) -> Corruption {
    Corruption { name, invariants, spoil }
}

pub const CORRUPTIONS: &[Corruption] = &[
    case("a payment is missing", &[I1], |topics, _| Some(account_of(&remove(topics, "payments.authorized", |_| true)))),
    case("a payment twice, same id", &[I2], |topics, _| {
        let payment = find(topics, "payments.authorized", |_| true);
        Some(account_of(&append(topics, "payments.authorized", payment)))
    }),
    case("a payment twice, another id", &[I2], |topics, _| {
        let mut payment = find(topics, "payments.authorized", |_| true);
        set_header(&mut payment, "ce_id", OTHER_ID);
        Some(account_of(&append(topics, "payments.authorized", payment)))
    }),
    case("another amount", &[I1, I3], |topics, _| {
        Some(change(topics, "payments.authorized", |_| true, |value| value["amount"]["minor"] = json!(1)))
    }),
    case("another currency", &[I1, I3], |topics, _| {
        Some(change(topics, "payments.authorized", |_| true, |value| value["amount"]["currency"] = json!("EUR")))
    }),
    case("another's card", &[I1, I3], |topics, _| {
        let first = value_of(&find(topics, "payments.authorized", |_| true));
        let other = find(topics, "payments.authorized", |value| value["account"] != first["account"]);
        let card = value_of(&other)["card"].clone();
        Some(change(topics, "payments.authorized", |_| true, |value| value["card"] = card.clone()))
    }),
    case("a card token in a reply", &[I11], |topics, _| {
        let card = value_of(&find(topics, "payments.authorized", |_| true))["card"].clone();
        Some(change(
            topics,
            "replies",
            |value| value["kind"] == "prompt",
            |value| {
                value["text"] = json!(format!(
                    "{} {}",
                    value["text"].as_str().unwrap_or_default(),
                    card.as_str().unwrap_or_default()
                ));
            },
        ))
    }),
    case("a card token in an order", &[I11], |topics, _| {
        let card = value_of(&find(topics, "payments.authorized", |_| true))["card"].clone();
        change(topics, "fulfilment.orders", |_| true, |value| value["item"] = card.clone());
        None
    }),
    case("a reply of another time", &[I5], |topics, _| {
        let record = first_of(topics, "replies", |value| value["kind"] == "prompt");
        set_header(record, "ce_time", "2013-02-12T00:00:00.000Z");
        Some(account_of(record))
    }),
    case("a member too many in an order", &[I8], |topics, _| {
        change(topics, "fulfilment.orders", |_| true, |value| value["handle"] = json!("somebody"));
        None
    }),
    case("an order is missing", &[I1], |topics, _| {
        remove(topics, "fulfilment.orders", |_| true);
        None
    }),
    case("an order twice", &[I1], |topics, _| {
        let mut order = find(topics, "fulfilment.orders", |_| true);
        set_header(&mut order, "ce_id", OTHER_ID);
        append(topics, "fulfilment.orders", order);
        None
    }),
    case("an order for another item", &[I1], |topics, _| {
        change(topics, "fulfilment.orders", |_| true, |value| value["item"] = json!("Piano"));
        None
    }),
    case("an order to another address", &[I1], |topics, _| {
        change(topics, "fulfilment.orders", |_| true, |value| value["ship_to"] = json!("adr_other"));
        None
    }),
    case("an e-mail is missing", &[I5, I8], |topics, _| {
        Some(account_of(&remove(topics, "notifications.email", |_| true)))
    }),
    case("an e-mail to another address", &[I5], |topics, _| {
        Some(change(topics, "notifications.email", |_| true, |value| value["email_ref"] = json!("eml_other")))
    }),
    case("an event is missing in a chain", &[I8], |topics, _| {
        Some(account_of(&remove(topics, "purchases.events", |value| value["to"] == "prompted")))
    }),
    case("an event of another reason", &[I5], |topics, _| {
        let is_late = |value: &Value| value["reason"] == "late";
        Some(change(topics, "purchases.events", is_late, |value| value["reason"] = json!("quote")))
    }),
    case("a deadline passed too late", &[I5], |topics, _| {
        let is_expiry = |value: &Value| value["to"] == "expired";
        let mut record = remove(topics, "purchases.events", is_expiry);
        let mut value = value_of(&record);
        value["at"] = json!("2013-02-12T23:59:59.999Z");
        set_value(&mut record, &value);
        set_header(&mut record, "ce_time", "2013-02-12T23:59:59.999Z");
        Some(account_of(&append(topics, "purchases.events", record)))
    }),
    case("a confirm by another account", &[I3], |topics, _| {
        let first = value_of(&find(topics, "payments.authorized", |_| true));
        let other = find(topics, "payments.authorized", |value| value["account"] != first["account"]);
        let post = value_of(&other)["confirm_post"].clone();
        Some(change(topics, "payments.authorized", |_| true, |value| value["confirm_post"] = post.clone()))
    }),
    case("a late confirm is paid", &[I3], |topics, _| Some(pay_late(topics))),
    case("half a transaction is missing", &[I1, I8], |topics, _| {
        let payment = value_of(&find(topics, "payments.authorized", |_| true));
        for topic in ["payments.authorized", "fulfilment.orders", "notifications.email"] {
            remove(topics, topic, |value| value["purchase"] == payment["purchase"]);
        }
        Some(payment["account"].as_str().unwrap_or_default().to_owned())
    }),
    case("a whole transaction is missing", &[I1], |topics, _| {
        let payment = value_of(&find(topics, "payments.authorized", |_| true));
        for topic in ["payments.authorized", "fulfilment.orders", "notifications.email"] {
            remove(topics, topic, |value| value["purchase"] == payment["purchase"]);
        }
        for to in ["authorized", "fulfilled"] {
            let of = |value: &Value| value["purchase"] == payment["purchase"] && value["to"] == to;
            remove(topics, "purchases.events", of);
        }
        remove(topics, "replies", |value| value["purchase"] == payment["purchase"] && value["kind"] == "purchased");
        Some(payment["account"].as_str().unwrap_or_default().to_owned())
    }),
    case("an envelope's id is another's", &[I8], |topics, _| {
        let first = find(topics, "purchases.events", |_| true);
        let id = header(&first, "ce_id");
        let last = topics.get_mut("purchases.events").and_then(|all| all.last_mut()).expect("there are events");
        set_header(last, "ce_id", &id);
        Some(account_of(last))
    }),
    case("an envelope of another time", &[I8], |topics, _| {
        let record = first_of(topics, "payments.authorized", |_| true);
        set_header(record, "ce_time", "2013-02-12T00:00:00.000Z");
        Some(account_of(record))
    }),
    case("another's key", &[I8], |topics, _| {
        let record = first_of(topics, "replies", |value| !value["account"].is_null());
        record.key = Some(b"twitter:1".to_vec());
        Some(account_of(record))
    }),
    case("a hold is never released", &[I4], |topics, _| Some(remove_request(topics, StockAction::Release).to_string())),
    case("a unit is sold twice", &[I4], |topics, _| Some(double_request(topics, StockAction::Sell).to_string())),
    case("a hold is never answered", &[I4, I1], |topics, _| {
        Some(change_answer(topics, StockVerdict::Held, None).to_string())
    }),
    case("sold out is answered with a unit", &[I4], |topics, _| {
        Some(change_answer(topics, StockVerdict::SoldOut, Some(StockVerdict::Held)).to_string())
    }),
    case("the funnel is wrong", &[I9], |topics, _| {
        let add = |value: &mut Value| value["authorized"] = json!(value["authorized"].as_u64().unwrap_or_default() + 1);
        let last = topics.get_mut("offers.funnel").and_then(|all| all.last_mut()).expect("there are funnels");
        let mut value = value_of(last);
        add(&mut value);
        set_value(last, &value);
        None
    }),
    case("a dead letter is missing", &[I9], |topics, _| {
        remove(topics, "dead-letters", |_| true);
        None
    }),
    case("a dead letter for a wrong offset", &[I9], |topics, _| {
        change(topics, "dead-letters", |_| true, |value| value["offset"] = json!(1_000_000));
        None
    }),
    case("one conversation more is true", &[I9], |_, truth| {
        let mut more = truth[0].clone();
        more["order_post"] = json!("12345678901234567");
        truth.as_array_mut().expect("the truth is a list").push(more);
        truth[0]["account"].as_str().map(str::to_owned)
    }),
    case("one conversation less is true", &[I9], |_, truth| {
        let all = truth.as_array_mut().expect("the truth is a list");
        // Somebody of whom it still tells another one.
        let twice = |one: &Value| all.iter().filter(|other| other["account"] == one["account"]).count() > 1;
        let index = all.iter().position(twice).expect("somebody bought twice");
        all.remove(index)["account"].as_str().map(str::to_owned)
    }),
    case("another end is true", &[I9], |_, truth| {
        let all = truth.as_array_mut().expect("the truth is a list");
        let one = all.iter_mut().find(|one| one["to"][0] == "expired").expect("one expired");
        one["to"] = json!(["fulfilled"]);
        one["account"].as_str().map(str::to_owned)
    }),
];

const OTHER_ID: &str = "00000000-0000-5000-8000-000000000000";
