//! How ids, times, money and names stand in JSON, each with its schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::domain::{AccountId, Money, PostId, Reason, ReplyKind, State, Time, Uuid};

use super::time;

/// `network:user_id`.
#[derive(Clone, Copy, Debug)]
pub struct AccountText(pub AccountId);

/// A post's id as a string of digits.
#[derive(Clone, Copy, Debug)]
pub struct PostText(pub PostId);

/// A UUID, hyphenated, lower case.
#[derive(Clone, Copy, Debug)]
pub struct UuidText(pub Uuid);

/// RFC 3339, UTC, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct TimeText(pub Time);

/// A reply kind's name.
#[derive(Clone, Copy, Debug)]
pub struct KindName(pub ReplyKind);

/// A purchase state's name.
#[derive(Clone, Copy, Debug)]
pub struct StateName(pub State);

/// A reason's name.
#[derive(Clone, Copy, Debug)]
pub struct ReasonName(pub Reason);

/// An amount in minor units: `{"minor": 14999, "currency": "USD"}`.
#[derive(Clone, Copy, Debug)]
pub struct MoneyValue(pub Money);

impl Serialize for AccountText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for PostText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for UuidText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = uuid::Uuid::encode_buffer();
        serializer.serialize_str(uuid::Uuid::from_bytes(self.0.0).hyphenated().encode_lower(&mut buffer))
    }
}

impl Serialize for TimeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(time::text_of(&time::bytes_of(self.0)))
    }
}

impl Serialize for KindName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl Serialize for StateName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl Serialize for ReasonName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl Serialize for MoneyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Plain<'a> {
            minor: i64,
            currency: &'a str,
        }
        Plain { minor: self.0.minor, currency: self.0.currency.code() }.serialize(serializer)
    }
}

/// Gives a type its schema: the same at every place that uses it, so it is written there and not referred to.
macro_rules! schema {
    ($($type:ident: $schema:expr;)+) => { $(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }

            fn inline_schema() -> bool {
                true
            }
        }
    )+ };
}

schema! {
    AccountText: json_schema!({"type": "string", "pattern": "^[a-z0-9_-]{1,15}:(0|[1-9][0-9]{0,19})$"});
    PostText: json_schema!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"});
    UuidText: json_schema!({
        "type": "string",
        "format": "uuid",
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    });
    TimeText: json_schema!({
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
    });
    KindName: json_schema!({"type": "string", "enum": ReplyKind::ALL.map(ReplyKind::name)});
    StateName: json_schema!({"type": "string", "enum": State::ALL.map(State::name)});
    ReasonName: json_schema!({"type": "string", "enum": Reason::ALL.map(Reason::name)});
    MoneyValue: json_schema!({
        "type": "object",
        "properties": {
            "minor": {"type": "integer", "description": "In the currency's minor unit: cents for USD."},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        },
        "required": ["minor", "currency"],
    });
}
