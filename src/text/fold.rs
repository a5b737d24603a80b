//! Simple Unicode case folding, the network's notion of one hashtag in two spellings.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Folds each char by CaseFolding.txt, statuses C and S. Nothing is normalised: `ß` is not `ss`, and full-width letters
/// stay apart from ASCII.
pub fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

/// Every char that folds as `c` does, `c` included, in code point order: for `k` these are `K`, `k` and the kelvin
/// sign.
pub fn spellings(c: char) -> impl Iterator<Item = char> {
    let all = spelling_table().get(&fold_char(c)).map_or(&[][..], Vec::as_slice);
    // A char without case is not in the table.
    let alone = all.is_empty().then_some(c);
    all.iter().copied().chain(alone)
}

fn fold_char(c: char) -> char {
    let folded = unicode_case_mapping::case_folded(c).and_then(|code| char::from_u32(code.get()));
    folded.unwrap_or(c)
}

/// The chars of each class with more than one, by what they fold to.
fn spelling_table() -> &'static HashMap<char, Vec<char>> {
    static TABLE: OnceLock<HashMap<char, Vec<char>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table: HashMap<char, Vec<char>> = HashMap::new();
        for c in '\0'..=char::MAX {
            let folded = fold_char(c);
            if folded != c {
                // What a char folds to folds to itself, so it belongs to the class from the start.
                table.entry(folded).or_insert_with(|| vec![folded]).push(c);
            }
        }
        table.values_mut().for_each(|class| class.sort_unstable());
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(c: char) -> String {
        spellings(c).collect()
    }

    #[test]
    fn folds_each_char_to_one() {
        assert_eq!(fold("KaufHörer"), "kaufhörer");
        assert_eq!(fold("ΣΑΣ σας"), "σασ σασ");
        assert_eq!(fold("\u{212a}\u{17f}"), "ks");
        assert_eq!(fold("Straße ẞ"), "straße ß");
        assert_eq!(fold("ＢＵＹ"), "ｂｕｙ");
        assert_eq!(fold("買う123"), "買う123");
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for c in '\0'..=char::MAX {
            assert_eq!(fold_char(fold_char(c)), fold_char(c), "{c:?}");
        }
    }

    #[test]
    fn spellings_are_the_inverse() {
        assert_eq!(spelled('k'), "Kk\u{212a}");
        assert_eq!(spelled('K'), spelled('k'));
        assert_eq!(spelled('S'), "Ss\u{17f}");
        assert_eq!(spelled('σ'), "Σςσ");
        assert_eq!(spelled('5'), "5");
        assert_eq!(spelled('買'), "買");
    }
}
