//! Market data: what every subscriber of a symbol gets, encoded once for all of them.

use engine_core::message::SymbolState;
use engine_core::units::{Price, Quantity, Sequence, Side, Timestamp, TradeId};

use super::piece::{Extra, List, OrNull, Pair, Steps, Text, Word, put};
use super::{Level, SymbolFormat};
use crate::wire::name::{GapReason, Stream};

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
