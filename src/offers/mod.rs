//! The offers stage: stock, waitlist and funnel, one actor per offer inside a pure [`OffersShard`].

pub mod book;
pub mod codec;
pub mod funnel;
pub mod shard;
pub mod stage;

pub use shard::{OfferView, OffersAnswer, OffersQuery, OffersShard, Setup};
pub use stage::OffersStage;
