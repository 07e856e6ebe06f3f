//! `loadtest slow`: some subscribers stop reading for a while; the others must not notice, and the slow ones must be
//! told what they missed.
//!
//! ```text
//! warm-up, then each round:   baseline ──▶ stall ──▶ recovery
//!                             everybody    some do   all read on,
//!                             reads        not read  under load still
//! ```
//! A recovery also lasts until those that stalled have caught up with the reference. The two kinds of windows take turns in one run, so what the machine does besides is in both. A stalled reader really
//! does not read: its small receive buffer fills, then the server's send buffer. When it reads on, the contract leaves
//! the server three ways, all of them announced: nothing was lost; it was lapped (a fresh snapshot, and a gap that
//! names the missing trades); it was closed with the code for slow readers.

mod results;
mod stalled;

pub use results::Results;
pub use stalled::{End, Stalled};

use super::fleet::{Clients, Fleet, Phase, Plan};
use super::flow::{self, Load};
use super::windows::{Begun, Window};
use crate::report::Outcome;
use anyhow::Result;
use indicatif::ProgressBar;
use stalled::Stalling;
use std::time::Duration;
use tokio::time::Instant;

/// How much longer than asked for a stall may take until enough has been sent.
const STALL_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Options {
    /// The ones that read all the time.
    pub plan: Plan,
    pub stalled: usize,
    /// Under load before the first window.
    pub warm_up: Duration,
    /// Before each stall, for comparison.
    pub baseline: Duration,
    pub stall: Duration,
    /// The stall goes on until each of the others has had so many frames, on a machine that is slow today.
    pub stall_frames: u64,
    /// After the stall, under load still; longer if those that stalled have not caught up by then.
    pub recovery: Duration,
    pub rounds: usize,
    /// Room for what each stalled reader gets, all of which is checked when the run is over.
    pub record_bytes_max: usize,
    /// Whether a stall that loses nothing, of any reader in any round, is a failure: it was too short to test anything.
    pub expect_lap: bool,
    pub load: Option<Load>,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    run_as(options, &Clients::default(), progress).await
}

pub async fn run_as(
    options: &Options,
    clients: &Clients,
    progress: &ProgressBar,
) -> Result<Outcome<Results>> {
    let fleet = Fleet::launch_as(&options.plan, clients, progress).await?;
    let mut stalling = Stalling::launch(options).await?;
    let load = match &options.load {
        Some(load) => Some(load.start(0).await?),
        None => None,
    };
    fleet.pass(options.warm_up, progress).await;
    let mut windows = Vec::new();
    for _ in 0..options.rounds {
        round(options, &fleet, &mut stalling, &mut windows, progress).await;
    }
    let flow = match load {
        Some(load) => Some(load.stop().await?),
        None => None,
    };
    finish(options, (fleet, stalling), windows, flow).await
}

async fn round(
    options: &Options,
    fleet: &Fleet,
    stalling: &mut Stalling,
    windows: &mut Vec<Window>,
    progress: &ProgressBar,
) {
    let begun = Begun::enter(fleet, Phase::Steady);
    fleet.pass(options.baseline, progress).await;
    windows.push(begun.end(fleet));
    stalling.stall();
    let begun = Begun::enter(fleet, Phase::Stalled);
    fleet.pass(options.stall, progress).await;
    let wanted = begun.frames + options.stall_frames * options.plan.subscribers as u64;
    go_on(fleet, wanted, progress).await;
    windows.push(begun.end(fleet));
    stalling.read_on();
    let begun = Begun::enter(fleet, Phase::Recovery);
    fleet.pass(options.recovery, progress).await;
    // What they catch up with takes time of the machine, which no window without a stall may have in it.
    let stalled_behind = stalling.catch_up(fleet.reached()).await;
    let mut window = begun.end(fleet);
    window.stalled_behind = stalled_behind;
    windows.push(window);
}

/// Lets time pass until there have been so many frames, if they ever come.
async fn go_on(fleet: &Fleet, frames: u64, progress: &ProgressBar) {
    let until = Instant::now() + STALL_PATIENCE;
    while fleet.frames() < frames && Instant::now() < until {
        fleet.pass(Duration::from_secs(1), progress).await;
    }
}

async fn finish(
    options: &Options,
    (fleet, stalling): (Fleet, Stalling),
    windows: Vec<Window>,
    flow: Option<flow::Counts>,
) -> Result<Outcome<Results>> {
    let mut results = Results::new(options, windows, flow, fleet.samples());
    let mut landed = fleet.land().await?;
    let stalled = stalling.land(options, landed.reference()).await?;
    results.take_reading(&mut landed, &options.plan.target).await;
    let mut verdict = landed.verdict;
    results.take_stalled(stalled, options.rounds, &mut verdict);
    let (stalls, rounds) = (results.stalls, options.rounds);
    let without = stalls - results.stalls_with_lap;
    verdict.expect(without == 0 || !options.expect_lap, || {
        format!("{without} of {stalls} stalls, {rounds} of each reader, lost nothing: stall longer or faster")
    });
    let (laps, gaps) = (results.reading_laps, results.reading_gaps);
    verdict.expect(laps + gaps == 0, || {
        format!("those that read had {laps} laps and {gaps} gaps: a stall of others may cost them nothing")
    });
    let (reading, wanted) = (results.reading, options.plan.subscribers);
    verdict.expect(reading == wanted, || format!("{reading} of {wanted} subscribers read to the end"));
    if let Some(complaint) = results.flow.as_ref().and_then(flow::Counts::complaint) {
        verdict.violate(complaint);
    }
    Ok(Outcome { results, verdict })
}
