//! The weighted length of a text, by twitter-text's `parseTweet` and its published configurations.

use unicode_normalization::UnicodeNormalization;

use super::emoji::emoji_length;
use super::urls::url_char_spans;

/// A published configuration of twitter-text (`config/v*.json`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LengthRule {
    /// The greatest weighted length of a valid text.
    pub max: u32,
    /// What the weights are divided by.
    pub scale: u32,
    /// The weight of a code point outside `ranges`, and of an emoji.
    pub default_weight: u32,
    /// The weighted length of a URL, however long.
    pub url_length: u32,
    pub ranges: &'static [WeightRange],
    /// Whether a whole emoji sequence weighs as one code point.
    pub emoji: bool,
}

/// The weight of the code points from `start` to `end`, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightRange {
    pub start: u32,
    pub end: u32,
    pub weight: u32,
}

/// The length of a text. Ranges count UTF-16 units of the text as given, end inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    pub weighted_length: u32,
    pub valid: bool,
    /// The weighted length in thousandths of the greatest.
    pub permillage: u32,
    pub display_range: (usize, usize),
    /// The part that fits: up to the greatest length, or to the first invalid character.
    pub valid_range: (usize, usize),
}

/// `config/v1.json`: 140 code points.
pub const V1_140: LengthRule =
    LengthRule { max: 140, scale: 1, default_weight: 1, url_length: 23, ranges: &[], emoji: false };

/// `config/v2.json`: 280, where characters outside the light ranges weigh 2.
pub const V2_280: LengthRule =
    LengthRule { max: 280, scale: 100, default_weight: 200, url_length: 23, ranges: &LIGHT_RANGES, emoji: false };

/// `config/v3.json`: as v2, and an emoji sequence weighs 2.
pub const V3_280: LengthRule = LengthRule { emoji: true, ..V2_280 };

/// Measures a text after NFC. Texts that are empty or hold only white space and controls are invalid and measure 0.
pub fn measure(text: &str, rule: &LengthRule) -> Measured {
    if text.chars().all(|c| c <= ' ') {
        return Measured::default();
    }
    let chars: Vec<char> = if text.is_ascii() { text.chars().collect() } else { text.nfc().collect() };
    let tally = Tally::of(&chars, rule);
    let weighted_length = tally.weight / u64::from(rule.scale);
    let length = text.encode_utf16().count();
    // twitter-text shifts the range of the normalised text by what normalising took from the whole.
    let valid_end = (tally.valid_units + length).saturating_sub(tally.units).saturating_sub(1);
    Measured {
        weighted_length: saturated(weighted_length),
        valid: !tally.has_invalid && weighted_length <= u64::from(rule.max),
        permillage: saturated(weighted_length * 1000 / u64::from(rule.max)),
        display_range: (0, length - 1),
        valid_range: (0, valid_end),
    }
}

/// Latin to Georgian, spaces and joiners, dashes and quotes, primes.
static LIGHT_RANGES: [WeightRange; 4] = [
    WeightRange { start: 0, end: 4351, weight: 100 },
    WeightRange { start: 8192, end: 8205, weight: 100 },
    WeightRange { start: 8208, end: 8223, weight: 100 },
    WeightRange { start: 8242, end: 8247, weight: 100 },
];

#[derive(Default)]
struct Tally {
    weight: u64,
    has_invalid: bool,
    /// UTF-16 units seen, and those of them that are valid.
    units: usize,
    valid_units: usize,
}

impl Tally {
    fn of(chars: &[char], rule: &LengthRule) -> Tally {
        let limit = u64::from(rule.max) * u64::from(rule.scale);
        let mut tally = Tally::default();
        let mut urls = url_char_spans(chars).into_iter().peekable();
        let mut at = 0;
        // Emoji are told apart in the whole text, URLs included, so that the end of one in a URL does not start
        // another.
        let mut emoji_at = 0;
        while at < chars.len() {
            if let Some(url) = urls.next_if(|url| url.start <= at).filter(|url| url.start == at) {
                tally.weight += u64::from(rule.url_length * rule.scale);
                // twitter-text counts a URL as valid even after an invalid character.
                tally.count(&chars[url.clone()], tally.weight <= limit);
                at = url.end;
                continue;
            }
            while rule.emoji && emoji_at < at {
                emoji_at += emoji_length(&chars[emoji_at..]).max(1);
            }
            let emoji = if rule.emoji && emoji_at == at { emoji_length(&chars[at..]) } else { 0 };
            let weight = if emoji > 0 { rule.default_weight } else { weight_of(chars[at], rule) };
            tally.weight += u64::from(weight);
            tally.has_invalid |= matches!(chars[at], '\u{fffe}' | '\u{feff}' | '\u{ffff}');
            let end = at + emoji.max(1);
            tally.count(&chars[at..end], !tally.has_invalid && tally.weight <= limit);
            at = end;
        }
        tally
    }

    fn count(&mut self, chars: &[char], valid: bool) {
        let units: usize = chars.iter().map(|c| c.len_utf16()).sum();
        self.units += units;
        if valid {
            self.valid_units += units;
        }
    }
}

fn weight_of(c: char, rule: &LengthRule) -> u32 {
    let holds = |range: &&WeightRange| (range.start..=range.end).contains(&(c as u32));
    rule.ranges.iter().find(holds).map_or(rule.default_weight, |range| range.weight)
}

fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(text: &str, rule: &LengthRule) -> u32 {
        measure(text, rule).weighted_length
    }

    #[test]
    fn characters_urls_and_emoji_have_weights() {
        for (text, v1, v2, v3) in [
            ("buy", 3, 3, 3),
            ("e\u{301}", 1, 1, 1),
            ("買う", 2, 4, 4),
            ("see shop.example.com", 27, 27, 27),
            ("👩🏾‍🚀", 4, 7, 2),
            ("1️⃣ 🇳🇿", 6, 10, 5),
            ("“–”…", 4, 5, 5),
        ] {
            assert_eq!((length(text, &V1_140), length(text, &V2_280), length(text, &V3_280)), (v1, v2, v3), "{text}");
        }
    }

    #[test]
    fn texts_are_valid_up_to_the_greatest_length() {
        assert!(measure(&"a".repeat(280), &V3_280).valid);
        let long = measure(&"買".repeat(141), &V3_280);
        assert_eq!((long.valid, long.permillage), (false, 1007));
        assert_eq!((long.display_range, long.valid_range), ((0, 140), (0, 139)));
        assert!(!measure(&"a".repeat(141), &V1_140).valid);
    }

    #[test]
    fn empty_texts_and_invalid_characters_are_invalid() {
        assert_eq!(measure("", &V3_280), Measured::default());
        assert_eq!(measure(" \n", &V3_280), Measured::default());
        for bad in ['\u{fffe}', '\u{feff}', '\u{ffff}'] {
            let measured = measure(&format!("ok{bad}x"), &V3_280);
            assert_eq!((measured.valid, measured.valid_range), (false, (0, 1)));
            assert!(!measure(&bad.to_string(), &V3_280).valid);
        }
    }

    #[test]
    fn ranges_are_those_of_the_text_as_given() {
        assert_eq!(measure("e\u{301}x", &V3_280).display_range, (0, 2));
        assert_eq!(measure("\u{fb2c}", &V3_280).valid_range, (0, 0));
    }
}
