//! `cargo xtask`: everything a developer and CI run, in one place and in one language.
//!
//! - [`suite`]: the steps CI runs; `browser` is one of its tests alone.
//! - [`deep`]: the long runs: Miri, fuzzing, more seeds.
//! - [`screenshot`]: the picture of the page in the documentation.
//! - [`install`] puts what they need on a fresh Debian; [`steps`] runs steps, counts tests and sums up;
//!   [`cargo`] makes the commands.

mod cargo;
mod deep;
mod install;
mod screenshot;
mod steps;
mod suite;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything a developer and CI run")]
enum Task {
    /// Everything CI runs, in its order; stops at the first failure
    Test,
    /// The page in a real browser, nothing else
    Browser,
    /// Long runs: Miri, fuzzing, the differential book test with more seeds
    Deep(deep::Options),
    /// Writes docs/images/page.png from the page of a running exchange
    Screenshot,
}

fn main() -> ExitCode {
    let steps = match Task::parse() {
        Task::Test => suite::steps(),
        Task::Browser => suite::browser_steps(),
        Task::Deep(options) => deep::steps(&options),
        Task::Screenshot => screenshot::steps(),
    };
    if steps::run(steps).failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
