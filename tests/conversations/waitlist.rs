//! The waitlist: when stock frees up, the next in line is prompted, as of what freed it.

use serde_json::json;

use crate::people::{ALICE, BOB, CAROL};
use crate::talk::{BUY, CANCEL, CONFIRM, Table, Talk};

tests_of!(TABLE);

/// One unit, held by Alice at 15:01, and Bob in line at 15:07.
fn bob_waits(t: &mut Talk, waitlist_max: i64) -> (u64, u64) {
    t.gift(|offer| (offer.quantity, offer.waitlist_max) = (Some(1), Some(waitlist_max)));
    for user in [ALICE, BOB, CAROL] {
        t.linked(user);
    }
    (t.post(ALICE, "15:01:00", BUY), t.post(BOB, "15:07:00", BUY))
}

/// Which is read before anything was ordered.
fn bob_unlinks_at_15_12(t: &mut Talk) {
    t.unlink(BOB, "15:12:00");
    bob_waits(t, 2);
}

fn bob_buys_from_the_line(t: &mut Talk) {
    buys_from_the_line(t, "bob");
}

fn buys_from_the_line(t: &mut Talk, who: &str) {
    t.expect(&[
        &format!("{who} gift: ordered > waitlisted > prompted > authorized > fulfilled"),
        &format!("{who} hears waitlisted, prompt, purchased"),
        &format!("{who} pays 1500 USD"),
    ]);
}

