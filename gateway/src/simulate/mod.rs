//! Reactors with more connections than a machine has sockets: real sessions, rooms, rings and fan-out over simulated sockets.
//!
//! ```text
//!  seeded market ─▶ real feed ─▶ real rings ═▶ reactor 0 ─▶ simulated sockets ─▶ a million clients that read and count
//!                                           ═▶ reactor 1 ─▶ …
//! ```
//! Everything goes in steps: the market has its commands, then each reactor has a turn, then the buffers of slow clients
//! drain. Reactors share only what they share in the process, so they may run on several threads, and a seed is a run
//! all the same. What is measured is our part of the work: the kernel's is not in it.

mod client;
mod market;
mod net;

use crate::accounts::Accounts;
use crate::feed::{self, FeedCounters};
use crate::reactor::admission::Admission;
use crate::reactor::{Limits, Reactor, ReactorCounters, Shared};
use crate::rooms::wake::wake;
use crate::rooms::{Packing, ReactorDoor, Registry, dirty::DirtySet, view::View};
use crate::session::SessionLimits;
use crate::venue::Venue;
use client::{Client, Stage};
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::threads::{Manner, Port, Threads};
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::pipeline;
use engine_core::units::SymbolId;
use market::{SimulatedMarket, Zipf};
use net::{Simulated, Slow, Totals, Trades, World};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, RwLock, mpsc};
use std::time::Instant;

/// When it begins, as clients are told: far from now, so that nobody takes it for a real time.
const BEGIN_US: u64 = 4_000_000_000_000_000;

/// Connections that a reactor takes in in one step.
const CONNECTS_A_STEP: u64 = 10_000;

/// How a simulation is made.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    pub connections: u64,
    /// Connections of a reactor; it can tell a million apart.
    pub of_a_reactor: u64,
    pub symbols: usize,
    pub ticks: u32,
    /// Between two ticks, in simulated microseconds.
    pub tick_us: u64,
    /// Commands of the market in a tick, of all symbols.
    pub commands_per_tick: u32,
    /// Of a thousand clients, how many drain slowly, and how many stop reading for a while or for good.
    pub slow_per_mille: u32,
    pub stalled_per_mille: u32,
    /// Of a reactor's clients, how many are reset in a tick; as many new ones come.
    pub resets_per_tick: u32,
    pub threads: usize,
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    pub connections: u64,
    pub reactors: usize,
    pub live_at_the_end: u64,
    pub connect_seconds: f64,
    /// All ticks together, and what was delivered in them.
    pub ticks_seconds: f64,
    pub pushed: u64,
    pub pushes_per_second: f64,
    /// With what the slow ones got afterwards.
    pub frames: u64,
    pub writes: u64,
    pub bytes: u64,
    /// Of one reactor's turn, in microseconds: median, 99 of 100, longest.
    pub turn_us: [u64; 3],
    /// Of the process beyond what it had before the first connection, for each connection; of it, the simulation's own.
    pub bytes_per_connection: u64,
    pub simulated_bytes_per_connection: u64,
    pub resident_peak_bytes: u64,
    pub fell_behind: u64,
    pub lapped: u64,
    pub gaps: u64,
    pub closed_slow: u64,
    pub resets: u64,
    /// Messages out of order, and clients whose accounts do not add up; both must be none.
    pub violations: u64,
    pub accounts_wrong: u64,
    /// What the reactors say that they delivered, less what arrived: rests of frames to clients that were gone.
    pub frames_lost_with_their_clients: i64,
    /// Of the final state of every client: the same for the same seed, whatever the threads.
    pub checksum: u64,
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    Tick,
    /// Nothing new happens, and everybody reads.
    Settle,
    End,
}

/// What the threads share.
struct Common {
    step: RwLock<(Step, u64)>,
    barrier: Barrier,
    /// Somebody has more to do of the same.
    unfinished: AtomicBool,
    connected: AtomicU64,
    results: Mutex<Results>,
    turns_us: Mutex<Vec<u64>>,
    trades: Trades,
    heads: RwLock<Vec<market::Head>>,
}

