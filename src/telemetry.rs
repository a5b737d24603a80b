//! Every metric, one function each. Base units, bounded labels: stages, topics, partitions, states, reasons, offers of the
//! catalogue; never an account, a post or a text (I11).

use metrics::{counter, gauge, histogram};

use crate::accounts::outbox::Counts;
use crate::domain::Time;

/// What the accounts of one committed batch decided.
pub fn verdicts(counts: &Counts) {
    for ((to, reason), n) in &counts.transitions {
        let reason = reason.map_or("", |reason| reason.name());
        counter!("pay_by_tweet_transitions_total", "to" => to.name(), "reason" => reason).increment(*n);
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
    let partition = partition.to_string();
    gauge!("pay_by_tweet_accounts", "partition" => partition.clone()).set(accounts as f64);
    gauge!("pay_by_tweet_kept_bytes", "partition" => partition.clone()).set(kept_bytes as f64);
    if let Some(Time(ms)) = watermark {
        gauge!("pay_by_tweet_watermark_seconds", "partition" => partition).set(ms as f64 / 1000.0);
    }
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

/// Dead letters of a committed batch.
pub fn dead_letters(topic: &str, reason: &'static str, n: u64) {
    counter!("pay_by_tweet_dead_letters_total", "topic" => topic.to_owned(), "reason" => reason).increment(n);
}

/// One committed transaction.
pub fn transaction(stage: &'static str, outcome: &'static str, seconds: f64) {
    counter!("pay_by_tweet_transactions_total", "stage" => stage, "outcome" => outcome).increment(1);
    histogram!("pay_by_tweet_transaction_duration_seconds", "stage" => stage).record(seconds);
}

/// Records that a stage read.
pub fn consumed(stage: &'static str, n: u64) {
    counter!("pay_by_tweet_records_consumed_total", "stage" => stage).increment(n);
}
pub fn install() {}
