//! What a screen worker knows of the offers: tags and terms, in an order that does not depend on how they were read.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::domain::{Offer, OfferKind, Tag, Terms, Time};
use crate::text;

use super::prefilter::Prefilter;

/// The service's own account on a network (`service.*` in the configuration).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Without `@`; empty, or anything that is no handle, names nobody.
    pub handle: String,
    pub user_id: Option<u64>,
    /// With or without `#`, in any case.
    pub freeze_tag: Option<String>,
}

/// Buy, confirm and cancel tag of a version that was superseded: who was told its tags may still use them.
pub type RetiredTags = (Tag, Tag, Option<Tag>);

/// Offers by their tags. Immutable: a change of the `offers` topic makes a new one.
#[derive(Debug)]
pub struct Catalogue {
    /// Offers that are not withdrawn, in order of their ids.
    offers: Vec<Arc<Terms>>,
    /// Indices into `offers`, ascending: two offers may share a tag if they are not open together.
    buys: FxHashMap<Tag, Vec<u32>>,
    /// Buy tags by which nothing can be ordered (any more).
    dead_buys: FxHashSet<Tag>,
    confirms: FxHashSet<Tag>,
    cancels: FxHashSet<Tag>,
    freeze: Option<Tag>,
    service: Service,
    prefilter: Prefilter,
}

impl Catalogue {
    /// Of two offers with one id the later in the iteration counts. Withdrawn offers order nothing, but their confirm
    /// and cancel tags stay known, as do the retired ones.
    pub fn new(
        offers: impl IntoIterator<Item = Arc<Offer>>,
        retired: impl IntoIterator<Item = RetiredTags>,
        service: Service,
    ) -> Catalogue {
        let by_id: BTreeMap<String, Arc<Offer>> =
            offers.into_iter().map(|offer| (offer.terms.offer.clone(), offer)).collect();
        let service = Service { handle: legal_handle(&service.handle), ..service };
        let freeze = service.freeze_tag.as_deref().and_then(tag_of_setting);
        let mut catalogue = Catalogue {
            offers: Vec::new(),
            buys: FxHashMap::default(),
            dead_buys: FxHashSet::default(),
            confirms: FxHashSet::default(),
            cancels: FxHashSet::default(),
            freeze,
            service,
            prefilter: Prefilter::default(),
        };
        by_id.into_values().for_each(|offer| catalogue.add(&offer));
        for (buy, confirm, cancel) in retired {
            catalogue.dead_buys.insert(buy);
            catalogue.confirms.insert(confirm);
            catalogue.cancels.extend(cancel);
        }
        catalogue.prefilter = Prefilter::new(catalogue.tags(), &catalogue.service.handle, catalogue.service.user_id);
        catalogue
    }

    /// Whether a record can matter, by a byte search: no false negatives, see [`super::Verdict::matters`].
    pub fn may_matter(&self, record: &[u8]) -> bool {
        self.prefilter.may_matter(record)
    }

    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Offers whose buy tag this is (folded) and that are not withdrawn, in order of their ids.
    pub fn offers_of(&self, buy: &Tag) -> impl Iterator<Item = &Arc<Terms>> {
        self.buys.get(buy).into_iter().flatten().map(|&index| &self.offers[index as usize])
    }

    /// The purchase that this buy tag orders at this time: the first offer that is open then, else the first at all, so
    /// that the account is told that it is not open.
    pub fn order_of(&self, buy: &Tag, time: Time) -> Option<&Arc<Terms>> {
        let purchases = || self.offers_of(buy).filter(|terms| terms.kind == OfferKind::Purchase);
        purchases().find(|terms| terms.is_open_at(time)).or_else(|| purchases().next())
    }

    /// Whether this is a buy tag of any offer that was ever known, orderable or not. One by which nothing can be
    /// ordered any more may have become a confirm or cancel tag, and is that then.
    pub fn is_buy(&self, tag: &Tag) -> bool {
        let is_dead = || self.dead_buys.contains(tag) && !self.is_confirm(tag) && !self.is_cancel(tag);
        self.buys.contains_key(tag) || is_dead()
    }

    pub fn is_confirm(&self, tag: &Tag) -> bool {
        self.confirms.contains(tag)
    }

    pub fn is_cancel(&self, tag: &Tag) -> bool {
        self.cancels.contains(tag)
    }

    pub fn is_freeze(&self, tag: &Tag) -> bool {
        self.freeze.as_ref() == Some(tag)
    }

    /// Whether a handle is the service's; the network ignores the case of ASCII letters.
    pub fn is_service_handle(&self, handle: &str) -> bool {
        !self.service.handle.is_empty() && self.service.handle.eq_ignore_ascii_case(handle)
    }

    pub fn is_service_user(&self, user: u64) -> bool {
        self.service.user_id == Some(user)
    }

    fn add(&mut self, offer: &Offer) {
        let terms = &offer.terms;
        self.confirms.insert(terms.confirm.clone());
        self.cancels.extend(terms.cancel.clone());
        if offer.withdrawn {
            self.dead_buys.insert(terms.buy.clone());
            return;
        }
        let index = self.offers.len() as u32;
        self.offers.push(Arc::new(terms.clone()));
        self.buys.entry(terms.buy.clone()).or_default().push(index);
    }

    fn tags(&self) -> impl Iterator<Item = &Tag> {
        let buys = self.buys.keys().chain(&self.dead_buys);
        buys.chain(&self.confirms).chain(&self.cancels).chain(&self.freeze)
    }
}

/// A tag as people write it into a configuration.
fn tag_of_setting(written: &str) -> Option<Tag> {
    let bare = written.trim().trim_start_matches(['#', '＃']);
    (!bare.is_empty()).then(|| Tag(text::fold(bare)))
}

/// The handle without its sign; nothing if it could be nobody's.
fn legal_handle(written: &str) -> String {
    let bare = written.trim().trim_start_matches('@');
    let legal = bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if legal { bare.to_owned() } else { String::new() }
}
