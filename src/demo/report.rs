//! The table at the end, and how the books put things into words.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::goods::Goods;
use super::ledger::{Conversation, Deviation, Ledger, Told, Who};
use super::script::{Behaviour, Outcome};
use crate::domain::{Span, money};

/// What a demo came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub seed: u64,
    /// Wall time, the last stretch included in which virtual time ran ahead.
    pub wall: Duration,
    /// Virtual time that passed.
    pub virtual_time: Span,
    /// Records streamed into the post topic.
    pub tweets: u64,
    /// Wall time during which people posted.
    pub streaming: Duration,
    /// Records streamed during that.
    pub tweets_streaming: u64,
    /// By behaviour, then outcome.
    pub rows: Vec<Row>,
    pub payments: u64,
    pub orders: u64,
    /// Sums by currency code, as decimal strings.
    pub revenue: Vec<(String, String)>,
    /// Public replies by kind.
    pub replies: Vec<(String, u64)>,
    pub direct_messages: u64,
    /// Wall time from a buy's commit to its prompt's, in milliseconds, while people posted.
    pub prompt_ms: Option<Latency>,
    /// Stopped before the conversations ended: nothing was judged.
    pub stopped: bool,
    pub deviations: Vec<Deviation>,
}

/// Conversations of one behaviour that must come to one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub behaviour: &'static str,
    pub expected: String,
    pub count: u64,
    pub as_expected: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    pub count: u64,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl Report {
    /// Everything was bought, refused and ended as the scripts demand, and something was bought.
    pub fn is_as_scripted(&self) -> bool {
        !self.stopped && self.deviations.is_empty() && self.payments > 0
    }

    /// Fills in what the books tell; `goods` name the decimals of currencies.
    pub(super) fn of_ledger(ledger: &Ledger, goods: &[std::sync::Arc<Goods>]) -> Report {
        let (judged, mut deviations) = ledger.judge();
        let mut rows: BTreeMap<(Behaviour, String), (u64, u64)> = BTreeMap::new();
        for judged in judged {
            let key = (judged.conversation.who.behaviour, judged.conversation.expected.to_string());
            let row = rows.entry(key).or_default();
            row.0 += 1;
            row.1 += u64::from(judged.as_expected);
        }
        let payments = ledger.payments().count() as u64;
        if payments == 0 {
            deviations.push(Deviation {
                conversation: "the demo".to_owned(),
                expected: "purchases".to_owned(),
                came: "none".to_owned(),
            });
        }
        Report {
            rows: rows.into_iter().map(Row::new).collect(),
            payments,
            orders: ledger.orders(),
            revenue: revenue(ledger, goods),
            replies: ledger.replies().iter().map(|(kind, count)| (kind.clone(), *count)).collect(),
            direct_messages: ledger.direct_messages(),
            deviations,
            ..Report::default()
        }
    }
}

impl Row {
    fn new(((behaviour, expected), (count, as_expected)): ((Behaviour, String), (u64, u64))) -> Row {
        Row { behaviour: behaviour.name(), expected, count, as_expected }
    }
}

fn revenue(ledger: &Ledger, goods: &[std::sync::Arc<Goods>]) -> Vec<(String, String)> {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for payment in ledger.payments() {
        let sum = sums.entry(&payment.currency).or_default();
        *sum = sum.saturating_add(payment.minor);
    }
    let exponent = |code: &str| goods.iter().find(|g| g.currency.code() == code).map_or(2, |g| g.exponent);
    sums.into_iter().map(|(code, sum)| (code.to_owned(), money::format_decimal(sum, exponent(code)))).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wall, streaming) = (self.wall.as_secs_f64(), self.streaming.as_secs_f64().max(0.001));
        let minutes = self.virtual_time.0 as f64 / 60_000.0;
        writeln!(f, "seed              {}", self.seed)?;
        writeln!(f, "wall time         {wall:.1} s, of which {streaming:.1} s streaming")?;
        writeln!(f, "virtual time      {minutes:.1} min")?;
        writeln!(
            f,
            "tweets            {}, {:.0}/s while streaming",
            self.tweets,
            self.tweets_streaming as f64 / streaming
        )?;
        if let Some(ms) = self.prompt_ms {
            writeln!(
                f,
                "tweet to prompt   p50 {} ms, p99 {} ms, max {} ms over {} prompts (wall time)",
                ms.p50, ms.p99, ms.max, ms.count
            )?;
        }
        writeln!(f)?;
        self.write_rows(f)?;
        writeln!(f)?;
        writeln!(f, "payments          {}", self.payments)?;
        writeln!(f, "orders            {}", self.orders)?;
        let prompts: u64 = self.replies.iter().filter(|(kind, _)| kind == "prompt").map(|(_, count)| count).sum();
        let percent = 100.0 * self.payments as f64 / prompts.max(1) as f64;
        writeln!(f, "conversion        {percent:.1} % of {prompts} prompts")?;
        for (currency, sum) in &self.revenue {
            writeln!(f, "revenue           {sum} {currency}")?;
        }
        writeln!(f, "direct messages   {}", self.direct_messages)?;
        for (kind, count) in &self.replies {
            writeln!(f, "replies           {kind:<20} {count:>7}")?;
        }
        self.write_deviations(f)
    }
}

impl Report {
    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, cells: [&str; 4]| {
            writeln!(f, "{:<28} {:<38} {:>7} {:>12}", cells[0], cells[1], cells[2], cells[3])
        };
        line(f, ["shopper", "must come to", "count", "as expected"])?;
        for row in &self.rows {
            line(f, [row.behaviour, &row.expected, &row.count.to_string(), &row.as_expected.to_string()])?;
        }
        let count: u64 = self.rows.iter().map(|row| row.count).sum();
        let as_expected: u64 = self.rows.iter().map(|row| row.as_expected).sum();
        line(f, ["all conversations", "", &count.to_string(), &as_expected.to_string()])
    }

    fn write_deviations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        if self.stopped {
            return writeln!(f, "Stopped before the conversations ended: nothing was judged.");
        }
        if self.deviations.is_empty() {
            return writeln!(f, "Every conversation came to what its script demands.");
        }
        writeln!(f, "{} deviations:", self.deviations.len())?;
        for deviation in &self.deviations {
            writeln!(f, "  {}", deviation.conversation)?;
            writeln!(f, "    expected  {}", deviation.expected)?;
            writeln!(f, "    came      {}", deviation.came)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Purchased => f.write_str("purchased"),
            Outcome::PurchasedOrSoldOut => f.write_str("purchased or sold_out"),
            Outcome::Nothing => f.write_str("nothing"),
            Outcome::Ends(end) => {
                f.write_str(end.state.name())?;
                if let Some(reason) = end.reason {
                    write!(f, " ({})", reason.name())?;
                }
                match end.rejected_confirm {
                    Some(reason) => write!(f, ", confirm rejected ({})", reason.name()),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.state.is_empty() { "no event" } else { &self.state })?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        for reason in &self.rejected_confirms {
            write!(f, ", confirm rejected ({reason})")?;
        }
        match (self.payments.len(), self.orders.len()) {
            (0, 0) => Ok(()),
            (payments, orders) => write!(f, ", {payments} payments, {orders} orders"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{} ({}), who {}", self.handle, self.account, self.behaviour.name())
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, post {}", self.who, self.post)?;
        match &self.goods {
            Some(goods) => write!(f, ", #{}", goods.buy_tag),
            None => Ok(()),
        }
    }
}
