//! The exchange as pure state machines.
//!
//! Nothing in this crate opens a socket, reads a clock or draws a random number. Time arrives inside records,
//! prices and money are integers, and the same input gives the same output on every machine. That is what makes
//! the live exchange, a replay of its log and a simulated one the same program.
//!
//! In reading order:
//! - [`units`]: ticks, lots, atoms and the identifiers; [`decimal`]: exact text to integers and back.
//! - [`book`]: one symbol's resting orders, price and time priority. `plain` is obviously correct, `fast` is what
//!   runs; the first judges the second.

#![warn(missing_docs)]

pub mod book;
pub mod decimal;
pub mod units;
