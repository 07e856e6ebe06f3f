//! An incoming order meets the other side.
//!
//! Most orders need to look at nothing but lots, and take this way as fast as it goes. Those that must avoid their
//! own account or keep to a budget go maker by maker, and so does everybody where an iceberg is next.

use super::slab::Slot;
use super::{Fast, Level, Order};
use crate::book::{Fill, NewOrder, Prevented, Sink, told};
use crate::units::{AccountId, Price, Quantity, SelfTrade};

/// What became of an incoming order on the other side.
pub struct Taken {
    pub left: Quantity,
    /// It met its own account and could not go on.
    pub prevented: bool,
}

impl Fast {
    /// Trades what can be traded.
    pub(super) fn take(&mut self, order: &NewOrder, sink: &mut impl Sink) -> Taken {
        match order.self_trade == SelfTrade::Allow && order.budget == NewOrder::UNLIMITED {
            true => Taken { left: self.take_freely(order, sink), prevented: false },
            false => self.take_carefully(order, sink),
        }
    }

    fn take_freely(&mut self, order: &NewOrder, sink: &mut impl Sink) -> Quantity {
        let side = order.side.opposite() as usize;
        let mut left = order.quantity;
        while !left.is_zero()
            && let Some(best) = self.ladders[side].best_within(order.price)
        {
            left = self.take_level(best, left, sink);
        }
        left
    }

    /// Trades with the orders of the best level of a side.
    fn take_level(&mut self, slot: Slot<Level>, wanted: Quantity, sink: &mut impl Sink) -> Quantity {
        let before = self.levels[slot].total;
        let mut left = self.take_plain(slot, wanted, sink);
        while !left.is_zero() && !self.levels[slot].head.is_none() {
            left = self.take_iceberg(slot, left, sink);
            left = self.take_plain(slot, left, sink);
        }
        self.finish_best(slot, before, sink);
        left
    }

    /// Trades with the head of a level and those behind it, up to the first iceberg. Leaves links alone that are
    /// about to go.
    #[inline]
    fn take_plain(&mut self, slot: Slot<Level>, wanted: Quantity, sink: &mut impl Sink) -> Quantity {
        let level = &mut self.levels[slot];
        let mut left = wanted;
        while !left.is_zero() && !level.head.is_none() {
            let maker = &mut self.orders[level.head];
            if maker.home.is_iceberg() {
                break;
            }
            let quantity = left.min(maker.shown);
            left.0 -= quantity.0;
            maker.shown.0 -= quantity.0;
            let Order { key, account, shown: maker_left, next, .. } = *maker;
            sink.fill(Fill { maker: key, maker_account: account, price: level.price, quantity, maker_left });
            if maker_left.is_zero() {
                self.index.remove(key, &self.orders);
                self.orders.release(level.head);
                level.head = next;
            }
        }
        level.total -= u128::from(wanted.0 - left.0);
        if !level.head.is_none() {
            self.orders[level.head].previous = Slot::NONE;
        }
        left
    }

    /// Trades with the head of a level for as long as it shows lots.
    #[cold]
    fn take_iceberg(&mut self, slot: Slot<Level>, left: Quantity, sink: &mut impl Sink) -> Quantity {
        let Level { head, price, .. } = self.levels[slot];
        let quantity = left.min(self.orders[head].shown);
        self.fill(head, quantity, price, sink);
        Quantity(left.0 - quantity.0)
    }

    fn take_carefully(&mut self, order: &NewOrder, sink: &mut impl Sink) -> Taken {
        let side = order.side.opposite() as usize;
        let mut taker = Taker::new(order);
        while let Some(slot) = self.ladders[side].best_within(order.price)
            && let Level { price, total: before, .. } = self.levels[slot]
            && taker.goes_on(price)
        {
            while taker.goes_on(price) && !self.levels[slot].head.is_none() {
                self.meet(self.levels[slot].head, price, &mut taker, sink);
            }
            self.finish_best(slot, before, sink);
        }
        Taken { left: taker.left, prevented: taker.prevented }
    }

    fn meet(&mut self, maker: Slot<Order>, price: Price, taker: &mut Taker, sink: &mut impl Sink) {
        let Order { key, account, shown, .. } = self.orders[maker];
        if account != taker.account || taker.self_trade == SelfTrade::Allow {
            let quantity = taker.pay(shown, price);
            return self.fill(maker, quantity, price, sink);
        }
        taker.prevented = matches!(taker.self_trade, SelfTrade::CancelNewest | SelfTrade::CancelBoth);
        let (quantity, maker_left) = match taker.self_trade {
            SelfTrade::Decrement => {
                let quantity = taker.decrement(shown);
                (quantity, self.lose(maker, quantity))
            }
            SelfTrade::CancelOldest | SelfTrade::CancelBoth => (self.remove(maker), Quantity::ZERO),
            SelfTrade::Allow | SelfTrade::CancelNewest => return,
        };
        sink.prevented(Prevented { maker: key, account, price, quantity, maker_left });
    }

    /// Trades lots that a maker shows.
    fn fill(&mut self, maker: Slot<Order>, quantity: Quantity, price: Price, sink: &mut impl Sink) {
        let Order { key, account, .. } = self.orders[maker];
        let maker_left = self.lose(maker, quantity);
        sink.fill(Fill { maker: key, maker_account: account, price, quantity, maker_left });
    }

    /// Closes the best level of a side if its orders are gone, and tells what it shows if that is not as `before`.
    fn finish_best(&mut self, slot: Slot<Level>, before: u128, sink: &mut impl Sink) {
        let Level { side, price, total, head, .. } = self.levels[slot];
        if head.is_none() {
            self.ladders[side as usize].remove_best();
            self.levels.release(slot);
        }
        if total != before {
            sink.level(side, price, told(total));
        }
    }
}

/// An incoming order that has more to look at than lots.
struct Taker {
    left: Quantity,
    prevented: bool,
    account: AccountId,
    self_trade: SelfTrade,
    /// None is not a budget without end, but no need to divide by prices.
    budget_left: Option<u128>,
}

impl Taker {
    fn new(order: &NewOrder) -> Taker {
        Taker {
            left: order.quantity,
            prevented: false,
            account: order.account,
            self_trade: order.self_trade,
            budget_left: (order.budget != NewOrder::UNLIMITED).then_some(order.budget),
        }
    }

    /// Whether it would trade one lot more at `price`.
    fn goes_on(&self, price: Price) -> bool {
        let pays = self.budget_left.is_none_or(|budget| budget >= u128::from(price.0));
        pays && !self.left.is_zero() && !self.prevented
    }

    /// Loses the lots that it can pay of those that a maker shows. Returns how many.
    fn pay(&mut self, shown: Quantity, price: Price) -> Quantity {
        let mut quantity = self.left.min(shown);
        if let Some(budget) = &mut self.budget_left {
            let price = u128::from(price.0);
            quantity = quantity.min(told(*budget / price));
            *budget -= u128::from(quantity.0) * price;
        }
        self.left.0 -= quantity.0;
        quantity
    }

    /// Loses the lots that a maker shows and it wants. Returns how many.
    fn decrement(&mut self, shown: Quantity) -> Quantity {
        let quantity = self.left.min(shown);
        self.left.0 -= quantity.0;
        quantity
    }
}
