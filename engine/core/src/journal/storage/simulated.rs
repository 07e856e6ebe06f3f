//! A disk in memory that misbehaves as real ones do, for tests of the engine and of the gateway.
//!
//! It keeps two truths: what a reader sees, and what is on the platter. A write or a change of a name reaches the second
//! at a sync; at a crash any part of the rest may have reached it too:
//! - any 512-byte sectors of any unsynced writes, the last write torn at any byte,
//! - any of the unsynced changes of names.
//!
//! Besides it fills up ([`SimulatedDisk::set_capacity`]), fails a sync the way Linux does (what was not on the platter may
//! never get there, although readers go on seeing it and the next sync succeeds), and flips bits.
//!
//! Every write, sync and change of a name is one *point*. Points are counted, so that a test can run once to count them
//! and then again for each of them, with a crash there: the operation fails, and so does everything after it until
//! [`SimulatedDisk::restart`]. All chance comes from the seed.

use super::{Access, Storage, StorageFile};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// How much of what was not synced outlives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything, as when only the process was killed.
    Everything,
    /// By chance: sector by sector and name by name, the last write torn somewhere.
    Some,
    /// Everything, but of the last write only so many bytes.
    TornAt(usize),
}

struct State {
    random: u64,
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    names_on_platter: BTreeMap<String, usize>,
    renamings: Vec<Renaming>,
    locked: Vec<Access>,
    /// The file with the newest write, unless that is synced.
    last_write: Option<usize>,
    capacity: u64,
    opens_nothing: bool,
    points: u64,
    crash_at: Option<u64>,
    fail_sync_at: Option<u64>,
    crashed: bool,
    /// How often it was restarted: files that were open before are closed.
    life: u64,
}

#[derive(Clone, Default)]
struct Contents {
    seen: Vec<u8>,
    on_platter: Vec<u8>,
    unsynced: Vec<Write>,
}

#[derive(Clone)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

/// A change of names that is not synced.
#[derive(Clone)]
enum Renaming {
    Create(String, usize),
    Remove(String),
    Rename(String, String),
}

impl SimulatedDisk {
    /// An empty disk without an end.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: seed,
            files: Vec::new(),
            names: BTreeMap::new(),
            names_on_platter: BTreeMap::new(),
            renamings: Vec::new(),
            locked: Vec::new(),
            last_write: None,
            capacity: u64::MAX,
            opens_nothing: false,
            points: 0,
            crash_at: None,
            fail_sync_at: None,
            crashed: false,
            life: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Writes, syncs and changes of names so far.
    pub fn points(&self) -> u64 {
        self.lock_state().points
    }

    /// Has the disk crash at the point of that number, from 1. A write there may reach the platter as far as an unsynced
    /// write may; a sync there has made nothing safe.
    pub fn crash_at(&self, point: u64) {
        self.lock_state().crash_at = Some(point);
    }

    /// Has the sync at that point, or the first after it, fail.
    pub fn fail_sync_at(&self, point: u64) {
        self.lock_state().fail_sync_at = Some(point);
    }

    /// Has the disk crash now.
    pub fn crash(&self) {
        self.lock_state().crashed = true;
    }

    /// Starts it again, with so much of what was not synced. Files that were open are closed, locks are gone.
    pub fn restart(&self, survival: Survival) {
        self.lock_state().restart(survival);
    }

    /// Ends the process that has files open and lets the machine go on: readers see what they saw, nothing is lost yet.
    pub fn restart_process(&self) {
        self.lock_state().restart_process();
    }

