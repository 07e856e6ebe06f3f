//! A vector of slots that are used again, and the typed numbers that name them.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// Names a slot of a [`Slab`] of `T`, or none. Four bytes, half of what a pointer costs in every link.
pub struct Slot<T> {
    pub number: u32,
    of: PhantomData<T>,
}

/// What a slab holds. A vacant slot still contains its last value, and keeps in it the number of the next vacant one.
pub trait Node: Copy {
    /// The field that carries the chain of vacant slots.
    fn vacant_link(&mut self) -> &mut u32;
}

/// Values at numbers that do not move. The slot released last is filled first: it is the one still in cache.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    slots: Vec<T>,
    vacant: u32,
}

impl<T> Slot<T> {
    pub const NONE: Slot<T> = Slot::new(u32::MAX);

    pub const fn new(number: u32) -> Slot<T> {
        Slot { number, of: PhantomData }
    }

    pub fn is_none(self) -> bool {
        self == Slot::NONE
    }
}

impl<T: Node> Slab<T> {
    pub fn with_capacity(capacity: usize) -> Slab<T> {
        Slab { slots: Vec::with_capacity(capacity), vacant: Slot::<T>::NONE.number }
    }

    /// The value is handed to no function that is not inlined: else it would be put together on the stack and read
    /// from there in larger pieces than it was written in, which the processor must wait for.
    #[inline]
    pub fn insert(&mut self, value: T) -> Slot<T> {
        let slot = Slot::new(self.vacant);
        if slot.is_none() {
            let number = self.make_room();
            self.slots.push(value);
            return Slot::new(number);
        }
        self.vacant = *self[slot].vacant_link();
        self[slot] = value;
        slot
    }

    /// Empties a slot and returns what was in it.
    pub fn release(&mut self, slot: Slot<T>) -> T {
        let value = self[slot];
        *self[slot].vacant_link() = self.vacant;
        self.vacant = slot.number;
        value
    }

    /// What is in a slot, or was in it before it became vacant; nothing if it is none.
    pub fn get(&self, slot: Slot<T>) -> Option<&T> {
        self.slots.get(slot.number as usize)
    }

    /// Slots that were ever used, vacant ones included.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Vacant slots, counted one by one.
    pub fn count_vacant(&self) -> usize {
        let mut count = 0;
        let mut vacant = Slot::new(self.vacant);
        while !vacant.is_none() {
            count += 1;
            assert!(count <= self.slots.len(), "the vacant slots form a circle");
            let mut value: T = self[vacant];
            vacant = Slot::new(*value.vacant_link());
        }
        count
    }

    /// Room for one more slot. Returns its number.
    #[cold]
    fn make_room(&mut self) -> u32 {
        let number = self.slots.len();
        assert!(number < u32::MAX as usize, "a slab has at most 2^32 - 1 slots");
        if number == self.slots.capacity() {
            // By an eighth, where a vector doubles: at worst a ninth of the memory waits for use. The system moves pages
            // of so large a vector instead of copying them.
            self.slots.reserve_exact((number / 8).max(64));
        }
        number as u32
    }
}

impl<T> Index<Slot<T>> for Slab<T> {
    type Output = T;

    fn index(&self, slot: Slot<T>) -> &T {
        &self.slots[slot.number as usize]
    }
}

impl<T> IndexMut<Slot<T>> for Slab<T> {
    fn index_mut(&mut self, slot: Slot<T>) -> &mut T {
        &mut self.slots[slot.number as usize]
    }
}

// By hand, because `derive` would ask the same of `T`.
impl<T> Clone for Slot<T> {
    fn clone(&self) -> Slot<T> {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Slot<T>) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Slot<T> {}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_none() {
            true => f.write_str("none"),
            false => self.number.fmt(f),
        }
    }
}
