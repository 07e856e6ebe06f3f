//! The memory of client order ids: what makes a repeated submit harmless.
//!
//! For 24 hours of log time an id stands for the order it first named. The records form a queue in order of arrival,
//! so forgetting is taking from its front; a hash table points into the queue. A live order's record is never
//! forgotten: when its time comes it goes to the back again, because the id is also how its owner cancels it.
//!
//! Nobody waits for the table to grow: a larger one is made beside it, and every new id takes a few of the old ones
//! along, in order of arrival, until the old table is empty. The same clears away what removals leave behind.
//!
//! The queue is made of blocks of 1,024 records: it grows without copying, gives whole blocks back, and keeps the time
//! once for a block. A record that is older than its window and still there, because its block is not, is free to be
//! taken again.

use crate::limits::{ORDER_ID_WINDOW_US, ORDER_IDS_MAX};
use crate::message::{OrderKind, Reject, Submit, Terms};
use crate::sequencer::orders::Slot;
use crate::state::{StateError, StateReader, StateWriter, unfit};
use crate::units::*;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Where a record is: its number in order of arrival, wrapping. It changes only when a live order's record is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordNumber(u32);

/// What became of the first submit with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The matcher has not answered yet.
    Pending,
    /// Acknowledged, with the record's public number and sequence.
    Acked,
    /// Refused.
    Rejected(Reject),
    /// Nothing any more: the id stands for a newer order.
    Replaced,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub order_id: ClientOrderId,
    pub answer: Answer,
    pub account: AccountId,
    /// The order, as long as it is live or the matcher owes an answer about it; else [`Slot::NONE`].
    pub slot: Slot,
    /// When the first submit came in.
    pub received: Timestamp,
    /// 0 until acknowledged.
    pub exchange_order_id: U48,
    /// Of the acknowledgement.
    pub sequence: U48,
    /// Tells whether a repeat asks for the same order.
    pub fingerprint: U48,
}

/// A number below 2^48, in six bytes: a symbol reaches it after nine years of a million orders a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct U48([u8; 6]);

impl U48 {
    /// # Panics
    /// If `number` is 2^48 or more.
    pub fn new(number: u64) -> U48 {
        let [a, b, c, d, e, f, 0, 0] = number.to_le_bytes() else { panic!("{number} is above 2^48") };
        U48([a, b, c, d, e, f])
    }

    pub fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

const _: () = assert!(size_of::<Record>() == 72);

const BLOCK: usize = 1024;
const _: () = assert!(ORDER_IDS_MAX.is_multiple_of(BLOCK) && ORDER_IDS_MAX < u32::MAX as usize);

/// Old records that one submit forgets at most: twice what it adds, so that forgetting keeps up and nobody waits for
/// a whole block.
const FORGOTTEN_AT_ONCE: usize = 2;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Block {
    records: Vec<Record>,
    /// When the newest of them came.
    newest: Timestamp,
}

/// Ids that a new one takes along to the larger table. Two would do to be done before the larger table is full; the
/// sooner it is done, the sooner the old one's memory is free, but with twelve a busy shard fell 10 ms behind whenever
/// its table grew.
const MOVED_AT_ONCE: usize = 4;
const TABLE_MIN: usize = 1024;

#[derive(Clone, Debug, Default)]
pub struct OrderIds {
    /// Record numbers, by hash of (account, order id).
    table: HashTable<u32>,
    moving: Option<Moving>,
    blocks: VecDeque<Block>,
    /// The number of the first record of the first block.
    first: u32,
    /// How many records of the first block are forgotten already.
    forgotten: usize,
}

/// A table that is being replaced by a larger one.
#[derive(Clone, Debug)]
struct Moving {
    /// As it was, less what was taken out since: what has moved is in both.
    old: HashTable<u32>,
    /// The number of the next record to move, and of the first that was never in the old table.
    next: u32,
    until: u32,
}

impl OrderIds {
    pub fn find(&self, account: AccountId, order_id: &ClientOrderId) -> Option<RecordNumber> {
        let hash = hash(account, order_id);
        let is_it = |number: &u32| {
            let record = self.get(RecordNumber(*number));
            record.account == account && record.order_id == *order_id
        };
        let in_old = || self.moving.as_ref().and_then(|moving| moving.old.find(hash, is_it));
        self.table.find(hash, is_it).or_else(in_old).map(|number| RecordNumber(*number))
    }

