//! The fast book: what runs.
//!
//! ```text
//!   index: key -> order          ladder: ranks, best last        levels               orders
//!   +-----------------+          +----+----+----+----+           +-----------+        +------+    +------+
//!   | tag, order slot |-----+    | 97 | 99 |100 |101 |<- best    | head -----+------->| ann  |--->| bob  |
//!   +-----------------+     |    +----+----+----+-|--+           | tail -----+----+   |      |<---|      |
//!                           |                     +------------->| total     |    |   +------+    +------+
//!                           |                                    +-----------+    +---------------^
//!                           +-- an order knows its neighbours in the queue and its level ---------+
//! ```
//!
//! - `slab`: all orders live in one vector and all levels in another; a vacant slot is the next one used.
//! - `ladder`: the sorted prices of one side. The best is at the end, where inserting and removing is cheapest and
//!   where most of a market happens. A memo finds a price that is there already.
//! - `index`: order key to slot, without tombstones.
//! - `iceberg`: what some orders hide, in records of their own. A book without icebergs pays one test of a bit for
//!   them where an order trades or leaves.
//! - `take`: an incoming order meets the other side.
//! - `would_fill`: whether it could trade whole.
//! - `auction`: the price at which a crossed book trades, and the trades.
//! - `check`: what always holds, written as a function. `state`: a book as bytes.
//!
//! Costs. Taking from the best level touches the end of a vector and the head of a queue. An order that comes to a
//! price with a level finds it by one look into the memo. A cancel is one cache line of the index and two links,
//! without a search, unless it empties its level. Opening or closing a level searches for its place and moves some of
//! a block of at most 128 prices, 12 bytes each. Measured with `benches/book.rs` on two shared cores of an AMD EPYC,
//! mean per command: 21 ns near the touch, 130 ns with 370,000 orders on 3,000 prices, 110 ns with 20,000 orders on as
//! many prices (the plain book: 201, 683 and 336). What bounds it is in `docs/PERFORMANCE.md`.
//!
//! Nothing is allocated once the book has been as large as it gets; nothing is ever given back.
//!
//! Fill-or-kill adds up levels; one that must avoid its own account looks at orders, too, but only where the levels
//! hold enough. The price of an auction is found in one walk over the levels that overlap. An iceberg's refill costs
//! what a cancel and an order behind the others cost, without the index.
//!
//! Bounds. A book holds at most 2^32 - 1 orders of at most 2^64 - 1 lots, so a level's total stays below 2^96 and a
//! `u128` cannot wrap, nor can the sum over all levels that fill-or-kill and auctions look at. Levels and icebergs
//! are at most 2^31 each.

mod auction;
mod check;
mod iceberg;
mod index;
mod ladder;
mod slab;
mod state;
mod take;
mod would_fill;

use self::iceberg::{Hidden, Home, ICEBERG, Iceberg, Icebergs};
use self::index::Index;
use self::ladder::Ladder;
use self::slab::{Node, Slab, Slot};
use self::take::Taken;
use super::{Book, NewOrder, Outcome, Refusal, Resting, Sink, told};
use crate::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

/// A [`Book`] for one writer, made of flat arrays.
#[derive(Clone, Debug)]
pub struct Fast {
    orders: Slab<Order>,
    levels: Slab<Level>,
    /// By `Side as usize`.
    ladders: [Ladder; 2],
    index: Index,
    icebergs: Icebergs,
    /// Set where an order rests across the other side in an auction. While it is not, bids are below asks; while it
    /// is, cancels may have parted them again.
    crossed: bool,
}

/// A resting order.
#[derive(Clone, Copy, Debug)]
struct Order {
    key: OrderKey,
    /// Never zero: what has shown its last lot is refilled or gone.
    shown: Quantity,
    account: AccountId,
    home: Home,
    /// The one that came before it on its level.
    previous: Slot<Order>,
    /// The one that came after it; in a vacant slot, the next vacant one.
    next: Slot<Order>,
}

