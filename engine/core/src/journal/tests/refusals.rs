//! Who may open a journal, and with what.

use super::super::storage::{SimulatedDisk, Storage};
use super::super::*;
use super::rig::*;
use std::sync::Arc;

fn open(disk: &SimulatedDisk, options: Options) -> Result<Recovery, JournalError> {
    Recovery::open(Arc::new(disk.clone()), options)
}

fn error_of(disk: &SimulatedDisk, options: Options) -> String {
    open(disk, options).err().expect("it is refused").to_string()
}

#[test]
fn a_directory_is_opened_once() {
    let disk = SimulatedDisk::new(1);
    let first = open(&disk, options()).unwrap();
    assert_eq!(error_of(&disk, options()), "the simulated disk is in use by another process");
    drop(first);
    open(&disk, options()).unwrap();
}

#[test]
fn a_running_journal_keeps_its_lock_until_it_is_closed() {
    let disk = SimulatedDisk::new(1);
    let journal = open(&disk, options()).unwrap().start(Box::new(|_| ())).unwrap();
    assert!(matches!(open(&disk, options()), Err(JournalError::InUse { .. })));
    journal.close().unwrap();
    open(&disk, options()).unwrap();
}

#[test]
fn another_number_of_shards_is_refused() {
    let (disk, _) = recorded(1, 3);
    let other = Options { shards: Shards { sequencers: 1, matchers: 2 }, ..options() };
    assert_eq!(
        error_of(&disk, other),
        "the journal is for 2 sequencers and 1 matchers, not for 1 sequencers and 2 matchers: start with as many as \
         it has"
    );
}

#[test]
fn another_format_is_refused() {
    let (disk, _) = recorded(1, 3);
    let text = String::from_utf8(disk.contents("identity.journal")).unwrap();
    for other in [FORMAT - 1, FORMAT + 1] {
        let text = text.replace(&format!("format {FORMAT}"), &format!("format {other}"));
        disk.put("identity.journal", text.into_bytes());
        let expected = format!(
            "identity.journal has format {other}, this program knows format {FORMAT}: start the version that wrote it"
        );
        assert_eq!(error_of(&disk, options()), expected);
    }

    let (disk, _) = recorded(1, 3);
    let mut segment = disk.contents("segment-0000000000000001.journal");
    segment[8] = FORMAT as u8 + 1;
    disk.put("segment-0000000000000001.journal", segment);
    assert!(
        error_of(&disk, options())
            .contains(&format!("segment-0000000000000001.journal has format {}", FORMAT + 1))
    );
}

#[test]
fn a_directory_without_its_identity_is_refused() {
    let (disk, _) = recorded(1, 3);
    disk.take("identity.journal");
    let names = disk.list().unwrap();
    let error = error_of(&disk, options());
    assert!(
        error.contains("has no identity.journal, and segment-0000000000000001.journal is there"),
        "{error}"
    );
    assert_eq!(disk.list().unwrap(), names, "nothing was made");
}

/// What is left of a journal is no place for a new one, also when it looks as if one was being made there.
#[test]
fn a_directory_with_nothing_but_snapshots_is_refused() {
    for beside in [None, Some("identity.journal.new")] {
        let disk = SimulatedDisk::new(1);
        disk.put("snapshot-0000000000000007.state", vec![1, 2, 3]);
        beside.into_iter().for_each(|name| disk.put(name, vec![]));
        let names = disk.list().unwrap();
        let error = error_of(&disk, options());
        assert!(error.contains("has no identity.journal, and snapshot-0000000000000007.state is"), "{error}");
        assert_eq!(disk.list().unwrap(), names, "nothing was made");
    }
}

