//! The rules of the house, enforced: which part may import which, what may not stand in the sources, and how long
//! things may get. Each finding names its place; all are told at once.

#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
/// Without what stands in string literals, which the formatter can't break.
const LINE_CHARS_MAX: usize = 120;

/// What each part of `src` may import from the crate, beside itself. Arrows point inward: domain and text know nobody,
/// the engine knows no stage, a stage knows no other stage, and only what puts the program together knows them all.
/// `a::b` allows only that module of a part.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("text", &[]),
    ("clock", &["domain"]),
    ("bus", &["domain", "clock"]),
    ("wire", &["domain", "text", "bus"]),
    ("engine", &["domain", "clock", "bus", "wire::dead_letters", "telemetry"]),
    ("config", &["domain", "text", "wire"]),
    ("telemetry", &["domain", "accounts::outbox", "engine::health"]),
    ("screen", &["domain", "text", "wire", "bus", "telemetry", ENGINE_SEAM[0], ENGINE_SEAM[1], ENGINE_SEAM[2]]),
    (
        "accounts",
        &["domain", "wire", "bus", "telemetry", ENGINE_SEAM[0], ENGINE_SEAM[1], ENGINE_SEAM[2], ENGINE_SEAM[3]],
    ),
    ("offers", &["domain", "wire", "bus", "telemetry", ENGINE_SEAM[0], ENGINE_SEAM[1], ENGINE_SEAM[2], ENGINE_SEAM[3]]),
    ("planted", &[]),
    ("pacing", &["domain", "screen", "offers"]),
    ("pipeline", &["domain", "clock", "bus", "wire", "config", "engine", "screen", "accounts", "offers", "pacing"]),
    ("log", &["bus", "config", "clock", "engine::worker", "pipeline", "screen::side"]),
    ("feed", &["domain", "clock", "bus", "wire", "pipeline", "pacing"]),
    ("app", &["domain", "clock", "bus", "config", "engine", "screen", "accounts", "offers", "pipeline", "telemetry"]),
    (
        "http",
        &[
            "domain",
            "clock",
            "bus",
            "wire",
            "config",
            "engine",
            "accounts",
            "offers",
            "screen",
            "pipeline",
            "telemetry",
        ],
    ),
    ("posts", &["domain", "wire"]),
    ("outside", &["bus"]),
    ("load", &["domain", "bus", "wire", "config", "clock", "engine::ends", "engine::worker", "posts", "outside"]),
    ("audit", &["domain", "wire", "bus", "config"]),
    ("simulation", ANY),
    ("demo", ANY),
    ("cli", ANY),
    ("lib", &[]),
    ("main", &["cli", "engine::actor"]),
];

/// All that a stage may know of the engine.
const ENGINE_SEAM: [&str; 4] = ["engine::shard", "engine::stage", "engine::pressure", "engine::journal"];

/// Everybody may ask whether a bug is planted.
const SWITCHES: &str = "planted";

/// On top: whatever stands below.
const ANY: &[&str] = &["*"];

/// Libraries that belong to one place, so that what they stand for can be replaced there.
const LIBRARY_HOMES: &[(&str, &[&str])] = &[
    ("redb", &["bus", "pipeline"]),
    ("rdkafka", &["bus"]),
    ("actix", &["engine"]),
    ("actix_web", &["http"]),
    ("clap", &["cli", "main"]),
    ("metrics", &["telemetry"]),
    ("metrics_exporter_prometheus", &["telemetry", "http"]),
    ("toml", &["config"]),
];

/// The one file that reads clocks.
const CLOCKS: &str = "src/clock.rs";

#[test]
fn imports_point_inward() {
    let mut findings = Findings::default();
    let parts: BTreeSet<String> = sources().iter().map(|source| source.part.clone()).collect();
    for source in sources() {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(part, _)| *part == source.part) else {
            findings.add(&source, 1, format!("the part \"{}\" has no line in MAY_IMPORT", source.part));
            continue;
        };
        for (line, path) in source.crate_paths() {
            let part = path.split("::").next().unwrap_or_default();
            let covers = |allowed: &str| {
                allowed == "*"
                    || path == allowed
                    || path.strip_prefix(allowed).is_some_and(|rest| rest.starts_with("::"))
            };
            let is_open = part == source.part || part == SWITCHES;
            if parts.contains(part) && !is_open && !allowed.iter().any(|a| covers(a)) {
                findings.add(&source, line, format!("{} may not import {path}", source.part));
            }
        }
        for line in source.supers_to_the_root() {
            findings.add(&source, line, "reaches another part by `super`; write `crate::`".to_owned());
        }
    }
    findings.none();
}

