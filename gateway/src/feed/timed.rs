//! Views that are told at beats instead of at every change.
//!
//! A beat comes from outside, ten times a second, with the time. Each view keeps what it has told its rooms: a beat compares that
//! with what is now, and a snapshot is cut from it, so whoever joins between two beats stands where everybody in the room does.
//! A view that nobody ever asked for does not exist.

use super::FeedCounters;
use super::levels::Levels;
use super::outlet::{OpenRoom, Scratch, append};
use crate::rooms::view::View;
use crate::wire::encode::{SymbolFormat, market};
use crate::wire::name::{Name, TopLevels};
use engine_core::units::*;

/// Changes that are kept before those of the same level become one. A power of two picked by eye.
const PENDING_MIN: usize = 1024;

/// The timed views of a symbol.
#[derive(Default)]
pub(super) struct Timed {
    depth: Option<Conflated>,
    /// By the place of the view's number of levels among all such numbers.
    tops: [Option<Top>; TopLevels::ALL.len()],
}

/// The book of a symbol as published.
#[derive(Clone, Copy)]
pub(super) struct Book<'a> {
    pub levels: &'a Levels,
    pub sequence: Sequence,
    pub at: Timestamp,
}

/// Where a view is told: the symbol's rooms and what it takes to write to them.
pub(super) struct Telling<'a, 'f> {
    pub rooms: &'a mut [OpenRoom],
    pub format: &'a SymbolFormat<'f>,
    pub scratch: &'a mut Scratch,
    pub counters: &'a FeedCounters,
}

impl Telling<'_, '_> {
    /// Has the payload written, and appends it to the rooms of the view.
    pub fn tell(&mut self, view: View, write: impl FnOnce(&mut Vec<u8>, &SymbolFormat<'_>)) {
        write(self.scratch.payload(), self.format);
        append(self.rooms, view, &self.scratch.frame(), self.counters);
    }
}

impl Timed {
    /// The view is told from now on. Whoever joins is told first what it is now.
    pub fn open(&mut self, view: View, book: Book<'_>) {
        match view {
            View::TimedDepth => {
                self.depth.get_or_insert_with(|| Conflated::new(book));
            }
            View::Top(levels) => {
                self.tops[levels as usize].get_or_insert_with(|| Top::new(levels, book));
            }
            View::DepthTrade | View::Depth | View::Trade | View::Bbo => {}
        }
    }

    /// Levels that have changed, each of them once.
    pub fn note(&mut self, changed: &[(Side, Price)]) {
        if let Some(depth) = &mut self.depth {
            depth.note(changed);
        }
    }

    /// Tells what has changed in the book.
    pub fn tell_depth(&mut self, book: Book<'_>, telling: &mut Telling<'_, '_>) {
        if let Some(depth) = &mut self.depth {
            depth.tell(book, telling);
        }
        self.tops.iter_mut().flatten().for_each(|top| top.tell(book, telling));
    }

    /// Writes what the view has told last; nothing if there is nothing.
    pub fn snapshot(&self, view: View, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        match view {
            View::TimedDepth => self.depth.iter().for_each(|depth| depth.write(format, out)),
            View::Top(levels) => self.tops[levels as usize].iter().for_each(|top| top.write(format, out)),
            View::DepthTrade | View::Depth | View::Trade | View::Bbo => {}
        }
    }
}

/// A book in steps of a beat: what its rooms have been told, and which levels have changed since.
struct Conflated {
    told: Levels,
    sequence: Sequence,
    at: Timestamp,
    pending: Vec<(Side, Price)>,
    /// So many may be pending before repeats are looked for.
    pending_max: usize,
}

impl Conflated {
    fn new(Book { levels, sequence, at }: Book<'_>) -> Self {
        Self { told: levels.clone(), sequence, at, pending: Vec::new(), pending_max: PENDING_MIN }
    }

    fn note(&mut self, changed: &[(Side, Price)]) {
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

    fn tell(&mut self, book: Book<'_>, telling: &mut Telling<'_, '_>) {
        if book.sequence == self.sequence {
            return;
        }
        self.settle();
        let Self { told, pending, .. } = self;
        // What has changed and changed back is as it was told.
        pending.retain(|(side, price)| {
            let total = book.levels.total(*side, *price);
            let differs = told.total(*side, *price) != total;
            if differs {
                told.set(*side, *price, total);
            }
            differs
        });
        let of = |side| {
            let of_side = pending.iter().filter(move |(of, _)| *of == side);
            of_side.map(move |(_, price)| (*price, book.levels.total(side, *price)))
        };
        let update = market::DepthUpdate { prev_seq: self.sequence, seq: book.sequence, ts: book.at };
        telling.tell(View::TimedDepth, |out, format| {
            market::depth_update(out, format, update, of(Side::Buy).rev(), of(Side::Sell))
        });
        pending.clear();
        (self.sequence, self.at) = (book.sequence, book.at);
    }

    fn write(&self, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        let head = market::DepthSnapshot { seq: self.sequence, ts: self.at, depth: None, checksum: None };
        market::depth_snapshot(out, format, head, self.told.bids(), self.told.asks());
    }
}

/// The best levels of a book as told.
struct Top {
    levels: TopLevels,
    bids: Vec<(Price, Quantity)>,
    asks: Vec<(Price, Quantity)>,
    sequence: Sequence,
    at: Timestamp,
}

impl Top {
    fn new(levels: TopLevels, book: Book<'_>) -> Self {
        let mut top = Self {
            levels,
            bids: Vec::new(),
            asks: Vec::new(),
            sequence: Sequence::default(),
            at: Timestamp::default(),
        };
        top.take(book);
        top
    }

    fn take(&mut self, Book { levels, sequence, at }: Book<'_>) {
        let count = self.levels.count();
        self.bids.clear();
        self.bids.extend(levels.bids().take(count));
        self.asks.clear();
        self.asks.extend(levels.asks().take(count));
        (self.sequence, self.at) = (sequence, at);
    }

    fn tell(&mut self, book: Book<'_>, telling: &mut Telling<'_, '_>) {
        let count = self.levels.count();
        let is_told = self.sequence == book.sequence
            || book.levels.bids().take(count).eq(self.bids.iter().copied())
                && book.levels.asks().take(count).eq(self.asks.iter().copied());
        if !is_told {
            self.take(book);
            telling.tell(View::Top(self.levels), |out, format| self.write(format, out));
        }
    }

    fn write(&self, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        let depth = Some(self.levels.count() as u16);
        let head = market::DepthSnapshot { seq: self.sequence, ts: self.at, depth, checksum: None };
        market::depth_snapshot(out, format, head, self.bids.iter().copied(), self.asks.iter().copied());
    }
}
