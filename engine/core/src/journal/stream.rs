//! Reads records one after the other, across segments, and believes nothing: every record must fit its checksums, the
//! chain and the position of its shard.
//!
//! It holds one buffer, whatever the size of the journal.

use super::codec::{FORMAT, Payload};
use super::error::JournalError;
use super::positions::{Positions, ShardId, Shards};
use super::record::{Chain, HEADER, Header, Kind, Salt, record_bytes};
use super::segment::{self, NoHeader, SegmentHeader};
use super::storage::{Storage, StorageFile};
use crate::limits::JOURNAL_RECORD_BYTES_MAX;
use crate::log::{Entry, Position};
use crate::message::Input;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;

/// Read at once: several of the longest records.
const BUFFER_BYTES: usize = 1 << 20;
const _: () = assert!(BUFFER_BYTES > 2 * JOURNAL_RECORD_BYTES_MAX);

/// One entry, and whose it is. A matcher's is never [`Entry::Input`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Logged {
    /// Whose.
    pub shard: ShardId,
    /// How many entries of the shard came before.
    pub position: Position,
    /// What was logged.
    pub entry: Entry<Input>,
}

/// What one shard appended at once, or a part of it. Borrowed from who reads it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Whose.
    pub shard: ShardId,
    /// Entries of the shard before these.
    pub position: Position,
    /// How many.
    pub count: u32,
    /// The first of these that is wanted.
    from: Position,
    payload: &'a [u8],
    file: &'a str,
    offset: u64,
}

impl<'a> Record<'a> {
    /// Its bytes in the journal.
    pub fn bytes(&self) -> usize {
        record_bytes(self.payload.len())
    }

    /// The entries, in order, from the position on that was asked for.
    ///
    /// An error says that the bytes, which are as they were written, are no entries.
    pub fn entries(&self) -> impl Iterator<Item = Result<Logged, JournalError>> + use<'a> {
        let shard = self.shard;
        let decode = move |bytes: &mut &[u8]| match shard {
            ShardId::Sequencer(_) => Input::decode(bytes),
            ShardId::Matcher(_) => Infallible::decode(bytes).map(from_a_link),
        };
        self.decoded(decode)
            .map(move |entry| entry.map(|(position, entry)| Logged { shard, position, entry }))
    }

    /// What `decode` makes of the entries, with their positions.
    pub(super) fn decoded<T, D: FnMut(&mut &'a [u8]) -> Option<T>>(
        &self,
        mut decode: D,
    ) -> impl Iterator<Item = Result<(Position, T), JournalError>> + use<'a, T, D> {
        let Record { shard, position, count, from, mut payload, file, offset } = *self;
        (position..position + u64::from(count)).filter_map(move |position| match decode(&mut payload) {
            Some(entry) => (position >= from).then_some(Ok((position, entry))),
            None => {
                let found = format!("entry {position} of {shard} is none that this program knows");
                Some(Err(damaged(file, offset, found)))
            }
        })
    }
}

fn from_a_link(entry: Entry<Infallible>) -> Entry<Input> {
    match entry {
        Entry::Input(nothing) => match nothing {},
        Entry::Received { from, count } => Entry::Received { from, count },
    }
}

/// What comes next in the stream.
#[derive(Debug)]
pub(super) enum Next {
    /// A record; its payload is in the buffer.
    Record,
    /// The segment's end. The next one has that number and so many bytes.
    End { next: u64, size: u64 },
    /// As far as one may read.
    Limit,
    /// What is here is no record of this segment.
    NoRecord(String),
}

/// The reader.
pub(super) struct Stream {
    storage: Arc<dyn Storage>,
    shards: Shards,
    journal: u128,
    /// Of each shard, the first entry that is wanted.
    pub from: Positions,
    /// Of all shards, after what was read.
    pub positions: Positions,
    pub chain: Chain,
    pub segment: OpenSegment,
    buffer: Buffer,
    /// The record that was read last: its header, and where its payload is in the buffer.
    last: Option<(Header, usize)>,
}

/// The segment that is being read.
pub(super) struct OpenSegment {
    pub file: Box<dyn StorageFile>,
    pub name: String,
    pub number: u64,
    pub size: u64,
    /// Of the next record.
    pub offset: u64,
    /// Bytes that were safe when the last record was written.
    pub synced: u64,
}

/// A part of the file.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Where in the file it begins.
    offset: u64,
}

impl Stream {
    /// From the beginning of that segment on.
    pub fn open(
        storage: Arc<dyn Storage>,
        journal: u128,
        number: u64,
        from: Positions,
    ) -> Result<Stream, JournalError> {
        let shards = from.shards();
        let (segment, header) = open_segment(&*storage, journal, number, shards)?
            .map_err(|what| damaged(&segment::name_of(number), 0, what))?;
        Ok(Stream {
            storage,
            shards,
            journal,
            from,
            chain: header.chain.and(&header.to_bytes()),
            positions: header.begin,
            segment,
            buffer: Buffer::default(),
            last: None,
        })
    }

