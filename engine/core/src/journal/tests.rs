//! What the journal promises, on a disk that misbehaves.
//!
//! The truth is a plain list of what was appended, in order, kept by the [`rig`]. Most tests take the steps of the journal's
//! threads by hand, so that a seed gives the same run every time and a crash can be put at each point of it.

mod commands;
mod crashes;
mod damage;
mod full;
mod refusals;
mod rig;
mod round_trips;
mod running;
mod snapshots;
