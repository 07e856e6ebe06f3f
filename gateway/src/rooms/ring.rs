//! A room's ring: a bounded window of the room's byte stream, written once and read in place by every reactor.
//!
//! ```text
//!            oldest                                   head
//!              ▼                                       ▼
//!  … gone │ segment │ segment │ segment (being filled) ┆ not yet published
//!              ▲ a laggard's position      ▲ a reactor's cursor
//! ```
//! The stream is made of complete server-to-client WebSocket frames and never ends; a place in it is a byte count
//! since the room began. It lies in segments linked oldest to newest. One writer appends and publishes; a frame
//! never straddles two segments, so a span within a segment is whole frames at both ends.
//!
//! Who keeps what alive: each reactor's [`Reader`] holds the segments of the window and lets go of the oldest as the
//! stream moves on. A connection holds only a position. So a slow connection pins no memory: when its position has
//! left the window it is lapped and gets a snapshot.
//!
//! The ring has one lock, around the newest segment. The writer takes it when it begins a segment and a reactor when
//! it joins the room: never on the way of a frame.

use super::pages::{Extent, Mapped, Pages};
use super::sync::{AtomicUsize, Mutex, OnceLock, Ordering};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// Sizes of a room's first segments and of all later ones: a room that carries little stays small, a busy one asks
/// for memory every few hundred frames. Miri looks at every byte of a segment whenever one is referred to: there all are small.
const SEGMENT_BYTES: [usize; 4] = if cfg!(miri) {
    [2 << 10, 3 << 10, 4 << 10, 4 << 10]
} else {
    [2 << 10, 8 << 10, 32 << 10, MAPPED_BYTES]
};

/// Of a segment that is mapped: those after the first three, unless a frame is larger.
const MAPPED_BYTES: usize = 64 << 10;

struct Segment {
    /// The stream position of its first byte.
    start: u64,
    memory: Memory,
    /// Bytes that readers may see. Written by the writer with release.
    published: AtomicUsize,
    /// Set when the writer has moved on; `published` is final before.
    next: OnceLock<Arc<Segment>>,
    /// Loom does not see plain memory. It sees these, one for each KiB, which are touched with it.
    #[cfg(feature = "loom")]
    witness: Box<[loom::cell::UnsafeCell<()>]>,
}

enum Memory {
    /// The allocator's.
    Heap(Box<[UnsafeCell<u8>]>),
    /// What sockets can refer to.
    Mapped(Mapped),
}

impl Memory {
    /// The segments of a room that has carried some are mapped if they can be. All memory is zeroed; of the allocator's, pages that are
    /// never written are never there.
    fn new(capacity: usize, pages: Option<&Arc<Pages>>) -> Self {
        if capacity == MAPPED_BYTES
            && let Some(pages) = pages
            && let Some(mapped) = pages.map(capacity)
        {
            return Memory::Mapped(mapped);
        }
        let zeros = Box::into_raw(vec![0u8; capacity].into_boxed_slice());
        // SAFETY: the box was just given up, and `UnsafeCell<u8>` has the layout of `u8`.
        Memory::Heap(unsafe { Box::from_raw(zeros as *mut [UnsafeCell<u8>]) })
    }

    fn cells(&self) -> &[UnsafeCell<u8>] {
        match self {
            Memory::Heap(cells) => cells,
            Memory::Mapped(mapped) => mapped.cells(),
        }
    }
}

// SAFETY: bytes below `published` are never written again, and readers look only there; the writer alone writes
// above. `published` is stored with release and loaded with acquire, which orders the two.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    fn new(start: u64, capacity: usize, pages: Option<&Arc<Pages>>) -> Arc<Self> {
        Arc::new(Self {
            start,
            memory: Memory::new(capacity, pages),
            published: AtomicUsize::new(0),
            next: OnceLock::new(),
            #[cfg(feature = "loom")]
            witness: (0..capacity / 1024).map(|_| loom::cell::UnsafeCell::new(())).collect(),
        })
    }

    fn published(&self) -> &[u8] {
        let length = self.published.load(Ordering::Acquire);
        #[cfg(feature = "loom")]
        self.witness[..length / 1024].iter().for_each(|cell| cell.with(|_| ()));
        // SAFETY: bytes below `published` are initialised and immutable; `UnsafeCell<u8>` has the layout of `u8`.
        unsafe { std::slice::from_raw_parts(self.memory.cells().as_ptr().cast(), length) }
    }

    fn end(&self) -> u64 {
        self.start + self.published.load(Ordering::Acquire) as u64
    }
}

/// What a room's writer and readers share.
pub struct Ring {
    newest: Mutex<Arc<Segment>>,
}

/// The one writer of a ring.
pub struct Writer {
    ring: Arc<Ring>,
    segment: Arc<Segment>,
    /// Bytes of `segment` that are written, published or not.
    written: usize,
    /// Segments begun so far.
    segments: usize,
    pages: Option<Arc<Pages>>,
}

