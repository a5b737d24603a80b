//! What merchants offer, and how they change it meanwhile.

use super::behaviour::Behaviour;
use super::chance::Chance;
use super::plan::PeoplePlan;
use crate::config::OfferSpec;
use crate::domain::{Tag, Time};
use crate::wire::time;

/// A tag's place in [`Goods::tags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TagId(pub u16);

#[derive(Debug)]
pub(super) struct TagText {
    /// As published, without `#`.
    pub published: String,
    pub folded: Tag,
}

/// Buy, confirm and cancel tag of an offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfferTags {
    pub buy: TagId,
    pub confirm: TagId,
    pub cancel: TagId,
}

#[derive(Debug)]
pub(super) struct Good {
    /// As it was first published.
    pub spec: OfferSpec,
    /// From the start, and after a change of tags.
    pub tags: [OfferTags; 2],
    pub opens: Option<i64>,
    pub closes: Option<i64>,
    pub scarce: bool,
    /// In the catalogue from the start; else it appears by a change.
    pub seeded: bool,
}

/// A record of the `offers` topic.
#[derive(Debug)]
pub(super) struct Change {
    pub at: i64,
    pub good: usize,
    pub what: Behaviour,
    /// The offer as it is from then on; `None` withdraws it.
    pub spec: Option<OfferSpec>,
    /// Index of the tags that it has then.
    pub generation: usize,
}

#[derive(Debug)]
pub(super) struct Goods {
    pub tags: Vec<TagText>,
    /// The service's freeze tag.
    pub freeze: TagId,
    pub all: Vec<Good>,
    pub changes: Vec<Change>,
}

const STEMS: [&str; 10] = ["Kettle", "Lamp", "Mug", "Socks", "Vase", "Teapot", "Clock", "Crème", "Basket", "Ladder"];
const DAY_MS: i64 = 86_400_000;

impl Goods {
    pub fn draw(plan: &PeoplePlan, freeze_tag: &str) -> Goods {
        let published = freeze_tag.trim().trim_start_matches('#').to_owned();
        let freeze = TagText { folded: Tag(published.to_lowercase()), published };
        let mut goods = Goods { tags: vec![freeze], freeze: TagId(0), all: Vec::new(), changes: Vec::new() };
        let mut chance = Chance::new(plan.seed, 2);
        for index in 0..plan.offers.clamp(1, STEMS.len() - 2) {
            goods.add(index, plan, &mut chance);
        }
        goods.add_sequel(plan, &mut chance);
        goods.add_changes(plan, &mut chance);
        goods
    }

    /// Offers of the catalogue at the start.
    pub fn seeds(&self) -> Vec<OfferSpec> {
        self.all.iter().filter(|good| good.seeded).map(|good| good.spec.clone()).collect()
    }

    pub fn text(&self, tag: TagId) -> &TagText {
        &self.tags[usize::from(tag.0)]
    }

    /// The tags that people use at this time: those of the last change before it, as far as they noticed.
    pub fn tags_at(&self, good: usize, time: i64) -> OfferTags {
        let last = self.changes.iter().rfind(|change| change.good == good && change.at <= time);
        self.all[good].tags[last.map_or(0, |change| change.generation)]
    }

