//! Every input topic but the posts, and everything that the stages write for themselves.

use std::sync::{Arc, OnceLock};

use pay_by_tweet::accounts::codec::{decode_account, encode_account};
use pay_by_tweet::config::{OfferSpec, TagLooks, clash_with};
use pay_by_tweet::domain::account::{Account, CancelScope, ConfirmForm, Extras, KeptCancel, KeptConfirm, Refused};
use pay_by_tweet::domain::watermark::Watermark;
use pay_by_tweet::domain::*;
use pay_by_tweet::offers::book::{Book, Claim, Entry, Waiter};
use pay_by_tweet::offers::codec::{
    claim_key, encode_claim, encode_entry, encode_waiter, entry_key, place_key, restore,
};
use pay_by_tweet::screen::{Verdict, screen};
use pay_by_tweet::wire::inputs::{BadInput, OfferRecord, parse_link, parse_offer_envelope, parse_posted};
use pay_by_tweet::wire::internal::*;
use pay_by_tweet::wire::{Texts, uuid_of};
use serde::de::IgnoredAny;

use super::screen::generator;
use super::{Target, choose, chosen};

pub const INPUTS: Target =
    Target { name: "wire_inputs", check: check_input, seeds: input_seeds, words: include_str!("../words/wire_inputs") };
pub const INTERNAL: Target = Target {
    name: "wire_internal",
    check: check_internal,
    seeds: internal_seeds,
    words: include_str!("../words/wire_internal"),
};

const RECORD_BYTES_MAX: usize = 1 << 20;
const DETAIL_BYTES_MAX: usize = 2_000;
const REASONS: [&str; 7] = ["not_json", "not_utf8", "too_large", "too_deep", "duplicate_field", "wrong_type", "no_id"];

/// `accounts.links`, `replies.posted`, `offers`, and tombstones of `offers`.
fn check_input(data: &[u8]) {
    let Some((choice, value)) = choose(data) else { return };
    match choice % 4 {
        0 => {
            let message = |(account, link)| (account, AccountMessage::Link(link));
            check_message(value, parse_link(value, RECORD_BYTES_MAX).map(|read| read.map(message)));
        }
        1 => {
            let message = |(account, fate)| (account, AccountMessage::Posted(fate));
            check_message(value, parse_posted(value, RECORD_BYTES_MAX).map(|read| read.map(message)));
        }
        2 => check_offer(parse_offer_envelope(Some(value), None, RECORD_BYTES_MAX)),
        _ => check_offer(parse_offer_envelope(None, Some(value), RECORD_BYTES_MAX)),
    }
}

/// What was understood is JSON and reaches its account; what was not is told without the card's token.
fn check_message(value: &[u8], read: Result<Option<(AccountId, AccountMessage)>, BadInput>) {
    match read {
        Ok(Some((account, message))) => {
            assert!(serde_json::from_slice::<IgnoredAny>(value).is_ok(), "understood, but no JSON");
            let record = InboxRecord::To(account, message);
            assert_eq!(decode_inbox(Some(&account_key(account)), &encode_inbox(&record)), Ok(record));
        }
        Ok(None) => {}
        Err(bad) => {
            check_bad(&bad);
            assert!(!bad.detail.contains("tok_"), "{bad:?}");
        }
    }
}

fn check_offer(read: Result<Option<OfferRecord>, BadInput>) {
    let (id, message) = match read {
        Ok(None) => return,
        Err(bad) => return check_bad(&bad),
        Ok(Some(OfferRecord::Withdrawn { id })) => (id, OfferMessage::Withdrawn { version: 7 }),
        Ok(Some(OfferRecord::Spec { id, spec })) => {
            let Ok(spec) = serde_json::from_value::<OfferSpec>(spec) else { return };
            let Ok(offer) = spec.into_offer(7) else { return };
            assert_eq!(offer.terms.offer, id);
            assert!(offer.terms.amount.minor >= 0, "nobody is paid for buying: {offer:?}");
            // Either may be refused; both must come to an answer.
            let _ = texts().check_offer(&offer.terms);
            let _ = clash_with(&offer, std::iter::once(other_offer()), "freeze", &TagLooks::default());
            (id, OfferMessage::Published(Arc::new(offer)))
        }
    };
    assert!(!id.is_empty());
    let record = OffersRecord::To(id, message);
    assert_eq!(decode_offers(&encode_offers(&record)), Ok(record));
}

fn check_bad(bad: &BadInput) {
    assert!(REASONS.contains(&bad.reason) && bad.detail.len() <= DETAIL_BYTES_MAX, "{bad:?}");
}

fn texts() -> &'static Texts {
    static TEXTS: OnceLock<Texts> = OnceLock::new();
    TEXTS.get_or_init(|| Texts::shipped(Span::of_mins(15)))
}

fn other_offer() -> &'static Offer {
    static OFFER: OnceLock<Offer> = OnceLock::new();
    OFFER.get_or_init(|| offer().expect("the seed is a good offer"))
}

