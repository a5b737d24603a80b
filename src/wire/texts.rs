//! What replies and e-mails say: templates filled, within the network's length, each one unique.

use std::borrow::Cow;
use std::collections::BTreeMap;

use unicode_normalization::char::is_combining_mark;

use crate::domain::{Email, Reply, ReplyKind, Span, Terms, Uuid};
use crate::text::{V3_280, measure};

use super::template::{Slot, Template, Values};

/// Weighted length of texts that are about no offer.
const REPLY_LENGTH_DEFAULT: u32 = 280;

/// Characters of the item's name that stay while there are optional parts left to drop.
const ITEM_CHARACTERS_MIN: usize = 12;

/// The longest handle that X gives.
const HANDLE_CHARACTERS_MAX: usize = 15;

/// The templates, parsed, and what they need besides an event.
#[derive(Clone, Debug)]
pub struct Texts {
    /// By `ReplyKind as usize`.
    replies: Vec<Template>,
    emails: Vec<Template>,
    confirm_minutes: i64,
}

/// The replies as shipped; the configuration may replace each.
pub const DEFAULT_REPLIES: [(ReplyKind, &str); 20] = [
    (
        ReplyKind::Prompt,
        "{handle} Tweet {confirm_tag} w/in {minutes} min to buy {item} for {amount} w/synced Card.[[ Terms: {terms_url}]]",
    ),
    (ReplyKind::AlreadyTweeted, "{handle} You've already Tweeted {buy_tag}, pls check for a reply"),
    (ReplyKind::Purchased, "{handle} Thank you! {item} for {amount} is on its way to your billing address."),
    (ReplyKind::Declined, "{handle} Sorry, the payment of {amount} for {item} was declined."),
    (
        ReplyKind::Expired,
        "{handle} Your time to confirm {item} is over; nothing was charged.[[ Tweet {buy_tag} to start anew.]]",
    ),
    (ReplyKind::Cancelled, "{handle} Your purchase of {item} is cancelled."),
    (ReplyKind::SoldOut, "{handle} Sorry, {item} is sold out."),
    (ReplyKind::Waitlisted, "{handle} You are on the waitlist for {item}. We'll reply when one is free."),
    (
        ReplyKind::NotLinked,
        "{handle} Please sync a Card with your account first, then Tweet {buy_tag}.[[ {terms_url}]]",
    ),
    (ReplyKind::NotEligible, "{handle} Sorry, your Card can't be used for {item}.[[ Terms: {terms_url}]]"),
    (ReplyKind::NotOpen, "{handle} Sorry, the offer {buy_tag} is not open."),
    (ReplyKind::LimitReached, "{handle} You've reached your purchase limit, {buy_tag} was not started."),
    (ReplyKind::ApprovalNeeded, "{handle} Please approve {amount} for {item} with your card issuer."),
    (ReplyKind::NothingToConfirm, "{handle} There is nothing to confirm.[[ Tweet {buy_tag} to start.]]"),
    (ReplyKind::Enrolled, "{handle} The offer {item} is loaded on your synced Card.[[ Terms: {terms_url}]]"),
    (ReplyKind::Code, "{handle} Your code for {item}:"),
    (ReplyKind::Credited, "{handle} Your statement credit for {item} is on its way."),
    (ReplyKind::Frozen, "{handle} Buying by Tweet is frozen for your account until you sync your Card anew."),
    (ReplyKind::Reminder, "{handle} Reminder: Tweet {confirm_tag} to buy {item} for {amount}."),
    (
        ReplyKind::Announcement,
        "Get {item} for {amount} w/synced Card. Tweet {buy_tag} to start purch![[ Exp {closes}.]][[ {terms_url}]]",
    ),
];

/// The e-mails as shipped; kinds without their own say [`DEFAULT_EMAIL`].
pub const DEFAULT_EMAILS: [(ReplyKind, &str); 5] = [
    (
        ReplyKind::Purchased,
        "Thank you. You bought {item} from {merchant} for {amount}. It ships to your billing address. Order {purchase}.",
    ),
    (ReplyKind::Declined, "The payment of {amount} for {item} from {merchant} was declined. Order {purchase}."),
    (ReplyKind::Cancelled, "Your order of {item} from {merchant} is cancelled. Order {purchase}."),
    (ReplyKind::Expired, "Your order of {item} was not confirmed within {minutes} minutes. Order {purchase}."),
    (ReplyKind::SoldOut, "{item} from {merchant} is sold out. Order {purchase}."),
];

