//! How long a host name is in ASCII, by IDNA 2003, which decides whether twitter-text takes it.

use unicode_normalization::UnicodeNormalization;

/// The length of a host in Punycode, `None` if a label has none (as IDNA 2003's `toASCII`).
pub(super) fn ascii_host_length(host: &[char]) -> Option<usize> {
    let labels = host.split(|c| matches!(c, '.' | '。' | '．' | '｡'));
    labels.map(ascii_label_length).try_fold(0, |sum, length| Some(sum + length? + 1)).map(|sum| sum - 1)
}

const MAX_LABEL_LENGTH: usize = 63;

fn ascii_label_length(label: &[char]) -> Option<usize> {
    if label.iter().all(char::is_ascii) {
        return legal(label.len());
    }
    let prepared = prepare(label)?;
    if prepared.iter().all(char::is_ascii) {
        return legal(prepared.len());
    }
    if prepared.starts_with(&['x', 'n', '-', '-']) {
        return None;
    }
    legal("xn--".len() + punycode_length(&prepared))
}

fn legal(length: usize) -> Option<usize> {
    (1..=MAX_LABEL_LENGTH).contains(&length).then_some(length)
}

/// Nameprep (RFC 3491) as far as lengths depend on it: lower case stands for its case folding, and its rule on mixed
/// directions is left out, which only the Java implementation of twitter-text has.
fn prepare(label: &[char]) -> Option<Vec<char>> {
    let kept = label.iter().filter(|&&c| !is_dropped(c));
    let prepared: Vec<char> = kept.flat_map(|c| c.to_lowercase()).nfkc().collect();
    (!prepared.iter().any(|&c| is_prohibited(c))).then_some(prepared)
}

/// RFC 3454, table B.1: soft hyphens, joiners and variation selectors.
fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}'..='\u{200d}' | '\u{2060}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    )
}

/// RFC 3454, tables C.2.2 to C.9, as far as the characters can stand in a label: controls, private use, no characters.
fn is_prohibited(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9f}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{2ff0}'..='\u{2ffb}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{ffff}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}' | '\u{f0000}'..=char::MAX
    )
}

/// How many ASCII characters Punycode (RFC 3492) needs for a label.
fn punycode_length(label: &[char]) -> usize {
    // Every character takes at least one, so the square-time part below sees short labels only.
    if label.len() > MAX_LABEL_LENGTH {
        return label.len();
    }
    let basic = label.iter().filter(|c| c.is_ascii()).count();
    let mut length = if basic > 0 { basic + 1 } else { 0 };
    let mut rest: Vec<u32> = label.iter().filter(|c| !c.is_ascii()).map(|&c| c as u32).collect();
    rest.sort_unstable();
    rest.dedup();
    let (mut code, mut delta, mut bias, mut handled) = (128, 0, 72, basic as u32);
    for next in rest {
        delta += (next - code) * (handled + 1);
        code = next;
        for &c in label {
            match (c as u32).cmp(&next) {
                std::cmp::Ordering::Less => delta += 1,
                std::cmp::Ordering::Greater => {}
                std::cmp::Ordering::Equal => {
                    length += punycode_digits(delta, bias);
                    bias = punycode_bias(delta, handled + 1, handled == basic as u32);
                    delta = 0;
                    handled += 1;
                }
            }
        }
        delta += 1;
        code += 1;
    }
    length
}

fn punycode_digits(delta: u32, bias: u32) -> usize {
    let (mut rest, mut digits) = (delta, 1);
    for k in (1..).map(|digit| digit * 36u32) {
        let threshold = k.saturating_sub(bias).clamp(1, 26);
        if rest < threshold {
            break;
        }
        rest = (rest - threshold) / (36 - threshold);
        digits += 1;
    }
    digits
}

fn punycode_bias(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > 35 * 26 / 2 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(text: &str) -> Option<usize> {
        ascii_host_length(&text.chars().collect::<Vec<_>>())
    }

    #[test]
    fn hosts_are_as_long_as_their_punycode() {
        assert_eq!(length("shop.example.com"), Some(16));
        assert_eq!(length("Bücher.com"), Some("xn--bcher-kva.com".len()));
        assert_eq!(length("例え。jp"), Some("xn--r8jz45g.jp".len()));
        assert_eq!(length("ＡＢ\u{ad}.com"), Some("ab.com".len()));
        // The example of RFC 3492, section 7.1 (L).
        assert_eq!(length("3年b組金八先生"), Some("xn--3b-ww4c5e180e575a65lsy2b".len()));
    }

    #[test]
    fn labels_have_1_to_63_characters() {
        assert_eq!(length(&"a".repeat(63)), Some(63));
        for bad in ["", "a..b", "\u{fe0f}.com", "xn--店.com", "\u{e000}.com", "é\u{85}.com"] {
            assert_eq!(length(bad), None, "{bad:?}");
        }
        assert_eq!(length(&"a".repeat(64)), None);
        assert_eq!(length(&"é買".repeat(30)), None);
        assert_eq!(length(&"買".repeat(1000)), None);
    }
}
