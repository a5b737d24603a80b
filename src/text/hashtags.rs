//! Hashtags by twitter-text's `VALID_HASHTAG`, without those that are part of a URL.

use std::ops::Range;

use unicode_general_category::{GeneralCategory, get_general_category};

use super::urls::url_char_spans;

/// A hashtag in a text. Indices count code points, from the hash sign to the end (exclusive), as in payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSpan {
    /// The tag as written, without its hash sign.
    pub tag: String,
    pub start: usize,
    pub end: usize,
}

/// Every hashtag of a text, in order (twitter-text `extractHashtagsWithIndices`). Texts from payloads are HTML-escaped
/// and indices count in them: pass them as they are to get the payload's indices, unescaped to get the reader's view.
pub fn extract_hashtags(text: &str) -> Vec<TagSpan> {
    if !text.contains(is_hash_sign) {
        return Vec::new();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut spans = tag_char_spans(&chars);
    if !spans.is_empty() {
        drop_overlaps(&mut spans, &url_char_spans(&chars));
    }
    let named = |span: Range<usize>| TagSpan {
        tag: chars[span.start + 1..span.end].iter().collect(),
        start: span.start,
        end: span.end,
    };
    spans.into_iter().map(named).collect()
}

/// Whether the whole text is one hashtag, sign included (twitter-text `isValidHashtag`).
pub fn is_valid_hashtag(text: &str) -> bool {
    match extract_hashtags(text).as_slice() {
        [only] => only.start == 0 && only.end == text.chars().count(),
        _ => false,
    }
}

/// Spans from hash sign to end, exclusive, before URLs are considered.
fn tag_char_spans(chars: &[char]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    // The character before a tag is part of the match, so it cannot belong to the match before: `#a#b` has no second
    // tag.
    let mut matched_to = 0;
    for sign in 0..chars.len() {
        if !is_hash_sign(chars[sign]) {
            continue;
        }
        let bounded = match sign {
            0 => true,
            _ => sign > matched_to && is_boundary(chars[sign - 1]),
        };
        let Some(end) = bounded.then(|| tag_end(chars, sign)).flatten() else {
            continue;
        };
        matched_to = end;
        let rest = &chars[end..];
        if !rest.first().is_some_and(|&c| is_hash_sign(c)) && !rest.starts_with(&[':', '/', '/']) {
            spans.push(sign..end);
        }
    }
    spans
}

/// The end of the tag whose hash sign is at `sign`: all tag characters after it, if one of them is a letter or mark.
fn tag_end(chars: &[char], sign: usize) -> Option<usize> {
    let body = &chars[sign + 1..];
    // U+FE0F and U+20E3 make the sign a keycap emoji.
    if matches!(body.first(), Some('\u{fe0f}' | '\u{20e3}')) {
        return None;
    }
    let length = body.iter().position(|&c| !is_tag_char(c)).unwrap_or(body.len());
    body[..length].iter().any(|&c| is_letter_or_mark(c)).then_some(sign + 1 + length)
}

/// Of a tag and a URL that overlap, the one that starts first stays (twitter-text `removeOverlappingEntities`).
fn drop_overlaps(tags: &mut Vec<Range<usize>>, urls: &[Range<usize>]) {
    let mut urls = urls.iter().peekable();
    let mut taken_to = 0;
    tags.retain(|tag| {
        while let Some(url) = urls.next_if(|url| url.start < tag.start) {
            if url.start >= taken_to {
                taken_to = url.end;
            }
        }
        let free = tag.start >= taken_to;
        if free {
            taken_to = tag.end;
        }
        free
    });
}

fn is_hash_sign(c: char) -> bool {
    matches!(c, '#' | '＃')
}

/// Variation selectors are marks, but end the emoji before a tag.
fn is_boundary(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}') || !(c == '&' || is_tag_char(c))
}

fn is_tag_char(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    is_letter_or_mark(c) || is_special(c) || get_general_category(c) == GeneralCategory::DecimalNumber
}

/// twitter-text `HASHTAG_SPECIAL_CHARS`: joiners and punctuation that scripts use inside words.
fn is_special(c: char) -> bool {
    matches!(
        c,
        '\u{200c}' | '\u{200d}' // zero width non-joiner, joiner
            | '\u{a67e}' // Cyrillic kavyka
            | '\u{05be}' | '\u{05f3}' | '\u{05f4}' // Hebrew maqaf, geresh, gershayim
            | '\u{ff5e}' | '\u{301c}' // full-width tilde, wave dash
            | '\u{309b}' | '\u{309c}' | '\u{30a0}' | '\u{30fb}' | '\u{3003}' // Japanese sound marks, hyphen, dots
            | '\u{0f0b}' | '\u{0f0c}' // Tibetan tsheg
            | '\u{00b7}' // middle dot
    )
}

/// Unicode's letters and marks, and the private-use characters that twitter-text counts among them.
fn is_letter_or_mark(c: char) -> bool {
    use GeneralCategory as G;
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    let private = matches!(
        c,
        '\u{f870}'..='\u{f87f}'
            | '\u{f882}'
            | '\u{f884}'..='\u{f89f}'
            | '\u{f8b8}'
            | '\u{f8c1}'..='\u{f8d6}'
    );
    let letter_or_mark = || {
        matches!(
            get_general_category(c),
            G::UppercaseLetter
                | G::LowercaseLetter
                | G::TitlecaseLetter
                | G::ModifierLetter
                | G::OtherLetter
                | G::NonspacingMark
                | G::SpacingMark
                | G::EnclosingMark
        )
    };
    private || letter_or_mark()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<String> {
        extract_hashtags(text).into_iter().map(|span| span.tag).collect()
    }

    #[test]
    fn finds_tags_with_code_point_indices() {
        let span = |tag: &str, start, end| TagSpan { tag: tag.into(), start, end };
        assert_eq!(extract_hashtags("🎧 #KaufHörer, ＃yes_1!"), [span("KaufHörer", 2, 12), span("yes_1", 14, 20)]);
        assert!(extract_hashtags("no tags here").is_empty());
    }

    #[test]
    fn the_character_before_decides() {
        assert_eq!(tags("a#buy (#buy) 7#buy _#buy &#buy ##buy"), ["buy", "buy"]);
        assert!(tags("#buy#now").is_empty());
        assert_eq!(tags("#buy##now"), ["now"]);
        assert!(tags("#\u{fe0f}\u{20e3} #\u{20e3}x").is_empty());
    }

    #[test]
    fn a_tag_needs_a_letter_or_mark() {
        assert!(tags("#100 #_ #1_000 # #·").is_empty());
        assert_eq!(tags("#4k #x·y #\u{f870}"), ["4k", "x·y", "\u{f870}"]);
    }

    #[test]
    fn urls_and_tags_do_not_share_characters() {
        assert_eq!(tags("https://shop.example.com/#cart #cart"), ["cart"]);
        assert_eq!(tags("shop.com/#a #b"), ["b"]);
        assert!(tags("#buy://x").is_empty());
        // The tag starts first here, so it is the URL that gives way.
        assert_eq!(tags("#買shop.com"), ["買shop"]);
    }

    #[test]
    fn validates_whole_texts() {
        assert!(is_valid_hashtag("#ok") && is_valid_hashtag("＃ok"));
        for text in ["", "#", "ok", "#ok ", " #ok", "#o k", "#1", "##ok"] {
            assert!(!is_valid_hashtag(text), "{text:?}");
        }
    }
}
