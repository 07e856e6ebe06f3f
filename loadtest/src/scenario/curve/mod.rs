//! `loadtest curve`: fan-out over a grid of subscribers and rates, against one server, as one table.
//!
//! Each point is a run of [`super::fanout`] of its own: subscribers come, the load is on for a while unmeasured, then it
//! is measured for some seconds, open loop. In the end the best point is met again at twice its rate: a server that is
//! asked for more than it can do should go on doing what it can.

mod results;

pub use results::{Cliff, Results, Row};

use super::fanout;
use super::flow::{Load, heavy};
use crate::report::{Outcome, Verdict};
use anyhow::Result;
use indicatif::ProgressBar;

#[derive(Clone, Debug)]
pub struct Options {
    /// Each point's, but for subscribers and load.
    pub point: fanout::Options,
    /// As many sweeps a second as a point says.
    pub load: heavy::Options,
    pub subscribers: Vec<usize>,
    pub orders_per_second: Vec<u64>,
}

/// Order ids of a point differ from those of all others.
const RUNS_OF_A_POINT: u64 = 100;

/// Of the best point's frames, what twice its rate must still deliver for it to be no cliff.
const DELIVERED_AT_TWICE_MIN: f64 = 0.9;

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let grid: Vec<(usize, u64)> = options
        .subscribers
        .iter()
        .flat_map(|subscribers| options.orders_per_second.iter().map(|rate| (*subscribers, *rate)))
        .collect();
    progress.set_length(grid.len() as u64 + 1);
    let number_of_twice = grid.len();
    let (mut rows, mut verdict) = (Vec::new(), Verdict::default());
    for (index, at) in grid.into_iter().enumerate() {
        rows.extend(point(options, at, index, &mut verdict, progress).await);
    }
    let best =
        rows.iter().max_by(|one: &&Row, other| one.frames_per_second.total_cmp(&other.frames_per_second));
    let cliff = match best.cloned() {
        Some(best) => {
            let at = (best.subscribers, best.orders_per_second * 2);
            let twice = point(options, at, number_of_twice, &mut verdict, progress).await;
            twice.map(|twice| Cliff::of(&best, twice, DELIVERED_AT_TWICE_MIN))
        }
        None => None,
    };
    Ok(Outcome { results: Results::new(options.load.trades_per_sweep, rows, cliff), verdict })
}

/// None if it failed, and the verdict says why: the other points are worth knowing all the same.
async fn point(
    options: &Options,
    (subscribers, orders_per_second): (usize, u64),
    index: usize,
    verdict: &mut Verdict,
    progress: &ProgressBar,
) -> Option<Row> {
    let who = format!("{subscribers} subscribers, {orders_per_second} orders/s");
    progress.set_message(who.clone());
    let mut load = heavy::Options { sweeps_per_second: orders_per_second, ..options.load.clone() };
    load.run += RUNS_OF_A_POINT * index as u64;
    let mut fanned = options.point.clone();
    fanned.plan.subscribers = subscribers;
    fanned.load = Some(Load::Sweeps(load));
    let outcome = fanout::run(&fanned, &ProgressBar::hidden()).await;
    progress.inc(1);
    match outcome {
        Ok(Outcome { results, verdict: found }) => {
            verdict.merge(found.named(&who));
            Some(Row::of(orders_per_second, &results))
        }
        Err(error) => {
            verdict.violate(format!("{who}: {error:#}"));
            None
        }
    }
}
