//! Who may order, by which posts, and how often.

use serde_json::json;

use crate::people::{ALICE, BOB, MERCHANT, SERVICE, User};
use crate::shapes::Original;
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

/// The merchant's offer tweet.
fn offer_tweet() -> Original {
    let tweet = said(MERCHANT, "15:00:00", "Get a $25 gift card for $15! Tweet #BuyAmexGiftCard25");
    Original { id: tweet.id, author: MERCHANT, at: tweet.at, text: tweet.text, reply_to: None, included: true }
}

fn open_from_15_to_16(t: &mut Talk) {
    t.gift(|offer| {
        offer.opens = Some("2013-02-12T15:00:00.000Z".to_owned());
        offer.closes = Some("2013-02-12T16:00:00.000Z".to_owned());
    });
    t.linked(ALICE);
    t.linked(BOB);
}

pub const TABLE: Table = &[
    ("a native retweet of the offer is only counted", |t| {
        t.linked(ALICE);
        t.retweet(ALICE, "15:01:00", &offer_tweet());
        t.expect(&[]);
        t.record("offers.funnel", json!({"offer": "gift", "mentions": 1, "buys": 0}));
    }),
    ("a manual retweet of the offer never buys", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "wow RT @GiftShop: Get a gift card! Tweet #BuyAmexGiftCard25");
        t.expect(&["alice gift: rejected(manual_retweet)"]);
    }),
    ("a manual retweet of the service never buys", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "RT @AmexSync: Get it! Tweet #BuyAmexGiftCard25 to start purch!");
        t.expect(&["alice gift: rejected(manual_retweet)"]);
    }),
    ("a quote with the buy tag never buys", |t| {
        t.linked(ALICE);
        t.quote(ALICE, "15:01:00", "should I? #BuyAmexGiftCard25", &offer_tweet());
        t.expect(&["alice gift: rejected(quote)"]);
    }),
    ("a quote of the offer without own tags says nothing", |t| {
        t.linked(ALICE);
        t.quote(ALICE, "15:01:00", "interesting", &offer_tweet());
        t.expect(&[]);
    }),
    ("the service's own posts never buy, linked or not", |t| {
        t.linked(SERVICE);
        t.post(SERVICE, "15:01:00", "Tweet #BuyAmexGiftCard25 to start purch!");
        t.post(User { id: SERVICE.id, handle: "AmexSyncHelp" }, "15:02:00", "Tweet #BuyAmexGiftCard25");
        t.expect(&[]);
        t.no_record("offers.funnel", json!({"offer": "gift", "buys": 1}));
    }),
    ("a reply to somebody may order", |t| {
        t.linked(ALICE);
        t.reply(ALICE, "15:01:00", "@bob I do it #BuyAmexGiftCard25", (4711, BOB));
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("a second buy while one waits is a duplicate", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        let second = t.post(ALICE, "15:01:30", "hello? #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted",
            "alice gift: rejected(duplicate)",
            "alice hears prompt, already_tweeted",
        ]);
        t.record("replies", json!({"kind": "already_tweeted", "in_reply_to": second.to_string()}));
        t.decided_at_once("which of two buys is the duplicate");
    }),
    ("a buy after one succeeded is a duplicate", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", CONFIRM);
        t.post(ALICE, "15:30:00", "more #BuyAmexGiftCard25");
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice gift: rejected(duplicate)",
            "alice hears prompt, purchased, already_tweeted",
            "alice pays 1500 USD",
        ]);
    }),
    ("two per account, and no third", |t| {
        t.gift(|offer| offer.per_account = Some(2));
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", BUY);
        t.post(ALICE, "15:03:00", BUY);
        t.expect(&[
            "alice gift: ordered > prompted",
            "alice gift: ordered > prompted",
            "alice gift: rejected(duplicate)",
            "alice hears prompt, prompt, already_tweeted",
        ]);
        t.decided_at_once("which of three buys is one too many");
    }),
    ("the buy tags of two offers in one post order both", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", "#BuyAmexGiftCard25 and #BuyKindleFireHD");
        t.post(ALICE, "15:05:00", "#ConfirmKindleFireHD");
        t.expect(&[
            "alice gift: ordered > prompted",
            "alice kindle: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, prompt, purchased",
            "alice pays 16199 USD",
        ]);
        t.record("payments.authorized", json!({"offer": "kindle", "order_post": order.to_string()}));
    }),
    ("one tag twice in a post orders once", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#BuyAmexGiftCard25 #buyamexgiftcard25");
        t.waits_for_a_confirm(ALICE);
    }),
    ("not yet open, and open to the millisecond", |t| {
        open_from_15_to_16(t);
        t.post(ALICE, "14:59:59.999", BUY);
        t.post(BOB, "15:00:00.000", BUY);
        t.expect(&["alice gift: rejected(not_open)", "alice hears not_open"]);
        t.waits_for_a_confirm(BOB);
    }),
    ("still open, and closed to the millisecond", |t| {
        open_from_15_to_16(t);
        t.post(ALICE, "16:00:00.000", BUY);
        t.post(BOB, "16:00:00.001", BUY);
        t.waits_for_a_confirm(ALICE);
        t.expect(&["bob gift: rejected(not_open)", "bob hears not_open"]);
    }),
    ("a confirm after the offer's closing pays", |t| {
        open_from_15_to_16(t);
        t.post(ALICE, "15:59:00", BUY);
        t.post(ALICE, "16:10:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("an offer of another country", |t| {
        t.link_as(ALICE, "11 15:00:00", "CA", "tok_alice");
        t.post(ALICE, "15:01:00", "#BuyAmexGiftCard25 #BuyKindleFireHD");
        t.expect(&[
            "alice gift: rejected(country)",
            "alice kindle: ordered > prompted",
            "alice hears not_eligible, prompt",
        ]);
    }),
    ("an offer that names no country is for the US", |t| {
        t.gift(|offer| offer.countries = None);
        t.link_as(ALICE, "11 15:00:00", "CA", "tok_alice");
        t.linked(BOB);
        t.post(ALICE, "15:01:00", BUY);
        t.post(BOB, "15:02:00", BUY);
        t.expect(&["alice gift: rejected(country)", "alice hears not_eligible"]);
        t.waits_for_a_confirm(BOB);
    }),
    ("ids and amounts are told whole", |t| {
        t.linked(ALICE);
        let order = t.post(ALICE, "15:01:00", "#BuyKindleFireHD");
        let confirm = t.post(ALICE, "15:02:00", "#ConfirmKindleFireHD");
        t.expect(&[
            "alice kindle: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, purchased",
            "alice pays 16199 USD",
        ]);
        t.record(
            "payments.authorized",
            json!({"account": "twitter:1450001015437457789",
            "order_post": order.to_string(), "confirm_post": confirm.to_string()}),
        );
        t.record(
            "offers.funnel",
            json!({"offer": "kindle", "mentions": 1, "buys": 1, "prompts": 1, "confirms": 1,
            "authorized": 1, "fulfilled": 1, "revenue": {"minor": 16199, "currency": "USD"}, "confirm_ms_p50": 60000}),
        );
    }),
];
