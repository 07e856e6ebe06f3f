//! The running journal: two threads, one that writes and one that makes segments.

use super::codec::Payload;
use super::error::JournalError;
use super::positions::{Positions, ShardId};
use super::reader::Reader;
use super::segment;
use super::shard_log::JournalLog;
use super::shared::{Begun, Condition, JournalCounters, Shared, Work};
use super::snapshot::Snapshots;
use super::spares::Preparer;
use super::storage::Storage;
use super::writer::{Stuck, Writer};
use crate::bell::Bell;
use crate::message::Input;
use std::any::Any;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a running journal is made of.
pub(super) struct Parts {
    pub storage: Arc<dyn Storage>,
    pub journal: u128,
    pub record_bytes_max: usize,
    pub shared: Arc<Shared>,
    pub writer: Writer,
    pub preparer: Preparer,
    pub lock: Box<dyn Any + Send + Sync>,
    pub cut: Option<Cut>,
}

/// What a crash had left behind the last whole record, and a start took away: nobody was told of it.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The segment.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// How many, up to the last that was not zero.
    pub bytes: u64,
}

impl Parts {
    pub fn watch(&self) -> Watch {
        Watch { storage: self.storage.clone(), journal: self.journal, shared: self.shared.clone() }
    }
}

/// The journal of a process. It hands each shard its log; clones of a [`Watch`] tell how it is.
pub struct Journal {
    watch: Watch,
    record_bytes_max: usize,
    threads: Option<Threads>,
    cut: Option<Cut>,
    /// Goes when the threads have ended.
    _lock: Box<dyn Any + Send + Sync>,
}

struct Threads {
    writing: JoinHandle<Result<(), JournalError>>,
    preparing: JoinHandle<()>,
}

/// Looks at a running journal, from any thread.
#[derive(Clone)]
pub struct Watch {
    pub(super) storage: Arc<dyn Storage>,
    /// The journal's id.
    pub(super) journal: u128,
    pub(super) shared: Arc<Shared>,
}

impl Journal {
    pub(super) fn run(parts: Parts) -> Journal {
        let watch = parts.watch();
        let Parts { record_bytes_max, writer, preparer, lock, cut, .. } = parts;
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let writing = named("journal").spawn(|| write(writer)).expect("a thread can be started");
        let preparing = named("journal-spare").spawn(|| preparer.run()).expect("a thread can be started");
        Journal { watch, record_bytes_max, threads: Some(Threads { writing, preparing }), cut, _lock: lock }
    }

    /// What its start took away from its end, if there was something.
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// The log of a sequencer, which goes on where the journal ends.
    ///
    /// # Panics
    /// If there is no such sequencer.
    pub fn sequencer_log(&self, index: usize) -> JournalLog<Input> {
        self.log(ShardId::Sequencer(index as u16))
    }

    /// The log of a matcher, which goes on where the journal ends.
    ///
    /// # Panics
    /// If there is no such matcher.
    pub fn matcher_log(&self, index: usize) -> JournalLog<Infallible> {
        self.log(ShardId::Matcher(index as u16))
    }

    /// How it is, for other threads.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Waits until all that was appended is durable.
    ///
    /// # Errors
    /// If there is no space for it, for which nobody waits here, or the disk fails. The journal has ended then.
    pub fn wait_until_durable(&self) -> Result<(), JournalError> {
        let shared = &self.watch.shared;
        shared.set_impatient(true);
        shared.wait_for_rest();
        shared.set_impatient(false);
        self.all_is_written()
    }

    /// From now on the journal ends when it finds no space, for who is about to stop and cannot wait until there is some. The
    /// logs then say that they have come as far as they ever will ([`crate::log::Reach`]), so that their shards can end, and
    /// [`Journal::close`] says what was not written.
    pub fn stop_waiting_for_space(&self) {
        self.watch.shared.set_impatient(true);
    }

    /// Writes what is staged, syncs, and ends the threads. Who appends must have ended before.
    ///
    /// # Errors
    /// If not all that was appended is safe: [`JournalError::NoSpace`] if that is all.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.end()
    }

    fn log<I: Payload>(&self, shard: ShardId) -> JournalLog<I> {
        JournalLog::new(self.watch(), self.record_bytes_max, shard)
    }

    fn end(&mut self) -> Result<(), JournalError> {
        self.watch.shared.close();
        let Some(Threads { writing, preparing }) = self.threads.take() else { return Ok(()) };
        let written = writing.join().expect("the journal's thread does not panic");
        preparing.join().expect("the journal's thread does not panic");
        written.and_then(|()| self.all_is_written())
    }

    fn all_is_written(&self) -> Result<(), JournalError> {
        if self.watch.shared.has_failed() {
            let source = std::io::Error::other("the disk has failed before");
            return Err(JournalError::io("write the rest of what was appended to", "the journal")(source));
        }
        match self.watch.shared.unwritten() {
            0 => Ok(()),
            entries => Err(JournalError::NoSpace { entries }),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Who wants to know whether all is safe calls `close`.
        let _ = self.end();
    }
}

impl Watch {
    /// Whether the journal can go on.
    pub fn condition(&self) -> Condition {
        self.shared.condition()
    }

