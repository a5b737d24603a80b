//! The people who come shopping: what each of them says next, and what must come of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::Options;
use super::behaviour::{Act, Behaviour, DUPLICATE, WEIGHTS, When};
use super::goods::{GOODS, Goods, SCARCE};
use super::moment::Moment;
use super::truth::{Line, Truth};
use crate::posts::people::{person, service};
use crate::posts::post::{Draft, Form, Post, User};
use crate::posts::words;

/// A confirm comes so long after the order or the prompt at most, and within half of the window.
const THINK_MAX: Duration = Duration::from_secs(20);

/// A late confirm comes so long after the window's end.
const LATE_MS: std::ops::Range<u64> = 1_000..3_000;

/// Orders and prompts of others that can be retweeted.
const RECENT_POSTS_MAX: usize = 64;

pub struct Crowd {
    seed: u64,
    first_user: u64,
    service: Arc<User>,
    window: Duration,
    grace: Duration,
    open: HashMap<u64, Conversation>,
    begun: u64,
    orders: VecDeque<Arc<Post>>,
    prompts: VecDeque<Arc<Post>>,
    truth: Truth,
}

/// A person and what became of the script so far.
struct Conversation {
    user: Arc<User>,
    behaviour: Behaviour,
    offer: usize,
    rng: SmallRng,
    /// Steps that are still to come.
    left: usize,
    /// Where the conversation's buys go: which of two is read first is known by their order.
    partition: Option<u32>,
    opened: Moment,
    order: Option<Arc<Post>>,
    prompt: Option<Arc<Post>>,
    /// Its first line of the truth.
    line: usize,
}

/// What a person does now.
pub enum Deed {
    Post(Draft),
    /// Deletes this post of this author.
    Delete(u64, u64),
    Unlink(u64),
}

/// A step that is to happen at a moment, of the conversation of a number.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub at: Moment,
    pub number: u64,
    pub act: Act,
}

impl Crowd {
    /// People's ids count from `first_user`.
    pub fn new(options: &Options, first_user: u64) -> Crowd {
        Crowd {
            seed: options.seed,
            first_user,
            service: Arc::new(service(options.service_user, &options.service_handle)),
            window: duration(options.confirm_window.0),
            grace: duration(options.reply_grace.0),
            open: HashMap::new(),
            begun: 0,
            orders: VecDeque::new(),
            prompts: VecDeque::new(),
            truth: Truth {
                confirm_window: options.confirm_window,
                reply_grace: options.reply_grace,
                ..Truth::default()
            },
        }
    }

    /// The next person comes: what this one will do whatever the service does, the first of it now.
    pub fn begin(&mut self, at: Moment) -> Vec<Due> {
        let number = self.begun;
        self.begun += 1;
        let mut rng = self.rng_of(number);
        let behaviour = draw(&mut rng);
        let user = Arc::new(person(self.first_user + number, number, &mut rng));
        let offer = if behaviour == Behaviour::Races { SCARCE } else { rng.random_range(0..SCARCE) };
        let script = behaviour.script();
        let mut due = vec![Due { at, number, act: script.first }];
        for (act, when) in script.rest {
            if let When::Later(from, to) = when {
                let after = think(self.window, *from, *to, &mut rng);
                due.push(Due { at: at.after(after), number, act: *act });
            }
        }
        let left = script.rest.len() + 1;
        let (partition, order, prompt, line) = (None, None, None, 0);
        let conversation =
            Conversation { user, behaviour, offer, rng, left, partition, opened: at, order, prompt, line };
        self.open.insert(number, conversation);
        due
    }

    /// What the person does; `None` once the script is over.
    pub fn deed(&mut self, due: &Due) -> Option<Deed> {
        let talk = self.open.get_mut(&due.number)?;
        talk.left -= 1;
        let (user, goods) = (talk.user.clone(), &GOODS[talk.offer]);
        let others = |post: &&Arc<Post>| post.author().id != user.id && !answers(post, user.id);
        let recent = |posts: &VecDeque<Arc<Post>>| posts.iter().rev().find(others).cloned();
        Some(match due.act {
            Act::Buy | Act::BuyAgain => Deed::Post(Draft::own(&user, words::buying(goods.buy_tag, &mut talk.rng))),
            Act::Reword => {
                let text = format!("I'll have that, please (edit: typo) #{}", goods.buy_tag);
                Deed::Post(Draft { edit_of: talk.order.clone(), ..Draft::own(&user, text) })
            }
            Act::Confirm(form) => Deed::Post(talk.confirm(form, goods, &self.service)),
            Act::Cancel => {
                let text = format!("@{} Cancel please, I changed my mind", self.service.handle);
                Deed::Post(Draft::reply(&user, text, None, &self.service))
            }
            Act::DeleteOrder => Deed::Delete(talk.order.as_ref().map_or(0, |post| post.id), user.id),
            Act::Unlink => Deed::Unlink(user.id),
            Act::QuoteWithTag => {
                let quoted = recent(&self.orders).unwrap_or_else(|| words::somebodys_post(due.at.time()));
                Deed::Post(Draft::quote(&user, &format!("As if I'd ever #{} 😂", goods.buy_tag), &quoted))
            }
            Act::ManualRetweetWithTag => {
                let text = format!("lol RT @morning_paper: you should all #{}", goods.buy_tag);
                Deed::Post(Draft::own(&user, text))
            }
            Act::RetweetOrder => {
                let order = recent(&self.orders).unwrap_or_else(|| words::somebodys_post(due.at.time()));
                Deed::Post(Draft::retweet(&user, &order))
            }
            Act::RetweetPrompt => {
                let prompt = recent(&self.prompts).unwrap_or_else(|| words::somebodys_post(due.at.time()));
                Deed::Post(Draft::retweet(&user, &prompt))
            }
        })
    }

