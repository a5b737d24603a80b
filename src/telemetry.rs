//! Every metric, one function each. Base units, bounded labels: stages, topics, partitions, states, reasons, offers of
//! the catalogue; never an account, a post or a text (I11).

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::accounts::outbox::Counts;
use crate::domain::{Reason, State, Time};
use crate::engine::health::WorkerHealth;

/// Upper bounds of the buckets of `pay_by_tweet_transaction_duration_seconds`: from a transaction that waits for no
/// disk to one that meets the broker's timeout.
pub const TRANSACTION_BUCKETS_SECONDS: [f64; 14] =
    [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Samples of histograms are folded into their buckets this often, so that they don't pile up between two scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Installs the process's recorder, describes every metric, and answers the handle that renders them. The first call
/// does it, later ones answer the same handle.
pub fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install_once).clone()
}

/// Says of each metric what it is, and in which unit. Called by [`install`].
pub fn describe() {
    for (name, unit, text) in COUNTERS {
        describe_counter!(name, unit, text);
    }
    for (name, unit, text) in GAUGES {
        describe_gauge!(name, unit, text);
    }
    for (name, unit, text) in HISTOGRAMS {
        describe_histogram!(name, unit, text);
    }
}

/// Which program this is.
pub fn build_info() {
    gauge!("pay_by_tweet_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Makes the series of which an alert must see the first one come: what is added to a series that was not there is not
/// seen.
fn begin_counting() {
    let (to, reason) = (State::Rejected.name(), Reason::Overloaded.name());
    counter!("pay_by_tweet_transitions_total", "to" => to, "reason" => reason).increment(0);
}

/// How the workers are; called at each scrape.
pub fn workers(workers: &[WorkerHealth]) {
    for worker in workers {
        let labels = [("stage", worker.stage.to_owned()), ("slot", worker.slot.to_string())];
        gauge!("pay_by_tweet_worker_ready", &labels).set(f64::from(u8::from(worker.ready)));
        gauge!("pay_by_tweet_worker_last_step_timestamp_seconds", &labels).set(worker.last_step.0 as f64 / 1000.0);
        let stats = &worker.stats;
        for (name, total) in [
            ("pay_by_tweet_worker_records_total", stats.records),
            ("pay_by_tweet_worker_sent_records_total", stats.sent),
            ("pay_by_tweet_worker_batches_total", stats.batches),
            ("pay_by_tweet_worker_batches_ahead_total", stats.decided_ahead),
            ("pay_by_tweet_worker_commits_total", stats.commits),
            ("pay_by_tweet_worker_aborts_total", stats.aborts),
            ("pay_by_tweet_worker_uncertain_total", stats.uncertain),
            ("pay_by_tweet_worker_fenced_total", stats.fenced),
            ("pay_by_tweet_worker_restores_total", stats.restores),
            ("pay_by_tweet_worker_restored_records_total", stats.restored_records),
            ("pay_by_tweet_worker_reused_shards_total", stats.reused),
            ("pay_by_tweet_worker_backoffs_total", stats.backoffs),
            ("pay_by_tweet_worker_stray_records_total", stats.strays),
        ] {
            counter!(name, &labels).absolute(total);
        }
    }
}

/// What the accounts of one committed batch decided.
pub fn verdicts(counts: &Counts) {
    for ((to, reason), n) in &counts.transitions {
        let reason = reason.map_or("", |reason| reason.name());
        counter!("pay_by_tweet_transitions_total", "to" => to.name(), "reason" => reason).increment(*n);
    }
    for (reason, n) in &counts.rejected_confirms {
        counter!("pay_by_tweet_confirms_rejected_total", "reason" => reason.name()).increment(*n);
    }
    for (kind, n) in &counts.replies {
        counter!("pay_by_tweet_replies_total", "kind" => kind.name()).increment(*n);
    }
    for (reason, n) in &counts.unconcerned {
        counter!("pay_by_tweet_posts_without_purchase_total", "reason" => reason.name()).increment(*n);
    }
    counter!("pay_by_tweet_replies_without_handle_total").increment(counts.unaddressed);
}

/// How a shard of the accounts stage stands after a commit.
pub fn accounts_shard(partition: u32, accounts: usize, kept_bytes: usize, watermark: Option<Time>) {
    accounts_gauges(partition, accounts, kept_bytes, watermark.is_none());
    if let Some(Time(ms)) = watermark {
        gauge!("pay_by_tweet_watermark_seconds", "partition" => partition.to_string()).set(ms as f64 / 1000.0);
    }
}

/// A shard of the accounts stage is another worker's now. Its watermark is none, which a minimum over all passes by.
pub fn accounts_shard_left(partition: u32) {
    accounts_gauges(partition, 0, 0, false);
    gauge!("pay_by_tweet_watermark_seconds", "partition" => partition.to_string()).set(f64::NAN);
}

fn accounts_gauges(partition: u32, accounts: usize, kept_bytes: usize, lacks_watermark: bool) {
    let labels = [("partition", partition.to_string())];
    gauge!("pay_by_tweet_accounts", &labels).set(accounts as f64);
    gauge!("pay_by_tweet_kept_bytes", &labels).set(kept_bytes as f64);
    gauge!("pay_by_tweet_watermark_missing", &labels).set(f64::from(u8::from(lacks_watermark)));
}

/// How far a stage's group is behind in a partition, and how long an open transaction has held back what follows there,
/// as of the last look.
pub fn lag(stage: &'static str, topic: &str, partition: u32, records: u64, seconds: f64, held_seconds: f64) {
    let labels = [("stage", stage.to_owned()), ("topic", topic.to_owned()), ("partition", partition.to_string())];
    gauge!("pay_by_tweet_lag_records", &labels).set(records as f64);
    gauge!("pay_by_tweet_lag_seconds", &labels).set(seconds);
    gauge!("pay_by_tweet_open_transaction_seconds", &labels).set(held_seconds);
}

/// A stage's lag was looked at; while the log is away it can't be, and the last look stands.
pub fn lag_looked(stage: &'static str, now: Time) {
    gauge!("pay_by_tweet_lag_looked_at_seconds", "stage" => stage).set(now.0 as f64 / 1000.0);
}

/// An offer's stock after a commit.
pub fn stock(offer: &str, held: u64, sold: u64, waiting: u64) {
    gauge!("pay_by_tweet_stock_held", "offer" => offer.to_owned()).set(held as f64);
    gauge!("pay_by_tweet_stock_sold", "offer" => offer.to_owned()).set(sold as f64);
    gauge!("pay_by_tweet_stock_waiting", "offer" => offer.to_owned()).set(waiting as f64);
}

/// A stock request that an earlier one had settled.
pub fn stock_request_without_claim() {
    counter!("pay_by_tweet_stock_requests_without_claim_total").increment(1);
}

/// What a screen shard's batch brought.
pub fn screened(topic: &str, outcome: &'static str, n: u64) {
    if n > 0 {
        counter!("pay_by_tweet_screened_records_total", "topic" => topic.to_owned(), "outcome" => outcome).increment(n);
    }
}

/// Dead letters of a committed batch; or none, at the start, so that the series is there before its first one.
pub fn dead_letters(topic: &str, reason: &'static str, n: u64) {
    counter!("pay_by_tweet_dead_letters_total", "topic" => topic.to_owned(), "reason" => reason).increment(n);
}

/// How long a committed transaction took, from its first record to the answer.
pub fn transaction(stage: &'static str, seconds: f64) {
    histogram!("pay_by_tweet_transaction_duration_seconds", "stage" => stage).record(seconds);
}

/// A metric's name, unit and meaning.
type Description = (&'static str, Unit, &'static str);

const COUNTERS: [Description; 21] = [
    ("pay_by_tweet_transitions_total", Unit::Count, "Committed transitions of purchases, by new state and reason."),
    (
        "pay_by_tweet_confirms_rejected_total",
        Unit::Count,
        "Confirms that concerned a purchase and changed nothing, by reason.",
    ),
    ("pay_by_tweet_replies_total", Unit::Count, "Committed replies, public and direct, by kind."),
    (
        "pay_by_tweet_posts_without_purchase_total",
        Unit::Count,
        "Confirms and retweets that concerned no purchase, by reason.",
    ),
    (
        "pay_by_tweet_replies_without_handle_total",
        Unit::Count,
        "Replies that were not written, because nobody told the author's handle.",
    ),
    ("pay_by_tweet_stock_requests_without_claim_total", Unit::Count, "Stock requests that an earlier one had settled."),
    ("pay_by_tweet_screened_records_total", Unit::Count, "Records that the screen read, by topic and outcome."),
    ("pay_by_tweet_dead_letters_total", Unit::Count, "Records that could not be understood, by topic and reason."),
    ("pay_by_tweet_worker_records_total", Unit::Count, "Input records that a worker read, those passed over too."),
    (
        "pay_by_tweet_worker_sent_records_total",
        Unit::Count,
        "Records that a worker sent, also in transactions that did not commit.",
    ),
    ("pay_by_tweet_worker_batches_total", Unit::Count, "Batches that a worker's shards decided, empty ones too."),
    (
        "pay_by_tweet_worker_batches_ahead_total",
        Unit::Count,
        "Batches that were decided while the transaction before was being committed.",
    ),
    ("pay_by_tweet_worker_commits_total", Unit::Count, "Transactions that a worker committed."),
    ("pay_by_tweet_worker_aborts_total", Unit::Count, "Transactions that a worker aborted and took back."),
    ("pay_by_tweet_worker_uncertain_total", Unit::Count, "Transactions whose outcome could not be known."),
    ("pay_by_tweet_worker_fenced_total", Unit::Count, "Times that another took a worker's identity or partitions."),
    ("pay_by_tweet_worker_restores_total", Unit::Count, "Shards that a worker rebuilt from their changelog."),
    ("pay_by_tweet_worker_restored_records_total", Unit::Count, "Changelog records that a worker's restores read."),
    ("pay_by_tweet_worker_reused_shards_total", Unit::Count, "Shards that came back from parking."),
    ("pay_by_tweet_worker_backoffs_total", Unit::Count, "Pauses of a worker because the log was away or kept failing."),
    (
        "pay_by_tweet_worker_stray_records_total",
        Unit::Count,
        "Records of partitions that were not being taken; they are read again.",
    ),
];

const GAUGES: [Description; 14] = [
    ("pay_by_tweet_build_info", Unit::Count, "Always 1; the label says which version runs."),
    ("pay_by_tweet_accounts", Unit::Count, "Accounts in memory, by partition."),
    ("pay_by_tweet_kept_bytes", Unit::Bytes, "What is kept of records that opened nothing, by partition."),
    ("pay_by_tweet_watermark_seconds", Unit::Seconds, "The watermark as Unix time, by partition."),
    (
        "pay_by_tweet_watermark_missing",
        Unit::Count,
        "1 while a partition has no watermark yet, since a source has told nothing; nothing expires there.",
    ),
    (
        "pay_by_tweet_lag_records",
        Unit::Count,
        "Offsets from the first record that is unread to the partition's end; 0 if only markers are left.",
    ),
    ("pay_by_tweet_lag_looked_at_seconds", Unit::Seconds, "When a stage's lag was last seen, in seconds since 1970."),
    ("pay_by_tweet_lag_seconds", Unit::Seconds, "How long ago the first record that is unread was appended."),
    (
        "pay_by_tweet_open_transaction_seconds",
        Unit::Seconds,
        "How long the same open transaction was seen to hold back the records that follow it, which are no lag.",
    ),
    ("pay_by_tweet_stock_held", Unit::Count, "Units that wait for a confirm, by offer."),
    ("pay_by_tweet_stock_sold", Unit::Count, "Units sold, by offer."),
    ("pay_by_tweet_stock_waiting", Unit::Count, "Places taken in the waitlist, by offer."),
    ("pay_by_tweet_worker_ready", Unit::Count, "1 while the worker is ready: assigned, restored, the gate passed."),
    (
        "pay_by_tweet_worker_last_step_timestamp_seconds",
        Unit::Seconds,
        "When the worker last stepped, as Unix time by its clock.",
    ),
];

const HISTOGRAMS: [Description; 1] = [(
    "pay_by_tweet_transaction_duration_seconds",
    Unit::Seconds,
    "From a transaction's begin to its outcome, by stage.",
)];

fn install_once() -> PrometheusHandle {
    let duration = Matcher::Full("pay_by_tweet_transaction_duration_seconds".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(duration, &TRANSACTION_BUCKETS_SECONDS)
        .expect("there are buckets");
    let handle = builder.install_recorder().expect("nothing else in this program installs a recorder");
    describe();
    build_info();
    begin_counting();
    handle.run_upkeep();
    let tended = handle.clone();
    let upkeep = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::park_timeout(UPKEEP_EVERY);
            tended.run_upkeep();
        }
    });
    if let Err(error) = upkeep {
        tracing::warn!(%error, "no thread for the metrics' upkeep; samples are folded at each scrape only");
    }
    handle
}
