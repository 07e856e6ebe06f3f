//! The keeper: follows the journal with a shadow of the engine, so that a restart is short and the journal does not grow
//! for ever.
//!
//! It is a thread of its own that reads what is durable and does it again. Trading never waits for it; where all cores are
//! busy it waits for trading, and is behind for as long. What it costs: the memory of a second engine state, and the time of
//! an engine thread, at a lower priority than the exchange's own threads.
//!
//! On the way it has the history written, if one is kept, and waits for its store, but only for so much journal: then the
//! history is set aside, and snapshots go on. What it lacks stays in the journal, and when the keeper is at the journal's end and
//! the store answers, it begins again where the history ends. So the history loses nothing and a restart stays short; what it
//! costs is the disk for what the history lacks.
//!
//! If what it reads is not what was written, the disk is losing the journal while the exchange still adds to it: nothing more
//! can be promised, and the process stops as it does after a failed sync.

use crate::history::recorder::Recorder;
use crate::history::writer::Writer;
use crate::recovery::give_up;
use engine_core::bell::{Bell, ThreadBell};
use engine_core::counters::Counter;
use engine_core::executor::AtRest;
use engine_core::executor::follower::{Follower, RecoveryError};
use engine_core::journal::{JournalError, Positions, Snapshot, Watch};
use engine_core::sequencer::Sequencer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Once there is something to follow, it is left to gather for so long: a wake-up for each sync would cost more than the
/// work.
const GATHER: Duration = Duration::from_millis(20);

/// After a snapshot could not be written. It can be written again at any time, so this only keeps the log readable.
const RETRY: Duration = Duration::from_secs(30);

/// How long the end of the process waits for a keeper that is behind. What it has not followed is followed by the next start.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of the bytes between two snapshots, how many make one worth the while when the process ends.
const WORTH_A_LAST_ONE: u64 = 16;

/// The journal may grow by so many times the bytes between two snapshots before the history is set aside for the next one.
const LONG: u64 = 2;

/// A keeper that waits for the history looks this often whether the journal has grown too long for it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Below the exchange's own threads: see nice(1).
const NICE: i32 = 10;

/// Counted by the keeper's thread.
#[derive(Default)]
#[repr(align(128))]
pub struct KeeperCounters {
    /// Entries it has done again, and how many there are before the next one, of all shards and ever.
    pub entries: Counter,
    pub position: Counter,
    /// Bytes of journal that it has followed since the newest snapshot.
    pub since_snapshot: Counter,
    /// Memory of the order ids that its shadow of the engine remembers.
    pub order_id_bytes: Counter,
    /// Snapshots written, and those that could not be.
    pub snapshots: Counter,
    pub snapshots_failed: Counter,
    /// Snapshots on the disk.
    pub snapshots_kept: Counter,
    /// Of the newest snapshot: its bytes, and how long it took.
    pub snapshot_bytes: Counter,
    pub snapshot_us: Counter,
}

/// A keeper at work.
pub struct Keeper {
    pub counters: Arc<KeeperCounters>,
    stopping: Arc<AtomicBool>,
    bell: Arc<ThreadBell>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Follows the journal of `watch`, which began with shards as `fresh` makes them; writes a snapshot for every
    /// `snapshot_bytes` of it, and its history.
    pub fn start(
        watch: Watch,
        fresh: impl Fn() -> AtRest + Send + 'static,
        snapshot_bytes: u64,
        history: Option<Writer>,
    ) -> std::io::Result<Keeper> {
        let (counters, stopping) = (Arc::<KeeperCounters>::default(), Arc::<AtomicBool>::default());
        let bell = Arc::<ThreadBell>::default();
        watch.ring_when_durable(bell.clone());
        let keeping = Keeping {
            watch,
            bell: bell.clone(),
            stopping: stopping.clone(),
            counters: counters.clone(),
            recorder: Recorder::new(history),
            newest: None,
            snapshot_bytes,
            since_snapshot: 0,
            written_before: 0,
            not_before: None,
        };
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || {
            if let Err(error) = keeping.run(fresh) {
                let error = anyhow::Error::from(error).context("it cannot be read while it is written");
                give_up(&format!("{error:#}"));
            }
        })?;
        Ok(Keeper { counters, stopping, bell, thread })
    }

    /// Ends it, after what there is to follow if that is not much.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
        self.thread.thread().unpark(); // from its gathering
        self.thread.join().expect("the keeper does not panic");
    }
}

