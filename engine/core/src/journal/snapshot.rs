//! Snapshots: the state of all shards at a point of the journal, so that nobody has to read what is before it.
//!
//! ```text
//! snapshot-0000000000000001.state
//!   header   magic, format, journal id, number, shards, position of every shard, CRC32C; whole sectors
//!   parts    length u32, CRC32C u32, bytes: what `crate::state` says
//!   end      length 0, CRC32C of the rest: number of parts u64, hash of the state u128, hash of all parts u128
//! ```
//! A snapshot gets its name when all of it is safe on the disk, so one with a name is whole, or somebody has spoilt it. Two
//! are kept: should the newer one be unreadable, the older one and a longer piece of the journal say the same. Where somebody
//! still has to read the journal from some point on, it is two that are not beyond that point, and all since: who is
//! interrupted on the way then finds one near the place where he was.

use super::error::JournalError;
use super::positions::{Positions, Shards};
use super::segment::number_between;
use super::storage::{Storage, StorageFile};
use super::stream::damaged;
use crate::state::{STATE_FORMAT, StateError, StateHash, StateReader, StateWriter};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"RingsdSn";
const FIXED: usize = 48;
/// Before a part: its length and its checksum.
const PREFIX: usize = 8;
/// What is after the last part's prefix.
const END: usize = 40;

/// The name of a snapshot until it is whole and safe.
const UNFINISHED: &str = "snapshot.unfinished";

/// Written and synced at once. The journal's syncs wait behind these on the disk (see `segment`).
const WRITE_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 1 << 20;

/// How many are kept for each who begins with one.
const KEPT: usize = 2;

/// A snapshot that is on the disk.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The later, the larger.
    pub number: u64,
    /// Of all shards, the first entry that is not in it.
    pub positions: Positions,
    /// Of the state.
    pub hash: StateHash,
    /// Of its file.
    pub bytes: u64,
}

/// The snapshots of a journal.
#[derive(Clone)]
pub struct Snapshots {
    storage: Arc<dyn Storage>,
    journal: u128,
    shards: Shards,
}

/// What stands in the way while parts are read.
#[derive(Debug)]
pub(crate) enum Obstacle {
    Journal(JournalError),
    State(StateError),
}

impl From<StateError> for Obstacle {
    fn from(error: StateError) -> Self {
        Obstacle::State(error)
    }
}

impl Snapshots {
    pub(super) fn new(storage: Arc<dyn Storage>, journal: u128, shards: Shards) -> Self {
        Self { storage, journal, shards }
    }

    /// Whose state they are.
    pub fn shards(&self) -> Shards {
        self.shards
    }

