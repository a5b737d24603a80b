//! The worked example that other programs are built against: `../shared/contract`.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of shared examples; `None` where it does not exist, which in CI is a failure.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI has no {}", path.display());
    println!("skipped: there is no {}", path.display());
    None
}

pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("the example is readable");
    text.lines().map(str::to_owned).collect()
}

/// Whether `found` is what the example demands: values in `<…>` are free within what they say.
fn matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(pattern), found) if pattern.starts_with('<') && pattern.ends_with('>') => free(pattern, found),
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| matches(value, found)))
        }
        (expected, found) => expected == found,
    }
}

fn free(pattern: &str, found: &Value) -> bool {
    let text = found.as_str().unwrap_or_default();
    match pattern {
        "<n>" => found.is_u64(),
        "<purchase>" | "<another>" | "<uuid>" => text.len() == 36,
        "<not json>" => text == "not_json",
        "<where>" | "<any>" => !text.is_empty(),
        _ => {
            let holds = |tag: &str| !pattern.contains(tag) || text.contains(tag);
            text.starts_with("@cardholder1")
                && holds("#ConfirmAmexGiftCard25")
                && holds("#BuyAmexGiftCard25")
                && text.len() <= 140
        }
    }
}

/// Holds what a run left against what the example demands. `records` gives a topic's records, keys and values.
pub fn assert_as_written(folder: &Path, mut records: impl FnMut(&str) -> Vec<(Option<String>, Value)>) {
    let mut expected: Vec<Value> =
        lines(&folder.join("expected.jsonl")).iter().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let mut topics: Vec<String> = expected.iter().map(|e| e["topic"].as_str().unwrap_or_default().to_owned()).collect();
    topics.sort();
    topics.dedup();
    let mut found = Vec::new();
    for topic in topics {
        let said = records(&topic).into_iter().filter(|(_, value)| value["kind"] != "announcement");
        found.extend(said.map(|(key, value)| serde_json::json!({"topic": topic, "key": key, "value": value})));
    }
    let by_topic = |a: &Value, b: &Value| a["topic"].as_str().cmp(&b["topic"].as_str());
    expected.sort_by(by_topic);
    assert_eq!(expected.len(), found.len(), "{found:#?}");
    for (expected, found) in expected.iter().zip(&found) {
        let key = expected["key"] == found["key"] || expected["key"] == "<purchase>";
        assert!(key && matches(&expected["value"], &found["value"]), "expected {expected:#}\nfound {found:#}");
    }
}
