//! The layers of the configuration as one set of keys, read one typed key at a time. Reading a key makes it known; what
//! nobody read is unknown. Mistakes are collected: reading goes on with the default, so that one run tells them all.

mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::document::{Entry, Value};
use super::error::{ConfigError, ConfigErrors, Place};
use super::values::{is_near, join_key, nearest, parse_bytes, parse_duration_ms};
use properties::path_of_variable;

pub use properties::PROPERTIES;

/// Environment variables that begin so are settings: `PAY_BY_TWEET__TIME__IDLE_AFTER` is `time.idle_after`.
pub const VARIABLE_PREFIX: &str = "PAY_BY_TWEET__";

const DEFAULTS_ARE_WHOLE: &str =
    "the shipped configuration is compiled in and holds a good value of every key: tests load it";

pub struct Reader {
    settings: BTreeMap<Vec<String>, Setting>,
    defaults: BTreeMap<Vec<String>, Setting>,
    known: BTreeSet<Vec<String>>,
    errors: ConfigErrors,
}

/// A value with where and under which name it was written; the name differs from its key where one value sets several.
#[derive(Clone, Debug)]
pub struct Setting {
    pub value: Value,
    pub place: Place,
    pub written: String,
}

impl Reader {
    /// Layers, lowest first: the shipped file, the user's file, the environment.
    pub fn new(
        defaults: Vec<Entry>,
        file: Option<(Arc<str>, Vec<Entry>)>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Reader {
        let mut reader = Reader {
            settings: BTreeMap::new(),
            defaults: BTreeMap::new(),
            known: BTreeSet::new(),
            errors: ConfigErrors::default(),
        };
        flatten(&Arc::from("the shipped configuration"), &mut Vec::new(), defaults, &mut reader.defaults);
        if let Some((path, entries)) = file {
            flatten(&path, &mut Vec::new(), entries, &mut reader.settings);
        }
        for (name, text) in variables {
            if let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) {
                let setting = Setting {
                    value: Value::Variable(text),
                    place: Place::Variable(name.clone()),
                    written: String::new(),
                };
                insert(variable_path(rest), setting, &mut reader.settings);
            }
        }
        reader
    }

    /// Names every key that was set but never read, then gives all mistakes.
    pub fn finish(mut self) -> ConfigErrors {
        let unread: Vec<_> = self.settings.iter().filter(|(path, _)| !self.known.contains(*path)).collect();
        let unknown: Vec<ConfigError> = unread.into_iter().filter_map(|(_, setting)| self.unknown(setting)).collect();
        self.errors.0.extend(unknown);
        self.errors
    }

    /// Where the key was set; `None` if the default holds.
    pub fn place(&self, key: &str) -> Option<Place> {
        self.settings.get(&split(key)).map(|setting| setting.place.clone())
    }

    pub fn is_set(&self, key: &str) -> bool {
        self.settings.contains_key(&split(key))
    }

    /// Reports a mistake in the value of a key, at the place where it was set.
    pub fn fault(&mut self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        let setting = self.settings.get(&split(key)).or_else(|| self.defaults.get(&split(key)));
        let place = setting.map_or_else(|| Place::whole_file("the configuration"), |setting| setting.place.clone());
        let written = setting.map_or_else(|| key.to_owned(), |setting| setting.written.clone());
        let error = ConfigError::new(place, written, what, hint);
        if !self.errors.0.contains(&error) {
            self.errors.0.push(error);
        }
    }

    /// Reports a mistake at a line of its own, for the parts of a list.
    pub fn fault_at(&mut self, place: Place, key: String, what: String, hint: String) {
        self.errors.0.push(ConfigError::new(place, key, what, hint));
    }

    /// Milliseconds; at least `least_ms`.
    pub fn duration_ms(&mut self, key: &str, least_ms: i64) -> i64 {
        self.read(key, "a duration, a string with a number and a unit of ms, s, m, h or d", |value| {
            let ms = parse_duration_ms(text_of(value)?).map_err(Some)?;
            if ms < least_ms { Err(Some(format!("must be at least {least_ms}ms"))) } else { Ok(ms) }
        })
    }

    pub fn whole(&mut self, key: &str, range: RangeInclusive<i64>) -> i64 {
        self.read(key, "a whole number", |value| {
            let number = match value {
                Value::Whole(number) => *number,
                Value::Variable(text) => text.trim().parse().map_err(|_| None)?,
                _ => return Err(None),
            };
            within(number, &range)
        })
    }

    /// A number of bytes, plain or with a unit.
    pub fn bytes(&mut self, key: &str, range: RangeInclusive<i64>) -> i64 {
        self.read(key, "a number of bytes, or a string such as \"64MiB\"", |value| {
            let number = match value {
                Value::Whole(number) => *number,
                _ => parse_bytes(text_of(value)?).map(i128::from).ok_or(None)?,
            };
            within(number, &range)
        })
    }

    pub fn flag(&mut self, key: &str) -> bool {
        self.read(key, "true or false", |value| match value {
            Value::Flag(flag) => Ok(*flag),
            Value::Variable(text) => text.trim().parse().map_err(|_| None),
            _ => Err(None),
        })
    }