/// An empty ring and its writer. Once it is busy it lies in `pages`, if there are any.
pub fn ring(pages: Option<Arc<Pages>>) -> (Arc<Ring>, Writer) {
    let segment = Segment::new(0, 0, None); // no buffer before there is traffic
    let ring = Arc::new(Ring { newest: Mutex::new(segment.clone()) });
    (ring.clone(), Writer { ring, segment, written: 0, segments: 0, pages })
}

impl Writer {
    /// Appends one whole frame, given in pieces. Readers see it after [`Writer::publish`].
    pub fn append(&mut self, frame: &[&[u8]]) {
        let length: usize = frame.iter().map(|piece| piece.len()).sum();
        if self.segment.memory.cells().len() - self.written < length {
            self.begin_segment(length);
        }
        for piece in frame {
            let free = &self.segment.memory.cells()[self.written..self.written + piece.len()];
            // SAFETY: these bytes are above `published`, where only the one writer goes, and `free` bounds them.
            unsafe {
                std::ptr::copy_nonoverlapping(piece.as_ptr(), UnsafeCell::raw_get(free.as_ptr()), piece.len())
            };
            #[cfg(feature = "loom")]
            self.segment.witness[self.written / 1024].with_mut(|_| ());
            self.written += piece.len();
        }
    }

    /// Shows readers everything appended. Returns the head: the position after the last byte.
    pub fn publish(&mut self) -> u64 {
        self.segment.published.store(self.written, Ordering::Release);
        self.segment.start + self.written as u64
    }

    fn begin_segment(&mut self, frame: usize) {
        let start = self.publish();
        let size = SEGMENT_BYTES[self.segments.min(SEGMENT_BYTES.len() - 1)];
        let segment = Segment::new(start, size.max(frame), self.pages.as_ref());
        assert!(self.segment.next.set(segment.clone()).is_ok(), "a ring has one writer");
        *self.ring.newest.lock().expect("no holder of this lock can panic") = segment.clone();
        self.segment = segment;
        self.segments += 1;
        self.written = 0;
    }
}

/// One reactor's view of a ring.
pub struct Reader {
    /// Oldest first, never empty.
    segments: VecDeque<Arc<Segment>>,
    window_bytes: u64,
    head: u64,
}

impl Reader {
    /// A view that begins at the newest segment and keeps `window_bytes` (and up to a segment more) for laggards.
    pub fn join(ring: &Ring, window_bytes: u64) -> Self {
        let newest = ring.newest.lock().expect("no holder of this lock can panic").clone();
        let mut reader = Self { head: newest.start, segments: VecDeque::from([newest]), window_bytes };
        reader.refresh();
        reader
    }

    /// Looks for what was published since. Returns the head. Everything is held until [`Reader::forget_before`].
    pub fn refresh(&mut self) -> u64 {
        loop {
            let newest = self.segments.back().expect("never empty");
            // The link is looked at first: once it is set, `published` is final.
            let next = newest.next.get().cloned();
            self.head = newest.end();
            match next {
                Some(next) => self.segments.push_back(next),
                None => break,
            }
        }
        self.head
    }

    /// Lets go of what has left the window, but of nothing from `position` on.
    pub fn forget_before(&mut self, position: u64) {
        let is_gone = |end: u64| end <= position && self.head - end >= self.window_bytes;
        // One at a time: a segment is freed while its successor is still held, so no chain of drops builds up.
        while self.segments.len() > 1 && is_gone(self.segments[0].end()) {
            self.segments.pop_front();
        }
    }

    /// The head as of the last refresh.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The oldest position that can still be read; whoever stands before it is lapped.
    pub fn oldest(&self) -> u64 {
        self.segments[0].start
    }

    /// The bytes from `from` on, up to `to` or the end of the segment they are in. Empty only if `from == to`.
    ///
    /// # Panics
    /// If the range is not within [oldest, head].
    pub fn span(&self, from: u64, to: u64) -> &[u8] {
        assert!(self.oldest() <= from && from <= to && to <= self.head, "a span lies within the window");
        let at = self.find(from);
        let segment = &self.segments[at];
        let end = to.min(segment.end());
        &segment.published()[(from - segment.start) as usize..(end - segment.start) as usize]
    }

    /// Where the kernel has the bytes of [`Reader::span`], if it does.
    pub fn extent(&self, from: u64, to: u64) -> Option<Extent> {
        let segment = &self.segments[self.find(from)];
        let Memory::Mapped(mapped) = &segment.memory else { return None };
        Some(mapped.extent((from - segment.start) as usize, (to.min(segment.end()) - from) as usize))
    }

