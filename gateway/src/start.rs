//! The wiring of the process, in one place.
//!
//! ```text
//!  reactor 0..R ══ports══▶ sequencers ═▶ matchers, each with its feed
//!      ▲  ▲                    │            │
//!      │  ╰──── reports ◀──────╯            │ frames into rooms, snapshots
//!      ╰──── wake, spans of the rooms ◀─────╯
//!  drivers (demo flow, a replay): a thread with a port of its own, on the ordinary order path
//!  control plane (tokio): HTTP, and what reactors ask the history; reads counters, asks feeds through their doors; ticks and operates through its own port
//! ```
//! Starting goes from the inside out: engine, feeds, reactors, drivers, HTTP; then it is ready. Stopping goes from the
//! outside in, so that everything accepted has had its effect when the engine comes to rest.

use crate::accounts::Accounts;
use crate::config::Config;
use crate::control::operator::{OperatorBell, operator};
use crate::control::{self, Control, Info};
use crate::cores::Cores;
use crate::feed::{self, FeedCounters};
use crate::history::desk::{Clerk, desk};
use crate::history::{self, reader::Reader, writer::Writer};
use crate::keeper::Keeper;
use crate::reactor::{self, ReactorCounters, Shared};
use crate::recovery::{self, Recovered};
use crate::rooms::wake::wake;
use crate::rooms::{ReactorDoor, Registry, dirty::DirtySet};
use crate::venue::Venue;
use anyhow::{Context, anyhow};
use dashmap::DashMap;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::threads::{Manner, Port};
use engine_core::instrument::Market;
use engine_core::journal::Journal;
use engine_core::pipeline;
use engine_core::units::{Amount, AssetId};
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

/// Entries a shard's log in memory keeps: enough to look into, and a bound.
const LOG_ENTRIES_MAX: usize = 1 << 16;

/// Something that trades by itself, on a thread of its own.
pub struct Driver {
    pub name: &'static str,
    pub run: Box<dyn FnOnce(Seat) + Send>,
}

/// What a driver gets.
pub struct Seat {
    pub port: Port,
    /// Rung when there are reports; attached to the driver's thread.
    pub bell: Arc<ThreadBell>,
    pub venue: Arc<Venue>,
    pub reactors: Vec<Arc<ReactorCounters>>,
    /// Set when the driver should end.
    pub stopping: Arc<AtomicBool>,
}

/// What is traded and by whom besides clients.
pub struct Exchange {
    pub market: Arc<Market>,
    pub paper_funds: Vec<(AssetId, Amount)>,
    /// Account numbers below this are the drivers' own.
    pub first_account: u32,
    pub drivers: Vec<Driver>,
}

/// Where a running exchange can be reached.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub ws: SocketAddr,
    pub http: SocketAddr,
}

