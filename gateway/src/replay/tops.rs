//! The feed's view of a market during a replay: the level map that a subscriber would keep, built from market events
//! alone, and its top at the recorded moments.

use engine_core::executor::MarketSink;
use engine_core::matcher::MarketEvent;
use engine_core::units::*;
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

/// Best bid and ask with their sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Top {
    pub bid: Option<(Price, Quantity)>,
    pub ask: Option<(Price, Quantity)>,
}

/// Sends the top as it was after everything up to each moment. One symbol.
pub struct TopWatch {
    /// The moments, rising; inputs carry strictly rising times from message to message, so a moment names one.
    moments: Vec<Timestamp>,
    seen: usize,
    bids: BTreeMap<Price, Quantity>,
    asks: BTreeMap<Price, Quantity>,
    /// Changes of the command that is being told; its time comes last.
    changes: Vec<(Side, Price, Quantity)>,
    tops: Sender<Top>,
}

impl TopWatch {
    pub fn new(moments: Vec<Timestamp>, tops: Sender<Top>) -> Self {
        Self { moments, seen: 0, bids: BTreeMap::new(), asks: BTreeMap::new(), changes: Vec::new(), tops }
    }

    fn tell(&mut self) {
        let pair = |(price, quantity): (&Price, &Quantity)| (*price, *quantity);
        let top =
            Top { bid: self.bids.last_key_value().map(pair), ask: self.asks.first_key_value().map(pair) };
        let _ = self.tops.send(top); // nobody listens any more: the replay was given up
        self.seen += 1;
    }

    fn change(&mut self, side: Side, price: Price, total: Quantity) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if total.is_zero() {
            levels.remove(&price);
        } else {
            levels.insert(price, total);
        }
    }
}

impl MarketSink for TopWatch {
    fn event(&mut self, event: &MarketEvent) {
        match *event {
            _ if self.moments.is_empty() => {}
            MarketEvent::Trade(..) | MarketEvent::State(..) => {}
            MarketEvent::Level(_, side, price, total) => self.changes.push((side, price, total)),
            MarketEvent::Applied(_, _, at) => {
                while self.moments.get(self.seen).is_some_and(|moment| *moment < at) {
                    self.tell();
                }
                for (side, price, total) in std::mem::take(&mut self.changes) {
                    self.change(side, price, total);
                }
            }
        }
    }

    fn publish(&mut self) {}
}

impl Drop for TopWatch {
    fn drop(&mut self) {
        while self.seen < self.moments.len() {
            self.tell();
        }
    }
}