    /// A string that `parse` turns into a value; its error says what is wrong.
    pub fn text<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        self.read(key, "a string", |value| parse(text_of(value)?).map_err(Some))
    }

    /// As [`Reader::text`], for a key that has no default.
    pub fn optional_text<T>(
        &mut self,
        key: &str,
        example: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.known.insert(split(key));
        let setting = self.settings.get(&split(key))?.clone();
        match text_of(&setting.value).and_then(|text| parse(text).map_err(Some)) {
            Ok(value) => Some(value),
            Err(what) => {
                let what = what.unwrap_or_else(|| format!("expected a string, found {}", setting.value.describe()));
                self.fault(key, what, format!("write it such as \"{example}\", or leave it out"));
                None
            }
        }
    }

    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let expected = format!("one of {}", names.join(", "));
        self.read(key, &expected, |value| {
            let text = text_of(value)?;
            choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or(None)
        })
    }

    /// The list under a key (an array of tables), or the default's, with the file that it stands in.
    pub fn list(&mut self, key: &str) -> (Place, Vec<super::document::Node>) {
        let path = split(key);
        self.known.insert(split(key));
        match self.settings.get(&path).map(|setting| (setting.place.clone(), setting.value.clone())) {
            Some((place, Value::List(items))) => return (place, items),
            Some((_, value)) => {
                let what = format!("expected a list of tables, found {}", value.describe());
                self.fault(key, what, format!("write [[{key}]] in the file, once for each"));
            }
            None => {}
        }
        match self.defaults.get(&path) {
            Some(Setting { value: Value::List(items), place, .. }) => (place.clone(), items.clone()),
            _ => (Place::whole_file("the shipped configuration"), Vec::new()),
        }
    }

    /// Reads a key. `parse` fails with what is wrong, or with `None` where the value is not of the expected form at
    /// all.
    fn read<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&Value) -> Result<T, Option<String>>) -> T {
        self.known.insert(split(key));
        let path = split(key);
        let default = self.defaults.get(&path).expect(DEFAULTS_ARE_WHOLE).value.clone();
        if let Some(value) = self.settings.get(&path).map(|setting| setting.value.clone()) {
            match parse(&value) {
                Ok(parsed) => return parsed,
                Err(None) => {
                    let hint = format!("write it such as {}", plain(&default));
                    self.fault(key, format!("expected {expected}, found {}", value.describe()), hint);
                }
                Err(Some(what)) => self.fault(key, what, format!("write it such as {}", plain(&default))),
            }
        }
        parse(&default).expect(DEFAULTS_ARE_WHOLE)
    }

    /// What to say of a setting that nobody read; `None` for an empty table where tables belong.
    fn unknown(&self, setting: &Setting) -> Option<ConfigError> {
        let known: Vec<String> = self.known.iter().map(|path| path.join(".")).collect();
        let section = format!("{}.", setting.written);
        let is_section = setting.written == PROPERTIES || known.iter().any(|key| key.starts_with(&section));
        let (what, hint) = if is_section {
            if setting.value == Value::Table(Vec::new()) {
                return None;
            }
            // What stands where properties belong may be a secret.
            let found = match setting.written.as_str() {
                PROPERTIES => setting.value.type_name().to_owned(),
                _ => setting.value.describe(),
            };
            let what = format!("expected a table, found {found}");
            (what, format!("write [{}] and its keys below", setting.written))
        } else {
            let meant = match &setting.value {
                Value::Table(_) => {
                    nearest(&setting.written, known.iter().filter_map(|key| Some(key.rsplit_once('.')?.0)))
                }
                _ => nearest(&setting.written, known.iter().map(String::as_str)),
            };
            let meant = meant.unwrap_or_default();
            let name = match setting.place {
                Place::Variable(_) => variable_name(meant),
                Place::File { .. } => format!("\"{meant}\""),
            };
            let near = is_near(&setting.written, meant);
            let hint = if near { format!("did you mean {name}?") } else { format!("the nearest valid key is {name}") };
            ("unknown key".to_owned(), hint)
        };
        Some(ConfigError::new(setting.place.clone(), setting.written.clone(), what, hint))
    }
}

/// A value as it is written in a file.
fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Variable(text) => format!("\"{text}\""),
        Value::Whole(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        other => other.describe(),
    }
}

fn text_of(value: &Value) -> Result<&str, Option<String>> {
    match value {
        Value::Text(text) | Value::Variable(text) => Ok(text),
        _ => Err(None),
    }
}

fn within(number: i128, range: &RangeInclusive<i64>) -> Result<i64, Option<String>> {
    let (least, most) = (range.start(), range.end());
    let fits = i64::try_from(number).ok().filter(|number| range.contains(number));
    fits.ok_or_else(|| Some(format!("{number} is not within {least} and {most}")))
}

fn split(key: &str) -> Vec<String> {
    key.split('.').map(str::to_owned).collect()
}

fn flatten(file: &Arc<str>, path: &mut Vec<String>, entries: Vec<Entry>, into: &mut BTreeMap<Vec<String>, Setting>) {
    for entry in entries {
        path.push(entry.key);
        match entry.node.value {
            Value::Table(inner) if !inner.is_empty() => flatten(file, path, inner, into),
            value => {
                let setting = Setting { value, place: Place::line(file, entry.line), written: String::new() };
                insert(path.clone(), setting, into);
            }
        }
        path.pop();
    }
}

/// Sets a key. A plain `workers = 2` sets the workers of every stage.
fn insert(path: Vec<String>, setting: Setting, into: &mut BTreeMap<Vec<String>, Setting>) {
    let setting = Setting { written: join_key(&path), ..setting };
    if path == ["workers"] && !matches!(setting.value, Value::Table(_)) {
        for stage in ["screen", "accounts", "offers"] {
            into.insert(vec!["workers".to_owned(), stage.to_owned()], setting.clone());
        }
        return;
    }
    into.insert(path, setting);
}

fn variable_path(rest: &str) -> Vec<String> {
    let path: Vec<String> = rest.to_ascii_lowercase().split("__").map(str::to_owned).collect();
    path_of_variable(&path).unwrap_or(path)
}

fn variable_name(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}
