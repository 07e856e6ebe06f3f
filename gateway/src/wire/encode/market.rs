//! Market data: what every subscriber of a symbol gets, encoded once for all of them.

use engine_core::message::SymbolState;
use engine_core::units::{Amount, Price, Quantity, Sequence, Side, Timestamp, TradeId};

use super::piece::{Extra, List, Money, OrNull, Pair, SignedMoney, Steps, Text, Word, put};
use super::{Level, SymbolFormat};
use crate::wire::name::{GapReason, KlineInterval, Stream};

/// Where a `depth_snapshot` stands.
#[derive(Clone, Copy, Debug)]
pub struct DepthSnapshot {
    /// The last change that is in it.
    pub seq: Sequence,
    /// When that was.
    pub ts: Timestamp,
    /// Levels a side, if the view is cut to some.
    pub depth: Option<u16>,
    /// Checksum of the best levels, if the view has one.
    pub checksum: Option<u32>,
}

/// Which changes a `depth_update` spans.
#[derive(Clone, Copy, Debug)]
pub struct DepthUpdate {
    /// The `seq` that a book must have for this to fit.
    pub prev_seq: Sequence,
    /// The `seq` it has afterwards.
    pub seq: Sequence,
    /// When the last change was.
    pub ts: Timestamp,
}

/// A trade.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    /// Its number within the symbol.
    pub trade_id: TradeId,
    /// The change of the book that it was part of.
    pub seq: Sequence,
    /// The price.
    pub price: Price,
    /// The quantity.
    pub quantity: Quantity,
    /// The side of the taker.
    pub side: Side,
    /// When it was.
    pub ts: Timestamp,
}

/// The best bid and offer.
#[derive(Clone, Copy, Debug)]
pub struct Bbo {
    /// The last change that is in it.
    pub seq: Sequence,
    /// The best bid, if there is any.
    pub bid: Option<Level>,
    /// The best offer, if there is any.
    pub ask: Option<Level>,
    /// When that was.
    pub ts: Timestamp,
}

/// What trades of some time come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// When that time began.
    pub open_ts: Timestamp,
    /// The price of the first.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The price of the last.
    pub close: Price,
    /// How many there were.
    pub trades: u64,
    /// Their quantities together, in lots.
    pub volume: u128,
    /// Price times quantity of each, together, in ticks times lots.
    pub quote_volume: u128,
}

/// A candle of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    /// The interval.
    pub interval: KlineInterval,
    /// Its trades.
    pub candle: Candle,
    /// Whether it is over.
    pub closed: bool,
}

/// What a day's trades come to, and where the market is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticker {
    /// The newest trade's price, if there was any.
    pub last: Option<Price>,
    /// The day's trades, if there were any.
    pub day: Option<Candle>,
    /// The best bid, if there is any.
    pub bid: Option<Price>,
    /// The best offer, if there is any.
    pub ask: Option<Price>,
    /// When that day began.
    pub open_ts: Timestamp,
    /// When it ended.
    pub close_ts: Timestamp,
}

/// Where a symbol stands while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The last change of its book.
    pub seq: Sequence,
    /// Its last trade.
    pub trade_id: TradeId,
    /// When it was asked.
    pub ts: Timestamp,
    /// How long it took to answer.
    pub lag_ms: u64,
    /// Changes of levels that later ones have replaced before they were told.
    pub conflated: u64,
}

/// What a symbol does from now on.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// What.
    pub state: SymbolState,
    /// Since when.
    pub ts: Timestamp,
}

/// What is missing from a stream.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// The stream.
    pub stream: Stream,
    /// First missing id.
    pub from: u64,
    /// Last missing id.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

