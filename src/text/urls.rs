//! URLs by twitter-text's `VALID_URL`, with and without protocol.
//!
//! That expression backtracks. Here every choice it can make is decided once: labels before dots are judged in one pass
//! from right to left, and paths and queries end at the last character that may end them.

use std::ops::Range;

use super::host::ascii_host_length;
use super::tlds::tld_end;

/// Every URL of a text, as byte ranges in order (twitter-text `extractURLsWithIndices`). Those without protocol count.
pub fn extract_url_spans(text: &str) -> Vec<Range<usize>> {
    if !text.contains('.') {
        return Vec::new();
    }
    let (offsets, chars): (Vec<usize>, Vec<char>) = text.char_indices().unzip();
    let byte = |at: usize| offsets.get(at).copied().unwrap_or(text.len());
    url_char_spans(&chars).into_iter().map(|span| byte(span.start)..byte(span.end)).collect()
}

/// As [`extract_url_spans`], in indices of `chars`.
pub(super) fn url_char_spans(chars: &[char]) -> Vec<Range<usize>> {
    let domains = Domains::new(chars);
    if domains.dots.is_empty() && !chars.contains(&'.') {
        return Vec::new();
    }
    // The expression takes a character before the URL if it can, and only then the start of the text.
    let swapped = chars.first().is_some_and(|&c| may_precede(c));
    let mut spans = Vec::new();
    let mut step = 0;
    while step < chars.len() {
        let start = match step {
            0 | 1 if swapped => 1 - step,
            _ => step,
        };
        step += 1;
        if start > 0 && !may_precede(chars[start - 1]) {
            continue;
        }
        if let Some(found) = Found::at(chars, &domains, start) {
            // The character before the next URL must lie after this one.
            step = found.end + 1;
            spans.extend(found.entity(chars));
        }
    }
    spans
}

/// twitter-text's `MAX_URL_LENGTH` in UTF-16 units, protocol and Punycode included.
const MAX_URL_LENGTH: usize = 4096;
const MAX_TCO_SLUG_LENGTH: usize = 40;

/// One match of `VALID_URL`, not yet judged.
struct Found {
    start: usize,
    has_protocol: bool,
    domain: Range<usize>,
    end: usize,
}

impl Found {
    fn at(chars: &[char], domains: &Domains, start: usize) -> Option<Found> {
        let protocol = protocol_length(&chars[start..]);
        let with_protocol =
            || domains.end_from(start + protocol).or_else(|| unicode_domain_end(chars, start + protocol));
        // `http` before a colon is no domain, so a failed match with protocol is none without it either.
        let domain_end = match protocol {
            0 if follows_protocol(chars, start) => with_protocol(),
            0 => domains.end_from(start),
            _ => with_protocol(),
        }?;
        let path_start = port_end(chars, domain_end);
        let query_start = path_end(chars, path_start);
        Some(Found {
            start,
            has_protocol: protocol > 0,
            domain: start + protocol..domain_end,
            end: query_end(chars, query_start),
        })
    }

    /// The span that counts as a URL, if any: some matches only stop others from being found inside them.
    fn entity(&self, chars: &[char]) -> Option<Range<usize>> {
        let before = self.start.checked_sub(1).map(|at| chars[at]);
        if !self.has_protocol && matches!(before, Some('-' | '_' | '.' | '/')) {
            return None;
        }
        let mut end = self.end;
        if let Some(slug) = tco_slug(&chars[self.start..end]) {
            // A t.co URL has no path but its slug; what follows is text.
            let slug_end = self.start + slug.end;
            if slug.len() > MAX_TCO_SLUG_LENGTH {
                return None;
            }
            end = query_end(&chars[..end], slug_end);
        }
        let host = &chars[self.domain.clone()];
        let assumed_protocol = if self.has_protocol { 0 } else { "https://".len() };
        let length = (utf16_length(&chars[self.start..end]) + ascii_host_length(host)?)
            .saturating_sub(utf16_length(host))
            + assumed_protocol;
        (length <= MAX_URL_LENGTH).then_some(self.start..end)
    }
}

