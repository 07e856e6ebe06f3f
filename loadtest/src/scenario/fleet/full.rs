//! A subscriber of which every message is checked: as it comes, or later from a recording.

use crate::check::{Follower, Mark, Violation};
use crate::client::{Connection, Following, Step};
use crate::frames::Walker;
use crate::lean::{Drain, Heard, Lean, Reached, Span};
use crate::meter::{Gain, Meter, Phase};
use crate::wire::Wire;
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Messages the reference keeps the place of, 64 MB; of a longer run the end goes without the cross-check.
const PLACES_MAX: usize = 4_000_000;

pub struct Full {
    pub following: Following,
    pub(super) frames: u64,
    /// Of those, the ones that came in the steady phase.
    pub(super) frames_steady: u64,
    first: Option<Mark>,
    last: Option<Mark>,
    /// What everybody must have got by the end: the last message before the drain or, if the drain came to silence, the
    /// last of all.
    due: Option<Mark>,
    /// Of the reference only: where it is...
    reached: Option<Reached>,
    /// ...and where it was.
    pub(super) places: Option<Places>,
    /// Numbers of answered pings, of a recording.
    pub(crate) pongs: Vec<u64>,
    /// When gaps and fresh snapshots came, of a recording.
    pub(crate) lapped_us: Vec<u64>,
    /// Of a recording that had not room for all.
    pub(crate) bytes_unchecked: u64,
}

/// Where in the stream each message was. Both lists go up, as both kinds of numbers do.
#[derive(Debug, Default)]
pub(super) struct Places {
    updates: Vec<(u64, u64)>,
    trades: Vec<(u64, u64)>,
}

impl Full {
    pub fn new(following: Following, is_reference: bool) -> Self {
        let places = is_reference.then(Places::default);
        let (pongs, lapped_us) = Default::default();
        let (first, last, due) = Default::default();
        Full {
            following,
            frames: 0,
            frames_steady: 0,
            first,
            last,
            due,
            reached: None,
            places,
            pongs,
            lapped_us,
            bytes_unchecked: 0,
        }
    }

    /// Checks what a lean subscriber recorded. None: it recorded nothing.
    pub(crate) async fn hear(
        lean: Lean,
        channel: &str,
        (is_reference, deflate): (bool, bool),
        meter: &Meter,
    ) -> Result<Result<Full, Box<Lean>>> {
        let mut closed = lean.tally().closed.clone();
        let (recording, stream) = match lean.into_recorded() {
            Ok(recorded) => recorded,
            Err(lean) => return Ok(Err(lean)),
        };
        let mut follower = Follower::new(channel);
        let (mut heard, mut pongs, mut lapped_us) = (Vec::new(), Vec::new(), Vec::new());
        let walker = if deflate { Walker::inflating() } else { Walker::default() };
        let carry = recording.play(walker, |message| match message {
            Heard::Text { text, received_us } => {
                pongs.extend(pong(text));
                let laps_before = told_of_laps(&follower);
                heard.push((follower.apply(text), received_us));
                lapped_us.extend((told_of_laps(&follower) > laps_before).then_some(received_us));
            }
            Heard::Close => _ = closed.get_or_insert_default(),
        })?;
        if let Some(reason) = &closed {
            follower.violate(Violation::Closed { reason: reason.clone() });
        }
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let connection = match deflate {
            true => Connection::resume(Wire::deflated(stream, &carry), Vec::new()).await,
            false => Connection::resume(Wire::plain(stream), carry).await,
        };
        // Behind a hole nothing more can be read.
        let is_over = closed.is_some() || recording.bytes_lost() > 0;
        let mut full = Full::new(Following::resume(connection, follower, is_over), is_reference);
        (full.pongs, full.lapped_us, full.bytes_unchecked) = (pongs, lapped_us, recording.bytes_lost());
        for (applied, received_us) in heard {
            if !full.note(applied.mark) {
                continue;
            }
            let phase = meter.phase_at(received_us);
            full.frames_steady += u64::from(phase == Phase::Steady);
            if phase < Phase::Draining {
                full.due = full.last;
            }
            if let Some(event_us) = applied.event_us {
                meter.was_late(received_us, received_us.saturating_sub(event_us));
            }
        }
        Ok(Ok(full))
    }

    /// Tells from now on how far it has come.
    pub(super) fn tell(&mut self, reached: Reached) {
        reached.set(self.following.follower.seq());
        self.reached = Some(reached);
    }

