//! Hands a recording to a running engine through a port, at the pace it was recorded or faster.

use super::Flow;
use engine_core::executor::threads::Port;
use engine_core::message::{Input, Report};
use engine_core::units::Timestamp;
use indicatif::ProgressBar;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Inputs between two looks at reports, clock and bar: the engine's own turn. Picked by eye.
const STRIDE: usize = 256;
/// How long a feeder that cannot go on sleeps before it looks again: lanes do not ring when they drain.
const NAP: Duration = Duration::from_micros(50);
/// Longest sleep between two recorded moments, so that a stop is heard and reports are taken.
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// So many times the recorded pace.
    Times(u32),
    /// As fast as the engine takes it.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(times) if times > 0 => Ok(Speed::Times(times)),
            _ if text == "max" => Ok(Speed::Max),
            _ => Err("a whole number of times the recorded pace, or max".into()),
        }
    }
}

/// Which times the inputs carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// As recorded: every run gives the same.
    Recorded,
    /// The time they are sent: for an exchange that other clients use at the same time.
    Wall,
}

/// Feeds all of `flow` and waits for nothing but room. Whatever is reported meanwhile goes to `take`: a port that does
/// not read its reports would hold up the engine. Returns early when `stop` is set.
pub fn feed(
    port: &mut Port,
    flow: &Flow,
    speed: Speed,
    clock: Clock,
    stop: &AtomicBool,
    progress: &ProgressBar,
    mut take: impl FnMut(Report),
) {
    let start = Instant::now();
    let first = flow.inputs.first().map_or(Timestamp(0), |input| input.at);
    let due = |input: &Input| match speed {
        Speed::Times(times) => {
            Some(start + Duration::from_micros(input.at.0.saturating_sub(first.0) / times as u64))
        }
        Speed::Max => None,
    };
    for (sent, input) in flow.funding.iter().chain(&flow.inputs).enumerate() {
        if sent.is_multiple_of(STRIDE) {
            port.flush();
            port.take_reports(usize::MAX, &mut take);
            progress.set_position(sent as u64);
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
        if let Some(due) = due(input)
            && !wait_until(due, port, stop, &mut take)
        {
            return;
        }
        let mut input = *input;
        input.origin.port = port.index();
        if clock == Clock::Wall {
            input.at = now();
        }
        while port.submit(input).is_err() {
            port.flush();
            if port.take_reports(usize::MAX, &mut take) == 0 {
                std::thread::sleep(NAP);
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }
    port.flush();
    progress.set_position((flow.funding.len() + flow.inputs.len()) as u64);
}

/// Whether the time has come; `false` if we were stopped before.
fn wait_until(due: Instant, port: &mut Port, stop: &AtomicBool, take: &mut impl FnMut(Report)) -> bool {
    let mut left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        port.flush();
    }
    while !left.is_zero() {
        port.take_reports(usize::MAX, &mut *take);
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(left.min(PAUSE_MAX));
        left = due.saturating_duration_since(Instant::now());
    }
    true
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_micros() as u64)
}
