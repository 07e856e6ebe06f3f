//! The sorted prices of one side.
//!
//! Inside, a price is a rank: the larger the better for the taker. A bid's rank is its price, an ask's is its price
//! with all bits turned over, so both sides sort upwards, run the same code, and have their best at the end.
//!
//! Ranks and level numbers are two vectors. A search reads ranks alone, eight to a cache line.

use super::Level;
use super::slab::Slot;
use crate::units::{Price, Side};

/// Which levels a side has, in order.
#[derive(Clone, Debug)]
pub struct Ladder {
    turn: u64,
    ranks: Vec<u64>,
    levels: Vec<Slot<Level>>,
}

/// Where in its ladder a price that has no level belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

impl Ladder {
    pub fn with_capacity(side: Side, levels: usize) -> Ladder {
        let turn = match side {
            Side::Buy => 0,
            Side::Sell => u64::MAX,
        };
        Ladder { turn, ranks: Vec::with_capacity(levels), levels: Vec::with_capacity(levels) }
    }

    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    pub fn best(&self) -> Option<Slot<Level>> {
        self.levels.last().copied()
    }

    /// The best level, if a taker with this `limit` accepts it.
    pub fn best_within(&self, limit: Price) -> Option<Slot<Level>> {
        let best = self.ranks.last()?;
        if *best < self.rank(limit) {
            return None;
        }
        self.best()
    }

    /// The levels from the best on.
    pub fn best_first(&self) -> impl Iterator<Item = Slot<Level>> {
        self.levels.iter().rev().copied()
    }

    /// The levels that a taker with this `limit` accepts, from the best on.
    pub fn within(&self, limit: Price) -> impl DoubleEndedIterator<Item = Slot<Level>> + Clone {
        self.levels[self.position(self.rank(limit))..].iter().rev().copied()
    }

    /// The level of a price, or the place to insert one.
    pub fn find(&self, price: Price) -> Result<Slot<Level>, Place> {
        let rank = self.rank(price);
        let at = self.position(rank);
        match self.ranks.get(at) {
            Some(found) if *found == rank => Ok(self.levels[at]),
            _ => Err(Place(at)),
        }
    }

    pub fn insert(&mut self, place: Place, price: Price, level: Slot<Level>) {
        self.ranks.insert(place.0, self.rank(price));
        self.levels.insert(place.0, level);
    }

    /// Takes out a price that has a level.
    pub fn remove(&mut self, price: Price) {
        let at = self.position(self.rank(price));
        debug_assert_eq!(self.ranks[at], self.rank(price));
        self.ranks.remove(at);
        self.levels.remove(at);
    }

    pub fn remove_best(&mut self) {
        self.ranks.pop();
        self.levels.pop();
    }

    /// Its own inverse: the rank of a price, the price of a rank.
    fn rank(&self, price: Price) -> u64 {
        price.0 ^ self.turn
    }

    /// How many ranks are below `rank`. Halving does not branch on what it finds; comparing the ranks nearest the
    /// best one by one first was slower (`benches/book.rs`, `touch`: 24 ns without, 26 to 28 ns with 8 to 32 of them).
    fn position(&self, rank: u64) -> usize {
        self.ranks.partition_point(|other| *other < rank)
    }
}
