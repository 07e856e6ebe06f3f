//! `cargo xtask`: everything a developer and CI run, in one place and in one language.
//!
//! - [`suite`]: the steps CI runs; `browser` is one of its tests alone.
//! - [`deep`]: the long runs: Miri, fuzzing, more seeds.
//! - [`simulate`]: the simulator of the engine, for minutes; [`planted`]: whether the tests find [`plants`].
//! - [`soak`]: the exchange under load for an hour: whether it needs more and more of anything.
//! - [`screenshot`]: the picture of the page in the documentation.
//! - [`install`] puts what they need on a fresh Debian; [`steps`] runs steps, counts tests and sums up;
//!   [`cargo`] makes the commands.

mod cargo;
mod deep;
mod install;
mod planted;
mod plants;
mod screenshot;
mod simulate;
mod soak;
mod steps;
mod suite;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything a developer and CI run")]
enum Task {
    /// Everything CI runs, in its order; stops at the first failure
    Test,
    /// The page in a real browser, nothing else
    Browser,
    /// Long runs: Miri, fuzzing, the differential book test with more seeds
    Deep(deep::Options),
    /// The simulator of the sharded engine with fresh seeds
    Simulate(simulate::Options),
    /// The exchange under load for an hour: memory, descriptors, missing answers
    Soak(soak::Options),
    /// Plants known bugs into a copy of the engine, each of which the tests must find
    Planted,
    /// Writes docs/images/page.png from the page of a running exchange
    Screenshot,
}

fn main() -> ExitCode {
    raise_open_files();
    let steps = match Task::parse() {
        Task::Test => suite::steps(),
        Task::Browser => suite::browser_steps(),
        Task::Deep(options) => deep::steps(&options),
        Task::Simulate(options) => simulate::steps(&options),
        Task::Soak(options) => soak::steps(&options),
        Task::Planted => planted::steps(),
        Task::Screenshot => screenshot::steps(),
    };
    if steps::run(steps).failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tests open some thousands of sockets; a shell has 1,024 at first, and may have many more.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("the number of open files stays as it is: {error}");
    }
}
