//! The model alone, where no conversation with the program can be had.

use std::sync::Arc;

use super::account::{Account, Now};
use crate::audit::Rules;
use crate::config::{OfferSpec, Settings};
use crate::domain::{
    AccountId, AccountMessage, Link, LinkChange, LinkMessage, Network, PostForm, PostId, PostIntent, Span, State,
    StockAnswer, StockVerdict, Tag, Terms, Time,
};

const NOON: Time = Time(1_360_681_260_000);

fn terms(name: &str) -> Arc<Terms> {
    let spec = OfferSpec {
        id: name.to_owned(),
        kind: Some("purchase".to_owned()),
        buy_tag: Some(format!("Buy{name}")),
        confirm_tag: Some(format!("Confirm{name}")),
        merchant: Some("shop".to_owned()),
        item: Some("thing".to_owned()),
        price: Some("10.00".to_owned()),
        currency: Some("USD".to_owned()),
        quantity: Some(1),
        waitlist_max: Some(1),
        ..OfferSpec::default()
    };
    Arc::new(spec.into_offer(1).expect("the offer is valid").terms)
}

fn link() -> AccountMessage {
    let text = |text: &str| text.to_owned();
    let link = Link {
        card: text("tok_1"),
        country: text("US"),
        handle: text("ann"),
        email_ref: text("eml"),
        billing_ref: text("adr"),
    };
    AccountMessage::Link(LinkMessage { at: Time(0), change: LinkChange::Link(Arc::new(link)) })
}

/// A post at noon that orders these, or confirms them a second later.
fn post(id: u64, orders: Vec<Arc<Terms>>, confirm_tags: Vec<Tag>) -> AccountMessage {
    AccountMessage::Post(PostIntent {
        id: PostId(id),
        first_id: PostId(id),
        time: if orders.is_empty() { NOON.after(Span::of_secs(1)) } else { NOON },
        handle: None,
        form: PostForm::Own,
        buys: !orders.is_empty(),
        orders,
        confirm_tags,
        cancel_tags: Vec::new(),
        cancel_word: false,
        freeze: false,
        in_reply_to: None,
    })
}

/// An account whose post ordered these, and what was answered in which order.
fn account_after(orders: Vec<Arc<Terms>>, answers: &[(usize, StockVerdict)], now: Now<'_>) -> Account {
    let mut account = Account::new(AccountId { network: Network::TWITTER, user: 7 });
    account.read(&link(), now);
    account.read(&post(1, orders, Vec::new()), now);
    for (index, verdict) in answers {
        let purchase = account.purchases[*index].id;
        account.read(&AccountMessage::Stock(StockAnswer { purchase, verdict: *verdict }), now);
    }
    account
}

fn rules() -> Rules {
    Rules::of(&Settings::of_text(None, std::iter::empty()).expect("the shipped settings are valid"))
}

/// Where two purchases of one post come to when stock answers them in this order.
fn states_after(answers: &[(usize, StockVerdict)]) -> Vec<State> {
    let now = Now { rules: &rules(), watermark: None, clock: None };
    let account = account_after(vec![terms("one"), terms("two")], answers, now);
    account.purchases.iter().map(|purchase| purchase.state).collect()
}

#[test]
fn a_place_in_line_that_is_served_before_the_first_asking_is_answered_is_served_after_it() {
    let freed = StockVerdict::Freed { at: NOON };
    let answers = [(1, StockVerdict::Waitlisted), (1, freed), (0, StockVerdict::SoldOut)];
    assert_eq!(states_after(&answers), [State::SoldOut, State::Prompted]);
    let answers = [(1, StockVerdict::Waitlisted), (1, StockVerdict::Exhausted { at: NOON }), (0, StockVerdict::Held)];
    assert_eq!(states_after(&answers), [State::Prompted, State::SoldOut]);
}

#[test]
fn answers_are_heard_in_the_order_of_asking() {
    let answers = [(1, StockVerdict::Held), (0, StockVerdict::Waitlisted)];
    assert_eq!(states_after(&answers[..1]), [State::Ordered, State::Ordered]);
    assert_eq!(states_after(&answers), [State::Waitlisted, State::Prompted]);
}

/// Whether it must be told that a confirm came to nothing, read when the watermark is so long after the buy, which was
/// sold out.
fn must_be_told(since: Span) -> bool {
    let rules = rules();
    let now = Now { rules: &rules, watermark: None, clock: None };
    let mut account = account_after(vec![terms("one")], &[(0, StockVerdict::SoldOut)], now);
    account.out.clear();
    account.read(
        &post(2, Vec::new(), vec![terms("one").confirm.clone()]),
        Now { watermark: Some(NOON.after(since)), ..now },
    );
    let [told] = &account.out[..] else { panic!("one rejection, not {:?}", account.out) };
    !told.optional
}

#[test]
fn what_concerns_a_purchase_of_long_ago_need_not_be_told() {
    let known = rules().windows.buy_max_age.0 + Span::DAY.0;
    assert!(must_be_told(Span(0)));
    assert!(must_be_told(Span(known)));
    assert!(!must_be_told(Span(known + 1)));
}
