//! `/v1/offers`: every offer that the offers stage of this process knows, with its stock and funnel, in order of ids.
//! What is shown may be decided and not yet committed.

use actix_web::HttpResponse;
use serde::Serialize;

use super::Shown;
use super::answer::{ApiError, json};
use crate::domain::OfferKind;
use crate::engine::directory::QueryError;
use crate::offers::shard::{OfferView, OffersAnswer, OffersQuery};
use crate::wire::funnel::FunnelValue;
use crate::wire::values::{MoneyValue, TimeText};

/// One offer. Unique codes stay inside.
#[derive(Serialize)]
struct OfferBody<'a> {
    id: &'a str,
    kind: &'static str,
    buy_tag: &'a str,
    confirm_tag: &'a str,
    cancel_tag: Option<&'a str>,
    merchant: &'a str,
    item: &'a str,
    /// With tax: what is taken.
    price: MoneyValue,
    /// Decimals of the price and of the revenue, by ISO 4217: what browsers know differs for some currencies.
    exponent: u32,
    opens: Option<TimeText>,
    closes: Option<TimeText>,
    withdrawn: bool,
    /// How many one account may have.
    per_account: u32,
    /// Null: unlimited.
    quantity: Option<u64>,
    held: u64,
    sold: u64,
    waiting: u64,
    funnel: FunnelValue<'a>,
}

pub async fn offers(served: Shown) -> Result<HttpResponse, ApiError> {
    let directory = &served.state.offers;
    let mut views = Vec::new();
    for at in directory.partitions() {
        match directory.query(&at, OffersQuery::All).await {
            Ok(OffersAnswer::All(found)) => views.extend(found),
            // It left between the two looks.
            Err(QueryError::NotHere) => {}
            Err(busy @ QueryError::Busy) => return Err(ApiError::unavailable(busy.to_string())),
        }
    }
    views.sort_by(|a, b| a.offer.terms.offer.cmp(&b.offer.terms.offer));
    Ok(json(&views.iter().map(body_of).collect::<Vec<_>>()))
}

/// The offers as the endpoint shows them, for commands that read the folder themselves.
pub fn offers_json(views: &[OfferView]) -> serde_json::Value {
    views.iter().map(|view| serde_json::json!(body_of(view))).collect()
}

fn body_of(view: &OfferView) -> OfferBody<'_> {
    let terms = &view.offer.terms;
    OfferBody {
        id: &terms.offer,
        kind: name_of(terms.kind),
        buy_tag: &terms.buy_tag,
        confirm_tag: &terms.confirm_tag,
        cancel_tag: terms.cancel_tag.as_deref(),
        merchant: &terms.merchant,
        item: &terms.item,
        price: MoneyValue(terms.amount),
        exponent: terms.exponent,
        opens: terms.opens.map(TimeText),
        closes: terms.closes.map(TimeText),
        withdrawn: view.offer.withdrawn,
        per_account: terms.per_account,
        quantity: view.offer.quantity,
        held: view.held,
        sold: view.sold,
        waiting: view.waiting,
        funnel: FunnelValue::from(&view.funnel),
    }
}

fn name_of(kind: OfferKind) -> &'static str {
    match kind {
        OfferKind::Purchase => "purchase",
        OfferKind::StatementCredit => "statement_credit",
        OfferKind::DiscountCode => "discount_code",
    }
}
