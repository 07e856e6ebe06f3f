//! How many orders a second does the whole engine take, from a port to the last report?
//!
//! `cargo bench -p engine-core --bench pipeline` measures. With `RINGSIDE_BENCH=tiny`, or without cargo's `--bench`, it
//! runs in a blink, to show that it still works.
//!
//! One seeded stream, drawn beforehand: 100 accounts, two symbols, half of the orders near the
//! touch, one in five an IOC that trades, one command in four a cancel of a recent order. Each is checked, held,
//! matched, settled and reported; every account is watched, so executions and balances come out as well. Logs are in
//! memory and keep nothing: no disk, no network, no text. On threads the port is driven by the bench's own thread,
//! which submits as fast as it is let and reads between, so this is throughput, not latency; shards and port share the
//! machine's cores.
//!
//! The checksum is over the books' event hashes and all balances. With one sequencer every run must have the same. Two
//! sequencers meet at the matcher as they come, unless the inputs have tickets, as in a replay: that row must have the
//! same checksum again, and shows what the order costs.

use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::threads::Port;
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SEED: u64 = 1;
const ACCOUNTS: u32 = 100;
const SYMBOLS: u32 = 2;
/// Between two looks at the reports: a reactor's turn under load. Picked by eye.
const BURST: usize = 64;

fn main() {
    let tiny = std::env::var("RINGSIDE_BENCH").is_ok_and(|size| size == "tiny");
    let full = !tiny && std::env::args().any(|arg| arg == "--bench");
    let (commands, rounds) = if full { (1_000_000, 5) } else { (2_000, 1) };
    let market = market();
    println!("seed {SEED}, {commands} commands{}", if full { "" } else { ", tiny" });
    println!("run          commands/s          ns/command      cpu    reports/command   checksum");
    println!("           best     middle       best  middle    best");
    let mut expected = None;
    for (name, shape, threads, tickets) in [
        ("inline 1×1", shape(1, 1), false, false),
        ("threads 1×1", shape(1, 1), true, false),
        ("threads 2×1", shape(2, 1), true, false),
        ("  in order", shape(2, 1), true, true),
    ] {
        let stream = draw(commands, tickets);
        let (mut times, mut cpu) = (Vec::new(), Vec::new());
        let mut reports = 0;
        let mut checksum = 0;
        for _ in 0..rounds {
            let shards = pipeline::build(shape, &market);
            let run = if threads { on_threads(shards, &stream) } else { inline(shards, &stream) };
            run.shards.check();
            (reports, checksum) = (run.reports, checksum_of(&run.shards));
            if tickets || shape.sequencers == 1 {
                assert_eq!(*expected.get_or_insert(checksum), checksum, "the runs differ");
            }
            times.push(run.time.as_nanos() as f64 / commands as f64);
            cpu.push(run.cpu.as_nanos() as f64 / commands as f64);
        }
        times.sort_by(f64::total_cmp);
        cpu.sort_by(f64::total_cmp);
        let (best, middle, cpu) = (times[0], times[times.len() / 2], cpu[0]);
        println!(
            "{name:<11}{:>8.0} {:>8.0}   {best:>8.0}{middle:>8.0}{cpu:>8.0}   {:>12.2}      {checksum:016x}",
            1e9 / best,
            1e9 / middle,
            reports as f64 / commands as f64
        );
    }
}

struct Run {
    time: Duration,
    /// Of all threads: what the machine's other work disturbs least.
    cpu: Duration,
    reports: usize,
    shards: AtRest,
}

struct Stream {
    opening: Vec<Input>,
    timed: Vec<Input>,
}

fn inline(shards: AtRest, stream: &Stream) -> Run {
    let mut engine = pipeline::run_inline(shards);
    let mut reports = 0;
    for input in &stream.opening {
        engine.apply(input, &mut |_: &Report| {}, &mut ());
    }
    let (start, cpu) = (Instant::now(), cpu_time());
    for input in &stream.timed {
        engine.apply(input, &mut |_: &Report| reports += 1, &mut ());
    }
    Run { time: start.elapsed(), cpu: cpu_time() - cpu, reports, shards: engine.into_rest() }
}

fn on_threads(shards: AtRest, stream: &Stream) -> Run {
    let bell = Arc::new(ThreadBell::default());
    let markets = shards.matchers.iter().map(|_| Box::new(()) as _).collect();
    let (engine, mut ports) = pipeline::run_threads(shards, vec![bell.clone() as Arc<dyn Bell>], markets, 0);
    let mut port = ports.pop().expect("one bell, one port");
    for account in (0..ACCOUNTS).map(AccountId) {
        port.watch(account, true).expect("there is room at the start");
    }
    let mut heard = Heard { bell, ..Heard::default() };
    heard.bell.attach();
    for input in &stream.opening {
        submit(&mut port, *input, &mut heard);
    }
    port.flush();
    // A balance for each deposit: the accounts are ready.
    let deposits = stream.opening.iter().filter(|input| matches!(input.command, Command::Deposit { .. }));
    let deposits = deposits.count();
    while heard.reports < deposits {
        heard.hear(&mut port);
    }
    let (start, cpu) = (Instant::now(), cpu_time());
    for burst in stream.timed.chunks(BURST) {
        for input in burst {
            submit(&mut port, *input, &mut heard);
        }
        port.flush();
        heard.take(&mut port);
    }
    while heard.answers < stream.timed.len() {
        heard.hear(&mut port);
    }
    let (time, cpu) = (start.elapsed(), cpu_time() - cpu);
    drop(port);
    Run { time, cpu, reports: heard.reports - deposits, shards: engine.join() }
}

