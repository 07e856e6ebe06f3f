//! From an order's key to its slot.
//!
//! ```text
//!   a group, one cache line:   | tag | tag |  0  | tag |  0  |  0  |  0  | passed | slot | slot | .. |
//! ```
//! A table of groups of seven places. A key's hash names its home group; a key that finds its home full goes to the
//! next group with room, and each full one that it passes counts it. Who looks for a key goes past a group only if
//! the group was passed. So a removal moves nothing, there are no tombstones, and the table is as good after a
//! billion orders as after the first: there is no day on which it must be rebuilt. (The standard map leaves
//! tombstones and now and then cleans the whole table within one insert, which for a million orders is milliseconds.)
//!
//! All seven tags are compared at once, without a branch on where the key is. The table of single buckets that was
//! here before guessed wrong how far a probe goes once in an insert and once in a removal, which was a quarter of the
//! time of a command near the touch.
//!
//! A place keeps 32 bits of the hash instead of the key; the order itself has the key and is wanted anyway. Keys
//! are our own ids, so there is no hostile collision to fear and the hash is one multiplication.

use super::Order;
use super::slab::{Slab, Slot};
use crate::units::OrderKey;

/// Places of a group: as many as fit in a cache line.
const PLACES: usize = 7;
/// Orders per group on average, at most. One group in twenty is then too small, and one order in ninety is not at
/// home.
const ORDERS_PER_GROUP: usize = 4;
/// The smallest table. More than one, so that there are bits to choose by.
const GROUPS_MIN: usize = 2;
/// The tag of a vacant place.
const VACANT: u32 = 0;

/// Which order has which key.
#[derive(Clone, Debug)]
pub struct Index {
    /// A power of two.
    groups: Vec<Group>,
    /// How far a tag is shifted to leave the bits that number its home.
    shift: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Group {
    /// The upper half of the hash of each key that is here, its lowest bit set.
    tags: [u32; PLACES],
    /// Keys that would be here or in a group before, but are in one behind.
    passed: u32,
    orders: [Slot<Order>; PLACES],
}

const EMPTY: Group = Group { tags: [VACANT; PLACES], passed: 0, orders: [Slot::NONE; PLACES] };
const _: () = assert!(size_of::<Group>() == 64);

/// Where a key is.
#[derive(Clone, Copy)]
struct Found {
    group: usize,
    place: usize,
}

impl Index {
    pub fn with_capacity(orders: usize) -> Index {
        let groups = orders.div_ceil(ORDERS_PER_GROUP).next_power_of_two().max(GROUPS_MIN);
        Index { groups: vec![EMPTY; groups], shift: u32::BITS - groups.trailing_zeros(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn find(&self, key: OrderKey, orders: &Slab<Order>) -> Option<Slot<Order>> {
        let Found { group, place } = self.locate(key, orders)?;
        Some(self.groups[group].orders[place])
    }

    /// Adds a key.
    ///
    /// # Panics
    /// If it is there already.
    #[inline]
    pub fn insert(&mut self, key: OrderKey, order: Slot<Order>, orders: &Slab<Order>) {
        assert!(self.locate(key, orders).is_none(), "order key {key} is live");
        if self.len == ORDERS_PER_GROUP * self.groups.len() {
            self.grow();
        }
        self.place(tag(key), order);
        self.len += 1;
    }

    #[inline]
    pub fn remove(&mut self, key: OrderKey, orders: &Slab<Order>) -> Option<Slot<Order>> {
        let Found { group, place } = self.locate(key, orders)?;
        let mut passed = self.home(tag(key));
        while passed != group {
            self.groups[passed].passed -= 1;
            passed = self.after(passed);
        }
        self.groups[group].tags[place] = VACANT;
        self.len -= 1;
        Some(self.groups[group].orders[place])
    }

    #[inline]
    fn locate(&self, key: OrderKey, orders: &Slab<Order>) -> Option<Found> {
        let tag = tag(key);
        let mut at = self.home(tag);
        // Groups that are passed might in theory form a circle.
        for _ in 0..self.groups.len() {
            let group = &self.groups[at];
            let mut places = group.places_of(tag);
            while places != 0 {
                let place = places.trailing_zeros() as usize;
                if orders[group.orders[place]].key == key {
                    return Some(Found { group: at, place });
                }
                places &= places - 1;
            }
            if group.passed == 0 {
                break;
            }
            at = self.after(at);
        }
        None
    }

    #[inline]
    fn place(&mut self, tag: u32, order: Slot<Order>) {
        let mut at = self.home(tag);
        loop {
            let group = &mut self.groups[at];
            let vacant = group.places_of(VACANT);
            if vacant != 0 {
                let place = vacant.trailing_zeros() as usize;
                group.tags[place] = tag;
                group.orders[place] = order;
                return;
            }
            group.passed += 1;
            at = self.after(at);
        }
    }

    #[cold]
    fn grow(&mut self) {
        let groups = 2 * self.groups.len();
        self.shift -= 1;
        for group in std::mem::replace(&mut self.groups, vec![EMPTY; groups]) {
            for (tag, order) in group.tags.into_iter().zip(group.orders) {
                if tag != VACANT {
                    self.place(tag, order);
                }
            }
        }
    }

    /// The group where a tag would like to be: its leading bits.
    fn home(&self, tag: u32) -> usize {
        (tag >> self.shift) as usize
    }

    fn after(&self, group: usize) -> usize {
        (group + 1) & (self.groups.len() - 1)
    }
}

impl Group {
    /// The places with this tag, a bit for each.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn places_of(&self, tag: u32) -> u32 {
        use std::arch::x86_64::{
            _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32, _mm_set_epi32,
            _mm_set1_epi32, _mm_setzero_si128,
        };
        let [a, b, c, d, e, f, g] = self.tags.map(u32::cast_signed);
        // SAFETY: these are instructions of SSE2, which every x86-64 has.
        let places = unsafe {
            let tag = _mm_set1_epi32(tag.cast_signed());
            let low = _mm_cmpeq_epi32(_mm_set_epi32(d, c, b, a), tag);
            let high = _mm_cmpeq_epi32(_mm_set_epi32(self.passed.cast_signed(), g, f, e), tag);
            _mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128()))
        };
        places.cast_unsigned() & ((1 << PLACES) - 1)
    }