pub const TABLE: Table = &[
    ("freed by expiry: the window counts from the deadline that freed it", |t| {
        bob_waits(t, 1);
        t.watermark("15:17:00.001");
        t.post(BOB, "15:33:00.000", CONFIRM);
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
        bob_buys_from_the_line(t);
        t.record(
            "purchases.events",
            json!({"from": "waitlisted", "to": "prompted", "at": "2013-02-12T15:17:00.000Z", "post": null}),
        );
        t.record(
            "payments.authorized",
            json!({"ordered_at": "2013-02-12T15:07:00.000Z", "confirmed_at": "2013-02-12T15:33:00.000Z"}),
        );
    }),
    ("who had unlinked when the turn came passes it on: the next one's window counts from what freed the unit", |t| {
        bob_unlinks_at_15_12(t);
        t.decided_at_once("who is first in line");
        t.post(CAROL, "15:08:00", BUY);
        t.post(ALICE, "15:14:00", CANCEL);
        t.post(CAROL, "15:29:59", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > cancelled(unlinked)",
            "bob hears waitlisted, cancelled",
        ]);
        buys_from_the_line(t, "carol");
        t.record(
            "purchases.events",
            json!({"from": "waitlisted", "to": "cancelled", "at": "2013-02-12T15:12:00.000Z", "post": null}),
        );
        t.record(
            "purchases.events",
            json!({"from": "waitlisted", "to": "prompted", "at": "2013-02-12T15:14:00.000Z", "post": null}),
        );
    }),
    ("who unlinks after the turn came gives the unit up by then", |t| {
        bob_unlinks_at_15_12(t);
        t.decided_at_once("who is first in line");
        t.post(CAROL, "15:08:00", BUY);
        t.post(ALICE, "15:10:00", CANCEL);
        t.watermark("15:12:00.001");
        t.post(CAROL, "15:27:59", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > prompted > cancelled(unlinked)",
            "bob hears waitlisted, prompt, cancelled",
        ]);
        buys_from_the_line(t, "carol");
    }),
    ("who confirmed in line before unlinking buys, though time has passed both when the turn is told", |t| {
        t.unlink(BOB, "15:25:00");
        bob_waits(t, 1);
        t.post(BOB, "15:20:00", CONFIRM);
        t.watermark("15:25:00.001");
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
        bob_buys_from_the_line(t);
    }),
    ("who unlinked in line is known to have for as long as he stands there", |t| {
        t.set("account.forget_after", "\"1h\"");
        t.set("account.cancel_window", "\"2h\"");
        t.unlink(BOB, "15:12:00");
        t.gift(|offer| (offer.quantity, offer.waitlist_max) = (Some(1), Some(1)));
        t.linked(ALICE);
        t.linked(BOB);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.post(BOB, "15:07:00", BUY);
        t.watermark("16:12:00.001");
        t.link(BOB, "16:20:00");
        t.post(ALICE, "16:30:00", CANCEL);
        t.expect(&[
            "alice gift: ordered > prompted > authorized > cancelled(cancelled_by_user)",
            "alice hears prompt, purchased, cancelled",
            "alice pays 1500 USD",
            "alice gets it back: cancelled_by_user",
            "bob gift: ordered > waitlisted > cancelled(unlinked)",
            "bob hears waitlisted, cancelled",
        ]);
    }),
    ("who unlinks in line, and orders again, gives up his place", |t| {
        bob_unlinks_at_15_12(t);
        t.decided_at_once("who is first in line");
        t.link(BOB, "15:12:30");
        t.post(CAROL, "15:08:00", BUY);
        t.post(BOB, "15:13:00", BUY);
        t.post(ALICE, "15:14:00", CANCEL);
        t.post(CAROL, "15:29:59", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > cancelled(unlinked)",
            "bob gift: ordered > waitlisted > sold_out",
            "bob hears waitlisted, cancelled, waitlisted, sold_out",
        ]);
        buys_from_the_line(t, "carol");
    }),
    ("a millisecond after the window of the line", |t| {
        bob_waits(t, 1);
        t.watermark("15:17:00.001");
        t.post(BOB, "15:33:00.001", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > expired",
            "alice hears prompt, expired",
            "bob gift: ordered > waitlisted > prompted !late",
            "bob hears waitlisted, prompt",
        ]);
    }),
    ("before a unit is free there is nothing to confirm", |t| {
        bob_waits(t, 1);
        t.post(BOB, "15:12:59.999", CONFIRM);
        t.post(ALICE, "15:18:00", CANCEL);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > prompted",
            "bob hears waitlisted, prompt",
        ]);
    }),
    ("freed when the watermark has passed the whole window", |t| {
        bob_waits(t, 1);
        t.watermark("18:00:00");
        t.expect(&[
            "alice gift: ordered > prompted > expired",
            "alice hears prompt, expired",
            "bob gift: ordered > waitlisted > prompted > expired",
            "bob hears waitlisted, prompt, expired",
        ]);
    }),
    ("freed by a cancel", |t| {
        bob_waits(t, 1);
        let cancel = t.post(ALICE, "15:13:00", CANCEL);
        t.post(BOB, "15:20:00", CONFIRM);
        t.expect(&["alice gift: ordered > prompted > cancelled(cancelled_by_user)", "alice hears prompt, cancelled"]);
        bob_buys_from_the_line(t);
        t.record("purchases.events", json!({"to": "cancelled", "post": cancel.to_string()}));
        t.record("purchases.events", json!({"from": "waitlisted", "to": "prompted", "at": "2013-02-12T15:13:00.000Z"}));
    }),
    ("freed by a deletion", |t| {
        let (order, _) = bob_waits(t, 1);
        t.delete(ALICE, "15:13:00", order);
        t.post(BOB, "15:29:00.000", CONFIRM);
        t.expect(&["alice gift: ordered > prompted > cancelled(deleted)", "alice hears prompt, cancelled"]);
        bob_buys_from_the_line(t);
    }),
    ("all is sold: who waits is told", |t| {
        bob_waits(t, 1);
        t.post(ALICE, "15:13:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expect(&["bob gift: ordered > waitlisted > sold_out", "bob hears waitlisted, sold_out"]);
        t.event_at("sold_out", "15:13:00");
    }),
    ("the line is full", |t| {
        bob_waits(t, 1);
        t.post(CAROL, "15:13:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.expect(&[
            "bob gift: ordered > waitlisted",
            "bob hears waitlisted",
            "carol gift: ordered > sold_out",
            "carol hears sold_out",
        ]);
    }),
    ("who leaves the line gives the place to the next", |t| {
        bob_waits(t, 2);
        t.post(CAROL, "15:13:00", BUY);
        t.post(BOB, "15:14:00", CANCEL);
        t.post(ALICE, "15:15:00", CANCEL);
        t.post(CAROL, "15:21:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > cancelled(cancelled_by_user)",
            "bob hears waitlisted, cancelled",
            "carol gift: ordered > waitlisted > prompted > authorized > fulfilled",
            "carol hears waitlisted, prompt, purchased",
            "carol pays 1500 USD",
        ]);
    }),
    ("the line is served in its order", |t| {
        bob_waits(t, 2);
        t.post(CAROL, "15:13:00", BUY);
        t.post(ALICE, "15:19:00", CANCEL);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > prompted",
            "bob hears waitlisted, prompt",
            "carol gift: ordered > waitlisted",
            "carol hears waitlisted",
        ]);
    }),
    ("a waitlisted buy that is deleted", |t| {
        let (_, order) = bob_waits(t, 1);
        t.delete(BOB, "15:08:00", order);
        t.waits_for_a_confirm(ALICE);
        t.expect(&["bob gift: ordered > waitlisted > cancelled(deleted)", "bob hears waitlisted, cancelled"]);
    }),
    ("a waitlisted buy counts as one that waits", |t| {
        bob_waits(t, 1);
        t.post(BOB, "15:13:00", "hello? #BuyAmexGiftCard25");
        t.waits_for_a_confirm(ALICE);
        t.expect(&[
            "bob gift: ordered > waitlisted",
            "bob gift: rejected(duplicate)",
            "bob hears waitlisted, already_tweeted",
        ]);
    }),
    ("a larger quantity serves the line", |t| {
        bob_waits(t, 1);
        let mut larger = t.offers[0].clone();
        larger.quantity = Some(2);
        t.publish(&larger);
        t.waits_for_a_confirm(ALICE);
        t.expect(&["bob gift: ordered > waitlisted > prompted", "bob hears waitlisted, prompt"]);
    }),
    ("a larger quantity opens no window in the future, whatever was told with a time ahead", |t| {
        bob_waits(t, 2);
        t.post(CAROL, "15:07:30", BUY);
        t.unlink(CAROL, "21:00:00");
        let mut larger = t.offers[0].clone();
        larger.quantity = Some(2);
        t.publish(&larger);
        t.post(BOB, "15:10:00", CONFIRM);
        t.waits_for_a_confirm(ALICE);
        bob_buys_from_the_line(t);
        t.expect(&["carol gift: ordered > waitlisted > cancelled(unlinked)", "carol hears waitlisted, cancelled"]);
    }),
    ("a long wait in line outlives a new link", |t| {
        t.set("reply.feedback", "\"required\"");
        t.set("reply.feedback_timeout", "\"72h\"");
        bob_waits(t, 1);
        t.post(BOB, "15:13:00", BUY);
        t.link(BOB, "13 10:00:00");
        t.watermark("14 12:00:00");
        t.card(BOB, "active", "14 12:00:00");
        t.waits_for_a_confirm(ALICE);
        t.expect(&[
            "bob gift: ordered > waitlisted",
            "bob gift: rejected(duplicate)",
            "bob hears waitlisted, already_tweeted",
        ]);
        t.news_again("a refused buy of long ago is stale once it is forgotten");
    }),
    ("a unit that comes back inside the cancel window serves the line", |t| {
        t.set("account.cancel_window", "\"10m\"");
        bob_waits(t, 1);
        t.post(ALICE, "15:13:00", CONFIRM);
        t.post(ALICE, "15:19:00", CANCEL);
        t.post(BOB, "15:26:00", CONFIRM);
        t.watermark("15:36:00.001");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > cancelled(cancelled_by_user)",
            "alice hears prompt, purchased, cancelled",
            "alice pays 1500 USD",
            "alice gets it back: cancelled_by_user",
        ]);
        bob_buys_from_the_line(t);
    }),
    ("the line ends when the cancel window of the last sale has passed", |t| {
        t.set("account.cancel_window", "\"10m\"");
        bob_waits(t, 1);
        t.post(ALICE, "15:13:00", CONFIRM);
        t.watermark("15:23:00.001");
        t.buys_the_gift(ALICE);
        t.expect(&["bob gift: ordered > waitlisted > sold_out", "bob hears waitlisted, sold_out"]);
    }),
    ("who waited in line for days is told directly where the reply failed", |t| {
        t.set("reply.feedback", "\"required\"");
        t.set("reply.feedback_timeout", "\"72h\"");
        let (_, order) = bob_waits(t, 1);
        t.post(ALICE, "14 15:00:00", CANCEL);
        let prompt = t.prompt_of(BOB, order, "14 15:00:02");
        t.posted(BOB, "prompt", &prompt, "14 15:00:02");
        t.watermark("14 15:17:00");
        t.failed(BOB, "expired", "14 15:18:00");
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > prompted > expired",
            "bob hears waitlisted, prompt, expired",
            "bob privately hears expired",
        ]);
    }),
    ("who left the line after days is told directly where the reply failed", |t| {
        t.set("reply.feedback", "\"required\"");
        t.set("reply.feedback_timeout", "\"96h\"");
        bob_waits(t, 1);
        t.post(BOB, "15 12:00:00", CANCEL);
        t.watermark("15 12:01:00");
        t.failed(BOB, "cancelled", "15 12:02:00");
        t.waits_for_a_confirm(ALICE);
        t.expect(&[
            "bob gift: ordered > waitlisted > cancelled(cancelled_by_user)",
            "bob hears waitlisted, cancelled",
            "bob privately hears cancelled",
        ]);
    }),
    ("a confirm that is late for what waits pays a place in line that was served before it", |t| {
        t.gift(|offer| (offer.quantity, offer.waitlist_max, offer.per_account) = (Some(2), Some(1), Some(2)));
        t.linked(ALICE);
        t.linked(BOB);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:07:00", BUY);
        t.post(ALICE, "15:13:00", "another #BuyAmexGiftCard25");
        t.post(ALICE, "15:17:30", CONFIRM);
        t.post(BOB, "15:16:00", CANCEL);
        t.expect(&[
            "alice gift: ordered > prompted !late",
            "alice gift: ordered > waitlisted > prompted > authorized > fulfilled",
            "alice hears prompt, waitlisted, prompt, purchased",
            "alice pays 1500 USD",
            "bob gift: ordered > prompted > cancelled(cancelled_by_user)",
            "bob hears prompt, cancelled",
        ]);
    }),
    ("a post with two confirm tags: one pays, the other was said before a unit was free", |t| {
        bob_waits(t, 1);
        t.post(BOB, "15:08:00", "#BuyKindleFireHD");
        let confirm = t.post(BOB, "15:14:00", "#ConfirmKindleFireHD #ConfirmAmexGiftCard25");
        t.post(ALICE, "15:15:00", CANCEL);
        t.watermark("15:16:00");
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice hears prompt, cancelled",
            "bob gift: ordered > waitlisted > prompted !no_purchase",
            "bob kindle: ordered > prompted > authorized > fulfilled",
            "bob hears waitlisted, prompt, purchased, prompt",
            "bob pays 16199 USD",
        ]);
        t.record("purchases.events", json!({"reason": "no_purchase", "post": confirm.to_string()}));
    }),
];