    /// Whether the reserve of a full disk is used up: nothing becomes durable until there is space.
    pub fn waits_for_space(&self) -> bool {
        self.shared.waits_for_space()
    }

    /// Bytes that are appended and that the writer has not begun to write.
    pub fn staged_bytes(&self) -> usize {
        self.shared.staged_bytes()
    }

    /// Of all shards, what is durable.
    pub fn positions(&self) -> Positions {
        self.shared.positions()
    }

    /// Has `bell`, of one who follows the journal, rung whenever more is durable. There is one such bell.
    pub fn ring_when_durable(&self, bell: Arc<dyn Bell>) {
        self.shared.set_follower(bell);
    }

    /// What the writer counts.
    pub fn counters(&self) -> &JournalCounters {
        &self.shared.counters
    }

    /// Reads what is durable, from `from` on, while the journal goes on.
    ///
    /// # Errors
    /// If the journal does not reach back so far, or cannot be read.
    pub fn reader(&self, from: &Positions) -> Result<Reader, JournalError> {
        Reader::new(self, from)
    }

    /// The journal's id, made by chance when it was made.
    pub fn id(&self) -> u128 {
        self.journal
    }

    /// The journal's snapshots.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.storage.clone(), self.journal, self.shared.shards)
    }

    /// Forgets what nobody needs any more: snapshots but the two newest that are not beyond `needed` and those since, and the
    /// journal before. `needed` is for somebody who has to read the journal from there on.
    ///
    /// # Errors
    /// If a file cannot be removed. The journal is whole, and another call tries again.
    pub fn forget(&self, needed: Option<&Positions>) -> Result<(), JournalError> {
        match self.snapshots().remove_old(needed)? {
            Some(oldest) => self.truncate_before(&oldest),
            None => Ok(()),
        }
    }

    /// Bytes of its segments on the disk, those that are prepared not counted.
    pub fn disk_bytes(&self) -> u64 {
        self.segments().iter().map(|segment| segment.bytes).sum()
    }

    /// Forgets what is before `keep`, the positions of a snapshot that is safe: whole segments, oldest first, never the one
    /// that is being written. The name of each is safely gone before the next one's turn, so a crash leaves no hole.
    ///
    /// # Errors
    /// If a file cannot be removed. The journal is whole, and another call tries again.
    pub fn truncate_before(&self, keep: &Positions) -> Result<(), JournalError> {
        while let Some(oldest) = self.take_oldest_before(keep) {
            if let Err(error) = self.remove(&segment::name_of(oldest.number)) {
                self.segments().push_front(oldest);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Of all shards, the first entry that the journal still has.
    pub fn first(&self) -> Positions {
        self.segments()[0].begin.clone()
    }

    /// Takes the oldest segment out of the list if all of it is before `keep`. The writer, who adds to the list, does not
    /// wait for the disk this way.
    fn take_oldest_before(&self, keep: &Positions) -> Option<Begun> {
        let mut segments = self.segments();
        segments.get(1).filter(|next| next.begin.all_within(keep))?;
        segments.pop_front()
    }

    fn remove(&self, name: &str) -> Result<(), JournalError> {
        match self.storage.remove(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(JournalError::io("remove", name)(error));
            }
            _ => {}
        }
        self.storage.sync_directory().map_err(JournalError::io("sync the directory of", name))
    }

    pub(super) fn segments(&self) -> MutexGuard<'_, VecDeque<Begun>> {
        self.shared.segments.lock().expect("nobody panics with it")
    }
}

/// The writer's thread.
fn write(mut writer: Writer) -> Result<(), JournalError> {
    let (shared, spares) = (writer.shared.clone(), writer.spares.clone());
    let written = write_all(&mut writer);
    if let Err(error) = &written {
        shared.fail(error);
    }
    spares.close();
    written
}

/// Writes until the journal is closed and everything is safe, or can never be.
fn write_all(writer: &mut Writer) -> Result<(), JournalError> {
    let shared = writer.shared.clone();
    loop {
        if shared.has_ended() {
            return Ok(()); // it was said by who noticed
        }
        let timeout = writer.time_to_sync();
        let work = shared.take(&mut writer.batch, timeout);
        if work == Work::Batch {
            write_batch(writer)?;
        }
        if work == Work::Close || writer.time_to_sync() == Some(Duration::ZERO) {
            writer.sync()?;
        }
        if work == Work::Close {
            return Ok(());
        }
    }
}

/// Writes the batch, however long it takes for space to come, unless nobody wants to wait for that.
fn write_batch(writer: &mut Writer) -> Result<(), JournalError> {
    loop {
        let stuck = match writer.step() {
            Ok(()) => return Ok(()),
            Err(Stuck::Failed(error)) => return Err(error),
            Err(stuck) => stuck,
        };
        let (shared, spares) = (&writer.shared, &writer.spares);
        if shared.has_failed() {
            return Ok(()); // as above
        }
        if shared.condition() != Condition::Good && (shared.is_impatient() || shared.is_closing()) {
            writer.sync()?;
            writer.shared.end_without_space(&writer.batch[writer.done..]);
            return Ok(());
        }
        match stuck {
            // It is being made, or tried for again.
            Stuck::NoSpare => spares.wait(writer.retry),
            _ => spares.pause(writer.retry),
        }
    }
}
