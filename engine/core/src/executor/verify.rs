//! Does everything once more that a journal still has, and compares it with what its snapshots say.

use super::follower::{RecoveryError, read_snapshot};
use super::shadow::Shadow;
use super::{AtRest, SequencerLog};
use crate::journal::{JournalError, Positions, Recovery, Snapshot};
use crate::log::MemoryLog;
use crate::message::Report;
use crate::state::StateHash;

/// What a journal holds, once all of it was done again.
pub struct Verified {
    /// The state at its end, with what was on the way. Its invariants have not been checked.
    pub shards: AtRest,
    /// The snapshot that was begun with, if the journal does not have its beginning any more. Nothing but its own hashes says
    /// that it is right.
    pub begun: Option<Snapshot>,
    /// Snapshots whose state was reached again from before, and the hash that it has.
    pub reached: Vec<(Snapshot, StateHash)>,
    /// Snapshots that cannot be read, and why.
    pub unreadable: Vec<JournalError>,
    /// Snapshots that the journal ends before: its end is lost.
    pub beyond: Vec<JournalError>,
    /// Records read, and entries done.
    pub records: u64,
    /// Entries in them, of all shards.
    pub entries: u64,
}

/// Does what the journal says, from its beginning or from the oldest snapshot on. `fresh` are the shards that it began with;
/// `progress` hears how many bytes have been read, and of how many. Nothing on the disk is changed.
///
/// # Errors
/// If the journal cannot be read, or does not fit together. A snapshot that is spoilt or has another state than the
/// journal is no error here; the answer says so.
pub fn verify(
    mut recovery: Recovery,
    fresh: AtRest,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verified, RecoveryError> {
    let zero = Positions::zero(recovery.shards());
    let (mut shadow, positions, begun) = match *recovery.first() == zero {
        true => (Shadow::new(fresh), zero, None),
        false => {
            let (shadow, snapshot) = oldest(&recovery)?;
            (shadow, snapshot.positions.clone(), Some(snapshot))
        }
    };
    let (mut ahead, unreadable) = whole(&recovery, begun.as_ref())?;
    recovery.begin_at(&positions)?;
    let (mut reached, mut records, mut entries) = (Vec::new(), 0, 0);
    loop {
        if let Some(snapshot) = ahead.pop_if(|snapshot| snapshot.positions == *recovery.positions()) {
            let hash = shadow.state_hash();
            reached.push((snapshot, hash));
        }
        let Some(record) = recovery.next_record()? else { break };
        for logged in record.entries() {
            shadow.apply(&logged?, &mut |_: &Report| {}, &mut ())?;
            entries += 1;
        }
        records += 1;
        let (read, all) = recovery.progress();
        progress(read, all);
    }
    let beyond = ahead.iter().filter_map(|snapshot| recovery.check_end(&snapshot.positions).err()).collect();
    let (n, m) = (shadow.sequencers().len(), shadow.matchers().len());
    let logs = (
        (0..n).map(|_| Box::new(MemoryLog::new(0)) as Box<SequencerLog>).collect(),
        (0..m).map(|_| Box::new(MemoryLog::new(0)) as _).collect(),
    );
    let shards = shadow.settle(logs, &mut |_: &Report| {}, &mut ());
    Ok(Verified { shards, begun, reached, unreadable, beyond, records, entries })
}

/// The state of the oldest snapshot that can be read. What is wrong with the first of the others, if none can.
fn oldest(recovery: &Recovery) -> Result<(Shadow, Snapshot), JournalError> {
    let snapshots = recovery.snapshots();
    let mut wrong = None;
    for number in snapshots.numbers()?.into_iter().rev() {
        match read_snapshot(&snapshots, number) {
            Ok(found) => return Ok(found),
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    // Without any snapshot it is the journal that is cut.
    let cut = recovery.check_beginning(&Positions::zero(recovery.shards()));
    Err(wrong.or(cut.err()).expect("it does not have its beginning"))
}

/// The snapshots after `begun` that can be read whole, the newest first, and what is wrong with any.
fn whole(
    recovery: &Recovery,
    begun: Option<&Snapshot>,
) -> Result<(Vec<Snapshot>, Vec<JournalError>), JournalError> {
    let snapshots = recovery.snapshots();
    let (mut ahead, mut unreadable) = (Vec::new(), Vec::new());
    for number in snapshots.numbers()? {
        match read_snapshot(&snapshots, number) {
            Ok((_, snapshot)) if begun.is_none_or(|begun| begun.number < number) => ahead.push(snapshot),
            Ok(_) => {}
            Err(error) => unreadable.push(error),
        }
    }
    Ok((ahead, unreadable))
}
