//! Posts and other records as bytes. Built by pushing strings: a seed has thousands.

use std::fmt::Write as _;

use super::chance::mixed;
use super::goods::{Goods, TagId};
use super::post::{Author, Echoed, Near, Post, Relation, Word};
use crate::domain::{AccountId, CardStatus, LinkChange, LinkMessage, PromptFate, Time};
use crate::wire::time;

/// How a post is written down. Follows from its id, so that writing it again gives the same bytes.
#[derive(Clone, Copy)]
struct Style {
    bits: u64,
    /// Hashtags stand in published entities.
    entities: bool,
    /// The text is cut, and stands whole in `extended_tweet`.
    extended: bool,
}

const PLAIN: [&str; 14] = [
    "coffee",
    "monday",
    "#fail",
    "@someone",
    "rain",
    "\\u2603",
    "http://t.co/x",
    "tea",
    "a",
    "&amp;",
    "&lt;3",
    "buying",
    "confirm",
    "schön",
];

/// The record of a post.
pub(super) fn post(post: &Post, goods: &Goods) -> Vec<u8> {
    let style = Style::of(post);
    let mut out = String::with_capacity(700);
    if post.v2 {
        v2(&mut out, post, goods, style)
    } else {
        v1(&mut out, post, goods, style)
    }
    out.into_bytes()
}

