//! Side inputs as producers may write them, well and badly.

use proptest::prelude::*;

use super::*;
use crate::domain::{Network, Uuid};

const BYTES_MAX: usize = 1 << 20;
const REPLY: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";
const LINK: &str = r#"{"type":"link","account":"twitter:42","card":"tok_1","country":"US","handle":"@ann","email_ref":"eml_1","billing_ref":"adr_1","at":"2013-02-11T15:00:00.000Z"}"#;
const AT: Time = Time(1_360_594_800_000);

fn account() -> AccountId {
    AccountId { network: Network::TWITTER, user: 42 }
}

/// Every way to read a record refuses it with this reason and detail, or not at all where the reason is empty.
fn check_link(json: &str, reason: &str, detail: &str) {
    match parse_link(json.as_bytes(), BYTES_MAX) {
        Ok(_) => assert_eq!(reason, "", "{json}"),
        Err(bad) => assert_eq!((bad.reason, bad.detail.as_str()), (reason, detail), "{json}"),
    }
}

#[test]
fn links_are_read() {
    let link = Link {
        card: "tok_1".into(),
        country: "US".into(),
        handle: "ann".into(),
        email_ref: "eml_1".into(),
        billing_ref: "adr_1".into(),
    };
    let change = LinkChange::Link(Arc::new(link));
    assert_eq!(parse_link(LINK.as_bytes(), BYTES_MAX), Ok(Some((account(), LinkMessage { at: AT, change }))));
    for (json, change) in [
        (r#"{"type":"unlink","account":"twitter:42","at":"2013-02-11T10:00:00-05:00","x":[1]}"#, LinkChange::Unlink),
        (
            r#"{"at":"2013-02-11T15:00:00Z","\u0074ype":"card","account":"twitter:42","status":"suspended"}"#,
            LinkChange::Card(CardStatus::Suspended),
        ),
    ] {
        assert_eq!(parse_link(json.as_bytes(), BYTES_MAX), Ok(Some((account(), LinkMessage { at: AT, change }))));
    }
}

#[test]
fn what_is_no_known_message_is_counted_only() {
    for json in ["", " \r\n", "{}", r#"{"type":"merge","account":7}"#, r#"{"type":null}"#, r#"{"delete":{}}"#] {
        assert_eq!(parse_link(json.as_bytes(), BYTES_MAX), Ok(None), "{json}");
    }
    assert_eq!(parse_posted(br#"{"hello":1}"#, BYTES_MAX), Ok(None));
    assert_eq!(parse_offer_envelope(Some(b"\n"), None, BYTES_MAX), Ok(None));
}

#[test]
fn bad_links_say_where_and_never_what() {
    check_link(LINK, "", "");
    for (from, to, reason, detail) in [
        ("\"tok_1\"", "7", "wrong_type", "card: it is not a string"),
        ("\"tok_1\"", "null", "wrong_type", "card: it is missing"),
        ("\"tok_1\"", "\"\"", "wrong_type", "card: it is not a text of at least one character"),
        ("\"tok_1\"", "\"\\ud800\"", "wrong_type", "card: it is not a string"),
        ("\"link\"", "1", "wrong_type", "type: it is not a string"),
        ("twitter:42", "ann", "wrong_type", "account: it is not network:user_id"),
        ("\"account\"", "\"acount\"", "no_id", "account"),
        ("\"US\"", "\"usa\"", "wrong_type", "country: it is not an ISO 3166 alpha-2 code"),
        ("@ann", "ann {item}", "wrong_type", "handle: it is not one word"),
        ("2013-02-11T", "yesterday", "wrong_type", "at: it is not an RFC 3339 time"),
        ("\"tok_1\"", "\"tok_1\",\"card\":\"tok_2\"", "duplicate_field", "card"),
        ("\"tok_1\"", "tok_1", "not_json", "expected ident at line 1 column 47"),
        ("{", "[{", "wrong_type", "the record: it is not an object"),
    ] {
        check_link(&LINK.replacen(from, to, 1), reason, detail);
    }
    let long = LINK.replace("tok_1", &"t".repeat(TEXT_BYTES_MAX + 1));
    check_link(&long, "too_large", "card: at most 512 bytes are kept");
    check_link("[1]", "wrong_type", "the record: it is not an object");
    check_link(&format!("{LINK}{LINK}"), "not_json", "trailing characters at line 1 column 159");
    assert_eq!(parse_link(b"{\"a\":\"\xff\"}", BYTES_MAX), Err(BadInput::new("not_utf8", "byte 6")));
    assert_eq!(parse_link(b"{}  ", 3), Err(BadInput::new("too_large", "4 bytes, at most 3 are read")));
}

#[test]
fn depth_has_a_bound() {
    let nested = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    check_link(&nested(127), "", "");
    check_link(&nested(128), "too_deep", "byte 132, at most 128 levels are read");
    check_link(&format!("{{\"x\":\"\\\"{}\"}}", "[".repeat(500)), "", "");
    let deepest = nested(127).replacen('{', "{\"id\":\"a\",", 1);
    assert!(parse_offer_envelope(Some(deepest.as_bytes()), None, BYTES_MAX).is_ok());
}

#[test]
fn fates_are_read() {
    let read = |rest: &str| {
        let json = format!(r#"{{"reply":"{REPLY}","account":"twitter:42","at":"2013-02-11T15:00:00.000Z",{rest}}}"#);
        parse_posted(json.as_bytes(), BYTES_MAX)
    };
    let reply = uuids::parse(REPLY).unwrap();
    let fate = |outcome| Ok(Some((account(), PromptFate { reply, at: AT, outcome })));
    assert_eq!(read(r#""post":"301345161999286273""#), fate(Ok(PostId(301_345_161_999_286_273))));
    assert_eq!(read(r#""post":null,"failed":"blocked""#), fate(Err("blocked".into())));
    let long = "é".repeat(TEXT_BYTES_MAX);
    assert_eq!(read(&format!(r#""failed":"{long}""#)), fate(Err("é".repeat(TEXT_BYTES_MAX / 2))));
    for bad in [r#""post":301345161999286273"#, r#""post":"1","failed":"x""#, r#""x":1"#, r#""post":"-1""#] {
        assert_eq!(read(bad).map_err(|bad| bad.reason), Err("wrong_type"), "{bad}");
    }
    let announcement = format!(r#"{{"reply":"{REPLY}","account":null,"at":"2013-02-11T15:00:00.000Z","post":"1"}}"#);
    assert_eq!(parse_posted(announcement.as_bytes(), BYTES_MAX), Ok(None));
    assert_eq!(parse_posted(br#"{"post":"1"}"#, BYTES_MAX), Err(BadInput::new("no_id", "reply")));
    assert_ne!(reply, Uuid([0; 16]));
}

#[test]
fn offers_are_opened() {
    let read = |json: &str| parse_offer_envelope(Some(json.as_bytes()), Some(b"k"), BYTES_MAX);
    let spec = serde_json::json!({"id": "a", "price": "1.00"});
    assert_eq!(
        read(r#"{"id":"a","price":"1.00","withdrawn":false}"#),
        Ok(Some(OfferRecord::Spec { id: "a".into(), spec }))
    );
    assert_eq!(read(r#"{"withdrawn":true,"id":"a"}"#), Ok(Some(OfferRecord::Withdrawn { id: "a".into() })));
    let tombstone = parse_offer_envelope(None, Some(b"a"), BYTES_MAX);
    assert_eq!(tombstone, Ok(Some(OfferRecord::Withdrawn { id: "a".into() })));
    for (json, reason) in [
        (r#"{"price":"1.00"}"#, "no_id"),
        (r#"{"id":""}"#, "no_id"),
        (r#"{"id":7}"#, "wrong_type"),
        (r#"{"id":"a","withdrawn":"yes"}"#, "wrong_type"),
        (r#"{"id":"a","price":"1","price":"2"}"#, "duplicate_field"),
        (r#"{"id":"a""#, "not_json"),
        (r#"{"id":"a","item":"\udc00"}"#, "not_json"),
    ] {
        assert_eq!(read(json).map_err(|bad| bad.reason), Err(reason), "{json}");
    }
    for key in [None, Some(&b""[..]), Some(b"\xff")] {
        assert_eq!(parse_offer_envelope(None, key, BYTES_MAX).map_err(|bad| bad.reason), Err("no_id"));
    }
}

proptest! {
    #[test]
    fn any_damage_is_data(at in 0..LINK.len(), byte in any::<u8>(), cut in 0..LINK.len()) {
        let mut bytes = LINK.as_bytes().to_vec();
        bytes[at] = byte;
        for value in [&bytes[..], &LINK.as_bytes()[..cut]] {
            if let Err(bad) = parse_link(value, BYTES_MAX) {
                prop_assert!(!bad.detail.contains("tok_"), "{}", bad.detail);
            }
            let _ = parse_posted(value, BYTES_MAX);
            let _ = parse_offer_envelope(Some(value), None, BYTES_MAX);
        }
    }
}
