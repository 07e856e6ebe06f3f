//! What `slow` found.

use super::stalled::{End, Stalled};
use super::{Options, Phase};
use crate::monitor::Sample;
use crate::report::{Percentiles, Verdict};
use crate::scenario::fleet::{Landed, Spans};
use crate::scenario::flow;
use crate::scenario::windows::{Ratio, Window};
use crate::target::Target;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub struct Results {
    pub reading: usize,
    pub stalled: usize,
    /// Of the reading subscribers: all windows before a stall, all in one, all after one.
    pub latency_before: Percentiles,
    pub latency_during_stall: Percentiles,
    pub latency_after: Percentiles,
    /// During stalls as a multiple of before.
    pub ratio: Option<Ratio>,
    /// In the order they had.
    pub windows: Vec<Window>,
    pub reading_laps: u64,
    pub reading_gaps: u64,
    pub reading_books_compared: usize,
    pub reading_checked: usize,
    /// Reading subscribers whose count of messages was held against the reference's.
    pub reading_spans: Spans,
    pub caught_up: usize,
    pub lapped: usize,
    /// With the code for slow readers.
    pub closed: usize,
    /// Ended otherwise, each a violation.
    pub broken: usize,
    pub closed_reasons: Vec<String>,
    pub stalled_books_compared: usize,
    /// Of each reader in each round, if it was not closed...
    pub stalls: usize,
    /// ...and those that were outrun by the window, and told so.
    pub stalls_with_lap: usize,
    pub stalled_laps: u64,
    pub stalled_gaps: u64,
    pub trades_announced_missing: u64,
    /// What recordings had no room for.
    pub stalled_bytes_unchecked: u64,
    /// Each of the stalled readers.
    pub stalled_readers: Vec<Stalled>,
    pub flow: Option<flow::Counts>,
    pub samples: Vec<Sample>,
}

impl Results {
    pub(super) fn new(
        options: &Options,
        windows: Vec<Window>,
        flow: Option<flow::Counts>,
        samples: Vec<Sample>,
    ) -> Self {
        let of = |phase| Window::latency_of(phase, &windows);
        let (before, during) = (of(Phase::Steady), of(Phase::Stalled));
        Results {
            reading: 0,
            stalled: options.stalled,
            latency_before: before,
            latency_during_stall: during,
            latency_after: of(Phase::Recovery),
            ratio: Ratio::of(&during, &before),
            windows,
            reading_laps: 0,
            reading_gaps: 0,
            reading_books_compared: 0,
            reading_checked: 0,
            reading_spans: Spans::default(),
            caught_up: 0,
            lapped: 0,
            closed: 0,
            broken: 0,
            closed_reasons: Vec::new(),
            stalled_books_compared: 0,
            stalls: 0,
            stalls_with_lap: 0,
            stalled_laps: 0,
            stalled_gaps: 0,
            trades_announced_missing: 0,
            stalled_bytes_unchecked: 0,
            stalled_readers: Vec::new(),
            flow,
            samples,
        }
    }

    pub(super) async fn take_reading(&mut self, landed: &mut Landed, target: &Target) {
        self.reading = landed.full.len() + landed.lean.len();
        self.reading_checked = landed.full.len();
        self.reading_laps = landed.laps();
        self.reading_gaps = landed.gaps();
        self.reading_spans = landed.compare_spans();
        self.reading_books_compared = landed.compare_books(target).await;
    }

    pub(super) fn take_stalled(&mut self, stalled: Vec<Stalled>, rounds: usize, verdict: &mut Verdict) {
        for reader in &stalled {
            if matches!(reader.end, End::CaughtUp | End::Lapped) {
                self.stalls += rounds;
                self.stalls_with_lap += reader.stalls_with_lap;
            }
            match reader.end {
                End::CaughtUp => self.caught_up += 1,
                End::Lapped => self.lapped += 1,
                End::Closed => self.closed += 1,
                End::Broken => self.broken += 1,
            }
            if let Some(reason) = reader.closed_reason.as_ref().filter(|it| !self.closed_reasons.contains(it))
            {
                self.closed_reasons.push(reason.clone());
            }
            self.stalled_books_compared += usize::from(reader.book_compared);
            self.stalled_laps += reader.laps;
            self.stalled_gaps += reader.gaps;
            self.trades_announced_missing += reader.trades_announced_missing;
            self.stalled_bytes_unchecked += reader.bytes_unchecked;
            for violation in &reader.violations {
                verdict.violate(format!("stalled reader {}: {violation}", reader.number));
            }
        }
        self.stalled_readers = stalled;
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results { reading, stalled, caught_up, lapped, closed, broken, .. } = self;
        writeln!(
            f,
            "{reading} subscribers read on while {stalled} stalled; event to receipt of those that read:"
        )?;
        for window in &self.windows {
            writeln!(f, "    {window}")?;
        }
        writeln!(f, "  all windows before a stall: {}", self.latency_before)?;
        writeln!(f, "  all windows during one:     {}", self.latency_during_stall)?;
        if let Some(ratio) = &self.ratio {
            writeln!(f, "  during as a multiple:       {ratio}")?;
        }
        let Spans { compared, skipped } = self.reading_spans;
        writeln!(
            f,
            "  among them {} laps and {} gaps; {} checked in full, {} books compared; counts of {compared} compared, {skipped} not",
            self.reading_laps, self.reading_gaps, self.reading_checked, self.reading_books_compared
        )?;
        write!(f, "  stalled: {caught_up} caught up without loss, {lapped} lapped, {closed} closed as slow")?;
        match broken {
            0 => writeln!(f)?,
            broken => writeln!(f, ", {broken} ended otherwise")?,
        }
        let Results { stalls, stalls_with_lap, stalled_laps, stalled_gaps, trades_announced_missing, .. } =
            self;
        write!(
            f,
            "  {stalls_with_lap} of {stalls} stalls ended in a lap: {stalled_laps} fresh snapshots, {stalled_gaps} gaps naming {trades_announced_missing} trades, {} books compared",
            self.stalled_books_compared
        )?;
        if self.stalled_bytes_unchecked > 0 {
            write!(f, "; {} bytes beyond the recordings were not checked", self.stalled_bytes_unchecked)?;
        }
        for reason in &self.closed_reasons {
            write!(f, "\n  closed: {reason}")?;
        }
        match &self.flow {
            Some(flow) => write!(f, "\n  flow: {flow}"),
            None => Ok(()),
        }
    }
}
