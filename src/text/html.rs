//! The HTML escapes in payload texts.

use std::borrow::Cow;

/// Resolves the entities that the network writes, once: `&amp;lt;` is `&lt;`. Any other `&` stays.
pub fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let (plain, mut rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len());
    out.push_str(plain);
    while let Some(c) = rest.chars().next() {
        match ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity)) {
            Some((entity, meaning)) => {
                out.push(*meaning);
                rest = &rest[entity.len()..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        let plain = memchr::memchr(b'&', rest.as_bytes()).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
    }
    Cow::Owned(out)
}

const ENTITIES: [(&str, char); 6] =
    [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\''), ("&apos;", '\'')];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_each_entity_once() {
        assert_eq!(unescape("a &lt; b &amp;&amp; c &gt; d"), "a < b && c > d");
        assert_eq!(unescape("&quot;it&#39;s&apos;&quot;"), "\"it's'\"");
        assert_eq!(unescape("&amp;lt; &amp;amp;"), "&lt; &amp;");
    }

    #[test]
    fn leaves_the_rest() {
        assert!(matches!(unescape("5 > 4 é"), Cow::Borrowed(_)));
        assert_eq!(unescape("&"), "&");
        assert_eq!(unescape("&nbsp;é&#38;&AMP;&é&amp"), "&nbsp;é&#38;&AMP;&é&amp");
    }
}
