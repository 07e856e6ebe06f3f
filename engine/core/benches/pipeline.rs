//! How many orders a second does the whole engine take, from a port to the last report?
//!
//! `cargo bench -p engine-core --bench pipeline` measures. With `RINGSIDE_BENCH=tiny`, or without cargo's `--bench`, it
//! runs in a blink, to show that it still works.
//!
//! One seeded stream, drawn beforehand, as venues see it: 15 % of the orders are IOC, 20 % of the messages amend, an
//! order rests for 2,000 messages in the middle (0.4 ms at 5 million a second) and nearly all end cancelled; 100
//! accounts, two symbols, prices near the touch. Each is checked, held, matched, settled and reported; every account is
//! watched, so executions and balances come out as well. Logs are in memory and keep nothing: no disk, no network, no
//! text, and no feed behind the matcher. On threads the port is driven by the bench's own thread, which submits as fast
//! as it is let and reads between, so this is throughput; shards and port share the machine's cores. The column `cpu` is
//! what all threads together take of the cores, and is disturbed least by what else the machine does.
//!
//! Then the same stream once more at half the best rate, each command at its time whether or not the one before has been
//! answered: latency is from the time a command should have been sent to its answer in the port's hands.
//!
//! The checksum is over the books' event hashes and all balances. With one sequencer every run must have the same. Two
//! sequencers meet at the matcher as they come, unless the inputs have tickets, as in a replay: that row must have the
//! same checksum again, and shows what the order costs.

use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::AtRest;
use engine_core::executor::threads::{Port, Threads};
use engine_core::instrument::{InstrumentSpec, Market};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
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
        if threads && !tickets {
            open_loop("  open loop", shape, &market, &stream, 0.5e9 / best);
        }
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
    let (engine, mut port, mut heard) = start(shards, stream);
    let deposits = heard.reports;
    heard.answers = 0;
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

