//! The arguments of `slow`.

use super::numbers::Share;
use super::{Gateway, RATE_MAX, seconds};
use crate::Run;
use anyhow::Result;
use clap::Args;
use loadtest::descriptors;
use loadtest::scenario::{fleet, slow};
use loadtest::target::WrongUsage;
use serde::Serialize;
use std::time::Duration;

/// Under load before the first window: what is slow only once is in none.
const WARM_UP: Duration = Duration::from_secs(2);
/// Under load after each stall: enough to read on through some megabytes.
const RECOVERY: Duration = Duration::from_secs(3);

#[derive(Args, Serialize)]
pub struct Slow {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    /// All subscribers, the stalled ones included
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..))]
    subscribers: u64,
    /// Of the subscribers, those that stop reading: how many, or a part such as 1%. All they get is checked
    #[arg(long, default_value = "5", value_name = "N|P%")]
    stalled: Share,
    #[arg(long, default_value_t = 10, value_parser = seconds())]
    stall_seconds: u64,
    /// Before each stall, for comparison
    #[arg(long, default_value_t = 5, value_parser = seconds())]
    baseline_seconds: u64,
    /// How often a window without and one with a stall take turns
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// Check so many of those that read in full, when the run is over, and count the frames of the others. Without it all are
    /// checked as they read
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    checked: Option<u64>,
    /// Room for the recording of each one that is checked later; what has no room is said to be unchecked
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=8192))]
    record_mib: u64,
    /// Fail if a stall, of any reader in any round, did not outrun the window, and so tested nothing
    #[arg(long)]
    expect_lap: bool,
    /// Commands a second of our own order flow; 0 relies on the server's own flow
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=RATE_MAX))]
    orders_per_second: u64,
    /// Let each of the orders sweep so many small parts of icebergs: that many trades and a change of the book
    #[arg(long, requires = "orders_per_second", value_parser = clap::value_parser!(u32).range(1..=1000))]
    trades_per_order: Option<u32>,
    /// Process id of the server, to follow its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
}

impl Slow {
    pub fn clients(&self, run: &Run<'_>) -> fleet::Clients {
        fleet::Clients {
            reader_threads: run.cli.threads as usize,
            checked: self.checked.map(|checked| checked as usize),
            record_bytes_max: self.checked.map(|_| self.record_bytes_max()),
            pid: self.pid,
            ..fleet::Clients::default()
        }
    }

    pub async fn options(&self, run: &Run<'_>) -> Result<slow::Options> {
        let stalled = self.stalled.of(self.subscribers);
        let reading = self.subscribers.saturating_sub(stalled);
        if reading == 0 {
            let why = format!("all {} subscribers stalled leaves nobody to watch", self.subscribers);
            return Err(WrongUsage(why).into());
        }
        // A stalled reader has a second descriptor, to speak while it does not read.
        descriptors::allow((self.subscribers + stalled) as usize)?;
        let Self { channel, orders_per_second, trades_per_order, .. } = self;
        Ok(slow::Options {
            plan: self.gateway.plan(channel, reading, 1)?,
            stalled: stalled as usize,
            warm_up: WARM_UP,
            baseline: Duration::from_secs(self.baseline_seconds),
            stall: Duration::from_secs(self.stall_seconds),
            recovery: RECOVERY,
            stall_frames: 0,
            rounds: self.rounds as usize,
            record_bytes_max: self.record_bytes_max(),
            expect_lap: self.expect_lap,
            load: self.gateway.load(channel, *orders_per_second, *trades_per_order, run).await?,
        })
    }

    fn record_bytes_max(&self) -> usize {
        (self.record_mib as usize) << 20
    }
}
