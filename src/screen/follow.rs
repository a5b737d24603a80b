//! Every screen worker knows the whole `offers` topic: read to its end at start, followed after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::catalogue::{Catalogue, RetiredTags, Service};
use super::setup::{ScreenSetup, Shared};
use super::side::OFFERS;
use crate::bus::{Budget, Bus, BusError, Reader, RecordRef, TopicPartition};
use crate::domain::{Network, Offer};
use crate::wire::inputs::{self, OfferRecord};

/// Reads the `offers` topic outside every group and keeps the shared catalogue up to date.
pub struct Follower {
    state: Mutex<State>,
    service: Service,
    rules: Box<dyn OfferRules>,
    record_bytes_max: usize,
}

/// What makes an offer of the topic a good one; the configuration knows.
pub trait OfferRules: Send + Sync {
    /// Validates an offer's JSON; the version is its record's offset.
    fn read(&self, spec: serde_json::Value, version: u64) -> Result<Offer, String>;

    /// Why it can't stand beside the others.
    fn clash(&self, new: &Offer, others: &mut dyn Iterator<Item = &Offer>) -> Option<String>;
}

struct State {
    reader: Box<dyn Reader>,
    positions: Vec<(TopicPartition, u64)>,
    offers: BTreeMap<String, Arc<Offer>>,
    /// Tags of superseded versions: who was told them may still confirm and cancel by them.
    retired: Vec<RetiredTags>,
    /// Ids that were withdrawn, also those whose offer the topic has forgotten.
    withdrawn: BTreeSet<String>,
    /// (partition, offset) of the records whose offers are no good, and why.
    refused: BTreeMap<(u32, u64), String>,
    /// Something was read that the shared catalogue doesn't show yet, perhaps since a read failed half-way.
    changed: bool,
}

impl Follower {
    pub fn new(
        bus: &dyn Bus,
        service: Service,
        rules: Box<dyn OfferRules>,
        record_bytes_max: usize,
    ) -> Result<Follower, BusError> {
        let positions = bus.all_of(OFFERS)?.into_iter().map(|at| (at, 0)).collect();
        let state = State {
            reader: bus.reader()?,
            positions,
            offers: BTreeMap::new(),
            retired: Vec::new(),
            withdrawn: BTreeSet::new(),
            refused: BTreeMap::new(),
            changed: false,
        };
        Ok(Follower { state: Mutex::new(state), service, rules, record_bytes_max })
    }

    /// A catalogue without offers, for the time before the first [`Follower::follow`].
    pub fn empty(&self) -> Catalogue {
        Catalogue::new([], [], self.service.clone())
    }

    /// Reads what is new and replaces the catalogue if that changed it. What can't be understood is passed over here;
    /// the shard of its partition makes the dead letter.
    pub fn follow(&self, catalogue: &Shared<Catalogue>) -> Result<(), BusError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { reader, positions, offers, retired, withdrawn, refused, changed } = &mut *state;
        let all: Vec<TopicPartition> = positions.iter().map(|(at, _)| at.clone()).collect();
        let ends = reader.ends(&all)?;
        for ((at, position), end) in positions.iter_mut().zip(ends) {
            while *position < end {
                let next = reader.read(at, *position, Budget::BULK, &mut |record| match self
                    .take(record, offers, withdrawn)
                {
                    Ok(Some(new)) => *changed |= replace(new, offers, retired),
                    Ok(None) => {}
                    Err(why) => drop(refused.insert((at.partition, record.offset), why)),
                })?;
                if next <= *position {
                    break;
                }
                *position = next;
            }
        }
        reader.rest();
        if std::mem::take(changed) {
            catalogue.set(Catalogue::new(offers.values().cloned(), retired.iter().cloned(), self.service.clone()));
        }
        Ok(())
    }

    /// The offer of a record of the topic, as the catalogue took it, or why it did not.
    pub fn read(
        &self,
        catalogue: &Shared<Catalogue>,
        at: (u32, u64),
        spec: serde_json::Value,
    ) -> Result<Offer, String> {
        // The record may have come after the last look.
        let followed = |state: &State| state.positions.iter().any(|(tp, place)| tp.partition == at.0 && *place > at.1);
        if !followed(&self.state.lock().unwrap_or_else(PoisonError::into_inner)) {
            // While the log is away the offer is judged by itself: the catalogue will refuse a clash all the same.
            if self.follow(catalogue).is_err() {
                return self.rules.read(spec, at.1);
            }
        }
        match self.state.lock().unwrap_or_else(PoisonError::into_inner).refused.get(&at) {
            Some(why) => Err(why.clone()),
            None => self.rules.read(spec, at.1),
        }
    }

    /// The ids that the topic knows, withdrawn ones too, for seeding.
    pub fn known(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.offers.keys().chain(&state.withdrawn).cloned().collect()
    }

    fn take(
        &self,
        record: RecordRef<'_>,
        offers: &BTreeMap<String, Arc<Offer>>,
        withdrawn: &mut BTreeSet<String>,
    ) -> Result<Option<Offer>, String> {
        match inputs::parse_offer_envelope(record.value, record.key, self.record_bytes_max) {
            Ok(Some(OfferRecord::Spec { spec, .. })) => {
                let new = self.rules.read(spec, record.offset)?;
                match self.rules.clash(&new, &mut offers.values().map(|offer| &**offer)) {
                    Some(why) => Err(why),
                    None => Ok(Some(new)),
                }
            }
            Ok(Some(OfferRecord::Withdrawn { id })) => {
                let offer = offers.get(&id).map(|offer| Offer { withdrawn: true, ..(**offer).clone() });
                withdrawn.insert(id);
                Ok(offer)
            }
            Ok(None) | Err(_) => Ok(None),
        }
    }
}

