//! Segments of load one after the other: what is due is generated and appended, whatever the program does meanwhile;
//! at the end the load waits until everything that must come has come.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::Duration;

use anyhow::{Context, bail};

use super::books::{Books, Judgement};
use super::firehose::{Counts, Firehose, Heard};
use super::meter::{Latency, Meter, Sample, Way};
use super::moment::{Moment, Watch};
use super::report::{Cost, Report};
use super::shape::{Segment, Shape};
use super::truth::Truth;
use super::watcher::{Gauge, Passage, READ_BACK, Shared, lock, sample, watch};
use super::{BACKLOG_SPAN, Backlog, Options, Phase, Program, Progress, goods, hold, process};
use crate::bus::{Bus, OutRecord};
use crate::clock::Clock;
use crate::outside::{Outputs, Writer};

/// Pause while nothing is due.
const BEAT: Duration = Duration::from_millis(1);

/// Bytes of posts in one transaction, about.
const TRANSACTION_BYTES: u64 = 16 << 20;

/// Records of a side input in one transaction.
const TRANSACTION_RECORDS: usize = 10_000;

/// Progress is told, and the program looked at, so often.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Posts per second that keep event time going while the load waits, on each partition.
const PULSE_RATE: f64 = 50.0;

/// What the program may take to catch up, and to answer what is due, beyond what the rules of time take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stretch of waiting; the pulse goes on in the next.
const WAIT_SEGMENT: Duration = Duration::from_secs(3600);

/// A load that came to its end.
pub struct Finished<P> {
    pub report: Report,
    pub truth: Truth,
    pub program: P,
}

/// What a generator alone does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DryRun {
    pub counts: Counts,
    /// Processor seconds of generating.
    pub cpu_seconds: f64,
}

