//! Opening a journal: what was appended comes back in the order in which it was appended, and what a crash left behind is
//! told from what was spoilt.
//!
//! A record that cannot be read ends the journal if a crash can have left it so, which is to say if it is in the last
//! segment and nothing after it proves that it was safe on the disk before ([`super::record`], `synced`). It and what is
//! after it is then zeroed, and nobody was ever told of it. Everything else is damage, and refused.
//!
//! The journal goes on in the same segment. So all segments always have their full size, a restart costs no space, and a
//! process that is killed is back at once. Before anything is appended,
//! - the last records are written once more and synced: what a reader sees may be in memory only, and after a failed sync the
//!   system believes it to be on the disk;
//! - what was cut is zeroed and synced, so that no later crash brings it back.

use super::error::JournalError;
use super::identity::{CREATING, IDENTITY, Identity};
use super::positions::{Positions, Shards};
use super::record::{self, Chain, HEADER, Header, Salt};
use super::running::{Cut, Journal, Parts};
use super::segment::{self, SegmentHeader};
use super::shared::{Begun, End, OnFailure, Shared};
use super::snapshot::{self, Snapshots};
use super::spares::{Preparer, Spares};
use super::storage::{Access, Storage, StorageFile};
use super::stream::{Next, Record, Stream, damaged};
use super::writer::{Current, Writer};
use super::{Options, codec};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// A journal that is open and locked, and is being read. Nothing on the disk is changed before [`Recovery::start`],
/// except that a journal that is not there is made.
pub struct Recovery {
    storage: Arc<dyn Storage>,
    options: Options,
    identity: Identity,
    /// The numbers of all segment files, dense.
    segments: Vec<u64>,
    stream: Stream,
    begun: VecDeque<Begun>,
    /// Bytes in segments before the current one.
    bytes_before: u64,
    end: Option<Found>,
    lock: Lock,
}

type Lock = Box<dyn Any + Send + Sync>;

/// How the journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// In the current segment, after the last record. The bytes up to there are to be zeroed.
    Here { zero_to: u64 },
    /// The current segment has its end, and the next one was not begun.
    Next,
}

