//! The accounts and offers shards under take-backs and restores: whatever was decided and taken back never happened,
//! and a shard restored from its changelog is the one that wrote it (I6). Random histories; a failing one prints its
//! seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use pay_by_tweet::accounts::{self, AccountsShard};
use pay_by_tweet::bus::{OutRecord, TopicPartition};
use pay_by_tweet::config::{OfferSpec, Settings};
use pay_by_tweet::domain::*;
use pay_by_tweet::engine::shard::{Batch, Clocks, Decided, InRecord, Item, Shard};
use pay_by_tweet::offers::{self, OffersShard};
use pay_by_tweet::wire::internal;
use pay_by_tweet::wire::uuids::uuid_of;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const HISTORIES: u64 = 150;
const START: i64 = 1_360_681_260_000;

fn settings() -> Settings {
    Settings::of_text(None, std::iter::empty()).expect("the shipped settings are valid")
}

fn terms(offer: usize) -> Arc<Terms> {
    Arc::new(self::offer(offer).terms)
}

fn offer(number: usize) -> Offer {
    let name = ["alpha", "beta"][number];
    let spec = OfferSpec {
        id: name.to_owned(),
        kind: Some("purchase".to_owned()),
        buy_tag: Some(format!("Buy{name}")),
        confirm_tag: Some(format!("Confirm{name}")),
        cancel_tag: Some(format!("Cancel{name}")),
        merchant: Some("shop".to_owned()),
        item: Some("thing".to_owned()),
        price: Some("10.00".to_owned()),
        currency: Some("USD".to_owned()),
        quantity: (number == 0).then_some(5),
        waitlist_max: Some(3),
        ..OfferSpec::default()
    };
    spec.into_offer(1).expect("the offer is valid")
}

fn account(n: u64) -> AccountId {
    AccountId { network: Network::TWITTER, user: n }
}

/// One random message; times wander forward, posts are sometimes old.
fn message(rng: &mut SmallRng, now: &mut i64) -> InboxRecord {
    *now += rng.random_range(0..90_000);
    let time = Time(*now - rng.random_range(0..120_000));
    let id = account(rng.random_range(0..6));
    let post_id = PostId(rng.random_range(1_000_000..1_000_060));
    let mut post = PostIntent {
        id: post_id,
        first_id: post_id,
        time,
        handle: None,
        form: PostForm::Own,
        orders: Vec::new(),
        buys: false,
        confirm_tags: Vec::new(),
        cancel_tags: Vec::new(),
        cancel_word: false,
        freeze: false,
        in_reply_to: None,
    };
    let offer = rng.random_range(0..2);
    let link = Link {
        card: "tok_1".into(),
        country: "US".into(),
        handle: format!("user{}", id.user),
        email_ref: "eml".into(),
        billing_ref: "adr".into(),
    };
    match rng.random_range(0..20) {
        0..=2 => {
            let change = LinkChange::Link(Arc::new(link));
            return InboxRecord::To(id, AccountMessage::Link(LinkMessage { at: time, change }));
        }
        3 => return InboxRecord::To(id, AccountMessage::Link(LinkMessage { at: time, change: LinkChange::Unlink })),
        4..=8 => {
            post.orders.push(terms(offer));
            post.buys = true;
        }
        9..=12 => post.confirm_tags.push(terms(offer).confirm.clone()),
        13 => post.cancel_word = true,
        14 => post.freeze = true,
        15 => {
            let deleted = DeletedPost { post: post_id, time };
            return InboxRecord::Deletions(Network::TWITTER, vec![(id.user, deleted)]);
        }
        _ => {
            let sources = vec![SourceId { topic: "tweets".into(), partition: 0 }];
            let marks = vec![(0, Time(*now - 60_000))];
            return InboxRecord::Tick(Tick { topology: 1, sources, marks, clock: None });
        }
    }
    InboxRecord::To(id, AccountMessage::Post(post))
}

fn item(offset: u64, value: Vec<u8>) -> Item {
    Item::Record(InRecord { offset, timestamp: Time(START), key: None, value: Some(value) })
}

fn batch(items: Vec<Item>) -> Batch {
    Batch { records: items.len() as u64, items, now: Time(START), at_end: false, clocks: Clocks::Agree }
}

/// A compacted topic: the last value of each key.
type Changelog = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Both stages of one partition, fed by hand.
struct Pair {
    accounts: AccountsShard,
    offers: OffersShard,
    changelogs: [Changelog; 2],
    outputs: Vec<OutRecord>,
    offset: u64,
    /// About how many records a batch of accounts may send.
    room: usize,
    /// Batches that left something.
    left: usize,
}

impl Pair {
    fn fresh(room: usize) -> (AccountsShard, OffersShard) {
        let settings = settings();
        let setup = accounts::Setup {
            rules: settings.rules(uuid_of),
            texts: settings.texts(),
            records_max: room,
            dead_letter_body: false,
            partitions: 1,
        };
        let offers = offers::Setup { texts: settings.texts(), uuid_of, dead_letter_body: false, partitions: 1 };
        (
            AccountsShard::new(Arc::new(setup), TopicPartition::new("accounts.inbox", 0)),
            OffersShard::new(Arc::new(offers), TopicPartition::new("offers.inbox", 0)),
        )
    }

