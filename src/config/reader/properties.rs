//! The table of free keys [`PROPERTIES`]: each a string, or the file that holds it.
//!
//! A value in a file of its own is what stores of secrets mount (a key of a Kubernetes Secret, a Docker secret, a
//! systemd credential). It needs no quoting, so that any password is written as it is, and all that is not secret stays
//! in the checked file, with its lines. A variable names such a file by its ending, as container images do:
//! `PAY_BY_TWEET__BUS__KAFKA__PROPERTIES__SASL_PASSWORD__FILE=/run/secrets/kafka-password`.
//!
//! No message of this file quotes a value: any may be a secret.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use super::{Reader, Setting, split, text_of};
use crate::config::document::{Value, read_text};
use crate::config::error::{ConfigError, Place};

/// A table of free keys; in its variables `_` stands for the dots of the key.
pub const PROPERTIES: &str = "bus.kafka.properties";

/// What names a file in place of the string: `{ file = "…" }`.
const FILE: &str = "file";

const HINT_OF_FILE: &str = "name a file that holds the value, or write the value itself";

/// A property's text, or the file that holds it.
struct Given {
    is_file: bool,
    setting: Setting,
}

impl Reader {
    /// Every value under [`PROPERTIES`], by its name with dots. Files are relative to `folder`; line breaks at the end
    /// of one do not count.
    pub fn properties(&mut self, folder: &Path) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, Given> = BTreeMap::new();
        let prefix = split(PROPERTIES);
        let under = |path: &Vec<String>| path.starts_with(&prefix) && path.len() > prefix.len();
        let found = self.settings.iter().filter(|(path, _)| under(path));
        let found: Vec<_> = found.map(|(path, setting)| (path.clone(), setting.clone())).collect();
        for (path, setting) in found {
            self.known.insert(path.clone());
            match form(&path[prefix.len()..], &setting.value) {
                Ok((name, is_file)) => self.take(&mut all, name, Given { is_file, setting }),
                Err((what, hint)) => self.fault_of(&setting, what, &hint),
            }
        }
        let values = all.into_iter().filter_map(|(name, given)| Some((name, self.value(given, folder)?)));
        values.collect()
    }

    /// Where a property was set; `None` if it was not.
    pub fn property_place(&self, name: &str) -> Option<Place> {
        let path: Vec<String> = split(PROPERTIES).into_iter().chain([name.to_owned()]).collect();
        let of_file = [&path[..], &[FILE.to_owned()]].concat();
        let setting = self.settings.get(&path).or_else(|| self.settings.get(&of_file))?;
        Some(setting.place.clone())
    }

    /// Of a text and a file for one property, a variable's overrides the file's.
    fn take(&mut self, all: &mut BTreeMap<String, Given>, name: String, given: Given) {
        let is_variable = |given: &Given| matches!(given.setting.place, Place::Variable(_));
        match all.entry(name) {
            Entry::Vacant(vacant) => drop(vacant.insert(given)),
            Entry::Occupied(mut occupied) => match (is_variable(occupied.get()), is_variable(&given)) {
                (false, true) => drop(occupied.insert(given)),
                (true, false) => {}
                (_, _) => {
                    let what = "given as a value and as a file".to_owned();
                    self.fault_of(&given.setting, what, "leave one of them out");
                }
            },
        }
    }

    /// The text itself, or what the file holds; `None` if that is no good.
    fn value(&mut self, given: Given, folder: &Path) -> Option<String> {
        let Given { is_file, setting } = given;
        let text = text_of(&setting.value).ok()?;
        let (text, place) = if is_file {
            let path = folder.join(text);
            match read_text(&path, &setting.written, HINT_OF_FILE) {
                Ok(text) => {
                    let place = Place::whole_file(&path.display().to_string());
                    (text.trim_end_matches(['\r', '\n']).to_owned(), place)
                }
                Err(errors) => {
                    self.errors.0.extend(errors.0);
                    return None;
                }
            }
        } else {
            (text.to_owned(), setting.place.clone())
        };
        let setting = Setting { place, ..setting };
        if is_file && text.trim().is_empty() {
            self.fault_of(&setting, "the file is empty".to_owned(), "write the value into it");
            return None;
        }
        if text.contains('\0') {
            self.fault_of(&setting, "holds a NUL character".to_owned(), "write it as text");
            return None;
        }
        Some(text)
    }

    fn fault_of(&mut self, setting: &Setting, what: String, hint: &str) {
        self.errors.0.push(ConfigError::new(setting.place.clone(), setting.written.clone(), what, hint));
    }
}

/// The name of the property that this path below [`PROPERTIES`] sets, and whether by a file; else what is wrong, and
/// how to mend it.
fn form(path: &[String], value: &Value) -> Result<(String, bool), (String, String)> {
    let is_text = text_of(value).is_ok();
    match path {
        [name] if is_text => Ok((name.clone(), false)),
        [name, last] if last == FILE && is_text => Ok((name.clone(), true)),
        [_, last] if last == FILE => {
            let what = format!("expected a file's name, a string, found {}", value.type_name());
            Err((what, "put the name in double quotes".to_owned()))
        }
        [name, ..] if !is_text || name.contains('.') => {
            let what = format!("expected a string, found {}", if is_text { "a table" } else { value.type_name() });
            Err((what, "put the value in double quotes, or write { file = \"…\" }".to_owned()))
        }
        _ => Err(("a dotted name must be quoted".to_owned(), format!("write \"{}\" = …", path.join(".")))),
    }
}

/// The path that a variable of these parts sets, if it is a property's.
pub fn path_of_variable(path: &[String]) -> Option<Vec<String>> {
    let prefix = split(PROPERTIES);
    let rest = path.strip_prefix(&prefix[..])?;
    let (name, file) = match rest {
        [name @ .., last] if last == FILE && !name.is_empty() => (name, Some(FILE.to_owned())),
        name => (name, None),
    };
    let name = name.join("_").replace('_', ".");
    (!name.is_empty()).then(|| prefix.into_iter().chain([name]).chain(file).collect())
}
