//! The pace of the demo: first wall time moves virtual time, then virtual time jumps until nothing is pending.

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{bail, ensure};

use super::goods::Goods;
use super::report::Report;
use super::world::{READ_BACK, World};
use super::{DemoOptions, Progress, Service};
use crate::clock::{Clock, Deadline};
use crate::domain::{Offer, Span, Time};
use crate::outside::{Outputs, Writer};

/// Pause between two looks at the world while wall time moves it.
pub const BEAT: Duration = Duration::from_millis(15);

/// Pause between two looks while the service catches up.
const SETTLE_BEAT: Duration = Duration::from_millis(2);

/// How long the service may take to catch up.
const SETTLE_WALL_MAX: Duration = Duration::from_secs(120);

/// Progress is told this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Virtual time stands still while an answer that is due at once has been missing for this long.
const ANSWER_LAG_MAX: Span = Span::of_secs(60);

/// It stands still for this much wall time at most; then the answer counts as missing.
const STANDSTILL_MAX: Duration = Duration::from_secs(20);

/// Jumps of virtual time: at least, while scripts go on, and while nothing but expiries is awaited.
const HOP_MIN: Span = Span::of_secs(15);
const HOP_ACTIVE_MAX: Span = Span::of_secs(60);
const HOP_EXPIRY: Span = Span::of_mins(2);

/// Jumps until nothing is pending, at most: far more than the longest script and wait take.
const HOPS_MAX: u32 = 5_000;

/// Jumps for authorized purchases to become orders, once all else is over (a cancel window must pass).
const HOPS_FOR_ORDERS_MAX: u32 = 720;

/// Wall time of one span that is longer than any demo.
const AGES: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Runs a demo to its end and judges it. Errors: the log failed, the service does not catch up, purchases stay pending.
pub fn run(
    service: &dyn Service,
    options: &DemoOptions,
    offers: &[Arc<Offer>],
    on_progress: &mut dyn FnMut(&Progress),
) -> anyhow::Result<Report> {
    let mut demo = Demo::new(service, options, offers)?;
    demo.settle()?;
    let began = demo.watch.elapsed();
    demo.stream(on_progress)?;
    demo.end(began, on_progress)
}

pub struct Demo<'a> {
    pub service: &'a dyn Service,
    pub options: &'a DemoOptions,
    pub world: World,
    writer: Writer,
    outputs: Outputs,
    /// Everything that can be bought, the demo's own offers included.
    goods: Vec<Arc<Goods>>,
    started: Time,
    watch: Watch,
    told: Duration,
}

/// Wall time since the start.
struct Watch {
    end: Deadline,
}

