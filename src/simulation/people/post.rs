//! Posts as their authors mean them, before anybody writes them down.

use super::goods::TagId;

/// From when a snowflake counts its milliseconds.
const SNOWFLAKE_EPOCH_MS: i64 = 1_288_834_974_657;

/// A post, or a version of one.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub id: u64,
    /// The id of the first version.
    pub first: u64,
    pub author: Author,
    pub words: Vec<Word>,
    pub relation: Relation,
    /// "cancel" is the first word behind leading handles.
    pub cancels: bool,
    pub freezes: bool,
    /// Stands in the author's profile.
    pub profile: Option<TagId>,
    /// An object of API v2.
    pub v2: bool,
    /// The record doesn't tell the author's handle (v2 without expanded users).
    pub unnamed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Author {
    pub user: u64,
    /// Without `@`.
    pub handle: std::sync::Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Tag(TagId),
    /// What looks like a tag and is none.
    Near(Near, TagId),
    Plain(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Near {
    Longer,
    Shorter,
    NoSign,
    InAWord,
    InAUrl,
    AHandle,
    WithNumber,
    AfterAmpersand,
    /// Stands in the text, but not among the published hashtags.
    Unpublished,
}

impl Near {
    pub const ALL: [Near; 9] = [
        Near::Longer,
        Near::Shorter,
        Near::NoSign,
        Near::InAWord,
        Near::InAUrl,
        Near::AHandle,
        Near::WithNumber,
        Near::AfterAmpersand,
        Near::Unpublished,
    ];
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Own,
    /// To a post, or only to a user; with the other's handle in front.
    Reply {
        post: Option<u64>,
        to: Author,
    },
    /// `RT @handle: …`
    Manual {
        of: Author,
        by_service: bool,
    },
    Retweet(Echoed),
    Quote(Echoed),
}

/// The post that is retweeted or quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Echoed {
    pub id: u64,
    pub author: Author,
    pub by_service: bool,
    pub reply_to: Option<u64>,
    pub reply_to_user: Option<u64>,
    pub tags: Vec<TagId>,
    /// Whether the record holds the post itself; else only its id and the author's handle are told (v2).
    pub included: bool,
}

impl Post {
    pub fn new(id: u64, author: &Author, words: Vec<Word>) -> Post {
        let author = author.clone();
        Post {
            id,
            first: id,
            author,
            words,
            relation: Relation::Own,
            cancels: false,
            freezes: false,
            profile: None,
            v2: false,
            unnamed: false,
        }
    }

    pub fn time(&self) -> i64 {
        (self.id >> 22) as i64 + SNOWFLAKE_EPOCH_MS
    }

    /// The tags that are meant, in order.
    pub fn tags(&self) -> impl Iterator<Item = TagId> + Clone {
        self.words.iter().filter_map(|word| match word {
            Word::Tag(tag) => Some(*tag),
            Word::Near(..) | Word::Plain(_) => None,
        })
    }
}

/// The id of an author's n-th post: its time, who wrote it, and the count.
pub(super) fn snowflake(time_ms: i64, writer: u64, serial: u64) -> u64 {
    (((time_ms - SNOWFLAKE_EPOCH_MS).max(0) as u64) << 22) | ((writer & 0x3ff) << 12) | (serial & 0xfff)
}
