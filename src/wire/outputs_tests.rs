//! Every output record: its JSON to the byte, its key and headers, its schema, and where a card token may stand (I11).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use crate::bus::OutRecord;
use crate::domain::*;
use crate::wire::schema::schemas;
use crate::wire::{DeadLetter, Texts, dead_letter, record_of, record_of_offer_event, time, uuid_of};

const CANARY: &str = "tok_canary";
const PURCHASE: Uuid = Uuid([0xab; 16]);
const P: &str = "abababab-abab-abab-abab-abababababab";
const AT: Time = Time(1_360_681_500_123);

fn account() -> AccountId {
    AccountId { network: Network::TWITTER, user: 42 }
}

fn terms() -> Arc<Terms> {
    Arc::new(Terms {
        offer: "kettle".into(),
        version: 1,
        kind: OfferKind::Purchase,
        buy_tag: "BuyKettle".into(),
        confirm_tag: "ConfirmKettle".into(),
        cancel_tag: None,
        buy: Tag("buykettle".into()),
        confirm: Tag("confirmkettle".into()),
        cancel: None,
        merchant: "kettles".into(),
        item: "A \"kettle\"".into(),
        amount: Money { minor: 14999, currency: Currency::USD },
        exponent: 2,
        limited: true,
        per_account: 1,
        opens: None,
        closes: None,
        countries: vec![],
        terms_url: None,
        reply_length: 140,
    })
}

fn link() -> Arc<Link> {
    let text = |text: &str| text.to_owned();
    Arc::new(Link {
        card: text(CANARY),
        country: text("US"),
        handle: text("ann"),
        email_ref: text("eml_1"),
        billing_ref: text("adr_1"),
    })
}

fn reply(kind: ReplyKind) -> Reply {
    Reply {
        id: Uuid([1; 16]),
        kind,
        account: account(),
        handle: Some("ann".into()),
        in_reply_to: Some(PostId(301_345_161_999_286_273)),
        terms: Some(terms()),
        purchase: Some(PURCHASE),
        at: AT,
    }
}

fn transition(from: Option<State>, to: State, reason: Option<Reason>) -> Event {
    let (purchase, account, terms, post) = (PURCHASE, account(), terms(), Some(PostId(7)));
    Event::Transition(Transition { purchase, account, terms, from, to, reason, at: AT, post, confirm_ms: Some(1) })
}

fn payment() -> Event {
    Event::Payment(Payment {
        purchase: PURCHASE,
        account: account(),
        link: link(),
        terms: terms(),
        ordered_at: Time(1_360_681_260_000),
        confirmed_at: AT,
        order_post: PostId(7),
        confirm_post: PostId(8),
    })
}

fn order() -> Event {
    Event::Order(Order {
        purchase: PURCHASE,
        account: account(),
        merchant: "kettles".into(),
        item: "A \"kettle\"".into(),
        ship_to: "adr_1".into(),
        at: AT,
    })
}

fn voided() -> Event {
    Event::Voided(Voided { purchase: PURCHASE, account: account(), reason: Reason::CancelledByUser, at: AT })
}

fn email(kind: ReplyKind) -> Event {
    let (purchase, account, terms) = (PURCHASE, account(), terms());
    Event::Email(Email { id: Uuid([2; 16]), kind, account, email_ref: "eml_1".into(), purchase, terms, at: AT })
}

fn announcement() -> OfferEvent {
    OfferEvent::Announcement { id: Uuid([3; 16]), terms: terms(), at: AT }
}

fn funnel() -> OfferEvent {
    OfferEvent::Funnel(Funnel {
        offer: "kettle".into(),
        at: AT,
        mentions: 1,
        buys: 2,
        prompts: 3,
        confirms: 4,
        authorized: 5,
        fulfilled: 6,
        expired: 7,
        cancelled: 8,
        declined: 9,
        sold_out: 10,
        revenue: Money { minor: 11, currency: Currency::USD },
        confirm_ms_p50: Some(12),
        confirm_ms_p99: None,
    })
}

