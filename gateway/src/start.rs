//! The wiring of the process, in one place.
//!
//! ```text
//!  reactor 0..R ══ports══▶ sequencers ═▶ matchers, each with its feed
//!      ▲  ▲                    │            │
//!      │  ╰──── reports ◀──────╯            │ frames into rooms, snapshots
//!      ╰──── wake, spans of the rooms ◀─────╯
//!  drivers (demo flow, a replay): a thread with a port of its own, on the ordinary order path
//!  control plane (tokio): ticks and operates through its own port; on a thread beside it HTTP, which reads counters, asks feeds
//!      through their doors, and the control plane to operate
//! ```
//! First the addresses are taken and the past is recovered: what goes wrong there leaves nothing behind. Then starting goes
//! from the inside out: engine, feeds, reactors, drivers, HTTP; then it is ready. Stopping goes from the outside in, so that
//! everything accepted has had its effect when the engine comes to rest, and is safe when the journal is closed. What goes
//! wrong after the engine's start is stopped the same way.

use crate::accounts::Accounts;
use crate::config::Config;
use crate::control::operator::{Operator, OperatorBell, operator};
use crate::control::serve::Http;
use crate::control::{self, Control, Info, beat};
use crate::cores::{Cores, take_short_turns};
use crate::descriptors;
use crate::disk_watch::DiskWatch;
use crate::feed::{self, FeedCounters};
use crate::history;
use crate::history::desk::{Clerk, desk};
use crate::history::reader::Reader;
use crate::history::writer::Writer;
use crate::keeper::Keeper;
use crate::listen::{Addresses, Listeners};
use crate::memory_watch;
use crate::reactor::admission::Admission;
use crate::reactor::{self, Mail, ReactorCounters, Shared};
use crate::recovery::{self, Bereft, Recovered};
use crate::rooms::wake::{Sleeper, wake};
use crate::rooms::{ReactorDoor, Registry, dirty::DirtySet};
use crate::venue::Venue;
use anyhow::{Context, anyhow};
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::threads::{Manner, Port, Threads};
use engine_core::instrument::Market;
use engine_core::journal::{Journal, Positions};
use engine_core::pipeline;
use engine_core::units::{Amount, AssetId};
use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener;
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

/// Runs an exchange until what `stop` returns completes. `stop` is called on the control plane's runtime before
/// `ready` is told where the exchange can be reached: who knows that it is ready can stop it. Returns the engine at rest.
///
/// # Errors
/// If something cannot be had, or not all that was accepted could be made safe. Nothing runs any more then.
pub fn run<Stop: Future<Output = ()>>(
    config: &Config,
    exchange: Exchange,
    ready: impl FnOnce(&Addresses),
    stop: impl FnOnce() -> Stop,
) -> anyhow::Result<AtRest> {
    let config = &descriptors::fitted(config)?;
    let shape = config.shape();
    let listeners = Listeners::bind(config, shape.reactors)?;
    let Recovered { shards, journal, end, bereft } =
        recovery::recover(config, engine_shape(config), &exchange)?;
    let Exchange { paper_funds, first_account, drivers, .. } = exchange;
    let market = shards.sequencers[0].machine.market().clone();
    let venue = Arc::new(Venue::new(market, paper_funds, config.market_band_bps));
    let (writer, reader) = match journal.as_ref().zip(end) {
        Some((journal, end)) => open_history(config, (journal, &end), &venue)?.unzip(),
        None => (None, None),
    };
    let accounts = Arc::new(Accounts::starting_at(first_account));
    accounts.restore(&shards);
    let groups = shards.sequencers.iter().filter_map(|shard| shard.machine.last_group());
    let next_group = groups.max().map_or(1, |last| last.wrapping_add(1));
    let wakers = Wakers::new(config, drivers.len())?;
    let cores = Arc::new(Cores::new(&config.cores));

    let Started { engine, ports, registry, feeds } =
        start_engine(config, shards, journal.as_ref(), &venue, &wakers, &cores);
    let (mail, mailboxes): (Vec<_>, _) = wakers.doors.iter().map(|_| mpsc::channel()).unzip();
    let admission = Arc::new(Admission::new(mail.clone()));
    let (desk, clerk) = reader.clone().map(|reader| desk(reader, wakers.doors.clone(), mail)).unzip();
    let past = Past { writer, reader, clerk };
    let shared = Arc::new(Shared {
        history: desk,
        venue,
        anonymous: AtomicU32::new(accounts.anonymous()),
        accounts,
        registry,
        doors: wakers.doors.clone(),
        limits: config.reactor_limits(shape.reactors),
        admission,
        groups: AtomicU32::new(next_group),
        stopping: AtomicBool::new(false),
    });
    let mut running = Running::of(engine, journal, shared);
    // From here on there is one way out, whatever goes wrong: everything that runs is stopped.
    let outside = Outside { listeners, wakers, mailboxes, past, bereft, drivers, ports, feeds, cores };
    let served = running.serve(config, outside, ready, stop);
    let stopped = running.stop();
    if let (Err(_), Err(also)) = (&served, &stopped) {
        tracing::error!("while stopping: {also:#}");
    }
    served.and(stopped)
}

