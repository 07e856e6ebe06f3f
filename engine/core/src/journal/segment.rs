//! A segment: one file of the sequence, always of its full size, filled with zeros before anything is written.
//!
//! ```text
//! segment-0000000000000001.journal
//!   header   magic, format, journal id, number, size, shards, chain so far, position of every shard, CRC32C
//!   records  one after the other, each at a multiple of 8
//!   end      a record of that kind: the next segment exists
//!   zeros
//! ```
//! The size never changes, so a file that is shorter was cut by somebody else. The header is written with the first
//! records, and only when the segment before has its end and is safe: a header that can be read says that everything
//! before it is complete.

use super::codec::FORMAT;
use super::error::JournalError;
use super::positions::{Positions, Shards};
use super::record::{self, Chain};
use super::storage::{Storage, StorageFile};
use std::ops::Range;

const MAGIC: [u8; 8] = *b"RingsdSg";
const FIXED: usize = 64;

/// Zeros that are written and synced at once. The journal's own syncs wait behind them on the disk: at half a million commands a
/// second their p99 was 24 and 55 ms with 4 MiB, 9 and 6 ms with 1 MiB, and with 256 KiB no better (decision 8).
const ZEROS_BYTES: usize = 1 << 20;
static ZEROS: [u8; ZEROS_BYTES] = [0; ZEROS_BYTES];

/// What a segment's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub journal: u128,
    pub number: u64,
    pub size: u64,
    /// Everything before it.
    pub chain: Chain,
    /// Of all shards, where it begins.
    pub begin: Positions,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// There is nothing that could have been one, or it does not fit its checksum.
    Unreadable,
    /// It has another format.
    Format(u32),
}

/// Bytes of the header for so many shards: whole sectors.
pub(super) fn header_bytes(shards: Shards) -> usize {
    (FIXED + 8 * shards.count() + 4).next_multiple_of(512)
}

/// Bytes of a segment that records may take, its end not counted.
pub(super) fn room(size: u64, shards: Shards) -> u64 {
    size.saturating_sub((header_bytes(shards) + record::HEADER) as u64)
}

/// The name of a segment's file.
pub(super) fn name_of(number: u64) -> String {
    format!("segment-{number:016}.journal")
}

/// The number in a segment's name; `None` for any other name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    number_between("segment-", name, ".journal")
}

/// The number in a name of these parts and 16 digits.
pub(super) fn number_between(begin: &str, name: &str, end: &str) -> Option<u64> {
    let digits = name.strip_prefix(begin)?.strip_suffix(end)?;
    (digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

impl SegmentHeader {
    pub fn to_bytes(&self) -> Vec<u8> {
        let shards = self.begin.shards();
        let mut bytes = Vec::with_capacity(header_bytes(shards));
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend((header_bytes(shards) as u32).to_le_bytes());
        bytes.extend(self.journal.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.chain.0.to_le_bytes());
        bytes.extend((shards.sequencers as u32).to_le_bytes());
        bytes.extend((shards.matchers as u32).to_le_bytes());
        assert_eq!(bytes.len(), FIXED);
        self.begin.put(&mut bytes);
        bytes.resize(header_bytes(shards) - 4, 0);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`, for so many shards.
    pub fn read(bytes: &[u8], shards: Shards) -> Result<SegmentHeader, NoHeader> {
        let length = header_bytes(shards);
        if bytes.len() < length || bytes[..8] != MAGIC {
            return Err(NoHeader::Unreadable);
        }
        let format = u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes"));
        if format != FORMAT {
            return Err(NoHeader::Format(format));
        }
        let (body, crc) = bytes[..length].split_at(length - 4);
        let u64_at = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("8 bytes"));
        let is_ours = u64_at(56) == shards.sequencers as u64 | (shards.matchers as u64) << 32;
        if crc32c::crc32c(body).to_le_bytes() != crc || !is_ours {
            return Err(NoHeader::Unreadable);
        }
        Ok(SegmentHeader {
            journal: u128::from_le_bytes(body[16..32].try_into().expect("16 bytes")),
            number: u64_at(32),
            size: u64_at(40),
            chain: Chain(u64_at(48)),
            begin: Positions::read(&body[FIXED..], shards),
        })
    }
}

/// Makes a segment of zeros, safe with its name. If that fails, takes away what was made: others may need the space.
pub(super) fn prepare(
    storage: &dyn Storage,
    number: u64,
    size: u64,
) -> Result<Box<dyn StorageFile>, JournalError> {
    let name = name_of(number);
    let made = (|| {
        let file = storage.create(&name).map_err(JournalError::io("create", &name))?;
        zero(&*file, &name, 0..size)?;
        storage.sync_directory().map_err(JournalError::io("sync the directory of", &name))?;
        Ok(file)
    })();
    if made.is_err() {
        // Whether this succeeds or not, the error that counts is the one before it.
        let _ = storage.remove(&name);
    }
    made
}

/// Writes zeros, safe; for an empty range it does nothing. Real ones, because the disk then has nothing but data to write when records come: space that is
/// only allocated costs a change of the file system's own books at every sync.
pub(super) fn zero(file: &dyn StorageFile, name: &str, range: Range<u64>) -> Result<(), JournalError> {
    let mut at = range.start;
    while at < range.end {
        let count = (range.end - at).min(ZEROS.len() as u64);
        file.write_at(&ZEROS[..count as usize], at).map_err(JournalError::io("write zeros to", name))?;
        file.sync_data().map_err(JournalError::io("sync", name))?;
        at += count;
    }
    Ok(())
}
