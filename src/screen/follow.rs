//! Every screen worker knows the whole `offers` topic: read to its end at start, followed after.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::catalogue::{Catalogue, RetiredTags, Service};
use super::setup::{ScreenSetup, Shared};
use super::side::OFFERS;
use crate::bus::{Budget, Bus, BusError, Reader, TopicPartition};
use crate::domain::{Network, Offer};
use crate::wire::inputs::{self, OfferRecord};

/// Reads the `offers` topic outside every group and keeps the shared catalogue up to date.
pub struct Follower {
    state: Mutex<State>,
    service: Service,
    read_offer: fn(serde_json::Value, u64) -> Result<Offer, String>,
    record_bytes_max: usize,
}

struct State {
    reader: Box<dyn Reader>,
    positions: Vec<(TopicPartition, u64)>,
    offers: BTreeMap<String, Arc<Offer>>,
    /// Tags of superseded versions: who was told them may still confirm and cancel by them.
    retired: Vec<RetiredTags>,
}

impl Follower {
    pub fn new(
        bus: &dyn Bus,
        service: Service,
        read_offer: fn(serde_json::Value, u64) -> Result<Offer, String>,
        record_bytes_max: usize,
    ) -> Result<Follower, BusError> {
        let partitions = bus.partitions(OFFERS)?;
        let positions = (0..partitions).map(|p| (TopicPartition::new(OFFERS, p), 0)).collect();
        let state = State { reader: bus.reader()?, positions, offers: BTreeMap::new(), retired: Vec::new() };
        Ok(Follower { state: Mutex::new(state), service, read_offer, record_bytes_max })
    }

    /// A catalogue without offers, for the time before the first [`Follower::follow`].
    pub fn empty(&self) -> Catalogue {
        Catalogue::new([], [], self.service.clone())
    }

    /// Reads what is new and replaces the catalogue if that changed it. What can't be understood is passed over here; the
    /// shard of its partition makes the dead letter.
    pub fn follow(&self, catalogue: &Shared<Catalogue>) -> Result<(), BusError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let mut changed = false;
        for (at, position) in &mut state.positions {
            let end = state.reader.end(at)?;
            while *position < end {
                let (offers, retired) = (&mut state.offers, &mut state.retired);
                let next = state.reader.read(at, *position, Budget::BULK, &mut |record| {
                    changed |= self.take(record.value, record.key, record.offset, offers, retired);
                })?;
                if next <= *position {
                    break;
                }
                *position = next;
            }
        }
        if changed {
            let offers = state.offers.values().cloned();
            catalogue.set(Catalogue::new(offers, state.retired.iter().cloned(), self.service.clone()));
        }
        Ok(())
    }

    /// The ids that the topic knows, withdrawn ones too, for seeding.
    pub fn known(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).offers.keys().cloned().collect()
    }

    fn take(
        &self,
        value: Option<&[u8]>,
        key: Option<&[u8]>,
        offset: u64,
        offers: &mut BTreeMap<String, Arc<Offer>>,
        retired: &mut Vec<RetiredTags>,
    ) -> bool {
        let new = match inputs::parse_offer_envelope(value, key, self.record_bytes_max) {
            Ok(Some(OfferRecord::Spec { spec, .. })) => match (self.read_offer)(spec, offset) {
                Ok(offer) => offer,
                Err(_) => return false,
            },
            Ok(Some(OfferRecord::Withdrawn { id })) => match offers.get(&id) {
                Some(offer) => Offer { withdrawn: true, ..(**offer).clone() },
                None => return false,
            },
            Ok(None) | Err(_) => return false,
        };
        if let Some(old) = offers.get(&new.terms.offer) {
            let tags = (old.terms.buy.clone(), old.terms.confirm.clone(), old.terms.cancel.clone());
            let same = tags == (new.terms.buy.clone(), new.terms.confirm.clone(), new.terms.cancel.clone());
            if !same && !retired.contains(&tags) {
                retired.push(tags);
            }
        }
        offers.insert(new.terms.offer.clone(), Arc::new(new));
        true
    }
}

impl ScreenSetup {
    /// The network of a post topic's authors; `None` for side inputs.
    pub fn network_of(&self, topic: &str) -> Option<Network> {
        self.sources.iter().find(|(source, _)| **source == *topic).map(|(_, network)| *network)
    }
}
