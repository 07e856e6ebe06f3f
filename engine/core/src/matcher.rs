//! A matcher shard: the books of the symbols with `symbol % matchers == index`.
//!
//! It never sees money: what reaches it is funded. It gives each order its public number, each trade its id and each
//! change of a book its sequence, and tells two audiences what happened: the sequencers of the orders' accounts,
//! in numbered messages, and the market, in [`MarketEvent`]s.

use crate::book::{Book, Fast, Fill, NewOrder, Outcome, Refusal, Sink};
use crate::instrument::Market;
use crate::link::{Gap, Marks, Numbers};
use crate::message::*;
use crate::sequencer::orders::shard_of;
use crate::units::*;
use std::sync::Arc;

/// A trade as the market sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradePrint {
    /// Dense per symbol from 1.
    pub trade: TradeId,
    /// The symbol's sequence after the command that caused it.
    pub sequence: Sequence,
    /// The time of that command.
    pub at: Timestamp,
    /// The maker's price.
    pub price: Price,
    /// Lots.
    pub quantity: Quantity,
    /// The side of the order that came in.
    pub taker_side: Side,
}

/// What the market may know. Per command: its trades and changed levels in the order they happened, then one
/// `Applied`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// A trade happened.
    Trade(SymbolId, TradePrint),
    /// A level's total is now this; zero removes it.
    Level(SymbolId, Side, Price, Quantity),
    /// The command is complete; the book is now at this sequence.
    Applied(SymbolId, Sequence, Timestamp),
}

/// What applying a message put out; the executor empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages by sequencer.
    pub to_sequencers: Vec<(usize, Numbered<FromMatcher>)>,
    /// For the outside, once the records that caused them are durable.
    pub market: Vec<MarketEvent>,
}

/// One matcher shard.
pub struct Matcher {
    matchers: usize,
    /// The greatest time of any command.
    now: Timestamp,
    /// By `symbol / matchers`.
    symbols: Vec<Symbol>,
    marks: Marks,
    numbers: Numbers,
}

/// A symbol's book and counters.
struct Symbol {
    id: SymbolId,
    book: Fast,
    counters: Counters,
}

/// The number lines of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of the last command that changed the book.
    pub sequence: Sequence,
    /// Of the last trade.
    pub trade: TradeId,
    /// Of the last order.
    pub exchange_order_id: u64,
    /// Over everything that ever happened here, in order: two runs of the same input must share it.
    pub event_hash: u64,
}

impl Matcher {
    /// Shard `index` of `matchers`, fed by `sequencers`.
    pub fn new(index: usize, matchers: usize, sequencers: usize, market: &Arc<Market>) -> Self {
        let own = market.instruments.iter().filter(|instrument| instrument.id.0 as usize % matchers == index);
        let symbol = |id| Symbol { id, book: Fast::default(), counters: Counters::default() };
        Self {
            matchers,
            now: Timestamp(0),
            symbols: own.map(|instrument| symbol(instrument.id)).collect(),
            marks: Marks::new(sequencers),
            numbers: Numbers::new(sequencers),
        }
    }

    /// Applies a message of sequencer `from`; a repeat changes nothing.
    pub fn apply(&mut self, from: usize, message: &Numbered<ToMatcher>, out: &mut Outbox) -> Result<(), Gap> {
        if !self.marks.advance(from, message.number)? {
            return Ok(());
        }
        let message = &message.message;
        self.now = self.now.max(message.at);
        let symbol = &mut self.symbols[message.symbol.0 as usize / self.matchers];
        let mut command = Applying {
            symbol: symbol.id,
            at: self.now,
            counters: &mut symbol.counters,
            numbers: &mut self.numbers,
            out,
        };
        match message.order {
            MatcherOrder::Place { key, account, side, time_in_force, price, quantity } => {
                command.place(
                    &mut symbol.book,
                    NewOrder::new(key, account, side, price, quantity, time_in_force),
                );
            }
            MatcherOrder::Cancel { key, asker } => command.cancel(&mut symbol.book, key, asker),
            MatcherOrder::Skip => {}
        }
        Ok(())
    }

    /// The number lines of the shard's symbols.
    pub fn counters(&self) -> impl Iterator<Item = (SymbolId, Counters)> + '_ {
        self.symbols.iter().map(|symbol| (symbol.id, symbol.counters))
    }

    /// The book of a symbol of this shard.
    pub fn book(&self, symbol: SymbolId) -> &Fast {
        &self.symbols[symbol.0 as usize / self.matchers].book
    }
}

/// One command on its way through a book.
struct Applying<'a> {
    symbol: SymbolId,
    at: Timestamp,
    counters: &'a mut Counters,
    numbers: &'a mut Numbers,
    out: &'a mut Outbox,
}

