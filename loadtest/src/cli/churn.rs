//! The arguments of `churn`.

use super::{Gateway, RATE_MAX, seconds};
use crate::Run;
use anyhow::Result;
use clap::Args;
use loadtest::descriptors;
use loadtest::scenario::churn;
use loadtest::target::Target;
use serde::Serialize;
use std::time::Duration;

/// Before memory is looked at for the first time, at most: enough visits for what grows once to have grown.
const WARM_UP_SECONDS_MAX: u64 = 20;

#[derive(Args, Serialize)]
pub struct Churn {
    #[command(flatten)]
    gateway: Gateway,
    /// A visitor draws one of these; the first is the one that some subscribers stay in
    #[arg(long, value_delimiter = ',', default_value = "BTC-USDT,ETH-USDT,SOL-USDT")]
    channels: Vec<String>,
    /// Subscribers that stay all the time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    stayers: u64,
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=5000))]
    connects_per_second: u64,
    /// How long a visitor stays, in the mean
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    stay_ms: u64,
    #[arg(long, default_value_t = 60, value_parser = seconds())]
    seconds: u64,
    /// Process id of the server
    #[arg(long)]
    pid: u32,
    /// How much more memory the server may hold in the end, beside the ids of orders that it remembers and the windows of rooms
    #[arg(long, default_value_t = 16)]
    growth_mib_max: u64,
    /// Commands a second of our own order flow in each channel; 0 relies on the server's own flow
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=RATE_MAX))]
    orders_per_second: u64,
}

impl Churn {
    pub async fn options(&self, run: &Run<'_>) -> Result<churn::Options> {
        // Twice the mean is the longest stay, and a quarter of that may be added without reading.
        let inside = self.connects_per_second * self.stay_ms * 3 / 1000;
        descriptors::allow((inside + self.stayers) as usize)?;
        let mut flows = Vec::new();
        for (index, channel) in self.channels.iter().enumerate() {
            let flow = self.gateway.flow(channel, self.orders_per_second, run).await?;
            // The same accounts trade everywhere, and never use an order's name twice.
            flows.extend(
                flow.map(|flow| loadtest::scenario::flow::Options { run: flow.run + index as u64, ..flow }),
            );
        }
        Ok(churn::Options {
            target: self.gateway.target()?,
            channels: self.channels.clone(),
            stayers: self.stayers as usize,
            connects_per_second: self.connects_per_second,
            stay: Duration::from_millis(self.stay_ms),
            warm_up: Duration::from_secs((self.seconds / 5).clamp(1, WARM_UP_SECONDS_MAX)),
            duration: Duration::from_secs(self.seconds),
            pid: self.pid,
            http: Some(Target::http(&self.gateway.http)?),
            growth_bytes_max: self.growth_mib_max << 20,
            flows,
            seed: run.cli.seed,
        })
    }
}
