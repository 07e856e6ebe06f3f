//! What a matcher tells the market and the sequencers.

use crate::message::{FromMatcher, Numbered, SymbolState};
use crate::units::*;

/// A trade as the market sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradePrint {
    /// Dense per symbol from 1.
    pub trade: TradeId,
    /// The symbol's sequence after the command that caused it.
    pub sequence: Sequence,
    /// The time of that command.
    pub at: Timestamp,
    /// The maker's price, or the auction's.
    pub price: Price,
    /// Lots.
    pub quantity: Quantity,
    /// The side of the order that came in; of an auction's trades, where nobody came in, the buyer's.
    pub taker_side: Side,
}

/// What the market may know. Per command: its trades and changed levels in the order they happened, then one
/// `Applied`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// A trade happened.
    Trade(SymbolId, TradePrint),
    /// A level's total of shown lots is now this; zero removes it.
    Level(SymbolId, Side, Price, Quantity),
    /// The command is complete; the book is now at this sequence.
    Applied(SymbolId, Sequence, Timestamp),
    /// From now on the symbol does this.
    State(SymbolId, SymbolState, Timestamp),
}

/// What applying a message put out; the executor empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages by sequencer.
    pub to_sequencers: Vec<(usize, Numbered<FromMatcher>)>,
    /// For the outside, once the records that caused them are durable.
    pub market: Vec<MarketEvent>,
}
