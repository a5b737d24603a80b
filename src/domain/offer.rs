//! Offers: what merchants publish, and the terms that travel with every buy intent.

use super::money::Money;
use super::time::{Span, Time};

/// A hashtag after simple Unicode case folding, without `#`. Made by `text::fold_tag` only, so that equal means equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferKind {
    Purchase,
    StatementCredit,
    DiscountCode,
}

/// A published offer, as the catalogue knows it (DESIGN section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What a purchase needs to know; for other kinds the price is that of the enrolment, zero.
    pub terms: Terms,
    /// Units for sale; `None` is unlimited.
    pub quantity: Option<u64>,
    /// How many may wait when all units are held; 0 is no waitlist.
    pub waitlist_max: u64,
    pub withdrawn: bool,
    /// For the kinds that are not purchases.
    pub credit: Option<CreditTerms>,
    /// Discount codes: one shared, or one each.
    pub codes: Vec<String>,
}

/// The terms of an offer at one version. Accounts consult no catalogue: what an order needs travels with its intent, so
/// that a replay is exact whatever happened to the catalogue since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub offer: String,
    /// Higher for what was said later in the `offers` topic, whatever partition it was said in.
    pub version: u64,
    pub kind: OfferKind,
    /// Tags as published (for texts); compare by the folded ones below.
    pub buy_tag: String,
    pub confirm_tag: String,
    pub cancel_tag: Option<String>,
    pub buy: Tag,
    pub confirm: Tag,
    pub cancel: Option<Tag>,
    pub merchant: String,
    pub item: String,
    /// Price plus tax.
    pub amount: Money,
    /// Decimals of the currency, for texts.
    pub exponent: u32,
    /// Whether stock is asked before the prompt.
    pub limited: bool,
    /// Purchases that wait or succeeded, at most, per account.
    pub per_account: u32,
    /// Inclusive; `None` is always open on that side.
    pub opens: Option<Time>,
    pub closes: Option<Time>,
    /// ISO 3166 alpha-2 codes; empty allows every country.
    pub countries: Vec<String>,
    pub terms_url: Option<String>,
    /// Weighted length that replies about this offer may have, at most.
    pub reply_length: u32,
}

/// The extra terms of a statement-credit offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditTerms {
    pub min_spend: Money,
    pub credit: Money,
    pub spend_by: Option<Time>,
}

impl Terms {
    /// Whether a post of this time may order: `opens ≤ time ≤ closes`.
    pub fn is_open_at(&self, time: Time) -> bool {
        self.opens.is_none_or(|opens| opens <= time) && self.closes.is_none_or(|closes| time <= closes)
    }

    pub fn allows_country(&self, country: &str) -> bool {
        self.countries.is_empty() || self.countries.iter().any(|c| c == country)
    }
}

/// The times by which conversations are judged (`account.*`, `reply.*` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub confirm_window: Span,
    pub reply_grace: Span,
    pub buy_max_age: Span,
    pub cancel_window: Span,
    pub forget_after: Span,
    /// `reply.feedback = "required"`: no expiry before the prompt's fate is told.
    pub feedback_required: bool,
    pub feedback_timeout: Span,
}
