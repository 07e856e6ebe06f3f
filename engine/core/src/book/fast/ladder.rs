//! The sorted prices of one side.
//!
//! Inside, a price is a rank: the larger the better for the taker. A bid's rank is its price, an ask's is its price
//! with all bits turned over, so both sides sort upwards, run the same code, and have their best at the end.
//!
//! ```text
//!   far: sorted blocks, worst first                        near: the block with the best
//!   [ 80 | 82 | 83 ]  [ 88 | 89 ]  [ 91 | 93 | 94 ]        [ 97 | 99 | 100 | 101 ] <- best
//! ```
//! The prices near the best, where most of a market happens, are one flat block, and for most symbols that is all. What
//! is further away is in blocks of at most [`BLOCK`] prices, found by their lowest: opening or closing a level moves the
//! rest of one block and no more, however many prices there are. (One flat vector for all: 0.5 us a command at 20,000
//! prices that are all alike in chance, 4 us at 200,000. `benches/book.rs`, `wide`.)
//!
//! A block keeps ranks and level numbers in two vectors: a search reads ranks alone, eight to a cache line.
//!
//! Most orders come to a price that has a level. For these there is a memo: the lowest bits of a rank say where in it
//! to look, without a search. It is a hint and no more: of prices with the same lowest bits it knows the one opened
//! last, so prices that are chosen to collide cost the search and nothing else.

use super::Level;
use super::slab::{Slab, Slot};
use crate::units::{Price, Side};

/// Prices of a block at most. Picked as the best of 32 to 256 on `sweep` and `wide` (`engine/rivals`: 53 and 100 ns a
/// command, with 256 they were 55 and 117); below it nothing is won that could be told from noise.
const BLOCK: usize = 128;
/// A far block with fewer joins its neighbour if there is room: else a book that was wide once stays in crumbs.
const BLOCK_FEW: usize = BLOCK / 4;

/// Places of the memo at most, 16 KB a side: so many neighbouring prices have one each. With an eighth of it `sweep`
/// (3,000 prices a side, `engine/rivals`) was a tenth slower.
const MEMO_MAX: usize = 4096;
/// The smallest memo: two cache lines.
const MEMO_MIN: usize = 32;

/// Which levels a side has, in order.
#[derive(Clone, Debug)]
pub struct Ladder {
    turn: u64,
    near: Block,
    /// All ranks below those of `near`; no block is empty.
    far: Vec<Block>,
    /// The lowest rank of each far block.
    lowest: Vec<u64>,
    /// Blocks to be used again: a ladder allocates only to become larger than it ever was.
    spare: Vec<Block>,
    len: usize,
    /// By the lowest bits of a rank, the level last opened at such a rank, if it is still there. A power of two, at
    /// least twice as many as levels until it is as large as it gets.
    memo: Vec<Slot<Level>>,
}

#[derive(Clone, Debug, Default)]
struct Block {
    ranks: Vec<u64>,
    levels: Vec<Slot<Level>>,
}

/// Where in its ladder a price that has no level belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// `None` is near.
    far: Option<usize>,
    at: usize,
}

