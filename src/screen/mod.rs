//! The screen, pure: bytes → candidate? → post → intent. A byte search decides whether a record can matter; only
//! candidates are parsed, and what a candidate means for its author's account becomes one intent.

pub mod catalogue;
pub mod follow;
pub mod intent;
pub mod parse;
pub mod posts;
pub mod prefilter;
pub mod setup;
pub mod shape;
pub mod shard;
pub mod side;
pub mod stage;
pub mod time;

mod fields;
mod strings;
mod v1;
mod v2;

use crate::domain::{Deletion, Network, Time};

pub use catalogue::{Catalogue, RetiredTags, Service};
pub use intent::{Screened, intent};
pub use parse::{Format, Parsed, ReadPost, parse};
pub use stage::ScreenStage;
pub use time::post_time;

use shape::Shape;

/// What one record of a post topic is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No candidate: it was looked at by shape and searched, not parsed.
    Passed,
    /// Blank line by which a stream shows that it is alive.
    KeepAlive,
    /// A candidate that is a post. Whether anything comes of it, its fields tell.
    Post(Box<Screened>),
    Deletion(Deletion),
    /// A gateway's record that its stream is quiet but alive up to this time.
    Heartbeat(Time),
    /// A known message that carries nothing for us.
    Control,
    /// A sound JSON object that is neither a post nor a known message.
    Other,
    Dead(DeadLetter),
}

/// Why a record could not be understood. The detail tells where (line and column, or the field) and never quotes text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub reason: DeadReason,
    pub detail: String,
}

/// The reasons of DESIGN section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadReason {
    NotJson,
    NotUtf8,
    TooLarge,
    TooDeep,
    DuplicateField,
    WrongType,
    NoId,
    NoAuthor,
    /// Further ahead of the clock than `time.skew_max`. Judged by the caller, who has a clock.
    Future,
}

/// Screens one record: shape, byte search, parse, intent. `record_bytes_max` is `limits.record_bytes`.
pub fn screen(record: &[u8], network: Network, catalogue: &Catalogue, record_bytes_max: usize) -> Verdict {
    match shape::look(record, record_bytes_max) {
        Shape::KeepAlive => Verdict::KeepAlive,
        Shape::Dead(letter) => Verdict::Dead(letter),
        Shape::Object(object) if !catalogue.may_matter(object) => Verdict::Passed,
        Shape::Object(object) => understand(object, network, catalogue),
    }
}

/// The same without the byte search, to hold [`screen`] against.
pub fn screen_parsing_everything(
    record: &[u8],
    network: Network,
    catalogue: &Catalogue,
    record_bytes_max: usize,
) -> Verdict {
    match shape::look(record, record_bytes_max) {
        Shape::KeepAlive => Verdict::KeepAlive,
        Shape::Dead(letter) => Verdict::Dead(letter),
        Shape::Object(object) => understand(object, network, catalogue),
    }
}

fn understand(object: &[u8], network: Network, catalogue: &Catalogue) -> Verdict {
    match parse(object, Format::X, network) {
        Parsed::Post(read) => Verdict::Post(Box::new(intent(&read, catalogue))),
        Parsed::Deletion(deletion) => Verdict::Deletion(deletion),
        Parsed::Heartbeat(at) => Verdict::Heartbeat(at),
        Parsed::Control => Verdict::Control,
        Parsed::Other => Verdict::Other,
        Parsed::KeepAlive => Verdict::KeepAlive,
        Parsed::Dead(letter) => Verdict::Dead(letter),
    }
}

impl Verdict {
    /// Whether anything comes of the record: an intent, a mention, a deletion or a heartbeat. The byte search may pass
    /// over every other record, and over none of these.
    pub fn matters(&self) -> bool {
        match self {
            Verdict::Post(screened) => screened.intent.is_some() || !screened.mentions.is_empty(),
            Verdict::Deletion(_) | Verdict::Heartbeat(_) => true,
            Verdict::Passed | Verdict::KeepAlive | Verdict::Control | Verdict::Other | Verdict::Dead(_) => false,
        }
    }
}

impl DeadLetter {
    pub fn new(reason: DeadReason, detail: impl Into<String>) -> DeadLetter {
        DeadLetter { reason, detail: detail.into() }
    }
}

impl DeadReason {
    pub const ALL: [DeadReason; 9] = [
        DeadReason::NotJson,
        DeadReason::NotUtf8,
        DeadReason::TooLarge,
        DeadReason::TooDeep,
        DeadReason::DuplicateField,
        DeadReason::WrongType,
        DeadReason::NoId,
        DeadReason::NoAuthor,
        DeadReason::Future,
    ];

    /// The name in `dead-letters` and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            DeadReason::NotJson => "not_json",
            DeadReason::NotUtf8 => "not_utf8",
            DeadReason::TooLarge => "too_large",
            DeadReason::TooDeep => "too_deep",
            DeadReason::DuplicateField => "duplicate_field",
            DeadReason::WrongType => "wrong_type",
            DeadReason::NoId => "no_id",
            DeadReason::NoAuthor => "no_author",
            DeadReason::Future => "future",
        }
    }
}