/// Runs an exchange until what `stop` returns completes. `stop` is called on the control plane's runtime before
/// `ready` is told where the exchange can be reached: who knows that it is ready can stop it. Returns the engine at rest.
pub fn run<Stop: Future<Output = ()>>(
    config: &Config,
    exchange: Exchange,
    ready: impl FnOnce(&Addresses),
    stop: impl FnOnce() -> Stop,
) -> anyhow::Result<AtRest> {
    let shape = config.shape();
    let engine_shape = pipeline::Shape {
        sequencers: shape.sequencers,
        matchers: shape.matchers,
        log_entries_max: LOG_ENTRIES_MAX,
    };
    let Recovered { shards, journal, bereft } = recovery::recover(config, engine_shape, &exchange)?;
    let market = shards.sequencers[0].machine.market().clone();
    let venue = Arc::new(Venue::new(market, exchange.paper_funds, config.market_band_bps));
    let (writer, reader) = match &journal {
        Some(journal) => open_history(config, journal, &venue)?.unzip(),
        None => (None, None),
    };
    let accounts = Arc::new(Accounts::starting_at(exchange.first_account));
    accounts.restore(&shards);
    let groups = shards.sequencers.iter().filter_map(|shard| shard.machine.last_group());
    let next_group = groups.max().map_or(1, |last| last.wrapping_add(1));

    // Doors and bells: how each thread is woken.
    let mut sleepers = Vec::new();
    let mut doors = Vec::new();
    for _ in 0..shape.reactors {
        let (wake, sleeper) = wake().context("a socket pair for each reactor")?;
        doors.push(Arc::new(ReactorDoor { dirty: DirtySet::new(config.limits.rooms_max as usize), wake }));
        sleepers.push(sleeper);
    }
    let driver_bells: Vec<Arc<ThreadBell>> = exchange.drivers.iter().map(|_| Arc::default()).collect();
    let reactor_bells = doors.iter().map(|door| door.clone() as Arc<dyn Bell>);
    let operator_bell = Arc::new(OperatorBell::default());
    let bells = reactor_bells
        .chain(driver_bells.iter().map(|bell| bell.clone() as Arc<dyn Bell>))
        .chain([operator_bell.clone() as Arc<dyn Bell>])
        .collect();

    // Engine and feeds.
    let feed_counters: Vec<Arc<FeedCounters>> = (0..shape.matchers).map(|_| Arc::default()).collect();
    let feeds =
        feed_counters.iter().map(|counters| feed::feed(venue.clone(), doors.clone(), counters.clone()));
    let (feeds, feed_doors): (Vec<_>, Vec<_>) = feeds.unzip();
    let cores = Arc::new(Cores::new(&config.cores));
    let of_shards = cores.clone();
    let manner = Manner { spins: config.spins, begin: Arc::new(move |thread| of_shards.take(thread)) };
    let sinks = feeds.into_iter().zip(&shards.matchers).map(|(mut feed, shard)| {
        feed.resume(&shard.machine);
        Box::new(feed) as _
    });
    let sinks = sinks.collect();
    let keeper = journal.as_ref().map(|journal| {
        let fresh = move || recovery::fresh(engine_shape);
        Keeper::start(journal.watch(), fresh, config.snapshot_bytes, writer)
    });
    let keeper = keeper.transpose().context("the keeper's thread")?;
    let (engine, ports) = pipeline::run_threads(shards, bells, sinks, manner);
    let mut ports = ports.into_iter();
    let registry = Arc::new(Registry::new(config.limits.rooms_max));
    let matcher_bells = engine.matcher_bells.iter().cloned();
    registry.open(feed_doors.into_iter().zip(matcher_bells).map(|(door, bell)| door(bell)).collect());

    // Reactors.
    let (mail, mailboxes): (Vec<_>, Vec<_>) = doors.iter().map(|_| mpsc::channel()).unzip();
    let (desk, clerk) = reader.clone().map(|reader| desk(reader, doors.clone(), mail)).unzip();
    let shared = Arc::new(Shared {
        history: desk,
        venue: venue.clone(),
        anonymous: AtomicU32::new(accounts.anonymous()),
        accounts,
        registry: registry.clone(),
        doors,
        limits: config.reactor_limits(shape.reactors),
        addresses: DashMap::new(),
        groups: AtomicU32::new(next_group),
        stopping: AtomicBool::new(false),
    });
    let reactor_counters: Vec<Arc<ReactorCounters>> = (0..shape.reactors).map(|_| Arc::default()).collect();
    let listeners = listen(config.ws_listen, shape.reactors)?;
    let ws = listeners[0].local_addr()?;
    let mut reactors = Vec::new();
    let mut bereft = Some(bereft); // for the first
    let (started, starts) = mpsc::channel();
    let seats = listeners.into_iter().zip(sleepers).zip(mailboxes);
    for (index, ((listener, sleeper), mail)) in seats.enumerate() {
        let parts = reactor::Parts {
            index,
            shared: shared.clone(),
            port: ports.next().expect("a port for each reactor"),
            mail,
            counters: reactor_counters[index].clone(),
            blaster_backend: config.backend,
            listener,
            sleeper,
            bereft: bereft.take().unwrap_or_default(),
        };
        let started = started.clone();
        let cores = cores.clone();
        reactors.push(spawn(format!("reactor-{index}"), move || {
            cores.take(shape.sequencers + shape.matchers + index);
            let done = reactor::run(parts, |why| {
                let _ = started.send(Ok(why));
            });
            done.inspect_err(|error| {
                let _ = started.send(Err(anyhow!("reactor {index}: {error:#}")));
            })
        })?);
    }
    for index in 0..shape.reactors {
        let why = starts.recv().expect("every reactor says how it started")?;
        tracing::info!(reactor = index, backend = why, "reactor started");
    }

    // Drivers.
    let stopping = Arc::new(AtomicBool::new(false));
    let mut drivers = Vec::new();
    for (driver, bell) in exchange.drivers.into_iter().zip(driver_bells) {
        let seat = Seat {
            port: ports.next().expect("a port for each driver"),
            bell,
            venue: venue.clone(),
            reactors: reactor_counters.clone(),
            stopping: stopping.clone(),
        };
        drivers.push(spawn(driver.name.into(), move || {
            seat.bell.attach();
            (driver.run)(seat)
        })?);
    }

    // Control plane, on this thread.
    let (operator, operator_task) = operator(ports.next().expect("a port for the operator"), operator_bell);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let http = tokio::net::TcpListener::bind(config.http_listen).await;
        let http = http.with_context(|| format!("http_listen {}", config.http_listen))?;
        let addresses = Addresses { ws, http: http.local_addr()? };
        let is_ready = Arc::new(AtomicBool::new(true));
        let control = Arc::new(Control {
            venue: venue.clone(),
            registry: registry.clone(),
            reactors: reactor_counters,
            feeds: feed_counters,
            sequencers: engine.sequencer_counters.clone(),
            matchers: engine.matcher_counters.clone(),
            ready: is_ready.clone(),
            info: Info {
                ws_url: format!("ws://{ws}/ws"),
                mode: "single",
                demo: config.demo_flow,
                version: env!("CARGO_PKG_VERSION"),
            },
            started: Instant::now(),
            accounts: shared.accounts.clone(),
            operator,
            admin: config.admin,
            history: reader,
            private: config.private_reads(),
            fees: Mutex::new(venue.market.instruments.iter().map(|instrument| instrument.fees).collect()),
        });
        let (stop_http, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = control::serve(http, control, async {
            let _ = stopped.await;
        });
        let stop = stop();
        ready(&addresses);
        tokio::pin!(served);
        tokio::select! {
            ended = &mut served => ended.context("HTTP")?,
            never = operator_task.run() => match never {},
            never = answer_reactors(clerk) => match never {},
            () = stop => {}
        }
        is_ready.store(false, Ordering::Relaxed);
        drop(stop_http);
        anyhow::Ok(())
    })?;

    // Outside in: no more inputs, then everything accepted takes effect.
    stopping.store(true, Ordering::Relaxed);
    for driver in drivers {
        driver.thread().unpark();
        driver.join().map_err(|_| anyhow!("a driver panicked"))?;
    }
    reactor::stop(&shared);
    for reactor in reactors {
        reactor.join().map_err(|_| anyhow!("a reactor panicked"))??;
    }
    let at_rest = engine.join();
    if let Some(keeper) = keeper {
        keeper.stop();
    }
    if let Some(journal) = journal {
        journal.close().context("the journal's end")?;
    }
    Ok(at_rest)
}

