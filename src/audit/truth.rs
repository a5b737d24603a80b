//! A truth file: what a load generator says must have become of its conversations, JSON Lines, one a conversation:
//!
//! ```json
//! {"account":"twitter:1","offer":"mug","order_post":"12","to":["fulfilled"],"reason":null,"confirm_post":"34"}
//! ```
//!
//! `to` holds the states in which the purchase may end, `[]`: there must be no purchase. `reason` and `confirm_post`
//! are null where they don't matter; `confirm_post` matters only if the purchase was paid. The last line,
//! `{"end":{"conversations":N}}`, tells a whole file from a torn one. It may tell `confirm_window_ms` and
//! `reply_grace_ms` too, by which all of this came: a load can shorten them.

use std::io::{BufRead, Read, Seek, SeekFrom};

use anyhow::{Context, bail};
use rustc_hash::FxHashSet;
use serde::Deserialize;

use super::found::{Found, Whose};
use super::ledger::{Ledger, Life};
use super::share::Share;
use super::tally::Tally;
use super::violation::Invariant;
use crate::domain::{AccountId, Span, Uuid, Windows, parse_id};

/// What a truth file came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub conversations: u64,
    /// Purchases that still wait, so that nothing can be said.
    pub open: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    End { end: End },
    Conversation(Conversation),
}

#[derive(Deserialize)]
struct End {
    conversations: u64,
    confirm_window_ms: Option<i64>,
    reply_grace_ms: Option<i64>,
}

/// The last line is no longer than this.
const END_BYTES_MAX: u64 = 4096;

/// Puts the windows of which the file tells in place of others. A file that has no end is found to be torn when it is
/// judged.
pub(super) fn take_windows(mut file: impl Read + Seek, windows: &mut Windows) -> std::io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES_MAX)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let last = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    if let Ok(Line::End { end }) = serde_json::from_slice(last) {
        windows.confirm_window = end.confirm_window_ms.map_or(windows.confirm_window, Span);
        windows.reply_grace = end.reply_grace_ms.map_or(windows.reply_grace, Span);
    }
    Ok(())
}

/// A conversation and what it must come to.
#[derive(Deserialize)]
struct Conversation {
    account: String,
    offer: String,
    order_post: Option<String>,
    to: Vec<String>,
    reason: Option<String>,
    confirm_post: Option<String>,
}

/// Holds the purchases of a share against the file.
pub(super) fn judge(
    lines: impl BufRead,
    ledger: &Ledger,
    share: Share,
    tally: &Tally,
    found: &mut Found,
) -> anyhow::Result<Summary> {
    let by_order = ledger.by_order(tally);
    let (mut told, mut accounts) = (FxHashSet::default(), FxHashSet::default());
    let mut summary = Summary::default();
    let mut end = None;
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line?;
        let broken = || format!("line {number} of the truth file");
        if end.is_some() {
            bail!("{} comes after the end", broken());
        }
        match serde_json::from_str(&line).with_context(broken)? {
            Line::End { end: told } => end = Some(told.conversations),
            Line::Conversation(conversation) => {
                summary.conversations += 1;
                let account = AccountId::parse(&conversation.account).with_context(broken)?;
                if !share.has_account(account) {
                    continue;
                }
                accounts.insert(account);
                let order = conversation.order_post.as_deref().and_then(parse_id);
                let life = order.and_then(|order| by_order.get(&(account, order, conversation.offer.as_str())));
                told.extend(life.map(|(purchase, _)| *purchase));
                summary.open += u64::from(!conversation.judge(account, life.copied(), found));
            }
        }
    }
    if end != Some(summary.conversations) {
        bail!("the truth file is torn: {} conversations, and its end tells {end:?}", summary.conversations);
    }
    let mut untold: Vec<(&Uuid, &Life)> = ledger.lives().filter(|(purchase, _)| !told.contains(*purchase)).collect();
    untold.sort_unstable_by_key(|(purchase, _)| **purchase);
    for (purchase, life) in untold {
        let of_file = life.account.is_some_and(|account| accounts.contains(&account));
        let whose = Whose { account: life.account, purchase: Some(*purchase) };
        found.check(Invariant::I9, !of_file || life.is_refused(), whose, || {
            format!("a purchase that is {}, and no conversation of the truth file", life.state_name())
        });
    }
    Ok(summary)
}

impl Conversation {
    /// False if the purchase still waits.
    fn judge(&self, account: AccountId, life: Option<(Uuid, &Life)>, found: &mut Found) -> bool {
        let Some((purchase, life)) = life else {
            let whose = Whose { account: Some(account), purchase: None };
            found.check(Invariant::I9, self.to.is_empty(), whose, || {
                let order = self.order_post.as_deref().unwrap_or("null");
                format!("the truth file has a conversation about {} (post {order}), the log has none", self.offer)
            });
            return true;
        };
        let whose = Whose::of(account, purchase);
        let state = life.state_name();
        if life.waits() && !self.to.is_empty() && !self.to.iter().any(|to| to == state) {
            return false;
        }
        found.check(Invariant::I9, self.to.iter().any(|to| to == state), whose, || {
            format!("the purchase is {state}, the truth file allows {:?}", self.to)
        });
        found.check(Invariant::I9, self.reason.is_none() || self.reason == life.reason, whose, || {
            format!("the reason is {:?}, by the truth file {:?}", life.reason, self.reason)
        });
        // Whether it had to be paid is told by its end.
        let (confirm, paid_by) = (self.confirm_post.as_deref().and_then(parse_id), life.confirm_post());
        found.check(Invariant::I1, confirm.is_none() || paid_by.is_none() || confirm == paid_by, whose, || {
            format!("paid by post {paid_by:?}, by the truth file {confirm:?}")
        });
        true
    }
}