impl Recovery {
    /// Opens the journal in `storage`, or makes one where there is none.
    ///
    /// # Errors
    /// If it is in use, or cannot be read, or is for other shards or of a later format.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Recovery, JournalError> {
        options.check()?;
        let (lock, names) = lock(&*storage, Access::Alone)?;
        let mut segments = segments_among(&names);
        if !names.iter().any(|name| name == IDENTITY) {
            segments = create(&*storage, &options, &names)?;
        }
        let identity = Identity::read(&*storage)?;
        let (found, wanted) = (identity.shards, options.shards);
        if found != wanted {
            return Err(JournalError::Shape { found, wanted });
        }
        Self::of(storage, options, identity, segments, lock)
    }

    /// The shards of the journal in `storage`, if there is one. Nothing is locked.
    ///
    /// # Errors
    /// If its identity cannot be read.
    pub fn shards_in(storage: &dyn Storage) -> Result<Option<Shards>, JournalError> {
        let names = storage.list().map_err(JournalError::io("list", &storage.name()))?;
        if !names.iter().any(|name| name == IDENTITY) {
            return Ok(None);
        }
        Identity::read(storage).map(|identity| Some(identity.shards))
    }

    /// Opens a journal that is there, whatever shards it is for, to be read.
    ///
    /// # Errors
    /// As [`Recovery::open`], and if there is none.
    pub fn open_existing(storage: Arc<dyn Storage>) -> Result<Recovery, JournalError> {
        let (lock, names) = lock(&*storage, Access::AmongReaders)?;
        if !names.iter().any(|name| name == IDENTITY) {
            return Err(JournalError::Missing { directory: storage.name() });
        }
        let identity = Identity::read(&*storage)?;
        Self::of(storage, Options::new(identity.shards), identity, segments_among(&names), lock)
    }

    fn of(
        storage: Arc<dyn Storage>,
        options: Options,
        identity: Identity,
        segments: Vec<u64>,
        lock: Lock,
    ) -> Result<Recovery, JournalError> {
        check_dense(&segments, &storage.name())?;
        let from = Positions::zero(options.shards);
        let stream = Stream::open(storage.clone(), identity.id, segments[0], from)?;
        let begun = VecDeque::from([begun(&stream)]);
        Ok(Recovery { storage, options, identity, segments, stream, begun, bytes_before: 0, end: None, lock })
    }

    /// The journal's id, made by chance when it was made.
    pub fn id(&self) -> u128 {
        self.identity.id
    }

    /// Whose logs it keeps.
    pub fn shards(&self) -> Shards {
        self.identity.shards
    }

    /// How many segments there are, and the bytes of each.
    pub fn segments(&self) -> (usize, u64) {
        (self.segments.len(), self.stream.segment.size)
    }

    /// Of all shards, the first entry that the journal still has.
    pub fn first(&self) -> &Positions {
        &self.begun[0].begin
    }

    /// Skips what is before `from`, the positions of a snapshot. To be called before anything is read.
    ///
    /// # Errors
    /// If the journal does not reach back so far.
    pub fn begin_at(&mut self, from: &Positions) -> Result<(), JournalError> {
        self.check_beginning(from)?;
        self.stream.from = from.clone();
        self.skip_segments()
    }

    /// Whether the journal reaches back to `from`.
    pub(crate) fn check_beginning(&self, from: &Positions) -> Result<(), JournalError> {
        assert_eq!(from.shards(), self.options.shards, "positions of other shards");
        for ((shard, wanted), (_, first)) in from.iter().zip(self.first().iter()) {
            if wanted < first {
                let file = segment::name_of(self.segments[0]);
                return Err(JournalError::Truncated { shard, wanted, first, file });
            }
        }
        Ok(())
    }

    /// Whether what was read so far reaches to `to`, the positions of a snapshot.
    pub(crate) fn check_end(&self, to: &Positions) -> Result<(), JournalError> {
        for ((shard, wanted), (_, end)) in to.iter().zip(self.stream.positions.iter()) {
            if wanted > end {
                let (snapshot, file) = (self.name_of_snapshot(to), self.stream.segment.name.clone());
                return Err(JournalError::Ahead { shard, wanted, end, snapshot, file });
            }
        }
        Ok(())
    }

    /// What the snapshot at these positions is called.
    fn name_of_snapshot(&self, positions: &Positions) -> String {
        let snapshots = self.snapshots();
        let numbers = snapshots.numbers().unwrap_or_default();
        let is_it = |number: &u64| snapshots.positions(*number).is_ok_and(|found| found == *positions);
        numbers.into_iter().find(is_it).map_or("what was begun with".into(), snapshot::name_of)
    }

    /// The journal's snapshots.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.storage.clone(), self.identity.id, self.options.shards)
    }

    /// The next record, in the order in which they were appended; `None` at the end of the journal.
    ///
    /// # Errors
    /// If there is damage, or the journal ends before the positions of [`Recovery::begin_at`].
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        while self.end.is_none() {
            match self.stream.next(self.stream.segment.size)? {
                Next::Record => return Ok(Some(self.stream.record())),
                Next::End { next, size } => self.end_of_segment(next, size)?,
                Next::Limit => self.no_record("no end of the segment".into())?,
                Next::NoRecord(what) => self.no_record(what)?,
            }
        }
        self.check_end(&self.stream.from)?;
        Ok(None)
    }

    /// Of all shards, after what was read so far.
    pub fn positions(&self) -> &Positions {
        &self.stream.positions
    }

    /// Bytes read so far, and of the whole journal with the zeros at its end: for a progress bar.
    pub fn progress(&self) -> (u64, u64) {
        (
            self.bytes_before + self.stream.segment.offset,
            self.segments.len() as u64 * self.stream.segment.size,
        )
    }

    /// Reads what was not read, cuts what a crash left behind, and goes on writing.
    ///
    /// # Errors
    /// Those of [`Recovery::next_record`], and if the disk cannot be written.
    pub fn start(self, on_failure: OnFailure) -> Result<Journal, JournalError> {
        Ok(Journal::run(self.into_parts(on_failure)?))
    }

    /// What a running journal is made of, not yet running.
    pub(super) fn into_parts(mut self, on_failure: OnFailure) -> Result<Parts, JournalError> {
        while self.next_record()?.is_some() {}
        let end = self.end.expect("it was reached");
        self.settle(end)?;
        let cut = self.cut(end);
        let next = match end {
            Found::Here { .. } => None,
            Found::Next => Some(self.begin_next()?),
        };
        self.remove_unbegun()?;
        let Recovery { storage, options, identity, stream, begun, lock, .. } = self;
        let Stream { segment, positions, chain, .. } = stream;
        let current =
            next.unwrap_or_else(|| Current::at(segment.file, segment.number, segment.size, segment.offset));
        let end = End { segment: current.number, offset: current.offset };
        let shared = Arc::new(Shared::new(
            &positions,
            (options.durability, options.staging_bytes),
            begun,
            end,
            on_failure,
        ));
        let spares = Arc::new(Spares::new(current.number + 1));
        let writer = Writer {
            shared: shared.clone(),
            spares: spares.clone(),
            journal: identity.id,
            segment_bytes: options.segment_bytes,
            durability: options.durability,
            current,
            chain,
            positions,
            batch: Vec::with_capacity(options.staging_bytes),
            done: 0,
            next: None,
            last_sync: Instant::now(),
            retry: options.retry,
        };
        let preparer = Preparer {
            storage: storage.clone(),
            shared: shared.clone(),
            spares,
            segment_bytes: options.segment_bytes,
            retry: options.retry,
        };
        let record_bytes_max = options.record_bytes_max();
        Ok(Parts { storage, journal: identity.id, record_bytes_max, shared, writer, preparer, lock, cut })
    }

    // ---- reading

    /// Skips segments that end before what is wanted. Nothing in them is looked at.
    fn skip_segments(&mut self) -> Result<(), JournalError> {
        let mut at = 0;
        for (place, &number) in self.segments.iter().enumerate().skip(1) {
            let from = self.stream.from.clone();
            // One that was not begun, or is damaged, is found out about on the way.
            let Ok(next) = Stream::open(self.storage.clone(), self.identity.id, number, from) else { break };
            if !next.positions.all_within(&next.from) {
                break;
            }
            self.begun.push_back(begun(&next));
            self.bytes_before += self.stream.segment.size;
            self.stream = next;
            at = place;
        }
        debug_assert_eq!(self.stream.segment.number, self.segments[at]);
        Ok(())
    }

    fn end_of_segment(&mut self, next: u64, size: u64) -> Result<(), JournalError> {
        let bytes = self.stream.segment.size;
        match self.stream.enter(next)? {
            Ok(()) => {
                self.bytes_before += bytes;
                self.begun.push_back(begun(&self.stream));
            }
            Err(what) => {
                self.check_unbegun(next, size, &what)?;
                self.end = Some(Found::Next);
            }
        }
        Ok(())
    }

    /// There is no record where one could be: the journal's end, or damage?
    fn no_record(&mut self, what: String) -> Result<(), JournalError> {
        let segment = &self.stream.segment;
        // The segments ahead get their first byte when this one has its end, which it has not.
        for &ahead in self.segments.iter().filter(|&&number| number > segment.number) {
            if rest_of(&*self.storage, ahead, 0)?.iter().any(|byte| *byte != 0) {
                return Err(self.stream.damaged(format!("{what}, but {} is begun", segment::name_of(ahead))));
            }
        }
        let rest = rest_of(&*self.storage, segment.number, segment.offset)?;
        let salt = Salt::new(self.identity.id, segment.number);
        if let Some((at, synced)) = proof_of_damage(&rest, salt, segment.offset) {
            let at = segment.offset + at as u64;
            return Err(self.stream.damaged(format!(
                "{what}, but the record at byte {at} was written when {synced} bytes were safe"
            )));
        }
        let garbage = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        self.end = Some(Found::Here { zero_to: segment.offset + garbage });
        Ok(())
    }

    /// The segment that comes next has no header: it must be one that a crash can leave so.
    fn check_unbegun(&self, number: u64, size: u64, what: &str) -> Result<(), JournalError> {
        let name = segment::name_of(number);
        let bytes = rest_of(&*self.storage, number, 0)?;
        if bytes.len() as u64 != size {
            let found = format!("the file has {} bytes instead of {size}", bytes.len());
            return Err(damaged(&name, bytes.len() as u64, found));
        }
        let salt = Salt::new(self.identity.id, number);
        if let Some((at, synced)) = proof_of_damage(&bytes, salt, 0) {
            let found =
                format!("{what}, but the record at byte {at} was written when {synced} bytes were safe");
            return Err(damaged(&name, 0, found));
        }
        for &ahead in self.segments.iter().filter(|&&ahead| ahead > number) {
            if rest_of(&*self.storage, ahead, 0)?.iter().any(|byte| *byte != 0) {
                return Err(damaged(&name, 0, format!("{what}, but {} is begun", segment::name_of(ahead))));
            }
        }
        Ok(())
    }

    // ---- going on

    /// Makes what was read safe, and takes away what is behind it.
    fn settle(&self, end: Found) -> Result<(), JournalError> {
        let segment = &self.stream.segment;
        let (name, file) = (&segment.name, &segment.file);
        let mut again = vec![0; (segment.offset - segment.synced) as usize];
        file.read_at(&mut again, segment.synced).map_err(JournalError::io("read", name))?;
        file.write_at(&again, segment.synced).map_err(JournalError::io("write", name))?;
        file.sync_data().map_err(JournalError::io("sync", name))?;
        match end {
            Found::Here { zero_to } => segment::zero(&**file, name, segment.offset..zero_to),
            Found::Next => Ok(()),
        }
    }

    /// What [`Self::settle`] took away.
    fn cut(&self, end: Found) -> Option<Cut> {
        let Found::Here { zero_to } = end else { return None };
        let segment = &self.stream.segment;
        let (offset, bytes) = (segment.offset, zero_to - segment.offset);
        (bytes > 0).then(|| Cut { file: segment.name.clone(), offset, bytes })
    }

    /// Begins the segment after the last one, which is there and was not begun.
    fn begin_next(&mut self) -> Result<Current, JournalError> {
        let number = self.stream.segment.number + 1;
        let name = segment::name_of(number);
        let file = self.storage.open(&name).map_err(JournalError::io("open", &name))?;
        let size = file.size().map_err(JournalError::io("look at", &name))?;
        segment::zero(&*file, &name, 0..size)?;
        let (chain, begin) = (self.stream.chain, self.stream.positions.clone());
        let header = SegmentHeader { journal: self.identity.id, number, size, chain, begin: begin.clone() };
        write_header(&*file, &name, &header)?;
        self.stream.chain = chain.and(&header.to_bytes());
        self.begun.push_back(Begun { number, bytes: size, begin });
        Ok(Current::at(file, number, size, segment::header_bytes(self.options.shards) as u64))
    }

    /// Takes away segments that were prepared, newest first, so that no crash leaves a hole.
    fn remove_unbegun(&self) -> Result<(), JournalError> {
        let current = self.begun[self.begun.len() - 1].number;
        for &number in self.segments.iter().rev().take_while(|&&number| number > current) {
            let name = segment::name_of(number);
            self.storage.remove(&name).map_err(JournalError::io("remove", &name))?;
            self.storage.sync_directory().map_err(JournalError::io("sync the directory of", &name))?;
        }
        Ok(())
    }
}

