//! What the journal asks of a disk, and the two that it gets: [`Disk`] in production, [`SimulatedDisk`] in tests.
//!
//! A storage is one directory. Names are plain file names. What has been written is there for whoever reads; it is safe
//! from a power loss only after [`StorageFile::sync_data`], and a name that appeared, changed or went only after
//! [`Storage::sync_directory`].

mod disk;
mod simulated;

pub use disk::Disk;
pub use simulated::{SimulatedDisk, Survival};

use std::any::Any;
use std::io;

/// One directory of files. A lack of space is an [`io::Error`] for which [`is_full`] holds.
pub trait Storage: Send + Sync {
    /// Makes an empty file for reading and writing; one that is there already is an error.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Takes a file out of the directory. Who has it open can go on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Gives a file another name, and takes away the file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes all changes of names safe.
    fn sync_directory(&self) -> io::Result<()>;
    /// Locks the directory itself, so that there is no file that could be lost on the way, until the answer is dropped or the
    /// process ends. `None` if another has it in a way that does not go with this one.
    fn lock(&self, access: Access) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
    /// A number that nobody else has: 128 bits of chance.
    fn unique(&self) -> io::Result<u128>;
    /// What to call the directory in messages.
    fn name(&self) -> String;
}

/// With whom a directory is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// With nobody.
    Alone,
    /// With others who only read.
    AmongReaders,
}

/// An open file.
pub trait StorageFile: Send + Sync {
    /// Writes all of `bytes` at `offset`. On error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads from `offset` on, until `buffer` is full or the file ends. Returns how many bytes.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Bytes of the file.
    fn size(&self) -> io::Result<u64>;
    /// Makes everything written so far safe. After an error nobody knows what is on the disk, and asking again does not
    /// help: Linux marks the pages clean.
    fn sync_data(&self) -> io::Result<()>;
}

/// Whether an operation failed because the process or the system has too much open, or no memory for it: it may succeed later.
pub fn is_passing(error: &io::Error) -> bool {
    // EMFILE, ENFILE, which have no kind of their own.
    matches!(error.raw_os_error(), Some(24 | 23)) || error.kind() == io::ErrorKind::OutOfMemory
}

/// Whether an operation failed because there is no space left, on the disk or within what the user or the process may have.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