impl Applying<'_> {
    fn place(&mut self, book: &mut Fast, order: NewOrder) {
        // The answer to the submit goes first, before the fills it causes, so the number and the sequence it names
        // must be known before the book is touched. Whether the book will change is known, too: only an order that
        // neither trades nor rests leaves it as it was.
        let changes = match order.time_in_force {
            TimeInForce::PostOnly if would_take(book, &order) => {
                return self.tell(order.key, MatcherOutcome::Refused(Refusal::WouldTake));
            }
            TimeInForce::PostOnly | TimeInForce::Gtc => true,
            TimeInForce::Ioc => would_take(book, &order),
            TimeInForce::Fok => would_fill(book, &order),
        };
        self.counters.exchange_order_id += 1;
        self.counters.sequence.0 += changes as u64;
        let exchange_order_id = self.counters.exchange_order_id;
        self.hash([
            1,
            exchange_order_id,
            order.account.0 as u64,
            order.side as u64,
            order.price.0,
            order.quantity.0,
        ]);
        self.tell(order.key, MatcherOutcome::Placed { exchange_order_id });

        let left = match book.submit(order, &mut Taking { command: self, taker: order }) {
            Ok(Outcome::Filled | Outcome::Resting(_)) => None,
            Ok(Outcome::Cancelled(left) | Outcome::Prevented(left)) => Some(left),
            Err(Refusal::WouldNotFill) => Some(order.quantity),
            Err(Refusal::WouldTake) => unreachable!("asked above"),
        };
        if let Some(left) = left {
            self.hash([2, exchange_order_id, left.0, 0, 0, 0]);
            self.tell(order.key, MatcherOutcome::Closed { left, reason: CloseReason::Expired, asker: None });
        }
        self.done(changes);
    }

    fn cancel(&mut self, book: &mut Fast, key: OrderKey, asker: Option<Origin>) {
        if book.remaining(key).is_none() {
            return self.tell(key, MatcherOutcome::CancelMissed { asker });
        }
        self.counters.sequence.0 += 1;
        let left = book.cancel(key, &mut Levels(self)).expect("it is live");
        self.hash([3, left.0, 0, 0, 0, 0]);
        self.tell(key, MatcherOutcome::Closed { left, reason: CloseReason::Cancelled, asker });
        self.done(true);
    }

    fn done(&mut self, changed: bool) {
        if changed {
            self.out.market.push(MarketEvent::Applied(self.symbol, self.counters.sequence, self.at));
        }
    }

    fn tell(&mut self, key: OrderKey, outcome: MatcherOutcome) {
        let to = shard_of(key);
        let message = FromMatcher { key, sequence: self.counters.sequence, at: self.at, outcome };
        self.out.to_sequencers.push((to, self.numbers.next(to, message)));
    }

    fn level(&mut self, side: Side, price: Price, total: Quantity) {
        self.hash([4, side as u64, price.0, total.0, 0, 0]);
        self.out.market.push(MarketEvent::Level(self.symbol, side, price, total));
    }

    fn hash(&mut self, event: [u64; 6]) {
        let mut bytes = [0; 56];
        for (to, word) in bytes.chunks_exact_mut(8).zip(event.iter().chain([&self.counters.sequence.0])) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.counters.event_hash = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, self.counters.event_hash);
    }
}

/// The book tells a taker's command here what it did.
struct Taking<'a, 'b> {
    command: &'a mut Applying<'b>,
    taker: NewOrder,
}

impl Sink for Taking<'_, '_> {
    fn fill(&mut self, fill: Fill) {
        let Self { command, taker } = self;
        command.counters.trade.0 += 1;
        let trade = command.counters.trade;
        let Fill { price, quantity, .. } = fill;
        command.hash([5, fill.maker_account.0 as u64, taker.account.0 as u64, price.0, quantity.0, trade.0]);
        let filled = |liquidity| MatcherOutcome::Filled { trade, price, quantity, liquidity };
        command.tell(fill.maker, filled(Liquidity::Maker));
        command.tell(taker.key, filled(Liquidity::Taker));
        let print = TradePrint {
            trade,
            sequence: command.counters.sequence,
            at: command.at,
            price,
            quantity,
            taker_side: taker.side,
        };
        command.out.market.push(MarketEvent::Trade(command.symbol, print));
    }

    fn level(&mut self, side: Side, price: Price, total: Quantity) {
        self.command.level(side, price, total);
    }
}

/// A cancel changes a level and trades nothing.
struct Levels<'a, 'b>(&'a mut Applying<'b>);

impl Sink for Levels<'_, '_> {
    fn fill(&mut self, _: Fill) {
        unreachable!("a cancel trades nothing");
    }

    fn level(&mut self, side: Side, price: Price, total: Quantity) {
        self.0.level(side, price, total);
    }
}

fn would_take(book: &Fast, order: &NewOrder) -> bool {
    book.best(order.side.opposite()).is_some_and(|(best, _)| accepts(order, best))
}

fn would_fill(book: &Fast, order: &NewOrder) -> bool {
    let mut missing = order.quantity.0;
    book.levels(order.side.opposite(), |price, total| {
        if accepts(order, price) {
            missing = missing.saturating_sub(total.0);
        }
        accepts(order, price) && missing > 0
    });
    missing == 0
}

/// Whether the order may trade at `price`.
fn accepts(order: &NewOrder, price: Price) -> bool {
    match order.side {
        Side::Buy => price <= order.price,
        Side::Sell => price >= order.price,
    }
}
