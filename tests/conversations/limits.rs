//! Limits per account: what waits, what was bought in a day, what was spent in a day.

use serde_json::json;

use crate::people::{ALICE, BOB};
use crate::shapes::{Post, Shape};
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

/// A third offer beside the gift card and the reader.
fn with_bracelet(t: &mut Talk) {
    t.offer(|offer| {
        offer.id = "bracelet".to_owned();
        (offer.buy_tag, offer.confirm_tag) = (Some("BuyZenBracelet".to_owned()), Some("ConfirmZenBracelet".to_owned()));
        offer.cancel_tag = None;
    });
    t.linked(ALICE);
}

pub const TABLE: Table = &[
    ("as many as may wait, and no more", |t| {
        t.set("limits.pending_per_account", "2");
        with_bracelet(t);
        t.post(ALICE, "15:01:00", "#BuyAmexGiftCard25");
        t.post(ALICE, "15:07:00", "#BuyKindleFireHD");
        t.post(ALICE, "15:13:00", "#BuyZenBracelet");
        t.expect(&[
            "alice gift: ordered > prompted",
            "alice kindle: ordered > prompted",
            "alice bracelet: rejected(limit_pending)",
            "alice hears prompt, prompt, limit_reached",
        ]);
    }),
    ("what no longer waits makes room", |t| {
        t.set("limits.pending_per_account", "1");
        with_bracelet(t);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:07:00", CONFIRM);
        t.post(ALICE, "15:13:00", "#BuyKindleFireHD");
        t.buys_the_gift(ALICE);
        t.expected.retain(|line| !line.starts_with("alice hears"));
        t.expect(&["alice kindle: ordered > prompted", "alice hears prompt, purchased, prompt"]);
    }),
    ("records that are kept early count, and then new buys are refused", |t| {
        t.set("limits.pending_per_account", "2");
        with_bracelet(t);
        t.post(ALICE, "15:04:00", "#ConfirmKindleFireHD");
        t.post(ALICE, "15:04:30", "#ConfirmZenBracelet");
        t.post(ALICE, "15:05:00", BUY);
        t.expect(&["alice gift: rejected(overloaded)"]);
        t.decided_at_once("what is kept when a buy is read");
    }),
    ("a post with both tags is no early confirm of itself", |t| {
        t.set("limits.pending_per_account", "1");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#BuyAmexGiftCard25 #ConfirmAmexGiftCard25 #ConfirmKindleFireHD");
        t.expect(&["alice gift: ordered > prompted !both_tags", "alice hears prompt"]);
    }),
    ("a confirm that was told already is no early one", |t| {
        t.set("limits.pending_per_account", "1");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", CONFIRM);
        t.post(ALICE, "15:02:30", "again #ConfirmAmexGiftCard25");
        t.post(ALICE, "15:04:00", "#BuyKindleFireHD");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled !no_purchase",
            "alice kindle: ordered > prompted",
            "alice hears prompt, purchased, prompt",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("what is kept when a buy is read");
    }),
    ("purchases per day", |t| {
        t.set("limits.purchases_per_day", "1");
        t.linked(ALICE);
        t.post(ALICE, "23:58:00", BUY);
        t.post(ALICE, "23:59:59.999", "#BuyKindleFireHD");
        t.post(ALICE, "13 00:05:00.000", "next day #BuyKindleFireHD");
        t.expect(&[
            "alice gift: ordered > prompted",
            "alice kindle: rejected(limit_purchases)",
            "alice kindle: ordered > prompted",
            "alice hears prompt, limit_reached, prompt",
        ]);
        t.decided_at_once("which of two buys is one too many");
    }),
    ("a purchase that expired does not count for the day", |t| {
        t.set("limits.purchases_per_day", "1");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.watermark("15:17:00.001");
        t.post(ALICE, "15:30:00", "#BuyKindleFireHD");
        t.expect(&[
            "alice gift: ordered > prompted > expired",
            "alice kindle: ordered > prompted",
            "alice hears prompt, expired, prompt",
        ]);
    }),
    ("spend per day, just reached and exceeded", |t| {
        t.set("limits.spend_per_day", "\"30.00\"");
        t.gift(|offer| offer.per_account = Some(3));
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:07:00", BUY);
        t.post(ALICE, "15:13:00", BUY);
        t.expect(&[
            "alice gift: ordered > prompted",
            "alice gift: ordered > prompted",
            "alice gift: rejected(limit_spend)",
            "alice hears prompt, prompt, limit_reached",
        ]);
    }),
    ("spend is counted with tax", |t| {
        t.set("limits.spend_per_day", "\"161.98\"");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#BuyKindleFireHD");
        t.expect(&["alice kindle: rejected(limit_spend)", "alice hears limit_reached"]);
    }),
    ("spend is per currency", |t| {
        t.set("limits.spend_per_day", "\"161.99\"");
        with_bracelet(t);
        t.offers[2].currency = Some("EUR".to_owned());
        t.post(ALICE, "15:01:00", "#BuyKindleFireHD");
        t.post(ALICE, "15:07:00", "#BuyZenBracelet");
        t.expect(&[
            "alice kindle: ordered > prompted",
            "alice bracelet: ordered > prompted",
            "alice hears prompt, prompt",
        ]);
    }),
    ("a currency without decimals", |t| {
        t.set("limits.spend_per_day", "\"1500.00\"");
        with_bracelet(t);
        let yen = &mut t.offers[2];
        (yen.currency, yen.price, yen.tax) = (Some("JPY".into()), Some("1500".into()), None);
        yen.per_account = Some(2);
        t.post(ALICE, "15:01:00", "#BuyZenBracelet");
        t.post(ALICE, "15:07:00", "more #BuyZenBracelet");
        t.post(ALICE, "15:13:00", "#ConfirmZenBracelet");
        t.expect(&[
            "alice bracelet: ordered > prompted > authorized > fulfilled",
            "alice bracelet: rejected(limit_spend)",
            "alice hears prompt, limit_reached, purchased",
            "alice pays 1500 JPY",
        ]);
    }),
    ("courtesy has its bound, prompts and receipts have none", |t| {
        t.set("limits.replies_per_hour", "1");
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:07:00", BUY);
        t.post(ALICE, "15:13:00", BUY);
        t.post(ALICE, "15:14:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice gift: rejected(duplicate)",
            "alice gift: rejected(duplicate)",
            "alice hears prompt, already_tweeted, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("limits are each account's own", |t| {
        t.set("limits.purchases_per_day", "1");
        t.linked(ALICE);
        t.linked(BOB);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:02:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.waits_for_a_confirm(BOB);
    }),
    ("an answer that can't be addressed is none, and not one of the hour's", |t| {
        t.set("limits.replies_per_hour", "1");
        t.only(&[Shape::V2]);
        t.put(Post { users_included: false, ..said(ALICE, "15:01:00", "#BuyKindleFireHD") });
        t.post(ALICE, "15:07:00", BUY);
        t.expect(&["alice kindle: rejected(not_linked)", "alice gift: rejected(not_linked)", "alice hears not_linked"]);
    }),
    ("not_linked that was one reply too many is told in a later hour", |t| {
        t.set("limits.replies_per_hour", "1");
        t.post(ALICE, "15:01:00", "#BuyKindleFireHD");
        t.post(ALICE, "15:07:00", BUY);
        t.post(ALICE, "16:07:00", BUY);
        t.expect(&[
            "alice kindle: rejected(not_linked)",
            "alice gift: rejected(not_linked)",
            "alice gift: rejected(not_linked)",
            "alice hears not_linked, not_linked",
        ]);
        t.record("replies", json!({"offer": "kindle"}));
        t.record("replies", json!({"offer": "gift"}));
    }),
    ("posts of two hours that are read in turns get no more courtesy than those of one", |t| {
        t.set("limits.replies_per_hour", "1");
        t.linked(ALICE);
        t.post(ALICE, "15:52:00", BUY);
        for at in ["15:58:00", "16:01:00", "15:59:00", "16:02:00"] {
            t.post(ALICE, at, BUY);
        }
        t.waits_for_a_confirm(ALICE);
        t.expected.retain(|line| !line.starts_with("alice hears"));
        t.expect(&["alice gift: rejected(duplicate)"; 4]);
        t.expect(&["alice hears prompt, already_tweeted, already_tweeted"]);
    }),
];
