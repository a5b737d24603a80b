//! Deadlines and the watermark: what is on time, when it expires, what is kept until its buy is read.

use serde_json::json;

use crate::people::{ALICE, BOB};
use crate::shapes::Post;
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

/// Alice orders at 15:01:00.000; without news of the prompt the deadline is 15:17:00.000.
fn ordered(t: &mut Talk) -> u64 {
    t.linked(ALICE);
    t.post(ALICE, "15:01:00", BUY)
}

/// Two purchases wait, until 15:17:00 and 15:18:00.
fn ordered_twice(t: &mut Talk) -> [u64; 2] {
    t.gift(|offer| offer.per_account = Some(2));
    [ordered(t), t.post(ALICE, "15:02:00", "another #BuyAmexGiftCard25")]
}

fn late_for_the_first(t: &mut Talk) {
    t.expect(&["alice gift: ordered > prompted !late", "alice gift: ordered > prompted", "alice hears prompt, prompt"]);
}

pub const TABLE: Table = &[
    ("a confirm in the deadline's own millisecond pays", |t| {
        ordered(t);
        t.post(ALICE, "15:17:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
        t.record("payments.authorized", json!({"confirmed_at": "2013-02-12T15:17:00.000Z"}));
    }),
    ("a confirm one millisecond later is late", |t| {
        ordered(t);
        t.post(ALICE, "15:17:00.001", CONFIRM);
        t.watermark("15:18:00");
        t.expect(&["alice gift: ordered > prompted !late > expired", "alice hears prompt, expired"]);
        t.event_at("expired", "15:17:00.000");
        t.record("purchases.events", json!({"to": "expired", "post": null}));
    }),
    ("a confirm of one millisecond before the order is none", |t| {
        ordered(t);
        t.post(ALICE, "15:00:59.999", CONFIRM);
        t.waits_for_a_confirm(ALICE);
    }),
    ("a confirm of the order's own millisecond pays", |t| {
        let order = ordered(t);
        let confirm = said(ALICE, "15:01:00", CONFIRM);
        t.put(Post { id: order + 1, first_id: order + 1, ..confirm });
        t.buys_the_gift(ALICE);
    }),
    ("a confirm that is read before its buy is kept and pays", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:04:00", CONFIRM);
        t.post(ALICE, "15:01:00", BUY);
        t.buys_the_gift(ALICE);
    }),
    ("a kept confirm is dropped when the watermark has passed its time", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.watermark("15:05:00.001");
        t.post(ALICE, "15:01:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.news_again("a confirm that was dropped is on time for what waits since");
    }),
    ("a kept confirm still stands when the watermark has come to its time", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.watermark("15:05:00.000");
        t.post(ALICE, "15:01:00", BUY);
        t.buys_the_gift(ALICE);
    }),
    ("a late kept confirm pays nothing", |t| {
        t.lateness_max(3600);
        t.linked(ALICE);
        t.post(ALICE, "15:17:00.001", CONFIRM);
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > prompted !late", "alice hears prompt"]);
    }),
    ("the window opens when the prompt appeared, if that is later", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:04:00");
        t.posted(ALICE, "prompt", &prompt, "15:04:00");
        t.post(ALICE, "15:19:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("one millisecond after the window of a late prompt", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:04:00");
        t.posted(ALICE, "prompt", &prompt, "15:04:00");
        t.post(ALICE, "15:19:00.001", CONFIRM);
        t.expect(&["alice gift: ordered > prompted !late", "alice hears prompt"]);
    }),
    ("a prompt that appeared at once takes nothing from the grace", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:01:01");
        t.posted(ALICE, "prompt", &prompt, "15:01:01");
        t.post(ALICE, "15:17:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("what is told after a confirm was judged changes nothing for that confirm", |t| {
        let order = ordered(t);
        t.post(ALICE, "15:18:00", CONFIRM);
        let prompt = t.prompt_of(ALICE, order, "15:04:00");
        t.posted(ALICE, "prompt", &prompt, "15:04:00");
        t.expect(&["alice gift: ordered > prompted !late", "alice hears prompt"]);
    }),
    ("another confirm after a late prompt was told", |t| {
        let order = ordered(t);
        t.post(ALICE, "15:18:00", CONFIRM);
        let prompt = t.prompt_of(ALICE, order, "15:04:00");
        t.posted(ALICE, "prompt", &prompt, "15:04:00");
        t.post(ALICE, "15:18:30", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted !late > authorized > fulfilled",
            "alice hears prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    (
        "a confirm that was late for two purchases pays neither when it is read again after their prompts were told",
        |t| {
            let orders = ordered_twice(t);
            let late = said(ALICE, "15:18:30", CONFIRM);
            t.put(late.clone());
            for (order, at) in orders.into_iter().zip(["15:04:00", "15:05:00"]) {
                let prompt = t.prompt_of(ALICE, order, at);
                t.posted(ALICE, "prompt", &prompt, at);
            }
            t.put(late);
            late_for_the_first(t);
        },
    ),
    ("nor where only the second may still be confirmed by then", |t| {
        let [_, second] = ordered_twice(t);
        let late = said(ALICE, "15:18:30", CONFIRM);
        t.put(late.clone());
        t.posted(ALICE, "prompt", &t.prompt_of(ALICE, 4711, "15:01:01"), "15:01:01");
        let prompt = t.prompt_of(ALICE, second, "15:05:00");
        t.posted(ALICE, "prompt", &prompt, "15:05:00");
        t.put(late);
        late_for_the_first(t);
    }),
    ("a confirm that is late for the first of two purchases pays the second, whichever was read first", |t| {
        t.lateness_max(3600);
        t.gift(|offer| offer.per_account = Some(2));
        ordered(t);
        t.post(ALICE, "15:17:30", CONFIRM);
        t.post(ALICE, "15:02:00", "another #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted !late",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("a confirm that was late for what expired meanwhile pays a buy before it that is read then", |t| {
        ordered(t);
        t.post(ALICE, "15:17:30", CONFIRM);
        t.watermark("15:17:00.001");
        t.post(ALICE, "15:17:10", "again #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted !late > expired",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, expired, prompt, purchased",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("which of two buys is the duplicate");
    }),
    ("a late confirm that is kept pays nothing of what it was late for, whatever is told then", |t| {
        let orders = ordered_twice(t);
        t.post(ALICE, "15:18:30", CONFIRM);
        for (order, at) in orders.into_iter().zip(["15:04:00", "15:05:00"]) {
            let prompt = t.prompt_of(ALICE, order, at);
            t.posted(ALICE, "prompt", &prompt, at);
        }
        late_for_the_first(t);
    }),
    ("nothing expires while the watermark only comes to the deadline", |t| {
        ordered(t);
        t.watermark("15:17:00.000");
        t.post(ALICE, "15:16:59.999", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("a confirm that is read after the watermark passed is late whatever its time", |t| {
        ordered(t);
        t.watermark("15:17:00.001");
        t.post(ALICE, "15:16:59", CONFIRM);
        t.expect(&["alice gift: ordered > prompted > expired !late", "alice hears prompt, expired"]);
        t.event_at("expired", "15:17:00.000");
    }),
    ("who let it expire may start again", |t| {
        ordered(t);
        t.watermark("15:17:00.001");
        t.post(ALICE, "15:30:00", "again #BuyAmexGiftCard25");
        t.post(ALICE, "15:31:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > expired",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, expired, prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("a confirm of the second try is not spent on the expired one", |t| {
        t.lateness_max(60);
        ordered(t);
        t.watermark("15:17:00.001");
        t.post(ALICE, "15:20:30", CONFIRM);
        t.post(ALICE, "15:20:00", "again #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted > expired !late",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, expired, prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("window and grace as configured", |t| {
        t.set("account.confirm_window", "\"5m\"");
        t.set("account.reply_grace", "\"0s\"");
        ordered(t);
        t.linked(BOB);
        t.post(BOB, "15:01:00", BUY);
        t.post(ALICE, "15:06:00.000", CONFIRM);
        t.post(BOB, "15:06:00.001", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expect(&["bob gift: ordered > prompted !late", "bob hears prompt"]);
        t.record("replies", json!({"kind": "prompt", "text": "~5 min"}));
    }),
    ("a buy of more than a day behind the watermark is stale", |t| {
        t.linked(ALICE);
        t.watermark("13 15:01:00.001");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: rejected(stale)"]);
    }),
    ("a buy of just a day behind the watermark orders, though nobody can confirm it", |t| {
        t.linked(ALICE);
        t.watermark("13 15:01:00.000");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
    }),
    ("two kept confirms: the earlier pays", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:05:00", CONFIRM);
        let earlier = t.post(ALICE, "15:04:00", CONFIRM);
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled !no_purchase",
            "alice hears prompt, purchased",
            "alice pays 1500 USD",
        ]);
        t.record("payments.authorized", json!({"confirm_post": earlier.to_string()}));
        t.decided_at_once("which of two confirms pays");
    }),
    ("an id from before snowflakes: its published time counts", |t| {
        t.linked(ALICE);
        t.put(Post { id: 5_000_000_000, first_id: 5_000_000_000, ..said(ALICE, "15:01:00", BUY) });
        t.post(ALICE, "15:17:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
        t.record("payments.authorized", json!({"order_post": "5000000000", "ordered_at": "2013-02-12T15:01:00.000Z"}));
    }),
    ("after the last input file idle sources move once", |t| {
        t.set("time.idle_after", "\"30s\"");
        ordered(t);
        t.end_of_input();
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
        t.news_again("a buy of long ago is stale once its purchase is forgotten");
        t.event_at("expired", "15:17:00.000");
    }),
    ("idle never means that the end of the files moves nothing", |t| {
        ordered(t);
        t.end_of_input();
        t.waits_for_a_confirm(ALICE);
    }),
    ("a confirm that concerns nothing is answered once, whatever tags it has and however often it is read", |t| {
        t.set("reply.nothing_to_confirm", "true");
        t.linked(ALICE);
        let confirm = said(ALICE, "15:05:00", "#ConfirmKindleFireHD #ConfirmAmexGiftCard25");
        t.put(confirm.clone());
        t.watermark("15:05:00.001");
        t.put(confirm);
        t.expect(&["alice hears nothing_to_confirm"]);
    }),
    ("an edit of a confirm that was answered is not answered when it is read again long after", |t| {
        t.set("reply.nothing_to_confirm", "true");
        t.set("account.buy_max_age", "\"1h\"");
        t.linked(ALICE);
        let first = t.post(ALICE, "15:05:00", "#ConfirmKindleFireHD");
        t.edit(ALICE, "15:10:00", first, "#ConfirmKindleFireHD, please");
        t.watermark("15:10:00.001");
        t.watermark("16:05:00.001");
        t.edit(ALICE, "15:10:00", first, "#ConfirmKindleFireHD, please");
        t.expect(&["alice hears nothing_to_confirm"]);
    }),
    ("what one tick passes comes in order of time: confirms of nothing and a deadline", |t| {
        t.lateness_max(3600);
        t.set("reply.nothing_to_confirm", "true");
        ordered(t);
        t.post(ALICE, "15:10:00", "#ConfirmKindleFireHD");
        t.post(ALICE, "15:18:00", "#ConfirmKindleFireHD");
        t.watermark("15:30:00");
        t.expect(&[
            "alice gift: ordered > prompted > expired",
            "alice hears prompt, nothing_to_confirm, expired, nothing_to_confirm",
        ]);
    }),
    ("a confirm that is read when its cancel window has passed is fulfilled at once", |t| {
        t.set("account.cancel_window", "\"1m\"");
        ordered(t);
        t.watermark("15:10:00");
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.event_at("fulfilled", "15:06:00");
    }),
    ("a prompt whose whole window has passed expires at once, where no stock is asked either", |t| {
        t.linked(ALICE);
        t.watermark("15:17:00.001");
        t.post(ALICE, "15:01:00", "#BuyKindleFireHD");
        t.expect(&["alice kindle: ordered > prompted > expired", "alice hears prompt, expired"]);
        t.event_at("expired", "15:17:00");
    }),
];
