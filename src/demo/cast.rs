//! Who comes shopping: people, what they are after, and how they go about it. A function of the seed alone.

use std::collections::HashMap;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::goods::{Goods, RACERS};
use super::script::{Behaviour, PLACES, WEIGHTS};
use crate::posts::people::person;
use crate::posts::post::{Form, User};

/// Ids of shoppers begin here; above 2^53, as the network's are.
const SHOPPERS_FROM: u64 = 1_450_001_015_437_000_000;

/// Of a limited offer this many percent are planned for at most, so that nobody is sold out by chance.
const PLANNED_PERCENT_MAX: u64 = 80;

/// The members of a group share its signals.
pub type Group = usize;

/// Somebody who comes shopping.
#[derive(Clone, Debug)]
pub struct Role {
    pub user: Arc<User>,
    pub behaviour: Behaviour,
    pub goods: Vec<Arc<Goods>>,
    pub country: String,
    /// How this one confirms, where the behaviour leaves it open.
    pub form: Form,
    pub group: Option<Group>,
    /// For what is left to chance in the script.
    pub seed: u64,
}

/// Deals out roles.
pub struct Cast {
    rng: SmallRng,
    catalogue: Vec<Arc<Goods>>,
    scarce: Arc<Goods>,
    with_line: Arc<Goods>,
    planned: HashMap<String, u64>,
    /// What is left of the first round, in which every behaviour comes once.
    first_round: Vec<Act>,
    people: u64,
    groups: Group,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    One(Behaviour),
    Race,
    Line,
}

impl Cast {
    pub fn new(seed: u64, catalogue: Vec<Arc<Goods>>, scarce: Arc<Goods>, with_line: Arc<Goods>) -> Cast {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut first_round: Vec<Act> = WEIGHTS.iter().map(|(behaviour, _)| Act::One(*behaviour)).collect();
        first_round.extend([Act::Race, Act::Line]);
        first_round.shuffle(&mut rng);
        Cast { rng, catalogue, scarce, with_line, planned: HashMap::new(), first_round, people: 0, groups: 0 }
    }

    /// Whether every behaviour had its turn.
    pub fn is_complete(&self) -> bool {
        self.first_round.is_empty()
    }

    /// Those who come next: one, or a group. Nobody if all that can be bought is planned for.
    pub fn next(&mut self) -> Vec<Role> {
        let act = self.first_round.pop().unwrap_or_else(|| {
            let drawn = WEIGHTS.choose_weighted(&mut self.rng, |(_, weight)| *weight);
            Act::One(drawn.map_or(Behaviour::ConfirmsBare, |(behaviour, _)| *behaviour))
        });
        match act {
            Act::One(behaviour) => self.single(behaviour).into_iter().collect(),
            Act::Race => {
                let goods = self.scarce.clone();
                (0..RACERS).map(|_| self.role(Behaviour::Races, vec![goods.clone()], None)).collect()
            }
            Act::Line => {
                let (goods, group) = (self.with_line.clone(), self.groups);
                self.groups += 1;
                let behaviours = PLACES.map(Behaviour::StandsInLine);
                behaviours.into_iter().map(|b| self.role(b, vec![goods.clone()], Some(group))).collect()
            }
        }
    }

    pub fn groups(&self) -> usize {
        self.groups
    }

    fn single(&mut self, behaviour: Behaviour) -> Option<Role> {
        let first = self.choose(|goods| match behaviour {
            Behaviour::BuysTwice => goods.per_account == 1,
            Behaviour::CancelsByTag => goods.cancel_tag.is_some(),
            Behaviour::IsAbroad => !goods.countries.is_empty(),
            _ => true,
        });
        let mut goods = vec![match first {
            Some(goods) => goods,
            // The catalogue has nothing for this behaviour; who only wants to buy may still find something.
            None => return self.choose(|_| true).map(|goods| self.role(Behaviour::ConfirmsBare, vec![goods], None)),
        }];
        if behaviour == Behaviour::BuysTwoAtOnce {
            let country = home(&goods[0]);
            let other = goods[0].id.clone();
            match self.choose(|goods| goods.id != other && goods.allows(&country)) {
                Some(second) => goods.push(second),
                None => return Some(self.role(Behaviour::ConfirmsBare, goods, None)),
            }
        }
        Some(self.role(behaviour, goods, None))
    }

