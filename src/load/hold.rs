//! The highest rate that holds: steps upwards until one does not, then the highest that did for the whole duration.

use std::time::Duration;

use super::run::{Load, Stretch};
use super::{Bounds, Phase, Program};

/// How long a step of the search takes.
const STEP: Duration = Duration::from_secs(10);

/// From one step to the next, and from a rate that did not hold to the next lower one.
const UP: f64 = 1.25;
const DOWN: f64 = 0.9;

const STEPS_MAX: usize = 40;
const HOLDS_MAX: usize = 8;

/// A rate holds if what waits at its end is less than this much of its time more than at its beginning.
const BACKLOG_GROWTH_MAX: Duration = Duration::from_millis(500);

/// And if the generator itself kept up: else the load was not what was asked.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// Searches, then holds. If nothing holds, the last try is what is reported, and the report says so.
pub(super) fn highest<P: Program>(load: &mut Load<'_, P>, bounds: Bounds) -> anyhow::Result<Stretch> {
    let mut rate = load.options.rate;
    let mut held = None;
    for _ in 0..STEPS_MAX {
        let step = load.stretch(Phase::Searching, rate, STEP, true)?;
        if !step.holds(bounds) {
            break;
        }
        held = Some(rate);
        rate *= UP;
    }
    let mut rate = held.unwrap_or(rate * DOWN);
    let mut stretch = load.stretch(Phase::Loading, rate, load.options.duration, true)?;
    for _ in 1..HOLDS_MAX {
        if stretch.holds(bounds) {
            break;
        }
        rate *= DOWN;
        stretch = load.stretch(Phase::Loading, rate, load.options.duration, true)?;
    }
    Ok(stretch)
}

impl Stretch {
    pub fn holds(&self, bounds: Bounds) -> bool {
        let grown = self.backlog_after.saturating_sub(self.backlog_before) as f64;
        grown <= self.rate * BACKLOG_GROWTH_MAX.as_secs_f64()
            && self.behind <= BEHIND_MAX
            && (self.prompt.count > 0 || self.counts.relevant == 0)
            && self.prompt.p99_ms <= bounds.p99.as_secs_f64() * 1e3
    }
}
