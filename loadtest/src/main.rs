//! The command line: options in, one scenario, a summary for people and a report for programs.
//!
//! Exit codes: 0 all promises kept, 1 a violation or a failure, 2 wrong usage or a target we refuse.

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use loadtest::client::now_us;
use loadtest::descriptors;
use loadtest::market::Market;
use loadtest::report::{Machine, Outcome, Report, commit};
use loadtest::scenario::{fanout, fleet, flow, follow, idle, orders, slow};
use loadtest::target::{Target, WrongUsage};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const SECONDS_MAX: u64 = 24 * 3600;
const RATE_MAX: u64 = 1_000_000;
/// Of `slow`, under load after the stall: enough to read on through some megabytes.
const RECOVERY: Duration = Duration::from_secs(3);

#[derive(Parser)]
#[command(name = "loadtest", version, about = "Black-box load and conformance harness for Ringside")]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,

    /// Write a machine-readable report to this file
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Seed of everything random
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,

    /// Threads of the harness; the server shares the machine
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    threads: u64,
}

#[derive(Subcommand)]
enum Scenario {
    /// Follow one channel to silence and check every promise
    Follow(Follow),
    /// Order round trips, open loop at a rate or closed loop with a window
    Orders(Orders),
    /// Many subscribers of one channel
    Fanout(Fanout),
    /// Some subscribers stop reading; the others must not notice
    Slow(Slow),
    /// Memory of subscribed connections that hear nothing
    Idle(Idle),
}

#[derive(Args, Clone, Serialize)]
struct Gateway {
    /// WebSocket endpoint; loopback only
    #[arg(long, default_value = "ws://127.0.0.1:9001/ws")]
    url: String,
    /// REST endpoint for symbols and depth; loopback only
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    http: String,
}

#[derive(Args, Serialize)]
struct Follow {
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
struct Orders {
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
}

#[derive(Args, Serialize)]
struct Fanout {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    subscribers: u64,
    #[arg(long, default_value_t = 10, value_parser = seconds())]
    seconds: u64,
    /// Commands a second of our own order flow, each a change of the book; 0 relies on the server's own flow
    #[arg(long, visible_alias = "frames-per-second", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=RATE_MAX))]
    orders_per_second: u64,
    /// Count frames instead of parsing them, but for every --check-every-th subscriber
    #[arg(long)]
    lean: bool,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    check_every: u64,
}

#[derive(Args, Serialize)]
struct Slow {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    /// All subscribers, the stalled ones included
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..))]
    subscribers: u64,
    /// Of the subscribers, those that stop reading
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    stalled: u64,
    #[arg(long, default_value_t = 10, value_parser = seconds())]
    stall_seconds: u64,
    /// Before the stall, for comparison
    #[arg(long, default_value_t = 5, value_parser = seconds())]
    baseline_seconds: u64,
    /// Fail if the stall outran no window, and so tested nothing
    #[arg(long)]
    expect_lap: bool,
    /// Commands a second of our own order flow; 0 relies on the server's own flow
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=RATE_MAX))]
    orders_per_second: u64,
}

#[derive(Args, Serialize)]
struct Idle {
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
}

fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=SECONDS_MAX)
}

fn main() -> ExitCode {
    let cli = Cli::parse(); // wrong usage exits with 2 here
    match runtime(cli.threads).and_then(|runtime| runtime.block_on(cli.run())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
        }
    }
}

fn runtime(threads: u64) -> Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads as usize).enable_all().build().context("starting the runtime")
}

impl Cli {
    async fn run(&self) -> Result<bool> {
        let run = Run { cli: self, started_us: now_us(), started: Instant::now() };
        match &self.scenario {
            Scenario::Follow(arguments) => {
                let outcome = follow::run(&arguments.options()?).await?;
                run.finish("follow", arguments, outcome)
            }
            Scenario::Orders(arguments) => {
                let progress = progress("connections done");
                let outcome = orders::run(&arguments.options(&run).await?, &progress).await?;
                run.finish("orders", arguments, outcome)
            }
            Scenario::Fanout(arguments) => {
                let progress = progress("subscribers");
                let outcome = fanout::run(&arguments.options(&run).await?, &progress).await?;
                run.finish("fanout", arguments, outcome)
            }
            Scenario::Slow(arguments) => {
                let progress = progress("subscribers");
                let outcome = slow::run(&arguments.options(&run).await?, &progress).await?;
                run.finish("slow", arguments, outcome)
            }
            Scenario::Idle(arguments) => {
                let progress = progress("connections");
                let outcome = idle::run(&arguments.options()?, &progress).await?;
                run.finish("idle", arguments, outcome)
            }
        }
    }
}

