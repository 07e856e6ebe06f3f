//! Candles and the ticker at beats.

use super::Telling;
use crate::feed::symbol::Known;
use crate::rooms::view::View;
use crate::wire::encode::SymbolFormat;
use crate::wire::encode::market::{self, Kline, Ticker};
use crate::wire::name::KlineInterval;
use engine_core::units::{Price, Quantity, Timestamp, TradeId};

/// The candles of an interval as told.
pub struct Candle {
    interval: KlineInterval,
    told: Option<Kline>,
    /// Over, and not yet told so.
    over: Vec<Kline>,
}

impl Candle {
    pub fn new(interval: KlineInterval, known: &Known) -> Self {
        let told = known.candles.as_ref().and_then(|candles| candles.newest(interval));
        Self { interval, told, over: Vec::new() }
    }

    pub fn note_closed(&mut self, kline: Kline) {
        self.over.push(kline);
    }

    pub fn tell_closed(&mut self, telling: &mut Telling<'_, '_>) {
        for kline in self.over.drain(..) {
            self.told = Some(kline);
            telling.tell(View::Kline(self.interval), |out, format| market::kline(out, format, &kline));
        }
    }

    /// Tells the open candle, if it has changed.
    pub fn tell(&mut self, known: &Known, telling: &mut Telling<'_, '_>) {
        let open = known.candles.as_ref().and_then(|candles| candles.open(self.interval));
        if let Some(open) = open.filter(|open| self.told != Some(*open)) {
            self.told = Some(open);
            telling.tell(View::Kline(self.interval), |out, format| market::kline(out, format, &open));
        }
    }

    pub fn write(&self, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        self.told.iter().for_each(|told| market::kline(out, format, told));
    }
}

/// The ticker as told.
pub struct Day {
    told: Ticker,
    /// What it was made from: while that is the same, so is the ticker.
    from: Sources,
}

#[derive(PartialEq)]
struct Sources {
    trade: TradeId,
    best: [Option<(Price, Quantity)>; 2],
    minute: Timestamp,
}

impl Sources {
    fn of(known: &Known, now: Timestamp) -> Self {
        Self { trade: known.last_trade, best: known.best, minute: KlineInterval::Minute.start(now) }
    }
}

impl Day {
    pub fn new(known: &Known, now: Timestamp) -> Self {
        Self { told: ticker(known, now), from: Sources::of(known, now) }
    }

    /// Tells it if anything but the time has changed.
    pub fn tell(&mut self, known: &Known, now: Timestamp, telling: &mut Telling<'_, '_>) {
        let from = Sources::of(known, now);
        if from == self.from {
            return;
        }
        self.from = from;
        let ticker = ticker(known, now);
        let Ticker { open_ts, close_ts, .. } = self.told;
        if (Ticker { open_ts, close_ts, ..ticker }) != self.told {
            self.told = ticker;
            telling.tell(View::Ticker, |out, format| self.write(format, out));
        }
    }

    pub fn write(&self, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        market::ticker(out, format, &self.told);
    }
}

/// The ticker at `now`: of the minute that is open and of those before it that make up a day with it.
pub fn ticker(known: &Known, now: Timestamp) -> Ticker {
    let rest = KlineInterval::Day.us() - KlineInterval::Minute.us();
    let open_ts = Timestamp(KlineInterval::Minute.start(now).0.saturating_sub(rest));
    let [bid, ask] = known.best.map(|level| level.map(|(price, _)| price));
    Ticker {
        last: known.candles.as_ref().and_then(|candles| candles.last()),
        day: known.candles.as_ref().and_then(|candles| candles.since(open_ts)),
        bid,
        ask,
        open_ts,
        close_ts: now,
    }
}
