//! `audit`: judges a run by its committed topics, from the folder itself or, while a program runs on it, through that
//! program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::folder::{Folder, Found};
use super::{Misconfigured, Outcome, Unjudged};
use crate::audit::log::{BusSource, Options, Report, Source, audit};
use crate::audit::story::{STORIES_MAX, Story, stories};
use crate::audit::{CutError, OfferTally, Seen, Violation};
use crate::config::{BusKind, Settings};
use crate::domain::Time;
use crate::http::{Endpoint, Ends, PartitionEnds, client_get};

#[derive(clap::Args)]
pub struct AuditArgs {
    /// What must have become of a load generator's conversations, as `load` writes it
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Demand nothing beyond topic:partition:offset,… [default: the ends when the audit starts]
    #[arg(long, value_name = "OFFSETS")]
    until: Option<String>,
    /// Memory for what is remembered during a pass, in MB; less memory, more passes
    #[arg(long, value_name = "MB", default_value_t = 512)]
    memory_max: u64,
    /// Leave the input topics unread: then nothing is said of missing dead letters
    #[arg(long)]
    no_inputs: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: super::ConfigArg,
}

/// Exits with 0 or 1 by the verdict; whatever comes to none ends otherwise.
pub fn run(args: &AuditArgs) -> Outcome {
    let settings = super::settings(args.config.config.as_deref())?;
    judged(args, &settings).map_err(|error| Unjudged(error).into())
}

fn judged(args: &AuditArgs, settings: &Settings) -> Outcome {
    if let Some(truth) = args.truth.as_ref().filter(|truth| !truth.is_file()) {
        return Err(Misconfigured(format!("--truth: there is no file {}", truth.display())).into());
    }
    Folder::new(settings).ask(|found| match found {
        // Whether anybody runs on a cluster it does not tell.
        Found::Log(log) => judge(args, settings, &mut BusSource::new(&*log)?, settings.bus.kind == BusKind::Embedded),
        Found::Program(endpoint) => judge(args, settings, &mut RemoteSource { endpoint }, false),
    })
}

