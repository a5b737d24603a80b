//! Collects what a batch makes: records in order, the funnel's additions once per offer, counts for the metrics.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::bus::OutRecord;
use crate::domain::{
    AccountId, Event, FunnelDelta, OfferMessage, OffersRecord, Reason, ReplyKind, State, Time, Transition,
};
use crate::planted::{self, Bug};
use crate::wire::texts::Texts;
use crate::wire::{internal, outputs};

/// What happened in a batch, counted only when it is committed.
#[derive(Debug, Default)]
pub struct Counts {
    pub transitions: HashMap<(State, Option<Reason>), u64>,
    /// Confirms that concerned a purchase and changed nothing.
    pub rejected_confirms: HashMap<Reason, u64>,
    pub replies: HashMap<ReplyKind, u64>,
    /// Confirms and retweets that concerned no purchase.
    pub unconcerned: HashMap<Reason, u64>,
    /// Replies to authors whose handle nobody told.
    pub unaddressed: u64,
}

pub struct Outbox {
    pub records: Vec<OutRecord>,
    /// Events of the message under judgement; [`Outbox::flush`] turns them into records.
    pub events: Vec<Event>,
    pub counts: Counts,
    /// Accounts that a tick woke and so changed.
    pub woken: HashSet<AccountId>,
    funnel: BTreeMap<String, FunnelDelta>,
    offers_inbox: Arc<str>,
}

impl Outbox {
    pub(super) fn new() -> Outbox {
        Outbox {
            records: Vec::new(),
            events: Vec::new(),
            counts: Counts::default(),
            woken: HashSet::new(),
            funnel: BTreeMap::new(),
            offers_inbox: Arc::from("offers.inbox"),
        }
    }

    /// Turns the events of one message into records, in their order.
    pub fn flush(&mut self, texts: &Texts) {
        for event in std::mem::take(&mut self.events) {
            self.count(&event);
            match &event {
                Event::Stock(offer, request) => {
                    let message = OfferMessage::Stock(request.clone());
                    self.send_to_offer(offer.clone(), message);
                }
                Event::Transition(transition) => self.add_to_funnel(transition),
                _ => {}
            }
            self.records.extend(outputs::record_of(&event, texts));
        }
    }

    /// One record per offer for everything that the batch added to its funnel.
    pub fn flush_funnel(&mut self) {
        for (offer, delta) in std::mem::take(&mut self.funnel) {
            self.send_to_offer(offer, OfferMessage::Funnel(delta));
        }
    }

    fn send_to_offer(&mut self, offer: String, message: OfferMessage) {
        let key = Some(offer.clone().into_bytes());
        let value = Some(internal::encode_offers(&OffersRecord::To(offer, message)));
        let topic = self.offers_inbox.clone();
        self.records.push(OutRecord { topic, partition: None, key, value, headers: Vec::new() });
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Transition(t) => match t.reason {
                Some(reason) if t.from == Some(t.to) => *self.counts.rejected_confirms.entry(reason).or_default() += 1,
                _ => *self.counts.transitions.entry((t.to, t.reason)).or_default() += 1,
            },
            Event::Reply(reply) | Event::Direct(reply) => {
                *self.counts.replies.entry(reply.kind).or_default() += 1;
                self.counts.unaddressed += u64::from(reply.handle.is_none());
            }
            Event::Counted(reason) => *self.counts.unconcerned.entry(*reason).or_default() += 1,
            _ => {}
        }
    }

    fn add_to_funnel(&mut self, transition: &Transition) {
        let counts_nothing =
            matches!(transition.to, State::Waitlisted | State::Approving | State::Paying | State::Rejected);
        let changed = transition.from != Some(transition.to) || planted::is(Bug::FunnelCountsRejections);
        if !changed || counts_nothing {
            return;
        }
        let delta = self.funnel.entry(transition.terms.offer.clone()).or_default();
        delta.at = delta.at.max(transition.at).max(Time(0));
        match transition.to {
            State::Ordered => delta.buys += 1,
            State::Prompted => delta.prompts += 1,
            State::Authorized => {
                delta.confirms += 1;
                delta.authorized += 1;
                delta.revenue_minor += transition.terms.amount.minor;
                let ms = transition.confirm_ms.unwrap_or_default();
                delta.confirm_ms.push(u32::try_from(ms.max(0)).unwrap_or(u32::MAX));
            }
            State::Fulfilled => delta.fulfilled += 1,
            State::Expired => delta.expired += 1,
            State::Cancelled => {
                delta.cancelled += 1;
                if transition.from == Some(State::Authorized) {
                    delta.revenue_minor -= transition.terms.amount.minor;
                }
            }
            State::Declined => delta.declined += 1,
            State::SoldOut => delta.sold_out += 1,
            State::Waitlisted | State::Approving | State::Paying | State::Rejected => {}
        }
    }
}
