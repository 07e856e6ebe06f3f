//! The arguments of `curve`.

use super::{Gateway, RATE_MAX, seconds, spread};
use crate::Run;
use anyhow::{Context, Result};
use clap::Args;
use loadtest::scenario::curve;
use loadtest::scenario::fanout;
use loadtest::scenario::fleet::Clients;
use loadtest::scenario::flow::heavy;
use loadtest::target::{Target, WrongUsage};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More points than anybody waits for.
const POINTS_MAX: usize = 200;

#[derive(Args, Serialize)]
pub struct Curve {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    /// One side of the grid
    #[arg(long, value_delimiter = ',', default_value = "100,300,1000,3000", value_parser = clap::value_parser!(u64).range(1..))]
    subscribers: Vec<u64>,
    /// The other side: orders a second, open loop
    #[arg(long, value_delimiter = ',', default_value = "50,100,200,500,1000", value_parser = clap::value_parser!(u64).range(1..=RATE_MAX / 2))]
    orders_per_second: Vec<u64>,
    /// Each of the orders sweeps so many small parts of icebergs: that many trades and a change of the book
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    trades_per_order: u32,
    #[arg(long, default_value_t = 5, value_parser = seconds())]
    point_seconds: u64,
    /// Under load before the measured time of each point
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=600))]
    warm_up_seconds: u64,
    /// Divide the subscribers among so many processes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    processes: u64,
    /// Room for the recording of the one subscriber (of each process) that is checked
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=8192))]
    record_mib: u64,
    /// Process id of the server, to tell its processor time
    #[arg(long)]
    pid: Option<u32>,
    /// Write the table to this file too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Curve {
    pub async fn options(&self, run: &Run<'_>) -> Result<curve::Options> {
        let points = self.subscribers.len() * self.orders_per_second.len();
        if points > POINTS_MAX {
            let why =
                format!("--subscribers by --orders-per-second are {points} points: at most {POINTS_MAX}");
            return Err(WrongUsage(why).into());
        }
        let (most, fewest) = (self.subscribers.iter().max(), self.subscribers.iter().min());
        let (most, fewest) = (*most.context("--subscribers: none")?, *fewest.context("--subscribers: none")?);
        self.gateway.plan_in(self.processes, &self.channel, fewest, 1)?;
        let symbol = self.channel.split('@').next().unwrap_or_default();
        Ok(curve::Options {
            point: fanout::Options {
                plan: self.gateway.plan_in(self.processes, &self.channel, most, 1)?,
                clients: Clients {
                    reader_threads: run.cli.threads as usize,
                    checked: Some(1),
                    record_bytes_max: Some((self.record_mib as usize) << 20),
                    pid: self.pid,
                    ..Clients::default()
                },
                spread: spread(self.processes)?,
                warm_up: Duration::from_secs(self.warm_up_seconds),
                duration: Duration::from_secs(self.point_seconds),
                load: None,
                counters: Some(Target::http(&self.gateway.http)?),
                against: None,
            },
            load: heavy::Options {
                target: self.gateway.target()?,
                market: self.gateway.market(symbol).await?,
                sweeps_per_second: 1,
                trades_per_sweep: self.trades_per_order,
                seed: run.cli.seed,
                run: run.id(),
            },
            subscribers: self.subscribers.iter().map(|subscribers| *subscribers as usize).collect(),
            orders_per_second: self.orders_per_second.clone(),
        })
    }

    pub fn markdown(&self) -> Option<&Path> {
        self.markdown.as_deref()
    }
}
