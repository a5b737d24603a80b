//! Own words only: which tags are the author's, and when two spellings are one tag.

use crate::people::{ALICE, MERCHANT};
use crate::shapes::{Original, Post};
use crate::talk::{BUY, CONFIRM, Table, Talk, said};

tests_of!(TABLE);

fn linked_says(t: &mut Talk, words: &[&str]) {
    t.linked(ALICE);
    for (minute, words) in words.iter().enumerate() {
        t.post(ALICE, &format!("15:0{}:00", minute + 1), words);
    }
}

pub const TABLE: Table = &[
    ("case is folded", |t| {
        linked_says(t, &["#BUYAMEXGIFTCARD25", "#confirmamexgiftcard25"]);
        t.buys_the_gift(ALICE);
    }),
    ("the full-width number sign begins a hashtag", |t| {
        linked_says(t, &["＃BuyAmexGiftCard25", "＃ConfirmAmexGiftCard25"]);
        t.buys_the_gift(ALICE);
    }),
    ("full-width letters are other letters", |t| {
        linked_says(t, &["#ＢｕｙAmexGiftCard25", "#ＢｕｙＡｍｅｘＧｉｆｔＣａｒｄ２５"]);
        t.expect(&[]);
    }),
    ("the kelvin sign is a k", |t| {
        linked_says(t, &["#Buy\u{212a}indleFireHD", "#Confirm\u{212a}INDLEfirehd"]);
        t.expect(&[
            "alice kindle: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, purchased",
            "alice pays 16199 USD",
        ]);
    }),
    ("the long s is an s", |t| {
        t.offer(|offer| {
            offer.id = "cam".to_owned();
            (offer.buy_tag, offer.confirm_tag) = (Some("BuySonyCam".to_owned()), Some("ConfirmSonyCam".to_owned()));
            offer.cancel_tag = None;
        });
        linked_says(t, &["#Buy\u{17f}onyCam", "#Confirm\u{17f}onycam"]);
        t.expect(&[
            "alice cam: ordered > prompted > authorized > fulfilled",
            "alice hears prompt, purchased",
            "alice pays 1500 USD",
        ]);
    }),
    ("ß is not ss", |t| {
        t.offer(|offer| {
            offer.id = "tram".to_owned();
            (offer.buy_tag, offer.confirm_tag) = (Some("BuyStrasse".to_owned()), Some("ConfirmStrasse".to_owned()));
            offer.cancel_tag = None;
        });
        linked_says(t, &["#BuyStraße", "#BUYSTRAẞE"]);
        t.expect(&[]);
    }),
    ("longer and shorter tags are other tags", |t| {
        linked_says(
            t,
            &["#BuyKindleFireHDX", "#BuyKindleFireHD_", "#BuyKindleFire", "#BuyKindleFireHDé", "x#BuyKindleFireHD"],
        );
        t.expect(&[]);
    }),
    ("what is no part of a tag ends it", |t| {
        linked_says(t, &["(#BuyAmexGiftCard25's)", "#ConfirmAmexGiftCard25-now"]);
        t.buys_the_gift(ALICE);
    }),
    ("tags in a URL are not said", |t| {
        t.linked(ALICE);
        let url = "https://example.com/#BuyAmexGiftCard25";
        t.post(ALICE, "15:01:00", &format!("see {url} and http://example.com/a?b=#BuyKindleFireHD"));
        t.put(Post { urls: vec![url.to_owned()], ..said(ALICE, "15:02:00", "see https://t.co/abcdefghij") });
        t.expect(&[]);
    }),
    ("tags in handles and profiles are not said", |t| {
        t.linked(ALICE);
        t.post(ALICE, "15:01:00", "hello @BuyAmexGiftCard25");
        t.put(Post { profile: "#BuyAmexGiftCard25 #BuyKindleFireHD".to_owned(), ..said(ALICE, "15:02:00", "hello") });
        t.expect(&[]);
    }),
    ("a confirm in a profile is not said", |t| {
        linked_says(t, &[BUY]);
        t.put(Post { profile: CONFIRM.to_owned(), ..said(ALICE, "15:02:00", "hello") });
        t.waits_for_a_confirm(ALICE);
    }),
    ("tags of a retweeted or quoted post are not said", |t| {
        let tweet = said(MERCHANT, "15:00:00", "Tweet #BuyAmexGiftCard25, then #ConfirmAmexGiftCard25");
        let offer =
            Original { id: tweet.id, author: MERCHANT, at: tweet.at, text: tweet.text, reply_to: None, included: true };
        linked_says(t, &[BUY]);
        t.quote(ALICE, "15:03:00", "really?", &offer);
        t.retweet(ALICE, "15:04:00", &offer);
        t.waits_for_a_confirm(ALICE);
    }),
    ("texts are unescaped before they are read", |t| {
        linked_says(t, &["gifts & more <3 #BuyAmexGiftCard25", "1 > 0 & #ConfirmAmexGiftCard25"]);
        t.buys_the_gift(ALICE);
    }),
    ("published tags count where they are there", |t| {
        t.linked(ALICE);
        t.put(Post { tags: Some(Vec::new()), ..said(ALICE, "15:01:00", BUY) });
        t.expect(&[]);
    }),
    ("a tag beyond what short texts hold", |t| {
        let long = "so I thought and thought about it, ".repeat(6);
        linked_says(t, &[&format!("{long}{BUY}"), &format!("{long}{long}{CONFIRM}")]);
        t.buys_the_gift(ALICE);
    }),
    ("RT inside a word is no manual retweet", |t| {
        linked_says(t, &["ART @GiftShop #BuyAmexGiftCard25", "START @GiftShop #ConfirmAmexGiftCard25"]);
        t.buys_the_gift(ALICE);
    }),
];
