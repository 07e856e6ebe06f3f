//! An incoming order meets the other side.

use super::slab::Slot;
use super::{Fast, Level, Order};
use crate::book::{Fill, NewOrder, Prevented, Sink, told};
use crate::units::{AccountId, Price, Quantity, SelfTrade};

/// An incoming order on its way through the other side.
pub struct Taker {
    pub left: Quantity,
    /// It met its own account and may not go on.
    pub prevented: bool,
    account: AccountId,
    self_trade: SelfTrade,
    budget_left: u128,
    budgeted: bool,
}

impl Fast {
    /// Trades what can be traded.
    pub(super) fn take(&mut self, order: &NewOrder, sink: &mut impl Sink) -> Taker {
        let side = order.side.opposite() as usize;
        let mut taker = Taker::new(order);
        while !taker.left.is_zero()
            && let Some(best) = self.ladders[side].best_within(order.price)
            && taker.goes_on(self.levels[best].price)
        {
            self.take_level(best, &mut taker, sink);
        }
        taker
    }

    /// Meets the orders of the best level of a side, and closes it if all of them are gone.
    fn take_level(&mut self, slot: Slot<Level>, taker: &mut Taker, sink: &mut impl Sink) {
        let Level { price, side, total: before, .. } = self.levels[slot];
        while taker.goes_on(price) && !self.levels[slot].head.is_none() {
            self.meet(self.levels[slot].head, price, taker, sink);
        }
        let Level { total, head, .. } = self.levels[slot];
        if head.is_none() {
            self.ladders[side as usize].remove_best();
            self.levels.release(slot);
        }
        if total != before {
            sink.level(side, price, told(total));
        }
    }

    fn meet(&mut self, maker: Slot<Order>, price: Price, taker: &mut Taker, sink: &mut impl Sink) {
        let Order { key, account, shown, .. } = self.orders[maker];
        if account != taker.account || taker.self_trade == SelfTrade::Allow {
            let quantity = taker.trade(shown, price);
            let maker_left = self.lose(maker, quantity);
            return sink.fill(Fill { maker: key, maker_account: account, price, quantity, maker_left });
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
}

impl Taker {
    fn new(order: &NewOrder) -> Taker {
        Taker {
            left: order.quantity,
            prevented: false,
            account: order.account,
            self_trade: order.self_trade,
            budget_left: order.budget,
            budgeted: order.budget != NewOrder::UNLIMITED,
        }
    }

    /// Whether it would trade one lot more at `price`.
    fn goes_on(&self, price: Price) -> bool {
        !self.left.is_zero() && !self.prevented && (!self.budgeted || self.budget_left >= u128::from(price.0))
    }

    /// Loses what it trades with a maker that shows so many lots.
    fn trade(&mut self, shown: Quantity, price: Price) -> Quantity {
        let mut quantity = self.left.min(shown);
        if self.budgeted {
            let price = u128::from(price.0);
            quantity = quantity.min(told(self.budget_left / price));
            self.budget_left -= u128::from(quantity.0) * price;
        }
        self.left.0 -= quantity.0;
        quantity
    }

    fn decrement(&mut self, shown: Quantity) -> Quantity {
        let quantity = self.left.min(shown);
        self.left.0 -= quantity.0;
        quantity
    }
}
