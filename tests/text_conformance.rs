//! The text rules against twitter-text's own conformance cases, which lie outside the repository.

use std::fs;

use pay_by_tweet::text::{
    LengthRule, V1_140, V2_280, V3_280, extract_hashtags, extract_url_spans, is_valid_hashtag, measure,
};
use serde_json::{Value, json};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data");

const HASHTAG_CASES: usize = 63;
const URL_CASES: usize = 81;
const LENGTH_CASES: usize = 40;

#[test]
fn hashtags_are_twitter_texts() {
    let Some(tests) = load("extract_hashtags.json") else {
        return;
    };
    let tags = |text: &str| extract_hashtags(text).into_iter().map(|span| json!(span.tag)).collect();
    let spans = |text: &str| {
        let span = |span: pay_by_tweet::text::TagSpan| json!({"hashtag": span.tag, "indices": [span.start, span.end]});
        extract_hashtags(text).into_iter().map(span).collect()
    };
    let mut run = 0;
    for (section, cases) in sections(&tests) {
        run += match section {
            "hashtags" | "hashtags_from_astral" => check(section, cases, &tags),
            "hashtags_with_indices" => check(section, cases, &spans),
            "validate_hashtags" => check(section, cases, &|text| json!(is_valid_hashtag(text))),
            _ => panic!("no rule for the section {section}"),
        };
    }
    assert_eq!(run, HASHTAG_CASES);
}

#[test]
fn urls_are_twitter_texts() {
    let Some(tests) = load("extract_other.json") else {
        return;
    };
    let urls = |text: &str| extract_url_spans(text).into_iter().map(|span| json!(&text[span])).collect();
    let spans = |text: &str| {
        let place = |byte: usize| text[..byte].chars().count();
        let span = |span: std::ops::Range<usize>| {
            let indices = [place(span.start), place(span.end)];
            json!({"url": &text[span], "indices": indices})
        };
        extract_url_spans(text).into_iter().map(span).collect()
    };
    let mut run = 0;
    for (section, cases) in sections(&tests) {
        run += match section {
            "urls" | "tco_urls_with_params" => check(section, cases, &urls),
            "urls_with_indices" | "urls_with_directional_markers" => check(section, cases, &spans),
            // The program extracts none of these.
            "mentions"
            | "mentions_with_indices"
            | "mentions_or_lists_with_indices"
            | "replies"
            | "cashtags"
            | "cashtags_with_indices" => 0,
            _ => panic!("no rule for the section {section}"),
        };
    }
    assert_eq!(run, URL_CASES);
}

#[test]
fn lengths_are_twitter_texts() {
    let Some(tests) = load("weighted_length.json") else {
        return;
    };
    let full = |text: &str, rule: &LengthRule| {
        let measured = measure(text, rule);
        json!({
            "weightedLength": measured.weighted_length,
            "valid": measured.valid,
            "permillage": measured.permillage,
            "displayRangeStart": measured.display_range.0,
            "displayRangeEnd": measured.display_range.1,
            "validRangeStart": measured.valid_range.0,
            "validRangeEnd": measured.valid_range.1,
        })
    };
    let mut run = 0;
    for (section, cases) in sections(&tests) {
        run += match section {
            "tweets" => check(section, cases, &|text| json!(measure(text, &V1_140).valid)),
            "WeightedTweetsCounterTest" => check(section, cases, &|text| full(text, &V2_280)),
            "WeightedTweetsWithDiscountedEmojiCounterTest" | "UnicodeDirectionalMarkerCounterTest" => {
                check(section, cases, &|text| full(text, &V3_280))
            }
            _ => panic!("no rule for the section {section}"),
        };
    }
    assert_eq!(run, LENGTH_CASES);
}

