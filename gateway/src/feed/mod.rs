//! The feed: from the matcher's events to frames in the rooms.
//!
//! It runs on its matcher's thread, after each batch. Of each symbol it keeps the levels, so it can cut a snapshot at
//! an exact sequence without asking the matcher. A frame is encoded once, into a scratch buffer, and appended to the
//! rooms of its symbol that carry the stream; rooms nobody ever asked for do not exist and cost nothing. It is compressed once,
//! if a room wants it so and has somebody in it (`packing.rs`).
//!
//! Within a batch several changes of a level become one, and several commands one `depth_update` whose `prev_seq` →
//! `seq` spans them: the chain never breaks, it takes longer steps. A change of what the symbol does is never put
//! together with anything: what came before it goes out before it, and what comes after, after it.
//!
//! In an auction the best bid may be above the best ask. Nothing here minds.
//!
//! - here: events in, frames and answers out; `door`: how it is asked, and what
//! - `symbol`: what is known of a symbol, its [`levels`] among it; `outlet`: the rooms a frame goes to, `packing`: how it is
//!   compressed for those who want it so
//! - [`candles`]: what trades come to; `timed`: views that are told at a beat instead of at every change

pub mod candles;
mod door;
pub mod levels;
mod outlet;
mod packing;
mod symbol;
#[cfg(test)]
mod tests;
mod timed;

pub use door::{Depth, FeedDoor, FeedRequest};

use crate::rooms::view::View;
use crate::rooms::{ReactorDoor, Snapshot};
use crate::venue::Venue;
use crate::wire::encode::market;
use bytes::Bytes;
use door::Inbox;
use engine_core::bell::ThreadBell;
use engine_core::book::Book as _;
use engine_core::counters::{Counter, Histogram};
use engine_core::executor::MarketSink;
use engine_core::matcher::{MarketEvent, Matcher};
use engine_core::message::SymbolState;
use engine_core::units::*;
use outlet::{OpenRoom, announce, append};
use packing::Scratch;
use std::collections::HashMap;
use std::sync::Arc;
use symbol::{Known, Symbol};
use timed::Beat;

/// Requests answered between two batches of orders, which wait for them: a snapshot of a deep book is a fraction of a
/// millisecond.
const REQUESTS_PER_PUBLISH: usize = 4;

/// Counted by the feed's thread.
#[derive(Default)]
#[repr(align(128))]
pub struct FeedCounters {
    /// Frames appended to rooms.
    pub frames: Counter,
    /// Bytes appended to rooms.
    pub bytes: Counter,
    /// Snapshots cut.
    pub snapshots: Counter,
    /// Changes that a later change of the same level within a batch made unnecessary.
    pub conflated: Counter,
    /// Frames compressed, for all rooms together; their payloads before and after; those that would have become too little
    /// shorter; the time that all took.
    pub deflated: Counter,
    pub deflate_bytes_in: Counter,
    pub deflate_bytes_out: Counter,
    pub deflate_refused: Counter,
    pub deflate_ns: Counter,
    /// From reading the order that changed a book to its update in the rooms.
    pub order_to_room: Histogram,
}

/// One feed, for the symbols of one matcher.
pub struct Feed {
    venue: Arc<Venue>,
    doors: Vec<Arc<ReactorDoor>>,
    inbox: Inbox,
    counters: Arc<FeedCounters>,
    symbols: HashMap<SymbolId, Symbol>,
    /// The symbol of each room of ours.
    rooms: HashMap<u32, SymbolId>,
    /// Symbols with events since the last publish.
    touched: Vec<SymbolId>,
    /// Symbols with timed rooms.
    timed: Vec<SymbolId>,
    /// Beats so far.
    beats: u64,
    /// Where frames are encoded.
    scratch: Scratch,
}

/// A feed and what it takes to build its door once the engine runs.
pub fn feed(
    venue: Arc<Venue>,
    doors: Vec<Arc<ReactorDoor>>,
    counters: Arc<FeedCounters>,
) -> (Feed, impl FnOnce(Arc<ThreadBell>) -> FeedDoor) {
    let (inbox, door) = door::door();
    let feed = Feed {
        venue,
        doors,
        inbox,
        counters,
        symbols: HashMap::new(),
        rooms: HashMap::new(),
        touched: Vec::new(),
        timed: Vec::new(),
        beats: 0,
        scratch: Scratch::default(),
    };
    (feed, door)
}

