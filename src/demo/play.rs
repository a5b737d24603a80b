//! The demo that one plays: the same world at the pace of life, for as long as one likes, and somebody in front of the
//! page among those who shop.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::sleep;
use std::time::Duration;

use std::sync::Arc;

use serde_json::{Value, json};

use super::run::{BEAT, Demo};
use super::{DemoOptions, Progress, Report, Service};
use crate::domain::{Offer, Span, Time};
use crate::http::{Act, Events, Play};

/// Acts that wait for the demo's thread; a page that sends more is refused.
const ACTS_MAX: usize = 64;

/// How long an act may wait for the demo's thread.
const ACT_WAIT_MAX: Duration = Duration::from_secs(10);

/// The page is told what is new this often, and the time at least so often.
const TOLD_EVERY: Duration = Duration::from_millis(200);
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// The past of the world that the page opens on: people have linked cards, first orders are under way.
const BEFORE: Span = Span::of_mins(8);

/// A step while time is wound forward; the service keeps up between two of them.
const STEP: Span = Span::of_secs(60);

/// Time can be wound forward this far at once.
const FORWARD_MAX: Span = Span::of_mins(120);

/// Deadlines are asked for this often while something waits.
const DEADLINES_EVERY: Duration = Duration::from_millis(500);

/// A question or an act, and where its answer goes.
type Order = (Option<Act>, SyncSender<Result<Value, String>>);

/// The server's end.
struct Player {
    orders: SyncSender<Order>,
}

/// The demo's end.
pub struct Desk {
    orders: Receiver<Order>,
    events: Events,
}

/// The two ends; what happens is published to `events`.
pub fn desk(events: Events) -> (Arc<dyn Play>, Desk) {
    let (sender, orders) = sync_channel(ACTS_MAX);
    (Arc::new(Player { orders: sender }), Desk { orders, events })
}

/// Plays until the user wants an end, which gives `None`, or for as long as the options say; then virtual time runs
/// until nothing is pending, and all is judged but what the person in front of it did. Errors: the log failed, there is
/// nothing to buy, the service does not catch up, purchases stay pending.
pub fn play(
    service: &dyn Service,
    options: &DemoOptions,
    offers: &[Arc<Offer>],
    desk: &Desk,
    on_progress: &mut dyn FnMut(&Progress),
) -> anyhow::Result<Option<Report>> {
    let mut demo = Demo::new(service, options, offers)?;
    demo.settle()?;
    let forward_to = demo.now().after(BEFORE);
    let mut stage = Stage { demo, desk, forward_to: Some(forward_to), told: None, asked: Duration::ZERO, times: 0 };
    let began = stage.demo.elapsed();
    stage.play(began)?;
    if service.stopped() {
        return Ok(None);
    }
    stage.demo.end(began, on_progress).map(Some)
}

impl Play for Player {
    fn state(&self) -> Result<Value, String> {
        self.order(None)
    }

    fn act(&self, act: Act) -> Result<Value, String> {
        self.order(Some(act))
    }
}

impl Player {
    fn order(&self, act: Option<Act>) -> Result<Value, String> {
        let (sender, answer) = sync_channel(1);
        self.orders.try_send((act, sender)).map_err(|_| "the demo is busy or ends; try again".to_owned())?;
        answer.recv_timeout(ACT_WAIT_MAX).map_err(|_| "the demo does not answer now; try again".to_owned())?
    }
}

struct Stage<'a> {
    demo: Demo<'a>,
    desk: &'a Desk,
    /// Time is wound forward to this moment.
    forward_to: Option<Time>,
    /// When the page was told last, and when of anything new.
    told: Option<(Duration, Duration)>,
    /// When deadlines were asked for.
    asked: Duration,
    /// How often the page was told: a state that is older than what was told since must not replace it.
    times: u64,
}

