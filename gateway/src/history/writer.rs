//! Writes the history, on the thread of whoever follows the journal.

use super::batch::Batch;
use super::place::Place;
use super::store::{Store, has_no_space};
use super::{HistoryCounters, Progress, Source};
use crate::venue::Venue;
use anyhow::Context;
use engine_core::journal::Positions;
use engine_core::message::Report;
use engine_core::units::{AccountId, AccountName};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Entries that are worth a transaction of their own: beyond, one entry costs no less. No transaction has more, so that a slow
/// store gets on after an outage.
pub const BATCH_ENTRIES: usize = 4096;

/// Entries that may wait for a store that does not answer, some 50 MB. Then the journal is not followed further, or what was
/// noted is dropped: what the journal still has cannot be lost.
pub const WAITING_ENTRIES_MAX: usize = 1 << 16;

/// How long one attempt may take, a connection included, and how long all attempts of one save; and the time between
/// attempts, which doubles from the first to the second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// The one who writes. It blocks, and has its own small runtime.
pub struct Writer {
    runtime: tokio::runtime::Runtime,
    place: Place,
    /// The journal's id.
    journal: u128,
    /// None after a failure, until the next attempt.
    store: Option<Store>,
    venue: Arc<Venue>,
    positions: Option<Positions>,
    /// Where the journal ended when the history was opened.
    start: Positions,
    /// Where the history goes on after a hole that the store does not know of yet.
    hole: Option<Positions>,
    /// What was noted, the oldest first; all but the last have [`BATCH_ENTRIES`]. There is always one.
    batches: VecDeque<Batch>,
    /// Accounts whose names are written.
    named: HashSet<AccountId>,
    /// Those that are not, and were noted.
    names: HashMap<AccountId, AccountName>,
    trouble: Option<Trouble>,
    counters: Arc<HistoryCounters>,
    progress: watch::Sender<Progress>,
}

/// Attempts have failed since the last that did not.
struct Trouble {
    attempts: u32,
    wait: Duration,
    next: Instant,
}

/// What became of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// All that was noted is in the store.
    All,
    /// The store does not take it now. What was noted is kept, and it is worth another call after so long.
    NotYet(Duration),
}

impl Writer {
    pub(super) fn open(
        place: &Place,
        source: Source<'_>,
        counters: Arc<HistoryCounters>,
        progress: watch::Sender<Progress>,
    ) -> anyhow::Result<Writer> {
        let mut writer = Writer {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            place: place.clone(),
            journal: source.journal,
            store: None,
            venue: source.venue,
            positions: None,
            start: source.end.clone(),
            hole: None,
            batches: VecDeque::from([Batch::default()]),
            named: HashSet::new(),
            names: HashMap::new(),
            trouble: None,
            counters,
            progress,
        };
        match writer.look(source.end, false) {
            Ok(()) => writer.counters.kept.set(1),
            // An exchange starts on a full disk, and it is the same disk: what is new is refused, cancels are taken.
            Err(error) if has_no_space(&error) => {
                writer.put_aside();
                writer.failed(&error);
            }
            Err(error) => return Err(error.context(format!("history {place}"))),
        }
        Ok(writer)
    }

    /// Whether the store was seen. Where there was no space for that, it is as after [`Writer::put_aside`].
    pub fn is_open(&self) -> bool {
        self.store.is_some()
    }

    /// Sees what the store has of the journal, which ends at `end`.
    fn look(&mut self, end: &Positions, try_out: bool) -> anyhow::Result<()> {
        let (place, journal) = (&self.place, self.journal);
        let looked = self.runtime.block_on(in_time(async {
            let mut store = Store::connect(place).await?;
            let positions = store.prepare(journal, end).await?;
            if try_out {
                store.try_out().await?;
            }
            anyhow::Ok((store, positions))
        }));
        let (store, positions) = looked?;
        let has_start = positions.as_ref().is_some_and(|positions| self.start.all_within(positions));
        self.progress.send_modify(|progress| progress.has_start |= has_start);
        (self.store, self.positions, self.hole) = (Some(store), positions, None);
        Ok(())
    }

