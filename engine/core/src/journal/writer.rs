//! The writer: the only one who touches the segment that is being written.
//!
//! It never waits here; that is the business of its thread ([`super::running`]). So a test can take its steps by hand.

use super::Durability;
use super::error::JournalError;
use super::positions::Positions;
use super::record::{self, Chain, Header, Kind, Salt};
use super::segment::{self, SegmentHeader};
use super::shared::{Begun, End, NO_SPACE, STUCK, Shared};
use super::spares::{Spare, Spares};
use super::storage::{StorageFile, is_full};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The segment that is being written.
pub(super) struct Current {
    pub file: Box<dyn StorageFile>,
    pub number: u64,
    pub size: u64,
    /// Where the next record goes.
    pub offset: u64,
    /// Bytes that are safe.
    pub synced: u64,
    /// Whether it has its end.
    pub ended: bool,
}

impl Current {
    /// A segment that is safe up to `offset`, to be gone on with there.
    pub fn at(file: Box<dyn StorageFile>, number: u64, size: u64, offset: u64) -> Self {
        Self { file, number, size, offset, synced: offset, ended: false }
    }
}

pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub spares: Arc<Spares>,
    pub journal: u128,
    pub segment_bytes: u64,
    pub durability: Durability,
    pub current: Current,
    pub chain: Chain,
    /// Of all shards, after the records that are written.
    pub positions: Positions,
    /// What was staged, and how much of it is written.
    pub batch: Vec<u8>,
    pub done: usize,
    /// The segment after the current one, while that gets its end.
    pub next: Option<Spare>,
    pub last_sync: Instant,
    /// How long to wait for a segment or for space before another try.
    pub retry: Duration,
}

/// Why a step did not do all.
#[derive(Debug)]
pub(super) enum Stuck {
    /// The next segment is not ready. What was staged stays, and the next step goes on with it.
    NoSpare,
    /// There is no space. What was staged stays here, too.
    NoSpace,
    /// The disk failed.
    Failed(JournalError),
}

impl Writer {
    /// Writes the batch and makes it durable, as far as there is space.
    pub fn step(&mut self) -> Result<(), Stuck> {
        let written = self.write();
        if let Err(Stuck::Failed(_)) = written {
            return written;
        }
        self.shared.set(NO_SPACE, matches!(written, Err(Stuck::NoSpace)));
        self.shared.set(STUCK, written.is_err());
        // What has found space need not wait for the rest.
        if self.durability == Durability::Fsync {
            self.sync().map_err(Stuck::Failed)?;
        }
        self.publish();
        if written.is_ok() {
            self.batch.clear();
            self.done = 0;
        }
        written
    }

    /// Makes everything written safe.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        let Current { file, number, offset, synced, .. } = &mut self.current;
        if synced != offset {
            let begun = Instant::now();
            file.sync_data().map_err(JournalError::io("sync", &segment::name_of(*number)))?;
            self.shared.counters.syncs.add(1);
            self.shared.counters.sync_us.record(begun.elapsed().as_micros() as u64);
            *synced = *offset;
            self.last_sync = Instant::now();
        }
        Ok(())
    }

    /// How long until something that is written and not synced must be; `None` if there is no such thing.
    pub fn time_to_sync(&self) -> Option<Duration> {
        match self.durability {
            Durability::Async { sync_every } if self.current.synced != self.current.offset => {
                Some(sync_every.saturating_sub(self.last_sync.elapsed()))
            }
            _ => None,
        }
    }

    fn write(&mut self) -> Result<(), Stuck> {
        while self.done < self.batch.len() {
            match self.seal_what_fits() {
                (0, _) => self.rotate()?,
                (bytes, chain) => self.write_sealed(bytes, chain)?,
            }
        }
        Ok(())
    }

    /// Seals the records of the batch that fit the current segment. Returns their bytes and the chain with them.
    fn seal_what_fits(&mut self) -> (usize, Chain) {
        let Current { number, size, offset, synced, ended, .. } = self.current;
        if ended {
            return (0, self.chain); // going on in the next one was tried before, and there was no space
        }
        let room = (size - offset) as usize - record::HEADER;
        let salt = Salt::new(self.journal, number);
        let (mut bytes, mut chain) = (0, self.chain);
        while let Some(header) = Header::read_unsealed(&self.batch[self.done + bytes..]) {
            let more = header.record_bytes();
            if bytes + more > room {
                break;
            }
            chain = record::seal(&mut self.batch[self.done + bytes..], salt, synced as u32, chain);
            bytes += more;
        }
        (bytes, chain)
    }

    fn write_sealed(&mut self, bytes: usize, chain: Chain) -> Result<(), Stuck> {
        let sealed = &self.batch[self.done..self.done + bytes];
        write(&self.current, sealed, self.current.offset)?;
        let (mut at, mut records) = (0, 0);
        while let Some(header) = Header::read_unsealed(&sealed[at..]) {
            if let Kind::Entries(shard) = header.kind {
                *self.positions.of_mut(shard) = header.position + u64::from(header.entries);
            }
            at += header.record_bytes();
            records += 1;
        }
        self.shared.counters.records.add(records);
        self.shared.counters.bytes.add(bytes as u64);
        self.current.offset += bytes as u64;
        self.chain = chain;
        self.done += bytes;
        Ok(())
    }

    /// Goes on in the next segment. If there is no space for that, another call tries again.
    fn rotate(&mut self) -> Result<(), Stuck> {
        if self.next.is_none() {
            self.next = self.spares.take();
        }
        let number = self.next.as_ref().ok_or(Stuck::NoSpare)?.number;
        if !self.current.ended {
            self.end_current(number)?;
        }
        // The segment behind is whole and safe before the first byte of the one ahead: the header says so.
        self.sync().map_err(Stuck::Failed)?;
        let header = SegmentHeader {
            journal: self.journal,
            number,
            size: self.segment_bytes,
            chain: self.chain,
            begin: self.positions.clone(),
        };
        let file = self.next.take().expect("it was there").file;
        let mut next = Current { file, number, size: self.segment_bytes, offset: 0, synced: 0, ended: false };
        let bytes = header.to_bytes();
        if let Err(stuck) = write(&next, &bytes, 0) {
            self.next = Some(Spare { number, file: next.file });
            return Err(stuck);
        }
        next.offset = bytes.len() as u64;
        self.chain = self.chain.and(&bytes);
        self.current = next;
        self.shared.counters.segments.add(1);
        let begun = Begun { number, bytes: header.size, begin: header.begin };
        self.shared.segments.lock().expect("nobody panics with it").push_back(begun);
        Ok(())
    }

    fn end_current(&mut self, next: u64) -> Result<(), Stuck> {
        let Current { number, offset, synced, .. } = self.current;
        let mut end = Header::of_end(next, self.segment_bytes as u32).to_bytes();
        let chain = record::seal(&mut end, Salt::new(self.journal, number), synced as u32, self.chain);
        write(&self.current, &end, offset)?;
        self.current.offset += end.len() as u64;
        self.current.ended = true;
        self.chain = chain;
        Ok(())
    }

    fn publish(&self) {
        let end = End { segment: self.current.number, offset: self.current.offset };
        self.shared.publish(&self.positions, end);
    }
}

fn write(segment: &Current, bytes: &[u8], offset: u64) -> Result<(), Stuck> {
    segment.file.write_at(bytes, offset).map_err(|error| {
        if is_full(&error) {
            return Stuck::NoSpace;
        }
        Stuck::Failed(JournalError::io("write", &segment::name_of(segment.number))(error))
    })
}
