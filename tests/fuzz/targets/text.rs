//! The network's text rules, on any text.

use std::ops::Range;

use pay_by_tweet::domain::Time;
use pay_by_tweet::text::{
    LengthRule, V1_140, V2_280, V3_280, extract_hashtags, extract_url_spans, fold, is_valid_hashtag, manual_retweet_of,
    measure, spellings, unescape,
};
use pay_by_tweet::wire::time;

use super::Target;

pub const TEXT: Target = Target { name: "text", check, seeds, words: include_str!("../words/text") };

const HANDLE_CHARS_MAX: usize = 20;

fn check(data: &[u8]) {
    let text = &String::from_utf8_lossy(data);
    check_hashtags(text);
    [&V1_140, &V2_280, &V3_280].into_iter().for_each(|rule| check_length(text, rule));
    let folded = fold(text);
    assert_eq!(fold(&folded), folded, "folded once is folded for good");
    for c in text.chars() {
        let one = fold(&c.to_string());
        assert!(spellings(c).any(|spelling| spelling == c), "{c:?} spells itself");
        assert!(spellings(c).all(|spelling| fold(&spelling.to_string()) == one), "spellings of {c:?} fold alike");
    }
    assert!(unescape(text).len() <= text.len(), "an entity is longer than what it stands for");
    if let Some(handle) = manual_retweet_of(text) {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        assert!(!handle.is_empty() && handle.len() <= HANDLE_CHARS_MAX && handle.bytes().all(legal), "{handle:?}");
    }
    if let Ok(moment) = time::parse(text) {
        assert_eq!(time::parse(&time::format(moment)), Ok(moment), "{text:?}");
        assert_ne!(moment, Time(i64::MIN));
    }
}

fn check_hashtags(text: &str) {
    let chars: Vec<char> = text.chars().collect();
    let tags = extract_hashtags(text);
    let urls = extract_url_spans(text);
    assert!(urls.is_sorted_by(|a, b| a.end <= b.start), "URLs stand in order: {urls:?}");
    assert!(urls.iter().all(|url| !text[url.clone()].is_empty()), "URLs are parts of the text: {urls:?}");
    assert!(tags.is_sorted_by(|a, b| a.end <= b.start), "tags stand in order: {tags:?}");
    let byte = |index: usize| chars[..index].iter().map(|c| c.len_utf8()).sum::<usize>();
    let spans: Vec<Range<usize>> = tags.iter().map(|tag| byte(tag.start)..byte(tag.end)).collect();
    for (tag, span) in tags.iter().zip(&spans) {
        assert!(matches!(chars[tag.start], '#' | '＃'), "{tag:?}");
        assert_eq!(chars[tag.start + 1..tag.end].iter().collect::<String>(), tag.tag);
        assert!(is_valid_hashtag(&format!("#{}", tag.tag)), "{tag:?} is a tag by itself, too");
        // Of two that overlap the earlier counts, so a URL that a tag runs into is none.
        let covers = |a: &Range<usize>, b: &Range<usize>| a.start <= b.start && b.start < a.end;
        let is_url = |url: &&Range<usize>| !spans.iter().any(|other| covers(other, url));
        assert!(!urls.iter().filter(is_url).any(|url| covers(url, span)), "{tag:?} in a URL");
    }
    let names = |text: &str| extract_hashtags(text).into_iter().map(|tag| tag.tag).collect::<Vec<_>>();
    assert_eq!(names(&format!(" {text}")), names(text), "a space in front changes no tag");
}

fn check_length(text: &str, rule: &LengthRule) {
    let measured = measure(text, rule);
    let units = text.encode_utf16().count();
    assert!(!measured.valid || measured.weighted_length <= rule.max, "{measured:?}");
    assert!(measured.display_range.1 <= units.max(1) && measured.valid_range.1 <= units.max(1), "{measured:?}");
    if measured.weighted_length > 0 {
        let longer = measure(&format!("{text} a"), rule);
        assert_eq!(longer.weighted_length, measured.weighted_length + 2, "a space and a letter weigh 2");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "a",
        "#a",
        "hello #BuyMug, please",
        "＃購入 #1 #_a #a#b",
        "http://example.com/#a #b",
        "see www.example.co.jp/(a)?b=c",
        "RT @shop: Tweet #ConfirmMug w/in 15 min",
        "a &amp;lt; #b &quot;c&quot;",
        "👩‍👩‍👧 e\u{301} #K #\u{212a}s \u{202a}x",
        "https://t.co/abc?d https://t.co/#e .com a.みんな",
        "2013-02-12T16:01:00.000999+01:00",
    ];
    let long = "word 語 👍 ".repeat(40);
    texts.into_iter().map(String::from).chain([long]).map(String::into_bytes).collect()
}
