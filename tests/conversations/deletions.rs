//! Deleted orders and confirms.

use serde_json::json;

use crate::people::{ALICE, BOB, id_at, ms};
use crate::talk::{BUY, CONFIRM, Table};

tests_of!(TABLE);

pub const TABLE: Table = &[
    ("deleting the order before it is paid cancels", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.delete(ALICE, "15:10:00", order);
        t.expect(&["alice gift: ordered > prompted > cancelled(deleted)", "alice hears prompt, cancelled"]);
        t.record(
            "purchases.events",
            json!({"to": "cancelled", "at": "2013-02-12T15:10:00.000Z", "post": order.to_string()}),
        );
    }),
    ("by the first id, where a later version ordered", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", "what to give?");
        t.edit(ALICE, "15:02:00", first, BUY);
        t.delete(ALICE, "15:10:00", first);
        t.expect(&["alice gift: ordered > prompted > cancelled(deleted)", "alice hears prompt, cancelled"]);
    }),
    ("by the version that ordered", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", "what to give?");
        let version = t.edit(ALICE, "15:02:00", first, BUY);
        t.delete(ALICE, "15:10:00", version);
        t.expect(&["alice gift: ordered > prompted > cancelled(deleted)", "alice hears prompt, cancelled"]);
    }),
    ("a version that did not order may go", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        let version = t.edit(ALICE, "15:07:00", order, "Late gift! #BuyAmexGiftCard25");
        t.delete(ALICE, "15:13:00", version);
        t.post(ALICE, "15:14:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("a notice that is read before the order: ordered, cancelled, and no stock is asked", |t| {
        t.gift(|offer| offer.quantity = Some(0));
        t.linked(ALICE);
        t.delete(ALICE, "15:02:00", id_at(ALICE, ms("15:01:00")));
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > cancelled(deleted)", "alice hears cancelled"]);
        t.decided_at_once("whether stock was asked before the deletion was known");
    }),
    ("a notice that is read before a version of the order, by the version's id", |t| {
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", "what to give?");
        t.delete(ALICE, "15:03:00", id_at(ALICE, ms("15:02:00")));
        t.edit(ALICE, "15:02:00", first, BUY);
        t.expect(&["alice gift: ordered > cancelled(deleted)", "alice hears cancelled"]);
    }),
    ("an early notice is forgotten when the watermark has passed its time", |t| {
        t.linked(ALICE);
        t.delete(ALICE, "15:02:00", id_at(ALICE, ms("15:01:00")));
        t.watermark("15:02:00.001");
        t.post(ALICE, "15:01:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.news_again("a notice that was forgotten cancels what waits");
    }),
    ("deleting the confirm changes nothing", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        let confirm = t.post(ALICE, "15:05:00", CONFIRM);
        t.delete(ALICE, "15:06:00", confirm);
        t.buys_the_gift(ALICE);
    }),
    ("deleting the confirm before it is read changes nothing either", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.delete(ALICE, "15:06:00", id_at(ALICE, ms("15:05:00")));
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("deleting the order after it is paid changes nothing", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.delete(ALICE, "15:20:00", order);
        t.buys_the_gift(ALICE);
    }),
    ("what is read after the payment comes too late, whatever its time", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.delete(ALICE, "15:04:00", order);
        t.buys_the_gift(ALICE);
        t.decided_at_once("whether the payment came before the deletion");
    }),
    ("a notice in somebody else's name changes nothing", |t| {
        t.linked(ALICE);
        t.linked(BOB);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.delete(BOB, "15:02:00", order);
        t.waits_for_a_confirm(ALICE);
    }),
    ("a notice without time has the highest that was read before it", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.noise("15:09:00.250");
        t.delete_untimed(ALICE, "15:15:00", order);
        t.expect(&["alice gift: ordered > prompted > cancelled(deleted)", "alice hears prompt, cancelled"]);
        t.event_at("cancelled", "15:09:00.250");
    }),
    ("deleting a refused buy says nothing more", |t| {
        let order = t.post(ALICE, "15:01:00", BUY);
        t.delete(ALICE, "15:02:00", order);
        t.expect(&["alice gift: rejected(not_linked)", "alice hears not_linked"]);
    }),
    ("who deleted an order may order again", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.delete(ALICE, "15:02:00", order);
        t.post(ALICE, "15:10:00", "again #BuyAmexGiftCard25");
        t.post(ALICE, "15:11:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(deleted)",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, cancelled, prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("an order that is read after its deletion and an unlink: the earlier of them is the reason", |t| {
        for (user, unlinked, deleted) in [(ALICE, "15:02:00", "15:03:00"), (BOB, "15:03:00", "15:02:00")] {
            t.linked(user);
            t.unlink(user, unlinked);
            t.delete(user, deleted, id_at(user, ms("15:01:00")));
            t.post(user, "15:01:00", BUY);
        }
        t.expect(&[
            "alice gift: ordered > cancelled(unlinked)",
            "alice hears cancelled",
            "bob gift: ordered > cancelled(deleted)",
            "bob hears cancelled",
        ]);
    }),
    ("two deletions that are read before their order: the earlier of them is told", |t| {
        t.linked(ALICE);
        let first = id_at(ALICE, ms("15:01:00"));
        let version = id_at(ALICE, ms("15:10:00"));
        t.delete(ALICE, "15:20:00", first);
        t.delete(ALICE, "15:15:00", version);
        t.edit(ALICE, "15:10:00", first, BUY);
        t.expect(&["alice gift: ordered > cancelled(deleted)", "alice hears cancelled"]);
        t.event_at("cancelled", "15:15:00");
    }),
];
