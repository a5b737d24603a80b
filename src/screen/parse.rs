//! From a candidate's bytes to what it is: a post, a deletion, a message, or a dead letter.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::domain::{Deletion, Network, Post, PostId, Time};
use crate::text;

use super::fields::{Id, Object, Text, id_of, millis, time_of_text};
use super::shape::{self, Shape};
use super::strings::closing_quote;
use super::v1::Status;
use super::{DeadLetter, DeadReason};

/// How a source writes its records (`[[sources]] format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// X API v1.1 and v2, told apart record by record.
    #[default]
    X,
}

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Post(Box<ReadPost>),
    Deletion(Deletion),
    Heartbeat(Time),
    /// A known message that carries nothing for us.
    Control,
    /// A sound JSON object that is no post.
    Other,
    KeepAlive,
    Dead(DeadLetter),
}

/// A post, and who wrote what it retweets or quotes. References tell an author's id only where the post is included;
/// the handle is told by more records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPost {
    pub post: Post,
    pub retweeted_handle: Option<String>,
    pub quoted_handle: Option<String>,
}

/// Containers within each other, the record's own object included.
const DEPTH_MAX: usize = 128;

impl Format {
    /// The format of this name in the configuration.
    pub fn parse(name: &str) -> Option<Format> {
        matches!(name, "x").then_some(Format::X)
    }

    pub fn name(self) -> &'static str {
        match self {
            Format::X => "x",
        }
    }
}

/// Parses one record. Fields that are not read may hold anything that is JSON; a field that is read may stand once
/// only, because two parsers could take it for two different orders.
pub fn parse(record: &[u8], format: Format, network: Network) -> Parsed {
    let object = match shape::look(record, usize::MAX) {
        Shape::Object(object) => object,
        Shape::KeepAlive => return Parsed::KeepAlive,
        Shape::Dead(letter) => return Parsed::Dead(letter),
    };
    match format {
        Format::X => parse_x(object, network).unwrap_or_else(Parsed::Dead),
    }
}

fn parse_x(object: &[u8], network: Network) -> Result<Parsed, DeadLetter> {
    let json = std::str::from_utf8(object)
        .map_err(|error| DeadLetter::new(DeadReason::NotUtf8, format!("byte {}", error.valid_up_to())))?;
    if is_deeper_than(object, DEPTH_MAX) {
        return Err(DeadLetter::new(DeadReason::TooDeep, format!("over {DEPTH_MAX} levels")));
    }
    match serde_json::from_str::<Status>(json) {
        Ok(status) => meaning(&status, json, network),
        Err(error) if is_lone_surrogate(&error) => {
            let mended = without_lone_surrogates(json);
            meaning(&serde_json::from_str(&mended).map_err(|error| dead(&error))?, json, network)
        }
        Err(error) => Err(dead(&error)),
    }
}

fn meaning(record: &Status, json: &str, network: Network) -> Result<Parsed, DeadLetter> {
    if record.looks_like_a_post() {
        return Ok(Parsed::Post(Box::new(record.read(network)?)));
    }
    let data = record.data.as_ref().and_then(Object::as_ref);
    if let Some(data) = data.filter(|data| data.looks_like_a_post()) {
        let read = data.read(record.includes.as_ref(), record.timestamp_ms, network)?;
        return Ok(Parsed::Post(Box::new(read)));
    }
    let notice = record.delete.as_ref().or(data.and_then(|data| data.delete.as_ref()));
    if let Some(notice) = notice {
        return notice.as_ref().map_or(Ok(Parsed::Control), |notice| notice.read(record.timestamp_ms));
    }
    if let Some(heartbeat) = &record.heartbeat {
        return heartbeat.read().map(Parsed::Heartbeat);
    }
    let known = serde_json::from_str::<TopKeys>(json).is_ok_and(|keys| keys.any_known);
    Ok(if known { Parsed::Control } else { Parsed::Other })
}

/// `{"status":{…},"timestamp_ms":…}` of v1.1, `{"tweet":{…},"event_at":…}` of v2's compliance stream.
#[derive(Debug, Deserialize)]
pub(super) struct Notice<'a> {
    status: Option<Deleted>,
    tweet: Option<Deleted>,
    timestamp_ms: Option<Id>,
    #[serde(borrow)]
    event_at: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Deleted {
    id: Option<Id>,
    id_str: Option<Id>,
    user_id: Option<Id>,
    user_id_str: Option<Id>,
    author_id: Option<Id>,
}

/// `{"at":T}`
#[derive(Debug, Deserialize)]
pub(super) struct Heartbeat<'a> {
    #[serde(borrow)]
    at: Option<Text<'a>>,
}

