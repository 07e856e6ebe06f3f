//! `loadtest churn`: clients come all the time, stay a moment and leave, many of them without manners.
//!
//! Some subscribers stay from the first to the last and are checked in full; so is every visitor while it is there. A
//! descriptor that is used again before its old connection has left every room would send one client what was meant for
//! another: it would be a message of another channel, or one that continues nothing, and is a violation.
//!
//! ```text
//! at rest ─▶ stayers and flows ─▶ first visitors ─▶ memory ─▶ visitors for the run ─▶ memory ─▶ flows alone ─▶ memory
//!         ─▶ all leave ─▶ descriptors
//! ```
//! Memory is compared between two moments with the same connections, the first of them after enough visits to have grown
//! what grows once. An exchange remembers orders for a day, so what flows alone make it grow by is measured too, and not
//! blamed on the visitors. Descriptors must come back to what they were before anybody came.

mod visit;

pub use visit::{Ending, Endings};

use super::fleet::{Clients, Fleet, Landed, Phase, Plan};
use super::flow::{self, Flow};
use crate::monitor::Sample;
use crate::report::{Latencies, Outcome, Percentiles, Verdict, field, kib};
use crate::schedule::{Pacer, Schedule};
use crate::target::Target;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use visit::{Stay, Visit};

/// A handshake that is never finished is the server's for five seconds, and a socket that was left, a little longer.
const LEAVING_TIMEOUT: Duration = Duration::from_secs(30);

/// The flows then have this part of the visitors' time for themselves.
const ALONE: u32 = 5;

/// Between looks at what the server still holds.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    /// The first is the one that is stayed in; a visitor draws one of all.
    pub channels: Vec<String>,
    /// Subscribers that stay.
    pub stayers: usize,
    pub connects_per_second: u64,
    /// In the mean; a visitor stays up to twice as long.
    pub stay: Duration,
    pub warm_up: Duration,
    pub duration: Duration,
    pub pid: u32,
    /// How much more memory the server may hold in the end, beside what the flows account for.
    pub growth_bytes_max: u64,
    pub flows: Vec<flow::Options>,
    pub seed: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct Results {
    pub connects: u64,
    /// Visitors that had ack and snapshot, and so were checked.
    pub live: u64,
    pub endings: Endings,
    /// Messages that visitors and stayers checked.
    pub messages_checked: u64,
    pub connect_to_live: Option<Percentiles>,
    /// Of the stayers.
    pub latency: Option<Percentiles>,
    pub books_compared: usize,
    pub descriptors_before: usize,
    pub descriptors_after: usize,
    pub memory_before_bytes: u64,
    pub memory_after_bytes: u64,
    /// Of the growth in between: by the rate at which the flows alone took memory afterwards.
    pub memory_of_flows_bytes: f64,
    pub memory_bytes_per_connect: f64,
    pub flow: flow::Counts,
    pub samples: Vec<Sample>,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let mut results = Results { descriptors_before: descriptors(options.pid)?, ..Results::default() };
    let (channel, subscribers) = (options.channels[0].clone(), options.stayers);
    let plan = Plan { target: options.target.clone(), channel, subscribers, full_every: 1 };
    let clients = Clients { pid: Some(options.pid), ..Clients::default() };
    let fleet = Fleet::launch_as(&plan, &clients, progress).await?;
    let mut flows = Vec::new();
    for flow in &options.flows {
        flows.push(Flow::start(flow).await?);
    }
    let mut visitors = Visitors::new(options);
    visitors.come(options.warm_up, &fleet, progress).await?;
    results.memory_before_bytes = memory(options.pid)?;
    let counted_before = visitors.connects;
    fleet.enter(Phase::Steady);
    visitors.come(options.duration, &fleet, progress).await?;
    results.memory_after_bytes = memory(options.pid)?;
    if !flows.is_empty() {
        fleet.pass(options.duration / ALONE, progress).await;
        let grown = memory(options.pid)?.saturating_sub(results.memory_after_bytes);
        results.memory_of_flows_bytes = grown as f64 * f64::from(ALONE);
    }
    let visits = (visitors.connects - counted_before).max(1);
    results.memory_bytes_per_connect = results.grown_bytes() / visits as f64;
    for flow in flows {
        results.flow.add(flow.stop().await?);
    }
    let (meter, live) = (fleet.full.clone(), fleet.live);
    results.samples = fleet.samples();
    let mut landed = fleet.land().await?;
    results.latency = Some(meter.percentiles(Phase::Steady));
    results.books_compared = landed.compare_books(&options.target).await;
    results.messages_checked = landed.frames_checked() + visitors.messages;
    let Landed { mut verdict, full, lean } = landed;
    drop((full, lean)); // closes their sockets
    results.take_visitors(visitors, &mut verdict);
    results.descriptors_after = descriptors_at_rest(options.pid, results.descriptors_before).await?;
    verdict.expect(live == subscribers, || format!("{live} of {subscribers} stayed"));
    results.judge(options, &mut verdict);
    Ok(Outcome { results, verdict })
}

