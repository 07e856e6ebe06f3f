//! Many subscribers of one channel, each in its own task, told by one watch what time it is.
//!
//! ```text
//! Connecting ─▶ Steady ─▶ (Stalled ─▶ Recovery) ─▶ Draining: read to silence, then come home with what was seen
//! ```
//! The first subscriber is the reference: it is there before the others and leaves after them, and keeps the place of
//! every message. Where another says "I counted n messages from this one to that one", the reference knows n.

use crate::check::Mark;
use crate::client::{Dial, Following, Step};
use crate::descriptors;
use crate::lean::{Lean, Span};
use crate::report::{Latencies, Percentiles, Verdict};
use crate::target::Target;
use anyhow::{Context, Result};
use futures_util::future::join_all;
use indicatif::ProgressBar;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Handshakes under way at once: a burst larger than a listen backlog costs a second's retry each.
const CONNECTING_MAX: usize = 128;

/// Messages the reference keeps the place of, some 150 MB; a longer run goes without the cross-check.
const PLACES_MAX: usize = 4_000_000;

/// Rebuilt books compared with a fresh snapshot.
const BOOKS_COMPARED_MAX: usize = 16;
const MEETING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Connecting,
    Steady,
    Stalled,
    Recovery,
    Draining,
}

const PHASE_COUNT: usize = Phase::Draining as usize + 1;

#[derive(Clone, Debug)]
pub struct Plan {
    pub target: Target,
    pub channel: String,
    pub subscribers: usize,
    /// Every how many-th subscriber is checked fully; the others are lean. One: all.
    pub full_every: usize,
}

/// What a kind of subscribers received, added up, and how late, by phase.
pub struct Meter {
    frames: AtomicU64,
    bytes: AtomicU64,
    phase: AtomicUsize,
    latencies: [Mutex<Latencies>; PHASE_COUNT],
}

pub struct Fleet {
    phase: watch::Sender<Phase>,
    tasks: JoinSet<Result<Watched>>,
    pub full: Arc<Meter>,
    pub lean: Arc<Meter>,
    pub live: usize,
}

/// What came home.
#[derive(Default)]
pub struct Landed {
    pub full: Vec<Full>,
    pub lean: Vec<Lean>,
    pub verdict: Verdict,
}

pub struct Full {
    pub following: Following,
    frames: u64,
    first: Option<Mark>,
    last: Option<Mark>,
    /// Of the reference only.
    places: Option<HashMap<Mark, u64>>,
}

pub enum Watched {
    Full(Box<Full>),
    Lean(Box<Lean>),
}

impl Fleet {
    /// Connects everyone and waits until each is live or has failed.
    pub async fn launch(plan: &Plan, progress: &ProgressBar) -> Result<Self> {
        let mut fleet = Fleet {
            phase: watch::Sender::new(Phase::Connecting),
            tasks: JoinSet::new(),
            full: Arc::default(),
            lean: Arc::default(),
            live: 0,
        };
        let gate = Arc::new(Semaphore::new(CONNECTING_MAX));
        progress.set_length(plan.subscribers as u64);
        fleet.join(plan, 0..1, &gate, progress).await;
        fleet.join(plan, 1..plan.subscribers, &gate, progress).await;
        Ok(fleet)
    }

    async fn join(
        &mut self,
        plan: &Plan,
        indexes: std::ops::Range<usize>,
        gate: &Arc<Semaphore>,
        bar: &ProgressBar,
    ) {
        let (live, mut lives) = mpsc::channel(CONNECTING_MAX);
        for index in indexes {
            let member = Member {
                index,
                plan: plan.clone(),
                meter: if plan.is_full(index) { self.full.clone() } else { self.lean.clone() },
                phase: self.phase.subscribe(),
            };
            self.tasks.spawn(member.run(gate.clone(), live.clone()));
        }
        drop(live); // so that the channel ends when every member is live or gone
        while lives.recv().await.is_some() {
            self.live += 1;
            bar.inc(1);
        }
    }

    pub fn enter(&self, phase: Phase) {
        for meter in [&self.full, &self.lean] {
            meter.phase.store(phase as usize, Ordering::Relaxed);
        }
        self.phase.send_replace(phase);
    }

    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub fn frames(&self) -> u64 {
        self.full.frames.load(Ordering::Relaxed) + self.lean.frames.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.full.bytes.load(Ordering::Relaxed) + self.lean.bytes.load(Ordering::Relaxed)
    }

    /// Waits out a phase of the run and shows the rate meanwhile.
    pub async fn pass(&self, duration: Duration, progress: &ProgressBar) {
        let end = Instant::now() + duration;
        let mut frames_before = self.frames();
        while Instant::now() < end {
            let second = Instant::now();
            tokio::time::sleep_until(end.min(second + Duration::from_secs(1))).await;
            let frames = self.frames();
            let rate = (frames - frames_before) as f64 / second.elapsed().as_secs_f64();
            progress.set_message(format!("{rate:.0} frames/s"));
            frames_before = frames;
        }
    }

