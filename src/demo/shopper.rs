//! Somebody who follows a script, looking at the network as a person does.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::cast::{Group, Role};
use super::gateway::{Gateway, Seen};
use super::goods::Goods;
use super::ledger::{Ledger, Who};
use super::script::{Outcome, Step, Wait, script};
use super::twitter::Twitter;
use crate::domain::{Span, Time};
use crate::posts::json::object;
use crate::posts::post::{Draft, Form, Post};
use crate::posts::words;
use crate::wire::time;

/// The window for which the times in scripts are meant; shorter ones shorten them.
const USUAL_WINDOW: Span = Span::of_mins(15);

/// A late confirm comes this much after the end of its window, at least.
const LATE_BY: Span = Span::of_mins(3);

/// What a shopper acts upon.
pub struct Scene<'a> {
    pub twitter: &'a mut Twitter,
    pub gateway: &'a mut Gateway,
    pub ledger: &'a mut Ledger,
    /// Signals given so far, by group.
    pub signals: &'a mut Vec<u32>,
    pub manners: &'a Manners,
}

/// The rules of the service that shoppers know.
#[derive(Clone, Debug)]
pub struct Manners {
    pub confirm_window: Span,
    pub reply_grace: Span,
    /// Without `#`.
    pub freeze_tag: String,
    /// How long a shopper waits for a reply before giving up.
    pub patience: Span,
}

pub struct Shopper {
    role: Role,
    who: Arc<Who>,
    steps: VecDeque<Step>,
    rng: SmallRng,
    not_before: Time,
    /// Until when the step under way waits.
    waits_until: Option<Time>,
    inbox: Vec<Seen>,
    /// The last post that was to buy, or to become one that does.
    order: Option<Arc<Post>>,
    prompts: Vec<(String, Arc<Post>)>,
}

/// When a shopper wants to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    At(Time),
    /// On a reply that the service gives at once, or at this time at the latest.
    OnAnswer(Time),
    /// On a reply or signal, or at this time at the latest.
    OnEvent(Time),
    Done,
}

impl Shopper {
    pub fn new(role: Role, gateway: &Gateway, manners: &Manners) -> Shopper {
        let account = gateway.account(role.user.id);
        let handle = role.user.handle.clone();
        Shopper {
            who: Arc::new(Who { account, user: role.user.id, handle, behaviour: role.behaviour }),
            steps: script(role.behaviour, role.form, manners.confirm_window).into(),
            rng: SmallRng::seed_from_u64(role.seed),
            not_before: Time(0),
            waits_until: None,
            inbox: Vec::new(),
            order: None,
            prompts: Vec::new(),
            role,
        }
    }

    pub fn group(&self) -> Option<Group> {
        self.role.group
    }

    pub fn user(&self) -> u64 {
        self.role.user.id
    }

    pub fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// Waits for anybody's prompt.
    pub fn looks_for_prompts(&self) -> bool {
        self.steps.front() == Some(&Step::RetweetPromptOfAnother)
    }

    /// A reply shows in the timeline.
    pub fn see(&mut self, seen: Seen) {
        if let (Some(post), Some(offer), "prompt") = (&seen.post, &seen.offer, seen.kind.as_str()) {
            self.prompts.push((offer.clone(), post.clone()));
        }
        self.inbox.push(seen);
    }

    /// Goes on with the script as far as it can at this moment.
    pub fn act(&mut self, now: Time, scene: &mut Scene<'_>) -> Next {
        while let Some(step) = self.steps.front().copied() {
            if now < self.not_before {
                return Next::At(self.not_before);
            }
            match self.is_over(step, scene) {
                Ok(()) => {
                    self.waits_until = None;
                    self.steps.pop_front();
                    self.perform(step, now, scene);
                }
                Err(at_once) => {
                    let until = *self.waits_until.get_or_insert(now.after(scene.manners.patience));
                    if now < until {
                        return if at_once { Next::OnAnswer(until) } else { Next::OnEvent(until) };
                    }
                    self.give_up(step, scene);
                }
            }
        }
        Next::Done
    }

    /// Whether what a step waits for is there; else whether it should come at once.
    fn is_over(&mut self, step: Step, scene: &Scene<'_>) -> Result<(), bool> {
        match step {
            Step::Await(kind, offer, wait) => {
                let offer = offer.map(|place| self.goods(place).id.clone());
                let direct = wait == Wait::Direct;
                self.receive(kind, offer.as_deref(), direct).ok_or(wait != Wait::Long)
            }
            Step::AwaitPromptOrSoldOut => {
                let offer = self.goods(0).id.clone();
                if self.receive("sold_out", Some(&offer), false).is_some() {
                    self.steps.truncate(1);
                    return Ok(());
                }
                self.receive("prompt", Some(&offer), false).ok_or(true)
            }
            Step::AwaitSignals(count) => {
                let given = self.role.group.and_then(|group| scene.signals.get(group));
                if given.is_some_and(|given| *given >= count) { Ok(()) } else { Err(false) }
            }
            Step::RetweetPromptOfAnother if scene.gateway.prompt_of_another(self.role.user.id).is_none() => Err(false),
            _ => Ok(()),
        }
    }

