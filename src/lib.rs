//! pay-by-tweet
pub mod bus;
pub mod domain;
pub mod engine;
