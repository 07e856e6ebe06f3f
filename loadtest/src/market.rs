//! A symbol's rules and touch, read over REST, and prices and quantities that obey them.

use crate::http;
use crate::message::{Exact, Level};
use crate::target::Target;
use anyhow::{Context, Result, ensure};
use rust_decimal::Decimal;
use serde::Deserialize;

#[derive(Clone, Debug)]
pub struct Market {
    pub symbol: String,
    pub tick: Decimal,
    pub lot: Decimal,
    pub min_notional: Decimal,
    pub best_bid: Option<Decimal>,
    pub best_ask: Option<Decimal>,
}

/// Ticks that make the price in a book nobody has quoted yet: high enough that a percent is many ticks.
const PRICE_TICKS_IF_EMPTY: i64 = 100_000;

#[derive(Deserialize)]
struct Symbols {
    symbols: Vec<Symbol>,
}

#[derive(Deserialize)]
struct Symbol {
    symbol: String,
    tick: Exact,
    lot: Exact,
    min_notional: Exact,
}

#[derive(Deserialize)]
struct Depth {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Market {
    pub async fn fetch(host: &Target, symbol: &str) -> Result<Self> {
        let listed: Symbols = http::get_json(host, "/api/v1/symbols").await?;
        let mut listed = listed.symbols.into_iter();
        let rules = listed
            .find(|listed| listed.symbol == symbol)
            .with_context(|| format!("{symbol} is not listed"))?;
        let depth: Depth = http::get_json(host, &format!("/api/v1/depth?symbol={symbol}&limit=5")).await?;
        let (tick, lot) = (rules.tick.0, rules.lot.0);
        ensure!(!tick.is_zero() && !lot.is_zero(), "{symbol}: tick {tick} and lot {lot} must not be zero");
        Ok(Market {
            symbol: symbol.to_owned(),
            tick,
            lot,
            min_notional: rules.min_notional.0,
            best_bid: depth.bids.iter().map(|level| level.0.0).max(),
            best_ask: depth.asks.iter().map(|level| level.0.0).min(),
        })
    }

    /// A price about which the book is, or would be, centred.
    pub fn middle(&self) -> Decimal {
        let middle = match (self.best_bid, self.best_ask) {
            (Some(bid), Some(ask)) => (bid + ask) / Decimal::TWO,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => self.tick * Decimal::from(PRICE_TICKS_IF_EMPTY),
        };
        self.round(middle)
    }

    /// `percent` below the middle: a bid there rests, and stays.
    pub fn far_bid(&self, percent: u32) -> Decimal {
        self.round(self.middle() * Decimal::from(100 - percent) / Decimal::ONE_HUNDRED)
    }

    /// `percent` above the middle.
    pub fn far_ask(&self, percent: u32) -> Decimal {
        self.round(self.middle() * Decimal::from(100 + percent) / Decimal::ONE_HUNDRED)
    }

    /// The smallest order allowed at this price.
    pub fn quantity_min(&self, price: Decimal) -> Decimal {
        let lots = (self.min_notional / price / self.lot).ceil().max(Decimal::ONE);
        (lots * self.lot).normalize()
    }

    /// Down to a tick, and never to nothing.
    fn round(&self, price: Decimal) -> Decimal {
        ((price / self.tick).floor().max(Decimal::ONE) * self.tick).normalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(bid: Option<&str>, ask: Option<&str>) -> Market {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        Market {
            symbol: "BTC-USDT".into(),
            tick: decimal("0.5"),
            lot: decimal("0.001"),
            min_notional: decimal("10"),
            best_bid: bid.map(decimal),
            best_ask: ask.map(decimal),
        }
    }

    #[test]
    fn prices_are_whole_ticks_on_the_right_side() {
        let market = market(Some("30000"), Some("30001.5"));
        assert_eq!(market.middle().to_string(), "30000.5");
        assert_eq!(market.far_bid(10).to_string(), "27000");
        assert_eq!(market.far_ask(10).to_string(), "33000.5");
    }

    #[test]
    fn an_empty_book_still_has_a_middle() {
        assert_eq!(market(None, None).middle().to_string(), "50000");
        assert_eq!(market(None, Some("7")).middle().to_string(), "7");
    }

    #[test]
    fn the_least_quantity_is_whole_lots_worth_the_least_notional() {
        let market = market(None, None);
        assert_eq!(market.quantity_min("30000".parse().unwrap()).to_string(), "0.001");
        assert_eq!(market.quantity_min("300".parse().unwrap()).to_string(), "0.034");
    }
}