impl<'a> Demo<'a> {
    pub fn new(service: &'a dyn Service, options: &'a DemoOptions, offers: &[Arc<Offer>]) -> anyhow::Result<Demo<'a>> {
        let started = service.clock().now();
        let catalogue: Vec<_> = offers.iter().filter_map(|o| Goods::of_offer(o, started)).map(Arc::new).collect();
        ensure!(!catalogue.is_empty(), "no offer of the catalogue is a purchase that is open now");
        let bus = service.bus();
        let own = super::goods::own_offers().map(|(goods, _)| goods);
        let goods = catalogue.iter().cloned().chain(own).collect();
        Ok(Demo {
            service,
            options,
            world: World::new(options, catalogue, bus.partitions(&options.topic)?, started)?,
            writer: Writer::new(bus, "demo")?,
            outputs: Outputs::new(bus, &READ_BACK)?,
            goods,
            started,
            watch: Watch { end: Deadline::after(AGES) },
            told: Duration::ZERO,
        })
    }

    /// Wall time moves virtual time, as fast as the service can follow.
    fn stream(&mut self, on_progress: &mut dyn FnMut(&Progress)) -> anyhow::Result<()> {
        let begin = self.watch.elapsed();
        let mut last = begin;
        let mut stood_still = Duration::ZERO;
        while !self.service.stopped() {
            let wall = self.watch.elapsed();
            if self.is_over(begin, wall) {
                return Ok(());
            }
            let passed = wall.saturating_sub(last);
            last = wall;
            self.advance(passed, &mut stood_still)?;
            self.tell(on_progress, false);
            sleep(BEAT);
        }
        Ok(())
    }

    /// Whether people have posted for long enough.
    pub fn is_over(&self, began: Duration, wall: Duration) -> bool {
        self.options.wall.is_some_and(|length| wall.saturating_sub(began) >= length)
    }

    /// Nobody new comes, virtual time runs until nothing is pending, and all is judged. People have posted since
    /// `began`, a moment of [`Demo::elapsed`].
    pub fn end(&mut self, began: Duration, on_progress: &mut dyn FnMut(&Progress)) -> anyhow::Result<Report> {
        let streaming = self.watch.elapsed().saturating_sub(began);
        let tweets_streaming = self.world.twitter.streamed();
        self.world.close(self.now());
        let stopped = !self.run_out(on_progress)?;
        let mut report = Report::of_ledger(&self.world.ledger, &self.goods);
        if stopped {
            report.deviations.clear();
        }
        Ok(Report {
            seed: self.options.seed,
            wall: self.watch.elapsed(),
            virtual_time: Span(self.now().since(self.started)),
            tweets: self.world.twitter.streamed(),
            streaming,
            tweets_streaming,
            prompt_ms: self.world.prompt_latency(),
            stopped,
            ..report
        })
    }

    /// So much wall time has passed: virtual time follows, unless the service lags.
    pub fn advance(&mut self, passed: Duration, stood_still: &mut Duration) -> anyhow::Result<()> {
        let wanted = self.now().after(self.virtual_span(passed));
        let bound = self.world.unanswered_since().map(|since| since.after(ANSWER_LAG_MAX));
        let next = bound.map_or(wanted, |bound| bound.clamp(self.now(), wanted));
        *stood_still = if next < wanted { *stood_still + passed } else { Duration::ZERO };
        if *stood_still > STANDSTILL_MAX {
            self.world.forget_unanswered();
        }
        self.service.clock().set(next);
        self.beat()?;
        Ok(())
    }

    /// Jumps until all scripts are over and nothing is pending. `false` if the user wants an end before.
    fn run_out(&mut self, on_progress: &mut dyn FnMut(&Progress)) -> anyhow::Result<bool> {
        let mut for_orders = 0;
        for _ in 0..HOPS_MAX {
            if self.service.stopped() || !self.settle()? {
                return Ok(false);
            }
            if self.world.is_over() && self.service.pending() == 0 {
                let ledger = &self.world.ledger;
                if for_orders >= HOPS_FOR_ORDERS_MAX || ledger.orders() >= ledger.payments().count() as u64 {
                    return Ok(true);
                }
                for_orders += 1;
            }
            let now = self.now();
            let next = now.after(self.hop(now));
            self.service.clock().set(next);
            self.world.run_until(next, self.wall_ms());
            // Sources that nobody posts into must come along, whatever the service makes of idle ones.
            self.world.pulse(next);
            self.flush()?;
            self.tell(on_progress, true);
        }
        let (shopping, pending) = (self.world.open(), self.service.pending());
        bail!("after {HOPS_MAX} jumps of virtual time {shopping} scripts are not over and {pending} purchases wait")
    }

    fn hop(&self, now: Time) -> Span {
        if self.world.is_over() {
            return HOP_EXPIRY;
        }
        let due = self.world.next_due().map_or(HOP_EXPIRY.0, |due| due.since(now));
        Span(due.clamp(HOP_MIN.0, HOP_ACTIVE_MAX.0))
    }

    /// Waits until the service has consumed everything and all of its answers were seen. `false` if the user wants an
    /// end before.
    pub fn settle(&mut self) -> anyhow::Result<bool> {
        let patience = Deadline::after(SETTLE_WALL_MAX);
        self.flush()?;
        while !patience.left().is_zero() {
            // Asked before reading: what was committed until then is read below.
            let drained = self.service.drained();
            let busy = self.beat()?;
            if drained && !busy {
                return Ok(true);
            }
            if self.service.stopped() {
                return Ok(false);
            }
            if !busy {
                sleep(SETTLE_BEAT);
            }
        }
        bail!("the service did not catch up within {} s", SETTLE_WALL_MAX.as_secs())
    }

    /// Reads what came, lets happen what is due, writes what came of it. Tells whether there was anything.
    pub fn beat(&mut self) -> anyhow::Result<bool> {
        let (now, wall_ms) = (self.now(), self.wall_ms());
        let world = &mut self.world;
        let read = self.outputs.read(&mut |topic, value| world.take(topic, value, now, wall_ms))?;
        self.world.run_until(now, wall_ms);
        Ok(self.flush()? || read > 0)
    }

    fn flush(&mut self) -> anyhow::Result<bool> {
        let records = self.world.take_outbox();
        self.writer.write(&records)?;
        Ok(!records.is_empty())
    }

    fn tell(&mut self, on_progress: &mut dyn FnMut(&Progress), closing: bool) {
        let wall = self.watch.elapsed();
        if wall.saturating_sub(self.told) >= PROGRESS_EVERY {
            self.told = wall;
            on_progress(&Progress {
                wall,
                now: self.now(),
                tweets: self.world.twitter.streamed(),
                shopping: self.world.open(),
                payments: self.world.ledger.payments().count() as u64,
                closing,
            });
        }
    }

    /// Wall time since the demo was made.
    pub fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    fn virtual_span(&self, wall: Duration) -> Span {
        let ms = wall.as_micros() * u128::from(self.options.speed) / 1000;
        Span(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    pub fn now(&self) -> Time {
        self.service.clock().now()
    }

    fn wall_ms(&self) -> u64 {
        u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Watch {
    fn elapsed(&self) -> Duration {
        AGES.saturating_sub(self.end.left())
    }
}
