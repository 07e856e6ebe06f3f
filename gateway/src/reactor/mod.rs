//! A reactor: one thread, one listener of its own, the connections it accepted. Reactors share nothing but rings,
//! the room registry and mailboxes.
//!
//! A turn (`turn.rs`) is: take the engine's reports, send what is private, send what rooms have new to some of those
//! who are in them, serve those that are behind. Reading (`connection.rs`) happens between turns, one bounded read for each of a
//! few sockets that are ready (`net.rs`), so what gathers while a turn sends goes out as one write in the next. Nothing waits inside a
//! turn; waiting is done by the small tasks that monoio runs: accept, graces, and the pump (`pump.rs`) that runs the turns. A connection
//! has none of its own: that would be half of its memory.
//!
//! `accept.rs` is the door and [`admission`] who may come in by it, `refuse.rs` what happens to those who may not, `sweep.rs` who is to go,
//! `farewell.rs` what is done for those who have gone, and `drain.rs` the end.

mod accept;
pub mod admission;
pub mod blaster;
mod connection;
mod drain;
mod fanout;
mod farewell;
mod host;
pub(crate) mod net;
mod outbox;
mod pump;
mod refuse;
mod sweep;
mod turn;

pub use host::CONNECTIONS_MAX;
pub use refuse::waited_for_max;

use crate::accounts::Accounts;
use crate::history::desk::{Answer, Desk};
use crate::recovery::Bereft;
use crate::rooms::wake::Sleeper;
use crate::rooms::{ReactorDoor, Registry};
use crate::session::SessionLimits;
use crate::venue::Venue;
use crate::wire::request::Buffers;
use crate::ws::deflate::Inflater;
use admission::{Admission, Arrival};
use blaster::Behind;
use connection::Connection;
use drain::Drain;
use engine_core::bell::Bell;
use engine_core::counters::{Counter, Histogram};
use engine_core::executor::threads::Port;
use engine_core::message::Report;
use engine_core::units::{AccountId, Timestamp};
use fanout::{Crowds, LocalRoom, Piece};
use farewell::Farewell;
use net::{Net, Ready, Sockets};
use slab::Slab;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Waker;
use std::time::{SystemTime, UNIX_EPOCH};

/// What all reactors share.
pub struct Shared {
    pub venue: Arc<Venue>,
    pub accounts: Arc<Accounts>,
    pub registry: Arc<Registry>,
    pub doors: Vec<Arc<ReactorDoor>>,
    pub limits: Limits,
    pub admission: Arc<Admission>,
    /// Where the history is asked, if there is one.
    pub history: Option<Desk>,
    /// Numbers anonymous accounts.
    pub anonymous: AtomicU32,
    /// Numbers connections that send orders or guard some. Starts above the numbers of orders and guards that an earlier
    /// run has left in the engine, so that they are not taken for those of a new connection.
    pub groups: AtomicU32,
    pub stopping: AtomicBool,
}

/// What a reactor gets from others that are not its clients.
#[derive(Debug)]
pub enum Mail {
    History(Answer),
    Arrival(Arrival),
}

/// Limits of the gateway, from the configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    pub session: SessionLimits,
    pub echo: bool,
    /// Whether permessage-deflate is accepted.
    pub compression: bool,
    pub message_bytes_max: usize,
    pub connections_max_per_reactor: usize,
    pub connections_max_per_address: u32,
    /// New connections of one address, a second and at once.
    pub connects_per_second: u32,
    pub connects_burst: u32,
    pub handshake_timeout_s: u32,
    pub ping_interval_s: u32,
    pub idle_timeout_s: u32,
    pub write_timeout_s: u32,
    pub outbox_bytes_max: usize,
    pub send_buffer_bytes: usize,
    pub window_bytes: u64,
    /// How long a stopping server may take to close all of its connections.
    pub drain_s: u32,
    /// Origins that may connect besides loopback and our own host; `*` for all.
    pub allowed_origins: Vec<String>,
}

