//! The command line: what may be asked for, and the options of a scenario made of it.

mod churn;
mod curve;
mod fanout;
mod numbers;
mod plan;
mod rush;
mod simulate;
mod slow;

pub use churn::Churn;
pub use curve::Curve;
pub use fanout::{Bare, BareSender, Fanout};
pub use plan::Plan;
pub use rush::Rush;
pub use simulate::Simulate;
pub use slow::Slow;

use crate::Run;
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use loadtest::descriptors;
use loadtest::market::Market;
use loadtest::scenario::audience::Spread;
use loadtest::scenario::flow::{self, Load, heavy};
use loadtest::scenario::{fleet, follow, idle, orders};
use loadtest::target::{Target, WrongUsage};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

const SECONDS_MAX: u64 = 24 * 3600;
const RATE_MAX: u64 = 1_000_000;

/// Where a server is that was told nothing else.
const URL: &str = "ws://127.0.0.1:9001/ws";
const HTTP: &str = "http://127.0.0.1:8080";

#[derive(Parser)]
#[command(name = "loadtest", version, about = "Black-box load and conformance harness for Ringside")]
pub struct Cli {
    #[command(subcommand)]
    pub scenario: Scenario,

    /// Write a machine-readable report to this file
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write a page for people to this file, with plots over time; it needs nothing beside it
    #[arg(long, global = true, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Seed of everything random
    #[arg(long, global = true, default_value_t = 1)]
    pub seed: u64,

    /// Threads of the harness; the server shares the machine
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub threads: u64,
}

#[derive(Subcommand)]
pub enum Scenario {
    /// Follow one channel to silence and check every promise
    Follow(Follow),
    /// Order round trips, open loop at a rate or closed loop with a window
    Orders(Orders),
    /// Many subscribers of one channel
    Fanout(Fanout),
    /// Fan-out over a grid of subscribers and rates, as one table
    Curve(Curve),
    /// Some subscribers stop reading; the others must not notice
    Slow(Slow),
    /// A crowd comes at once and wants the book; those who are there must not notice
    Rush(Rush),
    /// Memory of subscribed connections that hear nothing
    Idle(Idle),
    /// Clients come and go all the time, many without manners; nothing must stay behind
    Churn(Churn),
    /// Millions of connections: the gateway's own code over simulated sockets
    Simulate(Simulate),
    /// How many machines so many connections would take, from what this one needs for a few
    Plan(Plan),
    /// How fast this machine sends when nothing but sending is done
    Bare(Bare),
    /// The sending side of `bare`, which starts it
    #[command(hide = true)]
    BareSender(BareSender),
    /// Some of the subscribers of `--processes`, which starts it
    #[command(hide = true)]
    Part,
}

#[derive(Args, Clone, Serialize)]
pub struct Gateway {
    /// WebSocket endpoint; loopback only
    #[arg(long, default_value = URL)]
    url: String,
    /// REST endpoint for symbols and depth; loopback only
    #[arg(long, default_value = HTTP)]
    http: String,
}

#[derive(Args, Serialize)]
pub struct Follow {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    /// Silence that ends the run
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    until_idle_ms: u64,
    /// End of the run even without silence
    #[arg(long, default_value_t = 60, value_parser = seconds())]
    seconds: u64,
}

#[derive(Args, Serialize)]
pub struct Orders {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    symbol: String,
    /// Submits a second over all connections; each order is canceled as well
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    rate: u64,
    /// Closed loop instead of a rate: orders in flight on each connection
    #[arg(long, conflicts_with = "rate", value_parser = clap::value_parser!(u64).range(1..=1000))]
    window: Option<u64>,
    /// The closed loop by a cheaper client, which does not look at private reports
    #[arg(long, requires = "window")]
    lean: bool,
    #[arg(long, default_value_t = 10, value_parser = seconds())]
    seconds: u64,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    connections: u64,
    /// Distance of the orders from the middle of the book
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=90))]
    distance_percent: u32,
    /// Process id of the server, to follow its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Args, Serialize)]
pub struct Idle {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,
    /// Process id of the server
    #[arg(long)]
    pid: u32,
    /// Quiet time before each reading of the memory
    #[arg(long, default_value_t = 3, value_parser = seconds())]
    settle_seconds: u64,
    /// Divide the connections among so many processes; each may hold 19,900
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    processes: u64,
}

