//! The side inputs as JSON: `accounts.links`, `replies.posted`, and the envelope of `offers` (DESIGN section 2).
//!
//! Unknown members are ignored, repeated ones among those that are read are refused. A sound object that is no known
//! message is `Ok(None)`: counted, not a dead letter. So is a blank record, a keep-alive.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::{AccountId, CardStatus, Link, LinkChange, LinkMessage, PostId, PromptFate, Time, parse_id};

use super::inputs_json::{Fields, each_member};
use super::{time, uuids};

/// Bytes of a text that a link or a reply's fate carries, at most: the account's actor keeps them in memory.
pub const TEXT_BYTES_MAX: usize = 512;

/// Why a record became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadInput {
    /// `not_json, not_utf8, too_large, too_deep, duplicate_field, wrong_type` or `no_id`.
    pub reason: &'static str,
    /// Where and what, never content: the record may hold a card token.
    pub detail: String,
}

/// A record of `offers`, before its fields are checked.
#[derive(Clone, Debug, PartialEq)]
pub enum OfferRecord {
    /// An offer: the object as published, without `withdrawn`.
    Spec {
        id: String,
        spec: Value,
    },
    Withdrawn {
        id: String,
    },
}

/// Reads a record of `accounts.links`.
pub fn parse_link(value: &[u8], bytes_max: usize) -> Result<Option<(AccountId, LinkMessage)>, BadInput> {
    const NAMES: [&str; 9] =
        ["type", "account", "at", "card", "country", "handle", "email_ref", "billing_ref", "status"];
    let Some(fields) = Fields::read(value, bytes_max, &NAMES)? else {
        return Ok(None);
    };
    let change = match fields.text("type")?.as_deref() {
        Some("link") => LinkChange::Link(Arc::new(link(&fields)?)),
        Some("unlink") => LinkChange::Unlink,
        Some("card") => LinkChange::Card(card_status(&fields)?),
        Some(_) | None => return Ok(None),
    };
    Ok(Some((account(&fields)?, LinkMessage { at: at(&fields)?, change })))
}

/// Reads a record of `replies.posted`; nothing if it tells of an announcement.
pub fn parse_posted(value: &[u8], bytes_max: usize) -> Result<Option<(AccountId, PromptFate)>, BadInput> {
    const NAMES: [&str; 5] = ["reply", "account", "post", "failed", "at"];
    let Some(fields) = Fields::read(value, bytes_max, &NAMES)? else {
        return Ok(None);
    };
    if fields.is_empty() {
        return Ok(None);
    }
    let reply = fields.text("reply")?.ok_or_else(|| BadInput::new("no_id", "reply"))?;
    let reply = uuids::parse(&reply).ok_or_else(|| BadInput::wrong_type("reply", "a UUID"))?;
    let outcome = match (fields.text("post")?, fields.text("failed")?) {
        (Some(post), None) => {
            Ok(parse_id(&post).map(PostId).ok_or_else(|| BadInput::wrong_type("post", "a post id in digits"))?)
        }
        (None, Some(reason)) => Err(shortened(reason)),
        (Some(_), Some(_)) => {
            return Err(BadInput::new("wrong_type", "post, failed: only one of them can be true"));
        }
        (None, None) => return Err(BadInput::new("wrong_type", "post, failed: both are missing")),
    };
    let fate = PromptFate { reply, at: at(&fields)?, outcome };
    // An announcement is nobody's, and nothing waits for what became of it.
    if fields.is_null("account") {
        return Ok(None);
    }
    Ok(Some((account(&fields)?, fate)))
}