/// The dots of a text that end a label, each with what can follow it.
struct Domains<'a> {
    chars: &'a [char],
    dots: Vec<Dot>,
}

struct Dot {
    at: usize,
    /// Where the run of label characters before the dot begins. A label may begin anywhere in it.
    run_start: usize,
    /// The last underscore of the run; with it the label is a subdomain only.
    underscore: Option<usize>,
    /// The end of the top-level domain after the dot.
    tld_end: Option<usize>,
    /// The end of the longest domain that starts right after the dot.
    chain_end: Option<usize>,
}

impl<'a> Domains<'a> {
    fn new(chars: &'a [char]) -> Domains<'a> {
        let mut domains = Domains { chars, dots: Vec::new() };
        let mut run_start = 0;
        let mut underscore = None;
        for (at, &c) in chars.iter().enumerate() {
            if is_domain_char(c) || c == '-' {
                continue;
            }
            if c == '_' {
                underscore = Some(at);
                continue;
            }
            if c == '.' && at > run_start && is_domain_char(chars[at - 1]) {
                let tld_end = tld_end(chars, at + 1).or_else(|| punycode_end(chars, at + 1));
                domains.dots.push(Dot { at, run_start, underscore, tld_end, chain_end: None });
            }
            run_start = at + 1;
            underscore = None;
        }
        for index in (0..domains.dots.len()).rev() {
            domains.dots[index].chain_end = domains.end_through(index + 1, domains.dots[index].at + 1);
        }
        domains
    }

    /// The end of the domain that starts at `start`: subdomains, a name, and a top-level domain (`URL_VALID_DOMAIN`).
    fn end_from(&self, start: usize) -> Option<usize> {
        self.end_through(self.dots.partition_point(|dot| dot.at < start), start)
    }

    /// The same, where the label that begins at `start` ends at the dot number `index`.
    fn end_through(&self, index: usize, start: usize) -> Option<usize> {
        let dot = self.dots.get(index)?;
        if dot.run_start > start || !is_domain_char(self.chars[start]) {
            return None;
        }
        let is_name = dot.underscore.is_none_or(|at| at < start);
        dot.chain_end.or(if is_name { dot.tld_end } else { None })
    }
}

/// The end of a domain of one label in any script and a top-level domain; only after a protocol.
fn unicode_domain_end(chars: &[char], start: usize) -> Option<usize> {
    let dot = skip(chars, start, |c| is_unicode_domain_char(c) || c == '-');
    let is_label = dot > start && chars[start] != '-' && chars[dot - 1] != '-' && chars.get(dot) == Some(&'.');
    if is_label { tld_end(chars, dot + 1) } else { None }
}

fn punycode_end(chars: &[char], start: usize) -> Option<usize> {
    let prefix = chars.get(start..start + 4)?;
    let body = start + prefix.len();
    if !prefix.iter().zip("xn--".chars()).all(|(c, expected)| c.eq_ignore_ascii_case(&expected)) {
        return None;
    }
    let end = skip(chars, body, |c| c.is_ascii_alphanumeric() || c == '-');
    (end > body).then_some(end)
}

/// The length of `http://` or `https://` at the start of `chars`, 0 if there is neither.
fn protocol_length(chars: &[char]) -> usize {
    let starts_with = |prefix: &str| {
        chars.len() >= prefix.len() && chars.iter().zip(prefix.chars()).all(|(c, p)| c.eq_ignore_ascii_case(&p))
    };
    ["http://", "https://"].into_iter().find(|prefix| starts_with(prefix)).map_or(0, str::len)
}

fn follows_protocol(chars: &[char], at: usize) -> bool {
    [7, 8].into_iter().any(|length| at >= length && protocol_length(&chars[at - length..at]) == length)
}

fn port_end(chars: &[char], colon: usize) -> usize {
    if chars.get(colon) != Some(&':') {
        return colon;
    }
    let end = skip(chars, colon + 1, |c| c.is_ascii_digit());
    if end > colon + 1 { end } else { colon }
}

/// The end of a path (`URL_VALID_PATH`): after its last ending character outside parentheses, and after parentheses
/// that follow right there. Others, as in `/a.(b)`, do not end a path, because the expression's alternative for them
/// stands alone.
fn path_end(chars: &[char], slash: usize) -> usize {
    if chars.get(slash) != Some(&'/') {
        return slash;
    }
    let mut run_start = slash + 1;
    let mut end = run_start;
    loop {
        let run_end = skip(chars, run_start, is_path_char);
        end = last_end(&chars[run_start..run_end], is_path_ending_char, run_start).unwrap_or(end);
        match parentheses_end(chars, run_end) {
            Some(after) => run_start = after,
            None => break,
        }
    }
    while let Some(after) = parentheses_end(chars, end) {
        end = after;
    }
    end
}

/// The end of balanced parentheses at `open`, at most two deep (`URL_BALANCED_PARENS`).
fn parentheses_end(chars: &[char], open: usize) -> Option<usize> {
    let is = |at: usize, c: char| chars.get(at) == Some(&c);
    if !is(open, '(') {
        return None;
    }
    let first = skip(chars, open + 1, is_path_char);
    if is(first, ')') {
        return (first > open + 1).then_some(first + 1);
    }
    if !is(first, '(') {
        return None;
    }
    let inner = skip(chars, first + 1, is_path_char);
    if inner == first + 1 || !is(inner, ')') {
        return None;
    }
    let last = skip(chars, inner + 1, is_path_char);
    is(last, ')').then_some(last + 1)
}

fn query_end(chars: &[char], mark: usize) -> usize {
    if chars.get(mark) != Some(&'?') {
        return mark;
    }
    let run_end = skip(chars, mark + 1, is_query_char);
    last_end(&chars[mark + 1..run_end], is_query_ending_char, mark + 1).unwrap_or(mark)
}

/// The slug's range in a t.co URL (`VALID_TCO_URL`), `None` for any other URL.
fn tco_slug(url: &[char]) -> Option<Range<usize>> {
    let protocol = protocol_length(url);
    let host = url.get(protocol..protocol + "t.co/".len())?;
    if protocol == 0 || !host.iter().zip("t.co/".chars()).all(|(c, h)| c.eq_ignore_ascii_case(&h)) {
        return None;
    }
    let start = protocol + host.len();
    let end = skip(url, start, |c| c.is_ascii_alphanumeric());
    (end > start).then_some(start..end)
}

fn skip(chars: &[char], start: usize, is: impl Fn(char) -> bool) -> usize {
    chars[start..].iter().position(|&c| !is(c)).map_or(chars.len(), |length| start + length)
}

/// The index after the last character of `run` that is one, given the index where `run` starts.
fn last_end(run: &[char], is: impl Fn(char) -> bool, start: usize) -> Option<usize> {
    run.iter().rposition(|&c| is(c)).map(|at| start + at + 1)
}

fn utf16_length(chars: &[char]) -> usize {
    chars.iter().map(|c| c.len_utf16()).sum()
}

/// twitter-text `URL_VALID_PRECEDING_CHARS`; characters that are invalid in posts do not precede.
fn may_precede(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || matches!(c, '@' | '＠' | '$' | '#' | '＃' | '\u{fffe}' | '\u{feff}' | '\u{ffff}'))
}