/// As many processes as that, if that is more than this one.
fn spread(processes: u64) -> Result<Option<Spread>> {
    let program = std::env::current_exe().context("finding this program")?;
    Ok((processes > 1).then_some(Spread { program, processes: processes as usize }))
}

fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=SECONDS_MAX)
}

impl Gateway {
    fn target(&self) -> Result<Target, WrongUsage> {
        Target::websocket(&self.url)
    }

    async fn market(&self, symbol: &str) -> Result<Market> {
        Market::fetch(&Target::http(&self.http)?, symbol).await
    }

    /// A flow in the channel's symbol, if one is asked for.
    async fn flow(
        &self,
        channel: &str,
        commands_per_second: u64,
        run: &Run<'_>,
    ) -> Result<Option<flow::Options>> {
        if commands_per_second == 0 {
            return Ok(None);
        }
        let (target, symbol) = (self.target()?, channel.split('@').next().unwrap_or_default());
        let market = self.market(symbol).await?;
        Ok(Some(flow::Options { target, market, commands_per_second, seed: run.cli.seed, run: run.id() }))
    }

    /// The same, or sweeps through so many parts of icebergs.
    async fn load(
        &self,
        channel: &str,
        orders_per_second: u64,
        trades_per_order: Option<u32>,
        run: &Run<'_>,
    ) -> Result<Option<Load>> {
        let flow = self.flow(channel, orders_per_second, run).await?;
        Ok(flow.map(|flow| match trades_per_order {
            None => Load::Steps(flow),
            Some(trades_per_sweep) => Load::Sweeps(heavy::Options {
                target: flow.target,
                market: flow.market,
                sweeps_per_second: flow.commands_per_second,
                trades_per_sweep,
                seed: flow.seed,
                run: flow.run,
            }),
        }))
    }

    fn plan(&self, channel: &str, subscribers: u64, full_every: u64) -> Result<fleet::Plan, WrongUsage> {
        self.plan_in(1, channel, subscribers, full_every)
    }

    /// In so many processes.
    fn plan_in(
        &self,
        processes: u64,
        channel: &str,
        subscribers: u64,
        full_every: u64,
    ) -> Result<fleet::Plan, WrongUsage> {
        let (target, subscribers) = (self.target()?, subscribers as usize);
        if processes > subscribers as u64 {
            return Err(WrongUsage(format!(
                "--processes {processes}: more processes than the {subscribers} connections"
            )));
        }
        descriptors::allow(subscribers.div_ceil(processes as usize))?;
        descriptors::expect_sources(&target, subscribers)?;
        Ok(fleet::Plan { target, channel: channel.to_owned(), subscribers, full_every: full_every as usize })
    }
}

impl Follow {
    pub fn options(&self) -> Result<follow::Options, WrongUsage> {
        Ok(follow::Options {
            target: self.gateway.target()?,
            channel: self.channel.clone(),
            until_idle: Duration::from_millis(self.until_idle_ms),
            limit: Duration::from_secs(self.seconds),
        })
    }
}

impl Orders {
    pub async fn options(&self, run: &Run<'_>) -> Result<orders::Options> {
        let target = self.gateway.target()?;
        let open = orders::Load::Open { per_second: self.rate };
        Ok(orders::Options {
            target,
            market: self.gateway.market(&self.symbol).await?,
            connections: self.connections as usize,
            load: self.window.map_or(open, |window| orders::Load::Closed { window: window as usize }),
            lean: self.lean,
            duration: Duration::from_secs(self.seconds),
            distance_percent: self.distance_percent,
            pid: self.pid,
            seed: run.cli.seed,
            run: run.id(),
        })
    }
}

impl Idle {
    pub fn options(&self) -> Result<idle::Options> {
        Ok(idle::Options {
            // Only the reference is checked: a parsing client would hold memory for nothing.
            plan: self.gateway.plan_in(self.processes, &self.channel, self.connections, self.connections)?,
            spread: spread(self.processes)?,
            pid: self.pid,
            settle: Duration::from_secs(self.settle_seconds),
        })
    }
}
