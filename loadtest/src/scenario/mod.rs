//! What the harness can play, one file for each subcommand.

pub mod follow;
