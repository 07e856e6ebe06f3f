//! What `simulate` may be asked for.

use clap::Args;
use gateway::simulate::Options;
use serde::Serialize;

#[derive(Args, Serialize)]
pub struct Simulate {
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    connections: u64,
    /// Symbols; their popularity follows Zipf's law
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    symbols: u64,
    /// Steps of simulated time, a tenth of a second each
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    ticks: u32,
    /// Commands in a tick, of all symbols together
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    commands_per_tick: u32,
    /// Of a thousand clients, those that drain slowly
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=500))]
    slow_per_mille: u32,
    /// Of a thousand clients, those that stop reading for a while, or for good
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=500))]
    stalled_per_mille: u32,
    /// Clients of each reactor, a million at most, that break off in a tick; as many new ones come
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    resets_per_tick: u32,
}

const TICK_US: u64 = 100_000;
const OF_A_REACTOR: u64 = 1_000_000;

impl Simulate {
    pub fn options(&self, seed: u64, threads: u64) -> Options {
        Options {
            connections: self.connections,
            of_a_reactor: OF_A_REACTOR,
            symbols: self.symbols as usize,
            ticks: self.ticks,
            tick_us: TICK_US,
            commands_per_tick: self.commands_per_tick,
            slow_per_mille: self.slow_per_mille,
            stalled_per_mille: self.stalled_per_mille,
            resets_per_tick: self.resets_per_tick,
            threads: threads as usize,
            seed,
        }
    }
}
