//! The arguments of `rush`.

use super::{Gateway, RATE_MAX, seconds};
use crate::Run;
use anyhow::Result;
use clap::Args;
use loadtest::descriptors;
use loadtest::scenario::{fleet, rush};
use serde::Serialize;
use std::time::Duration;

/// Under load before the first window: what is slow only once is in none.
const WARM_UP: Duration = Duration::from_secs(2);
/// Under load after each rush.
const AFTER: Duration = Duration::from_secs(2);
/// Room for the recording of the one that is checked in full, when the run is over.
const RECORD_BYTES_MAX: usize = 256 << 20;

#[derive(Args, Serialize)]
pub struct Rush {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    /// Those who are there all the time
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    subscribers: u64,
    /// Those who come at once
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    newcomers: u64,
    /// Of the book, on each side, an order each
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=40_000))]
    levels: u32,
    /// How often they come
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// Before each rush, for comparison
    #[arg(long, default_value_t = 5, value_parser = seconds())]
    before_seconds: u64,
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

impl Rush {
    pub async fn options(&self, run: &Run<'_>) -> Result<rush::Options> {
        let Self { gateway, channel, orders_per_second, trades_per_order, .. } = self;
        descriptors::allow((self.subscribers + self.newcomers) as usize)?;
        let symbol = channel.split('@').next().unwrap_or_default();
        let plan = gateway.plan(channel, self.subscribers, 1)?;
        descriptors::expect_sources(&plan.target, self.newcomers as usize)?;
        Ok(rush::Options {
            plan,
            clients: fleet::Clients {
                reader_threads: run.cli.threads as usize,
                checked: Some(1),
                record_bytes_max: Some(RECORD_BYTES_MAX),
                pid: self.pid,
                ..fleet::Clients::default()
            },
            newcomers: self.newcomers as usize,
            market: gateway.market(symbol).await?,
            levels: self.levels,
            warm_up: WARM_UP,
            before: Duration::from_secs(self.before_seconds),
            after: AFTER,
            rounds: self.rounds as usize,
            load: gateway.load(channel, *orders_per_second, *trades_per_order, run).await?,
            run: run.id(),
        })
    }
}
