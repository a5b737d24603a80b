//! Passes of an [`Auditor`] over a whole log, each over a share of the accounts and offers that fits into the memory.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::cut::{ACCOUNTS_INBOX, Bounds, Cut, OFFERS_INBOX, OUTPUTS};
use super::{Auditor, Cards, Part, Rules, Seen, Share, Tally, Violation, truth};
use crate::bus::{Budget, Bus, Reader, TopicPartition};
use crate::config::Settings;

/// A log as an audit reads it: the bus itself, or a program that holds it.
pub trait Source {
    fn partitions(&mut self, topic: &str) -> anyhow::Result<u32>;

    /// First offset that is kept, and one past the last.
    fn span(&mut self, topic: &str, partition: u32) -> anyhow::Result<(u64, u64)>;

    /// One past the last record below every open transaction.
    fn stable_end(&mut self, topic: &str, partition: u32) -> anyhow::Result<u64>;

    /// Committed position of a group; `None` where it never committed.
    fn position(&mut self, group: &str, topic: &str, partition: u32) -> anyhow::Result<Option<u64>>;

    /// Visits the committed records of `from..to`.
    fn read(
        &mut self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&Seen<'_>),
    ) -> anyhow::Result<()>;
}

/// How an audit goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a load generator says must have become of its conversations, and by which windows.
    pub truth: Option<PathBuf>,
    /// Bytes that may be spent on what is remembered during a pass, by an estimate.
    pub memory_max: u64,
    /// Whether the input topics are read, too: they tell which dead letters are missing.
    pub inputs: bool,
    /// See [`Cut::shorten`].
    pub until: Option<String>,
    /// Nobody runs on the log: what waits by its end waits for good.
    pub abandoned: bool,
}

/// What an audit comes to.
pub struct Report {
    pub cut: Cut,
    /// Passes over the log.
    pub passes: u32,
    pub violations: Vec<Violation>,
    /// All violations, those beyond the kept ones too.
    pub found: u64,
    /// How often I1 to I12 were checked.
    pub checks: [u64; 12],
    pub tally: Tally,
    pub truth: Option<truth::Summary>,
    /// What must not be shown.
    pub(super) cards: Cards,
}

/// What is remembered for a record of an inbox or of an output, estimated: a conversation of ten records takes about
/// 3 KB at most.
const STATE_BYTES_PER_RECORD: u64 = 320;

/// And for an account that is linked, whether it says anything or not.
const STATE_BYTES_PER_LINK: u64 = 1024;

/// Less is not worth a pass.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// Side inputs.
const SIDE_INPUTS: [&str; 3] = ["accounts.links", "replies.posted", "offers"];

/// Looks at a partition where nothing moved after which an audit gives up: an open transaction ends within seconds.
const EMPTY_LOOKS_MAX: u32 = 200;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The audit of a log.
pub fn audit(source: &mut dyn Source, settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let posts: Vec<String> = settings.sources.iter().map(|source| source.topic.clone()).collect();
    let side = SIDE_INPUTS.iter().map(|topic| (*topic).to_owned());
    let inputs: Vec<String> = if options.inputs { side.chain(posts.iter().cloned()).collect() } else { Vec::new() };
    let mut cut = Cut::now(source, &inputs)?;
    cut.ensure_whole()?;
    if let Some(until) = &options.until {
        cut.shorten(until)?;
    }
    let mut rules = Rules::of(settings);
    if let Some(path) = &options.truth {
        truth::take_windows(open(path)?, &mut rules.windows)?;
    }
    let mut auditor = Auditor::new(rules);
    if options.inputs {
        auditor = auditor.judging_inputs(posts, settings.limits.record_bytes);
        for topic in &inputs {
            for (partition, bounds) in (0..).zip(cut.topics.get(topic).into_iter().flatten()) {
                auditor.know_input(topic, partition, bounds.end);
            }
        }
    }
    let plan = plan(&cut, options.memory_max);
    let mut judged = options.truth.is_some().then(truth::Summary::default);
    for share in &plan {
        auditor.begin_pass(*share);
        let inputs = if share.has_the_rest() { &inputs[..] } else { &[] };
        pass(source, &cut, *share, inputs, &mut auditor)?;
        if let (Some(path), Some(summary), true) = (&options.truth, &mut judged, share.part != Part::Offers) {
            auditor.judge_truth(open(path)?, summary, cut.shortened())?;
        }
        auditor.end_pass(cut.shortened());
    }
    auditor.judge_totals(plan.len() == 1);
    if options.abandoned && options.inputs && !cut.is_shortened() {
        auditor.judge_rest(judged.map_or(0, |summary| summary.open));
    }
    let violations = auditor.take_violations();
    let (found, checks, tally) = (auditor.found().total(), *auditor.found().checks(), auditor.tally().clone());
    let cards = auditor.cards().clone();
    Ok(Report { passes: plan.len() as u32, violations, found, checks, tally, truth: judged, cards, cut })
}

