//! Rooms: what a subscription joins, and what its subscribers share.
//!
//! - [`view`]: channel names and the few rooms they lead to; [`pattern`]: names of many symbols.
//! - [`ring`]: the room's bytes, written once, read in place by every reactor. [`frames`] walks over them, and [`pages`] is memory
//!   that sockets need no copy of.
//! - [`dirty`] and [`wake`]: how the writer tells reactors that there is news.
//!
//! A room is a symbol, a [`View`] and a [`Packing`]. It is made when somebody first asks for it, and its feed then appends to it.
//! Each reactor keeps the list of its own subscribers: the room has no list, so a hot symbol uses every reactor.

pub mod dirty;
pub mod frames;
#[cfg(all(test, feature = "loom"))]
mod loom_tests;
pub mod pages;
pub mod pattern;
pub mod ring;
mod sync;
pub mod view;
pub mod wake;

use crate::feed::{FeedDoor, FeedRequest};
use bytes::Bytes;
use crossbeam_skiplist::SkipMap;
use dashmap::DashMap;
use dirty::DirtySet;
use engine_core::bell::Bell;
use engine_core::units::{SymbolId, Timestamp, TradeId};
use pages::Pages;
use ring::Ring;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock};
use thiserror::Error;
use view::View;
use wake::Wake;

/// One room.
pub struct Room {
    /// Dense from 0.
    pub index: u32,
    pub symbol: SymbolId,
    pub view: View,
    pub packing: Packing,
    pub ring: Arc<Ring>,
    /// The reactors that have subscribers here, one bit each.
    readers: AtomicU64,
    /// The newest snapshot. Locked when one is cut and when somebody joins or is lapped, never to push.
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    /// Whether a snapshot has been asked for and not yet been cut.
    snapshot_wanted: AtomicBool,
}

/// Whether a room's messages are compressed. Who has negotiated permessage-deflate is in rooms of its own, with the same messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Packing {
    #[default]
    Plain,
    Deflate,
}

/// What makes two rooms different.
type Key = (SymbolId, View, Packing);

/// The state of a room's stream at a position: what a newcomer needs before the frames from there on.
pub struct Snapshot {
    /// Frames from here on continue it.
    pub position: u64,
    /// Whole frames: what the symbol does, if that ever changed; the book, or what else the room's frames go on from. May be
    /// empty, as for a room of trades alone.
    pub frames: Bytes,
    /// The next trade from here on.
    pub next_trade: TradeId,
}

/// A reactor as the feeds see it.
pub struct ReactorDoor {
    pub dirty: DirtySet,
    pub wake: Wake,
}

impl Bell for ReactorDoor {
    fn ring(&self) {
        self.wake.ring();
    }
}

impl Room {
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().expect("no holder of this lock can panic").clone()
    }

    /// Called by the feed.
    pub fn put_snapshot(&self, snapshot: Snapshot) {
        *self.snapshot.lock().expect("no holder of this lock can panic") = Some(Arc::new(snapshot));
        self.snapshot_wanted.store(false, Ordering::Release);
    }

    pub fn add_reader(&self, reactor: usize) {
        self.readers.fetch_or(1 << reactor, Ordering::Relaxed);
        // With those in `announce` and `is_deserted`: either the feed sees the reader, or the reader sees what was done before.
        fence(Ordering::SeqCst);
    }

    /// Whether any reactor has subscribers here.
    pub fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Relaxed) != 0
    }

    /// Whether nobody is here. Then the snapshot is dropped: whoever comes from now on has another one cut. Called by the feed.
    pub fn is_deserted(&self) -> bool {
        if self.has_readers() {
            return false;
        }
        *self.snapshot.lock().expect("no holder of this lock can panic") = None;
        // With the one in `add_reader`: either we see the reader, or the reader finds no snapshot.
        fence(Ordering::SeqCst);
        !self.has_readers()
    }

    pub fn remove_reader(&self, reactor: usize) {
        self.readers.fetch_and(!(1 << reactor), Ordering::Relaxed);
    }

    /// Tells every reactor with subscribers that there is news. Called by the feed after publishing.
    pub fn announce(&self, doors: &[Arc<ReactorDoor>]) {
        fence(Ordering::SeqCst);
        let mut readers = self.readers.load(Ordering::Relaxed);
        while readers != 0 {
            let reactor = readers.trailing_zeros() as usize;
            readers &= readers - 1;
            doors[reactor].dirty.mark(self.index);
            doors[reactor].wake.ring();
        }
    }
}