pub const DEFAULT_EMAIL: &str = "About your order of {item} from {merchant} for {amount}. Order {purchase}.";

impl Texts {
    /// Templates by the names of their reply kinds; a kind without one has the shipped text. A reply's template that
    /// doesn't start with the handle gets it put in front. Errors name the kind and what is wrong with its template.
    pub fn new(
        replies: &BTreeMap<String, String>,
        emails: &BTreeMap<String, String>,
        confirm_window: Span,
    ) -> Result<Texts, String> {
        let known = |name: &&String| !ReplyKind::ALL.iter().any(|kind| kind.name() == *name);
        if let Some(name) = replies.keys().chain(emails.keys()).find(known) {
            let names = ReplyKind::ALL.map(ReplyKind::name).join(", ");
            return Err(format!("no reply kind is called \"{name}\"; there are {names}"));
        }
        let parse = |kind: ReplyKind, texts: &BTreeMap<String, String>, shipped: &str| {
            let text = texts.get(kind.name()).map_or(shipped, String::as_str);
            Template::parse(text).map_err(|why| format!("{}: {why}", kind.name()))
        };
        let reply = |kind: ReplyKind| match parse(kind, replies, shipped(&DEFAULT_REPLIES, kind))? {
            template if kind != ReplyKind::Announcement => Ok(template.addressed()),
            template if template.uses(Slot::Handle) => {
                Err("announcement: it goes to nobody, so no {handle}".to_owned())
            }
            template => Ok(template),
        };
        let email = |kind: ReplyKind| match parse(kind, emails, shipped(&DEFAULT_EMAILS, kind))? {
            template if template.uses(Slot::Handle) => Err(format!("{}: an e-mail has no {{handle}}", kind.name())),
            template => Ok(template),
        };
        Ok(Texts {
            replies: ReplyKind::ALL.into_iter().map(reply).collect::<Result<_, _>>()?,
            emails: ReplyKind::ALL.into_iter().map(email).collect::<Result<_, _>>()?,
            confirm_minutes: (confirm_window.0 / 60_000).max(1),
        })
    }

    /// The shipped texts.
    pub fn shipped(confirm_window: Span) -> Texts {
        let none = BTreeMap::new();
        Texts::new(&none, &none, confirm_window).expect("a test reads the shipped templates")
    }

    /// The text of a public reply: `@handle …`, at most `terms.reply_length` long, ending in eight characters of its
    /// id. `None` when nobody told the handle: such a reply can't be addressed.
    pub fn render_reply(&self, reply: &Reply) -> Option<String> {
        reply.handle.as_ref()?;
        Some(self.render_direct(reply))
    }

    /// As [`Texts::render_reply`]; without a handle the text does without it.
    pub fn render_direct(&self, reply: &Reply) -> String {
        let handle = reply.handle.as_deref();
        self.fit(&self.replies[reply.kind as usize], handle, reply.terms.as_deref(), reply.purchase, reply.id)
    }

    pub fn render_announcement(&self, id: Uuid, terms: &Terms) -> String {
        self.fit(&self.replies[ReplyKind::Announcement as usize], None, Some(terms), None, id)
    }

    /// The text of an e-mail, of any length.
    pub fn render_email(&self, email: &Email) -> String {
        let template = &self.emails[email.kind as usize];
        let values = self.values(None, Some(&email.terms), Some(email.purchase));
        template.fill(&values, template.optional_parts())
    }

    /// Whether every reply about an offer can keep its length, for the longest handle. The error names the kind.
    pub fn check_offer(&self, terms: &Terms) -> Result<(), String> {
        let handle = "W".repeat(HANDLE_CHARACTERS_MAX);
        let id = Uuid([0xff; 16]);
        for kind in ReplyKind::ALL {
            let text = self.fit(&self.replies[kind as usize], Some(&handle), Some(terms), Some(id), id);
            let length = weighted_length(&text);
            if length > terms.reply_length {
                let (kind, max) = (kind.name(), terms.reply_length);
                return Err(format!("the shortest {kind} reply has a weighted length of {length}, at most {max} fit"));
            }
        }
        Ok(())
    }

