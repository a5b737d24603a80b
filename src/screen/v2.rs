//! X API v2: `{"data":…,"includes":…}`.

use serde::Deserialize;

use crate::domain::{Network, Post, PostId, Referenced};
use crate::text;

use super::fields::{Id, Object, Text, id_of, time_of};
use super::parse::{Notice, ReadPost, Tags, post_url_handle};
use super::{DeadLetter, DeadReason};

/// A post object, or a compliance event's object.
#[derive(Debug, Deserialize)]
pub(super) struct Data<'a> {
    id: Option<Id>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    author_id: Option<Id>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
    #[serde(borrow)]
    note_tweet: Option<Note<'a>>,
    edit_history_tweet_ids: Option<Vec<Id>>,
    in_reply_to_user_id: Option<Id>,
    #[serde(borrow)]
    referenced_tweets: Option<Vec<Reference<'a>>>,
    #[serde(borrow)]
    pub delete: Option<Object<Notice<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Includes<'a> {
    #[serde(borrow)]
    tweets: Option<Vec<Data<'a>>>,
    #[serde(borrow)]
    users: Option<Vec<User<'a>>>,
}

/// The whole of a text that is longer than `text` may be.
#[derive(Debug, Deserialize)]
struct Note<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
}

#[derive(Debug, Deserialize)]
struct Entities<'a> {
    #[serde(borrow)]
    hashtags: Option<Vec<Hashtag<'a>>>,
    #[serde(borrow)]
    urls: Option<Vec<Url<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Hashtag<'a> {
    #[serde(borrow)]
    tag: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Url<'a> {
    #[serde(borrow)]
    expanded_url: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Reference<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    id: Option<Id>,
}

#[derive(Debug, Deserialize)]
struct User<'a> {
    id: Option<Id>,
    #[serde(borrow)]
    username: Option<Text<'a>>,
}

impl Data<'_> {
    pub(super) fn looks_like_a_post(&self) -> bool {
        self.text.is_some() || self.note_tweet.is_some() || (self.id.is_some() && self.author_id.is_some())
    }

    pub(super) fn read(
        &self,
        includes: Option<&Includes>,
        timestamp_ms: Option<Id>,
        network: Network,
    ) -> Result<ReadPost, DeadLetter> {
        let id = self.id()?.ok_or_else(|| DeadLetter::new(DeadReason::NoId, "data.id"))?;
        let author = self.author()?.ok_or_else(|| DeadLetter::new(DeadReason::NoAuthor, "data.author_id"))?;
        let text = self.unescaped_text();
        let retweet_of = self.referenced("retweeted", includes)?;
        let quote_of = self.referenced("quoted", includes)?;
        let first_id = self.edit_history_tweet_ids.as_ref().and_then(|ids| ids.first().copied());
        let handle_of = |author: Option<u64>| includes.zip(author).and_then(|(all, author)| all.handle_of(author));
        Ok(ReadPost {
            retweeted_handle: retweet_of.as_ref().and_then(|original| handle_of(original.author)),
            quoted_handle: quote_of
                .as_ref()
                .and_then(|quoted| handle_of(quoted.author).or_else(|| self.quoted_url_handle(quoted.id?))),
            post: Post {
                network,
                id: PostId(id),
                first_id: PostId(id_of(first_id, None, "data.edit_history_tweet_ids")?.unwrap_or(id)),
                author,
                handle: handle_of(Some(author)),
                time: time_of(network, id, self.created_at.as_ref(), timestamp_ms)?,
                hashtags: self.hashtags(&text),
                retweet_of,
                quote_of,
                in_reply_to: self.reference("replied_to")?.flatten(),
                in_reply_to_user: self.in_reply_to_user()?,
                manual_retweet_of: text::manual_retweet_of(&text).map(str::to_owned),
                text,
            },
        })
    }

    fn id(&self) -> Result<Option<u64>, DeadLetter> {
        id_of(self.id, None, "data.id")
    }

    fn author(&self) -> Result<Option<u64>, DeadLetter> {
        id_of(self.author_id, None, "data.author_id")
    }

    fn in_reply_to_user(&self) -> Result<Option<u64>, DeadLetter> {
        id_of(self.in_reply_to_user_id, None, "data.in_reply_to_user_id")
    }

    fn full_text(&self) -> (&str, Option<&Entities<'_>>) {
        if let Some(note) = &self.note_tweet
            && let Some(text) = &note.text
        {
            return (&text.0, note.entities.as_ref());
        }
        (self.text.as_ref().map_or("", |text| &text.0), self.entities.as_ref())
    }

    fn unescaped_text(&self) -> String {
        text::unescape(self.full_text().0).into_owned()
    }

    fn hashtags(&self, unescaped_text: &str) -> Vec<String> {
        let published = self.full_text().1.and_then(|entities| entities.hashtags.as_ref());
        let published = published.map(|tags| tags.iter().filter_map(|tag| tag.tag.as_ref()));
        Tags::of(published, unescaped_text)
    }

    /// The id of the first reference of a kind; the inner `None` if it lacks one.
    fn reference(&self, kind: &str) -> Result<Option<Option<PostId>>, DeadLetter> {
        let of_kind = |reference: &&Reference| reference.kind.as_ref().is_some_and(|told| told.0 == kind);
        let Some(reference) = self.referenced_tweets.iter().flatten().find(of_kind) else {
            return Ok(None);
        };
        Ok(Some(id_of(reference.id, None, "data.referenced_tweets.id")?.map(PostId)))
    }

    /// The post that a reference names, with what the includes tell of it.
    fn referenced(&self, kind: &str, includes: Option<&Includes>) -> Result<Option<Referenced>, DeadLetter> {
        let Some(id) = self.reference(kind)? else {
            return Ok(None);
        };
        let Some(included) = includes.zip(id).and_then(|(includes, id)| includes.tweet(id)) else {
            return Ok(Some(Referenced { id, ..Referenced::default() }));
        };
        Ok(Some(Referenced {
            id,
            author: included.author()?,
            in_reply_to: included.reference("replied_to")?.flatten(),
            in_reply_to_user: included.in_reply_to_user()?,
            hashtags: included.hashtags(&included.unescaped_text()),
        }))
    }

    /// A quote ends in the quoted post's URL, and that names its author.
    fn quoted_url_handle(&self, quoted: PostId) -> Option<String> {
        let notes = self.note_tweet.as_ref().and_then(|note| note.entities.as_ref());
        let urls = self.entities.iter().chain(notes).flat_map(|entities| entities.urls.iter().flatten());
        let mut expanded = urls.filter_map(|url| url.expanded_url.as_ref());
        expanded.find_map(|url| post_url_handle(&url.0, quoted)).map(str::to_owned)
    }
}

impl Includes<'_> {
    fn tweet(&self, id: PostId) -> Option<&Data<'_>> {
        self.tweets.iter().flatten().find(|tweet| tweet.id == Some(Id::Is(id.0)))
    }

    fn handle_of(&self, user: u64) -> Option<String> {
        let named = self.users.iter().flatten().find(|known| known.id == Some(Id::Is(user)))?;
        named.username.as_ref().map(|name| name.0.clone().into_owned())
    }
}