/// The queue of one price. It exists while an order is in it.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// What its orders show.
    total: u128,
    price: Price,
    /// The first to trade; in a vacant slot, the next vacant one.
    head: Slot<Order>,
    /// The last to trade.
    tail: Slot<Order>,
    /// What its orders do not show.
    hidden: Hidden,
    side: Side,
}

const _: () = assert!(size_of::<Order>() == 32); // two to a cache line
const _: () = assert!(size_of::<Level>() == 48);

impl Default for Fast {
    fn default() -> Fast {
        Fast::with_capacity(0, 0)
    }
}

impl Fast {
    /// An empty book that allocates nothing more until it holds more than `orders` orders or, on one side, more than
    /// `levels` prices, or an iceberg.
    pub fn with_capacity(orders: usize, levels: usize) -> Fast {
        Fast {
            orders: Slab::with_capacity(orders),
            levels: Slab::with_capacity(2 * levels),
            ladders: [Ladder::with_capacity(Side::Buy, levels), Ladder::with_capacity(Side::Sell, levels)],
            index: Index::with_capacity(orders),
            icebergs: Slab::with_capacity(0),
            crossed: false,
        }
    }
}

impl Book for Fast {
    fn submit(&mut self, order: NewOrder, sink: &mut impl Sink) -> Result<Outcome, Refusal> {
        self.check_new(&order);
        assert!(
            order.time_in_force == TimeInForce::Ioc || order.budget == NewOrder::UNLIMITED,
            "only an order that cannot rest has a budget"
        );
        if self.crossed {
            self.end_auction();
        }
        match order.time_in_force {
            TimeInForce::PostOnly if self.would_take(&order) => return Err(Refusal::WouldTake),
            TimeInForce::Fok if !self.fillable(&order) => return Err(Refusal::WouldNotFill),
            _ => {}
        }
        let Taken { left, prevented } = match self.would_take(&order) {
            true => self.take(&order, sink),
            false => Taken { left: order.quantity, prevented: false },
        };
        if left.is_zero() {
            return Ok(Outcome::Filled);
        }
        if prevented {
            return Ok(Outcome::Prevented(left));
        }
        if order.time_in_force == TimeInForce::Ioc {
            return Ok(Outcome::Cancelled(left));
        }
        self.put(&order, left, sink);
        Ok(Outcome::Resting(left))
    }

    fn cancel(&mut self, key: OrderKey, sink: &mut impl Sink) -> Option<Quantity> {
        let slot = self.index.remove(key, &self.orders)?;
        let order = self.orders.release(slot);
        let (level_slot, left) = self.leave(&order);
        let Level { side, price, total, head, .. } = self.levels[level_slot];
        if head.is_none() {
            self.ladders[side as usize].remove(price);
            self.levels.release(level_slot);
        }
        sink.level(side, price, told(total));
        Some(left)
    }

    fn reduce(&mut self, key: OrderKey, left: Quantity, sink: &mut impl Sink) -> Option<Quantity> {
        assert!(!left.is_zero(), "an order is reduced to at least one lot");
        let slot = self.index.find(key, &self.orders)?;
        let order = &mut self.orders[slot];
        let before = order.left(&self.icebergs);
        assert!(left <= before, "order {key} has {before} lots and cannot be reduced to {left}");

        let lost = Quantity(before.0 - left.0);
        let lost_hidden = lost.min(order.hidden(&self.icebergs));
        let lost_shown = Quantity(lost.0 - lost_hidden.0);
        let level = &mut self.levels[order.level(&self.icebergs)];
        level.hidden.subtract(lost_hidden);
        level.total -= u128::from(lost_shown.0);
        order.shown.0 -= lost_shown.0;
        order.unhide(lost_hidden, &mut self.icebergs);
        if !lost_shown.is_zero() {
            sink.level(level.side, level.price, told(level.total));
        }
        Some(before)
    }

    fn rest(&mut self, order: NewOrder, sink: &mut impl Sink) {
        self.check_new(&order);
        self.crossed |= self.would_take(&order);
        self.put(&order, order.quantity, sink);
    }

    fn auction(&self, reference: Option<Price>) -> Option<(Price, u128)> {
        self.auction_price(reference)
    }

    fn uncross(&mut self, price: Price, sink: &mut impl Sink) {
        self.cross_all(price, sink);
        self.crossed = !self.has_parted();
    }

