//! `purchases.events`: every transition of every purchase, the audit trail.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::OutRecord;
use crate::domain::Transition;

use super::outputs::{Envelope, Topic};
use super::uuids::uuid_of;
use super::values::{AccountText, PostText, ReasonName, StateName, TimeText, UuidText};

/// A value of `purchases.events`.
#[derive(Serialize, JsonSchema)]
pub struct PurchaseEvent<'a> {
    pub purchase: UuidText,
    pub account: AccountText,
    pub offer: &'a str,
    /// Null for an order and for a buy that opened nothing.
    pub from: Option<StateName>,
    pub to: StateName,
    pub reason: Option<ReasonName>,
    /// Event time of the cause.
    pub at: TimeText,
    /// The causing post.
    pub post: Option<PostText>,
}

pub(super) fn record(transition: &Transition) -> OutRecord {
    let Transition { purchase, account, terms, from, to, reason, at, post, confirm_ms: _ } = transition;
    let id = uuid_of(&format!(
        "purchases.events|{purchase}|{}|{}|{}|{}|{}",
        from.map_or("", |state| state.name()),
        to.name(),
        post.map_or_else(String::new, |post| post.to_string()),
        reason.map_or("", |reason| reason.name()),
        at.0,
    ));
    Envelope::of_account(Topic::PurchasesEvents, *account, id, *at).around(&PurchaseEvent {
        purchase: UuidText(*purchase),
        account: AccountText(*account),
        offer: &terms.offer,
        from: from.map(StateName),
        to: StateName(*to),
        reason: reason.map(ReasonName),
        at: TimeText(*at),
        post: post.map(PostText),
    })
}
