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
    ));
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
            let same = has == value;
            differs |= !same;
            write!(text, ", {name}={has}")?;
            if !same {
                write!(text, " (should be {value})")?;
            }
        }
        writeln!(text)?;
    }
    super::print(text.trim_end());
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
