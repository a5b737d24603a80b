//! The worked example that other programs are built against, through the whole program in-process.

use std::path::{Path, PathBuf};

use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::Time;
use pay_by_tweet::pipeline::InlinePipeline;
use serde_json::Value;

/// The folder of shared examples; `None` where it does not exist, which in CI is a failure.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI has no {}", path.display());
    println!("skipped: there is no {}", path.display());
    None
}

fn lines(path: &Path) -> Vec<String> {
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

#[test]
fn the_worked_example_comes_out_as_written() {
    let Some(folder) = shared("contract") else { return };
    let config = folder.join("config.toml");
    let settings = Settings::load(Some(&config), std::iter::empty()).expect("the example's configuration is valid");
    let offers = settings.load_offers().expect("the example's offers are valid");
    let now = Time(1_790_000_000_000);
    let mut pipeline = InlinePipeline::new(&settings, &offers, now, false).expect("it starts");
    for topic in ["accounts.links", "tweets"] {
        for line in lines(&folder.join(format!("{topic}.jsonl"))) {
            pipeline.append(topic, 0, None, line.as_bytes()).expect("it is appended");
        }
        pipeline.run().expect("it runs");
    }
    let mut expected: Vec<Value> =
        lines(&folder.join("expected.jsonl")).iter().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let mut found = Vec::new();
    let mut topics: Vec<String> = expected.iter().map(|e| e["topic"].as_str().unwrap_or_default().to_owned()).collect();
    topics.sort();
    topics.dedup();
    for topic in topics {
        for record in pipeline.records(&topic).expect("it is readable") {
            let value: Value = serde_json::from_slice(&record.value.unwrap_or_default()).expect("outputs are JSON");
            if value["kind"] == "announcement" {
                continue;
            }
            let key = record.key.map(|key| String::from_utf8(key).expect("UTF-8"));
            found.push(serde_json::json!({"topic": topic, "key": key, "value": value}));
        }
    }
    let by_topic = |a: &Value, b: &Value| a["topic"].as_str().cmp(&b["topic"].as_str());
    expected.sort_by(by_topic);
    assert_eq!(expected.len(), found.len(), "{found:#?}");
    for (expected, found) in expected.iter().zip(&found) {
        let key = expected["key"] == found["key"] || expected["key"] == "<purchase>";
        assert!(key && matches(&expected["value"], &found["value"]), "expected {expected:#}\nfound {found:#}");
    }
}