fn engine_shape(config: &Config) -> pipeline::Shape {
    let shape = config.shape();
    pipeline::Shape {
        sequencers: shape.sequencers,
        matchers: shape.matchers,
        log_entries_max: LOG_ENTRIES_MAX,
    }
}

/// How each thread that has a port is woken.
struct Wakers {
    /// By reactor.
    doors: Vec<Arc<ReactorDoor>>,
    sleepers: Vec<Sleeper>,
    /// By driver.
    drivers: Vec<Arc<ThreadBell>>,
    operator: Arc<OperatorBell>,
}

impl Wakers {
    fn new(config: &Config, drivers: usize) -> anyhow::Result<Self> {
        let (mut doors, mut sleepers) = (Vec::new(), Vec::new());
        for _ in 0..config.shape().reactors {
            let (wake, sleeper) = wake().context("a socket pair for each reactor")?;
            doors
                .push(Arc::new(ReactorDoor { dirty: DirtySet::new(config.limits.rooms_max as usize), wake }));
            sleepers.push(sleeper);
        }
        let drivers = (0..drivers).map(|_| Arc::default()).collect();
        Ok(Self { doors, sleepers, drivers, operator: Arc::default() })
    }

    /// The bells of all ports, in the order in which ports are given out.
    fn bells(&self) -> Vec<Arc<dyn Bell>> {
        let reactors = self.doors.iter().map(|door| door.clone() as Arc<dyn Bell>);
        let drivers = self.drivers.iter().map(|bell| bell.clone() as Arc<dyn Bell>);
        reactors.chain(drivers).chain([self.operator.clone() as Arc<dyn Bell>]).collect()
    }
}

/// The inside: it runs, and nobody talks to it yet.
struct Started {
    engine: Threads,
    ports: std::vec::IntoIter<Port>,
    registry: Arc<Registry>,
    feeds: Vec<Arc<FeedCounters>>,
}

/// The engine's threads, each matcher with its feed.
fn start_engine(
    config: &Config,
    shards: AtRest,
    journal: Option<&Journal>,
    venue: &Arc<Venue>,
    wakers: &Wakers,
    cores: &Arc<Cores>,
) -> Started {
    let counters: Vec<Arc<FeedCounters>> = shards.matchers.iter().map(|_| Arc::default()).collect();
    let feeds =
        counters.iter().map(|counters| feed::feed(venue.clone(), wakers.doors.clone(), counters.clone()));
    let (feeds, feed_doors): (Vec<_>, Vec<_>) = feeds.unzip();
    let sinks = feeds.into_iter().zip(&shards.matchers).map(|(mut feed, shard)| {
        feed.resume(&shard.machine);
        Box::new(feed) as _
    });
    let sinks = sinks.collect();
    let of_shards = cores.clone();
    let manner = Manner {
        spins: config.spins,
        begin: Arc::new(move |thread| {
            of_shards.take(thread);
            take_short_turns();
        }),
        journal: journal.map(Journal::watch),
    };
    let (engine, ports) = pipeline::run_threads(shards, wakers.bells(), sinks, manner);
    let (pages, why) = reactor::blaster::pages(config.backend);
    tracing::info!(pages = why, "rooms");
    let registry = Arc::new(Registry::new(config.limits.rooms_max, pages));
    let matcher_bells = engine.matcher_bells.iter().cloned();
    registry.open(feed_doors.into_iter().zip(matcher_bells).map(|(door, bell)| door(bell)).collect());
    Started { engine, ports: ports.into_iter(), registry, feeds: counters }
}

/// What it takes to let the world in.
struct Outside {
    listeners: Listeners,
    wakers: Wakers,
    /// By reactor.
    mailboxes: Vec<mpsc::Receiver<Mail>>,
    past: Past,
    bereft: Vec<Bereft>,
    drivers: Vec<Driver>,
    /// For the reactors, the drivers, the operator.
    ports: std::vec::IntoIter<Port>,
    feeds: Vec<Arc<FeedCounters>>,
    cores: Arc<Cores>,
}

/// The history of the journal, if one is kept: who writes it, who reads it, and who answers reactors.
struct Past {
    writer: Option<Writer>,
    reader: Option<Reader>,
    clerk: Option<Clerk>,
}

