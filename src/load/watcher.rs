//! The thread that reads what comes out: it measures, keeps the books, and hands replies on to be posted. Another one
//! takes samples of the backlog: asking a cluster takes a while, which no latency must count.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::books::{Books, user};
use super::firehose::Heard;
use super::meter::{Meter, Way};
use super::moment::{Moment, Watch};
use super::process;
use crate::bus::{Bus, BusError, Reader, TopicPartition};
use crate::engine::ends::{first_unread, positions_of, reached};
use crate::engine::worker::group_of;
use crate::outside::Outputs;

/// What is read back.
pub const READ_BACK: [&str; 5] =
    ["replies", "payments.authorized", "purchases.events", "fulfilment.orders", "dead-letters"];

/// Pause between two looks: the grain of every latency.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A sample is taken so often.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What the watching thread and the writing one share.
pub struct Shared {
    pub books: Mutex<Books>,
    pub meter: Mutex<Meter>,
    /// Posts appended in this segment.
    pub posts: AtomicU64,
    pub stop: AtomicBool,
    /// Processor time of the watching thread, in microseconds.
    pub cpu_us: AtomicU64,
    /// How often the watching thread had read all that there was.
    pub looked: AtomicU64,
}

/// How far the program is behind.
pub struct Gauge<'a> {
    bus: &'a dyn Bus,
    reader: Box<dyn Reader>,
    posts: Vec<TopicPartition>,
    inbox: Vec<TopicPartition>,
    asked: Vec<TopicPartition>,
    links: Vec<TopicPartition>,
}

/// The stages through which something goes, one after the other, and where the input of the first of them ended when
/// it came there.
pub struct Passage {
    legs: VecDeque<Leg>,
    ends: Option<Vec<u64>>,
}

/// An input, and the stage that consumes it.
#[derive(Clone, Copy)]
enum Leg {
    Links,
    Posts,
    Inbox,
    /// Of the offers.
    Asked,
}

#[derive(Deserialize)]
struct ReplyRecord<'a> {
    reply: &'a str,
    kind: &'a str,
    account: Option<&'a str>,
    handle: Option<&'a str>,
    in_reply_to: Option<&'a str>,
    text: String,
}

