//! Times in JSON: RFC 3339, UTC, exactly milliseconds.

use std::str::FromStr;

use crate::domain::Time;

/// Bytes of every formatted time: `2013-02-12T15:01:00.000Z`.
pub const TIME_BYTES: usize = 24;

/// The text is no RFC 3339 time, or lies outside the years 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2013-02-12T15:01:00.000Z")]
pub struct NotATime;

/// First moment that RFC 3339 can write, and the last one that the calendar library reads (9999-12-30T22:00:00.999Z).
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_207_200_999;

const DAY_MS: i64 = 86_400_000;

/// `2013-02-12T15:01:00.000Z`. Times outside the years 0 to 9999 are written as the first or last moment that can be
/// read back.
pub fn format(time: Time) -> String {
    text_of(&bytes_of(time)).to_owned()
}

/// Reads RFC 3339 with any offset and precision; what is finer than a millisecond is cut off.
pub fn parse(text: &str) -> Result<Time, NotATime> {
    let moment = jiff::Timestamp::from_str(text).map_err(|_| NotATime)?;
    let ms = i64::try_from(moment.as_nanosecond().div_euclid(1_000_000)).map_err(|_| NotATime)?;
    if (FIRST_MS..=LAST_MS).contains(&ms) { Ok(Time(ms)) } else { Err(NotATime) }
}

/// The text of [`bytes_of`].
pub(crate) fn text_of(bytes: &[u8; TIME_BYTES]) -> &str {
    std::str::from_utf8(bytes).expect("digits and punctuation of bytes_of are ASCII")
}

/// [`format()`] without an allocation.
pub(crate) fn bytes_of(time: Time) -> [u8; TIME_BYTES] {
    let ms = time.0.clamp(FIRST_MS, LAST_MS);
    let (year, month, day) = civil_of_day(ms.div_euclid(DAY_MS));
    let in_day = ms.rem_euclid(DAY_MS);
    let mut out = *b"0000-00-00T00:00:00.000Z";
    digits(&mut out[0..4], year);
    digits(&mut out[5..7], month);
    digits(&mut out[8..10], day);
    digits(&mut out[11..13], in_day / 3_600_000);
    digits(&mut out[14..16], in_day / 60_000 % 60);
    digits(&mut out[17..19], in_day / 1000 % 60);
    digits(&mut out[20..23], in_day % 1000);
    out
}

/// (year, month, day) of the day with this number since 1970-01-01, in the proleptic Gregorian calendar: years are
/// counted from March, in eras of 400 years, so that the leap day is the last of its year.
pub(crate) fn civil_of_day(day: i64) -> (i64, i64, i64) {
    let since_era_zero = day + 719_468;
    let era = since_era_zero.div_euclid(146_097);
    let day_of_era = since_era_zero.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_month)
}

fn digits(out: &mut [u8], mut value: i64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_format_is_fixed() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_360_681_500_123, "2013-02-12T15:05:00.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (FIRST_MS, "0000-01-01T00:00:00.000Z"),
            (LAST_MS, "9999-12-30T22:00:00.999Z"),
        ] {
            assert_eq!(format(Time(ms)), text);
            assert_eq!(parse(text), Ok(Time(ms)));
        }
        assert_eq!(format(Time(i64::MIN)), "0000-01-01T00:00:00.000Z");
        assert_eq!(format(Time(i64::MAX)), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn other_offsets_and_precisions_are_read() {
        for text in ["2013-02-12T10:01:00-05:00", "2013-02-12T15:01:00Z", "2013-02-12T16:01:00.000999+01:00"] {
            assert_eq!(parse(text), Ok(Time(1_360_681_260_000)), "{text}");
        }
        for bad in
            ["", "2013-02-12", "15:01:00Z", "2013-02-30T00:00:00Z", "2013-02-12T15:01:00", "-000001-01-01T00:00:00Z"]
        {
            assert_eq!(parse(bad), Err(NotATime), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn formatting_agrees_with_the_calendar_library(ms in FIRST_MS..=LAST_MS) {
            prop_assert_eq!(parse(&format(Time(ms))), Ok(Time(ms)));
        }
    }
}