/// All threads there are, and what stops them.
struct Running {
    engine: Threads,
    journal: Option<Journal>,
    keeper: Option<Keeper>,
    shared: Arc<Shared>,
    reactors: Vec<JoinHandle<anyhow::Result<()>>>,
    /// Closed when none of them runs.
    reactors_end: tokio::sync::mpsc::Receiver<Infallible>,
    reactor_counters: Vec<Arc<ReactorCounters>>,
    drivers: Vec<JoinHandle<()>>,
    drivers_stop: Arc<AtomicBool>,
}

impl Running {
    /// The inside alone.
    fn of(engine: Threads, journal: Option<Journal>, shared: Arc<Shared>) -> Self {
        let reactor_counters = shared.doors.iter().map(|_| Arc::default()).collect();
        Self {
            engine,
            journal,
            keeper: None,
            shared,
            reactors: Vec::new(),
            reactors_end: tokio::sync::mpsc::channel(1).1,
            reactor_counters,
            drivers: Vec::new(),
            drivers_stop: Arc::default(),
        }
    }

    /// Starts the outside, and serves until it should stop. Ports that were not given out when something failed are closed.
    fn serve<Stop: Future<Output = ()>>(
        &mut self,
        config: &Config,
        outside: Outside,
        ready: impl FnOnce(&Addresses),
        stop: impl FnOnce() -> Stop,
    ) -> anyhow::Result<()> {
        let Outside { listeners, wakers, mailboxes, past, bereft, drivers, mut ports, feeds, cores } =
            outside;
        let Past { writer, reader, clerk } = past;
        let Listeners { ws, http, addresses } = listeners;
        self.start_keeper(config, writer)?;
        let seats = ws.into_iter().zip(wakers.sleepers).zip(mailboxes);
        self.start_reactors(config, seats, bereft, &mut ports, &cores)?;
        self.start_drivers(drivers, wakers.drivers, &mut ports)?;
        let operator_port = ports.next().expect("a port for the operator");
        let (operator, operator_task) = operator(operator_port, wakers.operator);
        let control = Arc::new(self.control(config, &addresses, operator, feeds, reader));
        let disk = self.journal.as_ref().map(|journal| DiskWatch::new(journal.watch(), &config.data_dir));
        let disk = disk.transpose().context("the journal")?;
        let (memory_reserve, admission) = (config.limits.memory_reserve_bytes, self.shared.admission.clone());
        // On this thread.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (routers, counters) = (control::routers(control.clone()), control.http.clone());
            let http = Http::start(http, routers, config.http_bounds(), counters).context("HTTP")?;
            let stop = stop();
            ready(&addresses);
            let inside = async {
                tokio::select! {
                    never = operator_task.run() => never,
                    never = beat::run(control.registry.clone()) => never,
                    never = answer_reactors(clerk) => never,
                    never = look_after(disk) => never,
                    never = memory_watch::run(memory_reserve, admission) => never,
                }
            };
            tokio::pin!(inside);
            tokio::select! {
                never = &mut inside => match never {},
                () = stop => {}
            }
            control.ready.store(false, Ordering::Relaxed);
            // Until its turn a client goes on as before: timed rooms have their beats, orders their ends, and who asks the history
            // its answer. So do those who ask by HTTP, to whom it is not ready any more.
            self.stop_outside();
            let ended = async {
                self.reactors_end.recv().await;
                http.end().await;
            };
            tokio::select! {
                never = &mut inside => match never {},
                () = ended => {}
            }
            anyhow::Ok(())
        })?;
        runtime.shutdown_background(); // it may ask a name server, and nobody waits for that
        Ok(())
    }

    fn start_keeper(&mut self, config: &Config, history: Option<Writer>) -> anyhow::Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let shape = engine_shape(config);
        let fresh = move || recovery::fresh(shape);
        let keeper = Keeper::start(journal.watch(), fresh, config.snapshot_bytes, history)
            .context("the keeper's thread")?;
        self.keeper = Some(keeper);
        Ok(())
    }

    /// Returns when all of them run.
    fn start_reactors(
        &mut self,
        config: &Config,
        seats: impl Iterator<Item = ((TcpListener, Sleeper), mpsc::Receiver<Mail>)>,
        bereft: Vec<Bereft>,
        ports: &mut std::vec::IntoIter<Port>,
        cores: &Arc<Cores>,
    ) -> anyhow::Result<()> {
        let shape = config.shape();
        let mut bereft = Some(bereft); // for the first
        let (started, starts) = mpsc::channel();
        let (runs, end) = tokio::sync::mpsc::channel(1);
        self.reactors_end = end;
        for (index, ((listener, sleeper), mail)) in seats.enumerate() {
            let parts = reactor::Parts {
                index,
                shared: self.shared.clone(),
                port: ports.next().expect("a port for each reactor"),
                mail,
                counters: self.reactor_counters[index].clone(),
                blaster_backend: config.backend,
                listener,
                sleeper,
                bereft: bereft.take().unwrap_or_default(),
            };
            let (started, cores, runs) = (started.clone(), cores.clone(), runs.clone());
            self.reactors.push(spawn(format!("reactor-{index}"), move || {
                let _runs = runs; // until it has ended, however it ends
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
        Ok(())
    }

    fn start_drivers(
        &mut self,
        drivers: Vec<Driver>,
        bells: Vec<Arc<ThreadBell>>,
        ports: &mut std::vec::IntoIter<Port>,
    ) -> anyhow::Result<()> {
        for (driver, bell) in drivers.into_iter().zip(bells) {
            let seat = Seat {
                port: ports.next().expect("a port for each driver"),
                bell,
                venue: self.shared.venue.clone(),
                reactors: self.reactor_counters.clone(),
                stopping: self.drivers_stop.clone(),
            };
            self.drivers.push(spawn(driver.name.into(), move || {
                seat.bell.attach();
                (driver.run)(seat)
            })?);
        }
        Ok(())
    }

    /// What HTTP sees.
    fn control(
        &self,
        config: &Config,
        addresses: &Addresses,
        operator: Operator,
        feeds: Vec<Arc<FeedCounters>>,
        history: Option<Reader>,
    ) -> Control {
        let Shared { venue, registry, accounts, .. } = &*self.shared;
        Control {
            venue: venue.clone(),
            registry: registry.clone(),
            reactors: self.reactor_counters.clone(),
            feeds,
            sequencers: self.engine.sequencer_counters.clone(),
            matchers: self.engine.matcher_counters.clone(),
            journal: self.journal.as_ref().map(Journal::watch),
            keeper: self.keeper.as_ref().map(|keeper| keeper.counters.clone()),
            ready: AtomicBool::new(true),
            info: Info {
                ws_url: format!("ws://{}/ws", addresses.ws),
                mode: "single",
                demo: config.demo_flow,
                version: env!("CARGO_PKG_VERSION"),
            },
            started: Instant::now(),
            accounts: accounts.clone(),
            operator,
            http: Arc::default(),
            admin: config.admin,
            history: history.map(|reader| reader.apart()),
            private: config.private_reads(),
            fees: Mutex::new(venue.market.instruments.iter().map(|instrument| instrument.fees).collect()),
        }
    }

    /// Has those who send inputs end.
    fn stop_outside(&self) {
        self.drivers_stop.store(true, Ordering::Relaxed);
        self.drivers.iter().for_each(|driver| driver.thread().unpark());
        reactor::stop(&self.shared);
    }

    /// Outside in: no more inputs, then everything accepted takes effect, then it is safe. All of it is done whatever fails;
    /// the first that failed is the error.
    fn stop(self) -> anyhow::Result<AtRest> {
        self.stop_outside();
        let drivers =
            self.drivers.into_iter().map(|driver| driver.join().map_err(|_| anyhow!("a driver panicked")));
        let drivers = drivers.fold(Ok(()), anyhow::Result::and);
        let reactors = self
            .reactors
            .into_iter()
            .map(|reactor| reactor.join().unwrap_or_else(|_| Err(anyhow!("a reactor panicked"))));
        let reactors = reactors.fold(Ok(()), anyhow::Result::and);
        if let Some(journal) = &self.journal {
            journal.stop_waiting_for_space();
        }
        let at_rest = self.engine.join();
        if let Some(keeper) = self.keeper {
            keeper.stop();
        }
        let journal = self.journal.map_or(Ok(()), |journal| journal.close().context("the journal's end"));
        drivers.and(reactors).and(journal).map(|()| at_rest)
    }
}

/// The history of the journal, if one is wanted.
fn open_history(
    config: &Config,
    (journal, end): (&Journal, &Positions),
    venue: &Arc<Venue>,
) -> anyhow::Result<Option<(Writer, Reader)>> {
    let Some(place) = config.history()?.place(&config.data_dir) else { return Ok(None) };
    let (writer, reader) =
        history::open(&place, history::Source { journal: journal.watch().id(), end, venue: venue.clone() })?;
    tracing::info!(%place, "what accounts are told is kept");
    Ok(Some((writer, reader)))
}

/// Without a history nobody asks.
async fn answer_reactors(clerk: Option<Clerk>) -> Infallible {
    match clerk {
        Some(clerk) => clerk.run().await,
        None => std::future::pending().await,
    }
}

/// Without a journal there is no disk to look after.
async fn look_after(disk: Option<DiskWatch>) -> Infallible {
    match disk {
        Some(disk) => disk.run().await,
        None => std::future::pending().await,
    }
}

fn spawn<T: Send + 'static>(
    name: String,
    run: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.clone()).spawn(run).with_context(|| format!("thread {name}"))
}