fn letter(topic: &str, value: &[u8]) -> OutRecord {
    let (partition, offset, reason, detail) = (3, 99, "not_json", "line 1 column 5");
    dead_letter(&DeadLetter { topic, partition, offset, timestamp: AT, value, reason, detail }, true)
}

fn texts() -> Texts {
    Texts::shipped(Span::of_mins(15))
}

/// One record of each kind of event, in each of its variations.
fn all_records() -> Vec<OutRecord> {
    let texts = texts();
    let mut events = vec![payment(), order(), voided(), transition(None, State::Ordered, None)];
    for kind in ReplyKind::ALL {
        let without = Reply { handle: None, in_reply_to: None, terms: None, purchase: None, ..reply(kind) };
        events.extend([Event::Reply(reply(kind)), Event::Direct(reply(kind)), Event::Direct(without), email(kind)]);
    }
    for to in State::ALL {
        events.extend(Reason::ALL.map(|reason| transition(Some(to), to, Some(reason))));
    }
    let offer_events = [announcement(), funnel()];
    let made = events.iter().filter_map(|event| record_of(event, &texts));
    let made = made.chain(offer_events.iter().filter_map(|event| record_of_offer_event(event, &texts)));
    let secret = format!("{{\"card\":\"{CANARY}\"");
    made.chain([letter("accounts.links", secret.as_bytes()), letter("tweets", b"{\"")]).collect()
}

/// An event's record is this topic, key and JSON, and its headers follow from them.
fn check(record: Option<OutRecord>, source: &str, key: Option<&str>, topic: &str, id: Uuid, json: &str) {
    let record = record.expect("this event makes a record");
    let (id, at) = (id.to_string(), time::format(AT));
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_type", topic),
        ("ce_source", source),
        ("ce_time", &at),
        ("content-type", "application/json"),
    ];
    assert_eq!(&*record.topic, topic);
    assert_eq!(record.partition, None);
    assert_eq!(record.key, key.map(|key| key.as_bytes().to_vec()));
    assert_eq!(record.headers, headers.map(|(name, value)| (name, value.to_owned())));
    assert_eq!(String::from_utf8_lossy(&record.value.expect("not a tombstone")), json);
}

fn check_event(event: &Event, topic: &str, id: Uuid, json: &str) {
    let key = if topic == "fulfilment.orders" { P } else { "twitter:42" };
    check(record_of(event, &texts()), "pay-by-tweet/accounts", Some(key), topic, id, json);
}

