//! The one entry of these tests: tells every conversation of a table and compares.

use crate::harness::{Delivery, Pace, tell};
use crate::invariants;
use crate::orders;
use crate::outcome::Outcome;
use crate::talk::{Table, Talk};

/// What is asked of every conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What the conversation expects, in every shape and at every pace.
    Verdicts,
    /// That redelivered records change nothing.
    Redelivery,
    /// That posts read in another order change no verdict.
    ReadingOrder,
}

pub fn check(table: Table, asked: Asked) {
    let mut failures = Vec::new();
    for (name, build) in table {
        let mut talk = Talk::new();
        build(&mut talk);
        let result = match asked {
            Asked::Verdicts => verdicts(&talk),
            Asked::Redelivery => redelivery(&talk),
            Asked::ReadingOrder => orders::check(name, &talk),
        };
        failures.extend(result.err().map(|why| format!("── {name}\n{why}")));
    }
    assert!(failures.is_empty(), "{} of {} conversations:\n{}", failures.len(), table.len(), failures.join("\n"));
}

fn verdicts(talk: &Talk) -> Result<(), String> {
    for shape in &talk.shapes {
        for pace in [Pace::OneByOne, Pace::InBursts] {
            let outcome = tell(talk, &talk.steps, *shape, pace, Delivery::Once)?;
            as_expected(talk, &outcome).map_err(|why| format!("{why}\n   told {pace:?} as {shape:?}"))?;
        }
    }
    Ok(())
}

pub fn as_expected(talk: &Talk, outcome: &Outcome) -> Result<(), String> {
    let mut expected = talk.expected.clone();
    expected.sort();
    let got = outcome.lines();
    let mut problems = Vec::new();
    if expected != got {
        problems.extend(expected.iter().filter(|line| !got.contains(line)).map(|line| format!("   expected {line}")));
        problems.extend(got.iter().filter(|line| !expected.contains(line)).map(|line| format!("   got      {line}")));
        if problems.is_empty() {
            problems.push(format!("   expected {expected:?}\n   got      {got:?}"));
        }
    }
    for (topic, fields, wanted) in &talk.records {
        if outcome.has(topic, fields) != *wanted {
            let word = if *wanted { "no" } else { "a" };
            let all: Vec<String> = outcome.values(topic).map(|value| format!("     {value}")).collect();
            problems.push(format!("   {word} record of {topic} has {fields}:\n{}", all.join("\n")));
        }
    }
    problems.extend(invariants::broken(outcome, talk));
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn redelivery(talk: &Talk) -> Result<(), String> {
    let shape = talk.shapes[0];
    for pace in [Pace::OneByOne, Pace::InBursts] {
        let once = tell(talk, &talk.steps, shape, pace, Delivery::Once)?.seen();
        let again = tell(talk, &talk.steps, shape, pace, Delivery::Again)?.seen();
        if once != again && talk.news_again.is_some() {
            return Ok(());
        }
        let lost = less(&once, &again).into_iter().map(|line| format!("   lost  {line}"));
        let more = less(&again, &once).into_iter().map(|line| format!("   added {line}"));
        let changed: Vec<String> = lost.chain(more).collect();
        if once != again {
            return Err(format!("   changed:\n{}\n   told {pace:?} as {shape:?}", changed.join("\n")));
        }
    }
    match talk.news_again {
        Some(why) => Err(format!("   nothing is changed by a redelivery, though it is said that {why}")),
        None => Ok(()),
    }
}

/// The lines of `a` that `b` lacks, as often as it lacks them.
fn less(a: &[String], b: &[String]) -> Vec<String> {
    let mut rest = b.to_vec();
    let lacks = |line: &&String| match rest.iter().position(|other| other == *line) {
        Some(at) => {
            rest.swap_remove(at);
            false
        }
        None => true,
    };
    a.iter().filter(lacks).cloned().collect()
}
