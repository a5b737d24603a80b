//! An offer as it is written: in the offers file as TOML, on the `offers` topic as JSON, with the same fields.

use iso_currency::Currency as IsoCurrency;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::money::parse_decimal;
use crate::domain::{CreditTerms, Currency, Money, Offer, OfferKind, Tag, Terms, Time};
use crate::text::fold;

use super::error::FieldError;
use super::tags::legal_tag;

/// Bounds of fields, each in the unit of its name.
const ID_CHARS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 200;
const REPLY_LENGTH_DEFAULT: i64 = 280;

/// The fields of DESIGN section 4. Nothing is checked yet but the JSON types; [`OfferSpec::into_offer`] checks the
/// rest. Unknown fields are ignored here, and are errors in the offers file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OfferSpec {
    pub id: String,
    /// On the topic only: `true` withdraws the offer, and then the id is all that is needed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// `purchase`, `statement_credit` or `discount_code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Tags are without `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buy_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Decimal strings in units of the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax: Option<String>,
    /// ISO 4217; absent is USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Absent is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_account: Option<i64>,
    /// RFC 3339, inclusive; absent is open on that side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<String>,
    /// ISO 3166 alpha-2; absent is the US, empty allows every country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countries: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waitlist_max: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_url: Option<String>,
    /// Weighted characters that replies may have, 280 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_length: Option<i64>,
    /// Statement credits: decimal strings, and until when a spend counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_spend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_by: Option<String>,
    /// Discount codes: one for all, or one each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codes: Option<Vec<String>>,
}

impl OfferSpec {
    /// Checks every field and gives the offer, or everything that is wrong with it. `version` is higher for
    /// what was said later in the `offers` topic.
    ///
    /// An offer that is no purchase needs no confirm tag; its terms then hold a folded tag that no hashtag equals. One
    /// code is shared by all; several are one each, and as many as the quantity.
    pub fn into_offer(self, version: u64) -> Result<Offer, Vec<FieldError>> {
        let mut check = Check { spec: &self, errors: Vec::new() };
        let kind = check.kind();
        let terms = check.terms(kind, version);
        let quantity = check.count("quantity", self.quantity, 0, i64::MAX).map(i64::unsigned_abs);
        let waitlist_max = check.count("waitlist_max", self.waitlist_max, 0, i64::MAX).unwrap_or(0).unsigned_abs();
        let credit = check.credit(kind);
        let codes = check.codes(kind, quantity);
        let quantity =
            if codes.len() > 1 || self.codes.is_some() { quantity.or(Some(codes.len() as u64)) } else { quantity };
        if !check.errors.is_empty() {
            return Err(check.errors);
        }
        let terms = Terms { limited: quantity.is_some(), ..terms };
        Ok(Offer { terms, quantity, waitlist_max, withdrawn: self.withdrawn, credit, codes })
    }

    /// The tags that are given, with their fields.
    pub fn tags(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let tags = [("buy_tag", &self.buy_tag), ("confirm_tag", &self.confirm_tag), ("cancel_tag", &self.cancel_tag)];
        tags.into_iter().filter_map(|(field, tag)| Some((field, tag.as_deref()?)))
    }
}

/// Reads the fields of one offer and remembers what is wrong.
struct Check<'a> {
    spec: &'a OfferSpec,
    errors: Vec<FieldError>,
}

