//! Texts within their length, unique, and with data that stays data.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::{AccountId, Currency, Money, Network, OfferKind, PostId, Tag, Time};

fn terms() -> Terms {
    Terms {
        offer: "kettle".into(),
        version: 1,
        kind: OfferKind::Purchase,
        buy_tag: "BuyKettle".into(),
        confirm_tag: "ConfirmKettle".into(),
        cancel_tag: Some("CancelKettle".into()),
        buy: Tag("buykettle".into()),
        confirm: Tag("confirmkettle".into()),
        cancel: Some(Tag("cancelkettle".into())),
        merchant: "Kettles & Co".into(),
        item: "Copper Kettle 2 l with whistle".into(),
        amount: Money { minor: 14999, currency: Currency::USD },
        exponent: 2,
        limited: true,
        per_account: 1,
        opens: None,
        closes: Some(Time(1_362_373_199_999)),
        countries: vec![],
        terms_url: Some("https://example.com/kettle".into()),
        reply_length: 140,
    }
}

fn reply(kind: ReplyKind, terms: Terms) -> Reply {
    Reply {
        id: Uuid([7; 16]),
        kind,
        account: AccountId { network: Network::TWITTER, user: 42 },
        handle: Some("ann".into()),
        in_reply_to: Some(PostId(1)),
        terms: Some(Arc::new(terms)),
        purchase: Some(Uuid([9; 16])),
        at: Time(0),
    }
}

fn texts_of(kind: &str, template: &str) -> Result<Texts, String> {
    Texts::new(&BTreeMap::from([(kind.to_owned(), template.to_owned())]), &BTreeMap::new(), Span::of_mins(15))
}

/// What a prompt says by this template.
fn check(template: &str, change: impl FnOnce(&mut Terms), expected: &str) {
    let mut terms = terms();
    change(&mut terms);
    let text = texts_of("prompt", template).unwrap().render_reply(&reply(ReplyKind::Prompt, terms)).unwrap();
    assert_eq!(text, expected, "{template}");
}

#[test]
fn placeholders_are_filled() {
    let all = "{handle} {buy_tag} {confirm_tag} {cancel_tag} {item} {amount} {minutes} {merchant} {closes}";
    check(
        all,
        |_| (),
        "@ann #BuyKettle #ConfirmKettle #CancelKettle Copper Kettle 2 l with whistle $149.99 15 Kettles & Co 4 Mar 04:59 UTC [0W3GE1R7]",
    );
    check("@{handle} #{buy_tag}", |_| (), "@ann #BuyKettle [0W3GE1R7]");
    check("Hello {terms_url}!", |_| (), "@ann Hello https://example.com/kettle! [0W3GE1R7]");
    check("a {terms_url} b", |t| t.terms_url = None, "@ann a b [0W3GE1R7]");
    check("a[[ {terms_url} b]][[ c]]", |t| t.terms_url = None, "@ann a c [0W3GE1R7]");
    let priced = |minor, code: &[u8; 3]| Money { minor, currency: Currency(*code) };
    check("{amount}", |t| t.amount = priced(5, b"EUR"), "@ann €0.05 [0W3GE1R7]");
    check("{amount}", |t| t.amount = priced(14999, b"CHF"), "@ann 149.99 CHF [0W3GE1R7]");
    check("{amount}", |t| t.exponent = u32::MAX, "@ann $0.000000000000014999 [0W3GE1R7]");
}

#[test]
fn data_stays_data() {
    check("{handle} {item}", |t| t.item = "{merchant} [[x]] {nope}".into(), "@ann {merchant} [[x]] {nope} [0W3GE1R7]");
    let mut odd = reply(ReplyKind::Prompt, terms());
    odd.handle = Some("{item}".into());
    let text = texts_of("prompt", "{handle} hi").unwrap().render_reply(&odd);
    assert_eq!(text.as_deref(), Some("@{item} hi [0W3GE1R7]"));
}

