//! The journal: the logs of all shards of a process, in one sequence of files.
//!
//! This is the one place of the crate that reaches a disk and asks for the time (to measure it, never to decide anything
//! that is logged); both can be simulated.
//!
//! **Order.** A shard appends a batch before it hands its outputs on, and appending takes one lock for all shards. So the
//! order of records is causal, and every beginning of the journal is a state that the engine was in.
//!
//! **Durability.** One thread takes what has gathered, writes it with one call, syncs, moves the durable positions and rings
//! the bells. There is no delay by design: what gathers during a sync is the next batch, so batches grow with the load.
//!
//! **What can be lost** ([`Durability`]): with [`Durability::Fsync`] nothing that was reported durable. With
//! [`Durability::Async`] nothing by a crash of the process, and some milliseconds by a power loss. Without a journal
//! ([`crate::log::MemoryLog`]) everything, by either.
//!
//! **When the disk fails** the callback of [`Recovery::start`] is told, once, and has to end the process: after a failed sync
//! nobody knows what is on the disk, and trying again would only make it look good. **When it is full**, the journal says
//! so while there is still room for cancels ([`Condition::Full`]); nothing that was appended is dropped. The same where the next
//! file cannot be opened ([`Condition::NoFiles`]).
//!
//! In reading order:
//! - [`storage`]: what is asked of a disk; the real one, and one for tests that crashes.
//! - `codec`: entries as bytes. `record`, `segment`, `identity`: what is in the files.
//! - `shard_log`: a shard's end. `shared`: where all meet. `writer`, `spares`: what is done with it, step by step;
//!   `running`: their threads.
//! - `snapshot`: states that make what is before them needless.
//! - `stream`: reading it back. `recovery`: opening, cutting, refusing. `reader`: following a running journal.

mod codec;
mod error;
mod identity;
mod positions;
mod reader;
mod record;
mod recovery;
mod running;
mod segment;
mod shard_log;
mod shared;
mod snapshot;
mod spares;
pub mod storage;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use codec::{FORMAT, Payload};
pub use error::JournalError;
pub use identity::IDENTITY;
pub use positions::{Positions, ShardId, Shards};
pub use reader::Reader;
pub use recovery::Recovery;
pub use running::{Cut, Journal, Watch};
pub use shard_log::JournalLog;
pub use shared::{Condition, JournalCounters, OnFailure};
pub use snapshot::{Snapshot, Snapshots};
pub use stream::{Logged, Record};

use crate::limits::{JOURNAL_SEGMENT_BYTES, JOURNAL_STAGING_BYTES};
use std::time::Duration;

/// When an entry counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it is synced to the disk. It outlives the process, the system and the power, as far as the disk keeps what it
    /// promises.
    Fsync,
    /// When it is handed to the operating system. It outlives the process; of what was reported, a crash of the system or a
    /// power loss can take at most the last `sync_every` and what was written during one sync. What is left is still a
    /// beginning of the journal.
    Async {
        /// How long something may be written and not synced. Milliseconds.
        sync_every: Duration,
    },
}

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose logs it keeps. A journal keeps its number of shards for life.
    pub shards: Shards,
    /// When an entry counts as durable.
    pub durability: Durability,
    /// Bytes of a segment, a multiple of 512 below 4 GiB; segments that exist keep their size.
    pub segment_bytes: u64,
    /// Bytes that may wait to be written. There are two buffers of this size.
    pub staging_bytes: usize,
    /// How long to wait before the disk is asked again for space that it did not have.
    pub retry: Duration,
}

impl Options {
    /// The usual ones: synced, with the sizes of [`crate::limits`].
    pub fn new(shards: Shards) -> Self {
        Self {
            shards,
            durability: Durability::Fsync,
            segment_bytes: JOURNAL_SEGMENT_BYTES,
            staging_bytes: JOURNAL_STAGING_BYTES,
            retry: Duration::from_secs(1),
        }
    }
}