impl Ladder {
    pub fn with_capacity(side: Side, levels: usize) -> Ladder {
        let turn = match side {
            Side::Buy => 0,
            Side::Sell => u64::MAX,
        };
        let blocks = levels / (BLOCK / 2);
        Ladder {
            turn,
            near: Block::new(levels.min(BLOCK)),
            far: Vec::with_capacity(blocks),
            lowest: Vec::with_capacity(blocks),
            spare: (0..blocks).map(|_| Block::new(BLOCK)).collect(),
            len: 0,
            memo: vec![Slot::NONE; (2 * levels).next_power_of_two().clamp(MEMO_MIN, MEMO_MAX)],
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn best(&self) -> Option<Slot<Level>> {
        self.near.levels.last().copied()
    }

    /// The best level, if a taker with this `limit` accepts it.
    pub fn best_within(&self, limit: Price) -> Option<Slot<Level>> {
        let best = self.near.ranks.last()?;
        if *best < self.rank(limit) {
            return None;
        }
        self.best()
    }

    /// The levels from the best on.
    pub fn best_first(&self) -> impl Iterator<Item = Slot<Level>> {
        self.down_to(0)
    }

    /// The levels that a taker with this `limit` accepts, from the best on.
    pub fn within(&self, limit: Price) -> impl DoubleEndedIterator<Item = Slot<Level>> + Clone {
        self.down_to(self.rank(limit))
    }

    /// The levels of `rank` and above, from the best on.
    fn down_to(&self, rank: u64) -> impl DoubleEndedIterator<Item = Slot<Level>> + Clone {
        let near = &self.near.levels[self.near.position(rank)..];
        // Of the far blocks, one can be in part below the rank; those after it are above.
        let part = self.block_of(rank).unwrap_or_default();
        let (part, whole) = match self.far.get(part..) {
            Some([part, whole @ ..]) => (&part.levels[part.position(rank)..], whole),
            _ => (&[][..], &[][..]),
        };
        let whole = whole.iter().rev().flat_map(|block| block.levels.iter().rev());
        near.iter().rev().chain(whole).chain(part.iter().rev()).copied()
    }

    /// The level of a price, or the place to insert one.
    #[inline]
    pub fn find(&self, price: Price, levels: &Slab<Level>) -> Result<Slot<Level>, Place> {
        let rank = self.rank(price);
        let remembered = self.memo[self.memo_place(rank)];
        match levels.get(remembered) {
            Some(level) if level.price == price => Ok(remembered),
            _ => self.search(rank),
        }
    }

    fn search(&self, rank: u64) -> Result<Slot<Level>, Place> {
        let far = if self.is_near(rank) { None } else { self.block_of(rank).or(Some(0)) };
        let block = far.map_or(&self.near, |far| &self.far[far]);
        let at = block.position(rank);
        match block.ranks.get(at) {
            Some(found) if *found == rank => Ok(block.levels[at]),
            _ => Err(Place { far, at }),
        }
    }

    pub fn insert(&mut self, place: Place, price: Price, level: Slot<Level>) {
        let rank = self.rank(price);
        self.len += 1;
        if 2 * self.len > self.memo.len() && self.memo.len() < MEMO_MAX {
            self.grow_memo();
        }
        let remembered = self.memo_place(rank);
        self.memo[remembered] = level;
        let Some(far) = place.far else {
            self.near.insert(place.at, rank, level);
            if self.near.ranks.len() > BLOCK {
                self.move_lower_half_away();
            }
            return;
        };
        self.far[far].insert(place.at, rank, level);
        self.lowest[far] = self.far[far].ranks[0];
        if self.far[far].ranks.len() > BLOCK {
            self.split(far);
        }
    }

    /// Takes out a price that has a level.
    pub fn remove(&mut self, price: Price) {
        let rank = self.rank(price);
        self.len -= 1;
        if self.is_near(rank) {
            let level = self.near.remove(rank);
            self.forget(rank, level);
            return self.refill_near();
        }
        let far = self.block_of(rank).expect("a price that is not near is in a far block");
        let level = self.far[far].remove(rank);
        self.forget(rank, level);
        self.tidy(far);
    }

    /// Takes out the best price, if there is one.
    pub fn remove_best(&mut self) {
        let (Some(rank), Some(level)) = (self.near.ranks.pop(), self.near.levels.pop()) else { return };
        self.len -= 1;
        self.forget(rank, level);
        self.refill_near();
    }

    /// Its own inverse: the rank of a price, the price of a rank.
    fn rank(&self, price: Price) -> u64 {
        price.0 ^ self.turn
    }

    /// Whether a rank is, or belongs, in the block with the best.
    fn is_near(&self, rank: u64) -> bool {
        self.far.is_empty() || self.near.ranks.first().is_some_and(|first| rank >= *first)
    }

    /// The far block that a rank is or belongs in; none if it is below all.
    fn block_of(&self, rank: u64) -> Option<usize> {
        self.lowest.partition_point(|lowest| *lowest <= rank).checked_sub(1)
    }

    // ---- the memo -----------------------------------------------------------------------------------------------

    fn memo_place(&self, rank: u64) -> usize {
        rank as usize & (self.memo.len() - 1)
    }

    /// What the memo names is there.
    fn forget(&mut self, rank: u64, level: Slot<Level>) {
        let at = self.memo_place(rank);
        if self.memo[at] == level {
            self.memo[at] = Slot::NONE;
        }
    }

    #[cold]
    fn grow_memo(&mut self) {
        self.memo = vec![Slot::NONE; 2 * self.memo.len()];
        let mask = self.memo.len() - 1;
        for block in self.far.iter().chain([&self.near]) {
            for (rank, level) in block.ranks.iter().zip(&block.levels) {
                self.memo[*rank as usize & mask] = *level;
            }
        }
    }

    // ---- blocks -------------------------------------------------------------------------------------------------

    /// The near block is full: what is furthest from the best becomes the best far block.
    #[cold]
    fn move_lower_half_away(&mut self) {
        let mut lower = self.take_spare();
        self.near.move_upper_half_to(&mut lower);
        std::mem::swap(&mut self.near, &mut lower);
        self.lowest.push(lower.ranks[0]);
        self.far.push(lower);
    }

    /// If nothing is near any more, the best far block is.
    fn refill_near(&mut self) {
        if self.near.ranks.is_empty()
            && let Some(best) = self.far.pop()
        {
            self.lowest.pop();
            let empty = std::mem::replace(&mut self.near, best);
            self.spare.push(empty);
        }
    }

    #[cold]
    fn split(&mut self, far: usize) {
        let mut upper = self.take_spare();
        self.far[far].move_upper_half_to(&mut upper);
        self.lowest.insert(far + 1, upper.ranks[0]);
        self.far.insert(far + 1, upper);
    }

    /// After a removal: an empty block goes, a nearly empty one joins the one below it.
    fn tidy(&mut self, far: usize) {
        let block = &self.far[far];
        match block.ranks.first() {
            None => self.drop_block(far),
            Some(lowest) => {
                self.lowest[far] = *lowest;
                let few = block.ranks.len();
                if far > 0 && few < BLOCK_FEW && self.far[far - 1].ranks.len() + few <= BLOCK / 2 {
                    let (below, above) = self.far.split_at_mut(far);
                    below[far - 1].append(&mut above[0]);
                    self.drop_block(far);
                }
            }
        }
    }

    fn drop_block(&mut self, far: usize) {
        self.lowest.remove(far);
        let empty = self.far.remove(far);
        self.spare.push(empty);
    }

    fn take_spare(&mut self) -> Block {
        self.spare.pop().unwrap_or_else(|| Block::new(BLOCK))
    }
}

impl Block {
    /// One more than fits: a block is split after it has become too full.
    fn new(capacity: usize) -> Block {
        Block { ranks: Vec::with_capacity(capacity + 1), levels: Vec::with_capacity(capacity + 1) }
    }

    /// How many ranks are below `rank`. Halving does not branch on what it finds; comparing the ranks nearest the
    /// best one by one first was slower (`benches/book.rs`, `touch`: 24 ns without, 26 to 28 ns with 8 to 32 of them),
    /// and so was counting in strides of 16 (`engine/rivals`, `sweep`: 46 ns without, 47 ns with them).
    fn position(&self, rank: u64) -> usize {
        self.ranks.partition_point(|other| *other < rank)
    }

    fn insert(&mut self, at: usize, rank: u64, level: Slot<Level>) {
        self.ranks.insert(at, rank);
        self.levels.insert(at, level);
    }

    fn remove(&mut self, rank: u64) -> Slot<Level> {
        let at = self.position(rank);
        debug_assert_eq!(self.ranks[at], rank);
        self.ranks.remove(at);
        self.levels.remove(at)
    }

    /// Moves the upper half to an empty block.
    fn move_upper_half_to(&mut self, upper: &mut Block) {
        let middle = self.ranks.len() / 2;
        upper.ranks.extend(self.ranks.drain(middle..));
        upper.levels.extend(self.levels.drain(middle..));
    }

    /// Takes all of a block whose ranks are above its own.
    fn append(&mut self, above: &mut Block) {
        self.ranks.append(&mut above.ranks);
        self.levels.append(&mut above.levels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::fast::Hidden;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A run of prices opened or closed, or closed from the best on.
    fn step() -> impl Strategy<Value = (bool, u64, u64)> {
        (any::<bool>(), 0u64..3000, 1u64..700)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn is_a_sorted_map(buys in any::<bool>(), steps in prop::collection::vec(step(), 1..25)) {
            let side = if buys { Side::Buy } else { Side::Sell };
            let mut ladder = Ladder::with_capacity(side, 0);
            let mut judge = BTreeMap::new();
            let mut levels = Slab::with_capacity(0);
            for price in 0..=2003 {
                levels.insert(level(side, Price(price)));
            }
            for (opens, from, count) in steps {
                for number in 0..count {
                    // Spread over a side and mixed: 2,003 is prime.
                    let price = Price(1 + (from + number) * 7 % 2003);
                    match ladder.find(price, &levels) {
                        Ok(found) => {
                            prop_assert_eq!(judge.remove(&price), Some(found.number));
                            if opens && ladder.best() == Some(found) {
                                ladder.remove_best();
                            } else {
                                ladder.remove(price);
                            }
                        }
                        Err(place) => {
                            prop_assert!(judge.insert(price, price.0 as u32).is_none());
                            ladder.insert(place, price, Slot::new(price.0 as u32));
                        }
                    }
                }
                agree(&ladder, &judge, side, Price(from))?;
            }
        }
    }

    fn agree(
        ladder: &Ladder,
        judge: &BTreeMap<Price, u32>,
        side: Side,
        limit: Price,
    ) -> Result<(), TestCaseError> {
        let mut all: Vec<_> = judge.iter().map(|(price, level)| (*price, *level)).collect();
        if side == Side::Buy {
            all.reverse();
        }
        let numbers =
            |levels: Vec<(Price, u32)>| levels.into_iter().map(|(_, level)| level).collect::<Vec<_>>();
        prop_assert_eq!(ladder.len(), all.len());
        let accepted = |price: Price| if side == Side::Buy { price >= limit } else { price <= limit };
        let within: Vec<_> = all.iter().copied().filter(|(price, _)| accepted(*price)).collect();
        prop_assert_eq!(
            ladder.within(limit).map(|slot| slot.number).collect::<Vec<_>>(),
            numbers(within.clone())
        );
        let reversed: Vec<_> = within.into_iter().rev().collect();
        prop_assert_eq!(
            ladder.within(limit).rev().map(|slot| slot.number).collect::<Vec<_>>(),
            numbers(reversed)
        );
        prop_assert_eq!(ladder.best().map(|slot| slot.number), all.first().map(|(_, level)| *level));
        prop_assert_eq!(ladder.best_first().map(|slot| slot.number).collect::<Vec<_>>(), numbers(all));
        let remembers = |level: &Slot<Level>| judge.contains_key(&Price(level.number.into()));
        prop_assert!(ladder.memo.iter().filter(|level| !level.is_none()).all(remembers));
        prop_assert!(ladder.far.iter().all(|block| !block.ranks.is_empty() && block.ranks.len() <= BLOCK));
        Ok(())
    }

    /// The number of its slot is its price.
    fn level(side: Side, price: Price) -> Level {
        Level { total: 0, price, head: Slot::NONE, tail: Slot::NONE, hidden: Hidden::default(), side }
    }
}
