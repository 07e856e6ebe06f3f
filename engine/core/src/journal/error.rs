//! What can go wrong with a journal. Each text names the file; the doc says what can be done.

use super::positions::{ShardId, Shards};
use super::storage::is_passing;
use crate::log::Position;
use std::io;

/// Why a journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused. While opening or reading, nothing was changed: repair what it says and try again.
    #[error("cannot {doing} {file}")]
    Io {
        /// As in "cannot … the file".
        doing: &'static str,
        /// The file, or the directory.
        file: String,
        /// What it said.
        source: io::Error,
    },
    /// There was no space for the journal's end, and it was closed before there was. Nobody was told of these entries, and a
    /// restart does not know them; all that was acknowledged is safe. Make space and start again.
    #[error(
        "the disk is full: {entries} entries at the end of the journal could not be written; nobody was told of them, and \
         all that was acknowledged is safe"
    )]
    NoSpace {
        /// How many.
        entries: u64,
    },
    /// Another process has the directory open. Stop it, or use another directory.
    #[error("{directory} is in use by another process")]
    InUse {
        /// The directory.
        directory: String,
    },
    /// There is no journal to be read. Name the directory that has one.
    #[error("there is no journal in {directory}")]
    Missing {
        /// The directory.
        directory: String,
    },
    /// There is no journal, and files that only a journal leaves: the rest was lost, or is somewhere else. Nothing was changed.
    /// Bring it back, or take another directory for a new journal.
    #[error(
        "{directory} has no {missing}, and {found} is there: it is what is left of a journal; bring back the missing files \
         from a copy or a backup, or, if a new exchange is wanted, move these away or name another directory; nothing was \
         changed"
    )]
    Remains {
        /// The directory.
        directory: String,
        /// The file without which there is no journal.
        missing: &'static str,
        /// One that is there.
        found: String,
    },
    /// Another version of the program wrote it. Start that version.
    #[error("{file} has format {found}, this program knows format {known}: start the version that wrote it")]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// It was written for another number of shards. Start with that number.
    #[error("the journal is for {found}, not for {wanted}: start with as many as it has")]
    Shape {
        /// In the journal.
        found: Shards,
        /// As asked for.
        wanted: Shards,
    },
    /// The options do not fit together. Change them.
    #[error("journal options: {0}")]
    Options(String),
    /// There is something that cannot be what was written. Nothing was changed. Restore the file from a copy, or the whole
    /// directory from a backup; `ringside journal verify` shows how far the journal is good.
    #[error(
        "{file} is damaged at byte {offset}: {found}; nothing was changed, restore the file from a copy \
         (`ringside journal verify` shows what is good)"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is there, and what should be.
        found: String,
    },
    /// A snapshot is asked for of a state that is older than the newest snapshot. Nothing was written.
    #[error("snapshot {newest} is newer than the state that should follow it")]
    Backwards {
        /// The newest snapshot.
        newest: u64,
    },
    /// Entries are asked for that the journal does not have any more: its first segments are gone, or the snapshot that has
    /// what was in them. Restore either.
    #[error(
        "entry {wanted} of {shard} is needed, and the journal begins with entry {first}, in {file}: restore the segments \
         before it or the snapshots, or the directory with all of its files, from a backup"
    )]
    Truncated {
        /// Whose.
        shard: ShardId,
        /// The first that is asked for.
        wanted: Position,
        /// The first that is there.
        first: Position,
        /// The first segment.
        file: String,
    },
    /// A snapshot knows entries that the journal never had: the two do not belong together, or the journal's end is lost.
    /// Restore the journal that belongs to the snapshot.
    #[error(
        "{snapshot} goes on with entry {wanted} of {shard}, and the journal ends before entry {end}, in {file}: its end is \
         lost; restore the directory with all of its files from a copy or a backup"
    )]
    Ahead {
        /// Whose.
        shard: ShardId,
        /// The first that is asked for.
        wanted: Position,
        /// The position after the last one that is there.
        end: Position,
        /// The snapshot's file.
        snapshot: String,
        /// The last segment.
        file: String,
    },
}

impl JournalError {
    /// Whether it is worth another attempt: see [`is_passing`].
    pub fn is_passing(&self) -> bool {
        matches!(self, JournalError::Io { source, .. } if is_passing(source))
    }

    /// For `map_err`.
    pub(super) fn io(doing: &'static str, file: &str) -> impl FnOnce(io::Error) -> JournalError {
        move |source| JournalError::Io { doing, file: file.into(), source }
    }
}
