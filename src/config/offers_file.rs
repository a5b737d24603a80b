//! The offers file: `[[offers]]` tables, each an [`OfferSpec`], checked as a whole catalogue.

use std::path::Path;
use std::sync::Arc;

use crate::domain::{Offer, OfferKind, ReplyKind};
use crate::wire::Texts;

use super::document::{self, Entry, Node, Value};
use super::error::{ConfigError, ConfigErrors, FieldError, Place};
use super::tags::{TagClash, tag_clashes};
use super::values::{is_near, nearest};
use super::{OfferSpec, Settings};

/// Reads and checks an offers file. `settings` tell the freeze tag and the texts that must fit.
pub fn load_offers(path: &Path, settings: &Settings) -> Result<Vec<OfferSpec>, ConfigErrors> {
    let text = document::read_text(path, "offers.file", "name an existing file in offers.file")?;
    offers_of_text(&path.display().to_string(), &text, settings)
}

/// As [`load_offers`], of a text; `name` is the file's in messages.
pub fn offers_of_text(name: &str, text: &str, settings: &Settings) -> Result<Vec<OfferSpec>, ConfigErrors> {
    let path = Arc::from(name);
    let entries = document::parse(&path, text)?;
    let mut file = OffersFile { path, tables: Vec::new(), errors: ConfigErrors::default() };
    file.collect(entries);
    file.check_offers(settings);
    file.check_ids();
    let specs: Vec<OfferSpec> = file.tables.iter().map(|table| table.spec.clone()).collect();
    for clash in tag_clashes(&specs, &settings.service.freeze_tag) {
        file.clash(&clash);
    }
    file.errors.into_result(specs)
}

struct OffersFile {
    path: Arc<str>,
    tables: Vec<Table>,
    errors: ConfigErrors,
}

/// An offer with the lines of its keys.
struct Table {
    spec: OfferSpec,
    name: String,
    line: usize,
    lines: Vec<(String, usize)>,
    /// A field had a wrong type, and is absent from `spec`.
    mistyped: Vec<&'static str>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Decimal,
    Whole,
    Moment,
    Texts,
}

const FIELDS: [(&str, Form); 23] = [
    ("id", Form::Text),
    ("kind", Form::Text),
    ("buy_tag", Form::Text),
    ("confirm_tag", Form::Text),
    ("cancel_tag", Form::Text),
    ("merchant", Form::Text),
    ("item", Form::Text),
    ("price", Form::Decimal),
    ("tax", Form::Decimal),
    ("currency", Form::Text),
    ("quantity", Form::Whole),
    ("per_account", Form::Whole),
    ("opens", Form::Moment),
    ("closes", Form::Moment),
    ("countries", Form::Texts),
    ("waitlist_max", Form::Whole),
    ("terms_url", Form::Text),
    ("reply_length", Form::Whole),
    ("min_spend", Form::Decimal),
    ("credit", Form::Decimal),
    ("spend_by", Form::Moment),
    ("code", Form::Text),
    ("codes", Form::Texts),
];

