//! What the shards, the writer and whoever watches have in common.
//!
//! ```text
//! shard: encode, checksum ─▶ [staging, one short lock] ─swap─▶ writer: seal, write, sync ─▶ durable positions, bells
//! ```

use super::Durability;
use super::error::JournalError;
use super::positions::{Positions, ShardId, Shards};
use super::record::{HEADER, Header};
use crate::bell::Bell;
use crate::counters::{Counter, Histogram};
use crate::log::Position;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Whether the journal can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is space for what comes.
    Good,
    /// Only the reserve is left: the rest of the segment that is being written. Refuse new orders and let cancels go on.
    /// The journal tries for space again and again, and is good once there is some.
    Full,
    /// The same for another reason: the system opens no more files for the process, or has no memory for them.
    NoFiles,
    /// The disk failed. Nothing becomes durable any more.
    Failed,
}

/// What the journal's writer counts.
#[derive(Debug, Default)]
#[repr(align(128))] // its own cache lines: one writer
pub struct JournalCounters {
    /// Records written.
    pub records: Counter,
    /// Their bytes, headers included.
    pub bytes: Counter,
    /// Syncs of data.
    pub syncs: Counter,
    /// How long each took.
    pub sync_us: Histogram,
    /// Segments begun.
    pub segments: Counter,
}

/// A durable position on cache lines of its own: the writer moves it while the shard works.
#[derive(Default)]
#[repr(align(128))]
struct Durable(AtomicU64);

/// Flags: `FAILED`, `NO_SPARE`, `NO_SPACE`, `ENDED`, `STUCK`, `NO_FILES`. Also on cache lines of its own: ports look at it for every
/// input, and it hardly ever changes.
#[derive(Default)]
#[repr(align(128))]
struct Flags(AtomicU8);

/// Rung when a shard's durable position moves, or will not move any more.
type DurableBell = Arc<dyn Bell>;

/// A segment that has been begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub number: u64,
    /// Of its file.
    pub bytes: u64,
    /// Of all shards, where it begins.
    pub begin: Positions,
}

/// How far readers may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub segment: u64,
    pub offset: u64,
}

pub(super) struct Shared {
    pub shards: Shards,
    pub durability: Durability,
    staging: Mutex<Staging>,
    staging_bytes: usize,
    /// The writer waits here for something to write.
    work: Condvar,
    /// Shards wait here for room.
    room: Condvar,
    /// Who wants all to be durable waits here for the writer to rest.
    rest: Condvar,
    durable: Box<[Durable]>,
    bells: Box<[Mutex<Option<DurableBell>>]>,
    /// Of one who follows them all.
    follower: Mutex<Option<DurableBell>>,
    flags: Flags,
    /// Whether the journal rather ends than waits for space.
    is_impatient: AtomicBool,
    /// Entries that were appended and will never be written.
    unwritten: AtomicU64,
    on_failure: Mutex<Option<OnFailure>>,
    /// Oldest first. The writer adds, whoever truncates takes away.
    pub segments: Mutex<VecDeque<Begun>>,
    pub end: Mutex<End>,
    /// What each shard's log still needs.
    pub keep: Mutex<Positions>,
    pub counters: JournalCounters,
}

/// What is done when the disk fails: say why and stop the process, because what the disk holds is unknown. It is called
/// once, on the journal's thread.
pub type OnFailure = Box<dyn FnOnce(&JournalError) + Send>;

struct Staging {
    bytes: Vec<u8>,
    /// Everything before is written, too.
    writer_waits: bool,
    rest_is_awaited: bool,
    closing: bool,
}

/// What the writer is woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// There is a batch.
    Batch,
    /// It is time for something else.
    Time,
    /// All is written, and nothing more comes.
    Close,
}

const FAILED: u8 = 1;
/// No segment could be prepared.
pub(super) const NO_SPARE: u8 = 2;
/// A write found no space.
pub(super) const NO_SPACE: u8 = 4;
/// There was no space, and nobody waits for it any more.
const ENDED: u8 = 8;
/// The writer cannot go on at the moment. By itself that is no reason to be full: the next segment may be on its way.
pub(super) const STUCK: u8 = 16;
/// Beside [`NO_SPARE`]: there may be space for it, but it cannot be opened.
pub(super) const NO_FILES: u8 = 32;