impl MarketSink for Feed {
    fn event(&mut self, event: &MarketEvent) {
        let (MarketEvent::Trade(id, _)
        | MarketEvent::Level(id, ..)
        | MarketEvent::Applied(id, ..)
        | MarketEvent::State(id, ..)) = *event;
        let symbol = self.symbols.entry(id).or_default();
        if !symbol.touched {
            symbol.touched = true;
            self.touched.push(id);
        }
        match *event {
            MarketEvent::Trade(_, trade) => {
                symbol.known.last_trade = trade.trade;
                symbol.trades.push(trade);
            }
            MarketEvent::Level(_, side, price, total) => {
                symbol.known.levels.set(side, price, total);
                symbol.changed.push((side, price));
            }
            MarketEvent::Applied(_, sequence, at) => {
                symbol.known.sequence = sequence;
                symbol.known.at = at;
            }
            MarketEvent::State(_, state, ts) => {
                symbol.status = Some(market::Status { state, ts });
                self.publish_symbol(id);
                self.publish_status(id);
            }
        }
    }

    fn publish(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            self.publish_symbol(id);
        }
        for _ in 0..REQUESTS_PER_PUBLISH {
            let Some(request) = self.inbox.take() else { break };
            self.answer(request, crate::reactor::clock());
        }
    }

    fn relieve(&mut self) {
        for id in &self.touched {
            let symbol = self.symbols.get_mut(id).expect("touched symbols are known");
            symbol.publish_trades(&self.venue.format(*id), &mut self.scratch, &self.counters);
            announce(&mut symbol.rooms, &self.doors);
        }
    }

    fn wants_publish(&self) -> bool {
        self.inbox.has_more()
    }
}

impl Feed {
    /// Begins where `matcher` stands: for an engine that has a past. Trades of that past are not told again.
    pub fn resume(&mut self, matcher: &Matcher) {
        for (id, counters) in matcher.counters() {
            let symbol = self.symbols.entry(id).or_default();
            for side in [Side::Buy, Side::Sell] {
                matcher.book(id).levels(side, |price, total| {
                    symbol.known.levels.set(side, price, total);
                    true
                });
            }
            (symbol.known.sequence, symbol.known.published) = (counters.sequence, counters.sequence);
            (symbol.known.last_trade, symbol.known.at) = (counters.trade, matcher.now(id));
            symbol.known.best = symbol.known.levels.best();
            self.venue.set_top(id, symbol.known.best);
            let state = matcher.state(id);
            if state != SymbolState::Trading {
                symbol.status = Some(market::Status { state, ts: symbol.known.at });
                self.venue.set_state(id, state);
            }
        }
    }

    fn publish_symbol(&mut self, id: SymbolId) {
        let format = self.venue.format(id);
        let symbol = self.symbols.get_mut(&id).expect("touched symbols are known");
        symbol.touched = false;
        symbol.publish_trades(&format, &mut self.scratch, &self.counters);
        let Symbol { known, rooms, changed, timed, .. } = symbol;
        let levels = &known.levels;

        let changes = changed.len();
        changed.sort_unstable();
        changed.dedup();
        let conflated = (changes - changed.len()) as u64;
        known.conflated += conflated;
        self.counters.conflated.add(conflated);
        if known.sequence != known.published {
            let of = |side| {
                let of_side = changed.iter().filter(move |(of, _)| *of == side);
                of_side.map(move |(_, price)| (*price, levels.total(side, *price)))
            };
            let update = market::DepthUpdate { prev_seq: known.published, seq: known.sequence, ts: known.at };
            market::depth_update(
                self.scratch.payload(),
                &format,
                update,
                of(Side::Buy).rev(),
                of(Side::Sell),
            );
            append(rooms, View::Depth, &mut self.scratch.frame(), &self.counters);
            self.counters.order_to_room.record(crate::reactor::clock().0.saturating_sub(known.at.0));
            known.published = known.sequence;
        }
        if let Some(timed) = timed {
            timed.note(changed);
        }
        changed.clear();

        let best = levels.best();
        if best != known.best {
            known.best = best;
            self.venue.set_top(id, best);
            let [bid, ask] = best.map(|level| level.map(Into::into));
            let bbo = market::Bbo { seq: known.sequence, bid, ask, ts: known.at };
            market::bbo(self.scratch.payload(), &format, bbo);
            append(rooms, View::Bbo, &mut self.scratch.frame(), &self.counters);
        }

        announce(rooms, &self.doors);
    }

    /// Tells every room of the symbol what it does now, and those who send orders there.
    fn publish_status(&mut self, id: SymbolId) {
        let format = self.venue.format(id);
        let symbol = self.symbols.get_mut(&id).expect("it has a status");
        // What has changed before comes before it, whatever the beat.
        symbol.tell_depth(&format, &mut self.scratch, &self.counters);
        let status = symbol.status.expect("it has a status");
        self.venue.set_state(id, status.state);
        market::status(self.scratch.payload(), &format, status);
        let mut frame = self.scratch.frame();
        symbol.rooms.iter_mut().for_each(|open| open.append(&mut frame, open.packing(), &self.counters));
        announce(&mut symbol.rooms, &self.doors);
    }