    pub async fn land(mut self) -> Landed {
        self.enter(Phase::Draining);
        let mut landed = Landed::default();
        while let Some(home) = self.tasks.join_next().await {
            match home.context("a subscriber's task").flatten() {
                Ok(Watched::Full(full)) => landed.full.push(*full),
                Ok(Watched::Lean(lean)) => landed.lean.push(*lean),
                Err(error) => landed.verdict.violate(format!("{error:#}")),
            }
        }
        landed.judge();
        landed
    }
}

impl Plan {
    /// The first is the reference and always checked.
    fn is_full(&self, index: usize) -> bool {
        index.is_multiple_of(self.full_every)
    }
}

/// One subscriber to be.
struct Member {
    index: usize,
    plan: Plan,
    meter: Arc<Meter>,
    phase: watch::Receiver<Phase>,
}

impl Member {
    async fn run(self, gate: Arc<Semaphore>, live: mpsc::Sender<()>) -> Result<Watched> {
        let Plan { target, channel, subscribers, .. } = &self.plan;
        let how = Dial { source: descriptors::source(target, *subscribers, self.index), ..Dial::default() };
        let deadline = Instant::now() + LIVE_TIMEOUT;
        let turn = gate.acquire_owned().await.context("the gate is never closed")?;
        let who = || format!("subscriber {}", self.index);
        if self.plan.is_full(self.index) {
            let mut following = Following::subscribe_by(target, channel, how).await.with_context(who)?;
            following.until_live(deadline).await.with_context(who)?;
            drop((turn, live.send(()).await, live));
            let mut full = Full::new(following, self.index == 0);
            full.watch(&self.meter, self.phase, Phase::Draining).await?;
            full.drain(if self.index == 0 { REFERENCE_DRAIN } else { DRAIN }, &self.meter).await?;
            Ok(Watched::Full(Box::new(full)))
        } else {
            let mut lean = Lean::subscribe(target, channel, how).await.with_context(who)?;
            let has_book = crate::check::Follower::new(channel).has_book();
            lean.until_live(has_book, deadline).await.with_context(who)?;
            drop((turn, live.send(()).await, live));
            watch_lean(&mut lean, &self.meter, self.phase).await.with_context(who)?;
            Ok(Watched::Lean(Box::new(lean)))
        }
    }
}

/// For the whole fleet to connect; a member waits for its turn too.
const LIVE_TIMEOUT: Duration = Duration::from_secs(120);

/// When the run is over: read until silence of that length, or the time is up.
#[derive(Clone, Copy)]
pub struct Drain {
    pub idle: Duration,
    pub limit: Duration,
}

pub const DRAIN: Drain = Drain { idle: Duration::from_millis(300), limit: Duration::from_secs(3) };

/// Longer on both counts, to have seen all that the others saw.
const REFERENCE_DRAIN: Drain = Drain { idle: Duration::from_millis(600), limit: Duration::from_secs(5) };

