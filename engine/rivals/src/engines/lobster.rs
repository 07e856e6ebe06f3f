//! `lobster`: B-trees of vectors of indices into an arena, the standard hash map of orders.
//!
//! Driven by `OrderBook::execute`, its only door, with the arena as large as the stream wants it and its statistics
//! off. It knows neither IOC nor post-only: an IOC order is a limit order whose rest is cancelled, a post-only order is
//! placed if the best price allows it. It cannot amend, so an order that is reduced loses its place and other makers
//! trade than should. A level that was ever used stays in its tree, empty, and is walked over again
//! and again; filled orders stay in its arena.

use lobster::{OrderBook, OrderEvent, OrderType, Side};

use super::{Engine, Tally};
use crate::stream::{Command, Kind, Stream};

pub struct Lobster(OrderBook);

/// Orders a new level has room for: its own default.
const QUEUE_CAPACITY: usize = 10;

impl Engine for Lobster {
    const NAME: &'static str = "lobster";

    fn new(stream: &Stream) -> Lobster {
        Lobster(OrderBook::new(stream.live_max, QUEUE_CAPACITY, false))
    }

    #[inline]
    fn apply(&mut self, command: &Command, tally: &mut Tally) {
        match command.kind {
            Kind::Limit => _ = self.submit(command, tally),
            Kind::Ioc => {
                if !self.submit(command, tally) {
                    self.cancel(command);
                }
            }
            Kind::PostOnly if self.would_take(command) => {}
            Kind::PostOnly => _ = self.submit(command, tally),
            Kind::Cancel => self.cancel(command),
            Kind::Reduce | Kind::Replace => {
                self.cancel(command);
                self.submit(command, tally);
            }
        }
    }

    fn depth(&self, side: engine_core::units::Side, levels: usize) -> Vec<(u64, u64)> {
        let depth = self.0.depth(levels);
        let told = |level: &lobster::BookLevel| (level.price, level.qty);
        match self::side(side) {
            Side::Bid => depth.bids.iter().rev().take(levels).map(told).collect(),
            Side::Ask => depth.asks.iter().take(levels).map(told).collect(),
        }
    }
}

impl Lobster {
    /// Whether all of it traded.
    #[inline]
    fn submit(&mut self, command: &Command, tally: &mut Tally) -> bool {
        let event = self.0.execute(OrderType::Limit {
            id: command.key.into(),
            side: side(command.side),
            qty: command.quantity,
            price: command.price,
        });
        let (filled, fills) = match &event {
            OrderEvent::Filled { fills, .. } => (true, &fills[..]),
            OrderEvent::PartiallyFilled { fills, .. } => (false, &fills[..]),
            _ => (false, &[][..]),
        };
        for fill in fills {
            tally.fill(fill.price, fill.qty);
        }
        filled
    }

    #[inline]
    fn cancel(&mut self, command: &Command) {
        self.0.execute(OrderType::Cancel { id: command.key.into() });
    }

    fn would_take(&self, command: &Command) -> bool {
        match side(command.side) {
            Side::Bid => self.0.min_ask().is_some_and(|ask| ask <= command.price),
            Side::Ask => self.0.max_bid().is_some_and(|bid| bid >= command.price),
        }
    }
}

fn side(side: engine_core::units::Side) -> Side {
    match side {
        engine_core::units::Side::Buy => Side::Bid,
        engine_core::units::Side::Sell => Side::Ask,
    }
}
