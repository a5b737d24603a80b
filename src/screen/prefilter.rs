//! The byte search that spares most records the parser: whatever it passes over could not have mattered.
//!
//! What can matter shows itself in one of four ways, and each is searched where it is rare:
//!
//! - **A tag in a text** follows `#` or `＃`. Their places are found by `memchr`, or as the escapes `\u0023` and
//!   `\uff03`, and what follows is decoded and folded there, so that no spelling of a tag has to be enumerated.
//! - **A tag in published entities** stands without `#`. The arrays named `"hashtags"` are walked, and their strings
//!   decoded and folded.
//! - **The service** is named by its handle or its user id: replies to it, retweets and quotes of it.
//! - **Control messages** have a key `"delete"` or `"heartbeat"`. Quotes inside a text are escaped, so a text can't
//!   look like it.
//!
//! Keys, handles and ids could hide behind escapes. No serialiser escapes ASCII letters, digits or `_`, so a record
//! that has such an escape is a candidate. (`\u003c` stands in nearly every post of an escaped stream; it hides
//! nothing.)

use aho_corasick::{AhoCorasick, Input, packed};
use memchr::{memchr_iter, memmem};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::domain::Tag;
use crate::text;

use super::strings::{Step, closing_quote, hex4, step};

/// The search for one catalogue.
#[derive(Debug)]
pub(super) struct Prefilter {
    tags: TagSet,
    service: ServiceNames,
    needles: Needles,
    escaped_ascii: memmem::Finder<'static>,
    full_width_sign: memmem::Finder<'static>,
}

/// Tags in their folded form, and what tells quickly that a text is none of them.
#[derive(Debug)]
struct TagSet {
    folded: FxHashSet<String>,
    bytes_max: usize,
    /// Every spelling of every char in a tag that is not ASCII, and what it folds to.
    beyond_ascii: FxHashMap<char, char>,
    /// By the first byte, as it stands in a record, of any spelling of any tag.
    may_begin: [bool; 256],
}

#[derive(Debug)]
struct ServiceNames {
    handle: String,
    /// The part of the handle that is searched, and its place in it.
    window: std::ops::Range<usize>,
    /// Decimal; empty if there is none.
    user_id: String,
}

/// The patterns that are searched in one pass. Which one it was, its first bytes tell.
#[derive(Debug)]
struct Needles {
    /// `None` where the machine has no vector search.
    packed: Option<packed::Searcher>,
    fallback: Option<AhoCorasick>,
    /// An id of few digits would spoil the vector search, which compares the first four bytes.
    short_user_id: bool,
}

const HASHTAGS_KEY: &[u8] = b"\"hashtags\"";
const DELETE_KEY: &[u8] = b"\"delete\"";
const HEARTBEAT_KEY: &[u8] = b"\"heartbeat\"";
const FULL_WIDTH_SIGN: &[u8] = "＃".as_bytes();
/// `\u0023` and all others below 256, behind their backslash, which an escaped stream is full of. They are searched
/// apart from the needles: each post of such a stream has some (`\u003c`), and every needle that is found costs the
/// vector search a new start.
const ESCAPED_ASCII: &[u8] = b"u00";
const WINDOW_BYTES_MAX: usize = 4;
/// A mention ends after so many bytes (`text::manual_retweet_of`), whatever follows.
const MENTION_BYTES_MAX: usize = 20;

