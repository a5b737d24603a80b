//! A conversation as people read it: every record of an account and one of its purchases, in order of time, a line
//! each. No card token, no text of a post or reply stands in it (I11).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cut::{ACCOUNTS_INBOX, OFFERS_INBOX, OUTPUTS};
use super::log::{Report, Source};
use super::{Seen, Violation, shape};
use crate::domain::{
    AccountId, AccountMessage, InboxRecord, LinkChange, OfferMessage, OffersRecord, PostForm, PostIntent,
};
use crate::wire::internal;
use crate::wire::time;

/// What is wrong with a conversation, and the conversation.
pub struct Story {
    pub account: Option<AccountId>,
    pub purchase: Option<String>,
    pub violations: Vec<Violation>,
    pub lines: Vec<String>,
}

/// Conversations that are told at most; the violations of further ones are told without.
pub const STORIES_MAX: usize = 20;

/// Lines of one conversation at most.
const LINES_MAX: usize = 200;

/// Groups violations by conversation and reads the records of the first [`STORIES_MAX`], in one more pass.
pub fn stories(source: &mut dyn Source, report: &Report) -> anyhow::Result<Vec<Story>> {
    let mut stories: Vec<Story> = Vec::new();
    for violation in &report.violations {
        let same = |story: &&mut Story| story.account == violation.account && story.purchase == violation.purchase;
        match stories.iter_mut().find(same) {
            Some(story) => story.violations.push(violation.clone()),
            None => stories.push(Story {
                account: violation.account,
                purchase: violation.purchase.clone(),
                violations: vec![violation.clone()],
                lines: Vec::new(),
            }),
        }
    }
    let mut told = Told::of(stories.iter().take(STORIES_MAX));
    if told.accounts.is_empty() && told.purchases.is_empty() {
        return Ok(stories);
    }
    for topic in [ACCOUNTS_INBOX, OFFERS_INBOX].into_iter().chain(OUTPUTS) {
        for (partition, bounds) in (0..).zip(report.cut.topics.get(topic).into_iter().flatten()) {
            source.read(topic, partition, bounds.begin, bounds.end, &mut |seen| told.see(seen))?;
        }
    }
    for story in stories.iter_mut().take(STORIES_MAX) {
        story.lines = told.lines_of(story);
        // What a record tells in the wrong place must not be repeated here.
        story.lines.iter_mut().for_each(|line| report.cards.hide(line));
    }
    Ok(stories)
}

/// The records of the conversations that are told.
struct Told {
    accounts: BTreeSet<AccountId>,
    purchases: BTreeSet<String>,
    /// By account and purchase, in the order of reading.
    lines: BTreeMap<(Option<AccountId>, Option<String>), Vec<Line>>,
}

struct Line {
    /// As the contract writes it, so that it sorts.
    at: String,
    text: String,
}

impl Told {
    fn of<'a>(stories: impl Iterator<Item = &'a Story>) -> Told {
        let mut told = Told { accounts: BTreeSet::new(), purchases: BTreeSet::new(), lines: BTreeMap::new() };
        for story in stories {
            told.accounts.extend(story.account);
            told.purchases.extend(story.purchase.clone());
        }
        told
    }

    fn see(&mut self, seen: &Seen<'_>) {
        match seen.topic {
            ACCOUNTS_INBOX => self.see_inbox(seen),
            OFFERS_INBOX => self.see_request(seen),
            _ => self.see_output(seen),
        }
    }

    fn see_inbox(&mut self, seen: &Seen<'_>) {
        match internal::decode_inbox(seen.key, seen.value.unwrap_or_default()) {
            Ok(InboxRecord::To(account, message)) => {
                let (at, text) = told_message(&message);
                let purchase = match &message {
                    AccountMessage::Stock(answer) => Some(answer.purchase.to_string()),
                    _ => None,
                };
                self.keep(seen, Some(account), purchase, at, text);
            }
            Ok(InboxRecord::Deletions(network, posts)) => {
                for (user, deleted) in posts {
                    let text = format!("post {} was deleted", deleted.post);
                    self.keep(seen, Some(AccountId { network, user }), None, time::format(deleted.time), text);
                }
            }
            _ => {}
        }
    }

    fn see_request(&mut self, seen: &Seen<'_>) {
        let record = internal::decode_offers(seen.value.unwrap_or_default());
        if let Ok(OffersRecord::To(offer, OfferMessage::Stock(request))) = record {
            let text = format!("{:?} is asked of {offer}", request.action);
            let purchase = Some(request.purchase.to_string());
            self.keep(seen, Some(request.account), purchase, time::format(request.at), text);
        }
    }

    fn see_output(&mut self, seen: &Seen<'_>) {
        let Ok(value) = serde_json::from_slice::<Value>(seen.value.unwrap_or_default()) else { return };
        let at = seen.headers.iter().find(|(name, _)| name == "ce_time");
        let at = at.map(|(_, at)| String::from_utf8_lossy(at).into_owned()).unwrap_or_default();
        let purchase = value["purchase"].as_str().map(str::to_owned);
        self.keep(seen, shape::account(&value), purchase, at, told_output(seen.topic, &value));
    }

    fn keep(
        &mut self,
        seen: &Seen<'_>,
        account: Option<AccountId>,
        purchase: Option<String>,
        at: String,
        text: String,
    ) {
        let of_account = account.is_some_and(|account| self.accounts.contains(&account));
        let of_purchase = purchase.as_ref().is_some_and(|purchase| self.purchases.contains(purchase));
        if of_account || of_purchase {
            let text = format!("{at:24}  {:20} {:>2}:{:<6}  {text}", seen.topic, seen.partition, seen.offset);
            let lines = self.lines.entry((account, purchase)).or_default();
            if lines.len() < LINES_MAX {
                lines.push(Line { at, text });
            }
        }
    }

    /// What belongs to the account, or to all of its purchases where no one is meant, in order of time.
    fn lines_of(&self, story: &Story) -> Vec<String> {
        let belongs = |account: &Option<AccountId>, purchase: &Option<String>| match &story.purchase {
            Some(_) if purchase.is_some() => *purchase == story.purchase,
            _ => account.is_some() && *account == story.account,
        };
        let own = self.lines.iter().filter(|((account, purchase), _)| belongs(account, purchase));
        let mut lines: Vec<&Line> = own.flat_map(|(_, lines)| lines).collect();
        lines.sort_by(|a, b| a.at.cmp(&b.at));
        lines.into_iter().take(LINES_MAX).map(|line| line.text.clone()).collect()
    }
}

