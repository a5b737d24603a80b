//! What is wrong with a configuration: where, which key, what, and how to mend it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// One mistake. Its text is `place: key: what; hint` in one line, e.g.
/// `config/pay-by-tweet.toml:12: topics.partitons: unknown key; did you mean "topics.partitions"?`. Controls in what it
/// quotes are escaped: a value must not break the line, or steer a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub place: Place,
    /// The key's path; empty where the mistake concerns the file as a whole.
    pub key: String,
    pub what: String,
    pub hint: String,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, and the line counted from 1 where one is meant.
    File { path: Arc<str>, line: Option<usize> },
    /// An environment variable.
    Variable(String),
}

/// All mistakes that were found, in the order of files and lines; never empty where it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// A mistake in a field of an offer, whichever way the offer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: &'static str,
    pub what: String,
    pub hint: String,
}

impl ConfigError {
    pub fn new(place: Place, key: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { place, key: key.into(), what: what.into(), hint: hint.into() }
    }
}

impl ConfigErrors {
    /// `Ok` if nothing was found, else every mistake, sorted by line within its file.
    pub fn into_result<T>(mut self, value: T) -> Result<T, ConfigErrors> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|error| error.place.order());
        Err(self)
    }
}

impl FieldError {
    pub fn new(field: &'static str, what: impl Into<String>, hint: impl Into<String>) -> FieldError {
        FieldError { field, what: what.into(), hint: hint.into() }
    }
}

impl Place {
    pub fn line(path: &Arc<str>, line: usize) -> Place {
        Place::File { path: path.clone(), line: Some(line) }
    }

    pub fn whole_file(path: &str) -> Place {
        Place::File { path: Arc::from(path), line: None }
    }

    /// Files before variables; within a file by line, within the variables by name.
    fn order(&self) -> (u8, String, usize) {
        match self {
            Place::File { path, line } => (0, path.to_string(), line.unwrap_or(0)),
            Place::Variable(name) => (1, name.clone(), 0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line: Some(line) } => write!(f, "{path}:{line}"),
            Place::File { path, line: None } => f.write_str(path),
            Place::Variable(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", in_one_line(&self.key))?;
        }
        write!(f, "{}; {}", in_one_line(&self.what), in_one_line(&self.hint))
    }
}

fn in_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// One mistake a line.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.what, self.hint)
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}
impl std::error::Error for FieldError {}
