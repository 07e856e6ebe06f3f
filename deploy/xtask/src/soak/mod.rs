//! The exchange for an hour: does it need more and more of anything, and is every order answered?
//!
//! It is the real binary with a journal, snapshots and its demo flow, and beside it `loadtest orders`, whose orders are
//! cancelled as soon as they are acknowledged: the book stays as it is. What the process has is looked at every few seconds;
//! [`samples`] says what is judged at the end, and why.

mod process;
mod samples;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::{cargo, target_dir};
use crate::steps::{Step, Tally};
use process::Exchange;
use samples::Samples;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// After the load's own time has passed: it waits for late answers for 10 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Journal between two snapshots: small, so that an hour has some twenty of them.
const SNAPSHOT_BYTES: u64 = 64 << 20;

#[derive(Args, Clone, Copy)]
pub struct Options {
    /// How long it runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// Orders a second; each is cancelled as well
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
}

pub fn steps(options: &Options) -> Vec<Step> {
    let options = *options;
    let build = cargo(["build", "--release", "-p", "gateway", "-p", "loadtest", "--bins"]);
    let name = format!("soak, {} minutes of {} orders a second", options.minutes, options.rate);
    vec![Step::command("build", build), Step::call(name, move || soak(options))]
}

fn soak(options: Options) -> Result<Tally> {
    let folder = PathBuf::from(target_dir(&format!("soak-{}", std::process::id())));
    std::fs::create_dir_all(&folder)?;
    let outcome = run(options, &folder);
    if outcome.is_ok() {
        std::fs::remove_dir_all(&folder)?;
    } else {
        println!("what it left behind: {}", folder.display());
    }
    outcome
}

fn run(options: Options, folder: &Path) -> Result<Tally> {
    let exchange = Exchange::start(&program("ringside"), folder, SNAPSHOT_BYTES)?;
    // The load stays away from the touch, so there must be one.
    exchange.wait_for_prices()?;
    let mut load = Load(load(&exchange, options)?);
    let begun = Instant::now();
    let latest = Duration::from_secs(60 * options.minutes) + PATIENCE;
    let (mut samples, mut minute) = (Samples::default(), 0);
    let ended = loop {
        let sample = exchange.sample(begun.elapsed())?;
        if sample.at.as_secs() / 60 >= minute {
            println!("{sample}");
            minute += 1;
        }
        samples.add(sample);
        if let Some(ended) = load.0.try_wait()? {
            break ended;
        }
        ensure!(begun.elapsed() < latest, "the load does not end");
        thread::sleep(EVERY);
    };
    let judged = samples.judge();
    ensure!(ended.success(), "loadtest says that not all was well: {ended}");
    judged?;
    exchange.stop()?;
    Ok(Tally::PASSED)
}

/// The load; it ends with us.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Far from the touch, where the demo flow does not trade, on connections enough for a rate limit to be out of the way.
fn load(exchange: &Exchange, options: Options) -> Result<Child> {
    let mut command = Command::new(program("loadtest"));
    command.args(["orders", "--url", &exchange.ws, "--http", &exchange.http, "--connections", "4"]);
    command.args(["--rate", &options.rate.to_string(), "--seconds", &(60 * options.minutes).to_string()]);
    println!("{command:?}");
    command.stdin(Stdio::null()).spawn().context("starting loadtest")
}

fn program(name: &str) -> PathBuf {
    PathBuf::from(target_dir("release")).join(name)
}
