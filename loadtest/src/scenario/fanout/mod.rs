//! `loadtest fanout`: many subscribers of one channel, how fast and how faithfully they are served.
//!
//! The measured time is one window, or several with others between them that a bare loop of sends has for itself (see
//! [`super::bare`]); the fleet stays connected all the while.

mod results;

pub use results::{Against, Results};

use super::bare;
use super::fleet::{Clients, Fleet, Landed, Meter, Phase, Plan};
use super::flow::{self, Load};
use crate::counters::Counters;
use crate::monitor::Usage;
use crate::report::Outcome;
use crate::target::Target;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct Options {
    pub plan: Plan,
    pub clients: Clients,
    pub duration: Duration,
    /// Without a load of ours the server must have its own.
    pub load: Option<Load>,
    /// Where the server tells what it sent.
    pub counters: Option<Target>,
    /// The loop to measure against, and how many windows we and it have, in turns.
    pub against: Option<(bare::Child, usize)>,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let fleet = Fleet::launch_as(&options.plan, &options.clients, progress).await?;
    let mut results = Results::new(options, fleet.live);
    let mut windows = 0;
    loop {
        let running = match &options.load {
            Some(load) => Some(load.start(windows).await?),
            None => None,
        };
        let window = Window::open(&fleet, options).await;
        fleet.pass(options.duration, progress).await;
        results.add(window.close(&fleet, options).await?);
        if let Some(running) = running {
            results.flowed(running.stop().await?);
        }
        let Some((child, windows_wanted)) = &options.against else { break };
        let size = results.send_and_frame_bytes().context("the server did not say what it sent")?;
        let found = child.run(&options.plan, size, options.duration).await?;
        results.against.get_or_insert_default().add(found);
        windows += 1;
        if windows == *windows_wanted {
            break;
        }
    }
    finish(options, fleet, results).await
}

async fn finish(options: &Options, fleet: Fleet, mut results: Results) -> Result<Outcome<Results>> {
    let meters: [Arc<Meter>; 2] = [fleet.full.clone(), fleet.lean.clone()];
    results.samples = fleet.samples();
    let mut landed = fleet.land().await?;
    let [full, lean] = meters.map(|meter| meter.percentiles(Phase::Steady));
    (results.latency, results.latency_lean) = (full, lean);
    results.take(&mut landed, &options.plan.target).await;
    let Landed { mut verdict, .. } = landed;
    let (live, wanted) = (results.live, options.plan.subscribers);
    verdict.expect(live == wanted, || format!("{live} of {wanted} subscribers became live"));
    if let Some(complaint) = results.flow.as_ref().and_then(flow::Counts::complaint) {
        verdict.violate(complaint);
    }
    Ok(Outcome { results, verdict })
}

/// A measured time that has begun.
struct Window {
    start: Instant,
    frames: u64,
    bytes: u64,
    counters: Option<Counters>,
    server: Option<Usage>,
    client: Option<Usage>,
}

/// A measured time that is over.
pub(super) struct Measured {
    pub seconds: f64,
    pub frames: u64,
    pub bytes: u64,
    pub counters: Option<Counters>,
    pub server_cpu: Option<Duration>,
    pub client_cpu: Option<Duration>,
}

impl Window {
    async fn open(fleet: &Fleet, options: &Options) -> Self {
        let counters = match &options.counters {
            Some(host) => Counters::fetch(host).await.ok(),
            None => None,
        };
        fleet.enter(Phase::Steady);
        fleet.sample();
        let (bytes, server, client) =
            (fleet.lean.total().bytes, server(options), Usage::of(std::process::id()));
        Window { start: Instant::now(), frames: fleet.frames(), bytes, counters, server, client }
    }

    async fn close(self, fleet: &Fleet, options: &Options) -> Result<Measured> {
        let seconds = self.start.elapsed().as_secs_f64();
        let (frames, bytes) = (fleet.frames() - self.frames, fleet.lean.total().bytes - self.bytes);
        let spent = |now: Option<Usage>, then: Option<Usage>| Some(now?.cpu.saturating_sub(then?.cpu));
        let server_cpu = spent(server(options), self.server);
        let client_cpu = spent(Usage::of(std::process::id()), self.client);
        // What trickles in from here on is not the steady state.
        fleet.enter(Phase::Recovery);
        let counters = match (&options.counters, self.counters) {
            (Some(host), Some(before)) => Some(Counters::fetch(host).await?.since(&before)),
            _ => None,
        };
        Ok(Measured { seconds, frames, bytes, counters, server_cpu, client_cpu })
    }
}

fn server(options: &Options) -> Option<Usage> {
    options.clients.pid.and_then(Usage::of)
}
