//! `matchcore`: B-trees of prices, a slab of levels, a hash map of orders, one vector of trades per taker.
//!
//! Driven by `OrderBook::execute`, its only door. An order's id is the sequence number of the command that placed it,
//! so ids are worked out beforehand. Its room is fixed by a constant and is left as it is.
//!
//! A limit order that trades at all trades through its own limit: once the best price is acceptable it is matched
//! without one (`submit_crossable_order` hands `None` on). The drawn streams have no such order; the recorded market has,
//! and there it makes more fills than the judge.

use matchcore::{
    AmendCmd, AmendPatch, CancelCmd, Command as MatchcoreCommand, CommandKind, CommandMeta, CommandOutcome,
    CommandReport, LimitOrder, LimitOrderPatch, NewOrder, OrderBook, OrderFlags, OrderId, OrderKind, Price,
    Quantity, QuantityPolicy, SequenceNumber, Side, SubmitCmd, TimeInForce, Timestamp,
};

use super::{Engine, Tally};
use crate::stream::{Command, Kind, Stream};
use std::collections::HashMap;

pub struct Matchcore {
    book: OrderBook,
    next: u64,
}

impl Engine for Matchcore {
    const NAME: &'static str = "matchcore";

    fn new(_: &Stream) -> Matchcore {
        Matchcore { book: OrderBook::new("rivals"), next: 0 }
    }

    fn rename(commands: &[Command]) -> Vec<Command> {
        let mut ids = HashMap::new();
        let mut next = 0;
        let rename = |command: &Command| {
            // What is cancelled without ever having been placed keeps a number that is never reached.
            let mut key = *ids.get(&command.key).unwrap_or(&u64::MAX);
            match command.kind {
                Kind::Limit | Kind::Ioc | Kind::PostOnly => {
                    key = next;
                    ids.insert(command.key, next);
                    next += 1;
                }
                Kind::Cancel | Kind::Reduce => next += 1,
                // Cancelled by its old id; the new order has the next number but one.
                Kind::Replace => {
                    ids.insert(command.key, next + 1);
                    next += 2;
                }
            }
            Command { key, ..*command }
        };
        commands.iter().map(rename).collect()
    }

    #[inline]
    fn apply(&mut self, command: &Command, tally: &mut Tally) {
        match command.kind {
            Kind::Limit => self.submit(command, false, TimeInForce::Gtc, tally),
            Kind::Ioc => self.submit(command, false, TimeInForce::Ioc, tally),
            Kind::PostOnly => self.submit(command, true, TimeInForce::Gtc, tally),
            Kind::Cancel => self.cancel(command, tally),
            Kind::Reduce => self.reduce(command, tally),
            Kind::Replace => {
                self.cancel(command, tally);
                self.submit(command, false, TimeInForce::Gtc, tally);
            }
        }
    }

    fn depth(&self, side: engine_core::units::Side, levels: usize) -> Vec<(u64, u64)> {
        let book = self.book.limit();
        let told = |(price, level): (&Price, &usize)| (price.0, book.levels()[*level].visible_quantity().0);
        match self::side(side) {
            Side::Buy => book.bids().iter().rev().take(levels).map(told).collect(),
            Side::Sell => book.asks().iter().take(levels).map(told).collect(),
        }
    }
}

impl Matchcore {
    #[inline]
    fn submit(&mut self, command: &Command, post_only: bool, time_in_force: TimeInForce, tally: &mut Tally) {
        let order = LimitOrder::new(
            Price(command.price),
            QuantityPolicy::Standard { quantity: Quantity(command.quantity) },
            OrderFlags::new(side(command.side), post_only, time_in_force),
        );
        self.execute(CommandKind::Submit(SubmitCmd { order: NewOrder::Limit(order) }), tally);
    }

    #[inline]
    fn reduce(&mut self, command: &Command, tally: &mut Tally) {
        let left = QuantityPolicy::Standard { quantity: Quantity(command.quantity) };
        let patch = AmendPatch::Limit(LimitOrderPatch::new().with_quantity_policy(left));
        self.execute(CommandKind::Amend(AmendCmd { order_id: OrderId(command.key), patch }), tally);
    }

    #[inline]
    fn cancel(&mut self, command: &Command, tally: &mut Tally) {
        let cancel = CancelCmd { order_id: OrderId(command.key), order_kind: OrderKind::Limit };
        self.execute(CommandKind::Cancel(cancel), tally);
    }

    #[inline]
    fn execute(&mut self, kind: CommandKind, tally: &mut Tally) {
        let meta =
            CommandMeta { sequence_number: SequenceNumber(self.next), timestamp: Timestamp(self.next) };
        self.next += 1;
        match self.book.execute(&MatchcoreCommand { meta, kind }) {
            CommandOutcome::Applied(CommandReport::Submit(effects) | CommandReport::Amend(effects)) => {
                let trades = effects.target_order().match_result().map_or(&[][..], |result| result.trades());
                for trade in trades {
                    tally.fill(trade.price().0, trade.quantity().0);
                }
            }
            CommandOutcome::Applied(CommandReport::Cancel) => tally.other(1),
            CommandOutcome::Rejected(_) => tally.other(2),
        }
    }
}

fn side(side: engine_core::units::Side) -> Side {
    match side {
        engine_core::units::Side::Buy => Side::Buy,
        engine_core::units::Side::Sell => Side::Sell,
    }
}
