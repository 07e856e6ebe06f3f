//! Memory of rooms that sockets can refer to.
//!
//! It is a file that is in memory alone (memfd_create(2)), from which segments are mapped. By sendfile(2) a socket gets references to
//! the file's pages instead of a copy of the bytes: what is on its way to ten thousand readers, or waits for slow ones, is
//! in memory once, and the kernel looks for no fresh pages to put it in.
//!
//! A socket may refer to pages of a segment that is long gone. So no place in the file is used twice: what is gone is taken out
//! of the file, and a page that is out of the file stays what it is for those who still hold it.

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};
use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The file.
pub struct Pages {
    file: OwnedFd,
    /// Where the next segment goes. At ten gigabytes a second it comes to the end of what a file can be in 29 years.
    next: AtomicU64,
}

/// Bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// If the system has no such files, or lets us have none.
    pub fn new() -> io::Result<Arc<Self>> {
        let file = memfd_create("ringside-rooms", MemfdFlags::CLOEXEC)?;
        Ok(Arc::new(Self { file, next: AtomicU64::new(0) }))
    }

    /// So many bytes of zeros; whole pages.
    ///
    /// # Errors
    /// If there is no memory, or a limit of the process (file size, mappings) is in the way.
    pub fn map(self: &Arc<Self>, bytes: usize) -> io::Result<Mapped> {
        let offset = self.next.fetch_add(bytes as u64, Ordering::Relaxed);
        // Asked for now: a page that cannot be had when it is written to would end the process.
        fallocate(&self.file, FallocateFlags::empty(), offset, bytes as u64)?;
        let map = MmapOptions::new().offset(offset).len(bytes).populate().map_raw(self.file.as_raw_fd());
        match map {
            Ok(memory) => Ok(Mapped { pages: self.clone(), offset, memory }),
            Err(error) => {
                self.take_out(offset, bytes);
                Err(error)
            }
        }
    }

    fn take_out(&self, offset: u64, bytes: usize) {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if let Err(error) = fallocate(&self.file, hole, offset, bytes as u64) {
            tracing::warn!(%error, bytes, "memory of a room's past is not given back");
        }
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
        self.pages.take_out(self.offset, self.memory.len());
    }
}
