//! How one thread wakes another that has nothing to do.
//!
//! Ringing costs a fence and a load while the other is awake, and one futex call when it is parked.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

/// Wakes the owner of a port or a shard. Rung after publishing into a lane.
pub trait Bell: Send + Sync {
    /// Whatever was published before this call will be seen by the owner.
    fn ring(&self);
}

/// The bell of a thread that parks.
#[derive(Debug, Default)]
pub struct ThreadBell {
    parked: AtomicBool,
    thread: OnceLock<Thread>,
}

impl ThreadBell {
    /// Makes the calling thread the one that is woken. Before this, nobody may wait.
    pub fn attach(&self) {
        self.thread.set(std::thread::current()).expect("a bell has one owner");
    }

    /// Parks until rung, unless `has_work` already; at most for `timeout`.
    ///
    /// The fence here and the one in `ring` make sure that either the ringer sees us parked, or we see its work.
    pub fn wait(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !has_work() {
            match timeout {
                Some(timeout) => std::thread::park_timeout(timeout),
                None => std::thread::park(),
            }
        }
        self.parked.store(false, Ordering::Relaxed);
    }
}

impl Bell for ThreadBell {
    fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}
