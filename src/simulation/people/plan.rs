//! What a seed draws: how many people, which behaviours, how disorderly the records come.

use std::collections::BTreeSet;

use super::behaviour::Behaviour;
use super::chance::Chance;
use crate::domain::{Span, Time};

/// 2013-02-12T15:00:00Z, the first day of buying by tweet.
pub const START: Time = Time(1_360_681_200_000);

/// Accounts of a seed, at most: their numbers stand in post ids.
pub const ACCOUNTS_MAX: u64 = 511;

/// A seed's people. Rates are in parts of a thousand.
#[derive(Clone, Debug)]
pub struct PeoplePlan {
    pub seed: u64,
    /// Buy tags in posts that are judged, at least.
    pub orders_min: usize,
    pub accounts: u64,
    /// Partitions of the post topic that people write into.
    pub post_partitions: u32,
    pub start: Time,
    /// From the start to the last thing that somebody begins.
    pub span: Span,
    /// Posts lie in a partition by their author; else they are spread.
    pub keyed: bool,
    /// How much later than it was made a post may come; below `time.lateness_max`.
    pub disorder: Span,
    /// Posts that come later than that.
    pub too_late: u32,
    /// Partitions that stand still for a while, and then give everything at once.
    pub backlogs: u32,
    /// Whether the last partition has no post before the closing.
    pub mute_partition: bool,
    pub redelivered: u32,
    /// Poison, keep-alives and control messages among the posts.
    pub poison: u32,
    /// Posts that have nothing to do with anything, as parts of the others.
    pub noise: u32,
    pub heartbeats: bool,
    /// Posts that come as v2 objects.
    pub v2: u32,
    pub offers: usize,
    pub offer_changes: usize,
    /// Records of an offer lie in one partition of `offers`; else in any.
    pub offers_keyed: bool,
    /// By [`Behaviour`], the scripted ones.
    pub weights: [u32; Behaviour::SCRIPTED],
    pub gateway: GatewayPlan,
    /// How long a screen may go on by an older state of the catalogue, since a look at the `offers` topic may fail
    /// while posts come: above the longest pause or outage that the world makes.
    pub catalogue_lag: Span,
    /// The numbers of the accounts that are there, for shrinking; `None`: all of `0..accounts`.
    pub keep: Option<BTreeSet<u64>>,
}

/// What a gateway does with replies. The rest it posts at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct GatewayPlan {
    pub failed: u32,
    pub late: u32,
    pub twice: u32,
    /// Told twice, and otherwise.
    pub elsewhere: u32,
    pub never: u32,
    /// Posted replies that come back in the stream.
    pub streamed: u32,
}

impl PeoplePlan {
    /// A seed's own mix: some behaviours are left out, the others come in proportions of their own.
    pub fn draw(seed: u64) -> PeoplePlan {
        let mut chance = Chance::new(seed, 1);
        let mut rate = |likely: usize, most: i64| {
            if chance.below(100) < likely { chance.between(1, most) as u32 } else { 0 }
        };
        let mut gateway = GatewayPlan {
            failed: rate(50, 150),
            late: rate(40, 200),
            twice: rate(50, 200),
            elsewhere: 0,
            never: rate(40, 400),
            streamed: rate(60, 300),
        };
        let (too_late, redelivered, poison) = (rate(25, 20), rate(60, 120), rate(60, 40));
        let (noise, v2, backlogs) = (rate(80, 400), rate(50, 500), rate(35, 3));
        let mut weights = [0; Behaviour::SCRIPTED];
        for weight in &mut weights[..Behaviour::ConfirmsAndBuys as usize] {
            *weight = rate(70, 10);
        }
        // By chance of their own, for seeds that know them not to go on as before.
        let mut mixing = Chance::new(seed, 6);
        if mixing.below(2) == 0 {
            for weight in &mut weights[Behaviour::ConfirmsAndBuys as usize..Behaviour::BuysAndCancels as usize] {
                *weight = mixing.between(0, 8) as u32;
            }
        }
        let offers_keyed = mixing.below(2) == 0;
        let mut changing = Chance::new(seed, 7);
        if changing.below(2) == 0 {
            for weight in &mut weights[Behaviour::BuysAndCancels as usize..] {
                *weight = changing.between(0, 8) as u32;
            }
            gateway.elsewhere = changing.between(0, 150) as u32;
        }
        weights[Behaviour::ConfirmsBare as usize] += 4;
        // A single one of these is a dozen orders and more.
        for much in [Behaviour::WaitsForMany, Behaviour::KeepsMuchEarly, Behaviour::BuysMuch] {
            weights[much as usize] = weights[much as usize].min(1);
        }
        let post_partitions = chance.between(1, 4) as u32;
        PeoplePlan {
            seed,
            orders_min: 500,
            accounts: chance.between(40, 150) as u64,
            post_partitions,
            start: START,
            span: Span::of_mins(chance.between(60, 240)),
            keyed: chance.below(3) == 0,
            disorder: Span(*chance.pick(&[0, 2_000, 30_000, 240_000])),
            too_late,
            backlogs,
            mute_partition: post_partitions > 1 && chance.below(12) == 0,
            redelivered,
            poison,
            noise,
            heartbeats: chance.below(4) == 0,
            v2,
            offers: chance.between(3, 8) as usize,
            offer_changes: chance.between(0, 6) as usize,
            offers_keyed,
            weights,
            gateway,
            catalogue_lag: Span::of_secs(30),
            keep: None,
        }
    }

    pub(super) fn is_kept(&self, number: u64) -> bool {
        self.keep.as_ref().is_none_or(|kept| kept.contains(&number))
    }
}
