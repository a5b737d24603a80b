//! Posts as networks stream them. Each conversation is told in every shape, and the verdicts must be the same.

use serde_json::{Value, json};

use crate::people::{User, created_at, rfc};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// API v1.1 with published entities.
    V1,
    /// API v1.1 without entities, every `#` escaped: tags are those of the text.
    Plain,
    /// API v2 with includes.
    V2,
}

impl Shape {
    pub const ALL: [Shape; 3] = [Shape::V1, Shape::Plain, Shape::V2];
}

/// A post, whatever its shape.
#[derive(Clone, Debug)]
pub struct Post {
    pub id: u64,
    pub first_id: u64,
    pub author: User,
    pub at: i64,
    /// Before the HTML escaping that networks do.
    pub text: String,
    /// Published hashtags; those of the text unless given.
    pub tags: Option<Vec<String>>,
    /// Where the short URLs of the text lead.
    pub urls: Vec<String>,
    pub reply_to: Option<(u64, User)>,
    pub retweet_of: Option<Original>,
    pub quote_of: Option<Original>,
    /// The name in the author's profile.
    pub profile: String,
    /// Whether a v2 record includes its author.
    pub users_included: bool,
}

/// The post that another retweets or quotes.
#[derive(Clone, Debug)]
pub struct Original {
    pub id: u64,
    pub author: User,
    pub at: i64,
    pub text: String,
    pub reply_to: Option<(u64, User)>,
    /// Whether the record carries it.
    pub included: bool,
}

impl Original {
    /// As a record that tells its id only.
    pub fn left_out(&self) -> Original {
        Original { included: false, ..self.clone() }
    }

    pub fn without_reply(&self) -> Original {
        Original { reply_to: None, ..self.clone() }
    }

    fn as_post(&self) -> Post {
        Post { reply_to: self.reply_to, ..Post::new(self.author, self.at, self.id, &self.text) }
    }
}

impl Post {
    pub fn new(author: User, at: i64, id: u64, text: &str) -> Post {
        Post {
            id,
            first_id: id,
            author,
            at,
            text: text.to_owned(),
            tags: None,
            urls: Vec::new(),
            reply_to: None,
            retweet_of: None,
            quote_of: None,
            profile: author.handle.to_owned(),
            users_included: true,
        }
    }

    pub fn render(&self, shape: Shape) -> Vec<u8> {
        match shape {
            Shape::V1 => self.v1(true).to_string().into_bytes(),
            Shape::Plain => self.v1(false).to_string().replace('#', "\\u0023").into_bytes(),
            Shape::V2 => self.v2().to_string().into_bytes(),
        }
    }

