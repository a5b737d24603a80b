//! Posts read in other orders, as firehoses deliver them.

use std::collections::BTreeSet;

use crate::harness::{Delivery, Pace, tell};
use crate::outcome::Outcome;
use crate::people::NOISE;
use crate::talk::{Said, Step, Talk};

const SHUFFLES: u64 = 20;

/// Every swap of neighbours and some shuffles, each within `time.lateness_max` and between the same side inputs, must
/// come to the same verdicts, unless the conversation names what in it is decided at once. Then some order must show
/// it.
pub fn check(name: &str, talk: &Talk) -> Result<(), String> {
    let base = read(talk, &talk.steps)?;
    let mut changed = None;
    for (how, steps) in other_orders(name, talk) {
        let problem = match read(talk, &steps) {
            Ok(outcome) if outcome.verdicts() == base.verdicts() => continue,
            Ok(outcome) => format!("   in order   {:?}\n   otherwise  {:?}", base.lines(), outcome.lines()),
            Err(why) => format!("   {why}"),
        };
        changed = Some(format!("   {how} changes a verdict\n{problem}"));
        break;
    }
    match (changed, talk.decided_at_once) {
        (Some(_), Some(_)) | (None, None) => Ok(()),
        (Some(problem), None) => Err(problem),
        (None, Some(why)) => Err(format!("   no order changes a verdict, though it is said that {why}")),
    }
}

/// As it ends when all that waits has come to its end.
fn read(talk: &Talk, steps: &[Step]) -> Result<Outcome, String> {
    let steps = [steps, &talk.long_after()].concat();
    tell(talk, &steps, talk.shapes[0], Pace::OneByOne, Delivery::Once)
}

fn other_orders(name: &str, talk: &Talk) -> Vec<(String, Vec<Step>)> {
    let (steps, lateness) = (&talk.steps, talk.lateness());
    let mut known: BTreeSet<Vec<usize>> = BTreeSet::from([(0..steps.len()).collect()]);
    let mut orders: Vec<(String, Vec<usize>)> = Vec::new();
    for at in 1..steps.len() {
        let mut order: Vec<usize> = (0..steps.len()).collect();
        if may_swap(&steps[at - 1], &steps[at], lateness) {
            order.swap(at - 1, at);
            orders.push((format!("swapping steps {} and {at}", at - 1), order));
        }
    }
    for shuffle in 0..SHUFFLES {
        let seed = name.bytes().fold(shuffle, |seed, byte| splitmix(seed ^ u64::from(byte)));
        orders.push((format!("the shuffle of seed {seed}"), shuffled(steps, lateness, seed)));
    }
    orders.retain(|(_, order)| known.insert(order.clone()));
    orders.into_iter().map(|(how, order)| (how, order.into_iter().map(|at| steps[at].clone()).collect())).collect()
}

/// A random walk of allowed swaps of neighbours.
fn shuffled(steps: &[Step], lateness: i64, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    let mut state = seed;
    for _ in 0..steps.len() * steps.len() * 2 {
        state = splitmix(state);
        let at = 1 + (state % (steps.len() as u64 - 1).max(1)) as usize;
        if at < steps.len() && may_swap(&steps[order[at - 1]], &steps[order[at]], lateness) {
            order.swap(at - 1, at);
        }
    }
    order
}

/// Posts that are no more than the greatest lateness apart may come in either order. Side inputs stay where they are,
/// and noise keeps its order, for it is there to bring the watermark somewhere.
fn may_swap(a: &Step, b: &Step, lateness: i64) -> bool {
    match (a, b) {
        (Step::Post { time: a_time, .. }, Step::Post { time: b_time, .. }) => {
            (a_time - b_time).abs() <= lateness && !(is_noise(a) && is_noise(b))
        }
        _ => false,
    }
}

fn is_noise(step: &Step) -> bool {
    matches!(step, Step::Post { value: Said::Post(post), .. } if post.author == NOISE)
}

fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
