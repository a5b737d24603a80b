//! Up to where a log is judged. A running system goes on while it is read, so ends are looked up in an order that makes
//! what belongs together lie before them:
//!
//! 1. the stages' positions: what they have consumed has all its outputs in the log by now;
//! 2. the *firm* ends of the output topics, up to the first transaction that is open: a transaction is visible whole
//!    (I8), so what lies before them has its partners in other topics before the next ends;
//! 3. the ends of the output topics;
//! 4. of `offers.inbox`, which holds what these outputs count;
//! 5. of `accounts.inbox`, which caused all of that, and of the input topics.
//!
//! What lies between firm end and end is *open*: it may lack what it causes, and that is no violation.

use std::collections::{BTreeMap, BTreeSet};

use super::log::Source;
use super::{Invariant, Violation, shape};
use crate::bus::partition_of_key;

/// Bounds of every topic that an audit reads, by partition.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    pub topics: BTreeMap<String, Vec<Bounds>>,
    shortened: Shortened,
}

/// Partitions of output topics that were cut by hand, where anything may be missing; and how many there are of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Shortened(BTreeMap<String, (u32, BTreeSet<u32>)>);

/// Offsets of a partition: `begin ≤ firm ≤ end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub begin: u64,
    pub firm: u64,
    pub end: u64,
}

/// The log can't be judged up to where it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CutError(String);

/// The output topics.
pub const OUTPUTS: [&str; 9] = [
    "purchases.events",
    "payments.authorized",
    "payments.voided",
    "fulfilment.orders",
    "replies",
    "messages.direct",
    "notifications.email",
    "offers.funnel",
    "dead-letters",
];

pub const ACCOUNTS_INBOX: &str = "accounts.inbox";
pub const OFFERS_INBOX: &str = "offers.inbox";

/// The groups of the stages.
const SCREEN: &str = "pay-by-tweet.screen";
const ACCOUNTS: &str = "pay-by-tweet.accounts";
const OFFERS: &str = "pay-by-tweet.offers";

impl Cut {
    /// The ends of now. `inputs` are the input topics to be read, none if they are not judged.
    pub fn now(source: &mut dyn Source, inputs: &[String]) -> anyhow::Result<Cut> {
        let mut cut = Cut::default();
        let consumed = [(ACCOUNTS, ACCOUNTS_INBOX), (OFFERS, OFFERS_INBOX)].into_iter();
        let consumed = consumed.chain(inputs.iter().map(|topic| (SCREEN, topic.as_str())));
        for (group, topic) in consumed {
            cut.look_up(source, topic, |source, partition, bounds| {
                bounds.firm = source.position(group, topic, partition)?.unwrap_or(bounds.begin);
                Ok(())
            })?;
        }
        for topic in OUTPUTS {
            cut.look_up(source, topic, |source, partition, bounds| {
                bounds.firm = source.stable_end(topic, partition)?;
                Ok(())
            })?;
        }
        let later = OUTPUTS.into_iter().chain([OFFERS_INBOX, ACCOUNTS_INBOX]).chain(inputs.iter().map(String::as_str));
        for topic in later {
            for (partition, bounds) in (0..).zip(cut.topics.get_mut(topic).into_iter().flatten()) {
                bounds.end = source.span(topic, partition)?.1;
                bounds.firm = bounds.firm.clamp(bounds.begin, bounds.end);
            }
        }
        Ok(cut)
    }

    /// Demands nothing that lies beyond `topic:partition:offset`, a list separated by commas or white space.
    pub fn shorten(&mut self, until: &str) -> Result<(), CutError> {
        for item in until.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty()) {
            let unknown = || CutError(format!("\"{item}\" is no topic:partition:offset of this log"));
            let mut parts = item.split(':');
            let (Some(topic), Some(partition), Some(offset), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                return Err(unknown());
            };
            let (Ok(partition), Ok(offset)) = (partition.parse::<usize>(), offset.parse::<u64>()) else {
                return Err(unknown());
            };
            let all = self.topics.get_mut(topic).ok_or_else(unknown)?;
            let count = all.len() as u32;
            let bounds = all.get_mut(partition).ok_or_else(unknown)?;
            bounds.firm = bounds.firm.min(offset.max(bounds.begin));
            if shape::members_of(topic).is_some() && offset < bounds.end {
                bounds.end = offset.max(bounds.begin);
                let (_, partitions) = self.shortened.0.entry(topic.to_owned()).or_insert((count, BTreeSet::new()));
                partitions.insert(partition as u32);
            }
        }
        Ok(())
    }

    /// An audit needs what conversations began with.
    pub fn ensure_whole(&self) -> Result<(), CutError> {
        for topic in OUTPUTS.into_iter().chain([ACCOUNTS_INBOX, OFFERS_INBOX]).filter(|t| *t != "offers.funnel") {
            for (partition, bounds) in self.topics.get(topic).into_iter().flatten().enumerate() {
                if bounds.begin > 0 {
                    let begin = bounds.begin;
                    let why = "what an audit needs was dropped by retention";
                    return Err(CutError(format!("{topic} {partition} begins at offset {begin}: {why}")));
                }
            }
        }
        Ok(())
    }

    /// Whether anything was cut by hand.
    pub fn is_shortened(&self) -> bool {
        !self.shortened.0.is_empty()
    }

    /// The cut as `--until` reads it.
    pub fn to_text(&self) -> String {
        let items = self.topics.iter().flat_map(|(topic, all)| {
            all.iter().enumerate().map(move |(partition, bounds)| format!("{topic}:{partition}:{}", bounds.firm))
        });
        items.collect::<Vec<_>>().join(",")
    }

    pub fn records(&self, topic: &str) -> u64 {
        self.topics.get(topic).into_iter().flatten().map(|bounds| bounds.end - bounds.begin).sum()
    }

    pub(super) fn shortened(&self) -> &Shortened {
        &self.shortened
    }

    fn look_up(
        &mut self,
        source: &mut dyn Source,
        topic: &str,
        mut firm: impl FnMut(&mut dyn Source, u32, &mut Bounds) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut all = Vec::new();
        for partition in 0..source.partitions(topic)? {
            let (begin, end) = source.span(topic, partition)?;
            let mut bounds = Bounds { begin, firm: begin, end };
            firm(source, partition, &mut bounds)?;
            all.push(bounds);
        }
        self.topics.insert(topic.to_owned(), all);
        Ok(())
    }
}

impl Shortened {
    /// Whether what a violation misses may lie beyond the cut. What is asked of stock is not in the outputs.
    pub fn forgives(&self, violation: &Violation) -> bool {
        violation.invariant != Invariant::I4
            && self.0.iter().any(|(topic, (count, partitions))| {
                let account = violation.account.map(|account| account.to_string());
                let key = if topic == "fulfilment.orders" { violation.purchase.clone() } else { account };
                key.is_none_or(|key| partitions.contains(&partition_of_key(key.as_bytes(), *count)))
            })
    }
}
