//! The worked example that other programs are built against, through the whole program in-process.

mod support;

use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::Time;
use pay_by_tweet::pipeline::InlinePipeline;
use support::example::{assert_as_written, lines, shared};

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
    assert_as_written(&folder, |topic| {
        let records = pipeline.records(topic).expect("it is readable").into_iter();
        let text = |key| String::from_utf8(key).expect("UTF-8");
        let value = |value: Option<Vec<u8>>| serde_json::from_slice(&value.unwrap_or_default()).expect("JSON");
        records.map(|record| (record.key.map(text), value(record.value))).collect()
    });
}