    /// The next record that begins before `limit`, an offset in the current segment.
    pub fn next(&mut self, limit: u64) -> Result<Next, JournalError> {
        self.last = None;
        let at = self.segment.offset;
        if at >= limit {
            return Ok(Next::Limit);
        }
        let salt = Salt::new(self.journal, self.segment.number);
        let Some(header) = Header::read(self.bytes(at, HEADER, limit)?, salt) else {
            return Ok(Next::NoRecord("no record begins here".into()));
        };
        if !header.follows(self.chain) {
            return Err(self.damaged("a record that does not follow the one before it".into()));
        }
        let chain = self.chain;
        let bytes = self.bytes(at, header.record_bytes(), limit)?;
        let Some(payload) = bytes.get(HEADER..header.record_bytes()) else {
            return Ok(Next::NoRecord("a record that is longer than its segment".into()));
        };
        if header.kind != Kind::End && !header.fits(payload) {
            return Ok(Next::NoRecord("a record that does not fit its checksum".into()));
        }
        self.chain = chain.and(&bytes[..HEADER]);
        if let Kind::Entries(shard) = header.kind {
            self.advance(shard, &header)?;
        }
        self.segment.offset += header.record_bytes() as u64;
        self.segment.synced = header.synced.into();
        if header.kind == Kind::End {
            return Ok(Next::End { next: header.position, size: header.entries.into() });
        }
        self.last = Some((header, (at - self.buffer.offset) as usize + HEADER));
        Ok(Next::Record)
    }

    /// The record that was read last.
    ///
    /// # Panics
    /// If that was none.
    pub fn record(&self) -> Record<'_> {
        let (header, at) = self.last.expect("a record was read");
        let Kind::Entries(shard) = header.kind else { unreachable!("a record has entries") };
        Record {
            shard,
            position: header.position,
            count: header.entries,
            from: self.from.of(shard),
            payload: &self.buffer.bytes[at..at + header.payload_bytes as usize],
            file: &self.segment.name,
            offset: self.segment.offset - header.record_bytes() as u64,
        }
    }

    /// Goes on in the next segment, if it is begun; else says why it is not.
    pub fn enter(&mut self, number: u64) -> Result<Result<(), String>, JournalError> {
        let (segment, header) = match open_segment(&*self.storage, self.journal, number, self.shards)? {
            Ok(found) => found,
            Err(what) => return Ok(Err(what)),
        };
        if header.chain != self.chain || header.begin != self.positions {
            let what = format!("does not follow the end of {}", self.segment.name);
            return Err(damaged(&segment.name, 0, what));
        }
        self.chain = self.chain.and(&header.to_bytes());
        self.segment = segment;
        self.buffer = Buffer { bytes: std::mem::take(&mut self.buffer.bytes), offset: 0 };
        self.buffer.bytes.clear();
        Ok(Ok(()))
    }

    /// An error about what is at the current place.
    pub fn damaged(&self, found: String) -> JournalError {
        damaged(&self.segment.name, self.segment.offset, found)
    }

    fn advance(&mut self, shard: ShardId, header: &Header) -> Result<(), JournalError> {
        if self.shards.place(shard).is_none() {
            return Err(self.damaged(format!("a record of {shard}, which there is not")));
        }
        let position = self.positions.of_mut(shard);
        if *position != header.position {
            let expected = *position;
            return Err(self.damaged(format!(
                "a record of {shard} from entry {} on, where entry {expected} should come",
                header.position
            )));
        }
        *position += u64::from(header.entries);
        Ok(())
    }

    /// So many bytes from `at` on, or as many as there are before `limit`. Nothing beyond that is kept: it may change.
    fn bytes(&mut self, at: u64, count: usize, limit: u64) -> Result<&[u8], JournalError> {
        let Stream { buffer, segment, .. } = self;
        if at < buffer.offset || at + count as u64 > buffer.offset + buffer.bytes.len() as u64 {
            let left = limit.saturating_sub(at).min(BUFFER_BYTES as u64);
            buffer.bytes.resize(left as usize, 0);
            buffer.offset = at;
            let read = segment.file.read_at(&mut buffer.bytes, at);
            buffer.bytes.truncate(*read.as_ref().unwrap_or(&0));
            read.map_err(JournalError::io("read", &segment.name))?;
        }
        let from = (at - buffer.offset) as usize;
        Ok(&buffer.bytes[from..buffer.bytes.len().min(from + count)])
    }
}

pub(super) fn damaged(file: &str, offset: u64, found: String) -> JournalError {
    JournalError::Damaged { file: file.into(), offset, found }
}

/// Opens a segment and reads its header. The inner error says why it has none; a segment that is of the wrong size, or not
/// where it belongs, is damage.
fn open_segment(
    storage: &dyn Storage,
    journal: u128,
    number: u64,
    shards: Shards,
) -> Result<Result<(OpenSegment, SegmentHeader), String>, JournalError> {
    let name = segment::name_of(number);
    let file = match storage.open(&name) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(&name, 0, "the file is missing".into()));
        }
        Err(error) => return Err(JournalError::io("open", &name)(error)),
    };
    let length = segment::header_bytes(shards);
    let mut bytes = vec![0; length];
    let count = file.read_at(&mut bytes, 0).map_err(JournalError::io("read", &name))?;
    let header = match SegmentHeader::read(&bytes[..count], shards) {
        Ok(header) => header,
        Err(NoHeader::Unreadable) => return Ok(Err("no header of a segment of this journal".into())),
        Err(NoHeader::Format(found)) => {
            return Err(JournalError::Newer { file: name, found, known: FORMAT });
        }
    };
    if header.journal != journal {
        return Err(damaged(&name, 0, format!("a segment of another journal, {:032x}", header.journal)));
    }
    if header.number != number {
        return Err(damaged(&name, 0, format!("segment {} under another's name", header.number)));
    }
    let size = file.size().map_err(JournalError::io("look at", &name))?;
    if size != header.size {
        return Err(damaged(&name, size, format!("the file has {size} bytes instead of {}", header.size)));
    }
    let offset = length as u64;
    Ok(Ok((OpenSegment { file, name, number, size, offset, synced: 0 }, header)))
}
