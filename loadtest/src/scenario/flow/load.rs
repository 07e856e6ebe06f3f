//! Order flow of either kind, as a scenario is asked for it.

use super::heavy::{self, Heavy};
use super::{Counts, Flow, Options};
use anyhow::Result;
use serde::Serialize;
use std::fmt;

#[derive(Clone, Debug)]
pub enum Load {
    Steps(Options),
    Sweeps(heavy::Options),
}

/// What was asked for in the measured time, and what left for the server in it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Offered {
    pub intended: f64,
    pub sent: u64,
}

/// Below this part of what was asked for, a run tells nothing of that rate.
const OFFERED_MIN: f64 = 0.95;

/// One that was started.
pub(crate) enum Running {
    Steps(Flow),
    Sweeps(Heavy),
}

impl Load {
    /// Order ids of each window differ from those of the last.
    pub(crate) async fn start(&self, window: usize) -> Result<Running> {
        match self.clone() {
            Load::Steps(mut options) => {
                options.run += window as u64;
                Flow::start(&options).await.map(Running::Steps)
            }
            Load::Sweeps(mut options) => {
                options.run += window as u64;
                Heavy::start(&options).await.map(Running::Sweeps)
            }
        }
    }
}

impl Load {
    pub(crate) fn per_second(&self) -> u64 {
        match self {
            Load::Steps(options) => options.commands_per_second,
            Load::Sweeps(options) => options.sweeps_per_second,
        }
    }
}

impl Offered {
    /// Of what was asked for.
    pub fn share(&self) -> f64 {
        self.sent as f64 / self.intended.max(1e-9)
    }

    pub fn is_enough(&self) -> bool {
        self.share() >= OFFERED_MIN
    }
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.share() * 100.0;
        write!(f, "{} of {:.0} orders sent in time, {percent:.0} %", self.sent, self.intended)?;
        f.write_str(if self.is_enough() { "" } else { ": the rate was not offered" })
    }
}

impl Running {
    /// Orders that have left for the server: commands, or the sweeps of the takers.
    pub(crate) fn sent(&self) -> u64 {
        match self {
            Running::Steps(flow) => flow.sent(),
            Running::Sweeps(heavy) => heavy.sent(),
        }
    }

    pub(crate) async fn stop(self) -> Result<Counts> {
        match self {
            Running::Steps(flow) => flow.stop().await,
            Running::Sweeps(heavy) => heavy.stop().await,
        }
    }
}
