//! The command line.

use crate::config::{DurabilityKey, OpenLogin};
use crate::journal::JournalCommand;
use crate::reactor::blaster::Backend;
use crate::replay::ReplayArgs;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An exchange in one process: orders in, depth and trades out.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Without a command: serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exchange (the default).
    Serve(ServeArgs),
    /// Run recorded order flow through the engine and compare what comes out with the record.
    Replay(ReplayCommand),
    /// Look at the journal of an exchange that is not running.
    #[command(subcommand)]
    Journal(JournalCommand),
}

#[derive(Debug, Args)]
pub struct ReplayCommand {
    #[command(flatten)]
    pub replay: ReplayArgs,
    /// With --serve: begin when clients have opened so many subscriptions.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "serve")]
    pub wait_for_subscriptions: u64,
    /// A TOML file; deploy/config/ringside.toml explains every key. What is traded comes from the recording.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub keys: KeyFlags,
}

/// Flags that are not given leave the configuration as it is.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A TOML file; deploy/config/ringside.toml explains every key.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON line when ready instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub keys: KeyFlags,
    #[command(flatten)]
    pub shards: ShardFlags,
}

/// How many shards the engine has.
#[derive(Debug, Args, Serialize)]
pub struct ShardFlags {
    /// Sequencer shards; 0 chooses by the number of cores.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequencers: Option<usize>,
    /// Matcher shards; 0 chooses by the number of cores.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matchers: Option<usize>,
}

/// Flags with the names of configuration keys.
#[derive(Debug, Args, Serialize)]
pub struct KeyFlags {
    /// Where WebSocket clients connect.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ws_listen: Option<SocketAddr>,
    /// Page, REST, health and metrics.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http_listen: Option<SocketAddr>,
    /// Reactor threads; 0 chooses by the number of cores.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reactors: Option<usize>,
    /// Where the exchange keeps its journal. Without it nothing outlives the process.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// When an answer may be given.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<DurabilityKey>,
    /// Bytes of journal between two snapshots.
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_bytes: Option<u64>,
    /// Where what accounts were told can be looked up: sqlite (in the data directory), a postgres:// URL, or off.
    #[arg(long, value_name = "WHERE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<String>,
    /// Cores for sequencers, matchers and reactors, one each in this order, such as 0,1,2.
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    cores: Option<Vec<usize>>,
    /// How market data is sent.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<Backend>,
    /// No market makers and takers.
    #[arg(long = "no-demo-flow", action = clap::ArgAction::SetFalse)]
    #[serde(skip_serializing_if = "is_true")]
    demo_flow: bool,
    /// A path /echo for WebSocket conformance suites.
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    echo: bool,
    /// No message is compressed, whatever clients offer.
    #[arg(long = "no-compression", action = clap::ArgAction::SetFalse)]
    #[serde(skip_serializing_if = "is_true")]
    compression: bool,
    /// Who may log in by name to a paper account.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    open_login: Option<OpenLogin>,
    #[command(flatten)]
    limits: LimitFlags,
}

#[derive(Debug, Args, Serialize)]
pub struct LimitFlags {
    /// Largest message of a client, in bytes.
    #[arg(long = "max-message-bytes", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    message_bytes_max: Option<usize>,
    /// Connections of the process.
    #[arg(long = "max-connections", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_max: Option<usize>,
    /// Connections of one address.
    #[arg(long = "max-connections-per-address", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_max_per_address: Option<u32>,
    /// New connections of one address a second.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connects_per_second: Option<u32>,
    /// New connections of one address at once.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connects_burst: Option<u32>,
    /// Bytes of memory that new connections leave free; 0 for a sixteenth.
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_reserve_bytes: Option<u64>,
    /// Channels of one connection.
    #[arg(long = "max-channels", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    channels_max: Option<usize>,
    /// Rooms of one connection.
    #[arg(long = "max-rooms-per-connection", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms_max_per_connection: Option<usize>,
    /// Rooms that may be open.
    #[arg(long = "max-rooms", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms_max: Option<u32>,
    /// Messages other than orders that a connection may send a second.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    control_per_second: Option<u32>,
    /// Messages other than orders that a connection may send at once.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    control_burst: Option<u32>,
    /// Orders and cancels that a connection may send a second.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    orders_per_second: Option<u32>,
    /// Orders and cancels that a connection may send at once.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    orders_burst: Option<u32>,
    /// Seconds a client has for its handshake.
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_timeout_s: Option<u32>,
    /// Seconds between pings.
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ping_interval_s: Option<u32>,
    /// Seconds without a sign of life.
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout_s: Option<u32>,
    /// Seconds a socket may take nothing.
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    write_timeout_s: Option<u32>,
    /// Private bytes that may wait for one connection.
    #[arg(long = "max-outbox-bytes", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox_bytes_max: Option<usize>,
    /// Bytes the kernel may hold for one connection.
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    send_buffer_bytes: Option<usize>,
    /// Bytes of a room's stream kept for connections that are behind.
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    window_bytes: Option<u64>,
    /// Seconds a stopping server may take to close its connections.
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_s: Option<u32>,
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