    fn best(&self, side: Side) -> Option<(Price, Quantity)> {
        let level = &self.levels[self.ladders[side as usize].best()?];
        Some((level.price, told(level.total)))
    }

    fn levels(&self, side: Side, mut visit: impl FnMut(Price, Quantity) -> bool) {
        for slot in self.ladders[side as usize].best_first() {
            let level = &self.levels[slot];
            if !visit(level.price, told(level.total)) {
                return;
            }
        }
    }

    fn orders(&self, side: Side, mut visit: impl FnMut(Resting) -> bool) {
        for level in self.ladders[side as usize].best_first().map(|slot| &self.levels[slot]) {
            let mut slot = level.head;
            while !slot.is_none() {
                let order = &self.orders[slot];
                let Order { key, account, shown, .. } = *order;
                let hidden = order.hidden(&self.icebergs);
                if !visit(Resting { key, account, price: level.price, shown, hidden }) {
                    return;
                }
                slot = order.next;
            }
        }
    }

    fn would_fill(&self, order: &NewOrder) -> bool {
        self.fillable(order)
    }

    fn remaining(&self, key: OrderKey) -> Option<Quantity> {
        let slot = self.index.find(key, &self.orders)?;
        Some(self.orders[slot].left(&self.icebergs))
    }

    fn len(&self) -> usize {
        self.index.len()
    }
}

impl Fast {
    #[inline]
    fn check_new(&self, order: &NewOrder) {
        assert!(order.price.0 > 0, "a price is at least one tick");
        assert!(!order.quantity.is_zero(), "a quantity is at least one lot");
        assert!(!order.display.is_zero(), "an order shows at least one lot");
        // The index says so again when an order comes to rest; one that never rests needs no place there.
        debug_assert!(self.index.find(order.key, &self.orders).is_none(), "order key {} is live", order.key);
    }

    fn would_take(&self, order: &NewOrder) -> bool {
        self.ladders[order.side.opposite() as usize].best_within(order.price).is_some()
    }

    /// An auction may end without a trade, if cancels have parted the sides.
    #[cold]
    fn end_auction(&mut self) {
        assert!(self.has_parted(), "the book is crossed: its auction has not ended");
        self.crossed = false;
    }

    /// Whether bids are below asks.
    fn has_parted(&self) -> bool {
        match (self.best(Side::Buy), self.best(Side::Sell)) {
            (Some((bid, _)), Some((ask, _))) => bid < ask,
            _ => true,
        }
    }

    /// Puts `left` lots of `order` at the end of the queue of its price.
    fn put(&mut self, order: &NewOrder, left: Quantity, sink: &mut impl Sink) {
        let level = self.level_of(order.side, order.price);
        let (mut shown, mut home) = (left, Home::level(level));
        if order.display < left {
            (shown, home) = self.hide(left, order.display, level);
        }
        let slot = self.orders.insert(Order {
            key: order.key,
            shown,
            account: order.account,
            home,
            previous: self.levels[level].tail,
            next: Slot::NONE,
        });
        self.index.insert(order.key, slot, &self.orders);
        let total = self.append(slot, shown, level);
        sink.level(order.side, order.price, told(total));
    }

    /// The level of a price, opened if there is none.
    fn level_of(&mut self, side: Side, price: Price) -> Slot<Level> {
        let ladder = &mut self.ladders[side as usize];
        match ladder.find(price, &self.levels) {
            Ok(level) => level,
            Err(place) => {
                let hidden = Hidden::default();
                let level = Level { total: 0, price, head: Slot::NONE, tail: Slot::NONE, hidden, side };
                let level = self.levels.insert(level);
                assert!(level.number < ICEBERG, "a book has at most 2^31 levels");
                ladder.insert(place, price, level);
                level
            }
        }
    }

    /// Hides what an iceberg of `left` lots does not show. Returns what it shows and its home.
    #[cold]
    fn hide(&mut self, left: Quantity, display: Quantity, level: Slot<Level>) -> (Quantity, Home) {
        let hidden = Quantity(left.0 - display.0);
        self.levels[level].hidden.add(hidden);
        (display, Home::iceberg(self.icebergs.insert(Iceberg { hidden, display, level })))
    }