fn judge(args: &AuditArgs, settings: &Settings, source: &mut dyn Source, abandoned: bool) -> Outcome {
    let options = Options {
        truth: args.truth.clone(),
        memory_max: args.memory_max.saturating_mul(1 << 20),
        inputs: !args.no_inputs,
        until: args.until.clone(),
        abandoned,
    };
    let report = audit(source, settings, &options);
    let report = report.map_err(|error| match error.downcast::<CutError>() {
        Ok(error) => Misconfigured(error.to_string()).into(),
        Err(other) => other,
    })?;
    let stories = stories(source, &report)?;
    super::print(&if args.json { json_of(&report, &stories).to_string() } else { text_of(&report, &stories) })?;
    Ok(if report.found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text_of(report: &Report, stories: &[Story]) -> String {
    let mut text = String::new();
    for story in stories {
        let account = story.account.map_or("no account".to_owned(), |account| account.to_string());
        let purchase = story.purchase.as_deref().unwrap_or("no purchase of its own");
        text += &format!("{account}, {purchase}\n");
        for Violation { invariant, what, .. } in &story.violations {
            text += &format!("  {invariant}: {what}\n");
        }
        for line in &story.lines {
            text += &format!("    {line}\n");
        }
        text.push('\n');
    }
    if stories.len() > STORIES_MAX {
        text += &format!("The records of the first {STORIES_MAX} conversations are shown.\n\n");
    }
    // A string takes all that is written into it.
    let _ = write_summary(&mut text, report);
    text.trim_end().to_owned()
}

fn write_summary(text: &mut String, report: &Report) -> std::fmt::Result {
    let Report { tally, checks, passes, found, .. } = report;
    writeln!(text, "{:24} {:>12}", "topic", "records")?;
    for (topic, count) in &tally.records {
        writeln!(text, "{topic:24} {count:>12}")?;
    }
    writeln!(text, "\n{:24} {:>12} {:>10} {:>20}", "offer", "payments", "voided", "revenue")?;
    for totals in tally.offers().filter(|totals| totals.payments > 0) {
        let revenue = format!("{} {}", totals.revenue_minor, totals.currency);
        writeln!(text, "{:24} {:>12} {:>10} {revenue:>20}", totals.offer, totals.payments, totals.voided)?;
    }
    writeln!(text, "\n{:24} {:>12}", "invariant", "checks")?;
    for (name, count) in named(checks) {
        writeln!(text, "{name:24} {count:>12}")?;
    }
    writeln!(text, "\n{} purchases, {} payments; {passes} passes", tally.purchases, tally.payments)?;
    if let Some(truth) = report.truth {
        writeln!(text, "{} conversations of the truth file, {} still wait", truth.conversations, truth.open)?;
    }
    if tally.open > 0 {
        writeln!(text, "{} facts lie behind the cut and were not judged; totals of offers neither", tally.open)?;
    }
    match found {
        0 => writeln!(text, "no violations"),
        found => writeln!(text, "{found} violations"),
    }
}

fn json_of(report: &Report, stories: &[Story]) -> Value {
    let told = |story: &Story| {
        let what = |v: &Violation| json!({"invariant": v.invariant.to_string(), "what": v.what});
        json!({
            "account": story.account.map(|account| account.to_string()),
            "purchase": story.purchase,
            "violations": story.violations.iter().map(what).collect::<Vec<_>>(),
            "records": story.lines,
        })
    };
    let offer = |totals: &OfferTally| {
        let revenue = json!({"minor": totals.revenue_minor, "currency": totals.currency});
        (totals.offer.clone(), json!({"payments": totals.payments, "voided": totals.voided, "revenue": revenue}))
    };
    json!({
        "violations": report.found,
        "conversations": stories.iter().map(told).collect::<Vec<_>>(),
        "records": report.tally.records,
        "offers": report.tally.offers().map(offer).collect::<BTreeMap<_, _>>(),
        "purchases": report.tally.purchases,
        "payments": report.tally.payments,
        "checks": named(&report.checks).collect::<BTreeMap<_, _>>(),
        "truth": report.truth.map(|truth| json!({"conversations": truth.conversations, "open": truth.open})),
        "open": report.tally.open,
        "passes": report.passes,
        "until": report.cut.to_text(),
    })
}

/// `I1` and so on, of those that were checked.
fn named(checks: &[u64; 12]) -> impl Iterator<Item = (String, u64)> {
    (1..).zip(checks).filter(|(_, count)| **count > 0).map(|(number, count)| (format!("I{number}"), *count))
}

/// The log of a running program, by its endpoint.
struct RemoteSource {
    endpoint: Endpoint,
}

/// A record as `tap` prints it. Its append time is not told, and nothing is judged by it.
#[derive(Deserialize)]
struct TapLine {
    offset: u64,
    key: Option<String>,
    key_base64: Option<String>,
    headers: BTreeMap<String, String>,
    value: Option<Box<RawValue>>,
    value_base64: Option<String>,
}

impl RemoteSource {
    fn ends(&self, topic: &str, group: Option<&str>) -> anyhow::Result<Ends> {
        let query = group.map(|group| format!("?group={group}")).unwrap_or_default();
        let mut text = String::new();
        client_get(&self.endpoint, &format!("/v1/ends/{topic}{query}"))?.read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }

    fn of_partition(&self, topic: &str, partition: u32, group: Option<&str>) -> anyhow::Result<PartitionEnds> {
        let ends = self.ends(topic, group)?.partitions.get(partition as usize).copied();
        ends.ok_or_else(|| anyhow::anyhow!("the running program has no partition {partition} of {topic}"))
    }
}

impl Source for RemoteSource {
    fn partitions(&mut self, topic: &str) -> anyhow::Result<u32> {
        Ok(u32::try_from(self.ends(topic, None)?.partitions.len())?)
    }

    fn span(&mut self, topic: &str, partition: u32) -> anyhow::Result<(u64, u64)> {
        let ends = self.of_partition(topic, partition, None)?;
        Ok((ends.begin, ends.end))
    }

    /// The embedded log shows whole transactions only.
    fn stable_end(&mut self, topic: &str, partition: u32) -> anyhow::Result<u64> {
        Ok(self.span(topic, partition)?.1)
    }

    fn position(&mut self, group: &str, topic: &str, partition: u32) -> anyhow::Result<Option<u64>> {
        Ok(self.of_partition(topic, partition, Some(group))?.position)
    }

    /// The running program ends its answer where the partition ends by then, which is behind `to`; sooner, if it stops.
    fn read(
        &mut self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&Seen<'_>),
    ) -> anyhow::Result<()> {
        let path = format!("/v1/tap/{topic}?partition={partition}&from={from}&max={}", to.saturating_sub(from));
        let mut next = from;
        for line in BufReader::new(client_get(&self.endpoint, &path)?).lines() {
            let line = line?;
            let Ok(record) = serde_json::from_str::<TapLine>(&line) else {
                bail!("the running program gave a line that is no record of {topic} {partition}");
            };
            next = record.offset + 1;
            // Of what is compacted the last record may have been replaced meanwhile, by one beyond.
            if record.offset >= to {
                break;
            }
            record.show(topic, partition, visit)?;
        }
        if next < to {
            bail!("the running program's answer about {topic} {partition} ends at {next} of {to}");
        }
        Ok(())
    }
}

impl TapLine {
    fn show(self, topic: &str, partition: u32, visit: &mut dyn FnMut(&Seen<'_>)) -> anyhow::Result<()> {
        let bytes = |text: Option<String>| text.map(|text| STANDARD.decode(text)).transpose();
        let key = bytes(self.key_base64)?.or(self.key.map(String::into_bytes));
        let value = bytes(self.value_base64)?;
        let value = value.as_deref().or(self.value.as_ref().map(|value| value.get().as_bytes()));
        let headers: Vec<(String, Vec<u8>)> =
            self.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        let (offset, key, timestamp) = (self.offset, key.as_deref(), Time::default());
        visit(&Seen { topic, partition, offset, timestamp, key, value, headers: &headers });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// What a program that answers with records at these offsets is understood to tell of `..2`.
    fn read(offsets: &[u64]) -> anyhow::Result<usize> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = Endpoint { address: listener.local_addr()?, secret: "secret".to_owned() };
        let line = |offset: &u64| json!({"offset": offset, "key": "it", "headers": {}, "value": {}}).to_string() + "\n";
        let body: String = offsets.iter().map(line).collect();
        let answering = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let asked = BufReader::new(stream.try_clone()?).lines();
            asked.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")
        });
        let mut seen = 0;
        let read = RemoteSource { endpoint }.read("offers.funnel", 0, 0, 2, &mut |_| seen += 1);
        answering.join().expect("it does not panic")?;
        read.map(|()| seen)
    }

    /// The record at 1 may have been replaced by the one at 2 since the ends were looked up.
    #[test]
    fn an_answer_is_whole_if_it_comes_to_the_end_or_beyond() {
        assert_eq!(read(&[0, 1]).expect("it is whole"), 2);
        assert_eq!(read(&[0, 2]).expect("it is whole"), 1);
        assert!(read(&[0]).expect_err("it breaks off").to_string().contains("ends at 1 of 2"));
    }
}
