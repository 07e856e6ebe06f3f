//! The gateway.

pub mod accounts;
pub mod feed;
pub mod reactor;
pub mod reports;
pub mod rooms;
pub mod session;
pub mod venue;
pub mod wire;
pub mod ws;
