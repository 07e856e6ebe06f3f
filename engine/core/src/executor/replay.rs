//! What a journal says, done again: one thread reads ahead, checks and decodes, while the other one's shadow follows.

use super::follower::RecoveryError;
use super::shadow::Shadow;
use crate::journal::{JournalError, Logged, Recovery};
use crate::message::Report;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

/// Entries that are handed on at once, more or less: a few hundred KiB, which a core's own cache holds.
const BATCH: usize = 1024;

/// Batches that may wait: who follows is slower, so one is nearly always ready.
const BATCHES_AHEAD: usize = 3;

/// Some of the journal.
#[derive(Default)]
struct Batch {
    entries: Vec<Logged>,
    /// Bytes read so far, and of how many.
    progress: (u64, u64),
}

/// Has `shadow` do what `recovery` has not read yet.
pub(crate) fn replay(
    recovery: &mut Recovery,
    shadow: &mut Shadow,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), RecoveryError> {
    let (full, batches) = sync_channel(BATCHES_AHEAD);
    let (back, used) = channel();
    thread::scope(|scope| {
        let reader = thread::Builder::new().name("journal-read".into());
        reader.spawn_scoped(scope, move || read(recovery, &full, &used)).expect("a thread can be started");
        for batch in batches {
            let mut batch = batch?;
            shadow.apply_all(&batch.entries, &mut |_: &Report| {}, &mut ())?;
            let (read, all) = batch.progress;
            progress(read, all);
            batch.entries.clear();
            let _ = back.send(batch); // nobody wants it back at the end
        }
        Ok(())
    })
}

/// Reads to the end, or until nobody listens, because what was read did not fit together.
fn read(recovery: &mut Recovery, full: &SyncSender<Result<Batch, JournalError>>, used: &Receiver<Batch>) {
    loop {
        let mut batch = used.try_recv().unwrap_or_default();
        let filled = fill(recovery, &mut batch);
        let more = filled.is_ok() && !batch.entries.is_empty();
        // At the end there is one more without entries: the last progress.
        if full.send(filled.map(|()| batch)).is_err() || !more {
            return;
        }
    }
}

/// Leaves the batch empty at the journal's end.
fn fill(recovery: &mut Recovery, batch: &mut Batch) -> Result<(), JournalError> {
    while batch.entries.len() < BATCH
        && let Some(record) = recovery.next_record()?
    {
        for logged in record.entries() {
            batch.entries.push(logged?);
        }
    }
    batch.progress = recovery.progress();
    Ok(())
}
