//! `payments.authorized` and `payments.voided`: the only outputs that carry a card token are of this family (I11).

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::OutRecord;
use crate::domain::{Payment, Voided};

use super::outputs::{Envelope, Topic};
use super::uuids::uuid_of;
use super::values::{AccountText, MoneyValue, PostText, ReasonName, TimeText, UuidText};

/// A value of `payments.authorized`.
#[derive(Serialize, JsonSchema)]
pub struct PaymentAuthorized<'a> {
    pub purchase: UuidText,
    pub account: AccountText,
    /// The card's token.
    pub card: &'a str,
    pub offer: &'a str,
    pub merchant: &'a str,
    /// Price plus tax.
    pub amount: MoneyValue,
    pub ordered_at: TimeText,
    pub confirmed_at: TimeText,
    /// First id of the ordering post.
    pub order_post: PostText,
    pub confirm_post: PostText,
}

/// A value of `payments.voided`: the processor gives the money back.
#[derive(Serialize, JsonSchema)]
pub struct PaymentVoided {
    pub purchase: UuidText,
    pub account: AccountText,
    pub reason: ReasonName,
    /// Event time of the cause.
    pub at: TimeText,
}

pub(super) fn authorized(payment: &Payment) -> OutRecord {
    let Payment { purchase, account, link, terms, ordered_at, confirmed_at, order_post, confirm_post } = payment;
    let id = uuid_of(&format!("payments.authorized|{purchase}"));
    Envelope::of_account(Topic::PaymentsAuthorized, *account, id, *confirmed_at).around(&PaymentAuthorized {
        purchase: UuidText(*purchase),
        account: AccountText(*account),
        card: &link.card,
        offer: &terms.offer,
        merchant: &terms.merchant,
        amount: MoneyValue(terms.amount),
        ordered_at: TimeText(*ordered_at),
        confirmed_at: TimeText(*confirmed_at),
        order_post: PostText(*order_post),
        confirm_post: PostText(*confirm_post),
    })
}

pub(super) fn voided(voided: &Voided) -> OutRecord {
    let Voided { purchase, account, reason, at } = voided;
    let id = uuid_of(&format!("payments.voided|{purchase}"));
    Envelope::of_account(Topic::PaymentsVoided, *account, id, *at).around(&PaymentVoided {
        purchase: UuidText(*purchase),
        account: AccountText(*account),
        reason: ReasonName(*reason),
        at: TimeText(*at),
    })
}
