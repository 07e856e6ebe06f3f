//! Measured times of one run, of kinds that take turns, so that what the machine does besides is in all of them.

use super::fleet::{Fleet, Phase};
use crate::report::{Latencies, Percentiles};
use serde::Serialize;
use std::fmt;
use tokio::time::Instant;

/// What those that read had of a measured time.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    pub kind: &'static str,
    pub seconds: f64,
    pub frames_per_second: f64,
    pub latency: Percentiles,
    /// Readers that had stalled and not caught up when it ended, where that was waited for.
    pub stalled_behind: usize,
    #[serde(skip)]
    phase: Phase,
    #[serde(skip)]
    latencies: Latencies,
}

impl Window {
    /// Of all windows of a phase together.
    pub fn latency_of(phase: Phase, windows: &[Window]) -> Percentiles {
        let mut all = Latencies::default();
        let of_phase = windows.iter().filter(|window| window.phase == phase);
        of_phase.for_each(|window| all.add(&window.latencies));
        all.percentiles()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { kind, seconds, frames_per_second, latency, stalled_behind, .. } = self;
        write!(f, "{kind:<12} {seconds:4.1} s, {frames_per_second:.0} frames/s: {latency}")?;
        match stalled_behind {
            0 => Ok(()),
            behind => write!(f, "; {behind} that stalled still catch up"),
        }
    }
}

/// Latency of one kind of windows as a multiple of another's.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratio {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

impl Ratio {
    pub fn of(during: &Percentiles, before: &Percentiles) -> Option<Self> {
        let measured = during.count > 0 && before.count > 0;
        measured.then(|| Ratio {
            p50: during.p50_us / before.p50_us,
            p99: during.p99_us / before.p99_us,
            p999: during.p999_us / before.p999_us,
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ratio { p50, p99, p999 } = self;
        write!(f, "p50 {p50:.2}, p99 {p99:.2}, p99.9 {p999:.2}")
    }
}

/// A window that has begun.
pub(super) struct Begun {
    phase: Phase,
    at: Instant,
    pub frames: u64,
    /// Of the same phase in earlier rounds.
    before: Latencies,
}

impl Begun {
    pub fn enter(fleet: &Fleet, phase: Phase) -> Self {
        fleet.enter(phase);
        Begun { phase, at: Instant::now(), frames: fleet.frames(), before: fleet.latencies(phase) }
    }

    pub fn end(self, fleet: &Fleet) -> Window {
        let latencies = fleet.latencies(self.phase).since(&self.before);
        let seconds = self.at.elapsed().as_secs_f64();
        Window {
            kind: match self.phase {
                Phase::Stalled => "some stalled",
                Phase::Rush => "a crowd came",
                Phase::Recovery => "after it",
                _ => "all read",
            },
            seconds,
            frames_per_second: (fleet.frames() - self.frames) as f64 / seconds,
            latency: latencies.percentiles(),
            stalled_behind: 0,
            phase: self.phase,
            latencies,
        }
    }
}
