//! Buying by tweet as a stream processor: tweets in, payments and orders out, exactly once.
//!
//! ```text
//! tweets, links, ──▶ screen ── accounts.inbox ──▶ accounts ──▶ replies, payments, orders, e-mails, events
//! posted, offers        │                           │    ▲
//!                       └── offers.inbox ──▶ offers ◀────┘ stock: held, waitlisted, sold out, freed
//! ```
//!
//! # The map
//!
//! - [`domain`]: what a conversation is and how it is judged. Pure, std only. Begin with [`domain::verdict`].
//! - [`text`]: hashtags, addresses, lengths and case folding, by twitter-text's rules.
//! - [`bus`]: the seam: a log with transactions, and what it promises. [`bus::embedded`] is the durable one.
//! - [`wire`]: JSON in and out, schemas, the codec of internal records, the texts of replies.
//! - [`engine`]: the one loop that runs every stage. It knows traits ([`engine::stage`], [`engine::shard`]), no stage.
//! - [`screen`], [`accounts`], [`offers`]: the three stages.
//! - [`config`]: typed settings, validated once, at the edge.
//! - [`clock`]: the clocks, and the only file that reads them.
//! - [`log`]: the log that the settings name, opened; the topics that a cluster must have.
//! - [`pipeline`], [`app`], [`feed`], [`pacing`]: the program put together, run on threads, fed from files.
//! - [`planted`]: bugs for the proofs to notice, in no program that ships.
//! - [`http`], [`demo`], [`cli`], [`telemetry`]: what people and machines see of it.
//! - [`audit`]: judges a run by its topics, by an implementation of the rules of its own.
//! - [`simulation`]: the whole program on a faulty log, on one thread, from one seed.
//! - [`load`]: a synthetic firehose, its latencies and its truth.
//! - [`posts`], [`outside`]: posts made up, and the log's ends for whoever simulates a network: demo and load.
//!
//! Imports point inward: `cli → app → pipeline → stages → engine → bus → domain`. `tests/tidy.rs` enforces this.
//!
//! # Invariants, cited by number
//!
//! - **I1** Each confirm within its window, read before the watermark passed the deadline, of a purchase that still
//!   waits, has exactly one payment and one fulfilment order.
//! - **I2** At most one payment per purchase id, ever.
//! - **I3** No payment without a buy and a confirm by the same account.
//! - **I4** Per offer, held + sold never exceed the quantity; every hold is sold or released exactly once.
//! - **I5** Whether a post is on time depends on event times and what the log carries, never on the clock of the
//!   moment. On input read in order of time every verdict is a function of the log.
//! - **I6** Restored state equals the fold of the input up to the committed position.
//! - **I7** Nothing written by a stale generation is visible.
//! - **I8** A transaction is visible whole or not at all.
//! - **I9** Every input offset ends as an effect, a no-op or a dead letter.
//! - **I10** When faults stop, all pending purchases resolve and no transaction stays open.
//! - **I11** No card token outside `payments.*` and internal state; no text of a post in logs or metrics.
//! - **I12** Memory stays within its configured budget: kept records, parked shards, queues.
//!
//! The README tells which test proves which.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod feed;
pub mod http;
pub mod load;
pub mod log;
pub mod offers;
pub mod outside;
pub mod pacing;
pub mod pipeline;
pub mod planted;
pub mod posts;
pub mod screen;
pub mod simulation;
pub mod telemetry;
pub mod text;
pub mod wire;
