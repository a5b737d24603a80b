//! Reads one JSON object member by member, and says precisely what is wrong with it without quoting it.

use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::inputs::BadInput;

/// Objects and lists within each other that an input record may have, the record itself included.
const DEPTH_MAX: u32 = 128;

/// The members of interest of an object, as raw JSON.
pub(super) struct Fields<'a, const N: usize> {
    names: &'static [&'static str; N],
    raw: [Option<&'a RawValue>; N],
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Reads the members named; others are ignored. `None` for a blank record, a gateway's keep-alive.
    pub fn read(
        value: &'a [u8],
        bytes_max: usize,
        names: &'static [&'static str; N],
    ) -> Result<Option<Fields<'a, N>>, BadInput> {
        let mut raw: [Option<&RawValue>; N] = [None; N];
        let read = each_member(value, bytes_max, &mut |name, member| {
            if let Some(index) = names.iter().position(|known| *known == name)
                && raw[index].replace(member).is_some()
            {
                return Err(BadInput::new("duplicate_field", names[index]));
            }
            Ok(())
        })?;
        Ok(read.then_some(Fields { names, raw }))
    }

    /// Whether none of the members of interest is there.
    pub fn is_empty(&self) -> bool {
        self.raw.iter().all(Option::is_none)
    }

    /// A text; `null` counts as missing.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, BadInput> {
        match self.raw(name) {
            None => Ok(None),
            Some(raw) => text_of(raw).map(Some).ok_or_else(|| BadInput::wrong_type(name, "a string")),
        }
    }

    /// Whether it says expressly that there is none.
    pub fn is_null(&self, name: &'static str) -> bool {
        let index = self.names.iter().position(|known| *known == name);
        index.and_then(|index| self.raw[index]).is_some_and(|raw| raw.get() == "null")
    }

    pub fn required_text(&self, name: &'static str) -> Result<String, BadInput> {
        self.text(name)?.ok_or_else(|| BadInput::new("wrong_type", format!("{name}: it is missing")))
    }

    fn raw(&self, name: &'static str) -> Option<&'a RawValue> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.raw[index].filter(|raw| raw.get() != "null")
    }
}

/// Calls `visit` for every member of the object in `value`, in order, repeated ones too. `false` for a blank record.
pub(super) fn each_member<'a>(
    value: &'a [u8],
    bytes_max: usize,
    visit: &mut dyn FnMut(&str, &'a RawValue) -> Result<(), BadInput>,
) -> Result<bool, BadInput> {
    if value.len() > bytes_max {
        return Err(BadInput::new("too_large", format!("{} bytes, at most {bytes_max} are read", value.len())));
    }
    let text = std::str::from_utf8(value)
        .map_err(|error| BadInput::new("not_utf8", format!("byte {}", error.valid_up_to())))?;
    if text.trim_ascii().is_empty() {
        return Ok(false);
    }
    check_depth(value)?;
    let mut members = Members { visit, refused: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_map(&mut members).and_then(|()| json.end());
    match (members.refused, read) {
        (Some(refused), _) => Err(refused),
        (None, Ok(())) => Ok(true),
        (None, Err(error)) => Err(bad_json(&error)),
    }
}

/// The text that raw JSON holds, if it is a string of whole characters.
pub(super) fn text_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

struct Members<'v, 'a> {
    visit: &'v mut dyn FnMut(&str, &'a RawValue) -> Result<(), BadInput>,
    refused: Option<BadInput>,
}

impl<'a> Visitor<'a> for &mut Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let member = map.next_value::<&'a RawValue>()?;
            if let Err(refused) = (self.visit)(&name, member) {
                self.refused = Some(refused);
                return Err(M::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// serde_json's messages of syntax name characters and places only; those of data quote the input and are not passed
/// on.
fn bad_json(error: &serde_json::Error) -> BadInput {
    match error.classify() {
        Category::Data => BadInput::wrong_type("the record", "an object"),
        Category::Syntax | Category::Eof | Category::Io => BadInput::new("not_json", error.to_string()),
    }
}

/// Counts brackets outside strings. What is no JSON is found elsewhere.
fn check_depth(value: &[u8]) -> Result<(), BadInput> {
    let (mut depth, mut in_string, mut escaped) = (0u32, false, false);
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(BadInput::new("too_deep", format!("byte {at}, at most {DEPTH_MAX} levels are read")));
        }
    }
    Ok(())
}
