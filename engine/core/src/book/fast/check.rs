//! What always holds in the fast book between two commands.

use std::collections::HashSet;

use super::slab::Slot;
use super::{Fast, Iceberg, Level};
use crate::book::Book;
use crate::units::Side;

impl Fast {
    /// Walks the whole book and stops at the first thing that is not as it must be.
    ///
    /// Meant for tests, simulation and the taking of snapshots; the cost is linear in the book.
    ///
    /// # Panics
    /// If links, totals, order of prices, index or slots disagree: the book's bug.
    pub fn check_invariants(&self) {
        let orders: usize = [Side::Buy, Side::Sell].map(|side| self.check_side(side)).iter().sum();
        let levels: usize = self.ladders.iter().map(|ladder| ladder.len()).sum();
        assert_eq!(self.index.len(), orders, "index and queues count alike");
        assert_eq!(self.orders.slots(), orders + self.orders.count_vacant(), "no order slot is lost");
        assert_eq!(self.levels.slots(), levels + self.levels.count_vacant(), "no level slot is lost");
        let icebergs = self.icebergs.slots() - self.icebergs.count_vacant();
        assert_eq!(self.count_icebergs(), icebergs, "no record of an iceberg is lost");
        if !self.crossed
            && let (Some((bid, _)), Some((ask, _))) = (self.best(Side::Buy), self.best(Side::Sell))
        {
            assert!(bid < ask, "the book is crossed outside an auction: bid {bid}, ask {ask}");
        }
    }

    fn count_icebergs(&self) -> usize {
        let mut count = 0;
        for side in [Side::Buy, Side::Sell] {
            self.orders(side, |order| {
                count += usize::from(!order.hidden.is_zero());
                true
            });
        }
        count
    }

    /// Returns how many orders the side has.
    fn check_side(&self, side: Side) -> usize {
        let ladder = &self.ladders[side as usize];
        let prices: Vec<_> = ladder.best_first().map(|level| self.levels[level].price).collect();
        assert!(
            prices.is_sorted_by(|better, worse| match side {
                Side::Buy => better > worse,
                Side::Sell => better < worse,
            }),
            "{side:?} prices are not sorted: {prices:?}"
        );
        let mut orders = 0;
        for slot in ladder.best_first() {
            let level = &self.levels[slot];
            assert_eq!(level.side, side, "a level knows its side");
            assert_eq!(
                ladder.find(level.price, &self.levels).ok(),
                Some(slot),
                "the ladder finds each of its prices"
            );
            orders += self.check_queue(level, slot);
        }
        orders
    }

    /// Returns how many orders the level has.
    fn check_queue(&self, level: &Level, level_slot: Slot<Level>) -> usize {
        let mut seen = HashSet::new();
        let (mut total, mut hidden) = (0, 0);
        let mut previous = Slot::NONE;
        let mut slot = level.head;
        while !slot.is_none() {
            let order = &self.orders[slot];
            assert!(seen.insert(slot.number), "the queue at {} is a circle", level.price);
            assert_eq!(order.level(&self.icebergs), level_slot, "order {} knows its level", order.key);
            assert_eq!(order.previous, previous, "order {} knows who came before it", order.key);
            assert!(!order.shown.is_zero(), "order {} is empty and still there", order.key);
            if let Some(record) = order.home.record() {
                let Iceberg { hidden, display, .. } = self.icebergs[record];
                assert!(!hidden.is_zero(), "order {} hides nothing and has a record", order.key);
                assert!(order.shown <= display, "order {} shows more than it should", order.key);
            }
            assert_eq!(self.index.find(order.key, &self.orders), Some(slot), "the index finds {}", order.key);
            total += u128::from(order.shown.0);
            hidden += u128::from(order.hidden(&self.icebergs).0);
            previous = slot;
            slot = order.next;
        }
        assert!(!seen.is_empty(), "the level at {} is empty and still there", level.price);
        assert_eq!(level.tail, previous, "the level at {} knows its last order", level.price);
        assert_eq!(level.total, total, "the level at {} is the sum of its orders", level.price);
        assert_eq!(level.hidden.lots(), hidden, "the level at {} knows what it hides", level.price);
        seen.len()
    }
}