/// The history of the journal, if one is wanted.
fn open_history(
    config: &Config,
    journal: &Journal,
    venue: &Arc<Venue>,
) -> anyhow::Result<Option<(Writer, Reader)>> {
    let Some(place) = config.history()?.place(&config.data_dir) else { return Ok(None) };
    let end = &journal.watch().positions();
    let (writer, reader) =
        history::open(&place, history::Source { journal: journal.watch().id(), end, venue: venue.clone() })?;
    tracing::info!(%place, "what accounts are told is kept");
    Ok(Some((writer, reader)))
}

/// Without a history nobody asks.
async fn answer_reactors(clerk: Option<Clerk>) -> std::convert::Infallible {
    match clerk {
        Some(clerk) => clerk.run().await,
        None => std::future::pending().await,
    }
}

fn spawn<T: Send + 'static>(
    name: String,
    run: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.clone()).spawn(run).with_context(|| format!("thread {name}"))
}

/// A listener for each reactor on one address: the kernel spreads connections over them.
fn listen(address: SocketAddr, reactors: usize) -> anyhow::Result<Vec<TcpListener>> {
    let mut address = address;
    let mut listeners = Vec::new();
    for _ in 0..reactors {
        let listener = listen_one(address).with_context(|| format!("ws_listen {address}"))?;
        address = listener.local_addr()?; // port 0 became a real one; the others share it
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen_one(address: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}
