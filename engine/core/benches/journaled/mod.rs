//! Logs in a journal on a disk, and what a run asks of that disk.

use engine_core::executor::AtRest;
use engine_core::journal::storage::Disk;
use engine_core::journal::{Durability, Journal, Options, Recovery, Shards, Watch};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A journal that is running in a folder of its own.
pub struct Kept {
    journal: Journal,
    directory: PathBuf,
}

/// What has been written so far.
#[derive(Clone, Copy, Default)]
pub struct Written {
    pub records: u64,
    pub bytes: u64,
    pub syncs: u64,
}

impl Kept {
    /// A new journal in `directory`, which has the logs of these shards from now on.
    pub fn new(shards: &mut AtRest, directory: &Path, durability: Durability) -> Self {
        let directory = directory.join("journal");
        let disk = Disk::new(&directory).expect("the directory can be made");
        let count = Shards { sequencers: shards.sequencers.len(), matchers: shards.matchers.len() };
        let recovery = Recovery::open(Arc::new(disk), Options { durability, ..Options::new(count) });
        let journal = recovery.and_then(|recovery| recovery.start(Box::new(|error| panic!("{error}"))));
        let journal = journal.expect("a journal can be made");
        for (i, shard) in shards.sequencers.iter_mut().enumerate() {
            shard.log = Box::new(journal.sequencer_log(i));
        }
        for (j, shard) in shards.matchers.iter_mut().enumerate() {
            shard.log = Box::new(journal.matcher_log(j));
        }
        Self { journal, directory }
    }

    pub fn watch(&self) -> Watch {
        self.journal.watch()
    }

    /// Ends the journal. To be called when the shards have ended. Its files are in the folder that is returned.
    pub fn close(self) -> PathBuf {
        self.journal.close().expect("everything is safe");
        self.directory
    }
}

impl Written {
    pub fn so_far(watch: &Watch) -> Self {
        let counters = watch.counters();
        Self { records: counters.records.get(), bytes: counters.bytes.get(), syncs: counters.syncs.get() }
    }

    pub fn since(self, before: Written) -> Self {
        Self {
            records: self.records - before.records,
            bytes: self.bytes - before.bytes,
            syncs: self.syncs - before.syncs,
        }
    }
}