    /// Takes a reply from what was seen.
    fn receive(&mut self, kind: &str, offer: Option<&str>, direct: bool) -> Option<()> {
        let wanted = |seen: &Seen| {
            seen.kind == kind && seen.post.is_none() == direct && (offer.is_none() || seen.offer.as_deref() == offer)
        };
        let place = self.inbox.iter().position(wanted)?;
        self.inbox.remove(place);
        Some(())
    }

    fn give_up(&mut self, step: Step, scene: &mut Scene<'_>) {
        let expected = match step {
            Step::Await(kind, _, Wait::Direct) => format!("a direct message \"{kind}\""),
            Step::Await(kind, ..) => format!("a reply \"{kind}\""),
            Step::AwaitPromptOrSoldOut => "a reply \"prompt\" or \"sold_out\"".to_owned(),
            Step::AwaitSignals(_) => "the turn in line".to_owned(),
            _ => "somebody's prompt to retweet".to_owned(),
        };
        let minutes = scene.manners.patience.0 / 60_000;
        scene.ledger.complain(&self.who, expected, format!("nothing within {minutes} virtual minutes"));
        self.steps.clear();
    }

    fn perform(&mut self, step: Step, now: Time, scene: &mut Scene<'_>) {
        match step {
            Step::Await(..) | Step::AwaitPromptOrSoldOut | Step::AwaitSignals(_) => {}
            Step::Think(from_s, to_s) => {
                let usual = USUAL_WINDOW.0;
                let ms = self.rng.random_range(from_s * 1000..=to_s * 1000);
                self.not_before = now.after(Span(ms * scene.manners.confirm_window.0.min(usual) / usual));
            }
            Step::UntilLate => self.not_before = self.late(now, scene),
            Step::Link | Step::SuspendCard | Step::Unlink => self.tell_issuer(step, now, scene),
            Step::Signal => {
                let given = self.role.group.and_then(|group| scene.signals.get_mut(group));
                if let Some(given) = given {
                    *given += 1;
                }
            }
            Step::DeleteOrder => {
                let order = self.order.as_ref().map(|post| post.id);
                if let Some(order) = order {
                    scene.twitter.delete(order, self.role.user.id, now);
                }
            }
            Step::JokeByQuote | Step::JokeByManualRetweet | Step::RetweetOrder | Step::RetweetPromptOfAnother => {
                self.joke(step, now, scene);
            }
            Step::Buy(..) | Step::BuyBoth | Step::BuyWithConfirmTag(_) => self.buy(step, now, scene),
            Step::Muse | Step::Reword | Step::AddTag(_) => self.edit(step, now, scene),
            Step::Confirm(place, form) => {
                let draft = self.confirm(place, form, scene);
                scene.twitter.publish(draft, now);
            }
            Step::Cancel => {
                let post = self.prompts.last().map(|(_, post)| post.id);
                let service = scene.gateway.service().clone();
                let text = format!("@{} Cancel please, I changed my mind", service.handle);
                scene.twitter.publish(Draft::reply(&self.role.user, text, post, &service), now);
            }
            Step::CancelByTag => {
                let tag = self.goods(0).cancel_tag.clone().unwrap_or_default();
                scene.twitter.publish(Draft::own(&self.role.user, format!("On second thoughts #{tag}")), now);
            }
            Step::Freeze => {
                let text = format!("That wasn't me?! #{}", scene.manners.freeze_tag);
                scene.twitter.publish(Draft::own(&self.role.user, text), now);
            }
        }
    }

    /// When the window of the prompt seen last is over for sure: `deadline` of the rules, and a margin.
    fn late(&mut self, now: Time, scene: &Scene<'_>) -> Time {
        let ordered = self.order.as_ref().map_or(now, |post| post.time);
        let prompted = self.prompts.last().map_or(now, |(_, post)| post.time);
        let from = ordered.after(scene.manners.reply_grace).max(prompted);
        from.after(scene.manners.confirm_window).after(LATE_BY).after(Span(self.rng.random_range(0..60_000)))
    }