/// Time and meaning of a message.
fn told_message(message: &AccountMessage) -> (String, String) {
    match message {
        AccountMessage::Post(intent) => (time::format(intent.time), told_post(intent)),
        AccountMessage::Link(link) => {
            let what = match &link.change {
                LinkChange::Link(_) => "is linked".to_owned(),
                LinkChange::Unlink => "is unlinked".to_owned(),
                LinkChange::Card(status) => format!("the card is {status:?}"),
                LinkChange::Freeze(post) => format!("is frozen by post {post}"),
            };
            (time::format(link.at), what)
        }
        AccountMessage::Posted(fate) => {
            let became = match &fate.outcome {
                Ok(post) => format!("was posted as {post}"),
                Err(_) => "could not be posted".to_owned(),
            };
            (time::format(fate.at), format!("reply {} {became}", fate.reply))
        }
        // An answer has no time of its own: it stands before what it causes.
        AccountMessage::Stock(answer) => (String::new(), format!("stock answers {:?}", answer.verdict)),
        AccountMessage::Deleted(deleted) => (time::format(deleted.time), format!("post {} was deleted", deleted.post)),
    }
}

fn told_post(intent: &PostIntent) -> String {
    let form = match &intent.form {
        PostForm::Own => "post",
        PostForm::ManualRetweetOfService => "manual retweet of the service",
        PostForm::ManualRetweet => "manual retweet",
        PostForm::Retweet(_) => "retweet",
        PostForm::Quote(_) => "quote",
    };
    let mut text = format!("{form} {}", intent.id);
    if intent.first_id != intent.id {
        text += &format!(", a version of {}", intent.first_id);
    }
    for terms in &intent.orders {
        text += &format!(", buys {} (version {})", terms.offer, terms.version);
    }
    for tag in &intent.confirm_tags {
        text += &format!(", confirms by #{}", tag.0);
    }
    for tag in &intent.cancel_tags {
        text += &format!(", cancels by #{}", tag.0);
    }
    if intent.cancel_word {
        text += ", cancels";
    }
    if intent.freeze {
        text += ", freezes";
    }
    text
}

/// An output in a few words: ids, times, states and amounts.
fn told_output(topic: &str, value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or("null").to_owned();
    match topic {
        "purchases.events" => {
            let (from, to, reason, post) = (text("from"), text("to"), text("reason"), text("post"));
            format!("{from} -> {to}, reason {reason}, post {post}, {}", text("offer"))
        }
        "payments.authorized" => {
            let amount = &value["amount"];
            let paid = format!("{} {}", amount["minor"], amount["currency"].as_str().unwrap_or("?"));
            let (order, confirm) = (text("order_post"), text("confirm_post"));
            format!(
                "{paid} for {}, ordered by {order} at {}, confirmed by {confirm}",
                text("offer"),
                text("ordered_at")
            )
        }
        "payments.voided" => format!("voided, reason {}", text("reason")),
        "fulfilment.orders" => format!("{} of {}, {}", value["quantity"], text("merchant"), text("item")),
        "replies" | "messages.direct" => format!("{} to post {}", text("kind"), text("in_reply_to")),
        "notifications.email" => text("kind"),
        _ => String::new(),
    }
}
