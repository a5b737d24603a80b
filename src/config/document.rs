//! A TOML file as a tree of values that know their lines.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors, Place};

/// A value and the line where it begins, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Whole(i128),
    Fraction(String),
    Flag(bool),
    Moment(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// The text of an environment variable, which is read as whatever its key expects.
    Variable(String),
}

/// A key of a table with the line of the key.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub line: usize,
    pub node: Node,
}

/// Reads a whole file as UTF-8; the error names the file and, where it can, the line.
pub fn read_text(path: &Path, key: &str, hint: &str) -> Result<String, ConfigErrors> {
    let name = path.display().to_string();
    let fail = |place, what: String, hint: &str| ConfigErrors(vec![ConfigError::new(place, key, what, hint)]);
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => fail(Place::whole_file(&name), "no such file".into(), hint),
        _ => fail(Place::whole_file(&name), format!("can't be read: {error}"), hint),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|b| **b == b'\n').count();
        fail(Place::line(&Arc::from(name), line), "not UTF-8".into(), "save the file in UTF-8")
    })
}

/// Parses a document into the entries of its root table. Syntax errors are all reported, at most one a line, and then
/// nothing else is: what a damaged document seems to hold would only mislead.
pub fn parse(path: &Arc<str>, text: &str) -> Result<Vec<Entry>, ConfigErrors> {
    let lines = Lines::of(text);
    let (root, syntax_errors) = DeTable::parse_recoverable(text);
    let mut errors = ConfigErrors::default();
    for error in syntax_errors {
        let line = lines.number(error.span().map_or(0, |span| span.start));
        let place = Place::line(path, line);
        if errors.0.iter().any(|known| known.place == place) {
            continue;
        }
        let what = format!("not valid TOML: {}", error.message().replace('\n', " "));
        errors.0.push(ConfigError::new(place, "", what, "write one key = value a line, with strings in double quotes"));
    }
    errors.into_result(lines.entries(root.get_ref()))
}

impl Value {
    /// The type's name for messages, with its article.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Whole(_) => "an integer",
            Value::Fraction(_) => "a float",
            Value::Flag(_) => "a boolean",
            Value::Moment(_) => "a date-time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Variable(_) => "a variable's text",
        }
    }

    /// The type with the value where it is short, e.g. `an integer 15`.
    pub fn describe(&self) -> String {
        match self {
            Value::Text(text) | Value::Variable(text) => format!("\"{text}\""),
            Value::Whole(number) => format!("the integer {number}"),
            Value::Fraction(text) => format!("the float {text}"),
            Value::Flag(flag) => format!("the boolean {flag}"),
            Value::Moment(text) => format!("the date-time {text}"),
            Value::List(_) | Value::Table(_) => self.type_name().to_owned(),
        }
    }
}

/// Where each line of a text begins, in bytes.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Lines(std::iter::once(0).chain(ends).collect())
    }

    fn number(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }

    fn entries(&self, table: &DeTable<'_>) -> Vec<Entry> {
        let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| Entry {
            key: key.get_ref().to_string(),
            line: self.number(key.span().start),
            node: self.node(value),
        };
        table.iter().map(entry).collect()
    }

    fn node(&self, spanned: &Spanned<DeValue<'_>>) -> Node {
        let value = match spanned.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(whole) => Value::Whole(whole),
                Err(_) => Value::Fraction(number.as_str().to_owned()),
            },
            DeValue::Float(number) => Value::Fraction(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.entries(table)),
        };
        Node { value, line: self.number(spanned.span().start) }
    }
}