    fn add(&mut self, index: usize, plan: &PeoplePlan, chance: &mut Chance) {
        let (start, span) = (plan.start.0, plan.span.0);
        let class = if index == 0 { 0 } else { chance.below(5) };
        let quantity = match class {
            0 | 1 => None,
            2 => Some(10_000),
            _ => Some(chance.between(1, 12)),
        };
        let waitlist_max = if class == 4 { chance.between(1, 6) } else { 0 };
        let opens = match chance.below(4) {
            0 if index > 0 => Some(start + chance.between(span / 8, span / 2)),
            1 => None,
            _ => Some(start - DAY_MS * 3),
        };
        let closes = match chance.below(4) {
            0 => Some(start + chance.between(span * 5 / 8, span)),
            1 => None,
            _ => Some(start + DAY_MS * 20),
        };
        let tags = [self.tags_of(STEMS[index], ["Buy", "Confirm", "Cancel"]), self.second_tags(STEMS[index])];
        let price = if chance.below(6) == 0 { chance.between(30_000, 90_000) } else { chance.between(500, 12_000) };
        let countries = match chance.below(4) {
            0 => Vec::new(),
            1 => vec!["US".to_owned(), "CA".to_owned()],
            _ => vec!["US".to_owned()],
        };
        let spec = OfferSpec {
            id: format!("{}-{index}", STEMS[index].replace('è', "e").to_lowercase()),
            kind: Some("purchase".to_owned()),
            buy_tag: Some(self.text(tags[0].buy).published.clone()),
            confirm_tag: Some(self.text(tags[0].confirm).published.clone()),
            cancel_tag: Some(self.text(tags[0].cancel).published.clone()),
            merchant: Some("house".to_owned()),
            item: Some(STEMS[index].to_owned()),
            price: Some(format!("{}.{:02}", price / 100, price % 100)),
            currency: Some("USD".to_owned()),
            quantity,
            per_account: Some(chance.between(1, 3)),
            opens: opens.map(|at| time::format(Time(at))),
            closes: closes.map(|at| time::format(Time(at))),
            countries: Some(countries),
            waitlist_max: Some(waitlist_max),
            ..OfferSpec::default()
        };
        self.all.push(Good { spec, tags, opens, closes, scarce: class > 2, seeded: true });
    }

    /// An offer by the tags of one that has closed by then: two may share tags if they are not open together.
    fn add_sequel(&mut self, plan: &PeoplePlan, chance: &mut Chance) {
        let first = &self.all[0];
        let inside = first.closes.filter(|closes| *closes < plan.start.0 + plan.span.0);
        let Some(closes) = inside.filter(|_| chance.below(2) == 0) else { return };
        let opens = closes + chance.between(1, 600_000);
        let spec = OfferSpec {
            id: format!("{}-again", first.spec.id),
            opens: Some(time::format(Time(opens))),
            closes: None,
            price: Some("17.00".to_owned()),
            ..first.spec.clone()
        };
        let (tags, scarce) = (first.tags, first.scarce);
        self.all.push(Good { spec, tags, opens: Some(opens), closes: None, scarce, seeded: true });
    }

    fn add_changes(&mut self, plan: &PeoplePlan, chance: &mut Chance) {
        let (start, span) = (plan.start.0, plan.span.0);
        let mut times: Vec<i64> =
            (0..plan.offer_changes).map(|_| start + chance.between(span / 10, span * 9 / 10)).collect();
        times.sort_unstable();
        // An offer and its sequel stay as they are: either's new dates could let them meet.
        let shared = self.all.len() > plan.offers.clamp(1, STEMS.len() - 2);
        let mut turns = Chance::new(plan.seed, 7);
        let mut now: Vec<(OfferSpec, usize, bool)> =
            self.all.iter().map(|good| (good.spec.clone(), 0, false)).collect();
        for at in times {
            if chance.below(6) == 0 && self.all.iter().all(|good| good.seeded) {
                self.appear(at, plan, chance);
                let new = self.all.last().expect("an offer was just added");
                now.push((new.spec.clone(), 0, false));
                continue;
            }
            let good = chance.below(now.len());
            if shared && (good == 0 || good == plan.offers) {
                continue;
            }
            let change = self.change(at, good, &mut now[good], chance);
            self.changes.push(self.perhaps_extended(change, &mut now[good].0, plan, &mut turns));
            // A second thought comes soon: it may be read in one look with the first, or before it.
            if !plan.offers_keyed && turns.below(2) == 0 {
                let soon = at + turns.between(1_000, 20_000);
                let change = self.change(soon, good, &mut now[good], &mut turns);
                self.changes.push(change);
            }
        }
        self.changes.sort_by_key(|change| change.at);
    }

