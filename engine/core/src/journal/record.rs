//! A record: what one shard appended at once.
//!
//! ```text
//!  0  magic            u32    little endian, like everything
//!  4  payload bytes    u32
//!  8  kind             u8     0 a sequencer's, 1 a matcher's, 2 the end of the segment
//!  9  (zero)           u8
//! 10  index            u16    of the shard
//! 12  entries          u32    at the end of a segment: bytes of the next
//! 16  position         u64    entries of the shard before these; at the end of a segment: the number of the next
//! 24  synced           u32    bytes of this segment that were safe when the record was written
//! 28  payload CRC      u32    CRC32C of the payload, what fills it up included
//! 32  previous         u32    from the chain: all headers before this one
//! 36  header CRC       u32    CRC32C of the 36 bytes before, starting from the segment's own
//! 40  payload, filled up with zeros to a multiple of 8
//! ```
//! Both sums together cover all of it. They are apart because they are made apart: a shard has the payload ready before
//! it takes its place in the order, and where the record goes is known to the writer alone.
//!
//! `synced` is what tells a torn tail from damage. A record proves that everything before its `synced` was safe on the disk
//! before it was written; so what cannot be read there was not torn by a crash, it was spoilt later.

use super::positions::ShardId;

/// "RsRc".
const MAGIC: u32 = u32::from_le_bytes(*b"RsRc");

/// Bytes before the payload.
pub(super) const HEADER: usize = 40;

const SYNCED: usize = 24;
const PAYLOAD_CRC: usize = 28;
const PREVIOUS: usize = 32;
const CRC: usize = 36;

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    pub payload_bytes: u32,
    pub entries: u32,
    pub position: u64,
    pub synced: u32,
    pub payload_crc: u32,
    pub previous: u32,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Entries(ShardId),
    /// Nothing more comes in this segment, and there is a next one.
    End,
}

/// Bytes of a record with so much payload.
pub(super) fn record_bytes(payload_bytes: usize) -> usize {
    HEADER + payload_bytes.next_multiple_of(8)
}

/// The chain: one number from all headers so far, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain(pub u64);

impl Chain {
    /// With one more header, of a record or of a segment.
    pub fn and(self, header: &[u8]) -> Chain {
        Chain(xxhash_rust::xxh3::xxh3_64_with_seed(header, self.0))
    }

    fn low(self) -> u32 {
        self.0 as u32
    }
}

/// What header checksums of a segment start from: records of another segment, or another journal, are none of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Salt(u32);

impl Salt {
    pub fn new(journal: u128, segment: u64) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(&journal.to_le_bytes()), &segment.to_le_bytes()))
    }
}

impl Header {
    /// A header to be sealed when its place is known.
    pub fn of_entries(
        shard: ShardId,
        position: u64,
        entries: u32,
        payload: &[u8],
        payload_bytes: u32,
    ) -> Self {
        let (kind, payload_crc) = (Kind::Entries(shard), crc32c::crc32c(payload));
        Self { kind, payload_bytes, entries, position, synced: 0, payload_crc, previous: 0 }
    }

    /// The end of a segment, after which comes `next`, of so many bytes.
    pub fn of_end(next: u64, size: u32) -> Self {
        Self {
            kind: Kind::End,
            payload_bytes: 0,
            entries: size,
            position: next,
            synced: 0,
            payload_crc: 0,
            previous: 0,
        }
    }

    pub fn to_bytes(self) -> [u8; HEADER] {
        let (kind, index) = match self.kind {
            Kind::Entries(ShardId::Sequencer(i)) => (0u8, i),
            Kind::Entries(ShardId::Matcher(j)) => (1, j),
            Kind::End => (2, 0),
        };
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8] = kind;
        bytes[10..12].copy_from_slice(&index.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.entries.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.position.to_le_bytes());
        bytes[SYNCED..PAYLOAD_CRC].copy_from_slice(&self.synced.to_le_bytes());
        bytes[PAYLOAD_CRC..PREVIOUS].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[PREVIOUS..CRC].copy_from_slice(&self.previous.to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`, if its checksum says that it is one of this segment.
    pub fn read(bytes: &[u8], salt: Salt) -> Option<Header> {
        let header = Self::read_unsealed(bytes)?;
        (u32_at(bytes, CRC) == header_crc(bytes, salt)).then_some(header)
    }

    /// The header of a record that has not been sealed.
    pub fn read_unsealed(bytes: &[u8]) -> Option<Header> {
        if bytes.len() < HEADER || u32_at(bytes, 0) != MAGIC {
            return None;
        }
        let index = u16::from_le_bytes([bytes[10], bytes[11]]);
        let kind = match bytes[8] {
            0 => Kind::Entries(ShardId::Sequencer(index)),
            1 => Kind::Entries(ShardId::Matcher(index)),
            2 => Kind::End,
            _ => return None,
        };
        Some(Header {
            kind,
            payload_bytes: u32_at(bytes, 4),
            entries: u32_at(bytes, 12),
            position: u64::from(u32_at(bytes, 16)) | u64::from(u32_at(bytes, 20)) << 32,
            synced: u32_at(bytes, SYNCED),
            payload_crc: u32_at(bytes, PAYLOAD_CRC),
            previous: u32_at(bytes, PREVIOUS),
        })
    }

    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> usize {
        record_bytes(self.payload_bytes as usize)
    }

    /// Whether it follows the headers of `chain`.
    pub fn follows(&self, chain: Chain) -> bool {
        self.previous == chain.low()
    }

    /// Whether `payload`, with what fills it up, is the one that was written.
    pub fn fits(&self, payload: &[u8]) -> bool {
        crc32c::crc32c(payload) == self.payload_crc
    }
}

/// Gives a record its place: after `chain`, while `synced` bytes of its segment are safe. Returns the chain with it.
pub(super) fn seal(record: &mut [u8], salt: Salt, synced: u32, chain: Chain) -> Chain {
    record[SYNCED..PAYLOAD_CRC].copy_from_slice(&synced.to_le_bytes());
    record[PREVIOUS..CRC].copy_from_slice(&chain.low().to_le_bytes());
    let crc = header_crc(record, salt);
    record[CRC..HEADER].copy_from_slice(&crc.to_le_bytes());
    chain.and(&record[..HEADER])
}

fn header_crc(bytes: &[u8], salt: Salt) -> u32 {
    crc32c::crc32c_append(salt.0, &bytes[..CRC])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
