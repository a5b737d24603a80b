//! How a load is spread over time: how many posts are due by a moment.

use std::time::Duration;

use super::moment::Moment;

/// How the rate changes while a load runs. The mean is the rate that was asked for in every shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Steady,
    /// A twenty-fifth of the time, before the middle, has 25 times the rate of the rest: a goal is scored.
    Spike,
    /// A day in the time of the load: from a fifth of the mean at night to nine fifths.
    Diurnal,
}

/// A stretch of load at one mean rate.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub start: Moment,
    pub duration: Duration,
    pub shape: Shape,
    /// Posts per second, on average.
    pub rate: f64,
    /// Share of posts by people who come shopping.
    pub relevant: f64,
}

/// A spike's share of the time, where it begins, and its rate in base rates.
const SPIKE_SHARE: f64 = 0.04;
const SPIKE_BEGIN: f64 = 0.4;
const SPIKE_FACTOR: f64 = 25.0;

/// How far a day's rate swings about its mean.
const SWING: f64 = 0.8;

impl Shape {
    pub fn parse(text: &str) -> Result<Shape, String> {
        match text {
            "steady" => Ok(Shape::Steady),
            "spike" => Ok(Shape::Spike),
            "diurnal" => Ok(Shape::Diurnal),
            other => Err(format!("\"{other}\" is no shape; there are steady, spike, diurnal")),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Shape::Steady => "steady",
            Shape::Spike => "spike",
            Shape::Diurnal => "diurnal",
        }
    }

    /// The share of all posts that is due when this share of the time has passed.
    fn due(self, passed: f64) -> f64 {
        match self {
            Shape::Steady => passed,
            Shape::Spike => {
                let base = 1.0 / (1.0 + SPIKE_SHARE * (SPIKE_FACTOR - 1.0));
                let in_spike = (passed - SPIKE_BEGIN).clamp(0.0, SPIKE_SHARE);
                base * (passed + (SPIKE_FACTOR - 1.0) * in_spike)
            }
            Shape::Diurnal => passed - SWING * (std::f64::consts::TAU * passed).sin() / std::f64::consts::TAU,
        }
    }
}

impl Segment {
    pub fn end(&self) -> Moment {
        self.start.after(self.duration)
    }

    /// Posts that are due in all before a moment of the segment; a fraction counts.
    pub fn due_before(&self, moment: Moment) -> f64 {
        let passed = moment.since(self.start) as f64 / 1e6 / self.duration.as_secs_f64().max(f64::MIN_POSITIVE);
        self.posts() * self.shape.due(passed.clamp(0.0, 1.0))
    }

    /// Posts of the whole segment.
    pub fn posts(&self) -> f64 {
        self.rate * self.duration.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Posts of each tenth of the time, in percent of the whole.
    fn check(shape: Shape, tenths: [f64; 10]) {
        let start = Moment(1_700_000_000_000_000);
        let segment = Segment { start, duration: Duration::from_secs(100), shape, rate: 1000.0, relevant: 0.0 };
        let due = |tenth: usize| segment.due_before(start.after(Duration::from_secs(10 * tenth as u64)));
        for (tenth, expected) in tenths.into_iter().enumerate() {
            let percent = (due(tenth + 1) - due(tenth)) / 1000.0;
            assert!((percent - expected).abs() < 0.1, "{shape:?}, tenth {tenth}: {percent} for {expected}");
        }
        assert_eq!((due(0), due(10).round(), due(11).round()), (0.0, 100_000.0, 100_000.0));
    }

    #[test]
    fn shapes_keep_the_mean() {
        check(Shape::Steady, [10.0; 10]);
        // In 25ths of the time a base is 1, the spike 25, all together 49; 0.4 to 0.44 is in the fifth tenth.
        let (base, spike) = (250.0 / 49.0, 100.0 * (25.0 + 1.5) / 49.0);
        check(Shape::Spike, [base, base, base, base, spike, base, base, base, base, base]);
        check(Shape::Diurnal, [2.52, 5.37, 10.0, 14.63, 17.48, 17.48, 14.63, 10.0, 5.37, 2.52]);
    }
}
