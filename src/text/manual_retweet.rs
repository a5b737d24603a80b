//! Retweets that people type: `RT @handle` and a copy of the text.

/// The handle, without its sign, of the first `RT @handle` that stands at the start or after white space. `RT` is read
/// in either case. A handle is at most 20 characters, as in twitter-text; what follows them is not looked at.
pub fn manual_retweet_of(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    let mut before = words.next()?;
    for word in words {
        if before.eq_ignore_ascii_case("rt")
            && let Some(handle) = mentioned(word)
        {
            return Some(handle);
        }
        before = word;
    }
    None
}

const MAX_HANDLE_LENGTH: usize = 20;

fn mentioned(word: &str) -> Option<&str> {
    let name = word.strip_prefix(['@', '＠'])?;
    let is_legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let length = name.bytes().take(MAX_HANDLE_LENGTH).take_while(|&b| is_legal(b)).count();
    (length > 0).then(|| &name[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_handle() {
        assert_eq!(manual_retweet_of("RT @shop_1: today only #buy"), Some("shop_1"));
        assert_eq!(manual_retweet_of("so good! rt\n ＠Shop #buy RT @other"), Some("Shop"));
        assert_eq!(manual_retweet_of("RT RT @a"), Some("a"));
        assert_eq!(manual_retweet_of("RT @ RT @b"), Some("b"));
        assert_eq!(manual_retweet_of("RT @abcdefghijklmnopqrstuvwxyz"), Some("abcdefghijklmnopqrst"));
    }

    #[test]
    fn other_texts_are_no_retweets() {
        for text in
            ["", "RT", "RT @", "RT@shop", "RT: @shop", "ART @shop", "\"RT @shop", "RT @é", "RT shop", "@shop RT"]
        {
            assert_eq!(manual_retweet_of(text), None, "{text}");
        }
    }
}
