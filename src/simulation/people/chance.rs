//! Chance from a seed: one stream per account and purpose, so that leaving accounts out changes none of the others.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub(super) struct Chance(SmallRng);

impl Chance {
    pub fn new(seed: u64, stream: u64) -> Chance {
        Chance(SmallRng::seed_from_u64(mixed(seed, stream)))
    }

    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// Inclusive on both sides.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        self.0.random_range(least..=most.max(least))
    }

    pub fn per_mille(&mut self, rate: u32) -> bool {
        self.0.random_range(0..1000) < rate
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// An index, each as likely as its weight tells.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut rest = self.0.random_range(0..total.max(1));
        for (index, weight) in weights.iter().enumerate() {
            if rest < *weight {
                return index;
            }
            rest -= weight;
        }
        0
    }
}

/// Two numbers as one from which both can't be guessed (SplitMix64's finaliser).
pub(super) fn mixed(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_add(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
