//! The exchange as pure state machines.
//!
//! No state machine in this crate opens a socket or a file, reads a clock or draws a random number. Time arrives inside
//! records, prices and money are integers, and the same input gives the same output on every machine. That is what makes
//! the live exchange, a replay of its log and a simulated one the same program. Only the [`journal`] reaches a disk, and
//! that through a trait.
//!
//! In reading order:
//! - [`units`]: ticks, lots, atoms and the identifiers; [`decimal`]: exact text to integers and back;
//!   [`instrument`]: what may be traded, in which steps.
//! - [`message`]: everything that travels.
//! - [`sequencer`]: the accounts of a shard, their [`ledger`] and live orders. [`matcher`]: the books of a shard.
//!   [`book`]: one symbol's resting orders; `plain` is obviously correct, `fast` is what runs.
//! - [`link`]: numbered messages between shards. [`log`]: the one thing that changes a shard's state;
//!   [`journal`]: where logs outlive the process.
//! - [`pipeline`]: the wiring of it all. [`executor`]: the two ways to run it, joined by [`lane`]s and [`bell`]s.
//! - [`state`]: it all as bytes, for snapshots and to be compared.
//! - [`limits`]: every bound, with its reason. [`counters`]: what is counted while it works.

#![warn(missing_docs)]

pub mod bell;
pub mod book;
pub mod counters;
pub mod decimal;
pub mod executor;
pub mod instrument;
pub mod journal;
pub mod lane;
pub mod ledger;
pub mod limits;
pub mod link;
pub mod log;
pub mod matcher;
pub mod message;
pub mod pipeline;
pub mod sequencer;
pub mod state;
mod sync;
pub mod units;
