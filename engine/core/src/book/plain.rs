//! The plain book: the judge.
//!
//! Nothing is cached and nothing is clever. Levels are a sorted map of queues, a total is the sum of its queue, and
//! the only second copy of a fact is where a key rests. What would happen is found by trying it on a copy. When this
//! book and the fast one differ, the fast one is wrong.

use std::collections::{BTreeMap, VecDeque};

use super::{Book, Cross, Fill, NewOrder, Outcome, Prevented, Refusal, Resting, Sink, told};
use crate::units::{AccountId, OrderKey, Price, Quantity, SelfTrade, Side, TimeInForce};

/// A [`Book`] that is easy to believe.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    bids: BTreeMap<Price, Queue>,
    asks: BTreeMap<Price, Queue>,
    places: BTreeMap<OrderKey, (Side, Price)>,
}

/// The orders of one price, the first to trade at the front.
type Queue = VecDeque<Order>;

#[derive(Clone, Copy, Debug)]
struct Order {
    key: OrderKey,
    account: AccountId,
    display: Quantity,
    shown: Quantity,
    hidden: Quantity,
}

/// An incoming order on its way through the other side.
struct Taker<'a> {
    order: &'a NewOrder,
    left: Quantity,
    budget_left: u128,
    /// It met its own account and may not go on.
    prevented: bool,
}

impl Book for Plain {
    fn submit(&mut self, order: NewOrder, sink: &mut impl Sink) -> Result<Outcome, Refusal> {
        self.check_new(&order);
        assert!(
            order.budget == NewOrder::UNLIMITED || order.time_in_force == TimeInForce::Ioc,
            "only an order that cannot rest has a budget"
        );
        assert!(!self.is_crossed(), "the book is crossed: its auction has not ended");

        match order.time_in_force {
            TimeInForce::PostOnly if self.would_take(&order) => return Err(Refusal::WouldTake),
            TimeInForce::Fok if !self.would_fill(&order) => return Err(Refusal::WouldNotFill),
            _ => {}
        }
        let taker = self.take(&order, sink);
        if taker.left.is_zero() {
            return Ok(Outcome::Filled);
        }
        if taker.prevented {
            return Ok(Outcome::Prevented(taker.left));
        }
        if order.time_in_force == TimeInForce::Ioc {
            return Ok(Outcome::Cancelled(taker.left));
        }
        self.put(&order, taker.left, sink);
        Ok(Outcome::Resting(taker.left))
    }

    fn cancel(&mut self, key: OrderKey, sink: &mut impl Sink) -> Option<Quantity> {
        let (side, price) = self.places.remove(&key)?;
        let levels = self.side_mut(side);
        let queue = levels.get_mut(&price).expect("a placed order has a level");
        let at = queue.iter().position(|order| order.key == key).expect("a placed order is in its queue");
        let order = queue.remove(at).expect("the position was just found");
        sink.level(side, price, told(total(queue)));
        if queue.is_empty() {
            levels.remove(&price);
        }
        Some(order.left())
    }

    fn reduce(&mut self, key: OrderKey, left: Quantity, sink: &mut impl Sink) -> Option<Quantity> {
        assert!(!left.is_zero(), "an order is reduced to at least one lot");
        let (side, price) = *self.places.get(&key)?;
        let queue = self.side_mut(side).get_mut(&price).expect("a placed order has a level");
        let order = queue.iter_mut().find(|order| order.key == key).expect("a placed order is in its queue");
        let before = order.left();
        assert!(left <= before, "order {key} has {before} lots and cannot be reduced to {left}");

        let shown_before = order.shown;
        order.shown = order.shown.min(left);
        order.hidden = Quantity(left.0 - order.shown.0);
        if order.shown != shown_before {
            sink.level(side, price, told(total(queue)));
        }
        Some(before)
    }

    fn rest(&mut self, order: NewOrder, sink: &mut impl Sink) {
        self.check_new(&order);
        self.put(&order, order.quantity, sink);
    }

    fn auction(&self, reference: Option<Price>) -> Option<(Price, u128)> {
        let mut prices: Vec<Price> = self.bids.keys().chain(self.asks.keys()).copied().collect();
        prices.sort();
        let buyers = |price| self.lots(Side::Buy, price);
        let sellers = |price| self.lots(Side::Sell, price);
        let volume = |price| buyers(price).min(sellers(price));
        let over = |price| buyers(price).abs_diff(sellers(price));

        let most = prices.iter().map(|price| volume(*price)).max().filter(|most| *most > 0)?;
        prices.retain(|price| volume(*price) == most);
        let least = prices.iter().map(|price| over(*price)).min()?;
        prices.retain(|price| over(*price) == least);

        let (lowest, highest) = (*prices.first()?, *prices.last()?);
        let price = if prices.iter().all(|price| buyers(*price) > sellers(*price)) {
            highest
        } else if prices.iter().all(|price| buyers(*price) < sellers(*price)) {
            lowest
        } else {
            match reference {
                Some(reference) => *prices.iter().min_by_key(|price| price.0.abs_diff(reference.0))?,
                None => lowest,
            }
        };
        Some((price, most))
    }

