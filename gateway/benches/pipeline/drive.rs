//! Drives an engine with a stream: as fast as it goes, and at a rate.

use crate::disk::{histogram, percentiles};
use crate::journaled::{Kept, Written};
use crate::venue::{self, Stream};
use engine_core::bell::{Bell, ThreadBell};
use engine_core::executor::threads::{Manner, Port, Threads};
use engine_core::executor::{AtRest, MarketSink};
use engine_core::instrument::Market;
use engine_core::journal::{Durability, Watch};
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use gateway::cores::Cores;
use gateway::feed::{FeedDoor, feed};
use gateway::keeper::Keeper;
use gateway::rooms::view::View;
use gateway::rooms::{Packing, Registry};
use gateway::venue::Venue;
use hdrhistogram::Histogram;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at the reports: a reactor's turn under load. Picked by eye.
const BURST: usize = 64;

/// How long the port of the open loop rests between two looks, unless it is rung.
const LOOK_EVERY: Duration = Duration::from_micros(20);

/// What is behind the matchers, and which core runs what.
#[derive(Clone, Copy)]
pub enum Sinks {
    None,
    /// The gateway's feeds, with a room of depth and trades for each symbol.
    Feeds,
    /// The same; sequencers share a core, matchers and the port another.
    FeedsTied,
}

/// Where the logs are.
#[derive(Clone, Copy)]
pub enum Logs<'a> {
    /// In memory, which keeps nothing.
    Memory,
    /// In a journal below this directory.
    Disk(&'a Path, Durability),
}

pub struct Run {
    pub time: Duration,
    /// Of all threads: what the machine's other work disturbs least.
    pub cpu: Duration,
    pub reports: usize,
    pub written: Written,
    pub shards: AtRest,
}

pub fn inline(shards: AtRest, stream: &Stream) -> Run {
    let mut engine = pipeline::run_inline(shards);
    let mut reports = 0;
    for input in &stream.opening {
        engine.apply(input, &mut |_: &Report| {}, &mut ());
    }
    let (start, cpu) = (Instant::now(), cpu_time());
    for input in &stream.timed {
        engine.apply(input, &mut |_: &Report| reports += 1, &mut ());
    }
    let (time, cpu) = (start.elapsed(), cpu_time() - cpu);
    Run { time, cpu, reports, written: Written::default(), shards: engine.into_rest() }
}

pub fn on_threads(mut shards: AtRest, stream: &Stream, sinks: Sinks, logs: Logs) -> Run {
    let Logs::Disk(directory, durability) = logs else { return measured(shards, stream, sinks, None) };
    let kept = Kept::new(&mut shards, directory, durability);
    let run = measured(shards, stream, sinks, Some(&kept.watch()));
    remove(kept);
    run
}

fn measured(shards: AtRest, stream: &Stream, sinks: Sinks, watch: Option<&Watch>) -> Run {
    let (engine, mut port, mut heard) = start(shards, stream, sinks);
    let written = || watch.map_or(Written::default(), Written::so_far);
    let before = written();
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
    let written = written().since(before);
    drop(port);
    Run { time, cpu, reports: heard.reports - deposits, written, shards: engine.join() }
}

/// Ends a journal and takes it away.
fn remove(kept: Kept) {
    std::fs::remove_dir_all(kept.close()).expect("what was made can be removed");
}

/// The stream at `rate` commands a second, each at its time. Prints how long answers take.
pub fn open_loop(shape: Shape, sinks: Sinks, logs: Logs, stream: &Stream, rate: f64) {
    let mut shards = pipeline::build(shape, &venue::market());
    let kept = match logs {
        Logs::Memory => None,
        Logs::Disk(directory, durability) => Some(Kept::new(&mut shards, directory, durability)),
    };
    let mut latencies = histogram();
    at_rate(shards, sinks, stream, rate, |_, latency| latencies.saturating_record(latency));
    kept.into_iter().for_each(remove);
    println!("  at {rate:.0}/s: {}", told(&latencies));
}

/// The same with logs on a disk and a keeper that writes a snapshot every so many bytes. Prints how long answers take while
/// one is written, and while none is.
pub fn across_snapshots(shape: Shape, directory: &Path, stream: &Stream, rate: f64, snapshot_bytes: u64) {
    let fresh = move || pipeline::build(shape, &venue::market());
    let mut shards = fresh();
    let kept = Kept::new(&mut shards, directory, Durability::Fsync);
    let keeper = Keeper::start(kept.watch(), fresh, snapshot_bytes, None).expect("a thread can be started");
    let counters = keeper.counters.clone();
    let (mut answers, mut snapshots) = (Vec::with_capacity(stream.timed.len()), Vec::new());
    at_rate(shards, Sinks::Feeds, stream, rate, |now, latency| {
        // Noticed at its end, which is when it says how long it took.
        if counters.snapshots.get() as usize > snapshots.len() {
            let took = Duration::from_micros(counters.snapshot_us.get());
            snapshots.push((now.saturating_sub(took), now));
        }
        answers.push((now, latency));
    });
    let bytes = counters.snapshot_bytes.get() as f64 / 1e6;
    keeper.stop();
    remove(kept);
    let (mut during, mut between) = (histogram(), histogram());
    for (now, latency) in answers {
        let is_during = snapshots.iter().any(|(begin, end)| (*begin..=*end).contains(&now));
        if is_during { &mut during } else { &mut between }.saturating_record(latency);
    }
    let took: Duration = snapshots.iter().map(|(begin, end)| *end - *begin).sum();
    println!(
        "  at {rate:.0}/s, {} snapshots, {:.0} ms in all, the last of {bytes:.1} MB",
        snapshots.len(),
        took.as_secs_f64() * 1e3
    );
    println!("    while one is written: {} answers, {}", during.len(), told(&during));
    println!("    while none is:        {} answers, {}", between.len(), told(&between));
}

