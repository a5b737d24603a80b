//! Emoji sequences as twitter-text's `TwitterTextEmojiRegex` lists them (Emoji 12). Sequences that came later weigh
//! more here than on the network: the sum of their parts, never less.
//!
//! The tables are twitter-text's, Apache-2.0, Copyright Twitter, Inc and other contributors.

/// How many chars of `text` are one emoji at its start, 0 if there is none. The rules' order is that of the expression.
pub(super) fn emoji_length(text: &[char]) -> usize {
    let Some(&first) = text.first() else {
        return 0;
    };
    if first.is_ascii() {
        return keycap(text).unwrap_or(0);
    }
    let rules = [couple, person_with_object, person_with_sign, joined, text_default, variant, toned, flag];
    rules.iter().find_map(|rule| rule(text)).unwrap_or_else(|| plain(first))
}

const JOINER: char = '\u{200d}';
const EMOJI_STYLE: char = '\u{fe0f}';
const TEXT_STYLE: char = '\u{fe0e}';
const MAN: char = '\u{1f468}';
const WOMAN: char = '\u{1f469}';
const ADULT: char = '\u{1f9d1}';

/// Two people hand in hand.
fn couple(text: &[char]) -> Option<usize> {
    let hands = |at: usize| text.get(at..at + 3) == Some(&[JOINER, '\u{1f91d}', JOINER]);
    match (text[0], tone(text, 1)) {
        (MAN | WOMAN, Some(left)) if hands(2) => {
            let other = *text.get(5)?;
            let right = tone(text, 6)?;
            // Couples of one tone, and a man before a woman, have characters of their own.
            let listed = (other == MAN || (other == WOMAN && text[0] == WOMAN)) && left != right;
            listed.then_some(7)
        }
        (ADULT, Some(_)) if hands(2) => (text.get(5) == Some(&ADULT) && tone(text, 6).is_some()).then_some(7),
        (ADULT, None) if hands(1) => (text.get(4) == Some(&ADULT)).then_some(5),
        ('\u{1f46b}'..='\u{1f46d}', tone) => Some(1 + usize::from(tone.is_some())),
        _ => None,
    }
}

fn person_with_object(text: &[char]) -> Option<usize> {
    if !matches!(text[0], MAN | WOMAN | ADULT) {
        return None;
    }
    let joiner = after_tone(text, 1);
    if text.get(joiner) != Some(&JOINER) {
        return None;
    }
    match *text.get(joiner + 1)? {
        '\u{2695}' | '\u{2696}' | '\u{2708}' => (text.get(joiner + 2) == Some(&EMOJI_STYLE)).then_some(joiner + 3),
        object => in_table(OBJECTS, object).then_some(joiner + 2),
    }
}

fn person_with_sign(text: &[char]) -> Option<usize> {
    let sign = |at: usize| {
        let is_sign = matches!(text.get(at..at + 3), Some([JOINER, '\u{2640}' | '\u{2642}', EMOJI_STYLE]));
        is_sign.then_some(at + 3)
    };
    match text[0] {
        '\u{26f9}' | '\u{1f3cb}' | '\u{1f3cc}' | '\u{1f574}' | '\u{1f575}' => {
            (text.get(1) == Some(&EMOJI_STYLE) || tone(text, 1).is_some()).then(|| sign(2)).flatten()
        }
        first if in_table(GENDERED, first) => sign(after_tone(text, 1)),
        _ => None,
    }
}

fn joined(text: &[char]) -> Option<usize> {
    // Every sequence has a joiner after its first emoji; most texts have none.
    if !text.iter().take(3).any(|&c| c == JOINER) {
        return None;
    }
    let length = |sequence: &&str| {
        let length = sequence.chars().count();
        sequence.chars().eq(text.iter().copied().take(length)).then_some(length)
    };
    JOINED.iter().find_map(length)
}