impl Stage<'_> {
    fn play(&mut self, began: Duration) -> anyhow::Result<()> {
        let mut last = began;
        let mut stood_still = Duration::ZERO;
        while !self.demo.service.stopped() {
            let wall = self.demo.elapsed();
            if self.demo.is_over(began, wall) {
                break;
            }
            let passed = wall.saturating_sub(last);
            last = wall;
            while let Ok((act, answer)) = self.desk.orders.try_recv() {
                // Whoever asked may have gone.
                let _ = answer.send(self.obey(act));
            }
            match self.forward_to {
                Some(to) => self.forward(to)?,
                None => self.demo.advance(passed, &mut stood_still)?,
            }
            self.follow_you(wall)?;
            self.tell(wall);
            if self.forward_to.is_none() {
                sleep(BEAT);
            }
        }
        Ok(())
    }

    /// A step towards a later moment, once the service has kept up with the one before.
    fn forward(&mut self, to: Time) -> anyhow::Result<()> {
        if !self.demo.settle()? {
            return Ok(());
        }
        let now = self.demo.now();
        let next = now.after(STEP).min(to);
        if next > now {
            self.demo.service.clock().set(next);
            self.demo.beat()?;
        }
        if next >= to {
            self.demo.settle()?;
            self.forward_to = None;
        }
        Ok(())
    }

    /// What came of the person's posts, and until when they may confirm.
    fn follow_you(&mut self, wall: Duration) -> anyhow::Result<()> {
        let service = self.demo.service;
        if self.demo.world.you.is_unsettled() && service.drained() {
            self.demo.beat()?;
            self.demo.world.you.settle();
        }
        if wall.saturating_sub(self.asked) >= DEADLINES_EVERY && self.demo.world.you.waits() {
            self.asked = wall;
            let you = &mut self.demo.world.you;
            you.told_deadlines(service.deadlines(you.account));
        }
        let you = self.demo.world.you.user.id;
        let shown = self.demo.world.twitter.take_shown();
        self.demo.world.timeline.take(shown, you, wall);
        Ok(())
    }

    fn obey(&mut self, act: Option<Act>) -> Result<Value, String> {
        let now = self.demo.now();
        match act {
            None => Ok(self.state()),
            Some(Act::Forward { seconds }) => {
                let to = now.after(Span::of_secs(i64::from(seconds)));
                if to.since(now) > FORWARD_MAX.0 {
                    return Err(format!("at most {} minutes at once", FORWARD_MAX.0 / 60_000));
                }
                self.forward_to = Some(self.forward_to.map_or(to, |under_way| under_way.max(to)));
                Ok(json!({"forward_to": to.0}))
            }
            Some(act) => self.demo.world.act_as_you(act, now),
        }
    }

    fn tell(&mut self, wall: Duration) {
        let (last, last_clock) = self.told.unwrap_or_default();
        if self.told.is_some() && wall.saturating_sub(last) < TOLD_EVERY {
            return;
        }
        let (posts, deleted) = self.demo.world.timeline.take_fresh(self.demo.world.you.user.id);
        let you = self.demo.world.you.take_changed();
        let is_news = !posts.is_empty() || !deleted.is_empty() || you.is_some() || self.forward_to.is_some();
        if !is_news && wall.saturating_sub(last_clock) < CLOCK_EVERY {
            self.told = Some((wall, last_clock));
            return;
        }
        self.told = Some((wall, wall));
        self.times += 1;
        let news = json!({"clock": self.clock(), "posts": posts, "deleted": deleted, "you": you,
            "totals": self.totals(), "times": self.times});
        // Everybody who sees the demo's page is in front of it.
        self.desk.events.publish_forms("demo", &news, &json!({"clock": self.clock()}));
    }

    fn state(&self) -> Value {
        let (world, options) = (&self.demo.world, self.demo.options);
        json!({"clock": self.clock(), "posts": world.timeline.json(world.you.user.id), "you": world.you.json(),
            "totals": self.totals(), "times": self.times, "service": options.service_handle,
            "confirm_window_ms": options.confirm_window.0, "reply_grace_ms": options.reply_grace.0,
            "lateness_max_ms": options.lateness_max.0})
    }

    fn clock(&self) -> Value {
        let Time(now) = self.demo.now();
        json!({"now": now, "speed": self.demo.options.speed, "forward_to": self.forward_to.map(|Time(ms)| ms)})
    }

    fn totals(&self) -> Value {
        let world = &self.demo.world;
        json!({"posts": world.twitter.streamed(), "shopping": world.open(), "payments": world.ledger.paid()})
    }
}