    /// A deed was streamed as this post: notes what must come of it. Ends the conversation with its last step.
    pub fn posted(&mut self, due: &Due, post: Option<&Arc<Post>>) {
        let Some(talk) = self.open.get_mut(&due.number) else { return };
        if let Some(post) = post {
            let script = talk.behaviour.script();
            let end = match due.act {
                Act::BuyAgain => Some(DUPLICATE),
                act if act == script.first => Some(script.end),
                _ => None,
            };
            if let Some(end) = end {
                if due.act == script.first {
                    talk.line = self.truth.lines.len();
                }
                self.truth.lines.push(Line {
                    behaviour: talk.behaviour,
                    user: talk.user.id,
                    offer: talk.offer,
                    order_post: post.first_id(),
                    end,
                    confirm_post: None,
                });
            }
            match due.act {
                Act::Buy => {
                    talk.order = Some(post.clone());
                    keep(&mut self.orders, post);
                }
                Act::Reword => talk.order = Some(post.clone()),
                Act::Confirm(_) if talk.pays_by_one_post() => {
                    self.truth.lines[talk.line].confirm_post = Some(post.id);
                }
                _ => {}
            }
        }
        if talk.left == 0 {
            self.open.remove(&due.number);
        }
    }

    /// The service's prompt is on the network as this post: what its addressee does now.
    pub fn prompted(&mut self, user: u64, at: Moment, post: &Arc<Post>) -> Vec<Due> {
        keep(&mut self.prompts, post);
        let Some(number) = self.number_of(user) else { return Vec::new() };
        let Some(talk) = self.open.get_mut(&number).filter(|talk| talk.prompt.is_none()) else { return Vec::new() };
        talk.prompt = Some(post.clone());
        let mut due = Vec::new();
        for (act, when) in talk.behaviour.script().rest {
            let at = match when {
                When::Later(..) => continue,
                When::Prompted(from, to) => at.after(think(self.window, *from, *to, &mut talk.rng)),
                When::TooLate => {
                    let over = at.max(talk.opened.after(self.grace)).after(self.window);
                    over.after(Duration::from_millis(talk.rng.random_range(LATE_MS)))
                }
            };
            due.push(Due { at, number, act: *act });
        }
        due
    }

    /// Where the next post of a step goes, if it must go where the conversation began.
    pub fn partition(&mut self, due: &Due, drawn: u32) -> u32 {
        let Some(talk) = self.open.get_mut(&due.number) else { return drawn };
        match due.act {
            Act::Buy | Act::BuyAgain | Act::Reword => *talk.partition.get_or_insert(drawn),
            _ => drawn,
        }
    }

    /// Those of the next so many people who have a card linked.
    pub fn coming(&self, count: u64) -> impl Iterator<Item = User> {
        (self.begun..self.begun + count).filter_map(|number| {
            let mut rng = self.rng_of(number);
            let behaviour = draw(&mut rng);
            let user = person(self.first_user + number, number, &mut rng);
            (behaviour != Behaviour::IsNotLinked).then_some(user)
        })
    }

    pub fn service(&self) -> &Arc<User> {
        &self.service
    }

    /// Conversations whose scripts are not over.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The users that came so far: the first, and how many.
    pub fn users(&self) -> (u64, u64) {
        (self.first_user, self.begun)
    }

    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    pub fn into_truth(self) -> Truth {
        self.truth
    }

    fn number_of(&self, user: u64) -> Option<u64> {
        user.checked_sub(self.first_user).filter(|number| *number < self.begun)
    }

    fn rng_of(&self, number: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Conversation {
    fn pays_by_one_post(&self) -> bool {
        let confirms = |(act, _): &&(Act, When)| matches!(act, Act::Confirm(_));
        let script = self.behaviour.script();
        script.rest.iter().filter(confirms).count() == 1 && script.end.to.contains(&crate::domain::State::Fulfilled)
    }

    fn confirm(&self, form: Form, goods: &Goods, service: &Arc<User>) -> Draft {
        Draft::confirm(&self.user, goods.confirm_tag, form, self.prompt.as_ref(), service)
    }
}

fn think(window: Duration, from: f64, to: f64, rng: &mut SmallRng) -> Duration {
    (window / 2).min(THINK_MAX).mul_f64(rng.random_range(from..to))
}

fn draw(rng: &mut SmallRng) -> Behaviour {
    let drawn = WEIGHTS.choose_weighted(rng, |(_, weight)| *weight);
    drawn.map_or(Behaviour::ConfirmsBare, |(behaviour, _)| *behaviour)
}

fn answers(post: &Post, user: u64) -> bool {
    matches!(&post.draft.relation, crate::posts::post::Relation::Reply { to, .. } if to.id == user)
}

fn keep(ring: &mut VecDeque<Arc<Post>>, post: &Arc<Post>) {
    if ring.len() >= RECENT_POSTS_MAX {
        ring.pop_front();
    }
    ring.push_back(post.clone());
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}