/// What it takes to make the reactors.
struct Outside {
    shared: Arc<Shared>,
    ports: Vec<Port>,
    counters: Vec<Arc<ReactorCounters>>,
    symbols: Arc<Vec<String>>,
}

/// Runs one. `progress` hears of connections, then of ticks: done, and of how many.
///
/// # Errors
/// If the system refuses a thread or a socket pair.
pub fn run(options: &Options, mut progress: impl FnMut(&str, u64, u64)) -> anyhow::Result<Results> {
    let reactors = options.connections.div_ceil(options.of_a_reactor).max(1) as usize;
    let (outside, engine, feed) = outside(options, reactors)?;
    let trades = Trades::default();
    let mut market = SimulatedMarket::new(feed, trades.clone(), options.symbols, BEGIN_US);
    for symbol in 0..options.symbols {
        outside.shared.registry.room(SymbolId(symbol as _), View::DepthTrade, Packing::Plain)?;
        market.publish();
    }
    let threads = options.threads.clamp(1, reactors);
    let common = Common {
        step: RwLock::new((Step::Connect, BEGIN_US)),
        barrier: Barrier::new(threads + 1),
        unfinished: AtomicBool::new(false),
        connected: AtomicU64::new(0),
        results: Mutex::default(),
        turns_us: Mutex::default(),
        trades,
        heads: RwLock::default(),
    };
    let (shared, counters) = (outside.shared.clone(), outside.counters.clone());
    let before = resident_bytes();
    let mut shares: Vec<Vec<(usize, Port)>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, port) in outside.ports.into_iter().enumerate() {
        shares[index % threads].push((index, port));
    }
    let mut results = std::thread::scope(|scope| {
        for share in shares {
            let (common, shared, counters, symbols) = (&common, &shared, &counters, &outside.symbols);
            scope.spawn(move || {
                let sims = share.into_iter().map(|(index, port)| {
                    Sim::new(
                        options,
                        index,
                        reactors,
                        (shared, port, counters[index].clone()),
                        (common, symbols),
                    )
                });
                work(options, common, sims.collect());
            });
        }
        direct(options, &common, &mut market, before, &mut progress)
    });
    engine.join();
    let sum = |of: fn(&ReactorCounters) -> u64| counters.iter().map(|counters| of(counters)).sum::<u64>();
    results.reactors = reactors;
    results.fell_behind = sum(|counters| counters.fell_behind.get());
    results.lapped = sum(|counters| counters.lapped.get());
    results.gaps = sum(|counters| counters.gaps.get());
    results.closed_slow = sum(|counters| counters.closed_slow.get());
    results.accounts_wrong += sum(|counters| counters.accounts_wrong.get());
    results.frames_lost_with_their_clients =
        sum(|counters| counters.frames_out.get()) as i64 - results.frames as i64;
    results.resident_peak_bytes = of_status("VmHWM:");
    Ok(results)
}