impl Shared {
    pub fn new(
        positions: &Positions,
        (durability, staging_bytes): (Durability, usize),
        segments: VecDeque<Begun>,
        end: End,
        on_failure: OnFailure,
    ) -> Self {
        let durable = positions.iter().map(|(_, position)| Durable(AtomicU64::new(position)));
        let staging = Staging {
            bytes: Vec::with_capacity(staging_bytes),
            writer_waits: false,
            rest_is_awaited: false,
            closing: false,
        };
        Self {
            shards: positions.shards(),
            durability,
            staging: Mutex::new(staging),
            staging_bytes,
            work: Condvar::new(),
            room: Condvar::new(),
            rest: Condvar::new(),
            durable: durable.collect(),
            bells: positions.iter().map(|_| Mutex::new(None)).collect(),
            follower: Mutex::new(None),
            flags: Flags::default(),
            is_impatient: AtomicBool::new(false),
            unwritten: AtomicU64::new(0),
            on_failure: Mutex::new(Some(on_failure)),
            keep: Mutex::new(segments[0].begin.clone()),
            segments: Mutex::new(segments),
            end: Mutex::new(end),
            counters: JournalCounters::default(),
        }
    }

    // ---- the shards' side

    /// Takes a record into the order. Waits while there is no room: that happens only when the disk stands still for
    /// longer than the shards' gates hold back, or has no space at all, and nothing that is appended may be lost.
    pub fn stage(&self, header: &Header, payload: &[u8]) {
        let mut staging = self.staging();
        while staging.bytes.len() + HEADER + payload.len() > self.staging_bytes && !self.has_ended() {
            staging = self.room.wait(staging).expect("nobody panics with it");
        }
        if self.has_ended() {
            // The process ends, and nothing becomes durable any more.
            self.unwritten.fetch_add(u64::from(header.entries), Ordering::Relaxed);
            return;
        }
        assert!(!staging.closing, "nothing is appended to a journal that is closed");
        staging.bytes.extend_from_slice(&header.to_bytes());
        staging.bytes.extend_from_slice(payload);
        let wake = std::mem::take(&mut staging.writer_waits);
        drop(staging);
        if wake {
            self.work.notify_one();
        }
    }

    pub fn durable(&self, place: usize) -> Position {
        self.durable[place].0.load(Ordering::Acquire)
    }

    pub fn set_bell(&self, place: usize, bell: Arc<dyn Bell>) {
        *self.bells[place].lock().expect("nobody panics with it") = Some(bell);
    }

    pub fn set_follower(&self, bell: Arc<dyn Bell>) {
        *self.follower.lock().expect("nobody panics with it") = Some(bell);
    }

    // ---- the writer's side

    /// Swaps what is staged for the empty `batch`. Waits for something, at most for `timeout`.
    pub fn take(&self, batch: &mut Vec<u8>, timeout: Option<Duration>) -> Work {
        let mut staging = self.staging();
        if staging.bytes.is_empty()
            && !staging.closing
            && !self.has_failed()
            && timeout != Some(Duration::ZERO)
        {
            staging.writer_waits = true;
            if std::mem::take(&mut staging.rest_is_awaited) {
                self.rest.notify_all();
            }
            staging = match timeout {
                None => self.work.wait(staging).expect("nobody panics with it"),
                Some(timeout) => self.work.wait_timeout(staging, timeout).expect("nobody panics with it").0,
            };
            staging.writer_waits = false;
        }
        if staging.bytes.is_empty() {
            return if staging.closing { Work::Close } else { Work::Time };
        }
        std::mem::swap(&mut staging.bytes, batch);
        drop(staging);
        self.room.notify_all();
        Work::Batch
    }

    /// Nobody waits for space any more: what is in `batch` and what is staged will never be written.
    pub fn end_without_space(&self, batch: &[u8]) {
        let mut staging = self.staging();
        let unwritten = entries_of(batch) + entries_of(&staging.bytes);
        self.unwritten.fetch_add(unwritten, Ordering::Relaxed);
        staging.bytes.clear();
        self.flags.0.fetch_or(ENDED, Ordering::AcqRel);
        drop(staging);
        self.tell_the_end();
    }

    /// Makes `positions` the durable ones and `end` the readers' end, and rings the bells of those that moved. After a failure
    /// nothing moves, also when it was the other thread that met it.
    pub fn publish(&self, positions: &Positions, end: End) {
        let mut ends = self.end.lock().expect("nobody panics with it");
        if self.has_failed() {
            return;
        }
        *ends = end;
        for (place, (_, position)) in positions.iter().enumerate() {
            if self.durable[place].0.load(Ordering::Relaxed) < position {
                self.durable[place].0.store(position, Ordering::Release);
                self.ring(place);
            }
        }
        if let Some(bell) = &*self.follower.lock().expect("nobody panics with it") {
            bell.ring();
        }
    }

