//! What is listed here, in the form the gateway needs: symbols by name, and how their numbers are written.

use crate::rooms::pattern::Pattern;
use crate::wire::encode::SymbolFormat;
use crate::wire::name::Name;
use crate::wire::number::NumberFormat;
use crossbeam_skiplist::SkipMap;
use engine_core::instrument::{Instrument, Market, Step};
use engine_core::message::SymbolState;
use engine_core::units::{Amount, AssetId, Price, Quantity, Side, SymbolId};
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The listed market, shared by every thread; it does not change while the process runs.
pub struct Venue {
    pub market: Arc<Market>,
    by_name: HashMap<String, SymbolId>,
    /// The same in order of the names, for patterns.
    in_order: SkipMap<String, SymbolId>,
    /// The newest best prices, by symbol.
    pub tops: Vec<Top>,
    /// What each symbol does as last published by its feed, by its place in the list of states; all begin trading.
    states: Vec<AtomicU8>,
    /// What a paper account is given of each asset when it is opened.
    pub paper_funds: Vec<(AssetId, Amount)>,
    /// How far a market order may trade from the best opposite price, and a stop from its stop price, in basis points.
    pub market_band_bps: u32,
}

/// The best prices of a symbol as last published by its feed, in ticks; 0 for an empty side. Each number is right
/// by itself; the two may be of neighbouring moments.
#[derive(Default)]
pub struct Top {
    pub bid: AtomicU64,
    pub ask: AtomicU64,
}

impl Venue {
    pub fn new(market: Arc<Market>, paper_funds: Vec<(AssetId, Amount)>, market_band_bps: u32) -> Self {
        let by_name = market.instruments.iter().map(|i| (i.symbol.clone(), i.id)).collect();
        let in_order = market.instruments.iter().map(|i| (i.symbol.clone(), i.id)).collect();
        let tops = market.instruments.iter().map(|_| Top::default()).collect();
        let states = market.instruments.iter().map(|_| AtomicU8::new(0)).collect();
        Self { market, by_name, in_order, tops, states, paper_funds, market_band_bps }
    }

    pub fn instrument(&self, symbol: &str) -> Option<&Instrument> {
        self.by_name.get(symbol).map(|id| self.of(*id))
    }

    /// The symbols that match, in order of their names.
    pub fn matching(&self, pattern: Pattern<'_>) -> Vec<SymbolId> {
        let from = self.in_order.range::<str, _>((Bound::Included(pattern.prefix), Bound::Unbounded));
        let begin_so = from.take_while(|entry| entry.key().starts_with(pattern.prefix));
        begin_so.filter(|entry| pattern.matches(entry.key())).map(|entry| *entry.value()).collect()
    }

    pub fn of(&self, symbol: SymbolId) -> &Instrument {
        &self.market.instruments[symbol.0 as usize]
    }

    pub fn format(&self, symbol: SymbolId) -> SymbolFormat<'_> {
        let instrument = self.of(symbol);
        SymbolFormat {
            symbol: &instrument.symbol,
            price: number_format(instrument.tick),
            quantity: number_format(instrument.lot),
            quote_decimals: self.market.assets[instrument.quote.0 as usize].decimals,
        }
    }

    /// The best price that an order of `side` would meet now.
    pub fn best_opposite(&self, symbol: SymbolId, side: Side) -> Option<Price> {
        let top = &self.tops[symbol.0 as usize];
        let best = match side {
            Side::Buy => &top.ask,
            Side::Sell => &top.bid,
        };
        Some(Price(best.load(Ordering::Relaxed))).filter(|price| price.0 != 0)
    }

    /// The same, or of the order's own side where the other is empty: about where the market is.
    pub fn near(&self, symbol: SymbolId, side: Side) -> Option<Price> {
        self.best_opposite(symbol, side).or_else(|| self.best_opposite(symbol, side.opposite()))
    }

    /// The worst price that a market order may trade at which starts from `reference`.
    pub fn beyond(&self, instrument: &Instrument, side: Side, reference: Price) -> Price {
        let bps = match side {
            Side::Buy => 10_000 + self.market_band_bps,
            Side::Sell => 10_000u32.saturating_sub(self.market_band_bps),
        };
        let price = reference.0 as u128 * bps as u128 / 10_000;
        Price(price.clamp(1, instrument.price_max.0 as u128) as u64)
    }

    /// Called by the symbol's feed, with the best bid and ask.
    pub fn set_top(&self, symbol: SymbolId, best: [Option<(Price, Quantity)>; 2]) {
        let Top { bid, ask } = &self.tops[symbol.0 as usize];
        let [best_bid, best_ask] = best.map(|level| level.map_or(0, |(price, _)| price.0));
        bid.store(best_bid, Ordering::Relaxed);
        ask.store(best_ask, Ordering::Relaxed);
    }

    /// What the symbol does.
    pub fn state(&self, symbol: SymbolId) -> SymbolState {
        let number = self.states[symbol.0 as usize].load(Ordering::Relaxed);
        SymbolState::ALL[number as usize]
    }

    /// Called by the symbol's feed.
    pub fn set_state(&self, symbol: SymbolId, state: SymbolState) {
        let number = SymbolState::ALL.iter().position(|of| *of == state).expect("all are there");
        self.states[symbol.0 as usize].store(number as u8, Ordering::Relaxed);
    }
}

pub fn number_format(step: Step) -> NumberFormat {
    NumberFormat::new(step.decimals, step.size)
}
