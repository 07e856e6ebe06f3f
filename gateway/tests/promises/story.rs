//! What happens in an engine whose accounts trade by chance, as it was told, and databases to write it to.

use crate::exchange::fresh_directory;
use crate::postgres;
use engine_core::executor::AtRest;
use engine_core::executor::inline::Inline;
use engine_core::instrument::Market;
use engine_core::journal::storage::Disk;
use engine_core::journal::{Journal, JournalError, Options, Positions, Recovery, Shards};
use engine_core::message::{Command, Input, Origin, Report, Submit};
use engine_core::pipeline::{self, Recovered, Shape};
use engine_core::units::*;
use gateway::config::Config;
use gateway::history::place::{Place, Wish};
use gateway::history::reader::Reader;
use gateway::history::writer::Writer;
use gateway::history::{self, Source};
use gateway::keeper::Keeper;
use gateway::reports;
use gateway::venue::Venue;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const JOURNAL: u128 = 0x5eed;
pub const SHARDS: Shards = Shards { sequencers: 2, matchers: 1 };
pub const ACCOUNTS: u32 = 5;

/// What happened in an engine: after each input, what it reported and how far its logs were.
pub struct Story {
    pub venue: Arc<Venue>,
    pub chapters: Vec<(Vec<Report>, Positions)>,
}

pub fn market() -> Arc<Market> {
    let market = Config::load(None, &json!({}), &json!({})).and_then(|config| config.market());
    Arc::new(market.expect("the sample works"))
}

/// Shards that know the market, and nothing has happened yet.
pub fn fresh() -> AtRest {
    let Shards { sequencers, matchers } = SHARDS;
    pipeline::build(Shape { sequencers, matchers, log_entries_max: 1 << 20 }, &market())
}

pub fn story(seed: u64) -> Story {
    tell(fresh(), seed)
}

pub fn tell(shards: AtRest, seed: u64) -> Story {
    let mut trading = Trading::begin(shards, seed);
    trading.trade(600);
    trading.story
}

/// Accounts that trade by chance.
pub struct Trading {
    engine: Inline,
    random: ChaCha8Rng,
    orders: u32,
    pub story: Story,
}

impl Trading {
    /// Accounts with names and money.
    pub fn begin(shards: AtRest, seed: u64) -> Self {
        println!("seed {seed}");
        let story = Story { venue: Arc::new(Venue::new(market(), Vec::new(), 500)), chapters: Vec::new() };
        let random = ChaCha8Rng::seed_from_u64(seed);
        let mut trading = Self { engine: pipeline::run_inline(shards), random, orders: 0, story };
        for account in (0..ACCOUNTS).map(AccountId) {
            let name = AccountName::new(&format!("account-{}", account.0));
            trading.apply(Command::Open { account, name });
            for asset in [0, 1, 2].map(AssetId) {
                trading.apply(Command::Deposit { account, asset, amount: Amount(1 << 80) });
            }
        }
        trading
    }

    pub fn trade(&mut self, count: u32) {
        for number in self.orders..self.orders + count {
            let random = &mut self.random;
            let account = AccountId(random.random_range(0..ACCOUNTS));
            let symbol = SymbolId(random.random_range(0..2));
            let id = |number: u32| ClientOrderId::new(&format!("o{number}")).expect("a good name");
            let command = if random.random_bool(0.2) {
                Command::Cancel { account, symbol, order_id: id(random.random_range(0..=number)) }
            } else {
                let side = if random.random() { Side::Buy } else { Side::Sell };
                let price = Price(3_000_000 + random.random_range(0..20));
                let quantity = Quantity(random.random_range(1..50) * 1000);
                Command::Submit(Submit::limit(account, symbol, id(number), side, price, quantity))
            };
            self.apply(command);
        }
        self.orders += count;
    }

    pub fn apply(&mut self, command: Command) {
        let mut reports = Vec::new();
        let at = Timestamp((self.story.chapters.len() as u64 + 1) * 1000);
        let input = Input { origin: Origin::default(), at, ticket: 0, command };
        self.engine.apply(&input, &mut |report: &Report| reports.push(report.clone()), &mut ());
        let at_rest = self.engine.at_rest();
        let positions = Positions {
            sequencers: at_rest.sequencers.iter().map(|shard| shard.log.durable()).collect(),
            matchers: at_rest.matchers.iter().map(|shard| shard.log.durable()).collect(),
        };
        self.story.chapters.push((reports, positions));
    }
}

impl Story {
    pub fn end(&self) -> &Positions {
        &self.chapters.last().expect("something happened").1
    }

    pub fn open(&self, place: &Place) -> anyhow::Result<(Writer, Reader)> {
        history::open(place, Source { journal: JOURNAL, end: self.end(), venue: self.venue.clone() })
    }

    /// The account's last entry.
    pub fn last_of(&self, account: AccountId) -> u64 {
        let all =
            self.chapters.iter().flat_map(|(reports, _)| reports).filter(|report| report.account == account);
        all.filter_map(|report| report.body.exec_sequence()).max().expect("everybody was told something")
    }

    pub fn note(&self, writer: &mut Writer, chapters: std::ops::Range<usize>) -> &Positions {
        for (reports, _) in &self.chapters[chapters.clone()] {
            for report in reports {
                writer.note(report);
                if writer.lacks_name(report.account) {
                    let name = AccountName::new(&format!("account-{}", report.account.0));
                    writer.note_name(report.account, name.expect("a good name"));
                }
            }
        }
        &self.chapters[chapters.end - 1].1
    }

    /// Writes all of it in batches of a few chapters.
    pub fn write(&self, writer: &mut Writer, batch: usize) {
        for begin in (0..self.chapters.len()).step_by(batch) {
            let end = (begin + batch).min(self.chapters.len());
            let positions = self.note(writer, begin..end);
            writer.commit(positions).expect("the store is there");
        }
    }

