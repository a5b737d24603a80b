use super::*;
use crate::posts::json::Style;
use crate::posts::post::{Draft, Url};
use serde_json::Value;

const LONG: &str = "A text that is longer than a status of the old kind may be, with an & and a < and some 日本語 before it \
    comes to its point, which stands at the very end, behind everything that a cut text shows of it; and since the newer \
    kind may be twice as long it goes on for a while, and another while, until it is long enough: #BuyTheThing";

fn user(id: u64, handle: &str) -> Arc<User> {
    Arc::new(User {
        id,
        handle: handle.to_owned(),
        name: "Zoë <z> & \"co\" 🌻".to_owned(),
        about: "a / b #NotATag".to_owned(),
        place: Some("東京"),
        joined: Time(1_325_376_000_000),
        followers: 12,
        posts: 34,
    })
}

fn post(id: u64, draft: Draft) -> Arc<Post> {
    let time = Time::of_snowflake(id).unwrap();
    Arc::new(Post { id, time, draft, versions: vec![id] })
}

/// Renders in every style, which must all say the same.
fn parsed(json: &Json) -> Value {
    let plain: Value = serde_json::from_str(&json.render(Style::default())).unwrap();
    let style = Style { slashes: true, non_ascii: true, angles: true };
    let escaped: Value = serde_json::from_str(&json.render(style)).unwrap();
    assert_eq!(plain, escaped);
    plain
}

/// Each entity of a list stands where its indices say.
fn check_hashtags(text: &str, entities: &Value, expected: &[&str]) {
    let empty = Vec::new();
    let tags = entities["hashtags"].as_array().unwrap_or(&empty);
    let found: Vec<String> =
        tags.iter().map(|tag| tag["text"].as_str().or(tag["tag"].as_str()).unwrap().to_owned()).collect();
    assert_eq!(found, expected, "{text}");
    for tag in tags {
        let index = |place: usize, name: &str| tag["indices"][place].as_u64().or(tag[name].as_u64()).unwrap() as usize;
        let (start, end) = (index(0, "start"), index(1, "end"));
        let slice: String = text.chars().skip(start).take(end - start).collect();
        let name = tag["text"].as_str().or(tag["tag"].as_str()).unwrap();
        assert_eq!(slice.trim_start_matches(['#', '＃']), name, "{text}");
    }
}

const ID: u64 = 1_750_000_000_000_000_017;

#[test]
fn a_plain_post_has_its_fields() {
    let post = post(ID, Draft::own(&user(9_007_199_254_740_995, "zoe_z"), "🎁 & ＃BuyMe https://t.co/abc"));
    let post = Arc::new(Post {
        draft: Draft {
            urls: vec![Url { short: "https://t.co/abc".into(), expanded: "https://x.example/#BuyOther".into() }],
            ..post.draft.clone()
        },
        ..(*post).clone()
    });
    let status = parsed(&v1(&post));
    assert_eq!(status["id"], ID);
    assert_eq!(status["id_str"], ID.to_string());
    assert_eq!(status["text"], "🎁 &amp; ＃BuyMe https://t.co/abc");
    assert_eq!(status["timestamp_ms"], post.time.0.to_string());
    assert_eq!(status["user"]["id_str"], "9007199254740995");
    assert_eq!(status["user"]["screen_name"], "zoe_z");
    assert_eq!(status["created_at"], "Wed Jan 24 03:38:08 +0000 2024");
    assert_eq!(status["entities"]["urls"][0]["expanded_url"], "https://x.example/#BuyOther");
    assert!(status["source"].as_str().unwrap().starts_with("<a href="));
    assert!(status["in_reply_to_status_id_str"].is_null() && status.get("retweeted_status").is_none());
    check_hashtags(status["text"].as_str().unwrap(), &status["entities"], &["BuyMe"]);
    let object = parsed(&v2(&post));
    let data = &object["data"];
    assert_eq!(data["id"], ID.to_string());
    assert_eq!(data["author_id"], "9007199254740995");
    assert_eq!(data["edit_history_tweet_ids"], serde_json::json!([ID.to_string()]));
    assert_eq!(object["includes"]["users"][0]["username"], "zoe_z");
    assert!(object["includes"].get("tweets").is_none() && data.get("referenced_tweets").is_none());
    check_hashtags(data["text"].as_str().unwrap(), &data["entities"], &["BuyMe"]);
}