    fn uncross(&mut self, price: Price, sink: &mut impl Sink) {
        let before = self.clone();
        while let (Some(bid), Some(ask)) = (self.best_price(Side::Buy), self.best_price(Side::Sell))
            && bid >= price
            && ask <= price
        {
            self.cross(bid, ask, price, sink);
        }
        for side in [Side::Buy, Side::Sell] {
            for level in before.prices(side) {
                let now = self.side(side).get(&level).map_or(0, total);
                if now != total(&before.side(side)[&level]) {
                    sink.level(side, level, told(now));
                }
            }
        }
    }

    fn best(&self, side: Side) -> Option<(Price, Quantity)> {
        let price = self.best_price(side)?;
        Some((price, told(total(&self.side(side)[&price]))))
    }

    fn levels(&self, side: Side, mut visit: impl FnMut(Price, Quantity) -> bool) {
        for price in self.prices(side) {
            if !visit(price, told(total(&self.side(side)[&price]))) {
                return;
            }
        }
    }

    fn orders(&self, side: Side, mut visit: impl FnMut(Resting) -> bool) {
        for price in self.prices(side) {
            for Order { key, account, shown, hidden, .. } in self.side(side)[&price].iter().copied() {
                if !visit(Resting { key, account, price, shown, hidden }) {
                    return;
                }
            }
        }
    }

    fn would_fill(&self, order: &NewOrder) -> bool {
        let mut traded = Traded(0);
        self.clone().take(&NewOrder { budget: NewOrder::UNLIMITED, ..*order }, &mut traded);
        traded.0 == u128::from(order.quantity.0)
    }

    fn remaining(&self, key: OrderKey) -> Option<Quantity> {
        let (side, price) = self.places.get(&key)?;
        self.side(*side)[price].iter().find(|order| order.key == key).map(Order::left)
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}

impl Plain {
    fn check_new(&self, order: &NewOrder) {
        assert!(order.price.0 > 0, "a price is at least one tick");
        assert!(!order.quantity.is_zero(), "a quantity is at least one lot");
        assert!(!order.display.is_zero(), "an order shows at least one lot");
        assert!(!self.places.contains_key(&order.key), "order key {} is live", order.key);
    }

    fn would_take(&self, order: &NewOrder) -> bool {
        let side = order.side.opposite();
        self.best_price(side).is_some_and(|best| acceptable(side, best, order.price))
    }

    fn is_crossed(&self) -> bool {
        match (self.best_price(Side::Buy), self.best_price(Side::Sell)) {
            (Some(bid), Some(ask)) => bid >= ask,
            _ => false,
        }
    }

    /// Lots of a side, hidden ones included, that would trade at `price`.
    fn lots(&self, side: Side, price: Price) -> u128 {
        self.prices(side)
            .take_while(|level| acceptable(side, *level, price))
            .flat_map(|level| &self.side(side)[&level])
            .map(|order| u128::from(order.left().0))
            .sum()
    }