    /// How many bytes fit, all files together.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock_state().capacity = bytes;
    }

    /// Whether files can be opened and made, as when the process has as many open as it may.
    pub fn set_opens(&self, opens: bool) {
        self.lock_state().opens_nothing = !opens;
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.lock_state().used()
    }

    /// A disk of its own with everything that this one has on its platter and shows.
    pub fn copy(&self) -> Self {
        let from = self.lock_state();
        let copy = Self::new(from.random);
        let mut to = copy.lock_state();
        to.files = from.files.clone();
        to.names = from.names.clone();
        to.names_on_platter = from.names_on_platter.clone();
        to.renamings = from.renamings.clone();
        to.last_write = from.last_write;
        drop(to);
        copy
    }

    /// The bytes of a file.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.lock_state();
        state.files[state.names[name]].seen.clone()
    }

    /// Puts a file there, as somebody else might, safe at once.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.lock_state();
        state.files.push(Contents { seen: bytes.clone(), on_platter: bytes, unsynced: Vec::new() });
        let file = state.files.len() - 1;
        state.names.insert(name.into(), file);
        state.names_on_platter.insert(name.into(), file);
    }

    /// Takes a file away, as somebody else might.
    pub fn take(&self, name: &str) {
        let mut state = self.lock_state();
        state.names.remove(name);
        state.names_on_platter.remove(name);
    }

    /// Flips one bit of a file, counted from its beginning.
    pub fn flip_bit(&self, name: &str, bit: usize) {
        let mut bytes = self.contents(name);
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.put(name, bytes);
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a test does not panic in here")
    }

    fn file(&self, file: usize, life: u64) -> Box<dyn StorageFile> {
        Box::new(SimulatedFile { disk: self.clone(), file, life })
    }
}

impl State {
    /// One more point; fails if the disk has crashed or does so here.
    fn point(&mut self) -> io::Result<()> {
        self.alive()?;
        self.points += 1;
        self.crashed = self.crash_at == Some(self.points);
        self.alive()
    }

    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the simulated machine has crashed")) } else { Ok(()) }
    }

    /// Whether one more file can be open.
    fn openable(&self) -> io::Result<()> {
        self.alive()?;
        if self.opens_nothing { Err(io::Error::from_raw_os_error(24)) } else { Ok(()) } // EMFILE
    }

    /// Whether the sync at this point is the one that fails.
    fn fails_sync(&mut self) -> bool {
        let fails = self.fail_sync_at.is_some_and(|at| self.points >= at);
        if fails {
            self.fail_sync_at = None;
        }
        fails
    }

    fn chance(&mut self) -> bool {
        self.draw() & 1 == 0
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn used(&self) -> u64 {
        self.names.values().map(|&file| self.files[file].seen.len() as u64).sum()
    }

    fn write(&mut self, file: usize, bytes: &[u8], offset: usize) -> io::Result<()> {
        self.alive()?;
        let grown = (offset + bytes.len()).saturating_sub(self.files[file].seen.len()) as u64;
        if self.used() + grown > self.capacity {
            return Err(ErrorKind::StorageFull.into());
        }
        let write = Write { offset, bytes: bytes.to_vec() };
        write.apply(&mut self.files[file].seen);
        self.files[file].unsynced.push(write);
        self.last_write = Some(file);
        self.point()
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        self.point()?;
        let fails = self.fails_sync();
        for write in std::mem::take(&mut self.files[file].unsynced) {
            for part in write.sectors() {
                if !fails || self.chance() {
                    part.apply(&mut self.files[file].on_platter);
                }
            }
        }
        if self.last_write == Some(file) {
            self.last_write = None;
        }
        if fails { Err(io::Error::other("the simulated disk cannot write")) } else { Ok(()) }
    }

    fn rename(&mut self, renaming: Renaming) -> io::Result<()> {
        self.alive()?;
        renaming.apply(&mut self.names);
        self.renamings.push(renaming);
        self.point()
    }

    fn restart(&mut self, survival: Survival) {
        for file in 0..self.files.len() {
            let mut writes = std::mem::take(&mut self.files[file].unsynced);
            if self.last_write == Some(file)
                && let Some(last) = writes.last_mut()
            {
                let kept = match survival {
                    Survival::TornAt(bytes) => bytes,
                    Survival::Some => self.draw() as usize % (last.bytes.len() + 1),
                    _ => usize::MAX,
                };
                last.bytes.truncate(kept);
            }
            for part in writes.iter().flat_map(Write::sectors) {
                if self.survives(survival) {
                    part.apply(&mut self.files[file].on_platter);
                }
            }
            self.files[file].seen = self.files[file].on_platter.clone();
        }
        for renaming in std::mem::take(&mut self.renamings) {
            if self.survives(survival) {
                renaming.apply(&mut self.names_on_platter);
            }
        }
        self.names = self.names_on_platter.clone();
        self.last_write = None;
        self.restart_process();
    }

    fn restart_process(&mut self) {
        self.locked.clear();
        (self.crashed, self.crash_at, self.fail_sync_at) = (false, None, None);
        self.life += 1;
    }

    fn survives(&mut self, survival: Survival) -> bool {
        match survival {
            Survival::Nothing => false,
            Survival::Everything | Survival::TornAt(_) => true,
            Survival::Some => self.chance(),
        }
    }
}

