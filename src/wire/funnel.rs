//! `offers.funnel`: whether conversations become sales, as running totals. Compacted, key offer id.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::OutRecord;
use crate::domain::Funnel;

use super::outputs::{Envelope, OFFERS, Topic};
use super::uuids::uuid_of;
use super::values::MoneyValue;

/// A value of `offers.funnel`.
#[derive(Serialize, JsonSchema)]
pub struct FunnelValue<'a> {
    pub offer: &'a str,
    /// Posts that carry the buy tag, retweets too.
    pub mentions: u64,
    pub buys: u64,
    pub prompts: u64,
    pub confirms: u64,
    pub authorized: u64,
    pub fulfilled: u64,
    pub expired: u64,
    pub cancelled: u64,
    pub declined: u64,
    pub sold_out: u64,
    /// Authorised less voided.
    pub revenue: MoneyValue,
    /// Milliseconds from prompt to confirm; null before the first confirm.
    pub confirm_ms_p50: Option<u64>,
    pub confirm_ms_p99: Option<u64>,
}

impl<'a> From<&'a Funnel> for FunnelValue<'a> {
    fn from(funnel: &'a Funnel) -> FunnelValue<'a> {
        FunnelValue {
            offer: &funnel.offer,
            mentions: funnel.mentions,
            buys: funnel.buys,
            prompts: funnel.prompts,
            confirms: funnel.confirms,
            authorized: funnel.authorized,
            fulfilled: funnel.fulfilled,
            expired: funnel.expired,
            cancelled: funnel.cancelled,
            declined: funnel.declined,
            sold_out: funnel.sold_out,
            revenue: MoneyValue(funnel.revenue),
            confirm_ms_p50: funnel.confirm_ms_p50,
            confirm_ms_p99: funnel.confirm_ms_p99,
        }
    }
}

pub(super) fn record(funnel: &Funnel) -> OutRecord {
    let value = FunnelValue::from(funnel);
    let envelope = Envelope {
        topic: Topic::OffersFunnel,
        source: OFFERS,
        key: Some(funnel.offer.clone().into_bytes()),
        id: uuid_of(&name_of(&value)),
        time: funnel.at,
    };
    envelope.around(&value)
}

fn name_of(value: &FunnelValue<'_>) -> String {
    let percentile = |ms: Option<u64>| ms.map_or_else(String::new, |ms| ms.to_string());
    format!(
        "offers.funnel|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
        value.offer,
        value.mentions,
        value.buys,
        value.prompts,
        value.confirms,
        value.authorized,
        value.fulfilled,
        value.expired,
        value.cancelled,
        value.declined,
        value.sold_out,
        value.revenue.0.minor,
        percentile(value.confirm_ms_p50),
        percentile(value.confirm_ms_p99),
    )
}
