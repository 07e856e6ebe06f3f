//! What is listed here, in the form the gateway needs: symbols by name, and how their numbers are written.

use crate::wire::encode::SymbolFormat;
use crate::wire::number::NumberFormat;
use engine_core::instrument::{Instrument, Market, Step};
use engine_core::units::{Amount, AssetId, Price, SymbolId};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The listed market, shared by every thread; it does not change while the process runs.
pub struct Venue {
    pub market: Arc<Market>,
    by_name: HashMap<String, SymbolId>,
    /// The newest best prices, by symbol.
    pub tops: Vec<Top>,
    /// What a paper account is given of each asset when it is opened.
    pub paper_funds: Vec<(AssetId, Amount)>,
    /// How far from the best opposite price a market order may trade, in basis points.
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
        let tops = market.instruments.iter().map(|_| Top::default()).collect();
        Self { market, by_name, tops, paper_funds, market_band_bps }
    }

    pub fn instrument(&self, symbol: &str) -> Option<&Instrument> {
        self.by_name.get(symbol).map(|id| self.of(*id))
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

    /// The worst price a market order sent now may trade at; `None` while the other side is empty.
    pub fn protection_price(&self, symbol: SymbolId, side: engine_core::units::Side) -> Option<Price> {
        use engine_core::units::Side;
        let top = &self.tops[symbol.0 as usize];
        let (best, bps) = match side {
            Side::Buy => (top.ask.load(Ordering::Relaxed), 10_000 + self.market_band_bps),
            Side::Sell => (top.bid.load(Ordering::Relaxed), 10_000u32.saturating_sub(self.market_band_bps)),
        };
        let price = (best as u128 * bps as u128 / 10_000) as u64;
        (best != 0).then_some(Price(price.clamp(1, self.of(symbol).price_max.0)))
    }
}

pub fn number_format(step: Step) -> NumberFormat {
    NumberFormat::new(step.decimals, step.size)
}
