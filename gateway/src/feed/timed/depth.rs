//! The book at beats.

use super::Telling;
use crate::feed::levels::Levels;
use crate::feed::symbol::Known;
use crate::rooms::view::View;
use crate::wire::encode::{SymbolFormat, market};
use crate::wire::name::TopLevels;
use engine_core::units::*;

/// Changes that are kept before those of the same level become one. A power of two picked by eye.
const PENDING_MIN: usize = 1024;

/// A book in steps of a beat: what its rooms have been told, and which levels have changed since.
pub struct Conflated {
    told: Levels,
    sequence: Sequence,
    at: Timestamp,
    pending: Vec<(Side, Price)>,
    /// So many may be pending before repeats are looked for.
    pending_max: usize,
}

impl Conflated {
    pub fn new(&Known { ref levels, published: sequence, at, .. }: &Known) -> Self {
        Self { told: levels.clone(), sequence, at, pending: Vec::new(), pending_max: PENDING_MIN }
    }

    pub fn note(&mut self, changed: &[(Side, Price)]) {
        self.pending.extend_from_slice(changed);
        if self.pending.len() > self.pending_max {
            self.settle();
            self.pending_max = PENDING_MIN.max(2 * self.pending.len());
        }
    }

    /// Each level once, in order.
    fn settle(&mut self) {
        self.pending.sort_unstable();
        self.pending.dedup();
    }

    pub fn tell(&mut self, known: &Known, telling: &mut Telling<'_, '_>) {
        if known.published == self.sequence {
            return;
        }
        self.settle();
        let Self { told, pending, .. } = self;
        // What has changed and changed back is as it was told.
        pending.retain(|(side, price)| {
            let total = known.levels.total(*side, *price);
            let differs = told.total(*side, *price) != total;
            if differs {
                told.set(*side, *price, total);
            }
            differs
        });
        let of = |side| {
            let of_side = pending.iter().filter(move |(of, _)| *of == side);
            of_side.map(move |(_, price)| (*price, known.levels.total(side, *price)))
        };
        let update = market::DepthUpdate { prev_seq: self.sequence, seq: known.published, ts: known.at };
        telling.tell(View::TimedDepth, |out, format| {
            market::depth_update(out, format, update, of(Side::Buy).rev(), of(Side::Sell))
        });
        pending.clear();
        (self.sequence, self.at) = (known.published, known.at);
    }

    pub fn write(&self, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        let head = market::DepthSnapshot { seq: self.sequence, ts: self.at, depth: None, checksum: None };
        market::depth_snapshot(out, format, head, self.told.bids(), self.told.asks());
    }
}

/// The best levels of a book as told.
pub struct Top {
    levels: TopLevels,
    bids: Vec<(Price, Quantity)>,
    asks: Vec<(Price, Quantity)>,
    sequence: Sequence,
    at: Timestamp,
}

impl Top {
    pub fn new(levels: TopLevels, known: &Known) -> Self {
        let mut top = Self {
            levels,
            bids: Vec::new(),
            asks: Vec::new(),
            sequence: Sequence::default(),
            at: Timestamp::default(),
        };
        top.take(known);
        top
    }

    fn take(&mut self, &Known { ref levels, published: sequence, at, .. }: &Known) {
        let count = self.levels.count();
        self.bids.clear();
        self.bids.extend(levels.bids().take(count));
        self.asks.clear();
        self.asks.extend(levels.asks().take(count));
        (self.sequence, self.at) = (sequence, at);
    }

    pub fn tell(&mut self, known: &Known, telling: &mut Telling<'_, '_>) {
        let count = self.levels.count();
        let is_told = self.sequence == known.published
            || known.levels.bids().take(count).eq(self.bids.iter().copied())
                && known.levels.asks().take(count).eq(self.asks.iter().copied());
        if !is_told {
            self.take(known);
            telling.tell(View::Top(self.levels), |out, format| self.write(format, out));
        }
    }

    pub fn write(&self, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        let depth = Some(self.levels.count() as u16);
        let head = market::DepthSnapshot { seq: self.sequence, ts: self.at, depth, checksum: None };
        market::depth_snapshot(out, format, head, self.bids.iter().copied(), self.asks.iter().copied());
    }
}
