//! The sharded engine in a bad world: seeded, in one thread, on the real state machines.
//!
//! A seed draws everything ([`plan`]): how many shards, how small the lanes between them, who trades what, and what
//! goes wrong. The [`world`] then lets shards take turns in any order and carries their messages over [`links`] that
//! keep their order and promise nothing else: messages are late, come again, go missing and are sent anew. Shards
//! stall on full lanes, and [`crash`] and come back from their logs.
//!
//! What must be true is watched from outside:
//! - [`clients`] do their own arithmetic on what accounts are told: one answer to each request, histories without a
//!   gap, every atom and every lot accounted for.
//! - the tape ([`crate::witness`]) keeps levels, sequences and trade ids by market events alone.
//! - [`history`] judges, once all is quiet, what each matcher did with what it got: by a model around
//!   the plain book, by the [`crate::auditor`], and by an engine of one sequencer and one matcher.
//! - now and then everything is looked at while it moves: holds, books, and money with what is on the way.
//!
//! [`commands`] makes what customers ask for; a new command begins there.
//!
//! - `SIM_SEEDS=10000` runs more seeds than the quick default; `SIM_MINUTES=10` runs as many as fit, from `SIM_FIRST`.
//! - `SIM_SEED=42` runs that one alone, as a failure advises.

mod clients;
mod commands;
mod crash;
mod history;
mod links;
mod model;
mod plan;
mod world;

use engine_core::message::Reject;
use std::time::{Duration, Instant};
use world::{Seen, World};

const SEEDS_DEFAULT: u64 = 1000;
/// From so many seeds on a run must have come across everything it is for.
const SEEDS_FOR_ALL: u64 = 500;

#[test]
fn whatever_happens_between_shards_the_exchange_is_the_same() {
    if let Some(seed) = variable("SIM_SEED") {
        println!("seed {seed}: {:?}", World::new(seed).run());
        return;
    }
    let first = variable("SIM_FIRST").unwrap_or(0);
    let start = Instant::now();
    let goes_on: Box<dyn Fn(u64) -> bool> = match variable("SIM_MINUTES") {
        Some(minutes) => Box::new(move |_| start.elapsed() < Duration::from_secs(60 * minutes)),
        None => {
            let seeds = variable("SIM_SEEDS").unwrap_or(SEEDS_DEFAULT);
            Box::new(move |seed| seed < first + seeds)
        }
    };
    let mut sum = Seen::default();
    let mut seed = first;
    while goes_on(seed) {
        let Ok(seen) = std::panic::catch_unwind(|| World::new(seed).run()) else {
            panic!("the simulated exchange broke; see above, and run again with SIM_SEED={seed}");
        };
        sum.add(&seen);
        seed += 1;
    }
    let (seeds, seconds) = (seed - first, start.elapsed().as_secs_f64());
    println!("{seeds} seeds from {first}, {:.0} seeds/s, {} steps", seeds as f64 / seconds, sum.steps);
    println!("{sum:?}");
    if seeds >= SEEDS_FOR_ALL {
        sum.misses_nothing();
    }
}

impl Seen {
    fn add(&mut self, other: &Seen) {
        for (sum, count) in self.counts().into_iter().zip(other.clone().counts()) {
            *sum += *count;
        }
        for (sum, count) in self.rejects.iter_mut().zip(other.rejects) {
            *sum += count;
        }
    }

    /// A simulator in which nobody meets finds nothing.
    fn misses_nothing(&mut self) {
        assert!(self.counts().iter().all(|count| **count > 0), "not everything was met: {self:?}");
        // Bounds on numbers of orders are far above what a seed has.
        let out_of_reach = [Reject::TooManyOrders, Reject::Overloaded];
        for reason in Reject::ALL.into_iter().filter(|reason| !out_of_reach.contains(reason)) {
            assert!(self.rejects[reason as usize] > 0, "no seed met {reason:?}");
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