fn told(latencies: &Histogram<u64>) -> String {
    format!("{}, highest {:.0} µs", percentiles(latencies), latencies.max() as f64 / 1e3)
}

/// `heard_at` is told when an answer was heard, since the start, and the nanoseconds it took.
fn at_rate(
    shards: AtRest,
    sinks: Sinks,
    stream: &Stream,
    rate: f64,
    mut heard_at: impl FnMut(Duration, u64),
) {
    let (engine, mut port, heard) = start(shards, stream, sinks);
    let apart = 1e9 / rate;
    let (start, mut sent, mut answered) = (Instant::now(), 0, 0);
    let opening = stream.opening.len();
    while answered < stream.timed.len() {
        let due = ((start.elapsed().as_nanos() as f64 / apart) as usize).min(stream.timed.len());
        while sent < due && port.submit(stream.timed[sent]).is_ok() {
            sent += 1;
        }
        port.flush();
        let elapsed = start.elapsed();
        let now = elapsed.as_nanos() as f64;
        port.take_reports(usize::MAX, |report| {
            if let Recipient::Asker(origin) = report.to {
                let number = (origin.request / 2) as usize - 1 - opening;
                let latency = (now - number as f64 * apart).max(0.0);
                heard_at(elapsed, latency as u64);
                answered += 1;
            }
        });
        // The port has no core of its own to spin on: it looks in from time to time, and finds a burst of both.
        heard.bell.wait(Some(LOOK_EVERY), || false);
    }
    drop(port);
    engine.join().check();
}

/// The engine on threads, its accounts opened and funded.
fn start(shards: AtRest, stream: &Stream, sinks: Sinks) -> (Threads, Port, Heard) {
    let bell = Arc::new(ThreadBell::default());
    let bells = vec![bell.clone() as Arc<dyn Bell>];
    let (engine, mut ports) = match sinks {
        Sinks::None => {
            let markets = shards.matchers.iter().map(|_| Box::new(()) as _).collect();
            pipeline::run_threads(shards, bells, markets, Default::default())
        }
        Sinks::Feeds => with_feeds(shards, bells, Manner::default()),
        Sinks::FeedsTied => {
            let (sequencers, cores) = (shards.sequencers.len(), Cores::new(&[0, 1]));
            cores.take(1);
            let begin = Arc::new(move |thread| cores.take((thread >= sequencers) as usize));
            with_feeds(shards, bells, Manner { begin, ..Manner::default() })
        }
    };
    let mut port = ports.pop().expect("one bell, one port");
    let mut heard = Heard { bell, ..Heard::default() };
    heard.bell.attach();
    for input in &stream.opening {
        submit(&mut port, *input, &mut heard);
        if let Command::Open { account, .. } = input.command {
            while port.watch(account, true).is_err() {
                port.flush();
                heard.hear(&mut port);
            }
        }
    }
    port.flush();
    // An answer for each command: the accounts are ready.
    while heard.answers < stream.opening.len() {
        heard.hear(&mut port);
    }
    while heard.take(&mut port) > 0 {}
    (engine, port, heard)
}

fn with_feeds(shards: AtRest, bells: Vec<Arc<dyn Bell>>, manner: Manner) -> (Threads, Vec<Port>) {
    let market: Arc<Market> = venue::market();
    let venue = Arc::new(Venue::new(market.clone(), Vec::new(), 500));
    let feeds = shards.matchers.iter().map(|_| feed(venue.clone(), Vec::new(), Arc::default()));
    let (feeds, doors): (Vec<_>, Vec<_>) = feeds.unzip();
    let sinks = feeds.into_iter().map(|feed| Box::new(feed) as Box<dyn MarketSink>).collect();
    let (engine, ports) = pipeline::run_threads(shards, bells, sinks, manner);
    let registry = Registry::new(100, None);
    let doors = doors.into_iter().zip(&engine.matcher_bells);
    registry.open(doors.map(|(door, bell)| door(bell.clone())).collect::<Vec<FeedDoor>>());
    for instrument in &market.instruments {
        registry.room(instrument.id, View::DepthTrade, Packing::Plain).expect("there is room for two rooms");
    }
    (engine, ports)
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
