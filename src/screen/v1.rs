//! X API v1.1: a status, and the parts of it that are read.

use serde::Deserialize;

use crate::domain::{Network, Post, PostId, Referenced};
use crate::text;

use super::fields::{Id, Object, Text, id_of, time_of};
use super::parse::{Heartbeat, Notice, ReadPost, Tags, post_url_handle};
use super::v2;
use super::{DeadLetter, DeadReason};

/// A record's outermost object, of either version: one pass over the bytes tells which it is.
#[derive(Debug, Deserialize)]
pub(super) struct Status<'a> {
    pub id: Option<Id>,
    pub id_str: Option<Id>,
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    #[serde(borrow)]
    pub full_text: Option<Text<'a>>,
    #[serde(borrow)]
    pub extended_tweet: Option<Extended<'a>>,
    #[serde(borrow)]
    pub entities: Option<Entities<'a>>,
    #[serde(borrow)]
    pub created_at: Option<Text<'a>>,
    pub timestamp_ms: Option<Id>,
    #[serde(borrow)]
    pub user: Option<User<'a>>,
    pub in_reply_to_status_id: Option<Id>,
    pub in_reply_to_status_id_str: Option<Id>,
    pub in_reply_to_user_id: Option<Id>,
    pub in_reply_to_user_id_str: Option<Id>,
    #[serde(borrow)]
    pub retweeted_status: Option<Box<Status<'a>>>,
    #[serde(borrow)]
    pub quoted_status: Option<Box<Status<'a>>>,
    pub quoted_status_id: Option<Id>,
    pub quoted_status_id_str: Option<Id>,
    #[serde(borrow)]
    pub quoted_status_permalink: Option<Permalink<'a>>,
    pub is_quote_status: Option<bool>,
    pub edit_history: Option<EditHistory>,

    // Version 2, and what is no post.
    #[serde(borrow)]
    pub data: Option<Object<v2::Data<'a>>>,
    #[serde(borrow)]
    pub includes: Option<v2::Includes<'a>>,
    #[serde(borrow)]
    pub delete: Option<Object<Notice<'a>>>,
    #[serde(borrow)]
    pub heartbeat: Option<Heartbeat<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Extended<'a> {
    #[serde(borrow)]
    full_text: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entities<'a> {
    #[serde(borrow)]
    hashtags: Option<Vec<Hashtag<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Hashtag<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User<'a> {
    id: Option<Id>,
    id_str: Option<Id>,
    #[serde(borrow)]
    screen_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Permalink<'a> {
    #[serde(borrow)]
    expanded: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EditHistory {
    initial_tweet_id: Option<Id>,
    edit_tweet_ids: Option<Vec<Id>>,
}

