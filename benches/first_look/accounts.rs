//! A million accounts in one shard: what each weighs, and what each kind of message takes.

use std::hint::black_box;
use std::sync::Arc;

use pay_by_tweet::accounts::shard::{AccountsAnswer, AccountsQuery};
use pay_by_tweet::accounts::{AccountsShard, Setup};
use pay_by_tweet::bus::TopicPartition;
use pay_by_tweet::config::Settings;
use pay_by_tweet::domain::account::Account;
use pay_by_tweet::domain::verdict::Judge;
use pay_by_tweet::domain::{
    AccountId, AccountMessage, InboxRecord, Link, LinkChange, LinkMessage, Network, Offer, PostForm, PostId,
    PostIntent, Tag, Terms, Time,
};
use pay_by_tweet::engine::shard::{Batch, Clocks, InRecord, Item, Shard};
use pay_by_tweet::wire::internal::encode_inbox;
use pay_by_tweet::wire::uuids::uuid_of;

use super::{cpu_ns, median};

const ACCOUNTS: u64 = 1_000_000;
const BATCH: u64 = 10_000;
const START: Time = Time(1_360_681_260_000);

pub fn run(offers: &[Offer]) {
    let unlimited = offers.iter().find(|offer| !offer.terms.limited).expect("one shipped offer is unlimited");
    let open = Terms { opens: None, closes: None, countries: Vec::new(), ..unlimited.terms.clone() };
    let terms = Arc::new(Terms { per_account: 1, ..open });
    let mut shard = shard();
    println!("\n{ACCOUNTS} accounts in one shard, batches of {BATCH}");
    let empty = resident_bytes();
    let link = feed(&mut shard, |n| to(n, AccountMessage::Link(link(n))));
    let linked = resident_bytes();
    let buy = feed(&mut shard, |n| post(n, 1, vec![terms.clone()], Vec::new()));
    let pending = resident_bytes();
    let AccountsAnswer::Stats { waiting, accounts, .. } = shard.query(AccountsQuery::Stats) else {
        unreachable!("the shard answers what it is asked")
    };
    assert_eq!((waiting as u64, accounts as u64), (ACCOUNTS, ACCOUNTS));
    let each = |bytes: u64| bytes / ACCOUNTS;
    println!("  resident: {} bytes a linked account", each(linked - empty));
    println!("  resident: {} bytes more a pending confirmation", each(pending - linked));
    println!("  resident: {} bytes both together", each(pending - empty));

    let again = feed(&mut shard, |n| post(n, 1, vec![terms.clone()], Vec::new()));
    let duplicate = feed(&mut shard, |n| post(n, 2, vec![terms.clone()], Vec::new()));
    let confirm = feed(&mut shard, |n| post(n, 3, Vec::new(), vec![terms.confirm.clone()]));
    for (name, ns) in [
        ("link", link),
        ("buy: order and prompt", buy),
        ("redelivered buy: nothing", again),
        ("second buy: already_tweeted", duplicate),
        ("confirm: payment, order, reply, e-mail", confirm),
    ] {
        println!("  {name:40} {ns:>7.0} ns a message: decoded, judged, journaled, encoded");
    }
    judge_alone(&terms);
}

/// The same messages through the domain's rules alone: no codec, no table, no texts. Ids are still hashes.
fn judge_alone(terms: &Arc<Terms>) {
    const JUDGED: u64 = 100_000;
    let rules = Settings::of_text(None, std::iter::empty()).expect("the shipped settings are valid").rules(uuid_of);
    let mut accounts = vec![Account::default(); JUDGED as usize];
    let mut judge = |name: &str, message: &dyn Fn(u64) -> InboxRecord| {
        let messages: Vec<InboxRecord> = (0..JUDGED).map(message).collect();
        let (mut out, start) = (Vec::new(), cpu_ns());
        for (account, record) in accounts.iter_mut().zip(messages) {
            let InboxRecord::To(id, message) = record else { continue };
            let (rules, out) = (&rules, &mut out);
            Judge { rules, id, account, watermark: None, clock: None, overloaded: false, out }.receive(message);
            black_box(out).clear();
        }
        println!("  {name:40} {:>7.0} ns by the rules alone", (cpu_ns() - start) as f64 / JUDGED as f64);
    };
    judge("link", &|n| to(n, AccountMessage::Link(link(n))));
    judge("buy: order and prompt", &|n| post(n, 1, vec![terms.clone()], Vec::new()));
    judge("redelivered buy: nothing", &|n| post(n, 1, vec![terms.clone()], Vec::new()));
    judge("second buy: already_tweeted", &|n| post(n, 2, vec![terms.clone()], Vec::new()));
    judge("confirm: payment, order, reply, e-mail", &|n| post(n, 3, Vec::new(), vec![terms.confirm.clone()]));
}

fn shard() -> AccountsShard {
    let settings = Settings::of_text(None, std::iter::empty()).expect("the shipped settings are valid");
    let setup = Setup {
        rules: settings.rules(uuid_of),
        texts: settings.texts(),
        records_max: usize::MAX,
        dead_letter_body: false,
        partitions: 1,
    };
    AccountsShard::new(Arc::new(setup), TopicPartition::new("accounts.inbox", 0))
}

/// Sends every account one message, in an order that no table knows; gives the median processor time of one, over
/// batches.
fn feed(shard: &mut AccountsShard, message: impl Fn(u64) -> InboxRecord) -> f64 {
    let mut costs = Vec::new();
    for first in (0..ACCOUNTS).step_by(BATCH as usize) {
        let item = |i: u64| {
            let value = Some(encode_inbox(&message(i * 514_229 % ACCOUNTS)));
            Item::Record(InRecord { offset: i, timestamp: START, key: None, value })
        };
        let items: Vec<Item> = (first..first + BATCH).map(item).collect();
        let batch = Batch { records: BATCH, items, now: START, at_end: false, clocks: Clocks::Agree };
        let start = cpu_ns();
        let decided = shard.decide(&batch);
        shard.committed();
        costs.push((cpu_ns() - start) as f64 / BATCH as f64);
        drop(decided);
    }
    median(costs)
}

fn to(n: u64, message: AccountMessage) -> InboxRecord {
    InboxRecord::To(AccountId { network: Network::TWITTER, user: 1_450_001_015_437_000_000 + n }, message)
}

fn link(n: u64) -> LinkMessage {
    let link = Link {
        card: format!("tok_{n:016x}"),
        country: "US".into(),
        handle: format!("cardholder{n}"),
        email_ref: format!("eml_{n:016x}"),
        billing_ref: format!("adr_{n:016x}"),
    };
    LinkMessage { at: START, change: LinkChange::Link(Arc::new(link)) }
}

/// A post of the account's, `minutes` after the link.
fn post(n: u64, minutes: i64, orders: Vec<Arc<Terms>>, confirm_tags: Vec<Tag>) -> InboxRecord {
    let id = PostId(300_000_000_000_000_000 + n * 8 + minutes as u64);
    let intent = PostIntent {
        id,
        first_id: id,
        time: Time(START.0 + minutes * 60_000),
        handle: Some(format!("cardholder{n}")),
        form: PostForm::Own,
        buys: !orders.is_empty(),
        orders,
        confirm_tags,
        cancel_tags: Vec::new(),
        cancel_word: false,
        freeze: false,
        in_reply_to: None,
    };
    to(n, AccountMessage::Post(intent))
}

/// Memory that the process holds; zero where the system doesn't tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).map_or(0, |kib: u64| kib * 1024)
}
