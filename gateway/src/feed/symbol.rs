//! What a feed knows of a symbol.

use super::FeedCounters;
use super::levels::Levels;
use super::outlet::{OpenRoom, Scratch, append};
use super::timed::{Book, Telling, Timed};
use crate::rooms::view::View;
use crate::wire::encode::{SymbolFormat, market};
use engine_core::matcher::TradePrint;
use engine_core::units::*;
use std::collections::VecDeque;

/// Trades a symbol's feed remembers for those who ask by id.
const TRADES_KEPT: usize = 1000;

#[derive(Default)]
pub(super) struct Symbol {
    pub levels: Levels,
    pub rooms: Vec<OpenRoom>,
    /// As of the last event, and as of the last publish.
    pub sequence: Sequence,
    pub published: Sequence,
    pub at: Timestamp,
    pub last_trade: TradeId,
    pub best: [Option<(Price, Quantity)>; 2],
    /// Since the last publish.
    pub trades: Vec<TradePrint>,
    pub changed: Vec<(Side, Price)>,
    pub touched: bool,
    pub kept: VecDeque<TradePrint>,
    /// None before it was ever told: the symbol trades.
    pub status: Option<market::Status>,
    /// None before somebody asked for a timed room.
    pub timed: Option<Box<Timed>>,
}

impl Symbol {
    /// The view is told from now on.
    pub fn open_timed(&mut self, view: View) {
        let book = Book { levels: &self.levels, sequence: self.published, at: self.at };
        self.timed.get_or_insert_default().open(view, book);
    }

    /// Tells timed rooms what has changed.
    pub fn beat(&mut self, format: &SymbolFormat<'_>, scratch: &mut Scratch, counters: &FeedCounters) {
        let Some(timed) = &mut self.timed else { return };
        let book = Book { levels: &self.levels, sequence: self.published, at: self.at };
        timed.tell_depth(book, &mut Telling { rooms: &mut self.rooms, format, scratch, counters });
    }

    pub fn publish_trades(
        &mut self,
        format: &SymbolFormat<'_>,
        scratch: &mut Scratch,
        counters: &FeedCounters,
    ) {
        for trade in self.trades.drain(..) {
            market::trade(scratch.payload(), format, trade_message(&trade));
            append(&mut self.rooms, View::Trade, &scratch.frame(), counters);
            if self.kept.len() == TRADES_KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(trade);
        }
    }
}

fn trade_message(trade: &TradePrint) -> market::Trade {
    market::Trade {
        trade_id: trade.trade,
        seq: trade.sequence,
        price: trade.price,
        quantity: trade.quantity,
        side: trade.taker_side,
        ts: trade.at,
    }
}
