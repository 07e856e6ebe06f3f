//! The live orders of one sequencer, in a slab; the orders of an account are a list through it.

use crate::message::{OrderView, Submit};
use crate::sequencer::order_ids::RecordNumber;
use crate::units::*;

/// A place in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u32);

const NONE: u32 = u32::MAX;

/// A live order, and for as long as a cancel of it is on its way, a dead one.
#[derive(Clone, Debug)]
pub struct Order {
    pub submit: Submit,
    /// Who gets the answer to the submit.
    pub asker: crate::message::Origin,
    pub received: Timestamp,
    pub record: RecordNumber,
    /// 0 until the matcher has placed it.
    pub exchange_order_id: u64,
    pub traded: Quantity,
    pub traded_quote: Amount,
    /// Whether it is in the book or on its way there.
    pub live: bool,
    /// Cancels the matcher has not answered.
    pub cancels: u32,
}

impl Order {
    pub fn left(&self) -> Quantity {
        Quantity(self.submit.quantity.0 - self.traded.0)
    }

    pub fn view(&self) -> OrderView {
        let Submit { order_id, symbol, side, kind, price, quantity, .. } = self.submit;
        OrderView {
            order_id,
            exchange_order_id: self.exchange_order_id,
            symbol,
            side,
            kind,
            price,
            quantity,
            traded: self.traded,
            traded_quote: self.traded_quote,
            live: self.live,
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    /// Counts the orders that were here, so that a late message for an earlier one is noticed.
    generation: u32,
    /// Neighbours in the account's list; `next` also links free entries.
    previous: u32,
    next: u32,
    order: Option<Order>,
}

/// The live orders of one account, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct List {
    first: u32,
    last: u32,
    pub count: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE, count: 0 }
    }
}

#[derive(Clone, Debug)]
pub struct Orders {
    shard: u8,
    entries: Vec<Entry>,
    free: u32,
}

impl Orders {
    pub fn new(shard: usize) -> Self {
        Self { shard: u8::try_from(shard).expect("SHARDS_MAX fits a byte"), entries: Vec::new(), free: NONE }
    }

    /// Stores an order and puts it last in its account's list.
    pub fn insert(&mut self, list: &mut List, order: Order) -> Slot {
        let at = match self.free {
            NONE => {
                let at = u32::try_from(self.entries.len()).expect("ORDER_IDS_MAX bounds the orders");
                self.entries.push(Entry { generation: 0, previous: NONE, next: NONE, order: None });
                at
            }
            at => {
                self.free = self.entries[at as usize].next;
                at
            }
        };
        let last = std::mem::replace(&mut list.last, at);
        match last {
            NONE => list.first = at,
            last => self.entries[last as usize].next = at,
        }
        list.count += 1;
        let entry = &mut self.entries[at as usize];
        *entry = Entry { generation: entry.generation, previous: last, next: NONE, order: Some(order) };
        Slot(at)
    }

    /// Takes a closed order out of its account's list; its slot stays until [`Orders::free`].
    pub fn unlink(&mut self, list: &mut List, slot: Slot) {
        let Entry { previous, next, .. } = self.entries[slot.0 as usize];
        match previous {
            NONE => list.first = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NONE => list.last = previous,
            next => self.entries[next as usize].previous = previous,
        }
        list.count -= 1;
    }

    /// Gives an unlinked slot back.
    pub fn free(&mut self, slot: Slot) {
        let entry = &mut self.entries[slot.0 as usize];
        *entry = Entry {
            generation: (entry.generation + 1) & GENERATION_MASK,
            previous: NONE,
            next: self.free,
            order: None,
        };
        self.free = slot.0;
    }

    /// The name under which the matcher knows the order.
    pub fn key(&self, slot: Slot) -> OrderKey {
        let generation = self.entries[slot.0 as usize].generation as u64;
        OrderKey((self.shard as u64) << 56 | generation << 32 | slot.0 as u64)
    }

    /// The slot of a key the matcher answers for.
    ///
    /// # Panics
    /// If the order is not here any more: the matcher answered for an order it had already closed.
    pub fn slot(&self, key: OrderKey) -> Slot {
        let slot = Slot(key.0 as u32);
        assert_eq!(self.key(slot), key, "an answer for an order that is gone");
        slot
    }

    pub fn get(&self, slot: Slot) -> &Order {
        self.entries[slot.0 as usize].order.as_ref().expect("slots are held only while the order is here")
    }

    pub fn get_mut(&mut self, slot: Slot) -> &mut Order {
        self.entries[slot.0 as usize].order.as_mut().expect("slots are held only while the order is here")
    }

    /// The live orders of a list, oldest first.
    pub fn of<'a>(&'a self, list: &List) -> impl Iterator<Item = (Slot, &'a Order)> + use<'a> {
        let mut at = list.first;
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?; // NONE is past every slot
            let slot = Slot(std::mem::replace(&mut at, entry.next));
            Some((slot, entry.order.as_ref().expect("a list holds orders")))
        })
    }
}

const GENERATION_MASK: u32 = (1 << 24) - 1;

/// Which sequencer a key belongs to.
pub fn shard_of(key: OrderKey) -> usize {
    (key.0 >> 56) as usize
}
