//! Writes the history, on the thread of whoever follows the journal.

use super::batch::{Batch, integer};
use super::place::{Place, to_write};
use super::schema::{META, TABLES, VERSION};
use super::{HistoryCounters, Progress, Source};
use crate::venue::Venue;
use anyhow::{Context, bail};
use engine_core::journal::{Positions, Shards};
use engine_core::message::Report;
use engine_core::units::{AccountId, AccountName};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Entries that are worth a transaction of their own: beyond, one entry costs no less. No transaction has more, so that a slow
/// store gets on after an outage.
pub const BATCH_ENTRIES: usize = 4096;

/// Entries that may wait for a store that does not answer, some 50 MB. Then the journal is not followed further until it does:
/// what has not been read cannot be lost.
pub const WAITING_ENTRIES_MAX: usize = 1 << 16;

/// How long one attempt may take, a connection included, and how long all attempts of one save; and the time between
/// attempts, which doubles from the first to the second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// The one who writes. It blocks, and has its own small runtime.
pub struct Writer {
    runtime: tokio::runtime::Runtime,
    place: Place,
    /// None after a failure, until the next attempt.
    store: Option<Store>,
    venue: Arc<Venue>,
    positions: Option<Positions>,
    /// Where the journal ended when the history was opened.
    start: Positions,
    /// Where the history goes on after a hole that the store does not know of yet.
    hole: Option<Positions>,
    /// What was noted, the oldest first; all but the last have [`BATCH_ENTRIES`]. There is always one.
    batches: VecDeque<Batch>,
    /// Accounts whose names are written.
    named: HashSet<AccountId>,
    /// Those that are not, and were noted.
    names: HashMap<AccountId, AccountName>,
    trouble: Option<Trouble>,
    counters: Arc<HistoryCounters>,
    progress: watch::Sender<Progress>,
}

/// Attempts have failed since the last that did not.
struct Trouble {
    attempts: u32,
    wait: Duration,
    next: Instant,
}

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// All that was noted is in the store.
    All,
    /// The store does not take it now. What was noted is kept, and it is worth another call after so long.
    NotYet(Duration),
}

const POSITION: &str = "INSERT INTO positions (shard, position) VALUES ($1, $2)
    ON CONFLICT (shard) DO UPDATE SET position = excluded.position";

/// A connection that writes.
pub(super) enum Store {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Writer {
    pub(super) fn open(
        place: &Place,
        source: Source<'_>,
        counters: Arc<HistoryCounters>,
        progress: watch::Sender<Progress>,
    ) -> anyhow::Result<Writer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opened = runtime.block_on(in_time(async {
            let mut store = Store::connect(place).await?;
            let positions = store.prepare(source.journal, source.end).await?;
            anyhow::Ok((store, positions))
        }));
        let (store, positions) = opened.with_context(|| format!("history {place}"))?;
        counters.kept.set(1);
        let has_start = positions.as_ref().is_some_and(|positions| source.end.all_within(positions));
        progress.send_modify(|progress| progress.has_start = has_start);
        Ok(Writer {
            runtime,
            place: place.clone(),
            store: Some(store),
            venue: source.venue,
            positions,
            start: source.end.clone(),
            hole: None,
            batches: VecDeque::from([Batch::default()]),
            named: HashSet::new(),
            names: HashMap::new(),
            trouble: None,
            counters,
            progress,
        })
    }

    /// Of all shards, the first entry of the journal that the store has not; nothing if it is new. Reports from before may be
    /// noted again: they change nothing.
    pub fn positions(&self) -> Option<&Positions> {
        self.positions.as_ref()
    }

    /// Takes note of a report.
    pub fn note(&mut self, report: &Report) {
        let was_idle = !self.has_news();
        let last = self.batches.back_mut().expect("there is always one");
        last.note(&self.venue, report);
        if last.entries() >= BATCH_ENTRIES {
            self.batches.push_back(Batch::default());
        }
        if was_idle && self.has_news() {
            self.counters.waiting_since.set(report.at.0);
        }
    }

    /// Takes note of what an account is called. Whether that is news is [`Writer::lacks_name`].
    pub fn note_name(&mut self, account: AccountId, name: AccountName) {
        if !self.named.contains(&account) {
            self.names.insert(account, name);
        }
    }

    /// Whether the account's name was never noted.
    pub fn lacks_name(&self, account: AccountId) -> bool {
        !self.named.contains(&account) && !self.names.contains_key(&account)
    }

    /// Whether anything was noted.
    pub fn has_news(&self) -> bool {
        self.batches[0].entries() > 0
    }

    fn waiting(&self) -> usize {
        self.batches.iter().map(Batch::entries).sum()
    }

    /// Whether enough was noted for a transaction.
    pub fn is_worth_saving(&self) -> bool {
        self.waiting() >= BATCH_ENTRIES
    }

    /// Whether as much was noted as may wait.
    pub fn is_full(&self) -> bool {
        self.waiting() >= WAITING_ENTRIES_MAX
    }