impl Prefilter {
    pub(super) fn new<'a>(tags: impl Iterator<Item = &'a Tag>, handle: &str, user_id: Option<u64>) -> Prefilter {
        let service = ServiceNames {
            handle: handle.to_owned(),
            window: window_of(handle),
            user_id: user_id.map_or_else(String::new, |id| id.to_string()),
        };
        Prefilter {
            tags: TagSet::new(tags),
            needles: Needles::new(&service),
            service,
            escaped_ascii: memmem::Finder::new(ESCAPED_ASCII),
            full_width_sign: memmem::Finder::new(FULL_WIDTH_SIGN),
        }
    }

    /// Whether the record, an object by its shape, can matter. True also for every record that it can't make out.
    pub(super) fn may_matter(&self, record: &[u8]) -> bool {
        let mut scratch = String::new();
        self.any_needle(record, &mut scratch)
            || self.any_escape(record, &mut scratch)
            || memchr_iter(b'#', record).any(|sign| self.tags.stands_at(record, sign + 1, &mut scratch))
            || self
                .full_width_sign
                .find_iter(record)
                .any(|sign| self.tags.stands_at(record, sign + FULL_WIDTH_SIGN.len(), &mut scratch))
    }

    fn any_needle(&self, record: &[u8], scratch: &mut String) -> bool {
        let mut from = 0;
        while let Some(at) = self.needles.find(record, from) {
            if self.decides(record, at, scratch) {
                return true;
            }
            from = at + 1;
        }
        self.needles.short_user_id
            && memmem::find_iter(record, &self.service.user_id).any(|at| self.service.user_id_stands_at(record, at))
    }

    /// Whether a char below 256 that is written as an escape makes the record a candidate.
    fn any_escape(&self, record: &[u8], scratch: &mut String) -> bool {
        let backslashes = self.escaped_ascii.find_iter(record).filter_map(|at| at.checked_sub(1));
        backslashes.filter(|at| record[*at] == b'\\').any(|at| self.escape_decides(record, at, scratch))
    }

    /// Whether the needle found at `at` makes the record a candidate.
    fn decides(&self, record: &[u8], at: usize, scratch: &mut String) -> bool {
        let rest = &record[at..];
        match rest[0] {
            b'\\' => self.escape_decides(record, at, scratch),
            b'"' if rest.starts_with(HASHTAGS_KEY) => {
                self.tags.stands_in_array(record, at + HASHTAGS_KEY.len(), scratch)
            }
            // The keys of control messages.
            b'"' => true,
            _ => self.service.handle_stands_at(record, at) || self.service.user_id_stands_at(record, at),
        }
    }

    /// Whether the escape at `at` begins a tag, or hides what is searched for.
    fn escape_decides(&self, record: &[u8], at: usize, scratch: &mut String) -> bool {
        match hex4(record, at + 2) {
            Some(0x23 | 0xff03) => self.tags.stands_at(record, at + 6, scratch),
            Some(unit) => hides_a_name(unit),
            None => true,
        }
    }
}

impl TagSet {
    fn new<'a>(tags: impl Iterator<Item = &'a Tag>) -> TagSet {
        let folded: FxHashSet<String> = tags.map(|tag| tag.0.clone()).collect();
        let mut may_begin = [false; 256];
        may_begin[usize::from(b'\\')] = true;
        for first in folded.iter().filter_map(|tag| tag.chars().next()) {
            for spelling in text::spellings(first) {
                may_begin[usize::from(spelling.encode_utf8(&mut [0; 4]).as_bytes()[0])] = true;
            }
        }
        let mut beyond_ascii = FxHashMap::default();
        for c in folded.iter().flat_map(|tag| tag.chars()) {
            let spellings = text::spellings(c).filter(|spelling| !spelling.is_ascii());
            beyond_ascii.extend(spellings.map(|spelling| (spelling, c)));
        }
        let bytes_max = folded.iter().map(String::len).max().unwrap_or(0);
        TagSet { folded, bytes_max, beyond_ascii, may_begin }
    }

    /// The folded char, unless no tag has it. Folding is char by char, so a prefix folded is a folded prefix.
    fn fold(&self, c: char) -> Option<char> {
        if c.is_ascii() { Some(c.to_ascii_lowercase()) } else { self.beyond_ascii.get(&c).copied() }
    }

    /// Whether a tag begins at `at`, inside a JSON string, and could end where it ends. Which chars beyond ASCII go on
    /// with a tag is not asked: each of them may end it.
    fn stands_at(&self, record: &[u8], mut at: usize, scratch: &mut String) -> bool {
        if !record.get(at).is_some_and(|byte| self.may_begin[usize::from(*byte)]) {
            return false;
        }
        scratch.clear();
        while let Step::Char(c, next) = step(record, at) {
            if !c.is_ascii() && self.folded.contains(scratch.as_str()) {
                return true;
            }
            let goes_on = !c.is_ascii() || c.is_ascii_alphanumeric() || c == '_';
            let Some(folded) = self.fold(c).filter(|_| goes_on) else {
                break;
            };
            scratch.push(folded);
            if scratch.len() > self.bytes_max {
                return false;
            }
            at = next;
        }
        self.folded.contains(scratch.as_str())
    }

    /// Whether one of the strings in the array that follows `at` is a tag. `at` is behind the array's name.
    fn stands_in_array(&self, record: &[u8], at: usize, scratch: &mut String) -> bool {
        let Some(mut at) = array_start(record, at) else {
            return false;
        };
        let mut depth = 1u32;
        while depth > 0 {
            match record.get(at) {
                None => return true,
                Some(b'"') => match self.is_string(record, at + 1, scratch) {
                    Some((true, _)) | None => return true,
                    Some((false, quote)) => at = quote,
                },
                Some(b'[' | b'{') => depth += 1,
                Some(b']' | b'}') => depth -= 1,
                Some(_) => {}
            }
            at += 1;
        }
        false
    }

    /// Whether the string whose first char is at `at` is a tag, and where its closing quote is.
    fn is_string(&self, record: &[u8], mut at: usize, scratch: &mut String) -> Option<(bool, usize)> {
        if !record.get(at).is_some_and(|byte| self.may_begin[usize::from(*byte)]) {
            return Some((false, closing_quote(record, at)));
        }
        scratch.clear();
        let mut may_be_tag = true;
        loop {
            match step(record, at) {
                Step::Quote(quote) => return Some((may_be_tag && self.folded.contains(scratch.as_str()), quote)),
                Step::Broken => return None,
                Step::Char(c, next) => {
                    match self.fold(c) {
                        Some(folded) if may_be_tag && scratch.len() < self.bytes_max => scratch.push(folded),
                        _ => may_be_tag = false,
                    }
                    at = next;
                }
            }
        }
    }
}

