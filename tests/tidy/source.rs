//! A Rust file as far as the rules need it: code with comments and literals blanked, and tests cut out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub struct Source {
    /// Path from the root of the project.
    pub name: String,
    /// The folder or file below `src`.
    pub part: String,
    /// The file with comments and the inside of literals taken out; lines keep their numbers.
    pub code: String,
    path: PathBuf,
    /// How deep the module lies below the crate.
    depth: usize,
    test_modules: Vec<PathBuf>,
}

impl Source {
    pub fn read(root: &Path, path: &Path, without_tests: bool) -> Source {
        let below = path.strip_prefix(root).expect("files are found below the root");
        let mut module: Vec<String> = below.iter().skip(1).map(|p| p.to_string_lossy().into_owned()).collect();
        if let Some(last) = module.last_mut() {
            *last = last.trim_end_matches(".rs").to_owned();
        }
        let part = module.first().cloned().unwrap_or_default();
        if module.len() > 1 && module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        let (mut code, mut test_modules) = (blank(&text), Vec::new());
        if without_tests {
            code = cut_tests(&code, |name, beside| test_modules.push(module_file(path, name, beside)));
        }
        let depth = module.len();
        Source { name: below.display().to_string(), part, code, path: path.to_owned(), depth, test_modules }
    }

    /// Files, without extension, or folders that are compiled for tests only.
    pub fn test_modules(&self) -> Vec<PathBuf> {
        self.test_modules.clone()
    }

    pub fn lines_with(&self, needles: &[&str]) -> Vec<usize> {
        let found = |line: &str| needles.iter().any(|needle| line.contains(needle));
        (1..).zip(self.code.lines()).filter(|(_, line)| found(line)).map(|(number, _)| number).collect()
    }

    /// Every path that begins at the crate, groups spread out, with its line.
    pub fn crate_paths(&self) -> Vec<(usize, String)> {
        let mut paths = Vec::new();
        // The binary knows the library by its name.
        for start in ["crate::", "pay_by_tweet::"] {
            for (at, _) in self.code.match_indices(start) {
                if is_whole_word(&self.code, at) {
                    let line = self.line_of(at);
                    spread(&self.code[at + start.len()..], "", &mut |path| paths.push((line, path)));
                }
            }
        }
        paths
    }

    /// Lines on which a chain of `super` climbs out of the part.
    pub fn supers_to_the_root(&self) -> Vec<usize> {
        let chain = "super::".repeat(self.depth.max(1));
        let found = self.code.match_indices(&chain).filter(|(at, _)| is_whole_word(&self.code, *at));
        found.map(|(at, _)| self.line_of(at)).collect()
    }

    /// Libraries that are named at the start of a path, with the line.
    pub fn libraries(&self, known: &BTreeSet<String>) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("::") {
            let before = &self.code[..at];
            let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |i| i + 1);
            let word = &before[start..];
            let in_path =
                before[..start].ends_with("::") && !before[..start].trim_end_matches(':').ends_with([' ', '(']);
            if known.contains(word) && !in_path && !self.is_own_module(word) {
                found.push((self.line_of(at), word.to_owned()));
            }
        }
        found
    }

    /// First line and length of each function, from its `fn` to its closing brace.
    pub fn functions(&self) -> Vec<(usize, usize)> {
        let starts = self.code.match_indices("fn ").filter(|(at, _)| is_whole_word(&self.code, *at));
        let spans = starts.filter_map(|(at, _)| {
            let body = at + self.code[at..].find(['{', ';'])?;
            let end = if self.code[body..].starts_with('{') { closing(&self.code, body)? } else { body };
            Some((self.line_of(at), self.line_of(end) - self.line_of(at) + 1))
        });
        spans.collect()
    }

    /// The width of each line, without the inside of string literals.
    pub fn widths(&self) -> Vec<(usize, usize)> {
        // Comments are blanked in `code`, so that they are measured as they stand.
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let lines = (1..).zip(text.lines().zip(self.code.lines()));
        let width = |text: &str, code: &str| {
            let is_comment = text.trim_start().starts_with("//");
            if is_comment { text.chars().count() } else { code.trim_end().chars().count() }
        };
        lines.map(|(number, (text, code))| (number, width(text, code))).collect()
    }

    fn is_own_module(&self, word: &str) -> bool {
        self.code.contains(&format!("mod {word};")) || self.code.contains(&format!("mod {word} {{"))
    }

    fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }
}

