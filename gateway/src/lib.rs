//! The gateway.

pub mod wire;
