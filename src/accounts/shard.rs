//! One partition of the accounts stage: inbox records in, records out. Pure: the same records give the same records.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::codec;
use super::outbox::{Counts, Outbox};
use super::table::Table;
use crate::bus::{OutRecord, TopicPartition};
use crate::domain::account::Account;
use crate::domain::verdict::Judge;
use crate::domain::watermark::Watermark;
use crate::domain::{
    AccountId, AccountMessage, DeletedPost, InboxRecord, LinkChange, Network, Rules, State, Terms, Tick, Time,
};
use crate::engine::pressure::Standing;
use crate::engine::shard::{Batch, Decided, InRecord, Item, RestoreError, Shard};
use crate::planted::{self, Bug};
use crate::telemetry;
use crate::wire::internal;
use crate::wire::texts::Texts;

/// What every shard of the stage shares.
pub struct Setup {
    pub rules: Rules,
    pub texts: Texts,
    /// About so many records are sent by one batch: what is due at once may be a million purchases, and a transaction
    /// must end before the log gives it up.
    pub records_max: usize,
    /// `dead_letters.body`.
    pub dead_letter_body: bool,
    /// Of `accounts.inbox`.
    pub partitions: u32,
}

/// The accounts of one inbox partition.
pub struct AccountsShard {
    setup: Arc<Setup>,
    at: TopicPartition,
    table: Table,
    watermark: Watermark,
    /// One copy of the terms of each offer version, however many purchases hold them.
    terms: HashMap<(String, u64), Arc<Terms>>,
    layers: VecDeque<Layer>,
}

/// What an open batch changed besides the table.
struct Layer {
    watermark: Option<Watermark>,
    counts: Counts,
}

/// What HTTP and commands may ask of a shard.
pub enum AccountsQuery {
    Account(AccountId),
    Stats,
    /// How many prompted purchases end by each of these times, given in order.
    Pending(Vec<Time>),
}

#[derive(Debug)]
pub enum AccountsAnswer {
    Account(Option<Box<Account>>, Option<Time>),
    Stats {
        accounts: usize,
        waiting: usize,
        kept_bytes: usize,
        watermark: Option<Time>,
    },
    /// One count for each time asked, of what ends after the one before; what ends after all of them comes last.
    Pending(Vec<usize>),
}

/// How the note of a position begins whose record is a tick that was begun. The last that was woken follows: a position
/// and its note stand for one state (a parked shard is taken up again where they are what they were).
pub const BEGUN: &str = "begun";

/// The changelog key of the watermark; account keys hold a colon.
pub const WATERMARK_KEY: &[u8] = b"watermark";

