//! The log of a shard: the only thing that changes its state.
//!
//! An entry is either an input from outside, in full, or the note that so many messages of one link were taken: the
//! messages themselves can be made again by replaying their sender. The log therefore records the order in which a
//! shard merged what reached it, and replaying all logs gives every shard its state back.

use crate::bell::Bell;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many entries were ever appended: the position after the last one.
pub type Position = u64;

/// How far a log has come, for what waits behind a [`Gate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Entries before this position are safe.
    pub durable: Position,
    /// Whether it stays so: the log has ended, and what it has not made durable by now never will be.
    pub is_final: bool,
}

impl Reach {
    /// So far, and more to come.
    pub fn up_to(durable: Position) -> Self {
        Self { durable, is_final: false }
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry<I> {
    /// From outside.
    Input(I),
    /// The next `count` messages of the link from shard `from`.
    Received {
        /// The sending shard.
        from: u16,
        /// How many.
        count: u32,
    },
}

/// Where a shard's entries are kept.
///
/// `append` hands entries over; they are safe once `durable` has passed them. Only what a shard says to the outside
/// waits for that: shards talk to each other at once.
pub trait ShardLog<I>: Send {
    /// Appends and returns the position after the last entry.
    fn append(&mut self, entries: &[Entry<I>]) -> Position;
    /// Entries before this position survive what the log promises to survive.
    fn durable(&self) -> Position;
    /// The same, and whether there is more to come.
    fn reach(&self) -> Reach {
        Reach::up_to(self.durable())
    }
    /// Visits the entries from `from` on, oldest first. Returns the first position the log still has, if `from` is
    /// older than that.
    fn read(&self, from: Position, visit: &mut dyn FnMut(&Entry<I>)) -> Result<(), Position>;
    /// Forgets the entries before `before`, after a snapshot has taken their place.
    fn truncate(&mut self, before: Position);
    /// Has `bell` rung whenever `reach` moves by itself. A log that is durable at once never rings.
    fn ring_when_durable(&mut self, _bell: Arc<dyn Bell>) {}
}

/// A log in memory: durable as long as the process. It keeps the newest entries up to a bound.
#[derive(Clone, Debug)]
pub struct MemoryLog<I> {
    entries: VecDeque<Entry<I>>,
    first: Position,
    entries_max: usize,
}

impl<I> MemoryLog<I> {
    /// A log that keeps `entries_max` entries.
    pub fn new(entries_max: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, entries_max }
    }
}

impl<I: Copy + Send> ShardLog<I> for MemoryLog<I> {
    fn append(&mut self, entries: &[Entry<I>]) -> Position {
        if self.entries_max == 0 {
            self.first += entries.len() as u64;
            return self.first;
        }
        self.entries.extend(entries);
        let excess = self.entries.len().saturating_sub(self.entries_max);
        self.truncate(self.first + excess as u64);
        self.durable()
    }

    fn durable(&self) -> Position {
        self.first + self.entries.len() as u64
    }

    fn read(&self, from: Position, visit: &mut dyn FnMut(&Entry<I>)) -> Result<(), Position> {
        let skip = from.checked_sub(self.first).ok_or(self.first)?;
        self.entries.iter().skip(skip as usize).for_each(visit);
        Ok(())
    }

    fn truncate(&mut self, before: Position) {
        let gone = before.saturating_sub(self.first).min(self.entries.len() as u64);
        self.entries.drain(..gone as usize);
        self.first += gone;
    }
}

/// Holds back what the outside must not see before its cause is durable.
#[derive(Debug)]
pub struct Gate<T> {
    held: VecDeque<(Position, T)>,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self { held: VecDeque::new() }
    }
}

impl<T> Gate<T> {
    /// Lets `news`, caused by entries before `position`, out to `deliver` as far as the log's `reach` allows, after
    /// whatever was held before. Returns whether anything went out. What can never become durable is dropped: nobody is
    /// told what no restart will know.
    pub fn pass(
        &mut self,
        news: &mut Vec<T>,
        position: Position,
        reach: Reach,
        mut deliver: impl FnMut(T),
    ) -> bool {
        let Reach { durable, is_final } = reach;
        let mut any = false;
        while let Some((_, held)) = self.held.pop_front_if(|(position, _)| *position <= durable) {
            deliver(held);
            any = true;
        }
        if position <= durable && self.held.is_empty() {
            any |= !news.is_empty();
            news.drain(..).for_each(deliver);
        } else if is_final {
            self.held.clear();
            news.clear();
        } else {
            self.held.extend(news.drain(..).map(|news| (position, news)));
        }
        any
    }

    /// Whether something that is held back may go, or need not be held any more.
    pub fn opens(&self, reach: Reach) -> bool {
        self.held.front().is_some_and(|(position, _)| reach.is_final || *position <= reach.durable)
    }

    /// How much is held back.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held back.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_appended_and_not_truncated() {
        let mut log = MemoryLog::new(3);
        let entries: Vec<Entry<u8>> = (0..3).map(Entry::Input).collect();
        assert_eq!(log.append(&entries), 3);
        assert_eq!(log.append(&[Entry::Received { from: 1, count: 7 }]), 4);
        let mut seen = Vec::new();
        assert_eq!(log.read(0, &mut |_| panic!()), Err(1), "the oldest made room");
        log.read(2, &mut |entry| seen.push(*entry)).unwrap();
        assert_eq!(seen, [Entry::Input(2), Entry::Received { from: 1, count: 7 }]);
        log.truncate(4);
        assert_eq!(log.read(3, &mut |_| panic!()), Err(4));
        assert_eq!(log.durable(), 4);
    }

    #[test]
    fn nothing_leaves_before_its_cause_is_durable() {
        let mut gate = Gate::default();
        let mut out = Vec::new();
        gate.pass(&mut vec!["a", "b"], 10, Reach::up_to(9), |news| out.push(news));
        gate.pass(&mut vec!["c"], 20, Reach::up_to(9), |news| out.push(news));
        assert!(out.is_empty());
        gate.pass(&mut vec!["d"], 30, Reach::up_to(10), |news| out.push(news));
        assert_eq!(out, ["a", "b"]);
        gate.pass(&mut vec![], 30, Reach::up_to(30), |news| out.push(news));
        assert_eq!(out, ["a", "b", "c", "d"], "in order");
        assert!(gate.is_empty());
    }

    #[test]
    fn what_never_becomes_durable_is_told_to_nobody() {
        let mut gate = Gate::default();
        let mut out = Vec::new();
        gate.pass(&mut vec!["a"], 10, Reach::up_to(9), |news| out.push(news));
        gate.pass(&mut vec!["b"], 20, Reach::up_to(9), |news| out.push(news));
        let end = Reach { durable: 10, is_final: true };
        assert!(gate.opens(end));
        gate.pass(&mut vec!["c"], 30, end, |news| out.push(news));
        assert_eq!(out, ["a"]);
        assert!(gate.is_empty() && !gate.opens(end));
    }
}
