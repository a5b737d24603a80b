//! What people read: `replies`, `messages.direct`, `notifications.email`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::OutRecord;
use crate::domain::{Email, Reply, ReplyKind, Terms, Time, Uuid};

use super::outputs::{Envelope, OFFERS, Topic};
use super::texts::Texts;
use super::values::{AccountText, KindName, PostText, UuidText};

/// A value of `replies` and `messages.direct`.
#[derive(Serialize, JsonSchema)]
pub struct ReplyValue<'a> {
    pub reply: UuidText,
    pub kind: KindName,
    /// Null for an announcement, as are handle, in_reply_to, purchase and the record's key.
    pub account: Option<AccountText>,
    /// Without `@`.
    pub handle: Option<&'a str>,
    pub in_reply_to: Option<PostText>,
    /// Ready to be posted.
    pub text: &'a str,
    /// Null where the reply is about the account.
    pub offer: Option<&'a str>,
    pub purchase: Option<UuidText>,
}

/// A value of `notifications.email`.
#[derive(Serialize, JsonSchema)]
pub struct EmailValue<'a> {
    pub notification: UuidText,
    pub kind: KindName,
    pub account: AccountText,
    /// A reference to the address.
    pub email_ref: &'a str,
    pub purchase: UuidText,
    pub text: &'a str,
}

pub(super) fn public(reply: &Reply, texts: &Texts) -> Option<OutRecord> {
    let text = texts.render_reply(reply)?;
    Some(record(Topic::Replies, reply, &text))
}

pub(super) fn direct(reply: &Reply, texts: &Texts) -> OutRecord {
    record(Topic::MessagesDirect, reply, &texts.render_direct(reply))
}

pub(super) fn email(email: &Email, texts: &Texts) -> OutRecord {
    let text = texts.render_email(email);
    let Email { id, kind, account, email_ref, purchase, terms: _, at } = email;
    Envelope::of_account(Topic::NotificationsEmail, *account, *id, *at).around(&EmailValue {
        notification: UuidText(*id),
        kind: KindName(*kind),
        account: AccountText(*account),
        email_ref,
        purchase: UuidText(*purchase),
        text: &text,
    })
}

pub(super) fn announcement(id: Uuid, terms: &Arc<Terms>, at: Time, texts: &Texts) -> OutRecord {
    let envelope = Envelope { topic: Topic::Replies, source: OFFERS, key: None, id, time: at };
    envelope.around(&ReplyValue {
        reply: UuidText(id),
        kind: KindName(ReplyKind::Announcement),
        account: None,
        handle: None,
        in_reply_to: None,
        text: &texts.render_announcement(id, terms),
        offer: Some(&terms.offer),
        purchase: None,
    })
}

fn record(topic: Topic, reply: &Reply, text: &str) -> OutRecord {
    let Reply { id, kind, account, handle, in_reply_to, terms, purchase, at } = reply;
    Envelope::of_account(topic, *account, *id, *at).around(&ReplyValue {
        reply: UuidText(*id),
        kind: KindName(*kind),
        account: Some(AccountText(*account)),
        handle: handle.as_deref(),
        in_reply_to: in_reply_to.map(PostText),
        text,
        offer: terms.as_ref().map(|terms| terms.offer.as_str()),
        purchase: purchase.map(UuidText),
    })
}
