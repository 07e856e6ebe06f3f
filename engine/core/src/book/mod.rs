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

use crate::units::{AccountId, OrderKey, Price, Quantity, SelfTrade, Side, TimeInForce};

/// An order that asks to be matched. A market order is [`TimeInForce::Ioc`] (or Fok) at its protection price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Must not be the key of a live order of this book.
    pub key: OrderKey,
    /// Who placed it.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// What happens to what does not trade at once.
    pub time_in_force: TimeInForce,
    /// What happens where it meets an order of its own account.
    pub self_trade: SelfTrade,
    /// The worst price it accepts, at least one tick.
    pub price: Price,
    /// At least one lot.
    pub quantity: Quantity,
    /// An iceberg shows this many lots at a time, at least one, and refills at the end of its queue; an order whose
    /// display is not below what rests of it shows itself whole. Each refill is a trade of its own, so who sets
    /// the rules should bound how often a quantity contains its display.
    pub display: Quantity,
    /// The most that price × lots may add up to over its trades, in ticks × lots: it trades no lot that it cannot
    /// pay whole, and stops at the first maker of whom it cannot pay one lot, be it its own account's. For a seller
    /// it is the most it receives. Only an IOC order may have one; [`NewOrder::UNLIMITED`] for all others.
    pub budget: u128,
}

impl NewOrder {
    /// The budget of an order that has none.
    pub const UNLIMITED: u128 = u128::MAX;

    /// A plain order: it shows itself whole, may trade with its own account and has no budget.
    pub fn new(
        key: OrderKey,
        account: AccountId,
        side: Side,
        price: Price,
        quantity: Quantity,
        time_in_force: TimeInForce,
    ) -> NewOrder {
        NewOrder {
            key,
            account,
            side,
            time_in_force,
            self_trade: SelfTrade::Allow,
            price,
            quantity,
            display: quantity,
            budget: NewOrder::UNLIMITED,
        }
    }
}

/// Why an order was not accepted. The book is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Post-only, and the best opposite price would have traded.
    WouldTake,
    /// Fill-or-kill, and the opposite side holds too little at acceptable prices that it may trade with.
    WouldNotFill,
}

/// How an accepted order stands when its command has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left: all of it traded or was decremented.
    Filled,
    /// The rest is in the book.
    Resting(Quantity),
    /// The rest (IOC, or beyond its budget) was cancelled. With nothing traded the book is as it was.
    Cancelled(Quantity),
    /// The rest was cancelled because it met an order of its own account ([`SelfTrade::CancelNewest`] or
    /// [`SelfTrade::CancelBoth`]).
    Prevented(Quantity),
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
    /// What the maker has left, hidden lots included; zero means it is gone from the book.
    pub maker_left: Quantity,
}

/// A trade of the taker with its own account that did not happen, and what it cost the maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prevented {
    /// The resting order.
    pub maker: OrderKey,
    /// The account of both.
    pub account: AccountId,
    /// Its price.
    pub price: Price,
    /// Lots the maker lost: all it had left, hidden ones included, or with [`SelfTrade::Decrement`] as many as the
    /// taker lost, too. With [`SelfTrade::CancelNewest`] the maker loses nothing and there is no such event.
    pub quantity: Quantity,
    /// What the maker has left, hidden lots included; zero means it is gone from the book.
    pub maker_left: Quantity,
}

/// A trade between two resting orders, when an auction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cross {
    /// The bid.
    pub buy: OrderKey,
    /// Who had placed it.
    pub buy_account: AccountId,
    /// What it has left, hidden lots included; zero means it is gone.
    pub buy_left: Quantity,
    /// The ask.
    pub sell: OrderKey,
    /// Who had placed it.
    pub sell_account: AccountId,
    /// What it has left, hidden lots included; zero means it is gone.
    pub sell_left: Quantity,
    /// The auction's one price.
    pub price: Price,
    /// Lots traded, at least one.
    pub quantity: Quantity,
}

