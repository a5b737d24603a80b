//! Templates of texts: words, placeholders in braces, optional parts in double brackets.
//!
//! `"{handle} Tweet {confirm_tag} to buy {item}.[[ Terms: {terms_url}]]"`. A tag is written with its `#` and a handle
//! with its `@`, whether the template puts the sign there or not. Values are data: a placeholder within one stays as it
//! is.

use crate::domain::{Currency, Terms, Time, Uuid, money::format_decimal};

use super::time::civil_of_day;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What the placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// Without `@`.
    pub handle: Option<&'a str>,
    pub terms: Option<&'a Terms>,
    /// What is written for the item, which may be shortened.
    pub item: &'a str,
    /// The confirm window.
    pub minutes: i64,
    pub purchase: Option<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Handle,
    BuyTag,
    ConfirmTag,
    CancelTag,
    Item,
    Amount,
    Minutes,
    Merchant,
    TermsUrl,
    Closes,
    Purchase,
}

impl Template {
    /// Reads a template. Errors name an unknown placeholder, or the bracket or brace that has no partner.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("[[") {
            let (inside, behind) = after.split_once("]]").ok_or("\"[[\" without \"]]\"")?;
            parts.push(Part { optional: false, pieces: pieces_of(before)? });
            parts.push(Part { optional: true, pieces: pieces_of(inside)? });
            rest = behind;
        }
        if rest.contains("]]") {
            return Err("\"]]\" without \"[[\"".to_owned());
        }
        parts.push(Part { optional: false, pieces: pieces_of(rest)? });
        parts.retain(|part| !part.pieces.is_empty());
        Ok(Template { parts })
    }

    pub fn uses(&self, slot: Slot) -> bool {
        self.pieces().any(|piece| *piece == Piece::Slot(slot))
    }

    /// Puts `{handle} ` in front, unless the template starts with the handle.
    pub fn addressed(mut self) -> Template {
        if self.pieces().next() != Some(&Piece::Slot(Slot::Handle)) {
            let pieces = vec![Piece::Slot(Slot::Handle), Piece::Words(" ".to_owned())];
            self.parts.insert(0, Part { optional: false, pieces });
        }
        self
    }

    pub fn optional_parts(&self) -> usize {
        self.parts.iter().filter(|part| part.optional).count()
    }

    /// The text with the first `optional_kept` optional parts. An optional part goes, too, when a value in it is
    /// missing.
    pub fn fill(&self, values: &Values<'_>, optional_kept: usize) -> String {
        let mut out = String::with_capacity(160);
        let mut optional_seen = 0;
        for part in &self.parts {
            if part.optional {
                optional_seen += 1;
                if optional_seen > optional_kept || !part.is_complete(values) {
                    continue;
                }
            }
            part.fill(values, &mut out);
        }
        out.truncate(out.trim_end().len());
        out
    }

    /// The handle and the tags alone: what must be said when nothing else fits.
    pub fn fill_essentials(&self, values: &Values<'_>) -> String {
        let mut out = String::new();
        for piece in self.pieces() {
            if let Piece::Slot(slot @ (Slot::Handle | Slot::BuyTag | Slot::ConfirmTag | Slot::CancelTag)) = piece {
                let separator = if out.is_empty() { "" } else { " " };
                out.push_str(separator);
                if !slot.write(values, &mut out) {
                    out.truncate(out.len() - separator.len());
                }
            }
        }
        out
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.parts.iter().flat_map(|part| &part.pieces)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    optional: bool,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Slot(Slot),
}

impl Part {
    fn is_complete(&self, values: &Values<'_>) -> bool {
        let mut scratch = String::new();
        self.pieces.iter().all(|piece| match piece {
            Piece::Words(_) => true,
            Piece::Slot(slot) => slot.write(values, &mut scratch),
        })
    }

    /// Where a value is missing, one of the spaces around it goes too.
    fn fill(&self, values: &Values<'_>, out: &mut String) {
        let mut gap = false;
        for piece in &self.pieces {
            match piece {
                Piece::Words(words) if gap && (out.is_empty() || out.ends_with(' ')) => {
                    out.push_str(words.strip_prefix(' ').unwrap_or(words));
                    gap = false;
                }
                Piece::Words(words) => out.push_str(words),
                Piece::Slot(slot) => gap = !slot.write(values, out),
            }
        }
    }
}