/// The market's side, which says what each step is.
fn direct(
    options: &Options,
    common: &Common,
    market: &mut SimulatedMarket,
    before: u64,
    progress: &mut impl FnMut(&str, u64, u64),
) -> Results {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let zipf = Zipf::new(options.symbols);
    let mut now = BEGIN_US;
    let step = |step: Step, now: u64, market: &mut SimulatedMarket| {
        *common.step.write().expect("no holder panics") = (step, now);
        common.unfinished.store(false, Ordering::Relaxed);
        common.barrier.wait();
        common.barrier.wait();
        market.publish();
        common.unfinished.load(Ordering::Relaxed)
    };
    let begun = Instant::now();
    while step(Step::Connect, now, market) {
        progress("connections", common.connected.load(Ordering::Relaxed), options.connections);
    }
    let connect_seconds = begun.elapsed().as_secs_f64();
    let of_connections = resident_bytes().saturating_sub(before);
    let begun = Instant::now();
    for tick in 0..options.ticks {
        now += options.tick_us;
        for _ in 0..options.commands_per_tick {
            market.command(zipf.draw(&mut random), &mut random, now);
        }
        step(Step::Tick, now, market);
        progress("ticks", tick as u64 + 1, options.ticks as u64);
    }
    let ticks_seconds = begun.elapsed().as_secs_f64();
    while step(Step::Settle, now, market) {
        now += options.tick_us;
    }
    *common.heads.write().expect("no holder panics") =
        (0..options.symbols).map(|symbol| market.head(symbol as u16)).collect();
    step(Step::End, now, market);
    let mut results = common.results.lock().expect("no holder panics").clone();
    results.connections = options.connections;
    (results.connect_seconds, results.ticks_seconds) = (connect_seconds, ticks_seconds);
    results.pushes_per_second = results.pushed as f64 / ticks_seconds;
    let mut turns = std::mem::take(&mut *common.turns_us.lock().expect("no holder panics"));
    turns.sort_unstable();
    let at = |share: f64| turns.get(((turns.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(0);
    results.turn_us = [at(0.5), at(0.99), at(1.0)];
    results.bytes_per_connection = of_connections / options.connections.max(1);
    results.simulated_bytes_per_connection = World::BYTES_PER_CLIENT;
    results
}

/// A thread's side.
fn work(options: &Options, common: &Common, mut sims: Vec<Sim>) {
    let mut turns_us = Vec::new();
    loop {
        common.barrier.wait();
        let (step, now) = *common.step.read().expect("no holder panics");
        for sim in &mut sims {
            sim.world.borrow_mut().now = now;
            let more = match step {
                Step::Connect => sim.connect(options, common),
                Step::Tick => {
                    turns_us.push(sim.tick(options));
                    false
                }
                Step::Settle => sim.settle(),
                Step::End => {
                    sim.count(common);
                    false
                }
            };
            if more {
                common.unfinished.store(true, Ordering::Relaxed);
            }
        }
        if step == Step::End {
            common.turns_us.lock().expect("no holder panics").append(&mut turns_us);
        }
        common.barrier.wait();
        if step == Step::End {
            return;
        }
    }
}

/// A reactor and its clients.
struct Sim {
    reactor: Reactor,
    world: Rc<RefCell<World>>,
    random: ChaCha8Rng,
    zipf: Zipf,
    /// Clients that have still to come.
    to_come: u64,
    ticks: u64,
    /// Frames delivered when the ticks were over.
    pushed: Option<u64>,
    resets: u64,
    quiet: u32,
}

impl Sim {
    fn new(
        options: &Options,
        index: usize,
        reactors: usize,
        (shared, port, counters): (&Arc<Shared>, Port, Arc<ReactorCounters>),
        (common, symbols): (&Common, &Arc<Vec<String>>),
    ) -> Self {
        let world = Rc::new(RefCell::new(World::default()));
        let net = Simulated { world: world.clone(), trades: common.trades.clone(), symbols: symbols.clone() };
        let (_, mail) = mpsc::channel();
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(index as u64 + 1);
        let (share, rest) = (options.connections / reactors as u64, options.connections % reactors as u64);
        Self {
            reactor: Reactor::new(index, shared.clone(), (port, mail), counters, Box::new(net)),
            world,
            random,
            zipf: Zipf::new(options.symbols),
            to_come: share + ((index as u64) < rest) as u64,
            ticks: 0,
            pushed: None,
            resets: 0,
            quiet: 0,
        }
    }

    fn connect(&mut self, options: &Options, common: &Common) -> bool {
        let now = self.to_come.min(CONNECTS_A_STEP);
        for _ in 0..now {
            self.one_more(options);
        }
        self.to_come -= now;
        common.connected.fetch_add(now, Ordering::Relaxed);
        self.run_until_quiet();
        let waiting = |client: &Client| matches!(client.stage, Stage::Connecting | Stage::Subscribed);
        let world = self.world.borrow();
        self.to_come > 0
            || world.clients[world.clients.len().saturating_sub(now as usize)..].iter().any(waiting)
    }

    fn one_more(&mut self, options: &Options) {
        let symbol = self.zipf.draw(&mut self.random);
        let lot = self.random.random_range(0..1000);
        let slow = if lot < options.stalled_per_mille {
            let until = BEGIN_US + self.random.random_range(0..2 * options.ticks as u64 * options.tick_us);
            Some(Slow::new(BUFFER_BYTES, BUFFER_BYTES, until))
        } else if lot < options.stalled_per_mille + options.slow_per_mille {
            Some(Slow::new(BUFFER_BYTES, self.random.random_range(100..10_000), 0))
        } else {
            None
        };
        let socket = self.world.borrow_mut().connect(symbol, slow);
        self.reactor.admit(socket, IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    /// Serves everybody who has something to say, and sends what there is.
    fn run_until_quiet(&mut self) {
        while self.reactor.serve_ready() | self.reactor.turn() {}
    }

    /// Returns how long the reactor took, in microseconds.
    fn tick(&mut self, options: &Options) -> u64 {
        self.ticks += 1;
        {
            let mut world = self.world.borrow_mut();
            world.drain();
            for _ in 0..options.resets_per_tick {
                let socket = self.random.random_range(0..world.clients.len()) as i32;
                if world.clients[socket as usize].stage == Stage::Live {
                    world.reset(socket);
                    self.resets += 1;
                }
            }
        }
        let begun = Instant::now();
        self.run_until_quiet();
        let took = begun.elapsed().as_micros() as u64;
        if self.ticks.is_multiple_of((1_000_000 / options.tick_us).max(1)) {
            self.reactor.sweep();
        }
        let gone = self.world.borrow().free.len();
        for _ in 0..gone {
            self.one_more(options);
        }
        took
    }

    fn settle(&mut self) -> bool {
        let mut world = self.world.borrow_mut();
        self.pushed.get_or_insert(world.totals.frames);
        world.hurry();
        world.drain();
        drop(world);
        self.run_until_quiet();
        // Those who have just come wait for a snapshot, which takes a step or two.
        self.quiet = if self.world.borrow().is_settled() { self.quiet + 1 } else { 0 };
        self.quiet < 4
    }

    fn count(&mut self, common: &Common) {
        let (world, heads) = (self.world.borrow(), common.heads.read().expect("no holder panics"));
        let mut results = common.results.lock().expect("no holder panics");
        let Totals { frames, writes, bytes, violations } = world.totals;
        results.pushed += self.pushed.unwrap_or(0);
        results.frames += frames;
        results.writes += writes;
        results.bytes += bytes;
        results.violations += violations;
        results.resets += self.resets;
        for client in &world.clients {
            let head = heads[client.symbol as usize];
            results.live_at_the_end += (client.stage == Stage::Live) as u64;
            results.accounts_wrong += !client.adds_up(head.seq, head.next_trade) as u64;
            results.checksum = results.checksum.wrapping_add(client.checksum());
        }
    }
}

/// Of a client that does not read: what the kernel takes for it.
const BUFFER_BYTES: usize = 16 << 10;

fn outside(options: &Options, reactors: usize) -> anyhow::Result<(Outside, Threads, feed::Feed)> {
    let symbols: Arc<Vec<String>> = Arc::new((0..options.symbols).map(|n| format!("S{n}-USD")).collect());
    let mut market = Market::default();
    market.add_asset("USD", 6)?;
    for symbol in symbols.iter() {
        let base = symbol.strip_suffix("-USD").expect("it was just made");
        market.add_asset(base, 6)?;
        let spec =
            InstrumentSpec { symbol, base, quote: "USD", tick: "0.01", lot: "0.01", min_notional: "0" };
        market.add_instrument(&spec)?;
    }
    let market = Arc::new(market);
    let venue = Arc::new(Venue::new(market.clone(), Vec::new(), 500));
    let mut doors = Vec::new();
    for _ in 0..reactors {
        let (wake, _) = wake()?;
        doors.push(Arc::new(ReactorDoor { dirty: DirtySet::new(options.symbols), wake }));
    }
    let (feed, door) = feed::feed(venue.clone(), doors.clone(), Arc::<FeedCounters>::default());
    let registry = Arc::new(Registry::new(options.symbols as u32, None));
    registry.open(vec![door(Arc::<ThreadBell>::default())]);
    // An engine that has nothing to do: sessions that only listen do not ask it.
    let shape = pipeline::Shape { sequencers: 1, matchers: 1, log_entries_max: 1 };
    let bells = doors.iter().map(|door| door.clone() as Arc<dyn Bell>).collect();
    let shards = pipeline::build(shape, &market);
    let (engine, ports) = pipeline::run_threads(shards, bells, vec![Box::new(())], Manner::default());
    let shared = Arc::new(Shared {
        venue,
        accounts: Arc::new(Accounts::starting_at(1)),
        registry,
        doors,
        limits: limits(),
        // Nobody is handed over: they come to the reactor that they are counted for.
        admission: Arc::new(Admission::new((0..reactors).map(|_| mpsc::channel().0).collect())),
        history: None,
        anonymous: AtomicU32::new(0),
        groups: AtomicU32::new(1),
        stopping: AtomicBool::new(false),
    });
    let counters = (0..reactors).map(|_| Arc::default()).collect();
    Ok((Outside { shared, ports, counters, symbols }, engine, feed))
}

/// Those of the process, but for who may come: they are all from one address, and nobody answers a ping.
fn limits() -> Limits {
    let per_second = 1_000_000;
    Limits {
        session: SessionLimits {
            channels_max: 1024,
            rooms_max: 4096,
            open_login: true,
            control_per_second: per_second,
            control_burst: per_second,
            orders_per_second: per_second,
            orders_burst: per_second,
        },
        echo: false,
        compression: false,
        message_bytes_max: 64 << 10,
        connections_max_per_reactor: usize::MAX,
        connections_max_per_address: u32::MAX,
        connects_per_second: per_second,
        connects_burst: per_second,
        handshake_timeout_s: 5,
        ping_interval_s: 1 << 20,
        idle_timeout_s: 1 << 21,
        write_timeout_s: 5,
        outbox_bytes_max: 4 << 20,
        send_buffer_bytes: BUFFER_BYTES,
        window_bytes: 64 << 10,
        drain_s: 1,
        allowed_origins: Vec::new(),
    }
}

fn resident_bytes() -> u64 {
    of_status("VmRSS:")
}

fn of_status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(threads: usize) -> Options {
        Options {
            connections: 20_000,
            of_a_reactor: 5_000,
            symbols: 100,
            ticks: 120,
            tick_us: 100_000,
            commands_per_tick: 200,
            slow_per_mille: 10,
            stalled_per_mille: 5,
            resets_per_tick: 3,
            threads,
            seed: 7,
        }
    }

    /// Some drain slowly, some stall until they are lapped or closed, some break off: nobody gets a message out of order, and
    /// what each was sent, what it was told to have missed and what was published are the same.
    #[test]
    fn every_account_adds_up_and_a_seed_is_a_run() {
        let results = run(&options(1), |_, _, _| {}).unwrap();
        eprintln!("{results:#?}");
        assert_eq!((results.violations, results.accounts_wrong), (0, 0));
        assert!(results.lapped > 0 && results.gaps > 0 && results.closed_slow > 0 && results.resets > 0);
        assert!(results.live_at_the_end > results.connections * 99 / 100);
        assert_eq!(run(&options(1), |_, _, _| {}).unwrap().checksum, results.checksum);
        assert_eq!(run(&options(3), |_, _, _| {}).unwrap().checksum, results.checksum, "on three threads");
    }
}
