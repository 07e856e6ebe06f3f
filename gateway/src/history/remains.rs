//! What is left of a history whose journal is gone: beside it a new journal would be the beginning of another exchange.

use super::place::{Place, Wish, file_with_content};
use anyhow::Context;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use std::path::Path;
use std::time::Duration;

/// How long a server may take to say it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a history is, in that data directory or where the configuration wants one.
///
/// # Errors
/// If that cannot be known: a server does not answer, or answers something else.
pub fn remains(wish: &Wish, data_dir: &Path) -> anyhow::Result<Option<Place>> {
    if let Some(file) = file_with_content(data_dir) {
        return Ok(Some(Place::Sqlite(file)));
    }
    let Wish::Postgres(options) = wish else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let place = Place::Postgres(options.clone());
    let owner = runtime.block_on(async { tokio::time::timeout(PATIENCE, owner(options)).await });
    let unknown =
        || format!("there is no journal, and {place} does not say whether it has the history of one");
    match owner.with_context(unknown)? {
        Ok(owner) => Ok(owner.map(|_| place)),
        Err(error) if says_there_is_none(&error) => Ok(None),
        Err(error) => Err(error).with_context(unknown),
    }
}

/// Whether the server has no such table, or no such database.
fn says_there_is_none(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["42P01", "3D000"].contains(&&*code))
}

/// The journal whose history a database has.
async fn owner(options: &PgConnectOptions) -> sqlx::Result<Option<String>> {
    let mut connection = options.connect().await?;
    let owner = "SELECT value FROM meta WHERE key = 'journal'";
    sqlx::query_scalar(owner).fetch_optional(&mut connection).await
}
