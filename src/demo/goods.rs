//! What shoppers can buy: the catalogue's open purchases, and two offers of the demo's own, one scarce, one with a
//! line.

use std::sync::Arc;

use crate::domain::{Currency, Offer, OfferKind, Time};
use crate::posts::json::{Json, object};

/// An offer as shoppers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goods {
    pub id: String,
    pub buy_tag: String,
    pub confirm_tag: String,
    pub cancel_tag: Option<String>,
    pub minor: i64,
    pub currency: Currency,
    pub exponent: u32,
    /// Countries that may buy; empty allows every one.
    pub countries: Vec<String>,
    pub quantity: Option<u64>,
    pub per_account: u32,
}

/// Units of the scarce offer, and people who race for it.
pub const SCARCE_UNITS: u64 = 5;
pub const RACERS: usize = 12;

/// Units of the offer with a line, and places in the line.
pub const LINE_UNITS: u64 = 2;
pub const LINE_PLACES: u64 = 2;

impl Goods {
    /// `None` if nobody can buy it now.
    pub fn of_offer(offer: &Offer, now: Time) -> Option<Goods> {
        let terms = &offer.terms;
        let open = terms.kind == OfferKind::Purchase && !offer.withdrawn && terms.is_open_at(now);
        open.then(|| Goods {
            id: terms.offer.clone(),
            buy_tag: terms.buy_tag.clone(),
            confirm_tag: terms.confirm_tag.clone(),
            cancel_tag: terms.cancel_tag.clone(),
            minor: terms.amount.minor,
            currency: terms.amount.currency,
            exponent: terms.exponent,
            countries: terms.countries.clone(),
            quantity: offer.quantity,
            per_account: terms.per_account,
        })
    }

    pub fn scarce() -> Goods {
        Goods {
            id: "demo-front-row-seat".to_owned(),
            buy_tag: "BuyFrontRowSeat".to_owned(),
            confirm_tag: "ConfirmFrontRowSeat".to_owned(),
            cancel_tag: None,
            minor: 9900,
            currency: Currency::USD,
            exponent: 2,
            countries: vec!["US".to_owned()],
            quantity: Some(SCARCE_UNITS),
            per_account: 1,
        }
    }

    pub fn with_line() -> Goods {
        Goods {
            id: "demo-signed-poster".to_owned(),
            buy_tag: "BuySignedPoster".to_owned(),
            confirm_tag: "ConfirmSignedPoster".to_owned(),
            cancel_tag: Some("CancelSignedPoster".to_owned()),
            minor: 4250,
            quantity: Some(LINE_UNITS),
            ..Goods::scarce()
        }
    }

    pub fn allows(&self, country: &str) -> bool {
        self.countries.is_empty() || self.countries.iter().any(|allowed| allowed == country)
    }
}

/// The records of the demo's own offers, by key.
pub fn own_offers() -> [(Arc<Goods>, Json); 2] {
    [(Goods::scarce(), "Front row seat", 0), (Goods::with_line(), "Signed poster", LINE_PLACES)].map(
        |(goods, item, waitlist_max)| {
            let price = crate::domain::money::format_decimal(goods.minor, goods.exponent);
            let countries: Vec<Json> = goods.countries.iter().map(|country| country.as_str().into()).collect();
            let mut spec = object([
                ("id", goods.id.as_str().into()),
                ("kind", "purchase".into()),
                ("buy_tag", goods.buy_tag.as_str().into()),
                ("confirm_tag", goods.confirm_tag.as_str().into()),
                ("merchant", "demo-stage".into()),
                ("item", item.into()),
                ("price", price.into()),
                ("tax", "0.00".into()),
                ("currency", goods.currency.code().into()),
                ("quantity", goods.quantity.into()),
                ("per_account", u64::from(goods.per_account).into()),
                ("countries", countries.into()),
                ("waitlist_max", waitlist_max.into()),
                ("reply_length", 140.into()),
            ]);
            spec.extend(goods.cancel_tag.as_ref().map(|tag| ("cancel_tag", tag.as_str().into())));
            (Arc::new(goods), spec)
        },
    )
}