    fn find(&self, position: u64) -> usize {
        // Most readers are in the newest segment. A position at a boundary belongs to the later segment, if any.
        let at = self.segments.iter().rposition(|segment| segment.start <= position);
        at.expect("the position is within the window")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel has of it: positions, and the bytes there.
    fn in_file(reader: &Reader, mut from: u64, to: u64) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        while from < to {
            let span = reader.span(from, to);
            if let Some(Extent { file, offset, bytes }) = reader.extent(from, to) {
                assert_eq!(bytes, span.len(), "an extent is the span's");
                let mut buffer = vec![0; bytes];
                // SAFETY: the ring, which has the file, is there for the time of the test.
                let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(file) };
                assert_eq!(rustix::io::pread(file, &mut buffer, offset), Ok(bytes));
                found.push((from, buffer));
            }
            from += span.len() as u64;
        }
        found
    }

    fn read(reader: &Reader, mut from: u64, to: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while from < to {
            let span = reader.span(from, to);
            from += span.len() as u64;
            bytes.extend_from_slice(span);
        }
        bytes
    }

    #[test]
    fn nothing_is_seen_before_it_is_published() {
        let (ring, mut writer) = ring(None);
        let mut reader = Reader::join(&ring, 1000);
        writer.append(&[b"ab", b"c"]);
        assert_eq!(reader.refresh(), 0);
        assert_eq!(writer.publish(), 3);
        assert_eq!(reader.refresh(), 3);
        assert_eq!(read(&reader, 0, 3), b"abc");
        assert_eq!(reader.span(1, 3), b"bc");
    }

    #[test]
    fn what_a_reader_has_not_passed_is_held_however_far_ahead_the_writer_is() {
        let (ring, mut writer) = ring(None);
        let mut reader = Reader::join(&ring, 1000);
        let stream: Vec<u8> = (0..300_000).map(|n: u32| (n / 1000) as u8).collect();
        stream.chunks(1000).for_each(|frame| writer.append(&[frame]));
        let head = writer.publish();
        assert_eq!(reader.refresh(), head);
        assert_eq!(read(&reader, 0, head), stream);
        reader.forget_before(head);
        assert!(reader.oldest() > 0 && head - reader.oldest() >= 1000);
    }

    #[test]
    fn a_late_reader_begins_at_the_newest_segment() {
        let (ring, mut writer) = ring(None);
        for _ in 0..3 {
            writer.append(&[&[7; 1500]]);
        }
        writer.publish();
        let reader = Reader::join(&ring, 1 << 20);
        assert!(reader.oldest() > 0);
        assert_eq!(reader.head(), 4500);
    }

    #[test]
    fn readers_on_other_threads_see_whole_frames_in_order() {
        let (ring, mut writer) = ring(None);
        let total = if cfg!(miri) { 60u64 } else { 20_000 };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                // Joined before the first frame: who joins later would wait for frames that have gone by.
                let mut reader = Reader::join(&ring, u64::MAX);
                scope.spawn(move || {
                    let (mut cursor, mut last) = (reader.head(), None);
                    while last != Some(total - 1) {
                        let head = reader.refresh();
                        while cursor < head {
                            let span = reader.span(cursor, head);
                            for frame in span.chunks_exact(16) {
                                let (n, check) = frame.split_at(8);
                                let n = u64::from_le_bytes(n.try_into().unwrap());
                                assert_eq!(check, (!n).to_le_bytes());
                                assert!(last.is_none_or(|last| n == last + 1));
                                last = Some(n);
                            }
                            cursor += span.len() as u64;
                        }
                        std::thread::yield_now();
                    }
                });
            }
            for n in 0..total {
                writer.append(&[&n.to_le_bytes(), &(!n).to_le_bytes()]);
                if n % 3 == 0 {
                    writer.publish();
                }
            }
            writer.publish();
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 256 }, ..Default::default() })]
        #[test]
        fn holds_the_newest_window_of_the_stream(
            frames in prop::collection::vec((1usize..3000, any::<bool>()), 1..80),
            window in 0u64..20_000,
            is_mapped in any::<bool>(),
        ) {
            // Miri knows no such files.
            let pages = (is_mapped && !cfg!(miri)).then(|| Pages::new().unwrap());
            let (ring, mut writer) = ring(pages);
            let mut reader = Reader::join(&ring, window);
            let mut stream = Vec::new();
            let (mut published, mut cursor) = (0, 0);
            for (n, (length, publish)) in frames.into_iter().enumerate() {
                let frame = vec![n as u8; length];
                writer.append(&[&frame]);
                stream.extend_from_slice(&frame);
                if publish {
                    published = writer.publish();
                    prop_assert_eq!(published, stream.len() as u64);
                }
                // What is not published by hand shows when the writer moves to the next segment, never sooner.
                let head = reader.refresh();
                prop_assert!(head >= published && head <= stream.len() as u64);
                prop_assert_eq!(&read(&reader, cursor, head), &stream[cursor as usize..head as usize]);
                cursor = head;
                reader.forget_before(cursor);
                let oldest = reader.oldest();
                prop_assert!(head - oldest <= window + 2 * 64 * 1024);
                prop_assert!(oldest == 0 || head - oldest >= window.min(head));
                prop_assert_eq!(&read(&reader, oldest, head), &stream[oldest as usize..head as usize]);
                for (from, bytes) in in_file(&reader, oldest, head) {
                    prop_assert!(is_mapped, "only what is mapped is in a file");
                    prop_assert_eq!(&bytes, &stream[from as usize..from as usize + bytes.len()]);
                }
            }
        }
    }
}