/// The engine on threads, its accounts opened and funded.
fn start(shards: AtRest, stream: &Stream) -> (Threads, Port, Heard) {
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
    // An answer for each command: the accounts are ready.
    while heard.answers < stream.opening.len() {
        heard.hear(&mut port);
    }
    while heard.take(&mut port) > 0 {}
    (engine, port, heard)
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
            Command::Submit(Submit { symbol, .. })
            | Command::Amend(Amend { symbol, .. })
            | Command::Cancel { symbol, .. }
                if with_tickets =>
            {
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
    let mut resting = Resting::default();
    let mut timed = Vec::with_capacity(commands);
    for number in 0..commands {
        let command = match resting.due(number) {
            Some(Submit { account, symbol, order_id, .. }) => Command::Cancel { account, symbol, order_id },
            None => match random.random_bool(0.35).then(|| resting.any(&mut random)).flatten() {
                Some(order) => Command::Amend(amended(order, &mut random)),
                None => {
                    let order = order(&mut random, number);
                    resting.add(order, number, &mut random);
                    Command::Submit(order)
                }
            },
        };
        timed.push(input(command));
    }
    Stream { opening, timed }
}

/// Orders that may rest, and when each is to be cancelled.
#[derive(Default)]
struct Resting {
    orders: Vec<Submit>,
    amended: Vec<bool>,
    ends: BinaryHeap<Reverse<(usize, usize)>>,
}

impl Resting {
    fn add(&mut self, order: Submit, number: usize, random: &mut ChaCha8Rng) {
        if order.time_in_force == TimeInForce::Gtc {
            // An exponential life whose median is 2,000 messages.
            let life = -(1.0 - random.random::<f64>()).log2() * 2_000.0;
            self.ends.push(Reverse((number + 1 + life as usize, self.orders.len())));
            self.orders.push(order);
        }
    }

    /// The order whose time it is.
    fn due(&mut self, number: usize) -> Option<Submit> {
        let Reverse((_, at)) = self.ends.peek().filter(|Reverse((end, _))| *end <= number)?;
        let order = self.orders[*at];
        self.ends.pop();
        Some(order)
    }

    /// One of the newest that was not amended before: while an amend is on its way another is refused, which on threads
    /// is a matter of luck.
    fn any(&mut self, random: &mut ChaCha8Rng) -> Option<Submit> {
        let newest = self.orders.len().saturating_sub(1_000);
        let at = (self.orders.len() > newest).then(|| random.random_range(newest..self.orders.len()))?;
        self.amended.resize(self.orders.len(), false);
        let before = std::mem::replace(&mut self.amended[at], true);
        (!before).then(|| self.orders[at])
    }
}

/// Fewer lots, which keep their place, or another price.
fn amended(order: Submit, random: &mut ChaCha8Rng) -> Amend {
    let Submit { account, symbol, order_id, price, quantity, .. } = order;
    let shrinks = random.random_bool(0.5);
    Amend {
        account,
        symbol,
        order_id,
        price: (!shrinks).then(|| Price(price.0 + random.random_range(0..3) - 1)),
        quantity: shrinks.then(|| Quantity(1 + quantity.0 / 2)),
    }
}

/// Around 30,000.00; a distance twice as far is half as likely.
fn order(random: &mut ChaCha8Rng, number: usize) -> Submit {
    let side = if random.random() { Side::Buy } else { Side::Sell };
    let takes = random.random_bool(0.15);
    let away = 1 + u64::from(random.random::<u64>().trailing_zeros()) * 4 + random.random_range(0..4);
    let price = match side {
        Side::Buy => 3_000_000 - away,
        Side::Sell => 3_000_000 + away,
    };
    let order = Submit::limit(
        AccountId(random.random_range(0..ACCOUNTS)),
        SymbolId(random.random_range(0..SYMBOLS)),
        ClientOrderId::new(&format!("order-{number}")).expect("a short id"),
        side,
        // An IOC reaches for the touch; most find nobody there.
        Price(if takes && side == Side::Buy {
            price + 3
        } else if takes {
            price - 3
        } else {
            price
        }),
        Quantity(random.random_range(1..=100)),
    );
    Submit { time_in_force: if takes { TimeInForce::Ioc } else { TimeInForce::Gtc }, ..order }
}

/// The stream at `rate` commands a second, each at its time. Prints how long answers take.
fn open_loop(name: &str, shape: Shape, market: &Arc<Market>, stream: &Stream, rate: f64) {
    let (engine, mut port, heard) = start(pipeline::build(shape, market), stream);
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    let apart = 1e9 / rate;
    let (start, mut sent, mut answered) = (Instant::now(), 0, 0);
    let opening = stream.opening.len();
    while answered < stream.timed.len() {
        let due = ((start.elapsed().as_nanos() as f64 / apart) as usize).min(stream.timed.len());
        while sent < due && port.submit(stream.timed[sent]).is_ok() {
            sent += 1;
        }
        port.flush();
        let now = start.elapsed().as_nanos() as f64;
        let taken = port.take_reports(usize::MAX, |report| {
            if let Recipient::Asker(origin) = report.to {
                let number = (origin.request / 2) as usize - 1 - opening;
                let latency = (now - number as f64 * apart).max(0.0);
                latencies.record(latency as u64).expect("no limit was set");
                answered += 1;
            }
        });
        if taken == 0 {
            let next = Duration::from_nanos((sent as f64 * apart) as u64).saturating_sub(start.elapsed());
            if next > Duration::from_micros(5) || sent == stream.timed.len() {
                heard.bell.wait(Some(next.min(Duration::from_micros(50))), || port.has_reports());
            }
        }
    }
    drop(port);
    engine.join().check();
    let at = |percent| latencies.value_at_percentile(percent) as f64 / 1e3;
    println!(
        "{name:<11}{rate:>8.0}/s: p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, highest {:.0} us",
        at(50.0),
        at(99.0),
        at(99.9),
        latencies.max() as f64 / 1e3
    );
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