/// The visitors of a run, counted as they leave.
struct Visitors {
    stays: Arc<Stay>,
    per_second: u64,
    random: ChaCha8Rng,
    connects: u64,
    live: u64,
    messages: u64,
    endings: Endings,
    connect_to_live: Latencies,
    verdict: Verdict,
}

impl Visitors {
    fn new(options: &Options) -> Self {
        let Options { target, channels, stay, .. } = options.clone();
        Visitors {
            stays: Arc::new(Stay { target, channels, longest: stay * 2 }),
            per_second: options.connects_per_second,
            random: ChaCha8Rng::seed_from_u64(options.seed),
            connects: 0,
            live: 0,
            messages: 0,
            endings: Endings::default(),
            connect_to_live: Latencies::default(),
            verdict: Verdict::default(),
        }
    }

    /// Lets them come for a while, by a schedule that waits for nobody, and waits until the last has left.
    async fn come(&mut self, duration: Duration, fleet: &Fleet, progress: &ProgressBar) -> Result<()> {
        let (schedule, pacer) = (Schedule::new(Instant::now(), self.per_second), Pacer::new()?);
        let total = (self.per_second as f64 * duration.as_secs_f64()) as u64;
        let mut inside = JoinSet::new();
        let shown = fleet.pass(duration, progress);
        tokio::pin!(shown);
        let (mut came, mut is_shown) = (0, false);
        while came < total || !inside.is_empty() {
            tokio::select! {
                due = pacer.until(schedule.intended(came)), if came < total => {
                    due?;
                    inside.spawn(self.stays.clone().visit(self.connects, self.random.random()));
                    (came, self.connects) = (came + 1, self.connects + 1);
                }
                Some(left) = inside.join_next() => self.left(left.context("a visitor's task")?),
                () = &mut shown, if !is_shown => is_shown = true,
            }
        }
        Ok(())
    }

    fn left(&mut self, visit: Visit) {
        self.endings.add(visit.ending);
        self.messages += visit.messages;
        if let Some(latency) = visit.connect_to_live {
            self.live += 1;
            self.connect_to_live.record(latency);
        }
        self.verdict.merge(visit.verdict);
    }
}

impl Results {
    fn take_visitors(&mut self, visitors: Visitors, verdict: &mut Verdict) {
        self.connects = visitors.connects;
        self.live = visitors.live;
        self.endings = visitors.endings;
        self.connect_to_live = Some(visitors.connect_to_live.percentiles());
        verdict.merge(visitors.verdict);
    }

    fn judge(&self, options: &Options, verdict: &mut Verdict) {
        let (before, after) = (self.descriptors_before, self.descriptors_after);
        verdict.expect(after <= before, || format!("{after} descriptors in the end, {before} before"));
        let grown = self.grown_bytes();
        let is_bounded = grown <= options.growth_bytes_max as f64;
        verdict.expect(is_bounded, || format!("memory grew by {grown:.0} bytes beside what the flows took"));
    }

    /// By the visitors.
    fn grown_bytes(&self) -> f64 {
        self.memory_after_bytes as f64 - self.memory_before_bytes as f64 - self.memory_of_flows_bytes
    }
}

fn descriptors(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(std::fs::read_dir(&path).with_context(|| format!("reading {path}; is the server ours?"))?.count())
}

/// Waits until there are no more than before, or long enough.
async fn descriptors_at_rest(pid: u32, before: usize) -> Result<usize> {
    let until = Instant::now() + LEAVING_TIMEOUT;
    loop {
        let held = descriptors(pid)?;
        if held <= before || Instant::now() >= until {
            return Ok(held);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Heap, stacks and rings; not what is mapped of files.
fn memory(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    Ok(field(&text, "Anonymous").and_then(kib).context("no Anonymous in smaps_rollup")? * 1024)
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results { connects, live, endings, messages_checked, .. } = self;
        writeln!(f, "{connects} visitors, {live} of them live; {endings}")?;
        writeln!(f, "  {messages_checked} messages checked, {} books compared", self.books_compared)?;
        if let (Some(connect_to_live), Some(latency)) = (&self.connect_to_live, &self.latency) {
            writeln!(f, "  connect to snapshot: {connect_to_live}")?;
            writeln!(f, "  event to receipt, those who stay: {latency}")?;
        }
        writeln!(
            f,
            "  descriptors of the server: {} before, {} after",
            self.descriptors_before, self.descriptors_after
        )?;
        let mib = |bytes: f64| bytes / 1_048_576.0;
        let [before, after] =
            [self.memory_before_bytes, self.memory_after_bytes].map(|bytes| mib(bytes as f64));
        writeln!(f, "  memory of the server: {before:.1} MiB before, {after:.1} MiB after")?;
        let (flows, each) = (mib(self.memory_of_flows_bytes), self.memory_bytes_per_connect);
        writeln!(f, "  of that the flows account for {flows:.1} MiB, and each visit for {each:.0} B")?;
        write!(f, "  flow: {}", self.flow)
    }
}
