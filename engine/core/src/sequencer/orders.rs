//! The live orders of one sequencer, in a slab; the orders of an account are a list through it.
//!
//! An order is one cache line. What only some orders have (trades so far, terms, a change on its way) is in a second
//! slab, the details. The client's id is in the memory of order ids, which has it anyway.

use crate::message::{Fees, OrderKind, OrderState, Terms};
use crate::sequencer::order_ids::RecordNumber;
use crate::state::{StateError, StateReader, StateWriter};
use crate::units::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A place in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot(pub u32);

impl Slot {
    pub const NONE: Slot = Slot(u32::MAX);
}

/// A live order, and for as long as the matcher owes an answer about it, a dead one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The limit or protection price.
    pub price: Price,
    /// Lots that neither traded nor left in another way.
    pub left: Quantity,
    pub account: AccountId,
    pub symbol: SymbolId,
    pub record: RecordNumber,
    pub group: u32,
    /// Pinned when it was accepted.
    pub fees: Fees,
    /// A place among the details, or `NONE`.
    detail: u32,
    /// Neighbours in the account's list; `next` also links vacant slots.
    previous: u32,
    next: u32,
    /// Counts the orders that were in this slot, so that a late message for an earlier one is noticed.
    generation: u32,
    /// Requests the matcher has not answered.
    pub requests: u16,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub self_trade: SelfTrade,
    pub state: OrderState,
    /// Whether a cancel of it with all others is on its way: another would say nothing new.
    pub leaving: bool,
    /// Whether the matcher keeps more of it than the book does ([`OrderKey::SPECIAL`]).
    special: bool,
}

const _: () = assert!(size_of::<Order>() == 64);

/// What only some orders have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Detail {
    pub traded: Quantity,
    /// Quote atoms of the trades, without fees.
    pub traded_quote: Amount,
    /// The fees of the trades so far, in parts of [`Fees::UNIT`], exactly. What is charged is their sum rounded up.
    pub fee_parts: i128,
    /// Lots that were taken off without a trade.
    pub decremented: Quantity,
    pub terms: Terms,
    pub expires: Timestamp,
    /// The change that is on its way to the matcher.
    pub amend: Option<Amending>,
}

/// A change on its way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Amending {
    pub price: Price,
    /// Held for it beyond what the order holds as it is.
    pub extra: Amount,
}

const NONE: u32 = u32::MAX;
const NO_DETAIL: Detail = Detail {
    traded: Quantity::ZERO,
    traded_quote: Amount(0),
    fee_parts: 0,
    decremented: Quantity::ZERO,
    terms: Terms::Plain,
    expires: Timestamp(0),
    amend: None,
};

/// The live orders of one account, oldest first.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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

/// A new order, before it has a slot.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder {
    pub price: Price,
    pub quantity: Quantity,
    pub account: AccountId,
    pub symbol: SymbolId,
    pub record: RecordNumber,
    pub group: u32,
    pub fees: Fees,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub self_trade: SelfTrade,
    pub terms: Terms,
    pub expires: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Orders {
    shard: u8,
    slots: Blocks<Order>,
    vacant: u32,
    details: Blocks<Detail>,
    details_vacant: Vec<u32>,
}

impl Orders {
    pub fn new(shard: usize) -> Self {
        Self {
            shard: u8::try_from(shard).expect("SHARDS_MAX fits a byte"),
            slots: Blocks::default(),
            vacant: NONE,
            details: Blocks::default(),
            details_vacant: Vec::new(),
        }
    }

    /// Stores an order and puts it last in its account's list.
    pub fn insert(&mut self, list: &mut List, new: NewOrder) -> Slot {
        let detail = match (new.terms, new.expires) {
            (Terms::Plain, Timestamp(0)) => NONE,
            (terms, expires) => self.new_detail(Detail { terms, expires, ..NO_DETAIL }),
        };
        let mut order = Order {
            price: new.price,
            left: new.quantity,
            account: new.account,
            symbol: new.symbol,
            record: new.record,
            group: new.group,
            fees: new.fees,
            detail,
            previous: list.last,
            next: NONE,
            generation: 0,
            requests: 0,
            side: new.side,
            kind: new.kind,
            time_in_force: new.time_in_force,
            self_trade: new.self_trade,
            state: OrderState::Sent,
            leaving: false,
            special: new.expires != Timestamp(0) || !matches!(new.terms, Terms::Plain | Terms::Budget { .. }),
        };
        let at = match self.vacant {
            NONE => self.slots.push(order),
            at => {
                let vacant = &mut self.slots[at];
                self.vacant = vacant.next;
                order.generation = vacant.generation;
                *vacant = order;
                at
            }
        };
        match std::mem::replace(&mut list.last, at) {
            NONE => list.first = at,
            last => self.slots[last].next = at,
        }
        list.count += 1;
        Slot(at)
    }

    /// Takes a closed order out of its account's list; its slot stays until [`Orders::free`].
    pub fn unlink(&mut self, list: &mut List, slot: Slot) {
        let Order { previous, next, .. } = self.slots[slot.0];
        match previous {
            NONE => list.first = next,
            previous => self.slots[previous].next = next,
        }
        match next {
            NONE => list.last = previous,
            next => self.slots[next].previous = previous,
        }
        list.count -= 1;
    }

