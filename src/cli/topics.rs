//! `topics create` and `topics describe`: the topics of a cluster as the program needs them.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

use super::{Misconfigured, Outcome};
use crate::bus::kafka::admin::Admin;
use crate::config::{BusKind, Settings};
use crate::log::{inputs, open_kafka, wanted_topics};

#[derive(clap::Args)]
pub struct TopicsArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    config: super::ConfigArg,
}

#[derive(Subcommand)]
enum Action {
    /// Make the topics that the cluster lacks, and set the groups' first positions
    Create {
        /// Replicas of each partition [default: 3, or as many as there are brokers if fewer]
        #[arg(long, value_name = "N")]
        replication_factor: Option<u16>,
    },
    /// Say of each topic what the cluster has, and what differs
    Describe,
}

/// Replicas that survive the loss of one broker while another is restarted.
const REPLICAS: usize = 3;

pub fn run(args: &TopicsArgs) -> Outcome {
    let settings = super::settings(args.config.config.as_deref())?;
    super::log_to_stderr(&settings);
    if settings.bus.kind != BusKind::Kafka {
        let what = "topics are made on a cluster: set bus.kind = \"kafka\"; the embedded log makes its own";
        return Err(Misconfigured(what.to_owned()).into());
    }
    match args.action {
        Action::Create { replication_factor } => create(&settings, replication_factor),
        Action::Describe => describe(&settings),
    }
}

fn create(settings: &Settings, replication: Option<u16>) -> Outcome {
    let kafka = open_kafka(settings)?;
    let admin = Admin::new(&kafka)?;
    let replicas = match replication {
        Some(count) => usize::from(count),
        None => admin.brokers()?.clamp(1, REPLICAS),
    };
    let mut wanted = wanted_topics(settings);
    if replicas >= REPLICAS {
        // One broker may be away, and nothing that was acknowledged is on one disk alone.
        wanted.iter_mut().for_each(|one| drop(one.settings.insert("min.insync.replicas", "2".to_owned())));
    }
    let created = admin.create(&wanted, i32::try_from(replicas).unwrap_or(i32::MAX))?;
    let positions = admin.first_positions(&inputs(settings))?;
    super::print(&format!(
        "{} topics made, {} were there; first positions of {positions} partitions set",
        created.made.len(),
        created.there.len()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Exits with 1 if a topic is missing or differs from what the program needs.
fn describe(settings: &Settings) -> Outcome {
    let kafka = open_kafka(settings)?;
    let wanted = wanted_topics(settings);
    let admin = Admin::new(&kafka)?;
    let found = admin.find(&wanted)?;
    let settings = admin.settings(&found)?;
    let (mut text, mut differs) = (String::new(), false);
    for one in &wanted {
        let Some(topic) = found.iter().find(|found| found.topic == one.topic) else {
            differs = true;
            writeln!(text, "{:24} missing", one.topic)?;
            continue;
        };
        write!(text, "{:24} {} partitions, {} replicas", one.topic, topic.partitions, topic.replication)?;
        if topic.partitions != one.partitions {
            differs |= one.exact;
            write!(text, " (topics.partitions is {})", one.partitions)?;
        }
        for (name, value) in &one.settings {
            let has =
                settings.get(&one.topic).and_then(|of_topic| of_topic.get(*name)).map_or("nothing", String::as_str);
            let is_good = suffices(name, has, value);
            differs |= !is_good;
            write!(text, ", {name}={has}")?;
            if !is_good {
                let least = if is_least(name) { "at least " } else { "" };
                write!(text, " (should be {least}{value})")?;
            }
        }
        writeln!(text)?;
    }
    super::print(text.trim_end())?;
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Settings of which more is as good.
fn is_least(name: &str) -> bool {
    ["retention.ms", "delete.retention.ms", "min.compaction.lag.ms", "max.message.bytes"].contains(&name)
}

/// Whether what a topic has is what the program needs. A retention of -1 has no end.
fn suffices(name: &str, has: &str, value: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    let is_more = || match (number(has), number(value)) {
        (Some(-1), Some(_)) => name == "retention.ms",
        (Some(has), Some(least)) => has >= least,
        _ => false,
    };
    has == value || (is_least(name) && is_more())
}

#[cfg(test)]
mod tests {
    use super::suffices;

    #[test]
    fn more_of_what_is_needed_is_as_good() {
        for (name, has, good) in [
            ("retention.ms", "604800000", true),
            ("retention.ms", "1209600000", true),
            ("retention.ms", "-1", true),
            ("retention.ms", "604799999", false),
            ("retention.ms", "nothing", false),
            ("delete.retention.ms", "-1", false),
            ("message.timestamp.type", "604800001", false),
        ] {
            assert_eq!(suffices(name, has, "604800000"), good, "{name}={has}");
        }
        assert!(!suffices("cleanup.policy", "delete", "compact"));
    }
}
