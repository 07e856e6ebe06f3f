//! Views that are told at beats instead of at every change.
//!
//! A beat comes from outside, ten times a second, with the time. Each view keeps what it has told its rooms: a beat compares that
//! with what is now, and a snapshot is cut from it, so whoever joins between two beats stands where everybody in the room does.
//! A view that nobody ever asked for does not exist. One whose rooms are empty ends at the next beat, and begins anew, with what is
//! then, with the snapshot of the next who comes: nobody is left who was told what it was.
//!
//! `depth` is told at every beat. Of `prices` open candles are told at every third and the ticker at every tenth, and so is the
//! `heartbeat`. Symbols take their turns, so that a beat has about as much to do as the next.

mod depth;
mod heartbeat;
mod prices;

use super::FeedCounters;
use super::outlet::{OpenRoom, append};
use super::packing::Scratch;
use super::symbol::Known;
use crate::rooms::view::View;
use crate::wire::encode::SymbolFormat;
use crate::wire::encode::market::Kline;
use crate::wire::name::{KlineInterval, Name, TopLevels};
use depth::{Conflated, Top};
use engine_core::units::*;
use heartbeat::Pulse;
use prices::{Candle, Day};

pub(super) use prices::ticker;

/// An open candle is told at every so many beats: at most once in 300 ms.
const KLINE_BEATS: u64 = 3;

/// What is told once a second is told at every so many beats.
const SECOND_BEATS: u64 = 10;

/// The timed views of a symbol.
#[derive(Default)]
pub(super) struct Timed {
    depth: Option<Conflated>,
    /// By the place of the view's number of levels among all such numbers.
    tops: [Option<Top>; TopLevels::ALL.len()],
    day: Option<Day>,
    candles: [Option<Candle>; KlineInterval::ALL.len()],
    pulse: Option<Pulse>,
}

/// When a beat is.
#[derive(Clone, Copy)]
pub(super) struct Beat {
    pub at: Timestamp,
    /// How long it has waited for us.
    pub lag_ms: u64,
    /// Beats so far; not the same for all symbols.
    pub number: u64,
}

/// Where a view is told: the symbol's rooms and what it takes to write to them.
pub(super) struct Telling<'a, 'f> {
    pub rooms: &'a mut [OpenRoom],
    pub format: &'a SymbolFormat<'f>,
    pub scratch: &'a mut Scratch,
    pub counters: &'a FeedCounters,
}

impl Telling<'_, '_> {
    /// Whether nobody is in the rooms of the view; those who come later need a new snapshot.
    fn is_to_nobody(&self, view: View) -> bool {
        let rooms = || self.rooms.iter().map(|open| &open.room).filter(|room| room.view == view);
        !rooms().any(|room| room.has_readers()) && rooms().all(|room| room.is_deserted())
    }

    /// Has the payload written, and appends it to the rooms of the view.
    pub fn tell(&mut self, view: View, write: impl FnOnce(&mut Vec<u8>, &SymbolFormat<'_>)) {
        write(self.scratch.payload(), self.format);
        append(self.rooms, view, &mut self.scratch.frame(), self.counters);
    }
}

impl Timed {
    /// The view is told from now on, if it is not already. Whoever joins is told first what it is now.
    pub fn open(&mut self, view: View, known: &Known, now: Timestamp) {
        match view {
            View::TimedDepth => begin(&mut self.depth, || Conflated::new(known)),
            View::Top(levels) => begin(&mut self.tops[levels as usize], || Top::new(levels, known)),
            View::Ticker => begin(&mut self.day, || Day::new(known, now)),
            View::Kline(interval) => {
                begin(&mut self.candles[interval as usize], || Candle::new(interval, known))
            }
            View::Heartbeat => begin(&mut self.pulse, || Pulse::new(known, now)),
            View::DepthTrade | View::Depth | View::Trade | View::Bbo => {}
        }
    }

    /// Levels that have changed, each of them once.
    pub fn note(&mut self, changed: &[(Side, Price)]) {
        if let Some(depth) = &mut self.depth {
            depth.note(changed);
        }
    }

    /// A candle is over.
    pub fn note_closed(&mut self, kline: Kline) {
        if let Some(candle) = &mut self.candles[kline.interval as usize] {
            candle.note_closed(kline);
        }
    }

    /// Tells what has changed in the book.
    pub fn tell_depth(&mut self, known: &Known, telling: &mut Telling<'_, '_>) {
        if let Some(depth) = &mut self.depth {
            depth.tell(known, telling);
        }
        self.tops.iter_mut().flatten().for_each(|top| top.tell(known, telling));
    }

    /// Tells of candles that are over.
    pub fn tell_closed(&mut self, telling: &mut Telling<'_, '_>) {
        self.candles.iter_mut().flatten().for_each(|candle| candle.tell_closed(telling));
    }

    /// Tells all that has changed and whose turn it is, where somebody hears it.
    pub fn tell(&mut self, known: &Known, beat: Beat, telling: &mut Telling<'_, '_>) {
        self.end_unheard(telling);
        self.tell_depth(known, telling);
        self.tell_closed(telling);
        if beat.number.is_multiple_of(KLINE_BEATS) {
            self.candles.iter_mut().flatten().for_each(|candle| candle.tell(known, telling));
        }
        if beat.number.is_multiple_of(SECOND_BEATS) {
            self.day.iter_mut().for_each(|day| day.tell(known, beat.at, telling));
            self.pulse.iter_mut().for_each(|pulse| pulse.tell(known, beat, telling));
        }
    }

    fn end_unheard(&mut self, telling: &Telling<'_, '_>) {
        let Self { depth, tops, day, candles, pulse } = self;
        depth.take_if(|_| telling.is_to_nobody(View::TimedDepth));
        for (top, levels) in tops.iter_mut().zip(TopLevels::ALL) {
            top.take_if(|_| telling.is_to_nobody(View::Top(*levels)));
        }
        day.take_if(|_| telling.is_to_nobody(View::Ticker));
        for (candle, interval) in candles.iter_mut().zip(KlineInterval::ALL) {
            candle.take_if(|_| telling.is_to_nobody(View::Kline(*interval)));
        }
        pulse.take_if(|_| telling.is_to_nobody(View::Heartbeat));
    }

    /// Writes what the view has told last; nothing if there is nothing.
    pub fn snapshot(&self, view: View, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        match view {
            View::TimedDepth => self.depth.iter().for_each(|depth| depth.write(format, out)),
            View::Top(levels) => self.tops[levels as usize].iter().for_each(|top| top.write(format, out)),
            View::Ticker => self.day.iter().for_each(|day| day.write(format, out)),
            View::Kline(interval) => {
                self.candles[interval as usize].iter().for_each(|candle| candle.write(format, out))
            }
            View::Heartbeat => self.pulse.iter().for_each(|pulse| pulse.write(format, out)),
            View::DepthTrade | View::Depth | View::Trade | View::Bbo => {}
        }
    }
}

/// A view that is told already has told something: it stays.
fn begin<T>(view: &mut Option<T>, new: impl FnOnce() -> T) {
    if view.is_none() {
        *view = Some(new());
    }
}
