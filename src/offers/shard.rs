//! One partition of the offers stage. Invariant I4 lives here: per offer held + sold never exceed the quantity that new
//! holds are measured by, and every hold is sold or released exactly once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::book::{Book, Claim, Entry, Waiter};
use super::codec;
use super::funnel::Totals;
use crate::bus::{OutRecord, TopicPartition};
use crate::domain::watermark::Watermark;
use crate::domain::{
    AccountId, AccountMessage, Funnel, InboxRecord, Offer, OfferEvent, OfferKind, OfferMessage, OffersRecord,
    PurchaseId, StockAction, StockAnswer, StockRequest, StockVerdict, Time, Uuid,
};
use crate::engine::shard::{Batch, Decided, InRecord, Item, RestoreError, Shard};
use crate::planted::{self, Bug};
use crate::telemetry;
use crate::wire::texts::Texts;
use crate::wire::{internal, outputs};

/// What every shard of the stage shares.
pub struct Setup {
    pub texts: Texts,
    pub uuid_of: fn(&str) -> Uuid,
    pub dead_letter_body: bool,
    /// Of `offers.inbox`.
    pub partitions: u32,
}

/// The offers of one inbox partition.
pub struct OffersShard {
    setup: Arc<Setup>,
    at: TopicPartition,
    book: Book,
    watermark: Watermark,
    /// Watermarks before each open batch, where a tick changed it.
    layers: VecDeque<Option<Watermark>>,
}

pub enum OffersQuery {
    All,
}

#[derive(Debug)]
pub enum OffersAnswer {
    All(Vec<OfferView>),
}

/// An offer as operators see it.
#[derive(Clone, Debug)]
pub struct OfferView {
    pub offer: Arc<Offer>,
    pub held: u64,
    pub sold: u64,
    pub waiting: u64,
    pub funnel: Funnel,
}

impl OffersShard {
    pub fn new(setup: Arc<Setup>, at: TopicPartition) -> OffersShard {
        OffersShard { setup, at, book: Book::default(), watermark: Watermark::default(), layers: VecDeque::new() }
    }

    fn read(&mut self, record: &InRecord, out: &mut Out) {
        let value = record.value.as_deref().unwrap_or_default();
        match internal::decode_offers(value) {
            Ok(OffersRecord::To(offer, message)) => self.receive(&offer, message, out),
            Ok(OffersRecord::Tick(tick)) => {
                let before = self.watermark.clone();
                if self.watermark.tick(&tick) {
                    if let Some(layer) = self.layers.back_mut() {
                        layer.get_or_insert(before);
                    }
                    self.pass(out);
                }
            }
            Err(error) => {
                let body = self.setup.dead_letter_body;
                out.records.push(record.dead_letter(&self.at, "wrong_type", &error.to_string(), body));
            }
        }
    }

    fn receive(&mut self, id: &str, message: OfferMessage, out: &mut Out) {
        match message {
            OfferMessage::Published(offer) => self.publish(id, offer, out),
            OfferMessage::Withdrawn { version } => self.withdraw(id, version),
            OfferMessage::Stock(request) if self.book.entry(id).offer.is_none() => {
                self.book.entry(id).parked.push(request);
            }
            OfferMessage::Stock(request) => self.stock(id, &request, out),
            OfferMessage::Funnel(delta) => {
                self.book.entry(id).totals.add(&delta);
                out.funnels.insert(id.to_owned());
            }
        }
    }

    fn publish(&mut self, id: &str, offer: Arc<Offer>, out: &mut Out) {
        let entry = self.book.entry(id);
        let older = entry.offer.as_ref().is_some_and(|known| known.terms.version >= offer.terms.version);
        if older {
            return;
        }
        let withdrawn = entry.withdrawn.is_some_and(|version| version > offer.terms.version);
        let offer = if withdrawn { Arc::new(Offer { withdrawn, ..(*offer).clone() }) } else { offer };
        if entry.offer.replace(offer).is_none() && entry.totals != Totals::default() {
            // What was counted before the offer was known could not be told: it had no currency.
            out.funnels.insert(id.to_owned());
        }
        // A window that was over before it began would serve nobody. Posts are never far ahead of the clock, which the
        // times of links and deletions may be.
        let freed_at = entry.last_posted_at.max(self.watermark.value).unwrap_or_default();
        for request in std::mem::take(&mut entry.parked) {
            self.stock(id, &request, out);
        }
        self.serve_line(id, freed_at, out);
        self.announce(id, out);
    }

    /// What is held stays held and is served; the screen lets nobody order any more. Nothing that was said before, in
    /// another partition, puts it on sale again.
    fn withdraw(&mut self, id: &str, version: u64) {
        let entry = self.book.entry(id);
        entry.withdrawn = entry.withdrawn.max(Some(version));
        if let Some(offer) = entry.offer.as_mut().filter(|offer| offer.terms.version < version && !offer.withdrawn) {
            *offer = Arc::new(Offer { withdrawn: true, ..(**offer).clone() });
        }
    }