    /// Takes shown lots away from an order. An iceberg that shows none any more shows its next ones at the end of
    /// its queue; what has nothing left is gone, though its level stays. Returns what is left, hidden lots included.
    fn lose(&mut self, slot: Slot<Order>, lots: Quantity) -> Quantity {
        let order = &mut self.orders[slot];
        if order.shown == lots && !order.home.is_iceberg() {
            self.remove(slot);
            return Quantity::ZERO;
        }
        order.shown.0 -= lots.0;
        let left = order.left(&self.icebergs);
        let level = order.level(&self.icebergs);
        self.levels[level].total -= u128::from(lots.0);
        if order.shown.is_zero() {
            self.refill(slot, level);
        }
        left
    }

    /// An iceberg shows its next lots, at the end of its queue.
    #[cold]
    fn refill(&mut self, slot: Slot<Order>, level: Slot<Level>) {
        let mut order = self.orders[slot];
        self.unlink(&order, level);
        order.shown = order.next_shown(&self.icebergs);
        order.unhide(order.shown, &mut self.icebergs);
        self.levels[level].hidden.subtract(order.shown);
        order.previous = self.levels[level].tail;
        order.next = Slot::NONE;
        self.orders[slot] = order;
        self.append(slot, order.shown, level);
    }

    /// Takes an order out, though its level stays. Returns what it had left.
    fn remove(&mut self, slot: Slot<Order>) -> Quantity {
        let order = self.orders[slot];
        self.index.remove(order.key, &self.orders);
        self.orders.release(slot);
        self.leave(&order).1
    }

    /// What an order that is gone leaves behind: its neighbours, the sums of its level, the record of an iceberg.
    /// Returns its level, which stays even if it is empty, and what the order had left.
    ///
    /// Always inlined, as the compiler would not: a call would read back an order that the caller has only just copied
    /// out of the slab, which was 7 % of `touch`.
    #[inline(always)]
    fn leave(&mut self, order: &Order) -> (Slot<Level>, Quantity) {
        let (level, hidden) = match order.home.record() {
            None => (order.level(&self.icebergs), Quantity::ZERO),
            Some(record) => self.melt(record),
        };
        self.unlink(order, level);
        self.levels[level].total -= u128::from(order.shown.0);
        (level, Quantity(order.shown.0 + hidden.0))
    }

    /// Ends the record of an iceberg. Returns its level and what it hid.
    #[cold]
    fn melt(&mut self, record: Slot<Iceberg>) -> (Slot<Level>, Quantity) {
        let Iceberg { level, hidden, .. } = self.icebergs.release(record);
        self.levels[level].hidden.subtract(hidden);
        (level, hidden)
    }

    /// Makes an order, which knows the tail of its level, the new tail. Returns what the level then shows.
    fn append(&mut self, slot: Slot<Order>, shown: Quantity, level: Slot<Level>) -> u128 {
        let level = &mut self.levels[level];
        level.total += u128::from(shown.0);
        let tail = std::mem::replace(&mut level.tail, slot);
        match tail.is_none() {
            true => level.head = slot,
            false => self.orders[tail].next = slot,
        }
        level.total
    }

    /// Joins the neighbours of an order that leaves its queue.
    #[inline]
    fn unlink(&mut self, order: &Order, level: Slot<Level>) {
        match order.previous.is_none() {
            true => self.levels[level].head = order.next,
            false => self.orders[order.previous].next = order.next,
        }
        match order.next.is_none() {
            true => self.levels[level].tail = order.previous,
            false => self.orders[order.next].previous = order.previous,
        }
    }
}

impl Level {
    /// All lots of its orders, hidden ones included.
    fn lots(&self) -> u128 {
        self.total + self.hidden.lots()
    }
}

impl Node for Order {
    fn vacant_link(&mut self) -> &mut u32 {
        &mut self.next.number
    }
}

impl Node for Level {
    fn vacant_link(&mut self) -> &mut u32 {
        &mut self.head.number
    }
}
