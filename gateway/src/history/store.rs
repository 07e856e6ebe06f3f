//! The store of a history: a connection that writes, its tables, and whose they are.

use super::batch::{Batch, integer};
use super::place::{Place, to_write};
use super::schema::{META, TABLES, VERSION};
use crate::venue::Venue;
use anyhow::{Context, bail};
use engine_core::journal::{Positions, Shards};
use engine_core::units::{AccountId, AccountName};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};
use std::collections::HashMap;

const POSITION: &str = "INSERT INTO positions (shard, position) VALUES ($1, $2)
    ON CONFLICT (shard) DO UPDATE SET position = excluded.position";

/// A connection that writes.
pub(super) enum Store {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// SQLite's words for it: SQLITE_FULL, SQLITE_IOERR_WRITE where a file has its largest size, and SQLITE_IOERR_SHMSIZE for the
/// file that its connections share.
const NO_SPACE: [&str; 3] = ["13", "778", "4874"];

/// Whether our own file could not be opened because its disk is full.
pub(super) fn has_no_space(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.and_then(|error| error.code()).is_some_and(|code| NO_SPACE.contains(&&*code))
}

impl Store {
    pub async fn connect(place: &Place) -> anyhow::Result<Store> {
        Ok(match place {
            Place::Sqlite(file) => Store::Sqlite(to_write(file).connect().await?),
            Place::Postgres(options) => Store::Postgres(options.connect().await?),
        })
    }

    /// Makes the tables, or sees whose they are. Returns how far they are.
    pub async fn prepare(&mut self, journal: u128, end: &Positions) -> anyhow::Result<Option<Positions>> {
        on!(Store: self, connection => sqlx::query(META).execute(&mut *connection).await.map(drop))?;
        match self.meta("schema").await? {
            None => {
                self.create(journal).await?;
                return Ok(None);
            }
            Some(version) if version.parse() == Ok(VERSION) => {}
            Some(version) => bail!(
                "its schema is version {version} and this program writes version {VERSION}: use the program that wrote it, or \
                 another place; a new history is made from the journal"
            ),
        }
        let (owner, wanted) = (self.meta("journal").await?.unwrap_or_default(), format!("{journal:032x}"));
        if owner != wanted {
            bail!(
                "it is the history of journal {owner}, and this is journal {wanted}: give it another place, or remove it; a \
                 new history is made from the journal"
            );
        }
        let positions = self.positions(end.shards()).await?;
        match positions {
            Some(positions) if !positions.all_within(end) => bail!(
                "it is ahead of its journal, so one of the two is not where it belongs, or was restored without the other: bring \
                 the journal, or move the history away; a new one is made from the journal. Or start with --history off"
            ),
            positions => Ok(positions),
        }
    }

    /// Writes something that changes nothing: one that can only be read from would not take the history either.
    pub async fn try_out(&mut self) -> sqlx::Result<()> {
        let same = "UPDATE meta SET value = value";
        on!(Store: self, connection => sqlx::query(same).execute(&mut *connection).await.map(drop))
    }

    /// All tables and whose they are, or nothing.
    async fn create(&mut self, journal: u128) -> anyhow::Result<()> {
        on!(Store: self, connection => {
            let mut transaction = connection.begin().await?;
            for statement in TABLES {
                sqlx::query(statement).execute(&mut *transaction).await?;
            }
            for (key, value) in [("schema", VERSION.to_string()), ("journal", format!("{journal:032x}"))] {
                let row = sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2)");
                row.bind(key).bind(value).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Orders that were open may be anything after a hole. Returns how many they are.
    pub async fn leave_hole(&mut self, positions: &Positions) -> sqlx::Result<u64> {
        let unknown = "UPDATE orders SET status = 'unknown', is_open = FALSE WHERE is_open";
        on!(Store: self, connection => {
            let mut transaction = connection.begin().await?;
            let orders = sqlx::query(unknown).execute(&mut *transaction).await?.rows_affected();
            for (shard, position) in positions.iter() {
                let row = sqlx::query(POSITION).bind(shard.to_string()).bind(integer(position));
                row.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(orders)
        })
    }

    async fn meta(&mut self, key: &str) -> anyhow::Result<Option<String>> {
        let row = "SELECT value FROM meta WHERE key = $1";
        Ok(
            on!(Store: self, connection => sqlx::query_scalar(row).bind(key.to_owned()).fetch_optional(&mut *connection).await)?,
        )
    }

    async fn positions(&mut self, shards: Shards) -> anyhow::Result<Option<Positions>> {
        let rows = "SELECT shard, position FROM positions";
        let rows: Vec<(String, i64)> =
            on!(Store: self, connection => sqlx::query_as(rows).fetch_all(&mut *connection).await)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let rows: HashMap<String, i64> = rows.into_iter().collect();
        let mut positions = Positions::zero(shards);
        for (shard, _) in Positions::zero(shards).iter() {
            let position = rows.get(&shard.to_string());
            let position = position.with_context(|| format!("the position of {shard} is missing"))?;
            *positions.of_mut(shard) = (*position).try_into()?;
        }
        Ok(Some(positions))
    }

    /// All of it or nothing.
    pub async fn write(
        &mut self,
        batch: &Batch,
        names: &HashMap<AccountId, AccountName>,
        positions: Option<&Positions>,
        venue: &Venue,
    ) -> sqlx::Result<()> {
        on!(Store: self, connection => {
            let mut transaction = connection.begin().await?;
            transaction.write_rows(batch, venue).await?;
            for (account, name) in names {
                let row = "INSERT INTO accounts (account, name) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                let row = sqlx::query(row).bind(i64::from(account.0)).bind(name.as_str().to_owned());
                row.execute(&mut *transaction).await?;
            }
            for (shard, position) in positions.iter().flat_map(|positions| positions.iter()) {
                let row = sqlx::query(POSITION).bind(shard.to_string()).bind(integer(position));
                row.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
    }
}

/// How a database likes many rows.
pub(super) trait WriteRows {
    /// Adds the batch's events and brings its orders up to date. What is there already stays.
    async fn write_rows(&mut self, batch: &Batch, venue: &Venue) -> sqlx::Result<()>;
}