/// Puts an offer in the place of its older version, whose tags are retired if they differ.
fn replace(new: Offer, offers: &mut BTreeMap<String, Arc<Offer>>, retired: &mut Vec<RetiredTags>) -> bool {
    let tags = |offer: &Offer| (offer.terms.buy.clone(), offer.terms.confirm.clone(), offer.terms.cancel.clone());
    if let Some(old) = offers.get(&new.terms.offer) {
        let old = tags(old);
        if old != tags(&new) && !retired.contains(&old) {
            retired.push(old);
        }
    }
    offers.insert(new.terms.offer.clone(), Arc::new(new));
    true
}

impl ScreenSetup {
    /// The network of a post topic's authors; `None` for side inputs.
    pub fn network_of(&self, topic: &str) -> Option<Network> {
        self.sources.iter().find(|(source, _)| **source == *topic).map(|(_, network)| *network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::sim::{Faults, ProcessId, SimBus, SimOptions, SimTopic};
    use crate::config::{OfferSpec, Settings};
    use crate::domain::Time;
    use crate::pipeline::Stages;
    use crate::screen::setup::Topology;

    /// A log that fails half-way through a look must not make the screen forget what it read before.
    #[test]
    fn a_look_that_fails_half_way_loses_no_offer() {
        let settings = Settings::of_text(None, std::iter::empty()).expect("the shipped settings are valid");
        let topics = crate::pipeline::topics(&settings);
        for seed in 0..40 {
            let topics = topics.iter().map(|topic| SimTopic::new(topic, 4)).collect();
            let log = SimBus::new(SimOptions::new(seed, topics), Time(0));
            let bus = log.connect(ProcessId(0));
            let stages = Stages::new(&settings, &*bus, Topology::new(Vec::new(), true)).expect("no trouble yet");
            let setup = &stages.screen.setup;
            let spec = OfferSpec {
                id: "mug".to_owned(),
                kind: Some("purchase".to_owned()),
                buy_tag: Some("BuyMug".to_owned()),
                confirm_tag: Some("ConfirmMug".to_owned()),
                merchant: Some("house".to_owned()),
                item: Some("Mug".to_owned()),
                price: Some("1.00".to_owned()),
                currency: Some("USD".to_owned()),
                ..OfferSpec::default()
            };
            let value = serde_json::to_vec(&spec).expect("a spec is JSON");
            log.append(&TopicPartition::new(OFFERS, 0), Some(b"mug"), Some(&value));
            log.set_faults(Faults { unavailable: 500, ..Faults::default() });
            while setup.follower.follow(&setup.catalogue).is_err() {}
            let known = setup.catalogue.get().may_matter(br##"{"text":"#BuyMug"}"##);
            assert!(known, "seed {seed}: the offer was read and is not in the catalogue");
        }
    }
}