#[test]
fn a_long_post_has_its_tag_in_the_full_text_only() {
    let post = post(ID, Draft::own(&user(5, "zoe_z"), LONG));
    let status = parsed(&v1(&post));
    assert_eq!(status["truncated"], true);
    check_hashtags(status["text"].as_str().unwrap(), &status["entities"], &[]);
    let extended = &status["extended_tweet"];
    check_hashtags(extended["full_text"].as_str().unwrap(), &extended["entities"], &["BuyTheThing"]);
    let object = parsed(&v2(&post));
    check_hashtags(object["data"]["text"].as_str().unwrap(), &object["data"]["entities"], &[]);
    let note = &object["data"]["note_tweet"];
    check_hashtags(note["text"].as_str().unwrap(), &note["entities"], &["BuyTheThing"]);
}

#[test]
fn relations_are_told_in_both_versions() {
    let (zoe, shop) = (user(5, "zoe_z"), user(6, "shop"));
    let prompt = post(ID, Draft::reply(&shop, "@zoe_z Tweet #ConfirmIt", Some(ID - 1), &zoe));
    let status = parsed(&v1(&prompt));
    assert_eq!(status["in_reply_to_status_id"], ID - 1);
    assert_eq!(status["in_reply_to_user_id_str"], "5");
    assert_eq!(status["entities"]["user_mentions"][0]["id"], 5);
    let object = parsed(&v2(&prompt));
    assert_eq!(object["data"]["in_reply_to_user_id"], "5");
    assert_eq!(object["data"]["referenced_tweets"][0]["type"], "replied_to");

    let retweet = post(ID + 1, Draft::retweet(&zoe, &prompt));
    let status = parsed(&v1(&retweet));
    assert_eq!(status["text"], "RT @shop: @zoe_z Tweet #ConfirmIt");
    assert_eq!(status["retweeted_status"]["id_str"], ID.to_string());
    assert_eq!(status["retweeted_status"]["in_reply_to_user_id_str"], "5");
    let object = parsed(&v2(&retweet));
    assert_eq!(object["data"]["referenced_tweets"][0]["type"], "retweeted");
    assert_eq!(object["includes"]["tweets"][0]["author_id"], "6");
    assert_eq!(object["includes"]["tweets"][0]["in_reply_to_user_id"], "5");
    check_hashtags("@zoe_z Tweet #ConfirmIt", &object["includes"]["tweets"][0]["entities"], &["ConfirmIt"]);

    let quote = post(ID + 2, Draft::quote(&zoe, "yes", &prompt));
    let status = parsed(&v1(&quote));
    assert_eq!((&status["is_quote_status"], &status["quoted_status_id"]), (&true.into(), &ID.into()));
    assert_eq!(status["quoted_status"]["user"]["id"], 6);
    assert_eq!(status["entities"]["urls"][0]["expanded_url"], format!("https://twitter.com/shop/status/{ID}"));
    assert_eq!(parsed(&v2(&quote))["data"]["referenced_tweets"][0]["type"], "quoted");

    let again = post(ID + 3, Draft::retweet(&shop, &retweet));
    assert_eq!(parsed(&v1(&again))["retweeted_status"]["id_str"], ID.to_string(), "a retweet is of the original");
}

#[test]
fn edits_and_messages_are_told() {
    let zoe = user(5, "zoe_z");
    let edited = Arc::new(Post { versions: vec![ID, ID + 9], ..(*post(ID + 9, Draft::own(&zoe, "b"))).clone() });
    let status = parsed(&v1(&edited));
    assert_eq!(status["edit_history"]["initial_tweet_id"], ID.to_string());
    assert_eq!(parsed(&v2(&edited))["data"]["edit_history_tweet_ids"][0], ID.to_string());
    let notice = parsed(&deletion(ID, 5, Time(1_700_000_000_000)));
    assert_eq!(notice["delete"]["status"]["id"], ID);
    assert_eq!(notice["delete"]["timestamp_ms"], "1700000000000");
    assert_eq!(parsed(&limit(3, Time(1)))["limit"]["track"], 3);
    assert_eq!(parsed(&warning(60))["warning"]["percent_full"], 60);
}
