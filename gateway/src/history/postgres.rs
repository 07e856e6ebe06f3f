//! Many rows into PostgreSQL: a column of all of them is one parameter, so a whole batch is one statement and one round trip.

use super::batch::{Batch, EventRow, OrderRow};
use super::store::WriteRows;
use crate::venue::Venue;
use crate::wire::name::Name;
use sqlx::PgConnection;

const EVENTS: &str = "
    INSERT INTO events (account, exec_seq, type, symbol, order_id, exchange_order_id, trade_id, ts, data)
    SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BIGINT[], $7::BIGINT[],
        $8::BIGINT[], $9::TEXT[])
    ON CONFLICT DO NOTHING";

const ORDERS: &str = "
    INSERT INTO orders (account, symbol, exchange_order_id, order_id, side, status, is_open, price, quantity, cum_quantity,
        cum_quote, leaves_quantity, created_seq, created_ts, exec_seq, ts)
    SELECT * FROM UNNEST($1::BIGINT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::BOOLEAN[],
        $8::TEXT[], $9::TEXT[], $10::TEXT[], $11::TEXT[], $12::TEXT[], $13::BIGINT[], $14::BIGINT[], $15::BIGINT[],
        $16::BIGINT[])
    ON CONFLICT (account, symbol, exchange_order_id) DO UPDATE SET status = excluded.status, is_open = excluded.is_open,
        price = excluded.price, quantity = excluded.quantity, cum_quantity = excluded.cum_quantity,
        cum_quote = excluded.cum_quote, leaves_quantity = excluded.leaves_quantity, exec_seq = excluded.exec_seq,
        ts = excluded.ts
    WHERE excluded.exec_seq > orders.exec_seq";

impl WriteRows for PgConnection {
    async fn write_rows(&mut self, batch: &Batch, venue: &Venue) -> sqlx::Result<()> {
        if !batch.events.is_empty() {
            write_events(self, &batch.events, batch, venue).await?;
        }
        if !batch.orders.is_empty() {
            write_orders(self, &batch.orders, venue).await?;
        }
        Ok(())
    }
}

async fn write_events(
    connection: &mut PgConnection,
    rows: &[EventRow],
    batch: &Batch,
    venue: &Venue,
) -> sqlx::Result<()> {
    let symbol = |row: &EventRow| row.order.map(|(symbol, ..)| venue.of(symbol).symbol.as_str());
    let order_id = |row: &EventRow| row.order.map(|(_, id, _)| id.as_str().to_owned());
    sqlx::query(EVENTS)
        .bind(column(rows, |row| row.account))
        .bind(column(rows, |row| row.exec_seq))
        .bind(column(rows, |row| row.kind.text()))
        .bind(column(rows, symbol))
        .bind(column(rows, order_id))
        .bind(column(rows, |row| row.order.map(|(.., ours)| ours)))
        .bind(column(rows, |row| row.trade_id))
        .bind(column(rows, |row| row.ts))
        .bind(column(rows, |row| batch.data(row)))
        .execute(connection)
        .await?;
    Ok(())
}

async fn write_orders(connection: &mut PgConnection, rows: &[OrderRow], venue: &Venue) -> sqlx::Result<()> {
    sqlx::query(ORDERS)
        .bind(column(rows, |row| row.account))
        .bind(column(rows, |row| venue.of(row.symbol).symbol.as_str()))
        .bind(column(rows, |row| row.exchange_order_id))
        .bind(column(rows, |row| row.order_id.as_str()))
        .bind(column(rows, |row| row.side))
        .bind(column(rows, |row| row.status))
        .bind(column(rows, |row| row.is_open))
        .bind(column(rows, |row| row.price.as_deref()))
        .bind(column(rows, |row| row.quantity.as_str()))
        .bind(column(rows, |row| row.cum_quantity.as_str()))
        .bind(column(rows, |row| row.cum_quote.as_str()))
        .bind(column(rows, |row| row.leaves_quantity.as_str()))
        .bind(column(rows, |row| row.created_seq))
        .bind(column(rows, |row| row.created_ts))
        .bind(column(rows, |row| row.exec_seq))
        .bind(column(rows, |row| row.ts))
        .execute(connection)
        .await?;
    Ok(())
}

fn column<'a, Row, T>(rows: &'a [Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
