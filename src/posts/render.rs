//! Posts as the network streams them: X API v1.1 statuses and v2 objects of the usual size, and control messages.

use std::sync::Arc;

use super::entities;
use super::json::{Json, object};
use super::post::{Post, Relation, User, short_url};
use crate::domain::Time;
use crate::wire::time;

/// Characters of a v1.1 status's `text`; what is longer comes as `extended_tweet`.
const COMPATIBLE_CHARACTERS_MAX: usize = 140;

/// Characters of a v2 post's `text`; what is longer comes as `note_tweet`.
const TEXT_CHARACTERS_MAX: usize = 280;

/// Characters that stay before the ellipsis and URL of a text that was cut.
const CUT_CHARACTERS: usize = 115;

/// A v1.1 status as the stream delivers it.
pub fn v1(post: &Post) -> Json {
    let mut status = status(post, true);
    let timestamp = post.time.0.to_string();
    status.extend([("filter_level", "low".into()), ("timestamp_ms", timestamp.into())]);
    status
}

/// A v2 object: `data`, `includes`, `matching_rules`.
pub fn v2(post: &Post) -> Json {
    let mut users: Vec<&Arc<User>> = vec![post.author()];
    let mut tweets = Vec::new();
    match &post.draft.relation {
        Relation::Own => {}
        Relation::Reply { to, .. } => users.push(to),
        Relation::Retweet(other) | Relation::Quote(other) => {
            users.push(other.author());
            tweets.push(data(other));
        }
    }
    users.dedup_by_key(|user| user.id);
    let mut includes = object([("users", users.into_iter().map(|user| user_v2(user)).collect::<Vec<_>>().into())]);
    if !tweets.is_empty() {
        includes.extend([("tweets", tweets.into())]);
    }
    let rule = object([("id", "1166916266197536768".into()), ("tag", "everything".into())]);
    object([("data", data(post)), ("includes", includes), ("matching_rules", vec![rule].into())])
}

/// A notice that a post was deleted.
pub fn deletion(post: u64, author: u64, at: Time) -> Json {
    let status = object([
        ("id", post.into()),
        ("id_str", post.to_string().into()),
        ("user_id", author.into()),
        ("user_id_str", author.to_string().into()),
    ]);
    object([("delete", object([("status", status), ("timestamp_ms", at.0.to_string().into())]))])
}

/// A message that posts were held back.
pub fn limit(track: u64, at: Time) -> Json {
    object([("limit", object([("track", track.into()), ("timestamp_ms", at.0.to_string().into())]))])
}

/// A message that the reader is slow.
pub fn warning(percent_full: u64) -> Json {
    object([(
        "warning",
        object([
            ("code", "FALLING_BEHIND".into()),
            ("message", "Your connection is falling behind and messages are being queued for delivery to you.".into()),
            ("percent_full", percent_full.into()),
        ]),
    )])
}

fn status(post: &Post, outermost: bool) -> Json {
    let draft = &post.draft;
    let full = entities::escape(&draft.text);
    let long =
        draft.text.chars().count() > COMPATIBLE_CHARACTERS_MAX && !matches!(draft.relation, Relation::Retweet(_));
    let text = if long { cut(&draft.text, post.id) } else { full.clone() };
    let (reply_post, reply_user) = match &draft.relation {
        Relation::Reply { post, to } => (*post, Some(to)),
        _ => (None, None),
    };
    let mut json = object([
        ("created_at", created_at(post.time).into()),
        ("id", post.id.into()),
        ("id_str", post.id.to_string().into()),
        ("text", text.as_str().into()),
        ("source", source(post).into()),
        ("truncated", long.into()),
        ("in_reply_to_status_id", reply_post.into()),
        ("in_reply_to_status_id_str", reply_post.map(|id| id.to_string()).into()),
        ("in_reply_to_user_id", reply_user.map(|user| user.id).into()),
        ("in_reply_to_user_id_str", reply_user.map(|user| user.id.to_string()).into()),
        ("in_reply_to_screen_name", reply_user.map(|user| user.handle.clone()).into()),
        ("user", user_v1(&draft.author)),
        ("geo", Json::Null),
        ("coordinates", Json::Null),
        ("place", Json::Null),
        ("contributors", Json::Null),
    ]);
    if outermost {
        json.extend(related(post));
    }
    if long {
        let extended = [
            ("full_text", full.as_str().into()),
            ("display_text_range", vec![0.into(), (full.chars().count() as u64).into()].into()),
            ("entities", entities::of_v1(&full, draft)),
        ];
        json.extend([("extended_tweet", object(extended))]);
    }
    json.extend([
        ("is_quote_status", matches!(draft.relation, Relation::Quote(_)).into()),
        ("quote_count", 0.into()),
        ("reply_count", 0.into()),
        ("retweet_count", 0.into()),
        ("favorite_count", 0.into()),
        ("entities", entities::of_v1(&text, draft)),
    ]);
    json.extend(draft.photo.map(|photo| ("extended_entities", object([("media", vec![media(photo)].into())]))));
    json.extend([("favorited", false.into()), ("retweeted", false.into()), ("possibly_sensitive", false.into())]);
    json.extend(edit_history(post));
    json.extend([("lang", draft.language.into())]);
    json
}

