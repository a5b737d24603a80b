//! JSON Schemas (2020-12) of every topic that this program reads or writes, by its name without prefix.
//!
//! Those of outputs follow from the types that write them; those of inputs say what is accepted. Both leave other
//! members open: inputs ignore them, and outputs may gain some.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::dead_letters::DeadLetterValue;
use super::funnel::FunnelValue;
use super::inputs::TEXT_BYTES_MAX;
use super::orders::FulfilmentOrder;
use super::outputs::Topic;
use super::payments::{PaymentAuthorized, PaymentVoided};
use super::purchases::PurchaseEvent;
use super::replies::{EmailValue, ReplyValue};

/// The schema of each topic's value.
pub fn schemas() -> BTreeMap<&'static str, Value> {
    let outputs = Topic::ALL.map(|topic| (topic.name(), output(topic)));
    let inputs = [
        ("tweets", tweets()),
        ("accounts.links", accounts_links()),
        ("offers", offers()),
        ("replies.posted", replies_posted()),
    ];
    let titled = |(name, mut schema): (&'static str, Value)| {
        schema["title"] = json!(name);
        (name, schema)
    };
    outputs.into_iter().chain(inputs).map(titled).collect()
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

fn output(topic: Topic) -> Value {
    match topic {
        Topic::Replies | Topic::MessagesDirect => written::<ReplyValue<'_>>(),
        Topic::PaymentsAuthorized => written::<PaymentAuthorized<'_>>(),
        Topic::PaymentsVoided => written::<PaymentVoided>(),
        Topic::FulfilmentOrders => written::<FulfilmentOrder<'_>>(),
        Topic::NotificationsEmail => written::<EmailValue<'_>>(),
        Topic::PurchasesEvents => written::<PurchaseEvent<'_>>(),
        Topic::OffersFunnel => written::<FunnelValue<'_>>(),
        Topic::DeadLetters => written::<DeadLetterValue<'_>>(),
    }
}

/// What serde writes for a type: every member that is always written is required.
fn written<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

fn tweets() -> Value {
    json!({
        "$schema": DIALECT,
        "description": "One post as the network streams it: an X API v1.1 status, a v2 object with \"data\" and \
            \"includes\", or a v1.1 control message. The network defines it; an object that is none of these is counted \
            and passed over.",
        "type": "object",
    })
}

fn accounts_links() -> Value {
    let kept = json!({"type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX});
    json!({
        "$schema": DIALECT,
        "type": "object",
        "properties": {"type": {"enum": ["link", "unlink", "card"]}, "account": account(), "at": time()},
        "required": ["type", "account", "at"],
        "oneOf": [
            {
                "description": "A cardholder links a card, or links it anew.",
                "properties": {
                    "type": {"const": "link"},
                    "card": kept,
                    "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
                    "handle": kept,
                    "email_ref": kept,
                    "billing_ref": kept,
                },
                "required": ["card", "country", "handle", "email_ref", "billing_ref"],
            },
            {"properties": {"type": {"const": "unlink"}}},
            {
                "properties": {
                    "type": {"const": "card"},
                    "status": {"enum": ["active", "suspended", "cancelled"]},
                },
                "required": ["status"],
            },
        ],
    })
}

fn replies_posted() -> Value {
    let absent = json!({"type": "null"});
    let whose = json!({"anyOf": [account(), absent], "description": "null: an announcement's."});
    json!({
        "$schema": DIALECT,
        "description": "What the gateway did with a reply.",
        "type": "object",
        "properties": {"reply": {"type": "string", "format": "uuid"}, "account": whose, "at": time()},
        "required": ["reply", "account", "at"],
        "oneOf": [
            {"properties": {"post": post(), "failed": absent}, "required": ["post"]},
            {
                "description": "Final: retrying is the gateway's job.",
                "properties": {"failed": {"type": "string"}, "post": absent},
                "required": ["failed"],
            },
        ],
    })
}

fn offers() -> Value {
    let tag = json!({"type": "string", "minLength": 1, "description": "A hashtag without #."});
    let decimal = json!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$", "description": "149.99"});
    json!({
        "$schema": DIALECT,
        "description": "Compacted, key offer id. null withdraws the offer of the key, too.",
        "type": ["object", "null"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "withdrawn": {"type": "boolean"},
            "kind": {"enum": ["purchase", "statement_credit", "discount_code"]},
            "buy_tag": tag,
            "confirm_tag": tag,
            "cancel_tag": tag,
            "merchant": {"type": "string"},
            "item": {"type": "string"},
            "price": decimal,
            "tax": decimal,
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "quantity": {"type": "integer", "minimum": 0, "description": "Units for sale; unlimited if absent."},
            "per_account": {"type": "integer", "minimum": 1},
            "opens": time(),
            "closes": time(),
            "countries": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}},
            "waitlist_max": {"type": "integer", "minimum": 0},
            "terms_url": {"type": "string"},
            "reply_length": {"type": "integer", "minimum": 1},
            "min_spend": decimal,
            "credit": decimal,
            "spend_by": time(),
            "code": {"type": "string"},
            "codes": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["id"],
    })
}

fn account() -> Value {
    json!({"type": "string", "pattern": "^[a-z0-9_-]{1,15}:(0|[1-9][0-9]{0,19})$", "description": "network:user_id"})
}

fn post() -> Value {
    json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$", "description": "A post's id."})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time", "description": "RFC 3339."})
}
