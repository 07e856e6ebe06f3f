//! The readers that stop reading, and what became of each.
//!
//! One thread reads them all, so that it can stop for all at once. What they get is recorded and every message of it
//! checked when the run is over: parsing it in between would take time of the machine in one kind of window only.
//!
//! When a stall begins and again before it ends, each says a ping of its own. It gets the answers in the middle of what
//! it was lapped with, and they must be its own and nobody else's.

use super::Options;
use crate::check::Violation;
use crate::client::{Dial, now_us};
use crate::descriptors;
use crate::frames::{TEXT, put_client_frame};
use crate::lean::{Lean, Opening, Reached, Readers, Recording};
use crate::meter::Meter;
use crate::scenario::fleet::{DRAIN, Full, Reference};
use crate::target::Target;
use anyhow::{Context, Result};
use serde::Serialize;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// So that a stall is felt after kilobytes rather than the megabytes loopback sockets grow to. The kernel doubles it.
const RECEIVE_BYTES: u32 = 16 << 10;

const LIVE_TIMEOUT: Duration = Duration::from_secs(60);
const MEETING_TIMEOUT: Duration = Duration::from_secs(10);

/// The close code of who reads too slowly.
const SLOW_CONSUMER: &str = "4001";

/// For them to catch up with the others; the next window begins anyway, and how many are behind is told.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(30);
/// Between looks at how far they are.
const LOOK: Duration = Duration::from_millis(10);

/// Numbers of pings that belong to one reader: two for each stall.
const PINGS_MAX: u64 = 1_000_000;

pub(super) struct Stalling {
    readers: Readers,
    /// The writing ends, by number.
    voices: Vec<TcpStream>,
    /// How far each has come.
    reached: Vec<Reached>,
    pings: u64,
    /// When each stall ended.
    read_on_us: Vec<u64>,
}

/// What is the same for all of them.
struct Stalls {
    pings: u64,
    read_on_us: Vec<u64>,
}

/// How a stalled reader came out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    CaughtUp,
    Lapped,
    /// By a close frame that says it was too slow.
    Closed,
    /// In any other way, which is a violation.
    Broken,
}

/// What is known of one of them in the end.
#[derive(Clone, Debug, Serialize)]
pub struct Stalled {
    pub number: usize,
    pub end: End,
    /// Fresh snapshots after the first.
    pub laps: u64,
    /// Stalls after which it was told of a lap.
    pub stalls_with_lap: usize,
    pub gaps: u64,
    pub trades_announced_missing: u64,
    pub trades_received: u64,
    /// Its rebuilt book was held against a fresh one at the same sequence.
    pub book_compared: bool,
    /// All of its recording fitted, so all was checked.
    pub bytes_unchecked: u64,
    pub closed_reason: Option<String>,
    #[serde(skip)]
    pub(super) violations: Vec<String>,
}

impl Stalling {
    pub(super) async fn launch(options: &Options) -> Result<Self> {
        let (plan, unmeasured) = (&options.plan, Arc::new(Meter::default()));
        let (voices, reached, read_on_us) = Default::default();
        let readers = Readers::start(1, &unmeasured)?;
        let mut stalling = Stalling { readers, voices, reached, pings: 0, read_on_us };
        let (opening, all) = (Opening::subscribe(&plan.channel), plan.subscribers + options.stalled);
        for number in 0..options.stalled {
            let how = Dial {
                source: descriptors::source(&plan.target, all, plan.subscribers + number),
                receive_buffer_bytes: Some(RECEIVE_BYTES),
                ..Dial::default()
            };
            let recording = Some(Recording::new(options.record_bytes_max));
            let lean = Lean::subscribe(&plan.target, &opening, how, recording, Instant::now() + LIVE_TIMEOUT);
            let mut lean = lean.await.with_context(|| format!("stalled reader {number}"))?;
            stalling.voices.push(lean.voice()?);
            stalling.reached.push(lean.tell());
            stalling.readers.take(lean);
        }
        Ok(stalling)
    }

    pub(super) fn stall(&mut self) {
        self.readers.hold(true);
        self.ping();
    }

    pub(super) fn read_on(&mut self) {
        self.read_on_us.push(now_us());
        self.ping();
        self.readers.hold(false);
    }

    /// Waits until they have got what the reference has, and returns how many have not in time.
    pub(super) async fn catch_up(&self, reference_seq: Option<u64>) -> usize {
        behind(&self.reached, reference_seq.unwrap_or(0), CATCH_UP_PATIENCE).await
    }

    /// One that the server has closed cannot say anything any more; that it was closed is told by what it heard.
    fn ping(&mut self) {
        for (number, voice) in self.voices.iter_mut().enumerate() {
            let request = serde_json::json!({"action": "ping", "id": ping_id(number, self.pings)});
            let mut frame = Vec::new();
            put_client_frame(&mut frame, TEXT, request.to_string().as_bytes());
            let _ = voice.write_all(&frame);
        }
        self.pings += 1;
    }