    /// The places with this tag, a bit for each.
    #[cfg(not(target_arch = "x86_64"))]
    fn places_of(&self, tag: u32) -> u32 {
        let mut places = 0;
        for (place, other) in self.tags.into_iter().enumerate() {
            places |= u32::from(other == tag) << place;
        }
        places
    }
}

/// Fibonacci hashing: 2^64 over the golden ratio spreads consecutive keys most evenly.
#[inline]
fn tag(key: OrderKey) -> u32 {
    (key.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::fast::Home;
    use crate::units::{AccountId, Quantity};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// All keys want the first group or the last, so most of them go past others, some around the end.
        #[test]
        fn keys_that_crowd_are_found(picks in prop::collection::vec(0usize..50, 1..300)) {
            let mut index = Index::with_capacity(0);
            let crowding = |key: &u64| matches!(tag(OrderKey(*key)) >> 28, 0 | 15);
            let keys: Vec<_> = (0u64..).filter(crowding).take(50).map(OrderKey).collect();
            let mut orders = Slab::with_capacity(keys.len());
            let slots: Vec<_> = keys.iter().map(|key| orders.insert(order(*key))).collect();
            let mut live = vec![false; keys.len()];
            for pick in picks {
                match live[pick] {
                    true => prop_assert_eq!(index.remove(keys[pick], &orders), Some(slots[pick])),
                    false => index.insert(keys[pick], slots[pick], &orders),
                }
                live[pick] = !live[pick];
                for at in 0..keys.len() {
                    prop_assert_eq!(index.find(keys[at], &orders), live[at].then_some(slots[at]));
                }
                prop_assert_eq!(index.len(), live.iter().filter(|live| **live).count());
            }
        }
    }

    fn order(key: OrderKey) -> Order {
        Order {
            key,
            shown: Quantity(1),
            account: AccountId(0),
            home: Home::level(Slot::new(0)),
            previous: Slot::NONE,
            next: Slot::NONE,
        }
    }
}
