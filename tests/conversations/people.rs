//! Who talks, and when: users, moments of February 2013, post ids.

use pay_by_tweet::domain::time::SNOWFLAKE_EPOCH_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub id: u64,
    pub handle: &'static str,
}

/// Ids above 2^53, as the network gives them today.
pub const ALICE: User = User { id: 1450001015437457789, handle: "alice" };
pub const BOB: User = User { id: 1450001015437457791, handle: "bob" };
pub const CAROL: User = User { id: 783214, handle: "carol" };
pub const SERVICE: User = User { id: 501234567, handle: "AmexSync" };
pub const MERCHANT: User = User { id: 40404040, handle: "GiftShop" };
pub const STRANGER: User = User { id: 77, handle: "someoneelse" };
/// Says nothing that matters and thereby moves event time.
pub const NOISE: User = User { id: 99, handle: "noise" };

/// Whoever posts on the other partitions meanwhile.
pub const PASSER_BY: User = User { id: 123456789, handle: "passerby" };

const EVERYBODY: [User; 7] = [ALICE, BOB, CAROL, SERVICE, MERCHANT, STRANGER, NOISE];

/// `alice` for her account's id; accounts of other networks are told by network and handle.
pub fn name_of(account: &str) -> String {
    let (network, user) = account.split_once(':').unwrap_or(("", account));
    let known = EVERYBODY.iter().find(|known| known.id.to_string() == user);
    let handle = known.map_or(user, |known| known.handle);
    if network == "twitter" { handle.to_owned() } else { format!("{network}/{handle}") }
}

/// Milliseconds of a moment: `15:01:00.123` on 12 February 2013, `14 15:01:00` on the 14th.
pub fn ms(moment: &str) -> i64 {
    let (day, time) = moment.split_once(' ').unwrap_or(("12", moment));
    let text = format!("2013-02-{day}T{time}Z");
    let parsed: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{moment}: {error}"));
    parsed.as_millisecond()
}

/// RFC 3339 with milliseconds, as records tell times.
pub fn rfc(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).expect("conversations are near 2013");
    format!("{time:.3}")
}

/// `Tue Feb 12 15:01:00 +0000 2013`.
pub fn created_at(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).expect("conversations are near 2013");
    time.strftime("%a %b %d %H:%M:%S +0000 %Y").to_string()
}

/// The snowflake of a post: one per user and millisecond.
pub fn id_at(user: User, ms: i64) -> u64 {
    (((ms - SNOWFLAKE_EPOCH_MS) as u64) << 22) | (user.id & 0x3f_ffff)
}
