//! The arguments of `plan`.

use super::{HTTP, URL, numbers};
use crate::Run;
use anyhow::{Context, Result};
use clap::Args;
use loadtest::descriptors;
use loadtest::scenario::plan::model::{Assumptions, Goal};
use loadtest::scenario::plan::{self, Place};
use loadtest::target::{Target, WrongUsage};
use serde::Serialize;
use std::path::PathBuf;

/// The most connections that are open at once while costs are measured.
const CONNECTIONS_MEASURED: usize = 8000;

#[derive(Args, Serialize)]
pub struct Plan {
    /// WebSocket endpoint of a server that runs already; loopback only
    #[arg(long, requires = "pid", value_name = "URL")]
    url: Option<String>,
    /// Its REST endpoint; loopback only
    #[arg(long, requires = "pid", value_name = "URL")]
    http: Option<String>,
    /// Its process id. Without it a server is started, and ends with this
    #[arg(long, conflicts_with = "server")]
    pid: Option<u32>,
    /// The server to start; without it the ringside beside this program
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Connections to plan for, such as 500k or 10M
    #[arg(long, default_value = "10M", value_parser = numbers::count)]
    connections: u64,
    /// Orders a second in all symbols together, such as 10k
    #[arg(long, default_value = "10k", value_name = "N", value_parser = numbers::count)]
    rate: u64,
    #[arg(long, default_value = "1000", value_parser = symbols)]
    symbols: u64,
    /// Memory of a node, in GiB
    #[arg(long, default_value_t = 32.0, value_parser = above_zero)]
    ram_gb: f64,
    /// Of a node's processors, the part that may be busy
    #[arg(long, default_value_t = 70.0, value_parser = percent)]
    cpu_percent: f64,
    /// Assumed: cores of a node
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1024))]
    cores: u64,
    /// Assumed: what its network card can do
    #[arg(long, default_value_t = 25.0, value_parser = above_zero)]
    nic_gbit: f64,
    /// Assumed: of the network card, the part that may be busy
    #[arg(long, default_value_t = 70.0, value_parser = percent)]
    nic_percent: f64,
    /// Assumed: symbols that a connection is subscribed to
    #[arg(long, default_value_t = 1.0, value_parser = above_zero)]
    subscriptions: f64,
    /// Assumed: exponent of Zipf's law, for the popularity of symbols; 0 makes them alike
    #[arg(long, default_value_t = 1.0, value_parser = zero_or_more)]
    zipf: f64,
    /// Assumed: trades and changes of the book that an order makes
    #[arg(long, default_value_t = 2.0, value_parser = above_zero)]
    frames_per_order: f64,
    /// Assumed: how long new frames of a symbol are gathered before a connection is written to; 0 for not at all
    #[arg(long, default_value_t = 100.0, value_parser = zero_or_more)]
    batch_ms: f64,
    /// Assumed: from a node to its clients and back
    #[arg(long, default_value_t = 50.0, value_parser = zero_or_more)]
    rtt_ms: f64,
    /// The server's window_bytes
    #[arg(long, default_value = "1048576", value_parser = numbers::count)]
    window_bytes: u64,
    /// Assumed: the most bytes of a write, where clients take a view of a bounded size instead of every trade and change
    #[arg(long, value_name = "BYTES", value_parser = numbers::count)]
    view_bytes: Option<u64>,
}

impl Plan {
    pub fn options(&self, run: &Run<'_>) -> Result<plan::Options> {
        descriptors::allow(CONNECTIONS_MEASURED)?;
        Ok(plan::Options {
            goal: Goal {
                connections: self.connections,
                orders_per_second: self.rate,
                symbols: self.symbols,
                ram_bytes_of_node: self.ram_gb * (1u64 << 30) as f64,
                cpu_share_max: self.cpu_percent / 100.0,
            },
            assumptions: Assumptions {
                cores_of_node: self.cores,
                nic_gbit: self.nic_gbit,
                nic_share_max: self.nic_percent / 100.0,
                subscriptions_of_connection: self.subscriptions,
                zipf: self.zipf,
                frames_per_order: self.frames_per_order,
                batch_ms: self.batch_ms,
                rtt_ms: self.rtt_ms,
                window_bytes: self.window_bytes as f64,
                write_bytes_max: self.view_bytes.map(|bytes| bytes as f64),
            },
            place: self.place()?,
            seed: run.cli.seed,
            run: run.id(),
        })
    }

    fn place(&self) -> Result<Place> {
        if let Some(pid) = self.pid {
            let ws = Target::websocket(self.url.as_deref().unwrap_or(URL))?;
            let http = Target::http(self.http.as_deref().unwrap_or(HTTP))?;
            return Ok(Place::Running { ws, http, pid });
        }
        let beside = || std::env::current_exe().map(|this| this.with_file_name("ringside"));
        let program = match &self.server {
            Some(program) => program.clone(),
            None => beside().context("finding this program")?,
        };
        if !program.is_file() {
            let program = program.display();
            return Err(WrongUsage(format!(
                "--server: {program} is no file; give the server to start, or --pid of one that runs at --url"
            ))
            .into());
        }
        Ok(Place::Started { program })
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("expected a number: {text:?}"))?;
    if number.is_finite() { Ok(number) } else { Err(format!("expected a number: {text:?}")) }
}

fn above_zero(text: &str) -> Result<f64, String> {
    number(text).and_then(|it| if it > 0.0 { Ok(it) } else { Err("must be above 0".into()) })
}

fn zero_or_more(text: &str) -> Result<f64, String> {
    number(text).and_then(|it| if it >= 0.0 { Ok(it) } else { Err("must not be below 0".into()) })
}

fn percent(text: &str) -> Result<f64, String> {
    above_zero(text)
        .and_then(|it| if it <= 100.0 { Ok(it) } else { Err("must be above 0 and at most 100".into()) })
}

fn symbols(text: &str) -> Result<u64, String> {
    let most = 1_000_000;
    numbers::count(text)
        .and_then(|it| if it <= most { Ok(it) } else { Err(format!("must be at most {most}")) })
}