    /// The numbers of all there are, the newest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn numbers(&self) -> Result<Vec<u64>, JournalError> {
        let names = self.storage.list().map_err(JournalError::io("list", &self.storage.name()))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        Ok(numbers)
    }

    /// Where a snapshot stands, from its header alone.
    ///
    /// # Errors
    /// If the header cannot be read.
    pub fn positions(&self, number: u64) -> Result<Positions, JournalError> {
        self.open(number).map(|file| file.positions)
    }

    /// Gives one that cannot be read another name, so that it is not one of those that are kept.
    pub(crate) fn set_aside(&self, number: u64) -> Result<(), JournalError> {
        let name = name_of(number);
        let renamed = self.storage.rename(&name, &format!("{name}.spoilt"));
        renamed.map_err(JournalError::io("set aside", &name))?;
        self.sync_directory()
    }

    /// Makes what `state` writes a snapshot. Its number is the next one.
    pub(crate) fn write(
        &self,
        positions: &Positions,
        state: impl FnOnce(&mut StateWriter<'_, JournalError>) -> Result<StateHash, JournalError>,
    ) -> Result<Snapshot, JournalError> {
        let newest = self.numbers()?.first().copied();
        if let Some(newest) = newest
            && !self.positions(newest)?.all_within(positions)
        {
            return Err(JournalError::Backwards { newest });
        }
        let number = newest.map_or(1, |newest| newest + 1);
        let written = self.write_unfinished(number, positions, state);
        if written.is_err() {
            // It may be what fills the disk.
            let _ = self.storage.remove(UNFINISHED);
        }
        let snapshot = written?;
        let name = name_of(number);
        self.storage.rename(UNFINISHED, &name).map_err(JournalError::io("name", &name))?;
        self.sync_directory()?;
        Ok(snapshot)
    }

    /// Where a snapshot stands, if its header can be read.
    ///
    /// # Errors
    /// If that can only not be known now: it says nothing of the snapshot.
    pub fn readable(&self, number: u64) -> Result<Option<Positions>, JournalError> {
        match self.positions(number) {
            Err(error) if error.is_passing() => Err(error),
            positions => Ok(positions.ok()),
        }
    }

    /// Where the oldest one stands that can be read.
    ///
    /// # Errors
    /// If the directory cannot be read, or too much is open to read a snapshot now.
    pub fn oldest(&self) -> Result<Option<Positions>, JournalError> {
        let readable = self.numbers()?.into_iter().rev().map(|number| self.readable(number));
        readable.filter_map(Result::transpose).next().transpose()
    }

    /// Takes away those that are older than the second newest that is not beyond `needed`, which is anywhere if there is
    /// nothing. Returns where that one stands: nobody needs the journal before it. Without a second one the journal is what
    /// replaces the first.
    pub(super) fn remove_old(&self, needed: Option<&Positions>) -> Result<Option<Positions>, JournalError> {
        let numbers = self.numbers()?;
        // What cannot be read does not count, so that rather more is kept.
        let found = numbers.iter().filter_map(|number| Some((*number, self.positions(*number).ok()?)));
        let mut within =
            found.filter(|(_, positions)| needed.is_none_or(|needed| positions.all_within(needed)));
        let Some((oldest, positions)) = within.nth(KEPT - 1) else { return Ok(None) };
        drop(within);
        for name in numbers.into_iter().filter(|number| *number < oldest).map(name_of) {
            self.storage.remove(&name).map_err(JournalError::io("remove", &name))?;
        }
        self.sync_directory()?;
        Ok(Some(positions))
    }

    /// What `state` makes of a snapshot. All of it is checked.
    pub(crate) fn read<T>(
        &self,
        number: u64,
        state: impl FnOnce(&mut StateReader<'_, Obstacle>) -> Result<(T, StateHash), Obstacle>,
    ) -> Result<(T, Snapshot), JournalError> {
        let mut file = self.open(number)?;
        let mut source = |part: &mut Vec<u8>| file.next_part(part).map_err(Obstacle::Journal);
        let mut reader = StateReader::new(&mut source);
        let made = state(&mut reader);
        let all = reader.hash();
        let (value, hash) = made.map_err(|obstacle| match obstacle {
            Obstacle::Journal(error) => error,
            Obstacle::State(error) => file.damaged(error.to_string()),
        })?;
        file.check_end(hash, all)?;
        let (positions, bytes) = (file.positions, file.offset);
        Ok((value, Snapshot { number, positions, hash, bytes }))
    }

    fn write_unfinished(
        &self,
        number: u64,
        positions: &Positions,
        state: impl FnOnce(&mut StateWriter<'_, JournalError>) -> Result<StateHash, JournalError>,
    ) -> Result<Snapshot, JournalError> {
        if self
            .storage
            .list()
            .map_err(JournalError::io("list", &self.storage.name()))?
            .iter()
            .any(|name| name == UNFINISHED)
        {
            self.storage.remove(UNFINISHED).map_err(JournalError::io("remove", UNFINISHED))?;
        }
        let file = self.storage.create(UNFINISHED).map_err(JournalError::io("create", UNFINISHED))?;
        let mut out = Output { file, bytes: header(self.journal, number, positions), offset: 0, parts: 0 };
        let mut sink = |part: &[u8]| out.put(part);
        let mut writer = StateWriter::new(&mut sink);
        let hash = state(&mut writer)?;
        let all = writer.hash();
        let bytes = out.end(hash, all)?;
        Ok(Snapshot { number, positions: positions.clone(), hash, bytes })
    }

    fn sync_directory(&self) -> Result<(), JournalError> {
        self.storage.sync_directory().map_err(JournalError::io("sync", &self.storage.name()))
    }

    fn open(&self, number: u64) -> Result<Input, JournalError> {
        let name = name_of(number);
        let file = self.storage.open(&name).map_err(JournalError::io("open", &name))?;
        let mut bytes = vec![0; header_bytes(self.shards)];
        let count = file.read_at(&mut bytes, 0).map_err(JournalError::io("read", &name))?;
        let (of, positions) = read_header(&bytes[..count], self.shards, &name)?;
        if of != (self.journal, number) {
            let found = format!("snapshot {} of journal {:032x}", of.1, of.0);
            return Err(damaged(&name, 0, found));
        }
        let offset = bytes.len() as u64;
        Ok(Input { file, name, positions, offset, parts: 0, buffer: Vec::new(), at: 0 })
    }
}

/// A snapshot that is being written.
struct Output {
    file: Box<dyn StorageFile>,
    /// Not yet written.
    bytes: Vec<u8>,
    /// Where they go.
    offset: u64,
    parts: u64,
}

impl Output {
    fn put(&mut self, part: &[u8]) -> Result<(), JournalError> {
        assert!(!part.is_empty(), "no length is the end");
        self.bytes.extend((part.len() as u32).to_le_bytes());
        self.bytes.extend(crc32c::crc32c(part).to_le_bytes());
        self.bytes.extend(part);
        self.parts += 1;
        if self.bytes.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Returns the bytes of it all.
    fn end(mut self, hash: StateHash, all: StateHash) -> Result<u64, JournalError> {
        let mut end = Vec::with_capacity(END);
        end.extend(self.parts.to_le_bytes());
        end.extend(hash.0.to_le_bytes());
        end.extend(all.0.to_le_bytes());
        self.bytes.extend(0u32.to_le_bytes());
        self.bytes.extend(crc32c::crc32c(&end).to_le_bytes());
        self.bytes.extend(end);
        self.flush()?;
        Ok(self.offset)
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        self.file.write_at(&self.bytes, self.offset).map_err(JournalError::io("write", UNFINISHED))?;
        self.file.sync_data().map_err(JournalError::io("sync", UNFINISHED))?;
        self.offset += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

/// A snapshot that is being read.
struct Input {
    file: Box<dyn StorageFile>,
    name: String,
    positions: Positions,
    /// Of what comes next.
    offset: u64,
    parts: u64,
    /// A piece of the file, up to `offset` and beyond; what comes next is at `at`.
    buffer: Vec<u8>,
    at: usize,
}

impl Input {
    /// Puts the next part into `part`. Returns false at the end.
    fn next_part(&mut self, part: &mut Vec<u8>) -> Result<bool, JournalError> {
        let (length, crc) = self.prefix()?;
        if length == 0 {
            return Ok(false);
        }
        let bytes = self.bytes(PREFIX, length)?;
        let fits = crc32c::crc32c(bytes) == crc;
        part.extend_from_slice(bytes);
        if !fits {
            return Err(self.damaged("a part that does not fit its checksum".into()));
        }
        self.skip(PREFIX + length);
        self.parts += 1;
        Ok(true)
    }

    /// Checks that it ends here, with these hashes.
    fn check_end(&mut self, hash: StateHash, all: StateHash) -> Result<(), JournalError> {
        let (length, crc) = self.prefix()?;
        if length != 0 {
            return Err(self.damaged("a part more than the state has".into()));
        }
        let end: [u8; END] = self.bytes(PREFIX, END)?.try_into().expect("so many were asked for");
        let u128_at = |at: usize| u128::from_le_bytes(end[at..at + 16].try_into().expect("16 bytes"));
        let parts = u64::from_le_bytes(end[..8].try_into().expect("8 bytes"));
        if crc32c::crc32c(&end) != crc || (parts, u128_at(24)) != (self.parts, all.0) {
            return Err(self.damaged("an end that does not fit its parts".into()));
        }
        if u128_at(8) != hash.0 {
            let found = format!("the state's hash is {hash}, it was {}", StateHash(u128_at(8)));
            return Err(self.damaged(found));
        }
        self.skip(PREFIX + END);
        let size = self.file.size().map_err(JournalError::io("look at", &self.name))?;
        if size != self.offset {
            return Err(self.damaged(format!("{} bytes after its end", size - self.offset)));
        }
        Ok(())
    }

    fn prefix(&mut self) -> Result<(usize, u32), JournalError> {
        let bytes = self.bytes(0, PREFIX)?;
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Ok((u32_at(0) as usize, u32_at(4)))
    }

    /// So many bytes of what comes next, after `skip`.
    fn bytes(&mut self, skip: usize, count: usize) -> Result<&[u8], JournalError> {
        let needed = skip + count;
        if self.buffer.len() - self.at < needed {
            self.fill(needed)?;
        }
        match self.buffer.get(self.at + skip..self.at + needed) {
            Some(_) => Ok(&self.buffer[self.at + skip..self.at + needed]),
            None => Err(self.damaged("the file ends too early".into())),
        }
    }

    /// Reads from what comes next on. A length that is nonsense asks for no more than the file has.
    fn fill(&mut self, needed: usize) -> Result<(), JournalError> {
        let size = self.file.size().map_err(JournalError::io("look at", &self.name))?;
        let left = size.saturating_sub(self.offset) as usize;
        self.buffer.resize(needed.max(READ_BYTES).min(left), 0);
        let count = self.file.read_at(&mut self.buffer, self.offset);
        self.buffer.truncate(count.map_err(JournalError::io("read", &self.name))?);
        self.at = 0;
        Ok(())
    }

    fn skip(&mut self, count: usize) {
        self.at += count;
        self.offset += count as u64;
    }

    fn damaged(&self, found: String) -> JournalError {
        damaged(&self.name, self.offset, found)
    }
}

pub(super) fn name_of(number: u64) -> String {
    format!("snapshot-{number:016}.state")
}

pub(super) fn number_of(name: &str) -> Option<u64> {
    number_between("snapshot-", name, ".state")
}

fn header_bytes(shards: Shards) -> usize {
    (FIXED + 8 * shards.count() + 4).next_multiple_of(512)
}

fn header(journal: u128, number: u64, positions: &Positions) -> Vec<u8> {
    let shards = positions.shards();
    let mut bytes = Vec::with_capacity(2 * WRITE_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(STATE_FORMAT.to_le_bytes());
    bytes.extend((header_bytes(shards) as u32).to_le_bytes());
    bytes.extend(journal.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend((shards.sequencers as u32).to_le_bytes());
    bytes.extend((shards.matchers as u32).to_le_bytes());
    assert_eq!(bytes.len(), FIXED);
    positions.put(&mut bytes);
    bytes.resize(header_bytes(shards) - 4, 0);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Whose snapshot it is, its number, and where it stands.
fn read_header(bytes: &[u8], shards: Shards, name: &str) -> Result<((u128, u64), Positions), JournalError> {
    let length = header_bytes(shards);
    if bytes.len() < length || bytes[..8] != MAGIC {
        return Err(damaged(name, 0, "no header of a snapshot".into()));
    }
    let (body, crc) = bytes.split_at(length - 4);
    let u32_at = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("4 bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("8 bytes"));
    let fits = crc32c::crc32c(body).to_le_bytes() == crc;
    // The first sixteen bytes are the same in every format. A header that is as long as ours must fit as ours does.
    let (found, is_as_long) = (u32_at(8), u32_at(12) as usize == length);
    if found != STATE_FORMAT && (fits || !is_as_long) {
        return Err(JournalError::Newer { file: name.into(), found, known: STATE_FORMAT });
    }
    let is_ours = u64_at(40) == shards.sequencers as u64 | (shards.matchers as u64) << 32;
    if !fits || !is_ours || !is_as_long {
        return Err(damaged(
            name,
            0,
            "a header that does not fit its checksum, or is of other shards".into(),
        ));
    }
    let journal = u128::from_le_bytes(body[16..32].try_into().expect("16 bytes"));
    Ok(((journal, u64_at(32)), Positions::read(&body[FIXED..], shards)))
}