/// Receives what a command did, while it is applied.
///
/// The order of calls within a command: for each maker in priority order a `fill` or a `prevented`; for each price
/// level whose total changed exactly one `level` with its final total (after the fills of that level, best level
/// first; the level the taker rests on comes last). An iceberg shows no more than its display, so a fill that only
/// makes it refill may leave a level's total as it was: then there is no `level`. An auction tells all its trades
/// first, then the levels they changed, bids before asks, best first.
pub trait Sink {
    /// A trade happened.
    fn fill(&mut self, fill: Fill);
    /// A level's total of shown lots is now `total`; zero removes the level. Only a total beyond `u64::MAX`, told as
    /// `u64::MAX`, can be the same number as before.
    fn level(&mut self, side: Side, price: Price, total: Quantity);
    /// A trade of an account with itself did not happen. Only orders that ask for it ([`SelfTrade`]) cause this.
    fn prevented(&mut self, _: Prevented) {}
    /// Two resting orders traded in an auction. Only [`Book::uncross`] causes this.
    fn cross(&mut self, _: Cross) {}
}

/// What the engine asks of a book. `Plain` and `Fast` implement it and must agree event for event.
pub trait Book {
    /// Matches `order`, rests or cancels what is left.
    ///
    /// # Panics
    /// If the key is live, or price, quantity or display is zero, or an order other than IOC has a budget, or the
    /// book is crossed by an auction that has not ended: the caller's bug.
    fn submit(&mut self, order: NewOrder, sink: &mut impl Sink) -> Result<Outcome, Refusal>;

    /// Takes a resting order out. Returns what it had left, or `None` if no such order is live.
    fn cancel(&mut self, key: OrderKey, sink: &mut impl Sink) -> Option<Quantity>;

    /// Leaves a resting order only `left` lots, in its place in the queue; an iceberg loses hidden lots first, so the
    /// level may stay as it is. Returns what it had left before, or `None` if no such order is live.
    ///
    /// # Panics
    /// If `left` is zero or more than it has: the caller's bug.
    fn reduce(&mut self, key: OrderKey, left: Quantity, sink: &mut impl Sink) -> Option<Quantity>;

    /// Rests `order` without matching it, in an auction: the book may now be crossed. Only [`Book::cancel`],
    /// [`Book::reduce`], `rest` and queries are allowed until [`Book::uncross`] has run. Time in force, self-trade
    /// prevention and budget mean nothing here.
    ///
    /// # Panics
    /// If the key is live, or price, quantity or display is zero: the caller's bug.
    fn rest(&mut self, order: NewOrder, sink: &mut impl Sink);

    /// The one price at which the most lots (hidden ones included) would trade, and how many. Among several such
    /// prices: where the least would be left over; then, if buyers would be left over at all of them, the highest,
    /// if sellers, the lowest; then the nearest to `reference`, the lower of two as near; without a reference the
    /// lowest. Candidates are the prices of resting orders. `None` if nothing would trade, which is to say, if the
    /// book is not crossed.
    fn auction(&self, reference: Option<Price>) -> Option<(Price, u128)>;

    /// Trades all that can trade at `price`, by price, then time. `price` is what [`Book::auction`] says, for then
    /// the book is not crossed afterwards; at another price it may stay crossed, and the auction goes on. An account
    /// may meet itself here.
    fn uncross(&mut self, price: Price, sink: &mut impl Sink);

    /// The best price of a side and the lots shown there.
    fn best(&self, side: Side) -> Option<(Price, Quantity)>;

    /// Visits the levels of a side from the best on, with the lots shown there, until `visit` returns false.
    fn levels(&self, side: Side, visit: impl FnMut(Price, Quantity) -> bool);

    /// Visits the orders of a side in the order they would trade, until `visit` returns false.
    fn orders(&self, side: Side, visit: impl FnMut(Resting) -> bool);

    /// Whether all of `order` could trade at once, and would not meet an order of its own account before, unless it
    /// may trade with that ([`SelfTrade::Allow`]) or pushes it aside ([`SelfTrade::CancelOldest`]). Hidden lots
    /// count. Neither time in force nor budget is looked at.
    fn would_fill(&self, order: &NewOrder) -> bool;

    /// What a live order has left, hidden lots included.
    fn remaining(&self, key: OrderKey) -> Option<Quantity>;

    /// Live orders.
    fn len(&self) -> usize;

    /// Whether no order is live.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A resting order as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Its name.
    pub key: OrderKey,
    /// Who placed it.
    pub account: AccountId,
    /// Its price.
    pub price: Price,
    /// Lots shown.
    pub shown: Quantity,
    /// Lots an iceberg does not show yet.
    pub hidden: Quantity,
}

/// A level's total as the outside is told it.
fn told(total: u128) -> Quantity {
    Quantity(u64::try_from(total).unwrap_or(u64::MAX))
}
