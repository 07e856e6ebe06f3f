//! The memory of client order ids: what makes a repeated submit harmless.
//!
//! For 24 hours of log time an id stands for the order it first named. The records form a queue in order of arrival,
//! so forgetting is taking from its front; a hash table points into the queue. A live order's record is never
//! forgotten: when its time comes it goes to the back again, because the id is also how its owner cancels it.

use crate::limits::{ORDER_ID_WINDOW_US, ORDER_IDS_MAX};
use crate::message::{Reject, Submit};
use crate::sequencer::orders::Slot;
use crate::units::*;
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Where a record is: its number in order of arrival. It changes only when a live order's record is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordNumber(u64);

/// What became of the first submit with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The matcher has not answered yet.
    Pending,
    /// Acknowledged.
    Acked { exchange_order_id: u64, sequence: Sequence, received: Timestamp },
    /// Refused.
    Rejected(Reject),
}

#[derive(Clone, Debug)]
pub struct Record {
    pub account: AccountId,
    pub order_id: ClientOrderId,
    /// Tells whether a repeat asks for the same order.
    pub fingerprint: u64,
    pub remembered_since: Timestamp,
    /// The live order, as long as there is one.
    pub slot: Option<Slot>,
    pub answer: Answer,
}

#[derive(Clone, Debug, Default)]
pub struct OrderIds {
    /// Record numbers, by hash of (account, order id).
    table: HashTable<u64>,
    records: VecDeque<Record>,
    /// The number of the record at the front.
    front: u64,
}

impl OrderIds {
    pub fn find(&self, account: AccountId, order_id: &ClientOrderId) -> Option<RecordNumber> {
        let found = self.table.find(hash(account, order_id), |number| {
            let record = &self.records[(number - self.front) as usize];
            record.account == account && record.order_id == *order_id
        });
        found.map(|number| RecordNumber(*number))
    }

    pub fn get(&self, number: RecordNumber) -> &Record {
        &self.records[(number.0 - self.front) as usize]
    }

    pub fn get_mut(&mut self, number: RecordNumber) -> &mut Record {
        &mut self.records[(number.0 - self.front) as usize]
    }

    /// Remembers a new id. The caller has made sure that it is not known and that there is room.
    pub fn remember(&mut self, record: Record) -> RecordNumber {
        let number = self.front + self.records.len() as u64;
        let hash_of = |number: &u64| {
            let record = &self.records[(number - self.front) as usize];
            hash(record.account, &record.order_id)
        };
        self.table.insert_unique(hash(record.account, &record.order_id), number, hash_of);
        self.records.push_back(record);
        RecordNumber(number)
    }

    pub fn is_full(&self) -> bool {
        self.records.len() >= ORDER_IDS_MAX
    }

    /// Forgets what is older than the window at `now`. Live orders are renewed; `renewed` learns their new numbers.
    pub fn forget_old(&mut self, now: Timestamp, mut renewed: impl FnMut(Slot, RecordNumber)) {
        while let Some(record) = self.records.front() {
            if now.0 < record.remembered_since.0.saturating_add(ORDER_ID_WINDOW_US) {
                break;
            }
            let (account, order_id, front) = (record.account, record.order_id, self.front);
            self.table
                .find_entry(hash(account, &order_id), |number| *number == front)
                .expect("every record is in the table")
                .remove();
            let record = self.records.pop_front().expect("there is a front");
            self.front += 1;
            if let Some(slot) = record.slot {
                renewed(slot, self.remember(Record { remembered_since: now, ..record }));
            }
        }
    }
}

/// What must be equal for a repeat to be the same order.
pub fn fingerprint(submit: &Submit) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    (submit.symbol, submit.side, submit.kind, submit.time_in_force).hash(&mut hasher);
    // A market order's protection price is ours, not the client's: a repeat may come when the market has moved.
    if submit.kind == crate::message::OrderKind::Limit {
        submit.price.hash(&mut hasher);
    }
    submit.quantity.hash(&mut hasher);
    hasher.finish()
}

fn hash(account: AccountId, order_id: &ClientOrderId) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(order_id.as_str().as_bytes(), account.0 as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, at: u64, slot: Option<Slot>) -> Record {
        Record {
            account: AccountId(1),
            order_id: ClientOrderId::new(name).unwrap(),
            fingerprint: 0,
            remembered_since: Timestamp(at),
            slot,
            answer: Answer::Pending,
        }
    }

    fn knows(ids: &OrderIds, name: &str) -> bool {
        ids.find(AccountId(1), &ClientOrderId::new(name).unwrap()).is_some()
    }

    #[test]
    fn an_id_is_known_for_its_window_and_no_longer() {
        let mut ids = OrderIds::default();
        ids.remember(record("a", 0, None));
        ids.remember(record("b", 5, None));
        ids.forget_old(Timestamp(ORDER_ID_WINDOW_US - 1), |_, _| panic!());
        assert!(knows(&ids, "a") && knows(&ids, "b"));
        assert_eq!(ids.find(AccountId(2), &ClientOrderId::new("a").unwrap()), None, "ids are per account");
        ids.forget_old(Timestamp(ORDER_ID_WINDOW_US), |_, _| panic!());
        assert!(!knows(&ids, "a") && knows(&ids, "b"));
    }

    #[test]
    fn a_live_order_keeps_its_id_however_old() {
        let mut ids = OrderIds::default();
        let slot = Slot(3);
        ids.remember(record("live", 0, Some(slot)));
        for i in 0..100 {
            ids.remember(record(&format!("x{i}"), 1, None));
        }
        let mut number = None;
        ids.forget_old(Timestamp(ORDER_ID_WINDOW_US + 1), |renewed, to| {
            assert_eq!(renewed, slot);
            number = Some(to);
        });
        assert_eq!(ids.find(AccountId(1), &ClientOrderId::new("live").unwrap()), number);
        assert_eq!(ids.records.len(), 1);
        assert_eq!(ids.table.len(), 1);
    }
}
