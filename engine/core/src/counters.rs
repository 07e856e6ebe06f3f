//! What the engine counts while it works: one writer each, read by anyone at any time.

use crate::message::{Recipient, Reject, Report, ReportBody};
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread adds to and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the counter's writer may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// Replaces; only the counter's writer may.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The number as last written.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations in microseconds, in buckets that double: up to 1, 2, 4, … µs; the last holds the rest.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; Histogram::BUCKETS],
    sum: Counter,
}

impl Histogram {
    /// The last bucket but one ends at 2^22 µs, four seconds.
    pub const BUCKETS: usize = 24;

    /// Counts a duration; only the histogram's writer may.
    pub fn record(&self, microseconds: u64) {
        let bucket = (u64::BITS - microseconds.saturating_sub(1).leading_zeros()) as usize;
        self.buckets[bucket.min(Self::BUCKETS - 1)].add(1);
        self.sum.add(microseconds);
    }

    /// The buckets' upper ends in microseconds (none for the last) and how many durations are in each.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let end = |bucket: usize| (bucket + 1 < Self::BUCKETS).then(|| 1 << bucket);
        self.buckets.iter().enumerate().map(move |(bucket, count)| (end(bucket), count.get()))
    }

    /// All durations together, in microseconds.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

/// Counted by a sequencer's thread.
#[derive(Debug, Default)]
#[repr(align(128))] // its own cache lines: one writer each
pub struct SequencerCounters {
    /// Inputs applied.
    pub inputs: Counter,
    /// Orders acknowledged, repeats included.
    pub orders_acked: Counter,
    /// Cancels acknowledged.
    pub cancels_acked: Counter,
    /// Refusals, by [`Reject`] as an index.
    pub rejects: [Counter; Reject::ALL.len()],
    /// Inputs waiting when the thread last looked.
    pub ingress_depth: Counter,
    /// Settlements waiting when the thread last looked.
    pub settlement_depth: Counter,
    /// Accounts whose holds were added up again and found right; the first wrong one stops the engine.
    pub audits: Counter,
    /// Order ids remembered.
    pub order_ids: Counter,
    /// Bytes of memory that these take.
    pub order_id_bytes: Counter,
}

/// Counted by a matcher's thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct MatcherCounters {
    /// Messages applied.
    pub messages: Counter,
    /// Trades made.
    pub trades: Counter,
    /// Messages waiting when the thread last looked.
    pub depth: Counter,
}

impl SequencerCounters {
    pub(crate) fn count(&self, report: &Report) {
        match (&report.to, &report.body) {
            (Recipient::Watchers, _) => {}
            (_, ReportBody::OrderAck { .. }) => self.orders_acked.add(1),
            (_, ReportBody::CancelAck { .. }) => self.cancels_acked.add(1),
            (
                _,
                ReportBody::OrderReject { reason, .. }
                | ReportBody::CancelReject { reason, .. }
                | ReportBody::AmendReject { reason, .. }
                | ReportBody::Refused { reason },
            ) => self.rejects[*reason as usize].add(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_ends_at_or_above_it() {
        let histogram = Histogram::default();
        for microseconds in [0, 1, 2, 3, 4, 5, u64::MAX / 2] {
            histogram.record(microseconds);
        }
        let counts: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(Some(1), 2), (Some(2), 1), (Some(4), 2), (Some(8), 1), (None, 1)]);
    }
}
