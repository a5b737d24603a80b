//! The result of a load, as a table and as JSON.

use std::fmt;

use serde::Serialize;

use super::Options;
use super::books::Judgement;
use super::firehose::Counts;
use super::meter::{Latency, Sample};
use super::run::Stretch;

/// What a load came to. Rates are posts per second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub seed: u64,
    pub shape: &'static str,
    pub rate_asked: f64,
    /// Consumed by the screen in the time that the segment took.
    pub rate_held: f64,
    pub duration_s: f64,
    /// What it took until all of the segment was appended.
    pub took_s: f64,
    pub megabytes_per_second: f64,
    pub posts: u64,
    pub bytes: u64,
    pub relevant_posts: u64,
    pub deletions: u64,
    pub replies: u64,
    /// How long after its moment a post was appended, at most: the generator's own fault or the log's.
    pub behind_ms_max: f64,
    pub backlog_at_end: u64,
    pub conversations: u64,
    pub prompts: u64,
    pub payments: u64,
    pub rows: Vec<Row>,
    pub tweet_to_prompt: Latency,
    pub confirm_to_payment: Latency,
    pub tweet_to_payment: Latency,
    /// Of the loaded segment alone.
    pub cost: Cost,
    pub peak_resident_bytes: u64,
    /// With a search: whether the rate kept its bounds for the whole time.
    pub holds: Option<bool>,
    pub deviations_count: u64,
    pub deviations: Vec<String>,
    pub series: Vec<Sample>,
}

/// Conversations of one behaviour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub behaviour: &'static str,
    pub conversations: u64,
    pub as_expected: u64,
}

/// Processor seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    pub process_cpu_s: f64,
    /// Of these, what making and appending posts took, and reading what came out.
    pub generator_cpu_s: f64,
    pub watcher_cpu_s: f64,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        stretch: Stretch,
        [tweet_to_prompt, confirm_to_payment, tweet_to_payment]: [Latency; 3],
        judgement: Judgement,
        peak_resident_bytes: u64,
    ) -> Report {
        let holds = options.highest.map(|bounds| stretch.holds(bounds));
        let Stretch { rate, duration, took, counts, backlog_before, backlog_after, behind, samples, cost, prompt: _ } =
            stretch;
        let (seconds, took_s) = (duration.as_secs_f64(), took.as_secs_f64());
        let consumed = (counts.posts + backlog_before).saturating_sub(backlog_after);
        let rows = judgement.rows.iter().map(|(behaviour, (conversations, as_expected))| Row {
            behaviour: behaviour.name(),
            conversations: *conversations,
            as_expected: *as_expected,
        });
        let rows: Vec<Row> = rows.collect();
        Report {
            seed: options.seed,
            shape: options.shape.name(),
            rate_asked: rate,
            rate_held: consumed as f64 / took_s,
            duration_s: seconds,
            took_s,
            megabytes_per_second: counts.bytes as f64 / 1e6 / took_s,
            posts: counts.posts,
            bytes: counts.bytes,
            relevant_posts: counts.relevant,
            deletions: counts.deletions,
            replies: counts.replies,
            behind_ms_max: behind.as_secs_f64() * 1e3,
            backlog_at_end: backlog_after,
            conversations: rows.iter().map(|row| row.conversations).sum(),
            prompts: judgement.prompted,
            payments: judgement.paid,
            rows,
            tweet_to_prompt,
            confirm_to_payment,
            tweet_to_payment,
            cost,
            peak_resident_bytes,
            holds,
            deviations_count: judgement.deviations_count,
            deviations: judgement.deviations,
            series: samples,
        }
    }

    /// Every conversation came out as it must, and something was bought.
    pub fn is_as_expected(&self) -> bool {
        self.deviations_count == 0 && self.payments > 0
    }
}

impl Counts {
    /// What came on top of an earlier count.
    pub fn since(self, earlier: Counts) -> Counts {
        Counts {
            posts: self.posts - earlier.posts,
            bytes: self.bytes - earlier.bytes,
            relevant: self.relevant - earlier.relevant,
            deletions: self.deletions - earlier.deletions,
            replies: self.replies - earlier.replies,
        }
    }
}

impl Cost {
    pub fn since(self, earlier: Cost) -> Cost {
        Cost {
            process_cpu_s: self.process_cpu_s - earlier.process_cpu_s,
            generator_cpu_s: self.generator_cpu_s - earlier.generator_cpu_s,
            watcher_cpu_s: self.watcher_cpu_s - earlier.watcher_cpu_s,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.peak_resident_bytes as f64 / f64::from(1 << 20);
        let Cost { process_cpu_s, generator_cpu_s, watcher_cpu_s } = self.cost;
        let program = (process_cpu_s - generator_cpu_s - watcher_cpu_s).max(0.0);
        writeln!(f, "seed              {}, {} for {:.1} s", self.seed, self.shape, self.duration_s)?;
        writeln!(f, "rate              {:.0}/s asked, {:.0}/s consumed", self.rate_asked, self.rate_held)?;
        if let Some(holds) = self.holds {
            writeln!(f, "highest           {}", if holds { "it held" } else { "it did not hold either" })?;
        }
        writeln!(f, "volume            {:.1} MB/s, {} posts", self.megabytes_per_second, self.posts)?;
        let (relevant, deletions, replies) = (self.relevant_posts, self.deletions, self.replies);
        writeln!(f, "of these          {relevant} by shoppers, {replies} replies, {deletions} other deletions")?;
        writeln!(f, "appended late     {:.1} ms at most", self.behind_ms_max)?;
        writeln!(f, "backlog           {} posts at the end", self.backlog_at_end)?;
        writeln!(f, "prompts           {}", self.prompts)?;
        writeln!(f, "payments          {}", self.payments)?;
        writeln!(
            f,
            "processor         {process_cpu_s:.2} s, of which {program:.2} s program, {generator_cpu_s:.2} s generator, \
             {watcher_cpu_s:.2} s watcher"
        )?;
        writeln!(f, "peak resident     {mib:.0} MiB\n")?;
        self.write_latencies(f)?;
        self.write_rows(f)
    }
}

impl Report {
    fn write_latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "latency in ms", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for (name, latency) in [
            ("tweet to prompt", self.tweet_to_prompt),
            ("confirm to payment", self.confirm_to_payment),
            ("tweet to payment", self.tweet_to_payment),
        ] {
            let Latency { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } = latency;
            writeln!(
                f,
                "{name:<20} {count:>9} {p50_ms:>9.1} {p90_ms:>9.1} {p99_ms:>9.1} {p999_ms:>9.1} {max_ms:>9.1}"
            )?;
        }
        writeln!(f)
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<32} {:>13} {:>13}", "shoppers", "conversations", "as expected")?;
        for Row { behaviour, conversations, as_expected } in &self.rows {
            writeln!(f, "{behaviour:<32} {conversations:>13} {as_expected:>13}")?;
        }
        let as_expected: u64 = self.rows.iter().map(|row| row.as_expected).sum();
        writeln!(f, "{:<32} {:>13} {as_expected:>13}\n", "all", self.conversations)?;
        if self.deviations_count == 0 && self.payments == 0 {
            return writeln!(
                f,
                "Nothing was bought, so nothing is proven: load longer, faster or with more --relevant."
            );
        }
        if self.deviations_count == 0 {
            return writeln!(f, "Every conversation came out as it must.");
        }
        writeln!(f, "{} deviations, the first of them:", self.deviations_count)?;
        self.deviations.iter().try_for_each(|deviation| writeln!(f, "  {deviation}"))
    }
}