pub(super) fn deletion(post: u64, user: u64, at: Option<i64>, v2: bool) -> Vec<u8> {
    let mut out = String::with_capacity(200);
    match at {
        Some(at) if v2 => push(
            &mut out,
            format_args!(
                r#"{{"data":{{"delete":{{"tweet":{{"id":"{post}","author_id":"{user}"}},"event_at":"{}"}}}}}}"#,
                time::format(Time(at))
            ),
        ),
        Some(at) => push(
            &mut out,
            format_args!(
                r#"{{"delete":{{"status":{{"id":{post},"id_str":"{post}","user_id":{user},"user_id_str":"{user}"}},"timestamp_ms":"{at}"}}}}"#
            ),
        ),
        None => {
            push(&mut out, format_args!(r#"{{"delete":{{"status":{{"id_str":"{post}","user_id_str":"{user}"}}}}}}"#))
        }
    }
    out.into_bytes()
}

pub(super) fn link(account: AccountId, message: &LinkMessage) -> Vec<u8> {
    let at = time::format(message.at);
    let text = match &message.change {
        LinkChange::Link(link) => format!(
            r#"{{"type":"link","account":"{account}","card":"{}","country":"{}","handle":"{}","email_ref":"{}","billing_ref":"{}","at":"{at}"}}"#,
            link.card, link.country, link.handle, link.email_ref, link.billing_ref
        ),
        LinkChange::Unlink | LinkChange::Freeze(_) => {
            format!(r#"{{"type":"unlink","account":"{account}","at":"{at}"}}"#)
        }
        LinkChange::Card(status) => {
            let status = match status {
                CardStatus::Active => "active",
                CardStatus::Suspended => "suspended",
                CardStatus::Cancelled => "cancelled",
            };
            format!(r#"{{"type":"card","account":"{account}","status":"{status}","at":"{at}"}}"#)
        }
    };
    text.into_bytes()
}

pub(super) fn posted(account: AccountId, fate: &PromptFate) -> Vec<u8> {
    let (reply, at) = (fate.reply, time::format(fate.at));
    let text = match &fate.outcome {
        Ok(post) => format!(r#"{{"reply":"{reply}","account":"{account}","post":"{}","at":"{at}"}}"#, post.0),
        Err(why) => format!(r#"{{"reply":"{reply}","account":"{account}","failed":"{why}","at":"{at}"}}"#),
    };
    text.into_bytes()
}

impl Style {
    fn of(post: &Post) -> Style {
        let bits = mixed(post.id, 3);
        let unpublished = post.words.iter().any(|word| matches!(word, Word::Near(Near::Unpublished, _)));
        let echoes = matches!(post.relation, Relation::Retweet(_) | Relation::Quote(_));
        Style { bits, entities: unpublished || bits & 1 == 0, extended: !echoes && bits & 6 == 0 }
    }

    fn of_echoed(self) -> Style {
        Style { bits: self.bits.rotate_left(17), entities: self.bits & 8 == 0, extended: false }
    }
}

fn v1(out: &mut String, post: &Post, goods: &Goods, style: Style) {
    let id = post.id;
    if style.bits & 16 == 0 {
        // Says nothing: the id tells the time.
        out.push_str(r#"{"created_at":"Tue Feb 12 15:01:00 +0000 2013","#);
    } else {
        out.push('{');
    }
    push(out, format_args!(r#""id":{id},"id_str":"{id}","#));
    let mut text = String::with_capacity(160);
    words(&mut text, post, goods, style);
    if style.extended {
        out.push_str(r#""text":"And so on\u2026 https://t.co/abc","truncated":true,"extended_tweet":{"full_text":""#);
        out.push_str(&text);
        out.push('"');
        entities(out, post.tags(), goods, style, "text");
        out.push('}');
    } else {
        let key = if style.bits & 32 == 0 { "full_text" } else { "text" };
        push(out, format_args!(r#""{key}":"{text}","truncated":false"#));
    }
    if !style.extended {
        entities(out, post.tags(), goods, style, "text");
    }
    match &post.relation {
        Relation::Reply { post, to } => reply_fields(out, *post, to.user),
        Relation::Retweet(echoed) => {
            out.push_str(r#","retweeted_status":"#);
            v1_echoed(out, echoed, goods, style.of_echoed());
        }
        Relation::Quote(echoed) => {
            push(out, format_args!(r#","is_quote_status":true,"quoted_status_id_str":"{}","#, echoed.id));
            out.push_str(r#""quoted_status":"#);
            v1_echoed(out, echoed, goods, style.of_echoed());
        }
        Relation::Own | Relation::Manual { .. } => {}
    }
    if post.first != post.id {
        let first = post.first;
        push(
            out,
            format_args!(r#","edit_history":{{"initial_tweet_id":"{first}","edit_tweet_ids":["{first}","{id}"]}}"#),
        );
    }
    push(out, format_args!(r#","user":{{"id":{0},"id_str":"{0}","#, post.author.user));
    push(out, format_args!(r#""screen_name":"{}","description":""#, post.author.handle));
    match post.profile {
        Some(tag) => push(out, format_args!("#{} fan", goods.text(tag).published)),
        None => out.push_str("just me"),
    }
    push(out, format_args!(r#"","verified":false}},"lang":"en","timestamp_ms":"{}"}}"#, post.time()));
}

fn v1_echoed(out: &mut String, echoed: &Echoed, goods: &Goods, style: Style) {
    let id = echoed.id;
    push(out, format_args!(r#"{{"id":{id},"id_str":"{id}","text":""#));
    echoed_words(out, echoed, goods, style);
    out.push('"');
    entities(out, echoed.tags.iter().copied(), goods, style, "text");
    if let Some(user) = echoed.reply_to_user {
        reply_fields(out, echoed.reply_to, user);
    }
    let Author { user, handle } = &echoed.author;
    push(out, format_args!(r#","user":{{"id":{user},"id_str":"{user}","screen_name":"{handle}"}}}}"#));
}

fn reply_fields(out: &mut String, post: Option<u64>, user: u64) {
    if let Some(post) = post {
        push(out, format_args!(r#","in_reply_to_status_id":{post},"in_reply_to_status_id_str":"{post}""#));
    }
    push(out, format_args!(r#","in_reply_to_user_id":{user},"in_reply_to_user_id_str":"{user}""#));
}

fn v2(out: &mut String, post: &Post, goods: &Goods, style: Style) {
    let Post { id, first, author, .. } = post;
    push(out, format_args!(r#"{{"data":{{"author_id":"{}","#, author.user));
    if style.bits & 16 == 0 {
        push(out, format_args!(r#""id":"{id}","#));
    }
    out.push_str(r#""text":""#);
    words(out, post, goods, style);
    out.push('"');
    if style.bits & 16 != 0 {
        push(out, format_args!(r#","id":"{id}""#));
    }
    if first == id {
        push(out, format_args!(r#","edit_history_tweet_ids":["{id}"]"#));
    } else {
        push(out, format_args!(r#","edit_history_tweet_ids":["{first}","{id}"]"#));
    }
    v2_entities(out, post, goods, style);
    let echoed = match &post.relation {
        Relation::Reply { post, to } => {
            push(out, format_args!(r#","in_reply_to_user_id":"{}""#, to.user));
            v2_reference(out, *post, "replied_to");
            None
        }
        Relation::Retweet(echoed) => {
            v2_reference(out, Some(echoed.id), "retweeted");
            Some(echoed)
        }
        Relation::Quote(echoed) => {
            v2_reference(out, Some(echoed.id), "quoted");
            Some(echoed)
        }
        Relation::Own | Relation::Manual { .. } => None,
    };
    let who = if post.unnamed { (7, "nobody") } else { (author.user, &*author.handle) };
    push(out, format_args!(r#"}},"includes":{{"users":[{{"id":"{}","username":"{}"}}"#, who.0, who.1));
    let included = echoed.filter(|echoed| echoed.included);
    if let Some(echoed) = included {
        push(out, format_args!(r#",{{"id":"{}","username":"{}"}}"#, echoed.author.user, echoed.author.handle));
    }
    out.push(']');
    if let Some(echoed) = included {
        push(out, format_args!(r#","tweets":[{{"id":"{}","author_id":"{}","text":""#, echoed.id, echoed.author.user));
        echoed_words(out, echoed, goods, style.of_echoed());
        out.push('"');
        entities(out, echoed.tags.iter().copied(), goods, style.of_echoed(), "tag");
        if let Some(user) = echoed.reply_to_user {
            push(out, format_args!(r#","in_reply_to_user_id":"{user}""#));
        }
        v2_reference(out, echoed.reply_to, "replied_to");
        out.push_str("}]");
    }
    out.push_str("}}");
}

/// A quote that doesn't include the quoted post names its author by the post's URL.
fn v2_entities(out: &mut String, post: &Post, goods: &Goods, style: Style) {
    match &post.relation {
        Relation::Quote(echoed) if !echoed.included => {
            let mut url = String::new();
            push(
                &mut url,
                format_args!(r#""expanded_url":"https://twitter.com/{}/status/{}""#, echoed.author.handle, echoed.id),
            );
            let mut tags = String::new();
            entities(&mut tags, post.tags(), goods, Style { entities: true, ..style }, "tag");
            tags.truncate(tags.len() - 1);
            push(out, format_args!(r#"{tags},"urls":[{{{url}}}]}}"#));
        }
        _ => entities(out, post.tags(), goods, style, "tag"),
    }
}

fn v2_reference(out: &mut String, post: Option<u64>, kind: &str) {
    if let Some(post) = post {
        push(out, format_args!(r#","referenced_tweets":[{{"type":"{kind}","id":"{post}"}}]"#));
    }
}

/// Published hashtags, as the text spells them.
fn entities(out: &mut String, tags: impl Iterator<Item = TagId>, goods: &Goods, style: Style, key: &str) {
    if !style.entities {
        return;
    }
    out.push_str(r#","entities":{"hashtags":["#);
    for (place, tag) in tags.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        push(out, format_args!(r#"{comma}{{"{key}":""#));
        spelled(out, &goods.text(tag).published, style, false);
        out.push_str(r#"","indices":[0,1]}"#);
    }
    out.push_str("]}");
}

fn words(out: &mut String, post: &Post, goods: &Goods, style: Style) {
    match &post.relation {
        Relation::Own | Relation::Quote(_) => {}
        Relation::Reply { to, .. } => push(out, format_args!("@{} ", to.handle)),
        Relation::Manual { of, .. } if style.bits & 64 == 0 => push(out, format_args!("RT @{}: ", of.handle)),
        Relation::Manual { of, .. } => push(out, format_args!("yes! RT @{} ", of.handle)),
        Relation::Retweet(echoed) => {
            push(out, format_args!("RT @{}: ", echoed.author.handle));
            echoed_words(out, echoed, goods, style);
            return;
        }
    }
    if post.cancels {
        out.push_str(if style.bits & 128 == 0 { "Cancel that, please. " } else { "cancel! " });
    }
    for word in &post.words {
        match word {
            Word::Tag(tag) => {
                sign(out, style);
                spelled(out, &goods.text(*tag).published, style, true);
            }
            Word::Near(near, tag) => nearly(out, *near, &goods.text(*tag).published),
            Word::Plain(word) => out.push_str(PLAIN[usize::from(*word) % PLAIN.len()]),
        }
        out.push(' ');
    }
    if matches!(post.relation, Relation::Quote(_)) {
        out.push_str("https://t.co/abcdefghij");
    }
}

/// What a prompt says, or anybody.
fn echoed_words(out: &mut String, echoed: &Echoed, goods: &Goods, style: Style) {
    if echoed.reply_to_user.is_some() {
        out.push_str("@you ");
    }
    out.push_str("Tweet ");
    for tag in &echoed.tags {
        sign(out, style);
        spelled(out, &goods.text(*tag).published, style, true);
        out.push(' ');
    }
    out.push_str("w/in 15 min");
}

fn sign(out: &mut String, style: Style) {
    out.push_str(match style.bits >> 8 & 7 {
        0 => "\\u0023",
        1 => "＃",
        2 => "\\uff03",
        _ => "#",
    });
}

/// A tag in one of the spellings that mean the same.
fn spelled(out: &mut String, tag: &str, style: Style, in_text: bool) {
    let case = style.bits >> 12 & 7;
    let escaped = if in_text { (style.bits >> 16 & 31) as usize } else { usize::MAX };
    for (place, c) in tag.chars().enumerate() {
        let c = match case {
            0 => c.to_lowercase().next().unwrap_or(c),
            1 => c.to_uppercase().next().unwrap_or(c),
            // The kelvin sign and the long s.
            2 if c == 'k' => '\u{212a}',
            2 if c == 's' => '\u{17f}',
            _ => c,
        };
        if place == escaped {
            push(out, format_args!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
}

fn nearly(out: &mut String, near: Near, tag: &str) {
    match near {
        Near::Longer => push(out, format_args!("#{tag}z")),
        Near::Shorter => push(out, format_args!("#{}", &tag[..tag.len() - 1])),
        Near::NoSign => out.push_str(tag),
        Near::InAWord => push(out, format_args!("x#{tag}")),
        Near::InAUrl => push(out, format_args!("http://example.com/a#{tag}")),
        Near::AHandle => push(out, format_args!("@{tag}")),
        Near::WithNumber => push(out, format_args!("#{tag}_2")),
        Near::AfterAmpersand => push(out, format_args!("&amp;#{tag}")),
        Near::Unpublished => push(out, format_args!("#{tag}")),
    }
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a string takes all");
}