/// Reads the envelope of a record of `offers`; a tombstone withdraws the offer that its key names.
///
/// No member may be repeated, for which of them is read is not known here.
pub fn parse_offer_envelope(
    value: Option<&[u8]>,
    key: Option<&[u8]>,
    bytes_max: usize,
) -> Result<Option<OfferRecord>, BadInput> {
    let Some(value) = value else {
        let id = key.and_then(|key| std::str::from_utf8(key).ok()).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| BadInput::new("no_id", "a tombstone's key is the offer's id"))?;
        return Ok(Some(OfferRecord::Withdrawn { id: id.to_owned() }));
    };
    let mut spec = Map::new();
    let read = each_member(value, bytes_max, &mut |name, member| {
        let member = serde_json::from_str::<Value>(member.get())
            .map_err(|_| BadInput::new("not_json", shortened(format!("cannot be read: {name}"))))?;
        match spec.insert(name.to_owned(), member) {
            None => Ok(()),
            Some(_) => Err(BadInput::new("duplicate_field", shortened(name.to_owned()))),
        }
    })?;
    if !read {
        return Ok(None);
    }
    let id = match spec.get("id") {
        Some(Value::String(id)) if !id.is_empty() => id.clone(),
        None | Some(Value::Null | Value::String(_)) => return Err(BadInput::new("no_id", "id")),
        Some(_) => return Err(BadInput::wrong_type("id", "a string")),
    };
    match spec.remove("withdrawn") {
        Some(Value::Bool(true)) => Ok(Some(OfferRecord::Withdrawn { id })),
        None | Some(Value::Bool(false) | Value::Null) => Ok(Some(OfferRecord::Spec { id, spec: Value::Object(spec) })),
        Some(_) => Err(BadInput::wrong_type("withdrawn", "true or false")),
    }
}

impl BadInput {
    pub fn new(reason: &'static str, detail: impl Into<String>) -> BadInput {
        BadInput { reason, detail: detail.into() }
    }

    pub(super) fn wrong_type(name: &str, expected: &str) -> BadInput {
        BadInput::new("wrong_type", format!("{name}: it is not {expected}"))
    }
}

fn account<const N: usize>(fields: &Fields<'_, N>) -> Result<AccountId, BadInput> {
    let text = fields.text("account")?.ok_or_else(|| BadInput::new("no_id", "account"))?;
    AccountId::parse(&text).ok_or_else(|| BadInput::wrong_type("account", "network:user_id"))
}

fn at<const N: usize>(fields: &Fields<'_, N>) -> Result<Time, BadInput> {
    time::parse(&fields.required_text("at")?).map_err(|_| BadInput::wrong_type("at", "an RFC 3339 time"))
}

fn link<const N: usize>(fields: &Fields<'_, N>) -> Result<Link, BadInput> {
    let country = kept_text(fields, "country")?;
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(BadInput::wrong_type("country", "an ISO 3166 alpha-2 code"));
    }
    let handle = kept_text(fields, "handle")?;
    let handle = handle.strip_prefix('@').unwrap_or(&handle);
    if handle.is_empty() || handle.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(BadInput::wrong_type("handle", "one word"));
    }
    Ok(Link {
        card: kept_text(fields, "card")?,
        country,
        handle: handle.to_owned(),
        email_ref: kept_text(fields, "email_ref")?,
        billing_ref: kept_text(fields, "billing_ref")?,
    })
}

fn card_status<const N: usize>(fields: &Fields<'_, N>) -> Result<CardStatus, BadInput> {
    match fields.required_text("status")?.as_str() {
        "active" => Ok(CardStatus::Active),
        "suspended" => Ok(CardStatus::Suspended),
        "cancelled" => Ok(CardStatus::Cancelled),
        _ => Err(BadInput::wrong_type("status", "active, suspended or cancelled")),
    }
}

/// A text that an account will remember: there, not empty, not too long.
fn kept_text<const N: usize>(fields: &Fields<'_, N>, name: &'static str) -> Result<String, BadInput> {
    let text = fields.required_text(name)?;
    if text.is_empty() {
        return Err(BadInput::wrong_type(name, "a text of at least one character"));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(BadInput::new("too_large", format!("{name}: at most {TEXT_BYTES_MAX} bytes are kept")));
    }
    Ok(text)
}

/// For what people read, why a reply failed or which member is repeated, its beginning is enough.
fn shortened(mut text: String) -> String {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
#[path = "inputs_tests.rs"]
mod tests;
