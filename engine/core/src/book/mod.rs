//! One symbol's book: resting orders by price, then by time of arrival.
//!
//! The contract both books keep:
//! - a command is applied whole before the next one, and everything it did is told to the caller's [`Sink`], in
//!   order, without allocation;
//! - a trade prints at the maker's price; makers of a level trade in the order they came;
//! - an event of the book never names more than the book knows: money, accounts' balances and client ids live in the
//!   sequencer, which finds its record by [`OrderKey`];
//! - a level may hold more lots than a [`Quantity`] counts. The book counts on and misses nothing, and tells such a
//!   total as `u64::MAX`.
//!
//! [`Plain`] is the book one can believe by reading it, [`Fast`] the one that runs, and the tests hold the second
//! to the first event by event.

pub mod fast;
pub mod plain;
#[cfg(test)]
mod tests;

pub use self::{fast::Fast, plain::Plain};

use crate::units::{AccountId, OrderKey, Price, Quantity, Side, TimeInForce};

/// An order that asks to be matched. A market order is [`TimeInForce::Ioc`] (or Fok) at its protection price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Must not be the key of a live order of this book.
    pub key: OrderKey,
    /// Who placed it.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// The worst price it accepts, at least one tick.
    pub price: Price,
    /// At least one lot.
    pub quantity: Quantity,
    /// What happens to what does not trade at once.
    pub time_in_force: TimeInForce,
}

/// Why an order was not accepted. The book is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Post-only, and the best opposite price would have traded.
    WouldTake,
    /// Fill-or-kill, and the opposite side holds too little at acceptable prices.
    WouldNotFill,
}

/// How an accepted order stands when its command has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it traded.
    Filled,
    /// The rest is in the book.
    Resting(Quantity),
    /// The rest (IOC) was cancelled. With nothing traded the book is as it was.
    Cancelled(Quantity),
}

/// One trade between the taker of the running command and a resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The resting order.
    pub maker: OrderKey,
    /// Who had placed it.
    pub maker_account: AccountId,
    /// The maker's price, at which the trade prints.
    pub price: Price,
    /// Lots traded, at least one.
    pub quantity: Quantity,
    /// What the maker has left; zero means it is gone from the book.
    pub maker_left: Quantity,
}

/// Receives what a command did, while it is applied.
///
/// The order of calls within a command: for each maker in priority order a `fill`; for each price level whose total
/// changed exactly one `level` with its final total (after the fills of that level, best level first; the level the
/// taker rests on comes last).
pub trait Sink {
    /// A trade happened.
    fn fill(&mut self, fill: Fill);
    /// A level's total is now `total` lots; zero removes the level. Only a total beyond `u64::MAX`, told as
    /// `u64::MAX`, can be the same number as before.
    fn level(&mut self, side: Side, price: Price, total: Quantity);
}

/// What the engine asks of a book. `Plain` and `Fast` implement it and must agree event for event.
pub trait Book {
    /// Matches `order`, rests or cancels what is left.
    ///
    /// # Panics
    /// If the key is live, or price or quantity is zero: the caller's bug.
    fn submit(&mut self, order: NewOrder, sink: &mut impl Sink) -> Result<Outcome, Refusal>;

    /// Takes a resting order out. Returns what it had left, or `None` if no such order is live.
    fn cancel(&mut self, key: OrderKey, sink: &mut impl Sink) -> Option<Quantity>;

    /// The best price of a side and the lots there.
    fn best(&self, side: Side) -> Option<(Price, Quantity)>;

    /// Visits the levels of a side from the best on, until `visit` returns false.
    fn levels(&self, side: Side, visit: impl FnMut(Price, Quantity) -> bool);

    /// What a live order has left.
    fn remaining(&self, key: OrderKey) -> Option<Quantity>;

    /// Live orders.
    fn len(&self) -> usize;

    /// Whether no order is live.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A level's total as the outside is told it.
fn told(total: u128) -> Quantity {
    Quantity(u64::try_from(total).unwrap_or(u64::MAX))
}