    /// What clients were told, in the order of the table.
    pub fn told(&self) -> Vec<String> {
        let all = self.chapters.iter().flat_map(|(reports, _)| reports);
        let mut told: Vec<_> = all
            .filter_map(|report| {
                let mut message = Vec::new();
                let exec_seq = report.body.exec_sequence()?;
                reports::write(&mut message, &self.venue, report, None, Timestamp(0));
                Some(((report.account.0, exec_seq), String::from_utf8(message).expect("it is text")))
            })
            .collect();
        told.sort();
        told.into_iter().map(|(_, message)| message).collect()
    }
}

/// Every row of every table as text.
pub const DUMPS: [&str; 5] = [
    "SELECT account || ' ' || exec_seq || ' ' || type || ' ' || COALESCE(symbol, '-') || ' ' || COALESCE(order_id, '-') || ' '
        || COALESCE(CAST(exchange_order_id AS TEXT), '-') || ' ' || COALESCE(CAST(trade_id AS TEXT), '-') || ' ' || ts || ' '
        || data FROM events ORDER BY account, exec_seq",
    "SELECT account || ' ' || symbol || ' ' || exchange_order_id || ' ' || order_id || ' ' || side || ' ' || status || ' '
        || CASE WHEN is_open THEN 'open' ELSE 'closed' END || ' ' || COALESCE(price, '-') || ' ' || quantity || ' '
        || cum_quantity || ' ' || cum_quote || ' ' || leaves_quantity || ' ' || created_seq || ' ' || created_ts || ' '
        || exec_seq || ' ' || ts FROM orders ORDER BY account, symbol, exchange_order_id",
    "SELECT account || ' ' || name FROM accounts ORDER BY account",
    "SELECT shard || ' ' || position FROM positions ORDER BY shard",
    "SELECT key || ' ' || value FROM meta ORDER BY key",
];

pub fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

pub fn rows(place: &Place) -> Vec<Vec<String>> {
    wait(async {
        let mut tables = Vec::new();
        for dump in DUMPS {
            tables.push(match place {
                Place::Sqlite(file) => {
                    let mut connection =
                        SqliteConnection::connect(file.to_str().expect("our own path")).await?;
                    sqlx::query_scalar(dump).fetch_all(&mut connection).await?
                }
                Place::Postgres(options) => {
                    let mut connection = PgConnection::connect_with(options).await?;
                    sqlx::query_scalar(dump).fetch_all(&mut connection).await?
                }
            });
        }
        Ok::<_, sqlx::Error>(tables)
    })
    .expect("the tables can be read")
}

pub fn change(place: &Place, statement: &'static str) {
    let changed = wait(async {
        match place {
            Place::Sqlite(file) => {
                let mut connection = SqliteConnection::connect(file.to_str().expect("our own path")).await?;
                sqlx::query(statement).execute(&mut connection).await.map(drop)
            }
            Place::Postgres(options) => {
                let mut connection = PgConnection::connect_with(options).await?;
                sqlx::query(statement).execute(&mut connection).await.map(drop)
            }
        }
    });
    changed.expect("the statement is right");
}

/// A place for each call, in a directory that ends with it.
pub struct Places {
    pub directory: PathBuf,
    server: Option<postgres::Server>,
    made: usize,
}

impl Places {
    pub fn files() -> Self {
        Self::new(None)
    }

    pub fn new(server: Option<postgres::Server>) -> Self {
        Self { directory: fresh_directory("history"), server, made: 0 }
    }

    pub fn next(&mut self) -> Place {
        self.made += 1;
        match &self.server {
            None => Place::Sqlite(self.directory.join(format!("{}.sqlite", self.made))),
            Some(server) => {
                let wish: Wish = server.database().parse().expect("a good URL");
                wish.place(&self.directory).expect("there is one")
            }
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // A test that fails leaves its files: to be looked at, and because a keeper that loses them ends the process.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// In SQLite, and in PostgreSQL if there is one.
pub fn everywhere(test: impl Fn(&mut Places)) {
    test(&mut Places::files());
    if let Some(server) = postgres::start() {
        test(&mut Places::new(Some(server)));
    }
}

/// The engine that a journal in this directory holds, in small pieces so that it forgets.
pub fn recover(directory: &Path, segment_bytes: u64) -> Recovered {
    let disk = Disk::new(directory).expect("a directory of our own");
    let options = Options { segment_bytes, ..Options::new(SHARDS) };
    let recovery = Recovery::open(Arc::new(disk), options).expect("a new journal, or ours");
    let stop = |error: &JournalError| panic!("{error}");
    pipeline::recover(recovery, fresh(), |_, _| {}, Box::new(stop)).expect("it is whole")
}

/// A keeper of that journal, with a history there.
pub fn keep(journal: &Journal, venue: &Arc<Venue>, place: &Place, snapshot_bytes: u64) -> (Keeper, Reader) {
    let watch = journal.watch();
    let source = Source { journal: watch.id(), end: &watch.positions(), venue: venue.clone() };
    let (writer, reader) = history::open(place, source).expect("a store");
    (Keeper::start(watch, fresh, snapshot_bytes, Some(writer)).expect("a thread"), reader)
}

/// Until the history has all of the story.
pub fn wait_until_written(reader: &Reader, story: &Story) {
    wait(async {
        for account in (0..ACCOUNTS).map(AccountId) {
            let (mut progress, last) = (reader.progress(), story.last_of(account));
            while reader.last(account).await.unwrap_or(0) < last {
                progress.changed().await.expect("there is a writer");
            }
        }
    });
}