    /// Gives an unlinked slot back.
    pub fn free(&mut self, slot: Slot) {
        let vacant = self.vacant;
        let order = &mut self.slots[slot.0];
        order.generation = (order.generation + 1) & GENERATION_MASK;
        order.next = vacant;
        let detail = std::mem::replace(&mut order.detail, NONE);
        self.vacant = slot.0;
        if detail != NONE {
            self.details_vacant.push(detail);
        }
    }

    /// The name under which the matcher knows the order.
    pub fn key(&self, slot: Slot) -> OrderKey {
        let order = &self.slots[slot.0];
        let special = if order.special { OrderKey::SPECIAL } else { 0 };
        OrderKey((self.shard as u64) << 56 | special | (order.generation as u64) << 32 | slot.0 as u64)
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
        &self.slots[slot.0]
    }

    pub fn get_mut(&mut self, slot: Slot) -> &mut Order {
        &mut self.slots[slot.0]
    }

    /// What the order has beyond the ordinary.
    pub fn detail(&self, order: &Order) -> &Detail {
        if order.detail == NONE { &NO_DETAIL } else { &self.details[order.detail] }
    }

    /// The same, to change it.
    pub fn detail_mut(&mut self, slot: Slot) -> &mut Detail {
        if self.slots[slot.0].detail == NONE {
            self.slots[slot.0].detail = self.new_detail(NO_DETAIL);
        }
        &mut self.details[self.slots[slot.0].detail]
    }

    /// The live orders of a list, oldest first.
    pub fn of<'a>(&'a self, list: &List) -> impl Iterator<Item = (Slot, &'a Order)> + use<'a> {
        let mut at = list.first;
        std::iter::from_fn(move || {
            let slot = Slot(at);
            (at != NONE).then(|| {
                let order = &self.slots[at];
                at = order.next;
                (slot, order)
            })
        })
    }

    /// All of it, vacant places included: keys are made of places, and a place that is used again goes on counting.
    pub fn write<E>(&self, out: &mut StateWriter<'_, E>) -> Result<(), E> {
        out.put(&(self.vacant, &self.details_vacant))?;
        self.slots.write(out)?;
        self.details.write(out)
    }

    pub fn read<E: From<StateError>>(shard: usize, from: &mut StateReader<'_, E>) -> Result<Self, E> {
        let (vacant, details_vacant) = from.take()?;
        let (slots, details) = (Blocks::read(from)?, Blocks::read(from)?);
        Ok(Self { slots, vacant, details, details_vacant, ..Self::new(shard) })
    }

    fn new_detail(&mut self, detail: Detail) -> u32 {
        match self.details_vacant.pop() {
            Some(at) => {
                self.details[at] = detail;
                at
            }
            None => self.details.push(detail),
        }
    }
}

/// 23 bits count generations; the bit above them is the matcher's ([`OrderKey::SPECIAL`]).
const GENERATION_MASK: u32 = (1 << 23) - 1;

impl OrderKey {
    /// Set in the key of an order of which the matcher keeps more than the book does.
    pub(crate) const SPECIAL: u64 = 1 << 55;

    pub(crate) fn is_special(self) -> bool {
        self.0 & OrderKey::SPECIAL != 0
    }
}

/// Which sequencer a key belongs to.
pub fn shard_of(key: OrderKey) -> usize {
    (key.0 >> 56) as usize
}

/// A vector that grows block by block: without copying what is there, so nobody waits, and without room for twice as
/// much.
#[derive(Clone, Debug)]
struct Blocks<T> {
    blocks: Vec<Vec<T>>,
}

const BLOCK: usize = 4096;

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: Vec::new() }
    }
}

impl<T: Serialize + DeserializeOwned> Blocks<T> {
    fn write<E>(&self, out: &mut StateWriter<'_, E>) -> Result<(), E> {
        out.put(&(self.blocks.len() as u64))?;
        self.blocks.iter().try_for_each(|block| out.put(block))
    }

    fn read<E: From<StateError>>(from: &mut StateReader<'_, E>) -> Result<Self, E> {
        let count: u64 = from.take()?;
        let mut blocks = Self::default();
        for _ in 0..count {
            for value in from.take::<Vec<T>>()? {
                blocks.push(value);
            }
        }
        Ok(blocks)
    }
}

impl<T> Blocks<T> {
    fn push(&mut self, value: T) -> u32 {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let full = (self.blocks.len() - 1) * BLOCK;
        let block = self.blocks.last_mut().expect("there is one with room");
        block.push(value);
        u32::try_from(full + block.len() - 1).expect("ORDER_IDS_MAX bounds the orders")
    }
}

impl<T> std::ops::Index<u32> for Blocks<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        &self.blocks[at as usize / BLOCK][at as usize % BLOCK]
    }
}

impl<T> std::ops::IndexMut<u32> for Blocks<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.blocks[at as usize / BLOCK][at as usize % BLOCK]
    }
}