/// Runs a load. `start` starts the program: after the backlog was appended if there is one, else before anything else
/// is. Errors: the log or the program failed, the user stopped it, or the program does not catch up with the links.
pub fn run<P: Program>(
    bus: &dyn Bus,
    clock: &dyn Clock,
    options: &Options,
    start: impl FnOnce() -> anyhow::Result<P>,
    on_progress: &mut dyn FnMut(&Progress),
) -> anyhow::Result<Finished<P>> {
    let watch_now = Watch::start(clock);
    let now = watch_now.now();
    let mut firehose = Firehose::new(options, bus.partitions(&options.topic)?, now);
    let mut writer = Writer::new(bus, "load")?;
    let outputs = Outputs::new(bus, &READ_BACK)?;
    writer.write(&goods::records().collect::<Vec<OutRecord>>())?;
    if let Some(backlog) = options.backlog {
        pile_up(&mut firehose, &mut writer, options, backlog, watch_now)?;
    }
    let program = start()?;
    let shared = Shared {
        books: Mutex::new(Books::default()),
        meter: Mutex::new(Meter::new(now)?),
        posts: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        cpu_us: AtomicU64::new(0),
        looked: AtomicU64::new(0),
    };
    let (speak, hear) = channel();
    let first_user = firehose.users().0;
    let (gauge, second) = (Gauge::new(bus, &options.topic)?, Gauge::new(bus, &options.topic)?);
    let (report, firehose) = scope(|threads| {
        let stop = StopAtEnd(&shared.stop);
        let watching = {
            let shared = &shared;
            threads.spawn(move || watch(shared, outputs, &speak, first_user, watch_now))
        };
        let sampling = {
            let shared = &shared;
            threads.spawn(move || sample(shared, second, watch_now))
        };
        let mut load = Load {
            options,
            program: &program,
            firehose,
            writer,
            gauge,
            hear,
            shared: &shared,
            readers: [watching, sampling],
            watch: watch_now,
            on_progress,
            told: now,
            behind: Duration::ZERO,
            waits: false,
        };
        let report = load.whole();
        drop(stop);
        let Load { firehose, readers, .. } = load;
        for reader in readers {
            match reader.join() {
                Ok(ended) => ended.context("reading what comes out")?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        anyhow::Ok((report?, firehose))
    })?;
    Ok(Finished { report, truth: firehose.into_truth(), program })
}

/// Generates a load and sends it nowhere. `visit` sees everything.
pub fn dry_run(options: &Options, partitions: u32, now: Moment, visit: &mut dyn FnMut(&super::Said)) -> DryRun {
    let mut firehose = Firehose::new(options, partitions, now);
    let begun = process::thread_cpu_seconds();
    firehose.begin(segment(options, now, options.rate, options.duration), false);
    while !firehose.has_reached(now.after(options.duration)) {
        firehose.stream(now.after(options.duration), TRANSACTION_BYTES).iter().for_each(&mut *visit);
    }
    DryRun { counts: firehose.counts(), cpu_seconds: process::thread_cpu_seconds() - begun }
}

pub(super) fn segment(options: &Options, start: Moment, rate: f64, duration: Duration) -> Segment {
    Segment { start, duration, shape: options.shape, rate, relevant: options.relevant }
}

/// Appends the posts of the time before now, which nobody consumes yet.
fn pile_up(
    firehose: &mut Firehose,
    writer: &mut Writer,
    options: &Options,
    backlog: Backlog,
    watch: Watch,
) -> anyhow::Result<()> {
    let start = watch.now().before(BACKLOG_SPAN);
    let segment = segment(options, start, options.rate, BACKLOG_SPAN);
    for links in firehose.links(&segment).chunks(TRANSACTION_RECORDS) {
        writer.write(links)?;
    }
    firehose.begin(Segment { shape: Shape::Steady, ..segment }, backlog == Backlog::Uneven);
    while !firehose.has_reached(segment.end()) {
        let said = firehose.stream(segment.end(), TRANSACTION_BYTES);
        writer.write(&said.into_iter().map(|said| said.record).collect::<Vec<OutRecord>>())?;
    }
    Ok(())
}

/// Stops the watching thread, also when the writing one fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A load under way: this is the thread that writes.
pub(super) struct Load<'a, P> {
    pub options: &'a Options,
    program: &'a P,
    firehose: Firehose,
    writer: Writer,
    gauge: Gauge<'a>,
    hear: Receiver<Heard>,
    shared: &'a Shared,
    /// Who reads what comes out, and who takes samples.
    readers: [ScopedJoinHandle<'a, anyhow::Result<()>>; 2],
    watch: Watch,
    on_progress: &'a mut dyn FnMut(&Progress),
    told: Moment,
    /// How long after their moments posts of this segment were appended at most.
    behind: Duration,
    /// Between the segments that were asked for.
    waits: bool,
}

/// What a segment came to.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub rate: f64,
    pub duration: Duration,
    /// Until all of it was appended: longer, if the generator or the log did not keep up.
    pub took: Duration,
    pub counts: Counts,
    pub backlog_before: u64,
    pub backlog_after: u64,
    pub behind: Duration,
    pub prompt: Latency,
    pub samples: Vec<Sample>,
    pub cost: Cost,
}

impl<P: Program> Load<'_, P> {
    fn whole(&mut self) -> anyhow::Result<Report> {
        let stretch = match self.options.highest {
            None => {
                let wait = self.options.backlog.is_none();
                self.stretch(Phase::Loading, self.options.rate, self.options.duration, wait)?
            }
            Some(bounds) => hold::highest(self, bounds)?,
        };
        let judgement = self.drain()?;
        Ok(self.report(stretch, judgement))
    }

    /// Loads at a rate. `rested`: begins when the program has consumed all links that it needs.
    pub fn stretch(&mut self, phase: Phase, rate: f64, duration: Duration, rested: bool) -> anyhow::Result<Stretch> {
        self.prepare(rate, duration, rested)?;
        self.catch_up()?;
        let start = self.firehose.cursor();
        let backlog_before = self.gauge.posts()?;
        let (counts, cost) = (self.firehose.counts(), self.cost());
        self.firehose.begin(segment(self.options, start, rate, duration), false);
        self.waits = false;
        self.shared.posts.store(0, Ordering::Relaxed);
        lock(&self.shared.meter).begin(start, start.after(duration));
        self.behind = Duration::ZERO;
        while !self.firehose.has_reached(start.after(duration)) {
            self.beat()?;
            self.tell(phase, start, duration, rate)?;
        }
        let mut stretch = Stretch {
            rate,
            duration,
            took: micros(self.watch.now().since(start)).max(duration),
            counts: self.firehose.counts().since(counts),
            backlog_before,
            backlog_after: self.gauge.posts()?,
            behind: self.behind,
            prompt: Latency::default(),
            samples: lock(&self.shared.meter).samples().to_vec(),
            cost: self.cost().since(cost),
        };
        if self.options.highest.is_some() {
            // A rate is judged by the prompts of all of its orders, those that are slow to come above all.
            self.wait_for_answers(phase)?;
            stretch.prompt = lock(&self.shared.meter).latency(Way::TweetToPrompt);
        }
        Ok(stretch)
    }

    /// Streams what was due while nobody streamed, each at its own time.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        while !self.firehose.has_reached(self.watch.now().before(BEAT * 10)) {
            self.beat()?;
        }
        Ok(())
    }

    /// Waits until all orders are answered and the answers read, as long as patience lasts.
    fn wait_for_answers(&mut self, phase: Phase) -> anyhow::Result<()> {
        let start = self.watch.now();
        let mut passage = Passage::of_orders();
        let mut read = None;
        self.pulse();
        while self.watch.now() < start.after(PATIENCE) {
            if read.is_none() && self.gauge.has_passed(&mut passage)? {
                // A look that is under way may be at what was there before.
                read = Some(self.shared.looked.load(Ordering::Acquire) + 2);
            }
            if read.is_some_and(|enough| self.shared.looked.load(Ordering::Acquire) >= enough) {
                break;
            }
            self.beat()?;
            self.tell(phase, start, Duration::ZERO, 0.0)?;
        }
        Ok(())
    }

    /// Appends what is due.
    fn beat(&mut self) -> anyhow::Result<()> {
        if self.waits && self.firehose.has_ended() {
            self.pulse();
        }
        let now = self.watch.now();
        while let Ok(heard) = self.hear.try_recv() {
            self.firehose.hear(heard);
        }
        let said = self.firehose.stream(now, TRANSACTION_BYTES);
        let Some(first) = said.first().map(|said| said.at) else {
            sleep(BEAT);
            return Ok(());
        };
        let records: Vec<OutRecord> = said.into_iter().map(|said| said.record).collect();
        self.writer.write(&records)?;
        self.shared.posts.fetch_add(records.len() as u64, Ordering::Relaxed);
        self.behind = self.behind.max(micros(self.watch.now().since(first)));
        Ok(())
    }

    /// Writes the links of what comes next, and waits until they are consumed while event time goes on.
    fn prepare(&mut self, rate: f64, duration: Duration, rested: bool) -> anyhow::Result<()> {
        let now = self.watch.now();
        let links = self.firehose.links(&segment(self.options, now, rate, duration));
        for links in links.chunks(TRANSACTION_RECORDS) {
            self.writer.write(links)?;
        }
        let patience = now.after(PATIENCE);
        self.pulse();
        let mut passage = Passage::of_links();
        while rested && !self.is_prepared(&mut passage)? {
            if self.watch.now() > patience {
                bail!("the program did not consume the links within {} s", PATIENCE.as_secs());
            }
            self.beat()?;
            self.tell(Phase::Preparing, now, Duration::ZERO, 0.0)?;
        }
        Ok(())
    }

    /// Whether the links are consumed, and the posts that came before them.
    fn is_prepared(&mut self, links: &mut Passage) -> anyhow::Result<bool> {
        Ok(self.gauge.has_passed(links)? && self.gauge.posts()? <= self.pulse_rate() as u64)
    }

    /// Waits until everything came that must come, or nothing more does.
    fn drain(&mut self) -> anyhow::Result<Judgement> {
        let start = self.watch.now();
        self.pulse();
        let rules = self.options.confirm_window.0
            + self.options.reply_grace.0
            + self.options.cancel_window.0
            + self.options.lateness_max.0;
        let quiet_max = PATIENCE + Duration::from_millis(rules.unsigned_abs());
        let mut moved = start;
        let mut seen = 0;
        loop {
            self.beat()?;
            if !self.tell(Phase::Draining, start, Duration::ZERO, 0.0)? {
                continue;
            }
            let read = lock(&self.shared.books).read();
            let now = self.watch.now();
            if seen != read || self.firehose.has_plans() || self.gauge.posts()? > self.pulse_rate() as u64 {
                (seen, moved) = (read, now);
            }
            let judgement = lock(&self.shared.books).judge(self.firehose.truth(), self.firehose.users());
            let done = self.firehose.is_over() && judgement.is_complete();
            if done || now > moved.after(quiet_max) {
                return Ok(judgement);
            }
        }
    }

    /// Noise only, just enough of it that event time goes on.
    fn pulse(&mut self) {
        let segment = segment(self.options, self.firehose.cursor(), self.pulse_rate(), WAIT_SEGMENT);
        self.firehose.begin(Segment { shape: Shape::Steady, relevant: 0.0, ..segment }, false);
        self.waits = true;
    }

    fn pulse_rate(&self) -> f64 {
        self.options.rate.min(PULSE_RATE * f64::from(self.firehose.partitions())).max(1.0)
    }

    /// Tells progress and looks after the program, every so often; whether it did.
    fn tell(&mut self, phase: Phase, start: Moment, length: Duration, rate: f64) -> anyhow::Result<bool> {
        let now = self.watch.now();
        if now < self.told.after(TELL_EVERY) {
            return Ok(false);
        }
        self.told = now;
        if let Some(failure) = self.program.failure() {
            bail!("{failure}");
        }
        if self.program.stopped() {
            bail!("stopped before the load was over");
        }
        if self.readers.iter().any(ScopedJoinHandle::is_finished) {
            bail!("what comes out can't be read any more");
        }
        let last = lock(&self.shared.meter).samples().last().copied().unwrap_or_default();
        let posts = self.shared.posts.load(Ordering::Relaxed);
        let elapsed = micros(now.since(start));
        (self.on_progress)(&Progress { phase, length, elapsed, rate, posts, last });
        Ok(true)
    }

    fn cost(&self) -> Cost {
        Cost {
            process_cpu_s: process::cpu_seconds("self"),
            generator_cpu_s: process::thread_cpu_seconds(),
            watcher_cpu_s: self.shared.cpu_us.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }

    fn report(&self, mut stretch: Stretch, judgement: Judgement) -> Report {
        let meter = lock(&self.shared.meter);
        let latencies = [Way::TweetToPrompt, Way::ConfirmToPayment, Way::TweetToPayment].map(|way| meter.latency(way));
        // Whether it held is said by what is printed.
        stretch.prompt = meter.latency(Way::TweetToPrompt);
        Report::new(self.options, stretch, latencies, judgement, process::peak_resident_bytes("self"))
    }
}

fn micros(us: i64) -> Duration {
    Duration::from_micros(us.max(0).unsigned_abs())
}
