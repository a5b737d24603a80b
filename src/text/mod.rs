//! The network's text rules: twitter-text's hashtags, URLs and weighted length, and the few rules around them.
//!
//! The regular expressions of twitter-text (Java, commit 30e2430) are restated as scanners that run in linear time on
//! any input. twitter-text is Apache-2.0, Copyright Twitter, Inc and other contributors.

mod emoji;
mod fold;
mod hashtags;
mod host;
mod html;
mod manual_retweet;
mod tlds;
mod urls;
mod weighted;

pub use fold::{fold, spellings};
pub use hashtags::{TagSpan, extract_hashtags, is_valid_hashtag};
pub use html::unescape;
pub use manual_retweet::manual_retweet_of;
pub use urls::extract_url_spans;
pub use weighted::{LengthRule, Measured, V1_140, V2_280, V3_280, WeightRange, measure};
