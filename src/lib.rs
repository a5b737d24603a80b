//! pay-by-tweet
pub mod accounts;
pub mod bus;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod offers;
pub mod pipeline;
pub mod screen;
pub mod telemetry;
pub mod text;
pub mod wire;