    /// The record of an id that a submit names at `now`. One whose window is over, and whose order is, is free.
    pub fn find_taken(
        &mut self,
        now: Timestamp,
        account: AccountId,
        order_id: &ClientOrderId,
    ) -> Option<RecordNumber> {
        let number = self.find(account, order_id)?;
        let record = self.get(number);
        if record.slot != Slot::NONE || now.0 < record.received.0.saturating_add(ORDER_ID_WINDOW_US) {
            return Some(number);
        }
        self.take_from_table(hash(account, order_id), number.0);
        self.get_mut(number).answer = Answer::Replaced;
        None
    }

    fn take_from_table(&mut self, hash: u64, number: u32) {
        let old = self.moving.as_mut().map(|moving| &mut moving.old);
        for table in [Some(&mut self.table), old].into_iter().flatten() {
            if let Ok(entry) = table.find_entry(hash, |other| *other == number) {
                entry.remove();
            }
        }
    }

    /// Makes room for one more, and goes on with an earlier move.
    fn grow(&mut self) {
        // A seventh before it is full: there is time to move slowly.
        if 7 * self.table.len() >= 6 * self.table.capacity() && self.moving.is_none() {
            let larger = HashTable::with_capacity((2 * self.table.len()).max(TABLE_MIN));
            self.moving = Some(Moving {
                old: std::mem::replace(&mut self.table, larger),
                next: self.first.wrapping_add(self.forgotten as u32),
                until: self.first.wrapping_add(self.len() as u32),
            });
        }
        let Some(mut moving) = self.moving.take() else { return };
        let remembered_from = self.first.wrapping_add(self.forgotten as u32);
        if is_before(moving.next, remembered_from) {
            moving.next = remembered_from;
        }
        for _ in 0..MOVED_AT_ONCE {
            if !is_before(moving.next, moving.until) {
                return;
            }
            let record = self.get(RecordNumber(moving.next));
            if record.answer != Answer::Replaced {
                self.insert(hash(record.account, &record.order_id), moving.next);
            }
            moving.next = moving.next.wrapping_add(1);
        }
        self.moving = Some(moving);
    }

    fn insert(&mut self, hash: u64, number: u32) {
        let Self { table, blocks, first, .. } = self;
        table.insert_unique(hash, number, |number| {
            let at = number.wrapping_sub(*first) as usize;
            let record = &blocks[at / BLOCK].records[at % BLOCK];
            self::hash(record.account, &record.order_id)
        });
    }

    pub fn get(&self, number: RecordNumber) -> &Record {
        let at = number.0.wrapping_sub(self.first) as usize;
        &self.blocks[at / BLOCK].records[at % BLOCK]
    }

    pub fn get_mut(&mut self, number: RecordNumber) -> &mut Record {
        let at = number.0.wrapping_sub(self.first) as usize;
        &mut self.blocks[at / BLOCK].records[at % BLOCK]
    }

    /// Remembers a new id at `now`. The caller has made sure that it is not known and that there is room.
    pub fn remember(&mut self, now: Timestamp, record: Record) -> RecordNumber {
        self.grow();
        if self.blocks.back().is_none_or(|block| block.records.len() == BLOCK) {
            self.blocks.push_back(Block { records: Vec::with_capacity(BLOCK), newest: now });
        }
        let number = self.first.wrapping_add(self.len() as u32);
        let hash = hash(record.account, &record.order_id);
        let block = self.blocks.back_mut().expect("there is one with room");
        block.records.push(record);
        block.newest = now;
        self.insert(hash, number);
        RecordNumber(number)
    }

    /// Of memory, what is set aside for more included.
    pub fn bytes(&self) -> usize {
        let old = self.moving.as_ref().map_or(0, |moving| moving.old.allocation_size());
        self.blocks.len() * BLOCK * size_of::<Record>() + self.table.allocation_size() + old
    }

    pub fn is_full(&self) -> bool {
        self.len() >= ORDER_IDS_MAX
    }

