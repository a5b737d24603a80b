//! What every output record has around its value: CloudEvents headers, ids that no two records share (I2, I8), the key,
//! the members of the contract, and no card token where none belongs (I11).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use rustc_hash::FxHashSet;
use serde_json::Value;

use super::Seen;
use super::found::{Found, Whose};
use super::shape;
use super::share::Share;
use super::violation::Invariant;
use crate::domain::Uuid;
use crate::wire::time;
use crate::wire::uuids::{self, uuid_of};

/// Ids and card tokens that were seen.
#[derive(Default)]
pub(super) struct Envelopes {
    ids: FxHashSet<Uuid>,
    /// Other passes see other records: what an id must be is then found from the record alone.
    is_share: bool,
    cards: Cards,
}

/// The card tokens that links told, as hashes, so that a dump of this program's memory tells fewer of them.
#[derive(Clone, Default)]
pub struct Cards {
    hashes: FxHashSet<u64>,
    /// How many bytes they have.
    lengths: BTreeSet<usize>,
    /// One of them does not begin with [`CARD`].
    any_form: bool,
}

/// How card tokens begin.
const CARD: &[u8] = b"tok_";

/// One that begins otherwise and is shorter can't be told from other words, and is not looked for.
const OTHER_BYTES_MIN: usize = 8;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(CARD));

/// The CloudEvents headers of a record, as far as they are UTF-8.
#[derive(Default)]
struct Headers<'a> {
    version: Option<&'a str>,
    id: Option<&'a str>,
    kind: Option<&'a str>,
    source: Option<&'a str>,
    time: Option<&'a str>,
}

impl Envelopes {
    pub fn learn_card(&mut self, card: &str) {
        self.cards.learn(card);
    }

    /// Forgets the ids, not the cards: the next pass looks at other accounts' records, in which the same cards must not
    /// stand.
    pub fn begin_pass(&mut self, share: Share) {
        self.ids = FxHashSet::default();
        self.is_share = share != Share::WHOLE;
    }

    pub fn cards(&self) -> &Cards {
        &self.cards
    }

    /// Looks at one output record. False if its value can't be judged any further.
    pub fn see(&mut self, seen: &Seen<'_>, value: &Value, whose: Whose, found: &mut Found) -> bool {
        let Some(members) = shape::members_of(seen.topic) else { return false };
        let place = || format!("{} {}:{}", seen.topic, seen.partition, seen.offset);
        let misshapen = shape::misshapen(members, value);
        let fits = misshapen.is_none();
        found.check(Invariant::I8, fits, whose, || format!("{}: {}", place(), misshapen.unwrap_or_default()));
        let headers = Headers::of(seen.headers);
        let wrong = headers.wrong(seen.topic, value);
        found.check(Invariant::I8, wrong.is_none(), whose, || format!("{}: {}", place(), wrong.unwrap_or_default()));
        let key = expected_key(seen.topic, value);
        found.check(Invariant::I8, seen.key == key.map(str::as_bytes), whose, || {
            format!("{}: the key is not {}", place(), key.unwrap_or("null"))
        });
        if let Some(id) = headers.id.and_then(uuids::parse) {
            let own = !self.is_share || seen.topic != "purchases.events" || id == id_of_event(value);
            found.check(Invariant::I8, own, whose, || format!("{}: ce_id is not this event's", place()));
            let invariant = if seen.topic == "payments.authorized" { Invariant::I2 } else { Invariant::I8 };
            // How long a refused buy is remembered is bounded; a redelivery from long ago is refused again, and the
            // model of the conversation says whether it was long enough.
            let refusal = value["from"].is_null() && value["to"] == "rejected";
            found.check(invariant, self.ids.insert(id) || refusal, whose, || {
                format!("{}: a second record with ce_id {id}", place())
            });
        }
        if !may_tell_cards(seen.topic) {
            let told = self.cards.stand_in(seen);
            found.check(Invariant::I11, !told, whose, || format!("{}: tells a card token", place()));
        }
        fits
    }
}

/// The topics that a processor of cards reads.
fn may_tell_cards(topic: &str) -> bool {
    topic.starts_with("payments.") || topic == "credits"
}

fn expected_key<'a>(topic: &str, value: &'a Value) -> Option<&'a str> {
    match topic {
        "fulfilment.orders" => value["purchase"].as_str(),
        "offers.funnel" => value["offer"].as_str(),
        "dead-letters" => None,
        _ => value["account"].as_str(),
    }
}

