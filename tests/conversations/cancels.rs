//! Cancel, by tag and by word, before and after the payment.

use serde_json::json;

use crate::people::{ALICE, BOB, SERVICE};
use crate::shapes::Original;
use crate::talk::{BUY, CANCEL, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

/// Alice waits for a gift card (15:01) and a reader (15:07), and the gateway told both prompts.
fn two_wait(t: &mut Talk) -> (Original, Original) {
    t.linked(ALICE);
    let gift = t.post(ALICE, "15:01:00", BUY);
    let gift = t.prompt_of(ALICE, gift, "15:01:02");
    t.posted(ALICE, "prompt", &gift, "15:01:02");
    let kindle = t.post(ALICE, "15:07:00", "#BuyKindleFireHD");
    let kindle = t.prompt_of(ALICE, kindle, "15:07:02");
    t.posted(ALICE, "prompt", &kindle, "15:07:02");
    (gift, kindle)
}

fn both_cancelled(t: &mut Talk) {
    t.expect(&[
        "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
        "alice kindle: ordered > prompted > cancelled(cancelled_by_user)",
        "alice hears prompt, prompt, cancelled, cancelled",
    ]);
}

fn only_gift_cancelled(t: &mut Talk) {
    t.expect(&[
        "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
        "alice kindle: ordered > prompted",
        "alice hears prompt, prompt, cancelled",
    ]);
}

fn none_cancelled(t: &mut Talk) {
    t.expect(&["alice gift: ordered > prompted", "alice kindle: ordered > prompted", "alice hears prompt, prompt"]);
}

/// Alice ordered at 15:01 and confirmed at 15:05; until 15:15 she may cancel.
fn paid_with_window(t: &mut Talk) {
    t.set("account.cancel_window", "\"10m\"");
    t.linked(ALICE);
    t.post(ALICE, "15:01:00", BUY);
    t.post(ALICE, "15:05:00", CONFIRM);
}

fn gets_it_back(t: &mut Talk) {
    t.expect(&[
        "alice gift: ordered > prompted > authorized > cancelled(cancelled_by_user)",
        "alice hears prompt, purchased, cancelled",
        "alice pays 1500 USD",
        "alice gets it back: cancelled_by_user",
    ]);
}

pub const TABLE: Table = &[
    ("a cancel tag cancels its offer's", |t| {
        two_wait(t);
        let cancel = t.post(ALICE, "15:08:00", CANCEL);
        only_gift_cancelled(t);
        t.record(
            "purchases.events",
            json!({"to": "cancelled", "at": "2013-02-12T15:08:00.000Z", "post": cancel.to_string()}),
        );
        t.record("replies", json!({"kind": "cancelled", "in_reply_to": cancel.to_string()}));
    }),
    ("the word, in reply to a prompt, cancels that purchase", |t| {
        let (gift, _) = two_wait(t);
        t.reply(ALICE, "15:08:00", "@AmexSync cancel", (gift.id, SERVICE));
        only_gift_cancelled(t);
    }),
    ("a cancel tag in reply to one of two prompts of its offer cancels that purchase", |t| {
        t.gift(|offer| offer.per_account = Some(2));
        t.linked(ALICE);
        let first = t.post(ALICE, "15:01:00", BUY);
        let prompt = t.prompt_of(ALICE, first, "15:01:02");
        t.posted(ALICE, "prompt", &prompt, "15:01:02");
        t.post(ALICE, "15:07:00", "another #BuyAmexGiftCard25");
        let text = format!("@AmexSync {CANCEL}");
        t.reply(ALICE, "15:08:00", &text, (prompt.id, SERVICE));
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice gift: ordered > prompted",
            "alice hears prompt, prompt, cancelled",
        ]);
    }),
    ("the cancel tags of two offers in reply to a prompt of one cancel both", |t| {
        let (gift, _) = two_wait(t);
        let text = format!("{CANCEL} #CancelKindleFireHD");
        t.reply(ALICE, "15:08:00", &text, (gift.id, SERVICE));
        both_cancelled(t);
    }),
    ("a cancel tag in reply to another offer's prompt cancels its own offer's", |t| {
        let (_, kindle) = two_wait(t);
        t.reply(ALICE, "15:08:00", CANCEL, (kindle.id, SERVICE));
        only_gift_cancelled(t);
    }),
    ("a post that buys cancels nothing, also where nobody can buy by it", |t| {
        two_wait(t);
        t.withdraw("kindle");
        t.post(ALICE, "15:08:00", "#BuyKindleFireHD instead #CancelAmexGiftCard25");
        none_cancelled(t);
    }),
    ("a post that bought cancels nothing when it comes again without its offer", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        let swap = said(ALICE, "15:07:00", "#BuyKindleFireHD instead #CancelAmexGiftCard25");
        t.put(swap.clone());
        t.withdraw("kindle");
        t.put(swap);
        none_cancelled(t);
    }),
    ("the word, in another case and with a mark, in reply to nothing that is known, cancels all that wait", |t| {
        two_wait(t);
        t.reply(ALICE, "15:08:00", "@AmexSync Cancel!", (4711, SERVICE));
        both_cancelled(t);
    }),
    ("the word to somebody else cancels nothing", |t| {
        two_wait(t);
        t.reply(ALICE, "15:08:00", "@bob cancel the party", (4711, BOB));
        t.post(ALICE, "15:09:00", "cancel culture");
        none_cancelled(t);
    }),
    ("another first word cancels nothing", |t| {
        let (gift, _) = two_wait(t);
        t.reply(ALICE, "15:08:00", "@AmexSync please don't cancel", (gift.id, SERVICE));
        t.reply(ALICE, "15:09:00", "@AmexSync cancelled flights, sigh", (gift.id, SERVICE));
        none_cancelled(t);
    }),
    ("somebody else's cancel cancels nothing of mine", |t| {
        let (gift, _) = two_wait(t);
        t.linked(BOB);
        t.reply(BOB, "15:08:00", "@AmexSync cancel", (gift.id, SERVICE));
        t.post(BOB, "15:09:00", CANCEL);
        none_cancelled(t);
    }),
    ("a native retweet of somebody's cancel cancels nothing", |t| {
        let (gift, _) = two_wait(t);
        let original = Original { author: BOB, text: CANCEL.to_owned(), reply_to: None, id: gift.id + 1, ..gift };
        t.retweet(ALICE, "15:08:00", &original);
        none_cancelled(t);
    }),
    ("the word, in reply to the prompt of what is paid, cancels nothing else", |t| {
        let (gift, _) = two_wait(t);
        t.post(ALICE, "15:08:00", CONFIRM);
        t.reply(ALICE, "15:14:00", "@AmexSync cancel", (gift.id, SERVICE));
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice kindle: ordered > prompted",
            "alice hears prompt, prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("who cancels one offer and confirms another in one breath confirms nothing, and the reason is recorded", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", "#BuyKindleFireHD");
        t.post(ALICE, "15:03:00", &format!("{CANCEL} #ConfirmKindleFireHD"));
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice kindle: ordered > prompted !cancelled_by_user",
            "alice hears prompt, prompt, cancelled",
        ]);
    }),
    ("a confirm after the cancel pays nothing", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:07:00", CANCEL);
        t.post(ALICE, "15:13:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user) !no_purchase",
            "alice hears prompt, cancelled",
        ]);
    }),
    ("a cancel after the payment comes too late", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:07:00", CONFIRM);
        t.post(ALICE, "15:13:00", CANCEL);
        t.buys_the_gift(ALICE);
    }),
    ("a cancel from before the order takes nothing back", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:00:00", CANCEL);
        t.post(ALICE, "15:01:00", BUY);
        t.waits_for_a_confirm(ALICE);
    }),
    ("a cancel that is read before its buy is known by then", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:04:00", CANCEL);
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > cancelled(cancelled_by_user)", "alice hears cancelled"]);
    }),
    (
        "an edit of a cancel that is read before its buy is known by then, also where the cancel was from before it",
        |t| {
            t.linked(ALICE);
            let cancel = t.post(ALICE, "15:00:00", CANCEL);
            t.edit(ALICE, "15:04:00", cancel, "#CancelAmexGiftCard25 sorry");
            t.post(ALICE, "15:01:00", BUY);
            t.expect(&["alice gift: ordered > cancelled(cancelled_by_user)", "alice hears cancelled"]);
        },
    ),
    ("an edit of a cancel that is read before its buy may name another offer", |t| {
        t.linked(ALICE);
        let cancel = t.post(ALICE, "15:03:00", "#CancelKindleFireHD");
        t.edit(ALICE, "15:04:00", cancel, "#CancelKindleFireHD #CancelAmexGiftCard25");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > cancelled(cancelled_by_user)", "alice hears cancelled"]);
    }),
    ("against a confirm kept from before its buy the earlier wins: the confirm", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:04:00", CANCEL);
        t.post(ALICE, "15:03:00", CONFIRM);
        t.post(ALICE, "15:01:00", BUY);
        t.buys_the_gift(ALICE);
        t.decided_at_once("a cancel of a purchase that waits");
    }),
    ("against a confirm kept from before its buy the earlier wins: the cancel", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:04:00", CONFIRM);
        t.post(ALICE, "15:03:00", CANCEL);
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > cancelled(cancelled_by_user) !no_purchase", "alice hears cancelled"]);
        t.decided_at_once("a payment");
    }),
    ("against a kept confirm that never could pay the cancel wins, earlier or not", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:04:00", CANCEL);
        t.post(ALICE, "15:03:00", "RT @bob: #ConfirmAmexGiftCard25");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > cancelled(cancelled_by_user) !manual_retweet", "alice hears cancelled"]);
    }),
    ("who cancelled may order again", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:07:00", CANCEL);
        t.post(ALICE, "15:13:00", "no, I do want it #BuyAmexGiftCard25");
        t.post(ALICE, "15:19:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(cancelled_by_user)",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, cancelled, prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("with a cancel window the order goes out when it has passed", |t| {
        paid_with_window(t);
        t.watermark("15:15:00.001");
        t.buys_the_gift(ALICE);
        t.event_at("authorized", "15:05:00");
        t.event_at("fulfilled", "15:15:00");
    }),
    ("with a cancel window nothing is ordered before", |t| {
        paid_with_window(t);
        t.watermark("15:15:00.000");
        t.expect(&[
            "alice gift: ordered > prompted > authorized",
            "alice hears prompt, purchased",
            "alice pays 1500 USD",
        ]);
        t.no_record("fulfilment.orders", json!({}));
    }),
    ("a cancel inside the window voids the payment", |t| {
        paid_with_window(t);
        t.post(ALICE, "15:15:00.000", CANCEL);
        t.watermark("15:30:00");
        gets_it_back(t);
        t.record("payments.voided", json!({"reason": "cancelled_by_user", "at": "2013-02-12T15:15:00.000Z"}));
        t.no_record("fulfilment.orders", json!({}));
    }),
    ("the word in reply to the service voids inside the window, too", |t| {
        paid_with_window(t);
        t.reply(ALICE, "15:12:00", "@AmexSync cancel", (4711, SERVICE));
        gets_it_back(t);
    }),
    ("a cancel after the window changes nothing", |t| {
        paid_with_window(t);
        t.watermark("15:15:00.001");
        t.post(ALICE, "15:16:00", CANCEL);
        t.buys_the_gift(ALICE);
    }),
    ("deleted or unlinked inside the window is after the payment all the same", |t| {
        t.set("account.cancel_window", "\"10m\"");
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.delete(ALICE, "15:11:00", order);
        t.unlink(ALICE, "15:12:00");
        t.watermark("15:15:00.001");
        t.buys_the_gift(ALICE);
    }),
    ("what is told of links after the payment changes no address: unlinked before the order", |t| {
        t.set("account.buy_max_age", "\"1m\"");
        paid_with_window(t);
        t.unlink(ALICE, "15:00:30");
        // Something passes before the order is made, and links that matter to nothing else are forgotten then.
        t.post(ALICE, "15:06:00", "#ConfirmKindleFireHD");
        t.watermark("15:10:00");
        t.watermark("15:15:00.001");
        t.buys_the_gift(ALICE);
        t.record("fulfilment.orders", json!({"ship_to": "adr_alice"}));
    }),
    ("what is told of links after the payment changes no address: moved before the confirm", |t| {
        paid_with_window(t);
        t.link_to(ALICE, "15:04:00", "US", "tok_new", "adr_new");
        t.watermark("15:15:00.001");
        t.buys_the_gift(ALICE);
        t.record("fulfilment.orders", json!({"ship_to": "adr_alice"}));
    }),
    ("a voided unit can be bought by another", |t| {
        t.gift(|offer| offer.quantity = Some(1));
        paid_with_window(t);
        t.linked(BOB);
        t.post(ALICE, "15:11:00", CANCEL);
        t.post(BOB, "15:17:00", BUY);
        gets_it_back(t);
        t.waits_for_a_confirm(BOB);
    }),
    ("with a cancel window a cancel that was read before its buy takes back what an earlier confirm paid", |t| {
        t.set("account.cancel_window", "\"10m\"");
        t.linked(ALICE);
        t.post(ALICE, "15:04:00", CANCEL);
        t.post(ALICE, "15:03:00", CONFIRM);
        t.post(ALICE, "15:01:00", BUY);
        t.watermark("15:30:00");
        gets_it_back(t);
        t.no_record("fulfilment.orders", json!({}));
        t.decided_at_once("a cancel of a purchase that waits");
    }),
    ("a version of a confirm whose other version paid already shields nothing from a cancel", |t| {
        t.gift(|offer| offer.per_account = Some(2));
        t.linked(ALICE);
        let confirm = t.post(ALICE, "15:00:00", CONFIRM);
        t.edit(ALICE, "15:03:00", confirm, "yes #ConfirmAmexGiftCard25");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", CANCEL);
        t.post(ALICE, "14:59:00", "another #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > cancelled(cancelled_by_user)",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, purchased, cancelled",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("a payment, by what was kept");
    }),
];