    /// Forgets some of what is older than the window at `now`. Live orders are renewed; `renewed` learns their new
    /// numbers.
    pub fn forget_old(&mut self, now: Timestamp, mut renewed: impl FnMut(Slot, RecordNumber)) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some(block) = self.blocks.front() else { return };
            // A block that still fills is not old, however little comes.
            let full = block.records.len() == BLOCK;
            if !full || now.0 < block.newest.0.saturating_add(ORDER_ID_WINDOW_US) {
                return;
            }
            let number = self.first.wrapping_add(self.forgotten as u32);
            let record = block.records[self.forgotten].clone();
            if record.answer != Answer::Replaced {
                self.take_from_table(hash(record.account, &record.order_id), number);
            }
            self.forgotten += 1;
            if record.slot != Slot::NONE {
                renewed(record.slot, self.remember(now, record));
            }
            if self.forgotten == BLOCK {
                self.blocks.pop_front();
                self.first = self.first.wrapping_add(BLOCK as u32);
                self.forgotten = 0;
            }
        }
    }

    /// The records. The table is made again from them.
    pub fn write<E>(&self, out: &mut StateWriter<'_, E>) -> Result<(), E> {
        out.put(&(self.first, self.forgotten as u64, self.blocks.len() as u64))?;
        self.blocks.iter().try_for_each(|block| out.put(block))
    }

    pub fn read<E: From<StateError>>(from: &mut StateReader<'_, E>) -> Result<Self, E> {
        let (first, forgotten, count): (u32, u64, u64) = from.take()?;
        let mut ids = Self { first, forgotten: forgotten as usize, ..Self::default() };
        for _ in 0..count {
            let mut block: Block = from.take()?;
            if ids.blocks.back().is_some_and(|last| last.records.len() != BLOCK)
                || block.records.len() > BLOCK
            {
                return Err(unfit("a block of order ids that is not full, or too full").into());
            }
            block.records.reserve_exact(BLOCK - block.records.len());
            ids.blocks.push_back(block);
        }
        if ids.forgotten > ids.len() {
            return Err(unfit("more order ids are forgotten than there are").into());
        }
        ids.table = HashTable::with_capacity((ids.len() + ids.len() / 4).max(TABLE_MIN));
        for number in (ids.forgotten..ids.len()).map(|at| first.wrapping_add(at as u32)) {
            let record = ids.get(RecordNumber(number));
            if record.answer != Answer::Replaced {
                ids.insert(hash(record.account, &record.order_id), number);
            }
        }
        Ok(ids)
    }

    /// Records, forgotten ones of the first block included.
    pub fn len(&self) -> usize {
        self.blocks.back().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.records.len())
    }
}

/// Whether a number came before another. Both wrap, and are less than 2^31 apart.
fn is_before(number: u32, other: u32) -> bool {
    number.wrapping_sub(other).cast_signed() < 0
}

/// What must be equal for a repeat to be the same order.
pub fn fingerprint(submit: &Submit) -> U48 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    (submit.symbol, submit.side, submit.kind, submit.time_in_force, submit.self_trade).hash(&mut hasher);
    // A protection price is ours, not the client's: a repeat may come when the market has moved.
    if submit.kind == OrderKind::Limit {
        submit.price.hash(&mut hasher);
    }
    match submit.terms {
        Terms::Oco { trigger, kind: OrderKind::Market, .. } => (3, trigger).hash(&mut hasher),
        terms => terms.hash(&mut hasher),
    }
    (submit.quantity, submit.expires).hash(&mut hasher);
    U48::new(hasher.finish() >> 16)
}