impl Default for Prefilter {
    fn default() -> Prefilter {
        Prefilter::new(std::iter::empty(), "", None)
    }
}

impl ServiceNames {
    /// Whether the handle, whose window was found at `at`, stands there whole.
    fn handle_stands_at(&self, record: &[u8], at: usize) -> bool {
        let Some(start) = at.checked_sub(self.window.start) else {
            return false;
        };
        let end = start + self.handle.len();
        let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let same = record.get(start..end).is_some_and(|bytes| bytes.eq_ignore_ascii_case(self.handle.as_bytes()));
        // What goes before a handle may be the `n` of an escaped line end, so only what follows can rule it out.
        !self.handle.is_empty() && same && (self.handle.len() >= MENTION_BYTES_MAX || !is_word(record.get(end)))
    }

    fn user_id_stands_at(&self, record: &[u8], at: usize) -> bool {
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let before = at.checked_sub(1).and_then(|before| record.get(before));
        !self.user_id.is_empty()
            && record[at..].starts_with(self.user_id.as_bytes())
            && !is_digit(before)
            && !is_digit(record.get(at + self.user_id.len()))
    }
}

impl Needles {
    fn new(service: &ServiceNames) -> Needles {
        let mut patterns: Vec<Vec<u8>> = [b"\\uff", b"\\uFF", b"\\uFf", b"\\ufF"].iter().map(|p| p.to_vec()).collect();
        patterns.extend([HASHTAGS_KEY, DELETE_KEY, HEARTBEAT_KEY].map(<[u8]>::to_vec));
        patterns.extend(cases(&service.handle.as_bytes()[service.window.clone()]));
        let short_user_id = service.user_id.len() < WINDOW_BYTES_MAX;
        if !short_user_id {
            patterns.push(service.user_id.clone().into_bytes());
        }
        let packed = packed::Searcher::new(&patterns);
        let fallback = if packed.is_none() { AhoCorasick::new(&patterns).ok() } else { None };
        Needles { packed, fallback, short_user_id: short_user_id && !service.user_id.is_empty() }
    }

    /// The start of the first needle at or after `from`.
    fn find(&self, record: &[u8], from: usize) -> Option<usize> {
        if let Some(packed) = &self.packed {
            return packed.find_in(record, aho_corasick::Span::from(from..record.len())).map(|hit| hit.start());
        }
        self.fallback.as_ref()?.find(Input::new(record).range(from..)).map(|hit| hit.start())
    }
}