impl Notice<'_> {
    fn read(&self, outer_timestamp_ms: Option<Id>) -> Result<Parsed, DeadLetter> {
        // What else can be deleted (direct messages) is nobody's order.
        let Some(deleted) = self.status.as_ref().or(self.tweet.as_ref()) else {
            return Ok(Parsed::Control);
        };
        let post = id_of(deleted.id_str, deleted.id, "delete.status.id_str")?;
        let author = id_of(deleted.user_id_str, deleted.user_id.or(deleted.author_id), "delete.status.user_id_str")?;
        let event_at = self.event_at.as_ref().and_then(|text| time_of_text(&text.0));
        Ok(Parsed::Deletion(Deletion {
            post: PostId(post.ok_or_else(|| DeadLetter::new(DeadReason::NoId, "delete.status.id_str"))?),
            author: author.ok_or_else(|| DeadLetter::new(DeadReason::NoAuthor, "delete.status.user_id_str"))?,
            time: millis(self.timestamp_ms).or_else(|| millis(outer_timestamp_ms)).or(event_at),
        }))
    }
}

impl Heartbeat<'_> {
    fn read(&self) -> Result<Time, DeadLetter> {
        let at = self.at.as_ref().and_then(|text| time_of_text(&text.0));
        at.ok_or_else(|| DeadLetter::new(DeadReason::WrongType, "heartbeat.at is no time"))
    }
}

/// Chooses between published hashtags and those of the text.
pub(super) struct Tags;

impl Tags {
    /// `published` belongs to the full text, or is `None`.
    pub(super) fn of<'a>(published: Option<impl Iterator<Item = &'a Text<'a>>>, unescaped_text: &str) -> Vec<String> {
        match published {
            Some(tags) => tags.map(|tag| tag.0.clone().into_owned()).collect(),
            None => text::extract_hashtags(unescaped_text).into_iter().map(|span| span.tag).collect(),
        }
    }
}

/// The handle in a URL like `https://twitter.com/handle/status/123` of this very post.
pub(super) fn post_url_handle(url: &str, post: PostId) -> Option<&str> {
    let path = url.split_once("://")?.1.split_once('/')?.1;
    let mut segments = path.split(['/', '?', '#']);
    let (handle, status, id) = (segments.next()?, segments.next()?, segments.next()?);
    (status == "status" && id.parse() == Ok(post.0)).then_some(handle)
}

/// Messages of streams that carry nothing for us, by their key.
const CONTROL_KEYS: [&str; 26] = [
    "scrub_geo",
    "limit",
    "status_withheld",
    "user_withheld",
    "warning",
    "disconnect",
    "friends",
    "friends_str",
    "control",
    "for_user",
    "event",
    "direct_message",
    "errors",
    "error",
    "user_delete",
    "user_undelete",
    "user_protect",
    "user_unprotect",
    "user_suspend",
    "user_unsuspend",
    "drop",
    "undrop",
    "tweet_edit",
    "withheld",
    "favorite",
    "unfavorite",
];

/// Whether any key of an object is a known message's.
struct TopKeys {
    any_known: bool,
}

struct TopKeysVisitor;

impl<'de> Visitor<'de> for TopKeysVisitor {
    type Value = TopKeys;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TopKeys, A::Error> {
        let mut any_known = false;
        while let Some((key, IgnoredAny)) = map.next_entry::<Text, IgnoredAny>()? {
            any_known |= CONTROL_KEYS.contains(&&*key.0);
        }
        Ok(TopKeys { any_known })
    }
}

impl<'de> Deserialize<'de> for TopKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopKeysVisitor)
    }
}

/// Our parser's words for what is wrong; those about types may quote the value, so only the place is passed on.
fn dead(error: &serde_json::Error) -> DeadLetter {
    let place = format!("line {} column {}", error.line(), error.column());
    let words = error.to_string();
    let reason = if words.starts_with("duplicate field") {
        return DeadLetter::new(DeadReason::DuplicateField, words);
    } else if words.starts_with("recursion limit exceeded") {
        DeadReason::TooDeep
    } else if error.is_data() {
        DeadReason::WrongType
    } else {
        return DeadLetter::new(DeadReason::NotJson, words);
    };
    DeadLetter::new(reason, place)
}

