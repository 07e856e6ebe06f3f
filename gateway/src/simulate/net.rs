//! The socket layer of a simulation: buffers that fill and drain, and the clients behind them.
//!
//! Most clients take all at once, as a socket with room does. Some drain so many bytes a tick, some nothing for a while: their
//! buffers fill, a send to them is short, and the reactor has to wait for room, as it has to with the kernel's. Time is
//! what the simulation says it is, and everything follows from the seed.

use super::client::{Client, Run, Stage, Torn};
use crate::reactor::blaster::Behind;
use crate::reactor::net::{Net, Ready};
use crate::rooms::frames;
use crate::rooms::pages::Extent;
use engine_core::units::Timestamp;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::{Arc, RwLock};

/// Told of at a time, as by the real sockets.
const READY_MAX: usize = 128;

/// What the outside of a reactor's sockets knows and decides; shared with the simulation, which uses it between turns.
#[derive(Default)]
pub struct World {
    pub clients: Vec<Client>,
    /// Keys that the reactor gave, by socket.
    keys: Vec<u64>,
    /// Those that do not take everything at once.
    pub slow: BTreeMap<RawFd, Slow>,
    ready: VecDeque<(RawFd, bool)>,
    /// Sockets that are gone, and can be used again.
    pub free: Vec<RawFd>,
    pub now: u64,
    pub totals: Totals,
}

/// Of all clients ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Market data frames that arrived whole, and the writes they came in.
    pub frames: u64,
    pub writes: u64,
    pub bytes: u64,
    pub violations: u64,
}

/// A client that does not take everything at once.
#[derive(Debug, Default)]
pub struct Slow {
    /// Bytes in its buffer, and how many it holds.
    queued: usize,
    capacity: usize,
    /// Bytes it takes a tick, when it takes any.
    per_tick: usize,
    /// It takes nothing before this time.
    stalled_until: u64,
    is_waited_for: bool,
    torn: Torn,
}

/// The first trade of each symbol after each sequence.
pub type Trades = Arc<RwLock<Vec<Vec<u32>>>>;

/// The sockets of one reactor.
pub struct Simulated {
    pub world: Rc<RefCell<World>>,
    pub trades: Trades,
    pub symbols: Arc<Vec<String>>,
}

impl World {
    /// What the simulation itself needs for a client.
    pub const BYTES_PER_CLIENT: u64 = (size_of::<Client>() + size_of::<u64>()) as u64;

    /// A new client; it has said already what it wants.
    pub fn connect(&mut self, symbol: u16, slow: Option<Slow>) -> RawFd {
        let socket = self.free.pop().unwrap_or_else(|| {
            self.clients.push(Client::default());
            self.keys.push(0);
            self.clients.len() as RawFd - 1
        });
        self.clients[socket as usize] = Client { symbol, ..Client::default() };
        if let Some(slow) = slow {
            self.slow.insert(socket, slow);
        }
        socket
    }

    /// The client is gone without a word.
    pub fn reset(&mut self, socket: RawFd) {
        self.clients[socket as usize].stage = Stage::Closed;
        self.ready.push_back((socket, true));
    }

    /// What slow clients take in a tick.
    pub fn drain(&mut self) {
        for (socket, slow) in &mut self.slow {
            if self.now >= slow.stalled_until {
                slow.queued = slow.queued.saturating_sub(slow.per_tick);
            }
            if slow.is_waited_for && slow.queued <= slow.capacity / 2 {
                self.ready.push_back((*socket, false));
            }
        }
    }

    /// Whether a slow client has something in its buffer, or in the air.
    pub fn is_settled(&self) -> bool {
        self.ready.is_empty() && self.slow.values().all(|slow| slow.queued == 0 && !slow.is_waited_for)
    }

    /// All clients take everything from now on.
    pub fn hurry(&mut self) {
        for slow in self.slow.values_mut() {
            (slow.per_tick, slow.stalled_until) = (usize::MAX, 0);
        }
    }
}

impl Slow {
    pub fn new(capacity: usize, per_tick: usize, stalled_until: u64) -> Self {
        Slow { capacity, per_tick, stalled_until, ..Slow::default() }
    }
}

impl Simulated {
    /// Gives a client bytes in whatever pieces; returns how many it took.
    fn give(world: &mut World, trades: &Trades, socket: RawFd, bytes: &[u8]) -> usize {
        let World { clients, slow, totals, .. } = world;
        let client = &mut clients[socket as usize];
        let next_trade =
            |symbol: u16, seq: u32| trades.read().expect("no holder panics")[symbol as usize][seq as usize];
        let mut take = |frame: &[u8]| {
            if client.stage == Stage::Connecting {
                client.stage = Stage::Subscribed;
            }
            let before = client.updates + client.trades;
            totals.violations += client.take(frame, next_trade);
            totals.frames += (client.updates + client.trades - before) as u64;
        };
        totals.writes += 1;
        let bytes_of_head =
            bytes.strip_prefix(b"HTTP/1.1 101").and_then(|_| memchr::memmem::find(bytes, b"\r\n\r\n"));
        let head = bytes_of_head.map_or(0, |end| end + 4);
        match slow.get_mut(&socket) {
            None => frames::frames(&bytes[head..]).for_each(&mut take),
            Some(slow) => {
                let taken = bytes.len().min(slow.capacity - slow.queued.min(slow.capacity)).max(head);
                slow.queued += taken;
                slow.torn.push(&bytes[head..taken], take);
                totals.bytes += taken as u64;
                return taken;
            }
        }
        totals.bytes += bytes.len() as u64;
        bytes.len()
    }
}

