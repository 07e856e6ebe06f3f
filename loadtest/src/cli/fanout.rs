//! The arguments of `fanout` and of the loop it is measured against.

use super::{Gateway, RATE_MAX, seconds, spread};
use crate::Run;
use anyhow::{Context, Result};
use clap::Args;
use loadtest::descriptors;
use loadtest::lean::Opening;
use loadtest::scenario::bare::{self, sender, sender::Method};
use loadtest::scenario::fanout;
use loadtest::scenario::fleet::Clients;
use loadtest::target::{Target, WrongUsage};
use serde::Serialize;
use std::time::Duration;

#[derive(Args, Serialize)]
pub struct Fanout {
    #[command(flatten)]
    gateway: Gateway,
    #[arg(long, default_value = "BTC-USDT")]
    channel: String,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    subscribers: u64,
    #[arg(long, default_value_t = 10, value_parser = seconds())]
    seconds: u64,
    /// Under load before the measured time
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=600))]
    warm_up_seconds: u64,
    /// Divide the subscribers among so many processes; each may hold 19,900, and has a checked one of its own
    #[arg(long, default_value_t = 1, conflicts_with_all = ["against_bare", "subscribe"], value_parser = clap::value_parser!(u64).range(1..=64))]
    processes: u64,
    /// Commands a second of our own order flow, each a change of the book; 0 relies on the server's own flow
    #[arg(long, visible_alias = "frames-per-second", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=RATE_MAX))]
    orders_per_second: u64,
    /// Let each of the orders sweep so many small parts of icebergs: that many trades and a change of the book
    #[arg(long, requires = "orders_per_second", value_parser = clap::value_parser!(u32).range(1..=1000))]
    trades_per_order: Option<u32>,
    /// Count frames instead of parsing them, but for every --check-every-th subscriber
    #[arg(long)]
    lean: bool,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    check_every: u64,
    /// Check so many subscribers in full, and count the frames of the others
    #[arg(long, conflicts_with_all = ["lean", "check_every"], value_parser = clap::value_parser!(u64).range(1..))]
    checked: Option<u64>,
    /// Record what checked subscribers get, and check it when the run is over
    #[arg(long)]
    check_later: bool,
    /// Room for the recording of each of them; what has no room is said to be unchecked
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=8192))]
    record_mib: u64,
    /// Offer permessage-deflate, so that the server compresses; checked books are compared with those of plain subscribers
    #[arg(long, conflicts_with = "subscribe")]
    deflate: bool,
    /// Process id of the server, to tell the processor time of a frame
    #[arg(long)]
    pid: Option<u32>,
    /// Between windows of the server, let a loop of bare sends have the machine: the same bytes to as many sockets
    #[arg(long, conflicts_with = "subscribe")]
    against_bare: bool,
    /// How often each of the two has the machine, for --seconds
    #[arg(long, default_value_t = 2, requires = "against_bare", value_parser = clap::value_parser!(u64).range(1..=1000))]
    windows: u64,
    /// How that loop sends
    #[arg(long, value_enum, default_value_t = Method::Uring)]
    bare_method: Method,
    /// Another kind of server: what to say after the handshake. Only counts, order and latency are judged
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["orders_per_second", "lean", "checked", "check_later"])]
    subscribe: Option<String>,
    /// The key of the time in that server's messages, in seconds or smaller units since 1970
    #[arg(long, requires = "subscribe")]
    timestamp_key: Option<String>,
    /// The key of the number in that server's messages that goes up by one
    #[arg(long, requires = "subscribe")]
    sequence_key: Option<String>,
}

#[derive(Args, Serialize)]
pub struct Bare {
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    subscribers: u64,
    /// Of one send, cut to whole frames
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    bytes: u64,
    /// Of one frame, its header included
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(130..=65_539))]
    frame_bytes: u64,
    /// To each subscriber, by a schedule, and `--bytes` are due at once: then there is a latency; as fast as they are taken if not
    /// given
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    frames_per_second: Option<u64>,
    #[arg(long, default_value_t = 10, value_parser = seconds())]
    seconds: u64,
    #[arg(long, value_enum, default_value_t = Method::Uring)]
    method: Method,
}

#[derive(Args)]
pub struct BareSender {
    #[arg(long)]
    subscribers: usize,
    #[arg(long)]
    bytes: usize,
    #[arg(long)]
    frame_bytes: usize,
    #[arg(long, value_enum)]
    method: Method,
    #[arg(long)]
    frames_per_second: Option<u64>,
}

impl Fanout {
    pub async fn options(&self, run: &Run<'_>) -> Result<fanout::Options> {
        let full_every = if self.lean { self.check_every } else { 1 };
        let http = || Target::http(&self.gateway.http);
        Ok(fanout::Options {
            plan: self.gateway.plan_in(self.processes, &self.channel, self.subscribers, full_every)?,
            clients: self.clients(run),
            spread: spread(self.processes)?,
            warm_up: Duration::from_secs(self.warm_up_seconds),
            duration: Duration::from_secs(self.seconds),
            load: self
                .gateway
                .load(&self.channel, self.orders_per_second, self.trades_per_order, run)
                .await?,
            counters: if self.subscribe.is_none() { Some(http()?) } else { None },
            against: if self.against_bare { Some((self.child(run)?, self.windows as usize)) } else { None },
        })
    }

    fn clients(&self, run: &Run<'_>) -> Clients {
        let (timestamp_key, sequence_key) = (self.timestamp_key.as_deref(), self.sequence_key.as_deref());
        let foreign = |request: &String| Opening::foreign(request, timestamp_key, sequence_key);
        Clients {
            reader_threads: run.cli.threads as usize,
            checked: self.checked.map(|checked| checked as usize),
            record_bytes_max: self.check_later.then_some((self.record_mib as usize) << 20),
            opening: self.subscribe.as_ref().map(foreign),
            pid: self.pid,
            deflate: self.deflate,
            place: None,
        }
    }

    fn child(&self, run: &Run<'_>) -> Result<bare::Child> {
        let program = std::env::current_exe().context("finding this program")?;
        Ok(bare::Child { program, method: self.bare_method, reader_threads: run.cli.threads as usize })
    }
}

impl Bare {
    pub fn options(&self, run: &Run<'_>) -> Result<bare::Options> {
        descriptors::allow(self.subscribers as usize)?;
        if self.frame_bytes > self.bytes {
            return Err(
                WrongUsage("a send has at least one frame: --bytes is below --frame-bytes".into()).into()
            );
        }
        Ok(bare::Options {
            program: std::env::current_exe().context("finding this program")?,
            subscribers: self.subscribers as usize,
            bytes: self.bytes as usize,
            frame_bytes: self.frame_bytes as usize,
            method: self.method,
            frames_per_second: self.frames_per_second,
            duration: Duration::from_secs(self.seconds),
            reader_threads: run.cli.threads as usize,
        })
    }
}

impl BareSender {
    pub fn options(&self) -> Result<sender::Options, WrongUsage> {
        let Self { subscribers, bytes, frame_bytes, method, frames_per_second } = *self;
        descriptors::allow(subscribers)?;
        Ok(sender::Options { subscribers, bytes, frame_bytes, method, frames_per_second })
    }
}