    /// Reads until the phase has come.
    pub async fn watch(
        &mut self,
        meter: &Meter,
        mut phase: watch::Receiver<Phase>,
        until: Phase,
    ) -> Result<()> {
        let come = phase.wait_for(|phase| *phase >= until);
        tokio::pin!(come);
        loop {
            tokio::select! {
                biased;
                step = self.following.step(far()) => if !self.take(step?, meter) { break },
                come = &mut come => {
                    come.context("the run is gone")?;
                    break;
                }
            }
        }
        self.due = self.last;
        Ok(())
    }

    pub async fn drain(&mut self, drain: Drain, meter: &Meter) -> Result<()> {
        let deadline = Instant::now() + drain.limit;
        loop {
            let step = self.following.step(deadline.min(Instant::now() + drain.idle)).await?;
            if !self.take(step, meter) {
                self.fell_silent();
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    /// The stream is over: everybody must have all of it.
    pub(super) fn fell_silent(&mut self) {
        self.due = self.last;
    }

    pub(super) fn due(&self) -> Option<Mark> {
        self.due
    }

    /// False when there is nothing more to take.
    fn take(&mut self, step: Step, meter: &Meter) -> bool {
        let Step::Applied { applied, received_us } = step else { return false };
        if let Some(reached) = &self.reached {
            reached.set(self.following.follower.seq());
        }
        if self.note(applied.mark) {
            self.frames_steady += u64::from(meter.phase_at(received_us) == Phase::Steady);
            meter.received(Gain { frames: 1, ..Gain::default() });
            if let Some(event_us) = applied.event_us {
                meter.late(received_us, &[(event_us, 1)]);
            }
        }
        true
    }

    /// Keeps the place of a message, if it is data.
    fn note(&mut self, mark: Mark) -> bool {
        if !matches!(mark, Mark::Update { .. } | Mark::Trade { .. }) {
            return false;
        }
        self.first.get_or_insert(mark);
        self.last = Some(mark);
        if let Some(places) = &mut self.places {
            places.put(mark, self.frames);
        }
        self.frames += 1;
        true
    }

    pub fn was_lapped(&self) -> bool {
        told_of_laps(&self.following.follower) > 0
    }

    pub(super) fn span(&self) -> Option<Span> {
        Some(Span { first: self.first?, last: self.last?, frames: self.frames })
    }
}

impl Places {
    /// A number that does not go up is a fault that the follower has told already.
    fn put(&mut self, mark: Mark, place: u64) {
        let (list, number) = match mark {
            Mark::Update { seq } => (&mut self.updates, seq),
            Mark::Trade { trade_id } => (&mut self.trades, trade_id),
            Mark::Snapshot { .. } | Mark::Other => return,
        };
        if list.len() < PLACES_MAX && list.last().is_none_or(|(last, _)| *last < number) {
            list.push((number, place));
        }
    }

    fn get(&self, mark: Mark) -> Option<u64> {
        let (list, number) = match mark {
            Mark::Update { seq } => (&self.updates, seq),
            Mark::Trade { trade_id } => (&self.trades, trade_id),
            Mark::Snapshot { .. } | Mark::Other => return None,
        };
        list.binary_search_by_key(&number, |(number, _)| *number).ok().map(|at| list[at].1)
    }

    /// Whether a message is that one or a later one. One beyond all that the reference saw is later.
    pub(super) fn reaches(&self, mark: Mark, due: Mark) -> bool {
        match (self.get(mark), self.get(due)) {
            (Some(at), Some(due)) => at >= due,
            (None, Some(_)) => self.is_beyond(mark),
            (_, None) => true, // the end went without its place
        }
    }

    fn is_beyond(&self, mark: Mark) -> bool {
        let (list, number) = match mark {
            Mark::Update { seq } => (&self.updates, seq),
            Mark::Trade { trade_id } => (&self.trades, trade_id),
            Mark::Snapshot { .. } | Mark::Other => return false,
        };
        list.last().is_none_or(|(last, _)| number > *last)
    }

    pub(super) fn frames_between(&self, span: &Span) -> Option<u64> {
        (self.get(span.last)? + 1).checked_sub(self.get(span.first)?)
    }
}

/// Fresh snapshots and gaps.
fn told_of_laps(follower: &Follower) -> u64 {
    follower.laps() + follower.counts().gaps
}

/// The number of the ping that this answers. Only what may be an answer is parsed.
fn pong(text: &str) -> Option<u64> {
    let message: serde_json::Value =
        serde_json::from_str(Some(text).filter(|text| text.contains("\"pong\""))?).ok()?;
    message["id"].as_u64().filter(|_| message["type"] == "pong")
}

/// No deadline of its own: the phases end the wait.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}
