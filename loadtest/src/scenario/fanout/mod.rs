//! `loadtest fanout`: many subscribers of one channel, how fast and how faithfully they are served.
//!
//! The measured time is one window, or several with others between them that a bare loop of sends has for itself (see
//! [`super::bare`]); the fleet stays connected all the while.

mod results;

pub use results::{Against, Results};

use super::audience::{Audience, Spread};
use super::bare;
use super::fleet::{Clients, Phase, Plan};
use super::flow::{self, Load, Offered, Running};
use crate::counters::Counters;
use crate::monitor::Usage;
use crate::report::Outcome;
use crate::target::Target;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct Options {
    pub plan: Plan,
    pub clients: Clients,
    /// Over several processes; otherwise they are all in this one.
    pub spread: Option<Spread>,
    /// Under load before a window.
    pub warm_up: Duration,
    pub duration: Duration,
    /// Without a load of ours the server must have its own.
    pub load: Option<Load>,
    /// Where the server tells what it sent.
    pub counters: Option<Target>,
    /// The loop to measure against, and how many windows we and it have, in turns.
    pub against: Option<(bare::Child, usize)>,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let spread = options.spread.as_ref();
    let mut audience = Audience::launch(&options.plan, &options.clients, spread, progress).await?;
    let mut results = Results::new(options, audience.live());
    let mut windows = 0;
    loop {
        let running = match &options.load {
            Some(load) => Some(load.start(windows).await?),
            None => None,
        };
        audience.pass(options.warm_up, progress).await?;
        let window = Window::open(&mut audience, options, running.as_ref()).await?;
        audience.pass(options.duration, progress).await?;
        results.add(window.close(&mut audience, options, running.as_ref()).await?);
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
    finish(options, audience, results).await
}

async fn finish(options: &Options, audience: Audience, mut results: Results) -> Result<Outcome<Results>> {
    results.samples = audience.samples();
    let mut verdict = results.take(audience.gather().await?);
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
    /// Orders, until it began.
    sent: Option<u64>,
    counters: Option<Counters>,
    server: Option<Usage>,
    client: Option<Duration>,
}

/// A measured time that is over.
pub(super) struct Measured {
    pub seconds: f64,
    pub frames: u64,
    pub bytes: u64,
    pub offered: Option<Offered>,
    pub counters: Option<Counters>,
    pub server_cpu: Option<Duration>,
    pub client_cpu: Option<Duration>,
}

impl Window {
    async fn open(audience: &mut Audience, options: &Options, running: Option<&Running>) -> Result<Self> {
        let counters = match &options.counters {
            Some(host) => Counters::fetch(host).await.ok(),
            None => None,
        };
        audience.enter(Phase::Steady).await?;
        let (seen, _) = audience.look().await?;
        let (server, client) = (server(options), audience.cpu());
        let (frames, bytes) = (seen.frames, seen.lean_bytes);
        let sent = running.map(Running::sent);
        Ok(Window { start: Instant::now(), frames, bytes, sent, counters, server, client })
    }

    async fn close(
        self,
        audience: &mut Audience,
        options: &Options,
        running: Option<&Running>,
    ) -> Result<Measured> {
        let (frames, bytes) = audience.count().await?;
        let seconds = self.start.elapsed().as_secs_f64();
        let offered = (|| {
            let sent = running?.sent() - self.sent?;
            Some(Offered { intended: options.load.as_ref()?.per_second() as f64 * seconds, sent })
        })();
        let (frames, bytes) = (frames - self.frames, bytes - self.bytes);
        let server_cpu = (|| Some(server(options)?.cpu.saturating_sub(self.server?.cpu)))();
        let client_cpu = (|| Some(audience.cpu()?.saturating_sub(self.client?)))();
        // What trickles in from here on is not the steady state.
        audience.enter(Phase::Recovery).await?;
        let counters = match (&options.counters, self.counters) {
            (Some(host), Some(before)) => Some(Counters::fetch(host).await?.since(&before)),
            _ => None,
        };
        Ok(Measured { seconds, frames, bytes, offered, counters, server_cpu, client_cpu })
    }
}

fn server(options: &Options) -> Option<Usage> {
    options.clients.pid.and_then(Usage::of)
}
