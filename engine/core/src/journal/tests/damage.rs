//! What no crash can have done is refused, with the file named; nothing is ever silently wrong.

use super::super::storage::{SimulatedDisk, Storage, Survival};
use super::super::*;
use super::rig::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

const BATCHES: usize = 12;

/// Reads a copy of the disk.
fn read(disk: &SimulatedDisk) -> Result<Vec<(ShardId, Line)>, JournalError> {
    let mut recovery = Recovery::open(Arc::new(disk.copy()), options())?;
    read_all(&mut recovery)
}

/// The journal is refused, and the text says where and what.
fn refused(disk: &SimulatedDisk, parts: &[&str]) {
    let error = read(disk).expect_err("it is refused").to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}\n does not contain {parts:?}");
}

fn segment(number: u64) -> String {
    format!("segment-{number:016}.journal")
}

/// The numbers of the segments on the disk.
fn segments(disk: &SimulatedDisk) -> Vec<u64> {
    (1..).take_while(|number| disk.list().unwrap().contains(&segment(*number))).collect()
}

/// A journal of at least five segments; the last one that has records.
fn several() -> (SimulatedDisk, Truth, u64) {
    let (disk, truth) = recorded(5, 8 * BATCHES);
    let mut begun = segments(&disk).into_iter().filter(|number| disk.contents(&segment(*number))[0] != 0);
    let last = begun.next_back().unwrap();
    assert!(last >= 5, "{last} segments");
    (disk, truth, last)
}

#[test]
fn a_flipped_bit_anywhere_is_cut_or_refused() {
    let (disk, truth) = recorded(4, BATCHES);
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let (mut cut, mut refused) = (0, 0);
    for name in disk.list().unwrap() {
        for byte in 0..disk.contents(&name).len() {
            let bit = 8 * byte + random.random_range(0..8);
            let flipped = disk.copy();
            flipped.flip_bit(&name, bit);
            match read(&flipped) {
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains(".journal"), "{error}");
                }
                Ok(back) => {
                    assert_eq!(back, truth.lines[..back.len()], "bit {bit} of {name}");
                    assert!(
                        back.len() >= truth.before_last_batch,
                        "bit {bit} of {name} cost more than a tail"
                    );
                    cut += usize::from(back.len() < truth.lines.len());
                }
            }
        }
    }
    println!("{cut} cut, {refused} refused");
    assert!(cut > 40 && refused > 4000, "{cut} cut, {refused} refused");
}

/// The cut of a flipped tail is final: what is appended after it is what comes back.
#[test]
fn after_a_cut_the_journal_goes_on() {
    let (disk, truth, last) = several();
    let contents = disk.contents(&segment(last));
    let end = contents.iter().rposition(|byte| *byte != 0).unwrap();
    disk.flip_bit(&segment(last), 8 * end);
    let cut = Truth { durable: Positions::zero(SHARDS), ..truth.clone() };
    let mut rig = Rig::open(&disk, cut).unwrap();
    assert!(rig.truth.lines.len() < truth.lines.len());
    assert!(rig.run(&mut ChaCha8Rng::seed_from_u64(1), BATCHES));
    let truth = rig.truth.clone();
    drop(rig);
    disk.restart(Survival::Nothing);
    assert_eq!(read_disk(&disk), truth.lines);
}

#[test]
fn a_missing_segment_is_refused() {
    let (disk, _, last) = several();
    for number in 2..=last {
        let without = disk.copy();
        without.take(&segment(number));
        // The one that was prepared is behind the last one, so a hole shows; without it, the end of the one before shows.
        refused(&without, &[&segment(number), "missing"]);
        for number in segments(&disk).into_iter().filter(|prepared| *prepared > last) {
            without.take(&segment(number));
        }
        refused(&without, &[&segment(number), "missing"]);
    }
    // Without the first, the journal begins later. Who begins with nothing, or with an old snapshot, is told.
    let without = disk.copy();
    without.take(&segment(1));
    let mut recovery = Recovery::open(Arc::new(without), options()).unwrap();
    let error = recovery.begin_at(&Positions::zero(SHARDS)).unwrap_err();
    assert!(matches!(error, JournalError::Truncated { wanted: 0, .. }), "{error}");
}