#[test]
fn length_rules_are_the_published_configurations() {
    for (file, rule) in [
        ("twitter_text_config_v1.json", V1_140),
        ("twitter_text_config_v2.json", V2_280),
        ("twitter_text_config_v3.json", V3_280),
    ] {
        let Some(config) = load(file) else { return };
        let range = |range: &pay_by_tweet::text::WeightRange| json!({"start": range.start, "end": range.end, "weight": range.weight});
        let ranges: Vec<Value> = rule.ranges.iter().map(range).collect();
        assert_eq!(config["maxWeightedTweetLength"], rule.max, "{file}");
        assert_eq!(config["scale"], rule.scale, "{file}");
        assert_eq!(config["defaultWeight"], rule.default_weight, "{file}");
        assert_eq!(config["transformedURLLength"], rule.url_length, "{file}");
        assert_eq!(config["ranges"], Value::Array(ranges), "{file}");
        assert_eq!(config["emojiParsingEnabled"].as_bool().unwrap_or(false), rule.emoji, "{file}");
    }
}

/// Every top-level domain of the list ends a URL, so none was lost in copying.
#[test]
fn every_top_level_domain_is_known() {
    let Some(lists) = load("tlds.json") else { return };
    for name in ["country", "generic"].iter().flat_map(|list| lists[list].as_array().unwrap()) {
        let url = format!("http://example.{}", name.as_str().unwrap());
        assert_eq!(extract_url_spans(&url).first(), Some(&(0..url.len())), "{url}");
    }
}

/// The scanners neither panic nor take more than linear time, whatever the text.
#[test]
fn any_text_is_read() {
    const PIECES: [&str; 40] = [
        "#",
        "＃",
        "&",
        "@",
        ".",
        "/",
        ":",
        "://",
        "http://",
        "https://t.co/",
        "?",
        "(",
        ")",
        "-",
        "_",
        " ",
        "a",
        "Z",
        "7",
        "com",
        "co",
        "xn--",
        ".jp",
        "é",
        "買",
        "嘉里",
        "한국",
        "\u{fe0f}",
        "\u{20e3}",
        "\u{200d}",
        "👩",
        "🏽",
        "🚀",
        "🇳",
        "🇿",
        "\u{ffff}",
        "\u{301}",
        "\u{fb2c}",
        "\u{e0067}",
        "🏴",
    ];
    // A fixed linear congruential sequence, so that a failure can be run again.
    let mut state = 2026_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for _ in 0..20_000 {
        let text: String = (0..next(24)).map(|_| PIECES[next(PIECES.len())]).collect();
        read(&text);
    }
    for piece in PIECES {
        read(&piece.repeat(300_000 / piece.len()));
        let mixed: String = (0..20_000).map(|_| [piece, PIECES[next(PIECES.len())]].concat()).collect();
        read(&mixed);
    }
}

fn read(text: &str) {
    let count = text.chars().count();
    for span in extract_hashtags(text) {
        assert!(span.start < span.end && span.end <= count && !span.tag.is_empty(), "{text}");
    }
    let mut end = 0;
    for span in extract_url_spans(text) {
        assert!(end <= span.start && !text[span.clone()].is_empty(), "{text}");
        end = span.end;
    }
    for rule in [V1_140, V2_280, V3_280] {
        let measured = measure(text, &rule);
        assert!(measured.valid_range.1 <= measured.display_range.1, "{text:?}");
    }
}

/// Runs every case of a section and names all that fail.
fn check(section: &str, cases: &[Value], answer: &dyn Fn(&str) -> Value) -> usize {
    let mut failures = Vec::new();
    for case in cases {
        let text = case["text"].as_str().expect("a case has a text");
        let actual = answer(text);
        if actual != case["expected"] {
            failures
                .push(format!("{section}: {}\n  {text:?}\n  {actual} not {}", case["description"], case["expected"]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    cases.len()
}

fn sections(tests: &Value) -> impl Iterator<Item = (&str, &[Value])> {
    let sections = tests["tests"].as_object().expect("cases lie under \"tests\"");
    sections.iter().map(|(name, cases)| (name.as_str(), cases.as_array().expect("a section is a list").as_slice()))
}

/// A data file, or `None` where there is no data; continuous integration must have it.
fn load(file: &str) -> Option<Value> {
    let path = format!("{DATA}/{file}");
    let Ok(text) = fs::read_to_string(&path) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{path} is missing");
        println!("skipped: {path} is missing");
        return None;
    };
    Some(serde_json::from_str(&text).expect("data files are JSON"))
}