impl AccountsShard {
    pub fn new(setup: Arc<Setup>, at: TopicPartition) -> AccountsShard {
        AccountsShard {
            setup,
            at,
            table: Table::default(),
            watermark: Watermark::default(),
            terms: HashMap::new(),
            layers: VecDeque::new(),
        }
    }

    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.table.get(id)
    }

    /// Batches that could be taken back: none while nothing is under way.
    pub fn undo_layers(&self) -> usize {
        self.table.layers()
    }

    /// Answers whom it woke last if the record is a tick that was only begun.
    fn read(&mut self, record: &InRecord, out: &mut Outbox) -> Option<(Time, AccountId)> {
        let value = record.value.as_deref().unwrap_or_default();
        match internal::decode_inbox(record.key.as_deref(), value) {
            Ok(InboxRecord::To(id, message)) => self.deliver(id, message, out),
            Ok(InboxRecord::Deletions(network, deletions)) => self.delete_all(network, deletions, out),
            Ok(InboxRecord::Tick(tick)) => return self.tick(&tick, out),
            Err(error) => {
                let body = self.setup.dead_letter_body;
                out.records.push(record.dead_letter(&self.at, "wrong_type", &error.to_string(), body));
            }
        }
        None
    }

    /// Whether the batch has made enough. Only by what is sent and logged, so that it is all the same in which batches
    /// that made nothing the records before it came.
    fn is_full(&self, out: &Outbox) -> bool {
        out.records.len() + out.woken.len() >= self.setup.records_max
    }

    fn deliver(&mut self, id: AccountId, mut message: AccountMessage, out: &mut Outbox) {
        self.intern(&mut message);
        self.judge(id, out, |judge| judge.receive(message));
    }

    /// Deletions are as many as a tenth of a firehose and mostly nobody's: accounts that can have ordered nothing drop
    /// them.
    fn delete_all(&mut self, network: Network, deletions: Vec<(u64, DeletedPost)>, out: &mut Outbox) {
        for (user, deleted) in deletions {
            let id = AccountId { network, user };
            let (mark, rules) = (self.watermark.value, &self.setup.rules);
            let concerned = self.table.get(&id).is_some_and(|account| account.may_have_ordered(mark, rules));
            if concerned {
                self.judge(id, out, |judge| judge.receive(AccountMessage::Deleted(deleted)));
            }
        }
    }

    /// Ends what is due, or as much of it as fits: then the watermark stays where it was until the tick is read again,
    /// and whoever was woken is not due any more.
    fn tick(&mut self, tick: &Tick, out: &mut Outbox) -> Option<(Time, AccountId)> {
        let before = self.watermark.clone();
        if !self.watermark.tick(tick) {
            return None;
        }
        let (mark, mut last) = (self.watermark.value, None);
        while let Some((due, id)) = mark.and_then(|mark| self.table.first_passed(mark)) {
            if last.is_some() && self.is_full(out) {
                if planted::is(Bug::BegunTickDone) {
                    break;
                }
                self.watermark = before;
                return last;
            }
            last = Some((due, id));
            out.woken.insert(id);
            self.judge(id, out, |judge| judge.wake(due));
            let next = self.table.get(&id).and_then(|account| account.next_wake(&self.setup.rules));
            assert!(next.is_none_or(|next| next > due), "account {id} does not get past its deadline (I10)");
        }
        if let Some(layer) = self.layers.back_mut()
            && layer.watermark.is_none()
        {
            layer.watermark = Some(before);
        }
        None
    }

    fn judge(&mut self, id: AccountId, out: &mut Outbox, with: impl FnOnce(&mut Judge<'_>)) {
        let (rules, watermark) = (&self.setup.rules, &self.watermark);
        let overloaded = self.table.kept_bytes() >= rules.limits.kept_bytes_per_shard;
        let events = &mut out.events;
        self.table.change(id, rules, |account| {
            with(&mut Judge {
                rules,
                id,
                account,
                watermark: watermark.value,
                clock: watermark.clock,
                overloaded,
                out: events,
            });
        });
        out.flush(&self.setup.texts);
        if out.woken.contains(&id) && !self.table.has_changed(&id) {
            out.woken.remove(&id);
        }
    }

    fn intern(&mut self, message: &mut AccountMessage) {
        if let AccountMessage::Post(intent) = message {
            for terms in &mut intent.orders {
                intern(&mut self.terms, terms);
            }
        }
    }

    fn changelog(&self, out: &mut Outbox) {
        let topic: Arc<str> = Arc::from(codec::CHANGELOG);
        let partition = Some(self.at.partition);
        let partition = if planted::is(Bug::ChangelogInPartitionZero) { Some(0) } else { partition };
        for (id, account) in self.table.changed() {
            if account.is_none() && planted::is(Bug::TombstoneMissing) {
                continue;
            }
            let key = Some(id.to_string().into_bytes());
            let value = account.map(codec::encode_account);
            out.records.push(OutRecord { topic: topic.clone(), partition, key, value, headers: Vec::new() });
        }
        let moved = self.layers.back().is_some_and(|layer| layer.watermark.is_some());
        if moved && !planted::is(Bug::WatermarkNotLogged) {
            let value = Some(internal::encode_watermark(&self.watermark, self.setup.partitions));
            let key = Some(WATERMARK_KEY.to_vec());
            out.records.push(OutRecord { topic, partition, key, value, headers: Vec::new() });
        }
    }

    fn pending(&self, ends: &[Time]) -> Vec<usize> {
        let mut counts = vec![0; ends.len() + 1];
        let prompted = self.table.iter().flat_map(|(_, account)| &account.purchases);
        for deadline in prompted.filter(|p| p.state == State::Prompted).filter_map(|p| p.deadline) {
            counts[ends.partition_point(|end| *end < deadline)] += 1;
        }
        counts
    }

    /// From the bound on new buys are refused, from a quarter over it the sources of posts wait for each other.
    fn standing(&self) -> Standing {
        let bound = self.setup.rules.limits.kept_bytes_per_shard;
        Standing::Keeper { full: self.table.kept_bytes() >= bound.saturating_add(bound / 4) }
    }
}