#[test]
fn an_identity_without_segments_is_refused() {
    let (disk, _) = recorded(1, 3);
    disk.list().unwrap().iter().filter(|name| name.starts_with("segment")).for_each(|name| disk.take(name));
    assert!(error_of(&disk, options()).contains("there is no segment in the simulated disk"));
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let disk = SimulatedDisk::new(1);
    for (options, text) in [
        (Options { segment_bytes: 1000, ..options() }, "segment_bytes 1000 is not a multiple of 512"),
        (Options { segment_bytes: 1 << 33, ..options() }, "below 4 GiB"),
        (Options { segment_bytes: 512, ..options() }, "segment_bytes 512 leaves no room for records"),
        (Options { staging_bytes: 100, ..options() }, "staging_bytes 100 is less than one record"),
        (
            Options { shards: Shards { sequencers: 0, matchers: 1 }, ..options() },
            "there cannot be 0 sequencers",
        ),
        (Options { shards: Shards { sequencers: 65, matchers: 1 }, ..options() }, "there cannot be 65"),
    ] {
        let error = error_of(&disk, options);
        assert!(error.contains(text), "{error}");
    }
    assert!(disk.list().unwrap().is_empty(), "nothing was made");
}

#[test]
fn a_snapshot_from_the_future_is_refused() {
    let (disk, truth) = recorded(1, 3);
    let mut ahead = truth.durable.clone();
    ahead.matchers[0] += 1;
    let mut recovery = open(&disk, options()).unwrap();
    recovery.begin_at(&ahead).unwrap();
    let error = read_all(&mut recovery).unwrap_err().to_string();
    let end = truth.durable.matchers[0];
    let expected =
        format!("goes on with entry {} of matcher 0, and the journal ends before entry {end}", end + 1);
    assert!(error.contains(&expected) && error.contains("in segment-00000000000000"), "{error}");
}

/// Files that are none of the journal's are left alone.
#[test]
fn other_files_do_not_matter() {
    let (disk, truth) = recorded(1, 3);
    for name in ["snapshot-1", "segment-1.journal", "segment-0000000000000009.journal.bak", ".DS_Store"] {
        disk.put(name, vec![1, 2, 3]);
    }
    assert_eq!(read_disk(&disk), truth.lines);
}

#[test]
fn the_disk_itself() {
    let directory = std::env::temp_dir().join(format!("ringside-journal-{}", std::process::id()));
    let disk = || Arc::new(storage::Disk::new(directory.join("deep")).unwrap());
    let journal = Recovery::open(disk(), options()).unwrap().start(Box::new(|_| ())).unwrap();
    assert!(matches!(Recovery::open(disk(), options()), Err(JournalError::InUse { .. })));
    // Whatever is taken out of the directory: the directory itself is locked.
    std::fs::rename(directory.join("deep/identity.journal"), directory.join("deep/taken")).unwrap();
    assert!(matches!(Recovery::open(disk(), options()), Err(JournalError::InUse { .. })));
    std::fs::rename(directory.join("deep/taken"), directory.join("deep/identity.journal")).unwrap();
    let to_read = || Arc::new(storage::Disk::to_read(directory.join("deep")));
    assert!(matches!(Recovery::open_existing(to_read()), Err(JournalError::InUse { .. })));
    let mut log = journal.matcher_log(0);
    let entries = [crate::log::Entry::Received { from: 1, count: 7 }; 300];
    for batch in entries.chunks(10) {
        crate::log::ShardLog::append(&mut log, batch);
    }
    journal.close().unwrap();
    let back = read_all(&mut Recovery::open(disk(), options()).unwrap()).unwrap();
    let expected = (ShardId::Matcher(0), "Received { from: 1, count: 7 }".to_owned());
    assert_eq!(back, vec![expected.clone(); 300]);
    // Many may read at once; nobody writes meanwhile, and nothing but the journal is in the directory.
    let mut readers = [to_read(), to_read()].map(|disk| Recovery::open_existing(disk).unwrap());
    assert!(matches!(Recovery::open(disk(), options()), Err(JournalError::InUse { .. })));
    for reader in &mut readers {
        assert_eq!(read_all(reader).unwrap(), vec![expected.clone(); 300]);
    }
    let names = disk().list().unwrap();
    assert!(names.iter().all(|name| name.ends_with(".journal")), "{names:?}");
    std::fs::remove_dir_all(directory).unwrap();
}