    /// Tells timed rooms what has changed since the last beat. This one was given at `at`.
    fn beat(&mut self, at: Timestamp, now: Timestamp) {
        self.beats += 1;
        let lag_ms = now.0.saturating_sub(at.0) / 1000;
        for id in &self.timed {
            let symbol = self.symbols.get_mut(id).expect("it has rooms");
            // Neighbours are not told in the same beat what is told once a second.
            let beat = Beat { at, lag_ms, number: self.beats + u64::from(id.0) };
            symbol.beat(beat, &self.venue.format(*id), &mut self.scratch, &self.counters);
            announce(&mut symbol.rooms, &self.doors);
        }
    }

    fn open(&mut self, open: OpenRoom, now: Timestamp) {
        let (id, view) = (open.room.symbol, open.room.view);
        self.rooms.insert(open.room.index, id);
        let symbol = self.symbols.entry(id).or_default();
        if view.is_timed() {
            if symbol.timed.is_none() {
                self.timed.push(id);
            }
            symbol.open_timed(view, now);
        }
        symbol.rooms.push(open);
    }

    fn answer(&mut self, request: FeedRequest, now: Timestamp) {
        match request {
            FeedRequest::Open(room, writer) => self.open(OpenRoom::new(room, writer), now),
            FeedRequest::Snapshot(room) => self.cut_snapshot(room, now),
            FeedRequest::Beat(at) => self.beat(at, now),
            // Whoever asked may be gone by now; that is no concern of ours.
            FeedRequest::Depth { symbol, levels_max, answer } => {
                let symbol = self.symbols.entry(symbol).or_default();
                let _ = answer.send(Depth {
                    sequence: symbol.known.published,
                    at: symbol.known.at,
                    bids: symbol.known.levels.bids().take(levels_max).collect(),
                    asks: symbol.known.levels.asks().take(levels_max).collect(),
                });
            }
            FeedRequest::Trades { symbol, from, trades_max, answer } => {
                let kept = &self.symbols.entry(symbol).or_default().kept;
                let skip = match from {
                    Some(from) => kept.partition_point(|trade| trade.trade < from),
                    None => kept.len().saturating_sub(trades_max),
                };
                let _ = answer.send(kept.iter().skip(skip).take(trades_max).copied().collect());
            }
            FeedRequest::Ticker { symbol, answer } => {
                let _ = answer.send(self.symbols.entry(symbol).or_default().ticker(now));
            }
            FeedRequest::Klines { symbol, interval, klines_max, answer } => {
                let symbol = self.symbols.entry(symbol).or_default();
                let _ = answer.send(symbol.klines(interval, klines_max, now));
            }
        }
    }

    fn cut_snapshot(&mut self, room: u32, now: Timestamp) {
        let id = self.rooms[&room];
        let format = self.venue.format(id);
        let symbol = self.symbols.get_mut(&id).expect("a room's symbol is known");
        let Symbol { known, rooms, status, timed, .. } = symbol;
        let Known { levels, published, at, best, last_trade, .. } = &*known;
        let open = rooms.iter_mut().find(|open| open.room.index == room).expect("it was opened");
        let (view, packing) = (open.room.view, open.room.packing);
        let mut frames = Vec::new();
        // Most symbols have always traded, and then there is nothing to say. Once they have not, everyone is told: who was
        // lapped may have missed any change. It comes first, so that a crossed book is no surprise.
        if let Some(status) = *status {
            market::status(self.scratch.payload(), &format, status);
            frames.extend_from_slice(&self.scratch.frame().pieces(packing, &self.counters).concat());
        }
        if view.carries(View::Depth) {
            let head = market::DepthSnapshot { seq: *published, ts: *at, depth: None, checksum: None };
            market::depth_snapshot(self.scratch.payload(), &format, head, levels.bids(), levels.asks());
            frames.extend_from_slice(&self.scratch.frame().pieces(packing, &self.counters).concat());
        }
        if view.carries(View::Bbo) && published.0 != 0 {
            let [bid, ask] = best.map(|level| level.map(Into::into));
            market::bbo(self.scratch.payload(), &format, market::Bbo { seq: *published, bid, ask, ts: *at });
            frames.extend_from_slice(&self.scratch.frame().pieces(packing, &self.counters).concat());
        }
        if let Some(timed) = timed.as_mut().filter(|_| view.is_timed()) {
            timed.open(view, known, now); // it may have ended when nobody was there
            let payload = self.scratch.payload();
            timed.snapshot(view, &format, payload);
            if !payload.is_empty() {
                frames.extend_from_slice(&self.scratch.frame().pieces(packing, &self.counters).concat());
            }
        }
        open.room.put_snapshot(Snapshot {
            position: open.writer.publish(),
            frames: Bytes::from(frames),
            next_trade: TradeId(last_trade.0 + 1),
        });
        self.counters.snapshots.add(1);
        open.room.announce(&self.doors);
    }
}
