//! The forms of a confirm: which posts pay, which never do.

use serde_json::json;

use crate::people::{ALICE, BOB, SERVICE, STRANGER, User};
use crate::shapes::{Original, Post, Shape};
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

const MANUAL: &str = "RT @AmexSync: @alice Tweet #ConfirmAmexGiftCard25 w/in 15 min to buy";

/// Alice ordered a gift card at 15:01.
fn ordered(t: &mut Talk) -> u64 {
    t.linked(ALICE);
    t.post(ALICE, "15:01:00", BUY)
}

/// As above, and the gateway told where the prompt is.
fn prompted(t: &mut Talk) -> Original {
    let order = ordered(t);
    let prompt = t.prompt_of(ALICE, order, "15:01:02");
    t.posted(ALICE, "prompt", &prompt, "15:01:02");
    prompt
}

fn rejected(t: &mut Talk, reason: &str) {
    t.expect(&[&format!("alice gift: ordered > prompted !{reason}"), "alice hears prompt"]);
}

pub const TABLE: Table = &[
    ("the contract's example: bare buy, duplicate, a stranger's confirm, manual retweet with comment", |t| {
        let order = ordered(t);
        t.post(ALICE, "15:01:30", "hello? #BuyAmexGiftCard25");
        t.post(STRANGER, "15:02:00", CONFIRM);
        let confirm = t.post(ALICE, "15:05:00.123", &format!("My first buy: {MANUAL}"));
        t.noise("17:00:00");
        t.raw("17:00:00", b"{\"this is\": \"cut");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice gift: rejected(duplicate)",
            "alice hears prompt, already_tweeted, purchased",
            "alice pays 1500 USD",
            "dead letters: not_json",
        ]);
        t.record(
            "payments.authorized",
            json!({"account": "twitter:1450001015437457789", "card": "tok_alice",
            "offer": "gift", "merchant": "amex", "amount": {"minor": 1500, "currency": "USD"},
            "ordered_at": "2013-02-12T15:01:00.000Z", "confirmed_at": "2013-02-12T15:05:00.123Z",
            "order_post": order.to_string(), "confirm_post": confirm.to_string()}),
        );
        t.record(
            "fulfilment.orders",
            json!({"merchant": "amex", "item": "$25 gift card", "quantity": 1,
            "ship_to": "adr_alice"}),
        );
        t.record("replies", json!({"kind": "prompt", "in_reply_to": order.to_string(), "handle": "alice"}));
        t.record("replies", json!({"kind": "purchased", "in_reply_to": confirm.to_string()}));
        t.record("purchases.events", json!({"to": "prompted", "post": order.to_string()}));
        t.record("purchases.events", json!({"to": "authorized", "post": confirm.to_string()}));
        t.decided_at_once("which of two buys is the duplicate");
    }),
    ("a bare confirm", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", "yes please #ConfirmAmexGiftCard25!");
        t.buys_the_gift(ALICE);
    }),
    ("a reply to the prompt", |t| {
        let prompt = prompted(t);
        t.reply(ALICE, "15:05:00", "@AmexSync #ConfirmAmexGiftCard25", (prompt.id, SERVICE));
        t.buys_the_gift(ALICE);
    }),
    ("a reply to somebody else", |t| {
        let order = ordered(t);
        t.reply(ALICE, "15:05:00", "@bob look what I do #ConfirmAmexGiftCard25", (order, BOB));
        t.buys_the_gift(ALICE);
    }),
    ("a manual retweet of the service without comment", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", MANUAL);
        t.buys_the_gift(ALICE);
    }),
    ("a manual retweet of the service's handle in another case", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", "ok RT @amexsync: @alice Tweet #ConfirmAmexGiftCard25");
        t.buys_the_gift(ALICE);
    }),
    ("a manual retweet of somebody else never confirms", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", "RT @bob: #ConfirmAmexGiftCard25");
        rejected(t, "manual_retweet");
    }),
    ("a native retweet of the own prompt, told by the gateway", |t| {
        let prompt = prompted(t);
        t.retweet(ALICE, "15:05:00", &prompt.without_reply());
        t.buys_the_gift(ALICE);
    }),
    ("a native retweet of the own prompt that the record leaves out, told by the gateway", |t| {
        let prompt = prompted(t);
        t.only(&[Shape::V2]);
        t.retweet(ALICE, "15:05:00", &prompt.left_out());
        t.buys_the_gift(ALICE);
    }),
    ("a native retweet of the own prompt, known because it replies to the order", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:01:02");
        t.retweet(ALICE, "15:05:00", &prompt);
        t.buys_the_gift(ALICE);
    }),
    ("a native retweet of the own prompt, known because it replies to this user", |t| {
        ordered(t);
        let prompt = t.prompt_of(ALICE, 4711, "15:01:02");
        t.retweet(ALICE, "15:05:00", &prompt);
        t.buys_the_gift(ALICE);
    }),
    ("a native retweet of a prompt that neither the record nor the gateway tells", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:01:02");
        t.only(&[Shape::V2]);
        t.retweet(ALICE, "15:05:00", &prompt.left_out());
        t.waits_for_a_confirm(ALICE);
    }),
    ("my native retweet of somebody else's prompt", |t| {
        ordered(t);
        let prompt = t.prompt_of(BOB, 4711, "15:01:02");
        t.retweet(ALICE, "15:05:00", &prompt);
        rejected(t, "retweet");
    }),
    ("somebody else's retweet of my prompt, who waits for nothing", |t| {
        let prompt = prompted(t);
        t.linked(BOB);
        t.retweet(BOB, "15:05:00", &prompt);
        t.waits_for_a_confirm(ALICE);
    }),
    ("somebody else's retweet of my prompt, who waits for a confirm too", |t| {
        let prompt = prompted(t);
        t.linked(BOB);
        t.post(BOB, "15:02:00", BUY);
        t.retweet(BOB, "15:05:00", &prompt);
        t.waits_for_a_confirm(ALICE);
        t.expect(&["bob gift: ordered > prompted !retweet", "bob hears prompt"]);
    }),
    ("a native retweet of somebody who only calls himself the service", |t| {
        let order = ordered(t);
        let genuine = t.prompt_of(ALICE, order, "15:01:02");
        let fake = Original { author: User { id: 666, handle: "AmexSync" }, id: genuine.id + 1, ..genuine };
        t.retweet(ALICE, "15:05:00", &fake);
        rejected(t, "retweet");
    }),
    ("a native retweet of the service's other words to me carries no tag", |t| {
        let order = ordered(t);
        let other = Original { text: "@alice thanks".to_owned(), ..t.prompt_of(ALICE, order, "15:01:02") };
        t.retweet(ALICE, "15:05:00", &other);
        t.waits_for_a_confirm(ALICE);
    }),
    ("a quote of the own prompt, told by the gateway and left out of the record", |t| {
        let prompt = prompted(t);
        t.quote(ALICE, "15:05:00", "yes!", &prompt.left_out());
        t.buys_the_gift(ALICE);
    }),
    ("a quote of the own prompt, known because it replies to the order", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:01:02");
        t.quote(ALICE, "15:05:00", "yes!", &prompt);
        t.buys_the_gift(ALICE);
    }),
    ("a quote of the own prompt that says the tag too", |t| {
        let prompt = prompted(t);
        t.quote(ALICE, "15:05:00", CONFIRM, &prompt);
        t.buys_the_gift(ALICE);
    }),
    ("a quote of the second of two own prompts pays the second", |t| {
        t.gift(|offer| offer.per_account = Some(2));
        t.only(&[Shape::V2]);
        prompted(t);
        let second = t.post(ALICE, "15:07:00", "another #BuyAmexGiftCard25");
        let prompt = t.prompt_of(ALICE, second, "15:07:02");
        t.posted(ALICE, "prompt", &prompt, "15:07:02");
        t.quote(ALICE, "15:08:00", CONFIRM, &prompt.left_out());
        t.expect(&[
            "alice gift: ordered > prompted",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, prompt, purchased",
            "alice pays 1500 USD",
        ]);
        t.record("payments.authorized", json!({"order_post": second.to_string()}));
    }),
    ("a quote of anything else never confirms, whatever it says", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(BOB, order, "15:01:02");
        let joke = Original { author: BOB, id: prompt.id + 1, reply_to: None, text: "haha".to_owned(), ..prompt };
        t.quote(ALICE, "15:05:00", CONFIRM, &joke);
        rejected(t, "quote");
    }),
    ("a quote of somebody else's prompt", |t| {
        ordered(t);
        let prompt = t.prompt_of(BOB, 4711, "15:01:02");
        t.quote(ALICE, "15:05:00", "me too", &prompt);
        rejected(t, "quote");
    }),
    ("the confirm tag by another account concerns nothing", |t| {
        ordered(t);
        t.linked(BOB);
        t.post(BOB, "15:04:00", CONFIRM);
        t.waits_for_a_confirm(ALICE);
    }),
    ("both tags in one post order and confirm nothing", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#BuyAmexGiftCard25 #ConfirmAmexGiftCard25");
        rejected(t, "both_tags");
    }),
    ("both tags while a purchase waits: a duplicate that confirms nothing", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", "#BuyAmexGiftCard25 #ConfirmAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted !both_tags",
            "alice gift: rejected(duplicate)",
            "alice hears prompt, already_tweeted",
        ]);
        t.decided_at_once("which of two buys is the duplicate");
    }),
    ("another offer's buy tag in a confirm", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", "#BuyKindleFireHD #ConfirmAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted !both_tags",
            "alice kindle: ordered > prompted",
            "alice hears prompt, prompt",
        ]);
    }),
    ("a buy tag that orders nothing, in a confirm", |t| {
        ordered(t);
        t.withdraw("kindle");
        t.post(ALICE, "15:05:00", "#BuyKindleFireHD #ConfirmAmexGiftCard25");
        rejected(t, "both_tags");
    }),
    ("a buy tag that orders nothing, in a quote of the own prompt", |t| {
        let prompt = prompted(t);
        t.withdraw("kindle");
        t.quote(ALICE, "15:05:00", "yes! and #BuyKindleFireHD", &prompt);
        t.waits_for_a_confirm(ALICE);
    }),
    ("one confirm pays the oldest that waits, the next the next", |t| {
        t.gift(|offer| offer.per_account = Some(2));
        let first = ordered(t);
        let second = t.post(ALICE, "15:02:00", "another #BuyAmexGiftCard25");
        let one = t.post(ALICE, "15:05:00", CONFIRM);
        t.watermark("15:05:00");
        let two = t.post(ALICE, "15:12:00", "again #ConfirmAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, prompt, purchased, purchased",
            "alice pays 1500 USD",
            "alice pays 1500 USD",
        ]);
        let pair =
            |order: u64, confirm: u64| json!({"order_post": order.to_string(), "confirm_post": confirm.to_string()});
        t.record("payments.authorized", pair(first, one));
        t.record("payments.authorized", pair(second, two));
        t.decided_at_once("a confirm pays the oldest that was read, at once");
    }),
    ("a second confirm pays nothing more", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.post(ALICE, "15:06:00", "sure #ConfirmAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled !no_purchase",
            "alice hears prompt, purchased",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("which of two confirms pays");
    }),
    ("the confirm tags of two offers in one post", |t| {
        ordered(t);
        t.post(ALICE, "15:02:00", "#BuyKindleFireHD");
        t.post(ALICE, "15:05:00", "both! #ConfirmKindleFireHD #ConfirmAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice kindle: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, prompt, purchased, purchased",
            "alice pays 1500 USD",
            "alice pays 16199 USD",
        ]);
    }),
    ("a record that does not include its author", |t| {
        t.only(&[Shape::V2]);
        t.linked(ALICE);
        t.put(Post { users_included: false, ..said(ALICE, "15:01:00", BUY) });
        t.put(Post { users_included: false, ..said(ALICE, "15:05:00", CONFIRM) });
        t.buys_the_gift(ALICE);
    }),
    ("a native retweet that is read before the gateway told where the prompt is", |t| {
        let order = ordered(t);
        let prompt = t.prompt_of(ALICE, order, "15:01:02");
        t.only(&[Shape::V2]);
        t.retweet(ALICE, "15:05:00", &prompt.left_out());
        t.posted(ALICE, "prompt", &prompt, "15:01:02");
        t.buys_the_gift(ALICE);
    }),
    ("my confirm, natively retweeted by another and by me", |t| {
        ordered(t);
        t.linked(BOB);
        t.post(BOB, "15:02:00", BUY);
        let confirm = said(ALICE, "15:05:00", CONFIRM);
        let confirm = Original {
            id: confirm.id,
            author: ALICE,
            at: confirm.at,
            text: confirm.text,
            reply_to: None,
            included: true,
        };
        t.post(ALICE, "15:05:00", CONFIRM);
        t.retweet(BOB, "15:07:00", &confirm);
        t.retweet(ALICE, "15:07:30", &confirm);
        t.buys_the_gift(ALICE);
        t.waits_for_a_confirm(BOB);
    }),
    ("a native retweet of the own prompt after the deadline", |t| {
        let prompt = prompted(t);
        t.retweet(ALICE, "15:17:00.001", &prompt);
        rejected(t, "late");
    }),
    ("confirms that came to nothing against what is paid pay older buys that are read after them, one each", |t| {
        t.gift(|offer| offer.per_account = Some(3));
        t.linked(ALICE);
        t.post(ALICE, "15:03:00", BUY);
        t.post(ALICE, "15:03:30", CONFIRM);
        let confirms = [t.post(ALICE, "15:04:00", CONFIRM), t.post(ALICE, "15:04:30", CONFIRM)];
        let orders = [t.post(ALICE, "15:01:00", BUY), t.post(ALICE, "15:02:00", BUY)];
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled !no_purchase !no_purchase",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, purchased, prompt, purchased, prompt, purchased",
        ]);
        t.expect(&["alice pays 1500 USD"; 3]);
        for (order, confirm) in orders.into_iter().zip(confirms) {
            let pair = json!({"order_post": order.to_string(), "confirm_post": confirm.to_string()});
            t.record("payments.authorized", pair);
        }
        t.decided_at_once("a confirm pays the oldest that was read, at once");
    }),
    ("a late confirm is told once, also if the purchase that it was late for is cancelled", |t| {
        t.gift(|offer| offer.per_account = Some(3));
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:04:00", BUY);
        t.post(ALICE, "15:18:00", CONFIRM);
        t.post(ALICE, "15:18:30", CONFIRM);
        t.card(ALICE, "suspended", "15:19:00");
        t.expect(&[
            "alice gift: ordered > prompted !late > cancelled(card_not_active)",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, prompt, purchased, cancelled",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("a confirm pays the oldest that was read, at once");
    }),
    ("a retweet of a post of the service to this user that carries two confirm tags pays both", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", "#BuyKindleFireHD");
        let prompt = t.prompt_of(ALICE, order, "15:02:02");
        let both = Original { text: format!("{} or #ConfirmKindleFireHD", prompt.text), ..prompt };
        t.retweet(ALICE, "15:05:00", &both);
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice kindle: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, prompt, purchased, purchased",
            "alice pays 1500 USD",
            "alice pays 16199 USD",
        ]);
    }),
    ("a quote of the own prompt with another offer's confirm tag pays the one and not the other", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", "#BuyKindleFireHD");
        let prompt = t.prompt_of(ALICE, order, "15:02:02");
        t.quote(ALICE, "15:05:00", "and #ConfirmKindleFireHD", &prompt);
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice kindle: ordered > prompted !quote",
            "alice hears prompt, prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
];