impl Status<'_> {
    /// Batch results and messages have ids too; a text, or an author beside an id, makes a post.
    pub(super) fn looks_like_a_post(&self) -> bool {
        let has_id = self.id.is_some() || self.id_str.is_some();
        let has_text = self.text.is_some() || self.full_text.is_some() || self.extended_tweet.is_some();
        has_text || (has_id && self.user.is_some())
    }

    pub(super) fn read(&self, network: Network) -> Result<ReadPost, DeadLetter> {
        let id = self.id()?.ok_or_else(|| DeadLetter::new(DeadReason::NoId, "id_str"))?;
        let author = self.author()?.ok_or_else(|| DeadLetter::new(DeadReason::NoAuthor, "user.id_str"))?;
        let time = time_of(network, id, self.created_at.as_ref(), self.timestamp_ms)?;
        let text = self.unescaped_text();
        let retweet_of = self.retweeted_status.as_deref().map(Status::as_reference).transpose()?;
        let post = Post {
            network,
            id: PostId(id),
            first_id: PostId(self.first_id()?.unwrap_or(id)),
            author,
            handle: self.handle(),
            time,
            hashtags: self.hashtags(&text),
            retweet_of,
            quote_of: self.quoted()?,
            in_reply_to: self.in_reply_to()?,
            in_reply_to_user: self.in_reply_to_user()?,
            manual_retweet_of: text::manual_retweet_of(&text).map(str::to_owned),
            text,
        };
        let quoted_handle = self.quoted_status.as_ref().and_then(|quoted| quoted.handle());
        Ok(ReadPost {
            retweeted_handle: self.retweeted_status.as_ref().and_then(|original| original.handle()),
            quoted_handle: quoted_handle.or_else(|| self.permalink_handle()),
            post,
        })
    }

    fn id(&self) -> Result<Option<u64>, DeadLetter> {
        id_of(self.id_str, self.id, "id_str")
    }

    fn author(&self) -> Result<Option<u64>, DeadLetter> {
        self.user.as_ref().map_or(Ok(None), |user| id_of(user.id_str, user.id, "user.id_str"))
    }

    fn handle(&self) -> Option<String> {
        self.user.as_ref()?.screen_name.as_ref().map(|name| name.0.clone().into_owned())
    }

    fn first_id(&self) -> Result<Option<u64>, DeadLetter> {
        let Some(history) = &self.edit_history else {
            return Ok(None);
        };
        let first_listed = history.edit_tweet_ids.as_ref().and_then(|ids| ids.first().copied());
        id_of(history.initial_tweet_id, first_listed, "edit_history")
    }

    fn in_reply_to(&self) -> Result<Option<PostId>, DeadLetter> {
        let id = id_of(self.in_reply_to_status_id_str, self.in_reply_to_status_id, "in_reply_to_status_id_str")?;
        Ok(id.map(PostId))
    }

    fn in_reply_to_user(&self) -> Result<Option<u64>, DeadLetter> {
        id_of(self.in_reply_to_user_id_str, self.in_reply_to_user_id, "in_reply_to_user_id_str")
    }

    /// The full text and its entities. A truncated status without its extension has lost text, and has what is left.
    fn full_text(&self) -> (&str, Option<&Entities<'_>>) {
        if let Some(extended) = &self.extended_tweet
            && let Some(text) = &extended.full_text
        {
            return (&text.0, extended.entities.as_ref());
        }
        let text = self.full_text.as_ref().or(self.text.as_ref()).map_or("", |text| &text.0);
        (text, self.entities.as_ref())
    }

    fn unescaped_text(&self) -> String {
        text::unescape(self.full_text().0).into_owned()
    }

    fn hashtags(&self, unescaped_text: &str) -> Vec<String> {
        let published = self.full_text().1.and_then(|entities| entities.hashtags.as_ref());
        let published = published.map(|tags| tags.iter().filter_map(|tag| tag.text.as_ref()));
        Tags::of(published, unescaped_text)
    }

    /// This status as one that another retweets or quotes.
    fn as_reference(&self) -> Result<Referenced, DeadLetter> {
        Ok(Referenced {
            id: self.id()?.map(PostId),
            author: self.author()?,
            in_reply_to: self.in_reply_to()?,
            in_reply_to_user: self.in_reply_to_user()?,
            hashtags: self.hashtags(&self.unescaped_text()),
        })
    }

    fn quoted(&self) -> Result<Option<Referenced>, DeadLetter> {
        let id = id_of(self.quoted_status_id_str, self.quoted_status_id, "quoted_status_id_str")?.map(PostId);
        if let Some(quoted) = &self.quoted_status {
            let reference = quoted.as_reference()?;
            return Ok(Some(Referenced { id: reference.id.or(id), ..reference }));
        }
        let is_quote = id.is_some() || self.is_quote_status == Some(true);
        Ok(is_quote.then(|| Referenced { id, ..Referenced::default() }))
    }

    fn permalink_handle(&self) -> Option<String> {
        let id = self.quoted().ok()??.id?;
        let url = self.quoted_status_permalink.as_ref()?.expanded.as_ref()?;
        post_url_handle(&url.0, id).map(str::to_owned)
    }
}
