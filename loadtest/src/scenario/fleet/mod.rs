//! Many subscribers of one channel.
//!
//! ```text
//! Connecting ─▶ Steady ─▶ (Stalled or Rush ─▶ Recovery) ─▶ Draining: read to silence, then come home with what was seen
//! ```
//! Lean ones are read by a few threads; those that are checked while they read have a task each, told by a watch what
//! time it is. The first subscriber is the reference: it is there before the others, and keeps the place of
//! every message. Where another says "I counted n messages from this one to that one", the reference knows n.

mod full;
mod harvest;
mod landed;

pub use crate::lean::Drain;
pub use crate::meter::{Meter, Phase};
pub use full::Full;
pub use harvest::Harvest;
pub use landed::{Landed, Reference, Spans};

use crate::client::{Dial, Following, now_us};
use crate::descriptors;
use crate::lean::{Lean, Opening, Reached, Readers, Recording};
use crate::monitor::{Monitor, Sample};
use crate::report::Latencies;
use crate::scenario::audience::{Seen, show};
use crate::target::Target;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Handshakes under way at once: a burst larger than a listen backlog costs a second's retry each.
const CONNECTING_MAX: usize = 128;

/// For the whole fleet to connect; a member waits for its turn too.
const LIVE_TIMEOUT: Duration = Duration::from_secs(120);

pub const DRAIN: Drain = Drain { idle: Duration::from_millis(300), limit: Duration::from_secs(3) };

/// Longer on both counts, to have seen all that the others saw.
const REFERENCE_DRAIN: Drain = Drain { idle: Duration::from_millis(600), limit: Duration::from_secs(5) };

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    pub target: Target,
    pub channel: String,
    pub subscribers: usize,
    /// Every how many-th subscriber is checked fully; the others are lean. One: all.
    pub full_every: usize,
}

/// How the subscribers are read and checked, where that matters.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Clients {
    pub reader_threads: usize,
    /// How many are checked, the first ones; otherwise the plan's rule holds.
    pub checked: Option<usize>,
    /// Checked ones are only recorded while the run lasts, up to so many bytes each, and checked when it is over.
    pub record_bytes_max: Option<usize>,
    /// For another server than Ringside. Nobody is checked fully then.
    #[serde(skip)]
    pub opening: Option<Opening>,
    /// The server's process, to be looked at every second.
    pub pid: Option<u32>,
    /// They have the server compress what it sends.
    pub deflate: bool,
    /// Where these subscribers stand among those of several processes.
    pub place: Option<Place>,
}

/// Those of other processes come from other addresses, once there are too many for one.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Place {
    pub first: usize,
    pub of: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Clients {
            reader_threads: 1,
            checked: None,
            record_bytes_max: None,
            opening: None,
            pid: None,
            deflate: false,
            place: None,
        }
    }
}

pub struct Fleet {
    plan: Plan,
    clients: Clients,
    phase: watch::Sender<Phase>,
    tasks: JoinSet<Result<Option<Full>>>,
    readers: Arc<Readers>,
    monitor: Mutex<Monitor>,
    pub full: Arc<Meter>,
    pub lean: Arc<Meter>,
    pub live: usize,
    /// Told by the reference.
    reached: Arc<OnceLock<Reached>>,
}

impl Fleet {
    pub async fn launch(plan: &Plan, progress: &ProgressBar) -> Result<Self> {
        Self::launch_as(plan, &Clients::default(), progress).await
    }

    /// Connects everyone and waits until each is live or has failed.
    pub async fn launch_as(plan: &Plan, clients: &Clients, progress: &ProgressBar) -> Result<Self> {
        let lean = Arc::default();
        let mut fleet = Fleet {
            plan: plan.clone(),
            clients: clients.clone(),
            phase: watch::Sender::new(Phase::Connecting),
            tasks: JoinSet::new(),
            readers: Arc::new(Readers::start(clients.reader_threads, &lean)?),
            monitor: Mutex::new(Monitor::new(clients.pid)),
            full: Arc::default(),
            lean,
            live: 0,
            reached: Arc::default(),
        };
        let gate = Arc::new(Semaphore::new(CONNECTING_MAX));
        progress.set_length(plan.subscribers as u64);
        fleet.join(0..1, &gate, progress).await;
        fleet.join(1..plan.subscribers, &gate, progress).await;
        Ok(fleet)
    }

