//! Typed settings, validated once at the edge.
//!
//! Layers, lowest first: the shipped file (compiled in: it *is* the defaults), the user's file, environment variables
//! `PAY_BY_TWEET__SECTION__KEY`, and flags, which the caller writes into [`Settings`]. A key that nobody knows is an
//! error. Every mistake is reported at once, with file, line, key and how to mend it.

mod document;
mod error;
mod offer_spec;
mod offers_file;
mod read;
mod reader;
mod tags;
mod template;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Limits, Network, ReplyKind, Rules, Span, Terms, Uuid, Windows};
use crate::text::{V3_280, measure};
use crate::wire::Texts;
use crate::wire::template::{Template, Values};
use crate::wire::texts::shortest_item;

pub use error::{ConfigError, ConfigErrors, FieldError, Place};
pub use offer_spec::{OfferSpec, exponent_of};
pub use offers_file::{load_offers, offers_of_text};
pub use tags::{TagClash, TagLooks, clash_with, tag_clashes};

/// The configuration that ships with the program; its values are the defaults.
pub const SHIPPED_CONFIG: &str = include_str!("../../config/pay-by-tweet.toml");

/// The catalogue that ships with the program: used where there is no configuration file.
pub const SHIPPED_OFFERS: &str = include_str!("../../config/offers.toml");

/// Where a configuration is looked for when none is named.
pub const DEFAULT_FILE: &str = "config/pay-by-tweet.toml";

/// Characters kept free in every reply for the reference that makes it differ from the one before, and its space.
const REFERENCE_CHARS: u32 = 12;

/// A handle as long as the network allows.
const LONGEST_HANDLE: &str = "abcdefghijklmno";

/// Everything that can be configured. Paths are ready to open: those of the file are taken from the file's folder.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that was read; `None` if there was none and the defaults hold.
    pub file: Option<PathBuf>,
    pub bus: BusSettings,
    pub topics: TopicSettings,
    pub sources: Vec<Source>,
    pub http: HttpSettings,
    /// `None`: the shipped catalogue.
    pub offers_file: Option<PathBuf>,
    pub service: ServiceSettings,
    pub account: AccountSettings,
    pub time: TimeSettings,
    pub reply: ReplySettings,
    pub limits: LimitSettings,
    /// `instance.id`; see [`Settings::instance_id`].
    pub instance_id: Option<String>,
    pub payment: Authorization,
    /// How long records that were read wait for their transaction, at most, while more keep coming.
    pub commit_interval: Duration,
    pub workers: Workers,
    pub shutdown_timeout: Duration,
    /// Whether dead letters carry the record's body.
    pub dead_letters_body: bool,
    pub log: LogSettings,
    templates: Templates,
}

#[derive(Clone, PartialEq, Eq)]
pub struct BusSettings {
    pub kind: BusKind,
    pub embedded: EmbeddedSettings,
    /// librdkafka properties, passed through; some are secrets.
    pub kafka_properties: BTreeMap<String, String>,
}

