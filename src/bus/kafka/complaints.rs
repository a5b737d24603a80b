//! What clients complain of, told to the log. While a broker is away each of a dozen clients has the same complaint
//! many times a second: it is told at once, then every ten seconds, with how often it came meanwhile.

use std::sync::{LazyLock, Mutex, PoisonError};

use crate::clock::Stopwatch;

/// A complaint of one kind is told this often.
const AGAIN_AFTER_SECONDS: f64 = 10.0;

/// One kind of complaint.
#[derive(Debug)]
struct Told {
    kind: String,
    /// When it was told last.
    at: f64,
    /// How often it came since.
    since: u64,
}

/// All kinds are few: librdkafka's error codes and facilities.
static TOLD: Mutex<Vec<Told>> = Mutex::new(Vec::new());
static BEGAN: LazyLock<Stopwatch> = LazyLock::new(Stopwatch::start);

/// Warns of a complaint of this kind, unless it was told a moment ago.
pub fn complain(kind: impl ToString, who: &str, why: &str) {
    let kind = kind.to_string();
    let came = {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        due(&mut told, &kind, BEGAN.seconds())
    };
    match came {
        Some(0) => tracing::warn!(kind, who, why, "kafka"),
        Some(more) => tracing::warn!(kind, who, why, more, "kafka"),
        None => {}
    }
}

/// How often it came without being told, if it is to be told now.
fn due(told: &mut Vec<Told>, kind: &str, now: f64) -> Option<u64> {
    let Some(known) = told.iter_mut().find(|known| known.kind == kind) else {
        told.push(Told { kind: kind.to_owned(), at: now, since: 0 });
        return Some(0);
    };
    if now - known.at < AGAIN_AFTER_SECONDS {
        known.since += 1;
        return None;
    }
    known.at = now;
    Some(std::mem::take(&mut known.since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_told_at_once_and_then_now_and_then() {
        let mut told = Vec::new();
        let mut at = |kind, now| due(&mut told, kind, now);
        assert_eq!((at("down", 1.0), at("down", 1.1), at("down", 10.9)), (Some(0), None, None));
        assert_eq!((at("denied", 2.0), at("down", 11.0), at("down", 11.1)), (Some(0), Some(2), None));
        assert_eq!(at("down", 60.0), Some(1));
    }
}