/// The shares that together are everything.
fn plan(cut: &Cut, memory_max: u64) -> Vec<Share> {
    let passes = |records: u64, links: u64| {
        let of_links = links.saturating_mul(STATE_BYTES_PER_LINK);
        let bytes = records.saturating_mul(STATE_BYTES_PER_RECORD).saturating_add(of_links);
        u32::try_from(bytes.div_ceil(memory_max.max(MEMORY_BYTES_MIN))).unwrap_or(u32::MAX).max(1)
    };
    let outputs: u64 = OUTPUTS.iter().map(|topic| cut.records(topic)).sum();
    let (accounts, offers) = (outputs + cut.records(ACCOUNTS_INBOX), cut.records(OFFERS_INBOX));
    let links = cut.records("accounts.links");
    if passes(accounts + offers, links) == 1 {
        return vec![Share::WHOLE];
    }
    let shares = |part, of| (0..of).map(move |index| Share { part, index, of });
    shares(Part::Accounts, passes(accounts, links)).chain(shares(Part::Offers, passes(offers, 0))).collect()
}

/// One pass: causes before effects, firm before open.
fn pass(
    source: &mut dyn Source,
    cut: &Cut,
    share: Share,
    inputs: &[String],
    auditor: &mut Auditor,
) -> anyhow::Result<()> {
    let inboxes =
        if share.part == Part::Offers { [OFFERS_INBOX, ACCOUNTS_INBOX] } else { [ACCOUNTS_INBOX, OFFERS_INBOX] };
    let outputs = OUTPUTS.into_iter().filter(|topic| match share.part {
        Part::Both => true,
        Part::Accounts => *topic != "offers.funnel",
        Part::Offers => *topic == "offers.funnel",
    });
    for topic in inboxes.into_iter().chain(inputs.iter().map(String::as_str)).chain(outputs) {
        let bounds: &[Bounds] = cut.topics.get(topic).map_or(&[], Vec::as_slice);
        for open in [false, true] {
            auditor.set_open(open);
            for (partition, bounds) in (0..).zip(bounds) {
                let (from, to) = if open { (bounds.firm, bounds.end) } else { (bounds.begin, bounds.firm) };
                if from < to {
                    source.read(topic, partition, from, to, &mut |seen| auditor.see(seen))?;
                }
            }
        }
    }
    auditor.set_open(false);
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path).with_context(|| path.display().to_string())?))
}

/// A bus that this program may read.
pub struct BusSource<'a> {
    bus: &'a dyn Bus,
    reader: Box<dyn Reader>,
}

impl<'a> BusSource<'a> {
    pub fn new(bus: &'a dyn Bus) -> anyhow::Result<BusSource<'a>> {
        Ok(BusSource { reader: bus.reader()?, bus })
    }
}

impl Source for BusSource<'_> {
    fn partitions(&mut self, topic: &str) -> anyhow::Result<u32> {
        Ok(self.bus.partitions(topic)?)
    }

    fn span(&mut self, topic: &str, partition: u32) -> anyhow::Result<(u64, u64)> {
        let at = TopicPartition::new(topic, partition);
        Ok((self.reader.beginning(&at)?, self.reader.end(&at)?))
    }

    fn stable_end(&mut self, topic: &str, partition: u32) -> anyhow::Result<u64> {
        Ok(self.reader.stable_end(&TopicPartition::new(topic, partition))?)
    }

    fn position(&mut self, group: &str, topic: &str, partition: u32) -> anyhow::Result<Option<u64>> {
        let position = self.bus.position(group, &TopicPartition::new(topic, partition))?;
        Ok(position.map(|position| position.offset))
    }

    fn read(
        &mut self,
        topic: &str,
        partition: u32,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&Seen<'_>),
    ) -> anyhow::Result<()> {
        let at = TopicPartition::new(topic, partition);
        let (mut next, mut empty_looks) = (from, 0);
        while next < to {
            let read = self.reader.read(&at, next, Budget::BULK, &mut |record| {
                let crate::bus::RecordRef { offset, timestamp, key, value, headers } = record;
                if offset < to {
                    visit(&Seen { topic, partition, offset, timestamp, key, value, headers: &headers.read() });
                }
            })?;
            if read > next {
                (next, empty_looks) = (read, 0);
                continue;
            }
            empty_looks += 1;
            if empty_looks > EMPTY_LOOKS_MAX {
                bail!("{topic} {partition} can't be read beyond {next} of {to}: a transaction stays open");
            }
            std::thread::sleep(LOOK_AGAIN_AFTER);
        }
        Ok(())
    }
}
