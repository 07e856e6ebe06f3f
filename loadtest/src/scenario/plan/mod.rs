//! `loadtest plan`: what it would take to serve so many connections, from what this machine needs for a few.
//!
//! ```text
//! short runs against a real server ─▶ Costs (measured)  ┐
//!                                     Assumptions (told) ├─▶ model::plan ─▶ nodes, and what each of them is short of
//!                                     Goal (asked for)   ┘
//! ```
//! [`model`] is pure arithmetic, and printed with everything that went into it. What was measured was measured on one
//! machine over loopback; what was assumed is named as such. docs/PERFORMANCE.md has the equations.

mod costs;
mod loopback;
mod measure;
pub mod model;
mod results;
mod server;

pub use costs::{Costs, SendPoint};
pub use results::Results;
pub use server::Place;

use crate::report::{Outcome, Verdict};
use anyhow::Result;
use indicatif::ProgressBar;
use model::{Assumptions, Goal};
use server::Server;

#[derive(Clone, Debug)]
pub struct Options {
    pub goal: Goal,
    pub assumptions: Assumptions,
    pub place: Place,
    pub seed: u64,
    pub run: u64,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    let server = Server::reach(&options.place)?;
    let mut verdict = Verdict::default();
    let costs = measure::costs(options, &server, &mut verdict, progress).await?;
    drop(server);
    let plan = model::plan(&options.goal, &costs, &options.assumptions);
    let results = Results { goal: options.goal, assumptions: options.assumptions, costs, plan };
    Ok(Outcome { results, verdict })
}
