//! How the program stands at one moment, as the page is told. Rates are per second of wall time, since the sample
//! before; times are milliseconds since 1970 by the service's clock, but for the wall's.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::scrape::Totals;

/// Samples kept for a page that is opened later.
const HISTORY_MAX: usize = 300;

#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    pub now: i64,
    /// The machine's time: what lies between two samples of a plot, however fast the service's clock runs.
    pub wall: i64,
    pub ready: bool,
    pub stages: Vec<StageSample>,
    pub sources: Vec<SourceSample>,
    pub accounts: AccountsSample,
    /// Shards that keep so much that sources wait for each other.
    pub full_shards: usize,
    /// Totals and rates by new state, by state and reason, …
    pub transitions: Counted,
    /// By reason.
    pub rejected_confirms: Counted,
    pub replies: Counted,
    pub unconcerned: Counted,
    pub screened: Counted,
    pub dead_letters: Counted,
    /// As `/v1/offers` shows them.
    pub offers: Value,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Counted {
    pub total: Totals,
    pub per_second: Totals,
}

#[derive(Clone, Debug, Serialize)]
pub struct StageSample {
    pub name: &'static str,
    pub workers: usize,
    pub ready: usize,
    pub records_per_second: f64,
    pub sent_per_second: f64,
    pub commits_per_second: f64,
    pub ahead_per_second: f64,
    pub commits: u64,
    pub aborts: u64,
    pub uncertain: u64,
    pub fenced: u64,
    pub restores: u64,
    pub backoffs: u64,
    /// Of the transactions since the sample before; null if there was none.
    pub transaction_ms_p50: Option<f64>,
    pub transaction_ms_p99: Option<f64>,
    /// Records that the stage has not consumed, by topic.
    pub lag: Vec<TopicLag>,
    /// The sum.
    pub lag_records: u64,
    /// How long ago the oldest of them was appended.
    pub lag_ms: i64,
    pub watermark: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TopicLag {
    pub topic: String,
    pub records: u64,
    pub ms: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct SourceSample {
    pub name: String,
    /// How far its event time has been told.
    pub watermark: Option<i64>,
    pub at_end: bool,
    /// It waits for another one: back-pressure.
    pub held: bool,
    pub lag_records: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountsSample {
    pub accounts: usize,
    pub waiting: usize,
    pub kept_bytes: usize,
    /// Prompted purchases by how soon their deadline is; see [`super::watch::PENDING_EDGES`].
    pub pending: Vec<usize>,
    pub pending_edges_ms: Vec<i64>,
}

/// What the plots draw: one number a series and sample, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<Point>);

#[derive(Clone, Debug, Serialize)]
pub struct Point {
    pub wall: i64,
    /// Of screen, accounts, offers.
    pub records_per_second: [f64; 3],
    /// Null where nobody looked.
    pub lag_ms: [Option<i64>; 3],
    pub transaction_ms: [Option<f64>; 3],
    /// Prompts, payments, expiries, and what was refused per second: orders and confirms.
    pub verdicts_per_second: [f64; 4],
}

impl Sample {
    /// `looked`: whether lags were looked up for this sample.
    pub fn point(&self, looked: bool) -> Point {
        let stage = |name: &str| self.stages.iter().find(|stage| stage.name == name);
        let names = ["screen", "accounts", "offers"];
        Point {
            wall: self.wall,
            records_per_second: names.map(|name| stage(name).map_or(0.0, |stage| stage.records_per_second)),
            lag_ms: names.map(|name| stage(name).filter(|_| looked).map(|stage| stage.lag_ms)),
            transaction_ms: names.map(|name| stage(name).and_then(|stage| stage.transaction_ms_p99)),
            verdicts_per_second: self.verdicts(),
        }
    }

    fn verdicts(&self) -> [f64; 4] {
        let to = |state: &str| -> f64 {
            let of_state = |(key, rate): (&String, &f64)| (key.split(' ').next() == Some(state)).then_some(*rate);
            self.transitions.per_second.iter().filter_map(of_state).sum()
        };
        let confirms: f64 = self.rejected_confirms.per_second.values().sum();
        [to("prompted"), to("authorized"), to("expired"), to("rejected") + confirms]
    }
}

impl History {
    pub fn add(&mut self, point: Point) {
        // Plots go from left to right, also where somebody has set the machine's clock back.
        while self.0.back().is_some_and(|last| last.wall >= point.wall) {
            self.0.pop_back();
        }
        if self.0.len() >= HISTORY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    pub fn json(&self) -> Value {
        serde_json::json!({ "points": self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_goes_from_left_to_right() {
        let mut history = History::default();
        let no_rates = ([0.0; 3], [None; 3], [None; 3], [0.0; 4]);
        let mut walls = |wall| {
            let (records_per_second, lag_ms, transaction_ms, verdicts_per_second) = no_rates;
            history.add(Point { wall, records_per_second, lag_ms, transaction_ms, verdicts_per_second });
            history.0.iter().map(|point| point.wall).collect::<Vec<_>>()
        };
        assert_eq!((walls(1000), walls(6000)), (vec![1000], vec![1000, 6000]));
        // Somebody set the clock back.
        assert_eq!((walls(5000), walls(6000)), (vec![1000, 5000], vec![1000, 5000, 6000]));
    }
}