/// Names the properties without their values.
impl fmt::Debug for BusSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BusSettings { kind, embedded, kafka_properties } = self;
        let names: Vec<&String> = kafka_properties.keys().collect();
        let mut all = f.debug_struct("BusSettings");
        all.field("kind", kind).field("embedded", embedded).field("kafka_properties", &names).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusKind {
    Embedded,
    Kafka,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedSettings {
    pub dir: PathBuf,
    pub fsync: Fsync,
    pub fsync_interval: Duration,
    /// How long records of topics that are not compacted are kept.
    pub retention: Duration,
    pub cache_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// No committed transaction is lost.
    Commit,
    /// What survives is a prefix in commit order.
    Interval,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    pub prefix: String,
    pub partitions: u32,
}

/// A topic of posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub topic: String,
    pub network: Network,
    pub format: PostFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostFormat {
    /// X API v1.1 and v2 objects and v1.1 control messages.
    X,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    pub listen: SocketAddr,
    pub token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Without `@`.
    pub handle: String,
    pub user_id: u64,
    /// Without `#`.
    pub freeze_tag: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    pub confirm_window: Span,
    pub reply_grace: Span,
    pub buy_max_age: Span,
    pub cancel_window: Span,
    pub forget_after: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSettings {
    pub lateness_max: Span,
    /// Zero: never idle, and the sources are not live.
    pub idle_after: Span,
    pub idle: IdleBy,
    pub tick_every: Span,
    pub skew_max: Span,
    /// Counts the times that a post topic was taken out of the sources or renamed.
    pub topology: u32,
}

/// What moves a source that stays silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleBy {
    Clock,
    Heartbeat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplySettings {
    pub feedback_required: bool,
    pub feedback_timeout: Span,
    /// Answer a confirm that concerns nothing.
    pub nothing_to_confirm: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    pub pending_per_account: usize,
    pub purchases_per_day: u32,
    /// In ten-thousandths of the currency's unit.
    pub spend_per_day_e4: i64,
    pub replies_per_hour: u32,
    pub record_bytes: usize,
    pub kept_bytes_per_shard: usize,
    pub batch_records: usize,
    pub batch_bytes: usize,
    pub transaction_records: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    OnConfirm,
}

/// Threads per stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    pub screen: u32,
    pub accounts: u32,
    pub offers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

/// The texts by the names of reply kinds, checked: [`Settings::texts`] makes them ready to fill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Templates {
    replies: BTreeMap<String, String>,
    emails: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the configuration: `file` if named, else [`DEFAULT_FILE`] if it exists, else the defaults alone.
    pub fn load(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Settings, ConfigErrors> {
        let default = Path::new(DEFAULT_FILE);
        let file = file.or_else(|| default.exists().then_some(default));
        let text = match file {
            Some(path) => Some(document::read_text(path, "", "name an existing file with --config")?),
            None => None,
        };
        Settings::of_text(file.zip(text.as_deref()), env)
    }

    /// As [`Settings::load`], of a text that stands in for the file's.
    pub fn of_text(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, ConfigErrors> {
        let shipped = document::parse(&Arc::from("the shipped configuration"), SHIPPED_CONFIG)?;
        let mut entries = None;
        if let Some((path, text)) = file {
            let name: Arc<str> = Arc::from(path.display().to_string());
            entries = Some((name.clone(), document::parse(&name, text)?));
        }
        let mut reader = reader::Reader::new(shipped, entries, env);
        let settings = read::settings(&mut reader, file.map(|(path, _)| path));
        reader.finish().into_result(settings)
    }

    /// The offers of the configured file, or of the shipped catalogue; checked as a whole.
    pub fn load_offers(&self) -> Result<Vec<OfferSpec>, ConfigErrors> {
        match &self.offers_file {
            Some(path) => load_offers(path, self),
            None => offers_file::offers_of_text("the shipped offers", SHIPPED_OFFERS, self),
        }
    }

    /// The bearer token of `http.token_file`, without white space around it; `None` where no file is set.
    pub fn read_token(&self) -> Result<Option<String>, ConfigErrors> {
        let Some(path) = &self.http.token_file else {
            return Ok(None);
        };
        let text = document::read_text(path, "http.token_file", "name a file that holds a token, or leave it out")?;
        let token = text.trim().to_owned();
        // What no request's header can carry would let nobody in.
        let is_sendable = token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let (what, hint) = match token.lines().count() {
            0 => ("the file is empty", "write a token into it"),
            1 if is_sendable => return Ok(Some(token)),
            1 => ("holds what is no printable ASCII character", "write a token of letters, digits and punctuation"),
            _ => ("holds several lines", "write one token into it and nothing else"),
        };
        let place = Place::whole_file(&path.display().to_string());
        Err(ConfigErrors(vec![ConfigError::new(place, "http.token_file", what, hint)]))
    }

    /// What one shard of the accounts has of `limits.transaction_records`.
    pub fn records_per_shard(&self) -> usize {
        (self.limits.transaction_records / self.topics.partitions.max(1) as usize).max(1)
    }

    /// What the accounts judge by.
    pub fn rules(&self, uuid_of: fn(&str) -> Uuid) -> Rules {
        Rules {
            windows: Windows {
                confirm_window: self.account.confirm_window,
                reply_grace: self.account.reply_grace,
                buy_max_age: self.account.buy_max_age,
                cancel_window: self.account.cancel_window,
                forget_after: self.account.forget_after,
                feedback_required: self.reply.feedback_required,
                feedback_timeout: self.reply.feedback_timeout,
            },
            limits: Limits {
                pending_per_account: self.limits.pending_per_account,
                purchases_per_day: self.limits.purchases_per_day,
                spend_per_day_e4: self.limits.spend_per_day_e4,
                replies_per_hour: self.limits.replies_per_hour,
                kept_bytes_per_shard: self.limits.kept_bytes_per_shard,
            },
            tell_nothing_to_confirm: self.reply.nothing_to_confirm,
            uuid_of,
        }
    }

    /// `instance.id`, or a random UUID: keep it, every call makes a new one.
    pub fn instance_id(&self) -> String {
        self.instance_id.clone().unwrap_or_else(|| {
            // The standard library seeds its hash maps at random; that is all the chance that is needed here.
            let half = || RandomState::new().build_hasher().finish().to_be_bytes();
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&half());
            bytes[8..].copy_from_slice(&half());
            uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
        })
    }

    /// Weighted characters that a reply about an offer takes when it is shortened: with the longest handle and the
    /// reference, without optional parts.
    fn length_of_reply(&self, kind: ReplyKind, terms: &Terms) -> u32 {
        let item = shortest_item(&terms.item);
        let minutes = (self.account.confirm_window.0 / 60_000).max(1);
        let values = Values { handle: Some(LONGEST_HANDLE), terms: Some(terms), item: &item, minutes, purchase: None };
        let template = self.templates.replies.get(kind.name()).map(|source| Template::parse(source));
        let text = template.and_then(Result::ok).map(|template| template.fill(&values, 0)).unwrap_or_default();
        measure(&text, &V3_280).weighted_length + REFERENCE_CHARS
    }

    /// What replies and e-mails say.
    pub fn texts(&self) -> Texts {
        let Templates { replies, emails } = &self.templates;
        Texts::new(replies, emails, self.account.confirm_window).expect("every template was checked when it was read")
    }
}

/// The kinds that have an e-mail of their own; others say what is the same for all.
const EMAIL_KINDS: [ReplyKind; 8] = [
    ReplyKind::Purchased,
    ReplyKind::Cancelled,
    ReplyKind::Declined,
    ReplyKind::Expired,
    ReplyKind::SoldOut,
    ReplyKind::Enrolled,
    ReplyKind::Credited,
    ReplyKind::Frozen,
];
