//! What happens in the simulated market, and the feed that tells it.

use super::net::Trades;
use crate::feed::Feed;
use engine_core::executor::MarketSink;
use engine_core::matcher::{MarketEvent, TradePrint};
use engine_core::units::*;
use rand::{Rng, RngExt};

/// Of a symbol's book: levels of a side, in ticks from the middle.
const LEVELS: u64 = 20;
const MIDDLE: u64 = 10_000;

/// Symbols whose popularity, with subscribers and with traders, follows Zipf's law.
pub struct Zipf {
    /// Up to each symbol, the share of all before and of itself.
    cumulated: Vec<f64>,
}

impl Zipf {
    pub fn new(symbols: usize) -> Self {
        let mut sum = 0.0;
        let weights = (1..=symbols).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        let cumulated: Vec<f64> = weights.collect();
        Self { cumulated: cumulated.iter().map(|weight| weight / sum).collect() }
    }

    pub fn draw(&self, random: &mut impl Rng) -> u16 {
        let share: f64 = random.random();
        self.cumulated.partition_point(|up_to| *up_to < share).min(self.cumulated.len() - 1) as u16
    }
}

pub struct SimulatedMarket {
    feed: Feed,
    trades: Trades,
    /// By symbol.
    heads: Vec<Head>,
}

/// Where a symbol stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    pub seq: u32,
    pub next_trade: u32,
}

impl SimulatedMarket {
    /// Every symbol has two sides of a book already.
    pub fn new(feed: Feed, trades: Trades, symbols: usize, now: u64) -> Self {
        *trades.write().expect("no holder panics") = vec![vec![1]; symbols];
        let mut market = Self { feed, trades, heads: vec![Head { seq: 0, next_trade: 1 }; symbols] };
        for symbol in 0..symbols {
            let id = SymbolId(symbol as u16 as _);
            for away in 1..=LEVELS {
                market.feed.event(&MarketEvent::Level(
                    id,
                    Side::Buy,
                    Price(MIDDLE - away),
                    Quantity(10 * away),
                ));
                market.feed.event(&MarketEvent::Level(
                    id,
                    Side::Sell,
                    Price(MIDDLE + away),
                    Quantity(10 * away),
                ));
            }
            market.applied(symbol, now);
        }
        market.publish();
        market
    }

    /// A command has its effect: one or two levels change, and every third time there is a trade.
    pub fn command(&mut self, symbol: u16, random: &mut impl Rng, now: u64) {
        let id = SymbolId(symbol as _);
        let side = if random.random() { Side::Buy } else { Side::Sell };
        let away = random.random_range(1..=LEVELS);
        let price = if side == Side::Buy { Price(MIDDLE - away) } else { Price(MIDDLE + away) };
        let head = &mut self.heads[symbol as usize];
        if random.random_range(0..3) == 0 {
            let trade = TradePrint {
                trade: TradeId(head.next_trade as u64),
                sequence: Sequence(head.seq as u64 + 1),
                at: Timestamp(now),
                price,
                quantity: Quantity(1),
                taker_side: side.opposite(),
            };
            head.next_trade += 1;
            self.feed.event(&MarketEvent::Trade(id, trade));
        }
        self.feed.event(&MarketEvent::Level(id, side, price, Quantity(random.random_range(1..1000))));
        self.applied(symbol as usize, now);
        // What is published together becomes one update, so that sequences count updates.
        self.feed.publish();
    }

    fn applied(&mut self, symbol: usize, now: u64) {
        let head = &mut self.heads[symbol];
        head.seq += 1;
        self.trades.write().expect("no holder panics")[symbol].push(head.next_trade);
        self.feed.event(&MarketEvent::Applied(
            SymbolId(symbol as _),
            Sequence(head.seq as u64),
            Timestamp(now),
        ));
    }

    /// Answers all that was asked of the feed.
    pub fn publish(&mut self) {
        self.feed.publish();
        while self.feed.wants_publish() {
            self.feed.publish();
        }
    }

    pub fn head(&self, symbol: u16) -> Head {
        self.heads[symbol as usize]
    }
}
