//! A matcher shard: the books of the symbols with `symbol % matchers == index`.
//!
//! It never sees money: what reaches it is funded. It gives each order its public number, each trade its id and each
//! change of a book its sequence, and tells two audiences what happened: the sequencers of the orders' accounts,
//! in numbered messages, and the market, in [`MarketEvent`]s.
//!
//! - here: the shard, and what goes to which symbol
//! - `symbol`: what a command does to one symbol; `phases`: states and auctions
//! - `stops`: orders that wait for a trade at their trigger
//! - `events`: what is told; `state`: it all as bytes

mod events;
mod phases;
mod state;
mod stops;
mod symbol;

pub use events::{MarketEvent, Outbox, Relief, TradePrint};

use crate::book::{Book, Fast};
use crate::instrument::Market;
use crate::link::{Gap, Marks, Numbers};
use crate::message::*;
use crate::units::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use symbol::{Applying, Outlet, Symbol};

/// One matcher shard.
#[derive(Clone)]
pub struct Matcher {
    matchers: usize,
    sequencers: usize,
    /// By `symbol / matchers`; none where a later symbol was listed before it was.
    symbols: Vec<Option<Symbol>>,
    marks: Marks,
    numbers: Numbers,
}

/// The number lines of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        Self {
            matchers,
            sequencers,
            symbols: own.map(|instrument| Some(Symbol::new(instrument.id, instrument.band))).collect(),
            marks: Marks::new(sequencers),
            numbers: Numbers::new(sequencers),
        }
    }

    /// Applies a message of sequencer `from`; a repeat changes nothing.
    pub fn apply(&mut self, from: usize, message: &Numbered<ToMatcher>, out: &mut Outbox) -> Result<(), Gap> {
        self.apply_with(from, message, out, &mut ())
    }

    /// The same, for one who empties the outbox whenever it is full ([`Outbox::is_full`]).
    pub fn apply_with(
        &mut self,
        from: usize,
        message: &Numbered<ToMatcher>,
        out: &mut Outbox,
        relief: &mut dyn Relief,
    ) -> Result<(), Gap> {
        if !self.marks.advance(from, message.number)? {
            return Ok(());
        }
        let ToMatcher { symbol, at, order, .. } = message.message;
        match order {
            MatcherOrder::Skip => {}
            MatcherOrder::Tick => {
                for symbol in self.symbols.iter_mut().flatten() {
                    let outlet = Outlet { numbers: &mut self.numbers, out, relief };
                    Applying::new(symbol, at, self.sequencers, outlet).expire();
                }
            }
            MatcherOrder::Relay(transfer) => self.relay(transfer, out),
            MatcherOrder::List { band } => self.list(symbol, band),
            order => match self.symbols.get_mut(symbol.0 as usize / self.matchers) {
                Some(Some(symbol)) => {
                    let outlet = Outlet { numbers: &mut self.numbers, out, relief };
                    Applying::new(symbol, at, self.sequencers, outlet).apply(order)
                }
                _ => self.refuse(from, order, out),
            },
        }
        Ok(())
    }

    /// Looks at what a coming message will need, as [`crate::sequencer::Sequencer::warm`] does.
    pub fn warm(&self, message: &ToMatcher) {
        let key = match message.order {
            MatcherOrder::Place(Place { key, .. }) | MatcherOrder::Cancel { key, .. } => key,
            _ => return,
        };
        if let Some(Some(symbol)) = self.symbols.get(message.symbol.0 as usize / self.matchers) {
            std::hint::black_box(symbol.book.remaining(key));
        }
    }

    /// Hands money on to the sequencer of the account it is for.
    fn relay(&mut self, transfer: Transfer, out: &mut Outbox) {
        let account = match transfer.stage {
            TransferStage::Offered => transfer.to,
            TransferStage::Accepted | TransferStage::Refused(_) => transfer.from,
        };
        let to = account.0 as usize % self.sequencers;
        out.to_sequencers.push((to, self.numbers.next(to, FromMatcher::Relayed(transfer))));
    }

    fn list(&mut self, symbol: SymbolId, band: u16) {
        let at = symbol.0 as usize / self.matchers;
        if self.symbols.len() <= at {
            self.symbols.resize_with(at + 1, || None);
        }
        assert!(self.symbols[at].is_none(), "symbol {symbol} is listed twice");
        self.symbols[at] = Some(Symbol::new(symbol, band));
    }

    /// An order came by one link before the listing of its symbol by another, and so may what its owner wants of it
    /// before the refusal is heard.
    ///
    /// # Panics
    /// If it is about neither an order nor a state.
    fn refuse(&mut self, from: usize, order: MatcherOrder, out: &mut Outbox) {
        let (unknown, late) = (Reject::UnknownSymbol, Reject::TooLate);
        let (key, outcome) = match order {
            MatcherOrder::Place(Place { key, asker, .. }) => {
                (key, MatcherOutcome::Refused { reason: unknown, asker })
            }
            MatcherOrder::Cancel { key, cause } => {
                (key, MatcherOutcome::CancelRefused { reason: late, cause })
            }
            MatcherOrder::Amend(PlaceAmended { key, asker, .. }) => {
                (key, MatcherOutcome::AmendRefused { reason: late, asker })
            }
            MatcherOrder::SetState { asker, .. } => {
                let message = FromMatcher::State { asker, result: Err(unknown) };
                return out.to_sequencers.push((from, self.numbers.next(from, message)));
            }
            other => panic!("{other:?} for a symbol that was never listed"),
        };
        let news = OrderNews { key, sequence: Sequence(0), at: Timestamp(0), outcome };
        out.to_sequencers.push((from, self.numbers.next(from, FromMatcher::Order(news))));
    }

    /// The number lines of the shard's symbols.
    pub fn counters(&self) -> impl Iterator<Item = (SymbolId, Counters)> + '_ {
        self.symbols.iter().flatten().map(|symbol| (symbol.desk.id, symbol.desk.counters))
    }

    /// The book of a symbol of this shard.
    ///
    /// # Panics
    /// If the symbol is not listed here, here and below.
    pub fn book(&self, symbol: SymbolId) -> &Fast {
        &self.symbol(symbol).book
    }

    /// What a symbol of this shard does.
    pub fn state(&self, symbol: SymbolId) -> SymbolState {
        self.symbol(symbol).desk.state
    }

    /// The time of a symbol's newest command.
    pub fn now(&self, symbol: SymbolId) -> Timestamp {
        self.symbol(symbol).desk.now()
    }

    /// Checks what must always hold of the shard's symbols. Costs a pass over all orders.
    ///
    /// # Panics
    /// If it does not.
    pub fn check(&self) {
        self.symbols.iter().flatten().for_each(Symbol::check);
    }

    fn symbol(&self, symbol: SymbolId) -> &Symbol {
        self.symbols[symbol.0 as usize / self.matchers].as_ref().expect("a symbol of this shard")
    }
}
