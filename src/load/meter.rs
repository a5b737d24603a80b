//! Latencies and progress of a segment, and how both went over time.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::moment::Moment;

/// Latencies above an hour count as one.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// What a latency is from and to. Each counts from the moment for which the post was scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    TweetToPrompt,
    ConfirmToPayment,
    TweetToPayment,
}

/// The latencies of what was scheduled in a stretch of time: what comes while the load drains meets no load.
pub struct Meter {
    since: Moment,
    until: Moment,
    whole: [Histogram<u64>; 3],
    /// Since the last sample.
    recent: [Histogram<u64>; 3],
    samples: Vec<Sample>,
}

/// A second of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds since the segment's start.
    pub at_s: f64,
    /// Posts appended since then.
    pub posts: u64,
    /// Posts that the screen has not consumed yet.
    pub backlog: u64,
    /// Intents that the accounts have not consumed yet.
    pub inbox_backlog: u64,
    /// Of the prompts and payments of this second, in milliseconds.
    pub prompt_ms_p50: f64,
    pub prompt_ms_p99: f64,
    pub payment_ms_p50: f64,
    pub payment_ms_p99: f64,
}

/// A histogram's figures, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub count: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl Meter {
    /// Measures nothing before it begins.
    pub fn new(since: Moment) -> anyhow::Result<Meter> {
        let empty = Histogram::new_with_max(LATENCY_US_MAX, 3)?;
        let three = || [empty.clone(), empty.clone(), empty.clone()];
        Ok(Meter { since, until: since, whole: three(), recent: three(), samples: Vec::new() })
    }

    /// Begins anew: what was scheduled before a moment counts no more, and nothing from another moment on.
    pub fn begin(&mut self, since: Moment, until: Moment) {
        (self.since, self.until) = (since, until);
        self.whole.iter_mut().chain(&mut self.recent).for_each(Histogram::reset);
        self.samples.clear();
    }

    /// Something came of the post of this id, and of the last one that it took.
    pub fn record(&mut self, way: Way, post: u64, last: u64, now: Moment) {
        let scheduled = Moment::of_id(post);
        if scheduled < self.since || Moment::of_id(last) >= self.until {
            return;
        }
        let us = now.since(scheduled).max(0).unsigned_abs();
        self.whole[way as usize].saturating_record(us);
        self.recent[way as usize].saturating_record(us);
    }

    /// Ends a second.
    pub fn sample(&mut self, now: Moment, posts: u64, backlog: u64, inbox_backlog: u64) {
        let ms = |way: Way, quantile: f64| self.recent[way as usize].value_at_quantile(quantile) as f64 / 1e3;
        self.samples.push(Sample {
            at_s: now.since(self.since) as f64 / 1e6,
            posts,
            backlog,
            inbox_backlog,
            prompt_ms_p50: ms(Way::TweetToPrompt, 0.5),
            prompt_ms_p99: ms(Way::TweetToPrompt, 0.99),
            payment_ms_p50: ms(Way::ConfirmToPayment, 0.5),
            payment_ms_p99: ms(Way::ConfirmToPayment, 0.99),
        });
        self.recent.iter_mut().for_each(Histogram::reset);
    }

    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    pub fn latency(&self, way: Way) -> Latency {
        let all = &self.whole[way as usize];
        let ms = |us: u64| us as f64 / 1e3;
        Latency {
            count: all.len(),
            p50_ms: ms(all.value_at_quantile(0.5)),
            p90_ms: ms(all.value_at_quantile(0.9)),
            p99_ms: ms(all.value_at_quantile(0.99)),
            p999_ms: ms(all.value_at_quantile(0.999)),
            max_ms: ms(all.max()),
        }
    }
}
