//! A reactor: one thread, one listener of its own, the connections it accepted. Reactors share nothing but rings,
//! the room registry and mailboxes.
//!
//! A turn (`turn.rs`) is: take the engine's reports, send what is private, send what rooms have new, serve those
//! that are behind. Reading (`connection.rs`) happens between turns, one bounded read per readable socket, so what
//! gathers while a turn sends goes out as one write in the next. Nothing waits inside a turn; waiting is here, in the
//! small tasks that monoio runs: accept, one per connection for reading, one more for a connection whose socket is
//! full, and the pump that runs the turns. `refuse.rs` is what happens to those who may not come in, `farewell.rs` what is
//! done for those who have gone.

pub mod blaster;
mod connection;
mod fanout;
mod farewell;
mod host;
mod refuse;
mod turn;

pub use host::CONNECTIONS_MAX;

use crate::accounts::Accounts;
use crate::history::desk::{Desk, Mail};
use crate::recovery::Bereft;
use crate::rooms::wake::Sleeper;
use crate::rooms::{ReactorDoor, Registry};
use crate::session::SessionLimits;
use crate::venue::Venue;
use crate::wire::request::Buffers;
use blaster::{Behind, Blaster};
use connection::{Connection, Next};
use dashmap::DashMap;
use engine_core::bell::Bell;
use engine_core::counters::{Counter, Histogram};
use engine_core::executor::threads::Port;
use engine_core::message::Report;
use engine_core::units::{AccountId, Timestamp};
use fanout::LocalRoom;
use farewell::Farewell;
use monoio::net::{TcpListener, TcpStream, UnixStream};
use slab::Slab;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What all reactors share.
pub struct Shared {
    pub venue: Arc<Venue>,
    pub accounts: Arc<Accounts>,
    pub registry: Arc<Registry>,
    pub doors: Vec<Arc<ReactorDoor>>,
    pub limits: Limits,
    /// Connections by peer address.
    pub addresses: DashMap<IpAddr, u32>,
    /// Where the history is asked, if there is one.
    pub history: Option<Desk>,
    /// Numbers anonymous accounts.
    pub anonymous: AtomicU32,
    /// Numbers connections that send orders or guard some. Starts above the numbers of orders and guards that an earlier
    /// run has left in the engine, so that they are not taken for those of a new connection.
    pub groups: AtomicU32,
    pub stopping: AtomicBool,
}

/// Limits of the gateway, from the configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    pub session: SessionLimits,
    pub echo: bool,
    pub message_bytes_max: usize,
    pub connections_max_per_reactor: usize,
    pub connections_max_per_address: u32,
    pub handshake_timeout_s: u32,
    pub ping_interval_s: u32,
    pub idle_timeout_s: u32,
    pub write_timeout_s: u32,
    pub outbox_bytes_max: usize,
    pub send_buffer_bytes: usize,
    pub window_bytes: u64,
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
    pub messages_in: Counter,
    pub bytes_in: Counter,
    /// Market data frames and bytes handed to sockets, and the sends it took.
    pub frames_out: Counter,
    pub bytes_out: Counter,
    pub sends: Counter,
    /// Bytes of private messages handed to sockets.
    pub private_bytes_out: Counter,
    /// Times a connection fell behind, was lapped, was told of a gap, and was closed for not reading.
    pub fell_behind: Counter,
    pub lapped: Counter,
    pub gaps: Counter,
    pub closed_slow: Counter,
    /// Connections that are behind now.
    pub behind: Counter,
    pub turns: Counter,
    /// From reading an order to writing its acknowledgement.
    pub order_to_ack: Histogram,
}

