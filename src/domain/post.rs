//! A post as the network streamed it, read into what the conversation needs. Own words only: nothing of a retweeted or
//! quoted post stands in the outer fields.

use super::ids::{Network, PostId};
use super::time::Time;

/// One post. Hashtags are as published: without `#`, in order, repeats kept, no case folding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub network: Network,
    pub id: PostId,
    /// The first id of the edit chain; the id itself for a post that was never edited.
    pub first_id: PostId,
    pub author: u64,
    /// The author's handle without `@`, where the record tells it (v2 only with expanded users).
    pub handle: Option<String>,
    /// Snowflake time of `id`; the published creation time for ids from before snowflake.
    pub time: Time,
    /// The full text, HTML-unescaped.
    pub text: String,
    pub hashtags: Vec<String>,
    /// The post that is retweeted natively.
    pub retweet_of: Option<Referenced>,
    /// The post that is quoted.
    pub quote_of: Option<Referenced>,
    pub in_reply_to: Option<PostId>,
    pub in_reply_to_user: Option<u64>,
    /// The handle named by a manual retweet (`RT @handle` at the start or after white space), without `@`.
    pub manual_retweet_of: Option<String>,
}

/// What is known of a retweeted or quoted post; the id may be missing where only flags say that there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referenced {
    pub id: Option<PostId>,
    pub author: Option<u64>,
    pub in_reply_to: Option<PostId>,
    pub in_reply_to_user: Option<u64>,
    pub hashtags: Vec<String>,
}

/// A notice that a post was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub post: PostId,
    pub author: u64,
    /// `timestamp_ms` of the notice, where it carries one.
    pub time: Option<Time>,
}