    /// A native retweet's text repeats what it retweets, cut to length.
    fn shown_text(&self) -> String {
        let shown = match &self.retweet_of {
            Some(original) => format!("RT @{}: {}", original.author.handle, original.text),
            None => self.text.clone(),
        };
        shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    fn published_tags(&self, text: &str) -> Vec<(String, usize)> {
        match &self.tags {
            Some(tags) => tags.iter().map(|tag| (tag.clone(), position_of(text, tag))).collect(),
            None => tags_of(text),
        }
    }

    fn v1_entities(&self, text: &str) -> Value {
        let tag = |(tag, at): &(String, usize)| json!({"text": tag, "indices": [at, at + 1 + tag.chars().count()]});
        let url = |url: &String| json!({"url": "https://t.co/abcdefghij", "expanded_url": url, "display_url": url, "indices": [0, 23]});
        json!({
            "hashtags": self.published_tags(text).iter().map(tag).collect::<Vec<_>>(),
            "urls": self.urls.iter().map(url).collect::<Vec<_>>(),
            "user_mentions": [], "symbols": []
        })
    }

    fn v1(&self, entities: bool) -> Value {
        let text = self.shown_text();
        let (reply_post, reply_user) = (self.reply_to.map(|(post, _)| post), self.reply_to.map(|(_, user)| user));
        let mut status = json!({
            "created_at": created_at(self.at), "id": self.id, "id_str": self.id.to_string(), "text": text,
            "truncated": false,
            "in_reply_to_status_id": reply_post, "in_reply_to_status_id_str": reply_post.map(|id| id.to_string()),
            "in_reply_to_user_id": reply_user.map(|user| user.id),
            "in_reply_to_user_id_str": reply_user.map(|user| user.id.to_string()),
            "in_reply_to_screen_name": reply_user.map(|user| user.handle),
            "user": {"id": self.author.id, "id_str": self.author.id.to_string(), "name": self.profile,
                "screen_name": self.author.handle, "description": self.profile, "protected": false,
                "followers_count": 12},
            "is_quote_status": self.quote_of.is_some(), "lang": "en", "timestamp_ms": self.at.to_string(),
        });
        let published = entities || self.tags.is_some();
        if published {
            status["entities"] = self.v1_entities(&text);
        }
        if text.chars().count() > 140 {
            let cut: String = text.chars().take(139).collect::<String>() + "…";
            status["extended_tweet"] = json!({"full_text": text, "display_text_range": [0, text.chars().count()]});
            if published {
                status["extended_tweet"]["entities"] = self.v1_entities(&text);
                status["entities"]["hashtags"] = json!([]);
            }
            status["text"] = json!(cut);
            status["truncated"] = json!(true);
        }
        if self.first_id != self.id {
            let ids = [self.first_id.to_string(), self.id.to_string()];
            status["edit_history"] = json!({"initial_tweet_id": ids[0], "edit_tweet_ids": ids});
        }
        if let Some(original) = &self.retweet_of {
            status["retweeted_status"] = original.as_post().v1(entities);
        }
        if let Some(original) = &self.quote_of {
            status["quoted_status_id"] = json!(original.id);
            status["quoted_status_id_str"] = json!(original.id.to_string());
            status["quoted_status_permalink"] =
                json!({"url": "https://t.co/abcdefghij", "expanded": address_of(original), "display": "twitter.com"});
            if original.included {
                status["quoted_status"] = original.as_post().v1(entities);
            }
        }
        status
    }

    fn v2(&self) -> Value {
        let text = self.shown_text();
        let mut data = self.v2_data(&text);
        if text.chars().count() > 280 {
            data["note_tweet"] = json!({"text": text, "entities": data["entities"]});
            data["text"] = json!(text.chars().take(277).collect::<String>() + "…");
            data["entities"] = json!({});
        }
        let mut tweets: Vec<Value> = Vec::new();
        let mut users = vec![self.v2_user(self.author)];
        for original in self.retweet_of.iter().chain(&self.quote_of).filter(|original| original.included) {
            let post = original.as_post();
            tweets.push(post.v2_data(&post.shown_text()));
            users.push(post.v2_user(original.author));
        }
        let mut includes = json!({});
        if self.users_included {
            includes["users"] = json!(users);
        }
        if !tweets.is_empty() {
            includes["tweets"] = json!(tweets);
        }
        json!({"data": data, "includes": includes, "matching_rules": [{"id": 1377649934414049282u64, "tag": null}]})
    }

    fn v2_data(&self, text: &str) -> Value {
        let tag = |(tag, at): &(String, usize)| json!({"start": at, "end": at + 1 + tag.chars().count(), "tag": tag});
        let url = |url: &String| json!({"start": 0, "end": 23, "url": "https://t.co/abcdefghij", "expanded_url": url, "display_url": url});
        let tags = self.published_tags(text);
        let quoted = self.quote_of.iter().map(address_of);
        let urls: Vec<Value> = self.urls.iter().cloned().chain(quoted).map(|u| url(&u)).collect();
        let mut data = json!({
            "id": self.id.to_string(), "text": text, "author_id": self.author.id.to_string(),
            "created_at": rfc(self.at), "conversation_id": self.first_id.to_string(),
            "edit_history_tweet_ids": if self.first_id == self.id { json!([self.id.to_string()]) }
                else { json!([self.first_id.to_string(), self.id.to_string()]) },
            "entities": {}, "lang": "en",
        });
        if !tags.is_empty() || self.tags.is_some() {
            data["entities"]["hashtags"] = tags.iter().map(tag).collect();
        }
        if !urls.is_empty() {
            data["entities"]["urls"] = json!(urls);
        }
        let mut references = Vec::new();
        for (kind, original) in [("retweeted", &self.retweet_of), ("quoted", &self.quote_of)] {
            references.extend(original.iter().map(|o| json!({"type": kind, "id": o.id.to_string()})));
        }
        if let Some((post, user)) = self.reply_to {
            references.push(json!({"type": "replied_to", "id": post.to_string()}));
            data["in_reply_to_user_id"] = json!(user.id.to_string());
        }
        if !references.is_empty() {
            data["referenced_tweets"] = json!(references);
        }
        data
    }

    fn v2_user(&self, user: User) -> Value {
        json!({"id": user.id.to_string(), "username": user.handle, "name": self.profile, "description": self.profile})
    }
}

fn address_of(original: &Original) -> String {
    format!("https://twitter.com/{}/status/{}", original.author.handle, original.id)
}

/// Hashtags as the network would publish them: enough of the rules for what people say here, and not the program's own.
fn tags_of(text: &str) -> Vec<(String, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let mut tags = Vec::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let starts = matches!(c, '#' | '＃') && before.is_none_or(|c| !c.is_alphanumeric() && !"_&/.?=@".contains(c));
        let tag: String = chars[at + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        if starts && tag.chars().any(char::is_alphabetic) {
            tags.push((tag, at));
        }
    }
    tags
}

fn position_of(text: &str, tag: &str) -> usize {
    text.find(tag).map_or(0, |byte| text[..byte].chars().count().saturating_sub(1))
}