/// The posts inside a v1.1 status.
fn related(post: &Post) -> Vec<(&'static str, Json)> {
    match &post.draft.relation {
        Relation::Own | Relation::Reply { .. } => Vec::new(),
        Relation::Retweet(other) => vec![("retweeted_status", status(other, false))],
        Relation::Quote(other) => {
            let permalink = [
                ("url", short_url(other.id).into()),
                ("expanded", other.url().into()),
                ("display", "twitter.com/".into()),
            ];
            vec![
                ("quoted_status_id", other.id.into()),
                ("quoted_status_id_str", other.id.to_string().into()),
                ("quoted_status", status(other, false)),
                ("quoted_status_permalink", object(permalink)),
            ]
        }
    }
}

/// A picture with its sizes.
fn media(photo: u64) -> Json {
    let size = |w: u64, h: u64, resize: &str| object([("w", w.into()), ("h", h.into()), ("resize", resize.into())]);
    let sizes = [
        ("thumb", size(150, 150, "crop")),
        ("small", size(680, 510, "fit")),
        ("medium", size(1200, 900, "fit")),
        ("large", size(2048, 1536, "fit")),
    ];
    object([
        ("id", photo.into()),
        ("id_str", photo.to_string().into()),
        ("indices", vec![0.into(), 23.into()].into()),
        ("media_url", format!("http://pbs.twimg.com/media/{photo:x}.jpg").into()),
        ("media_url_https", format!("https://pbs.twimg.com/media/{photo:x}.jpg").into()),
        ("url", short_url(photo).into()),
        ("display_url", format!("pic.twitter.com/{photo:x}").into()),
        ("expanded_url", format!("https://twitter.com/i/web/status/{photo}/photo/1").into()),
        ("type", "photo".into()),
        ("sizes", object(sizes)),
    ])
}

fn edit_history(post: &Post) -> Option<(&'static str, Json)> {
    let ids: Vec<Json> = post.versions.iter().map(|id| id.to_string().into()).collect();
    let history = object([("initial_tweet_id", post.first_id().to_string().into()), ("edit_tweet_ids", ids.into())]);
    (post.versions.len() > 1).then_some(("edit_history", history))
}

fn user_v1(user: &User) -> Json {
    let image = format!("https://pbs.twimg.com/profile_images/{}/portrait_normal.jpg", user.id);
    object([
        ("id", user.id.into()),
        ("id_str", user.id.to_string().into()),
        ("name", user.name.as_str().into()),
        ("screen_name", user.handle.as_str().into()),
        ("location", user.place.map(str::to_owned).into()),
        ("url", Json::Null),
        ("description", user.about.as_str().into()),
        ("translator_type", "none".into()),
        ("protected", false.into()),
        ("verified", (user.followers > 100_000).into()),
        ("followers_count", user.followers.into()),
        ("friends_count", (user.followers / 2 + 11).into()),
        ("listed_count", (user.followers / 100).into()),
        ("favourites_count", (user.posts / 3).into()),
        ("statuses_count", user.posts.into()),
        ("created_at", created_at(user.joined).into()),
        ("utc_offset", Json::Null),
        ("time_zone", Json::Null),
        ("geo_enabled", false.into()),
        ("lang", Json::Null),
        ("contributors_enabled", false.into()),
        ("is_translator", false.into()),
        ("profile_background_color", "F5F8FA".into()),
        ("profile_background_image_url", "".into()),
        ("profile_background_image_url_https", "".into()),
        ("profile_background_tile", false.into()),
        ("profile_link_color", "1DA1F2".into()),
        ("profile_sidebar_border_color", "C0DEED".into()),
        ("profile_sidebar_fill_color", "DDEEF6".into()),
        ("profile_text_color", "333333".into()),
        ("profile_use_background_image", true.into()),
        ("profile_image_url", image.replace("https", "http").into()),
        ("profile_image_url_https", image.into()),
        ("profile_banner_url", format!("https://pbs.twimg.com/profile_banners/{}/1500x500", user.id).into()),
        ("default_profile", true.into()),
        ("default_profile_image", false.into()),
        ("following", Json::Null),
        ("follow_request_sent", Json::Null),
        ("notifications", Json::Null),
        ("withheld_in_countries", Json::List(Vec::new())),
    ])
}

