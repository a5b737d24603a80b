//! Edits keep their first id: one post, one order.

use serde_json::json;

use crate::people::ALICE;
use crate::talk::{BUY, CONFIRM, Table};

tests_of!(TABLE);

pub const TABLE: Table = &[
    ("an edit is the same order", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.edit(ALICE, "15:08:00", order, "Late gift! #BuyAmexGiftCard25");
        t.post(ALICE, "15:09:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.record(
            "payments.authorized",
            json!({"order_post": order.to_string(), "ordered_at": "2013-02-12T15:01:00.000Z"}),
        );
    }),
    ("an edit may add the tag, and orders at its own time", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", "what to give?");
        t.edit(ALICE, "15:02:00", first, BUY);
        t.post(ALICE, "15:18:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
        t.record(
            "payments.authorized",
            json!({"order_post": first.to_string(), "ordered_at": "2013-02-12T15:02:00.000Z"}),
        );
    }),
    ("an edit may add another offer's tag", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", BUY);
        t.edit(ALICE, "15:10:00", first, "Early gift! #BuyAmexGiftCard25 #BuyKindleFireHD");
        t.expect(&["alice gift: ordered > prompted", "alice kindle: ordered > prompted", "alice hears prompt, prompt"]);
    }),
    ("an order that was refused stays refused", |t| {
        let first = t.post(ALICE, "15:01:00", BUY);
        t.link(ALICE, "15:02:00");
        t.edit(ALICE, "15:03:00", first, "please! #BuyAmexGiftCard25");
        t.expect(&["alice gift: rejected(not_linked)", "alice hears not_linked"]);
    }),
    ("an edit of an expired order orders nothing", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", BUY);
        t.watermark("15:17:00.001");
        t.edit(ALICE, "15:25:00", first, "again #BuyAmexGiftCard25");
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
    }),
    ("removing the tag changes nothing", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", BUY);
        t.edit(ALICE, "15:03:00", first, "Early gift!");
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("an edited confirm pays once", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        let confirm = t.post(ALICE, "15:02:00", CONFIRM);
        t.edit(ALICE, "15:10:00", confirm, "yes #ConfirmAmexGiftCard25");
        t.buys_the_gift(ALICE);
    }),
    ("an edit of a confirm that is read before its buy pays, also where the confirm was from before it", |t| {
        t.linked(ALICE);
        let confirm = t.post(ALICE, "15:00:00", CONFIRM);
        let version = t.edit(ALICE, "15:03:00", confirm, "yes #ConfirmAmexGiftCard25");
        t.post(ALICE, "15:01:00", BUY);
        t.buys_the_gift(ALICE);
        t.record("payments.authorized", json!({"confirm_post": version.to_string()}));
    }),
    ("two versions of a confirm that are read before its buy pay once", |t| {
        t.gift(|offer| offer.per_account = Some(2));
        t.linked(ALICE);
        let confirm = t.post(ALICE, "15:04:00", CONFIRM);
        t.edit(ALICE, "15:05:00", confirm, "yes #ConfirmAmexGiftCard25");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", "another #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice gift: ordered > prompted",
            "alice hears prompt, purchased, prompt",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("a payment, by what was kept, of the buy that is read first");
    }),
    ("a confirm that was rejected may be edited into one that pays", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        let first = t.post(ALICE, "15:03:00", "RT @bob: #ConfirmAmexGiftCard25");
        t.edit(ALICE, "15:05:00", first, CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted !manual_retweet > authorized > fulfilled",
            "alice hears prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("an edit may add the confirm tag", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        let first = t.post(ALICE, "15:02:00", "hm");
        t.edit(ALICE, "15:03:00", first, CONFIRM);
        t.buys_the_gift(ALICE);
        t.record("payments.authorized", json!({"confirmed_at": "2013-02-12T15:03:00.000Z"}));
    }),
    ("the edit of an order can't be its confirm as long as it says the buy tag", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", BUY);
        t.edit(ALICE, "15:10:00", first, "#BuyAmexGiftCard25 #ConfirmAmexGiftCard25");
        t.expect(&["alice gift: ordered > prompted !both_tags", "alice hears prompt"]);
    }),
    ("versions that are read in another order are one order all the same", |t| {
        t.linked(ALICE);
        let order = crate::talk::said(ALICE, "15:01:00", BUY).id;
        let version = t.edit(ALICE, "15:02:00", order, "Late gift! #BuyAmexGiftCard25");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:09:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.record(
            "payments.authorized",
            json!({"order_post": order.to_string(), "ordered_at": "2013-02-12T15:02:00.000Z"}),
        );
        t.record("replies", json!({"kind": "prompt", "in_reply_to": version.to_string()}));
        t.decided_at_once("which of two versions orders, and with it ordered_at");
    }),
    ("an edit of a buy that was refused a day ago, and is not stale itself, stays refused", |t| {
        let first = t.post(ALICE, "15:01:00", BUY);
        t.link(ALICE, "15:10:00");
        t.watermark("13 15:01:00.001");
        t.edit(ALICE, "15:31:00", first, "please! #BuyAmexGiftCard25");
        t.expect(&["alice gift: rejected(not_linked)", "alice hears not_linked"]);
    }),
];
