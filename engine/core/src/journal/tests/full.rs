//! A disk without space and a disk that cannot write.

use super::super::storage::{SimulatedDisk, Survival};
use super::super::writer::Stuck;
use super::super::*;
use super::rig::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn a_full_disk_is_told_in_time_and_nothing_is_dropped() {
    for seed in 0..20 {
        let disk = SimulatedDisk::new(seed);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut rig = Rig::open(&disk, Truth::new()).unwrap();
        assert!(rig.run(&mut random, 10));
        disk.set_capacity(disk.used() + SEGMENT_BYTES / 2);
        // Room for half a segment: the next one that has to be prepared cannot be.
        while rig.prepare().unwrap() {
            assert!(rig.run(&mut random, 1));
        }
        let watch = rig.parts.watch();
        assert_eq!(watch.condition(), Condition::Full);
        assert!(
            disk.used() <= 10 * SEGMENT_BYTES + disk.used() / 2,
            "what could not be finished was taken away"
        );

        // The reserve: what is appended goes on becoming durable, until it is used up.
        let mut written = 0;
        let stuck = loop {
            rig.append_some(&mut random);
            match rig.step() {
                Ok(()) => written += 1,
                Err(stuck) => break stuck,
            }
        };
        assert!(matches!(stuck, Stuck::NoSpare), "{stuck:?}");
        println!("seed {seed}: {written} records in the reserve");
        assert!(!rig.prepare().unwrap() && watch.condition() == Condition::Full);
        assert!(rig.step().is_err(), "it tries again and again");

        // Space comes back.
        disk.set_capacity(u64::MAX);
        assert!(rig.prepare().unwrap());
        assert_eq!(watch.condition(), Condition::Good);
        while rig.step().is_err() {
            assert!(rig.prepare().unwrap());
        }
        assert!(rig.run(&mut random, 5));
        assert!(rig.failures.lock().unwrap().is_empty(), "a full disk is no failure");
        let truth = rig.truth.clone();
        drop(rig);
        disk.restart(Survival::Nothing);
        assert_eq!(read_disk(&disk), truth.lines);
    }
}

#[test]
fn a_crash_while_the_disk_is_full_loses_nothing() {
    let disk = SimulatedDisk::new(3);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut rig = Rig::open(&disk, Truth::new()).unwrap();
    assert!(rig.run(&mut random, 10));
    disk.set_capacity(disk.used());
    while rig.step().is_ok() {
        rig.append_some(&mut random);
        rig.prepare().unwrap();
    }
    let truth = rig.truth.clone();
    drop(rig);
    disk.restart(Survival::Some);
    // It opens as full as it is, and goes on once there is space.
    let mut rig = Rig::open(&disk, truth).unwrap();
    rig.prepare().unwrap();
    disk.set_capacity(u64::MAX);
    assert!(rig.run(&mut random, 5));
}

#[test]
fn space_for_nothing_at_all_is_an_error_at_once() {
    let disk = SimulatedDisk::new(1);
    disk.set_capacity(SEGMENT_BYTES);
    let error = Rig::open(&disk, Truth::new()).err().unwrap().to_string();
    assert_eq!(error, "cannot write zeros to segment-0000000000000001.journal");
    disk.set_capacity(u64::MAX);
    Rig::open(&disk, Truth::new()).unwrap();
}
