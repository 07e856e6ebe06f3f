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

pub mod levels;
mod packing;

use crate::rooms::ring::Writer;
use crate::rooms::{Packing, ReactorDoor, Room, Snapshot};
use crate::venue::Venue;
use crate::wire::encode::{SymbolFormat, market};
use crate::wire::name::Stream;
use bytes::Bytes;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::book::Book;
use engine_core::counters::{Counter, Histogram};
use engine_core::executor::MarketSink;
use engine_core::matcher::{MarketEvent, Matcher, TradePrint};
use engine_core::message::SymbolState;
use engine_core::units::*;
use levels::Levels;
use packing::{Frame, Scratch};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Requests a feed may have waiting. They come from subscribes and from HTTP, so this is a burst of joins on one
/// matcher's symbols, not load. Picked by eye.
const REQUESTS_MAX: usize = 4096;

/// Trades a symbol's feed remembers for those who ask by id.
const TRADES_KEPT: usize = 1000;

/// What can be asked of a feed.
pub enum FeedRequest {
    /// A room has been made; from now on it is written to.
    Open(Arc<Room>, Writer),
    /// Cut a snapshot for the room of that index.
    Snapshot(u32),
    /// The best levels of a symbol.
    Depth { symbol: SymbolId, levels_max: usize, answer: oneshot::Sender<Depth> },
    /// Remembered trades of a symbol from an id on, oldest first.
    Trades {
        symbol: SymbolId,
        from: Option<TradeId>,
        trades_max: usize,
        answer: oneshot::Sender<Vec<TradePrint>>,
    },
}

/// The best levels of a symbol at a sequence.
pub struct Depth {
    pub sequence: Sequence,
    pub at: Timestamp,
    pub bids: Vec<(Price, Quantity)>,
    pub asks: Vec<(Price, Quantity)>,
}

/// How other threads reach a feed.
#[derive(Clone)]
pub struct FeedDoor {
    requests: SyncSender<FeedRequest>,
    /// Requests ever sent: the feed compares it with those it has answered before its thread rests.
    sent: Arc<AtomicU64>,
    matcher: Arc<ThreadBell>,
}

impl FeedDoor {
    /// False if the feed has too much to do.
    pub fn send(&self, request: FeedRequest) -> bool {
        let sent = self.requests.try_send(request).is_ok();
        if sent {
            self.sent.fetch_add(1, Ordering::Release);
        }
        self.matcher.ring();
        sent
    }
}

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
    requests: Receiver<FeedRequest>,
    /// Requests ever sent, and answered.
    sent: Arc<AtomicU64>,
    answered: u64,
    counters: Arc<FeedCounters>,
    symbols: HashMap<SymbolId, Symbol>,
    /// The symbol of each room of ours.
    rooms: HashMap<u32, SymbolId>,
    /// Symbols with events since the last publish.
    touched: Vec<SymbolId>,
    /// Where frames are encoded.
    scratch: Scratch,
}

/// What a feed knows of a symbol.
#[derive(Default)]
struct Symbol {
    levels: Levels,
    rooms: Vec<OpenRoom>,
    /// As of the last event, and as of the last publish.
    sequence: Sequence,
    published: Sequence,
    at: Timestamp,
    last_trade: TradeId,
    best: [Option<(Price, Quantity)>; 2],
    /// Since the last publish.
    trades: Vec<TradePrint>,
    changed: Vec<(Side, Price)>,
    touched: bool,
    kept: VecDeque<TradePrint>,
    /// None before it was ever told: the symbol trades.
    status: Option<market::Status>,
}

struct OpenRoom {
    room: Arc<Room>,
    writer: Writer,
    head: u64,
}

/// A feed and what it takes to build its door once the engine runs.
pub fn feed(
    venue: Arc<Venue>,
    doors: Vec<Arc<ReactorDoor>>,
    counters: Arc<FeedCounters>,
) -> (Feed, impl FnOnce(Arc<ThreadBell>) -> FeedDoor) {
    let (sender, requests) = sync_channel(REQUESTS_MAX);
    let sent = Arc::new(AtomicU64::new(0));
    let feed = Feed {
        venue,
        doors,
        requests,
        sent: sent.clone(),
        answered: 0,
        counters,
        symbols: HashMap::new(),
        rooms: HashMap::new(),
        touched: Vec::new(),
        scratch: Scratch::default(),
    };
    (feed, move |matcher| FeedDoor { requests: sender, sent, matcher })
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
                symbol.last_trade = trade.trade;
                symbol.trades.push(trade);
            }
            MarketEvent::Level(_, side, price, total) => {
                symbol.levels.set(side, price, total);
                symbol.changed.push((side, price));
            }
            MarketEvent::Applied(_, sequence, at) => {
                symbol.sequence = sequence;
                symbol.at = at;
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
        while let Ok(request) = self.requests.try_recv() {
            self.answered += 1;
            self.answer(request);
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
        self.sent.load(Ordering::Acquire) != self.answered
    }
}

