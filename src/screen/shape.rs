//! The look that every record gets: size, first and last byte.

use super::{DeadLetter, DeadReason};

/// What a record looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    KeepAlive,
    /// From `{` to `}`, without the white space around.
    Object(&'a [u8]),
    Dead(DeadLetter),
}

/// Looks at a record's shape. `record_bytes_max` bounds the record with its white space.
pub fn look(record: &[u8], record_bytes_max: usize) -> Shape<'_> {
    if record.len() > record_bytes_max {
        let detail = format!("{} bytes, at most {record_bytes_max} are read", record.len());
        return Shape::Dead(DeadLetter::new(DeadReason::TooLarge, detail));
    }
    let trimmed = trim(record);
    match trimmed {
        [] => Shape::KeepAlive,
        [b'{', .., b'}'] => Shape::Object(trimmed),
        _ => Shape::Dead(misshapen(trimmed)),
    }
}

fn misshapen(trimmed: &[u8]) -> DeadLetter {
    if let Err(error) = std::str::from_utf8(trimmed) {
        return DeadLetter::new(DeadReason::NotUtf8, format!("byte {}", error.valid_up_to()));
    }
    let detail = if trimmed.starts_with(b"{") { "does not end with }" } else { "does not begin with {" };
    DeadLetter::new(DeadReason::NotJson, detail)
}

/// Takes JSON's white space off both ends.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &[u8], expected: Result<Option<&[u8]>, DeadReason>) {
        let seen = match look(record, 20) {
            Shape::KeepAlive => Ok(None),
            Shape::Object(object) => Ok(Some(object)),
            Shape::Dead(letter) => Err(letter.reason),
        };
        assert_eq!(seen, expected, "{record:?}");
    }

    #[test]
    fn records_are_told_by_their_ends() {
        check(b"", Ok(None));
        check(b"\r\n", Ok(None));
        check(b" {\"a\":1}\r\n", Ok(Some(b"{\"a\":1}")));
        check(b"{\"a\":", Err(DeadReason::NotJson));
        check(b"{", Err(DeadReason::NotJson));
        check(b"[{}]", Err(DeadReason::NotJson));
        check(b"{\"a\":\"\xe2\x80", Err(DeadReason::NotUtf8));
        check(b"{                       }", Err(DeadReason::TooLarge));
    }
}
