//! `loadtest fanout`: many subscribers of one channel, how fast and how faithfully they are served.

use super::fleet::{Fleet, Landed, Phase, Plan, Spans};
use super::flow::{self, Flow};
use crate::report::{Outcome, Percentiles};
use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct Options {
    pub plan: Plan,
    pub duration: Duration,
    /// Without a flow of ours the server must have its own.
    pub flow: Option<flow::Options>,
}

#[derive(Debug, Serialize)]
pub struct Results {
    pub subscribers: usize,
    pub live: usize,
    pub checked: usize,
    pub lean: usize,
    pub window_seconds: f64,
    /// Updates and trades, delivered to all subscribers together within the window.
    pub frames: u64,
    pub frames_per_second: f64,
    /// Lean subscribers only; the checked ones see messages, not bytes.
    pub lean_bytes_per_second: f64,
    /// Messages of the whole run as the reference counted them.
    pub distinct_frames: u64,
    /// Every message of the checked subscribers in the window.
    pub latency: Percentiles,
    /// The oldest message of every eighth read of the lean ones: rather too high than too low.
    pub latency_lean: Percentiles,
    pub laps: u64,
    pub gaps: u64,
    pub books_compared: usize,
    pub spans: Spans,
    pub flow: Option<flow::Counts>,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let fleet = Fleet::launch(&options.plan, progress).await?;
    let flow = match &options.flow {
        Some(flow) => Some(Flow::start(flow).await?),
        None => None,
    };
    let window = Window::open(&fleet);
    fleet.pass(options.duration, progress).await;
    let mut results = window.close(&fleet, options);
    results.flow = match flow {
        Some(flow) => Some(flow.stop().await?),
        None => None,
    };
    let mut landed = fleet.land().await;
    results.take(&mut landed, options).await;
    let Landed { mut verdict, .. } = landed;
    let (live, wanted) = (results.live, options.plan.subscribers);
    verdict.expect(live == wanted, || format!("{live} of {wanted} subscribers became live"));
    if let Some(complaint) = results.flow.as_ref().and_then(flow::Counts::complaint) {
        verdict.violate(complaint);
    }
    Ok(Outcome { results, verdict })
}

/// The measured time.
struct Window {
    start: Instant,
    frames: u64,
    bytes: u64,
}

impl Window {
    fn open(fleet: &Fleet) -> Self {
        fleet.enter(Phase::Steady);
        Window { start: Instant::now(), frames: fleet.frames(), bytes: fleet.bytes() }
    }

    fn close(self, fleet: &Fleet, options: &Options) -> Results {
        let seconds = self.start.elapsed().as_secs_f64();
        let frames = fleet.frames() - self.frames;
        // What trickles in from here on is not the steady state.
        fleet.enter(Phase::Recovery);
        Results {
            subscribers: options.plan.subscribers,
            live: fleet.live,
            checked: 0,
            lean: 0,
            window_seconds: seconds,
            frames,
            frames_per_second: frames as f64 / seconds,
            lean_bytes_per_second: (fleet.bytes() - self.bytes) as f64 / seconds,
            distinct_frames: 0,
            latency: fleet.full.percentiles(Phase::Steady),
            latency_lean: fleet.lean.percentiles(Phase::Steady),
            laps: 0,
            gaps: 0,
            books_compared: 0,
            spans: Spans::default(),
            flow: None,
        }
    }
}

impl Results {
    async fn take(&mut self, landed: &mut Landed, options: &Options) {
        self.checked = landed.full.len();
        self.lean = landed.lean.len();
        self.distinct_frames = landed.distinct_frames();
        self.laps = landed.laps();
        self.gaps = landed.gaps();
        self.spans = landed.compare_spans();
        self.books_compared = landed.compare_books(&options.plan.target).await;
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} subscribers ({} checked, {} lean)", self.live, self.checked, self.lean)?;
        let Results { frames, window_seconds, frames_per_second, distinct_frames, .. } = self;
        writeln!(f, "  {frames} frames in {window_seconds:.1} s: {frames_per_second:.0} a second")?;
        writeln!(f, "  {distinct_frames} distinct messages, {} laps, {} gaps", self.laps, self.gaps)?;
        writeln!(f, "  event to receipt, checked: {}", self.latency)?;
        writeln!(f, "  event to receipt, lean:    {}", self.latency_lean)?;
        if let Some(flow) = &self.flow {
            writeln!(f, "  flow: {flow}")?;
        }
        let Spans { compared, skipped } = self.spans;
        write!(f, "  {} books compared; counts of {compared} compared, {skipped} not", self.books_compared)
    }
}