impl Check<'_> {
    fn terms(&mut self, kind: OfferKind, version: u64) -> Terms {
        let spec = self.spec;
        self.id();
        let currency = self.currency();
        let (opens, closes) = (self.moment("opens", &spec.opens), self.moment("closes", &spec.closes));
        if let (Some(opens), Some(closes)) = (opens, closes)
            && opens >= closes
        {
            self.fault("closes", "is not after opens", "close the offer later than it opens");
        }
        let buy_tag = self.tag("buy_tag", &spec.buy_tag, true).unwrap_or_default();
        let confirm_tag = self.tag("confirm_tag", &spec.confirm_tag, kind == OfferKind::Purchase);
        let cancel_tag = self.tag("cancel_tag", &spec.cancel_tag, false);
        let buy = Tag(fold(&buy_tag));
        // No hashtag holds a space, so a tag with one is equal to none.
        let confirm = Tag(confirm_tag.as_deref().map_or_else(|| format!("{} unconfirmed", buy.0), fold));
        Terms {
            offer: spec.id.clone(),
            version,
            kind,
            buy,
            buy_tag,
            confirm,
            confirm_tag: confirm_tag.unwrap_or_default(),
            cancel: cancel_tag.as_deref().map(|tag| Tag(fold(tag))),
            cancel_tag,
            merchant: self.words("merchant", &spec.merchant),
            item: self.words("item", &spec.item),
            amount: self.amount(kind, currency),
            exponent: exponent_of(currency.code()),
            limited: false,
            per_account: self.count("per_account", spec.per_account, 1, i64::from(u32::MAX)).unwrap_or(1) as u32,
            opens,
            closes,
            countries: self.countries(),
            terms_url: self.url(),
            reply_length: self.count("reply_length", spec.reply_length, 1, 280).unwrap_or(REPLY_LENGTH_DEFAULT) as u32,
        }
    }

    fn id(&mut self) {
        let id = &self.spec.id;
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if id.is_empty() {
            self.missing("id", "id = \"gift-card-25\"");
        } else if id.len() > ID_CHARS_MAX || !id.bytes().all(legal) {
            let what = format!("\"{id}\" is not a name of at most {ID_CHARS_MAX} letters, digits, '-', '_' and '.'");
            self.fault("id", what, "write it such as \"gift-card-25\"");
        }
    }

    fn kind(&mut self) -> OfferKind {
        let known = "write \"purchase\", \"statement_credit\" or \"discount_code\"";
        match self.spec.kind.as_deref() {
            Some("purchase") => return OfferKind::Purchase,
            Some("statement_credit") => return OfferKind::StatementCredit,
            Some("discount_code") => return OfferKind::DiscountCode,
            Some(other) => self.fault("kind", format!("\"{other}\" is not a kind of offer"), known),
            None => self.fault("kind", "missing", known),
        }
        OfferKind::Purchase
    }

    fn tag(&mut self, field: &'static str, tag: &Option<String>, needed: bool) -> Option<String> {
        let Some(tag) = tag else {
            if needed {
                self.missing(field, &format!("{field} = \"BuyKindleFireHD\""));
            }
            return None;
        };
        if let Err(what) = legal_tag(tag) {
            self.fault(field, what, "write the tag alone, such as \"BuyKindleFireHD\"");
        }
        Some(tag.clone())
    }

    fn words(&mut self, field: &'static str, text: &Option<String>) -> String {
        let text = text.clone().unwrap_or_default();
        if text.trim().is_empty() {
            self.missing(field, &format!("{field} = \"…\""));
        } else if text.chars().any(char::is_control) || text.chars().count() > TEXT_CHARS_MAX {
            let what = format!("must be one line of at most {TEXT_CHARS_MAX} characters");
            self.fault(field, what, "shorten it to what a reply can hold");
        }
        text
    }

    fn currency(&mut self) -> Currency {
        let hint = "write an ISO 4217 code, such as \"USD\"";
        let Some(code) = self.spec.currency.as_deref() else { return Currency::USD };
        let known = |code: &str| IsoCurrency::from_code(code).filter(|currency| currency.exponent().is_some());
        if let (Some(_), Ok(bytes)) = (known(code), code.as_bytes().try_into()) {
            return Currency(bytes);
        }
        let upper = code.to_ascii_uppercase();
        let hint = known(&upper).map_or_else(|| hint.to_owned(), |_| format!("did you mean \"{upper}\"?"));
        self.fault("currency", format!("\"{code}\" is not a currency of ISO 4217"), hint);
        Currency::USD
    }

    /// Price and tax; zero for what is not bought.
    fn amount(&mut self, kind: OfferKind, currency: Currency) -> Money {
        let spec = self.spec;
        let purchase = kind == OfferKind::Purchase;
        if purchase && spec.price.is_none() {
            self.missing("price", "price = \"149.99\"");
        }
        let price = self.decimal("price", &spec.price, currency);
        let tax = self.decimal("tax", &spec.tax, currency);
        let sum = price.unwrap_or(0).checked_add(tax.unwrap_or(0));
        match sum {
            None => self.fault("tax", "price and tax are too large together", "lower them"),
            Some(0) if purchase && price == Some(0) => {
                self.fault("price", "price and tax are zero together", "write a price above \"0.00\"");
            }
            Some(minor) if !purchase && minor > 0 => {
                self.fault("price", "only a purchase has a price", "leave it out, or set kind = \"purchase\"");
            }
            Some(_) => {}
        }
        Money { minor: sum.unwrap_or(0), currency }
    }

    fn credit(&mut self, kind: OfferKind) -> Option<CreditTerms> {
        let spec = self.spec;
        if kind != OfferKind::StatementCredit {
            let given = [
                ("min_spend", spec.min_spend.is_some()),
                ("credit", spec.credit.is_some()),
                ("spend_by", spec.spend_by.is_some()),
            ];
            self.refuse(&given, "only a statement credit has this field", "statement_credit");
            return None;
        }
        let currency = spec.currency.as_deref().and_then(|code| code.as_bytes().try_into().ok());
        let currency = currency.map_or(Currency::USD, Currency);
        let mut money = |field: &'static str, text: &Option<String>| {
            if text.is_none() {
                self.missing(field, &format!("{field} = \"10.00\""));
            }
            let minor = self.decimal(field, text, currency);
            if minor == Some(0) {
                self.fault(field, "must be above zero", "write it such as \"10.00\"");
            }
            Money { minor: minor.unwrap_or(0), currency }
        };
        let (min_spend, credit) = (money("min_spend", &spec.min_spend), money("credit", &spec.credit));
        let spend_by = self.moment("spend_by", &spec.spend_by);
        if let (Some(by), Ok(opens)) = (spend_by, read_moment(spec.opens.as_deref().unwrap_or_default()))
            && by <= opens
        {
            self.fault("spend_by", "is not after opens", "leave time to spend after the offer opens");
        }
        Some(CreditTerms { min_spend, credit, spend_by })
    }

    fn codes(&mut self, kind: OfferKind, quantity: Option<u64>) -> Vec<String> {
        let spec = self.spec;
        let given = [("code", spec.code.is_some()), ("codes", spec.codes.is_some())];
        if kind != OfferKind::DiscountCode {
            self.refuse(&given, "only a discount code has this field", "discount_code");
            return Vec::new();
        }
        let (field, codes) = match (&spec.code, &spec.codes) {
            (Some(code), None) => ("code", vec![code.clone()]),
            (None, Some(codes)) => ("codes", codes.clone()),
            (Some(_), Some(_)) => {
                self.fault("codes", "stands beside code", "give either code (shared) or codes (one each)");
                return Vec::new();
            }
            (None, None) => {
                self.missing("code", "code = \"SAVE10\", or codes = [\"…\"] with one each");
                return Vec::new();
            }
        };
        if codes.is_empty() || codes.iter().any(|code| code.trim().is_empty() || code.chars().any(char::is_control)) {
            self.fault(field, "a code is empty or has control characters", "write it such as \"SAVE10\"");
        }
        let mut sorted = codes.clone();
        sorted.sort();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            // Which one is not said: codes are worth money, and faults of the topic become dead letters.
            self.fault(field, "a code is listed twice", "give each account its own code");
        }
        if field == "codes" && quantity.is_some_and(|quantity| quantity > codes.len() as u64) {
            let what = format!("is more than the {} codes", codes.len());
            self.fault("quantity", what, "leave it out: every code is one unit");
        }
        codes
    }

    fn decimal(&mut self, field: &'static str, text: &Option<String>, currency: Currency) -> Option<i64> {
        match parse_decimal(text.as_deref()?, exponent_of(currency.code())) {
            Ok(minor) => Some(minor),
            Err(what) => {
                self.fault(field, what, "write a decimal string, such as \"149.99\"");
                None
            }
        }
    }

    fn moment(&mut self, field: &'static str, text: &Option<String>) -> Option<Time> {
        let text = text.as_deref()?;
        match read_moment(text) {
            Ok(time) => Some(time),
            Err(what) => {
                self.fault(field, what, "write it such as \"2013-02-11T05:00:00Z\"");
                None
            }
        }
    }

    /// A number within bounds; `None` where it is absent or wrong.
    fn count(&mut self, field: &'static str, number: Option<i64>, least: i64, most: i64) -> Option<i64> {
        let number = number?;
        if (least..=most).contains(&number) {
            return Some(number);
        }
        let bound = if number < least { format!("at least {least}") } else { format!("at most {most}") };
        self.fault(field, format!("{number} is out of range"), format!("write a whole number of {bound}"));
        None
    }

    fn countries(&mut self) -> Vec<String> {
        let countries = self.spec.countries.clone().unwrap_or_else(|| vec!["US".to_owned()]);
        let legal = |code: &str| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
        if let Some(bad) = countries.iter().find(|code| !legal(code)) {
            let what = format!("\"{bad}\" is not a country code of two capital letters (ISO 3166)");
            self.fault("countries", what, "write it such as [\"US\"]");
        }
        countries
    }

    fn url(&mut self) -> Option<String> {
        let url = self.spec.terms_url.clone()?;
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            let what = format!("\"{url}\" is not a web address");
            self.fault("terms_url", what, "write it such as \"https://example.com/terms\"");
        }
        Some(url)
    }

    fn refuse(&mut self, given: &[(&'static str, bool)], what: &str, kind: &str) {
        for (field, _) in given.iter().filter(|(_, given)| *given) {
            self.fault(field, what, format!("leave it out, or set kind = \"{kind}\""));
        }
    }

    fn missing(&mut self, field: &'static str, example: &str) {
        self.fault(field, "missing", format!("add {example}"));
    }

    fn fault(&mut self, field: &'static str, what: impl Into<String>, hint: impl Into<String>) {
        self.errors.push(FieldError::new(field, what, hint));
    }
}

/// Decimals of a currency's amounts, by ISO 4217; of an unknown one 2.
pub fn exponent_of(code: &str) -> u32 {
    IsoCurrency::from_code(code).and_then(|iso| iso.exponent()).map_or(2, u32::from)
}

/// Reads RFC 3339, to the millisecond.
fn read_moment(text: &str) -> Result<Time, String> {
    let moment: Result<Timestamp, _> = text.parse();
    moment.map(|moment| Time(moment.as_millisecond())).map_err(|_| format!("\"{text}\" is not a time by RFC 3339"))
}