/// Counted by one reactor's thread.
#[derive(Default)]
#[repr(align(128))]
pub struct ReactorCounters {
    pub connections: Counter,
    /// Rooms its connections are in, all together.
    pub memberships: Counter,
    pub accepted: Counter,
    pub refused: Counter,
    /// Connections that another reactor has taken over.
    pub handed_over: Counter,
    pub messages_in: Counter,
    pub bytes_in: Counter,
    /// Messages that came compressed, and what they were inflated to.
    pub inflated: Counter,
    pub inflated_bytes: Counter,
    /// Market data frames and bytes handed to sockets, and the sends it took.
    pub frames_out: Counter,
    pub bytes_out: Counter,
    pub sends: Counter,
    /// Bytes of private messages handed to sockets.
    pub private_bytes_out: Counter,
    /// Times a connection fell behind, was lapped, was told of a gap, and was closed for any of what comes of not reading.
    pub fell_behind: Counter,
    pub lapped: Counter,
    pub gaps: Counter,
    pub closed_slow: Counter,
    /// Bytes of rooms that members who were lapped will never get, and those they were not handed yet, as of the last look.
    pub skipped_bytes: Counter,
    pub waiting_bytes: Counter,
    /// Bytes of rooms that are held for those who are behind. Other reactors hold most of the same.
    pub held_bytes: Counter,
    /// Times a room's members were found to have been given other than what there was: never, unless we are wrong.
    pub accounts_wrong: Counter,
    /// Connections that are behind now.
    pub behind: Counter,
    pub turns: Counter,
    /// From reading an order to writing its acknowledgement.
    pub order_to_ack: Histogram,
}

/// The state of one reactor. Everything here belongs to its thread.
pub(crate) struct Reactor {
    index: usize,
    shared: Arc<Shared>,
    port: Port,
    /// Its mail, and the letter that was looked at to see whether there is any.
    mail: mpsc::Receiver<Mail>,
    letter: Option<Mail>,
    counters: Arc<ReactorCounters>,
    connections: Slab<Connection>,
    /// By slab index: how many connections had it before, so that a late answer finds nobody.
    generations: Vec<u16>,
    /// By the room's index.
    rooms: HashMap<u32, LocalRoom>,
    crowds: Crowds,
    /// Connections that stand by themselves without being full: they are looked after at the end of each round.
    unsettled: Vec<usize>,
    /// Rooms that were told of in this round.
    news: Vec<u32>,
    /// Of a turn, reused: those of a crowd's rooms that have news, and these in pieces.
    rooms_with_news: Vec<u32>,
    pieces: Vec<Piece>,
    /// Connections that an account's news go to.
    watchers: HashMap<AccountId, Vec<usize>>,
    /// What is to be done for clients that are gone; those that have just gone have no clock yet.
    farewells: Slab<Farewell>,
    new_farewells: Vec<usize>,
    /// Connections that have asked for a farewell, and farewells.
    guards: usize,
    /// Refused connections that are being waited for.
    refused: usize,
    /// Once it stops.
    drain: Option<Drain>,
    /// Connections with something private to send.
    touched: Vec<usize>,
    /// Those of them who have a snapshot to get: some of them have their turn in each turn.
    beginners: VecDeque<usize>,
    /// Empty buffers for outboxes.
    spare_outboxes: Vec<Vec<u8>>,
    /// The reports of a turn, reused.
    reports: Vec<Report>,
    net: Box<dyn Net>,
    /// The sockets that are ready and have not been served.
    ready: Ready,
    behind: Vec<Behind>,
    buffers: Buffers,
    /// Where every read of this thread lands.
    scratch: Vec<u8>,
    /// For all connections that may compress; made for the first.
    inflater: Option<Box<Inflater>>,
    /// Read once a turn and once a read.
    now: Timestamp,
    /// Whether the pump has something to do, and how to wake it.
    pump_wanted: bool,
    pump: Option<Waker>,
}

/// Bytes one read may take: what a turn may read from one connection before the others have theirs.
const READ_BYTES_MAX: usize = 64 << 10;

type Shell = Rc<RefCell<Reactor>>;

/// What it takes to start a reactor on its thread.
pub struct Parts {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub port: Port,
    pub mail: mpsc::Receiver<Mail>,
    pub counters: Arc<ReactorCounters>,
    pub blaster_backend: blaster::Backend,
    pub listener: std::net::TcpListener,
    pub sleeper: Sleeper,
    /// Guards whose connections a crash has ended.
    pub bereft: Vec<Bereft>,
}

