//! Reads a journal while it is written: for the shadow that makes snapshots, and for inspection.

use super::Durability;
use super::error::JournalError;
use super::positions::Positions;
use super::running::Watch;
use super::segment;
use super::stream::{Next, Record, Stream};

/// Follows the durable part of a running journal. It has its own file open, so nothing it does holds up the writer.
pub struct Reader {
    watch: Watch,
    stream: Stream,
    /// The segment that comes next, if that was not begun when the reader got there.
    ahead: Option<u64>,
}

impl Reader {
    pub(super) fn new(watch: &Watch, from: &Positions) -> Result<Reader, JournalError> {
        // With the lock, so that nobody removes the segment before it is open.
        let segments = watch.segments();
        for ((shard, wanted), (_, first)) in from.iter().zip(segments[0].begin.iter()) {
            if wanted < first {
                let file = segment::name_of(segments[0].number);
                return Err(JournalError::Truncated { shard, wanted, first, file });
            }
        }
        let newest = segments.iter().rfind(|segment| segment.begin.all_within(from)).unwrap_or(&segments[0]);
        let stream = Stream::open(watch.storage.clone(), watch.journal, newest.number, from.clone())?;
        drop(segments);
        Ok(Reader { watch: watch.clone(), stream, ahead: None })
    }

    /// The next record, in the order in which they were appended; `None` where nothing more is durable now. There may be
    /// more later: a shard's bell tells when.
    ///
    /// A segment may be truncated behind the reader but not ahead of it.
    ///
    /// # Errors
    /// If the journal cannot be read, or is not what was written.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        loop {
            let end = *self.watch.shared.end.lock().expect("nobody panics with it");
            if let Some(number) = self.ahead {
                if number > end.segment {
                    return Ok(None);
                }
                self.stream.enter(number)?.map_err(|what| self.stream.damaged(what))?;
                self.ahead = None;
            }
            let is_last = self.stream.segment.number == end.segment;
            match self.stream.next(if is_last { end.offset } else { self.stream.segment.size })? {
                Next::Record => return Ok(Some(self.stream.record())),
                Next::End { next, .. } => self.ahead = Some(next),
                Next::Limit if is_last => return Ok(None),
                Next::Limit => return Err(self.stream.damaged("no end of the segment".into())),
                Next::NoRecord(what) => return Err(self.stream.damaged(what)),
            }
        }
    }

    /// Makes safe what was read so far: a journal that is kept with [`super::Durability::Async`] may not yet have.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn make_safe(&self) -> Result<(), JournalError> {
        if self.watch.shared.durability == Durability::Fsync {
            return Ok(()); // only what is safe is read
        }
        // The segments before this one are safe, or it would not be there.
        let segment = &self.stream.segment;
        segment.file.sync_data().map_err(JournalError::io("sync", &segment.name))
    }

    /// Durable bytes that are still to be read; where segments have different sizes, about so many.
    pub fn bytes_ahead(&self) -> u64 {
        let end = *self.watch.shared.end.lock().expect("nobody panics with it");
        let here = &self.stream.segment;
        (end.segment * here.size + end.offset).saturating_sub(here.number * here.size + here.offset)
    }

    /// Of all shards, after what was read so far.
    pub fn positions(&self) -> &Positions {
        &self.stream.positions
    }
}
