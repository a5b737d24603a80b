//! Who is on the network.

use rand::Rng;
use rand::rngs::SmallRng;

use super::post::User;
use crate::domain::{Span, Time};

/// When everybody joined the network, more or less (2012-01-01).
pub const JOINED_MS: i64 = 1_325_376_000_000;

/// A user of this id; the number makes the handle the only one.
pub fn person(id: u64, number: u64, rng: &mut SmallRng) -> User {
    const FIRST: [&str; 16] = [
        "blue", "quiet", "tall", "lucky", "sunny", "rapid", "vivid", "brave", "misty", "solar", "north", "amber",
        "jolly", "proud", "neat", "wild",
    ];
    const SECOND: [&str; 16] = [
        "otter", "maple", "comet", "heron", "piano", "river", "tiger", "cedar", "pixel", "robin", "harbor", "falcon",
        "daisy", "ember", "koala", "raven",
    ];
    const NAMES: [&str; 8] = ["Ada 🌻", "Bjørn", "Chloé", "Διώνη", "Eiko 英子", "Фёдор", "Grace & Co", "Hal <9000>"];
    const ABOUTS: [&str; 6] = [
        "Coffee, trains, long walks.",
        "日々の記録。写真と音楽 🎧",
        "Views > reviews & \"opinions\" are my own",
        "Люблю море и книги",
        "",
        "Deals, deals, deals! I say #BuyLocal \\o/",
    ];
    const PLACES: [Option<&str>; 4] = [None, Some("Portland, OR"), Some("東京"), Some("São Paulo")];
    let mut pick = |n: usize| rng.random_range(0..n);
    let (first, second) = (FIRST[pick(FIRST.len())], SECOND[pick(SECOND.len())]);
    User {
        id,
        handle: shortened(format!("{first}{second}"), number),
        name: NAMES[pick(NAMES.len())].to_owned(),
        about: ABOUTS[pick(ABOUTS.len())].to_owned(),
        place: PLACES[pick(PLACES.len())],
        joined: Time(JOINED_MS).after(Span(pick(300_000_000) as i64 * 1000)),
        followers: 1 << pick(18),
        posts: 1 + pick(40_000) as u64,
    }
}

/// The service itself.
pub fn service(id: u64, handle: &str) -> User {
    User {
        id,
        handle: handle.to_owned(),
        name: "Pay by Tweet".to_owned(),
        about: "Sync your Card, Tweet a tag, confirm & it's yours.".to_owned(),
        place: None,
        joined: Time(JOINED_MS),
        followers: 120_000,
        posts: 40_000,
    }
}

/// Handles have 15 characters at most.
fn shortened(name: String, number: u64) -> String {
    const HANDLE_CHARACTERS_MAX: usize = 15;
    let number = number.to_string();
    let kept = HANDLE_CHARACTERS_MAX.saturating_sub(number.len());
    name.chars().take(kept).collect::<String>() + &number
}
