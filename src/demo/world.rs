//! Network, people and books together, moved along virtual time by whoever runs the demo.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::DemoOptions;
use super::cast::Cast;
use super::gateway::{Gateway, Seen};
use super::goods::{Goods, own_offers};
use super::ledger::Ledger;
use super::noise::Noise;
use super::person::You;
use super::report::Latency;
use super::shopper::{Manners, Next, Scene, Shopper};
use super::timeline::Timeline;
use super::twitter::Twitter;
use crate::bus::OutRecord;
use crate::domain::{AccountId, Span, Time};
use crate::posts::people;

/// The topics that the demo reads back.
pub const READ_BACK: [&str; 7] = [
    "replies",
    "messages.direct",
    "notifications.email",
    "purchases.events",
    "payments.authorized",
    "fulfilment.orders",
    "dead-letters",
];

/// Confirm windows that a shopper waits for a reply before giving up: an expiry takes one window and the stream's
/// lateness, a place in line may take the windows of those before.
const PATIENCE_WINDOWS: i64 = 4;
const PATIENCE_MORE: Span = Span::of_mins(30);

/// Latencies above this many milliseconds count as it.
const LATENCY_MS_MAX: u64 = 600_000;

/// Until the first round is through, shoppers come this often.
const FIRST_ROUND_EVERY: Span = Span::of_secs(4);

/// Whoever is through is forgotten after this: until then something may still be said to them.
const GONE_AFTER: Span = Span::of_mins(30);

pub struct World {
    pub twitter: Twitter,
    pub ledger: Ledger,
    /// In front of the page. Without one it is somebody of whom nobody hears.
    pub you: You,
    pub timeline: Timeline,
    pub(super) gateway: Gateway,
    pub(super) people_in_front: u64,
    /// Shoppers are forgotten when they are through, so that this can go on for ever.
    forgets: bool,
    cast: Cast,
    noise: Noise,
    manners: Manners,
    signals: Vec<u32>,
    shoppers: BTreeMap<usize, Shopper>,
    arrived: usize,
    by_user: HashMap<u64, usize>,
    agenda: BTreeMap<(Time, u64), Happening>,
    happenings: u64,
    /// Shoppers who wait for an answer that is due at once, and since when.
    unanswered: BTreeMap<usize, Time>,
    open: usize,
    pace: Pace,
    rng: SmallRng,
    asked: HashMap<u64, u64>,
    prompt_ms: Histogram<u64>,
}

/// How often things happen, in virtual time.
struct Pace {
    noise_every_us: i64,
    noise_carry_us: i64,
    shoppers_every_ms: i64,
    /// People still come.
    streaming: bool,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Noise,
    Arrival,
    Act(usize),
    Leave(usize),
}

impl World {
    /// `partitions` are those of the post topic. The demo's own offers are the first records to be written.
    pub fn new(options: &DemoOptions, catalogue: Vec<Arc<Goods>>, partitions: u32, now: Time) -> anyhow::Result<World> {
        let mut seeds = SmallRng::seed_from_u64(options.seed);
        let mut twitter = Twitter::new(&options.topic, partitions, seeds.random());
        let [(scarce, scarce_spec), (with_line, line_spec)] = own_offers();
        twitter.send("offers", &scarce.id, &scarce_spec);
        twitter.send("offers", &with_line.id, &line_spec);
        let manners = Manners {
            confirm_window: options.confirm_window,
            reply_grace: options.reply_grace,
            freeze_tag: options.freeze_tag.clone(),
            patience: Span(options.confirm_window.0.saturating_mul(PATIENCE_WINDOWS).saturating_add(PATIENCE_MORE.0)),
        };
        if options.plays {
            twitter.watch();
        }
        let service = Arc::new(people::service(options.service_user, &options.service_handle));
        let mut world = World {
            gateway: Gateway::new(options.network, service, seeds.random()),
            noise: Noise::new(seeds.random(), &catalogue),
            cast: Cast::new(seeds.random(), catalogue, scarce, with_line),
            twitter,
            ledger: if options.goes_on() { Ledger::counting() } else { Ledger::default() },
            you: You::new(1, options.network),
            timeline: Timeline::new(options.service_user),
            people_in_front: 1,
            forgets: options.goes_on(),
            manners,
            signals: Vec::new(),
            shoppers: BTreeMap::new(),
            arrived: 0,
            by_user: HashMap::new(),
            agenda: BTreeMap::new(),
            happenings: 0,
            unanswered: BTreeMap::new(),
            open: 0,
            pace: Pace::new(options),
            rng: SmallRng::seed_from_u64(seeds.random()),
            asked: HashMap::new(),
            prompt_ms: Histogram::new_with_max(LATENCY_MS_MAX, 3)?,
        };
        world.ledger.player(world.you.account);
        world.schedule(now, Happening::Noise);
        world.schedule(now, Happening::Arrival);
        Ok(world)
    }