fn keycap(text: &[char]) -> Option<usize> {
    if !matches!(text[0], '#' | '*' | '0'..='9') {
        return None;
    }
    let key = 1 + usize::from(text.get(1) == Some(&EMOJI_STYLE));
    (text.get(key) == Some(&'\u{20e3}')).then_some(key + 1)
}

/// Emoji only where U+FE0F asks for it.
fn text_default(text: &[char]) -> Option<usize> {
    let listed = matches!(text[0], '©' | '®' | '\u{2122}' | '\u{265f}');
    (listed && text.get(1) == Some(&EMOJI_STYLE)).then_some(2)
}

/// Emoji unless U+FE0E asks for text.
fn variant(text: &[char]) -> Option<usize> {
    if in_table(VARIANTS, text[0]) { after_style(text) } else { None }
}

fn toned(text: &[char]) -> Option<usize> {
    let styled = if in_table(TONED_VARIANTS, text[0]) { after_style(text) } else { None };
    let base = styled.or_else(|| in_table(TONED, text[0]).then_some(1))?;
    Some(after_tone(text, base))
}

/// National flags are pairs of regional indicators, those of parts of Britain a black flag with tags.
fn flag(text: &[char]) -> Option<usize> {
    if let Some(region) = TAG_FLAGS.iter().find(|region| region.chars().eq(text.iter().copied().take(7))) {
        return Some(region.chars().count());
    }
    let pair = [letter(text[0])?, letter(*text.get(1)?)?];
    FLAGS.binary_search_by(|flag| flag.as_bytes().cmp(&pair)).is_ok().then_some(2)
}

/// A stray U+FE0F counts as an emoji too.
fn plain(first: char) -> usize {
    usize::from(first == EMOJI_STYLE || in_table(PLAIN, first))
}

fn letter(indicator: char) -> Option<u8> {
    let place = (indicator as u32).checked_sub('\u{1f1e6}' as u32)?;
    u8::try_from(place).ok().filter(|&place| place < 26).map(|place| b'A' + place)
}

fn tone(text: &[char], at: usize) -> Option<char> {
    text.get(at).copied().filter(|c| matches!(c, '\u{1f3fb}'..='\u{1f3ff}'))
}

fn after_tone(text: &[char], at: usize) -> usize {
    at + usize::from(tone(text, at).is_some())
}

fn after_style(text: &[char]) -> Option<usize> {
    match text.get(1) {
        Some(&EMOJI_STYLE) => Some(2),
        Some(&TEXT_STYLE) => None,
        _ => Some(1),
    }
}

fn in_table(table: &[(u32, u32)], c: char) -> bool {
    let after = table.partition_point(|&(first, _)| first <= c as u32);
    after > 0 && c as u32 <= table[after - 1].1
}

/// What an adult can hold: professions, hair, aids.
#[rustfmt::skip]
static OBJECTS: &[(u32, u32)] = &[
    (0x1F33E, 0x1F33E), (0x1F373, 0x1F373), (0x1F393, 0x1F393), (0x1F3A4, 0x1F3A4), (0x1F3A8, 0x1F3A8),
    (0x1F3EB, 0x1F3EB), (0x1F3ED, 0x1F3ED), (0x1F4BB, 0x1F4BC), (0x1F527, 0x1F527), (0x1F52C, 0x1F52C),
    (0x1F680, 0x1F680), (0x1F692, 0x1F692), (0x1F9AF, 0x1F9B3), (0x1F9BC, 0x1F9BD),
];

/// Emoji that a joined female or male sign can follow.
#[rustfmt::skip]
static GENDERED: &[(u32, u32)] = &[
    (0x1F3C3, 0x1F3C4), (0x1F3CA, 0x1F3CA), (0x1F46E, 0x1F46E), (0x1F471, 0x1F471), (0x1F473, 0x1F473),
    (0x1F477, 0x1F477), (0x1F481, 0x1F482), (0x1F486, 0x1F487), (0x1F645, 0x1F647), (0x1F64B, 0x1F64B),
    (0x1F64D, 0x1F64E), (0x1F6A3, 0x1F6A3), (0x1F6B4, 0x1F6B6), (0x1F926, 0x1F926), (0x1F935, 0x1F935),
    (0x1F937, 0x1F939), (0x1F93D, 0x1F93E), (0x1F9B8, 0x1F9B9), (0x1F9CD, 0x1F9CF), (0x1F9D6, 0x1F9DD),
];