    /// Fills the template so that it fits: first the item's name is shortened, then optional parts go, the last one
    /// first; in the end only handle and tags are left, which nothing may shorten.
    fn fit(
        &self,
        template: &Template,
        handle: Option<&str>,
        terms: Option<&Terms>,
        purchase: Option<Uuid>,
        id: Uuid,
    ) -> String {
        let length_max = terms.map_or(REPLY_LENGTH_DEFAULT, |terms| terms.reply_length);
        let mark = mark_of(id);
        let values = self.values(handle, terms, purchase);
        for optional_kept in (0..=template.optional_parts()).rev() {
            let fill = |item: &str| template.fill(&Values { item, ..values }, optional_kept) + &mark;
            let text = fill(values.item);
            let excess = weighted_length(&text).saturating_sub(length_max);
            if excess == 0 {
                return text;
            }
            let characters_min = if optional_kept > 0 { ITEM_CHARACTERS_MIN } else { 0 };
            if template.uses(Slot::Item)
                && let Some(text) = with_shorter_item(values.item, characters_min, excess, length_max, &fill)
            {
                return text;
            }
        }
        template.fill_essentials(&values) + &mark
    }

    fn values<'a>(&self, handle: Option<&'a str>, terms: Option<&'a Terms>, purchase: Option<Uuid>) -> Values<'a> {
        let item = terms.map_or("", |terms| terms.item.as_str());
        Values { handle, terms, item, minutes: self.confirm_minutes, purchase }
    }
}

fn shipped(texts: &[(ReplyKind, &'static str)], kind: ReplyKind) -> &'static str {
    texts.iter().find(|(of, _)| *of == kind).map_or(DEFAULT_EMAIL, |(_, text)| text)
}

fn weighted_length(text: &str) -> u32 {
    measure(text, &V3_280).weighted_length
}

/// The text with as much of the item's name as fits, an ellipsis behind it. Each round takes away half of the excess at
/// most, since no character weighs more than two.
fn with_shorter_item(
    item: &str,
    characters_min: usize,
    mut excess: u32,
    length_max: u32,
    fill: &dyn Fn(&str) -> String,
) -> Option<String> {
    let ends = character_ends(item);
    let mut kept = ends.len() - 1;
    while kept > characters_min {
        kept -= (excess as usize / 2).clamp(1, kept - characters_min);
        let text = fill(&format!("{}…", item[..ends[kept]].trim_end()));
        excess = weighted_length(&text).saturating_sub(length_max);
        if excess == 0 {
            return Some(text);
        }
    }
    None
}

/// An item's name, shortened as far as it is while the rest of a text stays.
pub fn shortest_item(item: &str) -> Cow<'_, str> {
    match character_ends(item).get(ITEM_CHARACTERS_MIN) {
        Some(end) if *end < item.len() => Cow::Owned(format!("{}…", item[..*end].trim_end())),
        _ => Cow::Borrowed(item),
    }
}

/// Where the text may be cut: `ends[n]` is the end of its first n characters as people count them, roughly: marks,
/// joiners, selectors and skin tones stay with what they belong to.
fn character_ends(text: &str) -> Vec<usize> {
    let mut ends = vec![0];
    let mut joined = true;
    for (at, c) in text.char_indices() {
        let clings =
            is_combining_mark(c) || matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
        if !joined && !clings {
            ends.push(at);
        }
        joined = c == '\u{200d}';
    }
    if !text.is_empty() {
        ends.push(text.len());
    }
    ends
}

/// ` [7ZZZ0ABC]`: 40 bits of the reply's id in Crockford's base 32, so that no two texts to one account are the same.
fn mark_of(id: Uuid) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = id.0[..5].iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let digits = (0..8).rev().map(|place| char::from(DIGITS[(bits >> (5 * place) & 31) as usize]));
    [" [", &digits.collect::<String>(), "]"].concat()
}

#[cfg(test)]
#[path = "texts_tests.rs"]
mod tests;
