//! Where a history is.

use anyhow::{Context, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The file in the data directory.
const FILE: &str = "history.sqlite";

/// The file in that data directory, if something was ever written to it.
pub(super) fn file_with_content(data_dir: &Path) -> Option<PathBuf> {
    let file = data_dir.join(FILE);
    std::fs::metadata(&file).is_ok_and(|metadata| metadata.len() > 0).then_some(file)
}

/// A database.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file of our own.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server, with nothing else in it.
    Postgres(Box<PgConnectOptions>),
}

/// What the configuration says.
#[derive(Clone, Debug)]
pub enum Wish {
    /// No history.
    Off,
    /// In the data directory.
    Sqlite,
    /// On a server.
    Postgres(Box<PgConnectOptions>),
}

impl FromStr for Wish {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Wish> {
        match text {
            "off" => Ok(Wish::Off),
            "sqlite" => Ok(Wish::Sqlite),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                // The URL may hold a password, so it is not repeated.
                let options = PgConnectOptions::from_str(url).context("the postgres:// URL is not one")?;
                Ok(Wish::Postgres(Box::new(options.application_name("ringside"))))
            }
            _ => bail!("must be \"sqlite\", \"off\" or a postgres:// URL"),
        }
    }
}

impl Wish {
    /// Where that is, with this data directory.
    pub fn place(&self, data_dir: &Path) -> Option<Place> {
        match self {
            Wish::Off => None,
            Wish::Sqlite => Some(Place::Sqlite(data_dir.join(FILE))),
            Wish::Postgres(options) => Some(Place::Postgres(options.clone())),
        }
    }
}

/// How the writer opens a file. A commit that the operating system has not synced is lost with the power and written again
/// from the journal, so it is not waited for; readers see the last commit and hold nobody up.
pub(super) fn to_write(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-65536") // KiB: the indexes' leaves that accounts write to
}

/// How readers open it.
pub(super) fn to_read(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).read_only(true)
}

/// Without a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sqlite(file) => write!(f, "{}", file.display()),
            Place::Postgres(options) => {
                let database = options.get_database().unwrap_or("its user's database");
                write!(f, "{database} of PostgreSQL at {}:{}", options.get_host(), options.get_port())
            }
        }
    }
}
