//! What the harness can play, one file or folder for each subcommand. What several of them have in common: [`fleet`] and [`audience`], those who subscribe;
//! [`flow`], those who trade; [`windows`], times that are compared.

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
pub mod rush;
pub mod simulate;
pub mod slow;
pub mod windows;