impl Feed {
    /// Begins where `matcher` stands: for an engine that has a past. Trades of that past are not told again.
    pub fn resume(&mut self, matcher: &Matcher) {
        for (id, counters) in matcher.counters() {
            let symbol = self.symbols.entry(id).or_default();
            for side in [Side::Buy, Side::Sell] {
                matcher.book(id).levels(side, |price, total| {
                    symbol.levels.set(side, price, total);
                    true
                });
            }
            (symbol.sequence, symbol.published) = (counters.sequence, counters.sequence);
            (symbol.last_trade, symbol.at) = (counters.trade, matcher.now(id));
            symbol.best = symbol.levels.best();
            self.venue.set_top(id, symbol.best);
            let state = matcher.state(id);
            if state != SymbolState::Trading {
                symbol.status = Some(market::Status { state, ts: symbol.at });
                self.venue.set_state(id, state);
            }
        }
    }

    fn publish_symbol(&mut self, id: SymbolId) {
        let format = self.venue.format(id);
        let symbol = self.symbols.get_mut(&id).expect("touched symbols are known");
        symbol.touched = false;
        symbol.publish_trades(&format, &mut self.scratch, &self.counters);
        let Symbol { rooms, levels, changed, .. } = symbol;
        let levels = &*levels;

        let changes = changed.len();
        changed.sort_unstable();
        changed.dedup();
        self.counters.conflated.add((changes - changed.len()) as u64);
        if symbol.sequence != symbol.published {
            let of = |side| {
                let of_side = changed.iter().filter(move |(of, _)| *of == side);
                of_side.map(move |(_, price)| (*price, levels.total(side, *price)))
            };
            let update =
                market::DepthUpdate { prev_seq: symbol.published, seq: symbol.sequence, ts: symbol.at };
            market::depth_update(
                self.scratch.payload(),
                &format,
                update,
                of(Side::Buy).rev(),
                of(Side::Sell),
            );
            append(rooms, Stream::Depth, &mut self.scratch.frame(), &self.counters);
            self.counters.order_to_room.record(crate::reactor::clock().0.saturating_sub(symbol.at.0));
            symbol.published = symbol.sequence;
        }
        changed.clear();

        let best = levels.best();
        if best != symbol.best {
            symbol.best = best;
            self.venue.set_top(id, best);
            let [bid, ask] = best.map(|level| level.map(Into::into));
            let bbo = market::Bbo { seq: symbol.sequence, bid, ask, ts: symbol.at };
            market::bbo(self.scratch.payload(), &format, bbo);
            append(rooms, Stream::Bbo, &mut self.scratch.frame(), &self.counters);
        }

        announce(rooms, &self.doors);
    }

    /// Tells every room of the symbol what it does now, and those who send orders there.
    fn publish_status(&mut self, id: SymbolId) {
        let symbol = self.symbols.get_mut(&id).expect("it has a status");
        let status = symbol.status.expect("it has a status");
        self.venue.set_state(id, status.state);
        market::status(self.scratch.payload(), &self.venue.format(id), status);
        let mut frame = self.scratch.frame();
        symbol.rooms.iter_mut().for_each(|open| open.append(&mut frame, open.packing(), &self.counters));
        announce(&mut symbol.rooms, &self.doors);
    }