impl Full {
    pub fn new(following: Following, is_reference: bool) -> Self {
        let places = is_reference.then(HashMap::new);
        Full { following, frames: 0, first: None, last: None, places }
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
                _ = &mut come => break,
            }
        }
        Ok(())
    }

    pub async fn drain(&mut self, drain: Drain, meter: &Meter) -> Result<()> {
        let deadline = Instant::now() + drain.limit;
        loop {
            let step = self.following.step(deadline.min(Instant::now() + drain.idle)).await?;
            if !self.take(step, meter) || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    /// False when there is nothing more to take.
    fn take(&mut self, step: Step, meter: &Meter) -> bool {
        let Step::Applied { applied, received_us } = step else { return false };
        if matches!(applied.mark, Mark::Update { .. } | Mark::Trade { .. }) {
            meter.received(1, 0);
            meter.latency(applied.event_us.map(|event_us| received_us.saturating_sub(event_us)));
            self.first.get_or_insert(applied.mark);
            self.last = Some(applied.mark);
            if let Some(places) = self.places.as_mut().filter(|places| places.len() < PLACES_MAX) {
                places.insert(applied.mark, self.frames);
            }
            self.frames += 1;
        }
        true
    }

    pub fn was_lapped(&self) -> bool {
        self.following.follower.laps() > 0 || self.following.follower.counts().gaps > 0
    }

    fn span(&self) -> Option<Span> {
        Some(Span { first: self.first?, last: self.last?, frames: self.frames })
    }
}

async fn watch_lean(lean: &mut Lean, meter: &Meter, mut phase: watch::Receiver<Phase>) -> Result<()> {
    let draining = phase.wait_for(|phase| *phase >= Phase::Draining);
    tokio::pin!(draining);
    while lean.tally().closed.is_none() {
        tokio::select! {
            biased;
            turn = lean.turn() => meter.turn(turn?),
            _ = &mut draining => break,
        }
    }
    let deadline = Instant::now() + DRAIN.limit;
    while lean.tally().closed.is_none() && Instant::now() < deadline {
        let quiet_at = deadline.min(Instant::now() + DRAIN.idle);
        match timeout_at(quiet_at, lean.turn()).await {
            Ok(turn) => meter.turn(turn?),
            Err(_) => break,
        }
    }
    Ok(())
}

/// No deadline of its own: the phases end the wait.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

impl Default for Meter {
    fn default() -> Self {
        Meter {
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            phase: AtomicUsize::new(Phase::Connecting as usize),
            latencies: Default::default(),
        }
    }
}

impl Meter {
    fn received(&self, frames: u64, bytes: u64) {
        self.frames.fetch_add(frames, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn turn(&self, turn: crate::lean::Turn) {
        self.received(turn.frames, turn.bytes);
        self.latency(turn.latency_us);
    }

    fn latency(&self, latency_us: Option<u64>) {
        if let Some(latency_us) = latency_us {
            let phase = self.phase.load(Ordering::Relaxed);
            self.latencies[phase].lock().expect("no holder panics").record_us(latency_us);
        }
    }

    pub fn percentiles(&self, phase: Phase) -> Percentiles {
        self.latencies[phase as usize].lock().expect("no holder panics").percentiles()
    }
}

impl Landed {
    fn judge(&mut self) {
        for (index, full) in self.full.iter().enumerate() {
            self.verdict.absorb(&format!("checked subscriber {index}"), &full.following.follower);
        }
        for lean in &self.lean {
            if let Some(reason) = &lean.tally().closed {
                self.verdict.violate(format!("a lean subscriber was closed: {reason}"));
            }
        }
    }

    pub fn laps(&self) -> u64 {
        let full = self.full.iter().map(|full| full.following.follower.laps());
        full.chain(self.lean.iter().map(|lean| lean.tally().snapshots.saturating_sub(1))).sum()
    }

    pub fn gaps(&self) -> u64 {
        let full = self.full.iter().map(|full| full.following.follower.counts().gaps);
        full.chain(self.lean.iter().map(|lean| lean.tally().gaps)).sum()
    }

    /// Messages that passed the reference.
    pub fn distinct_frames(&self) -> u64 {
        self.full.iter().find(|full| full.places.is_some()).map_or(0, |reference| reference.frames)
    }

    /// Takes up to sixteen of the checked subscribers and compares their books with fresh ones. Returns how many.
    pub async fn compare_books(&mut self, target: &Target) -> usize {
        let step = self.full.len().div_ceil(BOOKS_COMPARED_MAX).max(1);
        let sampled = self.full.iter_mut().map(|full| &mut full.following).step_by(step);
        let sampled = sampled.filter(|following| following.follower.has_book() && !following.is_closed());
        let compared = join_all(sampled.map(|following| async {
            let violations_before = following.follower.counts().violations;
            let compared = following.compare_with_fresh(target, MEETING_TIMEOUT).await;
            let follower = &following.follower;
            let new = follower.counts().violations - violations_before;
            let first = follower.violations().get(violations_before as usize).map(ToString::to_string);
            (compared, new, first)
        }))
        .await;
        for (result, new, first) in &compared {
            let first = first.as_deref().unwrap_or("see the first violations");
            self.verdict.expect(*new == 0, || format!("book of a checked subscriber: {first}"));
            if let Err(error) = result {
                self.verdict.violate(format!("comparing a book: {error:#}"));
            }
        }
        compared.len()
    }

    /// Asks the reference whether everyone got as many messages as lie between their first and last.
    pub fn compare_spans(&mut self) -> Spans {
        let mut spans = Spans::default();
        let reference = self.full.iter().find(|full| full.places.is_some() && !full.was_lapped());
        let Some(places) = reference.and_then(|full| full.places.as_ref()) else {
            spans.skipped = self.full.len() + self.lean.len();
            return spans;
        };
        let full = self.full.iter().map(|full| ("a checked", full.was_lapped(), full.span()));
        let lean = self.lean.iter().map(|lean| ("a lean", lean.tally().was_lapped(), lean.tally().span()));
        for (who, lapped, span) in full.chain(lean) {
            match span.and_then(|span| Some((span, frames_between(places, &span)?))) {
                Some((span, expected)) if !lapped => {
                    spans.compared += 1;
                    let Span { first, last, frames } = span;
                    self.verdict.expect(frames == expected, || {
                        format!("{who} subscriber counted {frames} frames from {first:?} to {last:?}, not {expected}")
                    });
                }
                _ => spans.skipped += 1,
            }
        }
        spans
    }
}

/// Subscribers whose count of messages was held against the reference's.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Spans {
    pub compared: usize,
    /// Lapped, or without data, or beyond what the reference saw.
    pub skipped: usize,
}

fn frames_between(places: &HashMap<Mark, u64>, span: &Span) -> Option<u64> {
    (places.get(&span.last)? + 1).checked_sub(*places.get(&span.first)?)
}