impl<'a> Headers<'a> {
    fn of(headers: &'a [(String, Vec<u8>)]) -> Headers<'a> {
        let mut of = Headers::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "ce_specversion" => &mut of.version,
                "ce_id" => &mut of.id,
                "ce_type" => &mut of.kind,
                "ce_source" => &mut of.source,
                "ce_time" => &mut of.time,
                _ => continue,
            };
            *place = std::str::from_utf8(value).ok();
        }
        of
    }

    /// What is wrong with them, if anything.
    fn wrong(&self, topic: &str, value: &Value) -> Option<String> {
        let Headers { version, id, kind, source, time } = *self;
        if version != Some("1.0") {
            return Some("ce_specversion is not 1.0".to_owned());
        }
        if kind != Some(topic) {
            return Some("ce_type is not the topic".to_owned());
        }
        let announced = topic == "replies" && value["kind"] == "announcement";
        let stage = match topic {
            "dead-letters" if value["topic"] == "accounts.inbox" => "pay-by-tweet/accounts",
            "dead-letters" if value["topic"] != "offers.inbox" => "pay-by-tweet/screen",
            "dead-letters" => "pay-by-tweet/offers",
            "offers.funnel" => "pay-by-tweet/offers",
            _ if announced => "pay-by-tweet/offers",
            _ => "pay-by-tweet/accounts",
        };
        if source != Some(stage) {
            return Some(format!("ce_source is not {stage}"));
        }
        let Some(time) = time.filter(|time| shape::is_time(time)) else {
            return Some("ce_time is no time".to_owned());
        };
        let at = if topic == "payments.authorized" { &value["confirmed_at"] } else { &value["at"] };
        if at.as_str().is_some_and(|at| at != time) {
            return Some("ce_time is not the record's own time".to_owned());
        }
        let Some(id) = id.filter(|id| id.as_bytes().get(14) == Some(&b'5')).and_then(uuids::parse) else {
            return Some("ce_id is no UUIDv5".to_owned());
        };
        wrong_id(topic, value, id)
    }
}

/// Ids follow from what they name, where that is told.
fn wrong_id(topic: &str, value: &Value, id: Uuid) -> Option<String> {
    let expected = match topic {
        "replies" | "messages.direct" => shape::id(value, "reply"),
        "notifications.email" => shape::id(value, "notification"),
        "payments.authorized" | "payments.voided" | "fulfilment.orders" => {
            value["purchase"].as_str().map(|purchase| uuid_of(&format!("{topic}|{purchase}")))
        }
        "dead-letters" => {
            let of = value["topic"].as_str().unwrap_or_default();
            Some(uuid_of(&format!("{topic}|{of}|{}|{}", value["partition"], value["offset"])))
        }
        _ => return None,
    };
    (expected != Some(id)).then(|| "ce_id is not the id of what the record tells".to_owned())
}

/// The id of a transition: its parts, with its time in milliseconds.
fn id_of_event(value: &Value) -> Uuid {
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let (purchase, from, to, post, reason) = (text("purchase"), text("from"), text("to"), text("post"), text("reason"));
    let ms = time::parse(text("at")).map_or(0, |time| time.0);
    uuid_of(&format!("purchases.events|{purchase}|{from}|{to}|{post}|{reason}|{ms}"))
}

impl Cards {
    /// As it is, and as JSON writes it.
    fn learn(&mut self, card: &str) {
        let json = serde_json::to_string(card).unwrap_or_default();
        let escaped = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(card);
        for form in [card, escaped].map(str::as_bytes) {
            let begins = form.starts_with(CARD);
            if begins || form.len() >= OTHER_BYTES_MIN {
                self.hashes.insert(hash_of(form));
                self.lengths.insert(form.len());
                self.any_form |= !begins;
            }
        }
    }

    /// Takes card tokens out of a text for people.
    pub fn hide(&self, text: &mut String) {
        let cards: BTreeSet<String> =
            self.found_in(text.as_bytes()).map(String::from_utf8_lossy).map(Into::into).collect();
        if !cards.is_empty() {
            *text = cards.into_iter().rev().fold(text.clone(), |text, card| text.replace(&card, "tok_…"));
        }
    }

    fn stand_in(&self, seen: &Seen<'_>) -> bool {
        let told_in = |bytes: &[u8]| self.found_in(bytes).next().is_some();
        let in_headers = || seen.headers.iter().any(|(_, value)| told_in(value));
        seen.value.is_some_and(told_in) || seen.key.is_some_and(told_in) || in_headers()
    }

    /// Wherever a token stands, whatever stands around it.
    fn found_in<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + 'a {
        let anywhere = (0..bytes.len()).filter(|_| self.any_form);
        let begins = anywhere.chain(FINDER.find_iter(bytes).filter(|_| !self.any_form));
        let from = move |begin: usize| self.lengths.iter().filter_map(move |length| bytes.get(begin..begin + length));
        begins.flat_map(from).filter(|token| self.hashes.contains(&hash_of(token)))
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tells(cards: &[&str], value: &str) -> bool {
        let mut known = Cards::default();
        cards.iter().for_each(|card| known.learn(card));
        let at = crate::domain::Time::default();
        let value = Some(value.as_bytes());
        known.stand_in(&Seen {
            topic: "replies",
            partition: 0,
            offset: 0,
            timestamp: at,
            key: None,
            value,
            headers: &[],
        })
    }

    #[test]
    fn a_card_is_found_whatever_it_is_made_of_and_whatever_stands_around_it() {
        for card in ["tok_abc", "pm.4111.22", "tok_/ab12", "tok_abc=", "tok_a\"b", "карта-1"] {
            let json = serde_json::to_string(&format!("x{card}-2")).expect("a string");
            assert!(tells(&["tok_other", card], &json), "{card} in {json}");
            assert!(!tells(&["tok_other"], &json), "{json}");
        }
        assert!(!tells(&["15"], "you have 15 min"), "too short to be told from other words");
        let mut text = "tok_abc.1 and tok_abc".to_owned();
        let mut cards = Cards::default();
        ["tok_abc", "tok_abc.1"].iter().for_each(|card| cards.learn(card));
        cards.hide(&mut text);
        assert_eq!(text, "tok_… and tok_…");
    }
}