#[test]
fn purchases_and_payments_are_written_to_the_byte() {
    check_event(
        &transition(None, State::Ordered, None),
        "purchases.events",
        uuid_of(&format!("purchases.events|{P}||ordered|7||1360681500123")),
        &format!(
            r#"{{"purchase":"{P}","account":"twitter:42","offer":"kettle","from":null,"to":"ordered","reason":null,"at":"2013-02-12T15:05:00.123Z","post":"7"}}"#
        ),
    );
    check_event(
        &payment(),
        "payments.authorized",
        uuid_of(&format!("payments.authorized|{P}")),
        &format!(
            r#"{{"purchase":"{P}","account":"twitter:42","card":"tok_canary","offer":"kettle","merchant":"kettles","amount":{{"minor":14999,"currency":"USD"}},"ordered_at":"2013-02-12T15:01:00.000Z","confirmed_at":"2013-02-12T15:05:00.123Z","order_post":"7","confirm_post":"8"}}"#
        ),
    );
    check_event(
        &voided(),
        "payments.voided",
        uuid_of(&format!("payments.voided|{P}")),
        &format!(
            r#"{{"purchase":"{P}","account":"twitter:42","reason":"cancelled_by_user","at":"2013-02-12T15:05:00.123Z"}}"#
        ),
    );
    check_event(
        &order(),
        "fulfilment.orders",
        uuid_of(&format!("fulfilment.orders|{P}")),
        &format!(r#"{{"purchase":"{P}","merchant":"kettles","item":"A \"kettle\"","quantity":1,"ship_to":"adr_1"}}"#),
    );
}

#[test]
fn what_people_read_is_written_to_the_byte() {
    let json = |kind: &str, text: &str| {
        format!(
            r#"{{"reply":"01010101-0101-0101-0101-010101010101","kind":"{kind}","account":"twitter:42","handle":"ann","in_reply_to":"301345161999286273","text":"{text} [040G2081]","offer":"kettle","purchase":"{P}"}}"#
        )
    };
    let id = Uuid([1; 16]);
    let told = json("already_tweeted", "@ann You've already Tweeted #BuyKettle, pls check for a reply");
    check_event(&Event::Reply(reply(ReplyKind::AlreadyTweeted)), "replies", id, &told);
    let sold_out = json("sold_out", r#"@ann Sorry, A \"kettle\" is sold out."#);
    check_event(&Event::Direct(reply(ReplyKind::SoldOut)), "messages.direct", id, &sold_out);
    check_event(
        &email(ReplyKind::SoldOut),
        "notifications.email",
        Uuid([2; 16]),
        &format!(
            r#"{{"notification":"02020202-0202-0202-0202-020202020202","kind":"sold_out","account":"twitter:42","email_ref":"eml_1","purchase":"{P}","text":"A \"kettle\" from kettles is sold out. Order {P}."}}"#
        ),
    );
    check(
        record_of_offer_event(&announcement(), &texts()),
        "pay-by-tweet/offers",
        None,
        "replies",
        Uuid([3; 16]),
        r#"{"reply":"03030303-0303-0303-0303-030303030303","kind":"announcement","account":null,"handle":null,"in_reply_to":null,"text":"Get A \"kettle\" for $149.99 w/synced Card. Tweet #BuyKettle to start purch! [0C1G60R3]","offer":"kettle","purchase":null}"#,
    );
}

#[test]
fn funnels_and_dead_letters_are_written_to_the_byte() {
    check(
        record_of_offer_event(&funnel(), &texts()),
        "pay-by-tweet/offers",
        Some("kettle"),
        "offers.funnel",
        uuid_of("offers.funnel|kettle|1|2|3|4|5|6|7|8|9|10|11|12|"),
        r#"{"offer":"kettle","mentions":1,"buys":2,"prompts":3,"confirms":4,"authorized":5,"fulfilled":6,"expired":7,"cancelled":8,"declined":9,"sold_out":10,"revenue":{"minor":11,"currency":"USD"},"confirm_ms_p50":12,"confirm_ms_p99":null}"#,
    );
    check(
        Some(letter("tweets", b"abc")),
        "pay-by-tweet/screen",
        None,
        "dead-letters",
        uuid_of("dead-letters|tweets|3|99"),
        r#"{"topic":"tweets","partition":3,"offset":99,"size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","reason":"not_json","detail":"line 1 column 5","body":"YWJj"}"#,
    );
}

#[test]
fn a_dead_letter_is_of_the_stage_that_could_not_read_the_record() {
    for (topic, stage) in [("accounts.links", "screen"), ("accounts.inbox", "accounts"), ("offers.inbox", "offers")] {
        let record = letter(topic, b"abc");
        let source = record.headers.iter().find(|(name, _)| *name == "ce_source").map(|(_, value)| value.clone());
        assert_eq!(source, Some(format!("pay-by-tweet/{stage}")), "{topic}");
    }
}

#[test]
fn some_events_make_no_record() {
    let request = StockRequest { purchase: PURCHASE, account: account(), at: AT, action: StockAction::Hold };
    let answer = StockAnswer { purchase: PURCHASE, verdict: StockVerdict::Held };
    let unknown = Reply { handle: None, ..reply(ReplyKind::NotLinked) };
    for event in [Event::Stock("kettle".into(), request), Event::Counted(Reason::Late), Event::Reply(unknown)] {
        assert_eq!(record_of(&event, &texts()), None);
    }
    assert_eq!(record_of_offer_event(&OfferEvent::Answer(account(), answer), &texts()), None);
}

/// I11: no card token outside `payments.*`.
#[test]
fn a_card_token_stands_in_payments_only() {
    let mut topics = BTreeMap::new();
    for record in all_records() {
        let leaks = format!("{record:?}{}", String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()));
        *topics.entry(record.topic.to_string()).or_insert(false) |= leaks.contains(CANARY);
    }
    let leaking: Vec<_> = topics.iter().filter(|(_, leaks)| **leaks).map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(leaking, ["payments.authorized"]);
    assert_eq!(topics.len(), 9, "every output topic was looked at");
    assert!(!format!("{:?}", payment()).contains(CANARY));
}

/// Made once for all tests: each takes milliseconds.
static VALIDATORS: LazyLock<BTreeMap<&'static str, jsonschema::Validator>> = LazyLock::new(|| {
    let made = schemas().into_iter().map(|(topic, schema)| (topic, jsonschema::validator_for(&schema).expect(topic)));
    made.collect()
});

