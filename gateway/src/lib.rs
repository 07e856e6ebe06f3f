//! The gateway.

pub mod replay;