    fn choose(&mut self, suits: impl Fn(&Goods) -> bool) -> Option<Arc<Goods>> {
        let planned = &self.planned;
        let left = |goods: &Goods| {
            let so_far = planned.get(&goods.id).copied().unwrap_or(0);
            goods.quantity.is_none_or(|quantity| so_far < quantity.saturating_mul(PLANNED_PERCENT_MAX) / 100)
        };
        let suitable: Vec<&Arc<Goods>> = self.catalogue.iter().filter(|goods| suits(goods) && left(goods)).collect();
        let goods = (*suitable.choose(&mut self.rng)?).clone();
        *self.planned.entry(goods.id.clone()).or_default() += 1;
        Some(goods)
    }

    fn role(&mut self, behaviour: Behaviour, goods: Vec<Arc<Goods>>, group: Option<Group>) -> Role {
        const FORMS: [Form; 5] = [Form::Bare, Form::Reply, Form::ManualRetweet, Form::Retweet, Form::Quote];
        self.people += 1;
        let user = Arc::new(person(SHOPPERS_FROM + self.people * 7919, self.people, &mut self.rng));
        let country = match (goods.first(), behaviour) {
            (Some(goods), Behaviour::IsAbroad) => abroad(goods),
            (Some(goods), _) => home(goods),
            (None, _) => String::new(),
        };
        let form = FORMS.choose(&mut self.rng).copied().unwrap_or(Form::Bare);
        Role { user, behaviour, goods, country, form, group, seed: self.rng.random() }
    }
}

/// Whether a user of this id came out of here.
pub fn is_shopper(user: u64) -> bool {
    user > SHOPPERS_FROM
}

fn home(goods: &Goods) -> String {
    goods.countries.first().cloned().unwrap_or_else(|| "US".to_owned())
}

fn abroad(goods: &Goods) -> String {
    const OTHERS: [&str; 4] = ["NZ", "CH", "BR", "US"];
    OTHERS.into_iter().find(|country| !goods.allows(country)).unwrap_or("AQ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn cast(seed: u64) -> Cast {
        let goods = |id: &str, quantity, cancel_tag: Option<&str>| {
            let cancel_tag = cancel_tag.map(str::to_owned);
            Arc::new(Goods { id: id.to_owned(), quantity, cancel_tag, ..Goods::scarce() })
        };
        let catalogue = vec![goods("a", None, Some("CancelA")), goods("b", Some(100), None)];
        Cast::new(seed, catalogue, Arc::new(Goods::scarce()), Arc::new(Goods::with_line()))
    }

    #[test]
    fn the_first_round_has_every_behaviour() {
        let mut cast = cast(1);
        let mut seen = HashSet::new();
        let mut handles = HashSet::new();
        while !cast.is_complete() {
            for role in cast.next() {
                seen.insert(format!("{:?}", role.behaviour));
                assert!(handles.insert(role.user.handle.clone()) && role.user.handle.len() <= 15);
            }
        }
        assert_eq!(seen.len(), WEIGHTS.len() + 1 + PLACES.len());
        assert_eq!(handles.len(), WEIGHTS.len() + RACERS + PLACES.len());
    }

    #[test]
    fn a_seed_gives_one_cast_and_leaves_stock() {
        let (mut one, mut two, mut other) = (cast(7), cast(7), cast(8));
        let mut differs = false;
        let mut of_b = 0;
        for _ in 0..500 {
            let (a, b) = (format!("{:?}", one.next()), format!("{:?}", two.next()));
            assert_eq!(a, b);
            differs |= a != format!("{:?}", other.next());
            of_b += a.matches("id: \"b\"").count();
        }
        assert!(differs);
        assert_eq!(of_b, 80);
    }
}
