//! Offers that change, come and go, and catalogues that are refused.

use serde_json::json;

use pay_by_tweet::config::OfferSpec;

use crate::harness::refusal_of;
use crate::people::{ALICE, BOB, User};
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

fn ordered(t: &mut Talk) {
    t.linked(ALICE);
    t.post(ALICE, "15:01:00", BUY);
}

/// Alice has paid a gift, the offer changes, and her next confirm is read before the buy that it is for.
fn paid_before_and_confirms_first(t: &mut Talk, change: impl FnOnce(&mut Talk, OfferSpec)) {
    t.lateness_max(3600);
    ordered(t);
    t.post(ALICE, "15:02:00", CONFIRM);
    let gift = t.offers[0].clone();
    change(t, gift);
    t.post(ALICE, "15:06:00", CONFIRM);
    t.post(ALICE, "15:04:00", "another #BuyAmexGiftCard25");
    t.expect(&[
        "alice gift: ordered > prompted > authorized > fulfilled !no_purchase",
        "alice hears prompt, purchased, prompt, purchased",
        "alice pays 1500 USD",
        "alice pays 1500 USD",
    ]);
}

pub const TABLE: Table = &[
    ("the price at the time of the order is paid", |t| {
        ordered(t);
        t.linked(BOB);
        let mut dearer = t.offers[0].clone();
        dearer.price = Some("19.00".to_owned());
        t.publish(&dearer);
        t.post(BOB, "15:03:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.post(BOB, "15:06:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.expect(&[
            "bob gift: ordered > prompted > authorized > fulfilled",
            "bob hears prompt, purchased",
            "bob pays 1900 USD",
        ]);
    }),
    ("an offer that is withdrawn orders nothing more, and what waits may be confirmed", |t| {
        ordered(t);
        t.linked(BOB);
        t.withdraw("gift");
        t.post(BOB, "15:03:00", BUY);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
        t.no_record("purchases.events", json!({"account": "twitter:1450001015437457791", "to": "ordered"}));
    }),
    ("an offer that is published while posts are read", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:00:00", "#BuyZenBracelet");
        t.news_again("a post that was read before its offer was published says something by now");
        let mut bracelet = t.offers[1].clone();
        bracelet.id = "bracelet".to_owned();
        (bracelet.buy_tag, bracelet.confirm_tag) = (Some("BuyZenBracelet".into()), Some("ConfirmZenBracelet".into()));
        bracelet.cancel_tag = None;
        t.publish(&bracelet);
        t.post(ALICE, "15:01:00", "now? #BuyZenBracelet");
        t.post(ALICE, "15:02:00", "#ConfirmZenBracelet");
        t.expect(&[
            "alice bracelet: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, purchased",
            "alice pays 16199 USD",
        ]);
    }),
    ("a withdrawn offer that is published again", |t| {
        t.linked(ALICE);
        t.withdraw("gift");
        let gift = t.offers[0].clone();
        t.publish(&gift);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("tags that changed: who was told the old one may confirm by it", |t| {
        ordered(t);
        let mut changed = t.offers[0].clone();
        (changed.buy_tag, changed.confirm_tag) = (Some("GetGiftCard".into()), Some("YesGiftCard".into()));
        t.publish(&changed);
        t.post(ALICE, "15:05:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("an offer on the topic that looks like another is refused", |t| {
        t.linked(ALICE);
        let mut fake = t.offers[1].clone();
        fake.id = "fake".to_owned();
        (fake.buy_tag, fake.confirm_tag) = (Some("BuyKindIeFireHD".into()), Some("ConfirmKindIeFireHD".into()));
        fake.cancel_tag = None;
        t.publish(&fake);
        t.post(ALICE, "15:01:00", "#BuyKindIeFireHD");
        t.no_record("purchases.events", json!({"offer": "fake"}));
        t.expect(&["dead letters: wrong_type"]);
    }),
    ("an offer on the topic whose confirm tag is its buy tag is refused", |t| {
        t.linked(ALICE);
        let mut odd = t.offers[1].clone();
        odd.id = "odd".to_owned();
        (odd.buy_tag, odd.confirm_tag, odd.cancel_tag) = (Some("Kettle".into()), Some("kettle".into()), None);
        t.publish(&odd);
        t.post(ALICE, "15:01:00", "#Kettle");
        t.no_record("purchases.events", json!({"offer": "odd"}));
        t.expect(&["dead letters: wrong_type"]);
    }),
    ("an offer on the topic that is no offer", |t| {
        t.linked(ALICE);
        t.side("offers", Some("odd"), json!({"id": "odd", "kind": "purchase", "price": "a lot"}));
        t.post(ALICE, "15:01:00", BUY);
        t.waits_for_a_confirm(ALICE);
        t.expect(&["dead letters: wrong_type"]);
    }),
    ("an offer is announced when it opens", |t| {
        t.gift(|offer| offer.opens = Some("2013-02-12T15:00:00.000Z".to_owned()));
        t.watermark("14:59:59.999");
        t.no_record("replies", json!({"kind": "announcement", "offer": "gift"}));
        t.expect(&[]);
    }),
    ("an announcement is to nobody", |t| {
        t.gift(|offer| offer.opens = Some("2013-02-12T15:00:00.000Z".to_owned()));
        t.watermark("15:00:01");
        t.record(
            "replies",
            json!({"kind": "announcement", "offer": "gift", "account": null, "handle": null,
            "in_reply_to": null, "purchase": null, "text": "~#BuyAmexGiftCard25"}),
        );
        t.expect(&[]);
    }),
    ("what a long name and a long handle leave no room for is left out of replies", |t| {
        t.gift(|offer| {
            offer.item =
                Some("a gift card that can be given to anybody who likes to buy books, music or shoes ".repeat(2));
            offer.terms_url = Some(format!("https://example.com/{}", "terms/".repeat(12)));
        });
        let long = User { id: ALICE.id, handle: "abcdefghijklmno" };
        t.linked(long);
        t.post(long, "15:01:00", BUY);
        t.post(long, "15:01:30", BUY);
        t.post(long, "15:05:00", CONFIRM);
        t.expect(&[
            "alice gift: ordered > prompted > authorized > fulfilled",
            "alice gift: rejected(duplicate)",
            "alice hears prompt, already_tweeted, purchased",
            "alice pays 1500 USD",
        ]);
        t.decided_at_once("which of two buys is the duplicate");
    }),
    ("a statement credit is not bought by its tag", |t| {
        t.offer(|offer| {
            offer.id = "credit".to_owned();
            offer.kind = Some("statement_credit".to_owned());
            (offer.buy_tag, offer.confirm_tag, offer.cancel_tag) = (Some("AmexWholeFoods".into()), None, None);
            (offer.price, offer.tax, offer.quantity) = (None, None, None);
            (offer.min_spend, offer.credit) = (Some("75.00".into()), Some("20.00".into()));
        });
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "#AmexWholeFoods");
        t.no_record("payments.authorized", json!({}));
        t.no_record("purchases.events", json!({"to": "prompted"}));
        t.expect(&[]);
    }),
    ("an order that comes again when its tag belongs to another offer orders nothing again", |t| {
        t.linked(ALICE);
        t.linked(BOB);
        let orders = [said(ALICE, "15:01:00", BUY), said(BOB, "15:01:30", "RT @alice: #BuyAmexGiftCard25")];
        for order in &orders {
            t.put(order.clone());
        }
        t.post(ALICE, "15:02:00", CONFIRM);
        let mut sequel = t.offers[0].clone();
        t.withdraw("gift");
        sequel.id = "gift-2".to_owned();
        t.publish(&sequel);
        t.edit(ALICE, "15:03:00", orders[0].id, "my #BuyAmexGiftCard25");
        for order in &orders {
            t.put(order.clone());
        }
        t.buys_the_gift(ALICE);
        t.expect(&["bob gift: rejected(manual_retweet)"]);
    }),
    ("a confirm that is read before its buy pays it, also where its tag has paid for another offer", |t| {
        paid_before_and_confirms_first(t, |t, mut sequel| {
            t.withdraw("gift");
            sequel.id = "gift-2".to_owned();
            t.publish(&sequel);
        });
        t.expect(&["alice gift-2: ordered > prompted > authorized > fulfilled"]);
    }),
    ("a confirm that is read before its buy pays it, also where the account was allowed fewer before", |t| {
        paid_before_and_confirms_first(t, |t, mut more| {
            more.per_account = Some(2);
            t.publish(&more);
        });
        t.expect(&["alice gift: ordered > prompted > authorized > fulfilled"]);
    }),
    ("a tag that was a buy tag by mistake confirms once it is a confirm tag", |t| {
        let mut swapped = t.offers[0].clone();
        let right = swapped.clone();
        (swapped.buy_tag, swapped.confirm_tag) = (right.confirm_tag.clone(), right.buy_tag.clone());
        t.publish(&swapped);
        t.publish(&right);
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", BUY);
        t.post(ALICE, "15:02:00", CONFIRM);
        t.buys_the_gift(ALICE);
    }),
    ("a discount code that is written wrongly stays out of the dead letter", |t| {
        let code = |codes: serde_json::Value| json!({"id": "c", "kind": "discount_code", "buy_tag": "GetC", "item": "C", "merchant": "m", "codes": codes});
        t.side("offers", Some("c"), code(json!("SECRET10")));
        t.side("offers", Some("c"), code(json!(["SECRET10", "SECRET10"])));
        t.expect(&["dead letters: wrong_type, wrong_type"]);
        t.record("dead-letters", json!({"detail": "a field is not a sequence"}));
        t.record("dead-letters", json!({"detail": "codes: a code is listed twice"}));
    }),
];

fn with_second_gift(buy: &str, confirm: &str) -> Talk {
    let mut talk = Talk::new();
    talk.offer(|offer| {
        offer.id = "second".to_owned();
        (offer.buy_tag, offer.confirm_tag) = (Some(buy.to_owned()), Some(confirm.to_owned()));
        offer.cancel_tag = None;
    });
    talk
}

/// Section 4: tags are unique across open offers, and two that look alike are refused.
#[test]
fn catalogues_with_tags_that_can_be_mistaken_are_refused() {
    for (buy, confirm) in [
        ("BuyAmexGiftCard25", "ConfirmAnother"),
        ("buyamexgiftcard25", "ConfirmAnother"),
        ("ＢｕｙAmexGiftCard25", "ConfirmAnother"),
        ("BuyАmexGiftCard25", "ConfirmAnother"),
        ("BuyKindIeFireHD", "ConfirmAnother"),
        ("BuyKind1eFireHD", "ConfirmAnother"),
        ("BuyAnother", "ConfirmAmexGiftCard25"),
        ("BuyAnother", "BuyAnother"),
        ("ConfirmAmexGiftCard25", "ConfirmAnother"),
        ("FreezeMyCard", "ConfirmAnother"),
    ] {
        let refusal = refusal_of(&with_second_gift(buy, confirm));
        assert!(refusal.is_some_and(|words| words.contains("second")), "{buy} and {confirm} were taken");
    }
    assert_eq!(refusal_of(&with_second_gift("BuyKindleFireHDX", "ConfirmKindleFireHDX")), None);
}

/// Section 4: unique across *open* offers.
#[test]
fn a_tag_may_serve_again_when_its_offer_is_over() {
    let mut talk = with_second_gift("BuyAmexGiftCard25", "ConfirmAmexGiftCard25");
    let second = talk.offers.last_mut().expect("the second gift");
    second.opens = Some("2013-03-05T05:00:00.000Z".to_owned());
    second.closes = Some("2013-04-01T04:59:59.999Z".to_owned());
    assert_eq!(refusal_of(&talk), None);
}
