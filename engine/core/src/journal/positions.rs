//! Which shards a journal is for, and how far each has come.

use crate::limits::SHARDS_MAX;
use crate::log::Position;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many shards of each kind write to a journal. Another number is another journal: what a shard merged depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    /// Sequencers, 1 to [`SHARDS_MAX`].
    pub sequencers: usize,
    /// Matchers, 1 to [`SHARDS_MAX`].
    pub matchers: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardId {
    /// The sequencer of that index.
    Sequencer(u16),
    /// The matcher of that index.
    Matcher(u16),
}

/// How many entries of each shard there are before some point of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// By index.
    pub sequencers: Vec<Position>,
    /// By index.
    pub matchers: Vec<Position>,
}

impl Shards {
    /// All of them.
    pub fn count(self) -> usize {
        self.sequencers + self.matchers
    }

    /// Whether there are as many as there may be.
    pub(super) fn are_valid(self) -> bool {
        [self.sequencers, self.matchers].iter().all(|count| (1..=SHARDS_MAX).contains(count))
    }

    /// The place of a shard in a list of all, if it is one of them.
    pub(super) fn place(self, shard: ShardId) -> Option<usize> {
        match shard {
            ShardId::Sequencer(i) => (usize::from(i) < self.sequencers).then_some(usize::from(i)),
            ShardId::Matcher(j) => {
                (usize::from(j) < self.matchers).then_some(self.sequencers + usize::from(j))
            }
        }
    }
}

impl Positions {
    /// The beginning.
    pub fn zero(shards: Shards) -> Self {
        Self { sequencers: vec![0; shards.sequencers], matchers: vec![0; shards.matchers] }
    }

    /// Whose positions they are.
    pub fn shards(&self) -> Shards {
        Shards { sequencers: self.sequencers.len(), matchers: self.matchers.len() }
    }

    /// Of one shard.
    ///
    /// # Panics
    /// If it is none of these.
    pub fn of(&self, shard: ShardId) -> Position {
        match shard {
            ShardId::Sequencer(i) => self.sequencers[usize::from(i)],
            ShardId::Matcher(j) => self.matchers[usize::from(j)],
        }
    }

    /// Of one shard, to be changed.
    ///
    /// # Panics
    /// If it is none of these.
    pub fn of_mut(&mut self, shard: ShardId) -> &mut Position {
        match shard {
            ShardId::Sequencer(i) => &mut self.sequencers[usize::from(i)],
            ShardId::Matcher(j) => &mut self.matchers[usize::from(j)],
        }
    }

    /// Every shard with its position, sequencers first.
    pub fn iter(&self) -> impl Iterator<Item = (ShardId, Position)> + '_ {
        let sequencers = (0..).map(ShardId::Sequencer).zip(self.sequencers.iter().copied());
        sequencers.chain((0..).map(ShardId::Matcher).zip(self.matchers.iter().copied()))
    }

    /// Entries of all shards together.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, position)| position).sum()
    }

    /// Eight bytes each, little endian, in the order of [`Positions::iter`].
    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        self.iter().for_each(|(_, position)| bytes.extend(position.to_le_bytes()));
    }

    /// What [`Positions::put`] wrote at the beginning of `bytes`.
    ///
    /// # Panics
    /// If there are too few.
    pub(super) fn read(bytes: &[u8], shards: Shards) -> Self {
        let mut eights =
            bytes.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().expect("8 bytes")));
        let mut next = |count| -> Vec<Position> { eights.by_ref().take(count).collect() };
        let positions = Self { sequencers: next(shards.sequencers), matchers: next(shards.matchers) };
        assert_eq!(positions.shards(), shards, "bytes of all shards");
        positions
    }

    /// Whether no shard is further here than there.
    pub fn all_within(&self, other: &Positions) -> bool {
        self.iter().zip(other.iter()).all(|((_, here), (_, there))| here <= there)
    }
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sequencers and {} matchers", self.sequencers, self.matchers)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShardId::Sequencer(i) => write!(f, "sequencer {i}"),
            ShardId::Matcher(j) => write!(f, "matcher {j}"),
        }
    }
}