/// The state of one reactor. Everything here belongs to its thread.
struct Reactor {
    index: usize,
    shared: Arc<Shared>,
    port: Port,
    /// The history's answers, and the one that was looked at to see whether there is any.
    mail: mpsc::Receiver<Mail>,
    letter: Option<Mail>,
    counters: Arc<ReactorCounters>,
    connections: Slab<Connection>,
    /// By slab index: how many connections had it before, so that a late answer finds nobody.
    generations: Vec<u16>,
    /// By the room's index.
    rooms: HashMap<u32, LocalRoom>,
    /// Connections that an account's news go to.
    watchers: HashMap<AccountId, Vec<usize>>,
    /// What is to be done for clients that are gone; those that have just gone have no clock yet.
    farewells: Slab<Farewell>,
    new_farewells: Vec<usize>,
    /// Connections that have asked for a farewell, and farewells.
    guards: usize,
    /// Refused connections that are being waited for.
    refused: usize,
    /// Connections with something private to send.
    touched: Vec<usize>,
    /// Empty buffers for outboxes.
    spare_outboxes: Vec<Vec<u8>>,
    /// The reports of a turn, reused.
    reports: Vec<Report>,
    /// Connections whose socket has become full and that have no drain task yet.
    newly_full: Vec<usize>,
    blaster: Box<dyn Blaster>,
    behind: Vec<Behind>,
    buffers: Buffers,
    /// Where every read of this thread lands.
    scratch: Vec<u8>,
    /// Read once a turn and once a read.
    now: Timestamp,
    /// Whether the pump has something to do, and how to wake it.
    pump_wanted: bool,
    pump: Option<Waker>,
}

/// Bytes one read may take: what a turn may read from one connection before the others have theirs.
const READ_BYTES_MAX: usize = 64 << 10;

/// How long a stopping reactor waits for its clients to take their last bytes.
const DRAIN_MAX: Duration = Duration::from_secs(2);

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
    let mut runtime = monoio::RuntimeBuilder::<monoio::FusionDriver>::new().enable_timer().build()?;
    let mut reactor = Reactor {
        index,
        shared,
        port,
        mail,
        letter: None,
        counters,
        connections: Slab::new(),
        generations: Vec::new(),
        rooms: HashMap::new(),
        watchers: HashMap::new(),
        farewells: Slab::new(),
        new_farewells: Vec::new(),
        guards: 0,
        refused: 0,
        touched: Vec::new(),
        spare_outboxes: Vec::new(),
        reports: Vec::new(),
        newly_full: Vec::new(),
        blaster,
        behind: Vec::new(),
        buffers: Buffers::default(),
        scratch: vec![0; READ_BYTES_MAX],
        now: clock(),
        pump_wanted: false,
        pump: None,
    };
    bereft.into_iter().for_each(|guard| reactor.begin_bereft(guard));
    started(why);
    runtime.block_on(async move {
        let shell = Rc::new(RefCell::new(reactor));
        monoio::spawn(accept(shell.clone(), TcpListener::from_std(listener)?));
        monoio::spawn(sweep(shell.clone()));
        // A task like the others: monoio polls the future of `block_on` itself before all of them, for as long as
        // it wakes itself.
        let pumped = monoio::spawn(pump(shell.clone(), sleeper)).await;
        // The tasks that still wait hold the shell, and nobody will run them again: the port is closed by hand.
        shell.borrow_mut().port.close();
        pumped
    })
}

/// Microseconds since the Unix epoch.
pub fn clock() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_micros() as u64)
}

