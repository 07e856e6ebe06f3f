//! How much a client may say.

use engine_core::units::Timestamp;

/// A token bucket: the time at which it would be empty of debt, in microseconds.
#[derive(Default)]
pub(crate) struct Bucket {
    paid_until: u64,
}

impl Bucket {
    /// Takes a message off, or says after how many milliseconds there is one.
    pub(crate) fn take(&mut self, per_second: u32, burst: u32, now: Timestamp) -> Option<u64> {
        let cost = 1_000_000 / per_second.max(1) as u64;
        let credit = cost * burst as u64;
        let from = self.paid_until.max(now.0.saturating_sub(credit));
        if from + cost > now.0 {
            return Some((from + cost - now.0).div_ceil(1000));
        }
        self.paid_until = from + cost;
        None
    }

    /// Whether nothing was taken off lately: a new one would allow as much.
    pub(crate) fn is_full(&self, per_second: u32, burst: u32, now: Timestamp) -> bool {
        let cost = 1_000_000 / per_second.max(1) as u64;
        self.paid_until <= now.0.saturating_sub(cost * burst as u64)
    }
}