    /// Everything that is due up to this moment happens, in order of time. `wall_ms` is for latencies only.
    pub fn run_until(&mut self, now: Time, wall_ms: u64) {
        loop {
            let reply = self.gateway.next_due().filter(|at| *at <= now);
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= now);
            match (reply, next) {
                (Some(reply), next) if next.is_none_or(|next| reply <= next) => {
                    if let Some((user, seen)) = self.gateway.post_next(&mut self.twitter) {
                        self.show(user, seen);
                    }
                }
                (_, Some(_)) => {
                    if let Some(((at, _), happening)) = self.agenda.pop_first() {
                        self.happen(happening, at, wall_ms);
                    }
                }
                _ => return,
            }
        }
    }

    /// Takes a record of an output topic.
    pub fn take(&mut self, topic: &str, value: &[u8], now: Time, wall_ms: u64) {
        let Ok(record) = serde_json::from_slice::<Value>(value) else {
            let came = format!("a record of {topic} that is not JSON");
            return self.ledger.fault("the outputs", "JSON", came);
        };
        self.ledger.take(topic, &record);
        self.you.take(topic, &record, now);
        let user = record["account"].as_str().and_then(AccountId::parse).map(|account| account.user);
        let shopper = user.and_then(|user| self.by_user.get(&user)).copied();
        match topic {
            "replies" => {
                self.gateway.take(&record, now);
                if let Some(shopper) = shopper {
                    self.unanswered.remove(&shopper);
                    self.measure(&record, wall_ms);
                }
            }
            "messages.direct" => {
                let text = |name: &str| record[name].as_str().map(str::to_owned);
                let (kind, offer, purchase) = (text("kind").unwrap_or_default(), text("offer"), text("purchase"));
                if let Some(user) = user {
                    self.show(user, Seen { kind, offer, purchase, at: now, post: None });
                }
            }
            _ => {}
        }
    }

    /// Nobody comes any more, but for the rest of the first round, who come now.
    pub fn close(&mut self, now: Time) {
        self.pace.streaming = false;
        while !self.cast.is_complete() {
            self.arrive(now);
        }
    }

    /// One post into every partition, so that time passes on each.
    pub fn pulse(&mut self, at: Time) {
        for partition in 0..self.twitter.partitions() {
            self.noise.pulse(partition, at, &mut self.twitter);
        }
    }

    /// When the next thing happens by itself.
    pub fn next_due(&self) -> Option<Time> {
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        self.gateway.next_due().into_iter().chain(next).min()
    }

    /// Since when the answer has been missing that is overdue the longest.
    pub fn unanswered_since(&self) -> Option<Time> {
        self.unanswered.values().min().copied()
    }

    /// Waits no longer for the answers that are missing; the shoppers do, until their patience ends.
    pub fn forget_unanswered(&mut self) {
        self.unanswered.clear();
    }

    pub fn take_outbox(&mut self) -> Vec<OutRecord> {
        self.twitter.take_outbox()
    }

    /// Shoppers whose script is not over.
    pub fn open(&self) -> usize {
        self.open
    }

    pub fn is_over(&self) -> bool {
        self.open == 0 && self.gateway.next_due().is_none()
    }

    pub fn prompt_latency(&self) -> Option<Latency> {
        let ms = &self.prompt_ms;
        (!ms.is_empty()).then(|| Latency {
            count: ms.len(),
            p50: ms.value_at_quantile(0.5),
            p99: ms.value_at_quantile(0.99),
            max: ms.max(),
        })
    }

    fn happen(&mut self, happening: Happening, at: Time, wall_ms: u64) {
        match happening {
            Happening::Noise if self.pace.streaming => {
                self.noise.make(at, &mut self.twitter);
                let next = self.pace.next_noise(at);
                self.schedule(next, Happening::Noise);
            }
            Happening::Arrival if self.pace.streaming => {
                self.arrive(at);
                let every = self.pace.shoppers_every_ms;
                let ms = self.rng.random_range(every / 2..=every + every / 2);
                let first_round = ms.min(FIRST_ROUND_EVERY.0);
                let next = at.after(Span(if self.cast.is_complete() { ms } else { first_round }.max(1)));
                self.schedule(next, Happening::Arrival);
            }
            Happening::Noise | Happening::Arrival => {}
            Happening::Act(shopper) => self.act(shopper, at, wall_ms),
            Happening::Leave(shopper) => self.leave(shopper),
        }
    }

    fn arrive(&mut self, now: Time) {
        for role in self.cast.next() {
            let place = self.arrived;
            self.arrived += 1;
            self.by_user.insert(role.user.id, place);
            self.gateway.register(&role.user, role.behaviour.blocks_service());
            self.shoppers.insert(place, Shopper::new(role, &self.gateway, &self.manners));
            self.open += 1;
            self.schedule(now, Happening::Act(place));
        }
        self.signals.resize(self.cast.groups(), 0);
    }

    fn act(&mut self, place: usize, now: Time, wall_ms: u64) {
        let Some(shopper) = self.shoppers.get_mut(&place).filter(|shopper| !shopper.is_done()) else { return };
        let signals_before = self.signals.clone();
        let conversations_before = self.ledger.conversations();
        let next = shopper.act(
            now,
            &mut Scene {
                twitter: &mut self.twitter,
                gateway: &mut self.gateway,
                ledger: &mut self.ledger,
                signals: &mut self.signals,
                manners: &self.manners,
            },
        );
        let group = shopper.group();
        for post in self.ledger.posts_since(conversations_before) {
            self.asked.insert(post, wall_ms);
        }
        match next {
            Next::OnAnswer(_) => drop(self.unanswered.entry(place).or_insert(now)),
            Next::At(_) | Next::OnEvent(_) | Next::Done => drop(self.unanswered.remove(&place)),
        }
        match next {
            Next::At(at) | Next::OnAnswer(at) | Next::OnEvent(at) => self.schedule(at, Happening::Act(place)),
            Next::Done => {
                self.open -= 1;
                if self.forgets {
                    self.schedule(now.after(GONE_AFTER), Happening::Leave(place));
                }
            }
        }
        if signals_before != self.signals {
            let fellows = self.shoppers.iter().filter(|(_, s)| s.group() == group && !s.is_done());
            let fellows: Vec<usize> = fellows.map(|(place, _)| *place).collect();
            for place in fellows {
                self.schedule(now, Happening::Act(place));
            }
        }
    }

    fn show(&mut self, user: u64, seen: Seen) {
        let (at, is_prompt) = (seen.at, seen.kind == "prompt");
        if user == self.you.user.id {
            self.you.see(&seen);
        } else {
            let place = self.by_user.get(&user).copied();
            let Some((place, shopper)) = place.and_then(|place| Some((place, self.shoppers.get_mut(&place)?))) else {
                return;
            };
            shopper.see(seen);
            self.schedule(at, Happening::Act(place));
        }
        if is_prompt {
            // Whoever looks for a prompt to abuse has one now.
            let looking = self.shoppers.iter().filter(|(_, s)| s.looks_for_prompts());
            let looking: Vec<usize> = looking.map(|(place, _)| *place).collect();
            for place in looking {
                self.schedule(at, Happening::Act(place));
            }
        }
    }

    fn leave(&mut self, place: usize) {
        if let Some(shopper) = self.shoppers.remove(&place) {
            self.by_user.remove(&shopper.user());
            self.gateway.forget(shopper.user());
        }
    }

    fn measure(&mut self, reply: &Value, wall_ms: u64) {
        let post = reply["in_reply_to"].as_str().and_then(|id| id.parse::<u64>().ok());
        let asked = post.and_then(|post| self.asked.remove(&post));
        if let Some(asked) = asked.filter(|_| reply["kind"] == "prompt" && self.pace.streaming) {
            self.prompt_ms.saturating_record(wall_ms.saturating_sub(asked));
        }
    }

    fn schedule(&mut self, at: Time, happening: Happening) {
        self.happenings += 1;
        self.agenda.insert((at, self.happenings), happening);
    }
}

impl Pace {
    fn new(options: &DemoOptions) -> Pace {
        Pace {
            noise_every_us: 1_000_000 / i64::from(options.posts_per_second.max(1)),
            noise_carry_us: 0,
            shoppers_every_ms: 60_000 / i64::from(options.shoppers_per_minute.max(1)),
            streaming: true,
        }
    }

    fn next_noise(&mut self, at: Time) -> Time {
        self.noise_carry_us += self.noise_every_us;
        let ms = self.noise_carry_us / 1000;
        self.noise_carry_us %= 1000;
        at.after(Span(ms))
    }
}
