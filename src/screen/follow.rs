//! Every screen worker knows the whole `offers` topic: read to its end at start, followed after.
//!
//! Nothing may depend on how a producer partitions, so what was said last about an offer is told by when it was
//! appended, whichever partition it is in, and at the same time by the partition; within a partition by its order,
//! whatever the log's clock does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::catalogue::{Catalogue, RetiredTags, Service};
use super::setup::{ScreenSetup, Shared};
use super::side::OFFERS;
use crate::bus::{Budget, Bus, BusError, Reader, TopicPartition};
use crate::domain::{Network, Offer, Time};
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
    /// Validates an offer's JSON; the version is its record's, see [`Follower::version`].
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
    /// Ids that were withdrawn, by which version; also those whose offer the topic has forgotten.
    withdrawn: BTreeMap<String, u64>,
    /// Ids of offers that were no good.
    refused: BTreeSet<String>,
    /// By (partition, offset): what the catalogue made of a record.
    taken: BTreeMap<Place, Taken>,
    /// Read, and waiting for the partitions that are yet to be read.
    unsorted: Vec<(Place, Said)>,
    /// Something was read that the shared catalogue doesn't show yet, perhaps since a read failed half-way.
    changed: bool,
}

/// Partition and offset of a record of the topic.
pub type Place = (u32, u64);

struct Taken {
    version: u64,
    /// Why its offer is no good.
    refused: Option<String>,
}

