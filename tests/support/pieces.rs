//! The orders in which a firehose of four partitions comes in, one of which lags.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::firehose::{Firehose, Post};

pub const PARTITIONS: u32 = 4;
const LAGGING: u32 = 3;
pub const HOUR_MS: i64 = 3_600_000;

/// How the partitions come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The other partitions to their ends, then the lagging one in pieces.
    LaggardLast,
    /// All at the pace of event time, the lagging one an hour behind.
    HourBehind,
    /// Pieces of any partition, at random.
    Pieces,
    /// Everything is there when the program starts.
    AllAtOnce,
}

/// (partition, posts), in the order in which they are appended.
pub fn pieces(firehose: &Firehose, order: Order) -> Vec<(u32, Vec<Post>)> {
    let mut random = SmallRng::seed_from_u64(firehose.plan.seed);
    let all: Vec<Vec<Post>> = (0..PARTITIONS).map(|partition| firehose.of_partition(partition)).collect();
    let whole = |partition: u32| (partition, all[partition as usize].clone());
    let mut pieces = Vec::new();
    match order {
        Order::AllAtOnce => pieces.extend((0..PARTITIONS).map(whole)),
        Order::LaggardLast => {
            pieces.extend((0..LAGGING).map(whole));
            let behind = &all[LAGGING as usize];
            pieces.extend(behind.chunks(behind.len() / 7 + 1).map(|piece| (LAGGING, piece.to_vec())));
        }
        Order::HourBehind => {
            let comes = |p: usize, post: &Post| post.arrival + if p == LAGGING as usize { HOUR_MS } else { 0 };
            let (mut next, mut now) = ([0; PARTITIONS as usize], 0);
            while (0..all.len()).any(|p| next[p] < all[p].len()) {
                let first = (0..all.len()).filter_map(|p| all[p].get(next[p]).map(|post| comes(p, post))).min();
                now = first.unwrap_or(now).max(now) + random.random_range(60_000..1_200_000);
                for (p, posts) in all.iter().enumerate() {
                    let upto = next[p] + posts[next[p]..].partition_point(|post| comes(p, post) <= now);
                    if upto > next[p] {
                        pieces.push((p as u32, posts[next[p]..upto].to_vec()));
                    }
                    next[p] = upto;
                }
            }
        }
        Order::Pieces => {
            let mut rest: Vec<&[Post]> = all.iter().map(Vec::as_slice).collect();
            while rest.iter().any(|posts| !posts.is_empty()) {
                let p = random.random_range(0..rest.len());
                let (piece, more) = rest[p].split_at(random.random_range(0..=rest[p].len().min(2_500)));
                pieces.push((p as u32, piece.to_vec()));
                rest[p] = more;
            }
        }
    }
    pieces
}
