//! `loadtest rush`: a crowd comes all at once, as after an outage, and wants the book; those who are there must not notice.
//!
//! ```text
//! warm-up, then each round:   all read ──▶ a crowd came ─────────────────▶ after it
//!                                          until each of it has its book    it has left
//! ```
//! The book is as deep as asked for, so that its snapshot is large: what a server copies for each of the crowd, or sends
//! before it does anything else, shows in its memory and in the latency of the others. Those connect as fast as the server lets
//! them, some at the same time, and read as fast as they can. They share the machine with everybody else, and what they
//! read takes time of it, so the latency of the others grows with what the crowd gets; what it may not do is to stop.

mod depth;
mod results;

pub use results::{Crowd, Results};

use super::fleet::{Clients, Fleet, Phase, Plan};
use super::flow::{self, Load};
use super::windows::{Begun, Window};
use crate::market::Market;
use crate::report::{Outcome, Verdict};
use anyhow::Result;
use depth::Depth;
use indicatif::ProgressBar;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    /// Those who are there.
    pub plan: Plan,
    /// How these are read. The process in it is looked at for the memory that a rush takes.
    pub clients: Clients,
    pub newcomers: usize,
    pub market: Market,
    /// Of the book, on each side, beside what the load rests there.
    pub levels: u32,
    pub warm_up: Duration,
    /// Before each rush, for comparison.
    pub before: Duration,
    /// After each.
    pub after: Duration,
    pub rounds: usize,
    pub load: Option<Load>,
    /// Order ids of this run differ from any earlier run's.
    pub run: u64,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let depth = Depth::place(&options.plan.target, &options.market, options.levels, options.run).await?;
    let outcome = run_beside(options, progress).await;
    let removed = depth.remove().await;
    let mut outcome = outcome?;
    if let Err(error) = removed {
        outcome.verdict.violate(format!("taking the deep book away: {error:#}"));
    }
    Ok(outcome)
}

/// With the book as deep as it is.
async fn run_beside(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let fleet = Fleet::launch_as(&options.plan, &options.clients, progress).await?;
    let load = match &options.load {
        Some(load) => Some(load.start(0).await?),
        None => None,
    };
    fleet.pass(options.warm_up, progress).await;
    let (mut windows, mut crowds, mut verdict) = (Vec::new(), Vec::new(), Verdict::default());
    for _ in 0..options.rounds {
        let begun = Begun::enter(&fleet, Phase::Steady);
        fleet.pass(options.before, progress).await;
        windows.push(begun.end(&fleet));
        crowds.push(rush(options, &fleet, (&mut windows, &mut verdict), progress).await?);
    }
    let flow = match load {
        Some(load) => Some(load.stop().await?),
        None => None,
    };
    finish(options, fleet, (windows, crowds), verdict, flow).await
}

async fn rush(
    options: &Options,
    fleet: &Fleet,
    (windows, verdict): (&mut Vec<Window>, &mut Verdict),
    progress: &ProgressBar,
) -> Result<Crowd> {
    let plan = Plan { subscribers: options.newcomers, ..options.plan.clone() };
    let clients = Clients { checked: Some(1), pid: None, ..options.clients.clone() };
    let memory = results::Memory::begin(options.clients.pid);
    let begun = Begun::enter(fleet, Phase::Rush);
    let crowd = Fleet::launch_as(&plan, &clients, progress).await?;
    let window = begun.end(fleet);
    let came = Crowd {
        live: crowd.live,
        seconds: window.seconds,
        memory_before_bytes: memory.before,
        memory_peak_bytes: memory.peak(),
    };
    windows.push(window);
    let begun = Begun::enter(fleet, Phase::Recovery);
    verdict.merge(crowd.land().await?.verdict);
    fleet.pass(options.after, progress).await;
    windows.push(begun.end(fleet));
    Ok(came)
}

async fn finish(
    options: &Options,
    fleet: Fleet,
    (windows, crowds): (Vec<Window>, Vec<Crowd>),
    mut verdict: Verdict,
    flow: Option<flow::Counts>,
) -> Result<Outcome<Results>> {
    let mut results = Results::new(options, windows, crowds, flow, fleet.samples());
    let mut landed = fleet.land().await?;
    results.take(&mut landed, &options.plan.target).await;
    verdict.merge(landed.verdict);
    results.judge(options, &mut verdict);
    Ok(Outcome { results, verdict })
}