impl Slot {
    pub const ALL: [(&'static str, Slot); 11] = [
        ("handle", Slot::Handle),
        ("buy_tag", Slot::BuyTag),
        ("confirm_tag", Slot::ConfirmTag),
        ("cancel_tag", Slot::CancelTag),
        ("item", Slot::Item),
        ("amount", Slot::Amount),
        ("minutes", Slot::Minutes),
        ("merchant", Slot::Merchant),
        ("terms_url", Slot::TermsUrl),
        ("closes", Slot::Closes),
        ("purchase", Slot::Purchase),
    ];

    /// What the value is written with. The template's own sign is taken off, so that it is never there twice, nor there
    /// without a value.
    fn sign(self) -> Option<char> {
        match self {
            Slot::Handle => Some('@'),
            Slot::BuyTag | Slot::ConfirmTag | Slot::CancelTag => Some('#'),
            _ => None,
        }
    }

    /// Writes the value and says whether there is one.
    fn write(self, values: &Values<'_>, out: &mut String) -> bool {
        let terms = values.terms;
        let value = match self {
            Slot::Handle => return signed('@', values.handle, out),
            Slot::BuyTag => return signed('#', terms.map(|terms| terms.buy_tag.as_str()), out),
            Slot::ConfirmTag => return signed('#', terms.map(|terms| terms.confirm_tag.as_str()), out),
            Slot::CancelTag => return signed('#', terms.and_then(|terms| terms.cancel_tag.as_deref()), out),
            Slot::Item => terms.map(|_| values.item.to_owned()),
            Slot::Amount => terms.map(amount),
            Slot::Minutes => Some(values.minutes.to_string()),
            Slot::Merchant => terms.map(|terms| terms.merchant.clone()),
            Slot::TermsUrl => terms.and_then(|terms| terms.terms_url.clone()),
            Slot::Closes => terms.and_then(|terms| terms.closes).map(day_and_minute),
            Slot::Purchase => values.purchase.map(|purchase| purchase.to_string()),
        };
        value.inspect(|value| out.push_str(value)).is_some()
    }
}

/// Writes a tag or handle with its sign.
fn signed(sign: char, value: Option<&str>, out: &mut String) -> bool {
    let Some(value) = value else { return false };
    out.push(sign);
    out.push_str(value.strip_prefix(sign).unwrap_or(value));
    true
}

/// `$149.99`, `€149.99`, else `149.99 CHF`.
fn amount(terms: &Terms) -> String {
    /// No currency has as many decimals; it bounds what the power of ten must hold.
    const EXPONENT_MAX: u32 = 18;
    let number = format_decimal(terms.amount.minor, terms.exponent.min(EXPONENT_MAX));
    match terms.amount.currency {
        Currency::USD => format!("${number}"),
        Currency(code) if &code == b"EUR" => format!("€{number}"),
        other => format!("{number} {}", other.code()),
    }
}

/// `4 Mar 04:59 UTC`: short, and the same everywhere.
fn day_and_minute(time: Time) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, month, day) = civil_of_day(time.utc_day());
    let minute = time.0.rem_euclid(86_400_000) / 60_000;
    format!("{day} {} {:02}:{:02} UTC", MONTHS[(month - 1) as usize], minute / 60, minute % 60)
}

fn pieces_of(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((words, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or("\"{\" without \"}\"")?;
        let slot = Slot::ALL.iter().find(|(known, _)| *known == name).map(|(_, slot)| *slot);
        let slot = slot.ok_or_else(|| {
            let known = Slot::ALL.map(|(known, _)| known).join(", ");
            format!("no placeholder is called \"{name}\"; there are {known}")
        })?;
        let words = slot.sign().and_then(|sign| words.strip_suffix(sign)).unwrap_or(words);
        if !words.is_empty() {
            pieces.push(Piece::Words(words.to_owned()));
        }
        pieces.push(Piece::Slot(slot));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Words(rest.to_owned()));
    }
    Ok(pieces)
}
