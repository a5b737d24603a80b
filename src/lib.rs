//! pay-by-tweet
pub mod accounts;
pub mod app;
pub mod bus;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod feed;
pub mod http;
pub mod offers;
pub mod pacing;
pub mod pipeline;
pub mod screen;
pub mod telemetry;
pub mod text;
pub mod wire;
