//! `loadtest churn`: clients come all the time, stay a moment and leave, many of them without manners.
//!
//! Some subscribers stay from the first to the last and are checked in full; so is every visitor while it is there. A
//! descriptor that is used again before its old connection has left every room would send one client what was meant for
//! another: it would be a message of another channel, or one that continues nothing, and is a violation.
//!
//! ```text
//! at rest ─▶ stayers and flows ─▶ first visitors ─▶ ten times: memory ─▶ visitors ─▶ memory ─▶ flows alone ─▶ memory
//!         ─▶ all leave ─▶ descriptors
//! ```
//! Memory is compared between moments with the same connections, the first of them after enough visits to have grown
//! what grows once. But the flows make an exchange grow, too. It remembers the ids of orders for a day, and a window of each room: by what
//! it says itself that this takes, they have, and not the visitors. What else they let it grow by, caches that fill, is
//! measured while they are alone. Descriptors must come back to what they were before anybody came.

mod visit;

pub use visit::{Ending, Endings};

use super::fleet::{Clients, Fleet, Landed, Phase, Plan};
use super::flow::{self, Flow};
use crate::counters::flow_bytes;
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

/// So often the flows are left alone, each time for this part of the visitors' time before.
const ROUNDS: u32 = 10;
const ALONE: u32 = 4;

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
    /// Where the server says how much memory the flows take, if it does.
    pub http: Option<Target>,
    /// How much more memory the server may hold in the end, beside what these take.
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
    /// Of these, the ids of orders and the windows of rooms.
    pub flows_before_bytes: u64,
    pub flows_after_bytes: u64,
    /// By how much the rest grew while visitors came, and how much of that the flows account for, by the rate while they were alone.
    pub grown_bytes: i64,
    pub grown_by_flows_bytes: i64,
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
    let (first, counted_before) = (Memory::of(options).await?, visitors.connects);
    fleet.enter(Phase::Steady);
    let (mut last, mut grown_alone) = (first, Vec::new());
    for _ in 0..ROUNDS {
        visitors.come(options.duration / ROUNDS, &fleet, progress).await?;
        let after = Memory::of(options).await?;
        results.grown_bytes += after.rest() - last.rest();
        fleet.pass(options.duration / ROUNDS / ALONE, progress).await;
        last = Memory::of(options).await?;
        grown_alone.push(last.rest() - after.rest());
    }
    results.grown_by_flows_bytes = in_all_rounds(grown_alone).max(0) * i64::from(ALONE);
    (results.memory_before_bytes, results.flows_before_bytes) = (first.bytes, first.flows);
    (results.memory_after_bytes, results.flows_after_bytes) = (last.bytes, last.flows);
    let visits = (visitors.connects - counted_before).max(1);
    results.memory_bytes_per_connect = results.grown_by_visitors() as f64 / visits as f64;
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

/// What the flows alone let grow in all rounds, as a trimmed mean says: it counts [`ALONE`] times in the visitors' favour, and a
/// stranger's burst in one such moment would hide a leak. What grows while visitors come is theirs to explain, all of it.
fn in_all_rounds(mut alone: Vec<i64>) -> i64 {
    alone.sort_unstable();
    let middle = &alone[1..alone.len() - 1];
    middle.iter().sum::<i64>() * alone.len() as i64 / middle.len() as i64
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
        let grown = self.grown_by_visitors();
        let is_bounded = grown <= options.growth_bytes_max as i64;
        verdict.expect(is_bounded, || format!("memory grew by {grown} bytes beside what the flows take"));
    }

    fn grown_by_visitors(&self) -> i64 {
        self.grown_bytes - self.grown_by_flows_bytes
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

/// Of the server.
#[derive(Clone, Copy)]
struct Memory {
    /// Heap, stacks and rings, not what is mapped of files of a disk.
    bytes: u64,
    /// Of these, what it says that the flows take.
    flows: u64,
}

impl Memory {
    async fn of(options: &Options) -> Result<Self> {
        let path = format!("/proc/{}/smaps_rollup", options.pid);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let of =
            |name| field(&text, name).and_then(kib).with_context(|| format!("no {name} in smaps_rollup"));
        let bytes = (of("Anonymous")? + of("Pss_Shmem")?) * 1024;
        let flows = match &options.http {
            Some(http) => flow_bytes(http).await?,
            None => 0,
        };
        Ok(Memory { bytes, flows })
    }

    fn rest(&self) -> i64 {
        self.bytes as i64 - self.flows as i64
    }
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
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        let [before, after] = [self.memory_before_bytes, self.memory_after_bytes].map(mib);
        writeln!(f, "  memory of the server: {before:.1} MiB before, {after:.1} MiB after")?;
        let [before, after] = [self.flows_before_bytes, self.flows_after_bytes].map(mib);
        writeln!(
            f,
            "  of that ids of orders and windows of rooms: {before:.1} MiB before, {after:.1} MiB after"
        )?;
        let [grown, alone] =
            [self.grown_bytes, self.grown_by_flows_bytes].map(|bytes| bytes as f64 / 1_048_576.0);
        let each = self.memory_bytes_per_connect;
        writeln!(
            f,
            "  the rest grew by {grown:.1} MiB while visitors came, {alone:.1} of them by the flows: {each:.0} B a visit"
        )?;
        write!(f, "  flow: {}", self.flow)
    }
}

#[cfg(test)]
mod tests {
    use super::in_all_rounds;

    #[test]
    fn a_burst_in_one_of_ten_rounds_is_not_the_flows() {
        assert_eq!(in_all_rounds(vec![100; 10]), 1000);
        assert_eq!(in_all_rounds([vec![100; 9], vec![1 << 30]].concat()), 1000);
        assert_eq!(in_all_rounds([vec![0; 5], vec![100; 5]].concat()), 500, "what grows in steps counts");
    }
}