#[test]
fn what_is_too_long_gives_way_in_order() {
    let template = "{handle} {confirm_tag}: {item} now[[ (first)]][[ (second)]]";
    let long = |t: &mut Terms, max| {
        t.item = "Kettle of a very long name, copper".into();
        t.reply_length = max;
    };
    check(
        template,
        |t| long(t, 90),
        "@ann #ConfirmKettle: Kettle of a very long name, copper now (first) (second) [0W3GE1R7]",
    );
    check(template, |t| long(t, 80), "@ann #ConfirmKettle: Kettle of a very long nam… now (first) (second) [0W3GE1R7]");
    check(template, |t| long(t, 65), "@ann #ConfirmKettle: Kettle of a very lo… now (first) [0W3GE1R7]");
    check(template, |t| long(t, 45), "@ann #ConfirmKettle: Kettle… now [0W3GE1R7]");
    check(template, |t| long(t, 31), "@ann #ConfirmKettle [0W3GE1R7]");
    check(template, |t| long(t, 3), "@ann #ConfirmKettle [0W3GE1R7]");
    let family = "👩‍👩‍👧".repeat(20);
    check("{item}", |t| (t.item, t.reply_length) = (family, 25), "@ann 👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧… [0W3GE1R7]");
}

#[test]
fn templates_are_checked() {
    for (kind, template, part) in [
        ("promt", "x", "no reply kind is called \"promt\""),
        ("prompt", "{itme}", "prompt: no placeholder is called \"itme\""),
        ("prompt", "{item", "prompt: \"{\" without \"}\""),
        ("prompt", "a [[b", "prompt: \"[[\" without \"]]\""),
        ("prompt", "a ]]b", "prompt: \"]]\" without \"[[\""),
        ("announcement", "{handle} x", "announcement: it goes to nobody"),
    ] {
        let error = texts_of(kind, template).map(|_| ()).unwrap_err();
        assert!(error.starts_with(part), "{error}");
    }
    let emails = BTreeMap::from([("purchased".to_owned(), "{handle}".to_owned())]);
    assert!(Texts::new(&BTreeMap::new(), &emails, Span::ZERO).is_err());
}

#[test]
fn shipped_texts_fit_and_are_addressed() {
    let texts = Texts::shipped(Span::of_mins(15));
    assert_eq!(texts.check_offer(&terms()), Ok(()));
    assert!(texts.check_offer(&Terms { reply_length: 30, ..terms() }).is_err());
    for kind in ReplyKind::ALL {
        let text = texts.render_reply(&reply(kind, terms())).unwrap();
        assert!(weighted_length(&text) <= 140, "{text}");
        assert!(kind == ReplyKind::Announcement || text.starts_with("@ann "), "{text}");
        let about_nothing = Reply { terms: None, purchase: None, ..reply(kind, terms()) };
        assert!(!texts.render_direct(&about_nothing).contains("  "));
    }
    let announcement = texts.render_announcement(Uuid([7; 16]), &terms());
    assert!(announcement.starts_with("Get Copper Kettle"), "{announcement}");
    let nobody = Reply { handle: None, ..reply(ReplyKind::NotLinked, terms()) };
    assert_eq!(texts.render_reply(&nobody), None);
    assert!(texts.render_direct(&nobody).starts_with("Please sync"));
    let signed = texts_of("not_linked", "@{handle} Tweet #{buy_tag}").unwrap();
    assert_eq!(signed.render_direct(&nobody), "Tweet #BuyKettle [0W3GE1R7]");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_reply_fits_and_two_ids_differ(item in "\\PC{0,200}", max in 60u32..280, ids in any::<[[u8; 16]; 2]>()) {
        let texts = Texts::shipped(Span::of_mins(15));
        let terms = Terms { item, reply_length: max, ..terms() };
        prop_assert_eq!(texts.check_offer(&terms), Ok(()));
        let say = |id| texts.render_reply(&Reply { id: Uuid(id), ..reply(ReplyKind::Prompt, terms.clone()) });
        prop_assert_eq!(ids[0][..5] == ids[1][..5], say(ids[0]) == say(ids[1]));
    }
}
