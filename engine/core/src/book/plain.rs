//! The plain book: the judge.
//!
//! Nothing is cached and nothing is clever. Levels are a sorted map of queues, a total is the sum of its queue, and
//! the only second copy of a fact is where a key rests. When this book and the fast one differ, the fast one is wrong.

use std::collections::{BTreeMap, VecDeque};

use super::{Book, Fill, NewOrder, Outcome, Refusal, Sink};
use crate::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

/// A [`Book`] that is easy to believe.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    bids: BTreeMap<Price, VecDeque<Resting>>,
    asks: BTreeMap<Price, VecDeque<Resting>>,
    places: BTreeMap<OrderKey, (Side, Price)>,
}

#[derive(Clone, Copy, Debug)]
struct Resting {
    key: OrderKey,
    account: AccountId,
    left: Quantity,
}

impl Book for Plain {
    fn submit(&mut self, order: NewOrder, sink: &mut impl Sink) -> Result<Outcome, Refusal> {
        assert!(order.price.0 > 0, "a price is at least one tick");
        assert!(!order.quantity.is_zero(), "a quantity is at least one lot");
        assert!(!self.places.contains_key(&order.key), "order key {} is live", order.key);

        match order.time_in_force {
            TimeInForce::PostOnly if self.available(&order) > 0 => return Err(Refusal::WouldTake),
            TimeInForce::Fok if self.available(&order) < u128::from(order.quantity.0) => {
                return Err(Refusal::WouldNotFill);
            }
            _ => {}
        }
        let left = self.take(&order, sink);
        if left.is_zero() {
            return Ok(Outcome::Filled);
        }
        if order.time_in_force == TimeInForce::Ioc {
            return Ok(Outcome::Cancelled(left));
        }
        self.put(&order, left, sink);
        Ok(Outcome::Resting(left))
    }

    fn cancel(&mut self, key: OrderKey, sink: &mut impl Sink) -> Option<Quantity> {
        let (side, price) = self.places.remove(&key)?;
        let levels = self.side_mut(side);
        let queue = levels.get_mut(&price).expect("a placed order has a level");
        let at = queue.iter().position(|order| order.key == key).expect("a placed order is in its queue");
        let order = queue.remove(at).expect("the position was just found");
        sink.level(side, price, total(queue));
        if queue.is_empty() {
            levels.remove(&price);
        }
        Some(order.left)
    }

    fn reduce(&mut self, _: OrderKey, _: Quantity, _: &mut impl Sink) -> Option<Quantity> {
        todo!()
    }

    fn rest(&mut self, _: NewOrder, _: &mut impl Sink) {
        todo!()
    }

    fn auction(&self, _: Option<Price>) -> Option<(Price, u128)> {
        todo!()
    }

    fn uncross(&mut self, _: Price, _: &mut impl Sink) {
        todo!()
    }

    fn orders(&self, _: Side, _: impl FnMut(super::Resting) -> bool) {
        todo!()
    }

    fn would_fill(&self, _: &NewOrder) -> bool {
        todo!()
    }

    fn best(&self, side: Side) -> Option<(Price, Quantity)> {
        let mut best = None;
        self.levels(side, |price, total| {
            best = Some((price, total));
            false
        });
        best
    }

    fn levels(&self, side: Side, mut visit: impl FnMut(Price, Quantity) -> bool) {
        for price in self.prices(side) {
            if !visit(price, total(&self.side(side)[&price])) {
                return;
            }
        }
    }

    fn remaining(&self, key: OrderKey) -> Option<Quantity> {
        let (side, price) = self.places.get(&key)?;
        self.side(*side)[price].iter().find(|order| order.key == key).map(|order| order.left)
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}

impl Plain {
    /// Lots that rest on the other side at prices `order` accepts.
    fn available(&self, order: &NewOrder) -> u128 {
        let side = order.side.opposite();
        self.prices(side)
            .take_while(|price| acceptable(side, *price, order.price))
            .flat_map(|price| &self.side(side)[&price])
            .map(|order| u128::from(order.left.0))
            .sum()
    }

    /// Trades what can be traded and returns what is left of `order`.
    fn take(&mut self, order: &NewOrder, sink: &mut impl Sink) -> Quantity {
        let side = order.side.opposite();
        let mut left = order.quantity;
        while !left.is_zero()
            && let Some((price, _)) = self.best(side)
            && acceptable(side, price, order.price)
        {
            left = self.take_level(side, price, left, sink);
        }
        left
    }

    fn take_level(&mut self, side: Side, price: Price, mut left: Quantity, sink: &mut impl Sink) -> Quantity {
        let mut queue = self.side_mut(side).remove(&price).expect("a best price has a level");
        while !left.is_zero()
            && let Some(maker) = queue.front_mut()
        {
            let quantity = left.min(maker.left);
            left.0 -= quantity.0;
            maker.left.0 -= quantity.0;
            let maker = *maker;
            sink.fill(Fill {
                maker: maker.key,
                maker_account: maker.account,
                price,
                quantity,
                maker_left: maker.left,
            });
            if maker.left.is_zero() {
                queue.pop_front();
                self.places.remove(&maker.key);
            }
        }
        sink.level(side, price, total(&queue));
        if !queue.is_empty() {
            self.side_mut(side).insert(price, queue);
        }
        left
    }

    fn put(&mut self, order: &NewOrder, left: Quantity, sink: &mut impl Sink) {
        let queue = self.side_mut(order.side).entry(order.price).or_default();
        queue.push_back(Resting { key: order.key, account: order.account, left });
        sink.level(order.side, order.price, total(queue));
        self.places.insert(order.key, (order.side, order.price));
    }

    /// The prices of a side, best first.
    fn prices(&self, side: Side) -> Box<dyn Iterator<Item = Price> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.keys().rev().copied()),
            Side::Sell => Box::new(self.asks.keys().copied()),
        }
    }

    fn side(&self, side: Side) -> &BTreeMap<Price, VecDeque<Resting>> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, VecDeque<Resting>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// Whether a taker with `limit` accepts a maker of `side` at `price`.
fn acceptable(side: Side, price: Price, limit: Price) -> bool {
    match side {
        Side::Buy => price >= limit,
        Side::Sell => price <= limit,
    }
}

fn total(queue: &VecDeque<Resting>) -> Quantity {
    super::told(queue.iter().map(|order| u128::from(order.left.0)).sum())
}
