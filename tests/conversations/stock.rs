//! Stock: held on buy, sold on authorisation, released on expiry, cancel and decline.

use crate::people::{ALICE, BOB, CAROL};
use crate::talk::{BUY, CANCEL, CONFIRM, Table, Talk};

tests_of!(TABLE);

fn quantity(t: &mut Talk, quantity: i64) {
    t.gift(|offer| offer.quantity = Some(quantity));
    for user in [ALICE, BOB, CAROL] {
        t.linked(user);
    }
}

pub const TABLE: Table = &[
    ("two buyers for the last unit", |t| {
        quantity(t, 1);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:01:30", BUY);
        t.post(ALICE, "15:10:00", CONFIRM);
        t.post(BOB, "15:11:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expect(&["bob gift: ordered > sold_out !no_purchase", "bob hears sold_out"]);
        t.decided_at_once("who gets the last unit");
    }),
    ("two units for three buyers", |t| {
        quantity(t, 2);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:02:00", BUY);
        t.post(CAROL, "15:03:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.waits_for_a_confirm(BOB);
        t.expect(&["carol gift: ordered > sold_out", "carol hears sold_out"]);
        t.decided_at_once("who gets the last unit");
    }),
    ("a unit that is sold stays sold", |t| {
        quantity(t, 1);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", CONFIRM);
        t.post(BOB, "15:30:00", BUY);
        t.buys_the_gift(ALICE);
        t.expect(&["bob gift: ordered > sold_out", "bob hears sold_out"]);
    }),
    ("who was sold out may try again", |t| {
        quantity(t, 1);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:07:00", BUY);
        t.post(ALICE, "15:13:00", CANCEL);
        t.post(BOB, "15:19:00", "again #BuyAmexGiftCard25");
        t.post(BOB, "15:20:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > sold_out",
            "bob gift: ordered > prompted > authorized > fulfilled",
            "bob hears sold_out, prompt, purchased",
            "bob pays 1500 USD",
        ]);
    }),
    ("a unit that expired is free again", |t| {
        quantity(t, 1);
        t.post(ALICE, "15:01:00", BUY);
        t.watermark("15:17:00.001");
        t.post(BOB, "15:30:00", BUY);
        t.post(BOB, "15:31:00", CONFIRM);
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
        t.buys_the_gift(BOB);
    }),
    ("a unit whose order was deleted is free again", |t| {
        quantity(t, 1);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.delete(ALICE, "15:10:00", order);
        t.post(BOB, "15:30:00", BUY);
        t.post(BOB, "15:31:00", CONFIRM);
        t.expect(&["alice gift: ordered > prompted > cancelled(deleted)", "alice hears prompt, cancelled"]);
        t.buys_the_gift(BOB);
    }),
    ("a unit of an account that was unlinked is free again", |t| {
        quantity(t, 1);
        t.post(ALICE, "15:01:00", BUY);
        t.unlink(ALICE, "15:10:00");
        t.post(BOB, "15:30:00", BUY);
        t.expect(&["alice gift: ordered > prompted > cancelled(unlinked)", "alice hears prompt, cancelled"]);
        t.waits_for_a_confirm(BOB);
    }),
    ("a smaller quantity stops new holds only", |t| {
        quantity(t, 3);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:02:00", BUY);
        let mut smaller = t.offers[0].clone();
        smaller.quantity = Some(1);
        t.publish(&smaller);
        t.post(CAROL, "15:03:00", BUY);
        t.post(ALICE, "15:10:00", CONFIRM);
        t.post(BOB, "15:11:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.buys_the_gift(BOB);
        t.expect(&["carol gift: ordered > sold_out", "carol hears sold_out"]);
    }),
    ("a unit that is freed above a smaller quantity is gone", |t| {
        quantity(t, 2);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:02:00", BUY);
        let mut smaller = t.offers[0].clone();
        smaller.quantity = Some(1);
        t.publish(&smaller);
        t.post(BOB, "15:10:00", CANCEL);
        t.post(CAROL, "15:20:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.expect(&[
            "bob gift: ordered > prompted > cancelled(cancelled_by_user)",
            "bob hears prompt, cancelled",
            "carol gift: ordered > sold_out",
            "carol hears sold_out",
        ]);
    }),
    ("an unlimited offer passes ordered, too", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#BuyKindleFireHD");
        t.expect(&["alice kindle: ordered > prompted", "alice hears prompt"]);
    }),
    ("nothing for sale", |t| {
        quantity(t, 0);
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > sold_out", "alice hears sold_out"]);
    }),
];