/// Chars of which keys, handles, ids and words are made.
fn hides_a_name(unit: u32) -> bool {
    char::from_u32(unit).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The position behind the `[` that follows a key, unless what follows is something else.
fn array_start(record: &[u8], at: usize) -> Option<usize> {
    let skip = |mut at: usize| {
        while matches!(record.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            at += 1;
        }
        at
    };
    let colon = skip(at);
    let bracket = (record.get(colon) == Some(&b':')).then(|| skip(colon + 1))?;
    (record.get(bracket) == Some(&b'[')).then_some(bracket + 1)
}

/// The four bytes of the handle that are rarest in English, so that the search seldom stops for nothing.
fn window_of(handle: &str) -> std::ops::Range<usize> {
    let width = handle.len().min(WINDOW_BYTES_MAX);
    let commonness = |start: &usize| -> usize {
        let letters = handle.as_bytes()[*start..start + width].iter();
        letters
            .map(|b| b"zqxj_kvbpygfwmucldrhsnioate".iter().position(|l| *l == b.to_ascii_lowercase()).unwrap_or(8))
            .sum()
    };
    let start = (0..=handle.len() - width).min_by_key(commonness).unwrap_or(0);
    start..start + width
}

/// Every spelling of ASCII letters in upper and lower case; nothing for an empty window.
fn cases(window: &[u8]) -> Vec<Vec<u8>> {
    if window.is_empty() {
        return Vec::new();
    }
    window.iter().fold(vec![Vec::new()], |spelled, byte| {
        let both = [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
        let distinct = if both[0] == both[1] { &both[..1] } else { &both[..] };
        let longer = |prefix: &Vec<u8>| distinct.iter().map(|b| [&prefix[..], &[*b]].concat()).collect::<Vec<_>>();
        spelled.iter().flat_map(longer).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tags: &[&str], handle: &str, user_id: Option<u64>, record: &str, expected: bool) {
        let tags: Vec<Tag> = tags.iter().map(|tag| Tag(text::fold(tag))).collect();
        let prefilter = Prefilter::new(tags.iter(), handle, user_id);
        assert_eq!(prefilter.may_matter(record.as_bytes()), expected, "{record}");
    }

    fn check_tags(record: &str, expected: bool) {
        check(&["BuyKiosk", "購入", "KaufHörer"], "AmexSync", Some(501234567), record, expected);
    }

    #[test]
    fn tags_are_found_in_every_spelling() {
        for found in [
            r##"{"text":"now #buykiosk!"}"##,
            r##"{"text":"now \u0023BUYKIOSK"}"##,
            r##"{"text":"now ＃buyKiosk"}"##,
            r##"{"text":"now \uFf03buyKiosk"}"##,
            r##"{"text":"#buy\u212Aio\u017f\u212a"}"##,
            "{\"text\":\"#buy\u{212a}io\u{17f}\u{212a}\"}",
            r##"{"text":"#buykiosk、"}"##,
            r##"{"text":"#\u8cfc\u5165"}"##,
            r##"{"text":"#購入する"}"##,
            r##"{"text":"#kaufh\u00d6rer"}"##,
            r##"{"hashtags" : [ {"indices":[1,2],"text":"BuyKiosk"}]}"##,
            r##"{"hashtags":[{"tag":"\u8cfc入"}]}"##,
            r##"{"h\u0061shtags":[{"tag":"x"}]}"##,
        ] {
            check_tags(found, true);
        }
        for passed in [
            r##"{"text":"now #buykiosks!"}"##,
            r##"{"text":"buykiosk"}"##,
            r##"{"text":"#buykios"}"##,
            r##"{"text":"\u003ca\u003e \u0627\u00e9 #\u0627"}"##,
            r##"{"hashtags":[{"text":"BuyKioskX","indices":[1,2]},{"text":"Buy","indices":[1,2]}]}"##,
            r##"{"hashtags":[],"text":"購入"}"##,
            r###"{"text":"#","a":"##"}"###,
        ] {
            check_tags(passed, false);
        }
    }

    #[test]
    fn the_service_is_found_by_handle_and_id() {
        for found in [
            r##"{"text":"hi @aMEXsYNC cancel"}"##,
            r##"{"screen_name":"AmexSync"}"##,
            r##"{"text":"a\nAmexSync"}"##,
            r##"{"id":501234567}"##,
            r##"{"id":"501234567"}"##,
            r##"{"text":"@Ame\u0078Sync"}"##,
            r##"{"id":"50123456\u0037"}"##,
        ] {
            check_tags(found, true);
        }
        for passed in
            [r##"{"text":"@AmexSyncs"}"##, r##"{"id":5012345670}"##, r##"{"id":1501234567}"##, r##"{"a":"mexs"}"##]
        {
            check_tags(passed, false);
        }
        check(&[], "u5012", Some(5012), r##"{"id":[5012, 1]}"##, true);
        check(&[], "u5012", Some(5012), r##"{"id":[50123],"a":"@U5012"}"##, true);
        check(&[], "ab", Some(77), r##"{"id":77}"##, true);
        check(&[], "ab", Some(77), r##"{"id":"@aB"}"##, true);
        check(&[], "", None, r##"{"id":"@aB","hashtags":[{"text":""}]}"##, false);
    }

    #[test]
    fn control_messages_are_found() {
        check_tags(r##"{ "delete" : {}}"##, true);
        check_tags(r##"{"d\u0065lete":{}}"##, true);
        check_tags(r##"{"heartbeat":{"at":"2013-02-12T15:01:00.000Z"}}"##, true);
        check_tags(r##"{"text":"\"delete\" me"}"##, false);
    }
}
