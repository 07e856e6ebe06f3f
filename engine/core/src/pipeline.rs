//! The wiring of the engine, in one place.
//!
//! ```text
//!                     Input                 ToMatcher                 MarketEvent
//! port (reactor, …) ─────────▶ sequencer i ───────────▶ matcher j ───────────────▶ market sink (the feed)
//!        ▲                      ledger:                  books:
//!        │       Report         check, hold, settle      match
//!        └──────────────────────────┘ ◀────────────────────┘
//!                                        FromMatcher
//!
//! i = account % sequencers             j = symbol % matchers
//! ```
//! Every arrow between shards is a numbered link; every box has a log, and its state is a function of the log. What
//! leaves to the right and to the left passes a gate that opens when its cause is durable.

use crate::bell::Bell;
use crate::executor::follower::{Beginning, RecoveryError};
use crate::executor::inline::Inline;
use crate::executor::replay::replay;
use crate::executor::shadow::Shadow;
use crate::executor::threads::{self, Manner, Port, Threads};
use crate::executor::{AtRest, MarketSink, MatcherShard, SequencerShard};
use crate::instrument::Market;
use crate::journal::{Journal, JournalError, OnFailure, Positions, Recovery, Snapshot};
use crate::limits::SHARDS_MAX;
use crate::log::{Entry, MemoryLog, ShardLog};
use crate::matcher::Matcher;
use crate::message::Report;
use crate::sequencer::Sequencer;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many shards, and what they remember.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Sequencer shards, 1 to [`SHARDS_MAX`].
    pub sequencers: usize,
    /// Matcher shards, 1 to [`SHARDS_MAX`].
    pub matchers: usize,
    /// Entries a shard's log in memory keeps.
    pub log_entries_max: usize,
}

/// All shards of an engine for `market`, empty, with logs in memory.
pub fn build(shape: Shape, market: &Arc<Market>) -> AtRest {
    let Shape { sequencers: n, matchers: m, log_entries_max } = shape;
    assert!(
        (1..=SHARDS_MAX).contains(&n) && (1..=SHARDS_MAX).contains(&m),
        "1 to {SHARDS_MAX} shards of a kind"
    );
    AtRest {
        sequencers: (0..n)
            .map(|i| SequencerShard {
                machine: Sequencer::new(i, n, m, market.clone()),
                log: Box::new(MemoryLog::new(log_entries_max)),
                out: Default::default(),
            })
            .collect(),
        matchers: (0..m)
            .map(|j| MatcherShard {
                machine: Matcher::new(j, m, n, market),
                log: Box::new(MemoryLog::new(log_entries_max)),
                out: Default::default(),
            })
            .collect(),
    }
}

/// Runs `shards` in the caller's thread.
pub fn run_inline(shards: AtRest) -> Inline {
    Inline::new(shards)
}

/// Runs `shards` on a thread each: one port for each of `port_bells`, one market sink for each matcher.
pub fn run_threads(
    shards: AtRest,
    port_bells: Vec<Arc<dyn Bell>>,
    markets: Vec<Box<dyn MarketSink>>,
    manner: Manner,
) -> (Threads, Vec<Port>) {
    threads::start(shards, port_bells, markets, manner)
}

/// An engine that has a past.
pub struct Recovered {
    /// Nothing is on the way: what was when the journal ended has arrived, and the journal says so.
    pub shards: AtRest,
    /// It has their logs.
    pub journal: Journal,
    /// Of all shards, after the last entry that the journal had: before what arrived late.
    pub end: Positions,
    /// What did not have to be read again.
    pub snapshot: Option<Snapshot>,
    /// Newer snapshots that could not be read, and why. The journal has made up for them, and they have other names now.
    pub unreadable: Vec<JournalError>,
}

