//! From an order's key to its slot.
//!
//! A table of eight-byte buckets, open addressing, linear probing. A removal moves later buckets back into the
//! hole, so there are no tombstones: the table is as good after a billion orders as after the first, and has no day
//! on which it must be rebuilt. (The standard map leaves tombstones and now and then cleans the whole table within
//! one insert, which for a million orders is milliseconds.)
//!
//! A bucket keeps 32 bits of the hash instead of the key; the order itself has the key and is wanted anyway. Keys
//! are our own ids, so there is no hostile collision to fear and the hash is one multiplication.

use super::Order;
use super::slab::{Slab, Slot};
use crate::units::OrderKey;

/// The smallest table: two cache lines.
const BUCKETS_MIN: usize = 16;

/// Which order has which key.
#[derive(Clone, Debug)]
pub struct Index {
    /// A power of two, at least twice as many as orders: with half of them vacant a probe looks at 1.5 buckets on
    /// average to find a key and at 2.5 to miss one.
    buckets: Vec<Bucket>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The upper half of the key's hash. Its leading bits say where the bucket would like to be.
    tag: u32,
    /// None if the bucket is vacant.
    order: Slot<Order>,
}

const VACANT: Bucket = Bucket { tag: 0, order: Slot::NONE };
const _: () = assert!(size_of::<Bucket>() == 8);

impl Index {
    pub fn with_capacity(orders: usize) -> Index {
        let buckets = (2 * orders).next_power_of_two().max(BUCKETS_MIN);
        Index { buckets: vec![VACANT; buckets], len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn find(&self, key: OrderKey, orders: &Slab<Order>) -> Option<Slot<Order>> {
        Some(self.buckets[self.locate(key, orders)?].order)
    }

    /// Adds a key.
    ///
    /// # Panics
    /// If it is there already.
    pub fn insert(&mut self, key: OrderKey, order: Slot<Order>, orders: &Slab<Order>) {
        if 2 * (self.len + 1) > self.buckets.len() {
            self.grow();
        }
        let tag = tag(key);
        let mut at = self.home(tag);
        while !self.buckets[at].order.is_none() {
            let Bucket { tag: other, order } = self.buckets[at];
            assert!(other != tag || orders[order].key != key, "order key {key} is live");
            at = self.after(at);
        }
        self.buckets[at] = Bucket { tag, order };
        self.len += 1;
    }

    pub fn remove(&mut self, key: OrderKey, orders: &Slab<Order>) -> Option<Slot<Order>> {
        let at = self.locate(key, orders)?;
        let order = self.buckets[at].order;
        self.vacate(at);
        self.len -= 1;
        Some(order)
    }

    fn locate(&self, key: OrderKey, orders: &Slab<Order>) -> Option<usize> {
        let tag = tag(key);
        let mut at = self.home(tag);
        loop {
            let bucket = self.buckets[at];
            if bucket.order.is_none() {
                return None;
            }
            if bucket.tag == tag && orders[bucket.order].key == key {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn place(&mut self, bucket: Bucket) {
        let mut at = self.home(bucket.tag);
        while !self.buckets[at].order.is_none() {
            at = self.after(at);
        }
        self.buckets[at] = bucket;
    }

    /// Empties a bucket and moves back those behind it that had to give way to it.
    fn vacate(&mut self, mut hole: usize) {
        let mut at = hole;
        loop {
            at = self.after(at);
            let bucket = self.buckets[at];
            if bucket.order.is_none() {
                break;
            }
            if self.distance(self.home(bucket.tag), at) >= self.distance(hole, at) {
                self.buckets[hole] = bucket;
                hole = at;
            }
        }
        self.buckets[hole] = VACANT;
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![VACANT; 2 * self.buckets.len()];
        for bucket in std::mem::replace(&mut self.buckets, larger) {
            if !bucket.order.is_none() {
                self.place(bucket);
            }
        }
    }

    /// Where a tag would like to be: its leading bits.
    fn home(&self, tag: u32) -> usize {
        let bits = self.buckets.len().trailing_zeros();
        ((u64::from(tag) << bits) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.buckets.len() - 1)
    }

    /// Steps from one bucket on to another, around the end if need be.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.buckets.len() - 1)
    }
}

/// Fibonacci hashing: 2^64 over the golden ratio spreads consecutive keys most evenly.
fn tag(key: OrderKey) -> u32 {
    (key.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}
