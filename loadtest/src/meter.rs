//! What subscribers received, added up: in all, by phase of the run, and since somebody last looked.

use crate::report::{Latencies, Percentiles};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Phase {
    Connecting,
    Steady,
    Stalled,
    Rush,
    Recovery,
    Draining,
}

const PHASE_COUNT: usize = Phase::Draining as usize + 1;

pub struct Meter {
    frames: AtomicU64,
    bytes: AtomicU64,
    reads: AtomicU64,
    lateness: Mutex<Lateness>,
}

struct Lateness {
    /// Since the last look.
    fresh: Latencies,
    phase: Phase,
    of_phase: [Latencies; PHASE_COUNT],
    /// When each phase began, by the clock of the stamps.
    begun_us: Vec<(u64, Phase)>,
}

/// What a few reads brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gain {
    pub frames: u64,
    pub bytes: u64,
    pub reads: u64,
}

impl std::ops::AddAssign for Gain {
    fn add_assign(&mut self, other: Gain) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.reads += other.reads;
    }
}

impl Default for Meter {
    fn default() -> Self {
        let (fresh, of_phase, begun_us) = Default::default();
        let lateness = Lateness { fresh, phase: Phase::Connecting, of_phase, begun_us };
        Meter {
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            lateness: Mutex::new(lateness),
        }
    }
}

impl Meter {
    pub fn received(&self, gain: Gain) {
        self.frames.fetch_add(gain.frames, Ordering::Relaxed);
        self.bytes.fetch_add(gain.bytes, Ordering::Relaxed);
        self.reads.fetch_add(gain.reads, Ordering::Relaxed);
    }

    pub fn total(&self) -> Gain {
        Gain {
            frames: self.frames.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
        }
    }

    /// Events of now, by their stamps, each of so many messages.
    pub fn late(&self, now_us: u64, stamps: &[(u64, u64)]) {
        self.with(|lateness| {
            for (stamp_us, messages) in stamps {
                lateness.fresh.record_many_us(now_us.saturating_sub(*stamp_us), *messages);
            }
        });
    }

    /// An event that was received a while ago; no second's sample will have it, but its phase does.
    pub fn was_late(&self, received_us: u64, latency_us: u64) {
        self.with(|lateness| {
            let phase = lateness.phase_at(received_us);
            lateness.of_phase[phase as usize].record_us(latency_us);
        });
    }

    pub fn enter(&self, phase: Phase, now_us: u64) {
        self.with(|lateness| {
            lateness.look();
            lateness.phase = phase;
            lateness.begun_us.push((now_us, phase));
        });
    }

    /// The latencies since the last look.
    pub fn look(&self) -> Latencies {
        self.with(Lateness::look)
    }

    /// Those of the phase so far. A second's sample in between loses none of them.
    pub fn latencies(&self, phase: Phase) -> Latencies {
        self.with(|lateness| {
            let mut all = lateness.of_phase[phase as usize].clone();
            if lateness.phase == phase {
                all.add(&lateness.fresh);
            }
            all
        })
    }

    /// Where the run was at that time.
    pub fn phase_at(&self, us: u64) -> Phase {
        self.with(|lateness| lateness.phase_at(us))
    }

    pub fn percentiles(&self, phase: Phase) -> Percentiles {
        self.latencies(phase).percentiles()
    }

    fn with<R>(&self, act: impl FnOnce(&mut Lateness) -> R) -> R {
        act(&mut self.lateness.lock().expect("no holder panics"))
    }
}

impl Lateness {
    fn look(&mut self) -> Latencies {
        let fresh = std::mem::take(&mut self.fresh);
        self.of_phase[self.phase as usize].add(&fresh);
        fresh
    }

    fn phase_at(&self, us: u64) -> Phase {
        let begun = self.begun_us.iter().rev().find(|(begun_us, _)| *begun_us <= us);
        begun.map_or(Phase::Connecting, |(_, phase)| *phase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_belongs_to_the_phase_it_was_met_in() {
        let meter = Meter::default();
        meter.late(1, &[(0, 1)]);
        meter.enter(Phase::Steady, 100);
        meter.late(2, &[(0, 1)]);
        assert_eq!(meter.look().percentiles().count, 1);
        meter.late(3, &[(0, 1)]);
        meter.enter(Phase::Draining, 200);
        meter.was_late(150, 4);
        meter.was_late(250, 5);
        let count = |phase| meter.percentiles(phase).count;
        assert_eq!([Phase::Connecting, Phase::Steady, Phase::Draining].map(count), [1, 3, 1]);
        assert_eq!(
            [50, 150, 200].map(|us| meter.phase_at(us)),
            [Phase::Connecting, Phase::Steady, Phase::Draining]
        );
    }
}