    fn new(room: usize) -> Pair {
        let (accounts, offers) = Pair::fresh(room);
        Pair { accounts, offers, changelogs: Default::default(), outputs: Vec::new(), offset: 0, room, left: 0 }
    }

    /// Has a stage take everything, in as many batches as it needs. Answers what goes to the other stage.
    fn step(&mut self, stage: usize, values: &[Vec<u8>], rng: &mut SmallRng, disturb: bool) -> Vec<Vec<u8>> {
        let mut items: Vec<Item> = values.iter().map(|value| item(self.offset, value.clone())).collect();
        self.offset += 1;
        let mut crossing = Vec::new();
        loop {
            let batch = batch(items);
            let decided = self.batch(stage, &batch, rng, disturb);
            items = batch.left_by(&decided);
            crossing.extend(self.publish(stage, decided.records));
            if items.is_empty() {
                return crossing;
            }
            self.left += 1;
            if disturb && rng.random_bool(0.2) {
                self.restore();
            }
        }
    }

    /// Decides, perhaps takes back and decides again, commits.
    fn batch(&mut self, stage: usize, batch: &Batch, rng: &mut SmallRng, disturb: bool) -> Decided {
        let mut decided = self.decide(stage, batch);
        while disturb && rng.random_bool(0.4) {
            if rng.random_bool(0.5) {
                // A batch decided ahead goes first.
                let ahead = self.decide(stage, batch);
                assert!(ahead.records.len() <= decided.records.len() + 64);
                self.take_back(stage);
            }
            self.take_back(stage);
            let again = self.decide(stage, batch);
            assert_eq!(again, decided, "a batch that was taken back is decided the same way again");
            decided = again;
        }
        match stage {
            0 => self.accounts.committed(),
            _ => self.offers.committed(),
        }
        decided
    }

    fn publish(&mut self, stage: usize, records: Vec<OutRecord>) -> Vec<Vec<u8>> {
        let mut crossing = Vec::new();
        for record in records {
            match &*record.topic {
                "accounts.changelog" | "offers.changelog" => {
                    self.changelogs[stage].insert(record.key.unwrap_or_default(), record.value);
                }
                "accounts.inbox" | "offers.inbox" => crossing.extend(record.value),
                _ => self.outputs.push(record),
            }
        }
        crossing
    }

    fn decide(&mut self, stage: usize, batch: &Batch) -> Decided {
        match stage {
            0 => self.accounts.decide(batch),
            _ => self.offers.decide(batch),
        }
    }

    fn take_back(&mut self, stage: usize) {
        match stage {
            0 => self.accounts.take_back(),
            _ => self.offers.take_back(),
        }
    }

    /// Throws the shards away and restores them from their changelogs.
    fn restore(&mut self) {
        (self.accounts, self.offers) = Pair::fresh(self.room);
        for (key, value) in &self.changelogs[0] {
            self.accounts.restore(key, value.as_deref()).expect("the changelog is readable");
        }
        for (key, value) in &self.changelogs[1] {
            self.offers.restore(key, value.as_deref()).expect("the changelog is readable");
        }
    }
}

/// Runs a history and gives everything that came out. With `disturb`, batches are taken back and shards restored.
fn run(seed: u64, disturb: bool) -> (Vec<OutRecord>, [Changelog; 2]) {
    let pair = run_with(usize::MAX, seed, disturb);
    (pair.outputs, pair.changelogs)
}

fn run_with(room: usize, seed: u64, disturb: bool) -> Pair {
    let mut history = SmallRng::seed_from_u64(seed);
    let mut faults = SmallRng::seed_from_u64(!seed);
    let mut now = START;
    let mut pair = Pair::new(room);
    for offer in 0..2 {
        let published = Offer {
            terms: (*terms(offer)).clone(),
            quantity: (offer == 0).then_some(5),
            waitlist_max: 3,
            withdrawn: false,
            credit: None,
            codes: Vec::new(),
        };
        let message = OfferMessage::Published(Arc::new(published));
        let record = OffersRecord::To(terms(offer).offer.clone(), message);
        pair.step(1, &[internal::encode_offers(&record)], &mut faults, disturb);
    }
    for _ in 0..60 {
        let n = history.random_range(1..8);
        let inbox: Vec<Vec<u8>> = (0..n).map(|_| internal::encode_inbox(&message(&mut history, &mut now))).collect();
        let requests = pair.step(0, &inbox, &mut faults, disturb);
        let answers = pair.step(1, &requests, &mut faults, disturb);
        if !answers.is_empty() {
            let more = pair.step(0, &answers, &mut faults, disturb);
            let last = pair.step(1, &more, &mut faults, disturb);
            pair.step(0, &last, &mut faults, disturb);
        }
        if disturb && faults.random_bool(0.2) {
            pair.restore();
        }
    }
    pair
}

