//! The model against outcomes that were tampered with: whatever is taken away, doubled or changed must be found.

use pay_by_tweet::audit::{Invariant, Violation};
use serde_json::{Value, json};

use crate::harness::{run_of, settings_of};
use crate::model::{Run, violations};
use crate::people::{ALICE, BOB};
use crate::talk::{BUY, CONFIRM, Talk};

/// Alice buys, Bob lets his time pass, and both are told.
fn told() -> (Talk, Run) {
    let mut talk = Talk::new();
    talk.linked(ALICE);
    talk.linked(BOB);
    talk.post(ALICE, "15:01:00", BUY);
    talk.post(BOB, "15:02:00", BUY);
    talk.post(ALICE, "15:05:00", CONFIRM);
    talk.watermark("15:18:00.001");
    let run = run_of(&talk).expect("the conversation can be told");
    (talk, run)
}

fn found(tamper: impl FnOnce(&mut Run)) -> Vec<Violation> {
    let (talk, mut run) = told();
    tamper(&mut run);
    violations(&settings_of(&talk).expect("the settings are sound"), &run)
}

/// What an outcome breaks in which one topic's records were changed.
fn check(topic: &str, tamper: impl FnOnce(&mut Vec<Value>), expected: &[Invariant]) {
    let found = found(|run| run.outcome.change(topic, tamper));
    let mut broken: Vec<Invariant> = found.iter().map(|violation| violation.invariant).collect();
    broken.dedup();
    assert_eq!(broken, expected, "{topic}: {found:?}");
}

fn set(field: &'static str, value: Value) -> impl FnOnce(&mut Vec<Value>) {
    move |values| values[0][field] = value
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(found(|_| ()), []);
}

#[test]
fn payments_that_are_missing_doubled_or_changed_are_found() {
    use Invariant::{I1, I2, I3};
    let payments = "payments.authorized";
    check(payments, Vec::clear, &[I1]);
    check(payments, |values| values.push(values[0].clone()), &[I2]);
    check(payments, set("amount", json!({"minor": 1501, "currency": "USD"})), &[I3]);
    check(payments, set("amount", json!({"minor": 1500, "currency": "EUR"})), &[I3]);
    check(payments, set("card", json!("tok_bob")), &[I3]);
    check(payments, set("account", json!(format!("twitter:{}", BOB.id))), &[I3, I1]);
    check(payments, set("purchase", json!("00000000-0000-5000-8000-000000000000")), &[I3, I1]);
    check(payments, set("confirm_post", json!("1")), &[I3]);
    check(payments, set("confirmed_at", json!("2013-02-12T15:05:00.001Z")), &[I3]);
    let orders = "fulfilment.orders";
    check(orders, Vec::clear, &[I1]);
    check(orders, |values| values.push(values[0].clone()), &[I1]);
    check(orders, set("ship_to", json!("adr_bob")), &[I1]);
}

#[test]
fn events_that_differ_are_found() {
    use Invariant::I5;
    let expired = |values: &[Value]| values.iter().position(|event| event["to"] == "expired").expect("Bob's");
    let events = "purchases.events";
    check(events, |values| drop(values.remove(expired(values))), &[I5]);
    for (field, value) in [
        ("to", json!("authorized")),
        ("reason", json!("late")),
        ("at", json!("2013-02-12T15:18:00.001Z")),
        ("at", json!("2013-02-12T15:17:59.999Z")),
        ("post", json!("1")),
    ] {
        let change = |values: &mut Vec<Value>| {
            let index = expired(values);
            values[index][field] = value.clone();
        };
        check(events, change, &[I5]);
    }
    check(events, |values| values.swap(0, 1), &[I5]);
    check("replies", Vec::clear, &[I5]);
    check("replies", set("kind", json!("sold_out")), &[I5]);
    check("notifications.email", Vec::clear, &[I5]);
}

#[test]
fn stock_that_is_asked_otherwise_is_found() {
    let less = found(|run| run.offers.retain(|record| record.offset % 2 == 0));
    assert!(less.iter().any(|violation| violation.invariant == Invariant::I4), "{less:?}");
    let twice = found(|run| run.offers.extend(run.offers.clone()));
    assert!(twice.iter().any(|violation| violation.invariant == Invariant::I4), "{twice:?}");
}

#[test]
fn a_deadline_that_is_off_by_a_millisecond_is_found() {
    let (mut talk, run) = told();
    talk.set("account.confirm_window", "\"900001ms\"");
    let found = violations(&settings_of(&talk).expect("the settings are sound"), &run);
    assert!(!found.is_empty(), "a window of one millisecond more makes no difference");
    talk.set("account.confirm_window", "\"899999ms\"");
    let found = violations(&settings_of(&talk).expect("the settings are sound"), &run);
    assert!(!found.is_empty(), "a window of one millisecond less makes no difference");
}