#[test]
fn the_domain_and_the_texts_of_replies_use_the_right_libraries() {
    let mut findings = Findings::default();
    let libraries = libraries();
    assert!(libraries.contains("serde_json") && libraries.contains("actix_web"), "Cargo.toml was not understood");
    for source in sources() {
        for (line, library) in source.libraries(&libraries) {
            let home = LIBRARY_HOMES.iter().find(|(name, _)| *name == library);
            if source.part == "domain" {
                findings.add(&source, line, format!("the domain uses std alone, not {library}"));
            } else if home.is_some_and(|(_, parts)| !parts.contains(&source.part.as_str())) {
                findings.add(&source, line, format!("{library} is not for {}", source.part));
            }
        }
    }
    findings.none();
}

#[test]
fn nothing_unwraps_outside_tests() {
    let mut findings = Findings::default();
    for source in sources() {
        for line in source.lines_with(&[".unwrap()"]) {
            findings.add(&source, line, "unwrap: handle it, or expect and say why it holds".to_owned());
        }
    }
    findings.none();
}

#[test]
fn clocks_are_read_in_one_file() {
    let clocks = ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "Uuid::now_v7", "now_v7("];
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| source.name != CLOCKS) {
        for line in source.lines_with(&clocks) {
            findings.add(source, line, format!("time is a parameter: only {CLOCKS} reads clocks"));
        }
    }
    findings.none();
}

#[test]
fn files_functions_and_lines_fit() {
    let mut findings = Findings::default();
    for path in files().iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let source = Source::read(&root(), path, false);
        let lines = source.code.lines().count();
        if lines > FILE_LINES_MAX {
            findings.add(&source, lines, format!("{lines} lines in the file, at most {FILE_LINES_MAX}"));
        }
        // A test's table of cases may be as long as it needs.
        for (line, length) in source.functions().into_iter().filter(|_| source.name.starts_with("src")) {
            if length > FUNCTION_LINES_MAX {
                findings.add(&source, line, format!("a function of {length} lines, at most {FUNCTION_LINES_MAX}"));
            }
        }
        for (line, chars) in source.widths() {
            if chars > LINE_CHARS_MAX {
                findings.add(&source, line, format!("{chars} characters, at most {LINE_CHARS_MAX}"));
            }
        }
    }
    findings.none();
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    // Put together here, so that this file does not hold them.
    let paths =
        [["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"], ["C:\\", "Users"]].map(|p| p.concat());
    let registries = [["replace", "-with"], ["index", "-url"], ["regis", "try ="], ["npm", "rc"]].map(|p| p.concat());
    let index = "registry+https://github.com/rust-lang/crates.io-index";
    let mut findings = Findings::default();
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(found) = paths.iter().chain(&registries).find(|needle| line.contains(needle.as_str())) {
                findings.at(&name, number, format!("holds {found}"));
            }
            if name == "Cargo.lock" && line.starts_with("source = ") && !line.contains(index) {
                findings.at(&name, number, "is not from crates.io".to_owned());
            }
        }
    }
    findings.none();
}

/// The shared examples are real people's posts: they are read where they lie and never copied into the project.
#[test]
fn no_shared_post_is_in_the_project() {
    const LINE_BYTES_MIN: usize = 60;
    let Ok(entries) = fs::read_dir(root().join("../shared/data")) else { return };
    let mut lines = BTreeSet::new();
    let mut texts = BTreeSet::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl")) {
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            lines.insert(line.trim().to_owned());
            collect_texts(&serde_json::from_str(line).unwrap_or_default(), &mut texts);
        }
    }
    assert!(!lines.is_empty(), "the folder of shared posts holds none");
    lines.retain(|line| line.len() >= LINE_BYTES_MIN);
    let texts: Vec<&String> = texts.iter().collect();
    let search = aho_corasick::AhoCorasick::new(&texts).unwrap();
    let mut findings = Findings::default();
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        for (number, line) in (1..).zip(text.lines()) {
            if lines.contains(line.trim()) {
                findings.at(&name, number, "is a line of the shared posts".to_owned());
            } else if search.is_match(line) {
                findings.at(&name, number, "holds the text of a shared post".to_owned());
            }
        }
    }
    findings.none();
}

