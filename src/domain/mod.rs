//! The domain: what a conversation is and how it is judged. Pure and std only: no I/O, no clock, no serialisation; wire
//! types convert at the edge.

pub mod account;
pub mod events;
pub mod ids;
pub mod intent;
pub mod money;
pub mod offer;
pub mod post;
pub mod purchase;
pub mod rules;
pub mod time;
pub mod verdict;
pub mod watermark;

pub use events::*;
pub use ids::*;
pub use intent::*;
pub use money::{Currency, Money};
pub use offer::*;
pub use post::*;
pub use purchase::*;
pub use rules::*;
pub use time::{Span, Time};