#[test]
fn a_duplicated_segment_is_refused() {
    let (disk, _, last) = several();
    for number in 1..=last {
        for place in (1..=last + 1).filter(|place| *place != number) {
            let doubled = disk.copy();
            doubled.put(&segment(place), disk.contents(&segment(number)));
            refused(&doubled, &[".journal", "damaged"]);
        }
    }
}

#[test]
fn swapped_segments_are_refused() {
    let (disk, _, last) = several();
    for (one, other) in [(1, 2), (2, 3), (1, last), (last - 1, last)] {
        let swapped = disk.copy();
        swapped.put(&segment(one), disk.contents(&segment(other)));
        swapped.put(&segment(other), disk.contents(&segment(one)));
        refused(&swapped, &[".journal", "under another's name"]);
    }
}

#[test]
fn a_foreign_segment_is_refused() {
    let (disk, _, last) = several();
    let (foreign, _) = recorded(6, 8 * BATCHES);
    for number in 1..=last.min(5) {
        let mixed = disk.copy();
        mixed.put(&segment(number), foreign.contents(&segment(number)));
        refused(&mixed, &[&segment(number), "of another journal"]);
    }
}

/// An older state of the same segment, as from a backup that was taken while the journal ran.
#[test]
fn an_older_segment_is_refused() {
    let disk = SimulatedDisk::new(7);
    let mut rig = Rig::open(&disk, Truth::new()).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    assert!(rig.run(&mut random, 2));
    let older = disk.contents(&segment(1));
    assert!(rig.run(&mut random, 3 * BATCHES));
    drop(rig);
    disk.put(&segment(1), older);
    refused(&disk, &[&segment(1), "but segment-0000000000000002.journal is begun"]);
}

#[test]
fn a_truncated_segment_is_refused() {
    let (disk, _, last) = several();
    for number in 1..=last {
        let contents = disk.contents(&segment(number));
        for length in (0..contents.len()).step_by(97) {
            let shorter = disk.copy();
            shorter.put(&segment(number), contents[..length].to_vec());
            refused(&shorter, &[&segment(number), "damaged"]);
        }
    }
}

#[test]
fn a_hole_of_zeros_before_the_tail_is_refused() {
    let (disk, truth, last) = several();
    for number in 1..=last {
        let contents = disk.contents(&segment(number));
        for sector in 0..contents.len() / 512 {
            let mut holed = contents.clone();
            holed[512 * sector..][..512].fill(0);
            if holed == contents {
                continue;
            }
            let copy = disk.copy();
            copy.put(&segment(number), holed);
            match read(&copy) {
                Err(error) => assert!(error.to_string().contains(&segment(number)), "{error}"),
                Ok(back) => {
                    // A hole that takes the last bytes leaves nothing that proves that there were more.
                    let is_at_the_end = contents[512 * (sector + 1)..].iter().all(|byte| *byte == 0);
                    assert!(number == last && (is_at_the_end || back.len() >= truth.before_last_batch));
                    assert_eq!(back, truth.lines[..back.len()]);
                }
            }
        }
    }
}

/// Any bytes in any place: an answer, never a panic, and never an entry that was not appended.
#[test]
fn random_bytes_are_cut_or_refused() {
    let (disk, truth) = recorded(8, BATCHES);
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let names = disk.list().unwrap();
    for round in 0..3_000 {
        let spoilt = disk.copy();
        let name = &names[random.random_range(0..names.len())];
        let mut contents = disk.contents(name);
        if contents.is_empty() {
            continue;
        }
        for _ in 0..random.random_range(1..4) {
            let from = random.random_range(0..contents.len());
            let to = contents.len().min(from + random.random_range(1..200));
            match random.random_range(0..3) {
                0 => contents[from..to].iter_mut().for_each(|byte| *byte = random.random()),
                1 => contents.copy_within(from..to, 0),
                _ => contents.rotate_left(8),
            }
        }
        spoilt.put(name, contents);
        if let Ok(back) = read(&spoilt) {
            assert_eq!(back, truth.lines[..back.len()], "round {round}");
            assert!(back.len() >= truth.before_last_batch, "round {round}");
        }
    }
}