/// Emoji that may be followed by U+FE0F but not by U+FE0E.
#[rustfmt::skip]
static VARIANTS: &[(u32, u32)] = &[
    (0x203C, 0x203C), (0x2049, 0x2049), (0x2139, 0x2139), (0x2194, 0x2199), (0x21A9, 0x21AA),
    (0x231A, 0x231B), (0x2328, 0x2328), (0x23CF, 0x23CF), (0x23ED, 0x23EF), (0x23F1, 0x23F2),
    (0x23F8, 0x23FA), (0x24C2, 0x24C2), (0x25AA, 0x25AB), (0x25B6, 0x25B6), (0x25C0, 0x25C0),
    (0x25FB, 0x25FE), (0x2600, 0x2604), (0x260E, 0x260E), (0x2611, 0x2611), (0x2614, 0x2615),
    (0x2618, 0x2618), (0x2620, 0x2620), (0x2622, 0x2623), (0x2626, 0x2626), (0x262A, 0x262A),
    (0x262E, 0x262F), (0x2638, 0x263A), (0x2640, 0x2640), (0x2642, 0x2642), (0x2648, 0x2653),
    (0x2660, 0x2660), (0x2663, 0x2663), (0x2665, 0x2666), (0x2668, 0x2668), (0x267B, 0x267B),
    (0x267F, 0x267F), (0x2692, 0x2697), (0x2699, 0x2699), (0x269B, 0x269C), (0x26A0, 0x26A1),
    (0x26A7, 0x26A7), (0x26AA, 0x26AB), (0x26B0, 0x26B1), (0x26BD, 0x26BE), (0x26C4, 0x26C5),
    (0x26C8, 0x26C8), (0x26CF, 0x26CF), (0x26D1, 0x26D1), (0x26D3, 0x26D4), (0x26E9, 0x26EA),
    (0x26F0, 0x26F5), (0x26F8, 0x26F8), (0x26FA, 0x26FA), (0x26FD, 0x26FD), (0x2702, 0x2702),
    (0x2708, 0x2709), (0x270F, 0x270F), (0x2712, 0x2712), (0x2714, 0x2714), (0x2716, 0x2716),
    (0x271D, 0x271D), (0x2721, 0x2721), (0x2733, 0x2734), (0x2744, 0x2744), (0x2747, 0x2747),
    (0x2757, 0x2757), (0x2763, 0x2764), (0x27A1, 0x27A1), (0x2934, 0x2935), (0x2B05, 0x2B07),
    (0x2B1B, 0x2B1C), (0x2B50, 0x2B50), (0x2B55, 0x2B55), (0x3030, 0x3030), (0x303D, 0x303D),
    (0x3297, 0x3297), (0x3299, 0x3299), (0x1F004, 0x1F004), (0x1F170, 0x1F171), (0x1F17E, 0x1F17F),
    (0x1F202, 0x1F202), (0x1F21A, 0x1F21A), (0x1F22F, 0x1F22F), (0x1F237, 0x1F237), (0x1F321, 0x1F321),
    (0x1F324, 0x1F32C), (0x1F336, 0x1F336), (0x1F37D, 0x1F37D), (0x1F396, 0x1F397), (0x1F399, 0x1F39B),
    (0x1F39E, 0x1F39F), (0x1F3CD, 0x1F3CE), (0x1F3D4, 0x1F3DF), (0x1F3F3, 0x1F3F3), (0x1F3F5, 0x1F3F5),
    (0x1F3F7, 0x1F3F7), (0x1F43F, 0x1F43F), (0x1F441, 0x1F441), (0x1F4FD, 0x1F4FD), (0x1F549, 0x1F54A),
    (0x1F56F, 0x1F570), (0x1F573, 0x1F573), (0x1F576, 0x1F579), (0x1F587, 0x1F587), (0x1F58A, 0x1F58D),
    (0x1F5A5, 0x1F5A5), (0x1F5A8, 0x1F5A8), (0x1F5B1, 0x1F5B2), (0x1F5BC, 0x1F5BC), (0x1F5C2, 0x1F5C4),
    (0x1F5D1, 0x1F5D3), (0x1F5DC, 0x1F5DE), (0x1F5E1, 0x1F5E1), (0x1F5E3, 0x1F5E3), (0x1F5E8, 0x1F5E8),
    (0x1F5EF, 0x1F5EF), (0x1F5F3, 0x1F5F3), (0x1F5FA, 0x1F5FA), (0x1F6CB, 0x1F6CB), (0x1F6CD, 0x1F6CF),
    (0x1F6E0, 0x1F6E5), (0x1F6E9, 0x1F6E9), (0x1F6F0, 0x1F6F0), (0x1F6F3, 0x1F6F3),
];

