//! What the metrics tell, read from the text that `/metrics` serves: so the page shows what a monitoring system sees,
//! and counting costs the pipeline nothing more.

use std::collections::BTreeMap;

use crate::telemetry::TRANSACTION_BUCKETS_SECONDS;

/// Totals by their labels.
pub type Totals = BTreeMap<String, f64>;

/// Totals of one look at the metrics.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// By new state and reason, joined by a blank.
    pub transitions: Totals,
    /// By reason: confirms that concerned a purchase and changed nothing.
    pub rejected_confirms: Totals,
    /// By kind.
    pub replies: Totals,
    /// By reason: confirms and retweets that concerned nothing.
    pub unconcerned: Totals,
    /// By topic and reason, joined by a blank.
    pub dead_letters: Totals,
    /// By outcome: what the screen made of what it read.
    pub screened: Totals,
    /// Transactions by stage, not longer than each bound, the last one without bound.
    pub transactions: BTreeMap<String, Vec<f64>>,
}

impl Scrape {
    pub fn read(text: &str) -> Scrape {
        let mut scrape = Scrape::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Some((name, labels)) = series.split_once('{') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            let label = |key| label_of(labels, key);
            let (into, key) = match name {
                "pay_by_tweet_transitions_total" => (&mut scrape.transitions, two(label("to"), label("reason"))),
                "pay_by_tweet_confirms_rejected_total" => (&mut scrape.rejected_confirms, label("reason").to_owned()),
                "pay_by_tweet_replies_total" => (&mut scrape.replies, label("kind").to_owned()),
                "pay_by_tweet_posts_without_purchase_total" => (&mut scrape.unconcerned, label("reason").to_owned()),
                "pay_by_tweet_dead_letters_total" => (&mut scrape.dead_letters, two(label("topic"), label("reason"))),
                "pay_by_tweet_screened_records_total" => (&mut scrape.screened, label("outcome").to_owned()),
                "pay_by_tweet_transaction_duration_seconds_bucket" => {
                    scrape.transactions.entry(label("stage").to_owned()).or_default().push(value);
                    continue;
                }
                _ => continue,
            };
            // What has not come yet is counted from 0 on and told by nobody.
            if value > 0.0 {
                *into.entry(key).or_default() += value;
            }
        }
        scrape
    }
}

/// What was added since the look before; counters only grow.
pub fn since(now: &Totals, before: &Totals) -> Totals {
    let added = |(key, total): (&String, &f64)| {
        let added = total - before.get(key).copied().unwrap_or(0.0);
        (added > 0.0).then(|| (key.clone(), added))
    };
    now.iter().filter_map(added).collect()
}

/// A quantile of what was added to cumulative buckets, in seconds; `None` if nothing was.
pub fn quantile(now: &[f64], before: &[f64], q: f64) -> Option<f64> {
    let added = |i: usize| now.get(i).copied().unwrap_or(0.0) - before.get(i).copied().unwrap_or(0.0);
    let all = added(now.len().checked_sub(1)?);
    if all <= 0.0 {
        return None;
    }
    let rank = q * all;
    let bounds = &TRANSACTION_BUCKETS_SECONDS;
    let place = (0..now.len()).find(|i| added(*i) >= rank)?;
    // Beyond the last bound nothing more is known than that.
    let upper = *bounds.get(place).or(bounds.last())?;
    let (lower, below) = if place == 0 { (0.0, 0.0) } else { (bounds[place - 1], added(place - 1)) };
    let within = added(place) - below;
    let share = if within > 0.0 { (rank - below) / within } else { 1.0 };
    Some(lower + (upper - lower).max(0.0) * share)
}

fn two(first: &str, second: &str) -> String {
    format!("{first} {second}").trim_end().to_owned()
}

/// The value of a label in `a="1",b="2"}`. Our labels' values hold no quotes.
fn label_of<'a>(labels: &'a str, key: &str) -> &'a str {
    let pairs = labels.trim_end_matches('}').split("\",");
    let found = pairs.filter_map(|pair| pair.split_once("=\"")).find(|(name, _)| *name == key);
    found.map_or("", |(_, value)| value.trim_end_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP pay_by_tweet_transitions_total x\n\
        pay_by_tweet_transitions_total{to=\"rejected\",reason=\"duplicate\"} 3\n\
        pay_by_tweet_transitions_total{to=\"prompted\",reason=\"\"} 5\n\
        pay_by_tweet_confirms_rejected_total{reason=\"late\"} 4\n\
        pay_by_tweet_dead_letters_total{topic=\"tweets\",reason=\"not_json\"} 2\n\
        pay_by_tweet_dead_letters_total{topic=\"tweets\",reason=\"no_id\"} 0\n\
        pay_by_tweet_transaction_duration_seconds_bucket{stage=\"screen\",le=\"0.0005\"} 1\n\
        pay_by_tweet_transaction_duration_seconds_bucket{stage=\"screen\",le=\"+Inf\"} 2\n\
        pay_by_tweet_build_info 1\nnonsense\n";

    #[test]
    fn totals_are_read_by_their_labels() {
        let scrape = Scrape::read(TEXT);
        assert_eq!(scrape.transitions["rejected duplicate"], 3.0);
        assert_eq!(scrape.transitions["prompted"], 5.0);
        assert_eq!(scrape.rejected_confirms["late"], 4.0);
        assert_eq!(scrape.dead_letters, Totals::from([("tweets not_json".to_owned(), 2.0)]));
        assert_eq!(scrape.transactions["screen"], [1.0, 2.0]);
        let later = Totals::from([("prompted".to_owned(), 7.0), ("expired".to_owned(), 1.0)]);
        let added = since(&later, &scrape.transitions);
        assert_eq!(added, Totals::from([("prompted".to_owned(), 2.0), ("expired".to_owned(), 1.0)]));
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let none = [0.0; 15];
        let mut some = [0.0; 15];
        assert_eq!(quantile(&some, &none, 0.5), None);
        // Ten between 1 and 2 ms.
        some[2..].fill(10.0);
        let median = quantile(&some, &none, 0.5).expect("there are some");
        assert!((median - 0.0015).abs() < 1e-9, "{median}");
        assert_eq!(quantile(&some, &some, 0.5), None);
        let mut long = none;
        long[14] = 1.0;
        assert_eq!(quantile(&long, &none, 0.99), Some(10.0));
    }
}
