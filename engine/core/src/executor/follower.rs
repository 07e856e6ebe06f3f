//! A shadow of the running engine that follows its journal: it cuts snapshots while trading goes on, and hears once more,
//! and in order, everything that was reported.
//!
//! It reads what is durable, so it never knows more than a restart would.

use super::shadow::{Misfit, Shadow};
use super::{AtRest, MarketSink, ReportSink};
use crate::journal::{JournalError, Positions, Reader, Shards, Snapshot, Snapshots, Watch};
use thiserror::Error;

/// Follows a journal.
pub struct Follower {
    shadow: Shadow,
    reader: Reader,
    snapshots: Snapshots,
    watch: Watch,
}

/// A shadow to begin with, and where it stands.
pub struct Beginning {
    /// Its state.
    pub shadow: Shadow,
    /// Of all shards, the first entry that it has not done.
    pub positions: Positions,
    /// The snapshot it was read from; none if it is new.
    pub snapshot: Option<Snapshot>,
    /// The numbers of newer snapshots that could not be read, and why.
    pub unreadable: Vec<(u64, JournalError)>,
}

/// A record that was followed.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    /// Its entries.
    pub entries: u32,
    /// Its bytes in the journal.
    pub bytes: u64,
}

/// Why a journal does not give an engine back.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// It cannot be read, or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It can be read, and what it says cannot have happened.
    #[error("the journal does not fit together: {0}")]
    Misfit(#[from] Misfit),
}

impl Beginning {
    /// From the newest snapshot that can be read and is not beyond `at_most`; from `fresh` shards, which have no past, if
    /// there is none.
    ///
    /// # Errors
    /// If the directory cannot be read, or too much is open to read a snapshot now, or a later version of the program wrote
    /// one: to begin with an older one would be to do again, and differently, what was done since.
    pub fn find(
        snapshots: &Snapshots,
        fresh: AtRest,
        at_most: Option<&Positions>,
    ) -> Result<Beginning, JournalError> {
        let shards = snapshots.shards();
        let mut unreadable = Vec::new();
        for number in snapshots.numbers()? {
            let is_wanted = |positions: Positions| at_most.is_none_or(|most| positions.all_within(most));
            let found = snapshots
                .positions(number)
                .map(is_wanted)
                .and_then(|wanted| wanted.then(|| read_snapshot(snapshots, number)).transpose());
            match found {
                Ok(Some((shadow, snapshot))) => {
                    let positions = snapshot.positions.clone();
                    return Ok(Beginning { shadow, positions, snapshot: Some(snapshot), unreadable });
                }
                Ok(None) => {}
                Err(error @ JournalError::Newer { .. }) => return Err(error),
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => unreadable.push((number, error)),
            }
        }
        Ok(Beginning {
            shadow: Shadow::new(fresh),
            positions: Positions::zero(shards),
            snapshot: None,
            unreadable,
        })
    }
}

/// A snapshot's state; all of it is checked.
pub(super) fn read_snapshot(snapshots: &Snapshots, number: u64) -> Result<(Shadow, Snapshot), JournalError> {
    let Shards { sequencers, matchers } = snapshots.shards();
    snapshots.read(number, |from| Shadow::read((sequencers, matchers), from))
}

impl Follower {
    /// Begins as [`Beginning::find`] says. `fresh` are the shards that the journal began with.
    ///
    /// # Errors
    /// If the journal does not reach back to there, or cannot be read.
    pub fn begin(
        watch: &Watch,
        fresh: AtRest,
        at_most: Option<&Positions>,
    ) -> Result<Follower, JournalError> {
        let snapshots = watch.snapshots();
        let Beginning { shadow, positions, .. } = Beginning::find(&snapshots, fresh, at_most)?;
        let reader = watch.reader(&positions)?;
        Ok(Follower { shadow, reader, snapshots, watch: watch.clone() })
    }

    /// Does what the next durable record says; `None` where nothing more is durable now.
    ///
    /// # Errors
    /// If the journal cannot be read, or is not what was written.
    pub fn follow(
        &mut self,
        reports: &mut impl ReportSink,
        market: &mut impl MarketSink,
    ) -> Result<Option<Followed>, RecoveryError> {
        let Some(record) = self.reader.next_record()? else { return Ok(None) };
        for logged in record.entries() {
            self.shadow.apply(&logged?, reports, market)?;
        }
        Ok(Some(Followed { entries: record.count, bytes: record.bytes() as u64 }))
    }

    /// Of all shards, the first entry that it has not done.
    pub fn positions(&self) -> &Positions {
        self.reader.positions()
    }

    /// Durable bytes of the journal that it has not followed yet.
    pub fn bytes_behind(&self) -> u64 {
        self.reader.bytes_ahead()
    }

    /// The state it has reached.
    pub fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    /// Makes safe what it has followed, for who writes down elsewhere what it said.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn make_safe(&self) -> Result<(), JournalError> {
        self.reader.make_safe()
    }

    /// Writes its state as a snapshot, and has the journal forget what is not needed any more: see [`Watch::forget`].
    ///
    /// # Errors
    /// If it cannot be written. The journal and older snapshots are whole, and another call tries again.
    pub fn snapshot(&mut self, needed: Option<&Positions>) -> Result<Snapshot, JournalError> {
        // No snapshot outlives a piece of the journal that it goes beyond.
        self.reader.make_safe()?;
        let written = self.snapshots.write(self.reader.positions(), |out| self.shadow.write(out));
        // Also if it was not written: there may have been no space for it.
        let forgotten = self.watch.forget(needed);
        let snapshot = written?;
        forgotten.map(|()| snapshot)
    }
}
