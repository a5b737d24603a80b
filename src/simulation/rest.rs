//! The quiet end: trouble stops, everybody comes up, and everything must be resolved within bounds (I10).

use std::collections::VecDeque;
use std::sync::Arc;

use super::checks::Broken;
use super::people::Input;
use super::plan::calm;
use super::process::{Process, State};
use super::world::World;
use crate::bus::sim::ProcessId;
use crate::bus::{Bus, BusError};
use crate::domain::{Span, Time};
use crate::engine::ends::drained;
use crate::engine::worker::group_of;

/// The world on its way to rest.
pub struct Rest<'w, 'a> {
    world: &'w mut World<'a>,
    observer: Arc<dyn Bus>,
    since: Time,
    closing: VecDeque<Input>,
}

impl<'w, 'a> Rest<'w, 'a> {
    pub fn new(world: &'w mut World<'a>) -> Rest<'w, 'a> {
        let observer = world.bus.connect(OBSERVER);
        let since = world.now;
        Rest { world, observer, since, closing: VecDeque::new() }
    }

    /// Lets everything come to rest, then has everybody judge what there is.
    pub fn come(&mut self) {
        self.calm_down();
        let until = self.world.turns + TURNS_MAX;
        let mut rounds = 0;
        while self.world.broken.is_empty() {
            if self.world.turns > until || self.world.now.since(self.since) > REST_MAX.0 {
                let what = self.tell_what_is_stuck();
                return self.world.broken.push(Broken::new("I10", what));
            }
            let idle = self.world.go_on(LONGEST_NAP);
            if !idle || self.world.people.next_due().is_some() || !self.is_drained() {
                continue;
            }
            if rounds > 0 && self.world.checks.waiting() == 0 {
                break;
            }
            // Nothing moves by itself any more: event time must.
            rounds += 1;
            self.say_what_closes();
        }
        if self.world.broken.is_empty() {
            self.judge();
        }
    }

    /// The next round of what people say to close their streams, so that event time passes everything that waits.
    fn say_what_closes(&mut self) {
        if self.closing.is_empty() {
            self.closing = self.world.people.close().into();
        }
        let Some(due) = self.closing.front().map(|input| input.due) else {
            return self.world.pass(PASSING);
        };
        if due > self.world.now {
            self.world.pass(Span(due.since(self.world.now)));
        }
        let round = self.closing.iter().take_while(|input| input.due <= due).count();
        for input in self.closing.drain(..round) {
            self.world.append(input);
        }
    }

    fn calm_down(&mut self) {
        let world = &mut *self.world;
        world.trace.act(world.now, &[20], || "quiet".to_owned());
        world.bus.set_faults(calm());
        world.bus.set_append_clock(Span::ZERO);
        for index in 0..world.processes.len() {
            world.processes[index].eager = true;
            world.processes[index].clock_ahead_ms = world.processes[index].plan.clock_ahead_ms;
            match world.processes[index].state {
                State::Paused(..) => world.resume(index),
                State::Down(_) => world.start(index),
                State::Up(_) => {}
            }
        }
    }

    fn is_drained(&self) -> bool {
        let world = &*self.world;
        if !world.processes.iter().all(|process| process.is_up() && process.is_settled()) {
            return false;
        }
        if world.bus.open_transactions() > 0 {
            return false;
        }
        self.ask_drained().unwrap_or(false)
    }

    fn ask_drained(&self) -> Result<bool, BusError> {
        let sources = self.world.plan.settings.sources.iter().map(|source| source.topic.as_str());
        let screen = ["offers", "accounts.links", "replies.posted"].into_iter().chain(sources);
        let topics = |names: Vec<&str>| names.into_iter().map(Arc::from).collect();
        let inputs = [
            (group_of("screen"), topics(screen.collect())),
            (group_of("accounts"), topics(vec!["accounts.inbox"])),
            (group_of("offers"), topics(vec!["offers.inbox"])),
        ];
        drained(&*self.observer, &mut *self.observer.reader()?, &inputs)
    }

    fn judge(&mut self) {
        let world = &mut *self.world;
        world.trace.act(world.now, &[21], || "at rest".to_owned());
        world.checks.at_rest(&*self.observer, &world.processes, world.now);
        world.auditor.at_rest();
        world.judge();
        let missing = world.people.finish().into_iter();
        world.broken.extend(missing.map(|what| Broken::new("I9", what)));
    }

    fn tell_what_is_stuck(&self) -> String {
        let world = &*self.world;
        let open = world.bus.open_transactions();
        let waiting = world.checks.waiting();
        let unsettled: Vec<String> = world.processes.iter().map(Process::describe).collect();
        let drained = self.ask_drained();
        format!(
            "not at rest after {} turns and {} s: {waiting} purchases wait, {open} transactions are open, drained: \
             {drained:?}, next of people: {:?}, processes: {unsettled:?}",
            world.turns,
            world.now.since(self.since) / 1_000,
            world.people.next_due(),
        )
    }
}

/// The connection that looks at the log from outside all processes.
const OBSERVER: ProcessId = ProcessId(u32::MAX);

/// Turns until rest at most.
const TURNS_MAX: u64 = 300_000;

/// Virtual time until rest at most: a clock that was a day ahead may have set a deadline a day from now.
const REST_MAX: Span = Span(4 * Span::DAY.0);

/// Time passes at most so far at once while there is something to do.
const LONGEST_NAP: Span = Span(20_000);

/// … and so far when nobody has anything to say.
const PASSING: Span = Span::of_mins(10);