    /// Writes what was noted, and with the last of it that the journal was read up to `positions`. Never fails for good: after
    /// a failure it does nothing until it is time for another attempt.
    pub fn save(&mut self, positions: &Positions) -> Saved {
        self.counters.waiting.set(self.waiting() as u64);
        if let Some(trouble) = &self.trouble
            && let Some(left) = trouble.next.checked_duration_since(Instant::now())
        {
            return Saved::NotYet(left);
        }
        let begun = Instant::now();
        loop {
            match self.commit_next(positions) {
                Ok(is_all) => {
                    self.counters.kept.set(1);
                    if let Some(Trouble { attempts, .. }) = self.trouble.take() {
                        tracing::info!(place = %self.place, attempts, "the history is written again");
                    }
                    if is_all {
                        return Saved::All;
                    }
                }
                Err(error) => return Saved::NotYet(self.failed(&error)),
            }
            if begun.elapsed() >= ATTEMPT_TIMEOUT {
                return Saved::NotYet(Duration::ZERO); // it is slow, and others wait
            }
        }
    }

    /// The same, once. What was noted and not written is kept if it fails, and it is safe to call again.
    ///
    /// # Errors
    /// If the store does not take it.
    pub fn commit(&mut self, positions: &Positions) -> anyhow::Result<()> {
        while !self.commit_next(positions)? {}
        Ok(())
    }

    /// Writes the oldest batch, in a transaction of its own; with the last one, how far the journal was read. True if that was
    /// the last one.
    fn commit_next(&mut self, positions: &Positions) -> anyhow::Result<bool> {
        let is_known = self.positions.as_ref().is_some_and(|known| positions.all_within(known));
        let is_all = if is_known && self.hole.is_none() {
            self.batches.truncate(1);
            self.batches[0].clear();
            true
        } else {
            self.write_next(positions)?
        };
        self.named.extend(self.names.drain().map(|(account, _)| account));
        self.counters.waiting.set(self.waiting() as u64);
        self.counters.waiting_since.set(self.batches[0].oldest().unwrap_or(0));
        Ok(is_all)
    }

    fn write_next(&mut self, positions: &Positions) -> anyhow::Result<bool> {
        // An empty one at the end needs no transaction of its own.
        if self.batches.len() > 1 && self.batches.back().is_some_and(|last| last.entries() == 0) {
            self.batches.pop_back();
        }
        let is_last = self.batches.len() == 1;
        let Self { runtime, store, place, batches, names, venue, hole, .. } = self;
        let attempt = async {
            let mut open = match store.take() {
                Some(open) => open,
                None => Store::connect(place).await?,
            };
            if let Some(positions) = hole {
                let orders = open.leave_hole(positions).await?;
                tracing::warn!(%place, orders, "the journal does not reach back to where the history ends: it has a hole");
                *hole = None;
            }
            open.write(&batches[0], names, is_last.then_some(positions), venue).await?;
            *store = Some(open);
            anyhow::Ok(())
        };
        runtime.block_on(in_time(attempt))?;
        let mut written = self.batches.pop_front().expect("it was just written");
        self.counters.entries.add(written.entries() as u64);
        self.counters.commits.add(1);
        if is_last {
            self.positions = Some(positions.clone());
            written.clear();
            self.batches.push_back(written);
        }
        let has_start = is_last && self.start.all_within(positions);
        self.progress.send_modify(|progress| {
            progress.commits += 1;
            progress.has_start |= has_start;
        });
        Ok(is_last)
    }

    fn failed(&mut self, error: &anyhow::Error) -> Duration {
        self.counters.failures.add(1);
        self.counters.kept.set(0);
        let [first, longest] = RETRY_AFTER;
        let trouble = self.trouble.get_or_insert_with(|| {
            tracing::warn!(place = %self.place, "the history cannot be written, trading goes on, trying again: {error:#}");
            Trouble { attempts: 0, wait: first / 2, next: Instant::now() }
        });
        trouble.attempts += 1;
        trouble.wait = (trouble.wait * 2).min(longest);
        trouble.next = Instant::now() + trouble.wait;
        trouble.wait
    }

    /// What was not noted, because the journal does not have it any more, is said to be missing: the history goes on from
    /// `positions`. What orders have done meanwhile is not known. The next save writes it down.
    pub fn skip_to(&mut self, positions: &Positions) {
        self.positions = Some(positions.clone());
        self.hole = Some(positions.clone());
    }
}

/// The same, or an error after a while: no database can hold up the journal's follower, or the end of the process.
async fn in_time<T>(attempt: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await.context("no answer in time")?
}

impl Store {
    async fn connect(place: &Place) -> anyhow::Result<Store> {
        Ok(match place {
            Place::Sqlite(file) => Store::Sqlite(to_write(file).connect().await?),
            Place::Postgres(options) => Store::Postgres(options.connect().await?),
        })
    }

    /// Makes the tables, or sees whose they are. Returns how far they are.
    async fn prepare(&mut self, journal: u128, end: &Positions) -> anyhow::Result<Option<Positions>> {
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
    async fn leave_hole(&mut self, positions: &Positions) -> sqlx::Result<u64> {
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
    async fn write(
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
