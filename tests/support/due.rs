//! What must come of a firehose by its own truth, held against the outputs of a run.

use std::collections::{BTreeMap, BTreeSet};

use pay_by_tweet::bus::Bus;
use serde_json::Value;

use super::firehose::{Due, Firehose, OFFERS, SCARCE, Truth, offer_of};
use super::outputs::{is_id, values};

/// Payments and orders are exactly those that are due.
pub fn compare(bus: &dyn Bus, firehose: &Firehose, what: &str) {
    let truth = firehose.truth();
    let payments = values(bus, "payments.authorized");
    let paid = by_purchase(&payments, what);
    let ordered = by_purchase(&values(bus, "fulfilment.orders"), what);
    assert_eq!(paid.keys().collect::<Vec<_>>(), ordered.keys().collect::<Vec<_>>(), "{what}: payments and orders");
    let mut unpaid: Truth = truth.clone();
    let mut scarce_paid = 0;
    for payment in paid.values() {
        let key = (user_of(payment), offer_of(payment["offer"].as_str().expect("an offer")));
        let due = unpaid.remove(&key).unwrap_or_else(|| panic!("{what}: not due, or twice: {payment}"));
        let confirm = due.confirms.iter().any(|(_, id)| is_id(&payment["confirm_post"], *id));
        assert!(confirm && is_id(&payment["order_post"], due.order_post), "{what}: {payment} against {due:?}");
        scarce_paid += u64::from(key.1 == SCARCE);
    }
    let missed: Vec<_> = unpaid.iter().filter(|(_, due)| !due.confirms.is_empty()).collect();
    let sold_out = check_scarce(bus, &missed, scarce_paid, what);
    let missed: Vec<_> = missed.into_iter().filter(|((_, offer), _)| *offer != SCARCE).collect();
    assert!(missed.is_empty(), "{what}: {} payments are missing, such as {:?}", missed.len(), missed[0]);
    assert_eq!(ends(bus, "expired"), unpaid.len() - sold_out, "{what}: what is not paid expires");
    assert_eq!(ends(bus, "fulfilled"), paid.len(), "{what}");
    println!(
        "{what}: {} buys, {} payments, {} expired, {sold_out} sold out",
        truth.len(),
        paid.len(),
        ends(bus, "expired")
    );
}

/// Who gets the last units depends on the order of reading, but not how many there are, nor what comes of who got one.
fn check_scarce(bus: &dyn Bus, missed: &[(&(u64, u8), &Due)], paid: u64, what: &str) -> usize {
    let sold_out: BTreeSet<String> = values(bus, "purchases.events")
        .iter()
        .filter(|event| event["to"] == "sold_out")
        .map(|event| event["account"].as_str().expect("an account").to_owned())
        .collect();
    assert!(OFFERS[usize::from(SCARCE)].1.is_some_and(|units| paid <= units), "{what}: I4, {paid} were sold");
    for ((user, offer), due) in missed {
        let excused = *offer != SCARCE || sold_out.contains(&format!("twitter:{user}"));
        assert!(excused, "{what}: {user} held a unit and confirmed in time: {due:?}");
    }
    sold_out.len()
}

fn ends(bus: &dyn Bus, state: &str) -> usize {
    let ended = |event: &&Value| event["to"] == state && event["from"] != state;
    values(bus, "purchases.events").iter().filter(ended).count()
}

fn by_purchase(values: &[Value], what: &str) -> BTreeMap<String, Value> {
    let id = |value: &Value| value["purchase"].as_str().expect("a purchase").to_owned();
    let by_id: BTreeMap<String, Value> = values.iter().map(|value| (id(value), value.clone())).collect();
    assert_eq!(by_id.len(), values.len(), "{what}: I2, a purchase twice");
    by_id
}

fn user_of(value: &Value) -> u64 {
    let user = value["account"].as_str().and_then(|account| account.strip_prefix("twitter:"));
    user.and_then(|user| user.parse().ok()).expect("an account")
}
