//! What can go wrong, and how it is done to the world.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use super::plan::{Kind, PROCESSES_MAX, draw_process};
use super::process::{Process, State};
use super::world::World;
use crate::bus::sim::ProcessId;
use crate::domain::Span;
use crate::engine::worker::group_of;

impl World<'_> {
    /// Trouble of a kind, if that kind may occur at all. Draws the same numbers either way.
    pub(super) fn trouble(&mut self, kind: Kind) {
        let process = self.rng.random_range(0..self.processes.len());
        let span = log_uniform(&mut self.rng, 20, 60_000);
        let sign = if self.rng.random_bool(0.5) { 1 } else { -1 };
        let far = log_uniform(&mut self.rng, 100, Span::DAY.0).0;
        // Whose clock may not go back goes ahead instead.
        let may_lag = (kind == Kind::AppendClock) == self.plan.log_lags;
        let jump = if may_lag { sign * far } else { far };
        let drawn = draw_process(&mut self.rng);
        let choice = self.rng.random_range(0..3);
        if !self.plan.kinds.has(kind) {
            return;
        }
        match kind {
            Kind::Crash if self.processes[process].is_up() => self.crash(process, span),
            Kind::Pause if self.processes[process].is_up() => self.pause(process, span),
            Kind::Rebalance => {
                let group = group_of(["screen", "accounts", "offers"][choice]);
                self.counts.rebalances += 1;
                self.trace.act(self.now, &[10, choice as u64], || format!("rebalance {group}"));
                self.bus.rebalance(&group);
            }
            Kind::Scale => self.scale(process, drawn, span),
            Kind::Broker => {
                let away = Span(span.0.min(20_000));
                self.counts.broker_restarts += 1;
                self.trace.act(self.now, &[11], || format!("the broker is away for {} ms", away.0));
                self.bus.restart_broker(away);
            }
            Kind::Compact => {
                self.counts.compactions += 1;
                self.trace.act(self.now, &[12], || "compaction".to_owned());
                self.bus.compact();
            }
            Kind::Clock => {
                // Half of the time a clock that was wrong is set right again.
                let ahead = if choice > 0 { jump } else { 0 };
                self.counts.clock_jumps += 1;
                self.trace.act(self.now, &[13, process as u64], || format!("p{process}'s clock is ahead {ahead} ms"));
                self.processes[process].clock_ahead_ms = ahead;
            }
            Kind::AppendClock => {
                let ahead = if choice > 0 { jump } else { 0 };
                self.counts.clock_jumps += 1;
                self.trace.act(self.now, &[14], || format!("the log's clock is ahead {ahead} ms"));
                self.bus.set_append_clock(Span(ahead));
            }
            Kind::Crash | Kind::Pause | Kind::Network => {}
        }
        self.look();
    }

    /// The process is gone from one moment to the next, and started again after a while.
    pub(super) fn crash(&mut self, index: usize, back_after: Span) {
        self.counts.crashes += 1;
        let process = &mut self.processes[index];
        self.trace.act(self.now, &[15, index as u64], || format!("p{index} crashes for {} ms", back_after.0));
        self.bus.crash(process.id);
        process.vanish(Some(self.now.after(back_after)));
    }

    pub(super) fn resume(&mut self, index: usize) {
        self.trace.act(self.now, &[16, index as u64], || format!("p{index} goes on"));
        self.bus.resume(self.processes[index].id);
        self.processes[index].resume();
    }

    fn pause(&mut self, index: usize, span: Span) {
        self.counts.pauses += 1;
        self.trace.act(self.now, &[17, index as u64], || format!("p{index} stands still for {} ms", span.0));
        self.bus.pause(self.processes[index].id);
        self.processes[index].pause(self.now.after(span));
    }

    /// One process more, or one less for a while, that leaves in good order.
    fn scale(&mut self, index: usize, drawn: super::plan::ProcessPlan, span: Span) {
        self.counts.scalings += 1;
        let room = self.processes.len() < PROCESSES_MAX as usize;
        let process = &mut self.processes[index];
        match &process.state {
            State::Down(_) => self.start(index),
            State::Up(_) if !process.is_stopping() && self.rng.random_bool(0.5) => {
                self.trace.act(self.now, &[18, index as u64], || format!("p{index} is told to stop"));
                process.stop(self.now.after(span));
            }
            _ if room => {
                let index = self.processes.len();
                self.processes.push(Process::new(ProcessId(index as u32), drawn));
                self.start(index);
            }
            _ => {}
        }
    }
}

/// Between two bounds in milliseconds, short spans as often as long ones.
fn log_uniform(rng: &mut SmallRng, from: i64, to: i64) -> Span {
    let magnitudes: Vec<i64> = (from.max(1).ilog2()..=to.ilog2()).map(|bits| 1 << bits).collect();
    let magnitude = magnitudes.choose(rng).copied().unwrap_or(from);
    Span(rng.random_range(magnitude..magnitude * 2).clamp(from, to))
}
