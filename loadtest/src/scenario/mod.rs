//! What the harness can play, one file for each subcommand.

pub mod audience;
pub mod bare;
pub mod churn;
pub mod curve;
pub mod fanout;
pub mod fleet;
pub mod flow;
pub mod follow;
pub mod idle;
pub mod orders;
pub mod plan;
pub mod simulate;
pub mod slow;