/// The segment at whose beginning `stream` stands.
fn begun(stream: &Stream) -> Begun {
    let begin = stream.positions.clone();
    Begun { number: stream.segment.number, bytes: stream.segment.size, begin }
}

/// Locks the directory, and lists what is in it.
fn lock(storage: &dyn Storage, access: Access) -> Result<(Lock, Vec<String>), JournalError> {
    let lock = storage.lock(access).map_err(JournalError::io("lock", &storage.name()))?;
    let lock = lock.ok_or_else(|| JournalError::InUse { directory: storage.name() })?;
    Ok((lock, storage.list().map_err(JournalError::io("list", &storage.name()))?))
}

/// The numbers of the segments, in order.
fn segments_among(names: &[String]) -> Vec<u64> {
    let mut segments: Vec<u64> = names.iter().filter_map(|name| segment::number_of(name)).collect();
    segments.sort_unstable();
    segments
}

/// Makes a journal where there is none, and nothing among `names` says that there was one. Returns the numbers of its segments.
fn create(storage: &dyn Storage, options: &Options, names: &[String]) -> Result<Vec<u64>, JournalError> {
    let creating = names.iter().any(|name| name == CREATING);
    let segments = segments_among(names);
    let is_old = |name: &&String| {
        snapshot::number_of(name).is_some() || !creating && segment::number_of(name).is_some()
    };
    if let Some(found) = names.iter().filter(is_old).min().cloned() {
        return Err(JournalError::Remains { directory: storage.name(), missing: IDENTITY, found });
    }
    // What an earlier attempt left behind: it never had an entry.
    for name in segments.iter().map(|number| segment::name_of(*number)) {
        storage.remove(&name).map_err(JournalError::io("remove", &name))?;
    }
    if creating {
        // First the segments, safely: without this file they would look like a journal that lost its identity.
        storage.sync_directory().map_err(JournalError::io("sync", &storage.name()))?;
        storage.remove(CREATING).map_err(JournalError::io("remove", CREATING))?;
    }
    let id = storage.unique().map_err(JournalError::io("draw a number for", IDENTITY))?;
    Identity { id, shards: options.shards }.write(storage)?;
    let (number, size) = (1, options.segment_bytes);
    let file = segment::prepare(storage, number, size)?;
    let begin = Positions::zero(options.shards);
    let header = SegmentHeader { journal: id, number, size, chain: Chain(0), begin };
    write_header(&*file, &segment::name_of(number), &header)?;
    storage.rename(CREATING, IDENTITY).map_err(JournalError::io("create", IDENTITY))?;
    storage.sync_directory().map_err(JournalError::io("sync the directory of", IDENTITY))?;
    Ok(vec![number])
}

