//! What is left of a history whose journal is gone: beside it a new journal would be the beginning of another exchange.

use super::place::{Place, Wish, file_with_content};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use std::path::Path;
use std::time::Duration;

/// How long a server may take to say it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a history is, in that data directory or where the configuration wants one.
///
/// # Errors
/// If the system has no means to ask for it.
pub fn remains(wish: &Wish, data_dir: &Path) -> anyhow::Result<Option<Place>> {
    if let Some(file) = file_with_content(data_dir) {
        return Ok(Some(Place::Sqlite(file)));
    }
    let Wish::Postgres(options) = wish else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A server that does not answer, or has no such table, says nothing; what is wrong with it is told when it is opened.
    let owner = runtime.block_on(async { tokio::time::timeout(PATIENCE, owner(options)).await });
    Ok(matches!(owner, Ok(Ok(Some(_)))).then(|| Place::Postgres(options.clone())))
}

/// The journal whose history a database has.
async fn owner(options: &PgConnectOptions) -> sqlx::Result<Option<String>> {
    let mut connection = options.connect().await?;
    let owner = "SELECT value FROM meta WHERE key = 'journal'";
    sqlx::query_scalar(owner).fetch_optional(&mut connection).await
}
