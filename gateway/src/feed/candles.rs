//! What a symbol's trades come to: candles of every interval.
//!
//! ```text
//! trade ─▶ second ─over─▶ minute ─over─▶ 5 minutes ─over─▶ … ─over─▶ day
//! ```
//! A trade changes one candle, that of its second; when that is over it is added to that of its minute, and so on up. So a trade
//! costs the same however many intervals there are, and the open candle of an interval is what is there and what the shorter ones
//! have not handed up yet. Everything is a sum of integers.
//!
//! A candle is over when a trade of a later time comes, or when the clock says so. A trade that comes after its candle is over
//! counts in the one that is open then: nothing that was told as closed ever changes. Intervals without trades have no candle.

use crate::wire::encode::market::{Candle, Kline};
use crate::wire::name::{KlineInterval, Name};
use engine_core::matcher::TradePrint;
use engine_core::units::{Price, Timestamp};
use std::collections::VecDeque;

/// Closed candles that are kept of each interval. With the most of all of them, a symbol's are 0.7 MB.
pub const CANDLES_KEPT: usize = 1000;

const _: () = assert!(size_of::<Candle>() == 80);

/// Of minutes as many as a day has, for the ticker.
const MINUTES_KEPT: usize = 24 * 60;

/// How much later than its time a trade may reach us: a journal is synced between the two. Picked by eye.
const CLOSING_GRACE_US: u64 = 250_000;

const INTERVALS: usize = KlineInterval::ALL.len();

/// The candles of a symbol that has traded.
#[derive(Default)]
pub struct Candles {
    /// By interval: the open one, without what the shorter ones have not handed up.
    open: [Option<Candle>; INTERVALS],
    /// By interval: those that are over, oldest first.
    closed: [VecDeque<Candle>; INTERVALS],
    /// What is before this is over.
    now: Timestamp,
    last: Option<Price>,
}

impl Candles {
    /// Counts a trade. `over` is told of each candle that is over because of it.
    pub fn add(&mut self, trade: &TradePrint, over: impl FnMut(Kline)) {
        let at = trade.at.max(self.now);
        self.close_before(at, over);
        let candle = Candle {
            open_ts: KlineInterval::Second.start(at),
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            trades: 1,
            volume: trade.quantity.0.into(),
            quote_volume: u128::from(trade.price.0) * u128::from(trade.quantity.0),
        };
        put(&mut self.open[KlineInterval::Second as usize], candle);
        self.last = Some(trade.price);
    }

    /// It is `clock`. `over` is told of each candle that is over.
    pub fn pass(&mut self, clock: Timestamp, over: impl FnMut(Kline)) {
        self.close_before(Timestamp(clock.0.saturating_sub(CLOSING_GRACE_US)), over);
    }

    /// From the shortest to the longest, so that each has all that is its when it ends.
    fn close_before(&mut self, now: Timestamp, mut over: impl FnMut(Kline)) {
        let before = self.now;
        self.now = now.max(before);
        // Whatever ends, ends with a second: most trades are in the second of the one before.
        if KlineInterval::Second.start(self.now) == KlineInterval::Second.start(before) {
            return;
        }
        for (place, interval) in KlineInterval::ALL.iter().copied().enumerate() {
            let is_over = |candle: &mut Candle| candle.open_ts.0 + interval.us() <= now.0;
            let Some(candle) = self.open[place].take_if(is_over) else { continue };
            if let Some(next) = KlineInterval::ALL.get(place + 1) {
                let open_ts = next.start(candle.open_ts);
                put(&mut self.open[place + 1], Candle { open_ts, ..candle });
            }
            let closed = &mut self.closed[place];
            if closed.len() == kept(interval) {
                closed.pop_front();
            }
            closed.push_back(candle);
            over(Kline { interval, candle, closed: true });
        }
    }

    /// The newest trade's price.
    pub fn last(&self) -> Option<Price> {
        self.last
    }

    /// The candle that is open now.
    pub fn open(&self, interval: KlineInterval) -> Option<Kline> {
        let mut open = None;
        for part in self.open[..=interval as usize].iter().rev().flatten() {
            put(&mut open, Candle { open_ts: interval.start(part.open_ts), ..*part });
        }
        open.map(|candle| Kline { interval, candle, closed: false })
    }

    /// The newest candle, open or not.
    pub fn newest(&self, interval: KlineInterval) -> Option<Kline> {
        let closed = || self.closed[interval as usize].back();
        self.open(interval)
            .or_else(|| closed().map(|candle| Kline { interval, candle: *candle, closed: true }))
    }

    /// The newest candles, oldest first.
    pub fn list(&self, interval: KlineInterval, klines_max: usize) -> Vec<Kline> {
        let closed = self.closed[interval as usize].iter();
        let closed = closed.map(|candle| Kline { interval, candle: *candle, closed: true });
        let all: Vec<Kline> = closed.chain(self.open(interval)).collect();
        all[all.len().saturating_sub(klines_max)..].to_vec()
    }

    /// All minutes from `from` on as one candle.
    pub fn since(&self, from: Timestamp) -> Option<Candle> {
        let minutes = &self.closed[KlineInterval::Minute as usize];
        let first = minutes.partition_point(|candle| candle.open_ts < from);
        let open = self.open(KlineInterval::Minute).map(|kline| kline.candle);
        let mut all = None;
        for candle in minutes.range(first..).copied().chain(open.filter(|candle| candle.open_ts >= from)) {
            put(&mut all, candle);
        }
        all
    }
}

const fn kept(interval: KlineInterval) -> usize {
    match interval {
        KlineInterval::Minute => MINUTES_KEPT,
        _ => CANDLES_KEPT,
    }
}

/// Adds a later candle to one, if there is one.
fn put(to: &mut Option<Candle>, later: Candle) {
    match to {
        None => *to = Some(later),
        Some(candle) => {
            candle.high = candle.high.max(later.high);
            candle.low = candle.low.min(later.low);
            candle.close = later.close;
            candle.trades += later.trades;
            candle.volume = candle.volume.saturating_add(later.volume);
            candle.quote_volume = candle.quote_volume.saturating_add(later.quote_volume);
        }
    }
}