impl Shard for AccountsShard {
    type Query = AccountsQuery;
    type Answer = AccountsAnswer;

    fn decide(&mut self, batch: &Batch) -> Decided {
        self.table.open_layer();
        self.layers.push_back(Layer { watermark: None, counts: Counts::default() });
        let mut out = Outbox::new();
        let early = planted::is(Bug::ChangelogBeforeLastRecord);
        let (mut taken, mut note) = (None, String::new());
        for (index, item) in batch.items.iter().enumerate() {
            if early && index + 1 == batch.items.len() {
                self.changelog(&mut out);
            }
            let Item::Record(record) = item else { continue };
            if self.is_full(&out) {
                taken = Some(index);
                break;
            }
            if let Some((due, id)) = self.read(record, &mut out) {
                (taken, note) = (Some(index), format!("{BEGUN} {} {id}", due.0));
                break;
            }
        }
        out.flush_funnel();
        if !early {
            self.changelog(&mut out);
        }
        if let Some(layer) = self.layers.back_mut() {
            layer.counts = std::mem::take(&mut out.counts);
        }
        Decided { records: out.records, note: Some(note), taken, standing: Some(self.standing()) }
    }

    fn committed(&mut self) {
        self.table.drop_oldest_layer();
        if let Some(layer) = self.layers.pop_front() {
            telemetry::verdicts(&layer.counts);
        }
        self.tell();
        // Interned terms that no purchase holds any more go when they outnumber what a catalogue has.
        const INTERNED_TERMS_MAX: usize = 4096;
        if self.terms.len() > INTERNED_TERMS_MAX {
            self.terms.retain(|_, terms| Arc::strong_count(terms) > 1);
        }
    }

    fn take_back(&mut self) {
        self.table.take_back();
        if let Some(Layer { watermark: Some(before), .. }) = self.layers.pop_back()
            && !planted::is(Bug::WatermarkNotTakenBack)
        {
            self.watermark = before;
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RestoreError> {
        let bad = |why: String| RestoreError { key: String::from_utf8_lossy(key).into_owned(), why };
        if key == WATERMARK_KEY {
            let read = internal::decode_watermark(value.unwrap_or_default(), self.setup.partitions);
            self.watermark = read.map_err(bad)?;
            return Ok(());
        }
        let id = std::str::from_utf8(key).ok().and_then(AccountId::parse);
        let id = id.ok_or_else(|| bad("is no account".to_owned()))?;
        let mut account = value.map(codec::decode_account).transpose().map_err(|e| bad(e.to_string()))?;
        if planted::is(Bug::FreezeNotRestored) {
            let links = account.iter_mut().map(|account| &mut account.links);
            links.for_each(|links| links.retain(|entry| !matches!(entry.change, LinkChange::Freeze(_))));
        }
        for purchase in account.iter_mut().flat_map(|account| &mut account.purchases) {
            intern(&mut self.terms, &mut purchase.terms);
        }
        self.table.restore(id, account, &self.setup.rules);
        Ok(())
    }

    fn tell(&self) {
        telemetry::accounts_shard(self.at.partition, self.table.len(), self.table.kept_bytes(), self.watermark.value);
    }

    fn tell_left(&self) {
        telemetry::accounts_shard_left(self.at.partition);
    }

    fn query(&self, query: AccountsQuery) -> AccountsAnswer {
        match query {
            AccountsQuery::Account(id) => {
                AccountsAnswer::Account(self.table.get(&id).cloned().map(Box::new), self.watermark.value)
            }
            AccountsQuery::Stats => AccountsAnswer::Stats {
                accounts: self.table.len(),
                waiting: self.table.iter().map(|(_, account)| account.waiting()).sum(),
                kept_bytes: self.table.kept_bytes(),
                watermark: self.watermark.value,
            },
            AccountsQuery::Pending(ends) => AccountsAnswer::Pending(self.pending(&ends)),
        }
    }
}

fn intern(known: &mut HashMap<(String, u64), Arc<Terms>>, terms: &mut Arc<Terms>) {
    let entry = known.entry((terms.offer.clone(), terms.version)).or_insert_with(|| terms.clone());
    // A version names its terms; should two differ all the same, each purchase keeps what it was ordered by.
    if **entry == **terms {
        *terms = entry.clone();
    }
}
