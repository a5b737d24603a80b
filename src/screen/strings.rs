//! Reading JSON strings in place, char by char, whatever way they are escaped.

use memchr::memchr2;

/// One decoded char of a JSON string and the position behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Char(char, usize),
    /// The closing quote is at this position.
    Quote(usize),
    /// Cut short, or no legal JSON string.
    Broken,
}

/// Decodes the char at `at`, a position inside a JSON string. Half a surrogate pair decodes to U+FFFD.
#[inline]
pub(super) fn step(bytes: &[u8], at: usize) -> Step {
    match bytes.get(at) {
        None => Step::Broken,
        Some(b'"') => Step::Quote(at),
        Some(b'\\') => escape(bytes, at),
        Some(byte) if byte.is_ascii() => Step::Char(*byte as char, at + 1),
        Some(byte) => {
            let len = match byte {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            let raw = bytes.get(at..at + len).and_then(|raw| std::str::from_utf8(raw).ok());
            raw.and_then(|raw| raw.chars().next()).map_or(Step::Broken, |c| Step::Char(c, at + len))
        }
    }
}

/// The position of the quote that closes the string around `at`, or the end of the bytes.
pub(super) fn closing_quote(object: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr2(b'"', b'\\', &object[at.min(object.len())..]) {
        at += found;
        if object[at] == b'"' {
            return at;
        }
        at += 2;
    }
    object.len()
}

/// The four hex digits at `at`, in any case.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + (*digit as char).to_digit(16)?))
}

fn escape(bytes: &[u8], at: usize) -> Step {
    let plain = |c| Step::Char(c, at + 2);
    match bytes.get(at + 1) {
        Some(b'u') => unicode_escape(bytes, at),
        Some(b'n') => plain('\n'),
        Some(b't') => plain('\t'),
        Some(b'r') => plain('\r'),
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(c @ (b'"' | b'\\' | b'/')) => plain(*c as char),
        _ => Step::Broken,
    }
}

fn unicode_escape(bytes: &[u8], at: usize) -> Step {
    let Some(unit) = hex4(bytes, at + 2) else {
        return Step::Broken;
    };
    if let Some(c) = char::from_u32(unit) {
        return Step::Char(c, at + 6);
    }
    let low = (bytes.get(at + 6..at + 8) == Some(b"\\u")).then(|| hex4(bytes, at + 8)).flatten();
    let pair = low.filter(|low| unit < 0xdc00 && (0xdc00..0xe000).contains(low));
    match pair.and_then(|low| char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))) {
        Some(c) => Step::Char(c, at + 12),
        None => Step::Char(char::REPLACEMENT_CHARACTER, at + 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(json: &str) -> Option<String> {
        let (bytes, mut at, mut out) = (json.as_bytes(), 0, String::new());
        loop {
            match step(bytes, at) {
                Step::Char(c, next) => (out.push(c), at = next).1,
                Step::Quote(_) => return Some(out),
                Step::Broken => return None,
            }
        }
    }

    #[test]
    fn strings_decode_as_json_says() {
        assert_eq!(decoded("a\\u0023\\u004B\\/é買😀\\ud83d\\uDE00\\n\"").as_deref(), Some("a#K/é買😀😀\n"));
        assert_eq!(decoded("\\ud83dx\\ude00\"").as_deref(), Some("\u{fffd}x\u{fffd}"));
        for broken in ["a", "\\x\"", "\\u12\"", "\\"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