/// All rooms. Asked on subscribe, never on push.
pub struct Registry {
    rooms: DashMap<Key, Arc<Room>>,
    /// The same rooms in order, for listings.
    ordered: SkipMap<Key, Arc<Room>>,
    /// The next room's index; locked while a room is made.
    next: Mutex<u32>,
    rooms_max: u32,
    pages: Option<Arc<Pages>>,
    /// By matcher; set once the engine runs.
    feeds: OnceLock<Vec<FeedDoor>>,
}

/// Why a room cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoRoom {
    #[error("the server has as many open rooms as it may have ({rooms_max})")]
    Full { rooms_max: u32 },
    /// The feed's queue is full. Asking again helps.
    #[error("too many rooms are being opened at the moment, try again")]
    Busy,
}

impl Registry {
    /// Busy rooms lie in `pages`, if there are any.
    pub fn new(rooms_max: u32, pages: Option<Arc<Pages>>) -> Self {
        Self {
            rooms: DashMap::new(),
            ordered: SkipMap::new(),
            next: Mutex::new(0),
            rooms_max,
            pages,
            feeds: OnceLock::new(),
        }
    }

    /// Says where the feeds are. Before this no room can be made.
    pub fn open(&self, feeds: Vec<FeedDoor>) {
        assert!(self.feeds.set(feeds).is_ok(), "the registry is opened once");
    }

    /// The room of a symbol, view and packing, made if there is none.
    pub fn room(&self, symbol: SymbolId, view: View, packing: Packing) -> Result<Arc<Room>, NoRoom> {
        let key = (symbol, view, packing);
        if let Some(room) = self.rooms.get(&key) {
            return Ok(room.clone());
        }
        let mut next = self.next.lock().expect("no holder of this lock can panic");
        if let Some(room) = self.rooms.get(&key) {
            return Ok(room.clone()); // made while we waited
        }
        let (ring, writer) = ring::ring(self.pages.clone());
        let room = Arc::new(Room {
            index: *next,
            symbol,
            view,
            packing,
            ring,
            readers: AtomicU64::new(0),
            snapshot: Mutex::new(None),
            snapshot_wanted: AtomicBool::new(false),
        });
        if *next >= self.rooms_max {
            return Err(NoRoom::Full { rooms_max: self.rooms_max });
        }
        if !self.door(symbol).send(FeedRequest::Open(room.clone(), writer)) {
            return Err(NoRoom::Busy);
        }
        *next += 1;
        self.ordered.insert(key, room.clone());
        self.rooms.insert(key, room.clone());
        Ok(room)
    }

    /// Has the feed cut a snapshot of the room. False if its queue is full: ask again.
    pub fn want_snapshot(&self, room: &Arc<Room>) -> bool {
        if room.snapshot_wanted.swap(true, Ordering::AcqRel) {
            return true;
        }
        let sent = self.door(room.symbol).send(FeedRequest::Snapshot(room.index));
        if !sent {
            room.snapshot_wanted.store(false, Ordering::Release);
        }
        sent
    }

    /// Has every feed with timed rooms tell what is new there. It is that time.
    pub fn beat(&self, now: Timestamp) {
        self.feeds.get().into_iter().flatten().for_each(|door| door.beat(now));
    }

    /// Rooms in order of symbol, view and packing.
    pub fn list(&self) -> Vec<Arc<Room>> {
        self.ordered.iter().map(|entry| entry.value().clone()).collect()
    }

    pub fn door(&self, symbol: SymbolId) -> &FeedDoor {
        let feeds = self.feeds.get().expect("opened before anybody can subscribe");
        &feeds[symbol.0 as usize % feeds.len()]
    }
}
