//! A feed that is told events by hand, and those who read its rooms.

mod depth;
mod heartbeat;
mod prices;

use super::*;
use crate::config::Config;
use crate::rooms::dirty::DirtySet;
use crate::rooms::ring::Reader;
use crate::rooms::wake::wake;
use crate::rooms::{Packing, ReactorDoor, Registry, Room, frames};
use crate::venue::Venue;
use engine_core::matcher::TradePrint;
use serde_json::{Value, json};
use std::collections::HashMap;

/// BTC-USDT of the sample: ticks of 0.01, lots of 0.00001.
const SYMBOL: SymbolId = SymbolId(0);

/// The reactor that has all readers.
const REACTOR: usize = 0;

const ROOMS_MAX: u32 = 100;

/// A feed with its rooms.
struct Desk {
    feed: Feed,
    registry: Registry,
    readers: HashMap<View, (Arc<Room>, Reader, u64)>,
}

impl Desk {
    fn new() -> Self {
        let config = Config::load(None, &json!({}), &json!({})).expect("the sample works");
        let market = Arc::new(config.market().expect("the sample works"));
        let venue = Arc::new(Venue::new(market, Vec::new(), 500));
        let (wake, _) = wake().expect("a socket pair");
        let reactor = ReactorDoor { dirty: DirtySet::new(ROOMS_MAX as usize), wake };
        let (feed, door) = feed(venue, vec![Arc::new(reactor)], Arc::default());
        let registry = Registry::new(ROOMS_MAX, None);
        registry.open(vec![door(Arc::default())]);
        Self { feed, registry, readers: HashMap::new() }
    }

    /// Opens the symbol's room of this view, and reads it from now on.
    fn open(&mut self, view: View) {
        let room = self.registry.room(SYMBOL, view, Packing::Plain).expect("there is room");
        room.add_reader(REACTOR);
        self.feed.publish();
        let mut reader = Reader::join(&room.ring, u64::MAX);
        let head = reader.refresh();
        self.readers.insert(view, (room, reader, head));
    }

    /// What the room was told since it was asked last.
    fn told(&mut self, view: View) -> Vec<Value> {
        let (_, reader, cursor) = self.readers.get_mut(&view).expect("it is open");
        let head = reader.refresh();
        let mut told = Vec::new();
        while *cursor < head {
            let span = reader.span(*cursor, head);
            told.extend(messages(span));
            *cursor += span.len() as u64;
        }
        told
    }

    /// What somebody who joins now is told first. That is also where those stand who are in the room.
    fn snapshot(&mut self, view: View) -> Vec<Value> {
        let (room, ..) = &self.readers[&view];
        assert!(self.registry.want_snapshot(room), "the feed is not busy");
        let room = room.clone();
        self.feed.publish();
        messages(&room.snapshot().expect("it was just cut").frames)
    }

    fn beat(&mut self, now: Timestamp) {
        self.registry.beat(now);
        self.feed.publish();
    }

    /// A command that changed levels, as the matcher tells it.
    fn command(&mut self, at: Timestamp, trades: &[TradePrint], levels: &[(Side, u64, u64)]) {
        for trade in trades {
            self.feed.event(&MarketEvent::Trade(SYMBOL, *trade));
        }
        for (side, price, total) in levels {
            self.feed.event(&MarketEvent::Level(SYMBOL, *side, Price(*price), Quantity(*total)));
        }
        let sequence = Sequence(self.sequence() + 1);
        self.feed.event(&MarketEvent::Applied(SYMBOL, sequence, at));
    }

    fn sequence(&self) -> u64 {
        self.feed.symbols.get(&SYMBOL).map_or(0, |symbol| symbol.known.sequence.0)
    }
}

fn messages(span: &[u8]) -> Vec<Value> {
    assert!(frames::is_whole(span));
    let payload = |frame: &[u8]| {
        let header = if frame[1] < 126 { 2 } else { 4 };
        serde_json::from_slice(&frame[header..]).expect("it is JSON")
    };
    frames::frames(span).map(payload).collect()
}
