//! A symbol's price levels, rebuilt from a snapshot and the updates after it.
//!
//! Slow and plain on purpose: this book judges the server's, so it must be right by inspection.

use crate::message::{Exact, Level};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    pub bids: Side,
    pub asks: Side,
}

/// Price to quantity, lowest price first on both sides.
pub type Side = BTreeMap<Exact, Exact>;

impl Book {
    pub fn apply(&mut self, bids: &[Level], asks: &[Level]) {
        set_levels(&mut self.bids, bids);
        set_levels(&mut self.asks, asks);
    }

    pub fn best_bid(&self) -> Option<(Exact, Exact)> {
        self.bids.last_key_value().map(|(price, quantity)| (*price, *quantity))
    }

    pub fn best_ask(&self) -> Option<(Exact, Exact)> {
        self.asks.first_key_value().map(|(price, quantity)| (*price, *quantity))
    }

    /// The best bid and ask, if they would trade with each other: no book at rest looks like that.
    pub fn crossing(&self) -> Option<(Exact, Exact)> {
        let (bid, ask) = (self.best_bid()?.0, self.best_ask()?.0);
        (bid >= ask).then_some((bid, ask))
    }

    pub fn level_count(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    /// The difference nearest to the touch, looking at the best `depth` levels of each side.
    pub fn first_difference(&self, other: &Book, depth: Option<usize>) -> Option<Difference> {
        let depth = depth.unwrap_or(usize::MAX);
        let bids = || first_difference(self.bids.iter().rev(), other.bids.iter().rev(), depth);
        let asks = || first_difference(self.asks.iter(), other.asks.iter(), depth);
        let (side, (ours, theirs)) =
            bids().map(|pair| ("bid", pair)).or_else(|| asks().map(|pair| ("ask", pair)))?;
        Some(Difference { side, ours, theirs })
    }
}

fn set_levels(side: &mut Side, levels: &[Level]) {
    for Level(price, quantity) in levels {
        if quantity.0.is_zero() {
            side.remove(price);
        } else {
            side.insert(*price, *quantity);
        }
    }
}

type Row = Option<(Exact, Exact)>;

fn first_difference<'a>(
    ours: impl Iterator<Item = (&'a Exact, &'a Exact)>,
    theirs: impl Iterator<Item = (&'a Exact, &'a Exact)>,
    depth: usize,
) -> Option<(Row, Row)> {
    let own = |(price, quantity): (&Exact, &Exact)| (*price, *quantity);
    let (mut ours, mut theirs) = (ours.map(own).take(depth), theirs.map(own).take(depth));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return None,
            (ours, theirs) if ours != theirs => return Some((ours, theirs)),
            _ => {}
        }
    }
}

/// Where a rebuilt book and a fresh snapshot part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub side: &'static str,
    pub ours: Option<(Exact, Exact)>,
    pub theirs: Option<(Exact, Exact)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |level: Row| level.map_or("nothing".into(), |(price, quantity)| format!("{quantity} @ {price}"));
        write!(f, "{} rebuilt {}, snapshot {}", self.side, text(self.ours), text(self.theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(bids: &[(&str, &str)], asks: &[(&str, &str)]) -> Book {
        let levels = |rows: &[(&str, &str)]| -> Vec<Level> {
            rows.iter()
                .map(|(price, quantity)| Level(price.parse().unwrap(), quantity.parse().unwrap()))
                .collect()
        };
        let mut book = Book::default();
        book.apply(&levels(bids), &levels(asks));
        book
    }

    #[test]
    fn prices_order_by_value_not_by_text() {
        let book = book(&[("9", "1"), ("10", "1"), ("9.5", "1")], &[("100", "1"), ("20", "1")]);
        assert_eq!(book.best_bid().unwrap().0.to_string(), "10");
        assert_eq!(book.best_ask().unwrap().0.to_string(), "20");
        assert_eq!(book.crossing(), None);
    }

    #[test]
    fn quantity_zero_removes_a_level() {
        assert_eq!(book(&[("9", "1"), ("9", "0")], &[]).level_count(), 0);
    }

    #[test]
    fn the_difference_nearest_to_the_touch_is_named() {
        let ours = book(&[("10", "1"), ("9", "1"), ("8", "1")], &[]);
        let theirs = book(&[("10", "1"), ("9", "2"), ("8", "2")], &[]);
        let difference = ours.first_difference(&theirs, None).unwrap();
        assert_eq!(difference.to_string(), "bid rebuilt 1 @ 9, snapshot 2 @ 9");
        assert_eq!(ours.first_difference(&theirs, Some(1)), None, "beyond the view is not compared");
    }
}