    // ---- everyone's

    /// Says that nothing more will be appended.
    pub fn close(&self) {
        self.staging().closing = true;
        self.work.notify_one();
    }

    pub fn is_closing(&self) -> bool {
        self.staging().closing
    }

    /// Waits until all that is staged is written and durable, or never will be.
    pub fn wait_for_rest(&self) {
        let mut staging = self.staging();
        loop {
            let rests = staging.writer_waits && staging.bytes.is_empty();
            if rests || self.has_ended() {
                return;
            }
            staging.rest_is_awaited = true;
            staging = self.rest.wait(staging).expect("nobody panics with it");
        }
    }

    /// Whether the journal ends when it finds no space, or waits for it.
    pub fn set_impatient(&self, is_impatient: bool) {
        self.is_impatient.store(is_impatient, Ordering::Release);
    }

    pub fn is_impatient(&self) -> bool {
        self.is_impatient.load(Ordering::Acquire)
    }

    /// Entries that were appended and will never be written.
    pub fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// Bytes that wait for the writer.
    pub fn staged_bytes(&self) -> usize {
        self.staging().bytes.len()
    }

    pub fn condition(&self) -> Condition {
        match self.flags.0.load(Ordering::Acquire) & !STUCK {
            0 => Condition::Good,
            flags if flags & FAILED != 0 => Condition::Failed,
            flags if flags & (NO_FILES | NO_SPACE) == NO_FILES => Condition::NoFiles,
            _ => Condition::Full,
        }
    }

    pub fn has_failed(&self) -> bool {
        self.condition() == Condition::Failed
    }

    /// Whether nothing becomes durable until there is space.
    pub fn waits_for_space(&self) -> bool {
        let flags = self.flags.0.load(Ordering::Acquire);
        flags & STUCK != 0 && flags & (NO_SPARE | NO_SPACE) != 0
    }

    /// Whether nothing becomes durable any more.
    pub fn has_ended(&self) -> bool {
        self.flags.0.load(Ordering::Acquire) & (FAILED | ENDED) != 0
    }

    /// Raises or lowers a flag. One that is as it should be is left alone, with its cache line.
    pub fn set(&self, flag: u8, raised: bool) {
        if (self.flags.0.load(Ordering::Relaxed) & flag != 0) == raised {
            return; // each flag has one thread that sets it
        }
        if raised {
            self.flags.0.fetch_or(flag, Ordering::AcqRel);
        } else {
            self.flags.0.fetch_and(!flag, Ordering::AcqRel);
        }
    }

    /// The disk failed: nothing becomes durable any more.
    pub fn fail(&self, error: &JournalError) {
        // With the locks, so that nobody goes to wait for room, or publishes, after having seen that all is well.
        let (staging, end) = (self.staging(), self.end.lock().expect("nobody panics with it"));
        self.flags.0.fetch_or(FAILED, Ordering::AcqRel);
        drop((staging, end));
        self.work.notify_one();
        self.tell_the_end();
        let on_failure = self.on_failure.lock().expect("nobody panics with it").take();
        if let Some(on_failure) = on_failure {
            on_failure(error);
        }
    }

    /// Wakes all who wait for what will not come.
    fn tell_the_end(&self) {
        self.room.notify_all();
        self.rest.notify_all();
        (0..self.bells.len()).for_each(|place| self.ring(place));
    }

    fn ring(&self, place: usize) {
        if let Some(bell) = &*self.bells[place].lock().expect("nobody panics with it") {
            bell.ring();
        }
    }

    /// The durable positions of all shards.
    pub fn positions(&self) -> Positions {
        let mut positions = Positions::zero(self.shards);
        let shards: Vec<ShardId> = positions.iter().map(|(shard, _)| shard).collect();
        for (place, shard) in shards.into_iter().enumerate() {
            *positions.of_mut(shard) = self.durable(place);
        }
        positions
    }

    fn staging(&self) -> MutexGuard<'_, Staging> {
        self.staging.lock().expect("nobody panics with it")
    }
}

/// Entries of the records in `bytes`.
fn entries_of(bytes: &[u8]) -> u64 {
    let (mut at, mut entries) = (0, 0);
    while let Some(header) = Header::read_unsealed(&bytes[at..]) {
        entries += u64::from(header.entries);
        at += header.record_bytes();
    }
    entries
}