/// What this process has had of the cores, in steps of 10 ms; nothing where the system does not say.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = after_name.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn submit(port: &mut Port, input: Input, heard: &mut Heard) {
    while port.submit(input).is_err() {
        port.flush();
        heard.hear(port);
    }
}

#[derive(Default)]
struct Heard {
    reports: usize,
    answers: usize,
    bell: Arc<ThreadBell>,
}

impl Heard {
    fn take(&mut self, port: &mut Port) -> usize {
        let answers = &mut self.answers;
        let taken =
            port.take_reports(usize::MAX, |report| *answers += (report.to != Recipient::Watchers) as usize);
        self.reports += taken;
        taken
    }

    /// Takes what there is; leaves the core to the shards for a moment if there is nothing.
    fn hear(&mut self, port: &mut Port) {
        if self.take(port) == 0 {
            self.bell.wait(Some(Duration::from_micros(50)), || port.has_reports());
        }
    }
}

fn shape(sequencers: usize, matchers: usize) -> Shape {
    Shape { sequencers, matchers, log_entries_max: 0 }
}

fn market() -> Arc<Market> {
    let mut market = Market::default();
    for (asset, decimals) in [("BTC", 8), ("ETH", 8), ("USDT", 6)] {
        market.add_asset(asset, decimals).expect("a fresh asset");
    }
    for base in ["BTC", "ETH"] {
        let symbol = &format!("{base}-USDT");
        let spec =
            InstrumentSpec { symbol, base, quote: "USDT", tick: "0.01", lot: "0.0001", min_notional: "1" };
        market.add_instrument(&spec).expect("a fresh symbol");
    }
    Arc::new(market)
}

fn draw(commands: usize, with_tickets: bool) -> Stream {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut tickets = [0; SYMBOLS as usize];
    let mut at = 0;
    let mut input = |command| {
        at += 2;
        let ticket = match command {
            Command::Submit(Submit { symbol, .. }) | Command::Cancel { symbol, .. } if with_tickets => {
                let next = &mut tickets[symbol.0 as usize];
                *next += 1;
                *next
            }
            _ => 0,
        };
        let origin = Origin { port: 0, session: 0, request: at as u32 };
        Input { origin, at: Timestamp(at), ticket, command }
    };
    let mut opening = Vec::new();
    for account in (0..ACCOUNTS).map(AccountId) {
        opening.push(input(Command::Open { account }));
        // Plenty, so that nothing depends on which settlement a sequencer saw first.
        let deposit =
            |asset| Command::Deposit { account, asset: AssetId(asset), amount: Amount(10u128.pow(30)) };
        opening.extend((0..3).map(|asset| input(deposit(asset))));
    }
    let mut recent: Vec<Submit> = Vec::new();
    let mut timed = Vec::with_capacity(commands);
    for number in 0..commands {
        if !recent.is_empty() && random.random_bool(0.25) {
            let Submit { account, symbol, order_id, .. } =
                recent.swap_remove(random.random_range(0..recent.len()));
            timed.push(input(Command::Cancel { account, symbol, order_id }));
            continue;
        }
        let submit = order(&mut random, number);
        if submit.time_in_force == TimeInForce::Gtc {
            recent.push(submit);
        }
        if recent.len() > 2_000 {
            recent.swap_remove(0);
        }
        timed.push(input(Command::Submit(submit)));
    }
    Stream { opening, timed }
}

/// Around 30,000.00; a distance twice as far is half as likely.
fn order(random: &mut ChaCha8Rng, number: usize) -> Submit {
    let side = if random.random() { Side::Buy } else { Side::Sell };
    let takes = random.random_bool(0.2);
    let away = 1 + u64::from(random.random::<u64>().trailing_zeros()) * 4 + random.random_range(0..4);
    let price = match (side, takes) {
        (Side::Buy, false) | (Side::Sell, true) => 3_000_000 - away,
        (Side::Sell, false) | (Side::Buy, true) => 3_000_000 + away,
    };
    let order = Submit::limit(
        AccountId(random.random_range(0..ACCOUNTS)),
        SymbolId(random.random_range(0..SYMBOLS)),
        ClientOrderId::new(&format!("order-{number}")).expect("a short id"),
        side,
        Price(price),
        Quantity(random.random_range(1..=if takes { 150 } else { 100 })),
    );
    Submit { time_in_force: if takes { TimeInForce::Ioc } else { TimeInForce::Gtc }, ..order }
}

fn checksum_of(shards: &AtRest) -> u64 {
    let mut counters: Vec<_> = shards.matchers.iter().flat_map(|shard| shard.machine.counters()).collect();
    counters.sort_by_key(|(symbol, _)| *symbol);
    let hashes = counters.iter().map(|(_, counters)| counters.event_hash);
    let balances = shards.balances();
    let amounts = balances.iter().flat_map(|(_, _, available, held)| [available.0 as u64, held.0 as u64]);
    hashes
        .chain(amounts)
        .fold(0, |sum: u64, word| (sum.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95))
}
