//! What happened, as one number and, when asked, as lines that a person can read.

use std::fmt::Write;
use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::domain::Time;

/// The running fingerprint of a run: equal for equal runs, in every build. Lines only if they were asked for.
#[derive(Default)]
pub struct Trace {
    hasher: FxHasher,
    lines: Option<String>,
}

impl Trace {
    pub fn new(with_lines: bool) -> Trace {
        Trace { hasher: FxHasher::default(), lines: with_lines.then(String::new) }
    }

    /// Something was done: numbers that tell what, and words for the reader.
    pub fn act(&mut self, now: Time, what: &[u64], line: impl FnOnce() -> String) {
        self.hasher.write_i64(now.0);
        what.iter().for_each(|number| self.hasher.write_u64(*number));
        self.line(now, line);
    }

    /// A committed record's digest.
    pub fn record(&mut self, now: Time, digest: u64, line: impl FnOnce() -> String) {
        self.hasher.write_u64(digest);
        self.line(now, line);
    }

    /// Whether lines are kept, for those who must prepare one.
    pub fn has_lines(&self) -> bool {
        self.lines.is_some()
    }

    pub fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }

    pub fn into_lines(self) -> Option<String> {
        self.lines
    }

    fn line(&mut self, now: Time, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let _ = writeln!(lines, "{}.{:03} {}", now.0.div_euclid(1_000), now.0.rem_euclid(1_000), line());
        }
    }
}

/// A number for a record: equal for equal records, in every build.
pub fn digest<'a>(
    topic: &str,
    partition: u32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> u64 {
    let mut hasher = FxHasher::default();
    let mut part = |bytes: Option<&[u8]>| {
        hasher.write_u64(bytes.map_or(u64::MAX, |bytes| bytes.len() as u64));
        hasher.write(bytes.unwrap_or_default());
    };
    part(Some(topic.as_bytes()));
    part(key);
    part(value);
    for (name, value) in headers {
        part(Some(name.as_bytes()));
        part(Some(value));
    }
    hasher.write_u32(partition);
    hasher.finish()
}
