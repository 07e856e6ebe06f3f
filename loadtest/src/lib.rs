//! A load and conformance harness for Ringside. It shares no code with it, but for two scenarios: `simulate` runs its code, and
//! `plan` times it.
//!
//! The gateway is a black box here: it is reached over TCP, by a WebSocket client somebody else wrote, and its JSON
//! is read from the protocol's description. A mistake in the gateway's codec therefore cannot hide on both ends.
//! Everything else follows from what a subscriber may believe: after ack and snapshot, each update continues the
//! last, no trade is missing without a word, and the rebuilt book is the book. [`check::Follower`] judges that from
//! text alone, so it serves the scenarios, the gateway's integration tests and hand-made feeds alike:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use loadtest::{client::Following, target::Target};
//! use std::time::Duration;
//! use tokio::time::Instant;
//!
//! let target = Target::websocket("ws://127.0.0.1:9001/ws")?;
//! let mut following = Following::subscribe(&target, "BTC-USDT").await?;
//! following.until_live(Instant::now() + Duration::from_secs(5)).await?;
//! following.until_seq(1041, Instant::now() + Duration::from_secs(5)).await?;
//! following.compare_with_fresh(&target, Duration::from_secs(5)).await?;
//! assert_eq!(following.follower.violations(), []);
//! # Ok(())
//! # }
//! ```
//!
//! Modules, in reading order: [`message`] and [`book`] read the wire, [`check`] judges it; [`target`] decides whom we
//! may reach, [`http`] and [`client`] reach it, [`frames`] and [`lean`] do so twenty thousand times, [`inflate`] and
//! [`wire`] where the server compresses; [`market`] and
//! [`trading`] send orders; [`schedule`] times open-loop load, [`meter`], [`counters`] and [`monitor`] tell what it does from
//! second to second, [`report`] and [`html`] what came of it. [`scenario`] has one file or folder for each subcommand.
//!
//! Every run is bounded in time and count and ends by itself, and only loopback addresses are accepted.

pub mod message;

pub mod book;
pub mod check;

pub mod target;

pub mod client;
pub mod frames;
pub mod http;
pub mod inflate;
pub mod lean;
pub mod wire;

pub mod market;
pub mod trading;

pub mod descriptors;
pub mod schedule;

pub mod counters;
pub mod meter;
pub mod monitor;

pub mod html;
pub mod report;

pub mod scenario;
