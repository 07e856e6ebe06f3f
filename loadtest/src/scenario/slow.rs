//! `loadtest slow`: some subscribers stop reading for a while; the others must not notice, and the slow ones must be
//! told what they missed.
//!
//! A stalled reader really does not read: its small receive buffer fills, then the server's send buffer. When it reads
//! on, the contract leaves the server three ways, all of them announced: nothing was lost; it was lapped (a fresh
//! snapshot, and a gap that names the missing trades); it was closed.

use super::fleet::{Clients, DRAIN, Fleet, Full, Landed, Meter, Phase, Plan};
use super::flow::{self, Flow};
use crate::check::Violation;
use crate::client::{Dial, Following};
use crate::monitor::Sample;
use crate::report::{Outcome, Percentiles, Verdict};
use crate::target::Target;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// So that a stall is felt after kilobytes rather than the megabytes loopback sockets grow to. The kernel doubles it.
const STALLED_RECEIVE_BYTES: u32 = 16 << 10;

/// How much longer than asked for a stall may take until enough has been sent.
const STALL_PATIENCE: Duration = Duration::from_secs(60);

const LIVE_TIMEOUT: Duration = Duration::from_secs(60);
const MEETING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Options {
    /// The ones that read all the time.
    pub plan: Plan,
    pub stalled: usize,
    /// Before the stall, for comparison.
    pub baseline: Duration,
    pub stall: Duration,
    /// The stall goes on until each of the others has had so many frames, on a machine that is slow today.
    pub stall_frames: u64,
    /// After the stall, under load still, before the run ends.
    pub recovery: Duration,
    /// Whether a stall that loses nothing is a failure: it was too short to test anything.
    pub expect_lap: bool,
    pub flow: Option<flow::Options>,
}

#[derive(Debug, Serialize)]
pub struct Results {
    pub reading: usize,
    pub stalled: usize,
    /// Of the reading subscribers.
    pub latency_before: Percentiles,
    pub latency_during_stall: Percentiles,
    pub latency_after: Percentiles,
    pub reading_laps: u64,
    pub reading_books_compared: usize,
    pub caught_up: usize,
    pub lapped: usize,
    pub closed: usize,
    pub closed_reasons: Vec<String>,
    pub stalled_laps: u64,
    pub stalled_gaps: u64,
    pub trades_announced_missing: u64,
    pub flow: Option<flow::Counts>,
    pub samples: Vec<Sample>,
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
    let mut stalling = JoinSet::new();
    for _ in 0..options.stalled {
        let following = stalled_reader(&options.plan).await?;
        stalling.spawn(stall(following, fleet.phase()));
    }
    let flow = match &options.flow {
        Some(flow) => Some(Flow::start(flow).await?),
        None => None,
    };
    for (phase, duration) in [
        (Phase::Steady, options.baseline),
        (Phase::Stalled, options.stall),
        (Phase::Recovery, options.recovery),
    ] {
        fleet.enter(phase);
        let before = fleet.frames();
        fleet.pass(duration, progress).await;
        if phase == Phase::Stalled {
            go_on(&fleet, before + options.stall_frames * options.plan.subscribers as u64, progress).await;
        }
    }
    let flow = match flow {
        Some(flow) => Some(flow.stop().await?),
        None => None,
    };
    let mut results = Results::new(&fleet, options, flow);
    let mut landed = fleet.land().await?;
    results.take_reading(&mut landed, &options.plan.target).await;
    let mut verdict = landed.verdict;
    while let Some(home) = stalling.join_next().await {
        let following = home.context("a stalled reader's task")??.following;
        results.take_stalled(following, &options.plan.target, &mut verdict).await;
    }
    let outrun = results.lapped + results.closed == results.stalled;
    verdict.expect(outrun || !options.expect_lap, || {
        "a stalled reader lost nothing: stall longer or faster".into()
    });
    let (reading, wanted) = (results.reading, options.plan.subscribers);
    verdict.expect(reading == wanted, || format!("{reading} of {wanted} subscribers read to the end"));
    if let Some(complaint) = results.flow.as_ref().and_then(flow::Counts::complaint) {
        verdict.violate(complaint);
    }
    Ok(Outcome { results, verdict })
}

/// Lets time pass until there have been so many frames, if they ever come.
async fn go_on(fleet: &Fleet, frames: u64, progress: &ProgressBar) {
    let until = Instant::now() + STALL_PATIENCE;
    while fleet.frames() < frames && Instant::now() < until {
        fleet.pass(Duration::from_secs(1), progress).await;
    }
}

