//! How single values are written: durations, sizes, names; and which known name is nearest to an unknown one.

/// Milliseconds of the longest duration that is accepted: ten years.
pub const DURATION_MAX_MS: i64 = 3650 * 86_400_000;

/// Reads `"15m"`, `"1h30m"`, `"100ms"`, `"0s"` as milliseconds; units are ms, s, m, h and d.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("\"{text}\" is not a duration");
    let mut rest = text;
    let mut total: i64 = 0;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = rest[digits..].bytes().take_while(u8::is_ascii_lowercase).count();
        let number: i64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit_ms = match &rest[digits..digits + unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        total = number.checked_mul(unit_ms).and_then(|ms| ms.checked_add(total)).ok_or_else(bad)?;
        rest = &rest[digits + unit..];
        if rest.is_empty() {
            break;
        }
    }
    if total > DURATION_MAX_MS {
        return Err(format!("\"{text}\" is longer than ten years"));
    }
    Ok(total)
}

/// Reads `"64MiB"` as bytes; units are KiB, MiB and GiB, or none.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim_start() {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// A key's path as it would be written: segments that are not bare are quoted.
pub fn join_key(path: &[String]) -> String {
    let bare = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let written: Vec<String> =
        path.iter().map(|s| if bare(s) { s.clone() } else { format!("\"{}\"", s.escape_debug()) }).collect();
    written.join(".")
}

/// The known name nearest to `name`. A name that only lacks or mistakes its section is near to the one it means; of one
/// that is near to none the section is more likely to be right than a resemblance.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.collect();
    let nearest_of = |some: &mut dyn Iterator<Item = &'a str>| some.min_by_key(|candidate| distance(name, candidate));
    let nearest = nearest_of(&mut known.iter().copied())?;
    if is_near(name, nearest) {
        return Some(nearest);
    }
    let section = |path: &'_ str| path.rsplit_once('.').map(|(section, _)| section.to_owned());
    let own = |candidate: &&str| section(name).is_some() && section(candidate) == section(name);
    nearest_of(&mut known.iter().copied().filter(own)).or(Some(nearest))
}

/// Whether two names are near enough that one is probably a misspelling of the other.
pub fn is_near(name: &str, candidate: &str) -> bool {
    distance(name, candidate) <= 1 + name.len() / 4
}

fn distance(name: &str, candidate: &str) -> usize {
    const WRONG_SECTION: usize = 2;
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let whole = strsim::damerau_levenshtein(name, candidate);
    let leaf = strsim::damerau_levenshtein(&last(name), &last(candidate)) + WRONG_SECTION;
    whole.min(leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let good = [("15m", 900_000), ("0s", 0), ("100ms", 100), ("90d", 7_776_000_000), ("1h30m", 5_400_000)];
        for (text, ms) in good {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "15", "m", "15 m", "1.5h", "-1s", "15min", "9999999999999999999s", "4000d", "5m3", "1é"] {
            assert!(parse_duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_may_have_units() {
        assert_eq!(parse_bytes("1048576"), Some(1 << 20));
        assert_eq!(parse_bytes("256MiB"), Some(256 << 20));
        for bad in ["", "MiB", "1MB", "-1", "99999999999999GiB", "1é"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_nearest_key_is_the_one_meant() {
        let known = ["topics.prefix", "topics.partitions", "bus.embedded.dir", "bus.kind", "time.idle"];
        for (name, meant) in [
            ("topics.partitons", "topics.partitions"),
            ("partitions", "topics.partitions"),
            ("bus.dir", "bus.embedded.dir"),
            ("tiem.idle", "time.idle"),
            ("topics.inline", "topics.prefix"),
        ] {
            assert_eq!(nearest(name, known.into_iter()), Some(meant), "{name}");
        }
    }
}
