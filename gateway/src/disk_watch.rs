//! Looks once a second whether the journal's disk is as it was: has it become full, has it space again, is the journal still in
//! its place?
//!
//! A directory that somebody has moved or removed takes what is written as if nothing had happened, and the next start would not
//! find it. So the process ends then as it does when the disk fails: nothing more may be promised to anybody.

use crate::recovery::give_up;
use engine_core::journal::{Condition, IDENTITY, Watch};
use std::convert::Infallible;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks. What is written into a directory that is gone is lost for as long, so it is short; a look costs
/// microseconds.
const PERIOD: Duration = Duration::from_secs(1);

/// The journal's disk as it was at the last look.
pub struct DiskWatch {
    journal: Watch,
    condition: Condition,
    /// A file that stays as long as the journal does, and which one it is.
    identity: PathBuf,
    inode: (u64, u64),
    /// Held open, so that no other file gets its number while somebody looks for it.
    _open: File,
}

impl DiskWatch {
    /// Of the journal in that data directory.
    ///
    /// # Errors
    /// If it is not there.
    pub fn new(journal: Watch, data_dir: &Path) -> io::Result<Self> {
        let identity = data_dir.join("journal").join(IDENTITY);
        let open = File::open(&identity)?;
        let inode = inode_of(&open.metadata()?);
        Ok(Self { journal, condition: Condition::Good, identity, inode, _open: open })
    }

    /// Looks again and again.
    pub async fn run(mut self) -> Infallible {
        loop {
            self.tell_condition();
            if self.is_gone() {
                give_up(&format!(
                    "{} was moved or removed while it is written; what was acknowledged is where it is now, or lost with it",
                    self.identity.display()
                ));
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn tell_condition(&mut self) {
        let condition = self.journal.condition();
        let before = std::mem::replace(&mut self.condition, condition);
        match condition {
            _ if before == condition => {}
            Condition::Good => tracing::info!("the journal has space again: orders are taken"),
            Condition::Full => tracing::warn!(
                "the journal's disk is full: until there is space new orders are refused, cancels are taken"
            ),
            Condition::NoFiles => tracing::warn!(
                "the journal cannot open its next file (`ulimit -n`, fs.file-max, memory): until it can new orders are refused, cancels are taken"
            ),
            Condition::Failed => {} // said by who ends the process for it
        }
    }

    /// Anything else that stands in the way of looking says nothing of the journal.
    fn is_gone(&self) -> bool {
        match inode(&self.identity) {
            Ok(inode) => inode != self.inode,
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

/// Device and number.
fn inode(file: &Path) -> io::Result<(u64, u64)> {
    Ok(inode_of(&std::fs::metadata(file)?))
}

fn inode_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_core::journal::storage::Disk;
    use engine_core::journal::{Options, Recovery, Shards};
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn a_journal_that_is_not_in_its_place_is_missed() {
        let data = std::env::temp_dir().join(format!("ringside-disk-watch-{}", std::process::id()));
        let (place, away) = (data.join("journal"), data.join("away"));
        let shards = Shards { sequencers: 1, matchers: 1 };
        let options = Options { segment_bytes: 64 << 10, ..Options::new(shards) };
        let recovery = Recovery::open(Arc::new(Disk::new(&place).unwrap()), options).unwrap();
        let journal = recovery.start(Box::new(|_| ())).unwrap();
        let watch = DiskWatch::new(journal.watch(), &data).unwrap();
        assert!(!watch.is_gone());
        fs::rename(&place, &away).unwrap();
        assert!(watch.is_gone(), "it was moved");
        fs::create_dir(&place).unwrap();
        fs::copy(away.join(IDENTITY), place.join(IDENTITY)).unwrap();
        assert!(watch.is_gone(), "that is another one");
        fs::remove_dir_all(&place).unwrap();
        fs::rename(&away, &place).unwrap();
        assert!(!watch.is_gone(), "it is back");
        drop(journal); // who makes its next segment may have noticed, too
        fs::remove_dir_all(data).unwrap();
    }
}
