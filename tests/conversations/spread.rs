//! Conversations on several partitions: posts keyed by their users, as a gateway appends them.

use pay_by_tweet::bus::partition_of_key;
use serde_json::Value;

use crate::harness::refusal_of;
use crate::people::{PASSER_BY, id_at};
use crate::shapes::Post;
use crate::talk::{Said, Step, Talk};

/// Why a conversation can't be told where several processes of the program run, if it can't.
pub fn left_out(talk: &Talk) -> Option<&'static str> {
    let has = |of: fn(&Step) -> bool| talk.steps.iter().any(of);
    if talk.live_from.is_some() || has(|step| matches!(step, Step::Clock(_))) {
        Some("its clock is virtual")
    } else if has(|step| matches!(step, Step::EndOfInput)) {
        Some("only files come to an end")
    } else if talk.source_partitions.is_some() {
        Some("it says itself what is read from which partition")
    } else if refusal_of(talk).is_some() {
        Some("the program refuses its offers file")
    } else {
        None
    }
}

/// Every post in the partition of its user. On a firehose no partition falls silent: what a post does to event time in
/// its own, a stranger's did in the others just before, while what was told last is still being read: it moves nothing
/// before the post itself does. So the watermark goes by the same marks as on one partition, and what is told means the
/// same.
pub fn spread(steps: &[Step], partitions: u32) -> Vec<Step> {
    let mut spread = Vec::new();
    for step in steps {
        let Step::Post { place: (topic, _), time, value } = step else {
            spread.push(step.clone());
            continue;
        };
        let own = user_of(value).map_or(0, |user| partition_of_key(user.as_bytes(), partitions));
        if let Said::Post(_) = value {
            let places = (0..partitions).filter(|other| *other != own).map(|other| (topic.clone(), other)).collect();
            let post = Post::new(PASSER_BY, *time, id_at(PASSER_BY, *time), "good night");
            spread.push(Step::Others { places, post: Box::new(post) });
        }
        spread.push(Step::Post { place: (topic.clone(), own), time: *time, value: value.clone() });
    }
    spread
}

/// The author of a post, also of one that is deleted; garbage has none.
fn user_of(said: &Said) -> Option<String> {
    match said {
        Said::Post(post) => Some(post.author.id.to_string()),
        Said::Raw(raw) => {
            let notice: Value = serde_json::from_slice(raw).ok()?;
            Some(notice["delete"]["status"]["user_id_str"].as_str()?.to_owned())
        }
    }
}