    /// Trades what can be traded.
    fn take<'a>(&mut self, order: &'a NewOrder, sink: &mut impl Sink) -> Taker<'a> {
        let side = order.side.opposite();
        let mut taker = Taker { order, left: order.quantity, budget_left: order.budget, prevented: false };
        while let Some(price) = self.best_price(side)
            && acceptable(side, price, order.price)
            && taker.goes_on(price)
        {
            self.take_level(price, &mut taker, sink);
        }
        taker
    }

    fn take_level(&mut self, price: Price, taker: &mut Taker, sink: &mut impl Sink) {
        let side = taker.order.side.opposite();
        let mut queue = self.side_mut(side).remove(&price).expect("a best price has a level");
        let before = total(&queue);
        while taker.goes_on(price)
            && let Some(maker) = queue.pop_front()
        {
            let after = taker.meet(maker, price, sink);
            self.put_back(after, &mut queue);
        }
        if total(&queue) != before {
            sink.level(side, price, told(total(&queue)));
        }
        if !queue.is_empty() {
            self.side_mut(side).insert(price, queue);
        }
    }

    /// The head of the queue has just met somebody. While it shows lots it stays the head, an iceberg shows its next
    /// lots at the end, and what has nothing left is gone.
    fn put_back(&mut self, mut order: Order, queue: &mut Queue) {
        if !order.shown.is_zero() {
            queue.push_front(order);
        } else if !order.hidden.is_zero() {
            order.shown = order.display.min(order.hidden);
            order.hidden.0 -= order.shown.0;
            queue.push_back(order);
        } else {
            self.places.remove(&order.key);
        }
    }

    /// The best bid and the best ask trade.
    fn cross(&mut self, bid: Price, ask: Price, price: Price, sink: &mut impl Sink) {
        let mut bids = self.bids.remove(&bid).expect("a best price has a level");
        let mut asks = self.asks.remove(&ask).expect("a best price has a level");
        let mut buy = bids.pop_front().expect("a level has orders");
        let mut sell = asks.pop_front().expect("a level has orders");

        let quantity = buy.shown.min(sell.shown);
        buy.shown.0 -= quantity.0;
        sell.shown.0 -= quantity.0;
        sink.cross(Cross {
            buy: buy.key,
            buy_account: buy.account,
            buy_left: buy.left(),
            sell: sell.key,
            sell_account: sell.account,
            sell_left: sell.left(),
            price,
            quantity,
        });

        self.put_back(buy, &mut bids);
        self.put_back(sell, &mut asks);
        if !bids.is_empty() {
            self.bids.insert(bid, bids);
        }
        if !asks.is_empty() {
            self.asks.insert(ask, asks);
        }
    }

    fn put(&mut self, order: &NewOrder, left: Quantity, sink: &mut impl Sink) {
        let NewOrder { key, account, side, price, display, .. } = *order;
        let shown = display.min(left);
        let hidden = Quantity(left.0 - shown.0);
        let queue = self.side_mut(side).entry(price).or_default();
        queue.push_back(Order { key, account, display, shown, hidden });
        sink.level(side, price, told(total(queue)));
        self.places.insert(key, (side, price));
    }

    fn best_price(&self, side: Side) -> Option<Price> {
        self.prices(side).next()
    }

    /// The prices of a side, best first.
    fn prices(&self, side: Side) -> Box<dyn Iterator<Item = Price> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.keys().rev().copied()),
            Side::Sell => Box::new(self.asks.keys().copied()),
        }
    }

    fn side(&self, side: Side) -> &BTreeMap<Price, Queue> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Queue> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

impl Order {
    fn left(&self) -> Quantity {
        Quantity(self.shown.0 + self.hidden.0)
    }
}

impl Taker<'_> {
    /// Whether it would trade one lot more at `price`.
    fn goes_on(&self, price: Price) -> bool {
        !self.left.is_zero() && !self.prevented && self.budget_left >= u128::from(price.0)
    }

    /// Does with `maker` what the taker must, and returns the maker as it is then.
    fn meet(&mut self, maker: Order, price: Price, sink: &mut impl Sink) -> Order {
        if maker.account != self.order.account {
            return self.trade(maker, price, sink);
        }
        match self.order.self_trade {
            SelfTrade::Allow => self.trade(maker, price, sink),
            SelfTrade::CancelNewest => {
                self.prevented = true;
                maker
            }
            SelfTrade::CancelOldest => lose_all(maker, price, sink),
            SelfTrade::CancelBoth => {
                self.prevented = true;
                lose_all(maker, price, sink)
            }
            SelfTrade::Decrement => self.decrement(maker, price, sink),
        }
    }

    fn trade(&mut self, mut maker: Order, price: Price, sink: &mut impl Sink) -> Order {
        let payable = told(self.budget_left / u128::from(price.0));
        let quantity = self.left.min(maker.shown).min(payable);
        self.left.0 -= quantity.0;
        self.budget_left -= u128::from(quantity.0) * u128::from(price.0);
        maker.shown.0 -= quantity.0;
        let maker_left = maker.left();
        sink.fill(Fill { maker: maker.key, maker_account: maker.account, price, quantity, maker_left });
        maker
    }

    fn decrement(&mut self, mut maker: Order, price: Price, sink: &mut impl Sink) -> Order {
        let quantity = self.left.min(maker.shown);
        self.left.0 -= quantity.0;
        maker.shown.0 -= quantity.0;
        let maker_left = maker.left();
        sink.prevented(Prevented { maker: maker.key, account: maker.account, price, quantity, maker_left });
        maker
    }
}

fn lose_all(maker: Order, price: Price, sink: &mut impl Sink) -> Order {
    let (quantity, maker_left) = (maker.left(), Quantity::ZERO);
    sink.prevented(Prevented { maker: maker.key, account: maker.account, price, quantity, maker_left });
    Order { shown: Quantity::ZERO, hidden: Quantity::ZERO, ..maker }
}

/// Adds up what trades.
struct Traded(u128);

impl Sink for Traded {
    fn fill(&mut self, fill: Fill) {
        self.0 += u128::from(fill.quantity.0);
    }

    fn level(&mut self, _: Side, _: Price, _: Quantity) {}
}

/// Whether an order of `side` at `price` may trade with one of the other side at `limit`.
fn acceptable(side: Side, price: Price, limit: Price) -> bool {
    match side {
        Side::Buy => price >= limit,
        Side::Sell => price <= limit,
    }
}

/// The lots a queue shows.
fn total(queue: &Queue) -> u128 {
    queue.iter().map(|order| u128::from(order.shown.0)).sum()
}
