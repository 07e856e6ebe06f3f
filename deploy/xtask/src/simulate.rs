//! The simulator of the sharded engine, for as long as one likes: the same test that runs with all others, optimised,
//! and from a seed that nobody has tried.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::cargo::cargo;
use crate::steps::Step;

#[derive(Args)]
pub struct Options {
    /// How long it looks for a seed that breaks the engine
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

pub fn steps(options: &Options) -> Vec<Step> {
    // Microseconds: no two runs share seeds unless one of them tries a million a second.
    let first = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970").as_micros();
    let mut simulator = cargo(["test", "--release", "-p", "engine-core", "--test", "engine", "simulator::"]);
    simulator.args(["--", "--nocapture"]);
    simulator.env("SIM_FIRST", first.to_string()).env("SIM_MINUTES", options.minutes.to_string());
    vec![Step::command(format!("simulator, {} minutes from seed {first}", options.minutes), simulator)]
}
