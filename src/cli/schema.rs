//! `schema [TOPIC]`: the JSON Schemas of the topics.

use std::process::ExitCode;

use anyhow::bail;

use super::Outcome;
use crate::wire::schema::schemas;

#[derive(clap::Args)]
pub struct SchemaArgs {
    /// Only this topic's
    topic: Option<String>,
    #[command(flatten)]
    config: super::ConfigArg,
}

pub fn run(args: &SchemaArgs) -> Outcome {
    let schemas = schemas();
    let text = match &args.topic {
        None => serde_json::to_string_pretty(&schemas)?,
        Some(topic) => match schemas.get(topic.as_str()) {
            Some(schema) => serde_json::to_string_pretty(schema)?,
            None => {
                let known: Vec<&str> = schemas.keys().copied().collect();
                bail!("there is no schema of \"{topic}\"; there are {}", known.join(", "));
            }
        },
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
