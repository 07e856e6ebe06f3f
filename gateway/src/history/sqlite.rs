//! Many rows into SQLite: a statement takes a hundred rows at a time, because each statement is a message to the thread that
//! sqlx has for the connection. What is left over goes one by one, so there are two statements to prepare and not a hundred.

use super::batch::{Batch, EventRow, OrderRow};
use super::store::WriteRows;
use crate::venue::Venue;
use crate::wire::name::Name;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use std::sync::LazyLock;

/// Rows of one statement. Beyond, the time for a row does not get less; 16 columns stay far below SQLite's 32,766.
const ROWS: usize = 100;

type Statement = Query<'static, Sqlite, SqliteArguments>;

const EVENTS: [&str; 2] = [
    "INSERT INTO events (account, exec_seq, type, symbol, order_id, exchange_order_id, trade_id, ts, data) VALUES ",
    " ON CONFLICT DO NOTHING",
];
const EVENT_COLUMNS: usize = 9;

const ORDERS: [&str; 2] = [
    "INSERT INTO orders (account, symbol, exchange_order_id, order_id, side, status, is_open, price, quantity, cum_quantity,
        cum_quote, leaves_quantity, created_seq, created_ts, exec_seq, ts) VALUES ",
    " ON CONFLICT (account, symbol, exchange_order_id) DO UPDATE SET status = excluded.status, is_open = excluded.is_open,
        price = excluded.price, quantity = excluded.quantity, cum_quantity = excluded.cum_quantity,
        cum_quote = excluded.cum_quote, leaves_quantity = excluded.leaves_quantity, exec_seq = excluded.exec_seq,
        ts = excluded.ts WHERE excluded.exec_seq > orders.exec_seq",
];
const ORDER_COLUMNS: usize = 16;

/// Of many rows, and of one.
static EVENT_STATEMENTS: LazyLock<[String; 2]> =
    LazyLock::new(|| [ROWS, 1].map(|rows| of_rows(EVENTS, rows, EVENT_COLUMNS)));
static ORDER_STATEMENTS: LazyLock<[String; 2]> =
    LazyLock::new(|| [ROWS, 1].map(|rows| of_rows(ORDERS, rows, ORDER_COLUMNS)));

fn of_rows([head, tail]: [&str; 2], rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(","));
    format!("{head}{}{tail}", vec![row; rows].join(","))
}

impl WriteRows for SqliteConnection {
    async fn write_rows(&mut self, batch: &Batch, venue: &Venue) -> sqlx::Result<()> {
        let event = |statement, row: &EventRow| bind_event(statement, row, batch.data(row), venue);
        write(self, &batch.events, &EVENT_STATEMENTS, event).await?;
        write(self, &batch.orders, &ORDER_STATEMENTS, |statement, row| bind_order(statement, row, venue))
            .await
    }
}

async fn write<Row>(
    connection: &mut SqliteConnection,
    rows: &[Row],
    statements: &'static [String; 2],
    bind: impl Fn(Statement, &Row) -> Statement,
) -> sqlx::Result<()> {
    let (many, rest) = rows.as_chunks::<ROWS>();
    let groups = many.iter().map(|group| (&statements[0], &group[..]));
    for (statement, group) in groups.chain(rest.chunks(1).map(|one| (&statements[1], one))) {
        let statement = group.iter().fold(sqlx::query(statement.as_str()), &bind);
        statement.execute(&mut *connection).await?;
    }
    Ok(())
}

fn bind_event(statement: Statement, row: &EventRow, data: &str, venue: &Venue) -> Statement {
    let (symbol, order_id, exchange_order_id) = match row.order {
        Some((symbol, order_id, ours)) => (Some(symbol), Some(order_id), Some(ours)),
        None => (None, None, None),
    };
    statement
        .bind(row.account)
        .bind(row.exec_seq)
        .bind(row.kind.text())
        .bind(symbol.map(|symbol| venue.of(symbol).symbol.as_str()))
        .bind(order_id.as_ref().map(|id| id.as_str()))
        .bind(exchange_order_id)
        .bind(row.trade_id)
        .bind(row.ts)
        .bind(data)
}

fn bind_order(statement: Statement, row: &OrderRow, venue: &Venue) -> Statement {
    statement
        .bind(row.account)
        .bind(venue.of(row.symbol).symbol.as_str())
        .bind(row.exchange_order_id)
        .bind(row.order_id.as_str())
        .bind(row.side)
        .bind(row.status)
        .bind(row.is_open)
        .bind(row.price.as_deref())
        .bind(row.quantity.as_str())
        .bind(row.cum_quantity.as_str())
        .bind(row.cum_quote.as_str())
        .bind(row.leaves_quantity.as_str())
        .bind(row.created_seq)
        .bind(row.created_ts)
        .bind(row.exec_seq)
        .bind(row.ts)
}