fn write_header(file: &dyn StorageFile, name: &str, header: &SegmentHeader) -> Result<(), JournalError> {
    file.write_at(&header.to_bytes(), 0).map_err(JournalError::io("write", name))?;
    file.sync_data().map_err(JournalError::io("sync", name))
}

/// Segments are numbered without holes.
fn check_dense(segments: &[u64], directory: &str) -> Result<(), JournalError> {
    if segments.is_empty() {
        return Err(damaged(IDENTITY, 0, format!("there is no segment in {directory}")));
    }
    match segments.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        None => Ok(()),
        Some(pair) => Err(damaged(&segment::name_of(pair[0] + 1), 0, "the file is missing".into())),
    }
}

/// The bytes of a segment from `offset` on. Only what is behind the journal's end is read so, once.
fn rest_of(storage: &dyn Storage, number: u64, offset: u64) -> Result<Vec<u8>, JournalError> {
    let name = segment::name_of(number);
    let file = storage.open(&name).map_err(JournalError::io("open", &name))?;
    let size = file.size().map_err(JournalError::io("look at", &name))?;
    let mut bytes = vec![0; size.saturating_sub(offset) as usize];
    let count = file.read_at(&mut bytes, offset).map_err(JournalError::io("read", &name))?;
    bytes.truncate(count);
    Ok(bytes)
}