    fn stock(&mut self, id: &str, request: &StockRequest, out: &mut Out) {
        let claim = self.book.claims.get(&request.purchase).cloned();
        if matches!(request.action, StockAction::Hold | StockAction::Sell | StockAction::SellOpen) {
            let entry = self.book.entry(id);
            entry.last_posted_at = entry.last_posted_at.max(Some(request.at));
        }
        match (request.action, claim) {
            (StockAction::Hold, None) => self.hold(id, request, out),
            (StockAction::Sell | StockAction::SellOpen, Some(Claim::Held { .. })) => {
                self.book.claims.remove(&request.purchase);
                let entry = self.book.entry(id);
                entry.held -= u64::from(!planted::is(Bug::SaleKeepsHold));
                entry.sold += 1;
                entry.open_sales += u64::from(request.action == StockAction::SellOpen);
                self.end_line(id, request.at, out);
            }
            (StockAction::Release, Some(Claim::Held { since, .. })) => {
                self.book.claims.remove(&request.purchase);
                self.book.entry(id).held -= 1;
                // What was given up before it was free, by who had not heard yet that it was, is free since then.
                let free_at = if planted::is(Bug::FreedBeforeItWas) { request.at } else { request.at.max(since) };
                self.serve_line(id, free_at, out);
            }
            (StockAction::Release, Some(Claim::Waiting { offer, place })) => {
                self.book.claims.remove(&request.purchase);
                self.book.line.remove(&(offer, place));
                self.book.entry(id).waiting -= 1;
            }
            (StockAction::Return, None) => {
                let entry = self.book.entry(id);
                entry.sold = entry.sold.saturating_sub(1);
                entry.open_sales = entry.open_sales.saturating_sub(1);
                self.serve_line(id, request.at, out);
            }
            (StockAction::Settle, None) => {
                let entry = self.book.entry(id);
                entry.open_sales = entry.open_sales.saturating_sub(1);
                self.end_line(id, request.at, out);
            }
            // Every request is sent exactly once; what fits no claim was settled by an earlier one.
            _ => telemetry::stock_request_without_claim(),
        }
    }

    fn hold(&mut self, id: &str, request: &StockRequest, out: &mut Out) {
        let entry = self.book.entry(id);
        let waitlist_max = entry.offer.as_ref().map_or(0, |offer| offer.waitlist_max);
        let may_free_up = entry.held > 0 || entry.open_sales > 0;
        let verdict = if entry.has_free() {
            entry.hold_one();
            let claim = Claim::Held { offer: id.to_owned(), since: request.at };
            self.book.claims.insert(&request.purchase, claim);
            StockVerdict::Held
        } else if entry.waiting < waitlist_max && may_free_up {
            let place = entry.tail;
            entry.tail += 1;
            entry.waiting += 1;
            let waiter = Waiter { purchase: request.purchase, account: request.account };
            self.book.line.insert(&(id.to_owned(), place), waiter);
            self.book.claims.insert(&request.purchase, Claim::Waiting { offer: id.to_owned(), place });
            StockVerdict::Waitlisted
        } else {
            StockVerdict::SoldOut
        };
        out.answer(request.account, request.purchase, verdict);
    }

    /// Stock is free: the next in line holds it, as of what freed it.
    fn serve_line(&mut self, id: &str, at: Time, out: &mut Out) {
        while self.book.entry(id).has_free() {
            let Some(waiter) = self.book.pop_waiter(id) else { return };
            self.book.entry(id).hold_one();
            self.book.claims.insert(&waiter.purchase, Claim::Held { offer: id.to_owned(), since: at });
            out.answer(waiter.account, waiter.purchase, StockVerdict::Freed { at });
        }
        self.end_line(id, at, out);
    }

    /// When all is sold for good nobody in line can be served any more: they are told, so that nothing waits for ever
    /// (I10).
    fn end_line(&mut self, id: &str, at: Time, out: &mut Out) {
        let entry = self.book.entry(id);
        if entry.held > 0 || entry.has_free() || entry.open_sales > 0 {
            return;
        }
        while let Some(waiter) = self.book.pop_waiter(id) {
            self.book.claims.remove(&waiter.purchase);
            out.answer(waiter.account, waiter.purchase, StockVerdict::Exhausted { at });
        }
    }

    /// The watermark moved: offers open.
    fn pass(&mut self, out: &mut Out) {
        let mut ids: Vec<String> = self.book.entries.iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        for id in ids {
            self.announce(&id, out);
        }
    }

