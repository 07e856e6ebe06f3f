//! What may be asked of the history. On the control plane's runtimes: nothing here is for a reactor.

use super::place::{Place, to_read};
use super::{HistoryCounters, Progress};
use crate::wire::name::{EntryKind, Name};
use engine_core::units::AccountId;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgPool, SqlitePool};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, watch};

/// Questions that are answered at the same time: each has a connection, and with SQLite a thread.
pub const CONNECTIONS: u32 = 4;

/// How long a question waits for a connection, and how long for everything.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const QUERY_TIMEOUT: Duration = Duration::from_secs(4);

/// One who asks; clones share their connections.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
}

struct Shared {
    place: Place,
    /// Opened by the first question.
    pool: OnceCell<Pool>,
    counters: Arc<HistoryCounters>,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// An entry of an account's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub exec_seq: u64,
    /// What it is.
    pub kind: EntryKind,
    /// Its data, as JSON.
    pub data: String,
}

/// What there is of some entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The first of them, without a hole.
    Entries(Vec<Entry>),
    /// The first of them is not written, and later ones are.
    Hole,
    /// None of them is written yet, and none after them.
    NotYet,
}

/// An order as its newest entry left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The entry that it began with, and its time in microseconds.
    pub created_seq: u64,
    pub created_ts: u64,
    /// Whether it is in the book or waits.
    pub is_open: bool,
    /// What it is now; `unknown` if that was not written down.
    pub status: String,
    /// The data of its newest entry, as JSON.
    pub data: String,
}

/// Which orders.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// Only those that are open.
    pub only_open: bool,
    /// Only those that began before this entry.
    pub before: u64,
    /// At most so many, the newest.
    pub count_max: u32,
}

impl Reader {
    pub(super) fn new(
        place: &Place,
        progress: watch::Receiver<Progress>,
        counters: Arc<HistoryCounters>,
    ) -> Reader {
        let shared = Shared { place: place.clone(), pool: OnceCell::new(), counters };
        Reader { shared: Arc::new(shared), progress }
    }

    /// One with connections of its own, for another runtime, and for questions that shall not wait for those of others.
    pub fn apart(&self) -> Reader {
        let Shared { place, counters, .. } = &*self.shared;
        Reader::new(place, self.progress(), counters.clone())
    }

    /// What the writer counts.
    pub fn counters(&self) -> &HistoryCounters {
        &self.shared.counters
    }

    /// The last entry of the account that is written; 0 if there is none.
    pub async fn last(&self, account: AccountId) -> sqlx::Result<u64> {
        let row = "SELECT MAX(exec_seq) FROM events WHERE account = $1";
        let account = i64::from(account.0);
        let last: Option<i64> = in_time(async {
            on!(Pool: self.pool().await, connections => {
                sqlx::query_scalar(row).bind(account).fetch_one(connections).await
            })
        })
        .await?;
        Ok(last.map_or(0, number))
    }

    /// The account's entries from `from` to `to`, both included, at most so many, in order.
    pub async fn entries(
        &self,
        account: AccountId,
        (from, to): (u64, u64),
        count_max: u32,
    ) -> sqlx::Result<Vec<Entry>> {
        let rows = "SELECT exec_seq, type, data FROM events WHERE account = $1 AND exec_seq BETWEEN $2 AND $3
            ORDER BY exec_seq LIMIT $4";
        let (account, from, to) = (i64::from(account.0), bound(from), bound(to));
        let rows: Vec<(i64, String, String)> = in_time(async {
            on!(Pool: self.pool().await, connections => {
                let rows = sqlx::query_as(rows).bind(account).bind(from).bind(to).bind(i64::from(count_max));
                rows.fetch_all(connections).await
            })
        })
        .await?;
        let entry = |(exec_seq, kind, data): (i64, String, String)| {
            let kind = EntryKind::from_text(&kind);
            let kind = kind.ok_or_else(|| sqlx::Error::Decode("a type that no entry has".into()))?;
            Ok(Entry { exec_seq: number(exec_seq), kind, data })
        };
        rows.into_iter().map(entry).collect()
    }

    /// Orders of the account, newest first.
    pub async fn orders(&self, account: AccountId, which: Orders) -> sqlx::Result<Vec<Order>> {
        // Two texts, so that each has its index.
        let rows = if which.only_open {
            "SELECT o.created_seq, o.created_ts, o.is_open, o.status, e.data FROM orders o
                JOIN events e ON e.account = o.account AND e.exec_seq = o.exec_seq
                WHERE o.account = $1 AND o.created_seq < $2 AND o.is_open ORDER BY o.created_seq DESC LIMIT $3"
        } else {
            "SELECT o.created_seq, o.created_ts, o.is_open, o.status, e.data FROM orders o
                JOIN events e ON e.account = o.account AND e.exec_seq = o.exec_seq
                WHERE o.account = $1 AND o.created_seq < $2 ORDER BY o.created_seq DESC LIMIT $3"
        };
        let rows: Vec<(i64, i64, bool, String, String)> = in_time(async {
            on!(Pool: self.pool().await, connections => {
                let rows = sqlx::query_as(rows).bind(i64::from(account.0)).bind(bound(which.before));
                rows.bind(i64::from(which.count_max)).fetch_all(connections).await
            })
        })
        .await?;
        let order = |(created_seq, created_ts, is_open, status, data)| Order {
            created_seq: number(created_seq),
            created_ts: number(created_ts),
            is_open,
            status,
            data,
        };
        Ok(rows.into_iter().map(order).collect())
    }

    /// What there is of the account's entries from `from` to `to`, both included: the history is a moment behind the engine.
    pub async fn page(&self, account: AccountId, (from, to): (u64, u64)) -> sqlx::Result<Page> {
        let last = self.last(account).await?;
        if last < from {
            return Ok(Page::NotYet);
        }
        let mut entries = self.entries(account, (from, to), u32::MAX).await?;
        let whole = (from..).zip(&entries).take_while(|(wanted, entry)| *wanted == entry.exec_seq).count();
        entries.truncate(whole);
        Ok(if whole > 0 { Page::Entries(entries) } else { Page::Hole })
    }

    /// Changes with every commit.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    async fn pool(&self) -> &Pool {
        let Shared { place, pool, .. } = &*self.shared;
        // Here and not at the start: connections belong to the runtime that opened them.
        pool.get_or_init(async || match place {
            Place::Sqlite(file) => {
                let options =
                    SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
                Pool::Sqlite(options.connect_lazy_with(to_read(file)))
            }
            Place::Postgres(server) => {
                let options =
                    PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
                Pool::Postgres(options.connect_lazy_with((**server).clone()))
            }
        })
        .await
    }
}

/// The same, or an error after a while: a server that does not answer holds nobody up.
async fn in_time<T>(query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(QUERY_TIMEOUT, query).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// As much of a client's number as SQL can hold: no entry is beyond.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(integer: i64) -> u64 {
    integer.unsigned_abs()
}
