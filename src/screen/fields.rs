//! Fields as networks write them: ids as strings or numbers, strings that borrow where they can, times in two styles.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::{Network, Time, parse_id};

use super::{DeadLetter, DeadReason};

/// A string that borrows from the record unless it has escapes.
#[derive(Debug)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

/// An id, or another count of 64 bits, as a string or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    Is(u64),
    /// An empty string says as little as no field.
    Empty,
    /// A number that is no id, or a string of anything but digits.
    Bad,
}

/// An object, or something else that is none of our business.
#[derive(Debug)]
pub(super) enum Object<T> {
    Is(T),
    Else,
}

/// The id that two fields tell: the string wins, because numbers were rounded on their way.
pub(super) fn id_of(string: Option<Id>, number: Option<Id>, field: &str) -> Result<Option<u64>, DeadLetter> {
    let told = |id: Option<Id>| id.filter(|id| *id != Id::Empty);
    match told(string).or(told(number)) {
        None => Ok(None),
        Some(Id::Is(id)) => Ok(Some(id)),
        Some(Id::Empty | Id::Bad) => Err(DeadLetter::new(DeadReason::WrongType, format!("{field} is no id"))),
    }
}

/// When a post was made. On Twitter its id tells; the ids of other networks tell nothing, their server's stamp does.
pub(super) fn time_of(
    network: Network,
    id: u64,
    created_at: Option<&Text>,
    timestamp_ms: Option<Id>,
) -> Result<Time, DeadLetter> {
    let created = || created_at.and_then(|text| time_of_text(&text.0));
    let stamped = || millis(timestamp_ms);
    let time = if network == Network::TWITTER {
        Time::of_snowflake(id).or_else(created).or_else(stamped)
    } else {
        stamped().or_else(created)
    };
    time.ok_or_else(|| DeadLetter::new(DeadReason::WrongType, "created_at is no time"))
}

/// Milliseconds since the epoch, where they are a time at all.
pub(super) fn millis(stamp: Option<Id>) -> Option<Time> {
    match stamp {
        Some(Id::Is(ms)) => i64::try_from(ms).ok().map(Time),
        _ => None,
    }
}

/// Reads `2013-02-12T15:01:00.000Z` and `Tue Feb 12 15:01:00 +0000 2013`.
pub(super) fn time_of_text(text: &str) -> Option<Time> {
    let timestamp = if text.starts_with(|c: char| c.is_ascii_digit()) {
        text.parse::<jiff::Timestamp>().ok()?
    } else {
        jiff::fmt::strtime::parse("%a %b %d %H:%M:%S %z %Y", text).ok()?.to_timestamp().ok()?
    };
    Some(Time(timestamp.as_millisecond()))
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_u64<E>(self, id: u64) -> Result<Id, E> {
        Ok(Id::Is(id))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Id, E> {
        Ok(Id::Bad)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Id, E> {
        Ok(Id::Bad)
    }

    fn visit_str<E>(self, text: &str) -> Result<Id, E> {
        Ok(if text.is_empty() { Id::Empty } else { parse_id(text).map_or(Id::Bad, Id::Is) })
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object::Is)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object::Else)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Object<T>, E> {
        Ok(Object::Else)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Object<T>, E> {
        Ok(Object::Else)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Object<T>, E> {
        Ok(Object::Else)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Object<T>, E> {
        Ok(Object::Else)
    }

    fn visit_str<E>(self, _: &str) -> Result<Object<T>, E> {
        Ok(Object::Else)
    }

    fn visit_unit<E>(self) -> Result<Object<T>, E> {
        Ok(Object::Else)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

impl<T> Object<T> {
    pub(super) fn as_ref(&self) -> Option<&T> {
        match self {
            Object::Is(object) => Some(object),
            Object::Else => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_of_date_are_read() {
        let time = Some(Time(1360681260000));
        assert_eq!(time_of_text("Tue Feb 12 15:01:00 +0000 2013"), time);
        assert_eq!(time_of_text("2013-02-12T15:01:00.000Z"), time);
        assert_eq!(time_of_text("2013-02-12T16:01:00+01:00"), time);
        for bad in ["", "yesterday", "2013", "Tue Feb 32 15:01:00 +0000 2013"] {
            assert_eq!(time_of_text(bad), None, "{bad}");
        }
    }
}
