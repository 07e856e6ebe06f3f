//! How does our book compare with the published Rust books, on the same commands?
//!
//! - `stream`: what a command is. `market` draws streams, `capture` reads a recorded one.
//! - `engines`: how each engine is driven.
//! - `measure`: rounds for the mean, one pass for single commands; `clock` is what that pass reads.
//! - `report`: the table, and who differs from the judge in what.

mod capture;
mod clock;
mod engines;
mod market;
mod measure;
mod report;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use engine_core::book::{Fast, Plain};

use crate::clock::Clock;
use crate::engines::{lobster::Lobster, matchcore::Matchcore, nanobook::Nanobook, orderbook_rs::OrderbookRs};
use crate::measure::Contestant;
use crate::stream::Stream;

/// The rivals allocate on every order; ours does not. So they get the better allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Drives our order book and four published ones with the same commands, takes the time and compares what they did.
///
/// Each stream is drawn (or read) beforehand. A round runs it once through each engine in turn, each from an empty
/// book; filling the book is not timed. The engines then run once more with every command timed by itself. The first
/// row is ours and the ratios are to it; "ringside plain" is the slow and obviously correct book that judges: who
/// does not make its fills or end with its book is printed with what differs.
#[derive(Parser)]
struct Arguments {
    /// Timed messages of a drawn stream.
    #[arg(long, default_value_t = 2_000_000)]
    messages: usize,
    /// How often each engine runs each stream.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only the streams of these names: mix, deep, sweep, wide, touch, bitstamp.
    #[arg(long, value_delimiter = ',')]
    streams: Vec<String>,
    /// Only the engines whose names begin so; ours always runs.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// A recorded market: `orders.csv.gz` of the Bitstamp L3 recording.
    #[arg(long)]
    capture: Option<PathBuf>,
    /// Seconds an engine has for a round before it is stopped.
    #[arg(long, default_value_t = 20.0)]
    budget: f64,
    /// Of the drawn streams.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let clock = Clock::new();
    println!("seed {}, {} messages, {} rounds", arguments.seed, arguments.messages, arguments.rounds);
    println!("p50 to p99.9 are of single commands, with the {} ns the clock itself takes", clock.floor());
    let wanted = |name: &str| arguments.streams.is_empty() || arguments.streams.iter().any(|it| it == name);
    for market in market::markets() {
        if wanted(market.name) {
            compete(&market.draw(arguments.messages, arguments.seed), &arguments, &clock);
        }
    }
    if let Some(path) = &arguments.capture
        && wanted("bitstamp")
    {
        compete(&capture::load(path)?, &arguments, &clock);
    }
    Ok(())
}

fn compete(stream: &Stream, arguments: &Arguments, clock: &Clock) {
    let mut contestants = vec![
        Contestant::new::<Fast>(stream),
        Contestant::new::<Plain>(stream),
        Contestant::new::<Matchcore>(stream),
        Contestant::new::<Nanobook>(stream),
        Contestant::new::<Lobster>(stream),
        Contestant::new::<OrderbookRs>(stream),
    ];
    contestants.retain(|contestant| {
        let name = contestant.name;
        name == "ringside"
            || arguments.engines.is_empty()
            || arguments.engines.iter().any(|it| name.starts_with(it))
    });
    let budget = Duration::from_secs_f64(arguments.budget);
    for _ in 0..arguments.rounds {
        for contestant in &mut contestants {
            contestant.run(stream, budget);
        }
    }
    for contestant in &mut contestants {
        contestant.time_each(stream, clock);
    }
    report::print(stream, &contestants);
}