    /// The offer tweet itself, once, when event time reaches the opening.
    fn announce(&mut self, id: &str, out: &mut Out) {
        let Some(Entry { offer: Some(offer), announced: false, .. }) = self.book.entries.get(&id.to_owned()) else {
            return;
        };
        let (Some(mark), opens) = (self.watermark.value, offer.terms.opens) else { return };
        let at = opens.unwrap_or(mark);
        let due = at <= mark && offer.terms.closes.is_none_or(|closes| mark <= closes);
        if !due || offer.withdrawn || offer.terms.kind != OfferKind::Purchase {
            return;
        }
        let terms = Arc::new(offer.terms.clone());
        let uuid = (self.setup.uuid_of)(&format!("reply|announcement|{id}"));
        self.book.entry(id).announced = true;
        out.events.push(OfferEvent::Announcement { id: uuid, terms, at });
    }

    /// Every offer, by id.
    pub fn view(&self) -> Vec<OfferView> {
        let mut views: Vec<OfferView> = self.book.entries.iter().filter_map(|(id, entry)| view_of(id, entry)).collect();
        views.sort_by(|a, b| a.offer.terms.offer.cmp(&b.offer.terms.offer));
        views
    }

    fn changelog(&self, out: &mut Out) {
        let mut log = |key: String, value: Option<Vec<u8>>| {
            let topic: Arc<str> = Arc::from(codec::CHANGELOG);
            let (partition, key) = (Some(self.at.partition), Some(key.into_bytes()));
            out.records.push(OutRecord { topic, partition, key, value, headers: Vec::new() });
        };
        for id in self.book.entries.changed() {
            log(codec::entry_key(id), self.book.entries.get(id).map(codec::encode_entry));
        }
        for id in self.book.claims.changed() {
            log(codec::claim_key(id), self.book.claims.get(id).map(codec::encode_claim));
        }
        for place in self.book.line.changed() {
            log(codec::place_key(place), self.book.line.get(place).map(codec::encode_waiter));
        }
        if self.layers.back().is_some_and(Option::is_some) {
            log(
                codec::WATERMARK_KEY.to_owned(),
                Some(internal::encode_watermark(&self.watermark, self.setup.partitions)),
            );
        }
    }
}

impl Shard for OffersShard {
    type Query = OffersQuery;
    type Answer = OffersAnswer;

    fn decide(&mut self, batch: &Batch) -> Decided {
        self.book.open_layer();
        self.layers.push_back(None);
        let mut out = Out::default();
        for item in &batch.items {
            match item {
                Item::Record(record) => self.read(record, &mut out),
                Item::Moment(_) => {}
            }
            out.flush(&self.setup.texts);
        }
        for id in std::mem::take(&mut out.funnels) {
            let view = self.book.entries.get(&id).and_then(|entry| view_of(&id, entry));
            out.events.extend(view.map(|view| OfferEvent::Funnel(view.funnel)));
        }
        out.flush(&self.setup.texts);
        self.changelog(&mut out);
        Decided { records: out.records, ..Decided::default() }
    }

    fn committed(&mut self) {
        self.book.drop_oldest_layer();
        self.layers.pop_front();
        self.tell();
    }

    fn take_back(&mut self) {
        self.book.take_back();
        if let Some(Some(before)) = self.layers.pop_back() {
            self.watermark = before;
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RestoreError> {
        codec::restore(&mut self.book, (&mut self.watermark, self.setup.partitions), key, value)
            .map_err(|why| RestoreError { key: String::from_utf8_lossy(key).into_owned(), why })
    }

    fn tell(&self) {
        for (id, entry) in self.book.entries.iter() {
            telemetry::stock(id, entry.held, entry.sold, entry.waiting);
        }
    }

    fn tell_left(&self) {
        self.book.entries.iter().for_each(|(id, _)| telemetry::stock(id, 0, 0, 0));
    }

    fn query(&self, query: OffersQuery) -> OffersAnswer {
        match query {
            OffersQuery::All => OffersAnswer::All(self.view()),
        }
    }
}

fn view_of(id: &str, entry: &Entry) -> Option<OfferView> {
    let offer = entry.offer.clone()?;
    let funnel = entry.totals.funnel(id, offer.terms.amount.currency);
    Some(OfferView { offer, held: entry.held, sold: entry.sold, waiting: entry.waiting, funnel })
}

/// What a batch makes.
#[derive(Default)]
struct Out {
    records: Vec<OutRecord>,
    events: Vec<OfferEvent>,
    funnels: BTreeSet<String>,
}

impl Out {
    fn answer(&mut self, account: AccountId, purchase: PurchaseId, verdict: StockVerdict) {
        self.events.push(OfferEvent::Answer(account, StockAnswer { purchase, verdict }));
    }

    fn flush(&mut self, texts: &Texts) {
        for event in std::mem::take(&mut self.events) {
            if let OfferEvent::Answer(account, answer) = event {
                let key = Some(account.to_string().into_bytes());
                let message = InboxRecord::To(account, AccountMessage::Stock(answer));
                let value = Some(internal::encode_inbox(&message));
                let topic: Arc<str> = Arc::from("accounts.inbox");
                self.records.push(OutRecord { topic, partition: None, key, value, headers: Vec::new() });
            } else {
                self.records.extend(outputs::record_of_offer_event(&event, texts));
            }
        }
    }
}