    async fn join(&mut self, indexes: std::ops::Range<usize>, gate: &Arc<Semaphore>, bar: &ProgressBar) {
        let (live, mut lives) = mpsc::channel(CONNECTING_MAX);
        for index in indexes {
            let member = Member {
                index,
                plan: self.plan.clone(),
                clients: self.clients.clone(),
                readers: self.readers.clone(),
                meter: self.full.clone(),
                phase: self.phase.subscribe(),
                reached: self.reached.clone(),
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
        [&self.full, &self.lean].iter().for_each(|meter| meter.enter(phase, now_us()));
        self.phase.send_replace(phase);
    }

    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// How far the reference has come, if it is there.
    pub fn reached(&self) -> Option<u64> {
        self.reached.get()?.seq()
    }

    pub fn frames(&self) -> u64 {
        self.full.total().frames + self.lean.total().frames
    }

    /// Of everybody in that phase so far.
    pub fn latencies(&self, phase: Phase) -> Latencies {
        let mut latencies = self.full.latencies(phase);
        latencies.add(&self.lean.latencies(phase));
        latencies
    }

    /// Waits out a phase of the run, takes a sample every second and shows it.
    pub async fn pass(&self, duration: Duration, progress: &ProgressBar) {
        let end = Instant::now() + duration;
        while another_second(end).await {
            show(&self.look().1, progress);
        }
    }

    /// What there is so far, and the sample of the time since the last look.
    pub fn look(&self) -> (Seen, Sample) {
        let mut latencies = self.full.look();
        latencies.add(&self.lean.look());
        let (frames, lean_bytes) = (self.frames(), self.lean.total().bytes);
        let sample = self.monitor.lock().expect("no holder panics").tick(frames, &latencies);
        (Seen { frames, lean_bytes, latencies }, sample)
    }

    pub fn samples(&self) -> Vec<Sample> {
        self.monitor.lock().expect("no holder panics").samples().to_vec()
    }

    /// Comes home and says what there is to say.
    pub async fn harvest(self) -> Result<Harvest> {
        let (target, meters) = (self.plan.target.clone(), [self.full.clone(), self.lean.clone()]);
        let landed = self.land().await?;
        Ok(Harvest::of(landed, &target, meters.map(|meter| meter.latencies(Phase::Steady))).await)
    }

    pub async fn land(mut self) -> Result<Landed> {
        self.enter(Phase::Draining);
        let mut landed = Landed::default();
        while let Some(home) = self.tasks.join_next().await {
            match home.context("a subscriber's task").flatten() {
                Ok(full) => landed.full.extend(full),
                Err(error) => landed.verdict.violate(format!("{error:#}")),
            }
        }
        let drain = if self.clients.record_bytes_max.is_some() { REFERENCE_DRAIN } else { DRAIN };
        let readers = Arc::into_inner(self.readers).context("every member has come home")?;
        let begun = Instant::now();
        let leans = tokio::task::spawn_blocking(move || readers.finish(drain)).await??;
        let silent = begun.elapsed() < drain.limit;
        for lean in leans {
            let kind = (landed.full.is_empty(), self.clients.deflate);
            match Full::hear(lean, &self.plan.channel, kind, &self.full).await? {
                Ok(mut full) => {
                    if silent {
                        full.fell_silent();
                    }
                    landed.full.push(full);
                }
                Err(lean) => landed.lean.push(*lean),
            }
        }
        landed.judge();
        Ok(landed)
    }
}

impl Clients {
    /// The first is the reference and always checked, if anybody is.
    fn is_full(&self, plan: &Plan, index: usize) -> bool {
        let by_rule = index.is_multiple_of(plan.full_every);
        self.opening.is_none() && self.checked.map_or(by_rule, |checked| index < checked)
    }

    fn opening(&self, channel: &str) -> Opening {
        self.opening.clone().unwrap_or_else(|| Opening::subscribe(channel))
    }
}

/// One subscriber to be.
struct Member {
    index: usize,
    plan: Plan,
    clients: Clients,
    readers: Arc<Readers>,
    meter: Arc<Meter>,
    phase: watch::Receiver<Phase>,
    /// For the reference to tell.
    reached: Arc<OnceLock<Reached>>,
}

impl Member {
    /// Lean ones are the readers' when this ends; others come home with it.
    async fn run(self, gate: Arc<Semaphore>, live: mpsc::Sender<()>) -> Result<Option<Full>> {
        let Plan { target, channel, subscribers, .. } = &self.plan;
        let place = self.clients.place.unwrap_or(Place { first: 0, of: *subscribers });
        let source = descriptors::source(target, place.of, place.first + self.index);
        let how = Dial { source, deflate: self.clients.deflate, ..Dial::default() };
        let deadline = Instant::now() + LIVE_TIMEOUT;
        let turn = gate.acquire_owned().await.context("the gate is never closed")?;
        let who = || format!("subscriber {}", self.index);
        let is_full = self.clients.is_full(&self.plan, self.index);
        let recording = self.clients.record_bytes_max.filter(|_| is_full).map(Recording::new);
        if is_full && recording.is_none() {
            let mut following = Following::subscribe_by(target, channel, how).await.with_context(who)?;
            following.until_live(deadline).await.with_context(who)?;
            let mut full = Full::new(following, self.index == 0);
            if self.index == 0 {
                full.tell(self.reached.get_or_init(Reached::default).clone());
            }
            drop((turn, live.send(()).await, live));
            drop(self.readers);
            full.watch(&self.meter, self.phase, Phase::Draining).await?;
            full.drain(if self.index == 0 { REFERENCE_DRAIN } else { DRAIN }, &self.meter).await?;
            return Ok(Some(full));
        }
        let opening = self.clients.opening(channel);
        let lean = Lean::subscribe(target, &opening, how, recording, deadline).await;
        let mut lean = lean.with_context(who)?;
        if self.index == 0 {
            self.reached.get_or_init(|| lean.tell());
        }
        self.readers.take(lean);
        drop((turn, live.send(()).await, live));
        Ok(None)
    }
}

/// Waits for a second, or until the end if that is sooner. False if it is over already.
pub(crate) async fn another_second(end: Instant) -> bool {
    let now = Instant::now();
    let is_left = now < end;
    if is_left {
        tokio::time::sleep_until(end.min(now + Duration::from_secs(1))).await;
    }
    is_left
}