/// The engine as `recovery`'s journal left it: the newest snapshot that can be read, and what was logged since. `fresh` are
/// the shards that the journal began with.
///
/// `progress` hears how many bytes have been read, and of how many. `on_failure` is told if the disk fails later.
///
/// # Errors
/// If the journal is damaged or does not fit the shards, or the disk cannot be written. Nothing on the disk has changed then,
/// except in the last case.
pub fn recover(
    mut recovery: Recovery,
    fresh: AtRest,
    mut progress: impl FnMut(u64, u64),
    on_failure: OnFailure,
) -> Result<Recovered, RecoveryError> {
    let Beginning { mut shadow, positions, snapshot, mut unreadable } =
        Beginning::find(&recovery.snapshots(), fresh, None)?;
    if let Err(error) = recovery.begin_at(&positions) {
        // What is missing was in a snapshot: what is wrong with that is what can be mended.
        return Err(if unreadable.is_empty() { error } else { unreadable.swap_remove(0).1 }.into());
    }
    replay(&mut recovery, &mut shadow, &mut progress)?;
    let (end, snapshots) = (recovery.positions().clone(), recovery.snapshots());
    let journal = recovery.start(on_failure)?;
    for (number, _) in &unreadable {
        snapshots.set_aside(*number)?;
    }
    journal.stop_waiting_for_space();
    let (n, m) = (shadow.sequencers().len(), shadow.matchers().len());
    let sequencers = (0..n).map(|i| Box::new(journal.sequencer_log(i)) as _).collect();
    let matchers = (0..m).map(|j| Box::new(journal.matcher_log(j)) as _).collect();
    let shards = shadow.settle((sequencers, matchers), &mut |_: &Report| {}, &mut ());
    shards.check();
    journal.wait_until_durable()?;
    let unreadable = unreadable.into_iter().map(|(_, error)| error).collect();
    Ok(Recovered { shards, journal, end, snapshot, unreadable })
}

/// The state that `logged` reached, from its logs alone, in fresh `shards` with copies of these logs.
///
/// Each shard takes its log's entries in order; an entry that says "so many messages from there" waits until the
/// sender has made them again. What was on the way at the end is dropped.
///
/// # Panics
/// If the logs do not fit together: an entry asks for messages that its sender never makes.
pub fn rebuild(logged: &AtRest, shards: AtRest) -> AtRest {
    let mut sequencer_entries: Vec<VecDeque<_>> =
        logged.sequencers.iter().map(|s| entries_of(&*s.log)).collect();
    let mut matcher_entries: Vec<VecDeque<_>> = logged.matchers.iter().map(|s| entries_of(&*s.log)).collect();
    let mut logs = (Vec::new(), Vec::new());
    logs.0.extend((0..sequencer_entries.len()).map(|_| memory_log()));
    logs.1.extend((0..matcher_entries.len()).map(|_| memory_log()));
    let mut shadow = Shadow::new(shards);
    loop {
        let mut worked = false;
        for (i, entries) in sequencer_entries.iter_mut().enumerate() {
            while let Some(entry) = entries.front()
                && shadow.sequencer(i, entry, &mut |_: &Report| {}).is_ok()
            {
                logs.0[i].append(&[entries.pop_front().expect("it is the front")]);
                worked = true;
            }
        }
        for (j, entries) in matcher_entries.iter_mut().enumerate() {
            while let Some(entry) = entries.front()
                && shadow.matcher(j, *entry, &mut ()).is_ok()
            {
                logs.1[j].append(&[entries.pop_front().expect("it is the front")]);
                worked = true;
            }
        }
        if !worked {
            break;
        }
    }
    let complete =
        sequencer_entries.iter().all(VecDeque::is_empty) && matcher_entries.iter().all(VecDeque::is_empty);
    assert!(complete, "the logs do not fit together");
    shadow.into_shards(logs)
}

fn entries_of<I: Copy>(log: &dyn ShardLog<I>) -> VecDeque<Entry<I>> {
    let mut entries = VecDeque::new();
    log.read(0, &mut |entry| entries.push_back(*entry)).expect("the log has its beginning");
    entries
}

fn memory_log<I: Copy + Send + 'static>() -> Box<dyn ShardLog<I>> {
    Box::new(MemoryLog::new(usize::MAX))
}