/// Whether no identifier and no path goes before.
fn is_whole_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

/// The closing brace of the one at `open`.
fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (i, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(i),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`; gives what is left of the text.
fn spread<'a>(text: &'a str, prefix: &str, found: &mut dyn FnMut(String)) -> &'a str {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let path = format!("{prefix}{word}");
        return match rest.strip_prefix("::") {
            Some(rest) if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '{') => {
                spread(rest, &format!("{path}::"), found)
            }
            _ => {
                found(if word.is_empty() { prefix.trim_end_matches(':').to_owned() } else { path });
                rest
            }
        };
    };
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with('}') {
            return rest.get(1..).unwrap_or("");
        }
        rest = spread(rest, prefix, found).trim_start_matches(|c: char| c != ',' && c != '}');
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// Where a module of this file lies, without extension. One with a `path` attribute lies beside, as `file_module.rs`.
fn module_file(path: &Path, name: &str, beside: bool) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match &*stem {
        _ if beside => path.with_file_name(format!("{stem}_{name}")),
        "mod" | "lib" | "main" => path.with_file_name(name),
        _ => path.with_extension("").join(name),
    }
}

/// Takes out what is compiled for tests only, keeping line ends. Names the modules that stand in files of their own,
/// and tells whether an attribute says where.
fn cut_tests(code: &str, mut test_module: impl FnMut(&str, bool)) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        let item = &rest[at + MARK.len()..];
        let Some(body) = item.find(['{', ';']) else { break };
        if let (true, Some(name)) = (item[body..].starts_with(';'), module_name(&item[..body])) {
            test_module(name, item[..body].contains("#[path"));
        }
        let end = if item[body..].starts_with('{') { closing(item, body).unwrap_or(item.len() - 1) } else { body };
        kept.extend(item[..=end].chars().filter(|c| *c == '\n'));
        rest = &item[end + 1..];
    }
    kept.push_str(rest);
    kept
}

fn module_name(item: &str) -> Option<&str> {
    item.trim().rsplit_once("mod ").map(|(_, name)| name.trim())
}

/// Replaces comments and the inside of literals by nothing but their line ends. Char literals become `' '`.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            out.push_str("\"\"");
            1 + string_end(&rest[1..])
        } else if let Some(hashes) = raw_string(rest, &out) {
            out.push_str("\"\"");
            let close = format!("\"{}", "#".repeat(hashes));
            let open = 2 + hashes;
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if let Some(length) = char_literal(rest) {
            out.push_str("' '");
            length
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.extend(rest[..length].chars().filter(|c| *c == '\n'));
        rest = &rest[length..];
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// Length of a string's rest, its closing quote included.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// The number of `#` if a raw string begins here.
fn raw_string(text: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_') {
        return None;
    }
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a char or byte literal; a lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let first = rest.chars().next()?;
    if first == '\\' {
        return rest[2..].find('\'').map(|end| 1 + 2 + end + 1);
    }
    rest[first.len_utf8()..].starts_with('\'').then_some(1 + first.len_utf8() + 1)
}

#[test]
fn comments_and_literals_are_blanked() {
    let seen = blank("a // b\n\"c{\\\"\" r#\"d\"}\"# '{' b'\\'' <'a> /* } /* */ \n */ e");
    assert_eq!(seen, "a \n\"\" \"\" ' ' b' ' <'a> \n e");
}

#[test]
fn tests_are_cut_out() {
    let mut named = Vec::new();
    let seen = cut_tests("a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod more {\n{ }\n}\nc", |m, _| {
        named.push(m.to_owned())
    });
    assert_eq!((seen.as_str(), named), ("a\n\n\nb\n\n\n\n\nc", vec!["tests".to_owned()]));
}

#[test]
fn groups_are_spread_out() {
    let mut paths = Vec::new();
    spread("a::{self, b::c, d::{e, f as g}}, h;", "", &mut |path| paths.push(path));
    assert_eq!(paths, ["a::self", "a::b::c", "a::d::e", "a::d::f"]);
}
