//! A crash at every point of a recorded run, and at every byte of the last record: what was reported is there, the rest is a
//! beginning of what was appended, and the journal goes on.

use super::super::storage::{SimulatedDisk, Survival};
use super::rig::{Rig, Truth, read_disk};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const BATCHES: usize = 25;
const SEEDS: std::ops::Range<u64> = 0..12;

/// A run from an empty disk that crashes at that point. Returns the truth at that time.
fn run_until(disk: &SimulatedDisk, seed: u64, point: u64) -> Truth {
    disk.crash_at(point);
    let Ok(mut rig) = Rig::open(disk, Truth::new()) else { return Truth::new() };
    rig.run(&mut ChaCha8Rng::seed_from_u64(seed), BATCHES);
    rig.truth.clone()
}

/// Points of a run without a crash.
fn points(seed: u64) -> u64 {
    let disk = SimulatedDisk::new(seed);
    run_until(&disk, seed, u64::MAX);
    disk.points()
}

/// Opens what the crash left, goes on, loses everything that was not synced, and opens again.
fn go_on(disk: &SimulatedDisk, truth: Truth, seed: u64) {
    let mut rig = Rig::open(disk, truth).expect("a crash leaves nothing that is refused");
    assert!(rig.run(&mut ChaCha8Rng::seed_from_u64(seed + 1000), 5));
    assert_eq!(rig.truth.durable, rig.parts.writer.positions, "all is durable");
    let truth = rig.truth.clone();
    drop(rig);
    disk.restart(Survival::Nothing);
    assert_eq!(read_disk(disk), truth.lines);
}

#[test]
fn a_crash_at_any_point_loses_nothing_that_was_reported() {
    for seed in SEEDS {
        let points = points(seed);
        assert!(points > 60, "the run is too short: {points} points");
        for point in 1..=points {
            for survival in [Survival::Nothing, Survival::Everything, Survival::Some, Survival::Some] {
                let disk = SimulatedDisk::new(seed ^ point << 8);
                let truth = run_until(&disk, seed, point);
                println!(
                    "seed {seed}, point {point} of {points}, {survival:?}, {} appended",
                    truth.lines.len()
                );
                disk.restart(survival);
                go_on(&disk, truth, seed);
            }
        }
    }
}

#[test]
fn a_crash_while_it_recovers_changes_nothing() {
    for seed in SEEDS {
        for point in (1..=points(seed)).step_by(3) {
            let first = SimulatedDisk::new(seed ^ point << 8);
            let truth = run_until(&first, seed, point);
            first.restart(Survival::Some);
            for second in 1.. {
                let disk = first.copy();
                disk.crash_at(second);
                println!("seed {seed}, point {point}, then point {second} of the recovery");
                let recovered = Rig::open(&disk, truth.clone()).is_ok();
                disk.restart(Survival::Some);
                go_on(&disk, truth.clone(), seed);
                if recovered {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_record_torn_at_any_byte_is_there_or_not() {
    for seed in SEEDS {
        // The last write of the run is a batch; what comes after it is its sync.
        let last_write = points(seed) - 1;
        for bytes in 0.. {
            let disk = SimulatedDisk::new(seed);
            let truth = run_until(&disk, seed, last_write);
            let before = disk.points();
            disk.restart(Survival::TornAt(bytes));
            println!("seed {seed}, torn at byte {bytes}");
            let rig = Rig::open(&disk, truth.clone()).unwrap();
            assert_eq!(before, last_write);
            let whole = rig.truth.lines.len() == truth.lines.len();
            drop(rig);
            go_on(&disk, truth, seed);
            if whole {
                assert!(bytes > 40, "the last write is a record");
                break;
            }
        }
    }
}

/// After a sync that failed, a reader sees records that are not on the disk, and the next sync succeeds without writing them.
#[test]
fn what_is_seen_after_a_failed_sync_is_written_again() {
    for seed in SEEDS {
        for point in 1..=points(seed) {
            let disk = SimulatedDisk::new(seed ^ point << 8);
            disk.fail_sync_at(point);
            let truth = run_until(&disk, seed, u64::MAX);
            println!("seed {seed}, sync fails at point {point}");
            // The process ends, the machine goes on.
            disk.restart_process();
            let rig = Rig::open(&disk, truth).expect("nothing is refused");
            let truth = rig.truth.clone();
            drop(rig);
            disk.restart(Survival::Nothing);
            assert_eq!(read_disk(&disk), truth.lines);
        }
    }
}
