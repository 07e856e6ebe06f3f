//! Order flow of either kind, as a scenario is asked for it.

use super::heavy::{self, Heavy};
use super::{Counts, Flow, Options};
use anyhow::Result;

#[derive(Clone, Debug)]
pub enum Load {
    Steps(Options),
    Sweeps(heavy::Options),
}

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

impl Running {
    pub(crate) async fn stop(self) -> Result<Counts> {
        match self {
            Running::Steps(flow) => flow.stop().await,
            Running::Sweeps(heavy) => heavy.stop().await,
        }
    }
}