    /// What the card system tells of the account.
    fn tell_issuer(&self, step: Step, now: Time, scene: &mut Scene<'_>) {
        let (account, user) = (self.who.account.as_str(), &self.role.user);
        let kind = match step {
            Step::Link => "link",
            Step::Unlink => "unlink",
            _ => "card",
        };
        let mut record = object([("type", kind.into()), ("account", account.into())]);
        match step {
            Step::Link => record.extend([
                ("card", self.who.card().into()),
                ("country", self.role.country.as_str().into()),
                ("handle", user.handle.as_str().into()),
                ("email_ref", format!("eml_{}", user.id).into()),
                ("billing_ref", self.who.address().into()),
            ]),
            Step::Unlink => {}
            _ => record.extend([("status", "suspended".into())]),
        }
        record.extend([("at", time::format(now).into())]);
        scene.twitter.send("accounts.links", account, &record);
        if step == Step::Link {
            scene.gateway.register(user, self.role.behaviour.blocks_service());
        }
    }

    fn buy(&mut self, step: Step, now: Time, scene: &mut Scene<'_>) {
        let (text, expected): (String, Vec<(usize, Outcome)>) = match step {
            Step::Buy(place, outcome) => {
                let tag = self.goods(place).buy_tag.clone();
                (words::buying(&tag, &mut self.rng), vec![(place, outcome)])
            }
            Step::BuyBoth => {
                let (first, second) = (&self.goods(0).buy_tag, &self.goods(1).buy_tag);
                let text = format!("One of each please: #{first} and #{second} 🎁🎁");
                (text, vec![(0, Outcome::Purchased), (1, Outcome::Purchased)])
            }
            Step::BuyWithConfirmTag(outcome) => {
                let goods = self.goods(0);
                (format!("In one go: #{} #{}", goods.buy_tag, goods.confirm_tag), vec![(0, outcome)])
            }
            _ => return,
        };
        let post = scene.twitter.publish(Draft::own(&self.role.user, text), now);
        for (place, outcome) in expected {
            scene.ledger.expect(&self.who, Some(self.goods(place)), &post, outcome);
        }
        self.order = Some(post);
    }

    fn edit(&mut self, step: Step, now: Time, scene: &mut Scene<'_>) {
        let tag = self.goods(0).buy_tag.clone();
        let text = match step {
            Step::Muse => "Thinking about a little something for myself".to_owned(),
            Step::Reword => format!("I'll have that, please (edit: typo) #{tag}"),
            _ => format!("Thinking about a little something for myself #{tag}"),
        };
        let edit_of = if step == Step::Muse { None } else { self.order.clone() };
        let post = scene.twitter.publish(Draft { edit_of, ..Draft::own(&self.role.user, text) }, now);
        if let Step::AddTag(outcome) = step {
            scene.ledger.expect(&self.who, Some(self.goods(0)), &post, outcome);
        }
        self.order = Some(post);
    }

    fn confirm(&self, place: usize, form: Form, scene: &Scene<'_>) -> Draft {
        let goods = self.goods(place);
        let (user, tag, service) = (&self.role.user, &goods.confirm_tag, scene.gateway.service());
        let prompt = self.prompts.iter().rev().find(|(offer, _)| *offer == goods.id).map(|(_, post)| post);
        Draft::confirm(user, tag, form, prompt, service)
    }

    /// What must buy nothing.
    fn joke(&mut self, step: Step, now: Time, scene: &mut Scene<'_>) {
        let (user, goods) = (&self.role.user, self.role.goods.first());
        let tag = goods.map_or("", |goods| &goods.buy_tag);
        let service = scene.gateway.service().id;
        let another = |post: &Post| post.author().id != service && post.author().id != user.id;
        let anything = scene.twitter.recent(another).unwrap_or_else(|| words::somebodys_post(now));
        let (draft, outcome) = match step {
            Step::JokeByQuote => {
                let words = format!("As if I'd ever #{tag} 😂");
                (Draft::quote(user, &words, &anything), Outcome::rejected_quote())
            }
            Step::JokeByManualRetweet => {
                let text = format!("lol RT @{}: you should all #{tag}", anything.author().handle);
                (Draft::own(user, text), Outcome::rejected_manual_retweet())
            }
            Step::RetweetOrder => {
                let tagged = format!("#{tag}");
                let order = scene.twitter.recent(|post| another(post) && post.draft.text.contains(&tagged));
                (Draft::retweet(user, &order.unwrap_or(anything)), Outcome::Nothing)
            }
            _ => match scene.gateway.prompt_of_another(user.id) {
                Some(prompt) => (Draft::retweet(user, &prompt), Outcome::Nothing),
                None => return,
            },
        };
        let post = scene.twitter.publish(draft, now);
        let goods = goods.filter(|_| outcome != Outcome::Nothing);
        scene.ledger.expect(&self.who, goods.map(|goods| &**goods), &post, outcome);
    }

    /// Scripts name offers by their place among those that the role brings.
    fn goods(&self, place: usize) -> &Goods {
        self.role.goods.get(place).or_else(|| self.role.goods.first()).expect("every role comes for something")
    }
}
