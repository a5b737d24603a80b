//! The simulator: the whole program, a faulty log and talkative people on one thread, all from one seed.
//!
//! Whatever production runs on threads runs here one step at a time: the same [`crate::engine::worker::Worker`]s, the
//! same shards, the same codecs, on the log [`crate::bus::sim`]. Virtual time passes only when nobody has anything to
//! do. A seed decides everything: settings, processes, people, and everything that goes wrong; the same seed gives the
//! same bytes. The models are TigerBeetle's VOPR and FoundationDB's simulation.
//!
//! ```text
//! plan: what a seed draws
//!   │
//! world ──▶ one step of one worker (process)   ──▶ look: every committed record and ended transaction goes to
//!   ▲  └──▶ or trouble: crash, pause, rebalance, …        people   says more, and checks the screen (I9)
//!   │  └──▶ or a nap: people append what is due           audit    judges by the topics alone (I1–I5, I9, I11)
//!   │                                                     checks   folds committed input anew (I6), positions,
//!   └── until nobody has anything to say                           epochs, wholeness (I7, I8, I9)
//! rest: trouble stops; everything must be resolved within bounds (I10, I12)
//! ```
//!
//! - [`plan`]: settings, processes, spells of weather. Swarm testing: most seeds lack most kinds of trouble.
//! - [`people`]: who says what, and what each input record must become.
//! - [`world`], [`process`], `trouble`, `rest`: the loop, a simulated process, what goes wrong, the quiet end.
//! - [`checks`], `fold`: transactions, positions and state against a second fold of the committed input.
//! - [`trace`]: the fingerprint of a run, and its lines.
//! - [`campaign`], [`shrink`]: many seeds on all cores; a smaller history that fails alike.
//! - [`kills`]: how many seeds it takes until a mistake is noticed.

pub mod campaign;
pub mod checks;
pub mod counts;
mod fold;
pub mod kills;
pub mod people;
pub mod plan;
pub mod process;
mod rest;
pub mod shrink;
pub mod trace;
mod trouble;
pub mod world;

pub use counts::Counts;
pub use plan::Plan;
pub use world::{Outcome, run};
