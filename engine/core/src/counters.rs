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
            (_, ReportBody::OrderReject { reason, .. } | ReportBody::CancelReject { reason, .. }) => {
                self.rejects[*reason as usize].add(1)
            }
            _ => {}
        }
    }
}