/// A record in `bytes`, which begin at `offset`, that was written when more than `offset` bytes were safe: where it is, and
/// how many were.
fn proof_of_damage(bytes: &[u8], salt: Salt, offset: u64) -> Option<(usize, u32)> {
    (0..bytes.len().saturating_sub(HEADER - 1)).step_by(8).find_map(|at| {
        let header = Header::read(&bytes[at..], salt)?;
        (u64::from(header.synced) > offset).then_some((at, header.synced))
    })
}

impl Options {
    fn check(&self) -> Result<(), JournalError> {
        let record = record::record_bytes(self.record_bytes_max());
        let problem = if !self.shards.are_valid() {
            format!("there cannot be {}", self.shards)
        } else if self.segment_bytes > u64::from(u32::MAX) || !self.segment_bytes.is_multiple_of(512) {
            format!("segment_bytes {} is not a multiple of 512 below 4 GiB", self.segment_bytes)
        } else if self.record_bytes_max() < 2 * codec::ENTRY_BYTES_MAX {
            format!("segment_bytes {} leaves no room for records", self.segment_bytes)
        } else if self.staging_bytes < record {
            format!("staging_bytes {} is less than one record of {record}", self.staging_bytes)
        } else {
            return Ok(());
        };
        Err(JournalError::Options(problem))
    }

    /// The longest payload of a record.
    pub(super) fn record_bytes_max(&self) -> usize {
        let room = segment::room(self.segment_bytes, self.shards).saturating_sub(HEADER as u64);
        room.min(crate::limits::JOURNAL_RECORD_BYTES_MAX as u64) as usize / 8 * 8
    }
}
