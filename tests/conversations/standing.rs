//! Links, cards and freezes: who may buy at a moment, as far as it is known when the post is judged.

use serde_json::json;

use crate::people::{ALICE, BOB};
use crate::shapes::{Original, Post, Shape};
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

fn ordered(t: &mut Talk) {
    t.linked(ALICE);
    t.post(ALICE, "15:01:00", BUY);
}

fn cancelled(t: &mut Talk, reason: &str) {
    t.expect(&[&format!("alice gift: ordered > prompted > cancelled({reason})"), "alice hears prompt, cancelled"]);
}

pub const TABLE: Table = &[
    ("who is not linked is told so once per offer", |t| {
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:07:00", BUY);
        t.post(ALICE, "15:13:00", "#BuyKindleFireHD");
        t.post(BOB, "15:14:00", BUY);
        t.expect(&[
            "alice gift: rejected(not_linked)",
            "alice gift: rejected(not_linked)",
            "alice kindle: rejected(not_linked)",
            "alice hears not_linked, not_linked",
            "bob gift: rejected(not_linked)",
            "bob hears not_linked",
        ]);
    }),
    ("a link that was made after the tweet does not serve it", |t| {
        t.link(ALICE, "15:01:00.001");
        t.post(ALICE, "15:01:00.000", BUY);
        t.expect(&["alice gift: rejected(not_linked)", "alice hears not_linked"]);
    }),
    ("a link of the tweet's own millisecond serves it", |t| {
        t.link(ALICE, "15:01:00.000");
        t.post(ALICE, "15:01:00.000", BUY);
        t.post(ALICE, "15:02:00.000", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("a link that is read after the tweet was judged serves the next", |t| {
        t.post(ALICE, "15:01:00", BUY);
        t.linked(ALICE);
        t.post(ALICE, "15:02:00", "again #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: rejected(not_linked)",
            "alice gift: ordered > prompted",
            "alice hears not_linked, prompt",
        ]);
    }),
    ("links are judged as of the post, whatever was read since", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.link(ALICE, "15:10:00");
        t.post(ALICE, "15:07:00", BUY);
        t.post(ALICE, "15:13:00", "now? #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: rejected(not_linked)",
            "alice gift: ordered > prompted",
            "alice hears not_linked, prompt",
        ]);
    }),
    ("an unlink that was read before the order holds from its own time on", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.post(ALICE, "15:01:00", BUY);
        t.watermark("15:05:00.001");
        cancelled(t, "unlinked");
        t.event_at("cancelled", "15:05:00");
    }),
    ("who confirmed before an unlink that was read before the order has bought", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:04:59.999", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("a card that is suspended days later has paid what was confirmed before", |t| {
        t.linked(ALICE);
        t.card(ALICE, "suspended", "19:00:00");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("a confirm of the unlink's own millisecond comes too late", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.link(ALICE, "15:05:30");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.watermark("15:05:00.001");
        t.expect(&[
            "alice gift: ordered > prompted !no_purchase > cancelled(unlinked)",
            "alice hears prompt, cancelled",
        ]);
        t.event_at("cancelled", "15:05:00");
    }),
    ("what an unlink ended counts no longer for who has linked anew", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.link(ALICE, "15:10:00");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:13:00", BUY);
        t.watermark("15:09:00");
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(unlinked)",
            "alice gift: ordered > prompted",
            "alice hears prompt, cancelled, prompt",
        ]);
    }),
    ("what had expired before an unlink that the next order shows has expired", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:20:00");
        t.link(ALICE, "15:21:00");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:22:00", BUY);
        t.expect(&[
            "alice gift: ordered > prompted > expired",
            "alice gift: ordered > prompted",
            "alice hears prompt, expired, prompt",
        ]);
    }),
    ("who has linked anew and ordered again can't pay the former order any more", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:02:00");
        t.link(ALICE, "15:02:30");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:03:00", BUY);
        t.post(ALICE, "15:01:30", CONFIRM);
        t.post(ALICE, "15:04:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(unlinked) !no_purchase",
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, cancelled, prompt, purchased",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("what is read before the second order pays the first");
    }),
    ("a confirm from after an unlink comes to nothing, one from before it that is read later pays", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:06:00", CONFIRM);
        t.post(ALICE, "15:04:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted !no_purchase > authorized > fulfilled",
            "alice hears prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("a change from before the link, read late, brings no later unlink forward", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.post(ALICE, "15:01:00", BUY);
        t.card(ALICE, "suspended", "11 12:00:00");
        t.post(ALICE, "15:04:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("nor does one from before the link that is history by then", |t| {
        t.link(ALICE, "10 10:00:00");
        t.link(ALICE, "11 10:00:00");
        t.unlink(ALICE, "15:05:00");
        t.watermark("14:59:00");
        t.post(ALICE, "15:01:00", BUY);
        t.card(ALICE, "suspended", "10 12:00:00");
        t.post(ALICE, "15:04:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("an order that is read when the watermark has passed the unlink that it knows", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:05:00");
        t.watermark("15:05:00.001");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: ordered > cancelled(unlinked)", "alice hears cancelled"]);
    }),
    ("unlink cancels what waits", |t| {
        ordered(t);
        t.unlink(ALICE, "15:05:00");
        cancelled(t, "unlinked");
        t.event_at("cancelled", "15:05:00");
    }),
    ("a card's status that is read long after it was told, and before its link, holds", |t| {
        t.set("account.forget_after", "\"1h\"");
        t.noise("14:00:00");
        t.watermark("15:00:00");
        t.card(ALICE, "suspended", "13:30:00");
        t.link(ALICE, "13:00:00");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: rejected(card_not_active)", "alice hears not_eligible"]);
    }),
    ("a suspended card cancels what waits", |t| {
        ordered(t);
        t.card(ALICE, "suspended", "15:05:00");
        t.post(ALICE, "15:06:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(card_not_active) !no_purchase",
            "alice hears prompt, cancelled",
        ]);
    }),
    ("a cancelled card cancels what waits", |t| {
        ordered(t);
        t.card(ALICE, "cancelled", "15:05:00");
        cancelled(t, "card_not_active");
    }),
    ("unlinked after the payment is too late, whatever its time", |t| {
        ordered(t);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.unlink(ALICE, "15:04:00");
        t.buys_the_gift(ALICE);
    }),
    ("a card that is not active can't buy", |t| {
        t.linked(ALICE);
        t.card(ALICE, "suspended", "15:00:00");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: rejected(card_not_active)", "alice hears not_eligible"]);
    }),
    ("a card that is active again can", |t| {
        t.linked(ALICE);
        t.card(ALICE, "suspended", "15:00:00");
        t.card(ALICE, "active", "15:00:30");
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("who is linked anew pays with the new card", |t| {
        ordered(t);
        t.link_as(ALICE, "15:03:00", "US", "tok_alice_new");
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.record("payments.authorized", json!({"card": "tok_alice_new"}));
    }),
    ("the freeze tag cancels what waits and stops what follows", |t| {
        ordered(t);
        t.post(ALICE, "15:07:00", "that wasn't me #FreezeMyCard");
        t.post(ALICE, "15:13:00", "#BuyKindleFireHD");
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(frozen)",
            "alice kindle: rejected(frozen)",
            "alice hears prompt, frozen, cancelled, frozen",
        ]);
    }),
    ("who is linked anew after a freeze may buy", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#freezemycard");
        t.link(ALICE, "15:03:00");
        t.post(ALICE, "15:07:00", BUY);
        t.post(ALICE, "15:08:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expected.retain(|line| !line.starts_with("alice hears"));
        t.expect(&["alice hears frozen, prompt, purchased"]);
    }),
    ("an active card does not thaw a freeze", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#FreezeMyCard");
        t.card(ALICE, "active", "15:03:00");
        t.post(ALICE, "15:07:00", BUY);
        t.expect(&["alice gift: rejected(frozen)", "alice hears frozen, frozen"]);
    }),
    ("the freeze tag in a confirm stops it", |t| {
        ordered(t);
        t.post(ALICE, "15:07:00", "#ConfirmAmexGiftCard25 #FreezeMyCard");
        t.no_record("payments.authorized", json!({}));
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(frozen) !no_purchase",
            "alice hears prompt, frozen, cancelled",
        ]);
    }),
    ("a freeze from before the order that is read after it stops it all the same", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:02:00", BUY);
        t.post(ALICE, "15:01:00", "#FreezeMyCard");
        t.post(ALICE, "15:05:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(frozen) !no_purchase",
            "alice hears prompt, frozen, cancelled",
        ]);
        t.decided_at_once("a buy that is read before the freeze orders first");
    }),
    ("a suspension from before the order that is read after it stops it all the same", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:02:00", BUY);
        t.card(ALICE, "suspended", "15:01:00");
        t.post(ALICE, "15:05:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > cancelled(card_not_active) !no_purchase",
            "alice hears prompt, cancelled",
        ]);
        t.event_at("cancelled", "15:01:00");
    }),
    ("a native retweet of somebody's freeze freezes nobody", |t| {
        ordered(t);
        let tweet = said(BOB, "15:06:00", "#FreezeMyCard");
        let original =
            Original { id: tweet.id, author: BOB, at: tweet.at, text: tweet.text, reply_to: None, included: true };
        t.retweet(ALICE, "15:07:00", &original);
        t.waits_for_a_confirm(ALICE);
    }),
    ("a freeze by who is not linked freezes nothing", |t| {
        t.post(ALICE, "15:01:00", "#FreezeMyCard");
        t.link(ALICE, "15:00:00");
        t.post(ALICE, "15:07:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.news_again("the link is known by now");
    }),
    ("not_linked that could not be addressed was not told", |t| {
        t.only(&[Shape::V2]);
        t.put(Post { users_included: false, ..said(ALICE, "15:01:00", BUY) });
        t.post(ALICE, "15:07:00", BUY);
        t.expect(&["alice gift: rejected(not_linked)", "alice gift: rejected(not_linked)", "alice hears not_linked"]);
    }),
    ("links that are read in another order than they were made", |t| {
        for user in [ALICE, BOB] {
            t.link(user, "15:10:00");
            t.linked(user);
        }
        t.unlink(ALICE, "15:05:00");
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:01:00", BUY);
        t.post(BOB, "15:02:00", CONFIRM);
        t.watermark("15:05:00.001");
        cancelled(t, "unlinked");
        t.buys_the_gift(BOB);
    }),
    ("an unlink and a link of one millisecond stay in their order when they come again a day later", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "12:00:00");
        t.link(ALICE, "12:00:00");
        t.watermark("13 12:01:00");
        t.post(ALICE, "13 15:01:00", BUY);
        t.unlink(ALICE, "12:00:00");
        t.link(ALICE, "12:00:00");
        t.expect(&["alice gift: ordered > prompted", "alice hears prompt"]);
    }),
    ("an edit of a freeze from after the account was linked anew freezes it again", |t| {
        t.linked(ALICE);
        let freeze = t.post(ALICE, "12:00:00", "#FreezeMyCard");
        t.link(ALICE, "12:10:00");
        t.edit(ALICE, "12:20:00", freeze, "#FreezeMyCard please");
        t.post(ALICE, "15:01:00", BUY);
        t.expect(&["alice gift: rejected(frozen)", "alice hears frozen, frozen, frozen"]);
    }),
    ("an unlink and a link of the order's own millisecond leave it linked", |t| {
        t.linked(ALICE);
        t.unlink(ALICE, "15:01:00");
        t.link(ALICE, "15:01:00");
        ordered(t);
        t.expect(&["alice gift: ordered > prompted", "alice hears prompt"]);
    }),
];
