//! The next segment, made before it is needed: writing 64 MiB of zeros takes a tenth of a second or more, and a rotation
//! that waited for it would hold up everybody.

use super::error::JournalError;
use super::segment;
use super::shared::{NO_FILES, NO_SPARE, Shared};
use super::storage::{Storage, StorageFile, is_full, is_passing};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// The place where the next segment lies until the writer takes it.
pub(super) struct Spares {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The number of the segment that is to be there.
    number: u64,
    ready: Option<Spare>,
    closing: bool,
}

/// A segment of zeros.
pub(super) struct Spare {
    pub number: u64,
    pub file: Box<dyn StorageFile>,
}

impl Spares {
    /// `number` is the segment that comes next.
    pub fn new(number: u64) -> Self {
        let state = State { number, ready: None, closing: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Takes the next segment, if it is ready, and asks for the one after it.
    pub fn take(&self) -> Option<Spare> {
        let mut state = self.state();
        let spare = state.ready.take()?;
        state.number = spare.number + 1;
        self.changed.notify_all();
        Some(spare)
    }

    /// Waits until the next segment is ready or nobody will make it, at most for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let state = self.state();
        if state.ready.is_none() && !state.closing {
            drop(self.changed.wait_timeout(state, timeout).expect("nobody panics with it"));
        }
    }

    /// Waits for space to come back, or for the end, for `timeout`.
    pub fn pause(&self, timeout: Duration) {
        let state = self.state();
        if !state.closing {
            drop(self.changed.wait_timeout(state, timeout).expect("nobody panics with it"));
        }
    }

    /// The segment that is missing now, if any.
    #[cfg(test)]
    pub fn needed(&self) -> Option<u64> {
        let state = self.state();
        state.ready.is_none().then_some(state.number)
    }

    pub fn close(&self) {
        self.state().closing = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

/// Makes segments, one ahead of the writer.
pub(super) struct Preparer {
    pub storage: Arc<dyn Storage>,
    pub shared: Arc<Shared>,
    pub spares: Arc<Spares>,
    pub segment_bytes: u64,
    /// How long it waits for space before it tries again.
    pub retry: Duration,
}

impl Preparer {
    /// The thread's work.
    pub fn run(self) {
        while let Some(number) = self.wait_for_need() {
            match self.prepare(number) {
                Ok(true) => {}
                Ok(false) => self.spares.pause(self.retry),
                Err(error) => return self.shared.fail(&error),
            }
        }
    }

    /// Makes that segment. Returns whether there was space, and a descriptor.
    pub fn prepare(&self, number: u64) -> Result<bool, JournalError> {
        match segment::prepare(&*self.storage, number, self.segment_bytes) {
            Ok(file) => {
                self.spares.state().ready = Some(Spare { number, file });
                self.shared.set(NO_SPARE, false);
                self.shared.set(NO_FILES, false);
                self.spares.changed.notify_all();
                Ok(true)
            }
            Err(JournalError::Io { source, .. }) if is_full(&source) || is_passing(&source) => {
                self.shared.set(NO_FILES, is_passing(&source)); // the reason before the fact
                self.shared.set(NO_SPARE, true);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for a segment to be missing; `None` at the end.
    fn wait_for_need(&self) -> Option<u64> {
        let mut state = self.spares.state();
        while state.ready.is_some() && !state.closing {
            state = self.spares.changed.wait(state).expect("nobody panics with it");
        }
        (!state.closing).then_some(state.number)
    }
}
