//! What the gateway did with replies, and what follows.

use serde_json::json;

use crate::people::{ALICE, BOB, SERVICE};
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

fn ordered(t: &mut Talk) -> u64 {
    t.linked(ALICE);
    t.post(ALICE, "15:01:00", BUY)
}

fn required(t: &mut Talk) -> u64 {
    t.set("reply.feedback", "\"required\"");
    ordered(t)
}

fn failed_lines(t: &mut Talk) {
    t.expect(&[
        "alice gift: ordered > prompted > cancelled(prompt_failed)",
        "alice hears prompt",
        "alice privately hears cancelled",
    ]);
}

pub const TABLE: Table = &[
    ("a prompt that failed cancels, and one direct message says so", |t| {
        ordered(t);
        t.failed(ALICE, "prompt", "15:02:00");
        failed_lines(t);
        t.event_at("cancelled", "15:02:00");
        t.record("messages.direct", json!({"handle": "alice", "offer": "gift"}));
    }),
    ("a confirm after a failed prompt pays nothing", |t| {
        ordered(t);
        t.failed(ALICE, "prompt", "15:02:00");
        t.post(ALICE, "15:05:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(prompt_failed) !no_purchase",
            "alice hears prompt",
            "alice privately hears cancelled",
        ]);
    }),
    ("a prompt that failed gives its unit back", |t| {
        t.gift(|offer| offer.quantity = Some(1));
        ordered(t);
        t.linked(BOB);
        t.failed(ALICE, "prompt", "15:02:00");
        t.post(BOB, "15:03:00", BUY);
        failed_lines(t);
        t.waits_for_a_confirm(BOB);
    }),
    ("a prompt that failed after its confirm was judged changes nothing", |t| {
        ordered(t);
        t.post(ALICE, "15:03:00", CONFIRM);
        t.failed(ALICE, "prompt", "15:04:00");
        t.buys_the_gift(ALICE);
    }),
    ("a prompt that is told posted again, elsewhere and later, stays where it was first", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:02:00");
        t.posted(ALICE, "prompt", &prompt, "15:02:00");
        let again = t.prompt_of(ALICE, order, "15:12:00");
        t.posted(ALICE, "prompt", &again, "15:12:00");
        t.post(ALICE, "15:20:00", CONFIRM);
        t.expect(&["alice gift: ordered > prompted !late", "alice hears prompt"]);
    }),
    ("a prompt that is told failed after it was told posted stays", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:02:00");
        t.posted(ALICE, "prompt", &prompt, "15:02:00");
        t.failed(ALICE, "prompt", "15:04:00");
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("another reply that failed is told directly", |t| {
        ordered(t);
        t.post(ALICE, "15:03:00", CONFIRM);
        t.failed(ALICE, "purchased", "15:04:00");
        t.buys_the_gift(ALICE);
        t.expect(&["alice privately hears purchased"]);
    }),
    ("without feedback nothing waits for it", |t| {
        ordered(t);
        t.watermark("15:17:00.001");
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
    }),
    ("where feedback is required nothing expires before the prompt's fate is told", |t| {
        required(t);
        t.watermark("18:00:00");
        t.waits_for_a_confirm(ALICE);
    }),
    ("where feedback is required the window counts from what is told", |t| {
        let order = required(t);
        t.watermark("18:00:00");
        let prompt = t.prompt_of(ALICE, order, "18:00:00");
        t.posted(ALICE, "prompt", &prompt, "18:00:00");
        t.post(ALICE, "18:15:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("where feedback is required, what is told of long ago expires", |t| {
        let order = required(t);
        t.watermark("18:00:00");
        let prompt = t.prompt_of(ALICE, order, "15:03:00");
        t.posted(ALICE, "prompt", &prompt, "15:03:00");
        t.noise("18:10:00");
        t.noise("18:10:01");
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
        t.event_at("expired", "15:18:00");
    }),
    ("where feedback is required it is waited for a day at most", |t| {
        required(t);
        t.watermark("13 15:20:00");
        t.expect(&["alice gift: ordered > prompted > expired", "alice hears prompt, expired"]);
    }),
    ("where feedback is required a prompt that failed cancels", |t| {
        required(t);
        t.watermark("18:00:00");
        t.failed(ALICE, "prompt", "18:00:00");
        failed_lines(t);
    }),
    ("what is told of a reply that nobody knows changes nothing", |t| {
        ordered(t);
        t.side(
            "replies.posted",
            None,
            json!({"reply": "00000000-0000-5000-8000-000000000000",
            "account": "twitter:1450001015437457789", "post": "1", "at": "2013-02-12T16:00:00.000Z"}),
        );
        t.post(ALICE, "15:17:00.001", CONFIRM);
        t.expect(&["alice gift: ordered > prompted !late", "alice hears prompt"]);
    }),
    ("a confirm that paid is remembered while another purchase waits that it could pay", |t| {
        t.set("reply.feedback_timeout", "\"72h\"");
        t.set("account.cancel_window", "\"10m\"");
        t.gift(|offer| offer.per_account = Some(2));
        let order = required(t);
        t.post(ALICE, "15:02:00", "another #BuyAmexGiftCard25");
        let prompt = t.prompt_of(ALICE, order, "15:01:02");
        t.posted(ALICE, "prompt", &prompt, "15:01:02");
        let confirm = said(ALICE, "15:05:00", CONFIRM);
        t.put(confirm.clone());
        t.reply(ALICE, "15:06:00", "@AmexSync cancel", (prompt.id, SERVICE));
        t.watermark("14 16:00:00");
        t.put(confirm);
        t.expect(&[
            "alice gift: ordered > prompted > authorized > cancelled(cancelled_by_user)",
            "alice gift: ordered > prompted",
            "alice hears prompt, prompt, purchased, cancelled",
            "alice pays 1500 USD",
            "alice gets it back: cancelled_by_user",
        ]);
        t.decided_at_once("which of two buys is prompted first, and told of");
    }),
];