impl Net for Simulated {
    fn blast(&mut self, sockets: &[RawFd], pieces: &[IoSlice<'_>], _: &[Extent], behind: &mut Vec<Behind>) {
        let world = &mut *self.world.borrow_mut();
        let runs: Vec<Run> = pieces.iter().map(|piece| Run::of(piece)).collect();
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let frames: u64 = runs.iter().map(|run| (run.updates + run.trades) as u64).sum();
        let is_plain = runs.iter().all(|run| !run.is_mixed);
        for (index, socket) in sockets.iter().enumerate() {
            if world.clients[*socket as usize].stage == Stage::Closed {
                behind.push(Behind { index, sent: Err(libc::EPIPE) });
                continue;
            }
            if is_plain && !world.slow.contains_key(socket) {
                let client = &mut world.clients[*socket as usize];
                world.totals.violations += runs.iter().map(|run| client.take_run(run)).sum::<u64>();
                world.totals.frames += frames;
                world.totals.bytes += bytes as u64;
                world.totals.writes += 1;
                continue;
            }
            let mut sent = 0;
            for piece in pieces {
                let taken = Self::give(world, &self.trades, *socket, piece);
                sent += taken;
                if taken < piece.len() {
                    break;
                }
            }
            if sent < bytes {
                behind.push(Behind { index, sent: Ok(sent) });
            }
        }
    }

    fn send(&mut self, socket: RawFd, bytes: &[u8], _: Option<Extent>) -> Result<usize, i32> {
        let world = &mut *self.world.borrow_mut();
        if world.clients[socket as usize].stage == Stage::Closed {
            return Err(libc::EPIPE);
        }
        Ok(Self::give(world, &self.trades, socket, bytes))
    }

    fn receive(&mut self, socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
        let client = self.world.borrow().clients[socket as usize];
        match client.stage {
            Stage::Connecting => {
                let bytes = hello(&self.symbols[client.symbol as usize]);
                into[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            Stage::Closed => Ok(0),
            Stage::Subscribed | Stage::Live => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn shutdown(&mut self, socket: RawFd, _: Shutdown) {
        self.world.borrow_mut().reset(socket);
    }

    fn open(&mut self, socket: RawFd, key: u64) -> io::Result<()> {
        let world = &mut *self.world.borrow_mut();
        world.keys[socket as usize] = key;
        world.ready.push_back((socket, true));
        Ok(())
    }

    fn listen(&mut self, _: RawFd, _: u64, _: bool) {} // nobody says anything more

    fn want_room(&mut self, socket: RawFd, key: u64, is_on: bool) {
        let world = &mut *self.world.borrow_mut();
        debug_assert_eq!(world.keys[socket as usize], key, "a socket keeps its key");
        if let Some(slow) = world.slow.get_mut(&socket) {
            slow.is_waited_for = is_on;
        }
    }

    fn ready(&mut self, ready: &mut Ready) -> bool {
        if !ready.is_empty() {
            return true;
        }
        let world = &mut *self.world.borrow_mut();
        let count = world.ready.len().min(READY_MAX);
        for (socket, is_read) in world.ready.drain(..count) {
            let key = world.keys[socket as usize];
            let queue = if is_read { &mut ready.to_read } else { &mut ready.to_write };
            queue.push_back(key);
        }
        !world.ready.is_empty()
    }

    fn close(&mut self, socket: RawFd) {
        let world = &mut *self.world.borrow_mut();
        world.slow.remove(&socket);
        world.keys[socket as usize] = u64::MAX >> 1; // nobody's
        world.clients[socket as usize] = Client { stage: Stage::Closed, ..Client::default() };
        world.free.push(socket);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.world.borrow().now)
    }
}

/// The handshake and the subscription of a client that sends both at once.
fn hello(symbol: &str) -> Vec<u8> {
    let mut bytes = b"GET /ws HTTP/1.1\r\nHost: simulated\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    let text = format!(r#"{{"action":"subscribe","channel":"{symbol}"}}"#);
    bytes.extend([0x81, 0x80 | text.len() as u8, 0, 0, 0, 0]); // masked with zeros
    bytes.extend(text.bytes());
    bytes
}