    /// Reads to silence, then checks all that each of them got.
    pub(super) async fn land(self, options: &Options, reference: Option<Reference>) -> Result<Vec<Stalled>> {
        let Self { readers, pings, read_on_us, .. } = self;
        let stalls = Stalls { pings, read_on_us };
        let leans = tokio::task::spawn_blocking(move || readers.finish(DRAIN)).await??;
        let (mut home, unmeasured) = (Vec::new(), Meter::default());
        for (number, lean) in leans.into_iter().enumerate() {
            let heard = Full::hear(lean, &options.plan.channel, (false, false), &unmeasured).await?;
            let full = heard.ok().context("a stalled reader without a recording")?;
            home.push(judge(number, full, &stalls, &options.plan.target, reference).await);
        }
        Ok(home)
    }
}

async fn behind(readers: &[Reached], wanted: u64, patience: Duration) -> usize {
    let until = Instant::now() + patience;
    loop {
        let is_behind = |reached: &&Reached| reached.seq().is_some_and(|seq| seq < wanted);
        let behind = readers.iter().filter(is_behind).count();
        if behind == 0 || Instant::now() >= until {
            return behind;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn ping_id(number: usize, ping: u64) -> u64 {
    (number as u64 + 1) * PINGS_MAX + ping
}

async fn judge(
    number: usize,
    mut full: Full,
    stalls: &Stalls,
    target: &Target,
    reference: Option<Reference>,
) -> Stalled {
    let mut violations = Vec::new();
    let whole = !full.following.is_closed();
    let book_compared = whole && full.following.follower.has_book();
    if whole {
        violations.extend(missing_at_the_end(&mut full, reference).await);
        let wanted: Vec<u64> = (0..stalls.pings).map(|ping| ping_id(number, ping)).collect();
        if full.pongs != wanted {
            violations.push(format!("answers to its pings were {:?}, not {wanted:?}", full.pongs));
        }
    }
    if book_compared && let Err(error) = full.following.compare_with_fresh(target, MEETING_TIMEOUT).await {
        violations.push(format!("comparing its book: {error:#}"));
    }
    let (follower, bytes_unchecked) = (&full.following.follower, full.bytes_unchecked);
    let (counts, laps) = (follower.counts(), follower.laps());
    let closed = follower.violations().iter().find_map(|violation| match violation {
        Violation::Closed { reason } => Some(reason.clone()),
        _ => None,
    });
    // Being closed as slow is a way the contract allows; any other end, and anything else said before it, is not.
    let faults = follower.violations().iter().filter(|fault| !is_closed_as_slow(fault));
    violations.extend(faults.map(ToString::to_string));
    let end = match closed {
        Some(_) if follower.violations().iter().any(is_closed_as_slow) => End::Closed,
        Some(_) => End::Broken,
        None if laps + counts.gaps > 0 => End::Lapped,
        None => End::CaughtUp,
    };
    Stalled {
        number,
        end,
        laps,
        stalls_with_lap: stalls.with_lap(&full.lapped_us),
        gaps: counts.gaps,
        trades_announced_missing: counts.trades_announced_missing,
        trades_received: counts.trades,
        book_compared,
        bytes_unchecked,
        closed_reason: closed,
        violations,
    }
}

impl Stalls {
    /// What comes between the end of a stall and that of the next, during which nothing is read, is of the former.
    fn with_lap(&self, lapped_us: &[u64]) -> usize {
        let ends = self.read_on_us.iter().skip(1).chain([&u64::MAX]);
        let stalls = self.read_on_us.iter().zip(ends);
        stalls.filter(|(from, to)| lapped_us.iter().any(|us| (*from..*to).contains(&us))).count()
    }
}

/// As clients tell it: the code of the close frame, then its reason.
fn is_closed_as_slow(violation: &Violation) -> bool {
    matches!(violation, Violation::Closed { reason } if reason.split(' ').next() == Some(SLOW_CONSUMER))
}

/// A hole in the middle shows in the next trade. One at the end shows beside somebody who has the same book: there
/// the last trade is the same one, delivered or announced.
async fn missing_at_the_end(full: &mut Full, reference: Option<Reference>) -> Option<String> {
    let following = &mut full.following;
    let reference = reference.filter(|reference| reference.seq == following.follower.seq())?;
    let last = reference.trade_id_last?;
    let deadline = Instant::now() + DRAIN.limit;
    let name = format!("trade {last}");
    let told = following.until(deadline, &name, |follower| follower.trade_id_last() >= Some(last));
    told.await.err().map(|error| format!("a trade at the end neither came nor was announced: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_are_behind_are_waited_for_until_they_have_come_or_are_gone() {
        let readers = [7, 5, 3].map(|seq| {
            let reached = Reached::default();
            reached.set(seq);
            reached
        });
        assert_eq!(behind(&readers, 7, Duration::ZERO).await, 2);
        let [_, late, closed] = readers.clone();
        let waiting = tokio::spawn(async move { behind(&readers, 7, CATCH_UP_PATIENCE * 100).await });
        late.set(8);
        closed.close();
        assert_eq!(waiting.await.unwrap(), 0);
    }

    #[test]
    fn a_lap_belongs_to_the_stall_before_it() {
        let stalls = Stalls { pings: 0, read_on_us: vec![10, 20, 30] };
        assert_eq!(stalls.with_lap(&[5]), 0, "before all stalls");
        assert_eq!(stalls.with_lap(&[10, 19]), 1);
        assert_eq!(stalls.with_lap(&[19, 20, 99]), 3);
    }
}
