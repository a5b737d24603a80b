//! Entities of a text: hashtags, mentions and URLs, at code points of the text as it is published (HTML-escaped).
//!
//! The texts of the demo are simple, and so is this scan; it is not the one by which the service reads them.

use super::json::{Json, object};
use super::post::{Draft, Relation, Url, User};

/// Something found in a text, from code point `start` up to `end`, exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub start: u64,
    pub end: u64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Without `#`.
    Hashtag(String),
    /// Without `@`.
    Mention(String),
    Url(String),
}

/// `&`, `<` and `>` as networks publish them.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The entities of an escaped text, in order.
pub fn scan(escaped: &str) -> Vec<Entity> {
    let text: Vec<char> = escaped.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let free = at == 0 || !is_word(text[at - 1]);
        let len = if free { entity_length(&text[at..]) } else { 0 };
        if len == 0 {
            at += 1;
            continue;
        }
        let end = at + len;
        let name = || text[at + 1..end].iter().collect::<String>();
        let what = match text[at] {
            '@' => What::Mention(name()),
            '#' | '＃' => What::Hashtag(name()),
            _ => What::Url(text[at..end].iter().collect()),
        };
        // What an ellipsis cut short is no entity any more.
        if text.get(end) != Some(&'…') {
            found.push(Entity { start: at as u64, end: end as u64, what });
        }
        at = end;
    }
    found
}

/// The `entities` of a v1.1 status.
pub fn of_v1(escaped: &str, draft: &Draft) -> Json {
    let (mut hashtags, mut urls, mut mentions) = (Vec::new(), Vec::new(), Vec::new());
    for Entity { start, end, what } in scan(escaped) {
        let indices = ("indices", vec![start.into(), end.into()].into());
        match what {
            What::Hashtag(text) => hashtags.push(object([("text", text.into()), indices])),
            What::Mention(handle) => {
                if let Some(user) = known(&handle, draft) {
                    mentions.push(object([
                        ("screen_name", user.handle.as_str().into()),
                        ("name", user.name.as_str().into()),
                        ("id", user.id.into()),
                        ("id_str", user.id.to_string().into()),
                        indices,
                    ]));
                }
            }
            What::Url(short) => urls.push(object([
                ("url", short.as_str().into()),
                ("expanded_url", expanded(&short, &draft.urls).into()),
                ("display_url", displayed(expanded(&short, &draft.urls)).into()),
                indices,
            ])),
        }
    }
    object([
        ("hashtags", hashtags.into()),
        ("urls", urls.into()),
        ("user_mentions", mentions.into()),
        ("symbols", Json::List(Vec::new())),
    ])
}

/// The `entities` of a v2 post; `None` where there are none, as that version has it.
pub fn of_v2(escaped: &str, draft: &Draft) -> Option<Json> {
    let (mut hashtags, mut urls, mut mentions) = (Vec::new(), Vec::new(), Vec::new());
    for Entity { start, end, what } in scan(escaped) {
        let mut entity = object([("start", start.into()), ("end", end.into())]);
        match what {
            What::Hashtag(tag) => {
                entity.extend([("tag", tag.into())]);
                hashtags.push(entity);
            }
            What::Mention(handle) => {
                let id = known(&handle, draft).map(|user| ("id", user.id.to_string().into()));
                entity.extend([("username", handle.into())]);
                entity.extend(id);
                mentions.push(entity);
            }
            What::Url(short) => {
                let target = expanded(&short, &draft.urls);
                let displayed = displayed(target);
                let members = [("expanded_url", target.into()), ("display_url", displayed.into())];
                entity.extend([("url", short.as_str().into())].into_iter().chain(members));
                urls.push(entity);
            }
        }
    }
    let lists = [("hashtags", hashtags), ("mentions", mentions), ("urls", urls)];
    let members: Vec<_> = lists.into_iter().filter(|(_, list)| !list.is_empty()).collect();
    (!members.is_empty()).then(|| Json::Object(members.into_iter().map(|(name, list)| (name, list.into())).collect()))
}

/// Code points of the entity that begins here; zero if none does.
fn entity_length(text: &[char]) -> usize {
    const SHORT: &str = "https://t.co/";
    let run = |from: usize, belongs: fn(char) -> bool| text[from..].iter().take_while(|c| belongs(**c)).count();
    match text.first() {
        Some('@') => match run(1, |c| c.is_ascii_alphanumeric() || c == '_') {
            0 => 0,
            len => len + 1,
        },
        Some('#' | '＃') => {
            let len = run(1, is_word);
            if text[1..=len].iter().any(|c| !c.is_numeric()) { len + 1 } else { 0 }
        }
        Some('h') if text.len() > SHORT.len() && SHORT.chars().eq(text[..SHORT.len()].iter().copied()) => {
            SHORT.len() + run(SHORT.len(), |c| c.is_ascii_alphanumeric())
        }
        _ => 0,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The users that the simulation can name beside a handle: whom the post answers, retweets or quotes.
fn known<'a>(handle: &str, draft: &'a Draft) -> Option<&'a User> {
    let other = match &draft.relation {
        Relation::Own => return None,
        Relation::Reply { to, .. } => to,
        Relation::Retweet(post) | Relation::Quote(post) => post.author(),
    };
    (other.handle == handle).then_some(other)
}

fn expanded<'a>(short: &'a str, urls: &'a [Url]) -> &'a str {
    urls.iter().find(|url| url.short == short).map_or(short, |url| &url.expanded)
}

fn displayed(url: &str) -> String {
    const CHARACTERS_MAX: usize = 26;
    let bare = url.trim_start_matches("https://").trim_start_matches("http://");
    if bare.chars().count() <= CHARACTERS_MAX {
        return bare.to_owned();
    }
    bare.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, u64, u64)]) {
        let found = scan(&escape(text));
        let found: Vec<_> = found
            .iter()
            .map(|e| match &e.what {
                What::Hashtag(s) => (format!("#{s}"), e.start, e.end),
                What::Mention(s) => (format!("@{s}"), e.start, e.end),
                What::Url(s) => (s.clone(), e.start, e.end),
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(s, a, b)| ((*s).to_owned(), *a, *b)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn entities_stand_at_code_points_of_the_escaped_text() {
        check("🎁 & #Buy_1!", &[("#Buy_1", 8, 14)]);
        check(
            "＃BuyIt @some_one: https://t.co/abc123",
            &[("#BuyIt", 0, 6), ("@some_one", 7, 16), ("https://t.co/abc123", 18, 37)],
        );
        check("a#b # #1 #日本", &[("#日本", 9, 12)]);
        check("RT @me: cut #Buy…", &[("@me", 3, 6)]);
        check("#", &[]);
        check("https://t.co/", &[]);
    }
}
