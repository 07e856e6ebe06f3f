//! A shard's own end of the journal.

use super::codec::{ENTRY_BYTES_MAX, Payload};
use super::error::JournalError;
use super::positions::{Positions, ShardId};
use super::reader::Reader;
use super::record::Header;
use super::running::Watch;
use crate::bell::Bell;
use crate::log::{Entry, Position, Reach, ShardLog};
use std::marker::PhantomData;
use std::sync::Arc;

/// The log of one shard, kept in the process's journal.
///
/// A batch is encoded and summed up here, before the journal's lock is taken; under the lock it is only copied. Nothing is
/// allocated after the log was made.
pub struct JournalLog<I> {
    watch: Watch,
    shard: ShardId,
    place: usize,
    /// The position after the last entry that was appended.
    position: Position,
    /// What is encoded and not yet staged: the bytes, how many are used, and of how many entries.
    payload: Box<[u8]>,
    used: usize,
    count: u32,
    entries: PhantomData<fn(I)>,
}

impl<I: Payload> JournalLog<I> {
    pub(super) fn new(watch: Watch, record_bytes_max: usize, shard: ShardId) -> Self {
        let place = watch.shared.shards.place(shard).expect("a shard of the journal");
        Self {
            position: watch.shared.durable(place),
            watch,
            shard,
            place,
            payload: vec![0; record_bytes_max].into(),
            used: 0,
            count: 0,
            entries: PhantomData,
        }
    }

    /// Hands what is encoded to the journal, as one record.
    fn stage(&mut self) {
        if self.count == 0 {
            return;
        }
        let filled = self.used.next_multiple_of(8);
        self.payload[self.used..filled].fill(0);
        let payload = &self.payload[..filled];
        let header = Header::of_entries(self.shard, self.position, self.count, payload, self.used as u32);
        self.watch.shared.stage(&header, payload);
        self.position += u64::from(self.count);
        (self.used, self.count) = (0, 0);
    }
}

impl<I: Payload> JournalLog<I> {
    fn read_from_disk(&self, from: &Positions, visit: &mut dyn FnMut(&Entry<I>)) -> Result<(), JournalError> {
        let mut reader = Reader::new(&self.watch, from)?;
        while let Some(record) = reader.next_record()? {
            if record.shard == self.shard {
                for entry in record.decoded(I::decode) {
                    visit(&entry?.1);
                }
            }
        }
        Ok(())
    }
}

impl<I: Payload> ShardLog<I> for JournalLog<I> {
    fn append(&mut self, entries: &[Entry<I>]) -> Position {
        for entry in entries {
            if self.payload.len() - self.used < ENTRY_BYTES_MAX {
                self.stage();
            }
            self.used += I::encode(entry, &mut self.payload[self.used..]);
            self.count += 1;
        }
        self.stage();
        self.position
    }

    fn durable(&self) -> Position {
        self.watch.shared.durable(self.place)
    }

    fn reach(&self) -> Reach {
        // In this order: what is seen after the end was seen does not move any more.
        let is_final = self.watch.shared.has_ended();
        Reach { durable: self.durable(), is_final }
    }

    /// Reads all that is durable from the disk, other shards' records included: meant for inspection, not for speed.
    ///
    /// # Panics
    /// If the journal cannot be read.
    fn read(&self, from: Position, visit: &mut dyn FnMut(&Entry<I>)) -> Result<(), Position> {
        let mut wanted = self.watch.first();
        let first = std::mem::replace(wanted.of_mut(self.shard), from);
        if from < first {
            return Err(first);
        }
        self.read_from_disk(&wanted, visit).unwrap_or_else(|error| panic!("{error}"));
        Ok(())
    }

    /// Segments are shared: one goes once no shard needs it any more. A file that cannot be removed stays until the next
    /// call; [`super::Watch::truncate_before`] tells why.
    fn truncate(&mut self, before: Position) {
        let keep = {
            let mut keep = self.watch.shared.keep.lock().expect("nobody panics with it");
            let mark = keep.of_mut(self.shard);
            *mark = before.max(*mark);
            keep.clone()
        };
        let _ = self.watch.truncate_before(&keep);
    }

    fn ring_when_durable(&mut self, bell: Arc<dyn Bell>) {
        self.watch.shared.set_bell(self.place, bell);
    }
}