    /// Drops what was noted and not written, which the journal will tell again, from [`Writer::needed`] on.
    pub fn put_aside(&mut self) {
        self.store = None;
        self.batches = VecDeque::from([Batch::default()]);
        self.named.clear();
        self.names.clear();
        self.counters.waiting.set(0);
        self.counters.aside.set(1);
    }

    /// After [`Writer::put_aside`]: looks at the store as at the start, because anything can have happened to it. Nothing if it
    /// takes what is written again, from [`Writer::positions`] on; else how long to wait before another call is worth it.
    pub fn take_up(&mut self, end: &Positions) -> Option<Duration> {
        if let Some(wait) = self.wait() {
            return Some(wait);
        }
        if let Err(error) = self.look(end, true) {
            return Some(self.failed(&error));
        }
        self.recovered();
        self.counters.aside.set(0);
        None
    }

    /// Of all shards, the first entry that the journal has to keep for the history.
    pub fn needed(&self) -> Positions {
        self.positions.clone().unwrap_or_else(|| Positions::zero(self.start.shards()))
    }

    /// Of all shards, the first entry of the journal that the store has not; nothing if it is new. Reports from before may be
    /// noted again: they change nothing.
    pub fn positions(&self) -> Option<&Positions> {
        self.positions.as_ref()
    }

    /// Takes note of a report.
    pub fn note(&mut self, report: &Report) {
        let was_idle = !self.has_news();
        let last = self.batches.back_mut().expect("there is always one");
        last.note(&self.venue, report);
        if last.entries() >= BATCH_ENTRIES {
            self.batches.push_back(Batch::default());
        }
        if was_idle && self.has_news() {
            self.counters.waiting_since.set(report.at.0);
        }
    }

    /// Takes note of what an account is called. Whether that is news is [`Writer::lacks_name`].
    pub fn note_name(&mut self, account: AccountId, name: AccountName) {
        if !self.named.contains(&account) {
            self.names.insert(account, name);
        }
    }

    /// Whether the account's name was never noted.
    pub fn lacks_name(&self, account: AccountId) -> bool {
        !self.named.contains(&account) && !self.names.contains_key(&account)
    }

    /// Whether anything was noted.
    pub fn has_news(&self) -> bool {
        self.batches[0].entries() > 0
    }

    fn waiting(&self) -> usize {
        self.batches.iter().map(Batch::entries).sum()
    }

    /// Whether enough was noted for a transaction.
    pub fn is_worth_saving(&self) -> bool {
        self.waiting() >= BATCH_ENTRIES
    }

    /// Whether as much was noted as may wait.
    pub fn is_full(&self) -> bool {
        self.waiting() >= WAITING_ENTRIES_MAX
    }

    /// Whether the store lacks anything of the journal up to `positions`.
    pub fn lacks(&self, positions: &Positions) -> bool {
        self.hole.is_some() || self.positions.as_ref().is_none_or(|known| !positions.all_within(known))
    }

    /// Writes what was noted, and with the last of it that the journal was read up to `positions`. Never fails for good: after
    /// a failure it does nothing until it is time for another attempt.
    pub fn save(&mut self, positions: &Positions) -> Saved {
        self.counters.waiting.set(self.waiting() as u64);
        if let Some(wait) = self.wait() {
            return Saved::NotYet(wait);
        }
        let begun = Instant::now();
        loop {
            match self.commit_next(positions) {
                Ok(is_all) => {
                    self.recovered();
                    if is_all {
                        return Saved::All;
                    }
                }
                Err(error) => return Saved::NotYet(self.failed(&error)),
            }
            if begun.elapsed() >= ATTEMPT_TIMEOUT {
                return Saved::NotYet(Duration::ZERO); // it is slow, and others wait
            }
        }
    }