    fn answer(&mut self, request: FeedRequest) {
        match request {
            FeedRequest::Open(room, mut writer) => {
                self.rooms.insert(room.index, room.symbol);
                let head = writer.publish();
                self.symbols.entry(room.symbol).or_default().rooms.push(OpenRoom { room, writer, head });
            }
            FeedRequest::Snapshot(room) => self.cut_snapshot(room),
            // Whoever asked may be gone by now; that is no concern of ours.
            FeedRequest::Depth { symbol, levels_max, answer } => {
                let symbol = self.symbols.entry(symbol).or_default();
                let _ = answer.send(Depth {
                    sequence: symbol.published,
                    at: symbol.at,
                    bids: symbol.levels.bids().take(levels_max).collect(),
                    asks: symbol.levels.asks().take(levels_max).collect(),
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
        }
    }

    fn cut_snapshot(&mut self, room: u32) {
        let id = self.rooms[&room];
        let format = self.venue.format(id);
        let symbol = self.symbols.get_mut(&id).expect("a room's symbol is known");
        let open = symbol.rooms.iter_mut().find(|open| open.room.index == room).expect("it was opened");
        let (mut frames, packing) = (Vec::new(), open.room.packing);
        // Most symbols have always traded, and then there is nothing to say. Once they have not, everyone is told: who was
        // lapped may have missed any change. It comes first, so that a crossed book is no surprise.
        if let Some(status) = symbol.status {
            market::status(self.scratch.payload(), &format, status);
            frames.extend_from_slice(&self.scratch.frame().pieces(packing, &self.counters).concat());
        }
        if open.room.view.has(Stream::Depth) {
            let head =
                market::DepthSnapshot { seq: symbol.published, ts: symbol.at, depth: None, checksum: None };
            let payload = self.scratch.payload();
            market::depth_snapshot(payload, &format, head, symbol.levels.bids(), symbol.levels.asks());
            frames.extend_from_slice(&self.scratch.frame().pieces(packing, &self.counters).concat());
        }
        if open.room.view.has(Stream::Bbo) && symbol.published.0 != 0 {
            let [bid, ask] = symbol.best.map(|level| level.map(Into::into));
            let bbo = market::Bbo { seq: symbol.published, bid, ask, ts: symbol.at };
            market::bbo(self.scratch.payload(), &format, bbo);
            frames.extend_from_slice(&self.scratch.frame().pieces(packing, &self.counters).concat());
        }
        open.room.put_snapshot(Snapshot {
            position: open.writer.publish(),
            frames: Bytes::from(frames),
            sequence: symbol.published,
            next_trade: TradeId(symbol.last_trade.0 + 1),
        });
        self.counters.snapshots.add(1);
        open.room.announce(&self.doors);
    }
}

impl Symbol {
    fn publish_trades(&mut self, format: &SymbolFormat<'_>, scratch: &mut Scratch, counters: &FeedCounters) {
        for trade in self.trades.drain(..) {
            market::trade(scratch.payload(), format, trade_message(&trade));
            append(&mut self.rooms, Stream::Trade, &mut scratch.frame(), counters);
            if self.kept.len() == TRADES_KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(trade);
        }
    }
}

impl OpenRoom {
    /// A room that nobody is in goes on, for those who come back to it, but no work is put into it.
    fn packing(&self) -> Packing {
        if self.room.has_readers() { self.room.packing } else { Packing::Plain }
    }

    fn append(&mut self, frame: &mut Frame<'_>, packing: Packing, counters: &FeedCounters) {
        let pieces = frame.pieces(packing, counters);
        self.writer.append(&pieces);
        counters.frames.add(1);
        counters.bytes.add(pieces.iter().map(|piece| piece.len() as u64).sum());
    }
}

/// Appends a frame to the rooms that carry the stream.
///
/// Trades are never compressed: the laggard ladder reads in the rooms' bytes which trade somebody got last. Compression would
/// take 16 % off a trade, 145 bytes, in 6 µs.
fn append(rooms: &mut [OpenRoom], stream: Stream, frame: &mut Frame<'_>, counters: &FeedCounters) {
    for open in rooms.iter_mut().filter(|open| open.room.view.has(stream)) {
        let packing = if stream == Stream::Trade { Packing::Plain } else { open.packing() };
        open.append(frame, packing, counters);
    }
}

/// Makes what was appended to rooms visible, and rings.
fn announce(rooms: &mut [OpenRoom], doors: &[Arc<ReactorDoor>]) {
    for open in rooms {
        let head = open.writer.publish();
        if head != open.head {
            open.head = head;
            open.room.announce(doors);
        }
    }
}

fn trade_message(trade: &TradePrint) -> market::Trade {
    market::Trade {
        trade_id: trade.trade,
        seq: trade.sequence,
        price: trade.price,
        quantity: trade.quantity,
        side: trade.taker_side,
        ts: trade.at,
    }
}
