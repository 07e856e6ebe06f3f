//! What `rush` found.

use super::Options;
use crate::monitor::{Sample, Usage};
use crate::report::{Percentiles, Verdict, field, kib};
use crate::scenario::fleet::{Landed, Phase, Spans};
use crate::scenario::flow;
use crate::scenario::windows::{Ratio, Window};
use crate::target::Target;
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub struct Results {
    /// Those who were there.
    pub there: usize,
    pub newcomers: usize,
    pub levels: u32,
    /// Of those who were there: all windows before a rush, all in one.
    pub latency_before: Percentiles,
    pub latency_during: Percentiles,
    /// During as a multiple of before.
    pub ratio: Option<Ratio>,
    /// In the order they had.
    pub windows: Vec<Window>,
    pub crowds: Vec<Crowd>,
    pub laps: u64,
    pub gaps: u64,
    pub checked: usize,
    pub books_compared: usize,
    pub spans: Spans,
    pub flow: Option<flow::Counts>,
    pub samples: Vec<Sample>,
}

/// Those who came in one rush.
#[derive(Clone, Debug, Serialize)]
pub struct Crowd {
    /// How many of them had their book in the end.
    pub live: usize,
    /// Until the last one had.
    pub seconds: f64,
    /// Resident memory of the server, if its process is known; the peak is of all its life where the kernel may not be told to forget.
    pub memory_before_bytes: Option<u64>,
    pub memory_peak_bytes: Option<u64>,
}

/// Resident memory of a process, and the most it has been.
pub(super) struct Memory {
    pid: Option<u32>,
    pub before: Option<u64>,
}

impl Memory {
    /// Has the kernel forget the most it has been before, which it does for one's own processes.
    pub fn begin(pid: Option<u32>) -> Self {
        if let Some(pid) = pid {
            let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5"); // then the peak is of all its life
        }
        Memory { pid, before: pid.and_then(Usage::of).map(|usage| usage.resident_bytes) }
    }

    pub fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        Some(field(&status, "VmHWM").and_then(kib)? * 1024)
    }
}

impl Results {
    pub(super) fn new(
        options: &Options,
        windows: Vec<Window>,
        crowds: Vec<Crowd>,
        flow: Option<flow::Counts>,
        samples: Vec<Sample>,
    ) -> Self {
        let [before, during] = [Phase::Steady, Phase::Rush].map(|phase| Window::latency_of(phase, &windows));
        Results {
            there: 0,
            newcomers: options.newcomers,
            levels: options.levels,
            latency_before: before,
            latency_during: during,
            ratio: Ratio::of(&during, &before),
            windows,
            crowds,
            laps: 0,
            gaps: 0,
            checked: 0,
            books_compared: 0,
            spans: Spans::default(),
            flow,
            samples,
        }
    }

    pub(super) async fn take(&mut self, landed: &mut Landed, target: &Target) {
        self.there = landed.full.len() + landed.lean.len();
        self.checked = landed.full.len();
        (self.laps, self.gaps) = (landed.laps(), landed.gaps());
        self.spans = landed.compare_spans();
        self.books_compared = landed.compare_books(target).await;
    }

    pub(super) fn judge(&self, options: &Options, verdict: &mut Verdict) {
        for Crowd { live, .. } in &self.crowds {
            let wanted = options.newcomers;
            verdict.expect(*live == wanted, || format!("{live} of {wanted} newcomers had their book"));
        }
        let (laps, gaps) = (self.laps, self.gaps);
        verdict.expect(laps + gaps == 0, || {
            format!("those who were there had {laps} laps and {gaps} gaps: a crowd may cost them nothing")
        });
        let (there, wanted) = (self.there, options.plan.subscribers);
        verdict.expect(there == wanted, || format!("{there} of {wanted} subscribers were there to the end"));
        if let Some(complaint) = self.flow.as_ref().and_then(flow::Counts::complaint) {
            verdict.violate(complaint);
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results { there, newcomers, levels, .. } = self;
        writeln!(
            f,
            "{newcomers} at once want a book of {levels} levels on each side; {there} are there, event to receipt:"
        )?;
        for window in &self.windows {
            writeln!(f, "    {window}")?;
        }
        writeln!(f, "  all windows before a rush: {}", self.latency_before)?;
        writeln!(f, "  all windows during one:    {}", self.latency_during)?;
        if let Some(ratio) = &self.ratio {
            writeln!(f, "  during as a multiple:      {ratio}")?;
        }
        for Crowd { live, seconds, memory_before_bytes, memory_peak_bytes } in &self.crowds {
            write!(f, "  {live} had their book after {seconds:.2} s")?;
            if let (Some(before), Some(peak)) = (memory_before_bytes, memory_peak_bytes) {
                let mib = |bytes: &u64| *bytes as f64 / 1_048_576.0;
                write!(f, "; memory of the server: {:.1} MiB, at most {:.1}", mib(before), mib(peak))?;
            }
            writeln!(f)?;
        }
        let Spans { compared, skipped } = self.spans;
        write!(
            f,
            "  among those who were there {} laps and {} gaps; {} checked in full, {} books compared; counts of {compared} compared, {skipped} not",
            self.laps, self.gaps, self.checked, self.books_compared
        )?;
        match &self.flow {
            Some(flow) => write!(f, "\n  flow: {flow}"),
            None => Ok(()),
        }
    }
}