/// A record of the topic.
struct Said {
    version: u64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
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
            withdrawn: BTreeMap::new(),
            refused: BTreeSet::new(),
            taken: BTreeMap::new(),
            unsorted: Vec::new(),
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
        let mut state = self.lock();
        state.read_on()?;
        for (place, said) in state.sorted() {
            let taken = self.take(&said, &mut state);
            state.taken.insert(place, taken);
        }
        if std::mem::take(&mut state.changed) {
            let State { offers, retired, .. } = &*state;
            catalogue.set(Catalogue::new(offers.values().cloned(), retired.iter().cloned(), self.service.clone()));
        }
        Ok(())
    }

    /// The offer of a record of the topic, as the catalogue took it, or why it did not. Fails while the log is away and
    /// the catalogue has not seen it.
    pub fn read(
        &self,
        catalogue: &Shared<Catalogue>,
        place: Place,
        appended: Time,
        spec: serde_json::Value,
    ) -> Result<Result<Offer, String>, BusError> {
        let version = self.version(catalogue, place, appended)?;
        let refused = match self.lock().taken.get(&place) {
            Some(Taken { refused: Some(why), .. }) => Err(why.clone()),
            _ => Ok(()),
        };
        Ok(refused.and_then(|()| self.rules.read(spec, version)))
    }

    /// A number that is higher for what was said later, for a record of the topic. Fails as [`Follower::read`] does.
    pub fn version(&self, catalogue: &Shared<Catalogue>, place: Place, appended: Time) -> Result<u64, BusError> {
        let known = || self.lock().taken.get(&place).map(|taken| taken.version);
        if let Some(version) = known() {
            return Ok(version);
        }
        // It came after the last look.
        self.follow(catalogue)?;
        // Or it was compacted away before the first: then it stands between those that are left.
        Ok(known().unwrap_or_else(|| version_after(last_before(&self.lock().taken, place), place.0, appended)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids that the topic knows, withdrawn and refused ones too, for seeding.
    pub fn known(&self) -> Vec<String> {
        let state = self.lock();
        state.offers.keys().chain(state.withdrawn.keys()).chain(&state.refused).cloned().collect()
    }

    fn take(&self, said: &Said, state: &mut State) -> Taken {
        let State { offers, withdrawn, refused, retired, changed, .. } = state;
        let version = said.version;
        let is_old = |id: &str| offers.get(id).is_some_and(|known| known.terms.version >= version);
        let is_withdrawn = |id: &str| withdrawn.get(id).is_some_and(|later| *later > version);
        let envelope = inputs::parse_offer_envelope(said.value.as_deref(), said.key.as_deref(), self.record_bytes_max);
        let new = match envelope {
            Ok(Some(OfferRecord::Spec { id, spec })) => {
                let new = self.rules.read(spec, version).and_then(|new| {
                    match self.rules.clash(&new, &mut offers.values().map(|offer| &**offer)) {
                        Some(why) => Err(why),
                        None => Ok(Some(Offer { withdrawn: is_withdrawn(&new.terms.offer), ..new })),
                    }
                });
                if new.is_err() {
                    refused.insert(id);
                }
                new
            }
            Ok(Some(OfferRecord::Withdrawn { id })) => {
                let offer = offers.get(&id).map(|offer| Offer { withdrawn: true, ..(**offer).clone() });
                let last = withdrawn.entry(id).or_default();
                *last = version.max(*last);
                Ok(offer)
            }
            // The shard of its partition makes the dead letter.
            Ok(None) | Err(_) => Ok(None),
        };
        match new {
            Ok(Some(new)) if !is_old(&new.terms.offer) => {
                replace(new, offers, retired);
                *changed = true;
                Taken { version, refused: None }
            }
            Ok(_) => Taken { version, refused: None },
            Err(why) => Taken { version, refused: Some(why) },
        }
    }
}

impl State {
    /// Reads every partition to its end. What was read before a failure is not read again.
    fn read_on(&mut self) -> Result<(), BusError> {
        let State { reader, positions, taken, unsorted, .. } = self;
        let all: Vec<TopicPartition> = positions.iter().map(|(at, _)| at.clone()).collect();
        let ends = reader.ends(&all)?;
        for ((at, position), end) in positions.iter_mut().zip(ends) {
            if *position >= end {
                continue;
            }
            let waiting = unsorted.iter().rfind(|((partition, _), _)| *partition == at.partition);
            let mut last = waiting.map(|(_, said)| said.version).or(last_before(taken, (at.partition, u64::MAX)));
            while *position < end {
                let from = *position;
                let next = reader.read(at, from, Budget::BULK, &mut |record| {
                    // Here already: what was given before a failure must not be given again, with another version.
                    *position = record.offset + 1;
                    let version = version_after(last, at.partition, record.timestamp);
                    last = Some(version);
                    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                    let said = Said { version, key: owned(record.key), value: owned(record.value) };
                    unsorted.push(((at.partition, record.offset), said));
                })?;
                if next <= from {
                    break;
                }
                *position = next;
            }
        }
        reader.rest();
        Ok(())
    }

    /// What is new, in the order in which it was said.
    fn sorted(&mut self) -> Vec<(Place, Said)> {
        let mut new = std::mem::take(&mut self.unsorted);
        new.sort_by_key(|(_, said)| said.version);
        new
    }
}

/// The version of the last record before a place, in its partition.
fn last_before(taken: &BTreeMap<Place, Taken>, place: Place) -> Option<u64> {
    taken.range((place.0, 0)..place).next_back().map(|(_, taken)| taken.version)
}

/// The version of a record that was appended at a time, after another one of its partition: milliseconds, room for a
/// thousand records in each, and the partition, so that no two of a topic of up to a thousand partitions have the same.
fn version_after(last: Option<u64>, partition: u32, appended: Time) -> u64 {
    const ROOM_BITS: u32 = 10;
    const PARTITION_BITS: u32 = 10;
    let partition = u64::from(partition) & ((1 << PARTITION_BITS) - 1);
    let version = u64::try_from(appended.0).unwrap_or(0) << (ROOM_BITS + PARTITION_BITS) | partition;
    last.map_or(version, |last| version.max(last + (1 << PARTITION_BITS)))
}

/// Puts an offer in the place of its older version, whose tags are retired if they differ.
fn replace(new: Offer, offers: &mut BTreeMap<String, Arc<Offer>>, retired: &mut Vec<RetiredTags>) {
    let tags = |offer: &Offer| (offer.terms.buy.clone(), offer.terms.confirm.clone(), offer.terms.cancel.clone());
    if let Some(old) = offers.get(&new.terms.offer) {
        let old = tags(old);
        if old != tags(&new) && !retired.contains(&old) {
            retired.push(old);
        }
    }
    offers.insert(new.terms.offer.clone(), Arc::new(new));
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
            let version = setup.follower.version(&setup.catalogue, (0, 0), Time(0)).expect("it was seen");
            assert_eq!(version, version_after(None, 0, Time(0)), "seed {seed}: it was read once");
        }
    }
}
