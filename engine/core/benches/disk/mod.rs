//! The disk that a bench writes to, and what it takes by itself: no figure with a sync in it means anything without that.

use engine_core::journal::storage::{Disk, Storage};
use hdrhistogram::Histogram;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A folder of this process below `--dir`, or below the target directory.
pub fn directory(bench: &str) -> PathBuf {
    let given = std::env::args().skip_while(|arg| arg != "--dir").nth(1).map(PathBuf::from);
    let target = || std::env::current_exe().ok()?.ancestors().nth(2).map(Path::to_path_buf);
    let parent = given.or_else(target).expect("--dir says where");
    parent.join(format!("{bench}-bench-{}", std::process::id()))
}

/// What a sync costs without us: 4 KiB written into zeros that are there already, and fdatasync.
pub fn bare(directory: &Path, times: usize) {
    let disk = Disk::new(directory).expect("the directory can be made");
    let file = disk.create("bare").expect("a file can be made");
    let block = [7; 4096];
    let times = times.max(2);
    file.write_at(&vec![0; times * block.len()], 0).expect("there is space");
    file.sync_data().expect("it can be synced");
    let mut times_ns = histogram();
    for at in 0..times as u64 {
        let begun = Instant::now();
        file.write_at(&block, at * block.len() as u64).expect("there is space");
        file.sync_data().expect("it can be synced");
        times_ns.saturating_record(begun.elapsed().as_nanos() as u64);
    }
    disk.remove("bare").expect("what was made can be removed");
    println!("disk            4 KiB + fdatasync {}", percentiles(&times_ns));
}

/// Of nanoseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that fit")
}

pub fn percentiles(times_ns: &Histogram<u64>) -> String {
    let us = |quantile: f64| times_ns.value_at_quantile(quantile) as f64 / 1e3;
    format!("p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs", us(0.5), us(0.99), us(0.999))
}