/// The inboxes and the changelogs. What decodes is written again in as many bytes at most, and reads back the same.
fn check_internal(data: &[u8]) {
    let Some((choice, bytes)) = choose(data) else { return };
    match choice % 7 {
        0 => again(bytes, |bytes| decode_inbox(None, bytes).ok(), encode_inbox),
        1 => again(bytes, |bytes| decode_offers(bytes).ok(), encode_offers),
        2 => again(bytes, |bytes| decode_watermark(bytes, 4).ok(), |mark| encode_watermark(mark, 4)),
        3 => again(bytes, |bytes| decode_account(bytes).ok(), encode_account),
        4 => again(bytes, |bytes| restored(&entry_key("a"), bytes)?.entries.remove(&"a".to_owned()), encode_entry),
        5 => again(bytes, |bytes| restored(&claim_key(&PURCHASE), bytes)?.claims.remove(&PURCHASE), encode_claim),
        _ => {
            let place = ("a".to_owned(), 7);
            again(bytes, |bytes| restored(&place_key(&place), bytes)?.line.remove(&place), encode_waiter);
            // As a key: of what it names nothing is known, so that there is nothing to delete.
            let mut book = Book::default();
            let _ = restore(&mut book, (&mut Watermark::default(), 4), bytes, None);
            assert!(book.entries.is_empty() && book.claims.is_empty() && book.line.is_empty());
        }
    }
}

fn again<T: PartialEq + std::fmt::Debug>(bytes: &[u8], read: impl Fn(&[u8]) -> Option<T>, write: fn(&T) -> Vec<u8>) {
    let Some(value) = read(bytes) else { return };
    let written = write(&value);
    assert!(written.len() <= bytes.len(), "{} bytes became {}: {value:?}", bytes.len(), written.len());
    assert_eq!(read(&written).as_ref(), Some(&value));
}

fn restored(key: &str, value: &[u8]) -> Option<Book> {
    let mut book = Book::default();
    restore(&mut book, (&mut Watermark::default(), 4), key.as_bytes(), Some(value)).ok().map(|()| book)
}

const PURCHASE: Uuid = Uuid([0xa5; 16]);
const ACCOUNT: AccountId = AccountId { network: Network::TWITTER, user: 7 };
const AT: &str = "2013-02-12T15:01:00.000Z";
const OFFER: &str = r#"{"id":"mug","kind":"purchase","buy_tag":"BuyMug","confirm_tag":"ConfirmMug","cancel_tag":"NoMug",
    "merchant":"m","item":"Mug","price":"12.50","tax":"0.50","currency":"USD","quantity":5,"per_account":2,
    "opens":"2013-02-11T05:00:00Z","closes":"2013-03-11T05:00:00Z","countries":["US","CA"],"waitlist_max":3,
    "terms_url":"http://example.com/t","reply_length":140}"#;