fn data(post: &Post) -> Json {
    let draft = &post.draft;
    let full = entities::escape(&draft.text);
    let long = draft.text.chars().count() > TEXT_CHARACTERS_MAX;
    let text = if long { cut(&draft.text, post.id) } else { full.clone() };
    let (kind, other, to) = match &draft.relation {
        Relation::Own => (None, None, None),
        Relation::Reply { post, to } => (post.map(|_| "replied_to"), *post, Some(to.id)),
        Relation::Retweet(other) => (Some("retweeted"), Some(other.id), None),
        Relation::Quote(other) => (Some("quoted"), Some(other.id), None),
    };
    let conversation = other.filter(|_| kind == Some("replied_to")).unwrap_or(post.first_id());
    let versions: Vec<Json> = post.versions.iter().map(|id| id.to_string().into()).collect();
    let counts = ["retweet_count", "reply_count", "like_count", "quote_count"].map(|name| (name, 0.into()));
    let mut data = object([
        ("author_id", draft.author.id.to_string().into()),
        ("conversation_id", conversation.to_string().into()),
        ("created_at", time::format(post.time).into()),
        ("edit_history_tweet_ids", versions.into()),
        ("id", post.id.to_string().into()),
        ("lang", draft.language.into()),
        ("possibly_sensitive", false.into()),
        ("public_metrics", object(counts)),
        ("reply_settings", "everyone".into()),
        ("text", text.as_str().into()),
    ]);
    data.extend(entities::of_v2(&text, draft).map(|entities| ("entities", entities)));
    data.extend(to.map(|user| ("in_reply_to_user_id", user.to_string().into())));
    if let (Some(kind), Some(other)) = (kind, other) {
        let reference = object([("type", kind.into()), ("id", other.to_string().into())]);
        data.extend([("referenced_tweets", vec![reference].into())]);
    }
    if long {
        let mut note = object([("text", full.as_str().into())]);
        note.extend(entities::of_v2(&full, draft).map(|entities| ("entities", entities)));
        data.extend([("note_tweet", note)]);
    }
    data
}

fn user_v2(user: &User) -> Json {
    let counts = [
        ("followers_count", user.followers.into()),
        ("following_count", (user.followers / 2 + 11).into()),
        ("tweet_count", user.posts.into()),
        ("listed_count", (user.followers / 100).into()),
    ];
    object([
        ("created_at", time::format(user.joined).into()),
        ("description", user.about.as_str().into()),
        ("id", user.id.to_string().into()),
        ("location", user.place.unwrap_or("").into()),
        ("name", user.name.as_str().into()),
        ("profile_image_url", format!("https://pbs.twimg.com/profile_images/{}/portrait_normal.jpg", user.id).into()),
        ("protected", false.into()),
        ("public_metrics", object(counts)),
        ("url", "".into()),
        ("username", user.handle.as_str().into()),
        ("verified", (user.followers > 100_000).into()),
    ])
}

/// The beginning of a long text, an ellipsis and the post's own URL, escaped.
fn cut(text: &str, id: u64) -> String {
    let head: String = text.chars().take(CUT_CHARACTERS).collect();
    format!("{}… {}", entities::escape(&head), short_url(id))
}

fn source(post: &Post) -> &'static str {
    const SOURCES: [&str; 3] = [
        "<a href=\"http://twitter.com/download/iphone\" rel=\"nofollow\">Twitter for iPhone</a>",
        "<a href=\"http://twitter.com/download/android\" rel=\"nofollow\">Twitter for Android</a>",
        "<a href=\"https://mobile.twitter.com\" rel=\"nofollow\">Twitter Web App</a>",
    ];
    SOURCES[(post.draft.author.id % 3) as usize]
}

/// `Tue Feb 12 15:01:00 +0000 2013`
pub fn created_at(time: Time) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    moment.strftime("%a %b %d %H:%M:%S +0000 %Y").to_string()
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