/// As `VARIANTS`, and a skin tone may follow.
#[rustfmt::skip]
static TONED_VARIANTS: &[(u32, u32)] = &[
    (0x261D, 0x261D), (0x26F7, 0x26F7), (0x26F9, 0x26F9), (0x270C, 0x270D), (0x1F3CB, 0x1F3CC),
    (0x1F574, 0x1F575), (0x1F590, 0x1F590),
];

/// Emoji that a skin tone may follow.
#[rustfmt::skip]
static TONED: &[(u32, u32)] = &[
    (0x270A, 0x270B), (0x1F385, 0x1F385), (0x1F3C2, 0x1F3C4), (0x1F3C7, 0x1F3C7), (0x1F3CA, 0x1F3CA),
    (0x1F442, 0x1F443), (0x1F446, 0x1F450), (0x1F466, 0x1F469), (0x1F46E, 0x1F46E), (0x1F470, 0x1F478),
    (0x1F47C, 0x1F47C), (0x1F481, 0x1F483), (0x1F485, 0x1F487), (0x1F4AA, 0x1F4AA), (0x1F57A, 0x1F57A),
    (0x1F595, 0x1F596), (0x1F645, 0x1F647), (0x1F64B, 0x1F64F), (0x1F6A3, 0x1F6A3), (0x1F6B4, 0x1F6B6),
    (0x1F6C0, 0x1F6C0), (0x1F6CC, 0x1F6CC), (0x1F90F, 0x1F90F), (0x1F918, 0x1F91C), (0x1F91E, 0x1F91F),
    (0x1F926, 0x1F926), (0x1F930, 0x1F939), (0x1F93D, 0x1F93E), (0x1F9B5, 0x1F9B6), (0x1F9B8, 0x1F9B9),
    (0x1F9BB, 0x1F9BB), (0x1F9CD, 0x1F9CF), (0x1F9D1, 0x1F9DD),
];