impl Write {
    /// The write in parts that the platter takes whole.
    fn sectors(&self) -> Vec<Write> {
        let mut parts = Vec::new();
        let mut from = 0;
        while from < self.bytes.len() {
            let room = SECTOR - (self.offset + from) % SECTOR;
            let to = (from + room).min(self.bytes.len());
            parts.push(Write { offset: self.offset + from, bytes: self.bytes[from..to].to_vec() });
            from = to;
        }
        parts
    }

    fn apply(&self, contents: &mut Vec<u8>) {
        let end = self.offset + self.bytes.len();
        contents.resize(contents.len().max(end), 0);
        contents[self.offset..end].copy_from_slice(&self.bytes);
    }
}

impl Renaming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Renaming::Create(name, file) => drop(names.insert(name.clone(), *file)),
            Renaming::Remove(name) => drop(names.remove(name)),
            Renaming::Rename(from, to) => {
                // If the name that it had never got to the platter, neither does the new one.
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

impl Storage for SimulatedDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut state = self.lock_state();
        if state.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.openable()?;
        state.files.push(Contents::default());
        let file = state.files.len() - 1;
        state.rename(Renaming::Create(name.into(), file))?;
        Ok(self.file(file, state.life))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let state = self.lock_state();
        state.openable()?;
        let file = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(self.file(file, state.life))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.lock_state();
        state.alive()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        if !state.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        state.rename(Renaming::Remove(name.into()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        if !state.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        state.rename(Renaming::Rename(from.into(), to.into()))
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.lock_state();
        state.point()?;
        if state.fails_sync() {
            return Err(io::Error::other("the simulated disk cannot write"));
        }
        state.renamings.clear();
        state.names_on_platter = state.names.clone();
        Ok(())
    }

    fn lock(&self, access: Access) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut state = self.lock_state();
        state.alive()?;
        if state.locked.iter().any(|other| [*other, access].contains(&Access::Alone)) {
            return Ok(None);
        }
        state.locked.push(access);
        Ok(Some(Box::new(Lock { disk: self.clone(), life: state.life })))
    }

    fn unique(&self) -> io::Result<u128> {
        let mut state = self.lock_state();
        Ok(u128::from(state.draw()) << 64 | u128::from(state.draw()))
    }

    fn name(&self) -> String {
        "the simulated disk".into()
    }
}

struct Lock {
    disk: SimulatedDisk,
    life: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.disk.lock_state();
        if state.life == self.life {
            state.locked.pop(); // those who share it are alike
        }
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
    life: u64,
}

impl SimulatedFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock_state();
        let closed = state.life != self.life;
        if closed { Err(io::Error::other("the file was open before the crash")) } else { Ok(state) }
    }
}

impl StorageFile for SimulatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.state()?.write(self.file, bytes, offset as usize)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state()?;
        state.alive()?;
        let seen = &state.files[self.file].seen;
        let from = seen.len().min(offset as usize);
        let count = buffer.len().min(seen.len() - from);
        buffer[..count].copy_from_slice(&seen[from..from + count]);
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.state()?;
        state.alive()?;
        Ok(state.files[self.file].seen.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state()?.sync(self.file)
    }
}
