//! The history: what every account was told, in a database that people and their tools can read.
//!
//! It is a copy. The journal is the truth, and whoever follows the journal notes every report here; nothing in the way of an
//! order waits for it. How far it is, by shard, is written in the same transaction as the last of the rows, and every row has
//! a name of its own (account and `exec_seq`). So a batch that is written twice changes nothing, one that was lost is written
//! again, and an empty store becomes the same one from the journal's beginning.
//!
//! - [`place`]: where it is: SQLite in the data directory, or PostgreSQL. [`schema`]: its tables.
//! - [`batch`]: reports as rows. [`writer`]: when they are written. `store`: into whose tables; `sqlite` and `postgres`: how
//!   each likes many rows.
//! - [`reader`]: what REST and returning clients ask. [`desk`]: how reactors ask, who must not wait.
//! - [`recorder`]: what the keeper, who follows the journal, has to do for it.
//! - [`remains`]: whether one is there whose journal is gone.
//!
//! `data` of an entry is the very text that is in the message of a WebSocket client, so both say the same bytes.
//!
//! It does not keep market data, and it does not know what an account has now: ask the engine.

/// Does the same with either kind of database.
macro_rules! on {
    ($kind:ident: $value:expr, $connection:ident => $work:expr) => {
        match $value {
            $kind::Sqlite($connection) => $work,
            $kind::Postgres($connection) => $work,
        }
    };
}

pub mod batch;
pub mod desk;
pub mod place;
mod postgres;
pub mod reader;
pub mod recorder;
pub mod remains;
pub mod schema;
mod sqlite;
mod store;
pub mod writer;

use crate::venue::Venue;
use engine_core::counters::Counter;
use engine_core::journal::Positions;
use place::Place;
use reader::Reader;
use std::sync::Arc;
use writer::Writer;

/// Counted by the writer's thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct HistoryCounters {
    /// Entries of accounts written.
    pub entries: Counter,
    /// Transactions.
    pub commits: Counter,
    /// Attempts that failed; each was or will be made again.
    pub failures: Counter,
    /// 1 while the store takes what is written, 0 from an attempt that failed to the next that does not.
    pub kept: Counter,
    /// 1 while the store has failed, or was slow, for so long that nothing is noted for it: the journal keeps what it lacks.
    pub aside: Counter,
    /// Entries noted and not written yet.
    pub waiting: Counter,
    /// The engine's time of the oldest of them, in microseconds; 0 if there is none.
    pub waiting_since: Counter,
}

/// How far the writer is, for those who wait for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Transactions.
    pub commits: u64,
    /// Whether the store has all that the journal had when the history was opened.
    pub has_start: bool,
}

/// A journal as the history needs to know it.
pub struct Source<'a> {
    /// Its id.
    pub journal: u128,
    /// Of all shards, what it holds when the history is opened.
    pub end: &'a Positions,
    /// What its reports are about.
    pub venue: Arc<Venue>,
}

/// Opens the history of a journal, or makes it; where its file finds no space on the disk, later.
///
/// # Errors
/// If the store cannot be reached, is another journal's, is ahead of its journal, or was made by a newer version; the text says
/// what can be done.
pub fn open(place: &Place, source: Source<'_>) -> anyhow::Result<(Writer, Reader)> {
    let counters = Arc::new(HistoryCounters::default());
    let (sender, progress) = tokio::sync::watch::channel(Progress::default());
    let writer = Writer::open(place, source, counters.clone(), sender)?;
    Ok((writer, Reader::new(place, progress, counters)))
}
