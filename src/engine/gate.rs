//! Side inputs first: posts wait after each assignment until the group has forwarded the side inputs up to the ends
//! that were captured then, so that a link made before a post is known when the post is judged.

use std::sync::Arc;

use super::ends::{position_of, reached};
use super::settings::GATE_POLL_MS;
use super::stage::Gate;
use crate::bus::{Bus, BusError, Reader, TopicPartition, ends_of};
use crate::domain::Time;
use crate::planted::{self, Bug};

/// The gate of one worker.
#[derive(Debug)]
pub(super) struct SideInputs {
    topics: Vec<Arc<str>>,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// To be captured.
    Shut,
    /// Waits until the group's positions have reached all of these ends.
    Waiting {
        ends: Vec<(TopicPartition, u64)>,
        looked: Option<Time>,
    },
}

impl SideInputs {
    pub fn new(gate: Gate) -> SideInputs {
        let topics = match gate {
            Gate::None => Vec::new(),
            Gate::Some(topics) => topics,
        };
        SideInputs { topics, state: State::Open }
    }

    /// To be called at each assignment.
    pub fn shut(&mut self) {
        if !self.topics.is_empty() {
            self.state = State::Shut;
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Opens the gate if the ends are reached: `own` tells what this worker itself has committed, the group's positions
    /// tell the rest. Looks at the log at most every [`GATE_POLL_MS`] of `now`.
    pub fn tend(
        &mut self,
        now: Time,
        bus: &dyn Bus,
        reader: &mut dyn Reader,
        group: &str,
        own: &dyn Fn(&TopicPartition) -> Option<u64>,
    ) -> Result<(), BusError> {
        if let State::Shut = self.state {
            let mut ends = Vec::new();
            for topic in &self.topics {
                ends.extend(ends_of(bus, reader, topic)?);
            }
            self.state = State::Waiting { ends, looked: None };
        }
        let State::Waiting { ends, looked } = &mut self.state else {
            return Ok(());
        };
        let others = !planted::is(Bug::GateSeesOwnOnly);
        ends.retain(|(at, end)| own(at).map_or(others, |position| position < *end));
        if ends.is_empty() {
            self.state = State::Open;
            return Ok(());
        }
        // What is left lies with others, or is a gap. A clock that was set back must not shut the gate for as long.
        if looked.is_some_and(|then| (0..GATE_POLL_MS).contains(&now.since(then))) {
            return Ok(());
        }
        *looked = Some(now);
        // From the back, and one by one, so that an error on the way keeps what was found.
        for index in (0..ends.len()).rev() {
            let (at, end) = &ends[index];
            let position = match own(at) {
                Some(position) => position,
                None => position_of(bus, reader, group, at)?,
            };
            if reached(reader, at, position, *end)? {
                ends.swap_remove(index);
            }
        }
        if ends.is_empty() {
            self.state = State::Open;
        }
        Ok(())
    }
}