fn assert_valid(topic: &str, value: &Value) {
    let errors: Vec<_> = VALIDATORS[topic].iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{topic} {value}: {errors:?}");
}

#[test]
fn every_output_keeps_its_schema() {
    for record in all_records() {
        let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).unwrap();
        assert_valid(&record.topic, &value);
        let mut poorer = value.clone();
        let members = poorer.as_object_mut().unwrap();
        members.remove("body");
        let first = members.keys().next().cloned().unwrap();
        members.remove(&first);
        assert!(!VALIDATORS[&*record.topic].is_valid(&poorer), "{} needs no {first}", record.topic);
    }
}

#[test]
fn input_schemas_accept_what_is_read() {
    let link = json!({"type": "link", "account": "twitter:1", "card": "tok_1", "country": "US", "handle": "ann",
        "email_ref": "eml_1", "billing_ref": "adr_1", "at": "2013-02-11T15:00:00.000Z"});
    let card = json!({"type": "card", "account": "twitter:1", "status": "active", "at": "2013-02-11T15:00:00.000Z"});
    let posted = json!({"reply": P, "account": "twitter:1", "post": "7", "at": "2013-02-11T15:00:00.000Z"});
    let failed = json!({"reply": P, "account": "twitter:1", "failed": "x", "at": "2013-02-11T15:00:00.000Z"});
    assert_valid("accounts.links", &link);
    assert_valid("accounts.links", &card);
    assert_valid("accounts.links", &json!({"type": "unlink", "account": "twitter:1", "at": "2013-02-11T15:00:00Z"}));
    assert_valid("replies.posted", &posted);
    assert_valid("replies.posted", &failed);
    assert_valid("offers", &json!({"id": "a", "withdrawn": true}));
    assert_valid("offers", &json!({"id": "a", "price": "149.99", "quantity": 5, "countries": ["US"]}));
    assert_valid("offers", &Value::Null);
    assert_valid("tweets", &json!({"id_str": "1", "text": "x"}));
    for (topic, value) in [
        ("accounts.links", json!({"type": "link", "account": "twitter:1", "at": "2013-02-11T15:00:00.000Z"})),
        ("accounts.links", json!({"type": "card", "account": "ann", "status": "active", "at": "x"})),
        ("replies.posted", json!({"reply": P, "account": "twitter:1", "at": "2013-02-11T15:00:00.000Z"})),
        ("offers", json!({"price": 149.99})),
    ] {
        assert!(!VALIDATORS[topic].is_valid(&value), "{topic} {value}");
    }
}

/// The contract's worked example, where it lies beside the project, with its free places filled in.
#[test]
fn the_worked_example_keeps_the_schemas() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/contract");
    for topic in ["accounts.links", "tweets"] {
        for line in lines_of(&folder.join(format!("{topic}.jsonl"))) {
            if let Ok(value) = serde_json::from_str(&line) {
                assert_valid(topic, &value);
            }
        }
    }
    let filled = lines_of(&folder.join("expected.jsonl")).into_iter().map(|line| {
        let named = ["\"<purchase>\"", "\"<another>\"", "\"<uuid>\""]
            .iter()
            .fold(line, |line, free| line.replace(free, &format!("\"{P}\"")));
        serde_json::from_str::<Value>(&named.replace("\"<n>\"", "0")).expect("a line of JSON")
    });
    for record in filled {
        assert_valid(record["topic"].as_str().expect("a topic"), &record["value"]);
    }
}

fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