fn hash(account: AccountId, order_id: &ClientOrderId) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(order_id.as_str().as_bytes(), account.0 as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, slot: Slot) -> Record {
        Record {
            order_id: ClientOrderId::new(name).unwrap(),
            answer: Answer::Pending,
            account: AccountId(1),
            slot,
            received: Timestamp(0),
            exchange_order_id: U48::default(),
            sequence: U48::default(),
            fingerprint: U48::default(),
        }
    }

    impl OrderIds {
        fn known(&self) -> usize {
            let numbers = 0..self.len() as u32;
            let records = numbers.map(|at| self.get(RecordNumber(self.first.wrapping_add(at))));
            records.filter(|record| self.find(record.account, &record.order_id).is_some()).count()
        }
    }

    #[test]
    fn every_id_is_known_while_the_table_grows_and_old_ones_go() {
        let mut ids = OrderIds::default();
        for i in 0..40_000u64 {
            let now = Timestamp(i * ORDER_ID_WINDOW_US / 15_000);
            ids.forget_old(now, |_, _| panic!());
            let capacity = ids.table.capacity();
            ids.remember(now, record(&format!("i{i}"), Slot::NONE));
            let began = ids.moving.is_some() || capacity == 0;
            // One more can be where one was removed; making room would be many more.
            assert!(began || ids.table.capacity() <= capacity + 1, "a table never makes room for itself");
            for back in [1, 2, 3, 1000, 7_777, 14_000].into_iter().filter(|back| *back <= i) {
                assert!(knows(&ids, &format!("i{}", i - back)), "{back} before {i}");
            }
            assert!(i < 18_000 || !knows(&ids, &format!("i{}", i - 17_500)));
        }
        assert!(ids.known() < 17_500);
    }

    fn knows(ids: &OrderIds, name: &str) -> bool {
        ids.find(AccountId(1), &ClientOrderId::new(name).unwrap()).is_some()
    }

    /// As many submits as fill `blocks` blocks, at one time.
    fn fill(ids: &mut OrderIds, blocks: usize, at: u64, prefix: &str) {
        for i in 0..blocks * BLOCK {
            ids.remember(Timestamp(at), record(&format!("{prefix}{i}"), Slot::NONE));
        }
    }

    #[test]
    fn an_id_is_known_for_its_window_and_then_makes_room() {
        let mut ids = OrderIds::default();
        fill(&mut ids, 2, 0, "a");
        fill(&mut ids, 1, 5, "b");
        ids.forget_old(Timestamp(ORDER_ID_WINDOW_US - 1), |_, _| panic!());
        assert!(knows(&ids, "a0") && knows(&ids, "b0"));
        assert_eq!(ids.find(AccountId(2), &ClientOrderId::new("a0").unwrap()), None, "ids are per account");
        for i in 0..2 * BLOCK {
            ids.forget_old(Timestamp(ORDER_ID_WINDOW_US), |_, _| panic!());
            assert!(!knows(&ids, &format!("a{}", i.min(BLOCK))));
        }
        assert!(!knows(&ids, "a2047") && knows(&ids, "b0") && knows(&ids, "b1023"));
        assert_eq!((ids.blocks.len(), ids.known()), (1, BLOCK));
    }

    #[test]
    fn an_old_id_in_a_young_block_is_free() {
        let mut ids = OrderIds::default();
        let id = ClientOrderId::new("a").unwrap();
        let first = ids.remember(Timestamp(0), record("a", Slot::NONE));
        let before = Timestamp(ORDER_ID_WINDOW_US - 1);
        assert_eq!(ids.find_taken(before, AccountId(1), &id), Some(first));
        let after = Timestamp(ORDER_ID_WINDOW_US);
        assert_eq!(ids.find_taken(after, AccountId(1), &id), None);
        let second = ids.remember(after, Record { received: after, ..record("a", Slot::NONE) });
        assert_eq!(ids.find_taken(after, AccountId(1), &id), Some(second));
        fill(&mut ids, 1, ORDER_ID_WINDOW_US, "x");
        for _ in 0..BLOCK {
            ids.forget_old(Timestamp(3 * ORDER_ID_WINDOW_US), |_, _| panic!());
        }
        assert!(!knows(&ids, "a"));
    }

    #[test]
    fn a_live_order_keeps_its_id_however_old() {
        let mut ids = OrderIds::default();
        let slot = Slot(3);
        ids.remember(Timestamp(0), record("live", slot));
        fill(&mut ids, 1, 1, "x");
        let mut number = None;
        for _ in 0..BLOCK {
            ids.forget_old(Timestamp(ORDER_ID_WINDOW_US + 1), |renewed, to| {
                assert_eq!((renewed, number), (slot, None));
                number = Some(to);
            });
        }
        assert_eq!(ids.find(AccountId(1), &ClientOrderId::new("live").unwrap()), number);
        assert!(number.is_some() && !knows(&ids, "x0"));
    }

    #[test]
    fn a_market_orders_repeat_may_come_with_another_protection_price() {
        let id = ClientOrderId::new("a").unwrap();
        let limit = Submit::limit(AccountId(1), SymbolId(0), id, Side::Buy, Price(5), Quantity(1));
        let market = Submit { kind: OrderKind::Market, ..limit };
        assert_eq!(fingerprint(&market), fingerprint(&Submit { price: Price(9), ..market }));
        assert_ne!(fingerprint(&limit), fingerprint(&Submit { price: Price(9), ..limit }));
        assert_ne!(fingerprint(&limit), fingerprint(&market));
        let stop = Submit { terms: Terms::Stop { trigger: Price(4) }, ..market };
        assert_ne!(fingerprint(&market), fingerprint(&stop));
    }
}
