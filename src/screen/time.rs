//! A post's time at little cost, for the watermark: records that the byte search passed over are not parsed.

use crate::domain::{Network, Time, parse_id};

use super::parse::{Format, Parsed, parse};

/// The time of a post; `None` if the record is no post. Equal to what a full parse of a sound post tells. The layouts
/// in which networks write posts are read up to the id only, others are parsed.
pub fn post_time(record: &[u8], network: Network) -> Option<Time> {
    let quick = (network == Network::TWITTER).then(|| quick_id(record)).flatten();
    if let Some(time) = quick.and_then(Time::of_snowflake) {
        return Some(time);
    }
    match parse(record, Format::X, network) {
        Parsed::Post(read) => Some(read.post.time),
        _ => None,
    }
}

/// The id, if it stands among flat fields at the start of a v1.1 status or a v2 post, with a sign that it is a post.
fn quick_id(record: &[u8]) -> Option<u64> {
    let mut cursor = Cursor { bytes: record, at: 0 };
    cursor.expect(b'{')?;
    let mut id_key: &[u8] = b"id_str";
    let mut id = None;
    loop {
        let key = cursor.string()?;
        cursor.expect(b':')?;
        if matches!(key, b"text" | b"full_text") {
            return id.filter(|_| id_key == b"id_str" || !may_have_user(record));
        }
        if key == b"data" && id.is_none() && id_key == b"id_str" {
            cursor.expect(b'{')?;
            id_key = b"id";
            continue;
        }
        let value = cursor.scalar()?;
        if key == id_key {
            id = Some(parse_id(std::str::from_utf8(value).ok()?)?);
        }
        cursor.expect(b',')?;
    }
}

/// Whether a record whose `data` was read may be a v1.1 status all the same, as which it would count: such a one names
/// its `user`, perhaps with escapes.
fn may_have_user(record: &[u8]) -> bool {
    let needles: [&[u8]; 3] = [b"\"user\"", br"\u007", br"\u0065"];
    needles.into_iter().any(|needle| memchr::memmem::find(record, needle).is_some())
}

/// Steps over strings without escapes, and over bare words and numbers.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = &self.bytes[self.at..];
        let len = memchr::memchr2(b'"', b'\\', rest).filter(|end| rest[*end] == b'"')?;
        self.at += len + 1;
        Some(&rest[..len])
    }

    fn scalar(&mut self) -> Option<&'a [u8]> {
        if self.peek()? == b'"' {
            return self.string();
        }
        let rest = &self.bytes[self.at..];
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')).count();
        self.at += len;
        (len > 0).then(|| &rest[..len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, is_quick: bool, expected: Option<i64>) {
        assert_eq!(quick_id(record.as_bytes()).is_some(), is_quick, "{record}");
        assert_eq!(post_time(record.as_bytes(), Network::TWITTER).map(|t| t.0), expected, "{record}");
    }

    #[test]
    fn usual_layouts_are_quick() {
        let time = Some(1360681260000);
        check(
            r#"{"created_at": "Tue Feb 12 15:01:00 +0000 2013", "id": 301345161999286000, "id_str": "301345161999286273", "text": "\n", "user": {"id": 1}}"#,
            true,
            time,
        );
        check(r#"{"data":{"author_id":"1","id":"301345161999286273","text":"a"}}"#, true, time);
        check(r#"{"data":{"author_id":"1","text":"a","id":"301345161999286273"}}"#, false, time);
        check(
            r#"{"data":{"id":"301345161999286273","text":"a"},"id_str":"5","text":"a","user":{"id":1},"created_at":"1970-01-01T00:00:01Z"}"#,
            false,
            Some(1000),
        );
        check(r#"{"user":{"id":7},"text":"a","id":301345161999286273}"#, false, time);
        check(
            r#"{"id":"301345161999286273","id_str":"5","text":"a","user":{"id":1},"created_at":"1970-01-01T00:00:01Z"}"#,
            true,
            Some(1000),
        );
    }

    #[test]
    fn what_is_no_post_has_no_time() {
        check(r#"{"id":"301345161999286273","action":"delete","created_at":"2019-09-06T17:25:54.667Z"}"#, false, None);
        check(r#"{"delete":{"status":{"id_str":"301345161999286273","user_id":1}}}"#, false, None);
        check("", false, None);
    }
}