async fn accept(shell: Shell, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => open(&shell, stream, address),
            Err(error) => {
                // Out of descriptors, most likely: they come back when connections close.
                tracing::warn!(%error, "accept failed");
                monoio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn open(shell: &Shell, stream: TcpStream, address: SocketAddr) {
    let stream = Rc::new(stream);
    let admitted = shell.borrow_mut().admit(stream.clone(), address.ip());
    match admitted {
        Ok((at, generation)) => drop(monoio::spawn(serve(shell.clone(), stream, at, generation))),
        Err(Some(refusal)) => drop(monoio::spawn(refuse::refuse(shell.clone(), stream, refusal))),
        Err(None) => {}
    }
}

/// Reads from a connection until it ends.
async fn serve(shell: Shell, stream: Rc<TcpStream>, at: usize, generation: u16) {
    loop {
        if stream.readable(false).await.is_err() {
            break;
        }
        let next = shell.borrow_mut().on_readable(at);
        match next {
            Next::Read => {}
            Next::End => break,
            // It sends more than it takes: it is read again when it has taken its answers.
            Next::Pause => {
                poll_fn(|context| shell.borrow_mut().poll_resumed(at, context)).await;
            }
        }
    }
    shell.borrow_mut().remove(at, generation);
}

/// Sends to a connection whose socket was full whenever it has room again, until it has caught up.
async fn drain(shell: Shell, stream: Rc<TcpStream>, at: usize, generation: u16) {
    while stream.writable(false).await.is_ok() {
        if !shell.borrow_mut().on_writable(at, generation) {
            break;
        }
    }
}

/// Once a second: timeouts, pings.
async fn sweep(shell: Shell) {
    loop {
        monoio::time::sleep(Duration::from_secs(1)).await;
        shell.borrow_mut().sweep();
    }
}

/// Runs the turns, and sleeps when there is nothing to do.
async fn pump(shell: Shell, sleeper: Sleeper) -> anyhow::Result<()> {
    let door = {
        let reactor = shell.borrow();
        reactor.shared.doors[reactor.index].clone()
    };
    let socket = Rc::new(UnixStream::from_std(sleeper.socket().try_clone()?)?);
    let mut signal = signalled(&socket);
    let mut stopping_since = None;
    loop {
        let (more, stop) = {
            let mut reactor = shell.borrow_mut();
            let more = reactor.turn();
            reactor.spawn_drains(&shell);
            reactor.spawn_farewells(&shell);
            (more, reactor.shared.stopping.load(Ordering::Relaxed))
        };
        if stop {
            let since = *stopping_since.get_or_insert_with(|| {
                shell.borrow_mut().say_goodbye();
                std::time::Instant::now()
            });
            if shell.borrow_mut().has_said_all() || since.elapsed() > DRAIN_MAX {
                return Ok(());
            }
            monoio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        if more {
            yield_now().await;
            continue;
        }
        door.wake.falling_asleep();
        if shell.borrow_mut().has_work() {
            yield_now().await;
        } else {
            poll_fn(|context| {
                let mut reactor = shell.borrow_mut();
                if reactor.pump_wanted {
                    return Poll::Ready(());
                }
                reactor.pump = Some(context.waker().clone());
                drop(reactor);
                signal.as_mut().poll(context).map(|_| {
                    sleeper.drain();
                    signal = signalled(&socket);
                })
            })
            .await;
        }
        door.wake.awake();
    }
}

/// Completes when another thread has rung.
fn signalled(socket: &Rc<UnixStream>) -> Pin<Box<dyn Future<Output = std::io::Result<()>>>> {
    let socket = socket.clone();
    Box::pin(async move { socket.readable(false).await })
}

/// Lets everything else that is ready run first.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

impl Reactor {
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

    /// Whether nobody waits for a word of this reactor, which stops: no client, and no farewell that need not wait.
    fn has_said_all(&mut self) -> bool {
        self.hurry_farewells() && self.connections.is_empty()
    }

    /// Starts a drain task for every connection whose socket has become full since.
    fn spawn_drains(&mut self, shell: &Shell) {
        for at in self.newly_full.drain(..) {
            if let Some(connection) = self.connections.get(at) {
                let (stream, generation) = (connection.stream.clone(), connection.generation);
                monoio::spawn(drain(shell.clone(), stream, at, generation));
            }
        }
    }
}

/// Wakes every reactor so that it sees [`Shared::stopping`].
pub fn stop(shared: &Shared) {
    shared.stopping.store(true, Ordering::Relaxed);
    shared.doors.iter().for_each(|door| door.wake.ring());
}

/// Bounds how much unsent data the kernel takes from us for one connection, so that a slow reader is noticed early.
fn prepare_socket(stream: &TcpStream, send_buffer_bytes: usize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // SAFETY: the descriptor is open as long as `stream` lives, which is longer than `socket` is used.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(stream.as_raw_fd()) };
    let socket = socket2::SockRef::from(&socket);
    socket.set_send_buffer_size(send_buffer_bytes)?;
    socket.set_tcp_notsent_lowat(send_buffer_bytes as u32 / 2)?;
    Ok(())
}
