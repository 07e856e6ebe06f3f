//! The beat of timed rooms.
//!
//! A feed works when its matcher does, and a quiet matcher sleeps: without a beat from outside the last change before the quiet would
//! hang. It comes from here for all feeds that have timed rooms; the others are left alone.

use crate::reactor::clock;
use crate::rooms::Registry;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Between two beats: the time that the protocol promises.
const BEAT: Duration = Duration::from_millis(crate::wire::request::INTERVAL_MS as u64);

/// Runs until it is dropped.
pub async fn run(registry: Arc<Registry>) -> Infallible {
    let mut beats = tokio::time::interval(BEAT);
    // Late is late: two beats close together would be two messages close together.
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        registry.beat(clock());
    }
}
