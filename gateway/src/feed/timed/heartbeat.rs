//! A word for those who wonder whether nothing happens or nothing arrives.

use super::{Beat, Telling};
use crate::feed::symbol::Known;
use crate::rooms::view::View;
use crate::wire::encode::SymbolFormat;
use crate::wire::encode::market::{self, Heartbeat};
use engine_core::units::{Sequence, Timestamp, TradeId};

pub struct Pulse {
    told: Heartbeat,
    /// Where the symbol stood a second ago.
    seen: (Sequence, TradeId),
}

impl Pulse {
    pub fn new(known: &Known, now: Timestamp) -> Self {
        Self { told: heartbeat(known, now, 0), seen: (known.published, known.last_trade) }
    }

    /// Tells where the symbol stands, unless something has happened in the last second: that was told then.
    pub fn tell(&mut self, known: &Known, beat: Beat, telling: &mut Telling<'_, '_>) {
        let stands = (known.published, known.last_trade);
        if std::mem::replace(&mut self.seen, stands) == stands {
            self.told = heartbeat(known, beat.at, beat.lag_ms);
            telling.tell(View::Heartbeat, |out, format| self.write(format, out));
        }
    }

    pub fn write(&self, format: &SymbolFormat<'_>, out: &mut Vec<u8>) {
        market::heartbeat(out, format, &self.told);
    }
}

fn heartbeat(known: &Known, ts: Timestamp, lag_ms: u64) -> Heartbeat {
    Heartbeat { seq: known.published, trade_id: known.last_trade, ts, lag_ms, conflated: known.conflated }
}
