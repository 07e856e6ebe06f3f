//! Which rooms have news for a reactor: a set of small integers, many writers, one reader.
//!
//! Marking is one atomic operation when the room is marked already and three when it is not; taking costs nothing
//! for rooms without news. Nothing is ever lost: the reader clears a summary bit before it takes the words below.

use super::sync::{AtomicU64, Ordering};

/// A set of room indices below a bound fixed at the start.
pub struct DirtySet {
    /// Bit r of the whole says that room r has news.
    words: Box<[AtomicU64]>,
    /// Bit w of the whole says that `words[w]` may have a bit.
    summary: Box<[AtomicU64]>,
}

impl DirtySet {
    /// A set for rooms 0 to `rooms_max` - 1.
    pub fn new(rooms_max: usize) -> Self {
        let words = rooms_max.div_ceil(64);
        let zeros = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect();
        Self { words: zeros(words), summary: zeros(words.div_ceil(64)) }
    }

    /// Puts a room into the set. What was published before is seen by whoever takes it out.
    pub fn mark(&self, room: u32) {
        let (word, bit) = (room as usize / 64, 1u64 << (room % 64));
        if self.words[word].fetch_or(bit, Ordering::Release) & bit == 0 {
            self.summary[word / 64].fetch_or(1 << (word % 64), Ordering::Release);
        }
    }

    /// Takes every room out.
    pub fn take(&self, mut visit: impl FnMut(u32)) {
        for (s, summary) in self.summary.iter().enumerate() {
            if summary.load(Ordering::Relaxed) == 0 {
                continue;
            }
            for w in bits(summary.swap(0, Ordering::Acquire)) {
                let word = s * 64 + w;
                for bit in bits(self.words[word].swap(0, Ordering::Acquire)) {
                    visit((word * 64 + bit) as u32);
                }
            }
        }
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.summary.iter().all(|summary| summary.load(Ordering::Relaxed) == 0)
    }
}

fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_was_marked_once() {
        let set = DirtySet::new(10_000);
        assert!(set.is_empty());
        for room in [0, 63, 64, 4096, 9999, 63] {
            set.mark(room);
        }
        assert!(!set.is_empty());
        let mut taken = Vec::new();
        set.take(|room| taken.push(room));
        assert_eq!(taken, [0, 63, 64, 4096, 9999]);
        assert!(set.is_empty());
    }

    #[test]
    fn no_mark_is_lost_between_threads() {
        let set = DirtySet::new(128);
        let counts: Vec<AtomicU64> = (0..128).map(|_| AtomicU64::new(0)).collect();
        let rounds = if cfg!(miri) { 50 } else { 100_000u64 };
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 1..=rounds {
                    let room = (round * 7 % 128) as usize;
                    counts[room].store(round, Ordering::Relaxed);
                    set.mark(room as u32);
                }
            });
            let mut seen = [0; 128];
            loop {
                let finished = writer.is_finished();
                set.take(|room| seen[room as usize] = counts[room as usize].load(Ordering::Relaxed));
                if finished {
                    break;
                }
            }
            for (room, count) in counts.iter().enumerate() {
                assert_eq!(
                    seen[room],
                    count.load(Ordering::Relaxed),
                    "the last mark of room {room} was seen"
                );
            }
        });
    }
}