/// `depth_snapshot`: best levels first, on both sides.
pub fn depth_snapshot<B, A>(
    out: &mut Vec<u8>,
    format: &SymbolFormat<'_>,
    snapshot: DepthSnapshot,
    bids: B,
    asks: A,
) where
    B: IntoIterator<Item: Into<Level>>,
    A: IntoIterator<Item: Into<Level>>,
{
    put! { out,
        r#"{"channel":"#, Text(format.symbol),
        r#","type":"depth_snapshot","data":{"seq":"#, snapshot.seq,
        r#","ts":"#, snapshot.ts,
        r#","bids":"#, levels(format, bids),
        r#","asks":"#, levels(format, asks),
        Extra(r#","depth":"#, snapshot.depth.map(u64::from)),
        Extra(r#","checksum":"#, snapshot.checksum.map(u64::from)),
        "}}",
    }
}

/// `depth_update`: the new quantity of each level that changed, zero for those that are gone.
#[inline]
pub fn depth_update<B, A>(out: &mut Vec<u8>, format: &SymbolFormat<'_>, update: DepthUpdate, bids: B, asks: A)
where
    B: IntoIterator<Item: Into<Level>>,
    A: IntoIterator<Item: Into<Level>>,
{
    put! { out,
        r#"{"channel":"#, Text(format.symbol),
        r#","type":"depth_update","data":{"prev_seq":"#, update.prev_seq,
        r#","seq":"#, update.seq,
        r#","ts":"#, update.ts,
        r#","bids":"#, levels(format, bids),
        r#","asks":"#, levels(format, asks),
        "}}",
    }
}

/// `trade`.
pub fn trade(out: &mut Vec<u8>, format: &SymbolFormat<'_>, trade: Trade) {
    put! { out,
        r#"{"channel":"#, Text(format.symbol),
        r#","type":"trade","data":{"trade_id":"#, trade.trade_id,
        r#","seq":"#, trade.seq,
        r#","price":"#, Steps(format.price, trade.price.0),
        r#","quantity":"#, Steps(format.quantity, trade.quantity.0),
        r#","side":"#, trade.side,
        r#","ts":"#, trade.ts,
        "}}",
    }
}

/// `bbo`. A side without orders is `null`.
pub fn bbo(out: &mut Vec<u8>, format: &SymbolFormat<'_>, bbo: Bbo) {
    put! { out,
        r#"{"channel":"#, Text(format.symbol),
        r#","type":"bbo","data":{"seq":"#, bbo.seq,
        r#","bid":"#, OrNull(bbo.bid.map(|level| Pair(format, level))),
        r#","ask":"#, OrNull(bbo.ask.map(|level| Pair(format, level))),
        r#","ts":"#, bbo.ts,
        "}}",
    }
}

/// `ticker`.
pub fn ticker(out: &mut Vec<u8>, format: &SymbolFormat<'_>, ticker: &Ticker) {
    put! { out, r#"{"channel":"#, Text(format.symbol), r#","type":"ticker","data":"# }
    ticker_data(out, format, ticker);
    put! { out, "}" }
}

/// What is in a `ticker`. What there is not is `null`.
pub fn ticker_data(out: &mut Vec<u8>, format: &SymbolFormat<'_>, ticker: &Ticker) {
    let Ticker { last, day, bid, ask, open_ts, close_ts } = *ticker;
    let price = |price: Option<Price>| OrNull(price.map(|price| Steps(format.price, price.0)));
    let change = day.map(|day| i128::from(day.close.0) - i128::from(day.open.0));
    put! { out,
        r#"{"last":"#, price(last),
        r#","open":"#, price(day.map(|day| day.open)),
        r#","high":"#, price(day.map(|day| day.high)),
        r#","low":"#, price(day.map(|day| day.low)),
        r#","volume":"#, volume(format, day.map_or(0, |day| day.volume)),
        r#","quote_volume":"#, quote_volume(format, day.map_or(0, |day| day.quote_volume)),
        r#","change":"#, OrNull(change.map(|ticks| SignedMoney(ticks * i128::from(format.price.step()), format.price.decimals()))),
        r#","change_pct":"#, OrNull(day.map(|day| SignedMoney(hundredths_of_percent(day.open, day.close), 2))),
        r#","bid":"#, price(bid),
        r#","ask":"#, price(ask),
        r#","trades":"#, day.map_or(0, |day| day.trades),
        r#","open_ts":"#, open_ts,
        r#","close_ts":"#, close_ts,
        "}",
    }
}

/// `kline`.
pub fn kline(out: &mut Vec<u8>, format: &SymbolFormat<'_>, kline: &Kline) {
    put! { out, r#"{"channel":"#, Text(format.symbol), r#","type":"kline","data":"# }
    kline_data(out, format, kline);
    put! { out, "}" }
}

/// What is in a `kline`.
pub fn kline_data(out: &mut Vec<u8>, format: &SymbolFormat<'_>, kline: &Kline) {
    let Kline { interval, candle, closed } = *kline;
    put! { out,
        r#"{"interval":"#, Word(interval),
        r#","open_ts":"#, candle.open_ts,
        r#","close_ts":"#, Timestamp(candle.open_ts.0 + interval.us() - 1),
        r#","open":"#, Steps(format.price, candle.open.0),
        r#","high":"#, Steps(format.price, candle.high.0),
        r#","low":"#, Steps(format.price, candle.low.0),
        r#","close":"#, Steps(format.price, candle.close.0),
        r#","volume":"#, volume(format, candle.volume),
        r#","quote_volume":"#, quote_volume(format, candle.quote_volume),
        r#","trades":"#, candle.trades,
        r#","closed":"#, closed,
        "}",
    }
}

fn volume(format: &SymbolFormat<'_>, lots: u128) -> Money {
    Money(Amount(lots.saturating_mul(u128::from(format.quantity.step()))), format.quantity.decimals())
}

fn quote_volume(format: &SymbolFormat<'_>, ticks_lots: u128) -> Money {
    Money(format.value(ticks_lots), format.quote_decimals)
}

/// How much more `close` is than `open`, in hundredths of a percent, rounded to the nearest, halves away from zero.
fn hundredths_of_percent(open: Price, close: Price) -> i128 {
    let (open, close) = (i128::from(open.0), i128::from(close.0));
    let doubled = 2 * 10_000 * (close - open);
    (doubled + open * doubled.signum()) / (2 * open)
}

/// `heartbeat`.
pub fn heartbeat(out: &mut Vec<u8>, format: &SymbolFormat<'_>, heartbeat: &Heartbeat) {
    put! { out,
        r#"{"channel":"#, Text(format.symbol),
        r#","type":"heartbeat","data":{"seq":"#, heartbeat.seq,
        r#","trade_id":"#, heartbeat.trade_id,
        r#","ts":"#, heartbeat.ts,
        r#","lag_ms":"#, heartbeat.lag_ms,
        r#","conflated":"#, heartbeat.conflated,
        "}}",
    }
}

/// `status`: goes to every stream of the symbol.
pub fn status(out: &mut Vec<u8>, format: &SymbolFormat<'_>, status: Status) {
    put! { out,
        r#"{"channel":"#, Text(format.symbol),
        r#","type":"status","data":{"state":"#, Word(status.state),
        r#","ts":"#, status.ts,
        "}}",
    }
}

/// `gap`: says to one subscriber which ids it will not get.
pub fn gap(out: &mut Vec<u8>, symbol: &str, gap: Gap) {
    put! { out,
        r#"{"channel":"#, Text(symbol),
        r#","type":"gap","data":{"stream":"#, Word(gap.stream),
        r#","from":"#, gap.from,
        r#","to":"#, gap.to,
        r#","reason":"#, Word(gap.reason),
        "}}",
    }
}

fn levels<'f, 's, I: IntoIterator<Item: Into<Level>>>(
    format: &'f SymbolFormat<'s>,
    levels: I,
) -> List<impl Iterator<Item = Pair<'f, 's>>> {
    List(levels.into_iter().map(move |level| Pair(format, level.into())))
}
