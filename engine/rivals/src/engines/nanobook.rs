//! `nanobook`: B-trees of levels, a queue of ids per level with tombstones, a hash map of orders.
//!
//! Driven by its `OrderBook`, below its `Exchange`: the exchange copies every trade into a log that only grows. Ids
//! count submissions, so they are worked out beforehand. It knows no post-only order, so the driver looks at the best
//! price first. Orders that are gone stay in its map until `clear_history`, which the driver calls now and then: a
//! book that is never cleared grows without end.
//!
//! Its `cancel_order` cannot be used. It finds an order in its queue by the index it came in at, and a fill at the
//! head moves the others up: the next cancel of that level strikes out another order, and sooner or later a taker
//! meets an order of nothing and trades zero lots with it for ever. So orders are cancelled by `remove_order`, its
//! own slower door, which looks for the id in the queue.
//!
//! To modify an order is to cancel it and to place another, so an order that is reduced loses its place and other makers
//! trade than should.

use nanobook::{OrderBook, OrderId, Price, Side, TimeInForce};

use super::{Engine, Tally};
use crate::stream::{Command, Kind, Stream};
use std::collections::HashMap;

/// Commands between two clearings. Picked by eye.
const CLEAR_EVERY: u32 = 65_536;

pub struct Nanobook {
    book: OrderBook,
    since_clearing: u32,
}

impl Engine for Nanobook {
    const NAME: &'static str = "nanobook";

    fn new(_: &Stream) -> Nanobook {
        Nanobook { book: OrderBook::new(), since_clearing: 0 }
    }

    fn rename(commands: &[Command]) -> Vec<Command> {
        let mut ids = HashMap::new();
        let mut next = 1;
        let rename = |command: &Command| {
            let before = *ids.get(&command.key).unwrap_or(&u64::MAX);
            if command.kind == Kind::Cancel {
                return Command { key: before, ..*command };
            }
            ids.insert(command.key, next);
            next += 1;
            let again = matches!(command.kind, Kind::Reduce | Kind::Replace);
            let key = if again { before } else { next - 1 };
            Command { key, ..*command }
        };
        commands.iter().map(rename).collect()
    }

    #[inline]
    fn apply(&mut self, command: &Command, tally: &mut Tally) {
        match command.kind {
            Kind::Limit => self.submit(command, TimeInForce::GTC, tally),
            Kind::Ioc => self.submit(command, TimeInForce::IOC, tally),
            // A refused order takes an id, too, as the ids were given out beforehand.
            Kind::PostOnly if self.would_take(command) => tally.other(self.book.next_order_id().0),
            Kind::PostOnly => self.submit(command, TimeInForce::GTC, tally),
            Kind::Cancel => tally.other(self.cancel(command)),
            Kind::Reduce | Kind::Replace => match self.cancel(command) {
                0 => tally.other(self.book.next_order_id().0),
                _ => self.submit(command, TimeInForce::GTC, tally),
            },
        }
        self.since_clearing += 1;
        if self.since_clearing == CLEAR_EVERY {
            self.since_clearing = 0;
            self.book.clear_history();
        }
    }

    fn depth(&self, side: engine_core::units::Side, levels: usize) -> Vec<(u64, u64)> {
        let snapshot = self.book.snapshot(levels);
        let levels = match self::side(side) {
            Side::Buy => snapshot.bids,
            Side::Sell => snapshot.asks,
        };
        levels.iter().map(|level| (level.price.0 as u64, level.quantity)).collect()
    }
}

impl Nanobook {
    #[inline]
    fn submit(&mut self, command: &Command, time_in_force: TimeInForce, tally: &mut Tally) {
        let price = Price(command.price as i64);
        let mut order = self.book.create_order(side(command.side), price, command.quantity, time_in_force);
        let result = self.book.match_order(&mut order);
        for trade in &result.trades {
            tally.fill(trade.price.0 as u64, trade.quantity);
        }
        if order.remaining_quantity > 0 && time_in_force == TimeInForce::GTC {
            self.book.add_order(order);
        }
    }

    /// Lots that were left, none if the order was gone.
    #[inline]
    fn cancel(&mut self, command: &Command) -> u64 {
        let id = OrderId(command.key);
        let Some(order) = self.book.get_order_mut(id).filter(|order| order.is_active()) else {
            return 0;
        };
        let (side, price, left) = (order.side, order.price, order.remaining_quantity);
        order.cancel();
        self.book.side_mut(side).remove_order(price, id, left);
        left
    }

    fn would_take(&self, command: &Command) -> bool {
        let price = Price(command.price as i64);
        match side(command.side) {
            Side::Buy => self.book.best_ask().is_some_and(|ask| ask <= price),
            Side::Sell => self.book.best_bid().is_some_and(|bid| bid >= price),
        }
    }
}

fn side(side: engine_core::units::Side) -> Side {
    match side {
        engine_core::units::Side::Buy => Side::Buy,
        engine_core::units::Side::Sell => Side::Sell,
    }
}
