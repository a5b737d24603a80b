//! Back-pressure from the accounts shards to the screen: posts pause while any shard is over its byte bound (I12).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by the stages: counts the shards that are over their bound.
#[derive(Clone, Debug, Default)]
pub struct Pressure {
    shards_over: Arc<AtomicU64>,
}

/// One shard's share of the pressure. Dropping it (the shard went away) takes it back, so that posts never wait for a
/// shard that is gone.
#[derive(Debug)]
pub struct PressureGauge {
    pressure: Pressure,
    over: bool,
}

impl Pressure {
    pub fn is_set(&self) -> bool {
        self.shards_over.load(Ordering::Acquire) > 0
    }

    pub fn gauge(&self) -> PressureGauge {
        PressureGauge { pressure: self.clone(), over: false }
    }
}

impl PressureGauge {
    /// Tells whether this shard is over its bound now.
    pub fn set(&mut self, over: bool) {
        if over == self.over {
            return;
        }
        self.over = over;
        if over {
            self.pressure.shards_over.fetch_add(1, Ordering::AcqRel);
        } else {
            self.pressure.shards_over.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for PressureGauge {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_lasts_while_any_living_shard_is_over() {
        let pressure = Pressure::default();
        let (mut one, mut two) = (pressure.gauge(), pressure.gauge());
        one.set(true);
        one.set(true);
        two.set(true);
        one.set(false);
        assert!(pressure.is_set());
        drop(two);
        assert!(!pressure.is_set());
    }
}
