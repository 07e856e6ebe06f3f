//! The subscribers of a run, wherever they are: in this process, or in several that this one starts.
//!
//! A process may hold 20,000 descriptors, and one that reads for thirty thousand clients is short of a second core long
//! before. So `--processes N` divides them; scenarios see an [`Audience`] either way. What comes home is a [`Harvest`],
//! and harvests add up: counts are sums, and latencies are whole histograms, not percentiles.

mod part;
mod parts;

pub use part::run as run_part;
pub use parts::Spread;

use super::fleet::{Clients, Fleet, Harvest, Phase, Plan, another_second};
use crate::monitor::{Sample, Usage};
use crate::report::Latencies;
use anyhow::Result;
use indicatif::ProgressBar;
use parts::Parts;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

pub enum Audience {
    Here(Box<Fleet>),
    Elsewhere(Box<Parts>),
}

/// What was received so far, and how late since the last look.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    pub frames: u64,
    /// Of the lean ones; those that are checked as they read see messages, not bytes.
    pub lean_bytes: u64,
    pub latencies: Latencies,
}

impl Audience {
    /// Connects everyone and waits until each is live or has failed.
    pub async fn launch(
        plan: &Plan,
        clients: &Clients,
        spread: Option<&Spread>,
        progress: &ProgressBar,
    ) -> Result<Self> {
        Ok(match spread {
            None => Audience::Here(Box::new(Fleet::launch_as(plan, clients, progress).await?)),
            Some(spread) => {
                Audience::Elsewhere(Box::new(Parts::launch(plan, clients, spread, progress).await?))
            }
        })
    }

    pub fn live(&self) -> usize {
        match self {
            Audience::Here(fleet) => fleet.live,
            Audience::Elsewhere(parts) => parts.live,
        }
    }

    pub async fn enter(&mut self, phase: Phase) -> Result<()> {
        match self {
            Audience::Here(fleet) => fleet.enter(phase),
            Audience::Elsewhere(parts) => parts.enter(phase).await?,
        }
        Ok(())
    }

    /// Frames and lean bytes so far, between two samples.
    pub async fn count(&mut self) -> Result<(u64, u64)> {
        match self {
            Audience::Here(fleet) => Ok((fleet.frames(), fleet.lean.total().bytes)),
            Audience::Elsewhere(parts) => parts.count().await,
        }
    }

    /// Also makes the sample of the time since the last look.
    pub async fn look(&mut self) -> Result<(Seen, Sample)> {
        match self {
            Audience::Here(fleet) => Ok(fleet.look()),
            Audience::Elsewhere(parts) => parts.look().await,
        }
    }

    /// Waits out a phase of the run, takes a sample every second and shows it.
    pub async fn pass(&mut self, duration: Duration, progress: &ProgressBar) -> Result<()> {
        let end = Instant::now() + duration;
        while another_second(end).await {
            show(&self.look().await?.1, progress);
        }
        Ok(())
    }

    pub fn samples(&self) -> Vec<Sample> {
        match self {
            Audience::Here(fleet) => fleet.samples(),
            Audience::Elsewhere(parts) => parts.samples(),
        }
    }

    /// Processor time of all processes that read, this one included.
    pub fn cpu(&self) -> Option<Duration> {
        let others = match self {
            Audience::Here(_) => Vec::new(),
            Audience::Elsewhere(parts) => parts.processes(),
        };
        let all = others.into_iter().chain([std::process::id()]);
        all.map(|pid| Usage::of(pid).map(|usage| usage.cpu)).sum()
    }

    /// Reads to silence, and has all of it judged.
    pub async fn gather(self) -> Result<Harvest> {
        match self {
            Audience::Here(fleet) => fleet.harvest().await,
            Audience::Elsewhere(parts) => parts.gather().await,
        }
    }
}

/// On the bar, while there is nothing else to say.
pub(super) fn show(sample: &Sample, progress: &ProgressBar) {
    let late = sample.p99_us.map(|us| format!(", p99 {us:.0} us")).unwrap_or_default();
    progress.set_message(format!("{:.0} frames/s{late}", sample.per_second));
}