/// Emoji that nothing follows.
#[rustfmt::skip]
static PLAIN: &[(u32, u32)] = &[
    (0x23E9, 0x23EC), (0x23F0, 0x23F0), (0x23F3, 0x23F3), (0x267E, 0x267E), (0x26CE, 0x26CE),
    (0x2705, 0x2705), (0x2728, 0x2728), (0x274C, 0x274C), (0x274E, 0x274E), (0x2753, 0x2755),
    (0x2795, 0x2797), (0x27B0, 0x27B0), (0x27BF, 0x27BF), (0xE50A, 0xE50A), (0x1F0CF, 0x1F0CF),
    (0x1F18E, 0x1F18E), (0x1F191, 0x1F19A), (0x1F1E6, 0x1F1FF), (0x1F201, 0x1F201), (0x1F232, 0x1F236),
    (0x1F238, 0x1F23A), (0x1F250, 0x1F251), (0x1F300, 0x1F320), (0x1F32D, 0x1F335), (0x1F337, 0x1F37C),
    (0x1F37E, 0x1F384), (0x1F386, 0x1F393), (0x1F3A0, 0x1F3C1), (0x1F3C5, 0x1F3C6), (0x1F3C8, 0x1F3C9),
    (0x1F3CF, 0x1F3D3), (0x1F3E0, 0x1F3F0), (0x1F3F4, 0x1F3F4), (0x1F3F8, 0x1F43E), (0x1F440, 0x1F440),
    (0x1F444, 0x1F445), (0x1F451, 0x1F465), (0x1F46A, 0x1F46A), (0x1F46F, 0x1F46F), (0x1F479, 0x1F47B),
    (0x1F47D, 0x1F480), (0x1F484, 0x1F484), (0x1F488, 0x1F4A9), (0x1F4AB, 0x1F4FC), (0x1F4FF, 0x1F53D),
    (0x1F54B, 0x1F54E), (0x1F550, 0x1F567), (0x1F5A4, 0x1F5A4), (0x1F5FB, 0x1F644), (0x1F648, 0x1F64A),
    (0x1F680, 0x1F6A2), (0x1F6A4, 0x1F6B3), (0x1F6B7, 0x1F6BF), (0x1F6C1, 0x1F6C5), (0x1F6D0, 0x1F6D2),
    (0x1F6D5, 0x1F6D5), (0x1F6EB, 0x1F6EC), (0x1F6F4, 0x1F6FA), (0x1F7E0, 0x1F7EB), (0x1F90D, 0x1F90E),
    (0x1F910, 0x1F917), (0x1F91D, 0x1F91D), (0x1F920, 0x1F925), (0x1F927, 0x1F92F), (0x1F93A, 0x1F93A),
    (0x1F93C, 0x1F93C), (0x1F93F, 0x1F945), (0x1F947, 0x1F971), (0x1F973, 0x1F976), (0x1F97A, 0x1F9A2),
    (0x1F9A5, 0x1F9AA), (0x1F9AE, 0x1F9B4), (0x1F9B7, 0x1F9B7), (0x1F9BA, 0x1F9BA), (0x1F9BC, 0x1F9CA),
    (0x1F9D0, 0x1F9D0), (0x1F9DE, 0x1F9FF), (0x1FA70, 0x1FA73), (0x1FA78, 0x1FA7A), (0x1FA80, 0x1FA82),
    (0x1FA90, 0x1FA95),
];

/// Joined sequences that no other rule makes, longest first.
#[rustfmt::skip]
static JOINED: &[&str] = &[
    "\u{1f468}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f48b}\u{200d}\u{1f468}",
    "\u{1f469}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f48b}\u{200d}\u{1f468}",
    "\u{1f469}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f48b}\u{200d}\u{1f469}",
    "\u{1f468}\u{200d}\u{1f468}\u{200d}\u{1f466}\u{200d}\u{1f466}",
    "\u{1f468}\u{200d}\u{1f468}\u{200d}\u{1f467}\u{200d}\u{1f466}",
    "\u{1f468}\u{200d}\u{1f468}\u{200d}\u{1f467}\u{200d}\u{1f467}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f466}\u{200d}\u{1f466}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f467}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f466}\u{200d}\u{1f466}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f467}",
    "\u{1f468}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f468}", "\u{1f469}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f468}",
    "\u{1f469}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f469}", "\u{1f3f3}\u{fe0f}\u{200d}\u{26a7}\u{fe0f}",
    "\u{1f468}\u{200d}\u{1f466}\u{200d}\u{1f466}", "\u{1f468}\u{200d}\u{1f467}\u{200d}\u{1f466}",
    "\u{1f468}\u{200d}\u{1f467}\u{200d}\u{1f467}", "\u{1f468}\u{200d}\u{1f468}\u{200d}\u{1f466}",
    "\u{1f468}\u{200d}\u{1f468}\u{200d}\u{1f467}", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f466}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", "\u{1f469}\u{200d}\u{1f466}\u{200d}\u{1f466}",
    "\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}", "\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f467}",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f466}", "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}", "\u{1f3f4}\u{200d}\u{2620}\u{fe0f}",
    "\u{1f46f}\u{200d}\u{2640}\u{fe0f}", "\u{1f46f}\u{200d}\u{2642}\u{fe0f}",
    "\u{1f93c}\u{200d}\u{2640}\u{fe0f}", "\u{1f93c}\u{200d}\u{2642}\u{fe0f}",
    "\u{1f9de}\u{200d}\u{2640}\u{fe0f}", "\u{1f9de}\u{200d}\u{2642}\u{fe0f}",
    "\u{1f9df}\u{200d}\u{2640}\u{fe0f}", "\u{1f9df}\u{200d}\u{2642}\u{fe0f}", "\u{1f415}\u{200d}\u{1f9ba}",
    "\u{1f441}\u{200d}\u{1f5e8}", "\u{1f468}\u{200d}\u{1f466}", "\u{1f468}\u{200d}\u{1f467}",
    "\u{1f469}\u{200d}\u{1f466}", "\u{1f469}\u{200d}\u{1f467}",
];

