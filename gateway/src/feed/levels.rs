//! A symbol's price levels as the market knows them, kept from the matcher's events.

use engine_core::units::{Price, Quantity, Side};
use std::collections::BTreeMap;

/// Both sides of a book, by level.
#[derive(Clone, Default)]
pub struct Levels {
    bids: BTreeMap<Price, Quantity>,
    asks: BTreeMap<Price, Quantity>,
}

impl Levels {
    /// Sets a level's total; zero removes it.
    pub fn set(&mut self, side: Side, price: Price, total: Quantity) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if total.is_zero() {
            levels.remove(&price);
        } else {
            levels.insert(price, total);
        }
    }

    /// A level's total; zero if there is none.
    pub fn total(&self, side: Side, price: Price) -> Quantity {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        levels.get(&price).copied().unwrap_or_default()
    }

    /// Best first.
    pub fn bids(&self) -> impl Iterator<Item = (Price, Quantity)> + '_ {
        self.bids.iter().rev().map(|(price, total)| (*price, *total))
    }

    /// Best first.
    pub fn asks(&self) -> impl Iterator<Item = (Price, Quantity)> + '_ {
        self.asks.iter().map(|(price, total)| (*price, *total))
    }

    /// The best bid and the best ask.
    pub fn best(&self) -> [Option<(Price, Quantity)>; 2] {
        [self.bids().next(), self.asks().next()]
    }
}