    fn appear(&mut self, at: i64, plan: &PeoplePlan, chance: &mut Chance) {
        self.add(STEMS.len() - 1, plan, chance);
        let good = self.all.len() - 1;
        self.all[good].seeded = false;
        let spec = Some(self.all[good].spec.clone());
        self.changes.push(Change { at, good, what: Behaviour::OfferAppears, spec, generation: 0 });
    }

    /// Half of the changed offers close at another time, if they close at all.
    fn perhaps_extended(&self, change: Change, now: &mut OfferSpec, plan: &PeoplePlan, chance: &mut Chance) -> Change {
        let (start, span) = (plan.start.0, plan.span.0);
        if chance.below(2) == 0 || change.what != Behaviour::OfferChanged || now.closes.is_none() {
            return change;
        }
        now.closes = Some(time::format(Time(start + chance.between(span / 2, span * 2))));
        Change { what: Behaviour::OfferExtended, spec: Some(now.clone()), ..change }
    }

    fn change(&self, at: i64, good: usize, now: &mut (OfferSpec, usize, bool), chance: &mut Chance) -> Change {
        let (spec, generation, withdrawn) = now;
        let what = if *withdrawn {
            Behaviour::OfferBack
        } else {
            *chance.pick(&[
                Behaviour::QuantityRaised,
                Behaviour::QuantityLowered,
                Behaviour::OfferWithdrawn,
                Behaviour::OfferChanged,
                Behaviour::TagsChanged,
                Behaviour::OfferRefused,
            ])
        };
        let publish = |spec: &OfferSpec| Some(spec.clone());
        let new = match what {
            Behaviour::OfferRefused => {
                let field = chance.below(2) == 0;
                let (price, per_account) = (spec.price.clone(), spec.per_account);
                let bad = if field { (Some("-1.00".to_owned()), per_account) } else { (price, Some(0)) };
                Some(OfferSpec { price: bad.0, per_account: bad.1, ..spec.clone() })
            }
            Behaviour::OfferWithdrawn => {
                *withdrawn = true;
                None
            }
            Behaviour::QuantityRaised => {
                spec.quantity = spec.quantity.map(|units| units + chance.between(1, 8));
                publish(spec)
            }
            Behaviour::QuantityLowered => {
                spec.quantity = spec.quantity.map(|units| chance.between(0, units));
                publish(spec)
            }
            Behaviour::TagsChanged => {
                *generation = 1 - *generation;
                let tags = self.all[good].tags[*generation];
                let published = |tag: TagId| Some(self.text(tag).published.clone());
                spec.buy_tag = published(tags.buy);
                spec.confirm_tag = published(tags.confirm);
                spec.cancel_tag = published(tags.cancel);
                publish(spec)
            }
            Behaviour::OfferChanged => {
                spec.price = Some(format!("{}.50", chance.between(1, 200)));
                spec.per_account = Some(chance.between(1, 3));
                publish(spec)
            }
            _ => {
                *withdrawn = false;
                publish(spec)
            }
        };
        Change { at, good, what, spec: new, generation: *generation }
    }

    fn tags_of(&mut self, stem: &str, verbs: [&str; 3]) -> OfferTags {
        let [buy, confirm, cancel] = verbs.map(|verb| {
            let published = format!("{verb}{stem}");
            let folded = Tag(published.to_lowercase());
            self.tags.push(TagText { published, folded });
            TagId(self.tags.len() as u16 - 1)
        });
        OfferTags { buy, confirm, cancel }
    }

    fn second_tags(&mut self, stem: &str) -> OfferTags {
        self.tags_of(stem, ["Want", "Sure", "Never"])
    }
}

/// A change as the `offers` topic has it.
pub(super) fn record(id: &str, change: &Change) -> Vec<u8> {
    match &change.spec {
        Some(spec) => serde_json::to_vec(spec).expect("an offer is made of texts and numbers"),
        None => format!(r#"{{"id":"{id}","withdrawn":true}}"#).into_bytes(),
    }
}
