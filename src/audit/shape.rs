//! The records of the output topics: which members each has and of which form, as the contract says.

use serde_json::Value;

use crate::domain::{AccountId, Uuid};
use crate::wire::uuids;

/// The form of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Id,
    IdOrNull,
    Account,
    AccountOrNull,
    Post,
    PostOrNull,
    Time,
    Text,
    TextOrNull,
    Money,
    Count,
    CountOrNull,
    /// The name of a state of a purchase.
    State,
    StateOrNull,
    /// Base64 of what could not be understood; may be left out.
    Body,
}

/// The states of a purchase, by the contract's names.
pub(super) const STATES: [&str; 12] = [
    "ordered",
    "waitlisted",
    "prompted",
    "approving",
    "paying",
    "authorized",
    "fulfilled",
    "rejected",
    "sold_out",
    "expired",
    "cancelled",
    "declined",
];

/// The members of an output topic's values; `None` for topics that are no outputs.
pub(super) fn members_of(topic: &str) -> Option<&'static [(&'static str, Form)]> {
    Some(match topic {
        "replies" | "messages.direct" => REPLY,
        "payments.authorized" => PAYMENT,
        "payments.voided" => VOIDED,
        "fulfilment.orders" => ORDER,
        "notifications.email" => EMAIL,
        "purchases.events" => EVENT,
        "offers.funnel" => FUNNEL,
        "dead-letters" => DEAD_LETTER,
        _ => return None,
    })
}

/// What is wrong with a value's members, if anything. Tells names, never contents.
pub(super) fn misshapen(members: &[(&str, Form)], value: &Value) -> Option<String> {
    let Some(object) = value.as_object() else { return Some("the value is no object".to_owned()) };
    for (name, form) in members {
        match object.get(*name) {
            Some(member) if form.fits(member) => {}
            Some(_) => return Some(format!("\"{name}\" is no {form:?}")),
            None if *form == Form::Body => {}
            None => return Some(format!("\"{name}\" is missing")),
        }
    }
    if object.len() <= members.len() {
        return None;
    }
    let unknown = object.keys().find(|key| members.iter().all(|(name, _)| name != key))?;
    Some(format!("\"{unknown}\" is no member of this topic"))
}

/// An id of the record, read.
pub(super) fn id(value: &Value, name: &str) -> Option<Uuid> {
    uuids::parse(value[name].as_str()?)
}

pub(super) fn account(value: &Value) -> Option<AccountId> {
    AccountId::parse(value["account"].as_str()?)
}

/// Post ids are decimal strings.
pub(super) fn post(value: &Value, name: &str) -> Option<u64> {
    value[name].as_str()?.parse().ok()
}

impl Form {
    fn fits(self, member: &Value) -> bool {
        let text = member.as_str();
        match self {
            Form::Id => text.is_some_and(is_uuid),
            Form::Account => text.is_some_and(|text| AccountId::parse(text).is_some()),
            Form::Post => text.is_some_and(is_decimal),
            Form::Time => text.is_some_and(is_time),
            Form::Text | Form::Body => text.is_some(),
            Form::State => text.is_some_and(|text| STATES.contains(&text)),
            Form::Count => member.is_u64(),
            Form::Money => member["minor"].is_i64() && member["currency"].as_str().is_some_and(|c| c.len() == 3),
            Form::IdOrNull => member.is_null() || Form::Id.fits(member),
            Form::AccountOrNull => member.is_null() || Form::Account.fits(member),
            Form::PostOrNull => member.is_null() || Form::Post.fits(member),
            Form::TextOrNull => member.is_null() || text.is_some(),
            Form::CountOrNull => member.is_null() || member.is_u64(),
            Form::StateOrNull => member.is_null() || Form::State.fits(member),
        }
    }
}

/// Hyphenated, lower case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// `2013-02-12T15:01:00.000Z`: times of this form are in order as texts, too.
pub(super) fn is_time(text: &str) -> bool {
    const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
    let fits = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    text.len() == FORM.len() && text.bytes().zip(FORM).all(fits)
}

fn is_decimal(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

const REPLY: &[(&str, Form)] = &[
    ("reply", Form::Id),
    ("kind", Form::Text),
    ("account", Form::AccountOrNull),
    ("handle", Form::TextOrNull),
    ("in_reply_to", Form::PostOrNull),
    ("text", Form::Text),
    ("offer", Form::TextOrNull),
    ("purchase", Form::IdOrNull),
];

const PAYMENT: &[(&str, Form)] = &[
    ("purchase", Form::Id),
    ("account", Form::Account),
    ("card", Form::Text),
    ("offer", Form::Text),
    ("merchant", Form::Text),
    ("amount", Form::Money),
    ("ordered_at", Form::Time),
    ("confirmed_at", Form::Time),
    ("order_post", Form::Post),
    ("confirm_post", Form::Post),
];

const VOIDED: &[(&str, Form)] =
    &[("purchase", Form::Id), ("account", Form::Account), ("reason", Form::Text), ("at", Form::Time)];

const ORDER: &[(&str, Form)] = &[
    ("purchase", Form::Id),
    ("merchant", Form::Text),
    ("item", Form::Text),
    ("quantity", Form::Count),
    ("ship_to", Form::Text),
];

const EMAIL: &[(&str, Form)] = &[
    ("notification", Form::Id),
    ("kind", Form::Text),
    ("account", Form::Account),
    ("email_ref", Form::Text),
    ("purchase", Form::Id),
    ("text", Form::Text),
];

const EVENT: &[(&str, Form)] = &[
    ("purchase", Form::Id),
    ("account", Form::Account),
    ("offer", Form::Text),
    ("from", Form::StateOrNull),
    ("to", Form::State),
    ("reason", Form::TextOrNull),
    ("at", Form::Time),
    ("post", Form::PostOrNull),
];

const FUNNEL: &[(&str, Form)] = &[
    ("offer", Form::Text),
    ("mentions", Form::Count),
    ("buys", Form::Count),
    ("prompts", Form::Count),
    ("confirms", Form::Count),
    ("authorized", Form::Count),
    ("fulfilled", Form::Count),
    ("expired", Form::Count),
    ("cancelled", Form::Count),
    ("declined", Form::Count),
    ("sold_out", Form::Count),
    ("revenue", Form::Money),
    ("confirm_ms_p50", Form::CountOrNull),
    ("confirm_ms_p99", Form::CountOrNull),
];

const DEAD_LETTER: &[(&str, Form)] = &[
    ("topic", Form::Text),
    ("partition", Form::Count),
    ("offset", Form::Count),
    ("size", Form::Count),
    ("sha256", Form::Text),
    ("reason", Form::Text),
    ("detail", Form::Text),
    ("body", Form::Body),
];
