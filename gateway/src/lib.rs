//! The gateway: everything between the engine and the world.
//!
//! In reading order:
//! - [`start`]: the wiring of the process. [`cli`] and [`config`]: what can be said about it. [`cores`]: which core runs what.
//!   [`listen`]: where clients find it. [`descriptors`]: how many of them there are files for.
//! - [`recovery`]: the engine a process begins with. [`keeper`]: what keeps the next one's beginning short.
//! - [`ws`]: RFC 6455. [`wire`]: our messages. [`session`]: one client. None of them sees a socket.
//! - [`venue`] and [`accounts`]: names and numbers of what is traded and of who trades. [`reports`]: the engine's
//!   reports in the protocol's words.
//! - [`rooms`]: what subscribers share. [`feed`]: from the matcher's events to frames in the rooms.
//! - [`reactor`]: sockets, turns and fan-out.
//! - [`simulate`]: reactors with millions of simulated sockets.
//! - [`control`]: HTTP. [`demo`]: the flow that a new exchange shows. [`replay`]: recorded order flow, and its judge.
//!   [`journal`]: what an operator asks of a journal.
//! - [`log`]: what the process says of itself. [`disk_watch`]: whether its disk is as it was. [`memory_watch`]: whether there is
//!   memory for more clients.

pub mod accounts;
pub mod cli;
pub mod config;
pub mod control;
pub mod cores;
pub mod demo;
pub mod descriptors;
pub mod disk_watch;
pub mod feed;
pub mod history;
pub mod journal;
pub mod keeper;
pub mod listen;
pub mod log;
pub mod memory_watch;
pub mod reactor;
pub mod recovery;
pub mod replay;
pub mod reports;
pub mod rooms;
pub mod session;
pub mod simulate;
pub mod start;
pub mod venue;
pub mod wire;
pub mod ws;
