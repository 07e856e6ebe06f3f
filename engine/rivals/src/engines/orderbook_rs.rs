//! `orderbook-rs`: a concurrent book, skip lists of levels and sharded hash maps.
//!
//! Driven from one thread by `add_order_with_committed`, which hands the fills back also where the rest of an IOC order
//! is an error, and `update_order` and
//! `cancel_order`. No listener, no risk layer, no self-trade prevention, no fees; a stub clock
//! instead of the system's; its tracing is compiled out; ids are the sequential kind, which hash cheapest.

use std::sync::Arc;

use orderbook_rs::{OrderBook, StubClock};
use pricelevel::{Hash32, Id, OrderType, OrderUpdate, Price, Quantity, Side, TimeInForce, TimestampMs};

use super::{Engine, Tally};
use crate::stream::{Command, Kind, Stream};

pub struct OrderbookRs(OrderBook<()>);

impl Engine for OrderbookRs {
    const NAME: &'static str = "orderbook-rs";

    fn new(_: &Stream) -> OrderbookRs {
        OrderbookRs(OrderBook::with_clock("rivals", Arc::new(StubClock::new())))
    }

    #[inline]
    fn apply(&mut self, command: &Command, tally: &mut Tally) {
        match command.kind {
            Kind::Limit => self.submit(limit(command, TimeInForce::Gtc), tally),
            Kind::Ioc => self.submit(limit(command, TimeInForce::Ioc), tally),
            Kind::PostOnly => self.submit(post_only(command), tally),
            Kind::Cancel => self.cancel(command, tally),
            Kind::Reduce => self.reduce(command, tally),
            Kind::Replace => {
                self.cancel(command, tally);
                self.submit(limit(command, TimeInForce::Gtc), tally);
            }
        }
    }

    fn depth(&self, side: engine_core::units::Side, levels: usize) -> Vec<(u64, u64)> {
        let level = |level: Result<orderbook_rs::LevelInfo, _>| {
            let level = level.expect("depths that fit");
            (level.price as u64, level.quantity)
        };
        self.0.levels_with_cumulative_depth(self::side(side)).take(levels).map(level).collect()
    }
}

impl OrderbookRs {
    #[inline]
    fn submit(&mut self, order: OrderType<()>, tally: &mut Tally) {
        let result = self.0.add_order_with_committed(order);
        let trades = match &result {
            Ok((_, trades)) => trades.as_ref(),
            Err(failure) => failure.committed.as_deref(),
        };
        for trade in trades.iter().flat_map(|result| result.match_result.trades().as_vec()) {
            tally.fill(trade.price().as_u128() as u64, trade.quantity().as_u64());
        }
    }

    #[inline]
    fn reduce(&mut self, command: &Command, tally: &mut Tally) {
        let (order_id, new_quantity) = (Id::Sequential(command.key), Quantity::new(command.quantity));
        let updated = self.0.update_order(OrderUpdate::UpdateQuantity { order_id, new_quantity });
        tally.other(matches!(updated, Ok(Some(_))).into());
    }

    #[inline]
    fn cancel(&mut self, command: &Command, tally: &mut Tally) {
        let cancelled = self.0.cancel_order(Id::Sequential(command.key));
        tally.other(matches!(cancelled, Ok(Some(_))).into());
    }
}

#[inline]
fn limit(command: &Command, time_in_force: TimeInForce) -> OrderType<()> {
    OrderType::Standard {
        id: Id::Sequential(command.key),
        price: Price::new(command.price.into()),
        quantity: Quantity::new(command.quantity),
        side: side(command.side),
        user_id: Hash32::zero(),
        timestamp: TimestampMs::new(0),
        time_in_force,
        extra_fields: (),
    }
}

#[inline]
fn post_only(command: &Command) -> OrderType<()> {
    OrderType::PostOnly {
        id: Id::Sequential(command.key),
        price: Price::new(command.price.into()),
        quantity: Quantity::new(command.quantity),
        side: side(command.side),
        user_id: Hash32::zero(),
        timestamp: TimestampMs::new(0),
        time_in_force: TimeInForce::Gtc,
        extra_fields: (),
    }
}

#[inline]
fn side(side: engine_core::units::Side) -> Side {
    match side {
        engine_core::units::Side::Buy => Side::Buy,
        engine_core::units::Side::Sell => Side::Sell,
    }
}
