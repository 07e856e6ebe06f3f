//! Memory of rooms that sockets can refer to.
//!
//! It is a file that is in memory alone (memfd_create(2)), from which segments are mapped. By sendfile(2) a socket gets references to
//! the file's pages instead of a copy of the bytes: what is on its way to ten thousand readers, or waits for slow ones, is
//! in memory once, and the kernel looks for no fresh pages to put it in.
//!
//! A socket may refer to pages of a segment that is long gone. So no place in the file is used twice: what is gone is taken out
//! of the file, and a page that is out of the file stays what it is for those who still hold it. That is true of what is
//! taken out whole: of a huge page that is in the file in part the kernel would wipe that part. So segments lie as far apart as
//! huge pages are large, and are asked for in small ones.

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// From one segment to the next: the largest page that the kernel might take for a file.
const STEP_BYTES: u64 = 2 << 20;

/// No page of it is there before it is mapped. With 64 KiB of each step, at 100 MB of market data a second it lasts for 43 years.
const FILE_BYTES: u64 = 1 << 62;

/// Segments at a time; a process may have 65,530 mappings, and has others to make.
const MAPPED_MAX: usize = 16_384;

/// The file.
pub struct Pages {
    file: OwnedFd,
    /// Where the next segment goes.
    next: AtomicU64,
    mapped: AtomicUsize,
    /// Whether it was said that there is no more.
    complained: AtomicBool,
}

/// Bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub file: RawFd,
    pub offset: u64,
    pub bytes: usize,
}

/// Memory that is a part of the file, and is taken out of it in the end.
pub struct Mapped {
    pages: Arc<Pages>,
    offset: u64,
    memory: MmapRaw,
}

impl Pages {
    /// # Errors
    /// If the system has no such files, or lets us have none: a limit of file sizes (RLIMIT_FSIZE) is one for these, too.
    pub fn new() -> io::Result<Arc<Self>> {
        let file = memfd_create("ringside-rooms", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, FILE_BYTES)?;
        Ok(Arc::new(Self {
            file,
            next: AtomicU64::new(0),
            mapped: AtomicUsize::new(0),
            complained: AtomicBool::new(false),
        }))
    }

    /// So many bytes of zeros, at most 2 MiB. `None`, and a line in the log the first time, if there is no memory, or so much is mapped
    /// as may be.
    pub fn map(self: &Arc<Self>, bytes: usize) -> Option<Mapped> {
        match self.try_map(bytes) {
            Ok(mapped) => Some(mapped),
            Err(error) => {
                if !self.complained.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "memory that sockets refer to is short: market data is copied for each socket");
                }
                None
            }
        }
    }

    fn try_map(self: &Arc<Self>, bytes: usize) -> io::Result<Mapped> {
        if self.mapped.load(Ordering::Relaxed) >= MAPPED_MAX {
            return Err(io::Error::other("as many segments are mapped as may be"));
        }
        let offset = self.next.fetch_add(STEP_BYTES, Ordering::Relaxed);
        let memory = MmapOptions::new().offset(offset).len(bytes).map_raw(self.file.as_raw_fd())?;
        self.mapped.fetch_add(1, Ordering::Relaxed);
        let mapped = Mapped { pages: self.clone(), offset, memory };
        mapped.memory.advise(Advice::NoHugePage)?;
        // Asked for now: a page that cannot be had when it is written to would end the process.
        mapped.memory.advise(Advice::PopulateWrite)?;
        Ok(mapped)
    }
}

impl Mapped {
    pub fn cells(&self) -> &[UnsafeCell<u8>] {
        // SAFETY: the mapping is so long, and lives as long as `self`; cells may be written to by whoever holds one.
        unsafe { std::slice::from_raw_parts(self.memory.as_mut_ptr().cast(), self.memory.len()) }
    }

    /// Fills its beginning.
    pub fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.memory.len());
        // SAFETY: the mapping is so long, and nobody else has a part of it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.memory.as_mut_ptr(), bytes.len()) };
    }

    /// Of so many bytes from there on.
    pub fn extent(&self, from: usize, bytes: usize) -> Extent {
        debug_assert!(from + bytes <= self.memory.len(), "an extent is within its memory");
        Extent { file: self.pages.file.as_raw_fd(), offset: self.offset + from as u64, bytes }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if let Err(error) = fallocate(&self.pages.file, hole, self.offset, STEP_BYTES) {
            tracing::warn!(%error, "memory of a room's past is not given back");
        }
        self.pages.mapped.fetch_sub(1, Ordering::Relaxed);
    }
}
