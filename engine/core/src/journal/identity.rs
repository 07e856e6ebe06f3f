//! Who a journal is: a small text file beside the segments.
//!
//! ```text
//! ringside journal
//! format 2
//! id 0f3c…                     32 hexadecimal digits, made by chance when the journal was
//! sequencers 2
//! matchers 1
//! crc 89abcdef                 CRC32C of the lines above
//! ```
//! Creation takes three steps, each safe before the next: the file under another name, the first segment, the file's right
//! name. So where it has its right name there is a segment, and where it does not nothing was ever appended.

use super::codec::FORMAT;
use super::error::JournalError;
use super::positions::Shards;
use super::storage::Storage;

/// The name of the file that says which journal a directory has; without it there is none.
pub const IDENTITY: &str = "identity.journal";
/// Its name until the first segment is there.
pub(super) const CREATING: &str = "identity.journal.new";

/// Longer than any identity.
const BYTES_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub id: u128,
    pub shards: Shards,
}

impl Identity {
    /// Reads it.
    pub fn read(storage: &dyn Storage) -> Result<Identity, JournalError> {
        let mut bytes = [0; BYTES_MAX];
        let file = storage.open(IDENTITY).map_err(JournalError::io("open", IDENTITY))?;
        let count = file.read_at(&mut bytes, 0).map_err(JournalError::io("read", IDENTITY))?;
        parse(&bytes[..count])
    }

    /// Writes it under the name that says that the journal is being made.
    pub fn write(self, storage: &dyn Storage) -> Result<(), JournalError> {
        let made = (|| {
            let file = storage.create(CREATING)?;
            file.write_at(self.text().as_bytes(), 0)?;
            file.sync_data()?;
            storage.sync_directory()
        })();
        made.map_err(JournalError::io("create", CREATING))
    }

    fn text(self) -> String {
        let Identity { id, shards: Shards { sequencers, matchers } } = self;
        let body = format!(
            "ringside journal\nformat {FORMAT}\nid {id:032x}\nsequencers {sequencers}\nmatchers {matchers}\n"
        );
        let crc = crc32c::crc32c(body.as_bytes());
        format!("{body}crc {crc:08x}\n")
    }
}

fn parse(bytes: &[u8]) -> Result<Identity, JournalError> {
    let damaged =
        |found: &str| JournalError::Damaged { file: IDENTITY.into(), offset: 0, found: found.into() };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("no text"))?;
    let mut lines = text.lines();
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    // The format first: what a later one looks like is its own business.
    field("ringside").filter(|what| *what == "journal").ok_or_else(|| damaged("no identity of a journal"))?;
    let format = field("format").and_then(|format| format.parse().ok());
    match format.ok_or_else(|| damaged("no format"))? {
        FORMAT => {}
        found => return Err(JournalError::Newer { file: IDENTITY.into(), found, known: FORMAT }),
    }
    let identity = (|| {
        let id = u128::from_str_radix(field("id")?, 16).ok()?;
        let shards = Shards {
            sequencers: field("sequencers")?.parse().ok()?,
            matchers: field("matchers")?.parse().ok()?,
        };
        Some(Identity { id, shards })
    })();
    let identity = identity.filter(|identity| identity.text() == text);
    identity.ok_or_else(|| damaged("a field is missing, or the checksum is wrong"))
}