fn input_seeds() -> Vec<Vec<u8>> {
    let link = r#""card":"tok_a","country":"US","handle":"@someone","email_ref":"eml_1","billing_ref":"adr_1""#;
    let links = [
        format!(r#"{{"type":"link","account":"twitter:7",{link},"at":"{AT}"}}"#),
        format!(r#"{{"type":"unlink","account":"twitter:7","at":"{AT}","why":[1,{{}}]}}"#),
        format!(r#"{{"type":"card","account":"twitter:7","status":"suspended","at":"{AT}"}}"#),
    ];
    let posted = [("post", "88"), ("failed", "duplicate \\u2026")].map(|(name, value)| {
        let reply = "00000000-0000-5000-8000-000000000007";
        format!(r#"{{"reply":"{reply}","account":"twitter:7","{name}":"{value}","at":"{AT}"}}"#)
    });
    let offers = [
        OFFER.to_owned(),
        r#"{"id":"mug","withdrawn":true}"#.to_owned(),
        r#"{"id":"c","kind":"discount_code","buy_tag":"GetC","item":"C","merchant":"m","codes":["x","y"]}"#.to_owned(),
        format!(
            r#"{{"id":"d","kind":"statement_credit","buy_tag":"GetD","item":"D","merchant":"m","min_spend":"5.00",
            "credit":"1.00","spend_by":"{AT}","currency":"JPY"}}"#
        ),
    ];
    let links = links.into_iter().map(|record| chosen(0, record));
    let posted = posted.into_iter().map(|record| chosen(1, record));
    let offers = offers.into_iter().map(|record| chosen(2, record));
    links.chain(posted).chain(offers).chain([chosen(3, "mug")]).collect()
}

fn internal_seeds() -> Vec<Vec<u8>> {
    let tick = Tick {
        topology: 2,
        sources: (0..2).map(|partition| SourceId { topic: "tweets".to_owned(), partition }).collect(),
        marks: vec![(1, Time(1_360_681_260_000))],
        clock: Some(Time(1_360_681_261_000)),
    };
    let deleted = DeletedPost { post: PostId(5), time: Time(9) };
    let answer = StockAnswer { purchase: PURCHASE, verdict: StockVerdict::Freed { at: Time(3) } };
    let messages = [AccountMessage::Stock(answer), AccountMessage::Deleted(deleted), AccountMessage::Link(freeze())];
    let posts = intents().into_iter().map(|(account, post)| InboxRecord::To(account, AccountMessage::Post(post)));
    let inbox = messages.into_iter().map(|message| InboxRecord::To(ACCOUNT, message)).chain(posts);
    let inbox =
        inbox.chain([InboxRecord::Deletions(Network::TWITTER, vec![(7, deleted)]), InboxRecord::Tick(tick.clone())]);
    let request = StockRequest { purchase: PURCHASE, account: ACCOUNT, at: Time(4), action: StockAction::SellOpen };
    let delta =
        FunnelDelta { at: Time(8), mentions: 3, revenue_minor: -5, confirm_ms: vec![1, 900], ..Default::default() };
    let offers = [
        OffersRecord::To("mug".to_owned(), OfferMessage::Published(Arc::new(other_offer().clone()))),
        OffersRecord::To("mug".to_owned(), OfferMessage::Stock(request.clone())),
        OffersRecord::To("mug".to_owned(), OfferMessage::Funnel(delta.clone())),
        OffersRecord::Tick(tick.clone()),
    ];
    let mut mark = Watermark::default();
    mark.tick(&tick);
    let mut entry =
        Entry { offer: Some(Arc::new(other_offer().clone())), held: 2, parked: vec![request], ..Entry::default() };
    entry.totals.add(&delta);
    let waiter = Waiter { purchase: PURCHASE, account: ACCOUNT };
    let mut seeds: Vec<Vec<u8>> = inbox.map(|record| chosen(0, encode_inbox(&record))).collect();
    seeds.extend(offers.iter().map(|record| chosen(1, encode_offers(record))));
    seeds.extend([
        chosen(2, encode_watermark(&mark, 4)),
        chosen(3, encode_account(&account())),
        chosen(4, encode_entry(&entry)),
    ]);
    seeds.extend([
        chosen(5, encode_claim(&Claim::Waiting { offer: "a".to_owned(), place: 7 })),
        chosen(6, encode_waiter(&waiter)),
        chosen(6, claim_key(&PURCHASE)),
    ]);
    seeds
}

fn offer() -> Option<Offer> {
    serde_json::from_str::<OfferSpec>(OFFER).ok()?.into_offer(7).ok()
}

fn freeze() -> LinkMessage {
    LinkMessage { at: Time(6), change: LinkChange::Freeze(PostId(8)) }
}

/// What the screen makes of the generator's records.
fn intents() -> Vec<(AccountId, PostIntent)> {
    let of_case = |seed| {
        let (catalogue, record) = generator::case(seed);
        match screen(record.as_bytes(), Network::TWITTER, &catalogue, RECORD_BYTES_MAX) {
            Verdict::Post(screened) => screened.intent.map(|intent| (screened.account, intent)),
            _ => None,
        }
    };
    (0..60).filter_map(of_case).collect()
}

/// An account with something of everything.
fn account() -> Account {
    let terms = Arc::new(other_offer().terms.clone());
    let kept = KeptConfirm {
        id: PostId(12),
        first_id: PostId(11),
        time: Time(5),
        tags: vec![terms.confirm.clone()],
        how: ConfirmForm::Echo(Echo { id: Some(PostId(3)), by_service: true, ..Echo::default() }, Reason::Quote),
        told: true,
    };
    let cancel = KeptCancel { id: PostId(2), time: Time(7), scope: CancelScope::All };
    let extras = Extras {
        refused: vec![Refused { first_id: PostId(4), offer: terms.offer.clone(), buy: terms.buy.clone(), at: Time(1) }],
        told_not_linked: vec![(terms.offer.clone(), Time(1))],
        told_nothing_to_confirm: vec![(PostId(6), Time(1))],
        confirms: vec![kept],
        cancels: vec![cancel],
        deletions: vec![DeletedPost { post: PostId(5), time: Time(9) }],
        asking: [(PURCHASE, Some(StockVerdict::Held))].into(),
        queue: [(AccountMessage::Link(freeze()), Some(Time(2)))].into(),
        past_handle: Some("blueeye988".to_owned()),
        courtesy: (3, 4),
    };
    let purchase = Purchase {
        id: uuid_of("a purchase"),
        terms,
        order_post: PostId(1),
        order_version: PostId(2),
        ordered_at: Time(1),
        window_from: Time(2),
        state: State::Prompted,
        deadline: Some(Time(900_000)),
        prompt_post: Some(PostId(3)),
        confirm: None,
        rejected_confirms: vec![PostId(9)],
        told_directly: 1,
    };
    Account { links: vec![freeze()], purchases: vec![purchase], extras: Some(Box::new(extras)) }
}
