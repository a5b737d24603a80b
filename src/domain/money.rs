//! Money in minor units with checked arithmetic; no floating point anywhere.

use std::fmt;

/// An ISO 4217 alphabetic code, e.g. `USD`. Validated against the table of codes at the edge (config, wire).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(pub [u8; 3]);

/// An amount in the currency's minor unit (cents for USD, yen for JPY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

impl Currency {
    pub const USD: Currency = Currency(*b"USD");

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl Money {
    /// The sum, or `None` on overflow or when the currencies differ.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        let minor = self.minor.checked_add(other.minor)?;
        (self.currency == other.currency).then_some(Money { minor, ..self })
    }
}

/// Reads a decimal string (`"149.99"`) as minor units of a currency with `exponent` decimals.
///
/// Errors say what is wrong: empty, a sign, a character that is no digit, more decimals than the currency has, too
/// large.
pub fn parse_decimal(text: &str, exponent: u32) -> Result<i64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.starts_with('-') {
        return Err(format!("\"{text}\" is negative"));
    }
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return Err(format!("\"{text}\" is not a decimal amount such as \"149.99\""));
    }
    if fraction.len() > exponent as usize {
        return Err(format!("\"{text}\" has more than {exponent} decimals"));
    }
    let padded = format!("{whole}{fraction:0<width$}", width = exponent as usize);
    padded.parse::<i64>().map_err(|_| format!("\"{text}\" is too large"))
}

/// Writes minor units as a decimal string, the inverse of [`parse_decimal`].
pub fn format_decimal(minor: i64, exponent: u32) -> String {
    if exponent == 0 {
        return minor.to_string();
    }
    let sign = if minor < 0 { "-" } else { "" };
    let unit = 10u64.pow(exponent);
    let (whole, fraction) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    format!("{sign}{whole}.{fraction:0width$}", width = exponent as usize)
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_minor_units_exactly() {
        assert_eq!(parse_decimal("149.99", 2), Ok(14999));
        assert_eq!(parse_decimal("15", 2), Ok(1500));
        assert_eq!(parse_decimal("0.1", 2), Ok(10));
        assert_eq!(parse_decimal("1500", 0), Ok(1500));
        for bad in ["", "-1.00", "1.", ".5", "1.005", "1e3", "1,00", "99999999999999999999", "+1"] {
            assert!(parse_decimal(bad, 2).is_err(), "{bad}");
        }
        assert_eq!(format_decimal(14999, 2), "149.99");
        assert_eq!(format_decimal(5, 2), "0.05");
        assert_eq!(format_decimal(1500, 0), "1500");
    }

    #[test]
    fn sums_are_checked() {
        let usd = |minor| Money { minor, currency: Currency::USD };
        assert_eq!(usd(1).checked_add(usd(2)), Some(usd(3)));
        assert_eq!(usd(i64::MAX).checked_add(usd(1)), None);
        assert_eq!(usd(1).checked_add(Money { minor: 1, currency: Currency(*b"EUR") }), None);
    }
}