fn is_domain_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || is_latin_accent(c)
}

/// twitter-text `URL_VALID_UNICODE_CHARS`. The backslash is missing from its punctuation, so it counts as a letter.
fn is_unicode_domain_char(c: char) -> bool {
    let is_space = matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{3000}');
    let is_general_punctuation = matches!(c, '\u{2000}'..='\u{206f}');
    !(is_space || is_general_punctuation || (c.is_ascii_punctuation() && c != '\\'))
}

/// twitter-text `URL_VALID_GENERAL_PATH_CHARS`.
fn is_path_char(c: char) -> bool {
    is_path_ending_char(c)
        || matches!(c, '!' | '*' | '\'' | ';' | ':' | ',' | '.' | '$' | '%' | '[' | ']' | '–' | '~' | '|' | '&' | '@')
}

fn is_path_ending_char(c: char) -> bool {
    is_domain_char(c) || matches!(c, '=' | '_' | '#' | '/' | '-' | '+' | '\u{400}'..='\u{4ff}')
}

/// twitter-text `URL_VALID_URL_QUERY_CHARS`.
fn is_query_char(c: char) -> bool {
    is_query_ending_char(c)
        || matches!(
            c,
            '!' | '?' | '*' | '\'' | '(' | ')' | ';' | ':' | '+' | '$' | '%' | '[' | ']' | '.' | ',' | '~' | '|' | '@'
        )
}