/// Texts of posts long enough to be somebody's own, as they are and as JSON writes them.
fn collect_texts(value: &serde_json::Value, texts: &mut BTreeSet<String>) {
    const TEXT_CHARS_MIN: usize = 30;
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                if let (true, Some(text)) = (matches!(&**key, "text" | "full_text" | "description"), value.as_str())
                    && text.chars().count() >= TEXT_CHARS_MIN
                {
                    let json = value.to_string();
                    texts.extend([text.to_owned(), json.trim_matches('"').to_owned()]);
                }
                collect_texts(value, texts);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

/// What editors and merges leave behind has no business here.
#[test]
fn nothing_is_left_behind() {
    let is_left = |path: &&PathBuf| path.extension().is_some_and(|e| e == "orig" || e == "rej" || e == "bak");
    let left: Vec<PathBuf> = files().iter().filter(is_left).cloned().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The README's table of settings is the shipped file's: every key, with its default.
#[test]
fn the_readme_lists_every_setting() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let mut shipped = BTreeSet::new();
    let mut section = String::new();
    for line in read("config/pay-by-tweet.toml").lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_owned();
        }
        let (has_default, setting) = line.strip_prefix("# ").map_or((true, line), |rest| (false, rest));
        let Some((key, value)) = setting.split_once(" = ") else { continue };
        let is_key = key.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.' | b'"'));
        if is_key && !section.ends_with("templates") {
            let value = if has_default { format!("`{value}`") } else { "none".to_owned() };
            shipped.insert(format!("`{section}.{key}` {value}"));
        }
    }
    let told: BTreeSet<String> = read("README.md")
        .lines()
        .skip_while(|line| *line != "## Configuration")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| row.split(" | ").take(2).map(str::trim).collect::<Vec<_>>().join(" "))
        .map(|row| format!("`{row}"))
        .collect();
    let missing: Vec<&String> = shipped.difference(&told).collect();
    let wrong: Vec<&String> = told.difference(&shipped).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "the README lacks {missing:#?} and tells {wrong:#?}");
}

#[test]
fn alerts_are_about_metrics_that_exist() {
    let alerts = fs::read_to_string(root().join("deploy/alerts.yml")).unwrap();
    let telemetry = fs::read_to_string(root().join("src/telemetry.rs")).unwrap();
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let named = alerts.split(|c| !is_name(c)).filter(|word| word.starts_with("pay_by_tweet_"));
    let unknown: Vec<&str> = named.filter(|metric| !telemetry.contains(&format!("\"{metric}\""))).collect();
    assert!(alerts.contains("pay_by_tweet_") && unknown.is_empty(), "no metric is called {unknown:?}");
}

/// The sources of the program without its tests.
fn sources() -> Vec<Source> {
    let root = root();
    let is_source = |path: &PathBuf| path.starts_with(root.join("src")) && path.extension().is_some_and(|e| e == "rs");
    let all: Vec<Source> = files().iter().filter(|p| is_source(p)).map(|p| Source::read(&root, p, true)).collect();
    let tests: BTreeSet<PathBuf> = all.iter().flat_map(Source::test_modules).collect();
    let is_test = |path: &Path| tests.iter().any(|test| path == test.with_extension("rs") || path.starts_with(test));
    all.into_iter().filter(|source| !is_test(&root.join(&source.name))).collect()
}

/// Every file of the project: what is not built, not fetched and not hidden from version control.
fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let skipped = matches!(name.to_str(), Some("target" | ".git" | "data" | "proptest-regressions"));
            match path.is_dir() {
                true if skipped => {}
                // Of a worktree it is a file.
                false if name == ".git" => {}
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    found
}

fn libraries() -> BTreeSet<String> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let tables = ["dependencies", "dev-dependencies"].map(|table| manifest[table].as_table().unwrap().clone());
    tables.iter().flat_map(|table| table.keys()).map(|name| name.replace('-', "_")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, source: &Source, line: usize, what: String) {
        self.at(&source.name, line, what);
    }

    fn at(&mut self, name: &str, line: usize, what: String) {
        self.0.push(format!("{name}:{line}: {what}"));
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{} findings:\n{}", self.0.len(), self.0.join("\n"));
    }
}