/// Watches until it is told to stop. Users from `first_user` on are ours.
pub fn watch(
    shared: &Shared,
    mut outputs: Outputs,
    heard: &Sender<Heard>,
    first_user: u64,
    watch: Watch,
) -> anyhow::Result<()> {
    while !shared.stop.load(Ordering::Acquire) {
        let read = outputs.read(&mut |topic, value| take(shared, topic, value, first_user, watch.now(), heard))?;
        shared.cpu_us.store((process::thread_cpu_seconds() * 1e6) as u64, Ordering::Relaxed);
        if read == 0 {
            shared.looked.fetch_add(1, Ordering::AcqRel);
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(())
}

/// Takes samples until it is told to stop.
pub fn sample(shared: &Shared, mut gauge: Gauge<'_>, watch: Watch) -> anyhow::Result<()> {
    let mut sampled = watch.now();
    while !shared.stop.load(Ordering::Acquire) {
        let now = watch.now();
        if now >= sampled.after(SAMPLE_EVERY) {
            sampled = now;
            let (posts, inbox) = (gauge.posts()?, gauge.inbox()?);
            gauge.reader.rest();
            lock(&shared.meter).sample(now, shared.posts.load(Ordering::Relaxed), posts, inbox);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(shared: &Shared, topic: &str, value: &[u8], first_user: u64, now: Moment, heard: &Sender<Heard>) {
    match topic {
        "replies" => {
            let Some((reply, kind)) = read_reply(value, now).filter(|(reply, _)| reply.user >= first_user) else {
                return;
            };
            if let (true, Some(post)) = (kind, reply.in_reply_to) {
                lock(&shared.meter).record(Way::TweetToPrompt, post, post, now);
            }
            // Nobody listens any more once the load is over.
            let _ = heard.send(reply);
        }
        "payments.authorized" => {
            if let Some(paid) = lock(&shared.books).payment(value) {
                let mut meter = lock(&shared.meter);
                meter.record(Way::ConfirmToPayment, paid.confirm_post, paid.confirm_post, now);
                meter.record(Way::TweetToPayment, paid.order_post, paid.confirm_post, now);
            }
        }
        "purchases.events" => lock(&shared.books).event(value),
        "fulfilment.orders" => lock(&shared.books).order(value),
        _ => lock(&shared.books).dead_letter(),
    }
}

/// A reply to somebody, and whether it is a prompt.
fn read_reply(value: &[u8], at: Moment) -> Option<(Heard, bool)> {
    let record: ReplyRecord<'_> = serde_json::from_slice(value).ok()?;
    let is_prompt = record.kind == "prompt";
    let heard = Heard {
        at,
        reply: record.reply.to_owned(),
        user: user(record.account?),
        handle: record.handle.unwrap_or_default().to_owned(),
        in_reply_to: record.in_reply_to.and_then(|id| id.parse().ok()),
        text: record.text,
        is_prompt,
    };
    Some((heard, is_prompt))
}

impl<'a> Gauge<'a> {
    pub fn new(bus: &'a dyn Bus, topic: &str) -> Result<Gauge<'a>, BusError> {
        Ok(Gauge {
            bus,
            reader: bus.reader()?,
            posts: bus.all_of(topic)?,
            inbox: bus.all_of("accounts.inbox")?,
            asked: bus.all_of("offers.inbox")?,
            links: bus.all_of("accounts.links")?,
        })
    }

    /// Posts that the screen has not consumed. Nothing but posts stands in their topic: the load's appender leaves no
    /// markers.
    pub fn posts(&mut self) -> Result<u64, BusError> {
        let behind = behind(self.bus, &mut *self.reader, "screen", &self.posts)?;
        Ok(behind.iter().map(|(_, position, end)| end.saturating_sub(*position)).sum())
    }

    /// Records that the accounts have not consumed, on a cluster with the markers between them.
    pub fn inbox(&mut self) -> Result<u64, BusError> {
        let mut sum = 0;
        for (at, position, end) in behind(self.bus, &mut *self.reader, "accounts", &self.inbox)? {
            if position < end {
                let (first, _) = first_unread(&mut *self.reader, at, position, end)?;
                sum += first.map_or(0, |(offset, _)| end - offset);
            }
        }
        Ok(sum)
    }

    /// Whether what was there when the passage began has gone through. That an inbox is ever empty is too much to ask
    /// while event time goes on.
    pub fn has_passed(&mut self, passage: &mut Passage) -> Result<bool, BusError> {
        while let Some(leg) = passage.legs.front() {
            let (stage, all) = match leg {
                Leg::Links => ("screen", &self.links),
                Leg::Posts => ("screen", &self.posts),
                Leg::Inbox => ("accounts", &self.inbox),
                Leg::Asked => ("offers", &self.asked),
            };
            let ends = match &mut passage.ends {
                Some(ends) => ends,
                ends => ends.insert(self.reader.ends(all)?),
            };
            let positions = positions_of(self.bus, &mut *self.reader, &group_of(stage), all)?;
            for ((at, position), end) in all.iter().zip(positions).zip(ends) {
                if !reached(&mut *self.reader, at, position, *end)? {
                    return Ok(false);
                }
            }
            passage.legs.pop_front();
            passage.ends = None;
        }
        Ok(true)
    }
}

impl Passage {
    /// Of links until they are known.
    pub fn of_links() -> Passage {
        Passage { legs: [Leg::Links, Leg::Inbox].into(), ends: None }
    }

    /// Of orders until they are answered, those that stock is asked for too.
    pub fn of_orders() -> Passage {
        Passage { legs: [Leg::Posts, Leg::Inbox, Leg::Asked, Leg::Inbox].into(), ends: None }
    }
}

/// A stage's committed positions, and the ends.
fn behind<'a>(
    bus: &dyn Bus,
    reader: &mut dyn Reader,
    stage: &str,
    all: &'a [TopicPartition],
) -> Result<Vec<(&'a TopicPartition, u64, u64)>, BusError> {
    let positions = positions_of(bus, reader, &group_of(stage), all)?;
    // The ends are looked up last, so that what comes meanwhile is not missed.
    let ends = reader.ends(all)?;
    Ok(all.iter().zip(positions).zip(ends).map(|((at, position), end)| (at, position, end)).collect())
}
