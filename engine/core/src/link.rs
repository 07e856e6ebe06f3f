//! Numbered links between shards: how "at least once" on the way becomes "exactly once" in effect.
//!
//! Every message on a link has a dense number. The receiver's state holds how far each link has been applied, so a
//! message that comes again is known and ignored, and one that is missing is noticed. Any shard may therefore be
//! replayed, and any message sent again, without a second effect.

use crate::message::Numbered;
use serde::{Deserialize, Serialize};

/// The sending side of one shard's links: the last number used on each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Numbers(Vec<u64>);

/// The receiving side: the last number applied from each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Marks(Vec<u64>);

/// A link lost a message: what follows must not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The sending shard.
    pub from: usize,
    /// The number that should have come.
    pub expected: u64,
    /// The number that came.
    pub got: u64,
}

impl Numbers {
    /// For links to `shards` receivers.
    pub fn new(shards: usize) -> Self {
        Self(vec![0; shards])
    }

    /// Numbers `message` as the next to shard `to`.
    pub fn next<T>(&mut self, to: usize, message: T) -> Numbered<T> {
        self.0[to] += 1;
        Numbered { number: self.0[to], message }
    }
}

impl Marks {
    /// For links from `shards` senders.
    pub fn new(shards: usize) -> Self {
        Self(vec![0; shards])
    }

    /// Whether message `number` of link `from` is new (and is now counted as applied) or a repeat to ignore.
    pub fn advance(&mut self, from: usize, number: u64) -> Result<bool, Gap> {
        let mark = &mut self.0[from];
        if number <= *mark {
            return Ok(false);
        }
        if number != *mark + 1 {
            return Err(Gap { from, expected: *mark + 1, got: number });
        }
        *mark = number;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_ignored_and_gaps_are_errors() {
        let mut marks = Marks::new(2);
        assert_eq!(marks.advance(0, 1), Ok(true));
        assert_eq!(marks.advance(0, 1), Ok(false));
        assert_eq!(marks.advance(0, 2), Ok(true));
        assert_eq!(marks.advance(0, 4), Err(Gap { from: 0, expected: 3, got: 4 }));
        assert_eq!(marks.advance(0, 1), Ok(false));
        assert_eq!(marks.advance(0, 3), Ok(true), "a gap changes nothing");
        assert_eq!(marks.advance(1, 1), Ok(true), "links are independent");
    }
}
