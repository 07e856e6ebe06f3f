//! Running an engine over a stream: once for time, once for the time of each command.

use std::time::{Duration, Instant};

use engine_core::units::Side;
use hdrhistogram::Histogram;

use crate::clock::Clock;
use crate::engines::{Engine, Tally};
use crate::stream::{Command, Stream};

/// Levels a side that are compared at the end.
pub const DEPTH: usize = 20;

/// How often a slow engine is asked whether it has used up its time.
const BETWEEN_LOOKS: usize = 1024;

/// An engine and the stream in its own words.
pub struct Contestant {
    pub name: &'static str,
    pub nanoseconds: Vec<f64>,
    pub result: Option<RoundResult>,
    pub latency: Option<Histogram<u64>>,
    commands: Vec<Command>,
    round: fn(&Stream, &[Command], Duration) -> RoundResult,
    timed: fn(&Stream, &[Command], &Clock) -> Histogram<u64>,
}

/// What a round came to.
#[derive(Clone, Debug)]
pub struct RoundResult {
    /// Mean time of a timed command.
    pub nanoseconds: f64,
    /// Timed commands it got through before its time was over.
    pub done: usize,
    pub tally: Tally,
    pub bids: Vec<(u64, u64)>,
    pub asks: Vec<(u64, u64)>,
}

impl Contestant {
    pub fn new<E: Engine>(stream: &Stream) -> Contestant {
        Contestant {
            name: E::NAME,
            nanoseconds: Vec::new(),
            result: None,
            latency: None,
            commands: E::rename(&stream.commands),
            round: round::<E>,
            timed: timed::<E>,
        }
    }

    /// Whether it did the whole stream within its time.
    pub fn finished(&self, stream: &Stream) -> bool {
        self.result.as_ref().is_none_or(|result| result.done == stream.commands.len() - stream.timed_from)
    }

    /// Runs once more. An engine that did not finish its first round is not asked again.
    pub fn run(&mut self, stream: &Stream, budget: Duration) {
        if !self.finished(stream) {
            return;
        }
        let result = (self.round)(stream, &self.commands, budget);
        self.nanoseconds.push(result.nanoseconds);
        self.result = Some(result);
    }

    pub fn time_each(&mut self, stream: &Stream, clock: &Clock) {
        if self.finished(stream) {
            self.latency = Some((self.timed)(stream, &self.commands, clock));
        }
    }
}

fn round<E: Engine>(stream: &Stream, commands: &[Command], budget: Duration) -> RoundResult {
    let (filling, timed) = commands.split_at(stream.timed_from);
    let mut engine = E::new(stream);
    let mut tally = Tally::default();
    let filled = run(&mut engine, filling, &mut tally, budget).0 == filling.len();
    // A book that could not be filled in time is still timed for a moment, as it is.
    let budget = if filled { budget } else { budget / 10 };
    let (done, took) = run(&mut engine, timed, &mut tally, budget);
    RoundResult {
        nanoseconds: took.as_nanos() as f64 / done.max(1) as f64,
        done: if filled { done } else { done.min(timed.len() - 1) },
        tally,
        bids: engine.depth(Side::Buy, DEPTH),
        asks: engine.depth(Side::Sell, DEPTH),
    }
}

/// How many commands were applied before the time was over, and how long they took.
fn run(
    engine: &mut impl Engine,
    commands: &[Command],
    tally: &mut Tally,
    budget: Duration,
) -> (usize, Duration) {
    let start = Instant::now();
    let mut done = 0;
    for some in commands.chunks(BETWEEN_LOOKS) {
        if start.elapsed() > budget {
            break;
        }
        for command in some {
            engine.apply(command, tally);
        }
        done += some.len();
    }
    (done, start.elapsed())
}

fn timed<E: Engine>(stream: &Stream, commands: &[Command], clock: &Clock) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are allowed");
    let mut engine = E::new(stream);
    let mut tally = Tally::default();
    let (filling, timed) = commands.split_at(stream.timed_from);
    for command in filling {
        engine.apply(command, &mut tally);
    }
    for command in timed {
        let start = clock.now();
        engine.apply(command, &mut tally);
        let ticks = clock.now() - start;
        histogram.record(clock.nanoseconds(ticks)).expect("no limit was set");
    }
    std::hint::black_box(tally);
    histogram
}
