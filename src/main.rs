//! Parses the arguments and calls one command.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pay_by_tweet::engine::actor::abort_on_panic();
    pay_by_tweet::cli::Cli::parse().run()
}