    /// The same, once. What was noted and not written is kept if it fails, and it is safe to call again.
    ///
    /// # Errors
    /// If the store does not take it.
    pub fn commit(&mut self, positions: &Positions) -> anyhow::Result<()> {
        while !self.commit_next(positions)? {}
        Ok(())
    }

    /// Writes the oldest batch, in a transaction of its own; with the last one, how far the journal was read. True if that was
    /// the last one.
    fn commit_next(&mut self, positions: &Positions) -> anyhow::Result<bool> {
        let is_all = if self.lacks(positions) {
            self.write_next(positions)?
        } else {
            self.batches.truncate(1);
            self.batches[0].clear();
            true
        };
        self.named.extend(self.names.drain().map(|(account, _)| account));
        self.counters.waiting.set(self.waiting() as u64);
        self.counters.waiting_since.set(self.batches[0].oldest().unwrap_or(0));
        Ok(is_all)
    }

    fn write_next(&mut self, positions: &Positions) -> anyhow::Result<bool> {
        // An empty one at the end needs no transaction of its own.
        if self.batches.len() > 1 && self.batches.back().is_some_and(|last| last.entries() == 0) {
            self.batches.pop_back();
        }
        let is_last = self.batches.len() == 1;
        let Self { runtime, store, place, batches, names, venue, hole, .. } = self;
        let attempt = async {
            let mut open = match store.take() {
                Some(open) => open,
                None => Store::connect(place).await?,
            };
            if let Some(positions) = hole {
                let orders = open.leave_hole(positions).await?;
                tracing::warn!(%place, orders, "the journal does not reach back to where the history ends: it has a hole");
                *hole = None;
            }
            open.write(&batches[0], names, is_last.then_some(positions), venue).await?;
            *store = Some(open);
            anyhow::Ok(())
        };
        runtime.block_on(in_time(attempt))?;
        let mut written = self.batches.pop_front().expect("it was just written");
        self.counters.entries.add(written.entries() as u64);
        self.counters.commits.add(1);
        if is_last {
            self.positions = Some(positions.clone());
            written.clear();
            self.batches.push_back(written);
        }
        let has_start = is_last && self.start.all_within(positions);
        self.progress.send_modify(|progress| {
            progress.commits += 1;
            progress.has_start |= has_start;
        });
        Ok(is_last)
    }

    /// How long it is to the next attempt, after one that failed.
    fn wait(&self) -> Option<Duration> {
        self.trouble.as_ref()?.next.checked_duration_since(Instant::now())
    }

    fn recovered(&mut self) {
        self.counters.kept.set(1);
        if let Some(Trouble { attempts, .. }) = self.trouble.take() {
            tracing::info!(place = %self.place, attempts, "the history is written again");
        }
    }

    fn failed(&mut self, error: &anyhow::Error) -> Duration {
        self.counters.failures.add(1);
        self.counters.kept.set(0);
        let [first, longest] = RETRY_AFTER;
        let trouble = self.trouble.get_or_insert_with(|| {
            tracing::warn!(place = %self.place, "the history cannot be written, trading goes on, trying again: {error:#}");
            Trouble { attempts: 0, wait: first / 2, next: Instant::now() }
        });
        trouble.attempts += 1;
        trouble.wait = (trouble.wait * 2).min(longest);
        trouble.next = Instant::now() + trouble.wait;
        trouble.wait
    }

    /// What was not noted, because the journal does not have it any more, is said to be missing: the history goes on from
    /// `positions`. What orders have done meanwhile is not known. The next save writes it down.
    pub fn skip_to(&mut self, positions: &Positions) {
        self.positions = Some(positions.clone());
        self.hole = Some(positions.clone());
    }
}

/// The same, or an error after a while: no database can hold up the journal's follower, or the end of the process.
async fn in_time<T>(attempt: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await.context("no answer in time")?
}
