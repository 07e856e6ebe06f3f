//! What a feed knows of a symbol.

use super::FeedCounters;
use super::candles::Candles;
use super::levels::Levels;
use super::outlet::{OpenRoom, append};
use super::packing::Scratch;
use super::timed::{Beat, Telling, Timed, ticker};
use crate::rooms::view::View;
use crate::wire::encode::{SymbolFormat, market};
use crate::wire::name::KlineInterval;
use engine_core::matcher::TradePrint;
use engine_core::units::*;
use std::collections::VecDeque;

/// Trades a symbol's feed remembers for those who ask by id.
const TRADES_KEPT: usize = 1000;

#[derive(Default)]
pub(super) struct Symbol {
    pub known: Known,
    pub rooms: Vec<OpenRoom>,
    /// Since the last publish.
    pub trades: Vec<TradePrint>,
    pub changed: Vec<(Side, Price)>,
    pub touched: bool,
    /// The newest trades, oldest first.
    pub kept: VecDeque<TradePrint>,
    /// None before it was ever told: the symbol trades.
    pub status: Option<market::Status>,
    /// None before somebody asked for a timed room.
    pub timed: Option<Box<Timed>>,
}

/// What there is to tell.
#[derive(Default)]
pub(super) struct Known {
    pub levels: Levels,
    /// As of the last event, and as of the last publish.
    pub sequence: Sequence,
    pub published: Sequence,
    pub at: Timestamp,
    /// The best bid and ask, as of the last publish.
    pub best: [Option<(Price, Quantity)>; 2],
    pub last_trade: TradeId,
    /// Changes of levels that a later one of the same batch has replaced.
    pub conflated: u64,
    /// None before the first trade.
    pub candles: Option<Box<Candles>>,
}

impl Symbol {
    /// The view is told from now on.
    pub fn open_timed(&mut self, view: View, now: Timestamp) {
        self.pass(now);
        self.timed.get_or_insert_default().open(view, &self.known, now);
    }

    /// Tells the book's timed rooms what has changed.
    pub fn tell_depth(&mut self, format: &SymbolFormat<'_>, scratch: &mut Scratch, counters: &FeedCounters) {
        let Self { known, rooms, timed, .. } = self;
        if let Some(timed) = timed {
            timed.tell_depth(known, &mut Telling { rooms, format, scratch, counters });
        }
    }

    /// Tells timed rooms what has changed.
    pub fn beat(
        &mut self,
        beat: Beat,
        format: &SymbolFormat<'_>,
        scratch: &mut Scratch,
        counters: &FeedCounters,
    ) {
        self.pass(beat.at);
        let Self { known, rooms, timed, .. } = self;
        if let Some(timed) = timed {
            timed.tell(known, beat, &mut Telling { rooms, format, scratch, counters });
        }
    }

    /// What the day's trades come to.
    pub fn ticker(&mut self, now: Timestamp) -> market::Ticker {
        self.pass(now);
        ticker(&self.known, now)
    }

    /// The newest candles of an interval, oldest first.
    pub fn klines(
        &mut self,
        interval: KlineInterval,
        klines_max: usize,
        now: Timestamp,
    ) -> Vec<market::Kline> {
        self.pass(now);
        self.known.candles.as_ref().map_or(Vec::new(), |candles| candles.list(interval, klines_max))
    }

    pub fn publish_trades(
        &mut self,
        format: &SymbolFormat<'_>,
        scratch: &mut Scratch,
        counters: &FeedCounters,
    ) {
        if self.trades.is_empty() {
            return;
        }
        let Self { known, trades, rooms, kept, timed, .. } = self;
        let candles = known.candles.get_or_insert_default();
        for trade in trades.drain(..) {
            market::trade(scratch.payload(), format, trade_message(&trade));
            append(rooms, View::Trade, &mut scratch.frame(), counters);
            if kept.len() == TRADES_KEPT {
                kept.pop_front();
            }
            kept.push_back(trade);
            candles.add(&trade, |over| timed.iter_mut().for_each(|timed| timed.note_closed(over)));
        }
        if let Some(timed) = timed {
            timed.tell_closed(&mut Telling { rooms, format, scratch, counters });
        }
    }

    /// Time goes by: candles may be over.
    fn pass(&mut self, now: Timestamp) {
        let Self { known, timed, .. } = self;
        if let Some(candles) = &mut known.candles {
            candles.pass(now, |over| timed.iter_mut().for_each(|timed| timed.note_closed(over)));
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
