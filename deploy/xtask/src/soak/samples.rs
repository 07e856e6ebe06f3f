//! What the exchange had, and whether it grew.
//!
//! One thing grows by design: an order's id is remembered for 24 hours, so for the first day memory follows the orders that
//! were ever sent. How much that is follows from how ids are kept ([`remembered_bytes`]), and the exchange keeps them twice: the
//! keeper, which writes snapshots, has a state of its own. That much is taken off each sample; what is left must be flat.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Growth beside that of the ids, a second half of the run extrapolated to an hour. At the usual thousand orders a second it is
/// 9 bytes an order: the allocator gives no block below 32, so to lose one for every fourth order is found.
const GROWTH_AN_HOUR_MAX: f64 = 32.0 * 1024.0 * 1024.0;

/// Descriptors that may be open for a moment: a scrape of the metrics, a snapshot, a segment that is made.
const DESCRIPTORS_SLACK: u64 = 4;

/// States with the ids in them: the engine's and the keeper's.
const STATES: u64 = 2;

/// Of an id in the queue, and of a bucket of the table that finds it.
const RECORD_BYTES: u64 = 72;
const BUCKET_BYTES: u64 = 5;
const BUCKETS_MIN: u64 = 2048;

/// What the process has at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub at: Duration,
    pub resident_bytes: u64,
    pub descriptors: u64,
    /// Of segments.
    pub journal_bytes: u64,
    pub snapshots: u64,
    pub snapshot_bytes: u64,
    pub order_ids: u64,
}

#[derive(Default)]
pub struct Samples(Vec<Sample>);

impl Sample {
    /// Memory without that of the ids.
    fn other_bytes(&self) -> f64 {
        self.resident_bytes as f64 - (STATES * remembered_bytes(self.order_ids)) as f64
    }
}

impl Samples {
    pub fn add(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// Says what it found, and fails if something grew that should not.
    pub fn judge(&self) -> Result<()> {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        ensure!(first.len() > 1, "too short to say anything");
        let growth = growth_an_hour(second);
        let most = |half: &[Sample]| half.iter().map(|sample| sample.descriptors).max().unwrap_or(0);
        let (before, after) = (most(first), most(second));
        println!(
            "memory beside order ids: {:+.1} MiB an hour in the second half, at most {:.0} are allowed; descriptors: at most \
             {before}, then at most {after}",
            mib(growth),
            mib(GROWTH_AN_HOUR_MAX)
        );
        ensure!(growth <= GROWTH_AN_HOUR_MAX, "memory grows");
        ensure!(after <= before + DESCRIPTORS_SLACK, "descriptors are not given back");
        Ok(())
    }
}

/// Of the line with the least squares.
fn growth_an_hour(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let points = || samples.iter().map(|sample| (sample.at.as_secs_f64() / 3600.0, sample.other_bytes()));
    let sums = points().fold((0.0, 0.0), |(x, y), (at, bytes)| (x + at, y + bytes));
    let middle = (sums.0 / count, sums.1 / count);
    let above: f64 = points().map(|(at, bytes)| (at - middle.0) * (bytes - middle.1)).sum();
    let below: f64 = points().map(|(at, _)| (at - middle.0).powi(2)).sum();
    above / below
}

/// A record each, in a queue, and a table whose buckets double when three quarters are taken. The smaller table stays until
/// all ids have moved, four with each that comes.
fn remembered_bytes(ids: u64) -> u64 {
    let mut buckets = BUCKETS_MIN;
    let mut smaller = 0;
    while 4 * ids >= 3 * buckets {
        (smaller, buckets) = (buckets, 2 * buckets);
    }
    let full_at = 3 * smaller / 4;
    let moving = if ids < full_at + full_at / 4 { smaller } else { 0 };
    ids * RECORD_BYTES + (buckets + moving) * BUCKET_BYTES
}

fn mib(bytes: f64) -> f64 {
    bytes / 1024.0 / 1024.0
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mib = |bytes: u64| mib(bytes as f64);
        write!(
            f,
            "{:>4} min: {:.1} MiB resident, {:.1} beside {} order ids; {} descriptors; journal {:.0} MiB, {} snapshots {:.0} MiB",
            self.at.as_secs() / 60,
            mib(self.resident_bytes),
            self.other_bytes() / 1024.0 / 1024.0,
            self.order_ids,
            self.descriptors,
            mib(self.journal_bytes),
            self.snapshots,
            mib(self.snapshot_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// An hour of a thousand orders a second, with so much lost for each, and more descriptors at the end.
    fn hour(lost_each: u64, descriptors_more: u64) -> Samples {
        let each = |second: u64| {
            let order_ids = 1000 * second;
            Sample {
                at: Duration::from_secs(second),
                resident_bytes: 50 * MIB + STATES * remembered_bytes(order_ids) + lost_each * order_ids,
                descriptors: 40 + descriptors_more * second / 3600,
                order_ids,
                ..Sample::default()
            }
        };
        Samples((0..3600).step_by(5).map(each).collect())
    }

    #[test]
    fn what_ids_take_is_no_growth() {
        assert!(hour(0, 0).judge().is_ok());
    }

    #[test]
    fn a_block_lost_with_every_order_is_found() {
        assert_eq!(hour(32, 0).judge().unwrap_err().to_string(), "memory grows");
    }

    #[test]
    fn descriptors_that_are_not_given_back_are_found() {
        assert!(hour(0, 4).judge().is_ok());
        assert_eq!(hour(0, 60).judge().unwrap_err().to_string(), "descriptors are not given back");
    }

    #[test]
    fn the_table_of_ids_doubles_and_moves() {
        assert_eq!(remembered_bytes(1535), 1535 * 72 + 5 * 2048);
        assert_eq!(remembered_bytes(1536), 1536 * 72 + 5 * (4096 + 2048));
        assert_eq!(remembered_bytes(1920), 1920 * 72 + 5 * 4096);
    }
}