async fn stalled_reader(plan: &Plan) -> Result<Following> {
    let how = Dial { receive_buffer_bytes: Some(STALLED_RECEIVE_BYTES), ..Dial::default() };
    let mut following = Following::subscribe_by(&plan.target, &plan.channel, how).await?;
    following.until_live(Instant::now() + LIVE_TIMEOUT).await?;
    Ok(following)
}

/// Reads until the stall, then not, then again.
async fn stall(following: Following, mut phase: watch::Receiver<Phase>) -> Result<Full> {
    let unmeasured = Meter::default();
    let mut full = Full::new(following, false);
    full.watch(&unmeasured, phase.clone(), Phase::Stalled).await?;
    phase.wait_for(|phase| *phase >= Phase::Recovery).await.context("the run ended in the stall")?;
    full.watch(&unmeasured, phase, Phase::Draining).await?;
    full.drain(DRAIN, &unmeasured).await?;
    Ok(full)
}

impl Results {
    fn new(fleet: &Fleet, options: &Options, flow: Option<flow::Counts>) -> Self {
        Results {
            reading: 0,
            stalled: options.stalled,
            latency_before: fleet.full.percentiles(Phase::Steady),
            latency_during_stall: fleet.full.percentiles(Phase::Stalled),
            latency_after: fleet.full.percentiles(Phase::Recovery),
            reading_laps: 0,
            reading_books_compared: 0,
            caught_up: 0,
            lapped: 0,
            closed: 0,
            closed_reasons: Vec::new(),
            stalled_laps: 0,
            stalled_gaps: 0,
            trades_announced_missing: 0,
            flow,
            samples: fleet.samples(),
        }
    }

    async fn take_reading(&mut self, landed: &mut Landed, target: &Target) {
        self.reading = landed.full.len();
        self.reading_laps = landed.laps();
        self.reading_books_compared = landed.compare_books(target).await;
    }

    async fn take_stalled(&mut self, mut following: Following, target: &Target, verdict: &mut Verdict) {
        if following.follower.has_book()
            && !following.is_closed()
            && let Err(error) = following.compare_with_fresh(target, MEETING_TIMEOUT).await
        {
            verdict.violate(format!("comparing a stalled reader's book: {error:#}"));
        }
        let follower = &following.follower;
        let counts = follower.counts();
        self.stalled_laps += follower.laps();
        self.stalled_gaps += counts.gaps;
        self.trades_announced_missing += counts.trades_announced_missing;
        match follower.violations().iter().find(|violation| matches!(violation, Violation::Closed { .. })) {
            Some(Violation::Closed { reason }) => {
                self.closed += 1;
                if !self.closed_reasons.contains(reason) {
                    self.closed_reasons.push(reason.clone());
                }
            }
            _ if follower.laps() + counts.gaps > 0 => self.lapped += 1,
            _ => self.caught_up += 1,
        }
        // Being closed is a way the contract allows; anything else said before it is not.
        for violation in
            follower.violations().iter().filter(|fault| !matches!(fault, Violation::Closed { .. }))
        {
            verdict.violate(format!("stalled reader: {violation}"));
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results { reading, stalled, caught_up, lapped, closed, .. } = self;
        writeln!(f, "{reading} subscribers read on while {stalled} stalled")?;
        writeln!(f, "  event to receipt before the stall: {}", self.latency_before)?;
        writeln!(f, "  event to receipt during it:        {}", self.latency_during_stall)?;
        writeln!(f, "  event to receipt after it:         {}", self.latency_after)?;
        writeln!(
            f,
            "  {} laps among them; {} books compared",
            self.reading_laps, self.reading_books_compared
        )?;
        writeln!(f, "  stalled: {caught_up} caught up without loss, {lapped} lapped, {closed} closed")?;
        let Results { stalled_laps, stalled_gaps, trades_announced_missing, .. } = self;
        write!(
            f,
            "  {stalled_laps} fresh snapshots, {stalled_gaps} gaps naming {trades_announced_missing} trades"
        )?;
        for reason in &self.closed_reasons {
            write!(f, "\n  closed: {reason}")?;
        }
        match &self.flow {
            Some(flow) => write!(f, "\n  flow: {flow}"),
            None => Ok(()),
        }
    }
}