struct Keeping {
    watch: Watch,
    bell: Arc<ThreadBell>,
    stopping: Arc<AtomicBool>,
    counters: Arc<KeeperCounters>,
    recorder: Recorder,
    /// Where the newest snapshot was when it began: a history that is behind has the keeper begin before it.
    newest: Option<Positions>,
    snapshot_bytes: u64,
    /// Bytes of journal followed since the newest snapshot.
    since_snapshot: u64,
    /// Bytes of journal that were written when it began, or before the newest snapshot, whichever is more.
    written_before: u64,
    /// When the next snapshot may be tried, after one that failed.
    not_before: Option<Instant>,
}

/// What comes after following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// There is nothing more to follow now.
    Rest,
    /// It is to be begun elsewhere: where the history ends, or without it.
    BeginAgain,
}

impl Keeping {
    fn run(mut self, fresh: impl Fn() -> AtRest) -> Result<(), RecoveryError> {
        self.bell.attach();
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::warn!(%error, "the keeper has the priority of all others");
        }
        while let Some(mut follower) = self.begin(&fresh)? {
            self.keep(&mut follower)?;
            if self.is_stopping() {
                return self.end(&mut follower);
            }
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Where the history needs it. Nothing if it is time to stop before that works.
    fn begin(&mut self, fresh: impl Fn() -> AtRest) -> Result<Option<Follower>, RecoveryError> {
        let watch = self.watch.clone();
        let begun = self.patiently(|recorder| Ok((newest(&watch)?, recorder.begin(&watch, &fresh)?)))?;
        let Some((newest, follower)) = begun else { return Ok(None) };
        (self.newest, self.since_snapshot) = (newest, 0);
        self.written_before = watch.counters().bytes.get();
        // What was kept for a history may not be needed any more, and a snapshot that a full disk does not take cannot say so.
        if let Err(error) = watch.forget(self.recorder.needed().as_ref()) {
            let error = anyhow::Error::from(error);
            tracing::warn!("what is not needed any more cannot be removed now: {error:#}");
        }
        self.count_kept();
        Ok(Some(follower))
    }

    /// Follows until it is time to stop, or to begin again.
    fn keep(&mut self, follower: &mut Follower) -> Result<(), RecoveryError> {
        while !self.is_stopping() {
            if self.follow(follower, None)? == Then::BeginAgain || self.is_history_back(follower) {
                break;
            }
            self.recorder.rest(follower);
            let Self { bell, stopping, watch, recorder, .. } = &self;
            let news = || *follower.positions() != watch.positions() || stopping.load(Ordering::Acquire);
            bell.wait(recorder.retry_in(), news);
            if !self.is_stopping() {
                std::thread::park_timeout(GATHER);
            }
        }
        Ok(())
    }

    fn end(&mut self, follower: &mut Follower) -> Result<(), RecoveryError> {
        self.follow(follower, Some(Instant::now() + PATIENCE))?;
        self.recorder.save(follower);
        if self.since_snapshot > self.snapshot_bytes / WORTH_A_LAST_ONE {
            self.snapshot(follower);
        }
        Ok(())
    }

    /// Follows to where the journal is durable now, or until it is time to stop.
    fn follow(&mut self, follower: &mut Follower, until: Option<Instant>) -> Result<Then, RecoveryError> {
        while let Some(followed) = self.patiently(|recorder| recorder.follow(follower))?.flatten() {
            self.counters.entries.add(followed.entries.into());
            self.counters.position.set(follower.positions().total());
            self.since_snapshot += if self.is_old(follower) { 0 } else { followed.bytes };
            if self.keep_history_up(follower) == Then::BeginAgain {
                return Ok(Then::BeginAgain);
            }
            if self.since_snapshot >= self.snapshot_bytes {
                self.snapshot(follower);
            }
            self.counters.since_snapshot.set(self.since_snapshot);
            let order_id_bytes = |sequencer: &Sequencer| sequencer.order_ids().1 as u64;
            self.counters.order_id_bytes.set(follower.shadow().sequencers().iter().map(order_id_bytes).sum());
            let is_over = match until {
                None => self.is_stopping(),
                Some(until) => Instant::now() >= until,
            };
            if is_over {
                break;
            }
        }
        Ok(Then::Rest)
    }

    /// Whether a snapshot has what was followed.
    fn is_old(&self, follower: &Follower) -> bool {
        self.newest.as_ref().is_some_and(|newest| follower.positions().all_within(newest))
    }

    /// Has the history written, and waits for it, but not for so long that a restart would have much to read.
    fn keep_history_up(&mut self, follower: &Follower) -> Then {
        loop {
            let wait = self.recorder.keep_up(follower);
            if self.recorder.has_asked() && self.is_held_up(follower) {
                tracing::warn!(
                    "the history is set aside so that a restart stays short: what it lacks is kept in the journal until its \
                     store takes it"
                );
                self.recorder.set_aside();
                return if self.is_old(follower) { Then::BeginAgain } else { Then::Rest };
            }
            match wait {
                Some(wait) if !self.is_stopping() => std::thread::park_timeout(wait.min(LOOK_AGAIN)),
                _ => return Then::Rest,
            }
        }
    }

    fn is_held_up(&self, follower: &Follower) -> bool {
        let grown = self.watch.counters().bytes.get() - self.written_before;
        grown > LONG * self.snapshot_bytes && follower.bytes_behind() > self.snapshot_bytes
    }

    /// At the journal's end: whether a history that was set aside can be written again.
    fn is_history_back(&mut self, follower: &mut Follower) -> bool {
        if !self.recorder.is_back(&self.watch.positions()) {
            return false;
        }
        // There is no other one until the history has come as far.
        if self.since_snapshot > self.snapshot_bytes / WORTH_A_LAST_ONE {
            self.snapshot(follower);
        }
        true
    }

    /// What `attempt` gives. Where the process has too much open, or too little memory, it is tried until that has passed;
    /// nothing if it is time to stop before.
    fn patiently<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Recorder) -> Result<T, RecoveryError>,
    ) -> Result<Option<T>, RecoveryError> {
        loop {
            match attempt(&mut self.recorder) {
                Err(RecoveryError::Journal(error)) if error.is_passing() => {
                    tracing::warn!("the keeper waits until it can go on: {:#}", anyhow::Error::from(error));
                    std::thread::park_timeout(RETRY);
                    if self.stopping.load(Ordering::Acquire) {
                        return Ok(None);
                    }
                }
                done => return done.map(Some),
            }
        }
    }

    fn snapshot(&mut self, follower: &mut Follower) {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return;
        }
        // The next start then has less to read for the history.
        self.recorder.save(follower);
        let begun = Instant::now();
        match follower.snapshot(self.recorder.needed().as_ref()) {
            Ok(snapshot) => {
                let until_here = self.watch.counters().bytes.get().saturating_sub(follower.bytes_behind());
                self.written_before = self.written_before.max(until_here);
                self.written(&snapshot, begun.elapsed());
            }
            Err(error) => self.failed(error),
        }
        self.count_kept();
    }

    fn count_kept(&self) {
        if let Ok(numbers) = self.watch.snapshots().numbers() {
            self.counters.snapshots_kept.set(numbers.len() as u64);
        }
    }

    fn written(&mut self, snapshot: &Snapshot, took: Duration) {
        let Snapshot { number, bytes, hash, .. } = snapshot;
        tracing::info!(number, bytes, %hash, ?took, "snapshot");
        (self.since_snapshot, self.not_before) = (0, None);
        self.counters.snapshots.add(1);
        self.counters.snapshot_bytes.set(*bytes);
        self.counters.snapshot_us.set(took.as_micros() as u64);
    }

    /// The journal is whole, and longer than it needs to be.
    fn failed(&mut self, error: JournalError) {
        let error = anyhow::Error::from(error);
        tracing::warn!("a snapshot could not be written, the journal grows: {error:#}");
        self.not_before = Some(Instant::now() + RETRY);
        self.counters.snapshots_failed.add(1);
    }
}

/// Where the newest snapshot is. Of one that cannot be read nothing is known; the next one then says so.
fn newest(watch: &Watch) -> Result<Option<Positions>, JournalError> {
    let snapshots = watch.snapshots();
    match snapshots.numbers()?.first() {
        Some(newest) => snapshots.readable(*newest),
        None => Ok(None),
    }
}