/// Runs a reactor on the calling thread until [`Shared::stopping`]. `started` learns which backends it uses.
pub fn run(parts: Parts, started: impl FnOnce(String)) -> anyhow::Result<()> {
    let Parts { index, shared, port, mail, counters, blaster_backend, listener, sleeper, bereft } = parts;
    let (blaster, why) = blaster::choose(blaster_backend)?;
    let sockets = Sockets::new(blaster, sleeper, shared.limits.send_buffer_bytes)?;
    let ready = sockets.signal()?;
    let mut runtime = monoio::RuntimeBuilder::<monoio::FusionDriver>::new().enable_timer().build()?;
    let mut reactor = Reactor::new(index, shared, (port, mail), counters, Box::new(sockets));
    bereft.into_iter().for_each(|guard| reactor.begin_bereft(guard));
    started(why);
    runtime.block_on(async move {
        let shell = Rc::new(RefCell::new(reactor));
        monoio::spawn(accept::accept(shell.clone(), accept::Door::new(listener)?));
        monoio::spawn(sweep::sweep(shell.clone()));
        // A task like the others: monoio polls the future of `block_on` itself before all of them, for as long as
        // it wakes itself.
        let pumped = monoio::spawn(pump::pump(shell.clone(), ready)).await;
        // The tasks that still wait hold the shell, and nobody will run them again: what it has is closed by hand.
        shell.borrow_mut().close_everything();
        pumped
    })
}

/// Microseconds since the Unix epoch.
pub fn clock() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_micros() as u64)
}

impl Reactor {
    /// Without connections. `inside` is how it speaks with the engine and hears of the history.
    pub(crate) fn new(
        index: usize,
        shared: Arc<Shared>,
        inside: (Port, mpsc::Receiver<Mail>),
        counters: Arc<ReactorCounters>,
        net: Box<dyn Net>,
    ) -> Self {
        let ((port, mail), now) = (inside, net.now());
        Self {
            index,
            shared,
            port,
            mail,
            letter: None,
            counters,
            connections: Slab::new(),
            generations: Vec::new(),
            rooms: HashMap::new(),
            crowds: Crowds::default(),
            unsettled: Vec::new(),
            news: Vec::new(),
            rooms_with_news: Vec::new(),
            pieces: Vec::new(),
            watchers: HashMap::new(),
            farewells: Slab::new(),
            new_farewells: Vec::new(),
            guards: 0,
            refused: 0,
            drain: None,
            touched: Vec::new(),
            beginners: VecDeque::new(),
            spare_outboxes: Vec::new(),
            reports: Vec::new(),
            net,
            ready: Ready::default(),
            behind: Vec::new(),
            buffers: Buffers::default(),
            scratch: vec![0; READ_BYTES_MAX],
            inflater: None,
            now,
            pump_wanted: false,
            pump: None,
        }
    }

    /// Nothing comes in or goes out any more.
    fn close_everything(&mut self) {
        self.port.close();
        for connection in self.connections.drain() {
            self.net.close(connection.socket);
        }
    }

    /// Has the pump run a turn.
    fn want_turn(&mut self) {
        self.pump_wanted = true;
        if let Some(pump) = self.pump.take() {
            pump.wake();
        }
    }

    fn has_work(&mut self) -> bool {
        self.letter = self.letter.take().or_else(|| self.mail.try_recv().ok());
        self.pump_wanted
            || self.letter.is_some()
            || !self.shared.doors[self.index].dirty.is_empty()
            || self.port.has_reports()
            || self.shared.stopping.load(Ordering::Relaxed)
    }

    /// A step of its end. True when there is no more to do.
    fn drains(&mut self) -> bool {
        if self.drain.is_none() {
            self.begin_drain();
        }
        self.go_on_draining()
    }
}

/// Wakes every reactor so that it sees [`Shared::stopping`].
pub fn stop(shared: &Shared) {
    shared.stopping.store(true, Ordering::Relaxed);
    shared.doors.iter().for_each(|door| door.wake.ring());
}
