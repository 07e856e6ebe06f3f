//! The gateway.

pub mod ws;