/// The parser bounds the depth of what we read, but not of what it skips.
fn is_deeper_than(object: &[u8], depth_max: usize) -> bool {
    let count = |byte| memchr::memchr_iter(byte, object).count();
    if count(b'{') + count(b'[') <= depth_max {
        return false;
    }
    let (mut depth, mut at) = (0usize, 0);
    while let Some(byte) = object.get(at) {
        match byte {
            b'"' => at = closing_quote(object, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return true;
        }
        at += 1;
    }
    false
}

/// Texts that were cut by UTF-16 units end in half a pair. JSON's grammar allows it, Rust's strings don't.
fn is_lone_surrogate(error: &serde_json::Error) -> bool {
    let words = error.to_string();
    words.starts_with("lone leading surrogate") || words.starts_with("unexpected end of hex escape")
}

/// Escapes of half pairs become those of the replacement character, everything else stays in its place.
fn without_lone_surrogates(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |at: usize| {
            let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
            u32::from_str_radix(digits, 16).ok()
        };
        let len = match (unit(0), unit(6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => 6,
            // The escaped char goes along, for it may be a backslash.
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(if len == 6 { "\\ufffd" } else { &rest[..len] });
        rest = &rest[len..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_dead(record: &str, expected: DeadReason) {
        match parse(record.as_bytes(), Format::X, Network::TWITTER) {
            Parsed::Dead(letter) => assert_eq!(letter.reason, expected, "{record}: {letter:?}"),
            other => panic!("{record}: {other:?}"),
        }
    }

    fn check_kind(record: &str, expected: Parsed) {
        assert_eq!(parse(record.as_bytes(), Format::X, Network::TWITTER), expected, "{record}");
    }

    fn nested(levels: usize) -> String {
        format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
    }

    #[test]
    fn damage_has_a_reason() {
        check_dead(r#"{"text":"a" "b":1}"#, DeadReason::NotJson);
        check_dead(r#"{"text":"a"}}"#, DeadReason::NotJson);
        check_dead("{\"text\":\"a\nb\"}", DeadReason::NotJson);
        check_dead(r#"{"id":1,"text":"a","text":"b"}"#, DeadReason::DuplicateField);
        check_dead(r#"{"id":1,"user":{"id":1,"\u0069d":2}}"#, DeadReason::DuplicateField);
        check_dead(r#"{"id":1,"text":7}"#, DeadReason::WrongType);
        check_dead(r#"{"id":1.5,"text":"a","user":{"id":1}}"#, DeadReason::WrongType);
        check_dead(r#"{"id":1,"text":"a","user":{"id":1}}"#, DeadReason::WrongType);
        check_dead(r#"{"text":"a","user":{"id":1}}"#, DeadReason::NoId);
        check_dead(r#"{"id":29700859247,"text":"a"}"#, DeadReason::NoAuthor);
        check_dead(r#"{"data":{"id":"29700859247","text":"a"}}"#, DeadReason::NoAuthor);
        check_dead(r#"{"data":{"author_id":"7","text":"a"}}"#, DeadReason::NoId);
        check_dead(r#"{"delete":{"status":{"id":1}}}"#, DeadReason::NoAuthor);
        check_dead(&nested(129), DeadReason::TooDeep);
    }

    #[test]
    fn details_never_quote_what_was_written() {
        match parse(br#"{"id":1,"user":"my secret"}"#, Format::X, Network::TWITTER) {
            Parsed::Dead(letter) => assert_eq!(letter.detail, "line 1 column 26"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_are_no_posts() {
        check_kind(r#"{"a":1}"#, Parsed::Other);
        check_kind(r#"{"data":[{"text":1}]}"#, Parsed::Other);
        check_kind(r#"{"id":"1","action":"delete"}"#, Parsed::Other);
        check_kind(r#"{"limit":{"track":1}}"#, Parsed::Control);
        check_kind(r#"{"delete":{"direct_message":{"id":1}}}"#, Parsed::Control);
        check_kind(r#"{"heartbeat":{"at":"1970-01-01T00:00:00.007Z"}}"#, Parsed::Heartbeat(Time(7)));
        check_kind(&nested(128), Parsed::Other);
        let brackets_in_text = format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(200));
        check_kind(&brackets_in_text, Parsed::Other);
    }

    #[test]
    fn deletions_come_in_two_versions() {
        let deletion = |time| Parsed::Deletion(Deletion { post: PostId(5), author: 6, time });
        check_kind(
            r#"{"delete":{"status":{"id":5,"id_str":"5","user_id_str":"6"},"timestamp_ms":"7"}}"#,
            deletion(Some(Time(7))),
        );
        check_kind(r#"{"delete":{"status":{"id":5,"user_id":6}}}"#, deletion(None));
        check_kind(
            r#"{"data":{"delete":{"tweet":{"id":"5","author_id":"6"},"event_at":"1970-01-01T00:00:00.009Z"}}}"#,
            deletion(Some(Time(9))),
        );
    }

    #[test]
    fn half_pairs_are_replaced() {
        let record = r#"{"id":29700859247,"text":"\\\ud83d\ude00 \ud83d \ude00\ud83d","user":{"id":1}}"#;
        match parse(record.as_bytes(), Format::X, Network::TWITTER) {
            Parsed::Post(read) => assert_eq!(read.post.text, "\\😀 \u{fffd} \u{fffd}\u{fffd}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn urls_name_the_author_of_their_post() {
        assert_eq!(post_url_handle("https://twitter.com/AmexSync/status/12?s=20", PostId(12)), Some("AmexSync"));
        assert_eq!(post_url_handle("https://twitter.com/AmexSync/status/123", PostId(12)), None);
        assert_eq!(post_url_handle("12", PostId(12)), None);
    }
}