#[test]
fn take_backs_and_restores_change_nothing() {
    let (mut payments, mut events) = (0, 0);
    for seed in 0..HISTORIES {
        let calm = run(seed, false);
        let disturbed = run(seed, true);
        assert!(calm == disturbed, "seed {seed}: a disturbed run differs from a calm one");
        payments += calm.0.iter().filter(|record| &*record.topic == "payments.authorized").count();
        events += calm.0.iter().filter(|record| &*record.topic == "purchases.events").count();
    }
    assert!(payments > 100 && events > 1000, "histories must reach payments: {payments} payments, {events} events");
}

/// However little fits into a batch, and wherever between two of them the shard is restored: the same comes out, but
/// for how often a funnel is told.
#[test]
fn much_that_is_due_at_once_comes_in_several_batches() {
    let mut left = 0;
    for seed in (0..HISTORIES).step_by(3) {
        let whole = run_with(usize::MAX, seed, false);
        for room in [1, 2, 7] {
            let parts = run_with(room, seed, true);
            let told = |pair: &Pair| -> Vec<OutRecord> {
                pair.outputs.iter().filter(|record| &*record.topic != "offers.funnel").cloned().collect()
            };
            assert!(told(&whole) == told(&parts), "seed {seed}, {room} records a batch: something else came out");
            assert!(whole.changelogs == parts.changelogs, "seed {seed}, {room} records a batch: another state");
            left += parts.left;
        }
    }
    assert!(left > 1_500, "batches must leave something: {left}");
}

#[test]
fn stock_is_never_oversold_and_every_hold_ends_once() {
    for seed in 0..HISTORIES {
        let (outputs, _) = run(seed, true);
        let mut paid = BTreeMap::new();
        for record in outputs.iter().filter(|record| &*record.topic == "payments.authorized") {
            let value: serde_json::Value =
                serde_json::from_slice(record.value.as_deref().unwrap_or_default()).expect("JSON");
            *paid.entry(value["purchase"].to_string()).or_insert(0) += 1;
            assert_eq!(paid[&value["purchase"].to_string()], 1, "seed {seed}: I2");
        }
        let limited = outputs.iter().filter(|record| &*record.topic == "payments.authorized").filter(|record| {
            let value: serde_json::Value =
                serde_json::from_slice(record.value.as_deref().unwrap_or_default()).expect("JSON");
            value["offer"] == "alpha"
        });
        assert!(limited.count() <= 5, "seed {seed}: I4");
    }
}

/// A funnel's addition may be read before its offer: they come from different partitions.
#[test]
fn a_funnel_is_told_once_its_offer_is_known() {
    let mut pair = Pair::new(usize::MAX);
    let to = |message| internal::encode_offers(&OffersRecord::To("alpha".to_owned(), message));
    let funnel = |records: &[OutRecord]| records.iter().filter(|record| &*record.topic == "offers.funnel").count();
    let delta = FunnelDelta { at: Time(START), mentions: 3, ..FunnelDelta::default() };
    let early = pair.decide(1, &batch(vec![item(0, to(OfferMessage::Funnel(delta)))]));
    assert_eq!(funnel(&early.records), 0);
    let told = pair.decide(1, &batch(vec![item(1, to(OfferMessage::Published(Arc::new(offer(0)))))]));
    assert_eq!(funnel(&told.records), 1, "{told:?}");
}

/// Who has not heard yet that a unit is his may give up his place as of long ago: the unit was not free then.
#[test]
fn a_unit_that_is_given_up_before_it_was_free_is_free_since_it_was() {
    let mut pair = Pair::new(usize::MAX);
    let one = Offer { quantity: Some(1), ..offer(0) };
    let mut records = vec![OfferMessage::Published(Arc::new(one))];
    let at = |minutes: i64| Time(START + minutes * 60_000);
    let stock = |number: u8, minutes, action| {
        let (purchase, account) = (Uuid([number; 16]), account(number.into()));
        OfferMessage::Stock(StockRequest { purchase, account, at: at(minutes), action })
    };
    records.extend((1..=3).map(|number| stock(number, number.into(), StockAction::Hold)));
    records.push(stock(1, 14, StockAction::Release));
    records.push(stock(2, 5, StockAction::Release));
    let items = (0..)
        .zip(records)
        .map(|(offset, message)| item(offset, internal::encode_offers(&OffersRecord::To("alpha".to_owned(), message))));
    let told = pair.decide(1, &batch(items.collect()));
    let freed: Vec<(Uuid, StockVerdict)> = told
        .records
        .iter()
        .filter(|record| &*record.topic == "accounts.inbox")
        .filter_map(|record| {
            let decoded = internal::decode_inbox(record.key.as_deref(), record.value.as_deref().unwrap_or_default());
            match decoded.expect("it is ours") {
                InboxRecord::To(_, AccountMessage::Stock(answer)) => Some((answer.purchase, answer.verdict)),
                _ => None,
            }
        })
        .filter(|(_, verdict)| matches!(verdict, StockVerdict::Freed { .. }))
        .collect();
    let freed_at_14 = |number| (Uuid([number; 16]), StockVerdict::Freed { at: at(14) });
    assert_eq!(freed, [freed_at_14(2), freed_at_14(3)]);
}
