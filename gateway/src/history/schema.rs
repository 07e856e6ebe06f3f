//! The tables. Numbers of the engine are integers, prices and quantities text as in messages, times microseconds.
//!
//! ```text
//! events      every entry of every account's history; `data` is the message's
//! orders      every order as its newest entry left it
//! accounts    their names; one without a name is a driver's, and nothing of it is here
//! positions   how far the history is: of every shard, the first entry of the journal that it has not
//! meta        the schema's version, and which journal it is the history of
//! ```
//! Both databases take the same text.

/// The version below. A store of a later one is refused.
pub const VERSION: u32 = 1;

/// Made first, so that it can be asked for the version.
pub(super) const META: &str = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)";

/// The rest of it. `events` has a small index beside the rows instead of being one: accounts write in turns, and a row is
/// too long to be moved about.
pub(super) const TABLES: [&str; 6] = [
    "CREATE TABLE positions (
        shard TEXT PRIMARY KEY,
        position BIGINT NOT NULL
    )",
    "CREATE TABLE accounts (
        account BIGINT PRIMARY KEY,
        name TEXT NOT NULL
    )",
    "CREATE TABLE events (
        account BIGINT NOT NULL,
        exec_seq BIGINT NOT NULL,
        type TEXT NOT NULL,
        symbol TEXT,
        order_id TEXT,
        exchange_order_id BIGINT,
        trade_id BIGINT,
        ts BIGINT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (account, exec_seq)
    )",
    "CREATE TABLE orders (
        account BIGINT NOT NULL,
        symbol TEXT NOT NULL,
        exchange_order_id BIGINT NOT NULL,
        order_id TEXT NOT NULL,
        side TEXT NOT NULL,
        status TEXT NOT NULL,
        is_open BOOLEAN NOT NULL,
        price TEXT,
        quantity TEXT NOT NULL,
        cum_quantity TEXT NOT NULL,
        cum_quote TEXT NOT NULL,
        leaves_quantity TEXT NOT NULL,
        created_seq BIGINT NOT NULL,
        created_ts BIGINT NOT NULL,
        exec_seq BIGINT NOT NULL,
        ts BIGINT NOT NULL,
        PRIMARY KEY (account, symbol, exchange_order_id)
    )",
    "CREATE INDEX orders_by_creation ON orders (account, created_seq)",
    "CREATE INDEX orders_open ON orders (account, created_seq) WHERE is_open",
];