/// What is the same for every scenario.
struct Run<'a> {
    cli: &'a Cli,
    started_us: u64,
    started: Instant,
}

impl Run<'_> {
    fn finish<R: Serialize + std::fmt::Display>(
        &self,
        scenario: &str,
        arguments: &impl Serialize,
        outcome: Outcome<R>,
    ) -> Result<bool> {
        let Outcome { results, verdict } = outcome;
        println!("{results}");
        match verdict.violation_count {
            0 => println!("  no violations"),
            count => println!("  {count} violations, the first:"),
        }
        for violation in &verdict.violations {
            println!("    {violation}");
        }
        let report = Report {
            tool: "loadtest",
            version: env!("CARGO_PKG_VERSION"),
            scenario,
            ok: verdict.ok(),
            commit: commit(),
            machine: Machine::this(),
            seed: self.cli.seed,
            started_us: self.started_us,
            elapsed_seconds: self.started.elapsed().as_secs_f64(),
            arguments: serde_json::to_value(arguments)?,
            results: &results,
            verdict: &verdict,
        };
        if let Some(file) = &self.cli.json {
            let text = serde_json::to_string_pretty(&report)?;
            std::fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(verdict.ok())
    }

    /// Order ids of this run differ from any earlier run's.
    fn id(&self) -> u64 {
        self.started_us
    }
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

    fn plan(&self, channel: &str, subscribers: u64, full_every: u64) -> Result<fleet::Plan, WrongUsage> {
        let (target, subscribers) = (self.target()?, subscribers as usize);
        descriptors::allow(subscribers)?;
        descriptors::expect_sources(&target, subscribers)?;
        Ok(fleet::Plan { target, channel: channel.to_owned(), subscribers, full_every: full_every as usize })
    }
}

impl Follow {
    fn options(&self) -> Result<follow::Options, WrongUsage> {
        Ok(follow::Options {
            target: self.gateway.target()?,
            channel: self.channel.clone(),
            until_idle: Duration::from_millis(self.until_idle_ms),
            limit: Duration::from_secs(self.seconds),
        })
    }
}

impl Orders {
    async fn options(&self, run: &Run<'_>) -> Result<orders::Options> {
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
            seed: run.cli.seed,
            run: run.id(),
        })
    }
}

impl Fanout {
    async fn options(&self, run: &Run<'_>) -> Result<fanout::Options> {
        let full_every = if self.lean { self.check_every } else { 1 };
        Ok(fanout::Options {
            plan: self.gateway.plan(&self.channel, self.subscribers, full_every)?,
            duration: Duration::from_secs(self.seconds),
            flow: self.gateway.flow(&self.channel, self.orders_per_second, run).await?,
        })
    }
}

impl Slow {
    async fn options(&self, run: &Run<'_>) -> Result<slow::Options> {
        let reading = self.subscribers.saturating_sub(self.stalled);
        if reading == 0 {
            return Err(WrongUsage(format!(
                "all {} subscribers stalled leaves nobody to watch",
                self.stalled
            ))
            .into());
        }
        descriptors::allow(self.subscribers as usize)?;
        Ok(slow::Options {
            plan: self.gateway.plan(&self.channel, reading, 1)?,
            stalled: self.stalled as usize,
            baseline: Duration::from_secs(self.baseline_seconds),
            stall: Duration::from_secs(self.stall_seconds),
            recovery: RECOVERY,
            stall_frames: 0,
            expect_lap: self.expect_lap,
            flow: self.gateway.flow(&self.channel, self.orders_per_second, run).await?,
        })
    }
}

impl Idle {
    fn options(&self) -> Result<idle::Options, WrongUsage> {
        Ok(idle::Options {
            // Only the reference is checked: a parsing client would hold memory for nothing.
            plan: self.gateway.plan(&self.channel, self.connections, self.connections)?,
            pid: self.pid,
            settle: Duration::from_secs(self.settle_seconds),
        })
    }
}

/// Draws on stderr, and only if that is a terminal.
fn progress(unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{elapsed_precise}} {{bar:30}} {{pos}}/{{len}} {unit} {{msg}}"
    ));
    ProgressBar::new(0)
        .with_style(style.expect("the template is valid"))
        .with_finish(indicatif::ProgressFinish::AndClear)
}
