//! `account ID` and `offers`: what the program remembers, asked of the running program, or read from the folder's
//! changelogs while none runs.

use std::io::Read;
use std::process::ExitCode;

use serde_json::Value;

use super::folder::{Folder, Found};
use super::{Misconfigured, Outcome};
use crate::accounts::{AccountsAnswer, AccountsQuery};
use crate::bus::{Bus, partition_of_key};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::domain::AccountId;
use crate::engine::shard::Shard;
use crate::http::{ClientError, account_json, client_get, offers_json};
use crate::offers::{OffersAnswer, OffersQuery};
use crate::pipeline::{Stages, restored};
use crate::screen::setup::Topology;

#[derive(clap::Args)]
pub struct AccountArgs {
    /// network:user_id, e.g. twitter:783214
    id: String,
    #[command(flatten)]
    config: super::ConfigArg,
}

#[derive(clap::Args)]
pub struct OffersArgs {
    #[command(flatten)]
    config: super::ConfigArg,
}

pub fn account(args: &AccountArgs) -> Outcome {
    let settings = super::settings(args.config.config.as_deref())?;
    let id = AccountId::parse(&args.id);
    let id = id.ok_or_else(|| Misconfigured(format!("\"{}\" is no account such as twitter:783214", args.id)))?;
    let body = ask(&settings, &format!("/v1/accounts/{id}"), |bus, stages| {
        let partition = partition_of_key(id.to_string().as_bytes(), bus.partitions("accounts.inbox")?);
        let shard = restored(&*stages.accounts, bus, "accounts.inbox", partition, &mut || SystemClock.now())?;
        Ok(match shard.query(AccountsQuery::Account(id)) {
            AccountsAnswer::Account(Some(account), watermark) => account_json(id, &account, watermark),
            _ => Value::Null,
        })
    })?;
    if body.is_null() {
        eprintln!("pay-by-tweet: nothing is remembered of {id}");
        return Ok(ExitCode::FAILURE);
    }
    super::print(&serde_json::to_string_pretty(&body)?)?;
    Ok(ExitCode::SUCCESS)
}

pub fn offers(args: &OffersArgs) -> Outcome {
    let settings = super::settings(args.config.config.as_deref())?;
    let body = ask(&settings, "/v1/offers", |bus, stages| {
        let mut views = Vec::new();
        for partition in 0..bus.partitions("offers.inbox")? {
            let shard = restored(&*stages.offers, bus, "offers.inbox", partition, &mut || SystemClock.now())?;
            let OffersAnswer::All(all) = shard.query(OffersQuery::All);
            views.extend(all);
        }
        views.sort_by(|a, b| a.offer.terms.offer.cmp(&b.offer.terms.offer));
        Ok(offers_json(&views))
    })?;
    super::print(&serde_json::to_string_pretty(&body)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the program that runs on the folder, or reads the folder if none does. Null where there is no such thing.
fn ask(
    settings: &Settings,
    path: &str,
    read: impl Fn(&dyn Bus, &Stages) -> anyhow::Result<Value>,
) -> anyhow::Result<Value> {
    Folder::new(settings).ask(|found| match found {
        Found::Log(log) => {
            let stages = Stages::new(settings, &*log, Topology::default())?;
            read(&*log, &stages)
        }
        Found::Program(endpoint) => {
            let mut text = String::new();
            match client_get(&endpoint, path) {
                Err(ClientError::Refused { status: 404, .. }) => return Ok(Value::Null),
                answer => answer?.read_to_string(&mut text)?,
            };
            Ok(serde_json::from_str(&text)?)
        }
    })
}
