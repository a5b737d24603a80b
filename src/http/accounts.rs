//! `/v1/accounts/{network:id}`: what is remembered of an account. Never the card's token, nor where mail and parcels go
//! (I11). What is shown may be decided and not yet committed.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::Shown;
use super::access::Authorized;
use super::answer::{ApiError, json};
use crate::accounts::{AccountsAnswer, AccountsQuery};
use crate::bus::{TopicPartition, partition_of_key};
use crate::domain::account::{Account, Standing};
use crate::domain::purchase::Purchase;
use crate::domain::{AccountId, CardStatus, Time};
use crate::wire::internal::account_key;
use crate::wire::values::{AccountText, MoneyValue, StateName, TimeText, UuidText};

#[derive(Serialize)]
struct AccountBody<'a> {
    account: AccountText,
    /// By all that was told so far; null while no card is linked.
    link: Option<LinkBody<'a>>,
    /// In order of opening.
    purchases: Vec<PurchaseBody<'a>>,
    kept: KeptBody,
    /// Of the account's partition; null until every source has ticked.
    watermark: Option<TimeText>,
}

#[derive(Serialize)]
struct LinkBody<'a> {
    country: &'a str,
    handle: &'a str,
    card: &'static str,
    frozen: bool,
}

#[derive(Serialize)]
struct PurchaseBody<'a> {
    id: UuidText,
    offer: &'a str,
    state: StateName,
    ordered_at: TimeText,
    deadline: Option<TimeText>,
    amount: MoneyValue,
    /// Decimals of the amount, by ISO 4217.
    exponent: u32,
}

/// How many records of each sort are kept besides purchases.
#[derive(Default, Serialize)]
struct KeptBody {
    /// Changes of links, cards and freezes.
    links: usize,
    /// Confirms, cancels and deletions that were read before what they concern.
    confirms: usize,
    cancels: usize,
    deletions: usize,
    /// Buys that opened nothing.
    refused: usize,
    /// Purchases whose stock is asked.
    asking: usize,
    /// Messages that wait for the answers.
    queue: usize,
    /// What of these counts towards the shard's byte bound.
    bytes: usize,
}

pub async fn account(_: Authorized, served: Shown, path: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let id = id_of(&path)?;
    let partition = partition_of_key(&account_key(id), served.state.accounts_partitions);
    let at = TopicPartition::new("accounts.inbox", partition);
    let answer = served.state.accounts.query(&at, AccountsQuery::Account(id)).await;
    match answer.map_err(|error| ApiError::unavailable(error.to_string()))? {
        AccountsAnswer::Account(Some(account), watermark) => {
            Ok(json(&body_of(id, &account, &account.standing_at(Time(i64::MAX)), watermark)))
        }
        AccountsAnswer::Account(None, _) | AccountsAnswer::Stats { .. } | AccountsAnswer::Pending(_) => {
            Err(ApiError::not_found("nothing is remembered of this account"))
        }
    }
}

/// Reads the account of a path.
pub fn id_of(path: &str) -> Result<AccountId, ApiError> {
    AccountId::parse(path)
        .ok_or_else(|| ApiError::bad_request("an account is network:user_id with a numeric id, e.g. twitter:783214"))
}

/// An account as the endpoint shows it, for commands that read the folder themselves.
pub fn account_json(id: AccountId, account: &Account, watermark: Option<Time>) -> serde_json::Value {
    serde_json::json!(body_of(id, account, &account.standing_at(Time(i64::MAX)), watermark))
}

fn body_of<'a>(
    id: AccountId,
    account: &'a Account,
    standing: &'a Standing,
    watermark: Option<Time>,
) -> AccountBody<'a> {
    AccountBody {
        account: AccountText(id),
        link: link_of(standing),
        purchases: account.purchases.iter().map(purchase_of).collect(),
        kept: kept_of(account),
        watermark: watermark.map(TimeText),
    }
}

fn link_of(standing: &Standing) -> Option<LinkBody<'_>> {
    let link = standing.link.as_deref()?;
    let card = standing.card.map_or("unknown", |status| match status {
        CardStatus::Active => "active",
        CardStatus::Suspended => "suspended",
        CardStatus::Cancelled => "cancelled",
    });
    Some(LinkBody { country: &link.country, handle: &link.handle, card, frozen: standing.frozen })
}

fn purchase_of(purchase: &Purchase) -> PurchaseBody<'_> {
    PurchaseBody {
        id: UuidText(purchase.id),
        offer: &purchase.terms.offer,
        state: StateName(purchase.state),
        ordered_at: TimeText(purchase.ordered_at),
        deadline: purchase.deadline.filter(|_| purchase.ends_by_itself()).map(TimeText),
        amount: MoneyValue(purchase.terms.amount),
        exponent: purchase.terms.exponent,
    }
}

fn kept_of(account: &Account) -> KeptBody {
    let links = account.links.len();
    account.extras.as_deref().map_or_else(
        || KeptBody { links, ..KeptBody::default() },
        |extras| KeptBody {
            links,
            confirms: extras.confirms.len(),
            cancels: extras.cancels.len(),
            deletions: extras.deletions.len(),
            refused: extras.refused.len(),
            asking: extras.asking.len(),
            queue: extras.queue.len(),
            bytes: account.kept_bytes(),
        },
    )
}