impl OffersFile {
    fn collect(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match (entry.key.as_str(), entry.node.value) {
                ("offers", Value::List(nodes)) => {
                    for (i, node) in nodes.into_iter().enumerate() {
                        self.table(i, node);
                    }
                }
                ("offers", value) => {
                    let what = format!("expected a list of tables, found {}", value.describe());
                    self.fault(entry.line, "offers", what, "write [[offers]] before each offer");
                }
                (key, _) => self.fault(entry.line, key, "unknown key", "did you mean \"offers\"?"),
            }
        }
    }

    fn table(&mut self, i: usize, node: Node) {
        let Value::Table(entries) = node.value else {
            let what = format!("expected a table, found {}", node.value.describe());
            return self.fault(node.line, &format!("offers[{i}]"), what, "write [[offers]] before each offer");
        };
        let id = entries.iter().find(|entry| entry.key == "id").map(|entry| &entry.node.value);
        let name = match id {
            Some(Value::Text(id)) if !id.is_empty() => format!("offers[{id}]"),
            _ => format!("offers[{i}]"),
        };
        let mut json = serde_json::Map::new();
        let mut table =
            Table { spec: OfferSpec::default(), name, line: node.line, lines: Vec::new(), mistyped: Vec::new() };
        for entry in entries {
            let key = format!("{}.{}", table.name, entry.key);
            let Some((field, form)) = FIELDS.iter().find(|(field, _)| *field == entry.key) else {
                let meant = nearest(&entry.key, FIELDS.iter().map(|(field, _)| *field)).unwrap_or_default();
                let near = is_near(&entry.key, meant);
                let hint = if near {
                    format!("did you mean \"{meant}\"?")
                } else {
                    format!("the nearest valid key is \"{meant}\"")
                };
                self.fault(entry.line, &key, "unknown key", &hint);
                continue;
            };
            match form.json(&entry.node.value) {
                Some(value) => drop(json.insert(entry.key.clone(), value)),
                None => {
                    table.mistyped.push(field);
                    let what = format!("expected {}, found {}", form.name(), entry.node.value.describe());
                    self.fault(entry.line, &key, what, &format!("write it such as {}", form.example()));
                }
            }
            table.lines.push((entry.key, entry.line));
        }
        match serde_json::from_value(serde_json::Value::Object(json)) {
            Ok(spec) => table.spec = spec,
            Err(error) => self.fault(
                table.line,
                &table.name,
                format!("can't be read: {error}"),
                "compare it with the shipped offers",
            ),
        }
        self.tables.push(table);
    }

    fn check_offers(&mut self, settings: &Settings) {
        let texts = settings.texts();
        for i in 0..self.tables.len() {
            let table = &self.tables[i];
            let faults = match table.spec.clone().into_offer(0) {
                Ok(offer) if table.mistyped.is_empty() => fit(&offer, settings, &texts),
                Ok(_) => Vec::new(),
                Err(faults) => faults,
            };
            let told = |fault: &FieldError| !table.mistyped.contains(&fault.field);
            let errors: Vec<ConfigError> =
                faults.iter().filter(|f| told(f)).map(|f| self.field_error(table, f)).collect();
            self.errors.0.extend(errors);
        }
    }

    fn check_ids(&mut self) {
        for i in 0..self.tables.len() {
            let table = &self.tables[i];
            let same = |other: &&Table| !other.spec.id.is_empty() && other.spec.id == table.spec.id;
            if let Some(first) = self.tables[..i].iter().find(same) {
                let what = format!("the same id as the offer on line {}", first.line_of("id"));
                let error = self.field_error(table, &FieldError::new("id", what, "give each offer its own id"));
                self.errors.0.push(error);
            }
        }
    }

    fn clash(&mut self, clash: &TagClash) {
        let other = match clash.other {
            Some((index, field)) => {
                let table = &self.tables[index];
                format!("{}.{field} on line {}", table.name, table.line_of(field))
            }
            None => "service.freeze_tag".to_owned(),
        };
        let what = if clash.same {
            format!("\"{}\" is the same tag as \"{}\", {other}", clash.tag, clash.other_tag)
        } else {
            format!("\"{}\" looks like \"{}\", {other}", clash.tag, clash.other_tag)
        };
        let table = &self.tables[clash.offer];
        let hint = "choose a tag that nobody takes for the other";
        let error = self.field_error(table, &FieldError::new(clash.field, what, hint));
        self.errors.0.push(error);
    }

    fn field_error(&self, table: &Table, fault: &FieldError) -> ConfigError {
        let place = Place::line(&self.path, table.line_of(fault.field));
        ConfigError::new(place, format!("{}.{}", table.name, fault.field), &fault.what, &fault.hint)
    }

    fn fault(&mut self, line: usize, key: &str, what: impl Into<String>, hint: &str) {
        self.errors.0.push(ConfigError::new(Place::line(&self.path, line), key, what, hint));
    }
}

impl Table {
    /// The line of a field, or of the offer where the field is missing.
    fn line_of(&self, field: &str) -> usize {
        self.lines.iter().find(|(key, _)| key == field).map_or(self.line, |(_, line)| *line)
    }
}

impl Form {
    /// The value as the `offers` topic would carry it; `None` where the type is wrong.
    fn json(self, value: &Value) -> Option<serde_json::Value> {
        match (self, value) {
            (Form::Text | Form::Decimal | Form::Moment, Value::Text(text)) => Some(text.as_str().into()),
            (Form::Moment, Value::Moment(text)) => Some(text.as_str().into()),
            (Form::Whole, Value::Whole(number)) => i64::try_from(*number).ok().map(Into::into),
            (Form::Texts, Value::List(nodes)) => nodes.iter().map(|node| Form::Text.json(&node.value)).collect(),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Form::Text => "a string",
            Form::Decimal => "a decimal string",
            Form::Whole => "a whole number",
            Form::Moment => "a time",
            Form::Texts => "a list of strings",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Form::Text => "\"…\", in double quotes",
            Form::Decimal => "\"149.99\", in double quotes",
            Form::Whole => "100, without quotes",
            Form::Moment => "\"2013-02-11T05:00:00Z\"",
            Form::Texts => "[\"US\"]",
        }
    }
}

/// The replies that must carry a tag have to fit the offer's length, with the longest handle and a short name of the
/// item; the others may be shortened more, but not without end.
fn fit(offer: &Offer, settings: &Settings, texts: &Texts) -> Vec<FieldError> {
    let prompt = (offer.terms.kind == OfferKind::Purchase).then_some(ReplyKind::Prompt);
    let mut faults = Vec::new();
    for kind in prompt.into_iter().chain([ReplyKind::AlreadyTweeted]) {
        let length = settings.length_of_reply(kind, &offer.terms);
        let most = offer.terms.reply_length;
        if length > most {
            let what = format!("the {} reply may take {length} characters, more than {most}", kind.name());
            let hint = format!("shorten the tags or replies.templates.{}", kind.name());
            faults.push(FieldError::new("reply_length", what, hint));
        }
    }
    if let (true, Err(what)) = (faults.is_empty(), texts.check_offer(&offer.terms)) {
        faults.push(FieldError::new("reply_length", what, "shorten the tags or allow longer replies"));
    }
    faults
}
