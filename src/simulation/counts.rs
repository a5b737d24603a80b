//! What a run, or many, met: proof that the simulator reaches what it is for.

use serde::Serialize;

use crate::engine::stats::WorkerStats;

/// Totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub orders: u64,
    pub inputs: u64,
    pub records: u64,
    pub payments: u64,
    pub steps: u64,
    pub transactions: u64,
    pub committed: u64,
    pub starts: u64,
    pub crashes: u64,
    /// Errors of workers that end the program.
    pub deaths: u64,
    pub pauses: u64,
    pub rebalances: u64,
    pub scalings: u64,
    pub broker_restarts: u64,
    pub compactions: u64,
    pub clock_jumps: u64,
    pub workers: WorkerStats,
}

/// One line of a summary: a name and a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    pub name: &'static str,
    pub total: u64,
}

impl Counts {
    /// A committed record of this topic.
    pub fn see(&mut self, topic: &str) {
        self.records += 1;
        self.payments += u64::from(topic == "payments.authorized");
    }

    pub fn ended(&mut self, committed: bool) {
        self.transactions += 1;
        self.committed += u64::from(committed);
    }

    pub fn add(&mut self, other: &Counts) {
        let mut sums = self.parts();
        for (sum, (_, one)) in sums.iter_mut().zip(other.clone().parts()) {
            *sum.1 += *one;
        }
        super::process::add(&mut self.workers, &other.workers);
    }

    /// By name, in the order of a summary.
    pub fn rows(&self) -> Vec<Count> {
        let mut copy = self.clone();
        let mut rows: Vec<Count> =
            copy.parts().into_iter().map(|(name, total)| Count { name, total: *total }).collect();
        let workers = &self.workers;
        for (name, total) in [
            ("commits noticed", workers.commits),
            ("aborts", workers.aborts),
            ("uncertain", workers.uncertain),
            ("fenced", workers.fenced),
            ("restores", workers.restores),
            ("shards reused", workers.reused),
            ("batches ahead", workers.decided_ahead),
            ("backoffs", workers.backoffs),
            ("strays", workers.strays),
        ] {
            rows.push(Count { name, total });
        }
        rows
    }

    fn parts(&mut self) -> [(&'static str, &mut u64); 16] {
        [
            ("orders", &mut self.orders),
            ("inputs", &mut self.inputs),
            ("records", &mut self.records),
            ("payments", &mut self.payments),
            ("steps", &mut self.steps),
            ("transactions", &mut self.transactions),
            ("committed", &mut self.committed),
            ("starts", &mut self.starts),
            ("crashes", &mut self.crashes),
            ("deaths", &mut self.deaths),
            ("pauses", &mut self.pauses),
            ("rebalances", &mut self.rebalances),
            ("scalings", &mut self.scalings),
            ("broker restarts", &mut self.broker_restarts),
            ("compactions", &mut self.compactions),
            ("clock jumps", &mut self.clock_jumps),
        ]
    }
}