fn is_query_ending_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '&' | '=' | '#' | '/')
}

/// twitter-text `LATIN_ACCENTS_CHARS`.
fn is_latin_accent(c: char) -> bool {
    matches!(
        c,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{24f}'
            | '\u{253}' | '\u{254}' | '\u{256}' | '\u{257}' | '\u{259}' | '\u{25b}' | '\u{263}' | '\u{268}'
            | '\u{26f}' | '\u{272}' | '\u{289}' | '\u{28b}' // phonetic
            | '\u{2bb}' // Hawaiian
            | '\u{300}'..='\u{36f}' // combining
            | '\u{1e00}'..='\u{1eff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<&str> {
        extract_url_spans(text).into_iter().map(|span| &text[span]).collect()
    }

    #[test]
    fn finds_urls_with_and_without_protocol() {
        assert_eq!(urls("see shop.example.org, HTTPS://a-b.co/x."), ["shop.example.org", "HTTPS://a-b.co/x"]);
        assert_eq!(urls("買うshop.jp買う"), ["shop.jp"]);
        assert!(urls("one.two three.four@five.com v1.2.3 a..b .com").is_empty());
    }

    #[test]
    fn other_scripts_need_a_protocol() {
        assert_eq!(urls("http://店-店.com/x"), ["http://店-店.com/x"]);
        assert!(urls("店.com http://-店.com http://店.店.com").is_empty());
    }

    #[test]
    fn paths_and_queries_end_at_their_last_good_character() {
        assert_eq!(urls("(a.co/b_(c(d))!, a.co:80?x=1&y).)"), ["a.co/b_(c(d))", "a.co:80?x=1&y"]);
        assert_eq!(urls("a.co/( b.co: c.co/.. d.co?!"), ["a.co/", "b.co", "c.co/", "d.co"]);
        assert_eq!(urls("a.co/b.(c) a.co/(b)(c). a.co/(b)!c(d"), ["a.co/b", "a.co/(b)(c)", "a.co/(b)!c"]);
    }

    #[test]
    fn short_links_have_a_slug_only() {
        assert_eq!(urls("https://t.co/aB3/x https://t.co/aB3?s=1/."), ["https://t.co/aB3", "https://t.co/aB3?s=1/"]);
        assert!(urls(&format!("https://t.co/{}", "a".repeat(41))).is_empty());
    }

    #[test]
    fn labels_are_at_most_63_ascii_characters() {
        assert_eq!(urls(&format!("{}.com", "a".repeat(63))).len(), 1);
        assert!(urls(&format!("{}.com", "a".repeat(64))).is_empty());
        assert!(urls("http://xn--店.com").is_empty());
    }

    #[test]
    fn long_urls_are_text() {
        let path = "a".repeat(MAX_URL_LENGTH - "https://a.co/".len());
        assert_eq!(urls(&format!("a.co/{path}")).len(), 1);
        assert!(urls(&format!("a.co/{path}a")).is_empty());
    }
}
