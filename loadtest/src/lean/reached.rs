//! How far a subscriber has come, for others to look at while it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Written by whoever reads for it. Those it is cloned for see the same.
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<AtomicU64>);

/// It was closed, and will come no further.
const CLOSED: u64 = u64::MAX;

impl Reached {
    pub fn set(&self, seq: u64) {
        self.0.store(seq, Ordering::Relaxed);
    }

    pub fn close(&self) {
        self.set(CLOSED);
    }

    /// The newest sequence it has got. None if it was closed.
    pub fn seq(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|seq| *seq != CLOSED)
    }
}
