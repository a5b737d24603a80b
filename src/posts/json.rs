//! JSON as serializers of the networks write it: members in the order of publishing, escapes as each of them likes.

use std::fmt::Write;

/// A JSON value whose members keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

/// What a serializer escapes besides what it must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// `/` as `\/`.
    pub slashes: bool,
    /// Everything outside ASCII as `\uXXXX`, in surrogate pairs where one is not enough.
    pub non_ascii: bool,
    /// `<` and `>` as `\u003c` and `\u003e`.
    pub angles: bool,
}

/// An object of these members, in this order.
pub fn object<const N: usize>(members: [(&'static str, Json); N]) -> Json {
    Json::Object(members.into())
}

impl Json {
    pub fn render(&self, style: Style) -> String {
        let mut out = String::with_capacity(4096);
        self.write(style, &mut out);
        out
    }

    /// Adds members at the end of an object; of anything else nothing comes.
    pub fn extend(&mut self, more: impl IntoIterator<Item = (&'static str, Json)>) {
        if let Json::Object(members) = self {
            members.extend(more);
        }
    }

    fn write(&self, style: Style, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(number) => put(out, format_args!("{number}")),
            Json::Text(text) => write_text(text, style, out),
            Json::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    item.write(style, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    put(out, format_args!("{}\"{name}\":", if place > 0 { "," } else { "" }));
                    value.write(style, out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, style: Style, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '/' if style.slashes => out.push_str("\\/"),
            '<' | '>' if style.angles => put(out, format_args!("\\u{:04x}", c as u32)),
            c if c < ' ' => put(out, format_args!("\\u{:04x}", c as u32)),
            c if style.non_ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    put(out, format_args!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("writing to a string can't fail");
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Number(number)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Json {
        Json::List(items)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_says_the_same() {
        let value = object([
            ("text", "<a href=\"x/y\">\\ é 🎁 #＃\n\u{1}</a>".into()),
            ("n", u64::MAX.into()),
            ("list", vec![Json::Null, true.into(), Json::List(Vec::new()), object([])].into()),
        ]);
        let plain: serde_json::Value = serde_json::from_str(&value.render(Style::default())).unwrap();
        assert_eq!(plain["n"], u64::MAX);
        for bits in 1..8 {
            let style = Style { slashes: bits & 1 > 0, non_ascii: bits & 2 > 0, angles: bits & 4 > 0 };
            let text = value.render(style);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), plain, "{text}");
            assert_eq!(style.non_ascii, text.is_ascii(), "{text}");
            assert_eq!(style.angles, text.contains("\\u003c") && !text.contains('<'), "{text}");
            assert_eq!(style.slashes, text.contains("x\\/y"), "{text}");
        }
    }
}