/// Pairs of regional indicators that are flags, sorted.
#[rustfmt::skip]
static FLAGS: &[&str] = &[
    "AC", "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA",
    "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW",
    "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CP", "CR", "CU", "CV",
    "CW", "CX", "CY", "CZ", "DE", "DG", "DJ", "DK", "DM", "DO", "DZ", "EA", "EC", "EE", "EG", "EH", "ER", "ES",
    "ET", "EU", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM",
    "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "IC", "ID", "IE",
    "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN",
    "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC",
    "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW",
    "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE",
    "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW",
    "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST", "SV",
    "SX", "SY", "SZ", "TA", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV",
    "TW", "TZ", "UA", "UG", "UM", "UN", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS",
    "XK", "YE", "YT", "ZA", "ZM", "ZW",
];

/// England, Scotland, Wales.
#[rustfmt::skip]
static TAG_FLAGS: &[&str] = &[
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn length(text: &str) -> usize {
        emoji_length(&text.chars().collect::<Vec<_>>())
    }

    #[test]
    fn the_tables_are_sorted() {
        for table in [OBJECTS, GENDERED, VARIANTS, TONED_VARIANTS, TONED, PLAIN] {
            assert!(table.iter().all(|(first, last)| first <= last));
            assert!(table.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
        assert!(FLAGS.is_sorted());
    }

    #[test]
    fn one_emoji_is_one_sequence() {
        for whole in [
            "🎸",
            "👍🏽",
            "👩🏾‍🚀",
            "👩‍⚕️",
            "🏃🏻‍♀️",
            "🕵️‍♂️",
            "👩‍❤️‍💋‍👨",
            "👨‍👩‍👧‍👦",
            "🏴‍☠️",
            "🏳️‍🌈",
            "🇳🇿",
            "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "#️⃣",
            "9⃣",
            "©️",
            "☎",
            "☎️",
            "✌🏿",
            "👩🏻‍🤝‍👨🏿",
            "🧑‍🤝‍🧑",
            "👫🏽",
        ] {
            assert_eq!(length(whole), whole.chars().count(), "{whole}");
        }
    }

    #[test]
    fn what_is_not_listed_falls_apart() {
        for (text, expected) in [
            ("", 0),
            ("a", 0),
            ("1", 0),
            ("©", 0),
            ("☎\u{fe0e}", 0),
            ("é", 0),
            ("🇦🇦", 1),
            ("🎸\u{200d}🎸", 1),
            ("👩🏻‍🤝‍👨🏻", 2),
        ] {
            assert_eq!(length(text), expected, "{text}");
        }
    }
}
