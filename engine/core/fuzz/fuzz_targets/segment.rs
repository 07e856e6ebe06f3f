//! A segment in which any bytes are others: what comes back is a beginning of what was appended, or nothing.
#![no_main]

use engine_core::journal::storage::{SimulatedDisk, Storage};
use engine_core::journal::{JournalError, Options, Recovery, Shards};
use engine_core::log::{Entry, ShardLog};
use engine_core::message::{Command, Input, Origin};
use engine_core::units::{AccountId, Timestamp};
use std::sync::{Arc, LazyLock};

const SHARDS: Shards = Shards { sequencers: 1, matchers: 1 };

fn recovery(disk: &SimulatedDisk) -> Result<Recovery, JournalError> {
    let options = Options { segment_bytes: 4096, staging_bytes: 1 << 16, ..Options::new(SHARDS) };
    Recovery::open(Arc::new(disk.clone()), options)
}

fn entries(disk: &SimulatedDisk) -> Result<Vec<String>, JournalError> {
    let mut recovery = recovery(disk)?;
    let mut entries = Vec::new();
    while let Some(record) = recovery.next_record()? {
        for logged in record.entries() {
            entries.push(format!("{:?}", logged?));
        }
    }
    Ok(entries)
}

/// A journal of some segments, and what was appended.
static RECORDED: LazyLock<(SimulatedDisk, Vec<String>)> = LazyLock::new(|| {
    let disk = SimulatedDisk::new(1);
    let journal = recovery(&disk).unwrap().start(Box::new(|error: &JournalError| panic!("{error}"))).unwrap();
    let mut log = journal.sequencer_log(0);
    for number in 0..200 {
        let command = Command::Open { account: AccountId(number), name: None };
        let input = Input { origin: Origin::default(), at: Timestamp(number.into()), ticket: 0, command };
        log.append(&[Entry::Input(input)]);
    }
    drop(log);
    journal.close().unwrap();
    let appended = entries(&disk).unwrap();
    assert_eq!(appended.len(), 200);
    (disk, appended)
});

// Five bytes are a change: which segment, where in it, how much of it, and what is there instead.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (recorded, appended) = &*RECORDED;
    let disk = recorded.copy();
    let names: Vec<String> = disk.list().unwrap().into_iter().filter(|name| name.starts_with("segment")).collect();
    for change in data.chunks_exact(5) {
        let name = &names[usize::from(change[0]) % names.len()];
        let mut bytes = disk.contents(name);
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % bytes.len();
        let end = (at + usize::from(change[3])).min(bytes.len());
        bytes[at..end].fill(change[4]);
        disk.put(name, bytes);
    }
    if let Ok(back) = entries(&disk) {
        assert!(appended.starts_with(&back), "{} entries, of which some were never appended", back.len());
    }
});
